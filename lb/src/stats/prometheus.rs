//! The statistics as Prometheus series, under the names that dashboards for HAProxy use.
//!
//! Beside HAProxy's labels, every series of a proxy has its mode and every series of a server or
//! listener its address; histograms of connect and total time come beside the averages.

mod moves;
mod series;

use std::fmt::Write as _;
use std::sync::Arc;

use super::column::{COLUMNS, Column, STATIC_COLUMNS};
use super::info::{FIELDS, Info, VERSION};
use super::read::Wanted;
use super::row::{Colour, Kind, Row};
use super::value::Value;
use crate::admin::Control;
use crate::admin::show::rows;
use series::{Absent, PROCESS, ROWS, Series, Shape};

/// What a scrape asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    process: bool,
    kinds: u32,
    hide_maintenance: bool,
    extra: bool,
}

/// A parameter that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadQuery;

impl Options {
    /// From the query: `scope=<kind>` as often as wanted, all kinds without; `no-maint`;
    /// `extra-counters` for those of modules.
    pub fn parse(query: &str) -> Result<Self, BadQuery> {
        let mut options = Self {
            process: true,
            kinds: u32::MAX,
            hide_maintenance: false,
            extra: false,
        };
        let mut narrowed = false;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key {
                "scope" => {
                    if !std::mem::replace(&mut narrowed, true) {
                        (options.process, options.kinds) = (false, 0);
                    }
                    if !parameter.contains('=') {
                        return Err(BadQuery);
                    }
                    options.add(&decoded(value)?)?;
                }
                "no-maint" => options.hide_maintenance = true,
                "extra-counters" => options.extra = true,
                _ => {}
            }
        }
        Ok(options)
    }

    fn add(&mut self, scope: &str) -> Result<(), BadQuery> {
        match scope {
            "" => {}
            "global" => self.process = true,
            "frontend" => self.kinds |= Kind::Frontend.bit(),
            "backend" => self.kinds |= Kind::Backend.bit(),
            "server" => self.kinds |= Kind::Server.bit(),
            "listener" => self.kinds |= Kind::Listener.bit(),
            // there are no stick tables, so they have no series
            "sticktable" => {}
            "*" => (self.process, self.kinds) = (true, u32::MAX),
            _ => return Err(BadQuery),
        }
        Ok(())
    }
}

/// A value without its percent encoding.
fn decoded(value: &str) -> Result<String, BadQuery> {
    let mut pieces = value.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2).ok_or(BadQuery)?;
        let byte = u8::from_str_radix(code, 16).map_err(|_| BadQuery)?;
        out.push(char::from(byte));
        out.push_str(rest);
    }
    Ok(out)
}

/// The series in pieces, one per name.
pub fn pieces(control: Arc<Control>, options: Options) -> impl Iterator<Item = String> + Send {
    let info = options.process.then(|| control.info());
    let identity = control.identity.clone();
    let wanted = Wanted {
        kinds: options.kinds,
        hide_maintenance: options.hide_maintenance,
        ..Wanted::default()
    };
    let moves = moves(&control, &options);
    let proxies = control.runtime.generation().proxies.clone();
    // a name's series stand together, so the rows are read once before all of them
    let all: Arc<Vec<Row>> = Arc::new(rows(control, proxies, wanted).collect());
    let all_rows = all.clone();
    let process = info.into_iter().map(|info| process(&info));
    let kinds = [Kind::Frontend, Kind::Listener, Kind::Backend, Kind::Server];
    let of_rows = kinds.into_iter().flat_map(move |kind| {
        let all = all.clone();
        ROWS.iter().map(move |series| one(series, kind, &all))
    });
    let extra = match options.extra {
        true => extra(&all_rows),
        false => String::new(),
    };
    let common = options.process.then(|| identity.prometheus());
    let common = common.into_iter().chain(process);
    common.chain(of_rows).chain([extra, moves])
}

