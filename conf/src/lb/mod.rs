//! The balancer's language: haproxy.cfg as HAProxy reads it.
//!
//! [`load`] reads files into [`Config`] and a report. One keyword is one row
//! of a table ([`proxy`], [`global`], [`userlist`]); [`post`] holds the rules
//! about the whole.

pub mod acl;
pub mod address;
mod branch;
pub mod call;
pub mod codes;
pub mod condition;
pub mod draft;
pub mod dynamic;
pub mod env;
mod finish;
pub mod format;
pub mod global;
pub mod healthcheck;
mod heirs;
pub mod known;
mod lines;
mod load;
pub mod messages;
pub mod model;
mod post;
pub mod predicate;
pub mod proxy;
pub mod reference;
mod resolve;
pub mod ring;
pub mod sample;
pub mod userlist;
pub mod value;
pub mod words;

pub use codes::CODES;
pub use env::Env;
pub use finish::fill_fullconn;
pub use global::variables::process_variable;
pub use load::text_of;
pub use load::{SECTIONS, load, load_str, load_texts};
pub use messages::Voice;
pub use model::*;
pub use resolve::{ResolveOptions, Resolver, resolve};

/// What `version_atleast()` compares with and statistics show: the version of
/// HAProxy whose language this is.
pub const VERSION: &str = "2.6.12";
