//! A balancer with a configuration of its own, for tests of the binary.

use super::Daemon;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Patience with everything that should take milliseconds.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A loopback address that no other test uses: made of the process id and a
/// counter, so that ports never clash.
pub fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "more addresses than a test process has");
    let pid = std::process::id();
    format!("127.{}.{}.{number}", pid >> 8 & 0x7F | 0x80, pid & 0xFF)
}

/// A server that sends back what it gets; gives its address.
pub fn echo() -> String {
    let listener = TcpListener::bind((address(), 2)).expect("an address of our own");
    let at = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().expect("a second descriptor");
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    at
}

/// A directory with a configuration file and the CLI socket of who uses it.
pub struct Balancer {
    folder: tempfile::TempDir,
}

impl Balancer {
    /// Writes the configuration; a `stats socket` and short timeouts come
    /// before it. `global` goes into the global section.
    pub fn new(global: &str, text: &str) -> Balancer {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let balancer = Balancer { folder };
        balancer.write(global, text);
        balancer
    }

    /// Writes another configuration into the same file.
    pub fn write(&self, global: &str, text: &str) {
        let socket = self.socket();
        let whole = format!(
            "global\n    stats socket {} level admin\n    log stdout format short daemon\n{global}\n\
             defaults\n    log global\n    option tcplog\n    timeout connect 5s\n    timeout client 60s\n    \
             timeout server 60s\n{text}\n",
            socket.display()
        );
        std::fs::write(self.file(), whole).expect("the directory is ours");
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("lb.cfg")
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The CLI socket.
    pub fn socket(&self) -> PathBuf {
        self.path("cli.sock")
    }

    /// The command that starts it with these options.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(super::binary());
        command
            .arg("lb")
            .args(options)
            .arg("--run-dir")
            .arg(self.path("run"));
        command.arg("-f").arg(self.file());
        command
    }

    /// Starts it and waits until its CLI answers.
    pub fn start(&self, options: &[&str]) -> Daemon {
        let daemon = Daemon::start("evenkeel lb", &mut self.command(options));
        super::wait_until("the balancer serves", LIMIT, || {
            self.try_ask("show version").is_ok()
        });
        daemon
    }

    /// The answer to a CLI command.
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command)
            .unwrap_or_else(|e| panic!("{command}: {e}"))
    }

    /// The same, where nobody may answer.
    pub fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A column of `show stat` for a row.
    pub fn stat(&self, proxy: &str, row: &str, column: &str) -> String {
        let table = self.ask("show stat");
        let mut lines = table.lines();
        let names = lines.next().unwrap_or_default().trim_start_matches("# ");
        let index = names.split(',').position(|name| name == column);
        let index = index.unwrap_or_else(|| panic!("no column {column} in {names}"));
        let line = lines.find(|line| line.starts_with(&format!("{proxy},{row},")));
        let line = line.unwrap_or_else(|| panic!("no row {proxy}/{row} in\n{table}"));
        line.split(',').nth(index).unwrap_or_default().to_owned()
    }
}
