//! Conditions of `.if` and of `-cc`.

use super::VERSION;
use super::env::Env;
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use crate::suggest;

/// Facilities that work, for `feature(name)`.
pub static FEATURES: &[&str] = &[
    "ACCEPT4",
    "AMQP_CHECK",
    "CPU_AFFINITY",
    "EPOLL",
    "GETADDRINFO",
    "LINUX_SPLICE",
    "LINUX_TPROXY",
    "NETFILTER",
    "PROMEX",
    "REBALANCE",
    "SYSTEMD",
    "THREAD",
    "TPROXY",
];

/// Evaluates the words behind `.if`.
pub fn holds(head: &Word, words: &[Word], env: &Env) -> Result<bool, Diagnostic> {
    let text: Vec<_> = words.iter().map(|w| w.text.as_str()).collect();
    let span = match (words.first(), words.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        _ => head.span.after(),
    };
    evaluate(&text.join(" "), env).map_err(|e| e.diagnostic(span))
}

/// What is wrong with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCondition {
    message: String,
    help: Option<String>,
}

impl BadCondition {
    fn new(message: impl Into<String>) -> BadCondition {
        BadCondition {
            message: message.into(),
            help: None,
        }
    }

    /// As a diagnostic at a place.
    pub fn diagnostic(self, span: crate::source::Span) -> Diagnostic {
        let diagnostic = Diagnostic::error("E1015", span, self.message);
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    /// The message with its help, for a command line.
    pub fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{} ({help})", self.message),
            None => self.message.clone(),
        }
    }
}

/// Evaluates a condition; an empty one is false.
pub fn evaluate(text: &str, env: &Env) -> Result<bool, BadCondition> {
    let mut parser = Parser {
        rest: text.trim_start(),
        env,
        depth: 0,
    };
    if parser.rest.is_empty() {
        return Ok(false);
    }
    let value = parser.any()?;
    parser.skip();
    if parser.rest.is_empty() {
        return Ok(value);
    }
    Err(BadCondition::new(format!(
        "unexpected `{}` in the condition",
        parser.rest
    )))
}

struct Parser<'a> {
    rest: &'a str,
    env: &'a Env,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, text: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<bool, BadCondition> {
        let mut value = self.all()?;
        while self.take("||") {
            value |= self.all()?;
        }
        Ok(value)
    }

    fn all(&mut self) -> Result<bool, BadCondition> {
        let mut value = self.term()?;
        while self.take("&&") {
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, BadCondition> {
        let mut negated = false;
        while self.take("!") {
            negated = !negated;
        }
        Ok(self.value()? != negated)
    }

    fn value(&mut self) -> Result<bool, BadCondition> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > 32 {
                return Err(BadCondition::new("too many parentheses in the condition"));
            }
            let value = self.any()?;
            if !self.take(")") {
                return Err(BadCondition::new("unmatched parenthesis in the condition"));
            }
            self.depth -= 1;
            return Ok(value);
        }
        self.skip();
        let digits = self
            .rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(self.rest.len());
        if digits > 0 {
            let (number, rest) = self.rest.split_at(digits);
            let value: i64 = number
                .parse()
                .map_err(|_| BadCondition::new(format!("`{number}` is not a number")))?;
            self.rest = rest;
            return Ok(value != 0);
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<bool, BadCondition> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            let found = if rest.is_empty() { "the end" } else { rest };
            return Err(BadCondition::new(format!(
                "expected a predicate, found `{found}`"
            )));
        }
        if !PREDICATES.iter().any(|(known, ..)| *known == name) {
            let near = suggest::nearest(name, PREDICATES.iter().map(|(n, ..)| *n));
            return Err(BadCondition {
                message: format!("unknown predicate `{name}`"),
                help: near.map(|n| format!("did you mean `{n}`?")),
            });
        }
        let Some(inside) = rest.strip_prefix('(') else {
            return Err(BadCondition::new(format!("`{name}` needs parentheses")));
        };
        let (args, used) = super::call::arguments(inside)
            .ok_or_else(|| BadCondition::new(format!("`{name}(` is never closed")))?;
        self.rest = &inside[used..];
        self.apply(name, &args)
    }

    fn apply(&self, name: &str, args: &[String]) -> Result<bool, BadCondition> {
        let arity = PREDICATES
            .iter()
            .find(|(known, ..)| *known == name)
            .map_or(1, |(_, arity, _)| *arity);
        if args.len() > arity || (args.len() < arity && arity > 1) {
            return Err(BadCondition::new(format!(
                "`{name}` takes {arity} argument(s), not {}",
                args.len()
            )));
        }
        let arg = |index: usize| args.get(index).map_or("", String::as_str);
        Ok(match name {
            "defined" => self.env.get(arg(0)).is_some(),
            "feature" => FEATURES.contains(&arg(0)),
            "streq" => arg(0) == arg(1),
            "strneq" => arg(0) != arg(1),
            "strstr" => arg(0).contains(arg(1)),
            "version_atleast" => version(VERSION)? >= version(arg(0))?,
            "version_before" => version(VERSION)? < version(arg(0))?,
            "enabled" => enabled(arg(0))?,
            "openssl_version_atleast" | "openssl_version_before" | "ssllib_name_startswith" => {
                false
            }
            other => return Err(BadCondition::new(format!("unknown predicate `{other}`"))),
        })
    }
}

