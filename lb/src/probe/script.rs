//! `tcp-check` and `http-check` scripts: rules worked through in order.
//!
//! What a failed rule is called and which text goes with it follows HAProxy,
//! so that alerts and dashboards built on those words go on working.

use super::dialogue::{Event, Facts, Finding, Step};
use super::expect::{self, Match};
use super::http_answer::{Answer, Progress};
use super::text::Scope;
use crate::core::health::CheckStatus;
use conf::lb::model::{
    CheckAction, CheckConnect, CheckExpect, CheckPayload, CheckStep, ExpectPattern, Format,
    HttpSend,
};
use std::sync::Arc;

/// Most that is kept of an answer while a pattern is looked for.
const INPUT_LIMIT: usize = 16 * 1024;

/// The language a script is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    /// A protocol's own script: its reports name no steps.
    Protocol,
    Http,
}

/// A running script.
#[derive(Clone, Debug)]
pub struct Script {
    kind: Kind,
    steps: Arc<[CheckStep]>,
    /// Index of the current step; `None` before the first one.
    current: Option<usize>,
    /// The comment step passed last.
    comment: Option<usize>,
    input: Vec<u8>,
    closed: bool,
    lingers: bool,
    scope: Scope,
}

impl Script {
    /// A `tcp-check` script.
    pub fn tcp(steps: &[CheckStep], facts: &Facts) -> Script {
        Script::new(Kind::Tcp, steps.to_vec(), facts)
    }

    /// The script of a protocol such as that of Redis.
    pub fn protocol(steps: &[CheckStep], facts: &Facts) -> Script {
        Script::new(Kind::Protocol, steps.to_vec(), facts)
    }

    /// An `http-check` script; without a rule that expects something, any
    /// status from 200 to 399 is good.
    pub fn http(steps: &[CheckStep], facts: &Facts) -> Script {
        let mut steps = steps.to_vec();
        let expects = |step: &CheckStep| matches!(step.action, CheckAction::Expect(_));
        if !steps.iter().any(expects) {
            steps.push(default_expect());
        }
        Script::new(Kind::Http, steps, facts)
    }

    fn new(kind: Kind, steps: Vec<CheckStep>, facts: &Facts) -> Script {
        Script {
            kind,
            steps: steps.into(),
            current: None,
            comment: None,
            input: Vec::new(),
            closed: false,
            lingers: false,
            scope: Scope::new(facts),
        }
    }

    /// How the first connection is opened: by the script's own `connect` when
    /// nothing but comments and variables stand before it.
    pub fn first_connect(&mut self) -> CheckConnect {
        for (index, step) in self.steps.iter().enumerate() {
            match &step.action {
                CheckAction::Comment(_) => self.comment = Some(index),
                CheckAction::Connect(connect) => {
                    self.current = Some(index);
                    self.lingers = connect.linger;
                    return connect.clone();
                }
                CheckAction::Send(_) | CheckAction::HttpSend(_) | CheckAction::Expect(_) => break,
                CheckAction::SetVar(..)
                | CheckAction::SetVarFormat(..)
                | CheckAction::UnsetVar(_) => {}
            }
        }
        self.comment = None;
        CheckConnect::default()
    }

    /// Whether the last connection is to be closed properly.
    pub fn lingers(&self) -> bool {
        self.lingers
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event<'_>) -> Step {
        match event {
            Event::Connected => {
                self.input.clear();
                self.closed = false;
                self.proceed()
            }
            Event::Sent => self.proceed(),
            Event::Received(bytes, closed) => {
                let room = INPUT_LIMIT - self.input.len();
                self.input
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.closed |= closed;
                self.evaluate()
            }
        }
    }

    /// Goes on with the step behind the current one.
    fn proceed(&mut self) -> Step {
        loop {
            let next = self.current.map_or(0, |index| index + 1);
            let steps = Arc::clone(&self.steps);
            let Some(step) = steps.get(next) else {
                return Step::Done(self.passed());
            };
            self.current = Some(next);
            match &step.action {
                CheckAction::Comment(_) => self.comment = Some(next),
                CheckAction::SetVar(name, expr) => self.scope.set(name, expr),
                CheckAction::SetVarFormat(name, format) => self.scope.set_format(name, format),
                CheckAction::UnsetVar(name) => self.scope.unset(name),
                CheckAction::Connect(connect) => {
                    self.lingers = connect.linger;
                    return Step::Connect(connect.clone());
                }
                CheckAction::Send(payload) => return self.send(payload),
                CheckAction::HttpSend(request) => {
                    self.input.clear();
                    return Step::Send(request_bytes(request, &self.scope));
                }
                CheckAction::Expect(_) => return self.evaluate(),
            }
        }
    }

    fn send(&mut self, payload: &CheckPayload) -> Step {
        self.input.clear();
        let bytes = match payload {
            CheckPayload::Bytes(bytes) => bytes.clone(),
            CheckPayload::Format(format) => self.scope.render(format),
            CheckPayload::HexFormat(format) => expect::unhex(&self.scope.render(format)),
        };
        Step::Send(bytes)
    }

