//! Conditions and formats over an HTTP request: what ACLs may ask about it.

use std::sync::Arc;

use conf::lb::model::{
    Back, Balance, BalanceUri, Condition, Config, Expr, Fetch, Format, HttpAction, Password,
};

use super::gate::{Gate, Live};
use super::head::{self, Field, Request, Response};
use crate::core::balance;
use crate::core::expr::{self, Found, Sample, World};
use crate::facts::{Listener, Scene, http_text};
use crate::state::{Generation, Peer, Proxy, Runtime, Server};

/// What a request, or the answer to it, is judged by.
#[derive(Clone)]
pub(super) struct Facts<'a> {
    pub runtime: &'a Runtime,
    pub generation: &'a Generation,
    /// Whose rules are asked.
    pub proxy: &'a Arc<Proxy>,
    pub frontend: &'a Arc<Proxy>,
    pub request: &'a Request,
    pub response: Option<&'a Response>,
    /// The server, our address towards it and its own.
    pub server: Option<(&'a Arc<Server>, &'a Peer, &'a Peer)>,
    pub client: &'a Peer,
    pub local: &'a Peer,
    pub listener: u16,
    pub id: u64,
}

/// One evaluation over the facts.
struct Look<'a, 'f>(&'a Facts<'f>);

impl World for Look<'_, '_> {
    fn fetch(&mut self, fetch: &Fetch) -> Found {
        match self
            .0
            .of_request(fetch)
            .or_else(|| self.0.of_response(fetch))
        {
            Some(value) => Found::just(value),
            None => self.0.scene().fetch(fetch),
        }
    }

    // a configuration with other variables in HTTP rules is refused
    fn variable(&self, name: &str) -> Option<Sample> {
        self.0.runtime.variables.get(name)
    }

    fn set_variable(&mut self, _: &str, _: Option<Sample>) {}
}

