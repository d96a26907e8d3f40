//! `-dK` and `-dL`: what the language knows, and which files the program
//! was loaded from. The shapes are HAProxy's, for scripts that look there.

use crate::admin;
use conf::keyword::Keyword;
use conf::lb::proxy::{self, Side, actions, bind, server_options};
use conf::lb::sample::{When, convert, fetch};
use conf::lb::{acl, global, userlist};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Its name, what it lists, and who writes that.
type Class = (&'static str, &'static str, fn(&mut String));

/// Classes of `-dK`.
const CLASSES: &[Class] = &[
    ("acl", "ACL keywords", acls),
    ("cfg", "configuration keywords", configuration),
    ("cli", "CLI keywords", commands),
    ("cnv", "sample converter functions", converters),
    ("flt", "filter names", |_| {}),
    ("smp", "sample fetch functions", fetches),
    ("svc", "service names", |out| {
        out.push_str("prometheus-exporter\n");
    }),
];

/// When expressions are evaluated, by column of the list of fetches.
const TIMES: &[(When, &str)] = &[
    (When::Connection, "tcp-request connection rule"),
    (When::Session, "tcp-request session rule"),
    (When::Content, "tcp-request content, use_backend or balance"),
    (When::HttpRequest, "http-request rule"),
    (When::Backend, "use-server rule"),
    (When::Response, "tcp-response content rule"),
    (When::HttpResponse, "http-response rule"),
    (When::Log, "logs"),
    (When::Check, "health check"),
    (When::Load, "configuration parser"),
];

/// The keywords of these classes (`acl,cfg`; `all`), or help about them.
pub fn keywords(classes: &str) -> String {
    let wanted: BTreeSet<&str> = classes.split(',').filter(|c| !c.is_empty()).collect();
    let all = wanted.contains("all");
    let known = |class: &&str| *class == "all" || CLASSES.iter().any(|(name, ..)| name == class);
    let mut out = String::new();
    for (name, what, list) in CLASSES {
        if all || wanted.contains(name) {
            let _ = writeln!(out, "# List of registered {what}:");
            list(&mut out);
        }
    }
    if wanted.is_empty() || !wanted.iter().all(known) {
        out.push_str("# List of supported keyword classes:\nall: list all keywords\n");
        for (name, what, _) in CLASSES {
            let _ = writeln!(out, "{name}: {what}");
        }
    }
    out
}

fn acls(out: &mut String) {
    for (name, base, method) in acl::suffixed() {
        let _ = writeln!(out, "{name} = {base} -m {method}");
    }
}

fn rows<C>(out: &mut String, ahead: &str, table: &[Keyword<C>]) {
    let mut lines: Vec<String> = table
        .iter()
        .map(|row| format!("{ahead}{} {}", row.name, row.args))
        .collect();
    lines.sort_unstable();
    for line in lines {
        let _ = writeln!(out, "\t{}", line.trim_end());
    }
}

fn configuration(out: &mut String) {
    out.push_str("global\n");
    for (_, table) in global::TABLES {
        rows(out, "", table);
    }
    out.push_str("listen\n");
    for (side, _, table) in proxy::TABLES {
        let mark = match side {
            Side::Both => "",
            Side::Front => " [ FE ]",
            Side::Back => " [ BE ]",
        };
        for row in *table {
            let line = format!("{} {}", row.name, row.args);
            let _ = writeln!(out, "\t{}{mark}", line.trim_end());
        }
    }
    rows(out, "bind <addr> ", bind::OPTIONS);
    rows(out, "server <name> <addr> ", server_options::OPTIONS);
    for (list, ahead) in [
        (actions::List::Connection, "tcp-request connection"),
        (actions::List::Session, "tcp-request session"),
        (actions::List::Content, "tcp-request content"),
        (actions::List::Response, "tcp-response content"),
    ] {
        let of_list = actions::TABLE.iter().filter(|a| a.lists.contains(&list));
        for action in of_list {
            let _ = writeln!(out, "\t{ahead} {}", action.name.replace('(', "*"));
        }
    }
    out.push_str("userlist\n");
    rows(out, "", userlist::KEYWORDS);
}

fn commands(out: &mut String) {
    let lines: BTreeSet<String> = admin::table()
        .map(|command| command.words.join(" "))
        .collect();
    for line in lines {
        let _ = writeln!(out, "{line} [WORKER]");
    }
}

fn call(name: &str, args: &str) -> String {
    match args.is_empty() {
        true => name.to_owned(),
        false => format!("{name}({args})"),
    }
}

fn converters(out: &mut String) {
    let lines: BTreeSet<String> = convert::TABLE
        .iter()
        .map(|row| {
            let (takes, gives) = (format!("{:?}", row.takes), format!("{:?}", row.gives));
            let name = call(row.name, row.args);
            format!(
                "{name}: {} => {}",
                gives.to_lowercase(),
                takes.to_lowercase()
            )
        })
        .collect();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}

fn fetches(out: &mut String) {
    for (index, (_, time)) in TIMES.iter().enumerate() {
        let bars = "| ".repeat(index);
        let line = "-".repeat(2 * (TIMES.len() - index));
        let _ = writeln!(out, "# {bars}.{line} {time}");
    }
    let mut table: Vec<&fetch::Row> = fetch::TABLE.iter().collect();
    table.sort_by_key(|row| row.name);
    for row in table {
        let there = TIMES.iter().map(|(time, _)| match row.available(*time) {
            true => "Y ",
            false => ". ",
        });
        let there: String = there.collect();
        let kind = format!("{:?}", row.kind).to_lowercase();
        let _ = writeln!(out, "[ {there}] {}: {kind}", call(row.name, row.args));
    }
}

/// The files of which code is mapped into the process.
pub fn object_files() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut out = String::from("List of loaded object files:\n");
    let mut seen = BTreeSet::new();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let executable = words.nth(1).is_some_and(|access| access.contains('x'));
        let path = words.nth(3).filter(|path| path.starts_with('/'));
        if let Some(path) = path.filter(|path| executable && seen.insert(path.to_string())) {
            let _ = writeln!(out, "{path}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_lists_something_and_an_unknown_one_gives_help() {
        for class in ["acl", "cfg", "cli", "cnv", "smp", "svc"] {
            let text = keywords(class);
            assert!(text.lines().count() > 1, "{class}: {text}");
            assert!(text.starts_with("# List of registered "), "{text}");
        }
        assert!(keywords("cfg").contains("\tserver <name> <addr> weight"));
        assert!(keywords("smp").contains(" ] src: ip\n"));
        assert!(keywords("acl").contains("path_beg = path -m beg\n"));
        assert!(keywords("nosuch").contains("all: list all keywords"));
        assert_eq!(keywords("").lines().count(), 2 + CLASSES.len());
    }

    #[test]
    fn this_program_is_among_its_object_files() {
        let own = std::env::current_exe().unwrap();
        assert!(object_files().contains(&own.display().to_string()));
    }
}
