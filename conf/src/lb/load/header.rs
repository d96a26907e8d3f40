//! Headers: which section begins, what it is called, which defaults it has.

use super::{Loader, Section};
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use crate::lb::draft::Draft;
use crate::lb::healthcheck::Named;
use crate::lb::model::{Place, ProxyKind, Ring};
use crate::lb::proxy;
use crate::lb::ring::RingDraft;
use crate::lb::userlist::UserlistDraft;
use crate::source::Span;
use crate::suggest;

impl Loader {
    /// Ends the section before and begins this one; a header that is no good begins one that is skipped.
    pub(super) fn open(&mut self, section: &str, words: &[Word]) {
        self.end_section();
        self.section_word = section.to_owned();
        let header = words[0].span.to(words[words.len() - 1].span);
        match section {
            "global" => {
                self.extra(words, 1, "global");
                self.section = Section::Global;
            }
            "defaults" => self.open_defaults(words, header),
            "userlist" => {
                self.extra(words, 2, "userlist");
                self.section = match self.name_of(words, "userlist") {
                    Some(name) => {
                        Section::Userlist(Box::new(UserlistDraft::new(name, Place(header))))
                    }
                    None => Section::Skipped,
                };
            }
            "ring" => self.open_ring(words, header),
            "healthcheck" => self.open_healthcheck(words, header),
            "frontend" => self.open_proxy(ProxyKind::Frontend, words, header),
            "backend" => self.open_proxy(ProxyKind::Backend, words, header),
            _ => self.open_proxy(ProxyKind::Listen, words, header),
        }
    }

    fn extra(&mut self, words: &[Word], from: usize, section: &str) {
        if let Some(word) = words.get(from) {
            self.report.push(
                Diagnostic::error(
                    "E0004",
                    word.span,
                    format!("`{section}` takes no more than this"),
                )
                .label(format!("`{}` is too much", word.text)),
            );
        }
    }

    fn name_of(&mut self, words: &[Word], section: &str) -> Option<String> {
        let Some(word) = words.get(1) else {
            self.report.push(
                Diagnostic::error(
                    "E0003",
                    words[0].span.after(),
                    format!("`{section}` needs a name"),
                )
                .label("a name is missing here"),
            );
            return None;
        };
        if let Err(e) = proxy::server::bad_character(word) {
            self.report.push(e);
        }
        Some(word.text.clone())
    }

