//! Passing a request on and its answer back, both at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conf::lb::model::{BackTimeouts, BackendName, ConnectionMode, ForwardFor};

use super::answer::Answer;
use super::body::Progress;
use super::client::{Client, Next};
use super::head::{self, Body, Request, Response};
use super::rules::{self, Facts};
use super::stream::{LastByte, Sink, Source, Stop};
use super::upstream::{Failed, InBackend, Upstream};
use crate::admin::capture::{Capture, Captures};
use crate::state::{Cause, Generation, Phase, Proxy, Request as Wish};
use crate::trace::beside::shown;

/// Longest head of an answer taken.
const HEAD_MAX: usize = 64 * 1024;

/// How passing bodies ended early.
struct Broken {
    cause: Cause,
    phase: Phase,
    /// A rule refused the answer.
    denied: bool,
}

impl Client {
    /// Handles a request: answered here, or passed on.
    pub async fn exchange(&mut self, generation: &Arc<Generation>, request: Request) -> Next {
        if let Some(draft) = &mut self.draft {
            draft.request_ms = Some(draft.elapsed_ms());
            draft.request_line.clone_from(&request.line);
            let wanted = &self.live.frontend.conf.http.captures;
            draft.captured.request(wanted, &request.fields);
        }
        self.live
            .trace(|| format!("-> request {}", shown(&request.line)));
        let mut request = request;
        if let Some(next) = self.serve_here(generation, &mut request).await {
            return next;
        }
        let Some(backend) = self.backend(generation, &request) else {
            return self
                .fail(
                    &request,
                    Failed {
                        cause: Cause::Server,
                        phase: Phase::Connect,
                        status: 503,
                    },
                )
                .await;
        };
        if !Arc::ptr_eq(&backend, &self.live.frontend) {
            let rules = &backend.conf.http.request_rules;
            if let Some(next) = self.apply(generation, &backend, rules, &mut request).await {
                return next;
            }
        }
        self.pass(generation, &backend, request).await
    }

    /// The backend by rules, by default, or the proxy's own servers.
    fn backend(&self, generation: &Generation, request: &Request) -> Option<Arc<Proxy>> {
        let frontend = &self.live.frontend;
        let front = frontend.conf.front.as_ref()?;
        let facts = self.facts(generation, request);
        for rule in &front.use_backend {
            if !facts.hold(rule.condition.as_ref()) {
                continue;
            }
            let backend = match &rule.backend {
                BackendName::Fixed(name) => generation.backend(name),
                // a computed name that no backend has is passed over
                BackendName::Format(format) => generation.backend(&facts.text(format)),
            };
            if let Some(backend) = backend {
                return Some(backend.clone());
            }
        }
        match &front.default_backend {
            Some(name) => generation.backend(name).cloned(),
            None => frontend.back.is_some().then(|| frontend.clone()),
        }
    }

