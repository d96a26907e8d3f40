//! What formats and expressions of a check's script may mention: the script's
//! own facts, and through the evaluator that rules use the process around it.

use super::dialogue::Facts;
use crate::core::expr::{Found, Sample, Window, World, evaluate};
use crate::facts::Scene;
use crate::state::{Peer, Variables};
use conf::lb::model::{Expr, Fetch, Format, FormatPart, Tag};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Variables that a script may hold at a time.
const VARIABLE_LIMIT: usize = 64;

/// Values that a running script can see.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// About the server.
    pub facts: Facts,
    /// Status of the HTTP answer.
    pub status: Option<u16>,
    /// Bytes that were received.
    pub payload: Vec<u8>,
    /// Set by steps and, while something is evaluated, by converters.
    variables: RefCell<BTreeMap<String, Sample>>,
}

impl Scope {
    /// A scope without variables.
    pub fn new(facts: &Facts) -> Scope {
        Scope {
            facts: facts.clone(),
            ..Scope::default()
        }
    }

    /// `set-var`.
    pub fn set(&mut self, name: &str, expr: &Expr) {
        if let Some(value) = self.sample(expr) {
            self.hold(name, value);
        }
    }

    /// `set-var-fmt`.
    pub fn set_format(&mut self, name: &str, format: &Format) {
        self.hold(name, Sample::Text(self.render(format)));
    }

    /// `unset-var`.
    pub fn unset(&mut self, name: &str) {
        self.variables.borrow_mut().remove(name);
    }

    fn hold(&self, name: &str, value: Sample) {
        let mut variables = self.variables.borrow_mut();
        if variables.len() < VARIABLE_LIMIT || variables.contains_key(name) {
            variables.insert(name.to_owned(), value);
        }
    }

    /// A format's text.
    pub fn render(&self, format: &Format) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &format.parts {
            match part {
                FormatPart::Text(text) => out.extend_from_slice(text.as_bytes()),
                FormatPart::Space => out.push(b' '),
                FormatPart::Tag(tag, _) => out.extend_from_slice(self.tag(*tag).as_bytes()),
                FormatPart::Expr(expr, flags) => {
                    let value = self.sample(expr).map(|value| value.to_line());
                    flags.dress(&value.unwrap_or_default(), &mut out);
                }
            }
        }
        out
    }

    fn tag(&self, tag: Tag) -> String {
        match tag {
            Tag::Server => self.facts.server.clone(),
            Tag::Backend => self.facts.backend.clone(),
            Tag::Hostname => self.facts.node.clone(),
            Tag::ServerIp => self.facts.address.clone(),
            Tag::ServerPort => self.facts.port.to_string(),
            Tag::Pid => std::process::id().to_string(),
            Tag::Status => self
                .status
                .map_or(String::new(), |status| status.to_string()),
            _ => String::new(),
        }
    }

    /// An expression's value as text; nothing where a check has none.
    pub fn value(&self, expr: &Expr) -> Option<String> {
        let text = self.sample(expr)?.to_text();
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    fn sample(&self, expr: &Expr) -> Option<Sample> {
        evaluate(expr, &mut Look(self)).value
    }

    fn target(&self) -> Peer {
        let ip = self.facts.address.parse::<IpAddr>();
        ip.map_or(Peer::None, |ip| {
            Peer::Inet(SocketAddr::new(ip, self.facts.port))
        })
    }

    fn of_surroundings(&self, fetch: &Fetch) -> Option<Sample> {
        let around = self.facts.surroundings.as_ref()?;
        let generation = around.runtime.generation();
        let scene = Scene {
            backend: Some(&around.backend),
            server: Some(&around.server),
            remote: self.target(),
            ..Scene::outside(&around.runtime, &generation)
        };
        scene.fetch(fetch).value
    }
}

/// A scope as the evaluator sees it.
struct Look<'a>(&'a Scope);

impl World for Look<'_> {
    fn response(&self) -> Window<'_> {
        Window {
            bytes: &self.0.payload,
            complete: true,
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> Found {
        let scope = self.0;
        let facts = &scope.facts;
        Found::maybe(match fetch {
            Fetch::Hostname => Some(Sample::text(facts.node.as_str())),
            Fetch::BeName => Some(Sample::text(facts.backend.as_str())),
            Fetch::SrvName => Some(Sample::text(facts.server.as_str())),
            Fetch::Dst | Fetch::BcDst => match scope.target().ip() {
                Some(ip) => Some(Sample::Ip(ip)),
                None => Some(Sample::text(facts.address.as_str())),
            },
            Fetch::DstPort | Fetch::BcDstPort => Some(Sample::Int(i64::from(facts.port))),
            Fetch::Status => scope.status.map(|status| Sample::Int(i64::from(status))),
            Fetch::CheckPayload(offset, length) => {
                let rest = scope.payload.get(*offset..);
                let taken = match *length {
                    0 => rest,
                    length => rest.and_then(|rest| rest.get(..length)),
                };
                taken.map(|bytes| Sample::Text(bytes.to_vec()))
            }
            _ => scope.of_surroundings(fetch),
        })
    }

    fn variable(&self, name: &str) -> Option<Sample> {
        if Variables::own(name) {
            let around = self.0.facts.surroundings.as_ref()?;
            return around.runtime.variables.get(name);
        }
        self.0.variables.borrow().get(name).cloned()
    }

    fn set_variable(&mut self, name: &str, value: Option<Sample>) {
        match value {
            Some(value) => self.0.hold(name, value),
            None => {
                self.0.variables.borrow_mut().remove(name);
            }
        }
    }
}
