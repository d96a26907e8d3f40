//! Pure decisions of the balancer: time, randomness and bytes come as arguments.

pub mod agent;
pub mod amqp_frames;
pub mod balance;
pub mod expr;
pub mod farewell;
pub mod health;
pub mod order;
pub mod proxy_protocol;
pub mod queue;
pub mod rebalance;
pub mod rules;
pub mod server;
