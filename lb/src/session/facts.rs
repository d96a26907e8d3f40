//! A session as rules see it.

use super::{Context, Extra, Session};
use crate::core::expr::{Found, Sample, Window, World, evaluate};
use crate::core::queue::Priority;
use crate::core::rules::Target;
use crate::facts::{Listener, Scene, format_text, of_rule};
use crate::state::{Generation, Peer, Runtime, Variables};
use conf::lb::model::{Expr, Fetch, Format, TcpAction, TcpRule};
use std::net::SocketAddr;

/// Variables that a session may hold; more are ignored.
const VARIABLES: usize = 256;

/// A session with the bytes that rules look at. What rules change is in `extra`.
pub(super) struct Facts<'a> {
    pub session: &'a Session,
    pub runtime: &'a Runtime,
    pub generation: &'a Generation,
    pub request: Window<'a>,
    pub response: Window<'a>,
    pub extra: &'a mut Extra,
    pub id: u64,
}

impl World for Facts<'_> {
    fn request(&self) -> Window<'_> {
        self.request
    }

    fn response(&self) -> Window<'_> {
        self.response
    }

    fn fetch(&mut self, fetch: &Fetch) -> Found {
        let session = self.session;
        match fetch {
            Fetch::TcpInfo {
                server,
                figure,
                micros,
            } => {
                let info = session.kernel_info(*server);
                let value = info.map(|info| i64::from(info.figure(*figure, *micros)));
                return Found::maybe(value.map(Sample::Int));
            }
            Fetch::PrioClass => {
                return Found::just(Sample::Int(i64::from(self.extra.priority.class)));
            }
            Fetch::PrioOffset => {
                return Found::just(Sample::Int(i64::from(self.extra.priority.offset_ms)));
            }
            Fetch::FcPpAuthority => {
                return Found::maybe(self.extra.authority.clone().map(Sample::Text));
            }
            Fetch::LastRuleFile | Fetch::LastRuleLine => {
                return Found::maybe(of_rule(fetch, self.extra.last_rule.as_ref()));
            }
            Fetch::CaptureReqHdr(slot) => {
                let held = self.extra.captures.get(*slot).cloned().flatten();
                return Found::maybe(held.map(Sample::Text));
            }
            Fetch::FcPpUniqueId => {
                return Found::maybe(self.extra.unique_id.clone().map(Sample::Text));
            }
            _ => {}
        }
        let listener = session.admission.listener();
        let socket = session.server.as_ref().map(|s| &s.socket);
        let address = |a: std::io::Result<socket2::SockAddr>| {
            a.map_or(Peer::None, |a| crate::listener::peer(&a))
        };
        let scene = Scene {
            runtime: self.runtime,
            generation: self.generation,
            frontend: Some(session.frontend()),
            backend: session.routed.as_ref().map(|r| &r.proxy),
            server: session.slot.as_ref().map(|s| s.server()),
            listener: Listener {
                number: listener.number,
                connections: listener.live.connections.get(),
                name: listener.conf().and_then(|b| b.name.as_deref()),
            },
            client: self
                .extra
                .source
                .clone()
                .unwrap_or_else(|| session.client_peer.clone()),
            local: self.local(),
            socket: self.extra.socket.clone(),
            outgoing: socket.map_or(Peer::None, |s| address(s.local_addr())),
            remote: socket.map_or(Peer::None, |s| address(s.peer_addr())),
            rcvd_proxy: self.extra.greeted,
            id: self.id,
        };
        scene.fetch(fetch)
    }

    fn variable(&self, name: &str) -> Option<Sample> {
        if Variables::own(name) {
            return self.runtime.variables.get(name);
        }
        let known = self.extra.variables.iter().find(|(n, _)| n == name);
        known.map(|(_, value)| value.clone())
    }

    fn set_variable(&mut self, name: &str, value: Option<Sample>) {
        if Variables::own(name) {
            return self.runtime.variables.set(name, value);
        }
        let variables = &mut self.extra.variables;
        variables.retain(|(n, _)| n != name);
        if let Some(value) = value.filter(|_| variables.len() < VARIABLES) {
            variables.push((name.to_owned(), value));
        }
    }
}

