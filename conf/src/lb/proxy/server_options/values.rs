//! What the options' values check and store.

use super::ServerDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use crate::lb::address::{self, Address, Port};
use crate::lb::draft::{Reference, Referred};
use crate::lb::env::Env;
use crate::lb::model::{Host, InitAddr, SendProxy, ServerRef, SourceAddress, UseSource};
use crate::lb::value::{self, Unit};
use std::time::Duration;

type Applied = Result<(), Diagnostic>;

/// A time of at least 1 ms.
pub(super) fn millis(a: &mut Args<'_>) -> Result<Duration, Diagnostic> {
    let word = a.expect("a time")?;
    let time = value::time(&word.text, Unit::Millis).map_err(|e| value::bad_time(word, e))?;
    if time.is_zero() {
        return Err(Diagnostic::error(
            "E0006",
            word.span,
            format!("`{}` cannot be 0", a.keyword()),
        )
        .label("at least 1 ms"));
    }
    Ok(time)
}

/// A number of connections; 0 is no limit.
pub(super) fn limit(a: &mut Args<'_>) -> Result<Option<u32>, Diagnostic> {
    let count = value::take_u32(a, "a number of connections")?;
    Ok((count > 0).then_some(count))
}

pub(super) fn count(a: &mut Args<'_>) -> Result<u32, Diagnostic> {
    Ok(value::take_number(a, "a number of checks", 1, i64::from(i32::MAX))? as u32)
}

/// Takes `<address>[:port[-port]] [usesrc ..] [interface ..]`; `None` when it
/// says nothing (`0.0.0.0`, `*`).
pub fn source(a: &mut Args<'_>, env: &Env) -> Result<Option<SourceAddress>, Diagnostic> {
    let lookup = |name: &str| env.get(name).map(str::to_owned);
    let word = a.expect("an address")?;
    let (host, ports) = match address::parse(word, &lookup)? {
        Address::Inet { host, family, port } => {
            let ports = match port {
                Port::None | Port::One(0) => None,
                Port::One(port) => Some((port, port)),
                Port::Range(first, last) => Some((first, last)),
                Port::Offset(_) => {
                    return Err(
                        wrong(word, "an own address").label("an offset makes no sense here")
                    );
                }
            };
            (Address::host_or_any(host, family), ports)
        }
        _ => return Err(wrong(word, "an IP address")),
    };
    let mut source = SourceAddress {
        host,
        ports,
        usesrc: None,
        interface: None,
    };
    loop {
        if a.take_if("usesrc").is_some() {
            source.usesrc = Some(usesrc(a, &lookup)?);
        } else if a.take_if("interface").is_some() {
            source.interface = Some(a.expect("an interface's name")?.text.clone());
        } else {
            break;
        }
    }
    let any = matches!(&source.host, Host::Ip(ip) if ip.is_unspecified());
    let empty = any && source.ports.is_none() && source.usesrc.is_none();
    Ok((!empty || source.interface.is_some()).then_some(source))
}

fn usesrc(
    a: &mut Args<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<UseSource, Diagnostic> {
    let word = a.expect("`client`, `clientip` or an address")?;
    match word.text.as_str() {
        "client" => Ok(UseSource::Client),
        "clientip" => Ok(UseSource::ClientIp),
        text if text.starts_with("hdr_ip(") => {
            Err(crate::lb::known::not_yet(word.span, "`usesrc hdr_ip(...)`"))
        }
        _ => match address::parse(word, lookup)? {
            Address::Inet { host, family, port } => {
                let port = match port {
                    Port::One(port) => port,
                    _ => 0,
                };
                Ok(UseSource::Address(Address::host_or_any(host, family), port))
            }
            _ => Err(wrong(word, "`client`, `clientip` or an address")),
        },
    }
}

pub(super) fn ip_host(d: &ServerDraft, a: &mut Args<'_>) -> Result<Host, Diagnostic> {
    let word = a.expect("an address")?;
    let lookup = |name: &str| d.env.get(name).map(str::to_owned);
    match address::parse(word, &lookup)? {
        Address::Inet {
            host: Some(host), ..
        } => Ok(host),
        _ => Err(wrong(word, "an address")),
    }
}

pub(super) fn port(a: &mut Args<'_>) -> Result<u16, Diagnostic> {
    Ok(value::take_number(a, "a port", 1, 65535)? as u16)
}

pub(super) fn init_addr(d: &mut ServerDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("a list such as last,libc,none")?;
    d.server.init_addr = word
        .text
        .split(',')
        .map(|method| match method {
            "last" => Ok(InitAddr::Last),
            "libc" => Ok(InitAddr::Libc),
            "none" => Ok(InitAddr::None),
            ip => ip.parse().map(InitAddr::Ip).map_err(|_| {
                wrong(word, "a list of ways to find an address")
                    .label(format!("`{ip}` is not last, libc, none or an address"))
            }),
        })
        .collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn track(d: &mut ServerDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("[<backend>/]<server>")?;
    d.server.track = Some(server_ref(&word.text));
    refer(d, Referred::Tracked, word, "track");
    Ok(())
}

/// Notes what an option names, to be found once all of the file is read; the last one counts.
pub(super) fn refer(d: &mut ServerDraft, to: Referred, word: &Word, by: &'static str) {
    d.references.retain(|r| r.to != to);
    d.references.push(Reference {
        to,
        name: word.text.clone(),
        span: word.span,
        by,
    });
}

/// Takes `backend/server` or `server` apart; no backend: the current one.
pub fn server_ref(text: &str) -> ServerRef {
    let (backend, server) = text.split_once('/').unwrap_or(("", text));
    ServerRef {
        backend: backend.to_owned(),
        server: server.to_owned(),
    }
}

pub(super) fn proxy_v2_options(d: &mut ServerDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("a list of options")?;
    let mut header = SendProxy::default();
    for option in word.text.split(',') {
        match option {
            "ssl" | "cert-cn" | "ssl-cipher" | "cert-sig" | "cert-key" => header.ssl = true,
            "authority" => header.authority = true,
            "crc32c" => header.crc32c = true,
            "unique-id" => header.unique_id = true,
            _ => {
                return Err(wrong(word, "a list of PROXY v2 options")
                    .label(format!("`{option}` is not one"))
                    .help("accepted are: `ssl`, `cert-cn`, `ssl-cipher`, `cert-sig`, `cert-key`, `authority`, `crc32c`, `unique-id`"));
            }
        }
    }
    d.proxy_v2_options = header;
    Ok(())
}

pub(super) fn weight(d: &mut ServerDraft, a: &mut Args<'_>) -> Applied {
    d.server.weight = value::take_number(a, "a weight", 0, 256)? as u32;
    Ok(())
}
