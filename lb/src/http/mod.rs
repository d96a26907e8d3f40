//! `mode http`: HTTP/1.1 with keep-alive on both sides, the statistics page, monitors.
//!
//! Data threads accept the connections and hand them over ([`Gate`]); from there each is a task of
//! the control runtime:
//!
//! ```text
//! await    a request's head, in time and in form          -> answer | route
//! answer   monitor, rules, statistics: made here          -> log
//! route    the backend, a server's slot, a connection     -> pass
//! pass     request and answer, both ways at once          -> log
//! log      and await the next request
//! ```
//!
//! Every early end carries whose side ended it at which step; the log line prints exactly that.

pub mod answer;
pub mod body;
mod captures;
mod client;
mod draft;
pub mod exporter;
mod form;
mod forward;
mod gate;
pub mod head;
mod pages;
mod readers;
mod rules;
mod service;
mod stream;
mod upstream;

pub use gate::Gate;
