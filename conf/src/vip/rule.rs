//! Virtual rules: `ip rule`'s words.

use super::address::{network, table, unknown};
use super::lexer::Node;
use super::model::{Config, Family, Place, RuleAction, VirtualRule};
use super::section;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use std::net::IpAddr;
use std::str::FromStr;

const FORM: &str = "[not] [from <network>] [to <network>] [iif <if>] [oif <if>] [fwmark <n>[/<mask>]] [tos <n>] \
     [ipproto <name>] [sport <n>[-<n>]] [dport <n>[-<n>]] [uidrange <n>-<n>] [priority <n>] [inet6] \
     [tun_id <n>] [suppress_prefixlength <n>] [suppress_ifgroup <n>] table <n>|goto <n>|nop|blackhole|unreachable|prohibit";

/// A line of `virtual_rules`.
pub fn rule(node: &Node) -> Result<VirtualRule, Diagnostic> {
    let head = node.keyword();
    let mut args = Args::new("rule", FORM, head.span, &node.words);
    let mut inet6 = false;
    let mut action = None;
    let mut out = VirtualRule {
        place: Place(head.span),
        family: Family::V4,
        inverted: false,
        from: None,
        to: None,
        iif: None,
        oif: None,
        mark: None,
        tos: 0,
        no_track: false,
        protocol: None,
        sport: None,
        dport: None,
        uids: None,
        priority: None,
        tunnel: None,
        suppress: None,
        suppress_group: None,
        action: RuleAction::Blackhole,
    };
    while let Some(word) = args.take() {
        match word.text.as_str() {
            "not" => out.inverted = true,
            "from" => out.from = target(args.expect("a network")?)?,
            "to" => out.to = target(args.expect("a network")?)?,
            "iif" | "dev" => out.iif = Some(args.expect("an interface")?.text.clone()),
            "oif" => out.oif = Some(args.expect("an interface")?.text.clone()),
            "fwmark" => out.mark = Some(mark(args.expect("a mark")?)?),
            "tos" | "dsfield" => out.tos = byte(args.expect("a type of service")?)?,
            "ipproto" | "ip_proto" => out.protocol = Some(protocol(args.expect("a protocol")?)?),
            "sport" => out.sport = Some(range(args.expect("a port")?)?),
            "dport" => out.dport = Some(range(args.expect("a port")?)?),
            "uidrange" => out.uids = Some(range(args.expect("a range")?)?),
            "priority" | "preference" | "pref" | "order" => out.priority = Some(number(&mut args)?),
            "suppress_prefixlength" | "suppress_prefixlen" => {
                out.suppress = Some(number(&mut args)?);
            }
            "suppress_ifgroup" | "suppress_group" => {
                out.suppress_group = Some(number(&mut args)?);
            }
            "tun_id" => out.tunnel = Some(number(&mut args)?),
            "table" | "lookup" => {
                action = Some(RuleAction::Table(table(args.expect("a table")?)?));
            }
            "goto" => action = Some(RuleAction::Goto(number(&mut args)?)),
            "nop" => action = Some(RuleAction::Nop),
            "blackhole" => action = Some(RuleAction::Blackhole),
            "unreachable" => action = Some(RuleAction::Unreachable),
            "prohibit" => action = Some(RuleAction::Prohibit),
            "inet" => inet6 = false,
            "inet6" => inet6 = true,
            "protocol" => {
                args.expect("a protocol")?;
            }
            "no_track" => out.no_track = true,
            _ => return Err(unknown(word, FORM)),
        }
    }
    let v6 = |net: &Option<(IpAddr, u8)>| net.is_some_and(|(address, _)| address.is_ipv6());
    if inet6 || v6(&out.from) || v6(&out.to) {
        out.family = Family::V6;
    }
    for (address, _) in [out.from, out.to].into_iter().flatten() {
        if address.is_ipv6() != (out.family == Family::V6) {
            let text = format!("{address} is of another family than the rest of the rule");
            return Err(Diagnostic::error("E2005", head.span, text));
        }
    }
    out.action = action.ok_or_else(|| {
        let text = "a rule needs a table or another action";
        Diagnostic::error("E2001", head.span, text).help(format!("the form is: {FORM}"))
    })?;
    Ok(out)
}

/// Where keepalived begins to count down for rules without a priority.
const UNWRITTEN: u32 = 16384;

/// Gives rules without a priority those that keepalived gives them, counted down by family in the
/// order of the text. The kernel would choose another one whenever it is asked, and so never know
/// a rule again.
pub fn priorities(config: &mut Config, findings: &mut Vec<Diagnostic>) {
    let members = config.instances.iter_mut().flat_map(|i| &mut i.rules);
    let statics = config.statics.rules.iter_mut().map(|s| &mut s.what);
    let mut rules: Vec<&mut VirtualRule> = members
        .chain(statics)
        .filter(|r| r.priority.is_none())
        .collect();
    rules.sort_by_key(|r| (r.place.0.file, r.place.0.start));
    let mut next = [UNWRITTEN; 2];
    for rule in rules {
        let next = &mut next[usize::from(rule.family == Family::V6)];
        let text = format!("a rule without a priority has {next}, as in keepalived");
        let finding = Diagnostic::warning("E2001", rule.place.0, text);
        findings.push(finding.help("write the one that is meant, such as `priority 1000`"));
        rule.priority = Some(*next);
        *next = next.saturating_sub(1);
    }
}