    /// `from <defaults>` behind a section's name.
    fn base(&mut self, words: &[Word], at: usize, section: &str) -> Option<Box<Draft>> {
        if words.get(at).is_none_or(|w| w.text != "from") {
            self.extra(words, at, section);
            return self.defaults.clone();
        }
        self.extra(words, at + 2, section);
        let Some(name) = words.get(at + 1) else {
            self.report.push(
                Diagnostic::error("E0003", words[at].span.after(), "`from` needs a name")
                    .label("the name of a `defaults` section is missing here"),
            );
            return None;
        };
        let mut found = self
            .named_defaults
            .iter()
            .filter(|d| d.proxy.name == name.text);
        if let Some(first) = found.next() {
            if let Some(second) = found.next() {
                let places = (first.proxy.place.0, second.proxy.place.0);
                self.report.push(ambiguous(name, places));
            }
            return Some(Box::new(first.clone()));
        }
        let names: Vec<_> = self.named_defaults.iter().map(|d| &d.proxy.name).collect();
        let near = suggest::nearest(&name.text, names.iter().map(|n| n.as_str()));
        let error = Diagnostic::error(
            "E1010",
            name.span,
            format!("there is no `defaults` section named `{}`", name.text),
        )
        .label(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not defined ahead of this line".to_owned(),
        })
        .maybe_suggest(name.span, near);
        self.report.push(error);
        None
    }

    fn heir(
        &mut self,
        (base, named): (&Draft, bool),
        kind: Option<ProxyKind>,
        name: &str,
        header: Span,
    ) -> Draft {
        let refusal = self.heirs.add(base, kind, header);
        self.report.diagnostics.extend(refusal);
        let note = self.heirs.uses(base, named, header);
        self.report.diagnostics.extend(note);
        base.from_defaults(kind, name, header)
    }

    fn open_defaults(&mut self, words: &[Word], header: Span) {
        let (name, at) = match words.get(1) {
            Some(word) if word.text != "from" => (word.text.clone(), 2),
            _ => (String::new(), 1),
        };
        if let Some(word) = words.get(1).filter(|_| !name.is_empty())
            && let Err(e) = proxy::server::bad_character(word)
        {
            self.report.push(e);
        }
        let has_from = words.get(at).is_some_and(|w| w.text == "from");
        let base = if has_from {
            self.base(words, at, "defaults")
        } else {
            self.extra(words, at, "defaults");
            None
        };
        let mut draft = match base {
            Some(base) => self.heir((&base, true), None, &name, header),
            None => Draft::new(None, &name, header),
        };
        draft.around = self.global.surroundings();
        self.section = Section::Proxy(Box::new(draft));
    }

    fn open_proxy(&mut self, kind: ProxyKind, words: &[Word], header: Span) {
        let Some(name) = self.name_of(words, kind.word()) else {
            self.section = Section::Skipped;
            return;
        };
        let base = self.base(words, 2, kind.word());
        let named = words.get(2).is_some();
        let mut draft = match base {
            Some(base) => self.heir((&base, named), Some(kind), &name, header),
            None => Draft::new(Some(kind), &name, header),
        };
        draft.around = self.global.surroundings();
        self.section = Section::Proxy(Box::new(draft));
    }

    /// What only a section with clients and servers holds, in `defaults`: its header is missing.
    pub(super) fn lacks_header(&self, word: &Word) -> bool {
        let defaults = matches!(&self.section, Section::Proxy(draft) if draft.kind.is_none());
        defaults && matches!(word.text.as_str(), "bind" | "server")
    }

    /// Tells once that a header is missing, and goes on as if it were there.
    pub(super) fn open_unnamed(&mut self, word: &Word) {
        let text = format!("`{}` not allowed in a `defaults` section", word.text);
        let line = self.report.sources.position(word.span).line;
        self.report.push(
            Diagnostic::error("E1005", word.span, text)
                .label("is a line `listen <name>` missing ahead of this one?")
                .help("the lines that follow are read as those of a `listen` section"),
        );
        self.end_section();
        self.section_word = "listen".to_owned();
        let name = format!("unnamed:{line}");
        let draft = match self.defaults.clone() {
            Some(base) => base.from_defaults(Some(ProxyKind::Listen), &name, word.span),
            None => Draft::new(Some(ProxyKind::Listen), &name, word.span),
        };
        self.section = Section::Proxy(Box::new(draft));
        if let Section::Proxy(draft) = &mut self.section {
            draft.around = self.global.surroundings();
        }
    }

    fn open_ring(&mut self, words: &[Word], header: Span) {
        self.extra(words, 2, "ring");
        self.section = match self.name_of(words, "ring") {
            Some(name) => Section::Ring(Box::new(RingDraft {
                ring: Ring {
                    name,
                    place: Place(header),
                    ..Ring::default()
                },
                env: self.global.env.clone(),
                ..RingDraft::default()
            })),
            None => Section::Skipped,
        };
    }

    fn open_healthcheck(&mut self, words: &[Word], header: Span) {
        self.extra(words, 2, "healthcheck");
        self.section = match self.name_of(words, "healthcheck") {
            Some(name) => {
                let mut draft = Draft::new(Some(ProxyKind::Backend), &name, header);
                draft.around = self.global.surroundings();
                Section::HealthCheck(Box::new(Named { name, draft }))
            }
            None => Section::Skipped,
        };
    }
}

/// Two sections of defaults have the name, and a header names it.
fn ambiguous(name: &Word, (first, second): (Span, Span)) -> Diagnostic {
    Diagnostic::error(
        "E1012",
        name.span,
        format!("two `defaults` sections are named `{}`", name.text),
    )
    .label("which one is meant?")
    .also(first, "one is here")
    .also(second, "another one is here")
}