    /// What rules may ask about this request.
    pub fn facts<'a>(&'a self, generation: &'a Generation, request: &'a Request) -> Facts<'a> {
        Facts::new(&self.gate, &self.live, generation, request)
    }

    async fn fail(&mut self, request: &Request, failed: Failed) -> Next {
        if let Some(draft) = &mut self.draft {
            if failed.phase == Phase::Queue {
                // a session that only waited never had a server
                draft.server = None;
            }
            draft.ended(failed.cause, failed.phase);
        }
        let answer = Answer::error(failed.status, &self.live.frontend.conf.http);
        let end = self.draft.as_ref().map(|draft| draft.end);
        let next = self.answer(request, answer).await;
        if let (Some(draft), Some(end)) = (&mut self.draft, end) {
            draft.end = end;
        }
        next
    }

    async fn pass(
        &mut self,
        generation: &Generation,
        backend: &Arc<Proxy>,
        request: Request,
    ) -> Next {
        let now_ms = self.gate.control.runtime.now_ms();
        let Some(back_live) = &backend.back else {
            return Next::Close;
        };
        let inside = InBackend::new(back_live, now_ms);
        if let Some(draft) = &mut self.draft {
            draft.backend = Some(backend.clone());
        }
        self.live.goes_to(Some(backend.clone()), None);
        let key = backend.conf.back.as_ref();
        let wish = Wish {
            key: key.and_then(|back| {
                let mut facts = self.facts(generation, &request);
                facts.proxy = backend;
                facts.balance_key(back)
            }),
            ..Wish::default()
        };
        let next = loop {
            match self.reach(backend, wish.clone()).await {
                Ok(upstream) => {
                    if let Some(next) = self.talk(generation, backend, upstream, &request).await {
                        break next;
                    }
                }
                Err(failed) => {
                    drop(inside);
                    return self.fail(&request, failed).await;
                }
            }
        };
        drop(inside);
        next
    }

    /// Nothing when the server had closed a kept connection: to be done again on a fresh one.
    async fn talk(
        &mut self,
        generation: &Generation,
        backend: &Arc<Proxy>,
        mut upstream: Upstream,
        request: &Request,
    ) -> Option<Next> {
        self.live.is_in(Phase::Headers);
        self.live
            .connected(upstream.outgoing.clone(), upstream.remote.clone());
        if let Some(draft) = &mut self.draft {
            draft.outgoing = upstream.outgoing.clone();
            draft.remote = upstream.remote.clone();
        }
        let outcome = self
            .transfer(generation, backend, &mut upstream, request)
            .await;
        upstream.release();
        let again = upstream.reused && request.may_be_repeated();
        Some(match outcome {
            Ok(transferred) => {
                if transferred.server_stays && self.keeps_server() {
                    self.kept = Some(upstream);
                }
                if transferred.client_stays {
                    Next::Stay
                } else {
                    Next::Close
                }
            }
            Err((broken, false))
                if again && (broken.cause, broken.phase) == (Cause::Server, Phase::Headers) =>
            {
                return None;
            }
            Err((broken, answered)) => {
                let Broken { cause, phase, .. } = broken;
                if let Some(draft) = &mut self.draft {
                    draft.ended(cause, phase);
                    draft.answer_denied = broken.denied;
                }
                let status = match cause {
                    _ if answered => return Some(Next::Close),
                    Cause::Server | Cause::Proxy => 502,
                    Cause::ServerTimeout => 504,
                    Cause::ClientTimeout => 408,
                    _ => return Some(Next::Close),
                };
                let failed = Failed {
                    cause,
                    phase,
                    status,
                };
                self.fail(request, failed).await
            }
        })
    }

    fn keeps_server(&self) -> bool {
        self.live.frontend.conf.http.connection == ConnectionMode::KeepAlive
    }

    /// The request's head as the server gets it.
    fn rewrite(&self, request: &Request) -> Vec<u8> {
        let mut sent = request.clone();
        let upgrade = head::connection_says(&sent.fields, "upgrade");
        head::remove(&mut sent.fields, "connection");
        head::remove(&mut sent.fields, "keep-alive");
        head::remove(&mut sent.fields, "proxy-connection");
        if upgrade {
            head::add(&mut sent.fields, "connection", "upgrade");
        } else if !self.keeps_server() {
            head::add(&mut sent.fields, "connection", "close");
        }
        if let Some(forwardfor) = &self.live.frontend.conf.http.forwardfor {
            self.forwarded_for(forwardfor, &mut sent);
        }
        sent.write()
    }

    fn forwarded_for(&self, forwardfor: &ForwardFor, request: &mut Request) {
        let Some(ip) = self.live.client.ip() else {
            return;
        };
        let excepted = forwardfor.except.is_some_and(|net| net.contains(ip));
        let present =
            forwardfor.if_none && head::field(&request.fields, &forwardfor.header).is_some();
        if !excepted && !present {
            head::add(&mut request.fields, &forwardfor.header, &ip.to_string());
        }
    }

    async fn transfer(
        &mut self,
        generation: &Generation,
        backend: &Arc<Proxy>,
        upstream: &mut Upstream,
        request: &Request,
    ) -> Result<Transferred, (Broken, bool)> {
        let timeouts = &backend
            .conf
            .back
            .as_ref()
            .map_or_else(BackTimeouts::default, |back| back.timeouts.clone());
        let client_limit = self
            .live
            .frontend
            .conf
            .front
            .as_ref()
            .and_then(|front| front.timeouts.client);
        let head = self.rewrite(request);
        let began = Instant::now();
        let sent = upstream.sink.write(&head, timeouts.server).await;
        if let Err(stop) = sent {
            return Err((server_broke(stop, Phase::Headers), false));
        }
        let moved = LastByte::default();
        let clock = self.gate.control.runtime.clone();
        moved.set(clock.now_ms());
        let mut facts = Facts::new(&self.gate, &self.live, generation, request);
        facts.proxy = backend;
        facts.server = Some((&upstream.server, &upstream.outgoing, &upstream.remote));
        let mut up = Upload {
            source: &mut self.source,
            sink: &mut upstream.sink,
            progress: Progress::of(request.body),
            client_limit,
            server_limit: timeouts.server,
        };
        let mut down = Download {
            source: &mut upstream.source,
            sink: &mut self.sink,
            server_limit: timeouts.server,
            client_limit,
            keeps_client: false,
            answered: false,
            facts,
            captures: &self.gate.control.captures,
        };
        down.keeps_client = request.keeps_alive()
            && self.live.frontend.conf.http.connection != ConnectionMode::Close;
        let draft = &mut self.draft;
        let live = &self.live;
        let mut watching = true;
        let response: Result<Response, Broken> = {
            let upload = up.run(|| moved.set(clock.now_ms()));
            let download = async {
                let response = down
                    .head(&request.method, &moved, || clock.now_ms())
                    .await?;
                if let Some(draft) = draft {
                    draft.response_ms = Some(began.elapsed().as_millis() as u32);
                    draft.status = Some(response.status);
                    let wanted = &live.frontend.conf.http.captures;
                    draft.captured.response(wanted, &response.fields);
                }
                live.trace(|| format!("<- status {} of the server", response.status));
                live.is_in(Phase::Data);
                if response.status == 101 {
                    return Ok(response);
                }
                down.body(response.body, request.minor).await?;
                Ok(response)
            };
            tokio::pin!(upload, download);
            loop {
                tokio::select! {
                    outcome = &mut upload, if watching => {
                        watching = false;
                        if let Err(broken) = outcome {
                            break Err(broken);
                        }
                    }
                    response = &mut download => break response,
                }
            }
        };
        let (keeps_client, answered) = (down.keeps_client, down.answered);
        let uploaded = up.progress.is_done();
        match response {
            Ok(response) if response.status == 101 => {
                let tunnel = timeouts.tunnel.or(timeouts.server);
                self.tunnel(upstream, tunnel).await;
                Ok(Transferred {
                    client_stays: false,
                    server_stays: false,
                })
            }
            Ok(response) => Ok(Transferred {
                client_stays: keeps_client && uploaded,
                server_stays: response.keeps_alive() && uploaded,
            }),
            Err(broken) => Err((broken, answered)),
        }
    }

    /// After `101`: bytes both ways until both sides have ended.
    async fn tunnel(&mut self, upstream: &mut Upstream, limit: Option<Duration>) {
        let one = async |source: &mut Source, sink: &mut Sink| {
            loop {
                if !source.buffer.is_empty() {
                    let piece = source.buffer.split();
                    if sink.write(&piece, limit).await.is_err() {
                        return;
                    }
                }
                if source.fill(limit).await.is_err() {
                    break;
                }
            }
            sink.end().await;
        };
        let (a, b) = (&mut self.source, &mut upstream.sink);
        let (c, d) = (&mut upstream.source, &mut self.sink);
        tokio::join!(one(a, b), one(c, d));
    }
}

