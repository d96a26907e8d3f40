//! nginx's `stream {}`: its servers become frontends, its upstreams backends.
//!
//! A backend is made for each upstream as a server uses it, because timeouts
//! towards servers are the backend's in HAProxy and the server's in nginx.

mod frontend;
mod upstream;

use super::nginx_blocks::{Directive, parse};
use super::nginx_words as words;
use super::{Converted, Finding, Outcome};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use upstream::Upstream;

/// Translates.
///
/// # Errors
/// The file is not in nginx's grammar.
pub fn convert(text: &str) -> Result<Converted, String> {
    let directives = parse(text)?;
    let mut translator = Translator::default();
    translator.top(&directives);
    translator.findings.sort_by_key(|finding| finding.line);
    Ok(Converted {
        text: translator.text(),
        findings: translator.findings,
    })
}

/// The result in the making.
#[derive(Default)]
struct Translator {
    findings: Vec<Finding>,
    global: Vec<String>,
    upstreams: BTreeMap<String, Upstream>,
    maps: BTreeMap<String, Map>,
    /// Settings of `stream` that its servers inherit.
    inherited: Vec<Directive>,
    frontends: Vec<Frontend>,
    backends: Vec<Backend>,
}

/// `map $ssl_preread_server_name $variable { ... }`
#[derive(Clone, Default)]
struct Map {
    /// Names or patterns with what they stand for, in order.
    entries: Vec<(u32, String, String)>,
    default: Option<String>,
}

struct Frontend {
    name: String,
    lines: Vec<String>,
}

/// A backend with the settings that it is for.
#[derive(Clone, PartialEq)]
struct Backend {
    name: String,
    target: String,
    settings: Vec<String>,
    server_options: String,
    lines: Vec<String>,
}

impl Translator {
    fn note(&mut self, directive: &Directive, outcome: Outcome) {
        self.findings.push(Finding {
            line: directive.line,
            text: directive.shown(),
            outcome,
        });
    }

    fn left_out(&mut self, directive: &Directive, why: &str) {
        self.note(directive, Outcome::LeftOut(why.to_owned()));
    }

    fn became(&mut self, directive: &Directive, what: impl Into<String>) {
        self.note(directive, Outcome::Became(what.into()));
    }

    fn top(&mut self, directives: &[Directive]) {
        // a piece of a file, as `include` reads it, has no `stream` around it
        let is_piece = !directives.iter().any(|d| d.name() == "stream");
        for directive in directives {
            match directive.name() {
                "stream" => {
                    self.became(directive, "frontends and backends in `mode tcp`");
                    self.stream(directive.block.as_deref().unwrap_or_default());
                }
                "upstream" | "server" | "map" | "proxy_timeout" | "proxy_connect_timeout"
                    if is_piece => {}
                _ => self.process(directive),
            }
        }
        if is_piece {
            let own = |d: &&Directive| {
                matches!(
                    d.name(),
                    "upstream" | "server" | "map" | "proxy_timeout" | "proxy_connect_timeout"
                )
            };
            let piece: Vec<_> = directives.iter().filter(own).cloned().collect();
            self.stream(&piece);
        }
    }

    /// What stands outside of all blocks.
    fn process(&mut self, directive: &Directive) {
        let value = directive.argument(0).to_owned();
        match directive.name() {
            "worker_processes" if value.parse::<u32>().is_ok() => {
                self.line(directive, format!("nbthread {value}"));
            }
            "worker_processes" => self.note(
                directive,
                Outcome::NotNeeded("a thread for each processor is the default".to_owned()),
            ),
            "worker_rlimit_nofile" => self.line(directive, format!("ulimit-n {value}")),
            "user" => {
                self.line(directive, format!("user {value}"));
                if !directive.argument(1).is_empty() {
                    self.global.push(format!("group {}", directive.argument(1)));
                }
            }
            "pid" => self.line(directive, format!("pidfile {value}")),
            "daemon" if value == "off" => self.note(
                directive,
                Outcome::NotNeeded("without `daemon` it stays in the foreground".to_owned()),
            ),
            "events" => self.events(directive),
            "error_log" => self.left_out(directive, "logs go to syslog: see `log` in `global`"),
            "include" => self.left_out(directive, "convert the included files by themselves"),
            "http" | "mail" => self.left_out(directive, "only `stream {}` is translated"),
            "load_module" => self.left_out(directive, "there are no modules"),
            _ => self.left_out(directive, "no counterpart"),
        }
    }

