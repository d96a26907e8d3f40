//! What is said on standard error: `[WARNING]  (pid) : text`.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static QUIET: AtomicBool = AtomicBool::new(false);

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// For information.
    Notice,
    /// A state changed or something is odd.
    Warning,
    /// Something does not work.
    Alert,
}

/// From now on nothing is said (`-q`, or in the background).
pub fn hush(quiet: bool) {
    QUIET.store(quiet, Relaxed);
}

/// Lines said so far, until [`sealed`](seal): for `show startup-logs`.
static SAID: Mutex<String> = Mutex::new(String::new());
static SEALED: AtomicBool = AtomicBool::new(false);

/// The most that is kept of what was said at start.
const SAID_MAX: usize = 64 * 1024;

/// The start is over: what follows belongs to the running process.
pub fn seal() {
    SEALED.store(true, Relaxed);
}

/// What was said until the start was over.
pub fn said_at_start() -> String {
    SAID.lock().unwrap_or_else(|e| e.into_inner()).clone()
}

/// Says a line.
pub fn say(tone: Tone, text: &str) {
    if !SEALED.load(Relaxed) {
        let mut said = SAID.lock().unwrap_or_else(|e| e.into_inner());
        if said.len() + text.len() < SAID_MAX {
            said.push_str(&line(tone, std::process::id(), text));
        }
    }
    if !QUIET.load(Relaxed) {
        // nobody reads standard error: nothing to be done about it
        let _ = std::io::stderr().write_all(line(tone, std::process::id(), text).as_bytes());
    }
}

/// A warning.
pub fn warning(text: &str) {
    say(Tone::Warning, text);
}

/// An alert.
pub fn alert(text: &str) {
    say(Tone::Alert, text);
}

/// A notice.
pub fn notice(text: &str) {
    say(Tone::Notice, text);
}

fn line(tone: Tone, pid: u32, text: &str) -> String {
    let word = match tone {
        Tone::Notice => "[NOTICE]",
        Tone::Warning => "[WARNING]",
        Tone::Alert => "[ALERT]",
    };
    format!("{word:10} ({pid}) : {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_stands_in_one_column() {
        assert_eq!(line(Tone::Notice, 7, "x"), "[NOTICE]   (7) : x\n");
        assert_eq!(line(Tone::Warning, 7, "x"), "[WARNING]  (7) : x\n");
        assert_eq!(line(Tone::Alert, 7, "x"), "[ALERT]    (7) : x\n");
    }
}
