//! What is answered here: the monitor, rules, and the statistics with their admin form.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conf::lb::model::{Global, HttpAction, HttpAnswer, HttpRule, Stats};

use super::answer::{Answer, reason};
use super::body::Progress;
use super::client::{Client, Next};
use super::form;
use super::head::{self, Request};
use super::pages::{self, Shown};
use super::readers::{self, ANSWER_TIME};
use super::rules::{self, Facts};
use crate::admin::show::stat_pieces;
use crate::process::host_name;
use crate::state::{Cause, Generation, Phase, Proxy};
use crate::stats::difference;
use crate::stats::encode::{self, Format};
use crate::stats::page::{Outcome, PageOptions, Settings, View};
use crate::stats::prometheus;
use crate::stats::read::Wanted;

/// Longest form taken.
const FORM_MAX: usize = 16 * 1024;

impl Client {
    /// Answers what is answered here; nothing when the request is to be passed on.
    pub async fn serve_here(
        &mut self,
        generation: &Arc<Generation>,
        request: &mut Request,
    ) -> Option<Next> {
        if let Some(next) = self.monitor(generation, request).await {
            return Some(next);
        }
        let frontend = self.live.frontend.clone();
        let rules = &frontend.conf.http.request_rules;
        if let Some(next) = self.apply(generation, &frontend, rules, request).await {
            return Some(next);
        }
        let stats = frontend.conf.stats.as_ref()?;
        let known = matches!(request.method.as_str(), "GET" | "HEAD" | "POST");
        let options =
            PageOptions::parse(&stats.uri, origin_form(&request.target)).filter(|_| known)?;
        Some(self.statistics(generation, stats, options, request).await)
    }

    async fn monitor(&mut self, generation: &Generation, request: &Request) -> Option<Next> {
        let frontend = self.live.frontend.clone();
        let http = &frontend.conf.http;
        if http.monitor_uri.as_deref() != Some(origin_form(&request.target)) {
            return None;
        }
        let facts = self.facts(generation, request);
        let fails = http.monitor_fail.iter().any(|rule| facts.hold(Some(rule)));
        if let Some(draft) = &mut self.draft {
            draft.silent = true;
            draft.intercepted = true;
            draft.ended(Cause::Local, Phase::Request);
        }
        Some(self.answer(request, Answer::monitor(!fails, http)).await)
    }

    /// Applies rules of this proxy; nothing when the request goes on.
    pub async fn apply(
        &mut self,
        generation: &Arc<Generation>,
        proxy: &Arc<Proxy>,
        rules: &[HttpRule],
        request: &mut Request,
    ) -> Option<Next> {
        for rule in rules {
            let facts = self.facts_of(proxy, generation, request);
            if !facts.hold(rule.condition.as_ref()) {
                continue;
            }
            if rule.action.is_final()
                && let Some(draft) = &mut self.draft
            {
                draft.last_rule = Some(rule.line.clone());
            }
            let facts = self.facts_of(proxy, generation, request);
            match &rule.action {
                HttpAction::Allow => return None,
                HttpAction::Deny(answer) => {
                    let answer = self.made(&facts, answer);
                    self.ends(Cause::Proxy);
                    return Some(self.answer(request, answer).await);
                }
                HttpAction::Return(answer) => {
                    let answer = self.made(&facts, answer);
                    self.ends(Cause::Local);
                    return Some(self.answer(request, answer).await);
                }
                HttpAction::Auth(realm) => {
                    self.ends(Cause::Local);
                    let realm = realm.as_deref().unwrap_or(self.live.frontend.name());
                    let answer = Answer::challenge(realm);
                    return Some(self.answer(request, answer).await);
                }
                HttpAction::Reject => {
                    self.ends(Cause::Proxy);
                    return Some(Next::Close);
                }
                HttpAction::SetHeader(name, format) => {
                    let text = facts.text(format);
                    head::remove(&mut request.fields, name);
                    head::add(&mut request.fields, name, &text);
                }
                HttpAction::AddHeader(name, format) => {
                    let text = facts.text(format);
                    head::add(&mut request.fields, name, &text);
                }
                HttpAction::DelHeader(name) => head::remove(&mut request.fields, name),
                HttpAction::SetLogLevel(level) => {
                    if let Some(draft) = &mut self.draft {
                        draft.level = Some(*level);
                    }
                }
                HttpAction::PrometheusExporter => {
                    return Some(self.metrics(request).await);
                }
            }
        }
        None
    }

