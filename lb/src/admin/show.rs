//! `show ...`: what the process is and counts.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::model::AdminLevel;

use super::command::{Answer, Call, Command};
use super::{Control, time};
use crate::state::Proxy;
use crate::stats::encode::{self, Format};
use crate::stats::info::{self, Form, VERSION};
use crate::stats::read::{self, Wanted};
use crate::stats::row::Row;

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["show", "activity"],
        "",
        AdminLevel::User,
        "what each data thread has done",
        activity,
    ),
    Command::new(
        &["show", "backend"],
        "",
        AdminLevel::User,
        "list the backends",
        backend,
    ),
    Command::new(
        &["show", "cli", "level"],
        "",
        AdminLevel::User,
        "the level of this connection",
        |call| Answer::Text(format!("{}\n", level_word(call.session.level))),
    ),
    Command::new(
        &["show", "cli", "sockets"],
        "",
        AdminLevel::User,
        "list the sockets of the CLI",
        cli_sockets,
    ),
    Command::new(
        &["show", "env"],
        "[<name>]",
        AdminLevel::Operator,
        "environment variables, all or one",
        env,
    ),
    Command::new(
        &["show", "errors"],
        "[<proxy>] [request|response]",
        AdminLevel::Operator,
        "the last invalid request and answer of each proxy",
        errors,
    ),
    Command::new(
        &["show", "events"],
        "[<sink>] [-w] [-n]",
        AdminLevel::User,
        "state changes and other events; -w waits for more, -n only new ones",
        events,
    ),
    Command::new(
        &["show", "fd"],
        "",
        AdminLevel::Operator,
        "open file descriptors in short",
        fds,
    ),
    Command::new(
        &["show", "info"],
        "[desc|json|typed|float]*",
        AdminLevel::User,
        "facts about the process",
        show_info,
    ),
    Command::new(
        &["show", "pools"],
        "",
        AdminLevel::User,
        "memory in short",
        pools,
    ),
    Command::new(
        &["show", "schema", "json"],
        "",
        AdminLevel::User,
        "the schema of the JSON outputs",
        |_| Answer::Text(format!("{}\n", encode::json_schema())),
    ),
    Command::new(
        &["show", "config"],
        "",
        AdminLevel::Admin,
        "the texts of the configuration at work",
        |call| match call.control.calls.running_texts.get() {
            Some(texts) => Answer::Text(texts()),
            None => Answer::error("this process keeps no texts"),
        },
    ),
    Command::new(
        &["show", "startup-logs"],
        "",
        AdminLevel::Operator,
        "what was said while the process started",
        |call| Answer::Text(call.control.startup_log()),
    ),
    Command::new(
        &["show", "stat"],
        "[<iid> <type> <sid>] [desc|json|no-maint|typed|up]*",
        AdminLevel::User,
        "counters of each proxy and server",
        stat,
    ),
    Command::new(
        &["show", "status"],
        "",
        AdminLevel::User,
        "how it stands, as JSON in the words that all daemons share",
        |call| {
            let proxies = call.control.runtime.generation().proxies.clone();
            let status = crate::stats::status::document(call.control.clone(), proxies);
            Answer::Text(format!("{status}\n"))
        },
    ),
    Command::new(
        &["show", "threads"],
        "",
        AdminLevel::User,
        "the data threads and their load",
        threads,
    ),
    Command::new(
        &["show", "version"],
        "",
        AdminLevel::User,
        "the version that runs",
        |_| Answer::Text(format!("{VERSION}\n")),
    ),
];

/// A level's name.
pub fn level_word(level: AdminLevel) -> &'static str {
    match level {
        AdminLevel::User => "user",
        AdminLevel::Operator => "operator",
        AdminLevel::Admin => "admin",
    }
}

fn show_info(call: &mut Call<'_>) -> Answer {
    let mut form = Form::Plain;
    let mut desc = false;
    let mut info = call.control.info();
    for word in call.arguments {
        match word.as_str() {
            "typed" => form = Form::Typed,
            "json" => form = Form::Json,
            "desc" => desc = true,
            "float" => info.exact = true,
            _ => {}
        }
    }
    Answer::Text(info::render(&info, form, desc))
}

