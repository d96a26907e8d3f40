//! Values of expressions and truth of conditions.
//!
//! Constants, contents and converters are decided here; what only the
//! surroundings know (addresses, counters, variables) comes from a [`World`].
//! A value that more bytes could change says so, and a condition that depends
//! on it is [`Truth::Open`] until no more are waited for.

pub mod content;
mod convert;
mod matching;

use conf::lb::model::{Acl, Condition, Expr, Fetch};
use std::net::IpAddr;

/// A typed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Text(Vec<u8>),
    /// Bytes; as text they are hexadecimal.
    Bytes(Vec<u8>),
}

impl Sample {
    /// Text of this.
    pub fn text(text: impl Into<Vec<u8>>) -> Sample {
        Sample::Text(text.into())
    }

    /// As text: numbers in decimal, bytes in hexadecimal, truth as 1 or 0.
    pub fn to_text(&self) -> Vec<u8> {
        match self {
            Sample::Bool(value) => vec![b'0' + u8::from(*value)],
            Sample::Int(value) => value.to_string().into_bytes(),
            Sample::Ip(ip) => ip.to_string().into_bytes(),
            Sample::Text(text) => text.clone(),
            Sample::Bytes(bytes) => convert::hex(bytes),
        }
    }

    /// As a format writes it: bytes as they are, everything else as text.
    pub fn to_line(&self) -> Vec<u8> {
        match self {
            Sample::Bytes(bytes) => bytes.clone(),
            other => other.to_text(),
        }
    }

    /// As bytes, for hashing and encoding: addresses in network order, numbers
    /// as eight bytes, the most significant first.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Sample::Ip(IpAddr::V4(ip)) => ip.octets().to_vec(),
            Sample::Ip(IpAddr::V6(ip)) => ip.octets().to_vec(),
            Sample::Bytes(bytes) | Sample::Text(bytes) => bytes.clone(),
            Sample::Int(value) => value.to_be_bytes().to_vec(),
            Sample::Bool(value) => i64::from(*value).to_be_bytes().to_vec(),
        }
    }

    /// As a number, if it is one.
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Sample::Bool(value) => Some(i64::from(*value)),
            Sample::Int(value) => Some(*value),
            Sample::Ip(IpAddr::V4(ip)) => Some(i64::from(u32::from(*ip))),
            Sample::Ip(IpAddr::V6(_)) => None,
            Sample::Text(text) | Sample::Bytes(text) => {
                std::str::from_utf8(text).ok()?.trim().parse().ok()
            }
        }
    }

    /// As an address, if it is one.
    pub fn to_ip(&self) -> Option<IpAddr> {
        match self {
            Sample::Ip(ip) => Some(*ip),
            Sample::Int(value) => Some(IpAddr::from((*value as u32).to_be_bytes())),
            Sample::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Sample::Bytes(_) | Sample::Bool(_) => None,
        }
    }

    /// As yes or no: not zero.
    pub fn to_bool(&self) -> bool {
        match self {
            Sample::Bool(value) => *value,
            Sample::Int(_) | Sample::Ip(_) | Sample::Text(_) | Sample::Bytes(_) => {
                self.to_int().is_some_and(|n| n != 0)
            }
        }
    }
}

/// What was found where an expression looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The value, if there is one.
    pub value: Option<Sample>,
    /// More bytes may change that.
    pub open: bool,
}

impl Found {
    /// This value for good.
    pub fn just(value: Sample) -> Found {
        Found {
            value: Some(value),
            open: false,
        }
    }

    /// No value, for good.
    pub fn missing() -> Found {
        Found {
            value: None,
            open: false,
        }
    }

    /// A value that is there for good, or not at all.
    pub fn maybe(value: Option<Sample>) -> Found {
        Found { value, open: false }
    }

    /// Nothing yet.
    pub fn later() -> Found {
        Found {
            value: None,
            open: true,
        }
    }
}

/// Bytes that one side has sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window<'a> {
    /// What is there.
    pub bytes: &'a [u8],
    /// No more are waited for.
    pub complete: bool,
}

impl Window<'_> {
    /// No bytes, and none to wait for.
    pub const NOTHING: Window<'static> = Window {
        bytes: &[],
        complete: true,
    };
}

/// What surrounds an evaluation.
pub trait World {
    /// What the client has sent and is not yet passed on; nothing where no
    /// contents are looked at.
    fn request(&self) -> Window<'_> {
        Window::NOTHING
    }
    /// What the server has sent and is not yet passed on.
    fn response(&self) -> Window<'_> {
        Window::NOTHING
    }
    /// Everything else: addresses, counters, names, time.
    fn fetch(&mut self, fetch: &Fetch) -> Found;
    /// A variable.
    fn variable(&self, name: &str) -> Option<Sample>;
    /// Sets or (with nothing) removes a variable.
    fn set_variable(&mut self, name: &str, value: Option<Sample>);
}

