//! The Prometheus exporter on an address of its own (`prometheus bind` in `global`), for those
//! who have no HTTP frontend: `/metrics`, and nothing else.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use conf::lb::model::{Bind, BindAddress, Host};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::answer::Answer;
use super::head;
use super::stream::{Sink, Source, Stop, split};
use crate::admin::Control;
use crate::admin::address;
use crate::admin::socket::{SocketError, shared_port};
use crate::stats::prometheus::{self, Options};

/// Scrapes at once.
const SLOTS: usize = 8;
/// Time for a request, and for each piece of the answer.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));
/// Longest request.
const HEAD_MAX: usize = 16 * 1024;

/// The exporter while it serves, or may.
pub struct Exporter {
    handle: tokio::runtime::Handle,
    control: Arc<Control>,
    open: Mutex<Option<Open>>,
}

struct Open {
    address: SocketAddr,
    listener: TcpListener,
    task: AbortHandle,
}

/// A bound socket; nothing when the configuration names none.
pub struct Bound(Option<(SocketAddr, TcpListener)>);

/// Binds the address that the configuration names, if it does, unless `known` has it.
///
/// # Errors
/// It cannot be bound.
pub fn bind(
    bind: Option<&Bind>,
    known: impl FnOnce(SocketAddr) -> Option<TcpListener>,
) -> Result<Bound, SocketError> {
    let Some(bind) = bind else {
        return Ok(Bound(None));
    };
    let failed = |error| SocketError {
        address: address::bind(&bind.address),
        error,
    };
    let BindAddress::Tcp {
        host: Host::Ip(ip),
        first,
        ..
    } = &bind.address
    else {
        return Err(failed(std::io::Error::other(
            "an address and port is wanted",
        )));
    };
    let address = SocketAddr::new(*ip, *first);
    let listener = match known(address) {
        Some(listener) => listener,
        None => shared_port(address).map_err(failed)?,
    };
    Ok(Bound(Some((address, listener))))
}

impl Exporter {
    /// Serves scrapes at this socket until the process stops or another follows.
    ///
    /// # Errors
    /// The socket cannot be served.
    pub fn serve(
        handle: &tokio::runtime::Handle,
        control: &Arc<Control>,
        bound: Bound,
    ) -> std::io::Result<Exporter> {
        let exporter = Exporter {
            handle: handle.clone(),
            control: control.clone(),
            open: Mutex::default(),
        };
        exporter.follow(bound)?;
        Ok(exporter)
    }

    /// The socket for a new configuration: the open one where the address is the same. Nothing
    /// changes before [`Exporter::follow`].
    ///
    /// # Errors
    /// The new address cannot be bound.
    pub fn prepare(&self, conf: Option<&Bind>) -> Result<Bound, SocketError> {
        let open = self.open();
        bind(conf, |address| {
            let same = open.as_ref().filter(|open| open.address == address)?;
            same.listener.try_clone().ok()
        })
    }

    /// Serves at this socket, and no longer where it did.
    ///
    /// # Errors
    /// The socket cannot be served.
    pub fn follow(&self, bound: Bound) -> std::io::Result<()> {
        let mut open = self.open();
        if let Some(old) = open.take() {
            old.task.abort();
        }
        let listener = bound.0.as_ref().map(|(_, listener)| listener);
        self.control.ports.set_exporter(listener)?;
        let Some((address, listener)) = bound.0 else {
            return Ok(());
        };
        let _inside = self.handle.enter();
        listener.set_nonblocking(true)?;
        let served = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
        let task = self.handle.spawn(accept(served, self.control.clone()));
        *open = Some(Open {
            address,
            listener,
            task: task.abort_handle(),
        });
        Ok(())
    }

    /// Closes the socket: a successor has it.
    pub fn let_go(&self) {
        if let Some(open) = self.open().take() {
            open.task.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }
}

async fn accept(listener: tokio::net::TcpListener, control: Arc<Control>) {
    let slots = Arc::new(Semaphore::new(SLOTS));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                tokio::spawn(async move {
                    let (mut source, mut sink) = split(Box::new(stream));
                    // a scraper that leaves or is too slow is nobody's concern
                    let _ = scrape(&control, &mut source, &mut sink).await;
                    sink.end().await;
                    drop(slot);
                });
            }
            // out of descriptors: a moment later there may be some
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn scrape(control: &Arc<Control>, source: &mut Source, sink: &mut Sink) -> Result<(), Stop> {
    let request = loop {
        match head::request(&source.buffer) {
            Ok(Some((request, _))) => break request,
            Ok(None) if source.buffer.len() < HEAD_MAX => source.fill(PATIENCE).await?,
            Ok(None) | Err(_) => {
                let answer = Answer::error(400, &Default::default());
                return sink.write(&answer.bytes, PATIENCE).await;
            }
        };
    };
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let status = match (path, request.method.as_str()) {
        ("/metrics", "GET" | "HEAD") => None,
        ("/metrics", _) => Some(405),
        _ => Some(404),
    };
    let options = Options::parse(query);
    let (None, Ok(options)) = (status, options) else {
        let answer = Answer::error(status.unwrap_or(400), &Default::default()).closing();
        return sink.write(&answer.bytes, PATIENCE).await;
    };
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\r\n";
    sink.write(head.as_bytes(), PATIENCE).await?;
    if request.method == "GET" {
        for piece in prometheus::pieces(control.clone(), options) {
            sink.write(piece.as_bytes(), PATIENCE).await?;
        }
    }
    Ok(())
}
