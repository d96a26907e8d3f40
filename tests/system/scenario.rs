//! The scenarios: what breaks when, and running one against our proxies or
//! against haproxy and keepalived. Shared by the tests and the benchmark.
#![allow(dead_code)]

use crate::peers;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which programs stand on the proxy hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// `evenkeel lb` and `evenkeel vip`.
    Ours,
    /// haproxy and keepalived.
    Peers,
}

/// Which brokers stand behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brokers {
    /// One node of ours.
    Ours,
    /// A real RabbitMQ cluster of three with mirrored queues.
    Rabbit,
}

/// Who decides how long a client's gap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// How fast the proxies act.
    Proxy,
    /// How fast a broker or its cluster acts.
    Broker,
    /// Nothing is decided.
    Nobody,
}

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens, for the report.
    pub what: &'static str,
    /// The brokers it needs.
    pub brokers: Brokers,
    /// Actions for `evenkeel up --at`; times after ready.
    pub actions: &'static [&'static str],
    /// How long the clients publish, in seconds.
    pub seconds: u32,
    /// Who decides the gap.
    pub decider: Decider,
}

/// All scenarios in the order of the report.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "calm",
        what: "nothing happens",
        brokers: Brokers::Ours,
        actions: &[],
        seconds: 4,
        decider: Decider::Nobody,
    },
    Scenario {
        name: "proxy-host-dies",
        what: "the active proxy host dies, later it returns",
        brokers: Brokers::Ours,
        actions: &["2500ms:kill-proxy a", "5500ms:heal"],
        seconds: 8,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "balancer-dies",
        what: "the active host's balancer is killed, later it returns",
        brokers: Brokers::Ours,
        actions: &["2500ms:kill-lb a", "6s:heal"],
        seconds: 8,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "balancer-hangs",
        what: "the active host's balancer hangs, later it goes on",
        brokers: Brokers::Ours,
        actions: &["2500ms:hang-lb a", "7s:heal"],
        seconds: 10,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "vrrp-dies",
        what: "every process of the active host's VRRP daemon is killed, later it returns",
        brokers: Brokers::Ours,
        actions: &["2500ms:kill-vip a", "5500ms:heal"],
        seconds: 8,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "vrrp-hangs",
        what: "the active host's VRRP daemon hangs, later it goes on",
        brokers: Brokers::Ours,
        actions: &["2500ms:hang-vip a", "5500ms:heal"],
        seconds: 8,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "link-cut",
        what: "the active host's link goes silent and comes back",
        brokers: Brokers::Ours,
        actions: &["2500ms:cut a", "6s:heal"],
        seconds: 11,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "partition",
        what: "the proxy hosts do not hear each other, everybody else hears both; then they do again",
        brokers: Brokers::Ours,
        actions: &["2500ms:partition", "5500ms:heal"],
        seconds: 9,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "both-in-turn",
        what: "host A dies and returns, then host B",
        brokers: Brokers::Ours,
        actions: &[
            "2500ms:kill-proxy a",
            "5s:heal",
            "7500ms:kill-proxy b",
            "10s:heal",
        ],
        seconds: 12,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "reload",
        what: "both proxies reload three times with live sessions",
        brokers: Brokers::Ours,
        actions: &["2s:reload", "3500ms:reload", "5s:reload"],
        seconds: 7,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "planned-switch",
        what: "the master gives the address away and takes it back (keepalived: it is stopped and started)",
        brokers: Brokers::Ours,
        actions: &["2500ms:demote", "5500ms:heal"],
        seconds: 8,
        decider: Decider::Proxy,
    },
    Scenario {
        name: "broker-restarts",
        what: "our broker is killed and started again",
        brokers: Brokers::Ours,
        actions: &["2500ms:kill-node n1", "3500ms:start-node n1"],
        seconds: 8,
        decider: Decider::Broker,
    },
    Scenario {
        name: "rabbit-killed",
        what: "a RabbitMQ node is killed and started again",
        brokers: Brokers::Rabbit,
        actions: &["3s:kill-node n2", "6s:start-node n2"],
        seconds: 14,
        decider: Decider::Broker,
    },
    Scenario {
        name: "rabbit-hung",
        what: "a RabbitMQ node hangs and goes on",
        brokers: Brokers::Rabbit,
        actions: &["3s:hang n3", "9s:heal n3"],
        seconds: 14,
        decider: Decider::Broker,
    },
    Scenario {
        name: "rabbit-rolling",
        what: "the RabbitMQ nodes are stopped and started one after the other",
        brokers: Brokers::Rabbit,
        actions: &["3s:roll"],
        seconds: 70,
        decider: Decider::Broker,
    },
    Scenario {
        name: "proxy-and-rabbit-at-once",
        what: "the active proxy host and a RabbitMQ node die in the same second",
        brokers: Brokers::Rabbit,
        actions: &["3s:kill-proxy a", "3s:kill-node n2"],
        seconds: 9,
        decider: Decider::Broker,
    },
];

/// The frame of a random soak; see [`random_actions`].
pub const SOAK: Scenario = Scenario {
    name: "soak",
    what: "one thing after the other breaks at random and is mended",
    brokers: Brokers::Ours,
    actions: &[],
    seconds: 0,
    decider: Decider::Nobody,
};

