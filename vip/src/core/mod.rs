//! What the daemon decides, without a clock, a socket or a file: packets,
//! states, priorities, groups. Everything here is a function of its arguments.
//!
//! RFC 9568 says Active; notify scripts and the status say MASTER, as their
//! users expect. Inside, the word is Active.

pub mod advert;
pub mod ah;
pub mod cause;
pub mod connections;
pub mod group;
pub mod heartbeat;
pub mod pace;
pub mod router;
pub mod time;
pub mod track;

pub use advert::{Advert, Heard, Refusal};
pub use cause::{Cause, Evidence};
pub use router::{Action, Event, Phase, Router, Settings};
pub use time::Time;
