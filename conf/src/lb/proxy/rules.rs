//! ACLs and TCP rules, and the choice of a backend and a server by them.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::condition;
use crate::lb::draft::{Draft, Referred};
use crate::lb::model::{BackendName, Place, TcpRule, UseBackend, UseServer};
use crate::lb::proxy::actions::{self, List};
use crate::lb::sample::When;
use crate::lb::value;
use crate::lb::{acl as acls, format};

type Applied = Result<(), Diagnostic>;

/// Rules and ACLs must not stand in `defaults` without a name, where nobody
/// could tell which sections they end up in.
pub(super) fn not_in_anonymous_defaults(d: &Draft, a: &Args<'_>) -> Applied {
    if d.kind.is_none() && d.proxy.name.is_empty() {
        return Err(Diagnostic::error(
            "E1005",
            a.head(),
            format!(
                "`{}` not allowed in an anonymous `defaults` section",
                a.keyword()
            ),
        )
        .label("not allowed here")
        .help("give the section a name and use it with `from`"));
    }
    Ok(())
}

/// `inspect-delay`: unlike elsewhere a second one is what has no effect.
fn first_counts(d: &mut Draft, a: &Args<'_>, before: Option<std::time::Duration>) {
    if before.is_some() && d.kind.is_some() {
        let text = format!("`{}` ignored because it was already defined", a.keyword());
        d.diagnostics
            .push(Diagnostic::warning("E1101", a.head(), text).label("this one has no effect"));
    }
}

fn acl(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    not_in_anonymous_defaults(d, a)?;
    let name = a.expect("a name")?;
    super::server::bad_character(name)?;
    if matches!(name.text.as_str(), "or" | "if" | "unless") {
        return Err(wrong(name, "a name for an ACL").label("the word has a meaning in conditions"));
    }
    match acls::test(d, a.rest(), a.end()) {
        Ok(test) => {
            acls::add(d, &name.text, Some(test), name.span);
            Ok(())
        }
        Err(error) => {
            // whoever uses the name made no mistake
            acls::add(d, &name.text, None, name.span);
            Err(error)
        }
    }
}

fn rule(d: &mut Draft, a: &mut Args<'_>, list: List) -> Result<TcpRule, Diagnostic> {
    not_in_anonymous_defaults(d, a)?;
    let span = a.head();
    let action = actions::take(d, a, list)?;
    let condition = condition::optional(d, a, list.when())?;
    let in_session = matches!(list, List::Content | List::Response);
    Ok(TcpRule {
        action,
        condition,
        place: Place(span),
        line: in_session.then(|| d.around.line.clone()),
    })
}

fn content(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let rule = rule(d, a, List::Content)?;
    if d.has_front() {
        d.front().content_rules.push(rule);
    } else {
        d.back().content_rules.push(rule);
    }
    Ok(())
}

fn use_backend(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    let span = a.head();
    let word = a.expect("a backend's name")?;
    let backend = name(d, word, (Referred::Backend, "use_backend"), When::Content)?;
    let condition = condition::optional(d, a, When::Content)?;
    d.front().use_backend.push(UseBackend {
        backend,
        condition,
        place: Place(span),
    });
    Ok(())
}

fn use_server(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    let span = a.head();
    let word = a.expect("a server's name")?;
    let server = name(d, word, (Referred::OwnServer, "use-server"), When::Backend)?;
    let condition = Some(condition::required(d, a, When::Backend)?);
    d.back().use_server.push(UseServer {
        server,
        condition,
        place: Place(span),
    });
    Ok(())
}

fn name(
    d: &mut Draft,
    word: &Word,
    (to, by): (Referred, &'static str),
    when: When,
) -> Result<BackendName, Diagnostic> {
    if word.text.contains('%') {
        return format::parse_live(d, word, when).map(BackendName::Format);
    }
    d.refer(to, by, &word.text, word.span);
    Ok(BackendName::Fixed(word.text.clone()))
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "acl",
        args: "<name> <criterion> [-i] [-m <method>] [-f <file>] [<operator>] [<value>...]",
        doc: "Names a test for conditions; several lines of one name mean any of them.",
        example: "acl local src 192.0.2.0/24",
        apply: acl,
    },
    Keyword {
        name: "tcp-request content",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule about what the client sent so far, evaluated until `inspect-delay` is over.",
        example: "tcp-request content accept if { req.ssl_hello_type 1 }",
        apply: content,
    },
    Keyword {
        name: "tcp-request inspect-delay",
        args: "<time>",
        doc: "Longest wait for what content rules look at.",
        example: "tcp-request inspect-delay 5s",
        apply: |d, a| {
            not_in_anonymous_defaults(d, a)?;
            let delay = value::take_timeout(a, "a time")?;
            a.finish()?;
            let slot = match d.has_front() {
                true => &mut d.front().inspect_delay,
                false => &mut d.back().inspect_delay,
            };
            let before = *slot;
            *slot = before.or(delay);
            first_counts(d, a, before);
            Ok(())
        },
    },
];

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "tcp-request connection",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule for every connection, right at accept and before the PROXY header.",
        example: "tcp-request connection reject if { src 192.0.2.66 }",
        apply: |d, a| {
            let rule = rule(d, a, List::Connection)?;
            d.front().connection_rules.push(rule);
            Ok(())
        },
    },
    Keyword {
        name: "tcp-request session",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule for every session, when the PROXY header was read.",
        example: "tcp-request session reject if { src 192.0.2.66 }",
        apply: |d, a| {
            let rule = rule(d, a, List::Session)?;
            d.front().session_rules.push(rule);
            Ok(())
        },
    },
    Keyword {
        name: "use_backend",
        args: "<backend> [{ if | unless } <condition>]",
        doc: "Sends sessions to a backend; the first rule that holds counts. The name may be a \
              format.",
        example: "use_backend other if { dst_port 5673 }",
        apply: use_backend,
    },
];

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "tcp-response content",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule about what the server sent so far.",
        example: "tcp-response content reject if { res.len gt 1000 }",
        apply: |d, a| {
            let rule = rule(d, a, List::Response)?;
            d.back().response_rules.push(rule);
            Ok(())
        },
    },
    Keyword {
        name: "tcp-response inspect-delay",
        args: "<time>",
        doc: "Longest wait for what `tcp-response` rules look at.",
        example: "tcp-response inspect-delay 5s",
        apply: |d, a| {
            not_in_anonymous_defaults(d, a)?;
            let delay = value::take_timeout(a, "a time")?;
            a.finish()?;
            let slot = &mut d.back().response_inspect_delay;
            let before = *slot;
            *slot = before.or(delay);
            first_counts(d, a, before);
            Ok(())
        },
    },
    Keyword {
        name: "use-server",
        args: "<server> { if | unless } <condition>",
        doc: "Sends sessions to a server of this section, if it is usable; the first rule that \
              holds counts.",
        example: "use-server s1 if { src 192.0.2.7 }",
        apply: use_server,
    },
];
