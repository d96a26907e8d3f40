//! Processes that this one took over from, as long as they have sessions.
//!
//! A thread for each reads what it reports; its counters are carried over as
//! they grow, so that the sums of the new process stay exact.

use super::report::{Before, Report};
use crate::admin::Control;
use crate::counters::Totals;
use crate::saved::Saved;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Longest line that is read.
const LINE_LIMIT: u64 = 64 << 20;
/// A process that says nothing for so long is shown no more.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most processes shown.
const MOST: usize = 64;

/// One old process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OldProcess {
    /// Its pid.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Connections from clients that it still has.
    pub connections: u32,
    /// It takes no sessions any more.
    pub stopping: bool,
    /// How long it has run.
    pub uptime_s: u64,
    /// It ends its sessions after this time at the latest.
    pub ends_within_s: Option<u64>,
    /// Connections by frontend, where there are any.
    pub frontends: Vec<(String, u32)>,
}

/// The old processes; and what this process tells when it is one itself.
#[derive(Default)]
pub struct Old {
    inner: Mutex<Inner>,
    followers: AtomicU32,
    hard_stop: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Inner {
    processes: Vec<Entry>,
}

struct Entry {
    shown: OldProcess,
    /// Its counters as far as they are carried over.
    known: Saved,
    carrier: Carrier,
    /// It has ended, and the successor may not have reached it.
    ended: bool,
}

/// Who carries over what an old process counts.
enum Carrier {
    /// This one.
    Here,
    /// A successor that was told of it; with what the old process has reported since.
    Successor(Option<Box<Saved>>),
}

impl Inner {
    /// Forgets who has ended and whose counters nobody else may leave to us.
    fn drop_ended(&mut self) {
        self.processes
            .retain(|entry| !entry.ended || matches!(entry.carrier, Carrier::Successor(_)));
    }
}

impl Entry {
    /// Its counters are carried here again.
    fn take_back(&mut self, control: &Control) {
        let carrier = std::mem::replace(&mut self.carrier, Carrier::Here);
        if let Carrier::Successor(Some(since)) = carrier {
            carry(control, &self.known, &since);
            self.known = *since;
        }
    }
}

/// Counts a successor as long as it lives.
pub struct Followed {
    control: Arc<Control>,
    /// It heard our last numbers: those before us stay with it.
    pub knows_all: bool,
}

impl Drop for Followed {
    fn drop(&mut self) {
        let old = &self.control.old;
        if old.followers.fetch_sub(1, Relaxed) == 1 && !self.knows_all {
            // it never came so far
            let mut inner = lock(&old.inner);
            let entries = inner.processes.iter_mut();
            entries.for_each(|entry| entry.take_back(&self.control));
            inner.drop_ended();
        }
    }
}

impl Old {
    /// Those that still have sessions.
    pub fn processes(&self) -> Vec<OldProcess> {
        let inner = lock(&self.inner);
        let living = inner.processes.iter().filter(|entry| !entry.ended);
        living.map(|entry| entry.shown.clone()).collect()
    }

    /// A successor reads our reports, and takes care of those before us that it reaches.
    pub fn followed(control: &Arc<Control>) -> (Followed, Vec<Before>) {
        let old = &control.old;
        old.followers.fetch_add(1, Relaxed);
        let mut inner = lock(&old.inner);
        let living = inner.processes.iter_mut().filter(|entry| !entry.ended);
        let before = living.map(|entry| {
            if matches!(entry.carrier, Carrier::Here) {
                entry.carrier = Carrier::Successor(None);
            }
            Before {
                pid: entry.shown.pid,
                known: entry.known.clone(),
            }
        });
        let before = before.collect();
        let followed = Followed {
            control: control.clone(),
            knows_all: false,
        };
        (followed, before)
    }

