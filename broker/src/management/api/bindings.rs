//! Bindings: listed, made, removed. A binding is named in a path by its
//! properties key: the routing key, with a digest of the arguments.

use super::queues::check;
use super::refusal;
use crate::core::Core;
use crate::core::access::Right;
use crate::core::definitions::json::{from_json, to_json};
use crate::core::field::FieldTable;
use crate::core::vhost::{Binding, Destination, Vhost};
use crate::management::binding_digest;
use crate::management::caller::Caller;
use crate::management::listing::{list, one};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request, encode};
use crate::management::state::Management;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Answers what begins with `bindings`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["bindings"], _) => {
            let caller = caller.clone();
            let items = m
                .with(move |core| {
                    let vhosts = core.metadata.vhosts.values();
                    let seen = vhosts.filter(|v| caller.sees(v.name()));
                    seen.flat_map(|v| of_vhost(v, &|_| true)).collect()
                })
                .await?;
            Ok(list(request, items))
        }
        (["bindings", vhost], _) => {
            caller.must_see(vhost)?;
            let at = (*vhost).to_owned();
            let items = m
                .with(move |core| core.metadata.vhost(&at).map(|v| of_vhost(v, &|_| true)))
                .await?;
            Ok(list(request, items.ok_or_else(Reply::not_found)?))
        }
        (["bindings", vhost, "e", source, kind, name, rest @ ..], method) => {
            caller.must_see(vhost)?;
            let source = if *source == "amq.default" { "" } else { source };
            let name = (*name).to_owned();
            let between = Between {
                vhost: (*vhost).to_owned(),
                source: source.to_owned(),
                destination: match *kind {
                    "q" => Destination::Queue(name),
                    _ => Destination::Exchange(name),
                },
            };
            match (rest, method) {
                ([], Method::Post) => bind(m, caller, request, between).await,
                ([], _) => listed(m, request, between).await,
                ([key], Method::Get) => get(m, request, between, key).await,
                ([key, ..], _) => unbind(m, caller, between, key).await,
            }
        }
        _ => Err(Reply::not_found()),
    }
}

/// The two ends of bindings.
#[derive(Clone)]
struct Between {
    vhost: String,
    source: String,
    destination: Destination,
}

/// The properties key: `~` alone for an empty routing key without arguments.
pub fn properties_key(routing_key: &str, arguments: &FieldTable) -> String {
    // a routing key may hold the sign that stands before the arguments
    let key = encode(routing_key).replace("%20", "+").replace('~', "%7E");
    if arguments.0.is_empty() {
        return if key.is_empty() { "~".to_owned() } else { key };
    }
    let digest = binding_digest::of(arguments).to_be_bytes();
    format!("{key}~{}", URL_SAFE_NO_PAD.encode(digest))
}

fn value(vhost: &str, binding: &Binding) -> Value {
    let kind = match binding.destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    };
    json!({
        "source": binding.source,
        "vhost": vhost,
        "destination": binding.destination.name(),
        "destination_type": kind,
        "routing_key": binding.routing_key,
        "arguments": to_json(&binding.arguments),
        "properties_key": properties_key(&binding.routing_key, &binding.arguments),
    })
}

/// Bindings of a virtual host, with those that the default exchange implies.
pub fn of_vhost(vhost: &Vhost, keep: &dyn Fn(&Binding) -> bool) -> Vec<Value> {
    let mut queues: Vec<_> = vhost.queues.values().map(|q| q.spec.name.clone()).collect();
    queues.sort();
    let implied = queues.into_iter().map(|name| Binding {
        source: String::new(),
        destination: Destination::Queue(name.clone()),
        routing_key: name,
        arguments: FieldTable::default(),
    });
    let implied = implied.filter(|b| keep(b)).map(|b| value(vhost.name(), &b));
    let mut made: Vec<_> = vhost.bindings().filter(|b| keep(b)).collect();
    made.sort_by(|a, b| (&a.source, &a.destination).cmp(&(&b.source, &b.destination)));
    implied
        .chain(made.into_iter().map(|b| value(vhost.name(), b)))
        .collect()
}

/// Bindings whose ends are named. Those of what is not there are an empty list, as in RabbitMQ.
async fn of(
    m: &Management,
    request: &Request,
    vhost: &str,
    keep: impl Fn(&Binding) -> bool + Send + 'static,
) -> Answer {
    let vhost = vhost.to_owned();
    let items = m
        .with(move |core| core.metadata.vhost(&vhost).map(|v| of_vhost(v, &keep)))
        .await?;
    Ok(list(request, items.unwrap_or_default()))
}

