use super::*;
use crate::admin::Control;
use crate::core::health::{CheckStatus, Outcome};
use crate::core::server::{Admin, Change, Operation};
use crate::state::{Administered, CheckAt, Endpoint, Generation, Runtime, Server};
use std::sync::Arc;
use std::time::Duration;

const TEXT: &str = "listen a\n mode tcp\n bind 127.0.0.1:1\n timeout connect 1s\n timeout client 1s\n \
                    timeout server 1s\n server s1 127.0.0.1:11 weight 7 check\n \
                    server s2 127.0.0.1:12 weight 7 check\n server s3 127.0.0.1:13\n \
                    server s5 127.0.0.1:15 disabled\n";

fn control(text: &str) -> Arc<Control> {
    let (config, report) = conf::lb::load_str(text);
    let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
    let runtime = Runtime::new(Vec::new());
    runtime.install(Generation::next(&runtime, Arc::new(config)));
    Control::new(runtime)
}

fn server(control: &Control, name: &str) -> Arc<Server> {
    control
        .runtime
        .generation()
        .server("a", name)
        .unwrap()
        .clone()
}

/// What operators and checks left behind, through the bytes of a file.
fn left_behind() -> Saved {
    let old = control(TEXT);
    let runtime = &old.runtime;
    let (s1, s2, s3) = (server(&old, "s1"), server(&old, "s2"), server(&old, "s3"));
    runtime.change(&s1, Change::Set(Admin::FORCED_DRAIN), "");
    runtime.change(&s1, Change::Weight(3), "");
    s1.set_endpoint(Endpoint::Inet("127.0.0.9:99".parse().unwrap()));
    s1.counters.shared().bytes_in.add_shared(1000);
    s1.set_name("one.test");
    let _ = old.check_target(&s1, None, Some(77));
    let _ = old.check_target(&s1, Some([127, 0, 0, 8].into()), None);
    runtime.administer(&server(&old, "s5"), Administered::Ready);
    s2.set_endpoint(Endpoint::Mapped([127, 0, 0, 2].into(), -7));
    let outcome = Outcome {
        status: CheckStatus::L7Timeout,
        code: 0,
        description: "at step 2".to_owned(),
        duration: Some(Duration::from_millis(12)),
    };
    s2.health.lock().unwrap().record(&outcome);
    runtime.change(&s2, Change::Down, "");
    runtime.change(&s3, Change::Set(Admin::FORCED_MAINT), "");
    old.events.add("a/s2", "Server a/s2 is DOWN");
    let bytes = serde_json::to_vec(&take(&old)).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn states_weights_checks_counters_and_events_come_back_by_name() {
    let kept = left_behind();
    let new = control(TEXT);
    assert_eq!(restore(&new, &kept, 5000), 6);
    let (s1, s2, s3) = (server(&new, "s1"), server(&new, "s2"), server(&new, "s3"));
    assert!(s1.status().admin.has(Admin::FORCED_DRAIN));
    assert_eq!(s1.status().weight, 3);
    assert_eq!(
        *s1.endpoint(),
        Endpoint::Inet("127.0.0.9:99".parse().unwrap())
    );
    assert_eq!(s1.counters.totals().bytes_in, 1000);
    let at = CheckAt {
        ip: Some([127, 0, 0, 8].into()),
        port: Some(77),
        ..CheckAt::default()
    };
    assert_eq!(s1.check_at.load_full().as_deref(), Some(&at));
    assert_eq!(s1.fqdn().as_deref(), Some("one.test"));
    assert_eq!(*s2.endpoint(), Endpoint::Mapped([127, 0, 0, 2].into(), -7));
    let s5 = server(&new, "s5");
    assert!(s5.status().usable(), "an operator had made it ready");
    assert_eq!(s2.status().operation, Operation::Stopped);
    let downs = s2.counters.totals().went_down;
    assert_eq!(
        downs, 1,
        "the change itself is counted once, by the old process"
    );
    let health = s2.health.lock().unwrap();
    assert_eq!(
        (health.status(), health.description()),
        (CheckStatus::L7Timeout, "at step 2")
    );
    let ago_ms = new.runtime.now_ms() - s2.status().changed_ms;
    assert!((5000..65_000).contains(&ago_ms), "{ago_ms}");
    assert!(s3.status().admin.in_maintenance());
    assert!(new.events.text().contains("a/s2 is DOWN"));
}

#[test]
fn what_the_configuration_changed_since_stays_as_configured() {
    let kept = left_behind();
    let changed = TEXT
        .replace(
            "127.0.0.1:11 weight 7 check",
            "127.0.0.1:21 weight 8 check port 78",
        )
        .replace("server s3", "server s4");
    let new = control(&changed);
    restore(&new, &kept, 0);
    let s1 = server(&new, "s1");
    assert_eq!(s1.status().weight, 8);
    assert_eq!(s1.check_at.load_full(), None, "its check has another port");
    assert_eq!(
        *s1.endpoint(),
        Endpoint::Inet("127.0.0.1:21".parse().unwrap())
    );
    assert!(!server(&new, "s4").status().admin.in_maintenance());
}

#[test]
fn a_state_file_of_haproxy_sets_states_and_never_ports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let rows = "1\n# be_id be_name srv_id\n\
                2 a 1 s1 127.0.0.1 2 1 9 7 60 6 3 4 6 0 0 0 - 99 - 0 0 - - 0\n\
                2 a 2 s2 127.0.0.1 0 0 7 7 61 8 2 0 6 0 0 0 - 12 - 0 76 - 127.0.0.3 6\n\
                2 a 3 s3 127.0.0.1 2 8 5 4 62 1 0 1 0 0 0 0 - 13 - 0 0 - - 0\n";
    std::fs::write(&path, rows).unwrap();
    let with_file = format!(
        "global\n server-state-file {}\n{TEXT} load-server-state-from-file global\n",
        path.display()
    );
    let new = control(&with_file);
    let told = table::load(&new.runtime);
    let (s1, s2, s3) = (server(&new, "s1"), server(&new, "s2"), server(&new, "s3"));
    assert!(s1.status().admin.has(Admin::FORCED_MAINT));
    assert_eq!(s1.status().weight, 9);
    assert_eq!(
        *s1.endpoint(),
        Endpoint::Inet("127.0.0.1:11".parse().unwrap())
    );
    assert!(told.iter().any(|t| t.contains("a/s1: port 99")), "{told:?}");
    assert_eq!(s2.status().operation, Operation::Stopped);
    let at = CheckAt {
        port: Some(76),
        ..CheckAt::default()
    };
    assert_eq!(s2.check_at.load_full().as_deref(), Some(&at), "no agent");
    assert_eq!(
        s2.health.lock().unwrap().status(),
        CheckStatus::L4Connection
    );
    assert!(s3.status().admin.has(Admin::FORCED_DRAIN));
    assert_eq!(s3.status().weight, 1, "the configuration's weight changed");
    let ago_s = (new.runtime.now_ms() - s2.status().changed_ms) / 1000;
    assert!((61..120).contains(&ago_s));
}

#[test]
fn a_state_file_that_is_missing_or_foreign_is_told_and_ignored() {
    for content in [
        None,
        Some("global\n"),
        Some("9\n# x\n"),
        Some("1\n2 a 1 s1\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let text = format!(
            "global\n server-state-base {}\n{TEXT} load-server-state-from-file local\n server-state-file-name state\n",
            folder.path().display()
        );
        let new = control(&text);
        let told = table::load(&new.runtime);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(server(&new, "s1").is_usable());
    }
}