impl<'f> Facts<'f> {
    /// What is known ahead of the choice of a backend.
    pub fn new(
        gate: &'f Gate,
        live: &'f Live,
        generation: &'f Generation,
        request: &'f Request,
    ) -> Facts<'f> {
        Facts {
            runtime: &gate.control.runtime,
            generation,
            proxy: &live.frontend,
            frontend: &live.frontend,
            request,
            response: None,
            server: None,
            client: &live.client,
            local: &live.local,
            listener: live.listener,
            id: live.id.number(),
        }
    }

    /// Whether a rule applies; without a condition it does.
    pub fn hold(&self, condition: Option<&Condition>) -> bool {
        expr::holds(condition, &self.proxy.conf.acls, &mut Look(self)).settled()
    }

    /// A format's text, fit for a header: without control characters.
    pub fn text(&self, format: &Format) -> String {
        let text = self.body(format);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        String::from_utf8_lossy(&text).chars().map(clean).collect()
    }

    /// A format's text as it is.
    pub fn body(&self, format: &Format) -> Vec<u8> {
        http_text(format, &mut Look(self))
    }

    /// What the balancing algorithm hashes, if it hashes.
    pub fn balance_key(&self, back: &Back) -> Option<u32> {
        let target = &self.request.target;
        let bytes = match &back.balance {
            Balance::Source => return Some(balance::key_of_source(back, self.client.ip()?)),
            Balance::Hash(expr) => self.value(expr)?.to_bytes(),
            Balance::Uri(uri) if uri.whole => uri_part(target, uri),
            Balance::Uri(uri) => uri_part(target.split('?').next().unwrap_or(target), uri),
            Balance::UrlParam(name) => url_param(target, name)?.as_bytes().to_vec(),
            Balance::Header(name, _) => head::field(&self.request.fields, name)?.to_vec(),
            Balance::RoundRobin
            | Balance::StaticRr
            | Balance::LeastConn
            | Balance::First
            | Balance::Random(_)
            | Balance::RdpCookie(_) => return None,
        };
        Some(balance::key_of(back, &bytes))
    }

    fn value(&self, expr: &Expr) -> Option<Sample> {
        expr::evaluate(expr, &mut Look(self)).value
    }

    fn scene(&self) -> Scene<'_> {
        let bind = self.frontend.conf.front.as_ref();
        let bind = bind.and_then(|front| front.binds.get(usize::from(self.listener)));
        let peer = |pick: fn(&(&'f Arc<Server>, &'f Peer, &'f Peer)) -> &'f Peer| {
            self.server.as_ref().map_or(Peer::None, |s| pick(s).clone())
        };
        Scene {
            runtime: self.runtime,
            generation: self.generation,
            frontend: Some(self.frontend),
            backend: Some(self.proxy),
            server: self.server.as_ref().map(|(server, ..)| *server),
            listener: Listener {
                number: bind.map_or(0, |b| b.number),
                connections: 0,
                name: bind.and_then(|b| b.name.as_deref()),
            },
            client: self.client.clone(),
            local: self.local.clone(),
            socket: (None, None),
            outgoing: peer(|(_, outgoing, _)| outgoing),
            remote: peer(|(.., remote)| remote),
            rcvd_proxy: false,
            id: self.id,
        }
    }

    fn of_request(&self, fetch: &Fetch) -> Option<Sample> {
        let request = self.request;
        let fields = &request.fields;
        let count = |name: &str| Sample::Int(values(fields, name, true).len() as i64);
        Some(match fetch {
            Fetch::Method => Sample::text(request.method.as_str()),
            Fetch::CaptureReqUri => Sample::text(request.target.as_str()),
            Fetch::CaptureReqVer => Sample::text(format!("HTTP/1.{}", request.minor)),
            Fetch::Path => Sample::text(request.path()),
            Fetch::PathQ | Fetch::Url => Sample::text(request.target.as_str()),
            Fetch::Query => {
                let query = request.target.split_once('?');
                Sample::text(query.map_or("", |(_, query)| query))
            }
            Fetch::UrlParam(name) => Sample::text(url_param(&request.target, name)?),
            Fetch::Base => {
                let host = head::field(fields, "host").unwrap_or(b"");
                Sample::Text([host, request.path().as_bytes()].concat())
            }
            Fetch::CaptureReqHdr(slot) => {
                let capture = self.frontend.conf.http.captures.request.get(*slot)?;
                part(&values(fields, &capture.name, false), -1)?
            }
            Fetch::ReqProtoHttp => Sample::Bool(true),
            Fetch::ReqVer => version(request.minor),
            Fetch::ReqHdr(name, occurrence) => part(&values(fields, name, true), *occurrence)?,
            Fetch::ReqFhdr(name, occurrence) => part(&values(fields, name, false), *occurrence)?,
            Fetch::ReqHdrCnt(name) => count(name),
            Fetch::ReqCook(name) => Sample::Text(cookie(fields, name)?),
            Fetch::HttpAuth(list) => Sample::Bool(self.authenticated(list)),
            Fetch::HttpAuthUser => Sample::text(credentials(request)?.0),
            _ => return None,
        })
    }

    fn of_response(&self, fetch: &Fetch) -> Option<Sample> {
        let response = self.response?;
        let fields = &response.fields;
        Some(match fetch {
            Fetch::Status => Sample::Int(i64::from(response.status)),
            Fetch::CaptureResHdr(slot) => {
                let capture = self.frontend.conf.http.captures.response.get(*slot)?;
                part(&values(fields, &capture.name, false), -1)?
            }
            Fetch::ResVer => version(response.minor),
            Fetch::ResHdr(name, occurrence) => part(&values(fields, name, true), *occurrence)?,
            Fetch::ResFhdr(name, occurrence) => part(&values(fields, name, false), *occurrence)?,
            Fetch::ResHdrCnt(name) => Sample::Int(values(fields, name, true).len() as i64),
            _ => return None,
        })
    }

    fn authenticated(&self, list: &str) -> bool {
        let config: &Config = &self.generation.conf;
        let Some((user, password)) = credentials(self.request) else {
            return false;
        };
        config
            .userlists
            .iter()
            .filter(|userlist| userlist.name == list)
            .flat_map(|userlist| &userlist.users)
            .any(|known| {
                known.name == user
                    && match &known.password {
                        Password::Plain(plain) => same(plain.as_bytes(), password.as_bytes()),
                        // crypt(3) is not there; the configuration says so when it is read
                        Password::Crypt(_) => false,
                    }
            })
    }
}

