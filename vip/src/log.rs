//! Log lines: to standard error or to syslog, by a thread of their own, so
//! that a slow reader never holds up an advert.

use crate::options::Options;
use crate::rights;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; more are dropped and counted.
const BOUND: usize = 1024;
/// How long the last lines may take.
const FAREWELL: Duration = Duration::from_secs(2);
const SYSLOG: &str = "/dev/log";
/// syslog's daemon facility.
const DAEMON: u8 = 3;

static DROPPED: AtomicU64 = AtomicU64::new(0);
static THREAD: Mutex<Option<Writer>> = Mutex::new(None);

/// The thread that writes, and its queue.
type Writer = (SyncSender<Entry>, JoinHandle<()>);

enum Target {
    Console,
    /// The socket, and the number of the facility.
    Syslog(UnixDatagram, u8),
    Nowhere,
}

/// One event's text; an empty one is the end.
struct Entry {
    level: Level,
    text: Vec<u8>,
}

/// syslog's number of a level.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether log lines are seen by whoever started this process.
pub fn on_console(options: &Options) -> bool {
    matches!(target(options), Target::Console)
}

fn target(options: &Options) -> Target {
    let console = options.console || options.no_syslog && options.foreground;
    if console {
        return Target::Console;
    }
    let socket = UnixDatagram::unbound().and_then(|s| s.connect(SYSLOG).map(|()| s));
    match socket {
        Ok(socket) if !options.no_syslog => {
            Target::Syslog(socket, options.facility.unwrap_or(DAEMON))
        }
        Ok(_) | Err(_) if options.foreground => Target::Console,
        Ok(_) | Err(_) => Target::Nowhere,
    }
}

/// Starts logging for this process.
pub fn start(options: &Options) {
    let target = target(options);
    let (to, from) = sync_channel(BOUND);
    let plain = matches!(target, Target::Syslog(..));
    let Ok(thread) = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            rights::writer();
            write(&from, &target);
        })
    else {
        return;
    };
    if let Ok(mut slot) = THREAD.lock() {
        *slot = Some((to.clone(), thread));
    }
    let level = if options.detail {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(Queue(to))
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level);
    let set = if options.log_json {
        builder
            .event_format(service::JsonLines { daemon: "vip" })
            .try_init()
    } else if plain {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
    if set.is_err() {
        eprintln!("evenkeel vip: logging was started twice");
    }
}

/// Waits until what was logged is written, for [`FAREWELL`] at most: a reader that hangs must not keep
/// a process that has given its addresses up.
pub fn finish() {
    let taken = THREAD.lock().ok().and_then(|mut slot| slot.take());
    if let Some(writer) = taken {
        end(&writer, FAREWELL);
    }
}

fn end((to, thread): &Writer, most: Duration) {
    let until = Instant::now() + most;
    let last = || Entry {
        level: Level::TRACE,
        text: Vec::new(),
    };
    let mut told = to.try_send(last()).is_ok();
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
        told = told || to.try_send(last()).is_ok();
    }
}

fn write(entries: &Receiver<Entry>, target: &Target) {
    while let Ok(Entry { level, text }) = entries.recv() {
        if text.is_empty() {
            return;
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let line = format!("{dropped} log lines were dropped\n");
            put(target, Level::WARN, line.as_bytes());
        }
        put(target, level, &text);
    }
}

fn put(target: &Target, level: Level, line: &[u8]) {
    match target {
        Target::Console => {
            let _ = io::stderr().write_all(line);
        }
        Target::Syslog(socket, facility) => {
            let priority = facility * 8 + severity(level);
            let mut message =
                format!("<{priority}>evenkeel-vip[{}]: ", std::process::id()).into_bytes();
            message.extend(line.strip_suffix(b"\n").unwrap_or(line));
            let _ = socket.set_write_timeout(Some(Duration::from_millis(200)));
            let _ = socket.send(&message);
        }
        Target::Nowhere => {}
    }
}

/// Makes writers that put one event's text into the queue.
struct Queue(SyncSender<Entry>);

impl Queue {
    fn line(&self, level: Level) -> Line {
        Line {
            level,
            text: Vec::with_capacity(160),
            to: self.0.clone(),
        }
    }
}

/// Collects one event.
struct Line {
    level: Level,
    text: Vec<u8>,
    to: SyncSender<Entry>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        self.line(Level::INFO)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        self.line(*meta.level())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        let level = self.level;
        if !text.is_empty() && self.to.try_send(Entry { level, text }).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_syslog_has_the_severity_of_its_level() {
        let (ours, theirs) = UnixDatagram::pair().expect("a socket");
        let target = Target::Syslog(ours, DAEMON);
        for (level, priority) in [(Level::ERROR, 27), (Level::WARN, 28), (Level::INFO, 30)] {
            put(&target, level, b"a line\n");
            let mut buffer = [0; 100];
            let length = theirs.recv(&mut buffer).expect("a line");
            let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let name = format!("<{priority}>evenkeel-vip[");
            assert!(
                line.starts_with(&name) && line.ends_with(": a line"),
                "{line}"
            );
        }
    }

    #[test]
    fn the_end_waits_for_the_last_line_and_not_for_a_reader_that_hangs() {
        let (to, from) = sync_channel(1);
        let thread = std::thread::spawn(move || write(&from, &Target::Nowhere));
        let line = Entry {
            level: Level::INFO,
            text: b"a line".to_vec(),
        };
        to.send(line).expect("it reads");
        let writer = (to, thread);
        end(&writer, Duration::from_secs(60));
        assert!(writer.1.is_finished());
        let (to, from) = sync_channel::<Entry>(0);
        let (stop, hang) = sync_channel::<()>(0);
        let thread = std::thread::spawn(move || {
            let _unread = from;
            let _ = hang.recv();
        });
        let before = Instant::now();
        end(&(to, thread), Duration::from_millis(20));
        assert!(before.elapsed() < Duration::from_secs(30));
        drop(stop);
    }
}
