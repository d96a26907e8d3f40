//! What to check, where and how often: from the configuration and the state.

use super::attempt::{Route, Target};
use super::dialogue::{Facts, Surroundings};
use crate::core::health::{Health, Intervals};
use crate::core::server::{Admin, Operation};
use crate::state::{Endpoint, Proxy, Runtime, Server};
use conf::lb::model::{Back, BindAddress, CheckKind, HealthCheck, Host};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// Which of a server's two checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of the service itself.
    Health,
    /// Of the agent beside it.
    Agent,
}

/// A check of one server.
#[derive(Clone)]
pub struct Plan {
    /// Which check it is.
    pub role: Role,
    /// The backend.
    pub backend: Arc<Proxy>,
    /// The server.
    pub server: Arc<Server>,
    /// Its intervals.
    pub intervals: Intervals,
}

impl Plan {
    /// All checks of this server.
    pub fn all(backend: &Arc<Proxy>, server: &Arc<Server>) -> impl Iterator<Item = Plan> {
        let both = [Plan::of(backend, server), Plan::of_agent(backend, server)];
        both.into_iter().flatten()
    }

    /// The question to this server's agent, if it has one.
    fn of_agent(backend: &Arc<Proxy>, server: &Arc<Server>) -> Option<Plan> {
        let agent = &server.conf.check.agent;
        agent.is_used().then(|| Plan {
            role: Role::Agent,
            backend: backend.clone(),
            server: server.clone(),
            intervals: Intervals {
                inter: agent.inter.max(Duration::from_millis(1)),
                fast: None,
                down: None,
            },
        })
    }

    /// Whether it is the same check of the same server in another generation.
    pub fn is(&self, other: &Plan) -> bool {
        self.role == other.role && self.server.is(&other.server)
    }

    /// The health check of this server, if it has one.
    pub fn of(backend: &Arc<Proxy>, server: &Arc<Server>) -> Option<Plan> {
        let settings = &server.conf.check;
        if !settings.enabled {
            return None;
        }
        let intervals = Intervals {
            inter: settings.inter.max(Duration::from_millis(1)),
            fast: settings.fastinter,
            down: settings.downinter,
        };
        Some(Plan {
            role: Role::Health,
            backend: backend.clone(),
            server: server.clone(),
            intervals,
        })
    }

    /// The backend's side of the configuration.
    pub fn back(&self) -> Option<&Back> {
        self.backend.conf.back.as_ref()
    }

