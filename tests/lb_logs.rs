//! Log lines of the built binary: rings, JSON, pairs of lines, samples.

mod kit;

use kit::balancer::LIMIT;
use kit::{Balancer, sandboxed, wait_for, wait_until};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// A server that says what it hears.
fn echo() {
    let listener = TcpListener::bind("127.0.0.1:6000").expect("the port is free in here");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// One session of some bytes through the balancer.
fn session() {
    let mut stream = TcpStream::connect("127.0.0.1:7001").expect("the balancer listens");
    stream.write_all(b"hello").expect("it takes bytes");
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).expect("they come back");
}

const LISTEN: &str = "listen l\n    bind 127.0.0.1:7001\n    server s 127.0.0.1:6000\n";

#[test]
fn a_ring_is_shown_watched_and_forwarded_and_survives_a_reload() {
    sandboxed(|| {
        echo();
        let collector = TcpListener::bind("127.0.0.1:6514").expect("free");
        let text = format!(
            "ring r\n    description \"for the test\"\n    format rfc5424\n    maxlen 1200\n    \
             size 16384\n    server c 127.0.0.1:6514 log-proto octet-count\n\
             {LISTEN}    log ring@r local3\n    log-format-sd \"[e@1 port=\\\"%fp\\\"]\"\n"
        );
        let balancer = Balancer::new("", &text);
        let _daemon = balancer.start(&[]);
        let sinks = balancer.ask("show events");
        assert!(
            sinks.contains("    r          : type=buffer, 0 dropped, for the test\n"),
            "{sinks}"
        );
        session();
        let line = wait_for("the ring holds the line", LIMIT, || {
            let text = balancer.ask("show events r");
            text.lines()
                .next()
                .filter(|l| !l.is_empty())
                .map(str::to_owned)
        });
        assert!(line.starts_with("<158>1 2"), "{line}");
        assert!(line.contains(" - [e@1 port=\"7001\"] 127.0.0.1:"), "{line}");
        let (stream, _) = collector.accept().expect("the ring's server is reached");
        let mut reader = BufReader::new(stream);
        let mut length = Vec::new();
        reader.read_until(b' ', &mut length).expect("a length");
        let length: usize = String::from_utf8_lossy(&length)
            .trim()
            .parse()
            .expect("a number");
        let mut message = vec![0; length];
        reader.read_exact(&mut message).expect("as many bytes");
        assert_eq!(String::from_utf8_lossy(&message), line);
        balancer.write("", &text.replace("for the test", "reloaded"));
        balancer.ask("reload");
        session();
        wait_until("both lines are in the ring", LIMIT, || {
            balancer.ask("show events r").matches("<158>1").count() == 2
        });
        assert!(balancer.ask("show events").contains("reloaded"));
        assert_eq!(balancer.ask("show events nosuch"), "No such event sink\n\n");
        // what is not kept any more is not shown
        assert_eq!(balancer.ask("show events r -n"), "\n");
    });
}

#[test]
fn a_json_line_has_the_fields_of_the_manual_and_what_the_kernel_knows() {
    sandboxed(|| {
        echo();
        let text = format!("{LISTEN}    option json-log tcp-info\n    option log-start-end\n");
        let balancer = Balancer::new("", &text);
        let daemon = balancer.start(&[]);
        session();
        let mut lines = Vec::new();
        wait_until("both lines are written", LIMIT, || {
            let output = daemon.output();
            let objects = output.lines().filter_map(|l| Some(&l[l.find('{')?..]));
            lines = objects
                .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
                .collect();
            lines.len() == 2
        });
        let (start, end) = (&lines[0], &lines[1]);
        assert_eq!(
            (&start["event"], &end["event"]),
            (&"start".into(), &"end".into())
        );
        assert_eq!(start["session_id"], end["session_id"]);
        assert!(start["accept_date"].is_string());
        assert_eq!(start["accept_date"], end["accept_date"]);
        assert_eq!(end["client_ip"], "127.0.0.1");
        assert_eq!(
            (&end["frontend_name"], &end["server_name"]),
            (&"l".into(), &"s".into())
        );
        assert_eq!(
            (&end["bytes_read"], &end["bytes_uploaded"]),
            (&5.into(), &5.into())
        );
        assert_eq!(end["termination_state"], "--");
        assert_eq!(end["close_reason"], "normal end");
        assert!(
            end["client_rtt_us"].as_u64().is_some_and(|us| us > 0),
            "{end}"
        );
        assert_eq!(end["server_retransmits"], 0);
        assert!(
            end["Tw"].is_i64() && end["Tc"].is_i64() && end["Tt"].is_i64(),
            "{end}"
        );
    });
}

