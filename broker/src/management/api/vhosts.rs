//! Virtual hosts and their limits.

use super::{refused, users};
use crate::admin;
use crate::core::definitions::{parse_tags, vhost_limits_value};
use crate::core::limits::{Limits, VhostLimits};
use crate::core::vhost::{Vhost, VhostSpec};
use crate::management::caller::Caller;
use crate::management::listing::{list, one, pages};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request};
use crate::management::state::Management;
use serde_json::{Map, Value, json};

/// Answers what begins with `vhosts` and `vhost-limits`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["vhosts"], _) => Ok(pages(request, vhosts(m, caller, None).await?)),
        (["vhosts", name], Method::Get) => {
            caller.must_be_administrator()?;
            let mut found = vhosts(m, caller, Some((*name).to_owned())).await?;
            let value = found.pop().ok_or_else(Reply::not_found)?;
            Ok(one(request, value))
        }
        (["vhosts", name], method) => {
            caller.must_be_administrator()?;
            match method {
                Method::Put => put(m, caller, name, request).await,
                _ => delete(m, name).await,
            }
        }
        (["vhosts", name, kind], _) => part(m, caller, request, name, kind).await,
        (["vhosts", name, "start", node], _) => {
            caller.must_be_administrator()?;
            start(m, name, node).await
        }
        (["vhosts", ..], _) => {
            // deletion protection: nothing is kept
            caller.must_be_administrator()?;
            Ok(Reply::no_content())
        }
        (["vhost-limits"], _) => limits(m, caller, request, None).await,
        (["vhost-limits", vhost], _) => {
            super::vhosts_must_exist(m, vhost).await?;
            caller.must_see(vhost)?;
            limits(m, caller, request, Some(vhost)).await
        }
        (["vhost-limits", vhost, name], method) => {
            caller.must_be_administrator()?;
            set_limit(m, request, method, vhost, name).await
        }
        _ => Err(Reply::not_found()),
    }
}

/// A virtual host as the API shows it.
fn value(node: &str, vhost: &Vhost, messages: (u64, u64)) -> Value {
    let spec = &vhost.spec;
    let kind = spec.default_queue_type.as_deref().unwrap_or("undefined");
    let state = Map::from_iter([(node.to_owned(), Value::from("running"))]);
    json!({
        "cluster_state": state,
        "default_queue_type": kind,
        "description": spec.description,
        "messages": messages.0 + messages.1,
        "messages_details": {"rate": 0.0},
        "messages_ready": messages.0,
        "messages_ready_details": {"rate": 0.0},
        "messages_unacknowledged": messages.1,
        "messages_unacknowledged_details": {"rate": 0.0},
        "metadata": {"description": spec.description, "tags": spec.tags},
        "name": spec.name,
        "tags": spec.tags,
        "tracing": spec.tracing,
    })
}

async fn vhosts(
    m: &Management,
    caller: &Caller,
    only: Option<String>,
) -> Result<Vec<Value>, Reply> {
    let (caller, node) = (caller.clone(), m.facts.name.clone());
    m.with(move |core| {
        let depth = crate::management::engine::depth_by_vhost(core);
        let all = core.metadata.vhosts.values();
        all.filter(|v| only.as_ref().is_none_or(|only| only == v.name()))
            .filter(|v| caller.is_administrator() || caller.sees(v.name()))
            .map(|v| value(&node, v, depth.get(v.name()).copied().unwrap_or_default()))
            .collect()
    })
    .await
}

async fn put(m: &Management, caller: &Caller, name: &str, request: &Request) -> Answer {
    let body = request.object()?;
    let tags = parse_tags(body.get("tags")).ok_or_else(|| Reply::bad_request("tags_not_a_list"))?;
    let kind = body.text_or("default_queue_type", "undefined")?;
    if !["undefined", "classic", "quorum"].contains(&kind.as_str()) {
        return Err(Reply::bad_request(format!(
            "unsupported queue type '{kind}'"
        )));
    }
    let spec = VhostSpec {
        name: name.to_owned(),
        description: body.text_or("description", "")?,
        tags,
        default_queue_type: (kind != "undefined").then_some(kind),
        tracing: body.flag("tracing", false)?,
    };
    let user = caller.name.clone();
    let is_new = m
        .with(move |core| {
            let vhost = spec.name.clone();
            let is_new = admin::put_vhost(core, spec);
            if is_new && core.metadata.access.users.contains_key(&user) {
                let everything = || ".*".to_owned();
                let rules = [everything(), everything(), everything()];
                // both exist, and the patterns are sound
                let _ = admin::set_permission(core, user, vhost, rules);
            }
            is_new
        })
        .await?;
    Ok(Reply::put(is_new))
}

