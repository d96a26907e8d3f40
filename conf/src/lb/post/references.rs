//! Names that must exist.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::{Draft, Reference, Referred};
use crate::lb::known::not_yet;
use crate::lb::model::{LogAddress, Mode, Server};
use crate::lb::proxy::server_options::server_ref;
use crate::suggest;
use std::sync::Arc;

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        // a `default_backend` in `defaults` is for those that have clients
        let wanted = |r: &&Reference| draft.has_front() || r.by != "default_backend";
        for reference in draft.references.iter().filter(wanted) {
            found.extend(one(whole, draft, reference));
        }
    }
    rings(whole, found);
}

/// Rings that `log ring@name` names.
fn rings(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    let proxies = whole.running().flat_map(|d| &d.proxy.logging.targets);
    for target in whole.global.global.logs.iter().chain(proxies) {
        let LogAddress::Ring(name) = &target.address else {
            continue;
        };
        let names = || whole.rings.iter().map(|ring| ring.name.as_str());
        if names().any(|ring| ring == name) {
            continue;
        }
        let reference = Reference {
            to: Referred::Ring,
            name: name.clone(),
            span: target.place.0,
            by: "log",
        };
        found.push(missing(&reference, "ring", names()));
    }
}

fn one(whole: &Whole<'_>, draft: &Draft, reference: &Reference) -> Option<Diagnostic> {
    let name = reference.name.as_str();
    match reference.to {
        Referred::Backend => backend(whole, draft, reference),
        Referred::AnyBackend => {
            let names = whole.proxies.iter().filter(|d| d.has_back());
            let names = names.map(|d| d.proxy.name.as_str());
            (whole.backend(name).is_none()).then(|| missing(reference, "backend", names))
        }
        Referred::AnyFrontend => {
            let names = whole.proxies.iter().filter(|d| d.has_front());
            let names = names.map(|d| d.proxy.name.as_str());
            (whole.frontend(name).is_none()).then(|| missing(reference, "frontend", names))
        }
        Referred::Userlist => {
            let mut names = whole.userlists.iter().map(|list| list.name.as_str());
            let there = names.clone().any(|list| list == name);
            (!there).then(|| missing(reference, "userlist", &mut names))
        }
        Referred::HealthCheck => {
            let names = || whole.healthchecks.iter().map(|named| named.name.as_str());
            let there = names().any(|section| section == name);
            (!there).then(|| missing(reference, "healthcheck section", names()))
        }
        // looked up with all log lines, those of `global` included
        Referred::Ring => None,
        Referred::OwnServer => {
            let servers = draft.proxy.back.iter().flat_map(|back| &back.servers);
            let names = servers.map(|server| server.name.as_str());
            let there = names.clone().any(|server| server == name);
            (!there).then(|| missing(reference, "server", names))
        }
        Referred::Server => server(whole, draft, reference).err(),
        Referred::Tracked => match server(whole, draft, reference) {
            Ok(server) => tracked(whole, draft, reference, &server),
            Err(error) => Some(error),
        },
    }
}

fn missing<'n>(
    reference: &Reference,
    what: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    let near = suggest::nearest(&reference.name, names);
    let error = Diagnostic::error(
        "E1010",
        reference.span,
        format!(
            "`{}`: there is no {what} `{}`",
            reference.by, reference.name
        ),
    )
    .label(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("no {what} has this name"),
    });
    // inside an expression the span covers more than the name
    match near {
        Some(near) if span_is_name(reference) => error.suggest(reference.span, near),
        _ => error,
    }
}

fn span_is_name(reference: &Reference) -> bool {
    (reference.span.end - reference.span.start) as usize == reference.name.len()
}

