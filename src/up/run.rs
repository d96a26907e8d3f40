//! One `up` from start to end.

use super::action::{self, Action};

use super::clients::Clients;
use super::gate::Door;
use super::lab::{End, Lab};
use super::options::Options;
use super::order::Order;
use super::plan::{Host, Plan, VIP};
use super::state::{self, StateDir};
use super::traffic::{self, Ledger};
use super::view::{Event, View};
use super::watch::{self, Status};
use super::{local, rabbit, space};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch as signal};

/// Exit status when it could not start.
const COULD_NOT_START: u8 = 2;
/// How long the end waits for messages that are confirmed and not delivered.
const DRAIN: Duration = Duration::from_secs(25);
/// Exit status when the ledger is broken.
const LEDGER_BROKEN: u8 = 1;

/// A request by a key, by `--at`, or from another shell, and where its answer goes.
pub struct Request {
    /// What to do.
    pub words: Vec<String>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<String>,
}

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
    ends: mpsc::Receiver<End>,
    pub(super) running: HashMap<(String, String), bool>,
    pub(super) expected: Vec<(String, String)>,
    events: Vec<Event>,
    started: Instant,
    programs: HashMap<String, Vec<(String, Order)>>,
    clients: Clients,
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

    fn say(&mut self, view: &mut View, text: impl Into<String>) {
        let event = Event {
            at: self.started.elapsed(),
            text: text.into(),
        };
        view.event(&event);
        self.events.push(event);
        if self.events.len() > 10_000 {
            self.events.drain(..5_000);
        }
    }

    /// The picture until its end; the exit status.
    async fn serve(&mut self, doors: Vec<Door>) -> Result<ExitCode, String> {
        let ports: Vec<u16> = doors.iter().map(|d| d.port).collect();
        for door in doors {
            door.serve(self.plan.gate.clone());
        }
        let (requests, mut asked) = mpsc::channel(16);
        let mut view = View::open(self.options.plain, &self.plan, &requests)?;
        let ready = self.started.elapsed();
        view.ready(&ports, ready, &self.plan);
        self.say(
            &mut view,
            format!("ready after {:.1} s", ready.as_secs_f64()),
        );
        self.listen(requests.clone())?;
        self.timetable(&requests)?;
        let ledger = self
            .options
            .traffic
            .then(|| Rc::new(RefCell::new(Ledger::new())));
        let (stop, stopped) = signal::channel(false);
        let mut traffic = ledger.as_ref().map(|ledger| {
            let target = traffic::Target {
                gate: self.plan.gate.clone(),
                address: self.plan.at_vip(5672),
                rate: self.options.rate,
            };
            tokio::task::spawn_local(traffic::run(target, ledger.clone(), stopped))
        });
        for command in self.options.clients.clone() {
            self.clients.start(&self.lab, &self.plan, &command).await?;
        }
        let deadline = self.options.run_for.map(|time| Instant::now() + time);
        self.watch(&mut view, &mut asked, deadline, ledger.as_ref())
            .await?;
        let _ = stop.send(true);
        view.close();
        if let (Some(ledger), Some(traffic)) = (&ledger, &mut traffic) {
            ledger.borrow_mut().stop_clocks();
            drain(ledger, traffic).await?;
        }
        self.clients.print();
        let status = self.summary(ledger.map(|l| l.borrow().balance()));
        Ok(if self.clients.failed() {
            ExitCode::from(LEDGER_BROKEN)
        } else {
            status
        })
    }

    async fn watch(
        &mut self,
        view: &mut View,
        asked: &mut mpsc::Receiver<Request>,
        deadline: Option<Instant>,
        ledger: Option<&Rc<RefCell<Ledger>>>,
    ) -> Result<(), String> {
        let mut interrupt =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
                .map_err(|e| e.to_string())?;
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|e| e.to_string())?;
        let mut looks = looks(self.lab.clone(), self.plan.clone());
        let mut status = Status::default();
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        let deadline = tokio::time::Instant::from_std(deadline.unwrap_or(far));
        let mut redraw = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
                Some((host, name, how)) = self.ends.recv() => {
                    if self.clients.ended(&name, &how) {
                        self.say(view, format!("client {name} ended ({how})"));
                        if self.clients.all_ended() {
                            return Ok(());
                        }
                    } else {
                        self.ended(view, host, name, &how);
                    }
                }
                Some(request) = asked.recv() => {
                    if self.asked(view, request, &status, ledger).await {
                        return Ok(());
                    }
                }
                Some(new) = looks.recv() => {
                    self.compare(view, &status, &new);
                    status = new;
                }
                _ = redraw.tick() => {
                    let balance = ledger.map(|l| l.borrow().balance());
                    view.draw(&status, balance.as_ref(), self.started.elapsed());
                }
            }
        }
    }

    fn ended(&mut self, view: &mut View, host: String, name: String, how: &str) {
        let key = (host, name);
        self.running.insert(key.clone(), false);
        let (host, name) = &key;
        if let Some(at) = self.expected.iter().position(|e| *e == key) {
            self.expected.swap_remove(at);
            self.say(
                view,
                format!("{name} on {} ended ({how})", host.to_uppercase()),
            );
        } else {
            self.say(
                view,
                format!("{name} on {} ended by itself ({how})", host.to_uppercase()),
            );
        }
    }

    /// Tells what changed between two looks.
    fn compare(&mut self, view: &mut View, old: &Status, new: &Status) {
        let names = |s: &Status| {
            let list = s.masters().join(" and ").to_uppercase();
            if list.is_empty() {
                "nobody".to_owned()
            } else {
                list
            }
        };
        if old.masters() != new.masters() {
            let text = format!("{VIP} is held by {} (before: {})", names(new), names(old));
            self.say(view, text);
        }
        for (before, after) in old.brokers.iter().zip(&new.brokers) {
            if before.up != after.up {
                let word = if after.up {
                    "answers"
                } else {
                    "does not answer"
                };
                self.say(view, format!("broker {} {word}", after.name.to_uppercase()));
            }
        }
        for (before, after) in old.proxies.iter().zip(&new.proxies) {
            for (was, is) in before.servers.iter().zip(&after.servers) {
                if was.status != is.status {
                    let (proxy, server) = (after.name.to_uppercase(), is.name.to_uppercase());
                    let text = format!("{proxy} sees {server} {} ({})", is.status, is.check);
                    self.say(view, text);
                }
            }
        }
    }

    /// Answers a request; true when it asks for the end.
    async fn asked(
        &mut self,
        view: &mut View,
        request: Request,
        status: &Status,
        ledger: Option<&Rc<RefCell<Ledger>>>,
    ) -> bool {
        let plan = self.plan.clone();
        let known = |name: &str| {
            let numbered = format!("n{name}");
            plan.host(name)
                .or_else(|| plan.host(&numbered))
                .map(|h| h.name.clone())
        };
        let action = match action::parse(&request.words, known) {
            Ok(action) => action,
            Err(reason) => {
                let _ = request.answer.send(format!("error: {reason}\n"));
                return false;
            }
        };
        if action == Action::Status {
            let balance = ledger.map(|l| l.borrow().balance());
            let text = super::view::status_text(status, balance.as_ref());
            let _ = request.answer.send(text);
            return false;
        }
        if action != Action::Quit {
            self.say(view, format!("action: {}", request.words.join(" ")));
        }
        let answer = match self.perform(&action, status).await {
            Ok(()) => "done\n".to_owned(),
            Err(reason) => format!("error: {reason}\n"),
        };
        if answer.starts_with("error") {
            self.say(view, answer.trim().to_owned());
        }
        let _ = request.answer.send(answer);
        action == Action::Quit
    }

    /// Requests from other shells.
    fn listen(&self, requests: mpsc::Sender<Request>) -> Result<(), String> {
        let path = self.plan.gate.with_file_name("up.sock");
        let listener = UnixListener::bind(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(one_request(stream, requests.clone()));
            }
        });
        Ok(())
    }

    /// Requests by `--at`.
    fn timetable(&self, requests: &mpsc::Sender<Request>) -> Result<(), String> {
        for entry in &self.options.at {
            let (time, words) = action::timed(entry)?;
            let requests = requests.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(time).await;
                let (answer, _ignored) = oneshot::channel();
                let _ = requests.send(Request { words, answer }).await;
            });
        }
        Ok(())
    }

    fn summary(&self, balance: Option<traffic::ledger::Balance>) -> ExitCode {
        let Some(balance) = balance else {
            println!("ended after {:.1} s", self.started.elapsed().as_secs_f64());
            return ExitCode::SUCCESS;
        };
        println!("ledger: {balance}");
        if balance.is_whole() {
            println!("every confirmed message was delivered; every duplicate carried its flag");
            return ExitCode::SUCCESS;
        }
        println!("the ledger is BROKEN");
        ExitCode::from(LEDGER_BROKEN)
    }
}

