//! Virtual addresses and virtual routes.

use super::lexer::Node;
use super::model::{Broadcast, NextHop, Place, RouteKind, VirtualAddress, VirtualRoute};
use super::names;
use super::rule;
use super::section;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use std::net::IpAddr;

const ADDRESS_FORM: &str = "<address>[/<prefix>] [dev <if>] [brd <address>|+|-] [label <name>] [scope <scope>] [peer <address>]";
const ROUTE_FORM: &str = "[blackhole|unreachable|prohibit] <address>[/<prefix>]|default [via <address>] [dev <if>] \
     [src <address>] [metric <n>] [table <n>] [scope <scope>] [onlink] [tos <n>] [mtu|advmss|hoplimit|... [lock] <n>] \
     [nexthop [via <address>] [dev <if>] [weight <n>] [onlink] ...]";

/// A line of `virtual_ipaddress`.
pub fn address(node: &Node) -> Result<VirtualAddress, Diagnostic> {
    let head = node.keyword();
    let (address, prefix) = network(head)?;
    let mut out = VirtualAddress {
        place: Place(head.span),
        address,
        prefix,
        dev: None,
        broadcast: None,
        label: None,
        scope: 0,
        home: false,
        no_track: false,
        noprefixroute: false,
        deprecated: false,
        peer: None,
        mngtmpaddr: false,
        autojoin: false,
    };
    let mut lifetime = None;
    let mut args = Args::new(&head.text, ADDRESS_FORM, head.span, &node.words[1..]);
    while let Some(word) = args.take() {
        match word.text.as_str() {
            "dev" if out.dev.is_some() => {
                let text = "an address is on one interface, this is the second `dev`";
                return Err(Diagnostic::error("E2003", word.span, text));
            }
            "dev" => out.dev = Some(section::interface(args.expect("an interface")?)?),
            "peer" => out.peer = Some(peer(args.expect("an address")?, &mut out)?),
            "mngtmpaddr" => out.mngtmpaddr = true,
            "autojoin" => out.autojoin = true,
            "label" => out.label = Some(label(args.expect("a label")?)?),
            "brd" | "broadcast" => out.broadcast = Some(broadcast(args.expect("an address")?)?),
            "scope" => out.scope = scope(&mut args)?,
            "home" => out.home = true,
            // duplicate address detection is off in any case
            "-nodad" | "nodad" => {}
            "noprefixroute" => out.noprefixroute = true,
            "deprecated" => lifetime = Some(true),
            "preferred_lft" => {
                let word = args.expect("a lifetime")?;
                let forever = word.text == "forever";
                if !forever && word.text.parse::<u32>().is_err() {
                    return Err(wrong(word, "a number of seconds or `forever`"));
                }
                lifetime = Some(word.text == "0");
            }
            // an address that somebody deletes comes back nevertheless: no harm is done
            "no_track" => out.no_track = true,
            "use_vmac" => {
                let text = "`use_vmac` of an address is not supported here";
                return Err(Diagnostic::error("E0007", word.span, text));
            }
            "track_group" => {
                let text = "`track_group` is for static addresses only";
                return Err(Diagnostic::error("E0007", word.span, text));
            }
            _ => return Err(unknown(word, ADDRESS_FORM)),
        }
    }
    // an IPv6 address without a network is no source of connections, as in keepalived
    let alone = address.is_ipv6() && prefix == 128;
    out.deprecated = lifetime.unwrap_or(alone);
    Ok(out)
}

/// The other end of a point-to-point address; its prefix length counts for both.
fn peer(word: &Word, own: &mut VirtualAddress) -> Result<IpAddr, Diagnostic> {
    let (address, prefix) = network(word)?;
    if address.is_ipv4() != own.address.is_ipv4() {
        return Err(wrong(word, "an address of the same family"));
    }
    if word.text.contains('/') {
        own.prefix = prefix;
    }
    Ok(address)
}

