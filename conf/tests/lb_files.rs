//! Several files, directories, several `global` sections, variables.

use conf::lb::{self, Env};
use std::path::Path;

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).expect("a file");
}

#[test]
fn a_directory_is_read_in_lexical_order_and_only_its_cfg_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    write(path, "20-proxies.cfg", "listen b\n bind :2\n");
    write(
        path,
        "10-first.cfg",
        "global\n maxconn 10\nlisten a\n bind :1\n",
    );
    write(
        path,
        "30-more.cfg",
        "global\n nbthread 2\nlisten c\n bind :3\n",
    );
    write(path, ".hidden.cfg", "nonsense\n");
    write(path, "notes.txt", "nonsense\n");
    let (config, report) = lb::load(&[path.to_owned()], Env::empty());
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let names: Vec<_> = config.proxies.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(
        (config.global.maxconn, config.global.nbthread),
        (Some(10), Some(2))
    );
}

#[test]
fn defaults_reach_into_the_next_file_but_an_open_section_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    write(
        directory.path(),
        "a.cfg",
        "defaults\n timeout client 7s\nlisten a\n bind :1\n",
    );
    write(directory.path(), "b.cfg", "listen b\n bind :2\n");
    write(directory.path(), "c.cfg", " bind :3\n");
    let file = |name: &str| directory.path().join(name);
    let (config, _) = lb::load(&[file("a.cfg"), file("b.cfg")], Env::empty());
    let config = config.expect("a configuration");
    let front = config.proxies[1].front.as_ref().expect("a front");
    assert_eq!(front.timeouts.client.map(|t| t.as_secs()), Some(7));
    let (config, report) = lb::load(&[file("a.cfg"), file("c.cfg")], Env::empty());
    assert!(config.is_none());
    assert!(report.human(false).contains("ahead of any section"));
}

#[test]
fn variables_that_a_file_sets_hold_for_the_lines_that_follow() {
    let text = "global\n presetenv PORT 1\n setenv NAME rmq\n presetenv NAME other\n\
                .if streq(\"$NAME\",rmq) && defined(PORT)\n node \"${NAME}-${PORT}\"\n.endif\n\
                 unsetenv PORT\n.if defined(PORT)\n nonsense\n.endif\n\
                listen \"$NAME\"\n bind \":${PORT-5672}\"\n server s 192.0.2.1:1 \"${OPTIONS[*]}\"\n";
    let (config, report) = lb::load_str(text);
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    assert_eq!(config.global.node.as_deref(), Some("rmq-1"));
    assert_eq!(config.proxies[0].name, "rmq");
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let (config, report) = lb::load(&["/nowhere/lb.cfg".into()], Env::empty());
    assert!(config.is_none());
    assert!(report.human(false).contains("/nowhere/lb.cfg"));
}

#[test]
fn named_defaults_are_inherited_with_from_and_default_server_options_too() {
    let text = "defaults base\n timeout client 1s\n default-server inter 3s check\n\
                defaults other from base\n timeout client 2s\n\
                listen a from base\n bind :1\n server s 192.0.2.1:1\n\
                listen b from other\n bind :2\n server s 192.0.2.1:1 no-check inter 9s\n\
                listen c\n bind :3\n";
    let (config, report) = lb::load_str(text);
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let client = |index: usize| {
        let front = config.proxies[index].front.as_ref().expect("a front");
        front.timeouts.client.map(|t| t.as_secs())
    };
    // without `from` the latest defaults hold
    assert_eq!(
        (client(0), client(1), client(2)),
        (Some(1), Some(2), Some(2))
    );
    let check = |index: usize| {
        let back = config.proxies[index].back.as_ref().expect("a back");
        let check = &back.servers[0].check;
        (check.enabled, check.inter.as_secs())
    };
    assert_eq!(check(0), (true, 3));
    assert_eq!(check(1), (false, 9));
}

fn back(lines: &str) -> conf::lb::model::Back {
    let text = format!("listen a\n bind :1\n{lines}");
    let (config, report) = lb::load_str(&text);
    let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    config.proxies.remove(0).back.clone().expect("a back")
}

#[test]
fn servers_are_numbered_by_place_around_the_ids_that_are_given() {
    let back = back(
        " server a 192.0.2.1:1 id 77\n server b 192.0.2.1:1 id 4\n server c 192.0.2.1:1\n \
         server d 192.0.2.1:1\n",
    );
    let ids: Vec<u32> = back.servers.iter().map(|s| s.id).collect();
    assert_eq!(ids, [77, 4, 3, 5]);
}

#[test]
fn proxies_are_numbered_by_place_around_the_ids_that_are_given() {
    let text = "listen a\n bind :1\n id 77\nbackend b\nbackend c\n id 5\nbackend d\nbackend e\n";
    let (config, report) = lb::load_str(text);
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let ids: Vec<u32> = config.proxies.iter().map(|p| p.id).collect();
    assert_eq!(ids, [77, 3, 5, 6, 7]);
}

