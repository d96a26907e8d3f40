//! What the longer keywords of `vrrp_instance` check and store.

use super::super::lexer::Node;
use super::super::model::{InitialState, VirtualAddress};
use super::super::section::{self, Section};
use super::super::{address, group, rule, track};
use super::Draft;
use crate::diagnostic::Diagnostic;
use crate::keyword::Args;

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
                let pass =
                    args.choose("a kind of authentication", &[("PASS", true), ("AH", false)])?;
                if !pass {
                    return Err(Diagnostic::error(
                        "E0007",
                        words[1].span,
                        "auth_type AH is not supported; its RFC was withdrawn",
                    )
                    .help("write `auth_type PASS`, or rely on the pair channel"));
                }
                s.draft.auth_type = Some((pass, words[1].span));
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
    let mut list = Vec::new();
    for node in s.block(a)? {
        match address::address(&node) {
            Ok(address) => list.push(address),
            Err(finding) => skip(s, finding, "the other addresses"),
        }
    }
    Ok(list)
}

pub(super) fn routes(s: &mut Here, a: &mut Args<'_>) -> Done {
    for node in s.block(a)? {
        match address::route(&node) {
            Ok(route) => s.draft.routes.push(route),
            Err(finding) => skip(s, finding, "the other routes"),
        }
    }
    Ok(())
}

pub(super) fn rules(s: &mut Here, a: &mut Args<'_>) -> Done {
    for node in s.block(a)? {
        match rule::rule(&node) {
            Ok(rule) => s.draft.rules.push(rule),
            Err(finding) => skip(s, finding, "the other rules"),
        }
    }
    Ok(())
}

/// An entry with a bad value: an error, and left out in lenient mode.
fn skip(s: &mut Here, finding: Diagnostic, rest: &str) {
    match finding.primary.as_ref().filter(|_| s.options.lenient) {
        Some(place) if matches!(finding.code, "E0005" | "E0006") => {
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
    let nodes = s.block(a)?;
    let most = match a.keyword() {
        "track_process" | "track_file" => section::MOST_FACTOR,
        _ => section::MOST_WEIGHT,
    };
    let list = track::list(s, nodes, most);
    let target = match a.keyword() {
        "track_interface" => &mut s.draft.track_interfaces,
        "track_script" => &mut s.draft.track_scripts,
        "track_process" => &mut s.draft.track_processes,
        "track_file" => &mut s.draft.track_files,
        _ => &mut s.draft.track_balancers,
    };
    target.extend(list);
    Ok(())
}
