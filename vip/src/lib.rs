//! The VRRP daemon: reads keepalived's configuration, keeps virtual addresses
//! on exactly one of several hosts, and moves them without an outage.
//!
//! `core` decides; everything beside it acts.

pub mod core;