#[test]
fn a_file_in_utf_16_is_told_once() {
    let wide = "\u{feff}global\n maxconn 5\n".encode_utf16();
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let text = lb::text_of(wide.clone().flat_map(order).collect());
        let (config, report) = lb::load_texts(vec![("a.cfg".into(), text)], Env::empty());
        let codes: Vec<_> = report.diagnostics.iter().map(|d| d.code).collect();
        assert!(config.is_none() && codes == ["E1044"], "{codes:?}");
    }
}

#[test]
fn acls_about_http_that_no_rule_of_a_tcp_section_asks_are_passed_over() {
    let warnings = |lines: &str| {
        let (config, report) = lb::load_str(&format!("listen a\n bind :1\n{lines}"));
        let codes: Vec<_> = report.diagnostics.iter().map(|d| d.code).collect();
        (config.is_some(), codes.contains(&"E0007"))
    };
    assert_eq!(
        warnings(" acl x path /x\n http-request deny if x\n"),
        (true, false)
    );
    assert_eq!(
        warnings(" http-request deny if { path /x }\n"),
        (true, false)
    );
    assert_eq!(
        warnings(" tcp-request content reject if { path /x }\n"),
        (false, true)
    );
}

#[test]
fn a_minconn_above_maxconn_is_the_limit() {
    let back = back(
        " server a 192.0.2.1:1 minconn 2\n server b 192.0.2.1:1 minconn 5 maxconn 3\n \
         server c 192.0.2.1:1 minconn 3 maxconn 5\n",
    );
    let limits: Vec<_> = back.servers.iter().map(|s| s.maxconn).collect();
    assert_eq!(limits, [Some(2), Some(5), Some(5)]);
}

#[test]
fn retry_on_says_whether_a_failed_connection_is_tried_again() {
    let retries = |events: &str| back(&format!(" retries 2\n retry-on {events}\n")).retries;
    assert_eq!(retries("none"), 0);
    assert_eq!(retries("empty-response 503"), 0);
    assert_eq!(retries("conn-failure empty-response"), 2);
    assert_eq!(retries("all-retryable-errors"), 2);
    let http = "listen a\n mode http\n bind :1\n retry-on conn-failure 503\n";
    let (_, report) = lb::load_str(http);
    let found: Vec<_> = report.diagnostics.iter().map(|d| d.code).collect();
    assert!(found.contains(&"E0007"), "{found:?}");
}

#[test]
fn relative_paths_start_where_default_path_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    std::fs::create_dir(path.join("conf")).expect("a directory");
    write(path, "near.lst", "192.0.2.1\n");
    write(path, "conf/near.lst", "192.0.2.2\n");
    let accepted = |place: &str, file: &str| {
        let text = format!(
            "global\n default-path {place}\nfrontend f\n bind :1\n acl a src -f {file}\n \
             tcp-request connection reject if a\n"
        );
        write(path, "conf/lb.cfg", &text);
        let (config, report) = lb::load(&[path.join("conf/lb.cfg")], Env::empty());
        let tests = config.as_ref().map(|c| format!("{:?}", c.proxies[0].acls));
        tests.ok_or_else(|| report.human(false))
    };
    let origin = format!("origin {}", path.display());
    for (place, file, found) in [
        ("config", "near.lst", "192.0.2.2"),
        ("parent", "near.lst", "192.0.2.1"),
        (origin.as_str(), "conf/near.lst", "192.0.2.2"),
    ] {
        let acls = accepted(place, file).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert!(acls.contains(found), "{place}: {acls}");
    }
    let refused = accepted("current", "near.lst").expect_err("nothing there");
    assert!(refused.contains("near.lst"), "{refused}");
    let refused = accepted("origin /nowhere/at/all", "x").expect_err("no such directory");
    assert!(refused.contains("/nowhere/at/all"), "{refused}");
}

#[test]
fn unix_sockets_of_binds_start_from_unix_bind() {
    let text = "global\n stats socket /run/cli.sock\n unix-bind prefix /srv/lb mode 600 user lb gid 7\n\
                frontend f\n bind /a.sock\n bind unix@/b.sock mode 666\n bind :1\n";
    let (config, report) = lb::load_str(text);
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let binds = &config.proxies[0].front.as_ref().expect("a front").binds;
    let unix = |index: usize| match &binds[index].address {
        lb::BindAddress::Unix(path) => path.display().to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (unix(0), unix(1)),
        ("/srv/lb/a.sock".into(), "/srv/lb/b.sock".into())
    );
    assert_eq!(
        (binds[0].unix.mode, binds[1].unix.mode),
        (Some(0o600), Some(0o666))
    );
    assert_eq!(binds[0].unix.user, Some(lb::Account::Name("lb".into())));
    assert_eq!(binds[1].unix.group, Some(lb::Account::Id(7)));
    let cli = &config.global.stats.sockets[0].bind.address;
    assert_eq!(cli, &lb::BindAddress::Unix("/run/cli.sock".into()));
}
