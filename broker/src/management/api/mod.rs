//! The handlers of the HTTP API, one file per subject.

pub mod bindings;
pub mod clients;
pub mod definitions;
pub mod exchanges;
pub mod health;
pub mod nodes;
pub mod parameters;
pub mod policies;
pub mod queues;
pub mod users;
pub mod vhosts;

use super::reply::Reply;
use crate::admin::AdminError;
use crate::core::definitions::ImportError;
use crate::core::refusal::{Code, Refusal};
use serde_json::json;

/// An administrator's error as the API words it.
pub fn refused(error: AdminError) -> Reply {
    match error {
        AdminError::NoSuchUser(_) | AdminError::NoSuchVhost(_) => {
            Reply::bad_request("vhost_or_user_not_found")
        }
        AdminError::UserExists(_) => Reply::bad_request(error.to_string()),
        AdminError::NoSuchParameter => Reply::not_found(),
        AdminError::Invalid(text) => Reply::bad_request(text),
        AdminError::BadPattern(pattern, reason, at) => {
            // texts are lists of characters here, as scripts know it
            let codes = |text: &str| text.chars().map(|c| c as u32).collect::<Vec<_>>();
            let reason = json!(["invalid_regexp", codes(&pattern), [codes(&reason), at]]);
            Reply::bad_request(reason)
        }
        AdminError::Import(ImportError::NoSuchVhost(name)) => {
            Reply::bad_request(json!(["no_such_vhost", name]))
        }
        AdminError::Import(ImportError::NotBase64(text)) => {
            Reply::bad_request(json!(["not_base64", text]))
        }
        AdminError::Import(other) => Reply::bad_request(other.to_string()),
    }
}

/// A refusal of the engine as the API words it.
pub fn refusal(refusal: Refusal) -> Reply {
    match refusal.code {
        Code::NotFound => Reply::missing(refusal.text),
        Code::AccessRefused => Reply::not_authorised("Access refused."),
        Code::NotAllowed => Reply::missing("vhost_not_found"),
        _ => Reply::bad_request(refusal.text),
    }
}

/// The same for who would make something in it.
pub async fn must_find_vhost(m: &super::state::Management, name: &str) -> Result<(), Reply> {
    let found = vhosts_must_exist(m, name).await;
    found.map_err(|_| Reply::missing("vhost_not_found"))
}

/// Refuses a name that no frame could carry.
pub fn name_must_fit(kind: &str, name: &str) -> Result<(), Reply> {
    crate::core::name_fits(kind, name).map_err(refusal)
}

/// Refuses who could not open a connection to the virtual host.
pub async fn must_enter(
    m: &super::state::Management,
    caller: &super::caller::Caller,
    vhost: &str,
) -> Result<(), Reply> {
    let vhost = vhost.to_owned();
    let there = m
        .with(move |core| core.metadata.vhost(&vhost).map(|_| vhost))
        .await?;
    let may = there.is_some_and(|vhost| caller.vhosts.contains(&vhost));
    may.then_some(())
        .ok_or_else(|| Reply::not_authorised("Access refused."))
}

/// 404 when there is no virtual host of that name.
pub async fn vhosts_must_exist(m: &super::state::Management, name: &str) -> Result<(), Reply> {
    let name = name.to_owned();
    let there = m
        .with(move |core| core.metadata.vhost(&name).is_some())
        .await?;
    there.then_some(()).ok_or_else(Reply::not_found)
}
