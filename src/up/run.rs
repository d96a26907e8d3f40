//! One `up` from start to end.

use super::action;
use super::clients::Clients;
use super::gate::{self, Door};
use super::lab::{End, Lab};
use super::options::Options;
use super::order::Order;
use super::plan::{Host, Plan, VIP};
use super::state::{self, StateDir};
use super::view::Event;
use super::{local, rabbit, space};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// Exit status when it could not start.
const COULD_NOT_START: u8 = 2;

/// `evenkeel up` with these options.
pub fn command(options: Options) -> ExitCode {
    let dir = options
        .state_dir
        .clone()
        .unwrap_or_else(state::default_path);
    if let Some(words) = &options.action {
        return action::ask(&dir, words);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let set = tokio::task::LocalSet::new();
            let result = set.block_on(&runtime, whole(options, dir));
            drop(set);
            runtime.shutdown_timeout(Duration::from_millis(100));
            result
        }
        Err(error) => Err(error.to_string()),
    };
    result.unwrap_or_else(|reason| {
        eprintln!("evenkeel up: {reason}");
        ExitCode::from(COULD_NOT_START)
    })
}

async fn whole(options: Options, dir: PathBuf) -> Result<ExitCode, String> {
    if options.no_vip {
        return local::run(&options, &dir).await;
    }
    prerequisites(&options)?;
    let mut state = StateDir::take(&dir)?;
    let plan = Plan::new(&options, &dir);
    let doors = doors(&options, &plan).await?;
    plan.write()
        .map_err(|e| format!("cannot write to {}: {e}", dir.display()))?;
    let (lab, ends) = Lab::start(&plan.gate)
        .await
        .map_err(|e| format!("cannot make the network namespaces: {e}"))?;
    let mut up = Up {
        options,
        plan,
        lab: Rc::new(lab),
        ends,
        running: HashMap::new(),
        expected: Vec::new(),
        events: Vec::new(),
        started: Instant::now(),
        programs: HashMap::new(),
        clients: Clients::default(),
        demoted: Default::default(),
    };
    match up.start().await {
        Ok(()) => up.serve(doors).await,
        Err(reason) => {
            state.keep();
            let logs = up.last_lines();
            Err(format!("{reason}{logs}\nthe logs are in {}", dir.display()))
        }
    }
}

fn prerequisites(options: &Options) -> Result<(), String> {
    let root = nix::unistd::geteuid().is_root();
    let needs_root = [
        (options.with_rabbitmq, "--with-rabbitmq"),
        (options.peers, "--peers"),
    ];
    for (wanted, option) in needs_root {
        if wanted && !root {
            return Err(format!("{option} needs root: sudo evenkeel up {option}"));
        }
    }
    if options.with_rabbitmq {
        rabbit::installed()?;
    }
    if options.peers {
        for program in ["/usr/sbin/haproxy", "/usr/sbin/keepalived"] {
            if !std::path::Path::new(program).exists() {
                return Err(format!(
                    "{program} is missing: apt-get install --no-install-recommends haproxy keepalived"
                ));
            }
        }
    }
    space::possible()?;
    if !root {
        println!("note: without root, uid, gid and script_user lines have no effect");
    }
    Ok(())
}

async fn doors(options: &Options, plan: &Plan) -> Result<Vec<Door>, String> {
    let wanted = [
        ("--amqp-port", options.amqp_port, 5672),
        ("--stats-port", options.stats_port, 8100),
        ("--management-port", options.management_port, 15672),
    ];
    let mut doors = Vec::new();
    let mut problems = Vec::new();
    for (option, port, inside) in wanted {
        match Door::open(option, port, plan.at_vip(inside)).await {
            Ok(door) => doors.push(door),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(doors);
    }
    Err(problems.join("\nevenkeel up: "))
}

/// The running picture.
pub struct Up {
    pub(super) options: Options,
    pub(super) plan: Plan,
    pub(super) lab: Rc<Lab>,
    pub(super) ends: mpsc::Receiver<End>,
    pub(super) running: HashMap<(String, String), bool>,
    pub(super) expected: Vec<(String, String)>,
    pub(super) events: Vec<Event>,
    pub(super) started: Instant,
    programs: HashMap<String, Vec<(String, Order)>>,
    pub(super) clients: Clients,
    /// Proxy hosts that gave the address away until they are healed.
    pub(super) demoted: HashSet<String>,
}

impl Up {
    pub(super) async fn order(&self, order: Order) -> Result<String, String> {
        self.lab.order(order).await
    }

    async fn start(&mut self) -> Result<(), String> {
        let hosts: Vec<Host> = self.plan.hosts().cloned().collect();
        for host in &hosts {
            let order = Order::Host {
                name: host.name.clone(),
                address: host.cidr(),
            };
            let made = self.order(order).await;
            made.map_err(|e| format!("cannot make host {}: {e}", host.name))?;
        }
        if self.options.with_rabbitmq {
            rabbit::prepare(&self.plan, &self.lab).await?;
        }
        for host in &hosts {
            let orders = self.orders(host)?;
            self.programs.insert(host.name.clone(), orders);
            self.start_host(&host.name).await?;
        }
        if self.options.with_rabbitmq {
            rabbit::join(&self.plan, &self.lab, &mut self.ends).await?;
        }
        let limit = Duration::from_secs(if self.options.with_rabbitmq { 120 } else { 30 });
        self.wait_ready(limit).await
    }

    pub(super) async fn start_host(&mut self, host: &str) -> Result<(), String> {
        let orders = self.programs.get(host).cloned().unwrap_or_default();
        for (name, order) in orders {
            let key = (host.to_owned(), name);
            if self.running.get(&key) == Some(&true) {
                continue;
            }
            let started = self.lab.order(order).await;
            started.map_err(|e| format!("cannot start {} on host {host}: {e}", key.1))?;
            self.running.insert(key, true);
        }
        Ok(())
    }

    /// Until the virtual address answers AMQP; fails when a daemon ends before.
    async fn wait_ready(&mut self, limit: Duration) -> Result<(), String> {
        let end = Instant::now() + limit;
        loop {
            if let Ok((host, name, how)) = self.ends.try_recv() {
                return Err(format!(
                    "{name} on host {host} ended with {how} before it was ready"
                ));
            }
            if answers_amqp(&self.plan).await {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!(
                    "the virtual address {VIP}:5672 does not answer AMQP after {limit:?}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines of the logs, for a failed start.
    fn last_lines(&self) -> String {
        let mut out = String::new();
        for host in self.plan.hosts() {
            for name in ["lb", "vip", "broker"] {
                let text = std::fs::read_to_string(host.file(&format!("{name}.log")));
                let text = text.unwrap_or_default();
                let lines: Vec<_> = text.lines().rev().take(5).collect();
                for line in lines.iter().rev() {
                    out.push_str(&format!("\n  {}/{name}: {line}", host.name));
                }
            }
        }
        out
    }
}

/// Whether a client at the virtual address gets `connection.start`.
async fn answers_amqp(plan: &Plan) -> bool {
    let at: SocketAddr = plan.at_vip(5672);
    let try_it = async {
        let mut stream = gate::connect(&plan.gate, at).await.ok()?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await.ok()?;
        let mut first = [0u8; 1];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first)
            .await
            .ok()?;
        (first[0] == 1).then_some(())
    };
    let limit = Duration::from_millis(1000);
    matches!(tokio::time::timeout(limit, try_it).await, Ok(Some(())))
}
