//! `--no-vip`: one balancer and one broker on loopback, without namespaces.

use super::ending::Ending;
use super::gate;
use super::options::Options;
use super::run::interrupted;
use super::state::StateDir;
use super::traffic::{self, Traffic};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Runs until a signal, the end of `--for`, or the end of a daemon.
pub async fn run(options: &Options, dir: &Path) -> Result<ExitCode, String> {
    if !options.at.is_empty() || !options.clients.is_empty() {
        return Err("--at and --client need the virtual address; leave --no-vip out".to_owned());
    }
    let mut ending = Ending::new()?;
    let mut state = StateDir::take(dir)?;
    let started = Instant::now();
    let ports = Ports::choose(options).await?;
    let file = |name: &str| dir.join(name).display().to_string();
    let text = configuration(&ports, &file("lb.sock"));
    std::fs::write(dir.join("haproxy.cfg"), text).map_err(|e| e.to_string())?;
    let listen = format!("127.0.0.1:{}", ports.broker);
    let management = format!("127.0.0.1:{}", ports.management);
    let (data, run_dir, config) = (file("data"), file("run"), file("haproxy.cfg"));
    let broker = [
        "broker",
        "--data-dir",
        &data,
        "--run-dir",
        &run_dir,
        "--listen",
        &listen,
        "--management",
        &management,
    ];
    let balancer = ["lb", "-db", "-f", &config, "--run-dir", &run_dir];
    let mut children = [start(dir, "broker", &broker)?, start(dir, "lb", &balancer)?];
    let is_ready = tokio::select! {
        biased;
        () = ending.told() => return Ok(interrupted(&ending)),
        is_ready = ready(ports.amqp, &mut children) => is_ready,
    };
    if let Err(reason) = is_ready {
        state.keep();
        return Err(format!("{reason}; the logs are in {}", dir.display()));
    }
    println!(
        "ready after {:.1} s: amqp://guest:guest@localhost:{}, http://localhost:{}/stats, \
         http://localhost:{}",
        started.elapsed().as_secs_f64(),
        ports.amqp,
        ports.stats,
        ports.management
    );
    let traffic = match options.traffic {
        true => Some(traffic(dir, &ports, options.rate).await?),
        false => None,
    };
    wait(options, &mut children, &mut ending).await?;
    let balance = match traffic {
        Some(traffic) if !ending.hung_up => Some(traffic.finish(&mut ending).await),
        Some(_) | None => None,
    };
    for child in &mut children {
        stop(child).await;
    }
    if ending.hung_up {
        return Ok(ExitCode::SUCCESS);
    }
    println!("ended after {:.1} s", started.elapsed().as_secs_f64());
    Ok(balance.map_or(ExitCode::SUCCESS, |b| traffic::conclude(&b)))
}

/// Where everything listens on loopback.
struct Ports {
    amqp: u16,
    stats: u16,
    management: u16,
    broker: u16,
}

impl Ports {
    /// The wanted ones, all of them free: a taken one is named with its owner.
    async fn choose(options: &Options) -> Result<Ports, String> {
        let wanted = [
            ("--amqp-port", options.amqp_port),
            ("--stats-port", options.stats_port),
            ("--management-port", options.management_port),
            ("the broker's port", 0),
        ];
        // held until all are found, so that no free one is found twice
        let mut held = Vec::new();
        let mut ports = [0; 4];
        for ((option, wanted), port) in wanted.into_iter().zip(&mut ports) {
            let listener = gate::listen(option, wanted).await?;
            *port = listener.local_addr().map_or(wanted, |a| a.port());
            held.push(listener);
        }
        let [amqp, stats, management, broker] = ports;
        Ok(Ports {
            amqp,
            stats,
            management,
            broker,
        })
    }
}

fn configuration(ports: &Ports, socket: &str) -> String {
    let Ports {
        amqp,
        stats,
        broker,
        ..
    } = ports;
    format!(
        "# Written by `evenkeel up --no-vip`.\nglobal\n    log stdout format raw local0 info\n    \
         stats socket {socket} mode 600 level admin\n\ndefaults\n    log global\n    mode tcp\n    \
         option tcplog\n    option redispatch\n    timeout connect 2s\n    timeout client 120s\n    \
         timeout server 120s\n\nlisten amqp\n    bind 127.0.0.1:{amqp}\n    option amqp-check\n    \
         server n1 127.0.0.1:{broker} check inter 500\n\nlisten monitor\n    \
         bind 127.0.0.1:{stats}\n    mode http\n    stats enable\n    stats uri /stats\n    stats refresh 5s\n"
    )
}

/// The traffic, by a way in like the laboratory's that leads nowhere else.
async fn traffic(dir: &Path, ports: &Ports, rate: u32) -> Result<Traffic, String> {
    let gate = dir.join("gate.sock");
    gate::inside(gate.clone())
        .await
        .map_err(|e| format!("{}: {e}", gate.display()))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.amqp));
    Ok(Traffic::start(traffic::Target {
        gate,
        address,
        rate,
        brokers: 1,
    }))
}

fn start(dir: &Path, name: &str, args: &[&str]) -> Result<Child, String> {
    let log = std::fs::File::create(dir.join(format!("{name}.log"))).map_err(|e| e.to_string())?;
    let copy = log.try_clone().map_err(|e| e.to_string())?;
    Command::new(std::env::current_exe().map_err(|e| e.to_string())?)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(copy)
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start {name}: {e}"))
}

async fn ready(port: u16, children: &mut [Child]) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        for child in &mut *children {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("a daemon ended before it was ready ({status})"));
            }
        }
        let try_it = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            stream.write_all(b"AMQP\x00\x00\x09\x01").await.ok()?;
            let mut first = [0u8; 1];
            stream.read_exact(&mut first).await.ok()?;
            (first[0] == 1).then_some(())
        };
        let limit = Duration::from_secs(1);
        if matches!(tokio::time::timeout(limit, try_it).await, Ok(Some(()))) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("localhost:{port} does not answer AMQP"))
}

async fn wait(
    options: &Options,
    children: &mut [Child; 2],
    ending: &mut Ending,
) -> Result<(), String> {
    let limit = options.run_for.unwrap_or(Duration::from_secs(86_400 * 365));
    let [broker, balancer] = children;
    tokio::select! {
        () = ending.told() => Ok(()),
        () = tokio::time::sleep(limit) => Ok(()),
        status = broker.wait() => Err(format!("the broker ended by itself: {status:?}")),
        status = balancer.wait() => Err(format!("the balancer ended by itself: {status:?}")),
    }
}

async fn stop(child: &mut Child) {
    if let Some(pid) = child.id() {
        let pid = nix::unistd::Pid::from_raw(pid as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }
    if tokio::time::timeout(Duration::from_secs(5), child.wait())
        .await
        .is_err()
    {
        let _ = child.kill().await;
    }
}
