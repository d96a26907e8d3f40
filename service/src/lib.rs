//! What every daemon says of itself, in the same words: to systemd
//! ([`Notify`], [`Watchdog`]), the common head of its JSON status and of its
//! Prometheus metrics ([`Identity`]), log lines as JSON ([`JsonLines`]). Not here: what only one daemon has.
//! The words are listed in `docs/watching.md`, and a test holds the list.

mod identity;
mod log;
mod notify;

pub use identity::{Identity, resident_in, resident_memory, series, wall_time};
pub use log::JsonLines;
pub use notify::{Notify, Watchdog};
