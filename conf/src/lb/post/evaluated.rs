//! Expressions that the mode of a section cannot evaluate, and rules that it
//! does not run: refused by name (E0007), so that none silently counts as
//! having no value.

use super::Whole;
use crate::diagnostic::Diagnostic;
use crate::lb::draft::Draft;
use crate::lb::known::not_yet;
use crate::lb::model::{
    BackendName, Balance, Condition, Converter, Expr, Fetch, Format, FormatPart, HttpAction,
    HttpAnswer, HttpRule, Mode, Operand, Place, TcpAction, TcpRule,
};
use crate::lb::sample::fetch::{self, Needs};
use std::collections::BTreeSet;

pub(super) fn check(whole: &Whole<'_>, found: &mut Vec<Diagnostic>) {
    for draft in whole.running() {
        let mut findings = Findings { draft, found };
        match draft.proxy.mode {
            Mode::Http => findings.http(),
            Mode::Tcp => findings.tcp(),
        }
    }
}

/// Where findings go, and the section that they are about.
struct Findings<'a, 'f> {
    draft: &'a Draft,
    found: &'f mut Vec<Diagnostic>,
}

impl Findings<'_, '_> {
    fn http(&mut self) {
        let proxy = &self.draft.proxy;
        for rule in proxy
            .http
            .request_rules
            .iter()
            .chain(&proxy.http.response_rules)
        {
            self.http_rule(rule);
        }
        for condition in &proxy.http.monitor_fail {
            self.condition(condition);
        }
        if let Some(stats) = &proxy.stats {
            stats.admin.iter().for_each(|c| self.condition(c));
            stats.rules.iter().for_each(|rule| self.http_rule(rule));
        }
        if let Some(front) = proxy.front.as_ref().filter(|_| self.draft.has_front()) {
            for rule in &front.use_backend {
                self.optional(rule.condition.as_ref());
                self.name(&rule.backend, rule.place);
            }
            self.not_run(&front.content_rules, "tcp-request content");
        }
        if let Some(back) = proxy.back.as_ref().filter(|_| self.draft.has_back()) {
            self.not_run(&back.content_rules, "tcp-request content");
            self.not_run(&back.response_rules, "tcp-response content");
            for rule in &back.use_server {
                self.refuse(rule.place, "`use-server` in `mode http`");
            }
            if let (Balance::Hash(expr), Some(span)) = (&back.balance, self.draft.marks.balance) {
                self.expr(expr, Place(span));
            }
        }
    }

    fn tcp(&mut self) {
        let proxy = &self.draft.proxy;
        let used = self.used_in_tcp();
        for (_, acl) in proxy
            .acls
            .iter()
            .enumerate()
            .filter(|(i, _)| used.contains(i))
        {
            acl.tests.iter().for_each(|t| self.expr(&t.expr, acl.place));
        }
        if let Some(front) = proxy.front.as_ref().filter(|_| self.draft.has_front()) {
            self.actions(&front.connection_rules);
            self.actions(&front.session_rules);
            self.actions(&front.content_rules);
            for rule in &front.use_backend {
                self.name(&rule.backend, rule.place);
            }
        }
        if let Some(back) = proxy.back.as_ref().filter(|_| self.draft.has_back()) {
            self.actions(&back.content_rules);
            self.actions(&back.response_rules);
            for rule in &back.use_server {
                self.name(&rule.server, rule.place);
            }
        }
    }

    /// The ACLs that rules of a TCP session ask: those of HTTP rules, which are ignored there, and
    /// those that nothing asks may be about anything.
    fn used_in_tcp(&self) -> BTreeSet<usize> {
        let front = self.draft.proxy.front.iter();
        let back = self.draft.proxy.back.iter();
        let of_front = front.clone().flat_map(|front| {
            let rules = front.connection_rules.iter().chain(&front.session_rules);
            rules.chain(&front.content_rules)
        });
        let of_back = back
            .clone()
            .flat_map(|back| back.content_rules.iter().chain(&back.response_rules));
        let switching = front.flat_map(|front| &front.use_backend);
        let choosing = back.flat_map(|back| &back.use_server);
        of_front
            .chain(of_back)
            .map(|rule| &rule.condition)
            .chain(switching.map(|rule| &rule.condition))
            .chain(choosing.map(|rule| &rule.condition))
            .flatten()
            .flat_map(|condition| condition.any.iter().flatten())
            .map(|term| term.acl)
            .collect()
    }

    fn not_run(&mut self, rules: &[TcpRule], list: &str) {
        for rule in rules {
            self.refuse(rule.place, &format!("`{list}` in `mode http`"));
        }
    }

