/* The least that a program can do which sends an advert every interval: it waits and sends, and hears and knows nothing.
 * What it costs is the machine's share of a daemon's cost (G16).
 *
 *     bare_loop ADDRESS INTERVAL_MS SECONDS     prints the CPU time in percent of a core
 *
 * The adverts are VRRPv3's of virtual router 255 from ADDRESS, which nobody in the lab has. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: bare_loop ADDRESS INTERVAL_MS SECONDS\n");
        return 2;
    }
    long interval = atol(argv[2]) * 1000000, count = atol(argv[3]) * 1000000000 / interval;
    struct ip_mreqn from = {.imr_address.s_addr = inet_addr(argv[1])};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("224.0.0.18")};
    unsigned char loop = 0, packet[32] = {0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0,
                                          224, 0, 0, 18, 0x31, 255, 1, 1, 0, 1, 0, 0, 192, 0, 2, 1};
    memcpy(packet + 12, &from.imr_address, 4);
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (raw < 0 || setsockopt(raw, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof from)
        || setsockopt(raw, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, 1)) {
        perror("bare_loop");
        return 1;
    }
    setpriority(PRIO_PROCESS, 0, -20);
    struct timespec next, used;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long sent = 0; sent < count; sent++) {
        next.tv_nsec += interval;
        for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) next.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        if (sendto(raw, packet, sizeof packet, 0, (void *)&to, sizeof to) < 0) {
            perror("bare_loop");
            return 1;
        }
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("%.3f\n", (used.tv_sec * 1e9 + used.tv_nsec) / (count * (double)interval) * 100);
    return 0;
}
