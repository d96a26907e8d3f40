use super::*;
use crate::diagnostic::Severity;
use std::path::PathBuf;
use std::time::Duration;

fn strict(text: &str) -> (Option<Config>, Report) {
    load_str("k.conf", text, &Options::default())
}

fn codes(report: &Report, severity: Severity) -> Vec<&'static str> {
    let of = report.diagnostics.iter().filter(|d| d.severity == severity);
    of.map(|d| d.code).collect()
}

fn instance_with(lines: &str) -> String {
    format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n {lines}\n \
         virtual_ipaddress {{ 192.0.2.100/24 }}\n}}\n"
    )
}

#[test]
fn every_keyword_has_a_doc_and_an_example_that_parses() {
    for chapter in reference::chapters() {
        for row in &chapter.rows {
            assert!(row.doc.len() > 10, "{}", row.name);
            let text = match chapter.block {
                "global_defs" => format!("global_defs {{\n{}\n}}\n", row.example),
                block => format!("{block} X {{\n{}\n}}\n", row.example),
            };
            let (_, report) = strict(&text);
            let line = report
                .diagnostics
                .iter()
                .filter(|d| d.severity == Severity::Error && !["E2001", "E2004"].contains(&d.code))
                .collect::<Vec<_>>();
            assert!(line.is_empty(), "{}: {line:?}", row.example);
        }
    }
}

#[test]
fn the_field_s_configurations_load_with_at_most_notes() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in [
        "keepalived-a.conf",
        "keepalived-b.conf",
        "keepalived-oddities.conf",
    ] {
        let (config, report) = load(&examples.join(name), &Options::default());
        assert_eq!(
            codes(&report, Severity::Error).len(),
            0,
            "{}",
            report.human(false)
        );
        assert_eq!(
            codes(&report, Severity::Warning).len(),
            0,
            "{}",
            report.human(false)
        );
        let config = config.expect("no error");
        assert!(!config.instances.is_empty());
        for finding in &report.diagnostics {
            assert!(finding.primary.is_some(), "{finding:?}");
        }
    }
}

#[test]
fn the_tutorials_file_means_what_it_says() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let (config, _) = load(&examples.join("keepalived-a.conf"), &Options::default());
    let config = config.expect("no error");
    let i = &config.instances[0];
    assert_eq!(
        (i.vrid.0, i.priority.0, i.interface.as_str()),
        (51, 101, "eth0")
    );
    assert_eq!(i.advert_int, Duration::from_secs(1));
    assert_eq!(i.auth, Some(model::Auth::Pass("1111".to_owned())));
    assert_eq!(i.addresses[0].label.as_deref(), Some("eth0:1"));
    assert_eq!(
        config.scripts[0].command.words,
        ["/usr/bin/killall", "-0", "haproxy"]
    );
    assert_eq!(config.scripts[0].weight.value, -20);
    assert_eq!(i.tracks.scripts[0].name, "chk_haproxy");
}

#[test]
fn what_keepalived_replaces_in_silence_is_an_error_and_lenient_a_warning() {
    let cases = [
        ("priority 300", "E2002"),
        ("advert_int 0.5", "E2002"),
        (
            "authentication {\n auth_type PASS\n auth_pass 123456789\n }",
            "E2002",
        ),
        ("state MASTER\n nopreempt", "E2005"),
        ("track_script { nothing }", "E2004"),
        ("state MATER", "E2002"),
        ("notify /bin/a.sh\n notify /bin/b.sh", "E2002"),
        ("state MASTER\n preempt_delay 5", "E2005"),
        ("track_interface { eth0 weight 10 }", "E2002"),
        (
            "track_interface {\n eth1 weight 10\n eth1 weight 20\n }",
            "E2003",
        ),
        ("track_interface { eth1 weight 254 }", "E0006"),
        ("priorty 120", "E0002"),
        ("authentication {\n auth_type PASS\n }", "E2001"),
        ("authentication {\n auth_pass 1111\n }", "E2001"),
        ("no_such_block {\n interface eth9\n }", "E0002"),
        ("unicast_peer {\n fd00::2\n 192.0.2.2\n }", "E2005"),
    ];
    for (lines, code) in cases {
        let (config, report) = strict(&instance_with(lines));
        assert_eq!(codes(&report, Severity::Error), [code], "{lines}");
        assert!(config.is_none());
        let lenient = Options {
            lenient: true,
            ..Options::default()
        };
        let (config, report) = load_str("k.conf", &instance_with(lines), &lenient);
        assert_eq!(codes(&report, Severity::Warning), [code], "{lines}");
        assert!(config.is_some(), "{lines}");
    }
}

