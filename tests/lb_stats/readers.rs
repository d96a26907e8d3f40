//! Readers of the page that do not read.

use super::{CONFIG, PATIENCE, get, serve, start_with};
use crate::kit::{sandboxed, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Ten thousand ask for a page that is longer than what sockets hold, and do not take it.
#[test]
fn ten_thousand_readers_are_bounded_told_why_logged_and_harm_nobody() {
    sandboxed(|| {
        // what is not read soon fills the sockets
        for name in ["tcp_wmem", "tcp_rmem"] {
            let path = format!("/proc/sys/net/ipv4/{name}");
            std::fs::write(path, "4096 16384 65536").expect("the network is the test's own");
        }
        let servers: String = (0..400)
            .map(|n| format!("    server s{n} 127.0.0.1:6001\n"))
            .collect();
        serve(6004, |mut stream| {
            let mut reader = stream.try_clone().expect("a second descriptor");
            let _ = std::io::copy(&mut reader, &mut stream);
        });
        let traffic = "listen echo\n    bind 127.0.0.1:5673\n    server e 127.0.0.1:6004\n";
        let mut daemon = start_with(&format!("{CONFIG}{traffic}backend many\n{servers}"));
        let memory = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
            let status = status.expect("it runs");
            let line = status.lines().find(|line| line.starts_with("VmRSS:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
            kilobytes
                .and_then(|n| n.parse::<u64>().ok())
                .expect("a number")
        };
        get(8100, "/stats", "");
        let before = memory();
        let (mut served, mut refused) = (Vec::new(), 0);
        for number in 0..10_000 {
            let mut reader = TcpStream::connect("127.0.0.1:8100").expect("it listens");
            reader.set_read_timeout(Some(PATIENCE)).expect("a time");
            let request = b"GET /stats HTTP/1.1\r\nHost: x\r\n\r\n";
            reader.write_all(request).expect("it reads");
            let mut status = [0; 12];
            reader.read_exact(&mut status).expect("an answer");
            match &status {
                b"HTTP/1.1 200" => served.push(reader),
                b"HTTP/1.1 503" => {
                    let mut rest = String::new();
                    reader.read_to_string(&mut rest).expect("it closes");
                    assert!(rest.contains("readers of the statistics"), "{rest}");
                    refused += 1;
                }
                other => panic!("{}", String::from_utf8_lossy(other)),
            }
            if number % 1000 == 0 {
                let mut session = TcpStream::connect("127.0.0.1:5673").expect("it listens");
                session.write_all(b"x").expect("traffic goes on");
                session.read_exact(&mut [0]).expect("traffic goes on");
            }
        }
        assert_eq!((served.len(), refused), (64, 10_000 - 64));
        let grown = memory().saturating_sub(before);
        assert!(grown < 50_000, "{grown} kB for 10 000 readers");
        daemon.wait_line("Statistics: 64 readers are being served", PATIENCE);
        let lines = daemon.output();
        // one each ten seconds, on the console and in the log
        let told = lines
            .lines()
            .filter(|l| l.contains("Statistics: 64"))
            .count();
        assert!(told <= 40, "{told} lines about it");
        served.clear();
        wait_until("the page answers again", PATIENCE, || {
            get(8100, "/stats;csv", "").contains("rabbit,FRONTEND")
        });
    });
}