    /// Looks whether the current expectation is decided.
    fn evaluate(&mut self) -> Step {
        let steps = Arc::clone(&self.steps);
        let Some(CheckAction::Expect(rule)) = self.current.map(|index| &steps[index].action) else {
            return Step::Receive;
        };
        let failed = match self.kind {
            Kind::Tcp | Kind::Protocol => self.evaluate_tcp(rule),
            Kind::Http => self.evaluate_http(rule),
        };
        match failed {
            None => Step::Receive,
            Some(Ok(())) => self.proceed(),
            Some(Err(finding)) => Step::Done(finding),
        }
    }

    fn evaluate_tcp(&mut self, rule: &CheckExpect) -> Option<Result<(), Finding>> {
        let last = self.closed || self.input.len() >= INPUT_LIMIT;
        if self.input.is_empty() {
            let text = || format!("TCPCHK got an empty response at step {}", self.number());
            return last.then(|| Err(self.failed(rule, CheckStatus::L7Response, text())));
        }
        if !last
            && rule
                .min_recv
                .is_some_and(|min| self.input.len() < min as usize)
        {
            return None;
        }
        self.scope.payload.clone_from(&self.input);
        let found = expect::matches(&rule.pattern, &self.input, &self.scope);
        if !found && !last && rule.min_recv.is_none() {
            return None;
        }
        Some(match found != rule.negated {
            true => Ok(()),
            false => {
                let how = if rule.negated {
                    "matched unwanted"
                } else {
                    "did not match"
                };
                let what = expect::mismatch_words(&rule.pattern);
                let text = match self.kind {
                    Kind::Protocol => String::new(),
                    Kind::Tcp | Kind::Http => {
                        format!("TCPCHK {how} {what} at step {}", self.number())
                    }
                };
                Err(self.failed(rule, CheckStatus::L7Response, text))
            }
        })
    }

    fn evaluate_http(&mut self, rule: &CheckExpect) -> Option<Result<(), Finding>> {
        let last = self.closed || self.input.len() >= INPUT_LIMIT;
        let answer = match Answer::parse(&self.input, last) {
            Progress::More => return None,
            Progress::Bad => {
                let mut finding =
                    self.failed_with(rule, CheckStatus::L7Response, String::new(), &self.remark());
                finding.status = CheckStatus::L7Response;
                return Some(Err(finding));
            }
            Progress::Head(answer) => answer,
        };
        self.scope.status = Some(answer.status);
        let disables = rule.disable_on_404 || self.scope.facts.disable_on_404;
        if disables && answer.status == 404 {
            let finding = Finding::new(CheckStatus::L7OkConditional, 404, "");
            return Some(Err(finding));
        }
        match expect::answer_matches(&rule.pattern, &answer, &self.scope) {
            Match::More => None,
            Match::Yes if !rule.negated => Some(Ok(())),
            Match::No if rule.negated => Some(Ok(())),
            found => Some(Err(self.http_failed(rule, &answer, found))),
        }
    }

    fn http_failed(&self, rule: &CheckExpect, answer: &Answer<'_>, found: Match) -> Finding {
        let (status, text) = match (&rule.pattern, found) {
            (
                ExpectPattern::Status(_) | ExpectPattern::StatusRegex(_) | ExpectPattern::Header(_),
                _,
            ) => (CheckStatus::L7Status, answer.reason.to_owned()),
            (_, Match::NoBody) => (
                CheckStatus::L7Response,
                "HTTP content check could not find a response body".to_owned(),
            ),
            (_, Match::Yes) => (
                CheckStatus::L7Response,
                "HTTP check matched unwanted content".to_owned(),
            ),
            (_, _) => (
                CheckStatus::L7Response,
                "HTTP content check did not match".to_owned(),
            ),
        };
        let mut finding = self.failed_with(rule, status, text, &self.remark());
        finding.code = u32::from(answer.status);
        finding
    }

    fn failed(&self, rule: &CheckExpect, status: CheckStatus, text: String) -> Finding {
        let tail = match self.input.is_empty() {
            true => self
                .comment_text()
                .map_or(String::new(), |c| format!(" comment: '{c}'")),
            false => self.remark(),
        };
        self.failed_with(rule, status, text, &tail)
    }

    /// The comment behind what an answer lacks.
    fn remark(&self) -> String {
        self.comment_text()
            .map_or(String::new(), |c| format!(" comment: {c}"))
    }

    fn failed_with(
        &self,
        rule: &CheckExpect,
        status: CheckStatus,
        text: String,
        tail: &str,
    ) -> Finding {
        let status = rule.error_status.map_or(status, expect::status);
        let text = match &rule.on_error {
            Some(format) if self.kind == Kind::Http || !self.input.is_empty() => self.words(format),
            _ => text,
        };
        Finding::new(status, self.code(rule), format!("{text}{tail}"))
    }

