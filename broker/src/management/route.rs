//! Which handler answers a path and method.

use super::api::{
    bindings, clients, definitions, exchanges, health, nodes, parameters, policies, queues, users,
    vhosts,
};
use super::caller::Caller;
use super::history;
use super::reply::{Answer, Reply};
use super::request::{Method, Request};
use super::state::Management;
use Method::{Delete, Get, Post, Put};

/// The methods that a path takes; nothing for a path that is not there.
pub fn allowed(request: &Request) -> Option<String> {
    let methods: Vec<_> = [
        (Get, "HEAD, GET"),
        (Put, "PUT"),
        (Post, "POST"),
        (Delete, "DELETE"),
    ]
    .into_iter()
    .filter(|(method, _)| is_there(&parts(request), *method))
    .map(|(_, word)| word)
    .collect();
    if methods.is_empty() {
        return None;
    }
    Some(format!("{}, OPTIONS", methods.join(", ")))
}

/// What a path that is not there takes: it can be looked for.
const LOOKED_FOR: &str = "HEAD, GET, OPTIONS";

/// 405 with what is allowed, or 404.
pub fn not_allowed(request: &Request) -> Reply {
    match allowed(request) {
        Some(allowed) => Reply::method_not_allowed(&allowed),
        None if request.method != Get => Reply::method_not_allowed(LOOKED_FOR),
        None => Reply::not_found(),
    }
}

/// The refusal of a method that a path does not take, which needs no login.
pub fn refused_method(request: &Request) -> Option<Reply> {
    let unknown = request.method == Get && allowed(request).is_none();
    let taken = is_there(&parts(request), request.method);
    (!taken && !unknown).then(|| not_allowed(request))
}

/// Whether anybody may ask.
pub fn is_public(request: &Request) -> bool {
    matches!(parts(request).as_slice(), ["auth"])
}

fn parts(request: &Request) -> Vec<&str> {
    let path = request.path.iter().skip(1).map(String::as_str);
    let mut parts: Vec<_> = path.collect();
    if parts.last() == Some(&"") && parts.len() > 1 {
        parts.pop();
    }
    parts
}

/// The table of paths, without their handlers.
fn is_there(path: &[&str], method: Method) -> bool {
    let methods: &[Method] = match path {
        [
            "overview" | "nodes" | "extensions" | "feature-flags" | "whoami" | "auth"
            | "connections" | "channels" | "consumers" | "policies" | "operator-policies"
            | "parameters" | "global-parameters" | "permissions" | "topic-permissions" | "vhosts"
            | "users" | "exchanges" | "queues" | "bindings" | "vhost-limits" | "user-limits",
        ] => &[Get],
        ["queues", "detailed"] => &[Get],
        ["cluster-name"] => &[Get, Put],
        ["definitions"] => &[Get, Post],
        ["definitions", _] => &[Get, Post],
        ["login"] => &[Post],
        ["reset"] => &[Delete],
        ["reset", _] => &[Delete],
        ["rebalance", "queues"] => &[Post],
        ["nodes", _] | ["nodes", _, "memory"] | ["nodes", _, "memory", "ets"] => &[Get],
        ["auth", "attempts", _] | ["auth", "attempts", _, "source"] => &[Get, Delete],
        ["feature-flags", _, "enable"] => &[Put],
        ["auth", "hash_password", _] => &[Get],
        ["connections", _] => &[Get, Delete],
        ["connections", _, "channels"] => &[Get],
        ["connections", "username", _] => &[Get, Delete],
        ["channels", _] => &[Get],
        ["consumers", _] => &[Get],
        ["exchanges", _] => &[Get],
        ["exchanges", _, _] => &[Get, Put, Delete],
        ["exchanges", _, _, "bindings", "source" | "destination"] => &[Get],
        ["exchanges", _, _, "publish"] => &[Post],
        ["queues", "quorum", _, _, "status"] => &[Get],
        ["queues", "quorum", _, _, "replicas", "add" | "delete"] => &[Post, Delete],
        ["queues", "quorum", "replicas", "on", _, "grow" | "shrink"] => &[Post, Delete],
        ["queues", _] => &[Get],
        ["queues", _, _] => &[Get, Put, Delete],
        ["queues", _, _, "bindings"] => &[Get],
        ["queues", _, _, "contents"] => &[Delete],
        ["queues", _, _, "get" | "actions" | "move"] => &[Post],
        ["bindings", _] => &[Get],
        ["bindings", _, "e", _, "q" | "e", _] => &[Get, Post],
        ["bindings", _, "e", _, "q" | "e", _, _] => &[Get, Delete],
        ["vhosts", _] => &[Get, Put, Delete],
        [
            "vhosts",
            _,
            "permissions" | "topic-permissions" | "connections" | "channels",
        ] => &[Get],
        ["vhosts", _, "start", _] => &[Post],
        ["vhosts", _, "deletion", "protection"] => &[Post, Delete],
        ["users", "without-permissions"] => &[Get],
        ["users", "bulk-delete"] => &[Post],
        ["users", _] => &[Get, Put, Delete],
        ["users", _, "permissions" | "topic-permissions"] => &[Get],
        ["permissions", _, _] | ["topic-permissions", _, _] => &[Get, Put, Delete],
        ["topic-permissions", _, _, _] => &[Delete],
        ["parameters", _] | ["parameters", _, _] => &[Get],
        ["parameters", _, _, _] => &[Get, Put, Delete],
        ["global-parameters", _] => &[Get, Put, Delete],
        ["policies", "preview", _] => &[Post],
        ["policies" | "operator-policies", _] => &[Get],
        ["policies" | "operator-policies", _, _] => &[Get, Put, Delete],
        ["vhost-limits" | "user-limits", _] => &[Get],
        ["vhost-limits" | "user-limits", _, _] => &[Put, Delete],
        ["aliveness-test", _] => &[Get],
        ["healthchecks", "node"] | ["healthchecks", "node", _] => &[Get],
        [
            "health",
            "checks",
            "alarms"
            | "local-alarms"
            | "virtual-hosts"
            | "node-is-mirror-sync-critical"
            | "node-is-quorum-critical"
            | "is-in-service"
            | "ready-to-serve-clients",
        ] => &[Get],
        ["health", "checks", "port-listener" | "protocol-listener", _] => &[Get],
        ["health", "checks", "certificate-expiration", _, _] => &[Get],
        ["chart"] => &[Get],
        ["alarms"] => &[Get],
        _ => &[],
    };
    methods.contains(&method)
}

