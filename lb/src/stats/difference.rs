//! What runs otherwise than the file says, because it was set at run time: the line that would
//! make it permanent, and the command that takes it back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::Config;
use conf::source::Span;

use crate::admin::{Control, address};
use crate::core::server::{Admin, Status};
use crate::state::{Endpoint, Proxy, Server};

/// The files of the configuration at work with their texts.
pub type Texts = [(PathBuf, String)];

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `backend/server`, a frontend, or `global`.
    pub subject: String,
    /// What runs: `weight 10`, `maintenance`.
    pub runs: String,
    /// What the file says instead.
    pub file: String,
    /// Where to write `line`: `/etc/haproxy/haproxy.cfg:12`, or a section in words.
    pub place: String,
    /// The line that makes it permanent, together with whatever else differs at the same server.
    pub line: String,
    /// The CLI command that goes back to the file.
    pub back: String,
}

/// Whose differences are asked for.
#[derive(Clone, Copy)]
pub enum Of<'a> {
    /// All, the process included.
    Everything,
    /// Of these proxies.
    Proxies(&'a [Arc<Proxy>]),
    /// Of one server, by backend and name.
    Server(&'a str, &'a str),
}

/// What differs, in the order of the file.
pub fn all(control: &Control, of: Of<'_>) -> Vec<Difference> {
    let texts = control.texts();
    let generation = control.runtime.generation();
    let proxies = match of {
        Of::Everything | Of::Server(..) => &generation.proxies,
        Of::Proxies(proxies) => proxies,
    };
    let mut found = Vec::new();
    for proxy in proxies {
        let wanted = |s: &str| match of {
            Of::Server(backend, name) => backend == proxy.name() && name == s,
            Of::Everything | Of::Proxies(_) => true,
        };
        if !matches!(of, Of::Server(..)) {
            frontend(proxy, &mut found);
        }
        for server in proxy.servers.iter().filter(|s| wanted(s.name())) {
            let name = format!("{}/{}", proxy.name(), server.name());
            match control.added(&name) {
                Some(words) => found.push(added(proxy, server, &words, &texts)),
                None => found.extend(of_server(proxy, server, &texts)),
            }
        }
        if let (Some(filed), Of::Everything | Of::Proxies(_)) = (control.filed(), of) {
            deleted(proxy, &filed, &texts, &mut found);
        }
    }
    if let Of::Everything = of {
        process(control, &mut found);
    }
    found
}

/// A server that the file does not have.
fn added(proxy: &Proxy, server: &Server, words: &str, texts: &Texts) -> Difference {
    let name = format!("{}/{}", proxy.name(), server.name());
    let status = server.status().clone();
    let mut line = format!("server {words}");
    let mut add = |_: &str, _: &str, edit: Edit<'_>, _: String| line = edited(&line, &edit);
    settings(&status, server, &name, &mut add);
    Difference {
        subject: name.clone(),
        runs: "added".to_owned(),
        file: "no such server".to_owned(),
        place: section(proxy, texts),
        line,
        back: format!("set server {name} state maint; del server {name}"),
    }
}

/// Servers that the file has and that were deleted.
fn deleted(proxy: &Proxy, filed: &Config, texts: &Texts, found: &mut Vec<Difference>) {
    let of_file = filed
        .proxies
        .iter()
        .find(|p| p.name == proxy.name() && p.back.is_some());
    let Some(back) = of_file
        .and_then(|p| p.back.as_ref())
        .filter(|_| proxy.back.is_some())
    else {
        return;
    };
    let gone = back
        .servers
        .iter()
        .filter(|s| proxy.server(&s.name).is_none());
    for server in gone {
        let (place, line) = at(texts, server.place.0)
            .unwrap_or_else(|| (section(proxy, texts), format!("server {}", server.name)));
        found.push(Difference {
            subject: format!("{}/{}", proxy.name(), server.name),
            runs: "deleted".to_owned(),
            file: "a server".to_owned(),
            place,
            line: format!("# {line}"),
            back: "reload".to_owned(),
        });
    }
}

/// Where a proxy's section begins.
fn section(proxy: &Proxy, texts: &Texts) -> String {
    let words = format!("section {} {}", proxy.conf.kind.word(), proxy.name());
    match at(texts, proxy.conf.place.0) {
        Some((place, _)) => format!("{words} ({place})"),
        None => words,
    }
}

