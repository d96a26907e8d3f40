//! Pure decisions of the balancer: time, randomness and bytes come as arguments.

pub mod health;
pub mod queue;
pub mod server;