fn stat(call: &mut Call<'_>) -> Answer {
    let mut wanted = Wanted {
        legends: call.session.level >= AdminLevel::Operator,
        ..Wanted::default()
    };
    let mut format = Format::Csv;
    let mut desc = false;
    let mut options = call.arguments;
    if let ["domain", domain] = [call.argument(0), call.argument(1)] {
        match domain {
            "proxy" => options = &call.arguments[2..],
            "resolvers" => {
                return Answer::error("There are no resolvers, so they have no statistics.");
            }
            _ => return Answer::error("Invalid statistics domain."),
        }
    }
    // the selection is three words; what is no number selects by the proxy's name, or counts as 0
    if let [proxy, kind, id, ..] = options
        && !STAT_WORDS.contains(&proxy.as_str())
    {
        wanted.proxy_id = match proxy_id(call.control, proxy) {
            Ok(selected) => selected,
            Err(error) => return error,
        };
        wanted.kinds = leading_number(kind) as u32;
        wanted.id = u32::try_from(leading_number(id)).ok();
        options = &options[3..];
    }
    for word in options {
        match word.as_str() {
            "typed" => format = Format::Typed,
            "json" => format = Format::Json,
            "desc" => desc = true,
            "up" => wanted.hide_down = true,
            "no-maint" => wanted.hide_maintenance = true,
            _ => {}
        }
    }
    Answer::Pieces(Box::new(stat_pieces(
        call.control.clone(),
        None,
        wanted,
        format,
        desc,
    )))
}

/// What `show stat` takes besides a selection.
const STAT_WORDS: &[&str] = &["typed", "json", "desc", "up", "no-maint"];

/// The number that a word begins with, 0 without one: how HAProxy reads a selection.
fn leading_number(word: &str) -> i64 {
    let sign = usize::from(word.starts_with('-'));
    let digits = word[sign..].bytes().take_while(u8::is_ascii_digit).count();
    word[..sign + digits].parse().unwrap_or(0)
}

/// The number of the proxy that this word selects, nothing for all of them (-1).
fn proxy_id(control: &Control, word: &str) -> Result<Option<u32>, Answer> {
    if let Ok(id) = word.parse::<i64>() {
        return Ok(u32::try_from(id).ok());
    }
    match control.runtime.generation().proxy(word) {
        Some(proxy) => Ok(Some(proxy.conf.id)),
        None => Err(Answer::error("No such proxy.")),
    }
}

/// Rows in a machine-readable form, one piece per row; of all proxies unless some are given.
pub fn stat_pieces(
    control: Arc<Control>,
    proxies: Option<Vec<Arc<Proxy>>>,
    wanted: Wanted,
    format: Format,
    desc: bool,
) -> impl Iterator<Item = String> + Send {
    let proxies = proxies.unwrap_or_else(|| control.runtime.generation().proxies.clone());
    let mut head = String::new();
    match format {
        Format::Csv => encode::csv_header(&mut head),
        Format::Json => head.push('['),
        Format::Typed => {}
    }
    let tail = match format {
        Format::Json => Some("]\n".to_owned()),
        Format::Csv | Format::Typed => None,
    };
    let mut first = true;
    let rows = rows(control, proxies, wanted).map(move |row| {
        let mut out = String::with_capacity(512);
        match format {
            Format::Csv => encode::csv_row(&row, desc, &mut out),
            Format::Typed => encode::typed_row(&row, desc, &mut out),
            Format::Json => {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                encode::json_row(&row, desc, &mut out);
            }
        }
        out
    });
    std::iter::once(head).chain(rows).chain(tail)
}

/// The wanted rows of these proxies, each read when it is asked for.
pub fn rows(
    control: Arc<Control>,
    proxies: Vec<Arc<Proxy>>,
    wanted: Wanted,
) -> impl Iterator<Item = Row> + Send {
    let listeners = control.listeners();
    proxies.into_iter().flat_map(move |proxy| {
        let (control, listeners) = (control.clone(), listeners.clone());
        let source = read::Source {
            runtime: &control.runtime,
            listeners: &listeners,
        };
        let places = read::places(source, &proxy, &wanted);
        places.into_iter().filter_map(move |place| {
            let source = read::Source {
                runtime: &control.runtime,
                listeners: &listeners,
            };
            read::row(source, &proxy, place, &wanted)
        })
    })
}

fn backend(call: &mut Call<'_>) -> Answer {
    let mut out = String::from("# name\n");
    for proxy in &call.control.runtime.generation().proxies {
        if proxy.back.is_some() {
            let _ = writeln!(out, "{}", proxy.name());
        }
    }
    Answer::Text(out)
}

fn cli_sockets(call: &mut Call<'_>) -> Answer {
    let mut out = String::from("# socket lvl processes\n");
    for (address, level) in call.control.cli_sockets() {
        let _ = writeln!(out, "{address} {} all", level_word(level));
    }
    Answer::Text(out)
}

fn env(call: &mut Call<'_>) -> Answer {
    let line = |name: &std::ffi::OsStr, value: &std::ffi::OsStr| {
        format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy())
    };
    match call.argument(0) {
        "" => Answer::Text(std::env::vars_os().map(|(n, v)| line(&n, &v)).collect()),
        name => match std::env::var_os(name) {
            Some(value) => Answer::Text(line(name.as_ref(), &value)),
            None => Answer::error("Variable not found"),
        },
    }
}

