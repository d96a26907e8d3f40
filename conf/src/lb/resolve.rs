//! Host names become addresses at start.
//!
//! This crate opens no socket: the caller brings the resolver. What HAProxy
//! refuses at start is refused here: a server's name that gives no address,
//! unless `init-addr` allows to start without.

use super::model::{
    Bind, BindAddress, Config, Family, Host, InitAddr, LogAddress, Proxy, Server, ServerAddress,
    SourceAddress, UseSource,
};
use super::proxy::server_options::OPTIONS;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::net::IpAddr;
use std::sync::Arc;

/// Looks a name up, for the family that was asked for.
pub type Resolver<'r> = dyn FnMut(&str, Option<Family>) -> Option<IpAddr> + 'r;

/// What is looked up, and how failures are met.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResolveOptions {
    /// `-dr`: servers whose name gives no address start without one.
    pub ignore_server_failures: bool,
}

/// Replaces every host name by its address. Servers that may start without an
/// address (`init-addr ... none`, `-dr`) keep their name and start in
/// maintenance, with a warning. Gives one error for each name that had to resolve.
pub fn resolve(
    config: &mut Config,
    options: ResolveOptions,
    resolver: &mut Resolver<'_>,
) -> Vec<Diagnostic> {
    let mut walk = Walk {
        options,
        resolver,
        findings: Vec::new(),
    };
    for log in &mut config.global.logs {
        walk.log(&mut log.address, log.place.0);
    }
    for socket in &mut config.global.stats.sockets {
        walk.bind(&mut socket.bind);
    }
    for proxy in &mut config.proxies {
        walk.proxy(proxy);
    }
    for ring in &mut config.rings {
        for server in &mut Arc::make_mut(ring).servers {
            walk.host(&mut server.host, server.place.0, "ring server");
        }
    }
    walk.findings
}

struct Walk<'a, 'r> {
    options: ResolveOptions,
    resolver: &'a mut Resolver<'r>,
    findings: Vec<Diagnostic>,
}

impl Walk<'_, '_> {
    fn proxy(&mut self, proxy: &mut Arc<Proxy>) {
        let proxy = Arc::make_mut(proxy);
        let place = proxy.place.0;
        for log in &mut proxy.logging.targets {
            self.log(&mut log.address, log.place.0);
        }
        if let Some(front) = &mut proxy.front {
            for bind in &mut front.binds {
                self.bind(bind);
            }
        }
        let Some(back) = &mut proxy.back else {
            return;
        };
        self.source(&mut back.source, place);
        for server in back.servers.iter_mut().chain(&mut back.direct) {
            self.server(&proxy.name, Arc::make_mut(server));
        }
    }

    fn log(&mut self, address: &mut LogAddress, place: Span) {
        if let LogAddress::Udp { host, .. } = address {
            self.host(host, place, "log target");
        }
    }

    fn bind(&mut self, bind: &mut Bind) {
        if let BindAddress::Tcp { host, .. } = &mut bind.address {
            self.host(host, bind.place.0, "bind");
        }
    }

    fn source(&mut self, source: &mut Option<SourceAddress>, place: Span) {
        let Some(source) = source else {
            return;
        };
        self.host(&mut source.host, place, "source");
        if let Some(UseSource::Address(host, _)) = &mut source.usesrc {
            self.host(host, place, "usesrc");
        }
    }

    fn server(&mut self, backend: &str, server: &mut Server) {
        let place = server.place.0;
        self.source(&mut server.source, place);
        let label = format!("server {backend}/{}", server.name);
        if let Some(host) = &mut server.check.addr {
            self.host(host, place, &label);
        }
        if let Some(host) = &mut server.check.agent.addr {
            self.host(host, place, &label);
        }
        let place = server.address_place.0;
        let methods = server.init_addr.clone();
        let ServerAddress::Tcp { host, .. } = &mut server.address else {
            return;
        };
        let Host::Name(name, family) = host else {
            return;
        };
        let mut asked = false;
        let in_vain = format!("`{label}`: could not resolve address `{name}`");
        let disabled = || {
            Diagnostic::warning("E1016", place, format!("{in_vain}, disabling server"))
                .label("it starts in maintenance")
        };
        for method in &methods {
            match method {
                InitAddr::Last => {}
                InitAddr::Libc => {
                    if let Some(ip) = (self.resolver)(name, *family) {
                        *host = Host::Ip(ip);
                        return;
                    }
                    asked = true;
                }
                InitAddr::Ip(ip) => {
                    *host = Host::Ip(*ip);
                    return;
                }
                InitAddr::None => {
                    self.findings.extend(asked.then(disabled));
                    return;
                }
            }
        }
        if self.options.ignore_server_failures {
            self.findings.push(disabled());
            return;
        }
        let error = no_name(name, unresolved(place, in_vain.clone())).unwrap_or_else(|| {
            in_dns(unresolved(place, in_vain))
                .help("`init-addr last,libc,none` starts the server in maintenance instead")
        });
        self.findings.push(error);
    }

