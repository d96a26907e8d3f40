//! What formats and expressions of a check's script may mention.

use super::dialogue::Facts;
use conf::lb::model::{Expr, Fetch, Format, FormatPart, Tag};
use std::collections::BTreeMap;

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
    variables: BTreeMap<String, String>,
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
        if let Some(value) = self.value(expr)
            && (self.variables.len() < VARIABLE_LIMIT || self.variables.contains_key(name))
        {
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// `set-var-fmt`.
    pub fn set_format(&mut self, name: &str, format: &Format) {
        let value = String::from_utf8_lossy(&self.render(format)).into_owned();
        if self.variables.len() < VARIABLE_LIMIT || self.variables.contains_key(name) {
            self.variables.insert(name.to_owned(), value);
        }
    }

    /// `unset-var`.
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// A format's text.
    pub fn render(&self, format: &Format) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &format.parts {
            match part {
                FormatPart::Text(text) => out.extend_from_slice(text.as_bytes()),
                FormatPart::Space => out.push(b' '),
                FormatPart::Tag(tag, _) => out.extend_from_slice(self.tag(*tag).as_bytes()),
                FormatPart::Expr(expr, _) => {
                    out.extend_from_slice(self.value(expr).unwrap_or_default().as_bytes());
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
        Some(match &expr.fetch {
            Fetch::Str(text) => text.clone(),
            Fetch::Int(number) => number.to_string(),
            Fetch::Bool(truth) => u8::from(*truth).to_string(),
            Fetch::Var(name, default) => self.variables.get(name).or(default.as_ref())?.clone(),
            Fetch::Env(value) => value.clone()?,
            Fetch::Pid => std::process::id().to_string(),
            Fetch::Hostname => self.facts.node.clone(),
            Fetch::BeName => self.facts.backend.clone(),
            Fetch::SrvName => self.facts.server.clone(),
            Fetch::Dst | Fetch::BcDst => self.facts.address.clone(),
            Fetch::DstPort | Fetch::BcDstPort => self.facts.port.to_string(),
            Fetch::Status => self.status?.to_string(),
            Fetch::CheckPayload(offset, length) => {
                let rest = self.payload.get(*offset..)?;
                let taken = if *length == 0 {
                    rest
                } else {
                    rest.get(..*length)?
                };
                String::from_utf8_lossy(taken).into_owned()
            }
            _ => return None,
        })
    }
}
