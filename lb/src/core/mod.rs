//! Pure decisions of the balancer: time, randomness and bytes come as arguments.

pub mod balance;
pub mod expr;
pub mod health;
pub mod proxy_protocol;
pub mod queue;
pub mod rules;
pub mod server;
