//! Evenkeel's AMQP 0-9-1 broker.
//!
//! [`core`] is the engine, free of I/O. Around it: the core thread with its sockets, the store, the management
//! interface and the command line.

pub mod admin;
mod allocator;
mod certificate_name;
mod certificates;
mod client;
mod command;
pub mod config;
pub mod core;
mod core_thread;
mod ctl;
pub mod data;
pub mod handle;
mod listeners;
mod log;
pub mod management;
pub mod node;
mod own_commit;
mod pressure;
mod proxy_protocol;
pub mod run;
pub mod store;
mod tls;
mod verifier;

pub use command::{command, server};
pub use core_thread::Seat;
pub use ctl::{ctl, ctl_commands, diagnostics, plugins, queues, streams, upgrade};