/// A setting of a server: its name in the line and its value there.
enum Edit<'a> {
    /// `<keyword> <value>`.
    Value(&'a str, String),
    /// A word that stands there, or not.
    Switch(&'a str, bool),
    /// The address.
    Address(String),
}

/// What differs at a server.
pub fn of_server(proxy: &Proxy, server: &Server, texts: &Texts) -> Vec<Difference> {
    let name = format!("{}/{}", proxy.name(), server.name());
    let mut found = Vec::new();
    let mut keep: Option<(String, String)> = None;
    let mut add = |runs: &str, file: &str, edit: Edit<'_>, back: String| {
        let (_, line) = keep.get_or_insert_with(|| {
            at(texts, server.conf.place.0).unwrap_or_else(|| {
                let now = address::endpoint(&server.endpoint());
                let words = format!("server {} {now}", server.name());
                (section(proxy, texts), words)
            })
        });
        *line = edited(line, &edit);
        found.push(Difference {
            subject: name.clone(),
            runs: runs.to_owned(),
            file: file.to_owned(),
            place: String::new(),
            line: String::new(),
            back,
        });
    };
    let status = server.status().clone();
    settings(&status, server, &name, &mut add);
    let (place, line) = keep.unwrap_or_default();
    for one in &mut found {
        (one.place, one.line) = (place.clone(), line.clone());
    }
    found
}

type Add<'a> = dyn FnMut(&str, &str, Edit<'_>, String) + 'a;

/// Weight, limits, address and states of a server where they are not those of its configuration.
fn settings(status: &Status, server: &Server, name: &str, add: &mut Add<'_>) {
    number(status, server, name, add);
    let file = Endpoint::configured(&server.conf.address);
    let now = server.endpoint();
    if *now != file && file != Endpoint::Unresolved {
        let (runs, says) = (address::endpoint(&now), address::endpoint(&file));
        let (ip, port) = address::parts(&file);
        add(
            &format!("address {runs}"),
            &format!("address {says}"),
            Edit::Address(runs),
            format!("set server {name} addr {ip} port {port}"),
        );
    }
    state(status, server, name, add);
}

fn number(status: &Status, server: &Server, name: &str, add: &mut Add<'_>) {
    if status.weight != server.conf.weight {
        let (runs, file) = (status.weight, server.conf.weight);
        add(
            &format!("weight {runs}"),
            &format!("weight {file}"),
            Edit::Value("weight", runs.to_string()),
            format!("set server {name} weight {file}"),
        );
    }
    let file = server.conf.maxconn.unwrap_or(0);
    let runs = server.maxconn.load(Relaxed);
    if runs != file {
        add(
            &format!("maxconn {runs}"),
            &format!("maxconn {file}"),
            Edit::Value("maxconn", runs.to_string()),
            format!("set maxconn server {name} {file}"),
        );
    }
    let port = server.check_at.load().as_ref().and_then(|at| at.port);
    if let Some(port) = port.filter(|port| server.conf.check.port != Some(*port)) {
        let file = server.conf.check.port;
        let (_, own) = address::parts(&server.endpoint());
        let file = file.map_or(own, |port| port.to_string());
        add(
            &format!("check port {port}"),
            &format!("check port {file}"),
            Edit::Value("port", port.to_string()),
            format!("set server {name} check-port {file}"),
        );
    }
}

fn state(status: &Status, server: &Server, name: &str, add: &mut Add<'_>) {
    let ready = format!("set server {name} state ready");
    if status.admin.has(Admin::FORCED_MAINT) && !server.conf.disabled {
        add(
            "maintenance",
            "ready",
            Edit::Switch("disabled", true),
            ready,
        );
    } else if status.admin.has(Admin::FORCED_DRAIN) {
        add(
            "drain",
            "ready",
            Edit::Value("weight", "0".to_owned()),
            ready,
        );
    } else if server.conf.disabled && !status.admin.in_maintenance() {
        let back = format!("set server {name} state maint");
        add(
            "ready",
            "maintenance",
            Edit::Switch("disabled", false),
            back,
        );
    }
    let health = server.health.lock().unwrap_or_else(|e| e.into_inner());
    if health.configured && !health.enabled {
        let back = format!("enable health {name}");
        add(
            "health checks off",
            "health checks on",
            Edit::Switch("check", false),
            back,
        );
    }
}

fn frontend(proxy: &Proxy, found: &mut Vec<Difference>) {
    let (Some(front), Some(conf)) = (&proxy.front, &proxy.conf.front) else {
        return;
    };
    let name = proxy.name();
    let place = format!("section {} {name}", proxy.conf.kind.word());
    let mut add = |runs: String, file: String, line: String, back: String| {
        found.push(Difference {
            subject: name.to_owned(),
            runs,
            file,
            place: place.clone(),
            line,
            back,
        });
    };
    let runs = front.maxconn.load(Relaxed);
    if let Some(file) = conf.maxconn.filter(|file| *file != runs) {
        add(
            format!("maxconn {runs}"),
            format!("maxconn {file}"),
            format!("maxconn {runs}"),
            format!("set maxconn frontend {name} {file}"),
        );
    }
    if front.paused.load(Relaxed) {
        let back = format!("enable frontend {name}");
        add(
            "disabled".to_owned(),
            "enabled".to_owned(),
            "disabled".to_owned(),
            back,
        );
    }
}

