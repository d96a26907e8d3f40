//! Runtime parameters, global parameters and the cluster's name.

use super::refused;
use crate::admin;
use crate::core::Core;
use crate::core::definitions::vhost_limits_value;
use crate::core::limits::Limits;
use crate::management::caller::Caller;
use crate::management::listing::{list, one};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request};
use crate::management::state::Management;
use serde_json::{Value, json};

/// Answers what begins with `parameters`, `global-parameters` and `cluster-name`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["cluster-name"], Method::Get) => {
            let name = m.with(|core| core.settings.cluster_name.clone()).await?;
            Ok(one(request, json!({"name": name})))
        }
        (["cluster-name"], _) => {
            caller.must_be_administrator()?;
            let name = request.object_with(&["name"])?.text("name")?;
            m.with(move |core| {
                admin::set_global_parameter(core, "cluster_name".into(), name.into())
            })
            .await?;
            Ok(Reply::no_content())
        }
        (["global-parameters", ..], _) => global(m, caller, request, path).await,
        (["parameters", component, vhost, name], Method::Put) => {
            caller.must_be_policymaker(vhost)?;
            super::must_find_vhost(m, vhost).await?;
            let value = request.object_with(&["value"])?["value"].clone();
            if *component == "policy" {
                let reason = "policies may not be set using this method";
                return Err(Reply::bad_request(reason));
            }
            let [component, vhost, name] = [component, vhost, name].map(|s| (*s).to_owned());
            let done = m
                .with(move |core| admin::set_parameter(core, &component, vhost, name, &value))
                .await?;
            Ok(Reply::put(done.map_err(refused)?))
        }
        (["parameters", component, vhost, name], Method::Delete) => {
            caller.must_be_policymaker(vhost)?;
            let [component, vhost, name] = [component, vhost, name].map(|s| (*s).to_owned());
            m.with(move |core| admin::clear_parameter(core, &component, vhost, name))
                .await?
                .map_err(|_| Reply::not_found())?;
            Ok(Reply::no_content())
        }
        (["parameters", filter @ ..], _) => {
            caller.must_be_policymaker_somewhere()?;
            if let [_, vhost, ..] = filter {
                super::vhosts_must_exist(m, vhost).await?;
            }
            let mut items = m.with(|core| parameters(core)).await?;
            items.retain(|item| caller.sees(item["vhost"].as_str().unwrap_or("")));
            for (key, wanted) in ["component", "vhost", "name"].into_iter().zip(filter) {
                items.retain(|item| item[key] == **wanted);
            }
            match filter {
                [_, _, _] => Ok(one(request, items.pop().ok_or_else(Reply::not_found)?)),
                _ => Ok(list(request, items)),
            }
        }
        _ => Err(Reply::not_found()),
    }
}

/// All parameters: limits and operator policies are kept as such.
pub fn parameters(core: &Core) -> Vec<Value> {
    let mut out = Vec::new();
    for vhost in core.metadata.vhosts.values() {
        if !vhost.limits.is_unset() {
            out.push(json!({
                "value": vhost_limits_value(vhost),
                "vhost": vhost.name(),
                "component": "vhost-limits",
                "name": "limits",
            }));
        }
        for (name, policy) in &vhost.operator_policies {
            out.push(json!({
                "value": {
                    "pattern": policy.pattern.as_str(),
                    "definition": policy.definition,
                    "priority": policy.priority,
                    "apply-to": policy.apply_to.word(),
                },
                "vhost": vhost.name(),
                "component": "operator_policy",
                "name": name,
            }));
        }
    }
    out
}

async fn global(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    caller.must_be_policymaker_somewhere()?;
    match (path, request.method) {
        (["global-parameters", name], Method::Put) => {
            let value = request.object_with(&["value"])?["value"].clone();
            let name = (*name).to_owned();
            let is_new = m
                .with(move |core| admin::set_global_parameter(core, name, value))
                .await?;
            Ok(Reply::put(is_new))
        }
        (["global-parameters", name], Method::Delete) => {
            let name = (*name).to_owned();
            m.with(move |core| admin::clear_global_parameter(core, name))
                .await?
                .map_err(|_| Reply::not_found())?;
            Ok(Reply::no_content())
        }
        _ => {
            let mut items = m
                .with(|core| {
                    let all = core.metadata.global_parameters.iter();
                    all.map(|(name, value)| json!({"name": name, "value": value}))
                        .collect::<Vec<_>>()
                })
                .await?;
            match path.get(1) {
                None => Ok(list(request, items)),
                Some(wanted) => {
                    items.retain(|item| item["name"] == **wanted);
                    Ok(one(request, items.pop().ok_or_else(Reply::not_found)?))
                }
            }
        }
    }
}
