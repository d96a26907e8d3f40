//! Rules about the configuration as a whole, after every line was read.

use super::draft::Draft;
use super::global::GlobalDraft;
use super::model::Userlist;
use crate::diagnostic::Report;

/// Checks everything and adds the findings.
pub(super) fn check(
    _global: &GlobalDraft,
    _proxies: &[Draft],
    _userlists: &[Userlist],
    _report: &mut Report,
) {
}
