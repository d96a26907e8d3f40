//! ACLs, conditions, expressions and rules.

use conf::diagnostic::Severity;
use conf::lb::{
    self, BackendName, Config, Converter, Fetch, IntRange, Matcher, TcpAction, TextMatch,
};
use std::time::Duration;

#[track_caller]
fn loads(text: &str) -> Config {
    let (config, report) = lb::load_str(text);
    config.unwrap_or_else(|| panic!("{}", report.human(false)))
}

fn listen(lines: &str) -> String {
    let lines: String = lines.lines().map(|l| format!(" {l}\n")).collect();
    format!(
        "listen l\n bind :1\n server s 192.0.2.1:1\n{lines}backend other\n server s 192.0.2.2:1\n"
    )
}

#[test]
fn a_routing_rule_holds_its_condition_with_acls_by_index() {
    let config = loads(&listen(
        "acl a src 192.0.2.0/24 198.51.100.7\nacl a src_port lt 1024\nacl b dst_port 5672 6000:6010\n\
         use_backend other if a !b or { fe_conn gt 5 } || TRUE\n",
    ));
    let proxy = &config.proxies[0];
    let names: Vec<_> = proxy.acls.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "", "TRUE"]);
    assert_eq!(proxy.acls[0].tests.len(), 2);
    let range = |min, max| IntRange { min, max };
    assert_eq!(
        proxy.acls[1].tests[0].matcher,
        Matcher::Int(vec![range(5672, 5672), range(6000, 6010)])
    );
    let rule = &proxy.front.as_ref().expect("a front").use_backend[0];
    assert_eq!(rule.backend, BackendName::Fixed("other".to_owned()));
    let condition = rule.condition.as_ref().expect("a condition");
    let terms: Vec<Vec<_>> = condition
        .any
        .iter()
        .map(|all| all.iter().map(|t| (t.negated, t.acl)).collect())
        .collect();
    assert_eq!(
        terms,
        [
            vec![(false, 0), (true, 1)],
            vec![(false, 2)],
            vec![(false, 3)]
        ]
    );
}

#[test]
fn tcp_rules_go_into_their_lists() {
    let config = loads(&listen(
        "tcp-request connection reject if { src 192.0.2.66 }\n\
         tcp-request session accept\n\
         tcp-request inspect-delay 5s\n\
         tcp-request content set-var(txn.sni) req.ssl_sni,lower\n\
         tcp-request content reject if { req.ssl_sni -m end -i .invalid }\n\
         tcp-request content set-priority-class int(5)\n\
         tcp-response content close if { res.len gt 10 }\n",
    ));
    let proxy = &config.proxies[0];
    let front = proxy.front.as_ref().expect("a front");
    assert_eq!(front.connection_rules[0].action, TcpAction::Reject);
    assert_eq!(front.session_rules[0].action, TcpAction::Accept);
    assert_eq!(front.content_rules.len(), 3);
    let TcpAction::SetVar(name, expr) = &front.content_rules[0].action else {
        panic!("{:?}", front.content_rules[0]);
    };
    assert_eq!((name.as_str(), &expr.fetch), ("txn.sni", &Fetch::ReqSslSni));
    assert_eq!(expr.converters, [Converter::Lower]);
    let acl = &proxy.acls[1].tests[0];
    assert_eq!(
        acl.matcher,
        Matcher::Text {
            how: TextMatch::End,
            ignore_case: true,
            patterns: vec![".invalid".to_owned()],
        }
    );
    assert_eq!(proxy.back.as_ref().expect("a back").response_rules.len(), 1);
}

