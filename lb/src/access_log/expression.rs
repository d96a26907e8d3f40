//! `%[expression]` on a session that is over: what its record still holds.

use super::line::Context;
use crate::state::{Peer, SessionRecord};
use conf::lb::model::{Expr, Fetch};

/// The value as bytes; nothing where the session has none.
pub fn value(expr: &Expr, record: &SessionRecord, context: &Context<'_>) -> Option<Vec<u8>> {
    fetch(&expr.fetch, record, context)
}

fn fetch(fetch: &Fetch, record: &SessionRecord, context: &Context<'_>) -> Option<Vec<u8>> {
    let text = match fetch {
        Fetch::Str(text) => text.clone(),
        Fetch::Int(number) => number.to_string(),
        Fetch::Bool(truth) => u8::from(*truth).to_string(),
        Fetch::Ip(ip) => ip.to_string(),
        Fetch::Env(value) => value.clone()?,
        Fetch::Var(name, default) => {
            let held = record.variables.iter().find(|(key, _)| key == name);
            return held
                .map(|(_, value)| value.clone())
                .or_else(|| default.as_ref().map(|text| text.clone().into_bytes()));
        }
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
        Fetch::SslFc => "0".to_owned(),
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
