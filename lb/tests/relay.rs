//! Sessions over real sockets: what a client and a server see through the balancer.

mod rig;

use rig::{Rig, SessionLine};
use std::io::{Read, Write};
use std::net::Shutdown;

#[test]
fn bytes_pass_both_ways_and_the_line_counts_them() {
    let rig = Rig::start("", |server| {
        let mut request = [0; 5];
        server.read_exact(&mut request).expect("request");
        assert_eq!(&request, b"hello");
        server.write_all(b"welcome").expect("answer");
    });
    let mut client = rig.connect();
    client.write_all(b"hello").expect("send");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("answer and end");
    assert_eq!(answer, b"welcome");
    drop(client);
    let line = rig.next_line();
    assert_eq!(
        (line.end.as_str(), line.bytes_in, line.bytes_out),
        ("--", 5, 7)
    );
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let rig = Rig::start("", |server| {
        let mut request = Vec::new();
        server
            .read_to_end(&mut request)
            .expect("request and its end");
        server.write_all(&request).expect("echo");
    });
    let mut client = rig.connect();
    client.write_all(b"all of it").expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("answer");
    assert_eq!(answer, b"all of it");
    drop(client);
    let SessionLine { end, .. } = rig.next_line();
    assert_eq!(end, "--");
}
