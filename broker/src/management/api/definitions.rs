//! Definitions out and in.

use super::refused;
use crate::admin;
use crate::core::definitions::{export, export_vhost};
use crate::management::caller::Caller;
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Method, Request};
use crate::management::state::Management;
use serde_json::{Map, Value};

/// Answers what begins with `definitions`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    let vhost = path.get(1).map(|vhost| (*vhost).to_owned());
    caller.must_be_administrator()?;
    if let Some(vhost) = &vhost {
        let name = vhost.clone();
        if m.with(move |core| core.metadata.vhost(&name).is_none())
            .await?
        {
            return Err(match request.method {
                Method::Post => Reply::missing("vhost_not_found"),
                Method::Get | Method::Put | Method::Delete => Reply::bad_request("vhost_not_found"),
            });
        }
    }
    if request.method == Method::Post {
        let document = document(request)?;
        m.with(move |core| admin::import(core, &document, vhost.as_deref()))
            .await?
            .map_err(refused)?;
        return Ok(Reply::no_content());
    }
    let (product, version) = (m.facts.product.clone(), m.facts.version.clone());
    let value = m
        .with(move |core| match vhost {
            None => Some(export(&core.metadata, &product, &version)),
            Some(name) => core
                .metadata
                .vhost(&name)
                .map(|v| export_vhost(v, &version)),
        })
        .await?
        .ok_or_else(|| Reply::bad_request("vhost_not_found"))?;
    let mut reply = Reply::ok(value);
    if let Some(name) = request.query("download") {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String = name.chars().filter(|c| plain(*c)).collect();
        let value = format!("attachment; filename={name}");
        reply = reply.header("content-disposition", value);
    }
    Ok(reply)
}

/// The document: the body, or the file of a form as browsers send it.
fn document(request: &Request) -> Result<Map<String, Value>, Reply> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Reply::bad_request("not_json")),
        Err(_) => Err(Reply::bad_request("failed_to_parse_json")),
    }
}