impl Target for Facts<'_> {
    fn perform(&mut self, action: &TcpAction) {
        match action {
            TcpAction::SetVar(name, expr) => {
                let value = self.value(expr);
                self.set_variable(name, value);
            }
            TcpAction::SetVarFormat(name, format) => {
                let text = self.text(format);
                self.set_variable(name, Some(Sample::Text(text)));
            }
            TcpAction::UnsetVar(name) => self.set_variable(name, None),
            TcpAction::SetSrc(expr) => {
                let before = self.extra.source.clone();
                let before = before.unwrap_or_else(|| self.session.client_peer.clone());
                self.extra.source = self.with_ip(&before, expr).or(Some(before));
            }
            TcpAction::SetSrcPort(expr) => {
                let before = self.extra.source.clone();
                let before = before.unwrap_or_else(|| self.session.client_peer.clone());
                self.extra.source = self.with_port(&before, expr).or(Some(before));
            }
            TcpAction::SetDst(expr) => {
                let before = self.keep_local();
                self.extra.local = self.with_ip(&before, expr).or(Some(before));
            }
            TcpAction::SetDstPort(expr) => {
                let before = self.keep_local();
                self.extra.local = self.with_port(&before, expr).or(Some(before));
            }
            TcpAction::SetMark(mark) => {
                // Needs CAP_NET_ADMIN; without, packets stay unmarked.
                let _ = self.session.client.socket.set_mark(*mark);
            }
            TcpAction::SetTos(tos) => {
                // Only IPv4 sockets have it.
                let _ = self.session.client.socket.set_tos_v4(u32::from(*tos));
            }
            // Sessions of a thread take turns by events: there is no priority among them.
            TcpAction::SetNice(_) => {}
            TcpAction::SetLogLevel(level) => self.extra.level = Some(*level),
            TcpAction::SetPriorityClass(expr) => {
                let class = self.number(expr).unwrap_or(0);
                self.extra.priority.class = class.clamp(-2047, 2047) as i16;
            }
            TcpAction::SetPriorityOffset(expr) => {
                let offset = self.number(expr).unwrap_or(0);
                self.extra.priority.offset_ms = offset.clamp(-524_287, 524_287) as i32;
            }
            TcpAction::Capture { expr, slot, len } => {
                let value = self.value(expr).map(|v| {
                    let mut text = v.to_line();
                    text.truncate(*len);
                    text
                });
                if self.extra.captures.len() <= *slot {
                    self.extra.captures.resize(*slot + 1, None);
                }
                self.extra.captures[*slot] = value;
            }
            TcpAction::ExpectProxy => self.extra.expects_header = true,
            TcpAction::Accept | TcpAction::Reject | TcpAction::Close | TcpAction::SilentDrop => {}
        }
    }

    fn ended_by(&mut self, rule: &TcpRule) {
        if rule.line.is_some() {
            self.extra.last_rule.clone_from(&rule.line);
        }
    }

    fn world(&mut self) -> &mut dyn World {
        self
    }
}

impl Facts<'_> {
    /// The value of an expression.
    pub fn value(&mut self, expr: &Expr) -> Option<Sample> {
        evaluate(expr, self).value
    }

    fn number(&mut self, expr: &Expr) -> Option<i64> {
        self.value(expr)?.to_int()
    }

    /// A format's text.
    pub fn text(&mut self, format: &Format) -> Vec<u8> {
        format_text(format, self)
    }

    fn local(&self) -> Peer {
        let set = self.extra.local.clone();
        set.or_else(|| self.session.local_address())
            .unwrap_or_default()
    }

    /// The address that the client connected to, before a rule gives another one: also the connection's own.
    fn keep_local(&mut self) -> Peer {
        let before = self.local();
        self.extra.socket.1.get_or_insert_with(|| before.clone());
        before
    }

    fn with_ip(&mut self, peer: &Peer, expr: &Expr) -> Option<Peer> {
        let ip = self.value(expr)?.to_ip()?;
        Some(Peer::Inet(SocketAddr::new(ip, peer.port().unwrap_or(0))))
    }

    fn with_port(&mut self, peer: &Peer, expr: &Expr) -> Option<Peer> {
        let port = u16::try_from(self.number(expr)?).ok()?;
        Some(Peer::Inet(SocketAddr::new(peer.ip()?, port)))
    }
}

impl Session {
    /// Looks at the session with the bytes that are there; `complete`: no
    /// more are waited for.
    pub(super) fn with_facts<T>(
        &mut self,
        cx: &mut Context<'_>,
        windows: (Window<'_>, Window<'_>),
        look: impl FnOnce(&mut Facts<'_>) -> T,
    ) -> T {
        let mut extra = self.extra.take().unwrap_or_default();
        let mut facts = Facts {
            session: self,
            runtime: cx.runtime,
            generation: cx.generation,
            request: windows.0,
            response: windows.1,
            extra: &mut extra,
            id: cx.id.number(),
        };
        let result = look(&mut facts);
        if let Some(source) = extra.source.take() {
            let before = std::mem::replace(&mut self.client_peer, source);
            extra.socket.0.get_or_insert(before);
        }
        self.extra = Some(extra);
        result
    }

    pub(super) fn priority(&self) -> Priority {
        self.extra
            .as_ref()
            .map_or(Priority::default(), |e| e.priority)
    }
}