#[test]
fn a_keyword_that_stands_twice_is_told_with_both_places() {
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    let lines = "advert_int 2\n advert_int 3\n notify /bin/a.sh\n notify /bin/b.sh";
    let (config, report) = load_str("k.conf", &instance_with(lines), &lenient);
    let instance = &config.unwrap().instances[0];
    assert_eq!(instance.advert_int, Duration::from_secs(3), "the last one");
    assert_eq!(codes(&report, Severity::Warning), ["E2002"]);
    assert!(codes(&report, Severity::Note).contains(&"E2010"));
    let shown = report.human(false);
    for text in ["the first one", "this one counts", "this one does not"] {
        assert!(shown.contains(text), "{text} in:\n{shown}");
    }
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    for (lines, code) in [
        ("interface a234567890123456", "E0005"),
        ("unicast_peer { 10.0.0.2 min_ttl 9 max_ttl 8 }", "E2005"),
        ("mcast_dst_ip ff05::12", "E0005"),
        (
            "virtual_ipaddress_excluded { 10.0.0.9 preferred_lft soon }",
            "E0005",
        ),
        (
            "virtual_ipaddress_excluded { 10.0.0.9 dev eth0 dev eth1 }",
            "E2003",
        ),
        ("virtual_routes { 10.9.0.0/16 via fe80::1 }", "E2005"),
        ("virtual_routes { 10.9.0.0/16 protocol nothing }", "E0005"),
        ("virtual_routes { 10.9.0.0/16 table nothing }", "E0005"),
    ] {
        let (_, report) = strict(&instance_with(lines));
        assert_eq!(codes(&report, Severity::Error), [code], "{lines}");
    }
    let (_, report) = strict("vrrp_script a b {\n script /bin/true\n}\n");
    assert_eq!(codes(&report, Severity::Error), ["E0004"]);
    let (_, report) = strict("vrrp_track_process p {\n process x\n quorum 0\n}\n");
    assert_eq!(codes(&report, Severity::Error), ["E0006"]);
    let (_, report) = strict("vrrp_track_process p {\n process x\n quorum 3\n quorum_max 2\n}\n");
    assert_eq!(codes(&report, Severity::Error), ["E2002"]);
    let none = strict("vrrp_track_process p {\n process x\n quorum_max 0\n}\n");
    let none = none.0.expect("no process at all is a wish, too");
    assert_eq!(
        (none.processes[0].quorum, none.processes[0].quorum_max),
        (0, Some(0))
    );
}

#[test]
fn words_about_the_host_reach_what_they_concern() {
    let text = format!(
        "net_namespace blue\nglobal_defs {{\n default_interface eth9\n vmac_prefix vv\n \
         startup_script_timeout 3\n}}\nstatic_ipaddress {{\n 10.1.1.1/24\n}}\n{}",
        instance_with("use_vmac\n mcast_src_ip 192.0.2.9\n track_src_ip")
    );
    let config = strict(&text).0.expect("no error");
    assert_eq!(config.net_namespace.as_deref(), Some("blue"));
    assert_eq!(config.statics.usual.as_deref(), Some("eth9"));
    assert_eq!(config.global.startup_timeout, Duration::from_secs(3));
    let instance = &config.instances[0];
    let vmac = instance.vmac.as_ref().expect("use_vmac");
    assert_eq!(vmac.name.as_deref(), Some("vv.51"));
    assert!(instance.track_source);
    for line in ["net_namespace", "net_namespace a/b"] {
        let (_, report) = strict(line);
        assert_eq!(report.diagnostics.len(), 1, "{line}");
    }
}

#[test]
fn what_does_no_harm_is_a_warning() {
    for (lines, code) in [
        ("unicast_peer {\n }", "E2005"),
        ("check_unicast_src", "E2005"),
        ("track_interface {\n eth1\n eth1\n }", "E2003"),
    ] {
        let (config, report) = strict(&instance_with(lines));
        assert_eq!(codes(&report, Severity::Warning), [code], "{lines}");
        assert!(
            config.expect("no error").instances[0]
                .tracks
                .interfaces
                .len()
                < 2
        );
    }
}

