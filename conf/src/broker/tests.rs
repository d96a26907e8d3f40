//! What the two forms of the file mean, and what is said about wrong ones.

use super::settings::{SECTIONS, SETTINGS};
use super::*;
use std::time::Duration;

fn toml(text: &str) -> (Option<Config>, Report) {
    parse(Path::new("broker.toml"), text.to_owned())
}

fn rabbit(text: &str) -> (Option<Config>, Report) {
    parse(Path::new("rabbitmq.conf"), text.to_owned())
}

fn good(parsed: (Option<Config>, Report)) -> Config {
    let (config, report) = parsed;
    config.unwrap_or_else(|| panic!("{}", report.human(false)))
}

fn complaint(parsed: (Option<Config>, Report)) -> String {
    let (config, report) = parsed;
    assert!(config.is_none(), "must be refused");
    report.human(false)
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(good(toml("")), Config::default());
    let mut config = good(rabbit("# nothing\n"));
    config.tls = None;
    assert_eq!(config, Config::default());
}

#[test]
fn each_row_has_a_doc_and_an_example_that_parses() {
    for s in SETTINGS {
        assert!(s.doc.ends_with('.'), "{}", s.key);
        assert!(SECTIONS.iter().any(|(name, _)| *name == s.section));
        let mut text = format!("[{}]\n{}\n", s.section, s.example);
        match (s.section, s.key) {
            ("tls", "certificate" | "key") => {
                text = "[tls]\ncertificate = \"c\"\nkey = \"k\"\n".to_owned();
            }
            ("tls", "client-auth") => {
                text.push_str("client-ca = \"a\"\ncertificate = \"c\"\nkey = \"k\"\n");
            }
            ("tls", _) => text.push_str("certificate = \"c\"\nkey = \"k\"\n"),
            ("listen", "tls") => text.push_str("[tls]\ncertificate = \"c\"\nkey = \"k\"\n"),
            _ => {}
        }
        good(toml(&text));
    }
}

#[test]
fn a_whole_file_is_read() {
    let config = good(toml(
        r#"
        [node]
        name = "rabbit@mq1"
        compat = "4"
        [listen]
        amqp = ["127.0.0.1:5672", 5673]
        [limits]
        memory = "60%"
        disk-free = "2GB"
        consumer-timeout = false
        [management]
        prometheus = []
        "#,
    ));
    assert_eq!(config.node.as_deref(), Some("rabbit@mq1"));
    assert_eq!(config.compat, Compat::V4);
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.memory, MemoryLimit::Ratio(0.6));
    assert_eq!(config.disk, DiskLimit::Absolute(2_000_000_000));
    assert_eq!(config.consumer_timeout, None);
    assert!(config.prometheus.is_empty());
}

#[test]
fn a_slip_is_shown_with_its_place_and_the_right_word() {
    let text = complaint(toml("[limits]\nheartbaet = \"60s\"\n"));
    assert!(text.contains("broker.toml:2:1"), "{text}");
    assert!(text.contains("did you mean `heartbeat`?"), "{text}");
    let text = complaint(toml("[limit]\n"));
    assert!(text.contains("did you mean `[limits]`?"), "{text}");
    let text = complaint(toml("[node]\nheartbeat = \"60s\"\n"));
    assert!(text.contains("belongs into `[limits]`"), "{text}");
    let text = complaint(toml("heartbeat = \"60s\"\n"));
    assert!(text.contains("belongs into `[limits]`"), "{text}");
}

#[test]
fn a_time_without_unit_is_refused_with_both_readings() {
    let text = complaint(toml("[limits]\nheartbeat = 60\n"));
    assert!(text.contains("\"60s\" for seconds"), "{text}");
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let text = complaint(toml("[limits\nx = 1\n"));
    assert!(text.contains("error[E3001]"), "{text}");
    assert!(text.contains("broker.toml:1:"), "{text}");
}

#[test]
fn a_key_or_section_that_stands_twice_is_shown_with_the_first() {
    for twice in ["memory = 0.4\nmemory = 0.5\n", "memory = 0.4\n[limits]\n"] {
        let text = complaint(toml(&format!("[log]\n[limits]\n{twice}")));
        assert!(text.contains("duplicate key"), "{text}");
        assert!(text.contains("first here"), "{text}");
    }
}

#[test]
fn tls_needs_its_files() {
    let text = complaint(toml("[listen]\ntls = 5671\n"));
    assert!(
        text.contains("without a certificate and a private key"),
        "{text}"
    );
}

