//! The TCP load balancer: reads an haproxy-style configuration and acts on it.
//!
//! `core` decides; everything beside it acts.

pub mod access_log;
pub mod admin;
pub mod batch;
pub mod command;
pub mod console;
pub mod convert;
pub mod core;
pub mod counters;
pub mod daemon;
pub mod data_path;
pub mod diff;
pub mod dump;
pub mod ebb;
pub mod facts;
pub mod fork;
pub mod http;
pub mod keeper;
pub mod listener;
pub mod listing;
pub mod live_check;
pub mod loading;
pub mod master;
pub mod master_cli;
pub mod options;
pub mod probe;
pub mod process;
pub mod rebalance;
pub mod relay;
pub mod reload;
pub mod run;
pub mod saved;
pub mod session;
pub mod signals;
pub mod splice;
pub mod state;
pub mod stats;
pub mod sys;
pub mod takeover;
pub mod tcp_info;
pub mod trace;
pub mod unix_file;
pub mod uring;
pub mod version;
pub mod wheel;
pub mod worker;

pub use command::command;