#[test]
fn blocks_of_a_keyword_add_up_without_a_word() {
    let lines = "virtual_ipaddress {\n 192.0.2.7/24\n }";
    let (config, report) = strict(&instance_with(lines));
    assert_eq!(codes(&report, Severity::Error), [""; 0]);
    assert!(!codes(&report, Severity::Note).contains(&"E2010"));
    assert_eq!(config.unwrap().instances[0].addresses.len(), 2);
}

#[test]
fn every_error_of_a_file_is_reported_with_its_place() {
    let text = "vrrp_instance V {\n  interfce eth0\n  virtual_router_id 300\n  priority x\n}\n";
    let (_, report) = strict(text);
    let shown = report.human(false);
    for place in [
        "k.conf:2:3",
        "k.conf:3:21",
        "k.conf:4:12",
        "did you mean `interface`?",
    ] {
        assert!(shown.contains(place), "{place} in:\n{shown}");
    }
}

#[test]
fn lvs_gives_one_error_or_is_skipped() {
    let text = "virtual_server 10.0.0.1 80 {\n real_server 10.0.0.2 80 { weight 1 }\n}\n\
                virtual_server 10.0.0.1 81 {\n}\n";
    assert_eq!(codes(&strict(text).1, Severity::Error), ["E2006"]);
    let options = Options {
        skip_lvs: true,
        ..Options::default()
    };
    let (config, report) = load_str("k.conf", text, &options);
    assert!(report.diagnostics.is_empty());
    assert!(config.is_some());
}

#[test]
fn two_of_a_kind_show_both_places() {
    let text = format!("{0}{0}", instance_with("priority 254"));
    let (_, report) = strict(&text);
    let two = report.diagnostics.iter().filter(|d| d.code == "E2003");
    assert!(two.clone().count() == 2 && two.clone().all(|d| d.secondary.len() == 1));
}

#[test]
fn a_pair_s_disagreements_are_found() {
    let load = |lines: &str| strict(&instance_with(lines)).0.expect("no error");
    let a = load("priority 254");
    assert_eq!(pair::compare(&a, &load("priority 250")), []);
    let finding = |lines: &str| pair::compare(&a, &load(lines));
    assert!(
        finding("priority 254")[0]
            .message
            .contains("both have priority")
    );
    assert!(
        finding("priority 250\n advert_int 2")
            .iter()
            .any(|f| f.fatal)
    );
    assert!(
        finding("priority 250\n authentication {\n auth_type PASS\n auth_pass x\n }")
            .iter()
            .any(|f| f.fatal)
    );
    assert!(
        finding("priority 100")
            .iter()
            .any(|f| f.message.contains("high skew"))
    );
}