fn moves(control: &Control, options: &Options) -> String {
    let views = control.rebalancer.get().map(|r| r.views(None));
    let asked = |kind: Kind| options.kinds & kind.bit() != 0;
    moves::series(
        &views.unwrap_or_default(),
        asked(Kind::Backend),
        asked(Kind::Server),
    )
}

/// `extra-counters`: what HAProxy's modules count.
fn extra(all: &[Row]) -> String {
    let mut out = String::new();
    for kind in [Kind::Frontend, Kind::Listener, Kind::Backend, Kind::Server] {
        for column in &COLUMNS[STATIC_COLUMNS..] {
            let name = format!("haproxy_{}_{}", word(kind), column.name);
            let mut lines = String::new();
            for row in all.iter().filter(|row| row.kind == kind) {
                if let Some(number) = column.value(row).number() {
                    let _ = writeln!(lines, "{name}{{{}}} {number}", labels(row));
                }
            }
            if !lines.is_empty() {
                let shape = match column.name.contains("_open_") {
                    true => Shape::Gauge,
                    false => Shape::Counter,
                };
                head(&mut out, &name, column.doc, shape);
                out.push_str(&lines);
            }
        }
    }
    out
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Frontend => "frontend",
        Kind::Listener => "listener",
        Kind::Backend => "backend",
        Kind::Server => "server",
    }
}

fn head(out: &mut String, name: &str, doc: &str, shape: Shape) {
    let kind = match shape {
        Shape::Counter => "counter",
        Shape::Histogram => "histogram",
        Shape::Gauge | Shape::States | Shape::Checks | Shape::Classes => "gauge",
    };
    let kind = if matches!(shape, Shape::Classes) {
        "counter"
    } else {
        kind
    };
    let _ = write!(out, "# HELP {name} {doc}\n# TYPE {name} {kind}\n");
}

fn process(info: &Info) -> String {
    let mut out = String::with_capacity(8192);
    for (field_name, series, shape) in PROCESS {
        let Some((_, field)) = FIELDS.iter().find(|(_, field)| field.name == *field_name) else {
            continue;
        };
        let Some(number) = field.value(info).number() else {
            continue;
        };
        let name = format!("haproxy_process_{series}");
        head(&mut out, &name, field.doc, *shape);
        let _ = writeln!(out, "{name} {number}");
    }
    let series = "haproxy_process_old_connections";
    let doc = "connections from clients that a process before this one still has";
    head(&mut out, series, doc, Shape::Gauge);
    for old in &info.old {
        let _ = writeln!(out, "{series}{{pid=\"{}\"}} {}", old.pid, old.connections);
    }
    for (name, doc) in NEVER {
        let name = format!("haproxy_process_{name}");
        head(&mut out, &name, doc, Shape::Gauge);
        let _ = writeln!(out, "{name} NaN");
    }
    head(
        &mut out,
        "haproxy_process_build_info",
        "what runs",
        Shape::Gauge,
    );
    let _ = writeln!(out, "haproxy_process_build_info{{version=\"{VERSION}\"}} 1");
    out
}

/// What HAProxy shows and a process without HTTP compression never has.
const NEVER: [(&str, &str); 2] = [
    ("current_zlib_memory", "memory of HTTP compression"),
    ("max_zlib_memory", "limit of the memory of HTTP compression"),
];

/// A label's value: three characters are escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn labels(row: &Row) -> String {
    let mut out = format!("proxy=\"{}\"", label(&row.proxy));
    let address = match (&row.server, &row.listen_address) {
        (Some(server), _) => Some(server.address.as_str()),
        (None, address) => address.as_deref(),
    };
    let kind = match row.kind {
        Kind::Server => Some("server"),
        Kind::Listener => Some("listener"),
        Kind::Frontend | Kind::Backend => None,
    };
    if let Some(kind) = kind {
        let _ = write!(out, ",{kind}=\"{}\"", label(&row.name));
    }
    if let Some(address) = address {
        let _ = write!(out, ",address=\"{}\"", label(address));
    }
    let _ = write!(out, ",mode=\"{}\"", row.mode);
    out
}

