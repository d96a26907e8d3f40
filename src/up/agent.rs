//! The process inside of a set of namespaces that carries out orders: one for
//! the laboratory (bridge, hosts, the way in), one for each host. Orders come
//! on standard input, reports go to standard output; when the input ends, or
//! the parent dies, everything inside ends too.

use super::gate;
use super::link;
use super::order::{HOST_ITSELF, Order, Report};
use super::space;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

/// Runs as `role`: `probe`, `lab`, `host` (which enter namespaces and start
/// their second stage) or `lab-inside`, `host-inside` (the first processes there).
pub fn role(role: &str, args: &[String]) -> ExitCode {
    let result = match role {
        "probe" => probe(),
        "lab" => outside("lab", "lab-inside", args, !nix::unistd::geteuid().is_root()),
        "host" => outside(
            args.first().map_or("host", |n| n),
            "host-inside",
            args,
            false,
        ),
        "lab-inside" | "host-inside" => inside(role == "lab-inside", args),
        other => Err(io::Error::other(format!("no role `{other}`"))),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn probe() -> io::Result<ExitCode> {
    space::enter("probe", !nix::unistd::geteuid().is_root())?;
    Ok(ExitCode::SUCCESS)
}

/// First stage: enters the namespaces and waits for the second, which is the
/// first process in the new process namespace.
fn outside(name: &str, next: &str, args: &[String], own_user: bool) -> io::Result<ExitCode> {
    space::die_with_parent()?;
    space::enter(name, own_user)?;
    let status = std::process::Command::new(std::env::current_exe()?)
        .args(["up", &format!("--role={next}")])
        .args(args)
        .status()?;
    Ok(ExitCode::from(status.code().unwrap_or(1) as u8))
}

fn inside(laboratory: bool, args: &[String]) -> io::Result<ExitCode> {
    space::die_with_parent()?;
    space::mount_proc()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        link::set_up("lo", true)?;
        if laboratory {
            link::bridge("br0")?;
            link::address("br0", "10.77.0.1/24")?;
        } else if let [_, address, ..] = args {
            eth0(address).await?;
        }
        let (reports, outgoing) = mpsc::channel(256);
        tokio::task::spawn_local(report(outgoing));
        let mut agent = Agent {
            laboratory,
            args: args.to_vec(),
            hosts: HashMap::new(),
            processes: HashMap::new(),
            reports,
        };
        agent.run().await
    })
}

