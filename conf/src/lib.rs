//! The configuration languages of Evenkeel: text in, a validated typed
//! configuration or diagnostics out.
//!
//! Three languages share one engine: the haproxy-style language of the
//! balancer ([`lb`]), the keepalived-style language of the VRRP daemon
//! ([`vip`]) and the broker's `broker.toml` / `rabbitmq.conf` ([`broker`]).
//! The engine is [`source`] (files and spans), [`diagnostic`] (what went wrong
//! and where), [`keyword`] (tables of keywords) and [`suggest`]
//! (did-you-mean). Not here: sockets, clocks, threads, anything a daemon does.

pub mod broker;
pub mod code;
pub mod diagnostic;
pub mod keyword;
pub mod lb;
pub mod source;
pub mod suggest;
pub mod vip;
