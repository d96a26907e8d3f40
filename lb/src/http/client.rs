//! One client's connection: request after request, each answered here or passed on.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use conf::lb::model::{ConnectionMode, FrontTimeouts};

use super::answer::Answer;
use super::body::Progress;
use super::draft::Draft;
use super::gate::{Gate, Live};
use super::head::{self, Invalid, Request};
use super::stream::{Duplex, Sink, Source, Stop, Tap, split};
use super::upstream::Upstream;
use crate::admin::capture::Capture;
use crate::state::{Cause, Generation, Phase};

/// A client's connection.
pub(super) struct Client {
    pub gate: Arc<Gate>,
    pub live: Arc<Live>,
    pub source: Source,
    pub sink: Sink,
    pub draft: Option<Draft>,
    /// The connection to the server of the last request, kept for the next.
    pub kept: Option<Upstream>,
}

/// What follows an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The connection may carry another request.
    Stay,
    Close,
}

/// How waiting for a request ended.
enum Awaited {
    Request(Box<Request>),
    /// Nothing to answer: the client left between requests.
    Nothing,
    Refused(Refusal),
}

/// A request that is none.
enum Refusal {
    Invalid(Invalid),
    TooLong,
    TimedOut,
    Left,
}

/// Longest head taken unless `tune.bufsize` says otherwise, and what is kept for rewriting.
const BUFFER: u64 = 16_384;
const REWRITE: u64 = 1024;

