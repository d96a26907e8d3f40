//! `upstream` blocks: algorithms and servers.

use super::words;
use super::{Backend, Directive, Outcome, Translator};

/// A group of servers.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// `balance` and what belongs to it.
    balance: Vec<String>,
    servers: Vec<Server>,
}

#[derive(Clone, Debug, Default)]
struct Server {
    address: String,
    options: String,
    /// Options that take it out after failures, as nginx does by clients' tries.
    check: String,
}

impl Upstream {
    /// One server and nothing else: what `proxy_pass` with an address means.
    pub fn of_address(address: &str) -> Upstream {
        let server = Server {
            address: words::server(address),
            ..Server::default()
        };
        Upstream {
            servers: vec![server],
            ..Upstream::default()
        }
    }

    /// How many servers it has.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// The lines of a backend whose servers also have these options.
    pub fn lines(&self, more: &str) -> Vec<String> {
        let mut lines = self.balance.clone();
        // nginx never takes out a server that is alone
        let checks = self.servers.len() > 1;
        if checks && self.servers.iter().any(|s| !s.check.is_empty()) {
            lines.push("default-server rise 1 fall 1".to_owned());
        }
        for (index, server) in self.servers.iter().enumerate() {
            let check = if checks { server.check.as_str() } else { "" };
            let (number, address, options) = (index + 1, &server.address, &server.options);
            lines.push(format!("server s{number} {address}{options}{check}{more}"));
        }
        lines
    }
}

impl Translator {
    /// Reads a block.
    pub(super) fn upstream(&mut self, block: &Directive) {
        let name = block.argument(0).to_owned();
        let mut upstream = Upstream::default();
        self.became(block, format!("`backend {}`", words::name(&name)));
        for directive in block.block.iter().flatten() {
            match directive.name() {
                "server" => self.member(directive, &mut upstream),
                "least_conn" => self.balance(directive, &mut upstream, "balance leastconn"),
                "random" => {
                    let two = directive.argument(0) == "two";
                    let line = if two {
                        "balance random(2)"
                    } else {
                        "balance random(1)"
                    };
                    self.balance(directive, &mut upstream, line);
                }
                "hash" => self.hash(directive, &mut upstream),
                "zone" => self.note(
                    directive,
                    Outcome::NotNeeded("threads share the state of servers".to_owned()),
                ),
                "least_time" | "sticky" | "state" | "ntlm" => {
                    self.left_out(directive, "no counterpart here (nginx plus)");
                }
                _ => self.left_out(directive, "no counterpart"),
            }
        }
        self.upstreams.insert(name, upstream);
    }

    fn balance(&mut self, directive: &Directive, upstream: &mut Upstream, line: &str) {
        upstream.balance = vec![line.to_owned()];
        self.became(directive, format!("`{line}`"));
    }

    fn hash(&mut self, directive: &Directive, upstream: &mut Upstream) {
        let Some(fetch) = words::fetch(directive.argument(0)) else {
            let why = "of the variables only addresses, ports and the TLS name can be hashed";
            return self.left_out(directive, why);
        };
        let line = match fetch {
            "src" => "balance source".to_owned(),
            fetch => format!("balance hash {fetch}"),
        };
        upstream.balance = vec![line.clone()];
        if directive.argument(1) == "consistent" {
            upstream.balance.push("hash-type consistent".to_owned());
        }
        let text = format!(
            "`{}`; keys fall on other servers than with nginx",
            upstream.balance.join("`, `")
        );
        self.note(directive, Outcome::Roughly(text));
    }

    fn member(&mut self, directive: &Directive, upstream: &mut Upstream) {
        let address = directive.argument(0);
        let mut server = Server {
            address: words::server(address),
            ..Server::default()
        };
        let (mut max_fails, mut fail_timeout) = (1u32, "10s".to_owned());
        let mut missing = Vec::new();
        for argument in directive.arguments().iter().skip(1) {
            let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
            match key {
                "weight" => server.options.push_str(&format!(" weight {value}")),
                "max_conns" if value == "0" => {}
                "max_conns" => server.options.push_str(&format!(" maxconn {value}")),
                "backup" => server.options.push_str(" backup"),
                "down" => server.options.push_str(" disabled"),
                "max_fails" => max_fails = value.parse().unwrap_or(1),
                "fail_timeout" => match words::time(value) {
                    Some(time) => fail_timeout = time,
                    None => missing.push(argument.as_str()),
                },
                "slow_start" => match words::time(value) {
                    Some(time) => server.options.push_str(&format!(" slowstart {time}")),
                    None => missing.push(argument.as_str()),
                },
                _ => missing.push(argument.as_str()),
            }
        }
        if max_fails > 0 {
            server.check = format!(
                " check inter {fail_timeout} observe layer4 error-limit {max_fails} on-error \
                 mark-down"
            );
        }
        let line = format!(
            "server {}{}{}",
            server.address, server.options, server.check
        );
        upstream.servers.push(server);
        if missing.is_empty() {
            let text = match max_fails {
                0 => format!("`{line}`"),
                _ => format!("`{line}`; it comes back by a check rather than by a client's try"),
            };
            return self.became(directive, text);
        }
        let why = format!(
            "`{}` has no counterpart; the server itself: `{line}`",
            missing.join(" ")
        );
        self.left_out(directive, &why);
    }

    /// The backend for an upstream or address as one server uses it.
    pub(super) fn backend(
        &mut self,
        target: &str,
        settings: Vec<String>,
        server_options: String,
    ) -> Option<String> {
        let known = self.backends.iter().find(|b| {
            b.target == target && b.settings == settings && b.server_options == server_options
        });
        if let Some(known) = known {
            return Some(known.name.clone());
        }
        let upstream = match self.upstreams.get(target) {
            Some(upstream) => upstream.clone(),
            None if target.contains(':') => Upstream::of_address(target),
            None => return None,
        };
        let wanted = words::name(target);
        let taken = |name: &str| self.backends.iter().any(|b| b.name == name);
        let name = (1..)
            .map(|n| {
                if n == 1 {
                    wanted.clone()
                } else {
                    format!("{wanted}_{n}")
                }
            })
            .find(|name| !taken(name))?;
        let mut settings_and_retries = settings.clone();
        if !settings.iter().any(|s| s.starts_with("retries")) && upstream.len() > 1 {
            // nginx tries each of the other servers at once
            settings_and_retries.push(format!("retries {}", upstream.len() - 1));
            settings_and_retries.push("option redispatch 1".to_owned());
        }
        let mut lines = settings_and_retries.split_off(settings.len());
        lines.extend(upstream.lines(&server_options));
        self.backends.push(Backend {
            name: name.clone(),
            target: target.to_owned(),
            settings,
            server_options,
            lines,
        });
        Some(name)
    }
}