#[test]
fn mistakes_in_rules_name_the_wrong_word() {
    let wrong = [
        ("use_backend other if nope", "no such ACL"),
        ("use_backend other if { src 1.2.3.4", "missing closing"),
        ("use_backend other if", "condition is missing"),
        ("acl a srcc 1.2.3.4", "unknown fetch"),
        ("acl a src 1.2.3", "not an address"),
        ("acl a dst_port x", "not a number"),
        (
            "acl a req.payload(0,4),hex -m regg x",
            "not a matching method",
        ),
        ("acl a req.ssl_sni -m reg (", "bad regular expression"),
        ("tcp-request content jump", "not an action"),
        (
            "tcp-request connection capture src len 5",
            "not an action of this list",
        ),
        ("tcp-request content set-var(x) src", "not a variable"),
        ("tcp-request content track-sc0 src", "not there yet"),
        ("acl a src,lowwer x", "unknown converter"),
        ("acl a sc0_conn_rate gt 5", "not there yet"),
    ];
    for (line, message) in wrong {
        let (config, report) = lb::load_str(&listen(line));
        assert!(config.is_none(), "{line}");
        let found: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| d.message.clone())
            .collect();
        assert!(
            found.iter().any(|m| m.contains(message)),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn who_uses_an_acl_that_was_refused_is_not_told_that_there_is_none() {
    let found = codes(&listen("acl a src 10.0.0.0/33\nuse_backend other if a"));
    assert!(
        found.contains(&"E0005") && !found.contains(&"E1010"),
        "{found:?}"
    );
}

#[test]
fn an_acl_of_what_is_not_there_yet_warns() {
    let (_, report) = lb::load_str(&listen("tcp-request connection reject if { req.len gt 1 }"));
    let warned = |d: &&conf::diagnostic::Diagnostic| d.message.contains("never matches");
    assert!(
        report.diagnostics.iter().any(|d| warned(&d)),
        "{}",
        report.human(false)
    );
}

/// The codes of what is refused or warned about.
fn codes(text: &str) -> Vec<&'static str> {
    let (_, report) = lb::load_str(text);
    report.diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn what_a_mode_cannot_evaluate_is_refused_by_name() {
    let http = [
        "http-request deny if { var(txn.x) -m found }",
        "http-request deny if { req.len gt 3 }",
        "http-request deny if { path,set-var(txn.x) -m beg / }",
        "http-request set-header X %[dst_conn]",
        "http-request set-header X %{+X}Ts",
        "http-request set-header X %Tt",
        "http-request deny if { http_auth_group(u) x }",
        "http-response return status 200",
        "http-response set-log-level silent",
        "tcp-request content reject",
        "tcp-response content reject",
        "use-server s if TRUE",
        "use_backend %b",
    ];
    for line in http {
        let text =
            listen(&format!("mode http\n{line}\n")).replace("other\n", "other\n mode http\n");
        assert!(
            codes(&text).contains(&"E0007"),
            "{line}: {:?}",
            codes(&text)
        );
    }
    let tcp = [
        "tcp-request content reject if { path_beg / }",
        "use_backend %[req.hdr(host)]",
        "use_backend b_%b",
        "use_backend b_%Tt",
        "tcp-request content set-var-fmt(txn.x) %r",
        "tcp-request content set-var(txn.x) src,xxh32",
        "tcp-request content set-var(txn.x) src,xxh64(1)",
        "tcp-request content set-var(txn.x) src,sha1",
        "tcp-request content set-var(txn.x) src,sha2(256)",
        "tcp-request content set-var(txn.x) src,md5",
    ];
    for line in tcp {
        let found = codes(&listen(line));
        assert!(found.contains(&"E0007"), "{line}: {found:?}");
    }
}

#[test]
fn formats_that_are_evaluated_at_once_hold_expressions_for_their_tags() {
    let config = loads(&listen("use_backend b_%ci:%[src_port]\n"));
    let front = config.proxies[0].front.as_ref().expect("a front");
    let BackendName::Format(format) = &front.use_backend[0].backend else {
        panic!("the name is computed");
    };
    let fetches: Vec<_> = format
        .parts
        .iter()
        .filter_map(|part| match part {
            lb::FormatPart::Expr(expr, _) => Some(expr.fetch.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(fetches, [Fetch::Src, Fetch::SrcPort]);
    let lines = "mode http\nhttp-request set-header X-Host %[req.hdr(host),lower]-%HM\n\
                 http-response set-header X-Status %[status]\n\
                 http-request deny if { req.cook(sid) -m found } { src,ipmask(24) 192.0.2.0 }\n";
    let text = listen(lines).replace("other\n", "other\n mode http\n");
    loads(&text);
}

#[test]
fn addresses_get_numbers_that_the_file_gives_to_none() {
    let config =
        loads("listen l\n bind :1 id 4\n bind :2\n bind :3-5\n bind :6\n server s 192.0.2.1:1\n");
    let front = config.proxies[0].front.as_ref().expect("a front");
    let numbers: Vec<u32> = front.binds.iter().map(|b| b.number).collect();
    assert_eq!(numbers, [4, 2, 5, 8]);
    let (config, report) = lb::load_str("listen l\n bind :1-2 id 4\n server s 192.0.2.1:1\n");
    assert!(config.is_none());
    assert!(report.human(false).contains("goes with a single address"));
}

#[test]
fn kinds_of_checks_cannot_be_negated() {
    for option in ["httpchk", "tcp-check", "ldap-check", "tcpka", "forwardfor"] {
        let (config, report) = lb::load_str(&listen(&format!("no option {option}\n")));
        assert!(config.is_none(), "{option}");
        let text = report.human(false);
        assert!(
            text.contains(&format!("`option {option}` cannot be negated")),
            "{text}"
        );
    }
    let (config, _) = lb::load_str(&listen("option tcp-smart-accept x\n"));
    assert!(config.is_none());
}

#[track_caller]
fn refused(text: &str, part: &str) {
    let (config, report) = lb::load_str(text);
    assert!(config.is_none(), "{}", report.human(false));
    let human = report.human(false);
    assert!(human.contains(part), "{human}");
}

const FRONTEND: &str = "frontend f from d\n bind :1\n default_backend b\n";
const BACKEND: &str = "backend b from d\n server s 192.0.2.1:1\n";

#[test]
fn rules_of_defaults_go_to_the_side_of_those_that_start_from_them() {
    let rules = "defaults d\n tcp-request inspect-delay 3s\n tcp-request content reject\n";
    let plain = "defaults e\n";
    let backends = loads(&format!(
        "{rules}{plain}{}{BACKEND}",
        FRONTEND.replace("from d", "")
    ));
    let (front, back) = (&backends.proxies[0].front, &backends.proxies[1].back);
    assert!(front.as_ref().expect("a front").content_rules.is_empty());
    let back = back.as_ref().expect("a back");
    assert_eq!(back.content_rules.len(), 1);
    assert_eq!(back.inspect_delay, Some(Duration::from_secs(3)));

    let frontends = loads(&format!(
        "{rules}{plain}{FRONTEND}{}",
        BACKEND.replace("from d", "")
    ));
    let (front, back) = (&frontends.proxies[0].front, &frontends.proxies[1].back);
    assert_eq!(front.as_ref().expect("a front").content_rules.len(), 1);
    assert!(back.as_ref().expect("a back").content_rules.is_empty());
}

#[test]
fn defaults_with_rules_are_for_proxies_of_one_kind() {
    let content = "defaults d\n tcp-request content accept\n";
    let both = "frontends and backends cannot start from the same `defaults` section";
    refused(&format!("{content}{FRONTEND}{BACKEND}"), both);
    let http = "defaults d\n mode http\n http-request deny\n";
    refused(&format!("{http}{FRONTEND}{BACKEND}"), both);
    let listen = "listen l from d\n bind :1\n server s 192.0.2.1:1\n";
    refused(&format!("{content}{listen}"), "a `listen` section cannot");
    let other = format!("{content}defaults e from d\nfrontend f\n bind :1\n");
    refused(&other, "a `defaults` section cannot");

    let connection = "defaults d\n tcp-request connection accept\ndefaults e\n";
    let listen = "listen l\n bind :1\n server s 192.0.2.1:1\n";
    let text = format!("{connection}{listen}{BACKEND}");
    refused(
        &text,
        "`tcp-request connection` or `tcp-request session` rules",
    );
    let response = "defaults d\n tcp-response content accept\ndefaults e\n";
    let text = format!(
        "{response}{listen}{}",
        FRONTEND.replace("backend b", "backend l")
    );
    refused(&text, "`tcp-response content` rules");
}

#[test]
fn defaults_without_rules_are_for_all() {
    let acl = "defaults d\n acl a src 192.0.2.7\n tcp-request inspect-delay 3s\n";
    loads(&format!("{acl}defaults e from d\n{FRONTEND}{BACKEND}"));
}

#[test]
fn a_proxy_or_address_has_one_id() {
    refused(&listen("id 7\nid 7\n"), "`l` has an id already");
    refused(
        &listen("bind :2 id 7 id 8\n"),
        "this address has an id already",
    );
}

#[test]
fn a_keyword_of_an_older_version_names_its_successor() {
    let gone = |line: &str| {
        let (config, report) = lb::load_str(&listen(line));
        assert!(config.is_none());
        report.human(false)
    };
    let text = gone("contimeout 5000");
    assert!(
        text.contains("`contimeout` is gone from the language"),
        "{text}"
    );
    assert!(
        text.contains("timeout connect      5000") || text.contains("timeout connect 5000"),
        "{text}"
    );
    assert!(gone("reqadd X").contains("see `http-request add-header`"));
    assert!(gone("option http-tunnel").contains("remove this line"));
}

#[test]
fn defaults_used_by_name_and_by_place_are_noted() {
    let timeouts = " timeout connect 1s\n timeout client 1s\n timeout server 1s\n";
    let text = |from: &str| {
        format!(
            "defaults a\n{timeouts}frontend f from a\n bind :1\n default_backend b\n\
             backend b{from}\n server s 192.0.2.1:1\n"
        )
    };
    let count = |text: &str| {
        let (config, report) = lb::load_str(text);
        assert!(config.is_some() && report.count(Severity::Warning) == 0);
        report
            .diagnostics
            .iter()
            .filter(|d| d.code == "E1041")
            .count()
    };
    assert_eq!((count(&text("")), count(&text(" from a"))), (1, 0));
}

#[test]
fn what_only_http_sessions_would_use_counts_where_there_are_some() {
    let file = |modes: [&str; 2]| {
        format!(
            "defaults\n cookie SRV insert\n option originalto\n option prefer-last-server\n\
             listen a\n bind :1\n mode {}\n http-request set-path /x\n\
             listen b\n bind :2\n mode {}\n no option prefer-last-server\n",
            modes[0], modes[1],
        )
    };
    let not_yet = |modes| {
        let found = codes(&file(modes));
        found.iter().filter(|code| **code == "E0007").count()
    };
    loads(&file(["tcp", "tcp"]));
    // those of the defaults are told once, however many have them
    assert_eq!(not_yet(["http", "http"]), 4);
    assert_eq!(not_yet(["http", "tcp"]), 4);
    assert_eq!(not_yet(["tcp", "http"]), 2);
}
