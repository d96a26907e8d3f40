//! `%[expression]` on a session that is over: what its record still holds.

use super::line::Context;
use crate::core::expr::{Found, Sample, Window, World, evaluate};
use crate::state::{Peer, SessionRecord};
use conf::lb::model::{Expr, Fetch};

/// The value as bytes; nothing where the session has none.
pub fn value(expr: &Expr, record: &SessionRecord, context: &Context<'_>) -> Option<Vec<u8>> {
    let mut held = Held { record, context };
    evaluate(expr, &mut held).value.map(|value| value.to_text())
}

/// A finished session as expressions see it; its variables stay as they are.
struct Held<'a> {
    record: &'a SessionRecord,
    context: &'a Context<'a>,
}

impl World for Held<'_> {
    fn request(&self) -> Window<'_> {
        Window {
            bytes: &[],
            complete: true,
        }
    }

    fn response(&self) -> Window<'_> {
        self.request()
    }

    fn fetch(&mut self, wanted: &Fetch) -> Found {
        Found::maybe(fetch(wanted, self.record, self.context).map(Sample::Text))
    }

    fn variable(&self, name: &str) -> Option<Sample> {
        let held = self.record.variables.iter().find(|(key, _)| key == name);
        held.map(|(_, value)| Sample::Text(value.clone()))
    }

    fn set_variable(&mut self, _: &str, _: Option<Sample>) {}
}

fn fetch(fetch: &Fetch, record: &SessionRecord, context: &Context<'_>) -> Option<Vec<u8>> {
    let text = match fetch {
        Fetch::Src | Fetch::FcSrc => ip(&record.client)?,
        Fetch::SrcPort | Fetch::FcSrcPort => record.client.port()?.to_string(),
        Fetch::Dst | Fetch::FcDst => ip(&record.local)?,
        Fetch::DstPort | Fetch::FcDstPort => record.local.port()?.to_string(),
        Fetch::BcSrc => ip(&record.outgoing)?,
        Fetch::BcSrcPort => record.outgoing.port()?.to_string(),
        Fetch::BcDst => ip(&record.remote)?,
        Fetch::BcDstPort => record.remote.port()?.to_string(),
        Fetch::FeName => record.frontend.conf.name.clone(),
        Fetch::FeId => record.frontend.conf.id.to_string(),
        Fetch::BeName => record.backend.conf.name.clone(),
        Fetch::BeId => record.backend.conf.id.to_string(),
        Fetch::SrvName => record.server.as_ref()?.name().to_owned(),
        Fetch::SrvId => record.server.as_ref()?.conf.id.to_string(),
        Fetch::ActConn => record.connections[0].to_string(),
        Fetch::FeConn(name) if name.is_empty() => record.connections[1].to_string(),
        Fetch::Hostname => context.host.to_owned(),
        Fetch::Pid => context.pid.to_string(),
        Fetch::UniqueId => context.unique_id.to_owned(),
        Fetch::Status => record.http.as_ref()?.status?.to_string(),
        Fetch::Date(offset, _) => {
            let now = super::clock::Moment::now();
            (now.seconds + offset).to_string()
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

fn ip(peer: &Peer) -> Option<String> {
    peer.ip().map(|ip| ip.to_string())
}