/// Waits until what is confirmed is delivered too, for a while, or until
/// somebody does not want to wait.
async fn drain(
    ledger: &Rc<RefCell<Ledger>>,
    traffic: &mut tokio::task::JoinHandle<()>,
) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let soon = tokio::time::timeout(Duration::from_secs(1), &mut *traffic);
    if soon.await.is_ok() {
        return Ok(());
    }
    let waiting = ledger.borrow().balance().lost;
    let limit = DRAIN.as_secs();
    println!(
        "waiting up to {limit} s for {waiting} confirmed messages to be delivered; Ctrl-C ends at once"
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = tokio::time::timeout(DRAIN, traffic) => {}
    }
    Ok(())
}

/// A look at everything, again and again.
fn looks(lab: Rc<Lab>, plan: Plan) -> mpsc::Receiver<Status> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        loop {
            let status = watch::look(&lab, &plan).await;
            if sender.send(status).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    receiver
}

async fn one_request(stream: UnixStream, requests: mpsc::Sender<Request>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let words = line.split_whitespace().map(str::to_owned).collect();
    let (answer, answered) = oneshot::channel();
    if requests.send(Request { words, answer }).await.is_err() {
        return;
    }
    if let Ok(text) = answered.await {
        let _ = stream.write_all(text.as_bytes()).await;
    }
}

/// Whether a client at the virtual address gets `connection.start`.
async fn answers_amqp(plan: &Plan) -> bool {
    let at: SocketAddr = plan.at_vip(5672);
    let try_it = async {
        let mut stream = super::gate::connect(&plan.gate, at).await.ok()?;
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
