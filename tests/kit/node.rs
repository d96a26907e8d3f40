//! A broker node without HTTP, on a free port.

use super::Daemon;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Starts a node with its data and its sockets in `directory`; gives its AMQP port.
pub fn start(directory: &Path) -> (Daemon, u16) {
    start_by(Command::new(super::binary()), directory)
}

/// The same by a command that runs the binary under test with the arguments that it is given.
pub fn start_by(mut command: Command, directory: &Path) -> (Daemon, u16) {
    command.args(["broker", "--listen", "127.0.0.1:0"]);
    command.args(["--management", "none", "--prometheus", "none"]);
    command.arg("--data-dir").arg(directory.join("data"));
    command.arg("--run-dir").arg(directory);
    let mut daemon = Daemon::start("broker", &mut command);
    let line = daemon.wait_line("listening on 127.0.0.1:", LIMIT);
    let port = line.rsplit(':').next().and_then(|p| p.trim().parse().ok());
    (
        daemon,
        port.unwrap_or_else(|| panic!("no port in {line:?}")),
    )
}
