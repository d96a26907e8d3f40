//! Errands for the script helper: checks at any time, notify scripts strictly
//! one after the other, and lines for the notify fifo.

use super::fifo::Fifos;
use crate::helper::{Answer, Job, LARGEST};
use crate::notify::Order;
use conf::vip::model::{Command, Global, ScriptUser};
use nix::sys::socket::{MsgFlags, recv, send};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use tracing::warn;

/// Notify scripts that wait.
const MOST_WAITING: usize = 1024;
/// How long a notify script may take before the next one gets its turn.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(60);
/// keepalived's user for scripts, if it exists.
const DEFAULT_USER: &str = "keepalived_script";

/// The helper's line and what waits for it.
#[derive(Debug, Default)]
pub struct Errands {
    line: Option<OwnedFd>,
    next_id: u64,
    waiting: VecDeque<(Command, Vec<String>)>,
    running: Option<u64>,
    /// Scripts that read a fifo and wait for the helper.
    readers: Vec<(Command, String)>,
    /// Those that run, and the line of each.
    reading: Vec<(u64, String)>,
    fifos: Fifos,
    default_user: Option<ScriptUser>,
}

impl Errands {
    /// Nobody to run anything yet.
    pub fn new(fifos: Fifos) -> Errands {
        Errands {
            fifos,
            ..Errands::default()
        }
    }

    /// The helper's line, to be polled.
    pub fn line(&self) -> Option<&OwnedFd> {
        self.line.as_ref()
    }

    /// A new helper: what the old one ran is lost.
    pub fn helper(&mut self, line: OwnedFd) {
        self.line = Some(line);
        self.running = None;
        self.reading.clear();
    }

    /// Takes over users and fifo.
    pub fn configure(&mut self, global: &Global) {
        self.default_user = global.script_user.clone().or_else(|| {
            let known = nix::unistd::User::from_name(DEFAULT_USER).ok().flatten();
            known.map(|_| ScriptUser {
                user: DEFAULT_USER.to_owned(),
                group: None,
            })
        });
        for (script, path) in self.fifos.configure(&global.notify_fifos) {
            self.readers.push((script, path));
        }
    }

    /// Puts orders behind those that wait.
    pub fn queue(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Line(line) => self.fifos.write(&line),
                Order::Run(..) if self.waiting.len() >= MOST_WAITING => {
                    warn!("{MOST_WAITING} notify scripts wait already: one is not run");
                }
                Order::Run(command, arguments) => self.waiting.push_back((command, arguments)),
            }
        }
    }

    /// Starts the next notify script if none runs, and readers of fifos.
    pub fn go_on(&mut self) {
        while self.line.is_some()
            && let Some((script, path)) = self.readers.pop()
        {
            if let Some(id) = self.start(&script, &[path], None) {
                self.reading.push((id, script.line));
            }
        }
        while self.running.is_none() && self.line.is_some() {
            let Some((command, arguments)) = self.waiting.pop_front() else {
                return;
            };
            self.running = self.start(&command, &arguments, Some(NOTIFY_TIMEOUT));
        }
    }

    /// Whether no notify script runs or waits.
    pub fn is_idle(&self) -> bool {
        let lost = self.line.is_none() && self.next_id > 0;
        lost || (self.running.is_none() && self.waiting.is_empty())
    }

    /// Sends an order; gives its number.
    pub fn start(
        &mut self,
        command: &Command,
        arguments: &[String],
        timeout: Option<Duration>,
    ) -> Option<u64> {
        let line = self.line.as_ref()?;
        self.next_id += 1;
        let user = command.user.as_ref().or(self.default_user.as_ref());
        let job = Job {
            id: self.next_id,
            words: words(command, arguments),
            user: user.map(|u| u.user.clone()),
            group: user.and_then(|u| u.group.clone()),
            timeout,
        };
        let bytes = serde_json::to_vec(&job).ok()?;
        match send(line.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => Some(job.id),
            Err(error) => {
                warn!(%error, script = command.line, "cannot give a script to the helper");
                None
            }
        }
    }

    /// A notify script or the reader of a fifo, if it is one.
    fn ended(&mut self, answer: &Answer) {
        if self.running == Some(answer.id) {
            self.running = None;
            if let Some(why) = &answer.failure {
                warn!("a notify script {why}");
            }
        }
        if let Some(at) = self.reading.iter().position(|(id, _)| *id == answer.id) {
            let (_, script) = self.reading.swap_remove(at);
            let why = answer.failure.as_deref().unwrap_or("ended");
            warn!(
                script,
                "the script that reads a notify fifo {why}: nobody may read its lines now"
            );
        }
    }

    /// What ended: number, and what went wrong.
    pub fn answers(&mut self) -> Vec<(u64, Option<String>)> {
        let mut found = Vec::new();
        let mut buffer = vec![0; LARGEST];
        while let Some(line) = &self.line {
            match recv(line.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => self.line = None,
                Ok(length) => {
                    if let Ok(answer) = serde_json::from_slice::<Answer>(&buffer[..length]) {
                        self.ended(&answer);
                        found.push((answer.id, answer.failure));
                    }
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return found,
                Err(_) => self.line = None,
            }
        }
        found
    }
}

/// The words to execute: through a shell only when the line needs one.
fn words(command: &Command, arguments: &[String]) -> Vec<String> {
    let Some(mut line) = for_shell(&command.line) else {
        let own = command.words.iter().chain(arguments);
        return own.cloned().collect();
    };
    if !arguments.is_empty() {
        line += " \"$@\"";
    }
    let shell = ["/bin/sh", "-c", &line, "sh"].map(str::to_owned);
    shell.into_iter().chain(arguments.iter().cloned()).collect()
}

/// The line for a shell, when it has characters that mean something there. An `&` inside of a
/// word, as in the query of a URL, is none: the check would go on behind the daemon's back and
/// always succeed.
fn for_shell(line: &str) -> Option<String> {
    let mut needed = false;
    let mut quote = None;
    let mut before = ' ';
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        if c == '&' && quote.is_none() && is_of_word(before) && is_of_word(after) {
            out.push('\\');
        } else {
            needed |= "$`|;&<>*".contains(c);
        }
        match quote {
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        out.push(c);
        before = c;
    }
    needed.then_some(out)
}

fn is_of_word(c: char) -> bool {
    !c.is_whitespace() && !"&<>|;()\\".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_asked_for_what_only_a_shell_understands() {
        for plain in [
            "/bin/true a b",
            "/usr/bin/curl http://[::1]:80/x?a=1&b=2",
            "/usr/bin/curl 'http://x/?a b'",
        ] {
            assert_eq!(for_shell(plain), None, "{plain}");
        }
        for line in [
            "kill -0 $(cat /run/x.pid)",
            "test -e /x && test -e /y",
            "a & b",
            "a 'x&y' >/dev/null 2>&1",
            "</dev/tcp/127.0.0.1/80",
        ] {
            assert_eq!(for_shell(line).as_deref(), Some(line));
        }
    }

    #[test]
    fn an_ampersand_inside_of_a_word_stays_in_the_word() {
        let line = "curl -s \"http://x/?a=1&b=2\" http://y/?a=1&b=2 >/dev/null";
        let wanted = "curl -s \"http://x/?a=1&b=2\" http://y/?a=1\\&b=2 >/dev/null";
        assert_eq!(for_shell(line).as_deref(), Some(wanted));
        let run = std::process::Command::new("/bin/sh")
            .args(["-c", &for_shell("echo a&b ; echo c").expect("a shell")])
            .output()
            .expect("a shell");
        assert_eq!(run.stdout, b"a&b\nc\n");
    }
}
