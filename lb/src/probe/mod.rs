//! Health checks: one thread with its own poller runs all of them.
//!
//! `engine` keeps the timetable, `attempt` is one check's connection,
//! `dialogue` and the modules behind it decide what is said and what the
//! answers mean, `verdict` passes results on to the state. The arithmetic of
//! rise and fall is in [`crate::core::health`].

mod agent;
mod amqp;
mod amqp_wire;
mod attempt;
mod dialogue;
mod engine;
mod expect;
mod external;
mod http_answer;
mod mysql;
mod observe;
mod plan;
mod script;
mod text;
mod verdict;

pub use engine::{Prober, start};
pub use observe::observed;
pub use verdict::Teller;