    /// The successor did not reach this process before us: its counters stay with us.
    pub fn take_back(&self, control: &Control, pid: u32) {
        let mut inner = lock(&self.inner);
        let entries = inner.processes.iter_mut();
        for entry in entries.filter(|entry| entry.shown.pid == pid) {
            entry.take_back(control);
        }
        inner.drop_ended();
    }

    /// Somebody reads our reports.
    pub fn is_followed(&self) -> bool {
        self.followers.load(Relaxed) > 0
    }

    /// This process ends its sessions then.
    pub fn set_hard_stop(&self, at: Instant) {
        *lock(&self.hard_stop) = Some(at);
    }

    /// How long its sessions may still take.
    pub fn ends_within(&self) -> Option<Duration> {
        let at = *lock(&self.hard_stop);
        at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn begin(&self, first: &Report, known: Saved) {
        let mut inner = lock(&self.inner);
        if inner.processes.len() < MOST {
            inner.processes.push(Entry {
                shown: OldProcess::of(first),
                known,
                carrier: Carrier::Here,
                ended: false,
            });
        }
    }

    /// Shows what a process reports and carries over what it counted since.
    fn update(&self, control: &Control, report: &Report) {
        let mut inner = lock(&self.inner);
        let entries = inner.processes.iter_mut();
        let Some(entry) = entries
            .into_iter()
            .find(|entry| entry.shown.pid == report.pid)
        else {
            return;
        };
        entry.shown = OldProcess::of(report);
        match &mut entry.carrier {
            Carrier::Successor(since) => *since = Some(Box::new(report.state.clone())),
            Carrier::Here => {
                carry(control, &entry.known, &report.state);
                entry.known = report.state.clone();
            }
        }
    }

    fn forget(&self, pid: u32) {
        let mut inner = lock(&self.inner);
        let entries = inner.processes.iter_mut();
        for entry in entries.filter(|entry| entry.shown.pid == pid) {
            entry.ended = true;
        }
        inner.drop_ended();
    }

    /// `show old`: a line for each.
    pub fn text(&self) -> String {
        let mut out =
            String::from("# pid version stopping connections uptime_s ends_within_s frontends\n");
        for old in self.processes() {
            let frontends = old
                .frontends
                .iter()
                .map(|(name, count)| format!("{name}={count}"));
            let frontends: Vec<_> = frontends.collect();
            let _ = writeln!(
                out,
                "{} {} {} {} {} {} {}",
                old.pid,
                old.version,
                u8::from(old.stopping),
                old.connections,
                old.uptime_s,
                old.ends_within_s
                    .map_or("-".to_owned(), |left| left.to_string()),
                match frontends.is_empty() {
                    true => "-".to_owned(),
                    false => frontends.join(","),
                },
            );
        }
        out
    }
}

impl OldProcess {
    fn of(report: &Report) -> OldProcess {
        let fronts = report.state.frontends.iter();
        OldProcess {
            pid: report.pid,
            version: report.version.clone(),
            connections: report.connections,
            stopping: report.stopping,
            uptime_s: report.uptime_s,
            ends_within_s: report.ends_within_s,
            frontends: fronts
                .filter(|front| front.connections > 0)
                .map(|front| (front.name.clone(), front.connections))
                .collect(),
        }
    }
}

/// The connection over which an old process reports, opened while its socket
/// can be reached.
pub struct Link {
    reader: BufReader<UnixStream>,
    /// Its first report.
    pub first: Report,
    /// Where it was reached.
    path: PathBuf,
    /// Its counters as far as they are carried over.
    known: Saved,
}

impl Link {
    /// Asks the process behind a CLI socket to report.
    ///
    /// # Errors
    /// It is gone, or none of ours.
    pub fn open(path: &Path) -> io::Result<Link> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"_follow\n")?;
        let mut reader = BufReader::new(stream);
        let first = read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Link {
            reader,
            known: first.state.clone(),
            first,
            path: path.to_owned(),
        })
    }

    /// The same for a process before the one that told of it, whose counters
    /// are carried over as far as that says.
    ///
    /// # Errors
    /// It is gone.
    pub fn to_before(path: &Path, before: Before) -> io::Result<Link> {
        let link = Link::open(path)?;
        Ok(Link {
            known: before.known,
            ..link
        })
    }

    /// Tells the process that one before it was not reached: its counters stay there.
    ///
    /// # Errors
    /// It is gone itself.
    pub fn leave_with(&self, pid: u32) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("_keep {pid}\n").as_bytes())?;
        // done when it has answered
        stream.read_to_end(&mut Vec::new()).map(drop)
    }

    /// Follows the process on a thread of its own until it is gone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn follow(self, control: &Arc<Control>) -> io::Result<()> {
        let Link {
            mut reader,
            first,
            known,
            path: _,
        } = self;
        control.old.begin(&first, known);
        let control = control.clone();
        let thread = std::thread::Builder::new().name("old-process".into());
        thread.spawn(move || {
            control.old.update(&control, &first);
            // it left without a last word: nothing more to be known
            while let Ok(Some(report)) = read(&mut reader) {
                control.old.update(&control, &report);
                if report.last {
                    break;
                }
            }
            control.old.forget(first.pid);
            let text = format!("The old process {} has ended.", first.pid);
            control.events.add("process", &text);
        })?;
        Ok(())
    }
}

