//! `server` blocks: where they listen, whom they let in, where they lead.

use super::words;
use super::{Directive, Frontend, Map, Outcome, Translator};

/// What a server inherits from `stream`.
const SETTINGS: &[&str] = &[
    "proxy_timeout",
    "proxy_connect_timeout",
    "proxy_protocol",
    "proxy_protocol_timeout",
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
    "proxy_next_upstream_timeout",
    "proxy_bind",
    "proxy_socket_keepalive",
    "proxy_buffer_size",
    "proxy_half_close",
    "preread_timeout",
    "preread_buffer_size",
    "ssl_preread",
    "tcp_nodelay",
    "allow",
    "deny",
];

/// The settings that are passed on to servers.
pub fn is_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}

/// One server in the making.
#[derive(Default)]
struct Draft {
    lines: Vec<String>,
    backend: Vec<String>,
    server_options: String,
    rules: Vec<String>,
    preread: bool,
    preread_timeout: Option<String>,
    is_datagram: bool,
    pass: Option<(Directive, String)>,
}

impl Translator {
    /// Translates a block.
    pub(super) fn server(&mut self, block: &Directive, number: usize) {
        let own = block.block.clone().unwrap_or_default();
        let mut draft = Draft::default();
        let inherited = self.inherited.clone();
        let hidden = |d: &&Directive| {
            let lists = matches!(d.name(), "allow" | "deny");
            let same = |o: &Directive| match lists {
                true => matches!(o.name(), "allow" | "deny"),
                false => o.name() == d.name(),
            };
            !own.iter().any(same)
        };
        let silent = self.findings.len();
        for directive in inherited.iter().filter(hidden) {
            self.setting(directive, &mut draft);
        }
        // told once, where they stand
        self.findings.truncate(silent);
        let place = self.findings.len();
        for directive in &own {
            self.setting(directive, &mut draft);
        }
        if draft.is_datagram {
            self.findings.truncate(place);
            self.left_out(
                block,
                "it listens for datagrams (UDP), and this is a TCP balancer",
            );
            return;
        }
        let name = format!("server_{number}");
        self.became(block, format!("`frontend {name}`"));
        self.route(&mut draft);
        let mut lines = draft.lines;
        lines.splice(0..0, draft.rules);
        // binds first
        lines.sort_by_key(|line| !line.starts_with("bind "));
        self.frontends.push(Frontend { name, lines });
    }

