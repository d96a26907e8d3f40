//! `show changes`.

use super::command::{Answer, Command};
use crate::stats::difference::{self, Of};
use conf::lb::model::AdminLevel;
use std::fmt::Write as _;

/// What differs from the file.
pub static COMMANDS: &[Command] = &[Command::new(
    &["show", "changes"],
    "",
    AdminLevel::Operator,
    "show what was set at run time, the line that keeps it and the command that goes back",
    |call| {
        let mut out = String::new();
        for one in difference::all(call.control, Of::Everything) {
            let _ = writeln!(
                out,
                "{}: {} (the file says {})\n  to keep it, write in {}: {}\n  to go back: {}",
                one.subject, one.runs, one.file, one.place, one.line, one.back
            );
        }
        if out.is_empty() {
            out.push_str("Everything runs as the file says.\n");
        }
        Answer::Text(out)
    },
)];