/// A finished exchange with a server.
struct Transferred {
    client_stays: bool,
    server_stays: bool,
}

fn server_broke(stop: Stop, phase: Phase) -> Broken {
    Broken {
        cause: match stop {
            Stop::TimedOut => Cause::ServerTimeout,
            Stop::Closed | Stop::Broken => Cause::Server,
        },
        phase,
        denied: false,
    }
}

fn client_broke(stop: Stop, phase: Phase) -> Broken {
    Broken {
        cause: match stop {
            Stop::TimedOut => Cause::ClientTimeout,
            Stop::Closed | Stop::Broken => Cause::Client,
        },
        phase,
        denied: false,
    }
}

/// The request's body on its way to the server.
struct Upload<'a> {
    source: &'a mut Source,
    sink: &'a mut Sink,
    progress: Progress,
    client_limit: Option<Duration>,
    server_limit: Option<Duration>,
}

/// What a client may send ahead while its answer is awaited.
const AHEAD_MAX: usize = 64 * 1024;

impl Upload<'_> {
    /// Passes the body, then watches the client: one that resets the connection is not worth an
    /// answer any more.
    async fn run(&mut self, moved: impl Fn()) -> Result<(), Broken> {
        while !self.progress.is_done() {
            if self.source.buffer.is_empty() {
                let filled = self.source.fill(self.client_limit).await;
                filled.map_err(|stop| client_broke(stop, Phase::Data))?;
            }
            let taken = self
                .progress
                .pass(&self.source.buffer)
                .map_err(|_| Broken {
                    cause: Cause::Proxy,
                    phase: Phase::Data,
                    denied: false,
                })?;
            let piece = self.source.buffer.split_to(taken);
            moved();
            if self.sink.write(&piece, self.server_limit).await.is_err() {
                // the server may have answered already; that answer says more
                return Ok(());
            }
        }
        while self.source.buffer.len() < AHEAD_MAX {
            match self.source.fill(None).await {
                Ok(_) => {}
                Err(Stop::Broken) => return Err(client_broke(Stop::Broken, Phase::Headers)),
                Err(Stop::Closed | Stop::TimedOut) => break,
            }
        }
        Ok(())
    }
}

/// The answer on its way to the client.
struct Download<'a> {
    source: &'a mut Source,
    sink: &'a mut Sink,
    server_limit: Option<Duration>,
    client_limit: Option<Duration>,
    keeps_client: bool,
    /// Something was sent to the client already.
    answered: bool,
    /// What rules about the answer may ask.
    facts: Facts<'a>,
    /// Where answers go that are none.
    captures: &'a Captures,
}