#[test]
fn rabbitmq_conf_means_the_same() {
    let config = good(rabbit(
        "listeners.tcp.1 = 127.0.0.1:5673\n\
         listeners.ssl.default = 5671\n\
         ssl_options.certfile = /c.pem\n\
         ssl_options.keyfile = /k.pem\n\
         ssl_options.cacertfile = /ca.pem\n\
         ssl_options.verify = verify_peer\n\
         ssl_options.fail_if_no_peer_cert = true\n\
         loopback_users.guest = false   # everybody\n\
         vm_memory_high_watermark.relative = 0.6\n\
         disk_free_limit.absolute = 2GB\n\
         heartbeat = 30\n\
         frame_max = 64KB\n\
         consumer_timeout = 60000\n\
         management.tcp.port = 15673\n\
         default_user_tags.administrator = true\n\
         log.console.level = warning\n",
    ));
    assert_eq!(config.listen, vec![loopback(5673)]);
    assert_eq!(config.listen_tls, vec![everywhere(5671)]);
    let tls = config.tls.expect("TLS is configured");
    assert_eq!(tls.client_auth, ClientAuth::Required);
    assert!(config.loopback_users.is_empty());
    assert_eq!(config.memory, MemoryLimit::Ratio(0.6));
    assert_eq!(config.heartbeat, Duration::from_secs(30));
    assert_eq!(config.frame_max, 65_536);
    assert_eq!(config.consumer_timeout, Some(Duration::from_secs(60)));
    assert_eq!(config.management, vec![everywhere(15_673)]);
    assert_eq!(config.default_user.tags, vec!["administrator"]);
    assert_eq!(config.log.level, "warn");
}

#[test]
fn known_keys_without_a_part_here_are_refused_and_harmless_ones_noted() {
    let text = complaint(rabbit("cluster_formation.peer_discovery_backend = k8s\n"));
    assert!(text.contains("error[E0007]"), "{text}");
    let text = complaint(rabbit("auth_backends.1 = ldap\n"));
    assert!(text.contains("error[E0007]"), "{text}");
    let (config, report) = rabbit("queue_index_embed_msgs_below = 4096\n");
    assert!(config.is_some());
    assert!(
        report.human(false).contains("note[E3002]"),
        "{}",
        report.human(false)
    );
    let text = complaint(rabbit("heartbeatt = 5\n"));
    assert!(text.contains("did you mean `heartbeat`?"), "{text}");
    let text = complaint(rabbit("heartbeat 5\n"));
    assert!(text.contains("error[E3001]"), "{text}");
}

#[test]
fn what_only_shows_in_the_whole_file_is_told_at_its_place() {
    let text = complaint(toml("[listen]\namqp = 1\ntls = \"*:5671\"\n"));
    assert!(text.contains(":3:1"), "{text}");
    for clash in [
        "[listen]\namqp = [\"127.0.0.1:7\", \"127.0.0.1:7\"]\n",
        "[listen]\namqp = \"127.0.0.1:7\"\n[management]\nlisten = \"*:7\"\n",
    ] {
        let text = complaint(toml(clash));
        assert!(text.contains("error[E3005]"), "{text}");
    }
    good(toml(
        "[listen]\namqp = [\"127.0.0.1:7\", \"[::1]:7\", \"127.0.0.2:7\", \"127.0.0.1:0\", \"127.0.0.1:0\"]\n",
    ));
    let text = complaint(rabbit("listeners.tcp.1 = 7\nlisteners.tcp.2 = 7\n"));
    assert!(text.contains(":2:19"), "{text}");
}

#[test]
fn values_that_nothing_could_work_with_are_refused() {
    for (section, line) in [
        ("node", "version = \"new\""),
        ("limits", "message-size = 0"),
        ("limits", "consumer-timeout = \"0s\""),
        ("listen", "handshake-timeout = \"0s\""),
    ] {
        let text = complaint(toml(&format!("[{section}]\n{line}\n")));
        assert!(text.contains("error[E0005]"), "{text}");
    }
}

#[test]
fn a_file_that_is_no_text_says_where() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("broker.toml");
    std::fs::write(&path, b"[node]\nname = \"\xff\"\n").expect("written");
    let text = complaint(load(&path));
    assert!(text.contains("broker.toml:2:9"), "{text}");
}

#[test]
fn a_key_with_a_word_of_its_own_is_recognised_by_the_others() {
    let text = complaint(rabbit("listener.tcp.default = 5672\n"));
    assert!(
        text.contains("did you mean `listeners.tcp.default`?"),
        "{text}"
    );
}

#[test]
fn erlang_terms_are_recognised() {
    let text = complaint(parse(
        Path::new("rabbitmq.config"),
        "[{rabbit, []}].\n".to_owned(),
    ));
    assert!(text.contains("error[E3004]"), "{text}");
}

#[test]
fn the_reference_page_in_the_repository_is_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference-broker.md");
    if std::env::var_os("EVENKEEL_UPDATE").is_some() {
        std::fs::write(path, reference_page()).expect("the page can be written");
    }
    let text = std::fs::read_to_string(path).expect("docs/reference-broker.md is there");
    assert!(
        text == reference_page(),
        "run: EVENKEEL_UPDATE=1 cargo test -p evenkeel-conf reference_page"
    );
}

#[test]
fn the_examples_are_accepted() {
    for name in ["broker.toml", "rabbitmq.conf"] {
        let path = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let (config, report) = load(Path::new(&path));
        assert!(config.is_some(), "{}", report.human(false));
    }
}

#[test]
fn every_key_of_rabbitmq_3_10_is_known() {
    let strange: Vec<_> = include_str!("rabbitmq_keys.txt")
        .lines()
        .filter(|key| {
            let words = key
                .split('.')
                .map(|w| w.strip_prefix('$').unwrap_or(w).to_owned());
            !rabbitmq_conf::is_known(&words.collect::<Vec<_>>())
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