impl Client {
    pub fn new(gate: &Arc<Gate>, live: &Arc<Live>, stream: Box<dyn Duplex>) -> Self {
        let (mut source, mut sink) = split(stream);
        let tap = |arrow: &'static str| -> Tap {
            let live = live.clone();
            Box::new(move |bytes| live.trace(|| format!("{arrow} {bytes} bytes")))
        };
        source.tap = Some(tap("->"));
        sink.tap = Some(tap("<-"));
        Self {
            gate: gate.clone(),
            live: live.clone(),
            source,
            sink,
            draft: None,
            kept: None,
        }
    }

    /// Serves requests until the connection ends.
    pub async fn run(&mut self) {
        let mut first = true;
        let mut idle_since = Instant::now();
        loop {
            let generation = self.gate.control.runtime.generation();
            let next = match self.await_request(&generation, first, idle_since).await {
                Awaited::Request(request) => self.exchange(&generation, *request).await,
                Awaited::Nothing => Next::Close,
                Awaited::Refused(refusal) => {
                    self.refuse(refusal).await;
                    Next::Close
                }
            };
            self.finish();
            if next == Next::Close || self.stopping() {
                break;
            }
            first = false;
            idle_since = Instant::now();
        }
        self.sink.end().await;
    }

    fn stopping(&self) -> bool {
        self.gate.control.runtime.process.stopping.load(Relaxed)
    }

    fn timeouts(&self) -> FrontTimeouts {
        let front = self.live.frontend.conf.front.as_ref();
        front
            .map(|front| front.timeouts.clone())
            .unwrap_or_default()
    }

    fn head_max(generation: &Generation) -> usize {
        let tune = &generation.conf.global.tune;
        let buffer = tune.bufsize.map_or(BUFFER, |size| size.0);
        let rewrite = tune.maxrewrite.map_or(REWRITE, |size| size.0);
        buffer.saturating_sub(rewrite).max(1024) as usize
    }

    async fn await_request(
        &mut self,
        generation: &Generation,
        first: bool,
        idle_since: Instant,
    ) -> Awaited {
        self.live.is_in(Phase::Request);
        let timeouts = self.timeouts();
        let head_time = timeouts.http_request.or(timeouts.client);
        let idle_time = if first {
            head_time
        } else {
            timeouts.http_keep_alive.or(head_time)
        };
        if self.source.buffer.is_empty() {
            match self.idle(idle_time, first).await {
                Ok(()) => {}
                Err(_) if !first => return Awaited::Nothing,
                Err(stop) => {
                    self.begin(idle_since);
                    return self.unheard(stop, idle_since);
                }
            }
        }
        self.begin(idle_since);
        let deadline = head_time.map(|time| Instant::now() + time);
        loop {
            match head::request(&self.source.buffer) {
                Ok(Some((request, length))) => {
                    let _ = self.source.buffer.split_to(length);
                    return Awaited::Request(Box::new(request));
                }
                Ok(None) if self.source.buffer.len() >= Self::head_max(generation) => {
                    return Awaited::Refused(Refusal::TooLong);
                }
                Ok(None) => {}
                Err(invalid) => return Awaited::Refused(Refusal::Invalid(invalid)),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.source.fill_patiently(left).await {
                Ok(_) => {}
                Err(Stop::TimedOut) => return Awaited::Refused(Refusal::TimedOut),
                Err(Stop::Closed | Stop::Broken) => return Awaited::Refused(Refusal::Left),
            }
        }
    }

    /// Waits for a request's first byte; between requests, also for the end of the process.
    async fn idle(&mut self, limit: Option<Duration>, first: bool) -> Result<(), Stop> {
        /// How often a connection between requests asks whether the process ends.
        const LOOK: Duration = Duration::from_secs(1);
        if first {
            return self.source.fill_patiently(limit).await.map(|_| ());
        }
        let deadline = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = deadline.map_or(LOOK, |deadline| {
                deadline.saturating_duration_since(Instant::now()).min(LOOK)
            });
            match self.source.fill_patiently(Some(left)).await {
                Err(Stop::TimedOut) if !left.is_zero() && !self.stopping() => {}
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// Nothing came on a new connection: a probe, or a client that waits too long.
    fn unheard(&mut self, stop: Stop, idle_since: Instant) -> Awaited {
        let conf = &self.live.frontend.conf;
        if let Some(draft) = &mut self.draft {
            // without a first byte, the time runs from the accept
            draft.idle_ms = 0;
            draft.began = idle_since;
            draft.silent = conf.http.ignore_probes || conf.logging.dont_log_null;
        }
        if conf.http.ignore_probes {
            self.draft = None;
            return Awaited::Nothing;
        }
        Awaited::Refused(match stop {
            Stop::TimedOut => Refusal::TimedOut,
            Stop::Closed | Stop::Broken => Refusal::Left,
        })
    }

    fn begin(&mut self, idle_since: Instant) {
        let idle = u32::try_from(idle_since.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.draft = Some(Draft::new(idle));
        self.live.last.set(self.gate.control.runtime.now_ms());
    }

    async fn refuse(&mut self, refusal: Refusal) {
        let (status, cause) = match &refusal {
            Refusal::Invalid(_) | Refusal::TooLong => (400, Cause::Proxy),
            Refusal::TimedOut => (408, Cause::ClientTimeout),
            Refusal::Left => (400, Cause::Client),
        };
        let reason = match &refusal {
            Refusal::Invalid(invalid) => Some(invalid.text()),
            Refusal::TooLong => Some("the head is too long"),
            Refusal::TimedOut | Refusal::Left => None,
        };
        if let Some(reason) = reason {
            self.capture(reason);
        }
        if let Some(draft) = &mut self.draft {
            draft.status = Some(status);
            draft.ended(cause, Phase::Request);
        }
        let answer = Answer::error(status, &self.live.frontend.conf.http);
        // the client may not be there to read it
        let _ = self
            .sink
            .write(&answer.bytes, Some(Duration::from_secs(5)))
            .await;
        // the line counts what a request was answered with, and this was none
        self.sink.take_count();
    }

    fn capture(&self, reason: &str) {
        self.gate.control.captures.keep(
            self.live.frontend.name(),
            true,
            Capture {
                at: std::time::SystemTime::now(),
                number: 0,
                peer: crate::admin::address::peer(&self.live.client),
                backend: "<NONE>".to_owned(),
                server: "<NONE>".to_owned(),
                reason: reason.to_owned(),
                bytes: self.source.buffer.to_vec(),
            },
        );
    }

    /// Answers here. Gives what follows.
    pub async fn answer(&mut self, request: &Request, answer: Answer) -> Next {
        let stays = self.may_stay(request) && self.skip_body(request).await;
        let mut answer = answer;
        if request.method == "HEAD" {
            answer = answer.without_body();
        }
        if !stays {
            answer = answer.closing();
        }
        if let Some(draft) = &mut self.draft {
            draft.status = Some(answer.status);
        }
        let limit = self.timeouts().client;
        match self.sink.write(&answer.bytes, limit).await {
            Ok(()) if stays && !answer.closes => Next::Stay,
            Ok(()) => Next::Close,
            Err(stop) => {
                self.broke(stop);
                Next::Close
            }
        }
    }

    /// The client stopped taking the answer.
    pub fn broke(&mut self, stop: Stop) {
        let cause = match stop {
            Stop::TimedOut => Cause::ClientTimeout,
            Stop::Closed | Stop::Broken => Cause::Client,
        };
        if let Some(draft) = &mut self.draft {
            draft.ended(cause, Phase::Data);
        }
    }

    /// Whether the connection may stay after this request.
    pub fn may_stay(&self, request: &Request) -> bool {
        request.keeps_alive()
            && self.live.frontend.conf.http.connection != ConnectionMode::Close
            && !self.stopping()
    }

    /// Reads over a request's body that nobody wants, if it is short.
    async fn skip_body(&mut self, request: &Request) -> bool {
        const SHORT: u64 = 64 * 1024;
        let mut progress = Progress::of(request.body);
        let mut skipped = 0;
        while !progress.is_done() {
            if self.source.buffer.is_empty()
                && (skipped > SHORT
                    || self
                        .source
                        .fill(Some(Duration::from_secs(5)))
                        .await
                        .is_err())
            {
                return false;
            }
            let Ok(taken) = progress.pass(&self.source.buffer) else {
                return false;
            };
            skipped += taken as u64;
            let _ = self.source.buffer.split_to(taken);
        }
        true
    }

    /// Writes the line and counts, once for each request.
    fn finish(&mut self) {
        self.live.goes_to(None, None);
        let Some(mut draft) = self.draft.take() else {
            return;
        };
        draft.bytes_in = self.source.take_count();
        draft.bytes_out = self.sink.take_count();
        self.live.trace(|| draft.summary());
        self.live.bytes_in.fetch_add(draft.bytes_in, Relaxed);
        self.live.bytes_out.fetch_add(draft.bytes_out, Relaxed);
        let runtime = &self.gate.control.runtime;
        self.live.last.set(runtime.now_ms());
        draft.count(runtime, &self.live.frontend);
        let logging = &self.live.frontend.conf.logging;
        let normal = draft.end.cause == Cause::Normal && draft.status.is_some_and(|s| s < 500);
        if draft.silent || (logging.dont_log_normal && normal) {
            return;
        }
        if let Some(log) = runtime.hooks.log.get() {
            log(&draft.record(runtime, &self.live));
        }
    }

    /// Somebody ended the connection.
    pub fn killed(&mut self, cause: Cause) {
        let phase = self.live.phase();
        if let Some(draft) = &mut self.draft {
            draft.ended(cause, phase);
        }
        self.finish();
    }
}