/// Applies the `http-response` rules of the facts' proxy; whether the answer may pass.
pub(super) fn apply_to_answer(facts: &Facts<'_>, answer: &mut Response) -> bool {
    for rule in &facts.proxy.conf.http.response_rules {
        // what the next rule sees is what this one left
        let seen = answer.clone();
        let facts = Facts {
            response: Some(&seen),
            ..facts.clone()
        };
        if !facts.hold(rule.condition.as_ref()) {
            continue;
        }
        match &rule.action {
            HttpAction::Allow => return true,
            HttpAction::SetHeader(name, format) => {
                head::remove(&mut answer.fields, name);
                head::add(&mut answer.fields, name, &facts.text(format));
            }
            HttpAction::AddHeader(name, format) => {
                head::add(&mut answer.fields, name, &facts.text(format));
            }
            HttpAction::DelHeader(name) => head::remove(&mut answer.fields, name),
            // the language has no other action here but `deny`
            _ => return false,
        }
    }
    true
}

fn version(minor: u8) -> Sample {
    Sample::text(if minor == 0 { "1.0" } else { "1.1" })
}

/// The values of a header, those between commas apart if asked.
fn values(fields: &[Field], name: &str, split: bool) -> Vec<Vec<u8>> {
    let wanted = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
    if split {
        wanted
            .flat_map(|field| field.value.split(|byte| *byte == b','))
            .map(|part| part.trim_ascii().to_vec())
            .collect()
    } else {
        wanted.map(|field| field.value.clone()).collect()
    }
}

/// The value of a cookie.
fn cookie(fields: &[Field], name: &str) -> Option<Vec<u8>> {
    let cookies = fields
        .iter()
        .filter(|f| f.name.eq_ignore_ascii_case("cookie"));
    cookies
        .flat_map(|field| field.value.split(|byte| *byte == b';'))
        .find_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
            (key == name.as_bytes()).then(|| value.to_vec())
        })
}

/// The beginning of a URI that counts: at most so many characters, at most so many directories.
fn uri_part(uri: &str, options: &BalanceUri) -> Vec<u8> {
    let uri = match uri.split_once("://").filter(|_| options.path_only) {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => uri,
    };
    let mut bytes = uri.as_bytes();
    if options.len > 0 {
        bytes = &bytes[..bytes.len().min(options.len as usize)];
    }
    if options.depth > 0 {
        let mut slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        if let Some((end, _)) = slashes.nth(options.depth as usize) {
            bytes = &bytes[..end];
        }
    }
    bytes.to_vec()
}

/// The n-th value from 1, or from the end when negative; the last for 0.
fn part(values: &[Vec<u8>], occurrence: i32) -> Option<Sample> {
    let index = match occurrence {
        0 => values.len().checked_sub(1),
        n if n > 0 => Some(n as usize - 1),
        n => values.len().checked_sub(n.unsigned_abs() as usize),
    };
    index
        .and_then(|index| values.get(index))
        .map(|value| Sample::Text(value.clone()))
}

fn url_param<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

/// User and password of the `authorization` field, where it is of the basic kind.
pub fn credentials(request: &Request) -> Option<(String, String)> {
    use base64::Engine as _;
    let value = std::str::from_utf8(head::field(&request.fields, "authorization")?).ok()?;
    let (kind, encoded) = value.trim().split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Compares without telling by its duration where the difference is.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_basic_scheme() {
        let bytes = b"GET / HTTP/1.1\r\nAuthorization: Basic YTpiOmM=\r\n\r\n";
        let (request, _) = head::request(bytes).unwrap().unwrap();
        assert_eq!(credentials(&request), Some(("a".into(), "b:c".into())));
    }

    #[test]
    fn a_uri_counts_up_to_its_length_and_depth() {
        let part = |len, depth| {
            uri_part(
                "/a/b/c",
                &BalanceUri {
                    len,
                    depth,
                    ..BalanceUri::default()
                },
            )
        };
        assert_eq!(part(0, 0), b"/a/b/c");
        assert_eq!(part(3, 0), b"/a/");
        assert_eq!(part(0, 1), b"/a");
        let path_only = BalanceUri {
            path_only: true,
            ..BalanceUri::default()
        };
        assert_eq!(uri_part("http://host/a/b", &path_only), b"/a/b");
        assert_eq!(uri_part("/a/b", &path_only), b"/a/b");
    }

    #[test]
    fn occurrences_count_from_either_end() {
        let values = vec![b"a".to_vec(), b"b".to_vec()];
        assert_eq!(part(&values, 1), Some(Sample::Text(b"a".to_vec())));
        assert_eq!(part(&values, -1), Some(Sample::Text(b"b".to_vec())));
        assert_eq!(part(&values, 0), Some(Sample::Text(b"b".to_vec())));
        assert_eq!(part(&values, 3), None);
    }
}
