//! What a reload would change, as text and as JSON.

mod settings;

use crate::reload::needs_restart;
use conf::lb::{Bind, BindAddress, Config, Env, Host, Proxy, Server, ServerAddress, ServerPort};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What differs between two configurations, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Proxies only in the new one, with their kind.
    pub proxies_added: Vec<String>,
    /// Proxies only in the old one; their sessions go on until they end.
    pub proxies_removed: Vec<String>,
    /// `kind name: what` of proxies with other settings.
    pub proxies_changed: Vec<String>,
    /// Addresses to be opened.
    pub listeners_opened: Vec<String>,
    /// Addresses to be closed.
    pub listeners_closed: Vec<String>,
    /// `backend/server (address)`.
    pub servers_added: Vec<String>,
    /// `backend/server`.
    pub servers_removed: Vec<String>,
    /// `backend/server: what`.
    pub servers_changed: Vec<String>,
    /// Which settings of `global` differ; empty when none does.
    pub global_changed: String,
    /// Settings of `global` that only a start can change.
    pub needs_restart: Vec<&'static str>,
}

impl Difference {
    /// Compares.
    pub fn between(old: &Config, new: &Config) -> Difference {
        let mut difference = Difference {
            needs_restart: needs_restart(old, new),
            global_changed: match old.global == new.global {
                true => String::new(),
                false => settings::changes(&old.global, &new.global),
            },
            ..Difference::default()
        };
        for proxy in &old.proxies {
            if twin(new, proxy).is_none() {
                difference.proxies_removed.push(title(proxy));
                difference
                    .servers_removed
                    .extend(servers(proxy).iter().map(|s| full_name(proxy, s)));
            }
        }
        for proxy in &new.proxies {
            match twin(old, proxy) {
                None => {
                    difference.proxies_added.push(title(proxy));
                    for server in servers(proxy) {
                        difference.servers_added.push(with_address(proxy, server));
                    }
                }
                Some(before) => difference.compare(before, proxy),
            }
        }
        difference.compare_listeners(old, new);
        difference
    }

    fn compare(&mut self, old: &Proxy, new: &Proxy) {
        for server in servers(old) {
            if !servers(new).iter().any(|s| s.name == server.name) {
                self.servers_removed.push(full_name(old, server));
            }
        }
        for server in servers(new) {
            match servers(old).iter().find(|s| s.name == server.name) {
                None => self.servers_added.push(with_address(new, server)),
                Some(before) if **server != renumbered(before, server) => {
                    self.servers_changed
                        .push(server_changes(new, before, server));
                }
                Some(_) => {}
            }
        }
        let (before, after) = (bare(old), bare(new));
        if before != after {
            let what = settings::changes(&before, &after);
            self.proxies_changed.push(format!("{}: {what}", title(new)));
        }
    }

    fn compare_listeners(&mut self, old: &Config, new: &Config) {
        let (before, after) = (addresses(old), addresses(new));
        self.listeners_closed = before
            .iter()
            .filter(|a| !after.contains(a))
            .cloned()
            .collect();
        self.listeners_opened = after.into_iter().filter(|a| !before.contains(a)).collect();
    }

    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }

    fn lists(&self) -> [(&'static str, &[String]); 8] {
        [
            ("+ proxy", &self.proxies_added),
            ("- proxy", &self.proxies_removed),
            ("~ proxy", &self.proxies_changed),
            ("+ listener", &self.listeners_opened),
            ("- listener", &self.listeners_closed),
            ("+ server", &self.servers_added),
            ("- server", &self.servers_removed),
            ("~ server", &self.servers_changed),
        ]
    }

    /// A line for each difference.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return "no difference".to_owned();
        }
        let mut lines: Vec<String> = Vec::new();
        for (mark, names) in self.lists() {
            lines.extend(names.iter().map(|name| format!("{mark} {name}")));
        }
        if !self.global_changed.is_empty() {
            lines.push(format!("~ global: {}", self.global_changed));
        }
        for setting in &self.needs_restart {
            lines.push(format!(
                "! global: '{setting}' changes at the next start only"
            ));
        }
        lines.join("\n")
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        json!({
            "proxies": { "added": self.proxies_added, "removed": self.proxies_removed, "changed": self.proxies_changed },
            "listeners": { "opened": self.listeners_opened, "closed": self.listeners_closed },
            "servers": { "added": self.servers_added, "removed": self.servers_removed, "changed": self.servers_changed },
            "global_changed": self.global_changed,
            "needs_restart": self.needs_restart,
        })
    }
}

fn twin<'a>(config: &'a Config, proxy: &Proxy) -> Option<&'a Proxy> {
    let same =
        |other: &&std::sync::Arc<Proxy>| other.name == proxy.name && other.kind == proxy.kind;
    config.proxies.iter().find(same).map(|found| &**found)
}

fn title(proxy: &Proxy) -> String {
    format!("{} {}", proxy.kind.word(), proxy.name)
}

fn servers(proxy: &Proxy) -> &[std::sync::Arc<Server>] {
    proxy.back.as_ref().map_or(&[], |back| &back.servers)
}

