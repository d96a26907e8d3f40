//! Servers added, renamed and removed by the runtime CLI.

mod kit;

use kit::balancer::LIMIT;
use kit::{Balancer, sandboxed, wait_until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A server that says its name to everyone and then stays.
fn named(port: u16, name: &'static str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free in here");
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(name.as_bytes());
            held.push(stream);
        }
    });
}

fn ask_name() -> (TcpStream, String) {
    let mut stream = TcpStream::connect("127.0.0.1:7001").expect("the balancer listens");
    let mut buffer = [0; 1];
    stream.read_exact(&mut buffer).expect("a name");
    (stream, String::from_utf8_lossy(&buffer).into_owned())
}

#[test]
fn a_server_is_added_used_and_removed_while_sessions_go_on() {
    sandboxed(|| {
        named(6001, "a");
        named(6002, "b");
        let balancer = Balancer::new(
            "",
            "listen l\n    bind 127.0.0.1:7001\n    balance leastconn\n    server a 127.0.0.1:6001\n\
             backend other\n    balance source\n    use-server x if TRUE\n    server x 127.0.0.1:6001\n",
        );
        let _daemon = balancer.start(&[]);
        let (mut old, name) = ask_name();
        assert_eq!(name, "a");
        let added =
            balancer.ask("add server l/b 127.0.0.1:6002 check inter 100 weight 5 maxconn 9");
        assert_eq!(added, "New server registered.\n\n");
        assert_eq!(balancer.stat("l", "b", "status"), "MAINT");
        assert_eq!(
            balancer.ask("add server l/b 127.0.0.1:6002"),
            "Already exists a server with the same name in backend.\n\n"
        );
        assert!(
            balancer
                .ask("add server other/y 127.0.0.1:1")
                .contains("dynamic load balancing")
        );
        assert!(
            balancer
                .ask("add server l/c 127.0.0.1:1 bogus")
                .contains("bogus")
        );
        balancer.ask("enable health l/b");
        balancer.ask("enable server l/b");
        wait_until("the new server is checked", LIMIT, || {
            balancer.stat("l", "b", "check_status") == "L4OK"
        });
        let (new, name) = ask_name();
        assert_eq!(name, "b", "it has fewer sessions");
        assert_eq!(balancer.stat("l", "b", "slim"), "9");
        assert!(
            balancer
                .ask("del server l/b")
                .contains("Only servers in maintenance")
        );
        balancer.ask("set server l/b state maint");
        assert!(
            balancer
                .ask("del server l/b")
                .contains("still has connections")
        );
        assert_eq!(
            balancer.ask("wait 50ms srv-removable l/b"),
            "Wait delay expired.\n\n"
        );
        drop(new);
        balancer.ask("shutdown sessions server l/b");
        assert_eq!(balancer.ask("wait 20s srv-removable l/b"), "Done.\n\n");
        assert_eq!(balancer.ask("del server l/b"), "Server deleted.\n\n");
        assert!(!balancer.ask("show stat").contains("\nl,b,"));
        balancer.ask("set server other/x state maint");
        assert!(
            balancer
                .ask("del server other/x")
                .contains("pointing to it")
        );
        // the old session never noticed
        old.write_all(b"x").expect("still connected");
        assert_eq!(balancer.stat("l", "a", "scur"), "1");
    });
}

#[test]
fn a_reload_forgets_what_the_file_does_not_have() {
    sandboxed(|| {
        named(6001, "a");
        let balancer = Balancer::new(
            "",
            "listen l\n    bind 127.0.0.1:7001\n    server a 127.0.0.1:6001\n",
        );
        let _daemon = balancer.start(&[]);
        balancer.ask("add server l/b 127.0.0.1:6002");
        balancer.ask("add server l/now 127.0.0.1:6002 agent-check agent-port 9 enabled");
        assert_eq!(balancer.stat("l", "b", "status"), "MAINT");
        assert_ne!(balancer.stat("l", "now", "status"), "MAINT");
        balancer.ask("set server l/now agent-addr 127.0.0.5 port 77");
        let states = balancer.ask("show servers state l");
        let line = |name: &str| {
            let found = states.lines().find(|l| l.split(' ').nth(3) == Some(name));
            found.expect("a line").to_owned()
        };
        assert_eq!(
            line("b").split(' ').nth(6),
            Some("1"),
            "by order, not by the file"
        );
        assert!(line("now").ends_with("127.0.0.5 77"), "{states}");
        assert!(balancer.ask("reload").contains("- server l/b"));
        assert!(!balancer.ask("show stat").contains("\nl,b,"));
        assert_eq!(balancer.ask("wait 10"), "Done.\n\n");
    });
}

