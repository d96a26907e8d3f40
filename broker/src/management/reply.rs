//! Answers of the HTTP API, in the forms that clients of RabbitMQ expect.

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer, before it goes onto the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The body's type; nothing without a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
}

/// What a handler gives: the answer, or an early one.
pub type Answer = Result<Reply, Reply>;

impl Reply {
    fn empty(status: u16) -> Reply {
        Reply {
            status,
            content_type: None,
            body: Bytes::new(),
            headers: Vec::new(),
        }
    }

    /// A JSON body.
    pub fn json(status: u16, value: &Value) -> Reply {
        let mut reply = Reply::empty(status);
        reply.content_type = Some("application/json");
        reply.body = serde_json::to_vec(value).unwrap_or_default().into();
        reply.headers.push(("cache-control", "no-cache".to_owned()));
        reply
    }

    /// 200 with a JSON body.
    pub fn ok(value: impl Into<Value>) -> Reply {
        Reply::json(200, &value.into())
    }

    /// 200 with any other body.
    pub fn body(content_type: &'static str, body: impl Into<Bytes>) -> Reply {
        let mut reply = Reply::empty(200);
        reply.content_type = Some(content_type);
        reply.body = body.into();
        reply
    }

    /// 201: it is new.
    pub fn created() -> Reply {
        Reply::empty(201)
    }

    /// 204: done.
    pub fn no_content() -> Reply {
        Reply::empty(204)
    }

    /// 201 or 204.
    pub fn put(is_new: bool) -> Reply {
        match is_new {
            true => Reply::created(),
            false => Reply::no_content(),
        }
    }

    /// 301 to another path.
    pub fn moved(to: &str) -> Reply {
        Reply::empty(301).header("location", to.to_owned())
    }

    /// With a header field more.
    pub fn header(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }

    /// An error with its word and reason.
    pub fn error(status: u16, error: &str, reason: impl Into<Value>) -> Reply {
        Reply::json(status, &json!({"error": error, "reason": reason.into()}))
    }

    /// 400.
    pub fn bad_request(reason: impl Into<Value>) -> Reply {
        Reply::error(400, "bad_request", reason)
    }

    /// 404: no such path or object.
    pub fn not_found() -> Reply {
        Reply::error(404, "Object Not Found", "Not Found")
    }

    /// 404 with a reason.
    pub fn missing(reason: impl Into<Value>) -> Reply {
        Reply::error(404, "not_found", reason)
    }

    /// 401: who asks may not.
    pub fn not_authorised(reason: &str) -> Reply {
        Reply::error(401, "not_authorised", reason)
    }

    /// 401: name or password are wrong.
    pub fn login_failed() -> Reply {
        Reply::error(401, "not_authorized", "Login failed").challenge()
    }

    /// 401 without a body: a name and password are wanted.
    pub fn login_wanted() -> Reply {
        Reply::empty(401).challenge()
    }

    fn challenge(self) -> Reply {
        self.header(
            "www-authenticate",
            "Basic realm=\"RabbitMQ Management\"".to_owned(),
        )
    }

    /// 400: the request's path or query is not well formed.
    pub fn malformed() -> Reply {
        Reply::empty(400)
    }

    /// 200 with the methods that a path takes.
    pub fn options(allowed: String) -> Reply {
        Reply::empty(200).header("allow", allowed)
    }

    /// 405 with what is allowed.
    pub fn method_not_allowed(allowed: &str) -> Reply {
        Reply::empty(405).header("allow", allowed.to_owned())
    }

    /// 413.
    pub fn too_large() -> Reply {
        Reply::error(413, "payload_too_large", "the request's body is too large")
    }

    /// 503: the node cannot answer now.
    pub fn unavailable(reason: impl std::fmt::Display) -> Reply {
        Reply::error(503, "service_unavailable", reason.to_string())
    }
}

/// `<`, `>` and `&` as RabbitMQ escapes them in some of its reasons.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
