//! The balancer's language: haproxy.cfg as HAProxy reads it.

pub mod codes;
pub mod model;

pub use codes::CODES;
pub use model::*;

/// What `version_atleast()` compares with and statistics show: HAProxy 2.6's
/// language plus what is documented as newer.
pub const VERSION: &str = "2.6.12";