/// Numbers of the metrics of a route (<linux/rtnetlink.h>, RTAX_*).
const METRICS: [(&str, u16); 13] = [
    ("mtu", 2),
    ("window", 3),
    ("rtt", 4),
    ("rttvar", 5),
    ("ssthresh", 6),
    ("cwnd", 7),
    ("advmss", 8),
    ("reordering", 9),
    ("hoplimit", 10),
    ("initcwnd", 11),
    ("rto_min", 13),
    ("initrwnd", 14),
    ("quickack", 15),
];
/// The metric whose bits say which of the others stay as written.
const LOCK: u16 = 1;

/// A metric of a route: `mtu [lock] N`. Nothing if the word names none.
fn metric(word: &Word, args: &mut Args<'_>, route: &mut VirtualRoute) -> Result<bool, Diagnostic> {
    let known = METRICS.iter().find(|(name, _)| *name == word.text);
    let Some((name, number)) = known else {
        return Ok(false);
    };
    if args.take_if("lock").is_some() {
        match route.metrics.iter_mut().find(|(n, _)| *n == LOCK) {
            Some((_, bits)) => *bits |= 1 << number,
            None => route.metrics.push((LOCK, 1 << number)),
        }
    }
    let value: u32 = section::number(args, 0, i64::from(u32::MAX))?;
    // the kernel counts a round trip in eighths and its variation in quarters of a millisecond
    let scale = match *name {
        "rtt" => 8,
        "rttvar" => 4,
        _ => 1,
    };
    route.metrics.push((*number, value.saturating_mul(scale)));
    Ok(true)
}

/// A line of `virtual_routes`.
pub fn route(node: &Node) -> Result<VirtualRoute, Diagnostic> {
    let head = node.keyword();
    let mut args = Args::new("route", ROUTE_FORM, head.span, &node.words);
    let mut kind = RouteKind::Unicast;
    let kinds = [
        ("blackhole", RouteKind::Blackhole),
        ("unreachable", RouteKind::Unreachable),
        ("prohibit", RouteKind::Prohibit),
    ];
    for (word, value) in kinds {
        if args.take_if(word).is_some() {
            kind = value;
        }
    }
    let mut src = None;
    if args.take_if("src").is_some() {
        src = Some(section::address(args.expect("an address")?)?);
    }
    let _ = args.take_if("to");
    let target = args.expect("a destination")?;
    let zero = match target.text.as_str() {
        "default" => Some(IpAddr::from([0, 0, 0, 0])),
        "default6" => Some(IpAddr::from([0u16; 8])),
        _ => None,
    };
    let (to, prefix) = match zero {
        Some(zero) => (zero, 0),
        None => network(target)?,
    };
    let mut out = VirtualRoute {
        place: Place(head.span),
        to,
        prefix,
        via: None,
        dev: None,
        src,
        metric: None,
        table: None,
        scope: None,
        onlink: false,
        tos: 0,
        metrics: Vec::new(),
        kind,
        no_track: false,
        hops: Vec::new(),
    };
    while let Some(word) = args.take() {
        match word.text.as_str() {
            "via" | "gw" => {
                let _ = args.take_if("inet").or_else(|| args.take_if("inet6"));
                out.via = Some(section::address(args.expect("an address")?)?);
            }
            "dev" | "oif" => out.dev = Some(section::interface(args.expect("an interface")?)?),
            "src" => out.src = Some(section::address(args.expect("an address")?)?),
            "metric" | "preference" | "priority" => {
                out.metric = Some(section::number(&mut args, 0, i64::from(u32::MAX))?);
            }
            "table" => out.table = Some(table(args.expect("a table")?)?),
            "scope" => out.scope = Some(scope(&mut args)?),
            "onlink" => out.onlink = true,
            "proto" | "protocol" => names::protocol(args.expect("a protocol")?)?,
            "no_track" => out.no_track = true,
            "tos" | "dsfield" => out.tos = rule::byte(args.expect("a type of service")?)?,
            "nexthop" => out.hops.push(hop(&mut args)?),
            // an older form: another gateway beside `via`
            "or" => {
                let via = Some(section::address(args.expect("an address")?)?);
                out.hops.push(NextHop {
                    via,
                    weight: 1,
                    ..NextHop::default()
                });
            }
            "encap" | "features" | "realms" | "append" | "vrf" => {
                let text = format!("`{}` of a route is not supported here", word.text);
                return Err(Diagnostic::error("E0007", word.span, text));
            }
            _ if metric(word, &mut args, &mut out)? => {}
            _ => return Err(unknown(word, ROUTE_FORM)),
        }
    }
    if out.to.is_unspecified() && out.via.is_some_and(|via| via.is_ipv6()) {
        out.to = IpAddr::from([0u16; 8]);
    }
    share(&mut out);
    let gateways = out.hops.iter().filter_map(|hop| hop.via.as_ref());
    let mut others = out.via.iter().chain(&out.src).chain(gateways);
    if let Some(other) = others.find(|a| a.is_ipv4() != out.to.is_ipv4()) {
        let text = format!("{other} is of another family than the destination");
        return Err(Diagnostic::error("E2005", head.span, text));
    }
    Ok(out)
}

