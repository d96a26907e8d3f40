//! The HTTP server: sockets, limits, and the way of a request to its answer.

use super::caller::Caller;
use super::reply::Reply;
use super::request::{Method, Request};
use super::state::{Listener, Management};
use super::{metrics, page, route};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections served at a time on one listener.
const CONNECTIONS: usize = 1000;
/// Bytes of a request's body at most: a definitions file of tens of thousands of queues.
const BODY_MAX: usize = 64 << 20;
/// Time for a request's head, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// API, page and metrics.
    Full,
    /// Metrics, without a login.
    Metrics,
}

/// Binds a listener; the address is the one that was bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        // the wildcard serves IPv4 too, as operators expect of a port
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Says that a listener is open.
pub fn announce(management: &Management, service: Service, address: SocketAddr) {
    let (protocol, purpose) = match service {
        Service::Full => ("http", "HTTP API"),
        Service::Metrics => ("http/prometheus", "Prometheus exporter API over HTTP"),
    };
    management.add_listener(Listener {
        protocol,
        purpose,
        address,
    });
    let what = match service {
        Service::Full => "management",
        Service::Metrics => "metrics",
    };
    println!("{what} on {address}");
    tracing::info!(%address, protocol, "listening");
}

/// Accepts until the task is dropped.
pub async fn serve(management: Arc<Management>, listener: TcpListener, service: Service) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // a permit first: at the limit new connections wait in the backlog
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "management: accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let management = management.clone();
        tokio::spawn(async move {
            let _slot = slot;
            let _ = stream.set_nodelay(true);
            let loopback = peer.ip().to_canonical().is_loopback();
            let answer = service_fn(move |request| {
                let management = management.clone();
                async move { Ok::<_, Infallible>(respond(management, request, service, loopback).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(64 * 1024)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
            if let Err(error) = served {
                tracing::debug!(%peer, %error, "management connection ended");
            }
        });
    }
}

async fn respond(
    management: Arc<Management>,
    request: hyper::Request<Incoming>,
    service: Service,
    loopback: bool,
) -> hyper::Response<Full<Bytes>> {
    let is_head = request.method() == hyper::Method::HEAD;
    let reply = handle(&management, request, service, loopback).await;
    let reply = reply.unwrap_or_else(|early| early);
    on_the_wire(reply, is_head)
}

async fn handle(
    management: &Management,
    request: hyper::Request<Incoming>,
    service: Service,
    loopback: bool,
) -> Result<Reply, Reply> {
    let target = request
        .uri()
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let word = request.method().clone();
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (authorization, reason) = (header("authorization"), header("x-reason"));
    let accept = header("accept");
    let parsed = |method, body| Request::new(method, &target, body).ok_or_else(Reply::malformed);
    let path = parsed(Method::Get, Bytes::new())?;
    if word == hyper::Method::OPTIONS {
        let allowed = route::allowed(&path).ok_or_else(Reply::not_found)?;
        return Ok(Reply::options(allowed));
    }
    if let Some(reply) = metrics::serve(management, &path).await {
        return reply;
    }
    if service == Service::Metrics {
        return Err(Reply::not_found());
    }
    if path.path.first().is_none_or(|p| p != "api") {
        return page::serve(&path);
    }
    let method = match word {
        hyper::Method::GET | hyper::Method::HEAD => Method::Get,
        hyper::Method::PUT => Method::Put,
        hyper::Method::POST => Method::Post,
        hyper::Method::DELETE => Method::Delete,
        _ => return Err(route::not_allowed(&path)),
    };
    if let Some(refused) = route::refused_method(&parsed(method, Bytes::new())?) {
        return Err(refused);
    }
    if route::is_public(&path) {
        return route::answer(
            management,
            &Caller::default(),
            &parsed(method, Bytes::new())?,
        )
        .await;
    }
    // nobody can make the server read a large body without logging in first
    let caller = management.login(authorization.as_deref(), loopback).await?;
    if accept.is_some_and(|accept| !takes_json(&accept)) {
        let reason = "the interface answers in application/json";
        return Err(Reply::error(406, "not_acceptable", reason));
    }
    let body = read_body(request.into_body()).await?;
    let mut request = parsed(method, body)?;
    request.reason = reason;
    route::answer(management, &caller, &request).await
}

/// Whether a client that says what it takes takes JSON.
fn takes_json(accept: &str) -> bool {
    let kinds = accept.split(',').filter_map(|kind| kind.split(';').next());
    kinds
        .map(str::trim)
        .any(|kind| ["*/*", "application/*", "application/json", ""].contains(&kind))
}

async fn read_body(body: Incoming) -> Result<Bytes, Reply> {
    if hyper::body::Body::size_hint(&body).lower() > BODY_MAX as u64 {
        return Err(Reply::too_large());
    }
    let collected =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Reply::too_large()),
        Ok(Err(_)) => Err(Reply::bad_request("the body ended early")),
        Err(_) => Err(Reply::error(
            408,
            "timeout",
            "the body did not come in time",
        )),
    }
}

/// The answer with the headers that every answer has.
pub fn on_the_wire(reply: Reply, is_head: bool) -> hyper::Response<Full<Bytes>> {
    let mut builder = hyper::Response::builder()
        .status(reply.status)
        .header("content-security-policy", page::POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .header("vary", "origin");
    if let Some(content_type) = reply.content_type {
        builder = builder.header("content-type", content_type);
    }
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    let length = reply.body.len();
    let body = match is_head {
        true => {
            builder = builder.header("content-length", length);
            Bytes::new()
        }
        false => reply.body,
    };
    builder.body(Full::new(body)).unwrap_or_else(|_| {
        // a header value with a line feed; nothing else can fail here
        let mut broken = hyper::Response::new(Full::new(Bytes::new()));
        *broken.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        broken
    })
}