    fn setting(&mut self, directive: &Directive, draft: &mut Draft) {
        let value = directive.argument(0).to_owned();
        let is_on = value == "on";
        match directive.name() {
            "listen" => self.listen(directive, draft),
            "proxy_pass" => draft.pass = Some((directive.clone(), value)),
            "proxy_timeout" => match words::time(&value) {
                Some(time) => {
                    draft.lines.push(format!("timeout client {time}"));
                    draft.backend.push(format!("timeout server {time}"));
                    self.became(
                        directive,
                        format!("`timeout client {time}`, `timeout server {time}`"),
                    );
                }
                None => self.left_out(directive, "not a time"),
            },
            "proxy_connect_timeout" => match words::time(&value) {
                Some(time) => {
                    draft.backend.push(format!("timeout connect {time}"));
                    self.became(directive, format!("`timeout connect {time}`"));
                }
                None => self.left_out(directive, "not a time"),
            },
            "proxy_protocol" => {
                if is_on {
                    draft.server_options.push_str(" send-proxy");
                }
                self.became(
                    directive,
                    if is_on {
                        "`send-proxy` of the servers"
                    } else {
                        "nothing"
                    },
                );
            }
            "proxy_next_upstream" if !is_on => {
                draft.backend.push("retries 0".to_owned());
                self.became(directive, "`retries 0`");
            }
            "proxy_next_upstream_tries" if value != "0" => {
                let tries = value
                    .parse::<u32>()
                    .map_or(0, |tries| tries.saturating_sub(1));
                draft.backend.push(format!("retries {tries}"));
                if tries > 0 {
                    draft.backend.push("option redispatch 1".to_owned());
                }
                self.became(directive, format!("`retries {tries}`"));
            }
            "proxy_bind" => self.source(directive, draft),
            "proxy_socket_keepalive" if is_on => {
                draft.backend.push("option srvtcpka".to_owned());
                self.became(directive, "`option srvtcpka`");
            }
            "preread_timeout" => match words::time(&value) {
                Some(time) => {
                    draft.preread_timeout = Some(time);
                    self.became(directive, "`tcp-request inspect-delay`");
                }
                None => self.left_out(directive, "not a time"),
            },
            "ssl_preread" => {
                draft.preread = is_on;
                self.became(
                    directive,
                    "`tcp-request inspect-delay` and a wait for the TLS greeting",
                );
            }
            "allow" | "deny" => {
                let verb = if directive.name() == "allow" {
                    "accept"
                } else {
                    "reject"
                };
                let rule = match value.as_str() {
                    "all" => format!("tcp-request connection {verb}"),
                    "unix:" => return self.left_out(directive, "no counterpart"),
                    from => format!("tcp-request connection {verb} if {{ src {from} }}"),
                };
                self.became(directive, format!("`{rule}`"));
                draft.rules.push(rule);
            }
            "tcp_nodelay"
            | "proxy_buffer_size"
            | "preread_buffer_size"
            | "proxy_half_close"
            | "proxy_next_upstream"
            | "proxy_next_upstream_tries"
            | "proxy_socket_keepalive"
            | "proxy_requests"
            | "proxy_responses" => {
                let why = "this is how it works here anyway";
                self.note(directive, Outcome::NotNeeded(why.to_owned()));
            }
            "access_log" if value == "off" => {
                draft.lines.push("no log".to_owned());
                self.became(directive, "`no log`");
            }
            "access_log" | "error_log" => self.left_out(
                directive,
                "logs go to syslog: add `log` to `global`, `log global` and `option tcplog`",
            ),
            "proxy_ssl" | "ssl_certificate" | "ssl_certificate_key" => {
                self.left_out(directive, "TLS is passed through, not ended here");
            }
            "limit_conn" => {
                self.left_out(directive, "use `maxconn` of the frontend or of its servers")
            }
            "proxy_upload_rate" | "proxy_download_rate" => {
                self.left_out(directive, "bytes are not slowed down here");
            }
            _ => self.left_out(directive, "no counterpart"),
        }
    }

