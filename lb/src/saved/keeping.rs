//! When the state is kept (`--state-dir`), and what a start goes on from.

use super::file::Store;
use super::{Charts, restore, take, wall_ms};
use crate::access_log::AccessLog;
use crate::admin::Control;
use crate::console;
use crate::options::Options;
use crate::process::Identity;
use crate::takeover::Takeover;
use conf::lb::Level;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// How often the state is kept.
const STATE_EVERY: Duration = Duration::from_secs(10);
/// How often the figures behind the charts are: some kilobytes a server.
const CHARTS_EVERY: Duration = Duration::from_secs(300);

/// Keeps the state of a running process.
pub struct Keeping {
    store: Store,
    next_state: Instant,
    next_charts: Instant,
}

impl Keeping {
    /// Begins with an interval.
    pub fn new(store: Store) -> Keeping {
        Keeping {
            store,
            next_state: Instant::now() + STATE_EVERY,
            next_charts: Instant::now() + CHARTS_EVERY,
        }
    }

    /// Keeps what it is time for.
    pub fn when_due(&mut self, control: &Control, log: &AccessLog) {
        let now = Instant::now();
        if now >= self.next_state {
            self.next_state = now + STATE_EVERY;
            self.state(control, log);
        }
        if now >= self.next_charts {
            self.next_charts = now + CHARTS_EVERY;
            self.charts(control, log);
        }
    }

    /// Keeps everything, as the last act.
    pub fn all(&self, control: &Control, log: &AccessLog) {
        self.state(control, log);
        self.charts(control, log);
    }

    fn state(&self, control: &Control, log: &AccessLog) {
        self.write(control, log, |store| store.write(take(control)));
    }

    fn charts(&self, control: &Control, log: &AccessLog) {
        self.write(control, log, |store| {
            store.write_charts(Charts {
                at_ms: wall_ms(SystemTime::now()),
                subjects: control.history.keep(),
            })
        });
    }

    /// Writes, unless a successor goes on with it.
    fn write(
        &self,
        control: &Control,
        log: &AccessLog,
        write: impl FnOnce(&Store) -> io::Result<()>,
    ) {
        if control.old.is_followed() {
            return;
        }
        if let Err(error) = write(&self.store) {
            let path = self.store.path();
            let text = format!("The state cannot be kept in {}: {error}", path.display());
            log.process(Level::Warning, &text);
            control.events.add("process", &text);
        }
    }
}

/// The store that the command line asks for.
///
/// # Errors
/// It cannot be opened: a sentence.
pub fn open(options: &Options, identity: &Identity) -> Result<Option<Store>, String> {
    let Some(directory) = &options.state_dir else {
        return Ok(None);
    };
    let opened = Store::open(directory, &options.files, identity);
    opened
        .map(Some)
        .map_err(|e| format!("Cannot keep the state in {}: {e}", directory.display()))
}

/// Goes on from where a process before this one stood, as far as an operator
/// asked for that; before anything runs.
pub fn resume(control: &Control, takeover: &Takeover, store: Option<&Store>) {
    let mut told = takeover.told.clone();
    told.extend(super::table::load(&control.runtime));
    let predecessor = takeover.links.first();
    let kept = match (predecessor, store) {
        (Some(link), _) => Some((
            link.first.state.clone(),
            format!("process {}", link.first.pid),
        )),
        (None, Some(store)) => {
            let path = store.charts_path();
            if let Some(charts) = understood(store.read_charts(), &path, &mut told) {
                let ago = Duration::from_millis(age_ms(charts.at_ms));
                control.history.restore(&charts.subjects, ago);
            }
            let state = understood(store.read(), &store.path(), &mut told);
            state.map(|state| (state, store.path().display().to_string()))
        }
        (None, None) => None,
    };
    if let Some((state, from)) = kept {
        let found = restore(control, &state, age_ms(state.at_ms));
        let text = format!("Counters and states of {found} proxies and servers go on from {from}.");
        console::notice(&text);
        control.events.add("process", &text);
    }
    for text in told {
        console::warning(&text);
        control.events.add("process", &text);
    }
}

fn age_ms(at_ms: u64) -> u64 {
    wall_ms(SystemTime::now()).saturating_sub(at_ms)
}

/// What a file held, if it did; one that makes no sense is told.
fn understood<T>(
    read: Result<Option<T>, String>,
    path: &Path,
    told: &mut Vec<String>,
) -> Option<T> {
    read.unwrap_or_else(|problem| {
        let path = path.display();
        told.push(format!("state file {path} is ignored: {problem}"));
        None
    })
}