async fn delete(m: &Management, name: &str) -> Answer {
    let name = name.to_owned();
    m.with(move |core| admin::delete_vhost(core, name))
        .await?
        .map_err(|_| Reply::not_found())?;
    Ok(Reply::no_content())
}

/// Every virtual host runs as long as the node: there is nothing to start.
async fn start(m: &Management, name: &str, node: &str) -> Answer {
    let failed =
        |why: String| Reply::bad_request(format!("Request to node {node} failed with {why}"));
    if node != m.facts.name {
        return Err(failed("nodedown".to_owned()));
    }
    let found = super::vhosts_must_exist(m, name).await;
    found.map_err(|_| failed(format!("{{no_such_vhost,<<\"{name}\">>}}")))?;
    Ok(Reply::no_content())
}

async fn part(
    m: &Management,
    caller: &Caller,
    request: &Request,
    name: &str,
    kind: &str,
) -> Answer {
    let wanted = name.to_owned();
    match kind {
        "permissions" => {
            caller.must_be_administrator()?;
            super::vhosts_must_exist(m, name).await?;
            let items = users::permissions(m, move |(vhost, _)| *vhost == wanted).await?;
            Ok(list(request, items))
        }
        "topic-permissions" => {
            caller.must_be_administrator()?;
            super::vhosts_must_exist(m, name).await?;
            let items = users::topic_permissions(m, move |(vhost, _, _)| *vhost == wanted).await?;
            Ok(list(request, items))
        }
        _ => {
            caller.must_see(name)?;
            let there = m.with(move |core| core.metadata.vhost(&wanted).is_some());
            match (there.await?, kind) {
                (false, _) => Err(Reply::not_found()),
                (true, "connections") => Ok(list(
                    request,
                    super::clients::connections(m, caller, Some(name)).await?,
                )),
                _ => Ok(list(
                    request,
                    super::clients::channels(m, caller, Some(name)).await?,
                )),
            }
        }
    }
}

async fn limits(m: &Management, caller: &Caller, request: &Request, only: Option<&str>) -> Answer {
    let (caller, only) = (caller.clone(), only.map(str::to_owned));
    let items = m
        .with(move |core| {
            let all = core.metadata.vhosts.values();
            all.filter(|v| only.as_ref().is_none_or(|only| only == v.name()))
                .filter(|v| caller.sees(v.name()) && !v.limits.is_unset())
                .map(|v| json!({"vhost": v.name(), "value": vhost_limits_value(v)}))
                .collect()
        })
        .await?;
    Ok(list(request, items))
}

async fn set_limit(
    m: &Management,
    request: &Request,
    method: Method,
    vhost: &str,
    name: &str,
) -> Answer {
    super::must_find_vhost(m, vhost).await?;
    let body = request.object()?;
    let (vhost, name) = (vhost.to_owned(), name.to_owned());
    let value = match method {
        Method::Put => Some(
            body.get("value")
                .cloned()
                .ok_or_else(|| Reply::bad_request("[{key_missing,value}]"))?,
        ),
        // one that does not exist is lifted already
        _ if !VhostLimits::NAMES.contains(&name.as_str()) => return Ok(Reply::no_content()),
        _ => None,
    };
    m.with(move |core| admin::set_vhost_limit(core, vhost, &name, value.as_ref()))
        .await?
        .map_err(|error| match error {
            admin::AdminError::NoSuchVhost(_) => Reply::missing("vhost_not_found"),
            other => refused(other),
        })?;
    Ok(Reply::no_content())
}