/// Answers a request of a caller who has logged in.
pub async fn answer(m: &Management, caller: &Caller, request: &Request) -> Answer {
    let path = parts(request);
    if path.as_slice() == [""] || path.as_slice() == ["index.html"] {
        return Ok(Reply::moved("/"));
    }
    if !is_there(&path, request.method) {
        return Err(not_allowed(request));
    }
    history::check(request, &path)?;
    match path[0] {
        "queues" => queues::answer(m, caller, request, &path).await,
        "exchanges" => exchanges::answer(m, caller, request, &path).await,
        "bindings" => bindings::answer(m, caller, request, &path).await,
        "connections" | "channels" | "consumers" => {
            clients::answer(m, caller, request, &path).await
        }
        "vhosts" | "vhost-limits" => vhosts::answer(m, caller, request, &path).await,
        "users" | "permissions" | "topic-permissions" | "user-limits" | "whoami" | "auth"
        | "login" => users::answer(m, caller, request, &path).await,
        "policies" | "operator-policies" => policies::answer(m, caller, request, &path).await,
        "parameters" | "global-parameters" | "cluster-name" => {
            parameters::answer(m, caller, request, &path).await
        }
        "definitions" => definitions::answer(m, caller, request, &path).await,
        "health" | "healthchecks" | "aliveness-test" | "alarms" => {
            health::answer(m, caller, request, &path).await
        }
        _ => nodes::answer(m, caller, request, &path).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn methods(path: &str) -> Option<String> {
        let request = Request::new(Get, path, Bytes::new()).expect("well formed");
        allowed(&request)
    }

    #[test]
    fn a_method_that_a_path_does_not_take_is_refused_to_everybody() {
        let refused = |method, path: &str| {
            let request = Request::new(method, path, Bytes::new()).expect("well formed");
            refused_method(&request).map(|reply| reply.status)
        };
        assert_eq!(refused(Put, "/api/overview"), Some(405));
        assert_eq!(refused(Get, "/api/rebalance/queues"), Some(405));
        assert_eq!(refused(Put, "/api/nope"), Some(405));
        assert_eq!(refused(Get, "/api/nope"), None);
        assert_eq!(refused(Put, "/api/queues/%2f/q"), None);
        assert_eq!(refused(Get, "/api/"), None);
    }

    #[test]
    fn each_path_knows_its_methods() {
        assert_eq!(
            methods("/api/overview").as_deref(),
            Some("HEAD, GET, OPTIONS")
        );
        assert_eq!(methods("/api/reset").as_deref(), Some("DELETE, OPTIONS"));
        assert_eq!(
            methods("/api/queues/%2f/q").as_deref(),
            Some("HEAD, GET, PUT, DELETE, OPTIONS")
        );
        assert_eq!(methods("/api/nope"), None);
        assert_eq!(
            methods("/api/overview/").as_deref(),
            Some("HEAD, GET, OPTIONS")
        );
    }
}