/// The body of a page of the statistics.
fn page(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the page listens");
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a page");
    answer
}

#[test]
fn servers_added_and_deleted_are_listed_with_the_line_that_keeps_them() {
    sandboxed(|| {
        named(6001, "a");
        let balancer = Balancer::new(
            "",
            "listen l\n    bind 127.0.0.1:7001\n    server a 127.0.0.1:6001\n    server gone 127.0.0.1:6003 weight 7 # old\n\
             listen other\n    bind 127.0.0.1:7003\n    server x 127.0.0.1:6001\n\
             listen page\n    mode http\n    bind 127.0.0.1:7002\n    stats enable\n    stats uri /all\n    stats admin if TRUE\n\
             listen narrow\n    mode http\n    bind 127.0.0.1:7004\n    stats enable\n    stats uri /s\n    stats scope other\n",
        );
        let _daemon = balancer.start(&[]);
        balancer.ask("add server l/b 127.0.0.1:6002 check inter 100 weight 5");
        let changes = || balancer.ask("show changes");
        let line = "server b 127.0.0.1:6002 inter 100 weight 5 disabled\n";
        assert!(changes().contains(line), "it rests: {}", changes());
        balancer.ask("enable health l/b; set server l/b state ready; set server l/b weight 9");
        let line = "server b 127.0.0.1:6002 check inter 100 weight 9";
        let added = changes();
        assert!(
            added.contains("l/b: added (the file says no such server)"),
            "{added}"
        );
        let section = format!("section listen l ({}:", balancer.file().display());
        assert!(added.contains(&section), "{added}");
        assert!(
            added.contains(line) && !added.contains("disabled"),
            "{added}"
        );
        assert!(
            added.contains("set server l/b state maint; del server l/b"),
            "{added}"
        );
        balancer
            .ask("set server l/gone state maint; del server l/gone; set server other/x weight 3");
        let all = changes();
        let gone = "# server gone 127.0.0.1:6003 weight 7 # old";
        assert!(
            all.contains("l/gone: deleted") && all.contains(gone),
            "{all}"
        );
        let page_of_all = page(7002, "/all;changes");
        assert!(
            page_of_all.contains(line) && page_of_all.contains(gone),
            "{page_of_all}"
        );
        assert!(page_of_all.contains("To go back"), "{page_of_all}");
        // a page with a scope and without rights to act shows neither the rest nor how to go back
        let narrow = page(7004, "/s;changes");
        assert!(
            narrow.contains("other/x") && !narrow.contains("l/b"),
            "{narrow}"
        );
        assert!(!narrow.contains("lb ctl"), "{narrow}");
        let undone = "set server l/b state maint; del server l/b; set server other/x weight 1";
        balancer.ask(undone);
        assert!(balancer.ask("reload").contains("server l/gone"));
        assert_eq!(changes(), "Everything runs as the file says.\n\n");
    });
}

#[test]
fn a_name_is_looked_up_and_its_address_used() {
    sandboxed(|| {
        named(6001, "a");
        let balancer = Balancer::new(
            "",
            "listen l\n    bind 127.0.0.1:7001\n    server a 127.0.0.2:6001\n",
        );
        let _daemon = balancer.start(&[]);
        let answer = balancer.ask("set server l/a fqdn localhost");
        assert_eq!(
            answer,
            "l/a changed its FQDN from (null) to localhost by 'stats socket command'\n\n"
        );
        let address = balancer.stat("l", "a", "addr");
        assert!(
            address == "127.0.0.1:6001" || address == "[::1]:6001",
            "{address}"
        );
        assert!(
            balancer
                .ask("show servers state")
                .contains(" localhost 6001 ")
        );
        assert!(
            balancer
                .ask("set server l/a fqdn no.such.name.invalid")
                .contains("no address")
        );
    });
}
