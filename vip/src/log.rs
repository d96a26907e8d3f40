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
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; more are dropped and counted.
const BOUND: usize = 1024;
const SYSLOG: &str = "/dev/log";
/// syslog's daemon facility; local0 is 16.
const DAEMON: u8 = 3;
const LOCAL0: u8 = 16;
const INFO: u8 = 6;

static DROPPED: AtomicU64 = AtomicU64::new(0);
static THREAD: Mutex<Option<Writer>> = Mutex::new(None);

/// The thread that writes, and its queue.
type Writer = (SyncSender<Vec<u8>>, JoinHandle<()>);

enum Target {
    Console,
    Syslog(UnixDatagram, u8),
    Nowhere,
}

fn target(options: &Options) -> Target {
    let console = options.console || options.no_syslog && options.foreground;
    if console {
        return Target::Console;
    }
    let socket = UnixDatagram::unbound().and_then(|s| s.connect(SYSLOG).map(|()| s));
    match socket {
        Ok(socket) if !options.no_syslog => {
            let facility = options.facility.map_or(DAEMON, |n| LOCAL0 + n);
            Target::Syslog(socket, facility * 8 + INFO)
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

/// Waits until what was logged is written.
pub fn finish() {
    let taken = THREAD.lock().ok().and_then(|mut slot| slot.take());
    if let Some((to, thread)) = taken {
        // an empty line is the end
        let _ = to.send(Vec::new());
        let _ = thread.join();
    }
}

fn write(lines: &Receiver<Vec<u8>>, target: &Target) {
    while let Ok(line) = lines.recv() {
        if line.is_empty() {
            return;
        }
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            put(
                target,
                format!("{dropped} log lines were dropped\n").as_bytes(),
            );
        }
        put(target, &line);
    }
}

fn put(target: &Target, line: &[u8]) {
    match target {
        Target::Console => {
            let _ = io::stderr().write_all(line);
        }
        Target::Syslog(socket, priority) => {
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
struct Queue(SyncSender<Vec<u8>>);

/// Collects one event.
struct Line {
    text: Vec<u8>,
    to: SyncSender<Vec<u8>>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            text: Vec::with_capacity(160),
            to: self.0.clone(),
        }
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
        if !text.is_empty() && self.to.try_send(text).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}