fn errors(call: &mut Call<'_>) -> Answer {
    let generation = call.control.runtime.generation();
    let proxy = match call.argument(0) {
        "" | "-1" => None,
        word => match word.parse::<u32>() {
            // nothing was captured of a number that no proxy has
            Ok(id) => Some(
                generation
                    .proxies
                    .iter()
                    .find(|proxy| proxy.conf.id == id)
                    .map_or(String::new(), |proxy| proxy.name().to_owned()),
            ),
            Err(_) => match generation.proxy(word) {
                Some(proxy) => Some(proxy.name().to_owned()),
                None => return Answer::error("No such proxy."),
            },
        },
    };
    let only = match call.argument(1) {
        "request" => Some(true),
        "response" => Some(false),
        _ => None,
    };
    Answer::Text(call.control.captures.show(proxy.as_deref(), only))
}

/// What lines and events go to, as HAProxy lists it.
fn list_sinks(call: &Call<'_>) -> String {
    let head = "Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop\n";
    let own = "    buf0       : type=buffer, 0 dropped, state changes and other events\n";
    let rest = call.control.log.get().map(|log| log.list_sinks());
    format!("{head}{own}{}", rest.unwrap_or_default())
}

fn events(call: &mut Call<'_>) -> Answer {
    let (options, names): (Vec<_>, Vec<_>) = call
        .arguments
        .iter()
        .map(String::as_str)
        .partition(|word| word.starts_with('-'));
    let has = |letter: char| options.iter().any(|word| word.contains(letter));
    let name = match names.first() {
        None if options.is_empty() => return Answer::Text(list_sinks(call)),
        None | Some(&"buf0") => None,
        Some(name) => Some(*name),
    };
    if let Err(refused) = call.require(AdminLevel::Operator) {
        return refused;
    }
    if let Some(name) = name {
        let log = call.control.log.get();
        return match log.and_then(|log| log.ring(name)) {
            Some(ring) if has('w') => Answer::Follow(ring.watch(has('n'))),
            Some(_) if has('n') => Answer::Done,
            Some(ring) => Answer::Text(ring.text()),
            None => Answer::error("No such event sink"),
        };
    }
    let seen = if has('n') {
        String::new()
    } else {
        call.control.events.text()
    };
    if has('w') {
        Answer::Follow(call.control.events.follow(seen))
    } else {
        Answer::Text(seen)
    }
}

fn activity(call: &mut Call<'_>) -> Answer {
    let runtime = &call.control.runtime;
    let threads = runtime.threads();
    let mut out = format!(
        "thread_id: 0 (1..{})\ndate_now: {}\n",
        threads.len(),
        time::epoch_us(std::time::SystemTime::now())
    );
    let mut line = |name: &str, values: Vec<u64>| {
        let sum: u64 = values.iter().sum();
        let each: Vec<_> = values.iter().map(u64::to_string).collect();
        let _ = writeln!(out, "{name}: {sum} [ {} ]", each.join(" "));
    };
    line(
        "loops",
        threads.iter().map(|t| t.loops.load(Relaxed)).collect(),
    );
    line(
        "sessions",
        threads
            .iter()
            .map(|t| u64::from(t.load.load(Relaxed)))
            .collect(),
    );
    line(
        "busy_us",
        threads.iter().map(|t| t.busy_us.load(Relaxed)).collect(),
    );
    line(
        "moves_ahead",
        threads
            .iter()
            .map(|t| t.moves_ahead.load(Relaxed))
            .collect(),
    );
    Answer::Text(out)
}

fn threads(call: &mut Call<'_>) -> Answer {
    let mut out = String::new();
    for thread in call.control.runtime.threads() {
        let _ = writeln!(
            out,
            "  Thread {:<2}: sessions={} loops={} busy_ms={}",
            thread.thread.0 + 1,
            thread.load.load(Relaxed),
            thread.loops.load(Relaxed),
            thread.busy_us.load(Relaxed) / 1000
        );
    }
    Answer::Text(out)
}

fn fds(call: &mut Call<'_>) -> Answer {
    let runtime = &call.control.runtime;
    let mut out = String::new();
    for listener in call.control.listeners().iter() {
        let address = listener
            .conf()
            .map_or_else(String::new, |bind| super::address::bind(&bind.address));
        let _ = writeln!(
            out,
            "listener {address} fe={} connections={}",
            listener.proxy.name(),
            listener.live.connections.get()
        );
    }
    let _ = writeln!(
        out,
        "connections from clients: {}, pipes: {}, limit of descriptors: {}",
        runtime.process.connections.get(),
        runtime.process.pipes.get(),
        call.control.info().file_limit
    );
    Answer::Text(out)
}

fn pools(call: &mut Call<'_>) -> Answer {
    let info = call.control.info();
    Answer::Text(format!(
        "No pools: memory comes from the allocator.\nTotal: 0 pools, {} bytes allocated, {0} used.\n",
        info.memory_used
    ))
}