/// Name, number of arguments and meaning of every predicate.
pub static PREDICATES: &[(&str, usize, &str)] = &[
    ("defined", 1, "the environment variable is set"),
    (
        "enabled",
        1,
        "the facility is switched on: POLL, EPOLL, SPLICE, REUSEPORT, GETADDRINFO",
    ),
    ("feature", 1, "the facility works in this program"),
    ("streq", 2, "both texts are equal"),
    ("strneq", 2, "the texts differ"),
    ("strstr", 2, "the first text contains the second"),
    (
        "version_atleast",
        1,
        "the language is of this version or newer",
    ),
    (
        "version_before",
        1,
        "the language is older than this version",
    ),
    (
        "openssl_version_atleast",
        1,
        "always false: there is no OpenSSL",
    ),
    (
        "openssl_version_before",
        1,
        "always false: there is no OpenSSL",
    ),
    (
        "ssllib_name_startswith",
        1,
        "always false: there is no OpenSSL",
    ),
];

/// Facilities that `enabled(name)` knows, and whether they are there.
const OPTIONS: &[(&str, bool)] = &[
    ("POLL", false),
    ("EPOLL", true),
    ("KQUEUE", false),
    ("EVPORTS", false),
    ("SPLICE", true),
    ("GETADDRINFO", true),
    ("REUSEPORT", true),
    ("FAST-FORWARD", false),
    ("SERVER-SSL-VERIFY-NONE", false),
];

fn enabled(name: &str) -> Result<bool, BadCondition> {
    OPTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, on)| *on)
        .ok_or_else(|| BadCondition {
            message: format!("unknown facility `{name}`"),
            help: suggest::nearest(name, OPTIONS.iter().map(|(n, _)| *n))
                .map(|n| format!("did you mean `{n}`?")),
        })
}

/// `2.6`, `2.6.12`, `2.6-dev5`: major, minor, development before release, the rest.
fn version(text: &str) -> Result<(u32, u32, i64), BadCondition> {
    let bad = || BadCondition::new(format!("`{text}` is not a version such as 2.6 or 2.6.12"));
    let (major, rest) = text.split_once('.').unwrap_or((text, "0"));
    let major = major.parse().map_err(|_| bad())?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (minor, rest) = rest.split_at(digits);
    let minor = minor.parse().map_err(|_| bad())?;
    let number = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse::<i64>().map_err(|_| bad())
    };
    let patch = if let Some(dev) = rest.strip_prefix("-dev") {
        number(dev)? - 1_000_000
    } else if let Some(patch) = rest.strip_prefix('.') {
        number(patch)?
    } else if rest.is_empty() || rest.starts_with('-') {
        0
    } else {
        return Err(bad());
    };
    Ok((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(text: &str, expected: bool) {
        let env: Env = [("SET", "1")].into_iter().collect();
        assert_eq!(evaluate(text, &env), Ok(expected), "{text}");
    }

    #[test]
    fn predicates_and_operators_follow_their_table() {
        is("", false);
        is("0", false);
        is("1", true);
        is("-1", true);
        is("!0 && 1", true);
        is("0 || 1 && 0", false);
        is("(0 || 1) && 1", true);
        is("!(1 && 0)", true);
        is("defined(SET)", true);
        is("defined(UNSET)", false);
        is("feature(AMQP_CHECK)", true);
        is("feature(OPENSSL)", false);
        is("streq(a,a)", true);
        is("strneq(a,a)", false);
        is("strstr(abc,b)", true);
        is("streq(\"a b\",a\\ b)", true);
        is("enabled(EPOLL)", true);
        is("version_atleast(2.4)", true);
        is("version_atleast(2.6-dev3)", true);
        is("version_atleast(2.7)", false);
        is("version_before(2.7-dev1)", true);
        is("version_atleast(2.6.12) && version_before(3.0)", true);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "nope(1)",
            "streq(a)",
            "1 1",
            "(1",
            "1 &&",
            "feature",
            "enabled(X)",
            "version_atleast(x)",
            "!",
        ] {
            assert!(evaluate(text, &Env::empty()).is_err(), "{text}");
        }
    }
}