/// The old server with the new one's number, where nobody gave one: it follows from
/// the servers around it.
fn renumbered(old: &Server, new: &Server) -> Server {
    let counted = !old.id_forced && !new.id_forced;
    let id = if counted { new.id } else { old.id };
    Server { id, ..old.clone() }
}

fn full_name(proxy: &Proxy, server: &Server) -> String {
    format!("{}/{}", proxy.name, server.name)
}

fn with_address(proxy: &Proxy, server: &Server) -> String {
    format!(
        "{} ({})",
        full_name(proxy, server),
        server_address(&server.address)
    )
}

/// A proxy without its servers and addresses, which are compared one by one, and without what
/// follows from other proxies.
pub(crate) fn bare(proxy: &Proxy) -> Proxy {
    let mut bare = proxy.clone();
    if let Some(front) = &mut bare.front {
        front.binds.clear();
    }
    if let Some(back) = &mut bare.back {
        back.servers.clear();
        if !back.fullconn_set {
            back.fullconn = 0;
        }
    }
    bare.id = 0;
    bare
}

fn server_changes(proxy: &Proxy, old: &Server, new: &Server) -> String {
    let mut told = Vec::new();
    if old.address != new.address {
        told.push(moved_to(&old.address, &new.address));
    }
    let moved = Server {
        address: new.address.clone(),
        ..renumbered(old, new)
    };
    if moved != *new {
        told.push(settings::changes(&moved, new));
    }
    format!("{}: {}", full_name(proxy, new), told.join(", "))
}

fn host(host: &Host) -> String {
    match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name, _) => name.clone(),
    }
}

/// Both addresses; where the same name stands for another one now, what it stands for, too.
fn moved_to(old: &ServerAddress, new: &ServerAddress) -> String {
    let (before, after) = (server_address(old), server_address(new));
    if before != after {
        return format!("address {before} -> {after}");
    }
    let found = |address: &ServerAddress| match address {
        ServerAddress::Tcp {
            host: Host::Ip(ip), ..
        } => ip.to_string(),
        ServerAddress::Tcp { .. } | ServerAddress::Unix(_) | ServerAddress::Abstract(_) => {
            "none".to_owned()
        }
    };
    format!("address of {after} {} -> {}", found(old), found(new))
}

fn server_address(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Unix(path) => path.display().to_string(),
        ServerAddress::Abstract(name) => format!("abns@{name}"),
        ServerAddress::Tcp {
            host: place,
            fqdn,
            port,
        } => {
            let place = fqdn.clone().unwrap_or_else(|| host(place));
            match port {
                ServerPort::Fixed(port) => format!("{place}:{port}"),
                ServerPort::Mapped(offset) => format!("{place}:{offset:+}"),
            }
        }
    }
}

fn addresses(config: &Config) -> Vec<String> {
    let mut all = Vec::new();
    for proxy in config.proxies.iter().filter(|proxy| !proxy.disabled) {
        for bind in proxy.front.iter().flat_map(|front| &front.binds) {
            all.push(format!("{} ({})", bind_address(bind), proxy.name));
        }
    }
    all
}

fn bind_address(bind: &Bind) -> String {
    match &bind.address {
        BindAddress::Tcp {
            host: place,
            first,
            last,
        } if first == last => {
            format!("{}:{first}", host(place))
        }
        BindAddress::Tcp {
            host: place,
            first,
            last,
        } => format!("{}:{first}-{last}", host(place)),
        BindAddress::Unix(path) => path.display().to_string(),
        BindAddress::Abstract(name) => format!("abns@{name}"),
        BindAddress::Fd(number) => format!("fd@{number}"),
    }
}

/// `evenkeel lb diff`: the new file against the running process, or against
/// another file.
pub fn command(args: &[String]) -> ExitCode {
    match compare(args) {
        Ok((difference, json)) => {
            match json {
                true => println!("{:#}", difference.json()),
                false => println!("{}", difference.text()),
            }
            ExitCode::from(u8::from(!difference.is_empty()))
        }
        Err(problem) => {
            eprintln!("evenkeel lb diff: {problem}");
            ExitCode::from(2)
        }
    }
}

const USAGE: &str = "usage: evenkeel lb diff [--json] [--socket <path>] [<old file>] <new file>\n\
    without an old file, the running process is asked; status 0: no difference, 1: some, 2: trouble";

fn compare(args: &[String]) -> Result<(Difference, bool), String> {
    let mut files = Vec::new();
    let mut json = false;
    let mut socket = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--socket" => socket = Some(PathBuf::from(args.next().ok_or(USAGE)?)),
            "-f" => {}
            "-h" | "--help" => return Err(USAGE.to_owned()),
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}\n{USAGE}"));
            }
            file => files.push(PathBuf::from(file)),
        }
    }
    let (old, new) = match files.as_slice() {
        [new] => (running(socket.as_deref())?, read(new)?),
        [old, new] => (read(old)?, read(new)?),
        _ => return Err(USAGE.to_owned()),
    };
    Ok((Difference::between(&old, &new), json))
}

fn read(file: &Path) -> Result<Config, String> {
    let (config, report) = conf::lb::load(&[file.to_owned()], Env::of_process());
    config
        .filter(|_| !report.has_errors())
        .ok_or_else(|| report.human(false))
}