    fn line(&mut self, directive: &Directive, line: String) {
        self.became(directive, format!("`{line}` in `global`"));
        self.global.push(line);
    }

    fn events(&mut self, events: &Directive) {
        for directive in events.block.iter().flatten() {
            match directive.name() {
                "worker_connections" => {
                    let half = directive.argument(0).parse::<u64>().map_or(0, |n| n / 2);
                    if half == 0 {
                        self.left_out(directive, "not a number");
                        continue;
                    }
                    let line = format!("maxconn {half}");
                    self.note(
                        directive,
                        Outcome::Roughly(format!(
                            "`{line}`: sessions have two connections each; nginx counts per process"
                        )),
                    );
                    self.global.push(line);
                }
                "use" | "multi_accept" | "accept_mutex" => self.note(
                    directive,
                    Outcome::NotNeeded("each thread has a listener of its own".to_owned()),
                ),
                _ => self.left_out(directive, "no counterpart"),
            }
        }
    }

    fn stream(&mut self, directives: &[Directive]) {
        // names may be used before they are defined
        for directive in directives {
            match directive.name() {
                "upstream" => self.upstream(directive),
                "map" => self.map(directive),
                "server" => {}
                _ if frontend::is_setting(directive.name()) => {
                    self.inherited.push(directive.clone());
                }
                "log_format" | "access_log" | "error_log" => self.left_out(
                    directive,
                    "logs go to syslog: add `log` to `global`, `log global` and `option tcplog`",
                ),
                "include" => self.left_out(directive, "convert the included files by themselves"),
                "resolver" | "resolver_timeout" => {
                    self.left_out(
                        directive,
                        "names are looked up at the start and at a reload",
                    );
                }
                "limit_conn_zone" => {
                    self.left_out(directive, "use `maxconn` of the frontend or of its servers");
                }
                _ => self.left_out(directive, "no counterpart"),
            }
        }
        let servers = directives.iter().filter(|d| d.name() == "server");
        for (index, server) in servers.enumerate() {
            self.server(server, index + 1);
        }
        for directive in std::mem::take(&mut self.inherited) {
            self.became(&directive, "in each frontend or backend below");
        }
    }

    fn map(&mut self, map: &Directive) {
        let (from, to) = (map.argument(0), map.argument(1));
        if words::fetch(from) != Some("req.ssl_sni") {
            let why = "only maps from $ssl_preread_server_name are translated";
            return self.left_out(map, why);
        }
        self.became(map, "`use_backend` rules where its variable is used");
        let mut table = Map::default();
        for entry in map.block.iter().flatten() {
            match entry.name() {
                "hostnames" | "volatile" => {
                    let why = "names with and without `*` are told apart by themselves";
                    self.note(entry, Outcome::NotNeeded(why.to_owned()));
                }
                "include" => {
                    self.left_out(entry, "write the entries into the map itself");
                }
                "default" => {
                    table.default = Some(entry.argument(0).to_owned());
                    self.became(entry, "`default_backend`");
                }
                name => {
                    let value = entry.argument(0).to_owned();
                    table.entries.push((entry.line, name.to_owned(), value));
                    self.became(entry, "`use_backend ... if { req.ssl_sni ... }`");
                }
            }
        }
        self.maps
            .insert(to.trim_start_matches('$').to_owned(), table);
    }

    fn text(&self) -> String {
        let mut out = String::from("# Translated from nginx by `evenkeel lb convert`\nglobal\n");
        for line in &self.global {
            let _ = writeln!(out, "    {line}");
        }
        // nginx's defaults
        out.push_str(
            "\ndefaults\n    mode tcp\n    timeout connect 60s\n    \
             timeout client 10m\n    timeout server 10m\n",
        );
        for frontend in &self.frontends {
            let _ = writeln!(out, "\nfrontend {}", frontend.name);
            for line in &frontend.lines {
                let _ = writeln!(out, "    {line}");
            }
        }
        for backend in &self.backends {
            let _ = writeln!(out, "\nbackend {}", backend.name);
            for line in backend.settings.iter().chain(&backend.lines) {
                let _ = writeln!(out, "    {line}");
            }
        }
        out
    }
}
