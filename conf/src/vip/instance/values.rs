//! What the longer keywords of `vrrp_instance` check and store.

use super::super::lexer::Node;
use super::super::model::{InitialState, VirtualAddress};
use super::super::section::{self, Section};
use super::super::{address, group, rule, track};
use super::{AuthType, Draft};
use crate::diagnostic::Diagnostic;
use crate::keyword::Args;
use std::net::IpAddr;

type Here = Section<Draft>;
type Done = Result<(), Diagnostic>;

pub(super) fn state(s: &mut Here, a: &mut Args<'_>) -> Done {
    let word = a.expect("a state")?;
    let state = match word.text.as_str() {
        "MASTER" => InitialState::Master,
        "BACKUP" => InitialState::Backup,
        other => {
            let text = format!("`{other}` is not a state; MASTER and BACKUP are");
            if other == "SLAVE" {
                s.findings.push(
                    Diagnostic::note("E2008", word.span, text)
                        .help("read as BACKUP, as keepalived does")
                        .suggest(word.span, "BACKUP"),
                );
            } else {
                let near = crate::suggest::nearest(other, ["MASTER", "BACKUP"]);
                let finding = section::replaced(&s.options, word.span, text, "BACKUP");
                s.findings.push(finding.maybe_suggest(word.span, near));
            }
            InitialState::Backup
        }
    };
    s.draft.state = Some((state, word.span));
    Ok(())
}

pub(super) fn vrid(s: &mut Here, a: &mut Args<'_>) -> Done {
    s.draft.vrid_is_written = true;
    let span = a.peek().map_or(a.head(), |w| w.span);
    s.draft.vrid = Some((section::number(a, 1, 255)?, span));
    Ok(())
}

pub(super) fn priority(s: &mut Here, a: &mut Args<'_>) -> Done {
    let word = a.expect("a priority")?;
    let value: i64 = word
        .text
        .parse()
        .map_err(|_| crate::keyword::wrong(word, "a whole number"))?;
    if (1..=255).contains(&value) {
        s.draft.priority = Some((value, word.span));
    } else {
        let text = format!("priority {value} is out of range, 1 to 255 are possible");
        s.replaced(word.span, text, "priority 100");
    }
    Ok(())
}

pub(super) fn advert_int(s: &mut Here, a: &mut Args<'_>) -> Done {
    let span = a.peek().map_or(a.head(), |w| w.span);
    s.draft.advert = Some((section::seconds(a, 0.01, 255.0)?, span));
    Ok(())
}

pub(super) fn authentication(s: &mut Here, a: &mut Args<'_>) -> Done {
    let nodes = s.block(a)?;
    for Node { words, .. } in nodes {
        let head = &words[0];
        let mut args = Args::new(&head.text, "<value>", head.span, &words[1..]);
        match head.text.as_str() {
            "auth_type" => {
                let kinds = [("PASS", AuthType::Pass), ("AH", AuthType::Ah)];
                let kind = args.choose("a kind of authentication", &kinds)?;
                s.draft.auth_type = Some((kind, words[1].span));
            }
            "auth_pass" => {
                let word = args.expect("a password")?;
                let mut text = word.text.clone();
                if text.len() > 8 {
                    let message =
                        format!("the password has {} bytes, VRRPv2 carries 8", text.len());
                    s.replaced(word.span, message, "its first 8 bytes");
                    let mut end = 8;
                    while !text.is_char_boundary(end) {
                        end -= 1;
                    }
                    text.truncate(end);
                }
                s.draft.auth = Some((text, word.span));
            }
            _ => {
                return Err(crate::keyword::unknown(
                    head,
                    "authentication",
                    ["auth_type", "auth_pass"],
                ));
            }
        }
        args.finish()?;
    }
    Ok(())
}

pub(super) fn addresses(s: &mut Here, a: &Args<'_>) -> Result<Vec<VirtualAddress>, Diagnostic> {
    entries(s, a, address::address, "the other addresses")
}

pub(super) fn routes(s: &mut Here, a: &mut Args<'_>) -> Done {
    let routes = entries(s, a, address::route, "the other routes")?;
    s.draft.routes.extend(routes);
    Ok(())
}

pub(super) fn rules(s: &mut Here, a: &mut Args<'_>) -> Done {
    let rules = entries(s, a, rule::rule, "the other rules")?;
    s.draft.rules.extend(rules);
    Ok(())
}