/// Something breaks every six to nine seconds and is mended three seconds
/// later; the same seed gives the same schedule.
pub fn random_actions(seed: u64, seconds: u32) -> Vec<String> {
    const FAULTS: &[&str] = &[
        "kill-proxy a",
        "kill-proxy b",
        "kill-lb a",
        "kill-lb b",
        "kill-vip a",
        "kill-vip b",
        "hang-vip a",
        "hang-vip b",
        "partition",
        "cut a",
        "cut b",
        "demote",
        "reload",
        "kill-node n1",
    ];
    let mut state = seed;
    let mut next = |bound: u64| {
        // SplitMix64: small, and the same everywhere.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    };
    let mut actions = Vec::new();
    let mut at_ms = 2000;
    while at_ms + 6000 < u64::from(seconds) * 1000 {
        let fault = FAULTS[next(FAULTS.len() as u64) as usize];
        actions.push(format!("{at_ms}ms:{fault}"));
        actions.push(format!("{}ms:heal", at_ms + 3000));
        at_ms += 6000 + next(3000);
    }
    actions
}

/// What a client's ledger says.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// `pika` or `java`.
    pub client: String,
    /// Confirmed messages.
    pub confirmed: u64,
    /// Confirmed and never delivered.
    pub lost: u64,
    /// Delivered again.
    pub duplicates: u64,
    /// Of these, without the flag.
    pub unflagged: u64,
    /// Connections that had to be opened again.
    pub reconnects: u64,
    /// Of these, connections that worked and that the far side ended; the others are the client's
    /// own impatience.
    pub sessions_lost: u64,
    /// Longest gap of publishing or consuming, milliseconds.
    pub gap_ms: u64,
}

/// Everything of one run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One set of books per client.
    pub books: Vec<Books>,
    /// What `up` printed.
    pub output: String,
    /// Whether it ended with status 0.
    pub good: bool,
}

impl Outcome {
    /// The longest gap of any client, milliseconds.
    pub fn gap_ms(&self) -> u64 {
        self.books.iter().map(|b| b.gap_ms).max().unwrap_or(0)
    }
}

/// Runs a scenario with a pika and, where it was compiled, a Java client.
pub fn run(scenario: &Scenario, proxies: Proxies, binary: &Path) -> Outcome {
    let actions: Vec<String> = scenario.actions.iter().map(|a| (*a).to_owned()).collect();
    run_with(scenario, &actions, proxies, binary)
}

/// As [`run`], with other actions than the scenario's own.
pub fn run_with(
    scenario: &Scenario,
    actions: &[String],
    proxies: Proxies,
    binary: &Path,
) -> Outcome {
    let state = std::env::temp_dir().join(format!(
        "evenkeel-system-{}-{proxies:?}-{}",
        scenario.name,
        std::process::id()
    ));
    let mut command = Command::new(binary);
    command
        .args(["up", "--plain", "--state-dir"])
        .arg(&state)
        .args([
            "--amqp-port",
            "0",
            "--stats-port",
            "0",
            "--management-port",
            "0",
        ])
        .stdin(Stdio::null());
    if proxies == Proxies::Peers {
        command.arg("--peers");
    }
    if scenario.brokers == Brokers::Rabbit {
        command.arg("--with-rabbitmq");
    }
    for action in actions {
        command.args(["--at", action]);
    }
    for client in clients(scenario.seconds) {
        command.args(["--client", &client]);
    }
    let output = command.output().expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Outcome {
        books: text.lines().filter_map(books).collect(),
        good: output.status.success(),
        output: text,
    }
}

/// The commands of the clients; only those that are installed.
fn clients(seconds: u32) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = peers::python();
    let ledger = root.join("tests/system/ledger.py");
    let mut commands = vec![format!("{python} {} {seconds}", ledger.display())];
    commands.extend(java(&root, seconds));
    commands
}

/// Compiles the Java ledger once and gives its command.
fn java(root: &Path, seconds: u32) -> Option<String> {
    static COMPILED: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    let jars = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar";
    let classes = COMPILED.get_or_init(|| {
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger");
        std::fs::create_dir_all(&classes).ok()?;
        let source = root.join("tests/system/Ledger.java");
        let status = Command::new("javac")
            .args(["-cp", jars, "-d"])
            .arg(&classes)
            .arg(source)
            .status()
            .ok()?;
        status.success().then_some(classes)
    });
    let classes = classes.as_ref()?;
    Some(format!(
        "java -Xmx128m -cp {jars}:{} Ledger {seconds}",
        classes.display()
    ))
}

fn books(line: &str) -> Option<Books> {
    let json = &line[line.find("{\"client\"")?..];
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let number = |name: &str| value[name].as_u64().unwrap_or(0);
    Some(Books {
        client: value["client"].as_str()?.to_owned(),
        confirmed: number("confirmed"),
        lost: number("lost"),
        duplicates: number("duplicates"),
        unflagged: number("unflagged"),
        reconnects: number("reconnects"),
        sessions_lost: number("sessions_lost"),
        gap_ms: number("publish_gap_ms").max(number("consume_gap_ms")),
    })
}