/// Waits for the interface that the laboratory hands over, then sets it up.
async fn eth0(address: &str) -> io::Result<()> {
    for _ in 0..1000 {
        if link::index("eth0").is_ok() {
            link::set_up("eth0", true)?;
            return link::address("eth0", address);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(io::Error::other("eth0 did not come"))
}

/// A standard stream as a pipe for the runtime.
fn own_pipe(stream: impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

async fn report(mut outgoing: mpsc::Receiver<Report>) {
    let Ok(mut stdout) = own_pipe(std::io::stdout()).and_then(Sender::from_owned_fd) else {
        return;
    };
    while let Some(report) = outgoing.recv().await {
        let mut line = serde_json::to_vec(&report).unwrap_or_default();
        line.push(b'\n');
        if stdout.write_all(&line).await.is_err() || stdout.flush().await.is_err() {
            return;
        }
    }
}

/// A host's agent as the laboratory's sees it.
struct HostAgent {
    stdin: ChildStdin,
    answers: mpsc::Receiver<Report>,
    _child: Child,
}

struct Agent {
    laboratory: bool,
    args: Vec<String>,
    hosts: HashMap<String, HostAgent>,
    processes: HashMap<String, i32>,
    reports: mpsc::Sender<Report>,
}

impl Agent {
    async fn run(&mut self) -> io::Result<ExitCode> {
        let mut lines =
            BufReader::new(Receiver::from_owned_fd(own_pipe(std::io::stdin())?)?).lines();
        let mut count = 0;
        self.send(Report::Ready).await;
        if self.laboratory
            && let Some(path) = self.args.first()
        {
            gate::inside(path.into()).await?;
        }
        let mut reap = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                line = lines.next_line() => {
                    let Some(line) = line? else { return Ok(ExitCode::SUCCESS) };
                    let answer = match serde_json::from_str(&line) {
                        Ok(order) => self.order(order).await,
                        Err(error) => Err(io::Error::other(error)),
                    };
                    let report = match answer {
                        Ok(answer) => Report::Done { order: count, answer },
                        Err(error) => Report::Failed { order: count, reason: error.to_string() },
                    };
                    self.send(report).await;
                    count += 1;
                }
                _ = reap.tick() => self.reap_orphans(),
            }
        }
    }

    async fn send(&self, report: Report) {
        let _ = self.reports.send(report).await;
    }

    async fn order(&mut self, order: Order) -> io::Result<String> {
        let host = match &order {
            Order::Start { host, .. }
            | Order::Signal { host, .. }
            | Order::Addresses { host }
            | Order::Overlay { host, .. } => host.clone(),
            _ => String::new(),
        };
        if self.laboratory && !host.is_empty() {
            return self.pass_on(&host, &order).await;
        }
        match order {
            Order::Host { name, address } => {
                self.host(&name, &address).await.map(|()| String::new())
            }
            Order::Start {
                name,
                argv,
                env,
                log,
                host,
            } => self
                .start(host, name, &argv, env, &log)
                .map(|pid| pid.to_string()),
            Order::Signal {
                name, signal, tree, ..
            } => self.signal(&name, signal, tree).map(|()| String::new()),
            Order::Cut { host, cut } => {
                let bridge = (!cut).then_some("br0");
                link::master(&port(&host), bridge)?;
                Ok(String::new())
            }
            Order::Apart { host, apart } => {
                link::apart(&port(&host), apart)?;
                Ok(String::new())
            }
            Order::Addresses { .. } => link::addresses("eth0"),
            Order::Overlay { from, over, .. } => {
                space::overlay(&from, &over).map(|()| String::new())
            }
        }
    }

    async fn pass_on(&mut self, host: &str, order: &Order) -> io::Result<String> {
        let unknown = || io::Error::other(format!("no host `{host}`"));
        let agent = self.hosts.get_mut(host).ok_or_else(unknown)?;
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        agent.stdin.write_all(&line).await?;
        match agent.answers.recv().await {
            Some(Report::Done { answer, .. }) => Ok(answer),
            Some(Report::Failed { reason, .. }) => Err(io::Error::other(reason)),
            _ => Err(io::Error::other(format!("host {host} has ended"))),
        }
    }

    async fn host(&mut self, name: &str, address: &str) -> io::Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["up", "--role=host", name, address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other(format!("host {name} did not start"));
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let pid = child.id().ok_or_else(gone)?;
        self.wait_for_namespace(pid).await?;
        link::pair(&port(name), "br0", pid)?;
        let (answer, mut answers) = mpsc::channel(16);
        let reports = self.reports.clone();
        let host = name.to_owned();
        tokio::task::spawn_local(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(Report::Exit { name, how, .. }) => {
                        let host = host.clone();
                        let _ = reports.send(Report::Exit { host, name, how }).await;
                    }
                    Ok(report) => drop(answer.send(report).await),
                    Err(_) => return,
                }
            }
            let (name, how) = (HOST_ITSELF.to_owned(), "its process is gone".to_owned());
            let _ = reports.send(Report::Exit { host, name, how }).await;
        });
        match answers.recv().await {
            Some(Report::Ready) => {}
            _ => return Err(gone()),
        }
        let agent = HostAgent {
            stdin,
            answers,
            _child: child,
        };
        self.hosts.insert(name.to_owned(), agent);
        Ok(())
    }

    /// Until the child has left this network namespace.
    async fn wait_for_namespace(&self, pid: u32) -> io::Result<()> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        for _ in 0..1000 {
            let its = std::fs::read_link(format!("/proc/{pid}/ns/net"))?;
            if its != own {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(io::Error::other("the host did not enter its namespaces"))
    }

    fn start(
        &mut self,
        host: String,
        name: String,
        argv: &[String],
        env: Vec<(String, String)>,
        log: &str,
    ) -> io::Result<i32> {
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| io::Error::other("nothing to start"))?;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let mut child = Command::new(program)
            .args(args)
            .envs(env)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| io::Error::other(format!("{program}: {error}")))?;
        let pid = child.id().map_or(0, |id| id as i32);
        self.processes.insert(name.clone(), pid);
        let reports = self.reports.clone();
        tokio::task::spawn_local(async move {
            let how = match child.wait().await {
                Ok(status) => in_words(status),
                Err(error) => error.to_string(),
            };
            let _ = reports.send(Report::Exit { host, name, how }).await;
        });
        Ok(pid)
    }

    fn signal(&self, name: &str, signal: i32, tree: bool) -> io::Result<()> {
        let pid = *self
            .processes
            .get(name)
            .ok_or_else(|| io::Error::other(format!("no process `{name}`")))?;
        let signal = Signal::try_from(signal)?;
        let mut all = vec![pid];
        if tree {
            all.extend(descendants(pid));
        }
        for pid in all {
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The first process of a namespace inherits orphans; nobody else collects them.
    fn reap_orphans(&self) {
        let known: Vec<i32> = self.processes.values().copied().collect();
        for (pid, parent, state) in processes() {
            if parent == 1 && state == 'Z' && !known.contains(&pid) {
                let flags = nix::sys::wait::WaitPidFlag::WNOHANG;
                let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(flags));
            }
        }
    }
}

fn port(host: &str) -> String {
    format!("p-{host}")
}

fn in_words(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Pid, parent and state of every process that this namespace shows.
fn processes() -> Vec<(i32, i32, char)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        Some((pid, parent, state))
    })
    .collect()
}

fn descendants(of: i32) -> Vec<i32> {
    let all = processes();
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        let children = all.iter().filter(|(_, p, _)| *p == parent);
        found.extend(children.map(|(pid, ..)| *pid));
        at += 1;
    }
    found.remove(0);
    found
}
