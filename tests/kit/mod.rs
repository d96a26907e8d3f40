//! What every test of the built binary needs: a sandbox of its own (network,
//! mount and process namespaces), hosts on a bridge, daemons that end with the
//! test, and waiting on conditions. Include it with `mod kit;`.
#![allow(dead_code, unused_imports)]

pub mod balancer;
pub mod daemon;
pub mod lab;
pub mod node;
pub mod pair;
pub mod peers;
pub mod promtool;
pub mod stage;
pub mod vrrp;

pub use balancer::Balancer;
pub use daemon::Daemon;
pub use lab::{Host, Lab};

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const INSIDE: &str = "EVENKEEL_TEST_SANDBOX";

/// The binary under test.
pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_evenkeel"))
}

/// Runs `test` in fresh network, mount and process namespaces (with a user
/// namespace when not root): re-runs this test binary for this one test there.
/// Everything that the test leaves running dies with the sandbox. Loopback is up.
pub fn sandboxed(test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return test();
    }
    let name = std::thread::current()
        .name()
        .expect("the test harness names its threads")
        .to_owned();
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare
        .arg(std::env::current_exe().expect("a running test has a path"))
        .args([
            "--exact",
            &name,
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare (util-linux) is installed");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    print!("{out}");
    eprint!("{err}");
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{name} failed in its sandbox: {}",
        output.status
    );
}

/// Runs a command to its end and gives its standard output; panics when it fails.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the binary under test to its end: exit status, standard output, standard error.
pub fn evenkeel(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// `evenkeel up` for scripts, with its files in `state` and ports that are free.
pub fn up(state: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .args("up --plain --amqp-port 0 --stats-port 0 --management-port 0 --state-dir".split(' '))
        .arg(state);
    command
}

/// Runs a client in the laboratory of `evenkeel up`, whose files are in `state`, and gives what
/// both said; panics when one of them fails.
pub fn with_client(state: &str, options: &[&str], client: &str) -> String {
    let mut command = up(state);
    command.args(options).args(["--client", client]);
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said
}

/// Waits until `condition` gives something; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `condition` holds; panics with `what` after `limit`.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}