    fn actions(&mut self, rules: &[TcpRule]) {
        for rule in rules {
            match &rule.action {
                TcpAction::SetVar(_, expr)
                | TcpAction::Capture { expr, .. }
                | TcpAction::SetSrc(expr)
                | TcpAction::SetSrcPort(expr)
                | TcpAction::SetDst(expr)
                | TcpAction::SetDstPort(expr)
                | TcpAction::SetPriorityClass(expr)
                | TcpAction::SetPriorityOffset(expr) => self.expr(expr, rule.place),
                TcpAction::SetVarFormat(_, format) => self.format(format, rule.place),
                _ => {}
            }
        }
    }

    fn http_rule(&mut self, rule: &HttpRule) {
        self.optional(rule.condition.as_ref());
        match &rule.action {
            HttpAction::SetHeader(_, format) | HttpAction::AddHeader(_, format) => {
                self.format(format, rule.place);
            }
            HttpAction::Deny(answer) | HttpAction::Return(answer) => {
                self.answer(answer, rule.place);
            }
            _ => {}
        }
    }

    fn answer(&mut self, answer: &HttpAnswer, place: Place) {
        let headers = answer.headers.iter().map(|(_, format)| format);
        for format in answer.body.iter().chain(headers) {
            self.format(format, place);
        }
    }

    fn optional(&mut self, condition: Option<&Condition>) {
        if let Some(condition) = condition {
            self.condition(condition);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        let acls = &self.draft.proxy.acls;
        for term in condition.any.iter().flatten() {
            if let Some(acl) = acls.get(term.acl) {
                acl.tests.iter().for_each(|t| self.expr(&t.expr, acl.place));
            }
        }
    }

    fn name(&mut self, name: &BackendName, place: Place) {
        if let BackendName::Format(format) = name {
            self.format(format, place);
        }
    }

    fn format(&mut self, format: &Format, place: Place) {
        for part in &format.parts {
            if let FormatPart::Expr(expr, _) = part {
                self.expr(expr, place);
            }
        }
    }

    fn expr(&mut self, expr: &Expr, place: Place) {
        let text = &expr.text;
        let name = &text[..text.find(['(', ',']).unwrap_or(text.len())];
        let (known, mode) = match self.draft.proxy.mode {
            Mode::Http => (in_http(&expr.fetch, name), "http"),
            Mode::Tcp => (in_tcp(name), "tcp"),
        };
        if !known {
            self.refuse(place, &format!("fetch `{name}` in `mode {mode}`"));
        } else if mode == "http"
            && let Some(converter) = expr.converters.iter().find_map(of_variable)
        {
            self.refuse(place, &format!("{converter} in `mode http`"));
        }
    }

    fn refuse(&mut self, place: Place, what: &str) {
        self.found.push(not_yet(place.0, what));
    }
}

/// Whether HTTP rules have the value: contents of the connection are taken
/// apart by then, and sessions of HTTP have no variables of their own.
fn in_http(fetch: &Fetch, name: &str) -> bool {
    match fetch {
        Fetch::Var(name, _) => name.starts_with("proc."),
        Fetch::PrioClass
        | Fetch::PrioOffset
        | Fetch::FcRcvdProxy
        | Fetch::FcPpAuthority
        | Fetch::FcPpUniqueId
        | Fetch::DstConn
        | Fetch::TcpInfo { .. }
        | Fetch::CheckPayload(..) => false,
        Fetch::ReqProtoHttp => true,
        _ => !matches!(needs(name), Some(Needs::Request | Needs::Response)),
    }
}

/// Whether TCP sessions have the value: they know nothing of HTTP.
fn in_tcp(name: &str) -> bool {
    name != "check.payload"
        && !matches!(
            needs(name),
            Some(Needs::HttpRequest | Needs::HttpLine | Needs::HttpResponse)
        )
}

fn needs(name: &str) -> Option<Needs> {
    fetch::find(name).map(|row| row.needs)
}

/// A converter that reads or writes a variable.
fn of_variable(converter: &Converter) -> Option<&'static str> {
    match converter {
        Converter::SetVar(_) => Some("converter `set-var`"),
        Converter::UnsetVar(_) => Some("converter `unset-var`"),
        Converter::Strcmp(_) => Some("converter `strcmp`"),
        Converter::Concat(_, Some(_), _) => Some("converter `concat` with a variable"),
        Converter::Arithmetic(_, Operand::Var(_)) => Some("arithmetic with a variable"),
        _ => None,
    }
}
