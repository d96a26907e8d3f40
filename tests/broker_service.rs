//! The broker as a service of systemd: it says when it is ready, that its core thread lives, and when it ends.

mod kit;

use kit::Daemon;
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn receive_until(socket: &UnixDatagram, start: &str) -> String {
    loop {
        let message = receive(socket);
        if message.starts_with(start) {
            return message;
        }
        assert_eq!(message, "WATCHDOG=1", "waiting for {start}");
    }
}

/// A broker in a directory, on ports that the kernel chooses.
fn broker(directory: &Path) -> Command {
    let any = "127.0.0.1:0";
    let mut command = Command::new(kit::binary());
    command
        .args(["broker", "--node", "rabbit@test", "--listen", any])
        .args(["--management", any, "--prometheus", any, "--data-dir"])
        .arg(directory)
        .arg("--run-dir")
        .arg(directory);
    command
}

#[test]
fn a_hangup_opens_the_log_anew_and_ends_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("broker.log");
    let config = directory.path().join("broker.toml");
    std::fs::write(&config, format!("[log]\nfile = {log:?}\n")).expect("written");
    let mut command = broker(directory.path());
    let mut daemon = Daemon::start("evenkeel broker", command.arg("--config").arg(&config));
    daemon.wait_line("management on ", LIMIT);
    let moved = directory.path().join("broker.log.1");
    std::fs::rename(&log, &moved).expect("moved");
    daemon.signal(Signal::SIGHUP);
    kit::wait_until("a new log", LIMIT, || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("SIGHUP"))
    });
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait_exit(LIMIT).success());
    let old = std::fs::read_to_string(&moved).expect("still there");
    assert!(!old.contains("stopping on SIGTERM"), "{old}");
}

#[test]
fn systemd_is_told_of_readiness_life_and_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().join("notify");
    let socket = UnixDatagram::bind(&place).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let mut command = broker(directory.path());
    command
        .env("NOTIFY_SOCKET", &place)
        .env("WATCHDOG_USEC", "100000");
    let mut daemon = Daemon::start("evenkeel broker", &mut command);
    let ready = receive_until(&socket, "READY=1");
    let pid = format!("MAINPID={}", daemon.pid());
    assert!(ready.contains(&pid), "{ready}");
    daemon.wait_line("listening on ", LIMIT);
    for _ in 0..3 {
        assert_eq!(receive(&socket), "WATCHDOG=1", "an idle broker beats too");
    }
    daemon.signal(Signal::SIGTERM);
    receive_until(&socket, "STOPPING=1");
}
