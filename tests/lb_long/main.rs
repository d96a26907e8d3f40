//! Tests of the balancer that mostly wait: they wait side by side here.

#[path = "../kit/mod.rs"]
mod kit;

mod amqp_check;
mod growth;
mod rebalance;