/// A network; nothing for `all` and `default`.
fn target(word: &Word) -> Result<Option<(IpAddr, u8)>, Diagnostic> {
    match word.text.as_str() {
        "all" | "any" | "default" => Ok(None),
        _ => network(word).map(Some),
    }
}

fn number(args: &mut Args<'_>) -> Result<u32, Diagnostic> {
    section::number(args, 0, i64::from(u32::MAX))
}

/// A number, decimal or `0x`.
fn parse(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn mark(word: &Word) -> Result<(u32, u32), Diagnostic> {
    let (value, mask) = word
        .text
        .split_once('/')
        .unwrap_or((&word.text, "0xffffffff"));
    let both = parse(value).zip(parse(mask));
    both.ok_or_else(|| wrong(word, "a mark, such as 24 or 0x18/0xff"))
}

pub(super) fn byte(word: &Word) -> Result<u8, Diagnostic> {
    let value = parse(&word.text).and_then(|v| u8::try_from(v).ok());
    value.ok_or_else(|| wrong(word, "a number of 0 to 255"))
}

fn protocol(word: &Word) -> Result<u8, Diagnostic> {
    match word.text.to_ascii_lowercase().as_str() {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "icmpv6" | "ipv6-icmp" => Ok(58),
        "sctp" => Ok(132),
        _ => byte(word),
    }
}

/// `N` or `N-M`.
fn range<N: FromStr + Copy>(word: &Word) -> Result<(N, N), Diagnostic> {
    let (first, last) = word
        .text
        .split_once('-')
        .unwrap_or((&word.text, &word.text));
    let both = first.parse().ok().zip(last.parse().ok());
    both.ok_or_else(|| wrong(word, "a number or a range, such as 10-20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Report, Severity};
    use crate::vip::{Options, lexer, load_str};
    use std::path::Path;

    fn read(text: &str) -> Result<VirtualRule, Diagnostic> {
        let mut report = Report::default();
        rule(&lexer::read_text(Path::new("x"), text, "", &mut report).remove(0))
    }

    #[test]
    fn rules_take_iproute_s_words() {
        let r =
            read("from 192.0.2.0/24 to 198.51.100.1 fwmark 0x18/0xff iif eth0 priority 40 table 7")
                .expect("valid");
        assert_eq!(r.from.map(|f| f.1), Some(24));
        assert_eq!(r.to.map(|t| t.1), Some(32));
        assert_eq!((r.mark, r.priority), (Some((0x18, 0xff)), Some(40)));
        assert_eq!((r.action, r.family), (RuleAction::Table(7), Family::V4));
        let r = read("to 2001:db8::/64 uidrange 100-200 ipproto UDP dport 20-30 prohibit")
            .expect("valid");
        assert_eq!((r.uids, r.dport), (Some((100, 200)), Some((20, 30))));
        assert_eq!((r.protocol, r.family), (Some(17), Family::V6));
        let r = read("not from 10.0.0.0/8 tun_id 9 suppress_ifgroup 3 nop").expect("valid");
        assert!(r.inverted && r.action == RuleAction::Nop);
        assert_eq!((r.tunnel, r.suppress_group), (Some(9), Some(3)));
    }

    #[test]
    fn rules_without_a_priority_are_counted_down_by_family_in_the_order_of_the_text() {
        let text = "static_rules {\n from 10.1.0.0/16 table 5\n}\nvrrp_instance V {\n interface eth0\n \
                    virtual_router_id 5\n virtual_ipaddress {\n 192.0.2.9\n }\n virtual_rules {\n \
                    from 10.2.0.0/16 table 6\n from 10.3.0.0/16 table 7 priority 9\n \
                    from 2001:db8::/48 table 7\n from 10.4.0.0/16 table 8\n }\n}\n";
        let (config, report) = load_str("x", text, &Options::default());
        let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let all = config.statics.rules.iter().map(|s| &s.what);
        let all = all.chain(&config.instances[0].rules);
        let given: Vec<u32> = all.filter_map(|r| r.priority).collect();
        assert_eq!(given, [16384, 16383, 9, 16384, 16382]);
        assert_eq!(report.count(Severity::Warning), 4);
    }

    #[test]
    fn a_rule_without_an_action_or_of_two_families_is_refused() {
        assert_eq!(read("from 192.0.2.1").unwrap_err().code, "E2001");
        assert_eq!(
            read("from 192.0.2.1 to ::1 table 7").unwrap_err().code,
            "E2005"
        );
        assert_eq!(read("form 192.0.2.1 table 7").unwrap_err().code, "E0002");
    }
}
