//! What expressions may ask about the surroundings of a session: addresses,
//! names, counters, the process. Contents of the connection are not here.

use crate::core::expr::{Found, Sample, World, evaluate};
use crate::state::{ConnectionError, Generation, Peer, Proxy, Runtime, Server};
use conf::lb::model::{
    DateUnit, Fetch, Format, FormatFlags, FormatPart, Mode, ProcessVariable, RuleLine, ServerRef,
    VariableValue,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

/// The `bind` line that a client came by.
#[derive(Clone, Copy, Default)]
pub struct Listener<'a> {
    /// Its number (`id`).
    pub number: u32,
    /// Connections that came by it and are there.
    pub connections: u32,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
}

/// A session's surroundings at one moment.
pub struct Scene<'a> {
    /// The process.
    pub runtime: &'a Runtime,
    /// Where names are looked up.
    pub generation: &'a Generation,
    /// Where it came in.
    pub frontend: Option<&'a Arc<Proxy>>,
    /// Where it was routed.
    pub backend: Option<&'a Arc<Proxy>>,
    /// Its server.
    pub server: Option<&'a Arc<Server>>,
    /// Where the client connected.
    pub listener: Listener<'a>,
    /// The client.
    pub client: Peer,
    /// What it connected to.
    pub local: Peer,
    /// The connection's own two addresses, where those above are from a PROXY header or a rule.
    pub socket: (Option<Peer>, Option<Peer>),
    /// Our address towards the server.
    pub outgoing: Peer,
    /// The server's address.
    pub remote: Peer,
    /// A PROXY header came.
    pub rcvd_proxy: bool,
    /// Unique id of the session.
    pub id: u64,
}

impl<'a> Scene<'a> {
    /// What is there without a session.
    pub fn outside(runtime: &'a Runtime, generation: &'a Generation) -> Scene<'a> {
        Scene {
            runtime,
            generation,
            frontend: None,
            backend: None,
            server: None,
            listener: Listener::default(),
            client: Peer::None,
            local: Peer::None,
            socket: (None, None),
            outgoing: Peer::None,
            remote: Peer::None,
            rcvd_proxy: false,
            id: 0,
        }
    }
}

impl World for Scene<'_> {
    fn fetch(&mut self, fetch: &Fetch) -> Found {
        Scene::fetch(self, fetch)
    }

    fn variable(&self, name: &str) -> Option<Sample> {
        self.runtime.variables.get(name)
    }

    fn set_variable(&mut self, name: &str, value: Option<Sample>) {
        self.runtime.variables.set(name, value);
    }
}

/// Gives the process its variables as the configuration has them.
pub fn set_variables(runtime: &Runtime) {
    for variable in &runtime.generation().conf.global.variables {
        set_variable(runtime, variable);
    }
}

/// Sets one of them.
pub fn set_variable(runtime: &Runtime, variable: &ProcessVariable) {
    let generation = runtime.generation();
    let mut scene = Scene::outside(runtime, &generation);
    let value = match &variable.value {
        VariableValue::Expr(expr) => evaluate(expr, &mut scene).value,
        VariableValue::Format(format) => Some(Sample::Text(format_text(format, &mut scene))),
    };
    runtime.variables.set(&variable.name, value);
}

/// `last_rule_file` and `last_rule_line`.
pub fn of_rule(fetch: &Fetch, rule: Option<&RuleLine>) -> Option<Sample> {
    let rule = rule?;
    match fetch {
        Fetch::LastRuleFile => Some(Sample::text(&*rule.file)),
        Fetch::LastRuleLine => Some(Sample::Int(i64::from(rule.number))),
        _ => None,
    }
}

/// A format's text in a world without a session's tags.
pub fn format_text(format: &Format, world: &mut dyn World) -> Vec<u8> {
    written(format, world, |flags| flags)
}

/// A format's text for a header or a body: as in HAProxy only the flag `E` counts.
pub fn http_text(format: &Format, world: &mut dyn World) -> Vec<u8> {
    written(format, world, |flags| FormatFlags {
        escape: flags.escape,
        ..FormatFlags::default()
    })
}

fn written(
    format: &Format,
    world: &mut dyn World,
    counts: impl Fn(FormatFlags) -> FormatFlags,
) -> Vec<u8> {
    let mut out = Vec::new();
    for part in &format.parts {
        match part {
            FormatPart::Text(text) => out.extend(text.as_bytes()),
            FormatPart::Space => out.push(b' '),
            FormatPart::Expr(expr, flags) => {
                let value = evaluate(expr, world).value;
                counts(*flags).dress(&value.map(|v| v.to_line()).unwrap_or_default(), &mut out);
            }
            // tags became expressions when the file was read
            FormatPart::Tag(..) => {}
        }
    }
    out
}

