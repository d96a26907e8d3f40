//! Routing rules as the kernel wants them (<linux/fib_rules.h>).

use super::Message;
use super::request::PROTO_VRRP;
use conf::vip::model::{Family, RuleAction, VirtualRule};

/// `FIB_RULE_INVERT`: the rule is for what its selectors do not fit.
const INVERT: u32 = 2;

/// Writes header and attributes of a rule.
pub fn write(rule: &VirtualRule, message: &mut Message) {
    let family = match rule.family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    };
    let length =
        |net: &Option<(_, u8)>| net.map_or(0, |(_, prefix): (std::net::IpAddr, u8)| prefix);
    let (action, table) = match rule.action {
        RuleAction::Table(table) => (1, table),
        RuleAction::Goto(_) => (2, 0),
        RuleAction::Nop => (3, 0),
        RuleAction::Blackhole => (6, 0),
        RuleAction::Unreachable => (7, 0),
        RuleAction::Prohibit => (8, 0),
    };
    let short = u8::try_from(table).unwrap_or(0);
    let (to, from) = (length(&rule.to), length(&rule.from));
    message
        .bytes
        .extend([family, to, from, rule.tos, short, 0, 0, action]);
    let flags = if rule.inverted { INVERT } else { 0 };
    message.bytes.extend(flags.to_ne_bytes());
    for (kind, net) in [(1, rule.to), (2, rule.from)] {
        if let Some((address, _)) = net {
            message.ip(kind, address);
        }
    }
    for (kind, name) in [(3, &rule.iif), (17, &rule.oif)] {
        if let Some(name) = name {
            message.text(kind, name);
        }
    }
    let goto = match rule.action {
        RuleAction::Goto(to) => Some(to),
        _ => None,
    };
    let (mark, mask) = (rule.mark.map(|m| m.0), rule.mark.map(|m| m.1));
    let tables = (table > 0).then_some(table);
    let numbers = [
        (4, goto),
        (6, rule.priority),
        (10, mark),
        (16, mask),
        (13, rule.suppress_group),
        (14, rule.suppress),
        (15, tables),
    ];
    for (kind, number) in numbers {
        if let Some(number) = number {
            message.attribute(kind, &number.to_ne_bytes());
        }
    }
    if let Some(tunnel) = rule.tunnel {
        message.attribute(12, &u64::from(tunnel).to_be_bytes());
    }
    if let Some((first, last)) = rule.uids {
        message.attribute(20, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
    }
    message.attribute(21, &[PROTO_VRRP]);
    if let Some(protocol) = rule.protocol {
        message.attribute(22, &[protocol]);
    }
    for (kind, ports) in [(23, rule.sport), (24, rule.dport)] {
        if let Some((first, last)) = ports {
            message.attribute(kind, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
    }
}
