//! The Prometheus exporter on an address of its own (`prometheus bind` in `global`), for those
//! who have no HTTP frontend: `/metrics`, and nothing else.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use conf::lb::model::{Bind, BindAddress, Host};
use tokio::sync::Semaphore;

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

/// The exporter's bound socket.
pub struct Exporter {
    listener: TcpListener,
}

impl Exporter {
    /// Binds the address that the configuration names, if it does.
    pub fn bind(bind: Option<&Bind>) -> Result<Option<Self>, SocketError> {
        let Some(bind) = bind else {
            return Ok(None);
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
        let listener = shared_port((*ip, *first).into()).map_err(failed)?;
        Ok(Some(Self { listener }))
    }

    /// Serves scrapes until the process stops.
    pub fn serve(
        self,
        handle: &tokio::runtime::Handle,
        control: &Arc<Control>,
    ) -> std::io::Result<()> {
        let _inside = handle.enter();
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let control = control.clone();
        let slots = Arc::new(Semaphore::new(SLOTS));
        handle.spawn(async move {
            let mut closing = control.closing.subscribe();
            while let Ok(slot) = slots.clone().acquire_owned().await {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = closing.changed() => return,
                };
                match accepted {
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
        });
        Ok(())
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
