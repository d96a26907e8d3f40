//! Policies and operator policies, and what a policy would change.

use super::refused;
use crate::admin;
use crate::core::Core;
use crate::core::definitions::policy_spec;
use crate::core::metadata::PolicySpec;
use crate::core::policy::{self, Kind, Policies, Policy};
use crate::management::caller::Caller;
use crate::management::listing::{list, one};
use crate::management::reply::{Answer, Reply, escaped};
use crate::management::request::{Fields, Method, Request};
use crate::management::state::Management;
use serde_json::{Value, json};

/// Objects of a preview at most; the rest is counted.
const PREVIEW_MAX: usize = 500;

/// Answers what begins with `policies` and `operator-policies`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    let operator = path[0] == "operator-policies";
    match (path, request.method) {
        (["policies", "preview", vhost], Method::Post) => {
            caller.must_see(vhost)?;
            preview(m, request, vhost).await
        }
        ([_], _) => Ok(list(request, all(m, caller, operator, None, None).await?)),
        ([_, vhost], _) => {
            super::vhosts_must_exist(m, vhost).await?;
            caller.must_see(vhost)?;
            let items = all(m, caller, operator, Some(vhost), None).await?;
            Ok(list(request, items))
        }
        ([_, vhost, name], Method::Get) => {
            let mut found = all(m, caller, operator, Some(vhost), Some(name)).await?;
            Ok(one(request, found.pop().ok_or_else(Reply::not_found)?))
        }
        ([_, vhost, name], method) => {
            match operator {
                true => caller.must_be_administrator()?,
                false => caller.must_be_policymaker(vhost)?,
            }
            match method {
                Method::Put => put(m, request, operator, vhost, name).await,
                _ => delete(m, operator, vhost, name).await,
            }
        }
        _ => Err(Reply::not_found()),
    }
}

/// A policy as the API shows it.
pub fn value(vhost: &str, name: &str, policy: &Policy) -> Value {
    json!({
        "vhost": vhost,
        "name": name,
        "pattern": policy.pattern.as_str(),
        "apply-to": policy.apply_to.word(),
        "definition": policy.definition,
        "priority": policy.priority,
    })
}

async fn all(
    m: &Management,
    caller: &Caller,
    operator: bool,
    vhost: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Value>, Reply> {
    let caller = caller.clone();
    let (vhost, name) = (vhost.map(str::to_owned), name.map(str::to_owned));
    m.with(move |core| {
        let mut out = Vec::new();
        for v in core.metadata.vhosts.values() {
            let wanted = vhost.as_ref().is_none_or(|only| only == v.name());
            if !wanted || !caller.sees(v.name()) {
                continue;
            }
            let policies = if operator {
                &v.operator_policies
            } else {
                &v.policies
            };
            for (id, policy) in policies {
                if name.as_ref().is_none_or(|only| only == id) {
                    out.push(value(v.name(), id, policy));
                }
            }
        }
        out
    })
    .await
}

async fn put(m: &Management, request: &Request, operator: bool, vhost: &str, name: &str) -> Answer {
    super::must_find_vhost(m, vhost).await?;
    let body = request.object_with(&["pattern", "definition"])?;
    // user policies' complaints are escaped there, operator policies' are not
    let shown = |text: String| match operator {
        true => text,
        false => escaped(&text),
    };
    let policy = policy_spec(name.to_owned(), &body, operator)
        .map_err(|e| Reply::bad_request(shown(e.to_string())))?;
    let vhost = vhost.to_owned();
    let done = m
        .with(move |core| admin::set_policy(core, vhost, policy, operator))
        .await?;
    let is_new = done.map_err(|error| match error {
        admin::AdminError::Invalid(text) => Reply::bad_request(shown(text)),
        other => refused(other),
    })?;
    Ok(Reply::put(is_new))
}

async fn delete(m: &Management, operator: bool, vhost: &str, name: &str) -> Answer {
    let (vhost, name) = (vhost.to_owned(), name.to_owned());
    m.with(move |core| admin::clear_policy(core, vhost, name, operator))
        .await?
        .map_err(|_| Reply::not_found())?;
    Ok(Reply::no_content())
}

/// What would become of queues and exchanges if this policy (with `operator`, this operator policy) were set (or, with
/// `delete`, removed): those whose settings would differ, before and after.
async fn preview(m: &Management, request: &Request, vhost: &str) -> Answer {
    let body = request.object_with(&["name"])?;
    let name = body.text("name")?;
    let removal = body.flag("delete", false)?;
    let operator = body.flag("operator", false)?;
    let spec = match removal {
        true => None,
        false => {
            let spec = policy_spec(name.clone(), &body, operator);
            Some(spec.map_err(|e| Reply::bad_request(e.to_string()))?)
        }
    };
    super::vhosts_must_exist(m, vhost).await?;
    let vhost = vhost.to_owned();
    let changes = m
        .with(move |core| changes(core, &vhost, &name, spec.as_ref(), operator))
        .await?;
    let total = changes.len();
    let shown: Vec<_> = changes.into_iter().take(PREVIEW_MAX).collect();
    Ok(Reply::ok(json!({"total": total, "changes": shown})))
}

fn changes(
    core: &Core,
    vhost: &str,
    name: &str,
    spec: Option<&PolicySpec>,
    operator: bool,
) -> Vec<Value> {
    let Some(vhost) = core.metadata.vhost(vhost) else {
        return Vec::new();
    };
    let (mut users, mut operators) = (vhost.policies.clone(), vhost.operator_policies.clone());
    let build = if operator {
        Policy::operator
    } else {
        Policy::new
    };
    let after: &mut Policies = if operator { &mut operators } else { &mut users };
    match spec.map(|s| build(&s.pattern, &s.apply_to, s.definition.clone(), s.priority)) {
        Some(Ok(policy)) => drop(after.insert(name.to_owned(), policy)),
        Some(Err(_)) => {}
        None => drop(after.remove(name)),
    }
    let queues = vhost.queues.values().map(|q| {
        let kind = if q.spec.is_quorum() {
            Kind::QuorumQueue
        } else {
            Kind::ClassicQueue
        };
        (kind, q.spec.name.as_str(), &q.policy)
    });
    let exchanges = vhost
        .exchanges
        .values()
        .map(|x| (Kind::Exchange, x.spec.name.as_str(), &x.policy));
    let mut out: Vec<_> = queues
        .chain(exchanges)
        .filter_map(|(kind, object, before)| {
            let now = policy::effective(&users, &operators, kind, object);
            (now != *before).then(|| {
                let kind = if kind == Kind::Exchange {
                    "exchange"
                } else {
                    "queue"
                };
                json!({
                    "kind": kind,
                    "name": object,
                    "policy": {"before": before.policy, "after": now.policy},
                    "definition": {"before": before.definition, "after": now.definition},
                })
            })
        })
        .collect();
    out.sort_by_key(|change| change["name"].as_str().unwrap_or("").to_owned());
    out
}
