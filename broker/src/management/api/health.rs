//! Health checks, each of one thing, for balancers and monitors: 200 when all
//! is well and 503 when it is not.

use crate::core::QueueDeclaration;
use crate::core::browse::{Browse, Leave};
use crate::core::field::FieldTable;
use crate::management::caller::Caller;
use crate::management::engine;
use crate::management::properties;
use crate::management::reply::{Answer, Reply};
use crate::management::request::Request;
use crate::management::state::Management;
use serde_json::{Map, Value, json};

/// The queue that the aliveness test uses.
const ALIVENESS: &str = "aliveness-test";

/// Answers what begins with `health`, `healthchecks`, `aliveness-test` and `alarms`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    let _ = request;
    match path {
        ["alarms"] => Ok(Reply::ok(json!({"alarms": alarms(m).await?}))),
        ["aliveness-test", vhost] => {
            super::vhosts_must_exist(m, vhost).await?;
            caller.must_see(vhost)?;
            must_serve(m).await?;
            aliveness(m, vhost).await
        }
        ["healthchecks", "node", name] if *name != m.facts.name => Err(Reply::not_found()),
        ["healthchecks", ..] => {
            let reason = match (m.is_stopped(), alarms(m).await?.is_empty()) {
                (true, _) => "the rabbit node is not serving clients",
                (false, false) => "resource alarm(s) in effect",
                (false, true) => return Ok(ok()),
            };
            // this one answers 200 whatever it finds, as scripts expect
            Ok(Reply::ok(json!({"status": "failed", "reason": reason})))
        }
        // a node that serves nobody is not well, whatever the check is of: a balancer asks for any of them
        ["health", "checks", check @ ..] => {
            let well = health(m, check).await?;
            must_serve(m).await?;
            Ok(well)
        }
        _ => Err(Reply::not_found()),
    }
}

fn ok() -> Reply {
    Reply::ok(json!({"status": "ok"}))
}

fn failed(reason: &str, more: Value) -> Reply {
    let mut map = Map::new();
    map.insert("status".into(), "failed".into());
    map.insert("reason".into(), reason.into());
    if let Value::Object(more) = more {
        map.extend(more);
    }
    Reply::json(503, &Value::Object(map))
}

/// Alarms in effect, as the API shows them.
pub async fn alarms(m: &Management) -> Result<Vec<Value>, Reply> {
    let (memory, disk) = m.with(|core| engine::node(core).alarms).await?;
    let of =
        |on: bool, resource: &str| on.then(|| json!({"node": m.facts.name, "resource": resource}));
    Ok([of(memory, "memory"), of(disk, "disk")]
        .into_iter()
        .flatten()
        .collect())
}

/// The refusal of a node that is stopping, or stopped inside of its process.
async fn must_serve(m: &Management) -> Result<(), Reply> {
    let stopping = m.with(|core| core.is_stopping()).await?;
    match stopping || m.is_stopped() {
        true => Err(failed("the rabbit node is not serving clients", json!({}))),
        false => Ok(()),
    }
}

async fn health(m: &Management, check: &[&str]) -> Answer {
    match check {
        ["alarms"] => on_alarms(m, "There are alarms in effect in the cluster").await,
        ["local-alarms"] => on_alarms(m, "There are alarms in effect on the node").await,
        ["virtual-hosts"] => {
            m.with(|_| ()).await?;
            Ok(ok())
        }
        ["node-is-mirror-sync-critical" | "node-is-quorum-critical"] => Ok(Reply::ok(
            json!({"status": "ok", "reason": "single node cluster"}),
        )),
        ["is-in-service" | "ready-to-serve-clients"] => Ok(ok()),
        ["port-listener", port] => on_port(m, port),
        ["protocol-listener", protocol] => on_protocol(m, protocol),
        ["certificate-expiration", within, unit] => on_certificates(m, within, unit).await,
        _ => Err(Reply::not_found()),
    }
}

async fn on_alarms(m: &Management, reason: &str) -> Answer {
    let alarms = alarms(m).await?;
    match alarms.is_empty() {
        true => Ok(ok()),
        false => Err(failed(reason, json!({"alarms": alarms}))),
    }
}