impl Scene<'_> {
    /// The value of a fetch; missing for those that need contents or HTTP.
    pub fn fetch(&self, fetch: &Fetch) -> Found {
        Found::maybe(
            self.of_connection(fetch)
                .or_else(|| self.of_names(fetch))
                .or_else(|| self.of_counters(fetch))
                .or_else(|| self.of_process(fetch)),
        )
    }

    fn of_connection(&self, fetch: &Fetch) -> Option<Sample> {
        let ip = |peer: &Peer| peer.ip().map(Sample::Ip);
        let port = |peer: &Peer| peer.port().map(|p| Sample::Int(i64::from(p)));
        let is_local = |peer: &Peer| peer.ip().map(|ip| Sample::Bool(is_own_address(ip)));
        let own_client = self.socket.0.as_ref().unwrap_or(&self.client);
        let own_local = self.socket.1.as_ref().unwrap_or(&self.local);
        match fetch {
            Fetch::Src => ip(&self.client),
            Fetch::SrcPort => port(&self.client),
            Fetch::SrcIsLocal => is_local(&self.client),
            Fetch::FcSrc => ip(own_client),
            Fetch::FcSrcPort => port(own_client),
            Fetch::FcSrcIsLocal => is_local(own_client),
            Fetch::HttpMajor => {
                let http = self.frontend.is_some_and(|f| f.conf.mode == Mode::Http);
                http.then_some(Sample::Int(1))
            }
            Fetch::Dst => ip(&self.local),
            Fetch::DstPort => port(&self.local),
            Fetch::DstIsLocal => is_local(&self.local),
            Fetch::FcDst => ip(own_local),
            Fetch::FcDstPort => port(own_local),
            Fetch::FcDstIsLocal => is_local(own_local),
            Fetch::DstConn => Some(Sample::Int(i64::from(self.listener.connections))),
            Fetch::BcSrc => ip(&self.outgoing),
            Fetch::BcSrcPort => port(&self.outgoing),
            Fetch::BcDst => ip(&self.remote),
            Fetch::BcDstPort => port(&self.remote),
            Fetch::FcRcvdProxy => Some(Sample::Bool(self.rcvd_proxy)),
            // rules and lines see connections that came about; what did not has a line of its own
            Fetch::ConnectionError { server, words } => {
                let there = !server || self.outgoing != Peer::None;
                there.then(|| match words {
                    true => Sample::text(ConnectionError::NOTHING),
                    false => Sample::Int(0),
                })
            }
            _ => None,
        }
    }

    fn of_names(&self, fetch: &Fetch) -> Option<Sample> {
        // One that is not set counts as 0.
        let ms = |time: Option<Duration>| {
            let time = time.unwrap_or_default();
            Some(Sample::Int(time.as_millis() as i64))
        };
        let back = || self.backend?.conf.back.as_ref();
        match fetch {
            Fetch::BeId => Some(Sample::Int(i64::from(self.backend?.conf.id))),
            Fetch::BeName => Some(Sample::text(self.backend?.name())),
            Fetch::BeServerTimeout | Fetch::CurServerTimeout => ms(back()?.timeouts.server),
            Fetch::BeTunnelTimeout | Fetch::CurTunnelTimeout => ms(back()?.timeouts.tunnel),
            Fetch::FeId => Some(Sample::Int(i64::from(self.frontend?.conf.id))),
            Fetch::FeName => Some(Sample::text(self.frontend?.name())),
            Fetch::FeDefbe => {
                let front = self.frontend?.conf.front.as_ref()?;
                front.default_backend.as_deref().map(Sample::text)
            }
            Fetch::FeClientTimeout => ms(self.frontend?.conf.front.as_ref()?.timeouts.client),
            Fetch::SoId => Some(Sample::Int(i64::from(self.listener.number))),
            Fetch::SoName => match self.listener.name {
                Some(name) => Some(Sample::text(name)),
                // a listener with counters of its own has a name
                None => {
                    let counts = self.frontend?.conf.tcp.socket_stats;
                    counts.then(|| Sample::text(format!("sock-{}", self.listener.number)))
                }
            },
            Fetch::SrvId => Some(Sample::Int(i64::from(self.server?.conf.id))),
            Fetch::SrvName => Some(Sample::text(self.server?.name())),
            Fetch::UniqueId => Some(Sample::text(format!("{:016X}", self.id))),
            _ => None,
        }
    }

    fn backend_of(&self, name: &str) -> Option<&Arc<Proxy>> {
        match name.is_empty() {
            true => self.backend,
            false => self.generation.backend(name),
        }
    }

    fn frontend_of(&self, name: &str) -> Option<&Arc<Proxy>> {
        match name.is_empty() {
            true => self.frontend,
            false => self.generation.frontend(name),
        }
    }

    fn server_of(&self, name: &ServerRef) -> Option<&Arc<Server>> {
        self.backend_of(&name.backend)?.server(&name.server)
    }

    fn of_counters(&self, fetch: &Fetch) -> Option<Sample> {
        let now_ms = self.runtime.now_ms();
        let int = |n: u32| Sample::Int(i64::from(n));
        Some(match fetch {
            Fetch::BeConn(name) => int(self.backend_of(name)?.back.as_ref()?.sessions.get()),
            Fetch::BeConnFree(name) => free_slots(self.backend_of(name)?, false),
            Fetch::Connslots(name) => free_slots(self.backend_of(name)?, true),
            Fetch::BeSessRate(name) => {
                let back = self.backend_of(name)?.back.as_ref()?;
                int(back.session_rate.per_second(now_ms))
            }
            Fetch::Nbsrv(name) => Sample::Int(usable(self.backend_of(name)?)),
            Fetch::Queue(name) => Sample::Int(self.backend_of(name)?.waiting() as i64),
            Fetch::AvgQueue(name) => {
                let backend = self.backend_of(name)?;
                let (waiting, servers) = (backend.waiting() as i64, usable(backend));
                match servers {
                    0 => Sample::Int(waiting * 2),
                    n => Sample::Int((waiting + n - 1) / n),
                }
            }
            Fetch::FeConn(name) => int(self.frontend_of(name)?.front.as_ref()?.connections.get()),
            Fetch::FeSessRate(name) => {
                let front = self.frontend_of(name)?.front.as_ref()?;
                int(front.session_rate.per_second(now_ms))
            }
            Fetch::FeReqRate(name) => {
                let front = self.frontend_of(name)?.front.as_ref()?;
                int(front.request_rate.per_second(now_ms))
            }
            Fetch::SrvConn(name) => int(self.server_of(name)?.sessions.get()),
            Fetch::SrvConnFree(name) => {
                let server = self.server_of(name)?;
                match server.maxconn.load(Relaxed) {
                    0 => Sample::Int(-1),
                    max => int(max.saturating_sub(server.sessions.get())),
                }
            }
            Fetch::SrvIsUp(name) => Sample::Bool(self.server_of(name)?.status().usable()),
            Fetch::SrvQueue(name) => Sample::Int(self.server_of(name)?.queue.len() as i64),
            Fetch::SrvSessRate(name) => int(self.server_of(name)?.session_rate.per_second(now_ms)),
            Fetch::SrvWeight(name) => int(self.server_of(name)?.weight().div_ceil(16)),
            Fetch::SrvIweight(name) => int(self.server_of(name)?.status().initial_weight),
            Fetch::SrvUweight(name) => int(self.server_of(name)?.status().weight),
            Fetch::ActConn => int(self.runtime.process.connections.get()),
            _ => return None,
        })
    }

    fn of_process(&self, fetch: &Fetch) -> Option<Sample> {
        let since_1970 = || {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .ok()
        };
        Some(match fetch {
            Fetch::Date(offset, unit) => {
                let now = since_1970()?;
                let (value, scale) = match unit {
                    DateUnit::Seconds => (now.as_secs() as i64, 1),
                    DateUnit::Millis => (now.as_millis() as i64, 1000),
                    DateUnit::Micros => (now.as_micros() as i64, 1_000_000),
                };
                Sample::Int(value.saturating_add(offset.saturating_mul(scale)))
            }
            Fetch::DateUs => Sample::Int(i64::from(since_1970()?.subsec_micros())),
            Fetch::Hostname => {
                let name = nix::unistd::gethostname().ok()?;
                Sample::text(name.into_string().ok()?)
            }
            Fetch::Pid => Sample::Int(i64::from(std::process::id())),
            Fetch::Nbproc | Fetch::Proc => Sample::Int(1),
            Fetch::Thread => Sample::Int(0),
            Fetch::Rand(range) => {
                let random = getrandom::u32().ok()?;
                match range {
                    Some(range) => Sample::Int((i64::from(random) * i64::from(*range)) >> 32),
                    None => Sample::Int(i64::from(random)),
                }
            }
            Fetch::Stopping => Sample::Bool(self.runtime.process.stopping.load(Relaxed)),
            Fetch::Uuid => Sample::text(uuid()?),
            _ => return None,
        })
    }
}

fn usable(backend: &Proxy) -> i64 {
    backend.back.as_ref().map_or(0, |b| {
        i64::from(b.active.load(Relaxed)) + i64::from(b.backups.load(Relaxed))
    })
}

/// Sessions that the servers could still take, in queues also if asked; -1:
/// without bound.
fn free_slots(backend: &Proxy, with_queues: bool) -> Sample {
    let mut sum = 0;
    for server in backend.servers.iter().filter(|s| s.is_usable()) {
        let max = server.maxconn.load(Relaxed);
        if max == 0 {
            return Sample::Int(-1);
        }
        sum += i64::from(max.saturating_sub(server.sessions.get()));
        if with_queues {
            let Some(queue) = server.conf.maxqueue else {
                return Sample::Int(-1);
            };
            sum += i64::from(queue) - server.queue.len() as i64;
        }
    }
    Sample::Int(sum.max(0))
}

/// The address is one of this machine: only such an address can be bound.
fn is_own_address(ip: std::net::IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

fn uuid() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Some(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}
