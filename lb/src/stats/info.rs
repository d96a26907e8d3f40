//! Facts about the process: one table behind `show info` in its forms, the page's head and the
//! process series of the Prometheus output.

mod fields;

pub use fields::{FIELDS, Field};

use super::encode;
use super::value::Value;
use std::fmt::Write as _;

/// The product's name as shown to operators and tools.
pub const PRODUCT: &str = "Evenkeel";
/// This build's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// When the sources last changed.
pub const RELEASE_DATE: &str = "2026/11/21";

/// What the process says about itself at one moment.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Data threads.
    pub threads: u32,
    pub pid: u32,
    /// Times with their fractions (`show info float`).
    pub exact: bool,
    /// Since the start, in microseconds.
    pub uptime_us: u64,
    /// Of the start, since 1970.
    pub start_time_us: u64,
    /// 0 without a limit.
    pub memory_limit_mb: u32,
    /// In bytes.
    pub memory_used: u64,
    /// Most open files; sockets count among them.
    pub file_limit: u32,
    pub max_sockets: u32,
    pub max_connections: u32,
    pub hard_max_connections: u32,
    /// Clients' connections now.
    pub connections: u32,
    pub connections_total: u64,
    pub requests_total: u64,
    pub max_pipes: u32,
    pub pipes_used: u32,
    pub pipes_free: u32,
    pub connection_rate: super::row::Rate,
    pub session_rate: super::row::Rate,
    pub tasks: u32,
    pub run_queue: u32,
    /// How much of the last second the data threads waited.
    pub idle_percent: u32,
    pub node: Option<String>,
    pub description: Option<String>,
    pub stopping: bool,
    /// Connections and listeners: what keeps the process alive.
    pub jobs: u32,
    pub listeners: u32,
    /// Lines that no log took.
    pub dropped_logs: u32,
    /// Sent to clients since the start.
    pub bytes_out: u64,
    pub bytes_spliced: u64,
    /// Sent to clients in the last second.
    pub bytes_out_rate: u64,
    /// Processes that this one took over from and that still have sessions.
    pub old: Vec<crate::takeover::old::OldProcess>,
}

impl Info {
    /// A time, whole or with its fraction.
    fn time(&self, us: u64) -> Value<'static> {
        match self.exact {
            true => Value::Seconds(us),
            false => Value::U32(seconds(us)),
        }
    }
}

/// Whole seconds in so many microseconds.
pub fn seconds(us: u64) -> u32 {
    u32::try_from(us / 1_000_000).unwrap_or(u32::MAX)
}

/// `0d 0h00m03s`
pub fn uptime(seconds: u32) -> String {
    format!(
        "{}d {}h{:02}m{:02}s",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The forms of `show info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Typed,
    Json,
}

/// `show info`, ending with a newline; `desc` adds to each line what it means.
pub fn render(info: &Info, form: Form, desc: bool) -> String {
    let mut out = String::with_capacity(8192);
    let mut first = true;
    if form == Form::Json {
        out.push('[');
    }
    for (position, field) in FIELDS {
        let value = field.value(info);
        if value.is_none() {
            continue;
        }
        if form == Form::Json && !std::mem::take(&mut first) {
            out.push(',');
        }
        line(*position, field, &value, form, desc, &mut out);
    }
    if form == Form::Json {
        out.push_str("]\n");
    }
    out
}

fn line(
    position: usize,
    field: &Field,
    value: &Value<'_>,
    form: Form,
    desc: bool,
    out: &mut String,
) {
    match form {
        Form::Json => {
            out.push('{');
            encode::json_field(position, field.name, field.tags, value, out);
            if desc {
                let _ = write!(out, ",\"desc\":\"{}\"", field.doc);
            }
            out.push('}');
            return;
        }
        Form::Plain => {
            let _ = write!(out, "{}: {value}", field.name);
        }
        Form::Typed => {
            let letters = field.tags.letters().map(char::from);
            let _ = write!(
                out,
                "{position}.{}.1:{}{}{}:{}:{value}",
                field.name,
                letters[0],
                letters[1],
                letters[2],
                value.type_name()
            );
        }
    }
    if desc {
        let _ = write!(out, ":\"{}\"", field.doc);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn show_info_starts_with_the_names_that_tools_expect() {
        let text = render(&Info::default(), Form::Plain, false);
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .take(9)
            .collect();
        assert_eq!(
            names,
            [
                "Name",
                "Version",
                "Release_date",
                "Nbthread",
                "Nbproc",
                "Process_num",
                "Pid",
                "Uptime",
                "Uptime_sec"
            ]
        );
    }

    #[test]
    fn typed_info_carries_position_tags_and_type() {
        let info = Info {
            threads: 2,
            ..Info::default()
        };
        assert!(render(&info, Form::Typed, false).contains("\n3.Nbthread.1:CGS:u32:2\n"));
    }

    #[test]
    fn json_info_is_json() {
        let parsed: serde_json::Value =
            serde_json::from_str(&render(&Info::default(), Form::Json, true)).unwrap();
        assert_eq!(parsed[0]["field"]["name"], "Name");
    }

    #[test]
    fn uptime_counts_days_hours_minutes_and_seconds() {
        assert_eq!(uptime(3), "0d 0h00m03s");
        assert_eq!(uptime(93_784), "1d 2h03m04s");
    }
}