fn backend(whole: &Whole<'_>, draft: &Draft, reference: &Reference) -> Option<Diagnostic> {
    let name = &reference.name;
    let Some(target) = whole.backend(name) else {
        let names = whole.proxies.iter().filter(|d| d.has_back());
        let error = missing(reference, "backend", names.map(|d| d.proxy.name.as_str()));
        return Some(match whole.frontend(name) {
            Some(other) => error.also(other.proxy.place.0, "this is a frontend: it has no servers"),
            None => error,
        });
    };
    if std::ptr::eq(target, draft) {
        return Some(
            Diagnostic::error(
                "E1023",
                reference.span,
                format!("`{}` leads to the section that it stands in", reference.by),
            )
            .label("a loop"),
        );
    }
    if target.proxy.mode == draft.proxy.mode {
        return None;
    }
    let (own, other) = (draft.proxy.mode, target.proxy.mode);
    if own == Mode::Tcp {
        let what = format!("a backend in `mode http` (`{name}`) behind `mode tcp`");
        let error = not_yet(reference.span, &what);
        return Some(error.also(target.proxy.place.0, "defined here"));
    }
    Some(
        Diagnostic::error(
            "E1024",
            reference.span,
            format!(
                "`{name}` is in mode {}, this section in mode {}",
                other.word(),
                own.word()
            ),
        )
        .label("both must have the same `mode`")
        .also(target.proxy.place.0, "defined here"),
    )
}

fn server<'a>(
    whole: &Whole<'a>,
    draft: &'a Draft,
    reference: &Reference,
) -> Result<Arc<Server>, Diagnostic> {
    let wanted = server_ref(&reference.name);
    let section = if wanted.backend.is_empty() {
        draft
    } else {
        whole.backend(&wanted.backend).ok_or_else(|| {
            let names = whole.proxies.iter().filter(|d| d.has_back());
            let near = suggest::nearest(&wanted.backend, names.map(|d| d.proxy.name.as_str()));
            no_server(reference, near.map(|n| format!("{n}/{}", wanted.server)))
        })?
    };
    let servers = || section.proxy.back.iter().flat_map(|back| &back.servers);
    if let Some(found) = servers().find(|server| server.name == wanted.server) {
        return Ok(Arc::clone(found));
    }
    let others = servers().filter(|server| !stands_on_line_of(server, reference, servers()));
    let near = suggest::nearest(&wanted.server, others.map(|s| s.name.as_str()));
    let near = near.map(|n| match wanted.backend.as_str() {
        "" => n.to_owned(),
        backend => format!("{backend}/{n}"),
    });
    Err(no_server(reference, near))
}

/// A server cannot be meant by the line that describes it: the last one ahead of the reference.
fn stands_on_line_of<'s>(
    server: &Server,
    reference: &Reference,
    mut servers: impl Iterator<Item = &'s Arc<Server>>,
) -> bool {
    let ahead = |s: &Server| {
        let place = s.place.0;
        place.file == reference.span.file && place.end <= reference.span.start
    };
    let later = |s: &Arc<Server>| ahead(s) && s.place.0.start > server.place.0.start;
    reference.by == "track" && ahead(server) && !servers.any(later)
}

fn no_server(reference: &Reference, near: Option<String>) -> Diagnostic {
    let error = Diagnostic::error(
        "E1010",
        reference.span,
        format!(
            "`{}`: there is no server `{}`",
            reference.by, reference.name
        ),
    );
    match near {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error.label("no server has this name"),
    }
}

/// A tracked server must be checked, or track one that is.
fn tracked(
    whole: &Whole<'_>,
    draft: &Draft,
    reference: &Reference,
    server: &Server,
) -> Option<Diagnostic> {
    let unchecked = || {
        Diagnostic::error(
            "E1025",
            reference.span,
            format!("`{}` cannot be tracked: it has no checks", reference.name),
        )
        .also(server.place.0, "add `check` here")
    };
    let mut current = server.clone();
    for _ in 0..64 {
        if current.check.enabled {
            return None;
        }
        let Some(next) = &current.track else {
            return Some(unchecked());
        };
        let section = match next.backend.as_str() {
            "" => Some(draft),
            name => whole.backend(name),
        };
        let servers = section
            .and_then(|d| d.proxy.back.as_ref())
            .map(|b| &b.servers);
        let found = servers.and_then(|list| list.iter().find(|s| s.name == next.server));
        match found {
            Some(found) => current = (**found).clone(),
            None => return None,
        }
    }
    Some(
        Diagnostic::error(
            "E1023",
            reference.span,
            format!("tracking `{}` goes round in a circle", reference.name),
        )
        .label("a loop"),
    )
}
