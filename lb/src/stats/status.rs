//! The balancer's status as JSON, in the words that all daemons share
//! (`docs/watching.md`): `show status` and the page's `;status`. HAProxy's own
//! forms stand beside it in [`super::encode`].

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::read::Wanted;
use super::row::{Kind, Row};
use crate::admin::Control;
use crate::admin::show::rows;
use crate::state::Proxy;

/// The status of the process and of these proxies.
pub fn document(control: Arc<Control>, proxies: Vec<Arc<Proxy>>) -> Value {
    let info = control.info();
    let mut status = control.identity.head();
    status.insert("connections".into(), json!(info.connections));
    status.insert("connections_limit".into(), json!(info.max_connections));
    let (mut frontends, mut backends): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut servers = Vec::new();
    for row in rows(control, proxies, Wanted::default()) {
        match row.kind {
            Kind::Frontend => frontends.push(common(&row).into()),
            Kind::Listener => {}
            Kind::Server => servers.push(server(&row)),
            Kind::Backend => {
                // a backend's servers come before it
                let mut backend = common(&row);
                backend.insert("servers".into(), std::mem::take(&mut servers).into());
                backends.push(backend.into());
            }
        }
    }
    status.insert("frontends".into(), frontends.into());
    status.insert("backends".into(), backends.into());
    status.into()
}

fn common(row: &Row) -> Map<String, Value> {
    let name = match row.kind {
        Kind::Server | Kind::Listener => &row.name,
        Kind::Frontend | Kind::Backend => &row.proxy,
    };
    let fields = [
        ("name", json!(name)),
        ("state", json!(row.status)),
        ("mode", json!(row.mode)),
        ("sessions", json!(row.traffic.sessions.cur)),
        ("sessions_limit", json!(row.traffic.sessions.limit)),
        ("sessions_total", json!(row.traffic.sessions_total)),
        ("bytes_in_total", json!(row.traffic.bytes_in)),
        ("bytes_out_total", json!(row.traffic.bytes_out)),
    ];
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

fn server(row: &Row) -> Value {
    let mut out = common(row);
    if let Some(server) = &row.server {
        out.insert("address".into(), json!(server.address));
        let check = server.check.as_ref();
        let reason = check.map(|check| match check.output.as_str() {
            "" => check.status.clone(),
            output => format!("{}: {output}", check.status),
        });
        out.insert("reason".into(), json!(reason));
    }
    if let Some(back) = &row.back {
        out.insert("weight".into(), json!(back.weight));
        out.insert(
            "since_ms".into(),
            json!(u64::from(back.last_change_s) * 1000),
        );
    }
    out.into()
}
