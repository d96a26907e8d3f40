//! Clients that only wait, as a consumer does, when the address of their
//! connection moves: they hear of it from the host that takes it over.

mod kit;

use kit::pair::*;
use kit::vrrp::thread_in;
use kit::{Host, wait_until};
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PORT: u16 = 81;
/// A look at the connections takes a thousandth of a core at most: every 30 s where the machine
/// has very many, whosever they are.
const LOOKED: Duration = Duration::from_secs(45);

/// Accepts connections on a host and says nothing.
fn keep_silent(host: &Host) {
    let (ready, wait) = channel();
    thread_in(host, move || {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).expect("a free port");
        ready.send(()).expect("the test waits");
        let kept: Vec<_> = listener.incoming().collect();
        drop(kept);
    });
    wait.recv().expect("the server starts");
}

/// A client that connects and waits; how its wait ended comes out.
fn waiting_client(host: &Host, address: IpAddr) -> Receiver<ErrorKind> {
    let (connected, wait) = channel();
    let (ended, end) = channel();
    thread_in(host, move || {
        let mut stream = TcpStream::connect(SocketAddr::new(address, PORT)).expect("a connection");
        connected.send(()).expect("the test waits");
        let kind = match stream.read(&mut [0]) {
            Ok(_) => ErrorKind::UnexpectedEof,
            Err(error) => error.kind(),
        };
        // the test may be over
        let _ = ended.send(kind);
    });
    wait.recv().expect("it connects");
    end
}

fn counts(site: &Site) -> serde_json::Value {
    let text = site.tool(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    status["pair"]["clients"].clone()
}

/// Hosts with silent servers, and so many clients on A, of which B has heard.
fn clients_on_a(
    flavour: Flavour,
    global: &str,
    clients: usize,
) -> (Pair, Vec<Receiver<ErrorKind>>) {
    let pair = Pair::up((Ours, Ours), flavour, global, "");
    for site in [&pair.a, &pair.b] {
        keep_silent(&site.host);
    }
    let address: IpAddr = pair.address.parse().expect("an address");
    let waiting = (0..clients).map(|_| waiting_client(&pair.c, address));
    let waiting = waiting.collect();
    (pair, waiting)
}

/// The host of idle clients dies: its successor asks them, and they are reset.
fn a_host_dies(flavour: Flavour) {
    kit::sandboxed(|| {
        let (mut pair, waiting) = clients_on_a(flavour, "", 20);
        wait_until("B knows the clients of A", LOOKED, || {
            counts(&pair.b)["known"].as_u64() >= Some(20)
        });
        pair.lab.cut(&pair.a.host, true);
        freeze(&pair.a, true);
        for client in &waiting {
            let end = client.recv_timeout(LONG).expect("it hears of it");
            assert_eq!(end, ErrorKind::ConnectionReset);
        }
        // the client of the pair comes and goes all the time, and may be among those that are asked
        wait_until("B has counted them", LONG, || {
            counts(&pair.b)["asked_total"].as_u64() >= Some(20)
        });
        pair.b.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn clients_that_wait_hear_that_their_host_died() {
    a_host_dies(V3);
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn clients_that_wait_hear_that_their_host_died_over_ipv6() {
    a_host_dies(IPV6);
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn clients_that_wait_hear_of_a_planned_switch() {
    kit::sandboxed(|| {
        let (mut pair, waiting) = clients_on_a(V3, "", 5);
        pair.moves_to("B", || {
            pair.a.tool(&["demote"]);
        });
        for client in &waiting {
            let end = client.recv_timeout(LONG).expect("it hears of it");
            assert_eq!(end, ErrorKind::ConnectionReset);
        }
        pair.b.stop();
        pair.a.stop();
    });
}

#[test]
#[ignore = "needs root for network namespaces; tests/run runs it"]
fn with_pair_tickle_off_nobody_is_told_and_nobody_asked() {
    kit::sandboxed(|| {
        let (mut pair, waiting) = clients_on_a(V3, "global_defs {\n pair_tickle off\n}\n", 2);
        let cut = Instant::now();
        pair.lab.cut(&pair.a.host, true);
        pair.client.wait_answer(cut, b'B', LONG);
        for client in &waiting {
            let end = client.recv_timeout(Duration::from_secs(3));
            assert!(end.is_err(), "it was told: {end:?}");
        }
        let counts = counts(&pair.b);
        assert_eq!(
            (&counts["known"], &counts["asked_total"]),
            (&0.into(), &0.into())
        );
        pair.b.stop();
    });
}