#[test]
fn two_lines_of_a_session_share_its_id_also_in_a_format_with_tcp_info() {
    sandboxed(|| {
        echo();
        let text = format!(
            "{LISTEN}    option log-start-end\n    \
             log-format \"%ci rtt=%[fc_rtt(us)]/%[bc_rtt(us)] again=%[bc_total_retrans] %ts\"\n"
        );
        let balancer = Balancer::new("", &text);
        let daemon = balancer.start(&[]);
        session();
        let line = wait_for("the end is logged", LIMIT, || {
            let output = daemon.output();
            output
                .lines()
                .find(|l| l.contains(" end id="))
                .map(str::to_owned)
        });
        let id = line.rsplit("id=").next().expect("an id").to_owned();
        let output = daemon.output();
        let start = output.lines().find(|l| l.contains(" start id="));
        assert!(
            start.is_some_and(|l| l.ends_with(&format!(" l start id={id}"))),
            "{output}"
        );
        assert!(line.contains(" again=0 -- end id="), "{line}");
        let rtts = line.split("rtt=").nth(1).and_then(|l| l.split(' ').next());
        let rtts: Vec<u32> = rtts.expect("rtt").split('/').flat_map(str::parse).collect();
        assert!(rtts.len() == 2 && rtts.iter().all(|us| *us > 0), "{line}");
    });
}

#[test]
fn each_log_line_counts_its_own_sample() {
    sandboxed(|| {
        echo();
        let receive = |port: u16| {
            let socket = UdpSocket::bind(("127.0.0.1", port)).expect("free");
            socket.set_nonblocking(true).expect("a socket");
            socket
        };
        let (odd, even) = (receive(5141), receive(5142));
        let text = format!(
            "{LISTEN}    log 127.0.0.1:5141 sample 1:2 local0\n    log 127.0.0.1:5142 sample 2:2 local0\n"
        );
        let balancer = Balancer::new("", &text);
        let _daemon = balancer.start(&[]);
        let mut counts = [0, 0];
        for _ in 0..10 {
            session();
        }
        wait_until("ten lines came", LIMIT, || {
            for (socket, count) in [&odd, &even].into_iter().zip(&mut counts) {
                let mut line = [0; 2000];
                while let Ok(size) = socket.recv(&mut line) {
                    assert!(line[..size].ends_with(b"\n"), "a reader sees lines");
                    *count += 1;
                }
            }
            counts.iter().sum::<u32>() >= 10
        });
        assert_eq!(counts, [5, 5]);
    });
}

#[test]
fn a_format_tells_which_rule_decided_and_what_was_wrong_with_a_connection() {
    sandboxed(|| {
        echo();
        let text = "listen l\n    bind 127.0.0.1:7001 accept-proxy\n    \
            log-format \"%ts rule=%[last_rule_line] fc=%[fc_err]/%[fc_err_str] bc=%[bc_err]\"\n    \
            error-log-format \"bad fc=%[fc_err]/%[fc_err_str]\"\n    \
            tcp-request content set-var(txn.x) src\n    \
            tcp-request content accept if { src 192.0.2.7 }\n    server s 127.0.0.1:6000\n";
        let balancer = Balancer::new("", text);
        let mut daemon = balancer.start(&[]);
        let config = std::fs::read_to_string(balancer.file()).expect("the file is ours");
        let rule = config.lines().position(|l| l.contains("content accept"));
        let say = |header: &str| {
            let mut stream = TcpStream::connect("127.0.0.1:7001").expect("the balancer listens");
            let _ = stream.write_all(header.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        };
        say("PROXY TCP4 192.0.2.7 192.0.2.8 1000 2000\r\nhello");
        let line = daemon.wait_line(" rule=", LIMIT);
        let expected = format!("-- rule={} fc=0/Success bc=0", rule.expect("the rule") + 1);
        assert!(line.ends_with(&expected), "{line}");
        say("GET / HTTP/1.1\r\nHost: nobody\r\n\r\n");
        let line = daemon.wait_line("bad fc=", LIMIT);
        let expected = "fc=15/Received something which does not look like a PROXY protocol header";
        assert!(line.ends_with(expected), "{line}");
    });
}