fn read(reader: &mut BufReader<UnixStream>) -> io::Result<Option<Report>> {
    let mut line = String::new();
    if reader.by_ref().take(LINE_LIMIT).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .map_err(io::Error::other)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject<'a> {
    Process,
    Front(&'a str),
    Listener(&'a str, &'a str),
    Back(&'a str),
    Server(&'a str, &'a str),
}

/// Adds what an old process has counted between two reports.
fn carry(control: &Control, before: &Saved, now: &Saved) {
    let before: HashMap<Subject<'_>, &Totals> = subjects(before).into_iter().collect();
    let nothing = Totals::default();
    for (subject, totals) in subjects(now) {
        let more = totals.since(before.get(&subject).copied().unwrap_or(&nothing));
        if more != nothing {
            add(control, &subject, more);
        }
    }
}

fn add(control: &Control, subject: &Subject<'_>, more: Totals) {
    let generation = control.runtime.generation();
    match *subject {
        Subject::Process => control.runtime.process.counters.carry(&more),
        Subject::Front(name) => {
            if let Some(front) = generation.frontend(name).and_then(|p| p.front.as_ref()) {
                front.counters.carry(&more);
            }
        }
        Subject::Listener(name, address) => {
            let listeners = control.listeners();
            let mut own = listeners.iter().filter(|l| l.proxy.name() == name);
            if let Some(listener) = own.find(|l| l.bound.name() == address) {
                listener.live.counters.carry(&more);
            }
        }
        Subject::Back(name) => {
            if let Some(back) = generation.backend(name).and_then(|p| p.back.as_ref()) {
                back.counters.carry(&without_checks(more));
            }
        }
        Subject::Server(backend, name) => {
            if let Some(server) = generation.server(backend, name) {
                server.counters.carry(&without_checks(more));
            }
        }
    }
}

/// Both processes check the servers for a while: only one of them counts.
fn without_checks(totals: Totals) -> Totals {
    Totals {
        failed_checks: 0,
        went_down: 0,
        ..totals
    }
}

fn subjects(state: &Saved) -> Vec<(Subject<'_>, &Totals)> {
    let mut all = vec![(Subject::Process, &state.process)];
    for front in &state.frontends {
        all.push((Subject::Front(&front.name), &front.totals));
        all.extend(front.listeners.iter().map(|listener| {
            let subject = Subject::Listener(&front.name, &listener.address);
            (subject, &listener.totals)
        }));
    }
    for back in &state.backends {
        all.push((Subject::Back(&back.name), &back.load.totals));
        all.extend(back.servers.iter().map(|server| {
            (
                Subject::Server(&back.name, &server.name),
                &server.load.totals,
            )
        }));
    }
    all
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
