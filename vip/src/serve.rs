//! The doors for operators: the admin socket (a line in, a line of JSON out)
//! and the status page, in a thread of their own.

mod guests;

use crate::ask::Ask;
use crate::mailbox::Post;
use crate::metrics;
use crate::options::Options;
use crate::run::ToRouter;
use guests::{Guests, Idle};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tracing::{info, warn};

/// Connections at the same time, of each door; who has been idle longest makes room.
const MOST: usize = 32;
/// Longest line that is read.
const LONGEST: u64 = 4096;
/// How long the router thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may sit idle.
const IDLE: Duration = Duration::from_secs(60);

/// The admin socket's place in the file system; free again when dropped.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds the admin socket and starts the thread. A taken port of the page is reported and
/// not fatal; nor is another daemon at the socket, as there may be with a pid file of its own,
/// nor a folder that takes no socket now: the addresses need none.
pub fn start(
    options: &Options,
    page: Option<SocketAddr>,
    post: Post<ToRouter>,
) -> io::Result<Option<Place>> {
    let path = options.socket();
    let listener = if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        warn!(
            "another daemon answers at {}: no admin socket here; give one of them another `--run-dir`",
            path.display()
        );
        None
    } else {
        bind(&path)
            .inspect_err(|error| warn!(%error, "no admin socket"))
            .ok()
    };
    let place = listener.is_some().then(|| Place(path));
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(4)
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(listener, page, post)),
                Err(error) => warn!(%error, "no status: cannot make a runtime"),
            }
        })?;
    Ok(place)
}

/// A socket that is there is a dead daemon's.
fn bind(path: &Path) -> io::Result<StdUnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _ = std::fs::remove_file(path);
    let listener = StdUnixListener::bind(path).map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot bind the admin socket {}: {e}", path.display()),
        )
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(listener: Option<StdUnixListener>, page: Option<SocketAddr>, post: Post<ToRouter>) {
    if let Some(address) = page {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "status page");
                tokio::spawn(serve_pages(listener, post.clone()));
            }
            Err(error) => {
                warn!(%address, %error, "no status page: set `status_page ADDRESS:PORT` in global_defs to another one, or `status_page off`");
            }
        }
    }
    let listener = match listener.map(UnixListener::from_std) {
        Some(Ok(listener)) => listener,
        Some(Err(error)) => {
            warn!(%error, "no admin socket");
            return std::future::pending().await;
        }
        None => return std::future::pending().await,
    };
    let mut guests = Guests::new(MOST);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let post = post.clone();
        guests.admit(|idle| converse(stream, post, idle));
    }
}

/// Asks the router thread and waits for its answer.
async fn ask(post: &Post<ToRouter>, question: Ask) -> Option<String> {
    let (to, from) = sync_channel(1);
    if !post.send(ToRouter::Ask(question, to)) {
        return None;
    }
    let answer = tokio::task::spawn_blocking(move || from.recv_timeout(PATIENCE).ok());
    answer.await.ok()?
}

async fn converse(stream: UnixStream, post: Post<ToRouter>, idle: Idle) {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(LONGEST);
        let read = tokio::time::timeout(IDLE, limited.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return;
        }
        let answer = match Ask::parse(&line) {
            Some(question) => idle.but(ask(&post, question)).await.unwrap_or_else(|| {
                r#"{"ok":false,"error":"the router thread does not answer"}"#.to_owned()
            }),
            None => r#"{"ok":false,"error":"commands are: status, demote, resume, maintenance, reload"}"#.to_owned(),
        };
        if write
            .write_all(format!("{answer}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn serve_pages(listener: TcpListener, post: Post<ToRouter>) {
    let mut guests = Guests::new(MOST);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let post = post.clone();
        guests.admit(|idle| async move {
            let service = hyper::service::service_fn(move |request| {
                let (post, idle) = (post.clone(), idle.clone());
                async move { idle.but(page(request, post)).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            // a client that goes away is no news
            let _ = tokio::time::timeout(IDLE, connection).await;
        });
    }
}

async fn page(
    request: Request<Incoming>,
    post: Post<ToRouter>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(reply(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET\n".to_owned(),
        ));
    }
    let path = request.uri().path();
    if !matches!(path, "/" | "/status" | "/metrics" | "/healthz") {
        let known = "there are /, /status (JSON), /metrics (Prometheus) and /healthz\n";
        return Ok(reply(StatusCode::NOT_FOUND, "text/plain", known.to_owned()));
    }
    let Some(status) = ask(&post, Ask::Status).await else {
        let text = "the router thread does not answer\n".to_owned();
        return Ok(reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text));
    };
    Ok(match path {
        "/status" => reply(StatusCode::OK, "application/json", status),
        "/metrics" => {
            let text = metrics::prometheus(&status);
            reply(StatusCode::OK, "text/plain; version=0.0.4", text)
        }
        "/healthz" => reply(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        _ => reply(
            StatusCode::OK,
            "text/html; charset=utf-8",
            metrics::html(&status),
        ),
    })
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}
