//! Who may start from a `defaults` section that has rules. A rule runs on one side, so such a
//! section is for proxies of one kind.

use super::draft::Draft;
use super::model::ProxyKind;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The kind of proxies that start from each `defaults` section with rules, by the first of them.
#[derive(Default)]
pub(super) struct Heirs {
    first: Vec<Heir>,
    /// Who used a section first, and whether by its name.
    uses: Vec<(Span, bool, Span)>,
}

struct Heir {
    defaults: Span,
    kind: ProxyKind,
    header: Span,
}

impl Heirs {
    /// The note about a section that starts from these defaults by `from` (`named`) while another
    /// one does by its place, or the other way round.
    pub(super) fn uses(
        &mut self,
        defaults: &Draft,
        named: bool,
        header: Span,
    ) -> Option<Diagnostic> {
        let place = defaults.proxy.place.0;
        let Some((_, first_named, first)) = self.uses.iter().find(|(d, ..)| *d == place) else {
            self.uses.push((place, named, header));
            return None;
        };
        if *first_named == named {
            return None;
        }
        let name = &defaults.proxy.name;
        let text = format!("`defaults {name}` is used by its name here and by its place there");
        let (here, there) = match named {
            true => ("by its name", "by its place"),
            false => ("by its place", "by its name"),
        };
        Some(
            Diagnostic::note("E1041", header, text)
                .label(here)
                .also(*first, there),
        )
    }

    /// The refusal of a section (`None`: another `defaults`) that starts from these defaults.
    pub(super) fn add(
        &mut self,
        defaults: &Draft,
        kind: Option<ProxyKind>,
        header: Span,
    ) -> Option<Diagnostic> {
        let rule = first_rule(defaults)?;
        let Some(kind) = kind.filter(|kind| *kind != ProxyKind::Listen) else {
            let section = kind.map_or("defaults", ProxyKind::word);
            return Some(refusal(section, "rules", header, rule));
        };
        let place = defaults.proxy.place.0;
        if let Some(first) = self.first.iter().find(|heir| heir.defaults == place) {
            return (first.kind != kind).then(|| mixed(header, first, rule));
        }
        if let Some((rules, rule)) = of_other_side(defaults, kind) {
            return Some(refusal(kind.word(), rules, header, rule));
        }
        self.first.push(Heir {
            defaults: place,
            kind,
            header,
        });
        None
    }
}

fn first_rule(draft: &Draft) -> Option<Span> {
    let (front, back, http) = (&draft.proxy.front, &draft.proxy.back, &draft.proxy.http);
    let front = front.iter().flat_map(|f| {
        let lists = [&f.connection_rules, &f.session_rules, &f.content_rules];
        lists.into_iter().flatten()
    });
    let back = back.iter().flat_map(|b| &b.response_rules);
    let tcp = front.chain(back).map(|rule| rule.place.0);
    let http = http.request_rules.iter().chain(&http.response_rules);
    tcp.chain(http.map(|rule| rule.place.0))
        .min_by_key(|span| span.start)
}

/// Rules that proxies of this kind never run.
fn of_other_side(draft: &Draft, kind: ProxyKind) -> Option<(&'static str, Span)> {
    let front = draft.proxy.front.as_ref()?;
    let (name, rule) = match kind {
        ProxyKind::Backend => {
            let mut rules = front.connection_rules.iter().chain(&front.session_rules);
            let name = "`tcp-request connection` or `tcp-request session` rules";
            (name, rules.next()?)
        }
        ProxyKind::Frontend => {
            let rules = &draft.proxy.back.as_ref()?.response_rules;
            ("`tcp-response content` rules", rules.first()?)
        }
        ProxyKind::Listen => return None,
    };
    Some((name, rule.place.0))
}

fn refusal(section: &str, rules: &str, header: Span, rule: Span) -> Diagnostic {
    let text = format!("a `{section}` section cannot start from a `defaults` section with {rules}");
    refused(text, header)
        .also(rule, "a rule in the defaults")
        .help("write the rules into the sections that need them")
}

fn mixed(header: Span, first: &Heir, rule: Span) -> Diagnostic {
    let text = "frontends and backends cannot start from the same `defaults` section with rules";
    refused(text.to_owned(), header)
        .also(first.header, "starts from it, too")
        .also(rule, "a rule in the defaults")
        .help("give frontends and backends `defaults` sections of their own, named behind `from`")
}

fn refused(text: String, header: Span) -> Diagnostic {
    Diagnostic::error("E1040", header, text).label("starts from it")
}