fn one(series: &Series, kind: Kind, all: &[Row]) -> String {
    let mut out = String::new();
    if series.kinds & kind.bit() == 0 {
        return out;
    }
    let name = format!("haproxy_{}_{}", word(kind), series.name);
    let column = COLUMNS.iter().find(|column| column.name == series.column);
    let mut lines = String::new();
    for row in all.iter().filter(|row| row.kind == kind) {
        match series.shape {
            Shape::Gauge | Shape::Counter => {
                if let Some(column) = column {
                    plain(series, column, &name, row, &mut lines);
                }
            }
            Shape::States => states(&name, row, all, series.name, &mut lines),
            Shape::Checks if kind == Kind::Backend => all_checks(&name, row, all, &mut lines),
            Shape::Checks => checks(&name, row, &mut lines),
            Shape::Classes => classes(&name, row, &mut lines),
            Shape::Histogram => histogram(series, &name, row, &mut lines),
        }
    }
    if !lines.is_empty() {
        head(&mut out, &name, series.doc(), series.shape);
        out.push_str(&lines);
    }
    out
}

fn plain(series: &Series, column: &Column, name: &str, row: &Row, out: &mut String) {
    let value = column.value(row);
    let shown = match value {
        Value::None => match series.absent {
            Absent::NaN => "NaN".to_owned(),
            Absent::ZeroWhereChecked if check_state(row).is_some() => "0".to_owned(),
            Absent::ZeroWhereChecked | Absent::Nothing => return,
        },
        Value::Str(_) => return,
        value => match (value.number(), series.milliseconds) {
            (Some(ms), true) => format!("{:.6}", ms / 1000.0),
            (Some(number), false) => number.to_string(),
            (None, _) => return,
        },
    };
    let _ = writeln!(out, "{name}{{{}}} {shown}", labels(row));
}

const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

fn server_state(row: &Row) -> &'static str {
    match row.server.as_ref().map(|server| server.colour) {
        Some(Colour::Down | Colour::GoingUp) => "DOWN",
        Some(Colour::Maintenance) => "MAINT",
        Some(Colour::Draining) => "DRAIN",
        Some(Colour::Nolb) => "NOLB",
        Some(Colour::Up | Colour::GoingDown | Colour::NoCheck) | None => "UP",
    }
}

fn states(name: &str, row: &Row, all: &[Row], series: &str, out: &mut String) {
    let labels = labels(row);
    let mut line = |state: &str, value: usize| {
        let _ = writeln!(out, "{name}{{{labels},state=\"{state}\"}} {value}");
    };
    match row.kind {
        Kind::Server => {
            let now = server_state(row);
            for state in SERVER_STATES {
                line(state, usize::from(state == now));
            }
        }
        Kind::Backend if series.starts_with("agg_") => {
            let of_this = |other: &&Row| other.kind == Kind::Server && other.proxy == row.proxy;
            for state in SERVER_STATES {
                let servers = all.iter().filter(of_this);
                line(
                    state,
                    servers
                        .filter(|server| server_state(server) == state)
                        .count(),
                );
            }
        }
        Kind::Frontend | Kind::Backend => {
            let up = matches!(row.status.as_str(), "OPEN" | "UP");
            line("DOWN", usize::from(!up));
            line("UP", usize::from(up));
        }
        Kind::Listener => {
            for state in ["WAITING", "OPEN", "FULL"] {
                line(state, usize::from(state == row.status));
            }
        }
    }
}

