//! A process that a test starts, watches and ends.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running process with its output; killed when dropped.
pub struct Daemon {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts a command; `name` appears in messages.
    pub fn start(name: &str, command: &mut Command) -> Daemon {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            follow(child.stdout.take().expect("piped"), lines.clone()),
            follow(child.stderr.take().expect("piped"), lines.clone()),
        ];
        Daemon {
            name: name.to_owned(),
            child,
            lines,
            readers,
        }
    }

    /// Starts the binary under test.
    pub fn evenkeel(args: &[&str]) -> Daemon {
        let mut command = Command::new(super::binary());
        Daemon::start(&format!("evenkeel {}", args.join(" ")), command.args(args))
    }

    /// Process id of what was started.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Everything printed so far, both streams.
    pub fn output(&self) -> String {
        self.lines.lock().expect("readers do not panic").join("\n")
    }

    /// Waits for a line that contains `text`; gives that line.
    pub fn wait_line(&mut self, text: &str, limit: Duration) -> String {
        let end = std::time::Instant::now() + limit;
        loop {
            let found = {
                let lines = self.lines.lock().expect("readers do not panic");
                lines.iter().find(|l| l.contains(text)).cloned()
            };
            if let Some(line) = found {
                return line;
            }
            let over = self.child.try_wait().expect("own child");
            assert!(
                over.is_none() && std::time::Instant::now() < end,
                "{}: no line with {text:?} within {limit:?} (ended: {over:?}):\n{}",
                self.name,
                self.output()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap_or_else(|e| panic!("{}: {e}", self.name));
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("own child").is_none()
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        // what it printed is shown when it is dropped
        let what = format!("{} ends", self.name);
        let status = super::wait_for(&what, limit, || self.child.try_wait().expect("own child"));
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        status
    }

    /// Asks it to end with SIGTERM and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_exit(Duration::from_secs(20))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.runs() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {} printed:\n{}\n---", self.name, self.output());
        }
    }
}

fn follow(stream: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.lock().expect("readers do not panic").push(text);
            line.clear();
        }
    })
}
