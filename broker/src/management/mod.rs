//! The management interface: HTTP API, metrics and web page.
//!
//! It runs on a thread of its own and reads and changes the engine through
//! [`crate::handle::Handle`] only; what it shows is gathered as plain data
//! there and put into words here.

pub mod api;
mod binding_digest;
mod caller;
mod certificate;
pub mod engine;
pub mod flows;
mod history;
mod listing;
mod metrics;
mod numbers;
mod page;
mod properties;
pub mod render;
mod reply;
mod request;
mod route;
pub mod sampler;
mod server;
mod state;
pub mod system;
pub mod view;

pub use caller::Caller;
pub use reply::Reply;
pub use state::{Limits, Listener, Management, NodeFacts, now_ms};

use server::Service;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where to listen, and how often to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// API, page and metrics.
    pub listen: Vec<SocketAddr>,
    /// Metrics only.
    pub prometheus: Vec<SocketAddr>,
    /// Time between looks at the counters.
    pub sample_interval: Duration,
}

/// Serves until the process ends. A port that is taken is reported and the
/// others are served.
pub async fn run(management: Arc<Management>, options: Options) {
    let full = options.listen.iter().map(|at| (Service::Full, *at));
    let metrics = options.prometheus.iter().map(|at| (Service::Metrics, *at));
    for (service, address) in full.chain(metrics) {
        match server::bind(address).await {
            Ok((listener, address)) => {
                server::announce(&management, service, address);
                tokio::spawn(server::serve(management.clone(), listener, service));
            }
            Err(error) => {
                tracing::error!(%address, %error, "management: cannot listen; the broker runs without this listener");
            }
        }
    }
    sample(&management, options.sample_interval).await;
}

async fn sample(management: &Management, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Ok(mut round) = management.with(engine::sample).await else {
            continue;
        };
        let process = system::process();
        round.node.memory = process.memory;
        round.node.files = process.files;
        round.node.sockets = round.connections.len() as u64;
        round.node.disk_free = system::disk_free(&management.facts.data_dir);
        management.sampler().take(round);
    }
}

/// Answers one request of a caller who is known already: the control socket's.
pub async fn ask(
    m: &Management,
    caller: &Caller,
    method: &str,
    path: &str,
    body: &serde_json::Value,
) -> Reply {
    let method = match method {
        "PUT" => request::Method::Put,
        "POST" => request::Method::Post,
        "DELETE" => request::Method::Delete,
        _ => request::Method::Get,
    };
    let body = match body {
        serde_json::Value::Null => Vec::new(),
        body => serde_json::to_vec(body).unwrap_or_default(),
    };
    let Some(request) = request::Request::new(method, path, body.into()) else {
        return Reply::not_found();
    };
    route::answer(m, caller, &request)
        .await
        .unwrap_or_else(|early| early)
}