    /// A format's text; of a protocol's answer the first line.
    fn words(&self, format: &Format) -> String {
        let text = String::from_utf8_lossy(&self.scope.render(format)).into_owned();
        match self.kind {
            Kind::Tcp | Kind::Http => text,
            Kind::Protocol => {
                let line = text.split(['\r', '\n', '\0']).next().unwrap_or_default();
                line.trim_start().to_owned()
            }
        }
    }

    /// Whether bytes came that no rule has decided on.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    fn code(&self, rule: &CheckExpect) -> u32 {
        let value = rule
            .status_code
            .as_deref()
            .and_then(|expr| self.scope.value(expr));
        value.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn passed(&self) -> Finding {
        let last = self.current.map(|index| &self.steps[index].action);
        match (self.kind, last) {
            (_, None | Some(CheckAction::Connect(_))) => Finding::bare(CheckStatus::L4Ok),
            (kind, Some(CheckAction::Expect(rule))) => {
                let status = rule.ok_status.map_or(CheckStatus::L7Ok, expect::status);
                let code = match kind {
                    Kind::Tcp | Kind::Protocol => self.code(rule),
                    Kind::Http => self.scope.status.map_or(0, u32::from),
                };
                let text = match (&rule.on_success, kind) {
                    (Some(format), _) => self.words(format),
                    (None, Kind::Tcp) => "(tcp-check)".to_owned(),
                    (None, Kind::Http | Kind::Protocol) => String::new(),
                };
                Finding::new(status, code, text)
            }
            (Kind::Tcp, Some(_)) => Finding::new(CheckStatus::L7Ok, 0, "(tcp-check)"),
            (Kind::Http | Kind::Protocol, Some(_)) => Finding::bare(CheckStatus::L7Ok),
        }
    }

    /// The finding when the answer did not come in time.
    pub fn timed_out(&self) -> Finding {
        let rule = self.current.map(|index| &self.steps[index].action);
        let status = match rule {
            Some(CheckAction::Expect(rule)) => rule
                .timeout_status
                .map_or(CheckStatus::L7Timeout, expect::status),
            _ => CheckStatus::L7Timeout,
        };
        Finding::new(status, 0, self.position())
    }

    /// The current step's number as the reports give it: from 1, comments included.
    fn number(&self) -> usize {
        self.current.map_or(0, |index| index + 1)
    }

    fn comment_text(&self) -> Option<&str> {
        let own = self
            .current
            .and_then(|index| self.steps[index].comment.as_deref());
        own.or_else(
            || match self.comment.map(|index| &self.steps[index].action) {
                Some(CheckAction::Comment(text)) => Some(text.as_str()),
                _ => None,
            },
        )
    }

    /// ` at step 2 of tcp-check (send) comment: 'hello'`.
    pub fn position(&self) -> String {
        if self.kind != Kind::Tcp {
            return String::new();
        }
        let Some(index) = self.current else {
            return " at initial connection step of tcp-check".to_owned();
        };
        let mut text = format!(" at step {} of tcp-check", index + 1);
        match &self.steps[index].action {
            CheckAction::Connect(CheckConnect {
                port: Some(port), ..
            }) => {
                text.push_str(&format!(" (connect port {port})"));
            }
            CheckAction::Connect(_) => text.push_str(" (connect)"),
            CheckAction::Send(_) | CheckAction::HttpSend(_) => text.push_str(" (send)"),
            CheckAction::Expect(rule) => {
                text.push_str(&format!(
                    " (expect {})",
                    expect::position_words(&rule.pattern)
                ));
            }
            CheckAction::Comment(_)
            | CheckAction::SetVar(..)
            | CheckAction::SetVarFormat(..)
            | CheckAction::UnsetVar(_) => {}
        }
        if let Some(comment) = self.comment_text() {
            text.push_str(&format!(" comment: '{comment}'"));
        }
        text
    }
}

fn default_expect() -> CheckStep {
    CheckStep {
        action: CheckAction::Expect(CheckExpect::new(ExpectPattern::Status(vec![(200, 399)]))),
        comment: None,
        place: Default::default(),
    }
}

/// The request as it goes over the wire.
fn request_bytes(request: &HttpSend, scope: &Scope) -> Vec<u8> {
    let mut out = request.method.clone().into_bytes();
    out.push(b' ');
    out.extend_from_slice(&scope.render(&request.uri));
    out.extend_from_slice(format!(" {}\r\n", request.version).as_bytes());
    let mut line = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.to_ascii_lowercase().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    for (name, value) in &request.headers {
        line(name, &scope.render(value));
    }
    if request.send_state {
        line("x-haproxy-server-state", scope.facts.state.as_bytes());
    }
    let body = request
        .body
        .as_ref()
        .map(|body| scope.render(body))
        .unwrap_or_default();
    let bodiless = matches!(
        request.method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "DELETE"
    );
    if !body.is_empty() || !bodiless {
        line("content-length", body.len().to_string().as_bytes());
    }
    if request.version == "HTTP/1.1" {
        line("connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