    /// What rules of this proxy are judged by.
    fn facts_of<'f>(
        &'f self,
        proxy: &'f Arc<Proxy>,
        generation: &'f Generation,
        request: &'f Request,
    ) -> Facts<'f> {
        Facts {
            proxy,
            ..self.facts(generation, request)
        }
    }

    fn ends(&mut self, cause: Cause) {
        if let Some(draft) = &mut self.draft {
            draft.ended(cause, Phase::Request);
            draft.intercepted = cause == Cause::Local;
        }
    }

    fn made(&self, facts: &Facts<'_>, answer: &HttpAnswer) -> Answer {
        if answer.body.is_none() && answer.headers.is_empty() && answer.content_type.is_none() {
            return Answer::error(answer.status, &self.live.frontend.conf.http);
        }
        let body = answer.body.as_ref();
        let text = body.map(|body| facts.body(body)).unwrap_or_default();
        let headers: Vec<(String, String)> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), facts.text(value)))
            .collect();
        let mut fields: Vec<(&str, &str)> = Vec::new();
        if let Some(kind) = &answer.content_type {
            fields.push(("content-type", kind));
        }
        fields.extend(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        Answer::new(answer.status, &fields, &text)
    }

    async fn metrics(&mut self, request: &Request) -> Next {
        let query = request
            .target
            .split_once('?')
            .map_or("", |(_, query)| query);
        self.intercepts();
        let Some(_place) = self.gate.readers.enter() else {
            return self.refuse_reader(request).await;
        };
        let Ok(options) = prometheus::Options::parse(query) else {
            let answer = Answer::error(400, &self.live.frontend.conf.http);
            return self.answer(request, answer).await;
        };
        let pieces = prometheus::pieces(self.gate.control.clone(), options);
        let fields = [
            ("cache-control", "no-cache".to_owned()),
            ("content-type", "text/plain; version=0.0.4".to_owned()),
        ];
        self.stream(request, 200, &fields, Box::new(pieces)).await
    }

    /// Marks the present request as answered by a service of our own.
    fn intercepts(&mut self) {
        if let Some(draft) = &mut self.draft {
            draft.ended(Cause::Local, Phase::Request);
            draft.intercepted = true;
            draft.queue_ms = Some(0);
            draft.connect_ms = Some(0);
            draft.response_ms = Some(0);
        }
    }

    async fn statistics(
        &mut self,
        generation: &Arc<Generation>,
        stats: &Stats,
        options: PageOptions,
        request: &mut Request,
    ) -> Next {
        self.intercepts();
        let rules = stats.rules.clone();
        if !self.authorised(generation, stats, request) {
            let realm = stats
                .realm
                .clone()
                .unwrap_or_else(|| format!("{} Statistics", crate::stats::info::PRODUCT));
            return self.answer(request, Answer::challenge(&realm)).await;
        }
        for rule in &rules {
            if !self
                .facts(generation, request)
                .hold(rule.condition.as_ref())
            {
                continue;
            }
            match &rule.action {
                HttpAction::Allow => break,
                HttpAction::Auth(realm) => {
                    let realm = realm.clone().or_else(|| stats.realm.clone());
                    let realm = realm.unwrap_or_else(|| self.live.frontend.name().to_owned());
                    return self.answer(request, Answer::challenge(&realm)).await;
                }
                _ => {
                    self.ends(Cause::Proxy);
                    let answer = Answer::error(403, &self.live.frontend.conf.http);
                    return self.answer(request, answer).await;
                }
            }
        }
        let admin = self.may_act(generation, stats, request);
        if request.method == "POST" {
            return self.post(generation, stats, options, admin, request).await;
        }
        let Some(_place) = self.gate.readers.enter() else {
            return self.refuse_reader(request).await;
        };
        let shown = Shown::new(generation, stats, &options);
        let settings = self.settings(generation, stats, &shown, admin);
        self.show(shown, settings, options, request).await
    }

    /// One reader too many.
    async fn refuse_reader(&mut self, request: &Request) -> Next {
        let told = self.gate.readers.refuse(Instant::now());
        if let (Some(text), Some(warn)) = (told, self.gate.control.runtime.hooks.warn.get()) {
            warn(&text);
        }
        self.ends(Cause::Proxy);
        self.answer(request, readers::too_many()).await
    }

    fn authorised(&self, _generation: &Generation, stats: &Stats, request: &Request) -> bool {
        if stats.auth.is_empty() {
            return true;
        }
        let Some((user, password)) = rules::credentials(request) else {
            return false;
        };
        stats.auth.iter().any(|known| {
            known.name == user && rules::same(known.password.as_bytes(), password.as_bytes())
        })
    }

    fn may_act(&self, generation: &Generation, stats: &Stats, request: &Request) -> bool {
        let facts = self.facts(generation, request);
        stats.admin.iter().any(|rule| facts.hold(Some(rule)))
    }

    fn settings(
        &self,
        generation: &Generation,
        stats: &Stats,
        shown: &Shown,
        admin: bool,
    ) -> Settings {
        let node = stats.show_node.clone().or_else(|| {
            let node = &generation.conf.global.node;
            let host = || node.clone().unwrap_or_else(host_name);
            stats.show_hostname.then(host)
        });
        Settings {
            uri: stats.uri.clone(),
            refresh_s: stats.refresh.map_or(0, |refresh| refresh.as_secs()),
            hide_version: stats.hide_version,
            show_legends: stats.show_legends,
            node,
            description: description(stats, &generation.conf.global),
            admin,
            changes: difference::all(&self.gate.control, shown.differences()).len(),
        }
    }

    async fn show(
        &mut self,
        shown: Shown,
        settings: Settings,
        options: PageOptions,
        request: &Request,
    ) -> Next {
        let kind = match options.view {
            View::Page | View::Sessions | View::Events | View::Changes | View::Server => {
                "text/html"
            }
            View::Csv | View::Typed => "text/plain",
            View::Json | View::JsonSchema | View::Status => "application/json",
        };
        let mut fields = vec![
            ("cache-control", "no-cache".to_owned()),
            ("content-type", kind.to_owned()),
        ];
        if settings.refresh_s > 0 && !options.no_refresh {
            fields.push(("refresh", settings.refresh_s.to_string()));
        }
        let control = self.gate.control.clone();
        let pieces: Box<dyn Iterator<Item = String> + Send> = match options.view {
            View::Page => Box::new(pages::main(control, shown, settings, options)),
            View::Sessions => {
                let views = crate::admin::show_sess::collect(&control).await;
                Box::new(pages::sessions(control, shown, views, settings, options))
            }
            View::Events => Box::new(std::iter::once(pages::events(
                &control, &shown, &settings, &options,
            ))),
            View::Changes => Box::new(std::iter::once(pages::changes(
                &control, &shown, &settings, &options,
            ))),
            View::Server => match pages::server(&control, &shown, &settings, &options) {
                Some(page) => Box::new(std::iter::once(page)),
                None => {
                    let answer = Answer::error(404, &self.live.frontend.conf.http);
                    return self.answer(request, answer).await;
                }
            },
            View::JsonSchema => Box::new(std::iter::once(encode::json_schema() + "\n")),
            View::Status => {
                let status = crate::stats::status::document(control, shown.proxies);
                Box::new(std::iter::once(format!("{status}\n")))
            }
            view => {
                let wanted = Wanted {
                    legends: settings.show_legends,
                    hide_down: options.hide_down,
                    hide_maintenance: options.hide_maintenance,
                    ..Wanted::default()
                };
                let format = match view {
                    View::Typed => Format::Typed,
                    View::Json => Format::Json,
                    _ => Format::Csv,
                };
                Box::new(stat_pieces(
                    control,
                    Some(shown.proxies),
                    wanted,
                    format,
                    false,
                ))
            }
        };
        self.stream(request, 200, &fields, pieces).await
    }

    /// Sends pieces as chunks, each when the last was taken.
    async fn stream(
        &mut self,
        request: &Request,
        status: u16,
        fields: &[(&str, String)],
        pieces: Box<dyn Iterator<Item = String> + Send>,
    ) -> Next {
        let chunked = request.minor == 1;
        let stays = chunked && self.may_stay(request);
        let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        let bodyless = request.method == "HEAD";
        if chunked && !bodyless {
            out.push_str("transfer-encoding: chunked\r\n");
        }
        if !stays {
            out.push_str("connection: close\r\n");
        }
        out.push_str("\r\n");
        if let Some(draft) = &mut self.draft {
            draft.status = Some(status);
        }
        let front = self.live.frontend.conf.front.as_ref();
        let patience = front.and_then(|front| front.timeouts.client);
        let until = Instant::now() + ANSWER_TIME;
        let limit = || {
            let left = until.saturating_duration_since(Instant::now());
            Some(patience.map_or(left, |patience| patience.min(left)))
        };
        let mut sent = self.sink.write(out.as_bytes(), limit()).await;
        if !bodyless {
            let mut gathered = String::new();
            let mut pieces = pieces.peekable();
            while let (Ok(()), Some(piece)) = (&sent, pieces.next()) {
                gathered.push_str(&piece);
                if (gathered.len() < 16 * 1024 && pieces.peek().is_some()) || gathered.is_empty() {
                    continue;
                }
                let bytes = if chunked {
                    format!("{:x}\r\n{gathered}\r\n", gathered.len())
                } else {
                    std::mem::take(&mut gathered)
                };
                gathered.clear();
                sent = self.sink.write(bytes.as_bytes(), limit()).await;
            }
            if sent.is_ok() && chunked {
                sent = self.sink.write(b"0\r\n\r\n", limit()).await;
            }
        }
        match sent {
            Ok(()) if stays => Next::Stay,
            Ok(()) => Next::Close,
            Err(stop) => {
                self.broke(stop);
                Next::Close
            }
        }
    }

    async fn post(
        &mut self,
        generation: &Arc<Generation>,
        stats: &Stats,
        options: PageOptions,
        admin: bool,
        request: &mut Request,
    ) -> Next {
        let outcome = match self.form(request).await {
            _ if !admin => Outcome::Denied,
            Err(next) => return next,
            Ok(None) => Outcome::TooLarge,
            Ok(Some(form)) => form::act(&self.gate.control, generation, &form),
        };
        let mut back = options;
        back.outcome = Some(outcome);
        let target = back.target(&stats.uri);
        let fields = [
            ("cache-control", "no-cache"),
            ("content-type", "text/plain"),
            ("location", &target),
        ];
        self.answer(request, Answer::new(303, &fields, b"")).await
    }

    /// The body of a form; nothing when it is too long.
    async fn form(&mut self, request: &mut Request) -> Result<Option<String>, Next> {
        let head::Body::Length(length) = request.body else {
            return Ok((request.body == head::Body::None).then(String::new));
        };
        if length > FORM_MAX as u64 {
            return Ok(None);
        }
        if head::field(&request.fields, "expect").is_some() {
            let interim = self.sink.write(
                b"HTTP/1.1 100 Continue\r\n\r\n",
                Some(Duration::from_secs(5)),
            );
            if let Err(stop) = interim.await {
                self.broke(stop);
                return Err(Next::Close);
            }
        }
        let mut progress = Progress::of(request.body);
        let mut form = Vec::new();
        while !progress.is_done() {
            if self.source.buffer.is_empty()
                && let Err(stop) = self.source.fill(Some(Duration::from_secs(10))).await
            {
                self.broke(stop);
                return Err(Next::Close);
            }
            let taken = progress.pass(&self.source.buffer).unwrap_or(0);
            form.extend_from_slice(&self.source.buffer.split_to(taken));
        }
        request.body = head::Body::None;
        Ok(Some(String::from_utf8_lossy(&form).into_owned()))
    }
}

/// What the page says of itself: its own text, or the one of `global`.
fn description(stats: &Stats, global: &Global) -> Option<String> {
    let own = stats.show_desc.as_ref()?;
    match own.is_empty() {
        true => global.description.clone(),
        false => Some(own.clone()),
    }
}

/// The part of a target behind scheme and host.
fn origin_form(target: &str) -> &str {
    match target.find("://") {
        Some(scheme) => {
            let rest = &target[scheme + 3..];
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        None => target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_targets_are_cut_to_their_path() {
        assert_eq!(origin_form("http://x:1/stats;csv"), "/stats;csv");
        assert_eq!(origin_form("http://x"), "/");
        assert_eq!(origin_form("/stats"), "/stats");
    }
}