/// Bindings to a queue.
pub async fn of_queue(m: &Management, request: &Request, vhost: &str, name: &str) -> Answer {
    let wanted = Destination::Queue(name.to_owned());
    of(m, request, vhost, move |b| b.destination == wanted).await
}

/// Bindings from or to an exchange.
pub async fn of_exchange(
    m: &Management,
    request: &Request,
    vhost: &str,
    name: &str,
    is_source: bool,
) -> Answer {
    let wanted = name.to_owned();
    let to = Destination::Exchange(name.to_owned());
    of(m, request, vhost, move |b| match is_source {
        true => b.source == wanted,
        false => b.destination == to,
    })
    .await
}

async fn listed(m: &Management, request: &Request, at: Between) -> Answer {
    let vhost = at.vhost.clone();
    of(m, request, &vhost, move |b| {
        b.source == at.source && b.destination == at.destination
    })
    .await
}

fn find(core: &Core, at: &Between, key: &str) -> Option<Binding> {
    let vhost = core.metadata.vhost(&at.vhost)?;
    let to_queue = matches!(&at.destination, Destination::Queue(name) if name == key);
    if at.source.is_empty() && to_queue && vhost.queues.contains_key(key) {
        return Some(Binding {
            source: String::new(),
            destination: at.destination.clone(),
            routing_key: key.to_owned(),
            arguments: FieldTable::default(),
        });
    }
    vhost
        .bindings_to(&at.destination)
        .filter(|b| b.source == at.source)
        .find(|b| {
            let own = properties_key(&b.routing_key, &b.arguments);
            // the key comes decoded out of the path; some decode it once more
            own == key
                || own == encode(key).replace("%20", "+").replace('~', "%7E")
                || (b.arguments.0.is_empty() && !key.is_empty() && b.routing_key == key)
        })
        .cloned()
}

async fn get(m: &Management, request: &Request, at: Between, key: &str) -> Answer {
    let key = key.to_owned();
    let found = m
        .with(move |core| find(core, &at, &key).map(|b| value(&at.vhost, &b)))
        .await?;
    Ok(one(request, found.ok_or_else(Reply::not_found)?))
}

fn may_bind(core: &Core, caller: &Caller, at: &Between) -> Result<(), Reply> {
    check(core, caller, &at.vhost, Right::Write, at.destination.name())?;
    check(core, caller, &at.vhost, Right::Read, &at.source)
}

/// Refuses who may not bind there, and ends that are not there.
fn may_make(core: &Core, caller: &Caller, at: &Between) -> Result<(), Reply> {
    may_bind(core, caller, at)?;
    if at.source.is_empty() {
        return Err(Reply::not_authorised("Access refused."));
    }
    core.ends_exist(&at.vhost, &at.source, &at.destination)
        .map_err(refusal)?;
    Ok(())
}

async fn bind(m: &Management, caller: &Caller, request: &Request, at: Between) -> Answer {
    super::must_find_vhost(m, &at.vhost).await?;
    let body = request.object()?;
    let (who, ends) = (caller.clone(), at.clone());
    m.with(move |core| may_make(core, &who, &ends)).await??;
    let binding = Binding {
        source: at.source.clone(),
        destination: at.destination.clone(),
        routing_key: body.text_or("routing_key", "")?,
        arguments: from_json(&body.table("arguments")?),
    };
    let kind = match at.destination {
        Destination::Queue(_) => "q",
        Destination::Exchange(_) => "e",
    };
    let location = format!(
        "../../../../{}/e/{}/{kind}/{}/{}",
        encode(&at.vhost),
        encode(&at.source),
        encode(at.destination.name()),
        // a part of the path once more: what is encoded in the key stays so for who decodes the path
        encode(&properties_key(&binding.routing_key, &binding.arguments)),
    );
    m.with(move |core| core.bind(&at.vhost, binding).map_err(refusal))
        .await??;
    Ok(Reply::created().header("location", location))
}

async fn unbind(m: &Management, caller: &Caller, at: Between, key: &str) -> Answer {
    let (caller, key) = (caller.clone(), key.to_owned());
    m.with(move |core| {
        let binding = find(core, &at, &key).ok_or_else(Reply::not_found)?;
        may_bind(core, &caller, &at)?;
        if at.source.is_empty() {
            return Err(Reply::not_authorised("Access refused."));
        }
        core.unbind(&at.vhost, binding).map_err(refusal)
    })
    .await??;
    Ok(Reply::no_content())
}
