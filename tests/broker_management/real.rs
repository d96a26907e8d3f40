//! The same definitions with a real RabbitMQ, the page with a real browser.

use super::rig::{ALICE, GUEST, broker, request};
use crate::kit::{self, Daemon};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A real RabbitMQ in this sandbox: its tools with the environment that leads to it.
struct Rabbit {
    directory: tempfile::TempDir,
    _server: Daemon,
}

impl Rabbit {
    fn start() -> Rabbit {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path();
        std::fs::write(place.join("plugins"), "[].").expect("writes");
        std::fs::write(place.join("rabbitmq.conf"), "").expect("writes");
        let mut server = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let rabbit = Rabbit {
            _server: Daemon::start("rabbitmq-server", Rabbit::environment(place, &mut server)),
            directory,
        };
        kit::wait_until("RabbitMQ is up", Duration::from_secs(120), || {
            rabbit.ctl(&["await_startup"]).0
        });
        rabbit
    }

    fn environment<'c>(place: &Path, command: &'c mut Command) -> &'c mut Command {
        command
            .env("HOME", place)
            .env("RABBITMQ_NODENAME", "real@localhost")
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", place.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", place.join("log"))
            .env("RABBITMQ_CONF_ENV_FILE", place.join("none"))
            .env("RABBITMQ_CONFIG_FILE", place.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", place.join("none.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", place.join("plugins"))
            .env("RABBITMQ_PID_FILE", place.join("pid"))
    }

    /// Whether it ended well, and what it printed on both streams.
    fn ctl(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        let output = Rabbit::environment(self.directory.path(), command.args(args)).output();
        let output = output.expect("rabbitmqctl runs");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }
}

#[test]
#[ignore = "needs rabbitmq-server; tests/run installs it and runs this"]
fn what_a_real_node_exports_comes_in_and_its_users_log_in() {
    kit::sandboxed(|| {
        let rabbit = Rabbit::start();
        let good = |args: &[&str]| {
            let (good, text) = rabbit.ctl(args);
            assert!(good, "{args:?}: {text}");
        };
        good(&["add_user", "alice", "wonderland"]);
        good(&["set_user_tags", "alice", "management"]);
        good(&["add_vhost", "shop"]);
        good(&[
            "set_permissions",
            "-p",
            "shop",
            "alice",
            "^orders",
            ".*",
            ".*",
        ]);
        good(&[
            "set_policy",
            "-p",
            "shop",
            "ha",
            "^(?!amq\\.).*",
            r#"{"ha-mode":"all"}"#,
        ]);
        good(&[
            "set_operator_policy",
            "-p",
            "shop",
            "cap",
            ".*",
            r#"{"max-length":10}"#,
        ]);
        good(&["set_vhost_limits", "-p", "shop", r#"{"max-queues":7}"#]);
        let file = rabbit.directory.path().join("export.json");
        good(&["export_definitions", file.to_str().expect("UTF-8")]);
        let export = std::fs::read_to_string(&file).expect("was written");
        let b = broker();
        let (status, _, body) = request(&b.api, Some(GUEST), "POST", "/api/definitions", &export);
        assert_eq!(status, 204, "{body}");
        let (status, _, body) = request(&b.api, Some(ALICE), "GET", "/api/whoami", "");
        assert_eq!(
            (status, body.as_str()),
            (200, r#"{"name":"alice","tags":["management"]}"#)
        );
        assert_eq!(
            b.get("/operator-policies/shop/cap")["definition"],
            json!({"max-length": 10})
        );
        assert_eq!(
            b.get("/vhost-limits/shop")[0]["value"],
            json!({"max-queues": 7})
        );
        // and a policy that both refuse is refused in the same words
        let wrong = r#"{"ha-mode":"nodes","ha-params":[]}"#;
        let (_, theirs) = rabbit.ctl(&["-q", "set_policy", "x", "^q", wrong]);
        let place = b.directory.path().display().to_string();
        let ours = Command::new(kit::binary())
            .args([
                "ctl",
                "-q",
                "--run-dir",
                &place,
                "-n",
                "rabbit@test",
                "set_policy",
                "x",
                "^q",
                wrong,
            ])
            .output()
            .expect("the tool runs");
        assert_eq!(String::from_utf8_lossy(&ours.stderr), theirs);
    });
}

#[test]
#[ignore = "needs chromium and python3; tests/run installs them and runs this"]
fn the_page_works_in_a_browser() {
    let b = broker();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/page.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(format!("http://{}", b.api));
    let mut run = Daemon::start("page.py", &mut command);
    let status = run.wait_exit(Duration::from_secs(180));
    assert!(status.success(), "{}", run.output());
    let _ = (&b.daemon, &b.directory);
}
