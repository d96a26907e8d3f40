use super::*;

fn accepted(text: &str) {
    let (config, report) = conf::lb::load_str(text);
    assert!(config.is_some(), "{}\n{text}", report.human(false));
}

fn outcome(converted: &Converted, line: u32) -> &Outcome {
    let found = converted.findings.iter().find(|f| f.line == line);
    &found
        .unwrap_or_else(|| panic!("line {line}: {:?}", converted.findings))
        .outcome
}

#[test]
fn what_is_not_there_becomes_a_comment_with_the_reason_and_the_rest_is_accepted() {
    let text = "global\n    lua-load x.lua\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
                timeout client 1m\n    timeout server 1m\nlisten a\n    bind :1\n    \
                frobnicate\n    server s1 10.0.0.1:1 check\n";
    let converted = haproxy::convert(text, Path::new("a.cfg")).unwrap();
    accepted(&converted.text);
    assert_eq!(converted.left_out(), 2, "{:?}", converted.findings);
    assert_eq!(outcome(&converted, 9), &Outcome::Kept);
    assert!(matches!(outcome(&converted, 10), Outcome::LeftOut(_)));
    let account = converted.account(Path::new("a.cfg"));
    assert!(
        account.contains("a.cfg:10: LEFT OUT frobnicate: "),
        "{account}"
    );
    assert!(converted.text.contains("# frobnicate    # left out: "));
    assert_eq!(converted.text.lines().count(), text.lines().count());
}

#[test]
fn lines_of_a_section_that_is_left_out_do_not_fall_to_the_one_before() {
    let text = "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    \
                timeout server 1m\nlisten a\n    bind :1\n    server s1 10.0.0.1:1\npeers p\n    \
                bind :1024\n    server other 10.0.0.9:1024\n\n# a comment\nlisten b\n    bind :2\n";
    let converted = haproxy::convert(text, Path::new("a.cfg")).unwrap();
    accepted(&converted.text);
    for line in [10, 11] {
        let Outcome::LeftOut(why) = outcome(&converted, line) else {
            panic!("line {line}: {:?}", converted.findings);
        };
        assert_eq!(why, "it belongs to `peers p`, which is left out");
    }
    assert_eq!(outcome(&converted, 15), &Outcome::Kept);
}

const NGINX: &str = r#"worker_processes 4;
user www-data;
events { worker_connections 2048; }
stream {
    proxy_connect_timeout 2s;
    upstream rabbit {
        least_conn;
        server 10.0.0.1:5672 weight=5 max_fails=3 fail_timeout=30s;
        server 10.0.0.2:5672 backup max_conns=100;
        server 10.0.0.3:5672 down max_fails=0;
    }
    map $ssl_preread_server_name $name {
        hostnames;
        .example.com   rabbit;
        ~^a\d+\.org$   10.0.0.9:5671;
        default        rabbit;
    }
    server {
        listen 5672;
        listen [::1]:5672 proxy_protocol ipv6only=on;
        proxy_pass rabbit;
        proxy_timeout 1h30m;
        proxy_protocol on;
        allow 10.0.0.0/8;
        deny all;
        limit_conn addr 1;
    }
    server { listen 127.0.0.1:5671; ssl_preread on; proxy_pass $name; preread_timeout 5s; }
    server { listen 53 udp; proxy_pass 10.0.0.4:53; }
}
http { server { listen 80; } }
"#;

#[test]
fn a_stream_block_becomes_frontends_and_backends_that_are_accepted() {
    let converted = nginx::convert(NGINX).unwrap();
    accepted(&converted.text);
    for line in [
        "nbthread 4",
        "maxconn 1024",
        "bind *:5672",
        "bind [::1]:5672 accept-proxy v6only",
        "timeout client 90m",
        "timeout server 90m",
        "timeout connect 2s",
        "tcp-request connection accept if { src 10.0.0.0/8 }",
        "tcp-request connection reject",
        "balance leastconn",
        "server s1 10.0.0.1:5672 weight 5 check inter 30s observe layer4 error-limit 3 on-error mark-down send-proxy",
        "server s2 10.0.0.2:5672 backup maxconn 100 check inter 10s observe layer4 error-limit 1 on-error mark-down",
        "server s3 10.0.0.3:5672 disabled",
        "tcp-request inspect-delay 5s",
        "use_backend rabbit_2 if { req.ssl_sni -i example.com } or { req.ssl_sni -i -m end .example.com }",
        "default_backend rabbit",
        "default_backend rabbit_2",
    ] {
        let there = converted.text.lines().any(|l| l.trim() == line);
        assert!(there, "`{line}` is missing in\n{}", converted.text);
    }
    let missing: Vec<u32> = converted
        .findings
        .iter()
        .filter(|f| matches!(f.outcome, Outcome::LeftOut(_)))
        .map(|f| f.line)
        .collect();
    assert_eq!(missing, [26, 29, 31], "{:#?}", converted.findings);
}

#[test]
fn broken_blocks_are_refused_with_the_line() {
    for (text, problem) in [
        ("stream {\n", "never closed"),
        ("stream { }\n}\n", "line 2: `}` without `{`"),
        ("a b\n", "line 1: `a b` is not ended"),
        ("a 'b;\n", "line 1: a quote"),
    ] {
        let error = nginx::convert(text).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn times_are_those_of_nginx() {
    for (from, to) in [
        ("10", "10s"),
        ("10m", "10m"),
        ("1h 30m", "90m"),
        ("500ms", "500ms"),
        ("2w", "336h"),
    ] {
        assert_eq!(nginx_words::time(from).as_deref(), Some(to));
    }
    assert_eq!(nginx_words::time("soon"), None);
    assert_eq!(nginx_words::time("99999999999999999999"), None);
}

#[test]
fn the_kind_of_file_is_seen() {
    assert!(looks_like_nginx(NGINX));
    assert!(!looks_like_nginx(
        "listen a\n  server s1 1.1.1.1:1 if { src 1 }\n"
    ));
    assert!(!looks_like_nginx("# stream {\nglobal\n"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_translated_or_refused(text: String) {
        let _ = nginx::convert(&text);
        let _ = haproxy::convert(&text, Path::new("x.cfg"));
    }
}
