//! Keywords of `defaults`, `listen`, `frontend` and `backend`, by subject.

pub mod actions;
pub mod balance;
pub mod bind;
pub mod check_kinds;
pub mod check_rules;
pub mod checks;
pub mod general;
pub mod http;
pub mod logging;
pub mod options;
pub mod rebalance;
pub mod rules;
pub mod server;
pub mod server_options;
pub mod stats;
pub mod timeouts;

use super::draft::Draft;
use crate::keyword::Keyword;

/// Which side of a proxy a keyword belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Either.
    Both,
    /// `frontend`, `listen`.
    Front,
    /// `backend`, `listen`.
    Back,
}

/// All tables with the side that they belong to and their heading.
pub static TABLES: &[(Side, &str, &[Keyword<Draft>])] = &[
    (Side::Both, "General", general::BOTH),
    (Side::Front, "General", general::FRONT),
    (Side::Back, "General", general::BACK),
    (Side::Front, "Listening addresses", bind::KEYWORDS),
    (Side::Front, "Timeouts", timeouts::FRONT),
    (Side::Back, "Timeouts", timeouts::BACK),
    (Side::Both, "Timeouts", timeouts::BOTH),
    (Side::Back, "Choice of a server", balance::BACK),
    (Side::Both, "ACLs and rules", rules::BOTH),
    (Side::Front, "ACLs and rules", rules::FRONT),
    (Side::Back, "ACLs and rules", rules::BACK),
    (Side::Back, "Servers", server::KEYWORDS),
    (Side::Back, "Moving sessions", rebalance::BACK),
    (Side::Back, "Health checks", checks::BACK),
    (Side::Back, "Health checks", check_kinds::BACK),
    (Side::Both, "Logging", logging::BOTH),
    (Side::Front, "Logging", logging::FRONT),
    (Side::Both, "Options", options::BOTH),
    (Side::Front, "Options", options::FRONT),
    (Side::Back, "Options", options::BACK),
    (Side::Both, "Statistics page", stats::BOTH),
    (Side::Both, "HTTP", http::BOTH),
    (Side::Front, "HTTP", http::FRONT),
];
