//! `wait`: for the process that a pid file names, and for the node in it.

use super::node::{seconds, wait_until_up};
use crate::ctl::tool::{Done, End, Run};
use crate::ctl::wire::Fault;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds to wait unless told otherwise.
const USUAL: u64 = 10;
/// What scripts know as a timeout (EX_TEMPFAIL).
const TIMED_OUT: u8 = 75;

/// Waits for the file, unless a process is named, and for the node.
pub fn wait(r: &Run) -> Done {
    let pid = match (r.line.option("pid"), r.line.args.first()) {
        (Some(pid), _) => pid.to_owned(),
        (None, Some(file)) => pid_in(r, Path::new(file))?,
        (None, None) => {
            return Err(End::Usage(64, "\"No pid or pidfile specified\"".to_owned()));
        }
    };
    let node = &r.node.name;
    r.banner(format!(
        "Waiting for erlang distribution on node '{node}' while OS process '{pid}' is running"
    ));
    if !pid.bytes().all(|b| b.is_ascii_digit()) || !Path::new("/proc").join(&pid).exists() {
        return Err(End::Fault(Fault::failed("process_not_running")));
    }
    r.banner(format!(
        "Waiting for applications 'rabbit_and_plugins' to start on node '{node}'"
    ));
    wait_until_up(r, USUAL)?;
    r.banner(format!(
        "Applications 'rabbit_and_plugins' are running on node '{node}'"
    ));
    Ok(())
}

fn pid_in(r: &Run, file: &Path) -> Result<String, End> {
    let limit = seconds(r, USUAL);
    let until = Instant::now() + limit;
    r.banner(format!(
        "Waiting for pid file '{}' to appear",
        file.display()
    ));
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(pid) = text.split_whitespace().next() {
            r.banner(format!("pid is {pid}"));
            return Ok(pid.to_owned());
        }
        if Instant::now() >= until {
            let text = format!(
                "Error: operation wait on node {} timed out. Timeout value used: {}",
                r.node.name,
                limit.as_millis()
            );
            return Err(End::Absent(TIMED_OUT, text));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
