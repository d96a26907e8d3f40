//! Rules of HTTP frontends over real sockets.

use super::{CONFIG, get, serve, start_with};
use crate::kit::sandboxed;
use std::io::{Read, Write};
use std::net::TcpStream;

const RULES: &str = "
listen closed
    bind 127.0.0.1:8100
    mode http
    tcp-request connection reject if { src 127.0.0.9 }
    server w1 127.0.0.1:6004
frontend rules
    bind 127.0.0.1:8200
    mode http
    http-request set-header X-From \"%ci says %[req.hdr(x-word),upper]\"
    http-request deny deny_status 429 if { req.cook(sid) -m str blocked }
    http-request deny if { src,ipmask(8) 127.0.0.0 } { path,field(2,/) secret }
    http-request return status 302 hdr location http://%[req.hdr(host)]/%[path,length] if { path_beg /old }
    http-response set-header X-Code %[status]-%[res.hdr(x-kind)]
    http-response del-header X-Kind
    http-response deny if { status 201 }
    use_backend be_%[path,field(2,/)]
    default_backend be_other
backend be_one
    mode http
    http-request add-header X-Backend one
    server w1 127.0.0.1:6004
backend be_other
    mode http
    server w1 127.0.0.1:6004
";

/// A web server whose answer's body is the request's head.
fn echo(mut stream: TcpStream) {
    let mut buffer = [0u8; 4096];
    let Ok(read) = stream.read(&mut buffer) else {
        return;
    };
    let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let status = if request.contains("/created") {
        201
    } else {
        200
    };
    let answer = format!(
        "HTTP/1.1 {status} OK\r\nX-Kind: plain\r\nContent-Length: {}\r\n\r\n{request}",
        request.len()
    );
    // the balancer may have given up
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn http_rules_evaluate_expressions_in_headers_conditions_and_names() {
    sandboxed(|| {
        serve(6004, echo);
        let config = CONFIG.split("\nlisten ").next().expect("a start");
        let _daemon = start_with(&format!("{config}{RULES}"));
        let one = get(8200, "/one/x", "X-Word: hi\r\nX-From: forged\r\n");
        assert!(one.contains("x-from: 127.0.0.1 says HI\r\n"), "{one}");
        assert!(!one.contains("forged"), "{one}");
        assert!(one.contains("x-backend: one\r\n"), "{one}");
        assert!(one.contains("x-code: 200-plain\r\n"), "{one}");
        assert!(!one.contains("x-kind"), "{one}");
        let other = get(8200, "/two", "");
        assert!(
            other.contains("GET /two ") && !other.contains("x-backend"),
            "{other}"
        );
        let status = |target: &str, fields: &str| {
            let answer = get(8200, target, fields);
            answer.split(' ').nth(1).unwrap_or("").to_owned()
        };
        assert_eq!(status("/", "Cookie: a=1; sid=blocked\r\n"), "429");
        assert_eq!(status("/secret/x", ""), "403");
        assert_eq!(status("/created", ""), "502");
        let moved = get(8200, "/old/x", "");
        assert!(moved.starts_with("HTTP/1.1 302 "), "{moved}");
        assert!(moved.contains("location: http://x/6\r\n"), "{moved}");
    });
}

#[test]
fn connections_of_http_frontends_are_judged_by_tcp_rules() {
    sandboxed(|| {
        serve(6004, echo);
        let config = CONFIG.split("\nlisten ").next().expect("a start");
        let _daemon = start_with(&format!("{config}{RULES}"));
        assert!(get(8100, "/let-in", "").contains("GET /let-in "));
        let source: std::net::SocketAddr = "127.0.0.9:0".parse().expect("an address");
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket can be made");
        socket.bind(&source.into()).expect("all of 127/8 is local");
        let target: std::net::SocketAddr = "127.0.0.1:8100".parse().expect("an address");
        socket.connect(&target.into()).expect("it listens");
        let mut stream = TcpStream::from(socket);
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    });
}