/// The entries of a block. One with a bad value is an error; in lenient mode it is what keepalived
/// makes of it, or left out.
fn entries<T>(
    s: &mut Here,
    a: &Args<'_>,
    read: fn(&Node) -> Result<T, Diagnostic>,
    rest: &str,
) -> Result<Vec<T>, Diagnostic> {
    let mut list = Vec::new();
    for mut node in s.block(a)? {
        loop {
            let finding = match read(&node) {
                Ok(entry) => {
                    list.push(entry);
                    break;
                }
                Err(finding) => finding,
            };
            let Some(instead) = amend(s, a.keyword(), &mut node, &finding) else {
                skip(s, finding, rest);
                break;
            };
            let span = finding.primary.map_or(node.words[0].span, |p| p.span);
            s.replaced(span, finding.message, &instead);
        }
    }
    Ok(list)
}

/// Changes an entry into what keepalived makes of it, in lenient mode; says into what.
fn amend(s: &Here, block: &str, node: &mut Node, finding: &Diagnostic) -> Option<String> {
    let span = finding.primary.as_ref().filter(|_| s.options.lenient)?.span;
    let at = node.words.iter().position(|word| word.span == span)?;
    let text = &node.words[at].text;
    let plain = text.split_once('/').map(|(plain, _)| plain.to_owned());
    if let Some(plain) = plain.filter(|p| p.parse::<IpAddr>().is_ok()) {
        node.words[at].text.clone_from(&plain);
        return Some(format!("the whole address {plain}"));
    }
    let scope = at > 0 && node.words[at - 1].text == "scope";
    match block {
        "virtual_ipaddress" | "virtual_ipaddress_excluded" if scope => {
            node.words.drain(at - 1..=at);
            Some("scope global".to_owned())
        }
        "virtual_ipaddress" | "virtual_ipaddress_excluded" if finding.code == "E0002" => {
            let word = node.words.remove(at).text;
            Some(format!("the address without `{word}`"))
        }
        _ => None,
    }
}

/// An entry with a bad value: an error, and left out in lenient mode.
fn skip(s: &mut Here, finding: Diagnostic, rest: &str) {
    match finding.primary.as_ref().filter(|_| s.options.lenient) {
        Some(place) if matches!(finding.code, "E0002" | "E0005" | "E0006") => {
            let span = place.span;
            s.replaced(span, finding.message, rest);
        }
        Some(_) | None => s.findings.push(finding),
    }
}

pub(super) fn notify(s: &mut Here, a: &mut Args<'_>) -> Done {
    group::notify(&mut s.draft.notify, a)
}

pub(super) fn tracked(s: &mut Here, a: &mut Args<'_>) -> Done {
    track::block(s, a, |draft| &mut draft.tracks)
}

#[cfg(test)]
mod tests {
    use super::super::super::model::{Auth, Config};
    use super::super::super::{Options, load_str};

    fn read(lines: &str, address: &str) -> (Option<Config>, Vec<&'static str>) {
        let text = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority 200\n {lines}\n \
             virtual_ipaddress {{ {address} }}\n}}\n"
        );
        let (config, report) = load_str("k.conf", &text, &Options::default());
        let codes = report.diagnostics.iter().map(|d| d.code);
        (config, codes.collect())
    }

    #[test]
    fn auth_type_ah_counts_in_vrrpv2_only_and_is_noted() {
        let ah = "authentication {\n auth_type AH\n auth_pass 1111\n }";
        let auth = |lines: &str, address| {
            let (config, told) = read(lines, address);
            (config.expect("no error").instances[0].auth.clone(), told)
        };
        let key = Some(Auth::Ah("1111".to_owned()));
        assert_eq!(auth(ah, "192.0.2.100/24"), (key, vec!["E2013"]));
        let third = format!("version 3\n {ah}");
        assert_eq!(auth(&third, "192.0.2.100/24"), (None, vec!["E2005"]));
        assert_eq!(auth(ah, "fe80::1/64"), (None, vec!["E2005"]));
    }

    #[test]
    fn auth_type_ah_needs_a_password() {
        let (config, told) = read("authentication {\n auth_type AH\n }", "192.0.2.100/24");
        assert!(config.is_none());
        assert_eq!(told, ["E2013", "E2001"]);
    }
}