    fn listen(&mut self, directive: &Directive, draft: &mut Draft) {
        let mut line = format!("bind {}", words::listen(directive.argument(0)));
        let mut missing = Vec::new();
        for option in directive.arguments().iter().skip(1) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match (key, value) {
                ("udp", _) => draft.is_datagram = true,
                ("proxy_protocol", _) => line.push_str(" accept-proxy"),
                ("backlog", n) => line.push_str(&format!(" backlog {n}")),
                ("ipv6only", "on") => line.push_str(" v6only"),
                ("ipv6only", _) => line.push_str(" v4v6"),
                ("fastopen", _) => line.push_str(" tfo"),
                ("deferred", _) => line.push_str(" defer-accept"),
                ("so_keepalive", "on") => draft.lines.push("option clitcpka".to_owned()),
                ("reuseport" | "bind" | "default_server", _) => {}
                _ => missing.push(option.as_str()),
            }
        }
        match missing.is_empty() {
            true => self.became(directive, format!("`{line}`")),
            false => {
                let why = format!(
                    "`{}` has no counterpart; the address itself: `{line}`",
                    missing.join(" ")
                );
                self.left_out(directive, &why);
            }
        }
        draft.lines.push(line);
    }

    fn source(&mut self, directive: &Directive, draft: &mut Draft) {
        let (address, transparent) = (directive.argument(0), directive.argument(1));
        let line = match (address, transparent) {
            ("off", _) => return self.became(directive, "nothing"),
            ("$remote_addr", "transparent") => "source 0.0.0.0 usesrc clientip".to_owned(),
            (address, _) if address.contains('$') => {
                return self.left_out(
                    directive,
                    "of the variables only `$remote_addr transparent`",
                );
            }
            (address, _) => format!("source {address}"),
        };
        self.became(directive, format!("`{line}`"));
        draft.backend.push(line);
    }

    /// Rules and the default that `proxy_pass` means.
    fn route(&mut self, draft: &mut Draft) {
        let variable = draft
            .pass
            .as_ref()
            .is_some_and(|(_, to)| to.starts_with('$'));
        if draft.preread || variable {
            let delay = draft.preread_timeout.clone().unwrap_or("30s".to_owned());
            draft
                .lines
                .push(format!("tcp-request inspect-delay {delay}"));
            draft
                .lines
                .push("tcp-request content accept if { req.ssl_hello_type 1 }".to_owned());
        }
        let Some((pass, to)) = draft.pass.clone() else {
            return;
        };
        if !variable {
            match self.backend(&to, draft.backend.clone(), draft.server_options.clone()) {
                Some(name) => {
                    draft.lines.push(format!("default_backend {name}"));
                    self.became(&pass, format!("`default_backend {name}`"));
                }
                None => self.left_out(&pass, "no upstream of this name"),
            }
            return;
        }
        let name = to.trim_matches(|c| matches!(c, '$' | '{' | '}'));
        match self.maps.get(name).cloned() {
            Some(map) => self.by_name(&pass, &map, draft),
            None => self.left_out(&pass, "a variable that no translated map sets"),
        }
    }

    fn by_name(&mut self, pass: &Directive, map: &Map, draft: &mut Draft) {
        // exact names first, then the longest ending, then patterns: as nginx
        let mut entries = map.entries.clone();
        entries.sort_by_key(|(_, name, _)| rank(name));
        for (_, name, to) in &entries {
            let condition = condition(name);
            match self.backend(to, draft.backend.clone(), draft.server_options.clone()) {
                Some(backend) => draft
                    .lines
                    .push(format!("use_backend {backend} if {condition}")),
                None => self.left_out(
                    pass,
                    &format!("no upstream `{to}`, which `{name}` leads to"),
                ),
            }
        }
        if let Some(to) = &map.default {
            match self.backend(to, draft.backend.clone(), draft.server_options.clone()) {
                Some(backend) => draft.lines.push(format!("default_backend {backend}")),
                None => self.left_out(pass, &format!("no upstream `{to}`, the default")),
            }
        }
        self.became(pass, "`use_backend` rules by the name in the TLS greeting");
    }
}

fn rank(name: &str) -> (u8, std::cmp::Reverse<usize>) {
    let kind = match name {
        _ if name.starts_with('~') => 3,
        _ if name.starts_with('*') || name.starts_with('.') => 1,
        _ if name.ends_with('*') => 2,
        _ => 0,
    };
    let length = if kind == 3 { 0 } else { name.len() };
    (kind, std::cmp::Reverse(length))
}

fn condition(name: &str) -> String {
    if let Some(pattern) = name.strip_prefix("~*") {
        return format!("{{ req.ssl_sni -i -m reg \"{}\" }}", escaped(pattern));
    }
    if let Some(pattern) = name.strip_prefix('~') {
        return format!("{{ req.ssl_sni -m reg \"{}\" }}", escaped(pattern));
    }
    if let Some(ending) = name.strip_prefix('*') {
        return format!("{{ req.ssl_sni -i -m end {ending} }}");
    }
    if let Some(whole) = name.strip_prefix('.') {
        return format!("{{ req.ssl_sni -i {whole} }} or {{ req.ssl_sni -i -m end {name} }}");
    }
    match name.strip_suffix('*') {
        Some(beginning) => format!("{{ req.ssl_sni -i -m beg {beginning} }}"),
        None => format!("{{ req.ssl_sni -i {name} }}"),
    }
}

/// Inside double quotes.
fn escaped(pattern: &str) -> String {
    pattern
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "\\$")
}
