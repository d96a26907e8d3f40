//! What routers track, and how it moves their priority.

use super::{Command, Place};
use std::path::PathBuf;
use std::time::Duration;

/// `vrrp_script`.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `script`.
    pub command: Command,
    /// `interval`; default 1 s.
    pub interval: Duration,
    /// `timeout`; the interval if not given.
    pub timeout: Option<Duration>,
    /// `weight` with `reverse`; 0 means FAULT on failure.
    pub weight: Weight,
    /// `rise`; default 1.
    pub rise: u32,
    /// `fall`; default 1.
    pub fall: u32,
    /// `init_fail`: counts as failed until the first success.
    pub init_fail: bool,
}

/// How a tracked thing moves the priority: -253..253.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Positive: added while good. Negative: subtracted while bad. 0: FAULT while bad.
    pub value: i16,
    /// `reverse`: subtracted while good, added while bad; with 0 FAULT while good.
    pub reverse: bool,
}

/// `vrrp_track_process`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedProcess {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `process`: name of the program, with the parameters that must match.
    pub program: String,
    /// `process` parameters.
    pub parameters: Vec<String>,
    /// `param_match`: how the parameters are compared.
    pub param_match: ParamMatch,
    /// `full_command`: compare the whole command line's program, not its short name.
    pub full_command: bool,
    /// `weight`.
    pub weight: Weight,
    /// `quorum`: processes needed; default 1.
    pub quorum: u32,
    /// `quorum_max`: at most so many.
    pub quorum_max: Option<u32>,
    /// `fork_delay` / `delay`: before growth counts.
    pub fork_delay: Duration,
    /// `terminate_delay` / `delay`: before a loss counts.
    pub terminate_delay: Duration,
}

/// `param_match` of a tracked process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParamMatch {
    /// Parameters are not looked at.
    #[default]
    Any,
    /// Parameters are equal.
    Exact,
    /// The first parameters are equal, more may follow.
    Initial,
    /// The parameters are equal as far as written, the last one by its beginning.
    Partial,
}

/// `vrrp_track_file`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedFile {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `file`.
    pub path: PathBuf,
    /// `weight`: multiplies the number in the file.
    pub weight: Weight,
    /// `init_file VALUE [overwrite]`: what to write when the file is missing.
    pub init: Option<(i64, bool)>,
}

/// `track_lb NAME { socket PATH ... }`: Evenkeel's own balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackedBalancer {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// `socket`: the balancer's admin socket.
    pub socket: PathBuf,
    /// `backends`: those that must have a usable server; empty = any one backend.
    pub backends: Vec<String>,
    /// `interval` between looks at the servers; default 0.5 s. A closed socket counts at once.
    pub interval: Duration,
    /// `weight` when dead or unfit.
    pub weight: Weight,
}

/// A tracked thing as an instance or group names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Name of the script, process, file, balancer or interface.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// `weight` here, if other than its own.
    pub weight: Option<Weight>,
}

/// What an instance or a group tracks: the lists of its `track_*` blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracks {
    /// `track_interface`.
    pub interfaces: Vec<Track>,
    /// `track_script`.
    pub scripts: Vec<Track>,
    /// `track_process`.
    pub processes: Vec<Track>,
    /// `track_file`.
    pub files: Vec<Track>,
    /// `track_lb` (Evenkeel's own).
    pub balancers: Vec<Track>,
}
