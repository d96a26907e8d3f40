//! A real RabbitMQ cluster of three nodes (Debian's package) on the broker hosts.

use super::lab::{End, Lab};
use super::order::Order;
use super::plan::{Host, Plan};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// Whether Debian's package is there; the command that helps if not.
pub fn installed() -> Result<(), String> {
    if Path::new(SERVER).exists() {
        return Ok(());
    }
    Err(
        "RabbitMQ is not installed: apt-get install --no-install-recommends rabbitmq-server"
            .to_owned(),
    )
}

/// What starts a node.
pub fn argv() -> Vec<String> {
    vec![SERVER.to_owned()]
}

/// The environment of a node.
pub fn env(host: &Host) -> Vec<(String, String)> {
    let pairs = [
        ("HOME", host.file("home")),
        ("RABBITMQ_NODENAME", format!("rabbit@{}", host.name)),
        ("RABBITMQ_MNESIA_BASE", host.file("data")),
        ("RABBITMQ_LOG_BASE", host.file("log")),
        ("RABBITMQ_CONFIG_FILE", host.file("rabbitmq")),
        (
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            host.file("enabled_plugins"),
        ),
        ("RABBITMQ_PID_FILE", host.file("rabbit.pid")),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none".to_owned(),
        ),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Files of every node, and a hosts file that all hosts see.
pub async fn prepare(plan: &Plan, lab: &Lab) -> Result<(), String> {
    let problem = |e: std::io::Error| format!("cannot write RabbitMQ's files: {e}");
    let hosts_file = plan.gate.with_file_name("hosts");
    let mut lines = String::from("127.0.0.1 localhost\n");
    for host in plan.hosts() {
        lines.push_str(&format!("{} {}\n", host.address, host.name));
    }
    std::fs::write(&hosts_file, lines).map_err(problem)?;
    for host in &plan.brokers {
        for dir in ["home", "data", "log"] {
            std::fs::create_dir_all(host.dir.join(dir)).map_err(problem)?;
        }
        let cookie = host.dir.join("home/.erlang.cookie");
        std::fs::write(&cookie, "EVENKEELLABORATORY").map_err(problem)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&cookie, mode).map_err(problem)?;
        std::fs::write(host.dir.join("enabled_plugins"), "[rabbitmq_management].\n")
            .map_err(problem)?;
        let text = "loopback_users = none\nlisteners.tcp.default = 5672\n\
                    management.tcp.port = 15672\ncluster_partition_handling = pause_minority\n";
        std::fs::write(host.dir.join("rabbitmq.conf"), text).map_err(problem)?;
        let order = Order::Overlay {
            host: host.name.clone(),
            from: hosts_file.display().to_string(),
            over: "/etc/hosts".to_owned(),
        };
        lab.order(order)
            .await
            .map_err(|e| format!("host {}: {e}", host.name))?;
    }
    Ok(())
}

/// Makes one cluster of the nodes and mirrors every queue.
pub async fn join(plan: &Plan, lab: &Lab, ends: &mut mpsc::Receiver<End>) -> Result<(), String> {
    let Some((first, others)) = plan.brokers.split_first() else {
        return Ok(());
    };
    for host in &plan.brokers {
        started(lab, ends, host).await?;
    }
    for host in others {
        ctl(lab, ends, host, &["stop_app"]).await?;
        ctl(
            lab,
            ends,
            host,
            &["join_cluster", &format!("rabbit@{}", first.name)],
        )
        .await?;
        ctl(lab, ends, host, &["start_app"]).await?;
    }
    let policy = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
    ctl(lab, ends, first, &["set_policy", "all", ".*", policy]).await
}

/// Until a node has started; its tools cannot even reach it at first.
async fn started(lab: &Lab, ends: &mut mpsc::Receiver<End>, host: &Host) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        match ctl(lab, ends, host, &["await_startup", "--timeout", "100"]).await {
            Err(reason) if Instant::now() > end || reason.contains("the node on") => {
                return Err(reason);
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            Ok(()) => return Ok(()),
        }
    }
}

async fn ctl(
    lab: &Lab,
    ends: &mut mpsc::Receiver<End>,
    host: &Host,
    words: &[&str],
) -> Result<(), String> {
    let mut argv = vec![CTL.to_owned()];
    argv.extend(words.iter().map(|w| (*w).to_owned()));
    let order = Order::Start {
        host: host.name.clone(),
        name: "ctl".to_owned(),
        argv,
        env: env(host),
        log: host.file("ctl.log"),
    };
    let what = format!("rabbitmqctl {} on host {}", words[0], host.name);
    lab.order(order).await.map_err(|e| format!("{what}: {e}"))?;
    let wait = async {
        while let Some((at, name, how)) = ends.recv().await {
            if at == host.name && name == "ctl" {
                return if how == "status 0" { Ok(()) } else { Err(how) };
            }
            if name == "broker" {
                return Err(format!("the node on host {at} ended with {how}"));
            }
        }
        Err("the laboratory has ended".to_owned())
    };
    let limit = Duration::from_secs(120);
    match tokio::time::timeout(limit, wait).await {
        Ok(result) => result.map_err(|how| format!("{what}: {how}")),
        Err(_) => Err(format!("{what}: no end after {limit:?}")),
    }
}