fn process(control: &Control, found: &mut Vec<Difference>) {
    let generation = control.runtime.generation();
    let (global, live) = (&generation.conf.global, &control.runtime.process);
    let rates = [
        (
            "maxconnrate",
            "connections",
            global.maxconnrate,
            live.max_connection_rate.load(Relaxed),
        ),
        (
            "maxsessrate",
            "sessions",
            global.maxsessrate,
            live.max_session_rate.load(Relaxed),
        ),
    ];
    let mut add = |keyword: &str, file: u32, runs: u32, back: String| {
        found.push(Difference {
            subject: "global".to_owned(),
            runs: format!("{keyword} {runs}"),
            file: format!("{keyword} {file}"),
            place: "section global".to_owned(),
            line: format!("{keyword} {runs}"),
            back,
        });
    };
    if let Some(file) = global
        .maxconn
        .filter(|file| *file != live.maxconn.load(Relaxed))
    {
        let back = format!("set maxconn global {file}");
        add("maxconn", file, live.maxconn.load(Relaxed), back);
    }
    for (keyword, word, file, runs) in rates.into_iter().filter(|(.., file, runs)| file != runs) {
        add(
            keyword,
            file,
            runs,
            format!("set rate-limit {word} global {file}"),
        );
    }
}

/// The line of a place, with the file's name and the line's number.
fn at(texts: &Texts, span: Span) -> Option<(String, String)> {
    let (path, text) = texts.get(span.file.index())?;
    let before = text.get(..span.start as usize)?;
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1)?;
    let place = format!("{}:{number}", path.display());
    Some((place, line.trim().to_owned()))
}

/// A line with one setting changed. Words in quotes stay whole; a comment stays at the end.
fn edited(line: &str, edit: &Edit<'_>) -> String {
    let (words, comment) = words(line);
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    // `server <name> <address>` comes first
    let found = |words: &[String], word: &str| {
        let later = words.iter().enumerate().skip(3);
        later
            .filter(|(_, w)| *w == word)
            .map(|(i, _)| i)
            .next_back()
    };
    match edit {
        Edit::Address(address) => match words.get_mut(2) {
            Some(word) => word.clone_from(address),
            None => words.push(address.clone()),
        },
        Edit::Value(keyword, value) => match found(&words, keyword) {
            Some(index) if index + 1 < words.len() => words[index + 1].clone_from(value),
            _ => words.extend([(*keyword).to_owned(), value.clone()]),
        },
        Edit::Switch(word, true) => words.push((*word).to_owned()),
        Edit::Switch(word, false) => {
            if let Some(index) = found(&words, word) {
                words.remove(index);
            }
        }
    }
    let mut line = words.join(" ");
    if let Some(comment) = comment {
        line.push(' ');
        line.push_str(comment);
    }
    line
}

/// The words of a line as they are written, and its comment.
fn words(line: &str) -> (Vec<&str>, Option<&str>) {
    let (mut words, mut start, mut quote, mut escaped) = (Vec::new(), None, None, false);
    for (index, byte) in line.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (None | Some(b'"'), b'\\') => escaped = true,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'#') if start.is_none() => return (words, Some(&line[index..])),
            (None, b' ' | b'\t') => {
                words.extend(start.take().map(|start| &line[start..index]));
                continue;
            }
            (None, _) => {}
        }
        start.get_or_insert(index);
    }
    words.extend(start.map(|start| &line[start..]));
    (words, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_write_is_the_old_one_with_one_setting_changed() {
        let line = "server s1 10.0.0.1:5672 check weight 5 source \"10.0.0.9\" # first";
        let weight = Edit::Value("weight", "7".to_owned());
        assert_eq!(
            edited(line, &weight),
            "server s1 10.0.0.1:5672 check weight 7 source \"10.0.0.9\" # first"
        );
        let maxconn = Edit::Value("maxconn", "100".to_owned());
        assert_eq!(
            edited("server weight  h:1 # x", &maxconn),
            "server weight h:1 maxconn 100 # x"
        );
        let address = Edit::Address("10.0.0.2:1".to_owned());
        assert_eq!(
            edited("server s h:1 check", &address),
            "server s 10.0.0.2:1 check"
        );
        assert_eq!(
            edited("server s h:1", &Edit::Switch("disabled", true)),
            "server s h:1 disabled"
        );
        assert_eq!(
            edited(
                "server disabled h:1 disabled check",
                &Edit::Switch("disabled", false)
            ),
            "server disabled h:1 check"
        );
    }

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        let (found, comment) = words(r#"a "b # c" d\ e 'f" g' #h i"#);
        assert_eq!(found, ["a", r#""b # c""#, r"d\ e", r#"'f" g'"#]);
        assert_eq!(comment, Some("#h i"));
    }

    #[test]
    fn a_place_is_a_file_and_a_line() {
        let texts = [(
            PathBuf::from("/x.cfg"),
            "backend b\n  server s h:1\n".to_owned(),
        )];
        let span = Span {
            start: 12,
            end: 18,
            ..Span::default()
        };
        let found = at(&texts, span);
        assert_eq!(
            found,
            Some(("/x.cfg:2".to_owned(), "server s h:1".to_owned()))
        );
    }
}
