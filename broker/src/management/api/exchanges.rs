//! Exchanges: listed, declared, deleted, published to.

use super::queues::check;
use super::{bindings, refusal};
use crate::core::ExchangeDeclaration;
use crate::core::access::Right;
use crate::core::definitions::json::{from_json, to_json};
use crate::core::exchange::Exchange;
use crate::management::caller::Caller;
use crate::management::flows::{self, Flows};
use crate::management::listing::{one, pages};
use crate::management::properties;
use crate::management::render::Scene;
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request};
use crate::management::sampler::ExchangeKey;
use crate::management::state::Management;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Answers what begins with `exchanges`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["exchanges"], _) => {
            let items = exchanges(m, caller, None, None).await?;
            Ok(pages(request, items))
        }
        (["exchanges", vhost], _) => {
            super::vhosts_must_exist(m, vhost).await?;
            caller.must_see(vhost)?;
            let items = exchanges(m, caller, Some(vhost), None).await?;
            Ok(pages(request, items))
        }
        (["exchanges", vhost, name, rest @ ..], method) => {
            caller.must_see(vhost)?;
            // the one without a name needs one in a path
            let name = if *name == "amq.default" { "" } else { name };
            match (rest, method) {
                ([], Method::Get) => get(m, caller, request, vhost, name).await,
                ([], Method::Put) => declare(m, caller, request, vhost, name).await,
                ([], _) => delete(m, caller, request, vhost, name).await,
                (["bindings", side], _) => {
                    bindings::of_exchange(m, request, vhost, name, *side == "source").await
                }
                (["publish"], _) => publish(m, caller, request, vhost, name).await,
                _ => Err(Reply::not_found()),
            }
        }
        _ => Err(Reply::not_found()),
    }
}

/// An exchange as the API shows it.
pub fn value(vhost: &str, exchange: &Exchange) -> Value {
    let spec = &exchange.spec;
    let own = spec.name.is_empty() || spec.name.starts_with("amq.");
    let mut value = json!({
        "arguments": to_json(&spec.arguments),
        "auto_delete": spec.auto_delete,
        "durable": spec.durable,
        "internal": spec.internal,
        "name": spec.name,
        "type": spec.kind,
        "user_who_performed_action": if own { "rmq-internal" } else { "" },
        "vhost": vhost,
    });
    if let (Some(policy), Value::Object(map)) = (&exchange.policy.policy, &mut value) {
        map.insert("policy".into(), policy.clone().into());
    }
    value
}