/// What follows `nexthop`, up to the next one.
fn hop(args: &mut Args<'_>) -> Result<NextHop, Diagnostic> {
    let mut hop = NextHop {
        weight: 1,
        ..NextHop::default()
    };
    loop {
        if args.take_if("via").is_some() {
            let _ = args.take_if("inet").or_else(|| args.take_if("inet6"));
            hop.via = Some(section::address(args.expect("an address")?)?);
        } else if args.take_if("dev").is_some() {
            hop.dev = Some(section::interface(args.expect("an interface")?)?);
        } else if args.take_if("weight").is_some() {
            hop.weight = section::number(args, 1, 256)?;
        } else if args.take_if("onlink").is_some() {
            hop.onlink = true;
        } else {
            return Ok(hop);
        }
    }
}

/// `via A or B dev D`: two ways over one interface.
fn share(route: &mut VirtualRoute) {
    if route.hops.is_empty() || route.via.is_none() {
        return;
    }
    let first = NextHop {
        via: route.via.take(),
        weight: 1,
        ..NextHop::default()
    };
    route.hops.insert(0, first);
    let (dev, onlink) = (route.dev.take(), route.onlink);
    for hop in &mut route.hops {
        hop.dev = hop.dev.take().or_else(|| dev.clone());
        hop.onlink |= onlink;
    }
}

pub(super) fn unknown(word: &Word, form: &str) -> Diagnostic {
    let text = format!("`{}` is not an option here", word.text);
    let names = form
        .split(['[', ']', ' ', '|'])
        .filter(|w| w.chars().all(|c| c.is_ascii_lowercase()) && w.len() > 1);
    let near = crate::suggest::nearest(&word.text, names);
    Diagnostic::error("E0002", word.span, text)
        .help(format!("the form is: {form}"))
        .maybe_suggest(word.span, near)
}