const CHECK_STATES: [&str; 19] = [
    "HANA", "UNK", "INI", "CHECKED", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT",
    "L6RSP", "L7TOUT", "L7RSP", "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

/// A backend's servers by the results of their last checks.
fn all_checks(name: &str, row: &Row, all: &[Row], out: &mut String) {
    let labels = labels(row);
    let of_this = |other: &&Row| other.kind == Kind::Server && other.proxy == row.proxy;
    for state in CHECK_STATES.iter().filter(|s| !NO_RESULTS.contains(s)) {
        let is = |row: &&Row| check_state(row) == Some(state);
        let count = all.iter().filter(of_this).filter(is).count();
        let _ = writeln!(out, "{name}{{{labels},state=\"{state}\"}} {count}");
    }
}

/// States of a check without a result, which a backend does not count.
const NO_RESULTS: [&str; 3] = ["UNK", "INI", "CHECKED"];

fn check_state(row: &Row) -> Option<&str> {
    let check = row.server.as_ref()?.check.as_ref()?;
    Some(check.status.trim_start_matches("* "))
}

fn checks(name: &str, row: &Row, out: &mut String) {
    let Some(now) = check_state(row) else {
        return;
    };
    let labels = labels(row);
    for state in CHECK_STATES {
        let _ = writeln!(
            out,
            "{name}{{{labels},state=\"{state}\"}} {}",
            u8::from(state == now)
        );
    }
}

fn classes(name: &str, row: &Row, out: &mut String) {
    let Some(http) = &row.http else {
        return;
    };
    let labels = labels(row);
    for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx", "other"]
        .into_iter()
        .zip(http.responses)
    {
        let _ = writeln!(out, "{name}{{{labels},code=\"{class}\"}} {count}");
    }
}

fn histogram(series: &Series, name: &str, row: &Row, out: &mut String) {
    let Some(back) = &row.back else {
        return;
    };
    let spread = match series.name {
        "connect_time_seconds" => &back.connect_spread,
        _ => &back.total_spread,
    };
    let labels = labels(row);
    let mut sum = 0;
    for (limit_ms, count) in crate::counters::Histogram::LIMITS_MS
        .iter()
        .zip(&spread.buckets)
    {
        sum += count;
        let limit = f64::from(*limit_ms) / 1000.0;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{limit}\"}} {sum}");
    }
    let _ = write!(
        out,
        "{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n{name}_sum{{{labels}}} {:.3}\n{name}_count{{{labels}}} {count}\n",
        spread.sum_ms as f64 / 1000.0,
        count = spread.count
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_narrow_and_unknown_ones_are_refused() {
        let options = Options::parse("scope=server&no-maint").unwrap();
        assert!(!options.process && options.hide_maintenance);
        assert_eq!(options.kinds, Kind::Server.bit());
        assert!(Options::parse("").unwrap().process);
        for none in [
            "scope=nope",
            "scope=SERVER",
            "scope",
            "scope=server%zz",
            "scope=%2",
        ] {
            assert_eq!(Options::parse(none), Err(BadQuery), "{none}");
        }
        let encoded = Options::parse("scope=serv%65r").unwrap();
        assert_eq!(encoded.kinds, Kind::Server.bit());
        assert_eq!(Options::parse("scope=%2A"), Options::parse(""));
        assert_eq!(Options::parse("scope=sticktable").unwrap().kinds, 0);
    }

    #[test]
    fn labels_are_escaped() {
        let mut row = Row::new(Kind::Backend, "a\"b\\c", "BACKEND");
        row.mode = "tcp";
        assert_eq!(labels(&row), "proxy=\"a\\\"b\\\\c\",mode=\"tcp\"");
    }

    #[test]
    fn every_series_names_a_column_that_exists() {
        for series in ROWS {
            let known = COLUMNS.iter().any(|column| column.name == series.column);
            assert!(known || series.column.is_empty(), "{}", series.name);
        }
        for (field, ..) in PROCESS {
            assert!(FIELDS.iter().any(|(_, f)| f.name == *field), "{field}");
        }
    }
}
