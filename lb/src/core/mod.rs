//! Pure decisions of the balancer: time, randomness and bytes come as arguments.

pub mod balance;
pub mod health;
pub mod proxy_protocol;
pub mod queue;
pub mod server;