/// The configuration that the running process works with.
fn running(socket: Option<&Path>) -> Result<Config, String> {
    let path = match socket {
        Some(path) => path.to_owned(),
        None => {
            let alive = crate::admin::socket::alive(Path::new(crate::admin::socket::RUN_DIR));
            match alive.as_slice() {
                [only] => only.clone(),
                [] => {
                    return Err(
                        "no running balancer found; name its socket with --socket".to_owned()
                    );
                }
                _ => {
                    return Err("several balancers run; name one's socket with --socket".to_owned());
                }
            }
        }
    };
    let answer = ask(&path, "show config\n").map_err(|e| format!("{}: {e}", path.display()))?;
    let texts =
        parse_texts(&answer).ok_or_else(|| format!("{}: {}", path.display(), answer.trim()))?;
    let (config, report) = conf::lb::load_texts(texts, Env::of_process());
    config
        .filter(|_| !report.has_errors())
        .ok_or_else(|| report.human(false))
}

/// Sends a command to a CLI socket and reads the answer to its end.
pub fn ask(path: &Path, command: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
    stream.write_all(command.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Takes apart what [`crate::reload::Reloader::running_texts`] wrote.
fn parse_texts(answer: &str) -> Option<Vec<(PathBuf, String)>> {
    let mut texts = Vec::new();
    let mut rest = answer;
    while let Some(after) = rest.strip_prefix("# file ") {
        let (header, body) = after.split_once('\n')?;
        let (length, path) = header.split_once(' ')?;
        let length: usize = length.parse().ok()?;
        texts.push((PathBuf::from(path), body.get(..length)?.to_owned()));
        rest = &body[length..];
    }
    (!texts.is_empty()).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let (config, report) = conf::lb::load_str(text);
        config.unwrap_or_else(|| panic!("{}", report.human(false)))
    }

    const OLD: &str = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
        listen a\n bind 127.0.0.1:1000\n server s1 192.0.2.1:1 weight 1\n server s2 192.0.2.2:1\n\
        listen gone\n bind 127.0.0.1:1001\n server x 192.0.2.9:1\n";

    const NEW: &str = "global\n nbthread 4\n\
        defaults\n timeout connect 1s\n timeout client 5s\n timeout server 1s\n\
        listen a\n balance leastconn\n bind 127.0.0.1:1000\n bind 127.0.0.1:1002\n server s1 192.0.2.7:1 weight 5\n server s3 192.0.2.3:1\n\
        listen fresh\n bind 127.0.0.1:1003\n";

    #[test]
    fn every_kind_of_change_has_its_line() {
        let difference = Difference::between(&config(OLD), &config(NEW));
        let text = difference.text();
        for line in [
            "+ proxy listen fresh",
            "- proxy listen gone",
            "+ listener 127.0.0.1:1002 (a)",
            "+ listener 127.0.0.1:1003 (fresh)",
            "- listener 127.0.0.1:1001 (gone)",
            "+ server a/s3 (192.0.2.3:1)",
            "- server a/s2",
            "- server gone/x",
            "~ proxy listen a: timeouts client 1s -> 5s, balance roundrobin -> leastconn",
            "~ global: nbthread none -> 4",
            "~ server a/s1: address 192.0.2.1:1 -> 192.0.2.7:1, weight 1 -> 5",
            "! global: 'nbthread' changes at the next start only",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn the_same_file_with_other_line_breaks_is_no_difference() {
        let spaced = OLD.replace("listen a", "\n\n# comment\nlisten a");
        let difference = Difference::between(&config(OLD), &config(&spaced));
        assert!(difference.is_empty(), "{}", difference.text());
    }

    #[test]
    fn a_server_that_goes_does_not_change_those_behind_it() {
        let less = OLD.replace(" server s1 192.0.2.1:1 weight 1\n", "");
        let difference = Difference::between(&config(OLD), &config(&less));
        assert_eq!(difference.text(), "- server a/s1");
    }

    #[test]
    fn a_frontend_that_goes_does_not_change_the_backends_it_led_to() {
        let one = "frontend f\n bind :1\n maxconn 100\n default_backend b\n\
                   backend b\n server s1 192.0.2.1:1\n";
        let both = format!("{one}frontend g\n bind :2\n maxconn 100\n default_backend b\n");
        let difference = Difference::between(&config(&both), &config(one));
        let text = difference.text();
        assert!(!text.contains("backend b"), "{text}");
        assert!(text.contains("- proxy frontend g"), "{text}");
    }

    #[test]
    fn texts_survive_the_way_over_the_socket() {
        let texts = vec![
            (
                PathBuf::from("/etc/a b.cfg"),
                "global\n# file 3 x\n".to_owned(),
            ),
            (PathBuf::from("c"), String::new()),
        ];
        let mut wire = String::new();
        for (path, text) in &texts {
            wire.push_str(&format!("# file {} {}\n{text}", text.len(), path.display()));
        }
        assert_eq!(parse_texts(&wire), Some(texts));
        assert_eq!(parse_texts("Unknown command"), None);
    }
}