/// The value of an expression.
pub fn evaluate(expr: &Expr, world: &mut dyn World) -> Found {
    let mut found = fetch(&expr.fetch, world);
    for converter in &expr.converters {
        let Some(value) = found.value.take() else {
            return found;
        };
        found.value = convert::convert(converter, value, world);
    }
    found
}

fn fetch(fetch: &Fetch, world: &mut dyn World) -> Found {
    match fetch {
        Fetch::Bool(value) => Found::just(Sample::Bool(*value)),
        Fetch::Int(value) => Found::just(Sample::Int(*value)),
        Fetch::Str(text) => Found::just(Sample::text(text.as_str())),
        Fetch::Bin(bytes) => Found::just(Sample::Bytes(bytes.clone())),
        Fetch::Ip(ip) => Found::just(Sample::Ip(*ip)),
        Fetch::Env(text) => Found::maybe(text.as_deref().map(Sample::text)),
        Fetch::Var(name, default) => {
            let value = world.variable(name);
            Found::maybe(value.or_else(|| default.as_deref().map(Sample::text)))
        }
        Fetch::WaitEnd => match world.request().complete {
            true => Found::just(Sample::Bool(true)),
            false => Found::later(),
        },
        Fetch::ReqLen => content::length(world.request()),
        Fetch::ResLen => content::length(world.response()),
        Fetch::ReqPayload(at, length) => content::payload(world.request(), *at, *length),
        Fetch::ResPayload(at, length) => content::payload(world.response(), *at, *length),
        Fetch::ReqPayloadLv(lv) => content::payload_lv(world.request(), *lv),
        Fetch::ResPayloadLv(lv) => content::payload_lv(world.response(), *lv),
        Fetch::ReqSslHelloType => content::hello_type(world.request()),
        Fetch::ResSslHelloType => content::hello_type(world.response()),
        Fetch::ReqSslSni => content::sni(world.request()),
        Fetch::ReqSslVer => content::tls_version(world.request()),
        Fetch::ReqSslAlpn => content::alpn(world.request()),
        Fetch::ReqSslEcExt => content::has_ec_extension(world.request()),
        Fetch::ReqSslStExt => content::ticket_extension(world.request()),
        Fetch::ReqRdpCookie(name) => content::rdp_cookie(world.request(), name.as_deref()),
        Fetch::ReqRdpCookieCnt(name) => {
            let found = content::rdp_cookie(world.request(), name.as_deref());
            let count = i64::from(found.value.is_some());
            Found {
                value: Some(Sample::Int(count)),
                open: found.open,
            }
        }
        // HTTP rules, which have no such bytes, know it by themselves
        Fetch::ReqProtoHttp => match world.fetch(fetch) {
            found if found.value.is_some() => found,
            _ => content::looks_like_http(world.request()),
        },
        Fetch::SslFc => Found::just(Sample::Bool(false)),
        other => world.fetch(other),
    }
}

/// Truth that may still be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// No.
    No,
    /// Not known before more bytes come.
    Open,
    /// Yes.
    Yes,
}

impl Truth {
    fn negate(self) -> Truth {
        match self {
            Truth::No => Truth::Yes,
            Truth::Open => Truth::Open,
            Truth::Yes => Truth::No,
        }
    }

    /// Open counts as no: nothing more is waited for.
    pub fn settled(self) -> bool {
        self == Truth::Yes
    }
}

/// Whether a rule with this condition applies; no condition always does.
pub fn holds(condition: Option<&Condition>, acls: &[Acl], world: &mut dyn World) -> Truth {
    let Some(condition) = condition else {
        return Truth::Yes;
    };
    let mut result = Truth::No;
    for all in &condition.any {
        let mut together = Truth::Yes;
        for term in all {
            let truth = match acls.get(term.acl) {
                Some(acl) => acl_holds(acl, world),
                None => Truth::No,
            };
            let truth = if term.negated { truth.negate() } else { truth };
            together = together.min(truth);
            if together != Truth::Yes {
                break;
            }
        }
        result = result.max(together);
        if result == Truth::Yes {
            break;
        }
    }
    match condition.unless {
        true => result.negate(),
        false => result,
    }
}

fn acl_holds(acl: &Acl, world: &mut dyn World) -> Truth {
    let mut result = Truth::No;
    for test in &acl.tests {
        let found = evaluate(&test.expr, world);
        let matches = found
            .value
            .as_ref()
            .is_some_and(|value| matching::matches(&test.matcher, value));
        let truth = match (matches, found.open) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::Open,
            (false, false) => Truth::No,
        };
        result = result.max(truth);
        if result == Truth::Yes {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests;