async fn exchanges(
    m: &Management,
    caller: &Caller,
    vhost: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Value>, Reply> {
    let caller = caller.clone();
    let (vhost, name) = (vhost.map(str::to_owned), name.map(str::to_owned));
    let found: Vec<Counted> = m
        .with(move |core| {
            core.settle_traffic();
            let mut out = Vec::new();
            for v in core.metadata.vhosts.values() {
                let wanted = vhost.as_ref().is_none_or(|only| only == v.name());
                if !wanted || !caller.sees(v.name()) {
                    continue;
                }
                let mut here: Vec<_> = v
                    .exchanges
                    .values()
                    .filter(|x| name.as_ref().is_none_or(|only| *only == x.spec.name))
                    .collect();
                here.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
                out.extend(here.into_iter().map(|x| counted(v.name(), x)));
            }
            out
        })
        .await?;
    let sampler = m.sampler();
    let with_stats = |(mut value, key, passed): Counted| {
        if let Some(stats) = sampler.exchange_stats(&key, passed) {
            value["message_stats"] = stats;
        }
        value
    };
    Ok(found.into_iter().map(with_stats).collect())
}

/// An exchange as the API shows it, which one it is, and messages in and out.
type Counted = (Value, ExchangeKey, [u64; 2]);

fn counted(vhost: &str, x: &Exchange) -> Counted {
    let key = (vhost.into(), x.spec.name.as_str().into());
    let passed = [x.passed.published_in, x.passed.published_out];
    (value(vhost, x), key, passed)
}

async fn get(
    m: &Management,
    caller: &Caller,
    request: &Request,
    vhost: &str,
    name: &str,
) -> Answer {
    let mut found = exchanges(m, caller, Some(vhost), Some(name)).await?;
    let mut value = found.pop().ok_or_else(Reply::not_found)?;
    let (at, wanted) = (vhost.to_owned(), name.to_owned());
    let (incoming, outgoing) = m
        .with(move |core| Flows::of(core).of_exchange(&at, &wanted))
        .await?;
    let sampler = m.sampler();
    let scene = Scene {
        node: &m.facts.name,
        sampler: &sampler,
        plain: false,
        range: None,
        creation: m.facts.started_ms / 1000,
    };
    value["incoming"] = flows::rendered(scene, vhost, &incoming);
    value["outgoing"] = flows::rendered(scene, vhost, &outgoing);
    Ok(one(request, value))
}

async fn declare(
    m: &Management,
    caller: &Caller,
    request: &Request,
    vhost: &str,
    name: &str,
) -> Answer {
    super::name_must_fit("exchange", name)?;
    super::must_find_vhost(m, vhost).await?;
    let body = request.object()?;
    // the first complaint is the one that there comes first
    let auto_delete = body.flag("auto_delete", false)?;
    let wanted = ExchangeDeclaration {
        name: name.to_owned(),
        durable: body.flag("durable", false)?,
        auto_delete,
        internal: body.flag("internal", false)?,
        arguments: from_json(&body.table("arguments")?),
        kind: body.text_or("type", "direct")?,
    };
    let (caller, vhost) = (caller.clone(), vhost.to_owned());
    let created = m
        .with(move |core| {
            if core.metadata.vhost(&vhost).is_none() {
                return Err(Reply::missing("vhost_not_found"));
            }
            if wanted.name.is_empty() {
                return Err(Reply::not_authorised("Access refused."));
            }
            check(core, &caller, &vhost, Right::Configure, &wanted.name)?;
            let known = core.metadata.vhost(&vhost);
            let is_there = known.is_some_and(|v| v.exchanges.contains_key(wanted.name.as_str()));
            if wanted.name.starts_with("amq.") && !is_there {
                return Err(Reply::not_authorised("Access refused."));
            }
            let declared = core.declare_exchange(&vhost, wanted).map_err(refusal)?;
            Ok(declared.created)
        })
        .await??;
    Ok(Reply::put(created))
}

async fn delete(
    m: &Management,
    caller: &Caller,
    request: &Request,
    vhost: &str,
    name: &str,
) -> Answer {
    let if_unused = request.is_set("if-unused");
    let (caller, vhost, name) = (caller.clone(), vhost.to_owned(), name.to_owned());
    m.with(move |core| {
        let known = core.metadata.vhost(&vhost);
        if !known.is_some_and(|v| v.exchanges.contains_key(name.as_str())) {
            return Err(Reply::not_found());
        }
        check(core, &caller, &vhost, Right::Configure, &name)?;
        if name.is_empty() || name.starts_with("amq.") {
            return Err(Reply::not_authorised("Access refused."));
        }
        core.delete_exchange(&vhost, &name, if_unused)
            .map_err(refusal)
    })
    .await??;
    Ok(Reply::no_content())
}

async fn publish(
    m: &Management,
    caller: &Caller,
    request: &Request,
    vhost: &str,
    name: &str,
) -> Answer {
    let body =
        request.object_with(&["routing_key", "properties", "payload", "payload_encoding"])?;
    let payload = body
        .text("payload")
        .map_err(|_| Reply::bad_request("payload_not_string"))?;
    super::must_enter(m, caller, vhost).await?;
    let written = body.table("properties")?;
    // what is wrong with them is told before what is wrong with the payload
    properties::from_json(&written, 0)?;
    let payload = match &body["payload_encoding"] {
        Value::String(word) if word == "string" => payload.into_bytes(),
        Value::String(word) if word == "base64" => STANDARD
            .decode(&payload)
            .map_err(|_| Reply::bad_request(json!(["not_base64", payload])))?,
        other => return Err(Reply::bad_request(json!(["unsupported_encoding", other]))),
    };
    let key = body.text("routing_key")?;
    let header = properties::from_json(&written, payload.len())?;
    let (caller, vhost, name) = (caller.clone(), vhost.to_owned(), name.to_owned());
    let routed = m
        .with(move |core| {
            check(core, &caller, &vhost, Right::Write, &name)?;
            core.inject(&caller.name, &vhost, &name, &key, &header, &payload)
                .map_err(|r| {
                    let reason = format!("{} {} - {}", r.code.number(), r.code.name(), r.text);
                    Reply::bad_request(reason)
                })
        })
        .await??;
    Ok(Reply::ok(json!({"routed": routed})))
}
