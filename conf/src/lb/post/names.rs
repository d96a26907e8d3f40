//! Names and numbers that must be different.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::model::{Bind, Server};

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for (index, draft) in whole.proxies.iter().enumerate() {
        let earlier = &whole.proxies[..index];
        proxy_name(draft, earlier, found);
        proxy_id(draft, earlier, found);
        binds(draft, found);
        servers(draft, found);
    }
    sections(whole, found);
    for (index, list) in whole.userlists.iter().enumerate() {
        let same = whole.userlists[..index]
            .iter()
            .find(|l| l.name == list.name);
        if let Some(first) = same {
            found.push(
                twice(list.place.0, "userlist", &list.name).also(first.place.0, "the first one"),
            );
        }
    }
}

fn sections(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for (index, ring) in whole.rings.iter().enumerate() {
        let mut earlier = whole.rings[..index].iter();
        if let Some(first) = earlier.find(|r| r.name == ring.name) {
            found
                .push(twice(ring.place.0, "ring", &ring.name).also(first.place.0, "the first one"));
        }
    }
    for (index, named) in whole.healthchecks.iter().enumerate() {
        let mut earlier = whole.healthchecks[..index].iter();
        if let Some(first) = earlier.find(|n| n.name == named.name) {
            found.push(
                twice(named.draft.proxy.place.0, "healthcheck", &named.name)
                    .also(first.draft.proxy.place.0, "the first one"),
            );
        }
    }
}

fn twice(span: crate::source::Span, what: &str, name: &str) -> Diagnostic {
    Diagnostic::error(
        "E1012",
        span,
        format!("{what} `{name}` has the same name as another one"),
    )
    .label("the second one of this name")
}

/// A frontend and a backend may share a name; a listen section is both.
fn proxy_name(draft: &Draft, earlier: &[Draft], found: &mut Vec<Diagnostic>) {
    let clash = |other: &&Draft| {
        other.proxy.name == draft.proxy.name
            && ((other.has_front() && draft.has_front()) || (other.has_back() && draft.has_back()))
    };
    if let Some(first) = earlier.iter().find(clash) {
        found.push(
            twice(draft.proxy.place.0, draft.word(), &draft.proxy.name)
                .also(first.proxy.place.0, "the first one"),
        );
    }
}

fn proxy_id(draft: &Draft, earlier: &[Draft], found: &mut Vec<Diagnostic>) {
    let same = |other: &&Draft| other.proxy.id_forced && other.proxy.id == draft.proxy.id;
    if !draft.proxy.id_forced {
        return;
    }
    if let Some(first) = earlier.iter().find(same) {
        found.push(
            Diagnostic::error(
                "E1012",
                draft.proxy.place.0,
                format!(
                    "`{}` reuses id {} of another proxy",
                    draft.proxy.name, draft.proxy.id
                ),
            )
            .also(first.proxy.place.0, "has the same `id`"),
        );
    }
}

fn binds(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let binds = draft.proxy.front.as_ref().map_or(&[][..], |f| &f.binds);
    for (index, bind) in binds.iter().enumerate() {
        let same = |other: &&Bind| other.id == bind.id && other.place.0 != bind.place.0;
        let Some(id) = bind.id else {
            continue;
        };
        if let Some(first) = binds[..index].iter().find(same) {
            found.push(
                Diagnostic::error(
                    "E1012",
                    bind.place.0,
                    format!("this address reuses id {id}"),
                )
                .also(first.place.0, "has the same `id`"),
            );
        }
    }
}

fn servers(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let Some(back) = draft.proxy.back.as_ref() else {
        return;
    };
    for (index, server) in back.servers.iter().enumerate() {
        let earlier = &back.servers[..index];
        if let Some(first) = earlier.iter().find(|s| s.name == server.name) {
            found.push(
                twice(server.place.0, "server", &server.name)
                    .also(first.place.0, "the first one")
                    .help("statistics, logs and commands tell servers apart by their names"),
            );
        }
        let same = |s: &&std::sync::Arc<Server>| s.id_forced && s.id == server.id;
        if let Some(first) = earlier.iter().find(same).filter(|_| server.id_forced) {
            found.push(
                Diagnostic::error(
                    "E1012",
                    server.place.0,
                    format!("server `{}` reuses id {}", server.name, server.id),
                )
                .also(first.place.0, "has the same `id`"),
            );
        }
    }
}
