//! Programs that the daemon starts, and what they hear of.

use super::Place;
use std::path::PathBuf;

/// A user and group for scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptUser {
    /// User name or number.
    pub user: String,
    /// Group name or number; the user's own if not given.
    pub group: Option<String>,
}

/// A fifo for notifications with the script that reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyFifo {
    /// The keyword that wrote it: `notify_fifo` or `vrrp_notify_fifo`.
    pub keyword: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Path of the fifo; made if missing.
    pub path: PathBuf,
    /// Whose it is when it is made; root's if not given.
    pub owner: Option<ScriptUser>,
    /// Script that is started with the path as its last argument.
    pub script: Option<Command>,
}

/// A command line with the user that runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Where it stands in the file.
    pub place: Place,
    /// The program and its arguments; words as a shell without expansions splits them.
    pub words: Vec<String>,
    /// The line as written, for recognising one-line checks.
    pub line: String,
    /// `user U [G]`, or the global `script_user`.
    pub user: Option<ScriptUser>,
}

/// Scripts that hear of changes, of an instance or a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notify {
    /// `notify`: every change, with arguments TYPE NAME STATE PRIORITY.
    pub any: Option<Command>,
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted`: a reload that drops the instance says DELETED and not FAULT.
    pub deleted: bool,
    /// The command of `notify_deleted`.
    pub deleted_command: Option<Command>,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower: Option<Command>,
    /// `notify_priority_changes`, if written.
    pub priority_changes: Option<bool>,
}
