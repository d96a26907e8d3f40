//! The keepalived-style language of the VRRP daemon.
//!
//! [`load`] reads a file with what it includes and gives a [`model::Config`]
//! or diagnostics. Not here: interfaces, users and files of the host; the
//! daemon checks those when it starts.

pub mod codes;
pub mod model;

pub use codes::CODES;
pub use model::Config;
