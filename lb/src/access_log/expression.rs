//! `%[expression]` on a session that is over: what its record holds, and the
//! surroundings (names, counters, the process) as they are at that moment, by
//! the evaluator that rules use.

use super::line::Context;
use crate::core::expr::{Found, Sample, World, evaluate};
use crate::facts::{Listener, Scene, of_rule};
use crate::state::{SessionRecord, Variables};
use conf::lb::model::{Expr, Fetch};

/// The value as bytes; nothing where the session has none.
pub fn value(expr: &Expr, record: &SessionRecord, context: &Context<'_>) -> Option<Vec<u8>> {
    let mut held = Held { record, context };
    evaluate(expr, &mut held).value.map(|value| value.to_line())
}

/// A finished session as expressions see it; its variables stay as they are.
struct Held<'a> {
    record: &'a SessionRecord,
    context: &'a Context<'a>,
}

impl World for Held<'_> {
    fn fetch(&mut self, wanted: &Fetch) -> Found {
        let own = self.of_record(wanted);
        Found::maybe(own.or_else(|| self.of_surroundings(wanted)))
    }

    fn variable(&self, name: &str) -> Option<Sample> {
        if Variables::own(name) {
            return self.context.runtime?.variables.get(name);
        }
        let held = self.record.variables.iter().find(|(key, _)| key == name);
        held.map(|(_, value)| value.clone())
    }

    fn set_variable(&mut self, _: &str, _: Option<Sample>) {}
}

impl Held<'_> {
    /// What only the record has.
    fn of_record(&self, wanted: &Fetch) -> Option<Sample> {
        let record = self.record;
        let http = || record.http.as_deref();
        let text = |bytes: &[u8]| Sample::Text(bytes.to_vec());
        Some(match wanted {
            Fetch::ActConn => Sample::Int(i64::from(record.connections.process)),
            Fetch::FeConn(name) if name.is_empty() => {
                Sample::Int(i64::from(record.connections.frontend))
            }
            Fetch::Hostname => Sample::text(self.context.host),
            Fetch::UniqueId => Sample::text(self.context.unique_id),
            Fetch::FcPpAuthority => text(record.proxied.as_ref()?.authority.as_ref()?),
            Fetch::FcPpUniqueId => text(record.proxied.as_ref()?.unique_id.as_ref()?),
            Fetch::PrioClass => Sample::Int(i64::from(record.priority.class)),
            Fetch::PrioOffset => Sample::Int(i64::from(record.priority.offset_ms)),
            Fetch::TcpInfo {
                server,
                figure,
                micros,
            } => Sample::Int(i64::from(record.tcp_figure(*server, *figure, *micros)?)),
            Fetch::LastRuleFile | Fetch::LastRuleLine => {
                of_rule(wanted, record.last_rule.as_ref())?
            }
            Fetch::ConnectionError {
                server: false,
                words,
            } => {
                let error = record.failure?;
                match words {
                    true => Sample::text(error.words()),
                    false => Sample::Int(error.number()),
                }
            }
            Fetch::Status => Sample::Int(i64::from(http()?.status?)),
            Fetch::Method => text(http()?.request_words().next()?),
            Fetch::CaptureReqUri => text(http()?.request_words().nth(1)?),
            Fetch::CaptureReqVer => text(http()?.request_words().nth(2)?),
            Fetch::CaptureReqHdr(slot) => {
                let headers = http().map_or(&record.captures, |h| &h.request_headers);
                text(headers.get(*slot)?.as_ref()?)
            }
            Fetch::CaptureResHdr(slot) => text(http()?.response_headers.get(*slot)?.as_ref()?),
            _ => return None,
        })
    }

    /// What rules see as well.
    fn of_surroundings(&self, wanted: &Fetch) -> Option<Sample> {
        let (record, runtime) = (self.record, self.context.runtime?);
        let generation = runtime.generation();
        let front = record.frontend.conf.front.as_ref();
        let bind = front.and_then(|front| front.binds.get(usize::from(record.listener)));
        let scene = Scene {
            runtime,
            generation: &generation,
            frontend: Some(&record.frontend),
            backend: Some(&record.backend),
            server: record.server.as_ref(),
            listener: Listener {
                number: bind.map_or(0, |bind| bind.number),
                connections: record.connections.frontend,
                name: bind.and_then(|bind| bind.name.as_deref()),
            },
            client: record.client.clone(),
            local: record.local.clone(),
            socket: record.socket.clone(),
            outgoing: record.outgoing.clone(),
            remote: record.remote.clone(),
            rcvd_proxy: record.proxied.is_some(),
            id: record.id,
        };
        scene.fetch(wanted).value
    }
}