    /// The check's counter.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        let counter = match self.role {
            Role::Health => &self.server.health,
            Role::Agent => &self.server.agent,
        };
        counter.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What is checked: as the server's section or the backend says.
    pub fn check(&self) -> Option<&HealthCheck> {
        Some(self.server.conf.check.effective(&self.back()?.check))
    }

    /// Whether checks rest: switched off at run time, or the server is in
    /// maintenance. An agent goes on then: it may say `ready`.
    pub fn rests(&self) -> bool {
        let maintenance = self.role == Role::Health && self.server.status().admin.in_maintenance();
        let health = self.health();
        !health.enabled || maintenance
    }

    /// The interval that holds now.
    pub fn interval(&self) -> Duration {
        let stopped = self.server.status().operation == Operation::Stopped;
        self.intervals.current(&self.health(), stopped)
    }

    /// Where and how to connect; nothing while the server has no address.
    pub fn route(&self) -> Option<Route> {
        let settings = &self.server.conf.check;
        let check_timeout = self.check()?.timeout.or(self.back()?.check.timeout);
        let connect = self.back()?.timeouts.connect;
        let connect_timeout = match (check_timeout, connect) {
            (Some(_), Some(connect)) => connect.min(self.intervals.inter),
            _ => self.intervals.inter,
        };
        let source = self
            .server
            .conf
            .source
            .as_ref()
            .or(self.back()?.source.as_ref());
        let source = source.and_then(|source| match source.host {
            Host::Ip(ip) if !ip.is_unspecified() => Some(ip),
            Host::Ip(_) | Host::Name(..) => None,
        });
        Some(Route {
            target: self.target()?,
            source,
            send_proxy: settings.send_proxy.filter(|_| self.role == Role::Health),
            connect_timeout,
            answer_timeout: check_timeout,
        })
    }

    fn target(&self) -> Option<Target> {
        match self.role {
            Role::Health => self.health_target(),
            Role::Agent => self.agent_target(),
        }
    }

    fn agent_target(&self) -> Option<Target> {
        let settings = &self.server.conf.check.agent;
        let set = self.server.check_at.load_full().unwrap_or_default();
        let own = set.agent_ip.or(match &settings.addr {
            Some(Host::Ip(ip)) => Some(*ip),
            Some(Host::Name(..)) | None => None,
        });
        let ip = own.or(match &*self.server.endpoint() {
            Endpoint::Inet(address) => Some(address.ip()),
            Endpoint::Mapped(ip, _) => Some(*ip),
            Endpoint::Unix(_) | Endpoint::Abstract(_) | Endpoint::Unresolved => None,
        })?;
        Some(inet(ip, set.agent_port.or(settings.port)?))
    }

    /// What the agent is told first.
    pub fn agent_send(&self) -> Vec<u8> {
        let set = self.server.agent_send.load_full();
        let configured = self.server.conf.check.agent.send.as_deref();
        let text = set.as_ref().map(|text| text.as_str()).or(configured);
        text.map(conf::lb::value::bytes).unwrap_or_default()
    }

    fn health_target(&self) -> Option<Target> {
        let settings = &self.server.conf.check;
        let set = self.server.check_at.load_full().unwrap_or_default();
        let own = set.ip.or(match &settings.addr {
            Some(Host::Ip(ip)) => Some(*ip),
            Some(Host::Name(..)) | None => None,
        });
        let own_port = set.port.or(settings.port);
        match &*self.server.endpoint() {
            Endpoint::Unix(path) => Some(Target::Unix(path.clone())),
            Endpoint::Abstract(name) => Some(Target::Abstract(name.clone())),
            Endpoint::Inet(address) => {
                let ip = own.unwrap_or(address.ip());
                Some(inet(ip, own_port.unwrap_or(address.port())))
            }
            Endpoint::Mapped(ip, offset) => {
                let port = own_port.or_else(|| self.mapped_port(*offset))?;
                Some(inet(own.unwrap_or(*ip), port))
            }
            Endpoint::Unresolved => Some(inet(own?, own_port?)),
        }
    }

    /// The port for a server without one: that of the proxy's first address.
    fn mapped_port(&self, offset: i32) -> Option<u16> {
        let bind = self.backend.conf.front.as_ref()?.binds.first()?;
        match bind.address {
            BindAddress::Tcp { first, .. } => u16::try_from(i32::from(first) + offset).ok(),
            BindAddress::Unix(_) | BindAddress::Abstract(_) | BindAddress::Fd(_) => None,
        }
    }

    /// What scripts may mention.
    pub fn facts(&self, runtime: &Arc<Runtime>, node: &str, target: &Target) -> Facts {
        let kind = self.check().map(|check| &check.kind);
        if matches!(kind, Some(CheckKind::Connect)) {
            // nobody asks, and there are many of them
            return Facts::default();
        }
        let (address, port) = match target {
            Target::Inet(address) => (address.ip().to_string(), address.port()),
            Target::Unix(path) => (path.display().to_string(), 0),
            Target::Abstract(name) => (name.clone(), 0),
        };
        let backend = self.backend.name().to_owned();
        let server = self.server.name().to_owned();
        let back = self.backend.back.as_ref();
        let usable = back.map_or(0, |b| b.active.load(std::sync::atomic::Ordering::Relaxed));
        let state = format!(
            "{}; address={address}; port={port}; name={backend}/{server}; node={node}; \
             weight={}/{}; scur={}/{}; qcur={}",
            self.state_words(),
            self.server.weight() / crate::core::server::WEIGHT_SCALE,
            usable,
            self.server.sessions.get(),
            back.map_or(0, |b| b.sessions.get()),
            self.server.queue.len(),
        );
        Facts {
            backend,
            server,
            address,
            port,
            node: node.to_owned(),
            disable_on_404: match &self.server.conf.check.own {
                Some(own) => own.disable_on_404,
                None => self.back().is_some_and(|back| back.disable_on_404),
            },
            state,
            surroundings: Some(Surroundings {
                runtime: runtime.clone(),
                backend: self.backend.clone(),
                server: self.server.clone(),
            }),
        }
    }

    fn state_words(&self) -> String {
        let status = self.server.status().clone();
        if status.admin.in_maintenance() || status.admin.has(Admin::UNRESOLVED) {
            return "MAINT".to_owned();
        }
        if status.operation == Operation::Stopping {
            return "NOLB".to_owned();
        }
        let health = self.health();
        let (have, of) = health.fraction();
        match (health.is_up(), health.is_settled()) {
            (true, true) => "UP".to_owned(),
            (true, false) => format!("UP {have}/{of}"),
            (false, true) => "DOWN".to_owned(),
            (false, false) => format!("DOWN {have}/{of}"),
        }
    }
}

fn inet(ip: IpAddr, port: u16) -> Target {
    Target::Inet(SocketAddr::new(ip, port))
}