/// `ADDRESS[/PREFIX]`; a whole address without a prefix.
pub(super) fn network(word: &Word) -> Result<(IpAddr, u8), Diagnostic> {
    let (text, prefix) = match word.text.split_once('/') {
        Some((text, prefix)) => (text, Some(prefix)),
        None => (word.text.as_str(), None),
    };
    let address: IpAddr = text
        .parse()
        .map_err(|_| wrong(word, "an IP address with an optional prefix length"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => most,
        Some(text) => text
            .parse()
            .ok()
            .filter(|p| *p <= most)
            .ok_or_else(|| wrong(word, &format!("an address with a prefix of 0 to {most}")))?,
    };
    Ok((address, prefix))
}

/// The kernel's names of interfaces have 15 bytes, and so have labels.
fn label(word: &Word) -> Result<String, Diagnostic> {
    if word.text.len() > 15 {
        return Err(wrong(word, "a label of at most 15 bytes, such as eth0:1"));
    }
    Ok(word.text.clone())
}

fn broadcast(word: &Word) -> Result<Broadcast, Diagnostic> {
    match word.text.as_str() {
        "+" => Ok(Broadcast::Plus),
        "-" => Ok(Broadcast::Minus),
        text => text
            .parse()
            .map(Broadcast::Address)
            .map_err(|_| wrong(word, "an IPv4 address, + or -")),
    }
}

fn scope(args: &mut Args<'_>) -> Result<u8, Diagnostic> {
    let names = [
        ("global", 0),
        ("site", 200),
        ("link", 253),
        ("host", 254),
        ("nowhere", 255),
    ];
    if let Some(value) = args.peek().and_then(|w| w.text.parse().ok()) {
        args.take();
        return Ok(value);
    }
    args.choose("a scope", &names)
}

/// A routing table by its number or its name in iproute2's files.
pub(super) fn table(word: &Word) -> Result<u32, Diagnostic> {
    let number = match word.text.as_str() {
        "default" => Some(253),
        "main" => Some(254),
        "local" => Some(255),
        text => text.parse().ok().or_else(|| names::table(text)),
    };
    number.ok_or_else(|| {
        wrong(
            word,
            "a routing table's number, main, local, default or a name of rt_tables",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Report;
    use crate::vip::lexer;
    use std::path::Path;

    fn node(text: &str) -> Node {
        let mut report = Report::default();
        lexer::read_text(Path::new("x"), text, "", &mut report).remove(0)
    }

    #[test]
    fn addresses_take_iproute_s_words() {
        let a = address(&node("192.0.2.1/24 brd + dev eth1 label eth1:1 scope link")).unwrap();
        assert_eq!(
            (a.prefix, a.scope, a.broadcast),
            (24, 253, Some(Broadcast::Plus))
        );
        assert_eq!(a.dev.as_deref(), Some("eth1"));
        let a = address(&node("192.0.2.1 peer 192.0.2.2/30 autojoin")).unwrap();
        assert_eq!((a.prefix, a.autojoin), (30, true));
        assert_eq!(a.peer, Some(IpAddr::from([192, 0, 2, 2])));
        let mixed = address(&node("192.0.2.1 peer fd00::1")).unwrap_err();
        assert_eq!(mixed.code, "E0005");
        let long = address(&node("192.0.2.1 dev a234567890123456")).unwrap_err();
        assert_eq!(long.code, "E0005");
        assert_eq!(address(&node("fe80::1")).unwrap().prefix, 128);
        assert_eq!(address(&node("192.0.2.1/33")).unwrap_err().code, "E0005");
        assert_eq!(
            address(&node("192.0.2.1 dve eth0")).unwrap_err().code,
            "E0002"
        );
    }

    #[test]
    fn routes_take_iproute_s_words() {
        let r = route(&node("default via fe80::1 dev eth0 metric 5 table main")).unwrap();
        assert!(r.to.is_ipv6() && r.prefix == 0);
        assert_eq!((r.metric, r.table), (Some(5), Some(254)));
        let r = route(&node(
            "src 10.0.0.1 to 10.9.0.0/24 via 10.0.0.9 mtu lock 1400 rtt 5 tos 0x10",
        ));
        let r = r.unwrap();
        assert_eq!((r.tos, r.src.is_some()), (0x10, true));
        assert_eq!(r.metrics, [(1, 4), (2, 1400), (4, 40)]);
        let many =
            "10.9.0.0/24 table 9 nexthop via 10.0.0.1 dev eth1 weight 2 nexthop dev eth2 onlink";
        let many = route(&node(many)).unwrap();
        assert_eq!(
            (many.hops.len(), many.hops[0].weight, many.table),
            (2, 2, Some(9))
        );
        assert!(many.hops[1].onlink && many.hops[1].via.is_none());
        let two = route(&node("10.9.0.0/24 via 10.0.0.1 or 10.0.0.2 dev eth1")).unwrap();
        assert!(two.via.is_none() && two.hops.iter().all(|h| h.dev.as_deref() == Some("eth1")));
        let mixed = route(&node("10.9.0.0/24 nexthop via fd00::1"));
        assert_eq!(mixed.unwrap_err().code, "E2005");
        let r = route(&node("blackhole 10.0.0.0/8")).unwrap();
        assert_eq!((r.kind, r.prefix), (RouteKind::Blackhole, 8));
    }
}
