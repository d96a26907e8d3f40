//! A request of the HTTP API, taken apart.

use super::reply::Reply;
use bytes::Bytes;
use serde_json::{Map, Value};

/// The methods that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD, whose body is left out at the end.
    Get,
    /// PUT.
    Put,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

/// A request without who asks.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path's parts, decoded.
    pub path: Vec<String>,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Why, in the caller's words (`X-Reason`).
    pub reason: Option<String>,
}

impl Request {
    /// Takes path and query apart; nothing when the path is not well formed.
    pub fn new(method: Method, target: &str, body: Bytes) -> Option<Request> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts = path.trim_start_matches('/').split('/');
        let path = parts
            .map(|part| decode(part, false))
            .collect::<Option<_>>()?;
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(key, true)?, decode(value, true)?))
        };
        let query = query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(pair)
            .collect::<Option<_>>()?;
        Some(Request {
            method,
            path,
            query,
            body,
            reason: None,
        })
    }

    /// A value of the query.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a flag of the query is set.
    pub fn is_set(&self, key: &str) -> bool {
        self.query(key).is_some_and(|value| value == "true")
    }

    /// The body as a JSON object; an empty body, or `null`, is an empty object.
    pub fn object(&self) -> Result<Map<String, Value>, Reply> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(Value::String(_)) => Err(Reply::bad_request(TWICE_ENCODED)),
            _ => Err(Reply::bad_request("not_json")),
        }
    }

    /// The body as a JSON object that has these keys.
    pub fn object_with(&self, keys: &[&str]) -> Result<Map<String, Value>, Reply> {
        let map = self.object()?;
        let missing: Vec<_> = keys
            .iter()
            .filter(|key| !map.contains_key(**key))
            .map(|key| format!("{{key_missing,{key}}}"))
            .collect();
        if missing.is_empty() {
            return Ok(map);
        }
        // a term that does not fit into a line is broken, as there
        let list = match missing.join(",") {
            line if line.len() < LINE => line,
            _ => missing.join(",\n "),
        };
        Err(Reply::bad_request(format!("[{list}]")))
    }
}

/// Bytes of a list of keys that fit into a line of Erlang's.
const LINE: usize = 76;

const TWICE_ENCODED: &str = "invalid payload: the request body JSON-decoded to a string. Is the input \
                             doubly-JSON-encoded?";

/// Percent-decodes; in a query, `+` is a space.
fn decode(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push((high * 16 + low) as u8);
            }
            b'+' if is_query => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes a path's part.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Fields of a body, read with RabbitMQ's complaints.
pub trait Fields {
    /// A flag; `default` when it is left out.
    fn flag(&self, key: &str, default: bool) -> Result<bool, Reply>;
    /// A text; `default` when it is left out.
    fn text_or(&self, key: &str, default: &str) -> Result<String, Reply>;
    /// A text that must be there.
    fn text(&self, key: &str) -> Result<String, Reply>;
    /// An object; empty when it is left out.
    fn table(&self, key: &str) -> Result<Map<String, Value>, Reply>;
}

impl Fields for Map<String, Value> {
    fn flag(&self, key: &str, default: bool) -> Result<bool, Reply> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(Reply::bad_request(serde_json::json!([
                "not_boolean",
                other
            ]))),
        }
    }

    fn text_or(&self, key: &str, default: &str) -> Result<String, Reply> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(Reply::bad_request(serde_json::json!([
                "not_a_string",
                other
            ]))),
        }
    }

    fn text(&self, key: &str) -> Result<String, Reply> {
        match self.get(key) {
            Some(_) => self.text_or(key, ""),
            None => Err(Reply::bad_request(format!("[{{key_missing,{key}}}]"))),
        }
    }

    fn table(&self, key: &str) -> Result<Map<String, Value>, Reply> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(Value::Array(items)) if items.is_empty() => Ok(Map::new()),
            Some(other) => Err(Reply::bad_request(serde_json::json!([
                "not_a_table",
                other
            ]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(target: &str) -> Option<Request> {
        Request::new(Method::Get, target, Bytes::new())
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        let request = get("/api/queues/%2f/a%20b?name=x+y&use_regex=true").expect("well formed");
        assert_eq!(request.path, ["api", "queues", "/", "a b"]);
        assert_eq!(request.query("name"), Some("x y"));
        assert!(request.is_set("use_regex"));
        assert!(get("/api/%zz").is_none());
        assert!(get("/api/%ff").is_none());
    }

    #[test]
    fn missing_keys_are_listed_as_scripts_know_it() {
        let body = Bytes::from_static(b"{}");
        let request = Request::new(Method::Put, "/x", body).expect("well formed");
        let reply = request
            .object_with(&["pattern", "definition"])
            .expect_err("refused");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(
            text.contains("[{key_missing,pattern},{key_missing,definition}]"),
            "{text}"
        );
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        for text in ["/", "a b", "ü%", "~.-_"] {
            assert_eq!(decode(&encode(text), false).as_deref(), Some(text));
        }
    }
}