fn on_port(m: &Management, port: &str) -> Answer {
    let port: u16 = port
        .parse()
        .map_err(|_| Reply::bad_request("Invalid port"))?;
    let ports: Vec<_> = m.listeners().iter().map(|l| l.address.port()).collect();
    match ports.contains(&port) && !m.is_stopped() {
        true => Ok(Reply::ok(json!({"status": "ok", "port": port}))),
        false => Err(failed(
            "No active listener",
            json!({"missing": port, "ports": ports}),
        )),
    }
}

/// The names by which a protocol may be asked for.
fn is_called(protocol: &str, asked: &str) -> bool {
    let asked = asked.to_lowercase();
    protocol == asked
        || match protocol {
            "amqp" => ["amqp091", "amqp0.9.1", "amqp0-9-1"].contains(&asked.as_str()),
            "amqp/ssl" => ["amqps", "amqp-ssl"].contains(&asked.as_str()),
            "http/prometheus" => asked == "prometheus",
            _ => false,
        }
}

fn on_protocol(m: &Management, asked: &str) -> Answer {
    let listeners = m.listeners();
    let found = listeners.iter().any(|l| is_called(l.protocol, asked));
    if found && !m.is_stopped() {
        return Ok(Reply::ok(json!({"status": "ok", "protocol": asked})));
    }
    let mut protocols: Vec<_> = listeners.iter().map(|l| l.protocol).collect();
    protocols.dedup();
    let more = json!({"missing": asked, "protocols": protocols});
    Err(failed("No active listener", more))
}

async fn on_certificates(m: &Management, within: &str, unit: &str) -> Answer {
    let bad = |text: &str| Reply::bad_request(text);
    let count: i64 = within
        .parse()
        .map_err(|_| bad("Invalid expiration value."))?;
    let days = match unit {
        "days" => 1,
        "weeks" => 7,
        "months" => 30,
        "years" => 365,
        _ => {
            return Err(bad(
                "Time unit not recognised. Supported units: days, weeks, months, years.",
            ));
        }
    };
    let now_s = crate::management::state::now_ms() / 1000;
    let limit = now_s.saturating_add_signed(count.saturating_mul(days * 86_400));
    let files = m.facts.certificates.clone();
    let expiring = tokio::task::spawn_blocking(move || {
        let of = |path: &std::path::PathBuf| {
            let ends = super::super::certificate::expiry(path)?;
            (ends <= limit).then(|| {
                json!({
                    "node": path.to_string_lossy(),
                    "certfile_expires_on": [crate::management::render::date(ends * 1000)],
                })
            })
        };
        files.iter().filter_map(of).collect::<Vec<_>>()
    })
    .await
    .map_err(Reply::unavailable)?;
    match expiring.is_empty() {
        true => Ok(ok()),
        false => Err(failed(
            "Certificates expiring",
            json!({"expired": expiring}),
        )),
    }
}

/// Declares a queue, publishes and fetches.
async fn aliveness(m: &Management, vhost: &str) -> Answer {
    let vhost = vhost.to_owned();
    let header = properties::from_json(&Map::new(), 4)?;
    let body = b"test".to_vec();
    let done = m
        .with(move |core| {
            let queue = QueueDeclaration {
                name: ALIVENESS.to_owned(),
                durable: false,
                auto_delete: false,
                owner: None,
                arguments: FieldTable::default(),
            };
            core.declare_queue(&vhost, queue)?;
            core.inject("", &vhost, "", ALIVENESS, &header, &body)?;
            let mut browse = Browse::new(&vhost, ALIVENESS, 1, Leave::Gone);
            core.browse(&mut browse)?;
            Ok::<_, crate::core::refusal::Refusal>(!browse.read.is_empty())
        })
        .await?;
    match done {
        Ok(true) => Ok(ok()),
        Ok(false) => Err(failed("the message did not come back", json!({}))),
        Err(refusal) => Err(failed(&refusal.text, json!({}))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_goes_by_several_names() {
        assert!(is_called("amqp", "AMQP"));
        assert!(is_called("amqp/ssl", "amqps"));
        assert!(!is_called("http", "mqtt"));
    }
}