#[test]
fn any_bytes_give_findings_inside_the_file_and_no_panic() {
    let base = include_str!("../../examples/keepalived-oddities.conf");
    let mut rng = 1u64;
    let mut next = |bound: usize| {
        rng = rng
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (rng >> 33) as usize % bound.max(1)
    };
    for _ in 0..2000 {
        let mut bytes = base.as_bytes().to_vec();
        for _ in 0..next(8) + 1 {
            if bytes.is_empty() {
                break;
            }
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = b"{}\"'$\\#!\n \t~@"[next(13)],
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let (_, report) = strict(&text);
        for finding in &report.diagnostics {
            for label in finding.primary.iter().chain(&finding.secondary) {
                assert!(label.span.start <= label.span.end);
                assert!(label.span.end as usize <= text.len(), "{finding:?}");
            }
        }
        let _ = report.human(false);
        let _ = report.json();
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference-vip.md");
    let page = reference::page();
    if std::env::var_os("EVENKEEL_BLESS").is_some() {
        std::fs::write(&path, &page).expect("docs/ can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "run: EVENKEEL_BLESS=1 cargo test -p evenkeel-conf"
    );
}

#[test]
fn one_run_tells_every_error_also_of_an_instance_without_a_number() {
    let text = "vrrp_instance A {\n interface eth0\n virtual_router_id 300\n \
                track_script {\n nothing\n }\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n\
                vrrp_sync_group G {\n group {\n A\n }\n}\n";
    let (config, report) = load_str("test.conf", text, &Options::default());
    assert!(config.is_none());
    let codes: Vec<&str> = report.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(
        codes,
        ["E0006", "E2004", "E2001"],
        "{}",
        report.human(false)
    );
}

#[test]
fn pauses_between_announcements_are_read_and_groups_have_their_own() {
    let text = "global_defs {\n vrrp_garp_interval 0.002\n vrrp_garp_lower_prio_delay 7\n}\n\
                garp_group {\n garp_interval 0.5\n interfaces {\n eth1\n eth2 eth3\n }\n interface eth4\n}\n";
    let (config, report) = load_str("test.conf", text, &Options::default());
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let announce = &config.global.announce;
    assert_eq!(announce.garp_interval.as_micros(), 2000);
    assert_eq!(
        announce.lower_prio_delay,
        Some(std::time::Duration::from_secs(7))
    );
    let group = &config.global.garp_groups[0];
    assert_eq!(group.interfaces, ["eth1", "eth2", "eth3", "eth4"]);
    assert_eq!(group.garp_interval.map(|d| d.as_millis()), Some(500));
}

#[test]
fn in_a_sync_group_the_weight_of_a_member_counts_as_zero_unless_the_group_keeps_it() {
    let text = |keep: &str| {
        format!(
            "vrrp_script chk {{\n script \"/bin/true\"\n weight -20\n}}\n\
             vrrp_sync_group G {{\n group {{ V }}\n {keep}\n}}\n{}",
            instance_with("track_script { chk }\n track_interface { eth1 weight 5 reverse }")
        )
    };
    let (config, report) = strict(&text(""));
    let instance = &config.expect("no error").instances[0];
    assert_eq!(instance.tracks.scripts[0].weight.map(|w| w.value), Some(0));
    let interface = instance.tracks.interfaces[0].weight.expect("set");
    assert_eq!((interface.value, interface.reverse), (0, true));
    let notes = codes(&report, Severity::Note);
    assert_eq!(notes.iter().filter(|c| **c == "E2005").count(), 2);
    let (config, _) = strict(&text("sync_group_tracking_weight"));
    let instance = &config.expect("no error").instances[0];
    assert_eq!(instance.tracks.scripts[0].weight, None);
}

#[test]
fn a_bad_value_is_an_error_and_keepalived_s_default_under_lenient() {
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    for (lines, code) in [
        ("priority $P", "E0005"),
        ("priority 100abc", "E0005"),
        ("priority 100 200", "E0004"),
        ("garp_master_repeat 0", "E0006"),
        ("preempt_delay 5000", "E0006"),
        ("track_interface { eth1 weight 300 }", "E0006"),
        ("state PRIMARY", "E2002"),
    ] {
        let text = instance_with(lines);
        let (config, report) = strict(&text);
        assert!(config.is_none(), "{lines}");
        assert_eq!(codes(&report, Severity::Error), [code], "{lines}");
        let (config, report) = load_str("k.conf", &text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{lines}: {}", report.human(false)));
        assert_eq!(config.instances[0].priority.0, 100, "{lines}");
        assert_eq!(codes(&report, Severity::Warning), [code], "{lines}");
    }
    let text = instance_with("").replace("virtual_router_id 51", "virtual_router_id 300");
    assert!(
        load_str("k.conf", &text, &lenient).0.is_none(),
        "no number, no router"
    );
}

#[test]
fn a_label_has_at_most_15_bytes() {
    let text = instance_with("virtual_ipaddress_excluded { 192.0.2.9 label eth0:much-too-long }");
    assert_eq!(codes(&strict(&text).1, Severity::Error), ["E0005"]);
}

#[test]
fn a_bad_entry_is_an_error_and_left_out_under_lenient() {
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    for lines in [
        "virtual_routes { 10.0.0.0/24 via x }",
        "virtual_rules { from 10.0.0.0/8 table no-such }",
        "virtual_ipaddress_excluded { 192.0.2.300 }",
    ] {
        let text = instance_with(lines);
        assert_eq!(
            codes(&strict(&text).1, Severity::Error),
            ["E0005"],
            "{lines}"
        );
        let (config, report) = load_str("k.conf", &text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{lines}: {}", report.human(false)));
        let instance = &config.instances[0];
        let left = instance.routes.len() + instance.rules.len() + instance.excluded.len();
        assert_eq!(left, 0, "{lines}");
        assert_eq!(codes(&report, Severity::Warning), ["E2002"], "{lines}");
    }
}

#[test]
fn what_keepalived_reads_in_a_bad_entry_counts_under_lenient() {
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    for (lines, code) in [
        ("virtual_ipaddress_excluded { 192.0.2.9/33 }", "E0005"),
        (
            "virtual_ipaddress_excluded { 192.0.2.9/255.255.255.0 }",
            "E0005",
        ),
        (
            "virtual_ipaddress_excluded { 192.0.2.9 scope no-such }",
            "E0005",
        ),
        ("virtual_ipaddress_excluded { 192.0.2.9 other }", "E0002"),
        ("virtual_routes { 192.0.2.9/40 via 192.0.2.1 }", "E0005"),
        (
            "virtual_rules { from 192.0.2.9/40 table 7 priority 5 }",
            "E0005",
        ),
    ] {
        let text = instance_with(lines);
        assert_eq!(codes(&strict(&text).1, Severity::Error), [code], "{lines}");
        let (config, report) = load_str("k.conf", &text, &lenient);
        let config = config.unwrap_or_else(|| panic!("{lines}: {}", report.human(false)));
        assert_eq!(codes(&report, Severity::Warning), ["E2002"], "{lines}");
        let instance = &config.instances[0];
        let kept = instance.routes.len() + instance.rules.len() + instance.excluded.len();
        assert_eq!(kept, 1, "{lines}");
        if let [address] = &instance.excluded[..] {
            assert_eq!((address.prefix, address.scope), (32, 0), "{lines}");
        }
    }
}

#[test]
fn a_pattern_without_files_is_a_warning_and_a_missing_file_an_error() {
    let router = instance_with("");
    let (config, report) = strict(&format!("include /nowhere/*.conf\n{router}"));
    assert!(config.is_some(), "{}", report.human(false));
    assert_eq!(codes(&report, Severity::Warning), ["E0001"]);
    for line in ["include /nowhere/a.conf", "includew /nowhere/*.conf"] {
        let (_, report) = strict(&format!("{line}\n{router}"));
        assert_eq!(codes(&report, Severity::Error), ["E0001"], "{line}");
    }
}

#[test]
fn unicast_words_without_a_peer_are_told_unless_that_is_a_fault() {
    let lonely = instance_with("unicast_src_ip 192.0.2.11");
    let (config, report) = strict(&lonely);
    assert_eq!(codes(&report, Severity::Warning), ["E2005"]);
    assert!(!config.expect("it runs").instances[0].lacks_peer);
    let (config, report) = strict(&instance_with("unicast_fault_no_peer"));
    assert!(codes(&report, Severity::Warning).is_empty());
    assert!(config.expect("it runs").instances[0].lacks_peer);
}

#[test]
fn a_bad_address_has_one_error() {
    let text = instance_with("").replace("192.0.2.100/24", "192.0.2.300");
    let (_, report) = strict(&text);
    assert_eq!(
        codes(&report, Severity::Error).len(),
        1,
        "{}",
        report.human(false)
    );
    let (_, report) = strict(&instance_with("use_vmac a-name-longer-than-15-bytes"));
    assert_eq!(codes(&report, Severity::Error), ["E0005"]);
}

#[test]
fn members_that_are_not_there_are_an_error_and_left_out_under_lenient() {
    let text = format!(
        "vrrp_sync_group G {{ group {{ V V9 }} }}\nunknown {{ x }}\n{}",
        instance_with("priority 120")
    );
    let (config, report) = strict(&text);
    assert!(config.is_none());
    assert_eq!(codes(&report, Severity::Error), ["E2004", "E0002"]);
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    let (config, _) = load_str("k.conf", &text, &lenient);
    assert_eq!(config.expect("it runs").groups[0].members, ["V"]);
}

#[test]
fn an_instance_without_addresses_runs_in_version_2_as_in_keepalived() {
    let router = |lines: &str| {
        format!("vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n {lines}\n}}\n")
    };
    for lines in [
        "",
        "virtual_ipaddress {\n}",
        "virtual_ipaddress_excluded { 192.0.2.9 }",
    ] {
        let (config, report) = strict(&router(lines));
        assert!(config.is_some(), "{lines}");
        assert_eq!(codes(&report, Severity::Warning), ["E2001"], "{lines}");
        let (config, _) = strict(&router(&format!("version 3\n {lines}")));
        assert!(config.is_none(), "{lines}");
    }
}

#[test]
fn a_word_that_nobody_defined_is_told_as_such() {
    let (_, report) = strict(&instance_with("priority ${PRIORITY}\n state $STATE"));
    let text = report.human(false);
    for name in ["PRIORITY", "STATE"] {
        let help = format!("no line defines it: `${name}=VALUE` ahead of it does");
        assert!(text.contains(&help), "{text}");
    }
    let (_, report) = strict(&instance_with("priority 1x"));
    assert!(!report.human(false).contains("defines"));
}
