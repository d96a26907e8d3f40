//! Rules about the configuration as a whole, after every line was read.

mod evaluated;
mod modes;
mod names;
mod references;
mod servers;
mod traps;
mod warnings;

use super::draft::Draft;
use super::global::GlobalDraft;
use super::healthcheck::Named;
use super::model::{Ring, Userlist};
use crate::diagnostic::{Report, Severity};
use crate::source::Span;
use std::collections::BTreeSet;

/// What the rules look at.
pub(super) struct Whole<'a> {
    pub(super) global: &'a GlobalDraft,
    /// Every proxy; those that are `disabled` are not checked themselves.
    pub(super) proxies: &'a [Draft],
    pub(super) userlists: &'a [Userlist],
    pub(super) rings: &'a [Ring],
    pub(super) healthchecks: &'a [Named],
}

impl<'a> Whole<'a> {
    /// Those that run.
    fn running(&self) -> impl Iterator<Item = &'a Draft> + use<'a> {
        self.proxies.iter().filter(|d| !d.proxy.disabled)
    }

    /// The proxy that sessions can be sent to by this name.
    fn backend(&self, name: &str) -> Option<&'a Draft> {
        self.proxies
            .iter()
            .find(|d| d.proxy.name == name && d.has_back())
    }

    /// The proxy with clients of this name.
    fn frontend(&self, name: &str) -> Option<&'a Draft> {
        self.proxies
            .iter()
            .find(|d| d.proxy.name == name && d.has_front())
    }
}

/// Checks everything and adds the findings.
pub(super) fn check(whole: &Whole<'_>, report: &mut Report) {
    let mut found = Vec::new();
    names::check(whole, &mut found);
    references::check(whole, &mut found);
    servers::check(whole, &mut found);
    modes::check(whole, &mut found);
    evaluated::check(whole, &mut found);
    // a timeout that was refused is not also missing
    if !report.has_errors() {
        warnings::timeouts(whole, &mut found);
    }
    warnings::check(whole, &mut found);
    traps::check(whole, &mut found);
    // what stands in defaults is found once for each section that uses them
    let mut seen = BTreeSet::new();
    found.retain(|d| {
        let place = d.primary.as_ref().map(|l| key(l.span));
        let message = match d.severity {
            Severity::Note => String::new(),
            Severity::Warning | Severity::Error => d.message.clone(),
        };
        seen.insert((d.code, message, place))
    });
    report.diagnostics.append(&mut found);
}

fn key(span: Span) -> (u32, u32) {
    (span.start, span.end)
}