    fn host(&mut self, host: &mut Host, place: Span, what: &str) {
        let Host::Name(name, family) = host else {
            return;
        };
        match (self.resolver)(name, *family) {
            Some(ip) => *host = Host::Ip(ip),
            None => {
                let text = format!("{what}: could not resolve address `{name}`");
                let error = unresolved(place, text);
                self.findings
                    .push(no_name(name, error.clone()).unwrap_or_else(|| in_dns(error)));
            }
        }
    }
}

fn in_dns(error: Diagnostic) -> Diagnostic {
    error.help("add the name to DNS or /etc/hosts, or write the address")
}

/// What can hardly be meant as a name: an option in place of the address, or an address with a
/// slip in it.
fn no_name(name: &str, error: Diagnostic) -> Option<Diagnostic> {
    if OPTIONS.iter().any(|row| row.name == name) {
        return Some(
            error
                .label("an option where the address belongs")
                .help("the form is: server <name> <address>[:<port>] [<options>]"),
        );
    }
    let numbers = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    numbers.then(|| {
        error
            .label("not an IPv4 address")
            .help("an IPv4 address has four numbers from 0 to 255")
    })
}

fn unresolved(place: Span, text: String) -> Diagnostic {
    Diagnostic::error("E1016", place, text).label("this name gives no address")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lb::load_str;

    const TEXT: &str = "listen a\n bind lb:1\n server s1 one:1\n server s2 two:1\n \
                        server s3 three:1 init-addr libc,none\n server s4 four:1 init-addr 192.0.2.4\n";

    fn run(options: ResolveOptions) -> (Config, Vec<String>) {
        let (config, report) = load_str(TEXT);
        let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let known = |name: &str| matches!(name, "lb" | "one");
        let mut resolver =
            |name: &str, _: Option<Family>| known(name).then(|| [192, 0, 2, 1].into());
        let errors = resolve(&mut config, options, &mut resolver);
        (config, errors.into_iter().map(|e| e.message).collect())
    }

    #[test]
    fn a_server_without_an_address_is_refused_unless_it_may_start_so() {
        let (config, errors) = run(ResolveOptions::default());
        let in_vain = |server: &str, name: &str| {
            format!("`server a/{server}`: could not resolve address `{name}`")
        };
        let told = format!("{}, disabling server", in_vain("s3", "three"));
        assert_eq!(errors, [in_vain("s2", "two"), told.clone()]);
        let back = config.proxies[0].back.as_ref().expect("servers");
        let host = |index: usize| match &back.servers[index].address {
            ServerAddress::Tcp { host, .. } => host.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(host(0), Host::Ip([192, 0, 2, 1].into()));
        assert!(matches!(host(2), Host::Name(..)) && !back.servers[2].disabled);
        assert_eq!(host(3), Host::Ip([192, 0, 2, 4].into()));
        let lenient = ResolveOptions {
            ignore_server_failures: true,
        };
        let both = [format!("{}, disabling server", in_vain("s2", "two")), told];
        assert_eq!(run(lenient).1, both);
    }

    #[test]
    fn what_is_no_name_is_told_where_the_address_stands() {
        let found = |address: &str| {
            let text = format!("listen a\n bind :1\n server s1 {address}\n");
            let (config, mut report) = load_str(&text);
            let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
            let mut nothing = |_: &str, _: Option<Family>| None;
            let errors = resolve(&mut config, ResolveOptions::default(), &mut nothing);
            errors.into_iter().for_each(|e| report.push(e));
            report.human(false)
        };
        let option = found("check inter 5s");
        assert!(
            option.contains(" server s1 check inter 5s\n  |            ^^^^^ an option"),
            "{option}"
        );
        assert!(
            option.contains("the form is: server <name> <address>"),
            "{option}"
        );
        let number = found("192.0.2.256:1");
        assert!(
            number.contains("^^^^^^^^^^^^^ not an IPv4 address"),
            "{number}"
        );
        assert!(!number.contains("DNS"), "{number}");
        assert!(found("nowhere:1").contains("DNS"));
    }
}