impl Download<'_> {
    /// Awaits the head; interim answers are passed on.
    async fn head(
        &mut self,
        method: &str,
        moved: &LastByte,
        now_ms: impl Fn() -> u64,
    ) -> Result<Response, Broken> {
        loop {
            match head::response(&self.source.buffer, method) {
                Err(invalid) => return Err(self.not_http(invalid.text())),
                Ok(Some((response, length))) => {
                    let _ = self.source.buffer.split_to(length);
                    if matches!(response.status, 100..=199) && response.status != 101 {
                        let sent = self.sink.write(&response.write(), self.client_limit).await;
                        sent.map_err(|stop| client_broke(stop, Phase::Headers))?;
                        continue;
                    }
                    let response = self.judge(response)?;
                    return self.send_head(response).await;
                }
                Ok(None) if self.source.buffer.len() > HEAD_MAX => {
                    return Err(self.not_http("the head is too long"));
                }
                Ok(None) => match self.source.fill(self.server_limit).await {
                    Ok(_) => {}
                    Err(Stop::TimedOut) => {
                        // the server's time starts when it has the whole request
                        let limit = self.server_limit.unwrap_or_default().as_millis() as u64;
                        if now_ms().saturating_sub(moved.get()) >= limit {
                            return Err(server_broke(Stop::TimedOut, Phase::Headers));
                        }
                    }
                    Err(stop) => return Err(server_broke(stop, Phase::Headers)),
                },
            }
        }
    }

    /// What the server sent is no answer: kept for `show errors`.
    fn not_http(&self, reason: &str) -> Broken {
        let server = self.facts.server.as_ref();
        self.captures.keep(
            self.facts.proxy.name(),
            false,
            Capture {
                at: std::time::SystemTime::now(),
                number: 0,
                peer: crate::admin::address::peer(self.facts.client),
                backend: self.facts.proxy.name().to_owned(),
                server: server.map_or("<NONE>", |(s, ..)| s.name()).to_owned(),
                reason: reason.to_owned(),
                bytes: self.source.buffer.to_vec(),
            },
        );
        Broken {
            cause: Cause::Proxy,
            phase: Phase::Headers,
            denied: false,
        }
    }

    /// `http-response` rules, the backend's ahead of the frontend's.
    fn judge(&self, mut response: Response) -> Result<Response, Broken> {
        let frontend = self.facts.frontend;
        let mut facts = self.facts.clone();
        let apply = |facts: &Facts<'_>, response: &mut Response| {
            let passes = rules::apply_to_answer(facts, response);
            passes.then_some(()).ok_or(Broken {
                cause: Cause::Proxy,
                phase: Phase::Headers,
                denied: true,
            })
        };
        if !Arc::ptr_eq(facts.proxy, frontend) {
            apply(&facts, &mut response)?;
            facts.proxy = frontend;
        }
        apply(&facts, &mut response)?;
        Ok(response)
    }

    async fn send_head(&mut self, response: Response) -> Result<Response, Broken> {
        let mut sent = response.clone();
        if response.status != 101 {
            head::remove(&mut sent.fields, "connection");
            head::remove(&mut sent.fields, "keep-alive");
            if response.body == Body::UntilClose {
                self.keeps_client = false;
            }
            if !self.keeps_client {
                head::add(&mut sent.fields, "connection", "close");
            }
        }
        self.answered = true;
        let written = self.sink.write(&sent.write(), self.client_limit).await;
        written.map_err(|stop| client_broke(stop, Phase::Data))?;
        Ok(response)
    }

    async fn body(&mut self, body: Body, client_minor: u8) -> Result<(), Broken> {
        if body == Body::Chunked && client_minor == 0 {
            // a client of HTTP/1.0 cannot tell where chunks end: the close tells it
            self.keeps_client = false;
        }
        let mut progress = Progress::of(body);
        while !progress.is_done() {
            if self.source.buffer.is_empty() {
                match self.source.fill(self.server_limit).await {
                    Ok(_) => {}
                    Err(Stop::Closed) if progress == Progress::UntilClose => return Ok(()),
                    Err(stop) => return Err(server_broke(stop, Phase::Data)),
                }
            }
            let taken = progress.pass(&self.source.buffer).map_err(|_| Broken {
                cause: Cause::Proxy,
                phase: Phase::Data,
                denied: false,
            })?;
            let piece = self.source.buffer.split_to(taken);
            let written = self.sink.write(&piece, self.client_limit).await;
            written.map_err(|stop| client_broke(stop, Phase::Data))?;
        }
        Ok(())
    }
}
