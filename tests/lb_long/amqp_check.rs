//! `option amqp-check` against a real RabbitMQ: what it finds, and what the
//! broker's log says about it.

use crate::kit::balancer::address;
use crate::kit::{self, Balancer, Daemon};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BIN: &str = "/usr/lib/rabbitmq/bin";
const NODE: &str = "rabbit@localhost";

/// A node's own pace: it starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn in_folder(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(format!("{BIN}/{program}"));
    let plugins = folder.join("plugins");
    std::fs::write(&plugins, "[].\n").expect("the folder is ours");
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_NODE_PORT", "5672")
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_CONFIG_FILE", folder.join("none"))
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("LANG", "C.UTF-8");
    command
}

fn control(folder: &Path, args: &[&str]) {
    let output = in_folder("rabbitmqctl", folder)
        .args(["-n", NODE])
        .args(args)
        .output();
    let output = output.expect("rabbitmqctl runs");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "needs rabbitmq-server; tests/run installs it and runs this"]
fn the_check_logs_in_leaves_no_trace_and_sees_an_alarm() {
    kit::sandboxed(|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut node = Daemon::start("rabbitmq", &mut in_folder("rabbitmq-server", folder.path()));
        node.wait_line("completed with", PATIENCE);
        let text = format!(
            "backend good\n    option amqp-check user guest password guest\n    server s 127.0.0.1:5672 check inter 200ms\n\
             backend refused\n    option amqp-check user guest password wrong\n    server s 127.0.0.1:5672 check inter 60s\n\
             backend nowhere\n    option amqp-check user guest password guest vhost nope\n    server s 127.0.0.1:5672 check inter 60s\n\
             listen l\n    bind {}:1\n",
            address()
        );
        let balancer = Balancer::new("", &text);
        let mut daemon = balancer.start(&["-db"]);
        let find = |backend: &str, status: &str, text: &str| {
            kit::wait_until(
                &format!("{backend} is {status} with {text}"),
                PATIENCE,
                || {
                    balancer.stat(backend, "s", "status") == status
                        && balancer.stat(backend, "s", "last_chk").contains(text)
                },
            );
        };
        find("good", "UP", "RabbitMQ 3.");
        find("refused", "DOWN", "ACCESS_REFUSED");
        find("nowhere", "DOWN", "vhost nope not found");
        // a publisher that is blocked cannot say goodbye, so only until here
        let log = std::fs::read_to_string(folder.path().join("log").join(format!("{NODE}.log")));
        let log = log.expect("the node logs");
        let noise: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("unexpectedly closed"))
            .collect();
        assert!(
            noise.is_empty(),
            "the check leaves traces in the broker's log:\n{}",
            noise.join("\n")
        );
        control(folder.path(), &["set_vm_memory_high_watermark", "0.00001"]);
        find("good", "NOLB", "blocked: low on memory");
        control(folder.path(), &["set_vm_memory_high_watermark", "0.4"]);
        find("good", "UP", "RabbitMQ 3.");
        daemon.stop();
        node.stop();
    });
}
