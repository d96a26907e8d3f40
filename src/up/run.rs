//! One `up` from start to end.

use super::action;
use super::clients::Clients;
use super::ending::Ending;
use super::gate::{self, Door};
use super::lab::{End, Lab};
use super::options::Options;
use super::order::Order;
use super::plan::{Host, Plan, VIP};
use super::rolling::Rolling;
use super::state::{self, StateDir};
use super::{local, rabbit, space, watch};
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
    let plan = Plan::new(&options, &dir);
    for entry in &options.at {
        let (_, words) = action::timed(entry)?;
        action::parse(&words, &plan).map_err(|e| format!("--at {entry}: {e}"))?;
    }
    prerequisites(&options)?;
    let mut ending = Ending::new()?;
    let mut state = StateDir::take(&dir)?;
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
        started: Instant::now(),
        programs: HashMap::new(),
        clients: Clients::default(),
        demoted: Default::default(),
        rolling: None,
    };
    let lab = up.lab.clone();
    let started = tokio::select! {
        biased;
        () = ending.told() => None,
        started = up.start() => Some(started),
    };
    let outcome = match started {
        None => Ok(interrupted(&ending)),
        Some(Ok(())) => up.serve(doors, &mut ending).await,
        Some(Err(reason)) => {
            state.keep();
            let logs = up.last_lines();
            Err(format!("{reason}{logs}\nthe logs are in {}", dir.display()))
        }
    };
    // before its files go: who still lives may write some anew
    lab.end().await;
    outcome
}

/// Told to end before it was ready: what was made so far goes with its owners.
pub(super) fn interrupted(ending: &Ending) -> ExitCode {
    if !ending.hung_up {
        eprintln!("evenkeel up: told to end before it was ready");
    }
    ExitCode::from(COULD_NOT_START)
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
    pub(super) started: Instant,
    programs: HashMap<String, Vec<(String, Order)>>,
    pub(super) clients: Clients,
    /// Proxy hosts that gave the address away until they are healed.
    pub(super) demoted: HashSet<String>,
    /// A rolling restart under way.
    pub(super) rolling: Option<Rolling>,
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
            println!(
                "starting three RabbitMQ nodes and making a cluster of them, which takes about a minute ..."
            );
            rabbit::prepare(&self.plan, &self.lab).await?;
        }
        for host in &hosts {
            let orders = self.orders(host)?;
            self.programs.insert(host.name.clone(), orders);
        }
        for host in self.plan.brokers.clone() {
            self.start_host(&host.name).await?;
        }
        if self.options.with_rabbitmq {
            rabbit::join(&self.plan, &self.lab, &mut self.ends).await?;
        }
        self.start_proxies().await
    }

    /// Brokers answer before balancers check them, and balancers before their VRRP daemons look
    /// at them: whoever becomes master then has no reason to give the role away again.
    async fn start_proxies(&mut self) -> Result<(), String> {
        let limit = Duration::from_secs(30);
        let plan = self.plan.clone();
        for broker in &plan.brokers {
            let at = SocketAddr::from((broker.address, 5672));
            let what = format!("the broker on host {}", broker.name);
            self.wait_for(limit, &what, async || answers_amqp(&plan, at).await)
                .await?;
        }
        for host in &plan.proxies {
            self.start_programs(&host.name, Some("lb")).await?;
        }
        for host in &plan.proxies {
            let what = format!("the balancer on host {}", host.name);
            let socket = host.file("lb.sock");
            self.wait_for(limit, &what, async || {
                tokio::net::UnixStream::connect(&socket).await.is_ok()
            })
            .await?;
        }
        for host in self
            .plan
            .hosts()
            .map(|h| h.name.clone())
            .collect::<Vec<_>>()
        {
            self.start_host(&host).await?;
        }
        let lab = self.lab.clone();
        let what = format!("the virtual address {VIP}:5672");
        self.wait_for(limit, &what, async || {
            answers_amqp(&plan, plan.at_vip(5672)).await
                && watch::look(&lab, &plan).await.is_settled()
        })
        .await
    }

    /// What runs on a host and does not run now.
    pub(super) async fn start_host(&mut self, host: &str) -> Result<(), String> {
        self.start_programs(host, None).await
    }

    async fn start_programs(&mut self, host: &str, only: Option<&str>) -> Result<(), String> {
        let orders = self.programs.get(host).cloned().unwrap_or_default();
        for (name, order) in orders {
            if only.is_some_and(|only| only != name) {
                continue;
            }
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

    /// Until `so` holds; fails when a daemon ends before.
    async fn wait_for(
        &mut self,
        limit: Duration,
        what: &str,
        so: impl AsyncFn() -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + limit;
        loop {
            if let Ok((host, name, how)) = self.ends.try_recv() {
                return Err(format!(
                    "{name} on host {host} ended with {how} before it was ready"
                ));
            }
            if so().await {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{what} is not ready after {limit:?}"));
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

/// Whether a client at this address gets `connection.start`.
async fn answers_amqp(plan: &Plan, at: SocketAddr) -> bool {
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
