//! Options of a request for statistics: what stands after `;` and `?scope=` in its URI.

use super::markup::percent;

/// What the request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Page,
    Csv,
    Json,
    JsonSchema,
    Typed,
    /// `;status`: JSON in the words that all daemons share.
    Status,
    /// `;sessions`: live sessions.
    Sessions,
    /// `;events`: what happened.
    Events,
    /// `;changes`: what differs from the file.
    Changes,
    /// `;server=<be>/<srv>`: one server.
    Server,
}

/// How an admin action ended; posted actions are answered by a redirect that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Nothing,
    Partial,
    Denied,
    TooLarge,
    Invalid,
    Unknown,
}

impl Outcome {
    const ALL: [Outcome; 7] = [
        Outcome::Done,
        Outcome::Nothing,
        Outcome::Partial,
        Outcome::Denied,
        Outcome::TooLarge,
        Outcome::Invalid,
        Outcome::Unknown,
    ];

    /// The code in the URI.
    pub fn code(self) -> &'static str {
        match self {
            Outcome::Done => "DONE",
            Outcome::Nothing => "NONE",
            Outcome::Partial => "PART",
            Outcome::Denied => "DENY",
            Outcome::TooLarge => "EXCD",
            Outcome::Invalid => "ERRP",
            Outcome::Unknown => "UNKN",
        }
    }

    /// What the page says.
    pub fn text(self) -> &'static str {
        match self {
            Outcome::Done => "The action was applied.",
            Outcome::Nothing => "Nothing was changed: no server or no action was chosen.",
            Outcome::Partial => "The action was applied to some of the servers only; see the log.",
            Outcome::Denied => "The action was denied.",
            Outcome::TooLarge => "The action was not applied: the form is too large.",
            Outcome::Invalid => "The action was not applied: unknown action, proxy or server.",
            Outcome::Unknown => "The action ended in an unexpected way.",
        }
    }

    pub fn is_good(self) -> bool {
        matches!(self, Outcome::Done | Outcome::Nothing)
    }
}

/// A request's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    pub view: View,
    /// `;up`: servers that are down are left out.
    pub hide_down: bool,
    /// `;no-maint`: servers in maintenance are left out.
    pub hide_maintenance: bool,
    /// `;norefresh`
    pub no_refresh: bool,
    /// `;st=<code>`
    pub outcome: Option<Outcome>,
    /// The server of [`View::Server`].
    pub server: String,
    /// `?scope=`: only proxies whose name contains this.
    pub scope: String,
}

/// Longest scope taken, as in the page's form.
const SCOPE_MAX: usize = 20;

impl PageOptions {
    /// Options of a request target that starts with the page's `uri`; `None` when it does not.
    pub fn parse(uri: &str, target: &str) -> Option<Self> {
        let rest = target.strip_prefix(uri)?;
        let mut options = Self::default();
        // as HAProxy: in any order, also `?scope=a;csv`
        for word in rest.split([';', '?', '&']).skip(1) {
            match word.strip_prefix("scope=") {
                Some(scope) => options.scope = scope_text(scope),
                None => options.word(word),
            }
        }
        Some(options)
    }

    fn word(&mut self, word: &str) {
        match word {
            "up" => self.hide_down = true,
            "no-maint" => self.hide_maintenance = true,
            "norefresh" => self.no_refresh = true,
            "csv" => self.view = View::Csv,
            "json" => self.view = View::Json,
            "json-schema" => self.view = View::JsonSchema,
            "typed" => self.view = View::Typed,
            "status" => self.view = View::Status,
            "sessions" => self.view = View::Sessions,
            "events" => self.view = View::Events,
            "changes" => self.view = View::Changes,
            word => {
                if let Some(server) = word.strip_prefix("server=") {
                    self.view = View::Server;
                    self.server = server.to_owned();
                } else if let Some(code) = word.strip_prefix("st=") {
                    let known = Outcome::ALL.into_iter().find(|o| o.code() == code);
                    self.outcome = Some(known.unwrap_or(Outcome::Unknown));
                }
            }
        }
    }

    /// Turns the options into those of an export: never refreshed.
    pub fn export(&mut self, view: View) {
        self.view = view;
        self.no_refresh = view != View::JsonSchema;
        self.hide_down = false;
        self.outcome = None;
    }

    /// The page's path with these options, without the scope.
    pub fn path(&self, uri: &str) -> String {
        let mut path = uri.to_owned();
        match self.view {
            View::Page => {}
            View::Csv => path.push_str(";csv"),
            View::Json => path.push_str(";json"),
            View::JsonSchema => path.push_str(";json-schema"),
            View::Typed => path.push_str(";typed"),
            View::Status => path.push_str(";status"),
            View::Sessions => path.push_str(";sessions"),
            View::Events => path.push_str(";events"),
            View::Changes => path.push_str(";changes"),
            View::Server => {
                path.push_str(";server=");
                path.push_str(&percent(&self.server));
            }
        }
        if let Some(outcome) = self.outcome {
            path.push_str(";st=");
            path.push_str(outcome.code());
        }
        if self.hide_down {
            path.push_str(";up");
        }
        if self.hide_maintenance {
            path.push_str(";no-maint");
        }
        if self.no_refresh {
            path.push_str(";norefresh");
        }
        path
    }

    /// The page's path with these options and the scope.
    pub fn target(&self, uri: &str) -> String {
        let mut target = self.path(uri);
        if !self.scope.is_empty() && self.view != View::JsonSchema {
            target.push_str(if uri.contains('?') {
                "&scope="
            } else {
                "?scope="
            });
            target.push_str(&percent(&self.scope));
        }
        target
    }

    /// A link for an attribute, with some options changed.
    pub fn link(&self, uri: &str, change: impl Fn(&mut Self)) -> String {
        let mut options = self.clone();
        options.outcome = None;
        change(&mut options);
        super::escaped(&options.target(uri))
    }
}

/// The scope's characters that may occur in a proxy's name; others are dropped.
fn scope_text(raw: &str) -> String {
    raw.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.:".contains(*c))
        .take(SCOPE_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_semicolons_and_the_scope_a_question_mark() {
        let options = PageOptions::parse("/stats", "/stats;up;norefresh?scope=rab").unwrap();
        assert!(options.hide_down && options.no_refresh);
        assert_eq!(options.scope, "rab");
        assert_eq!(options.target("/stats"), "/stats;up;norefresh?scope=rab");
    }

    #[test]
    fn another_path_is_not_the_page() {
        assert_eq!(PageOptions::parse("/stats", "/other"), None);
    }

    #[test]
    fn the_outcome_of_an_action_is_known_by_its_code() {
        let options = PageOptions::parse("/stats", "/stats;st=DONE").unwrap();
        assert_eq!(options.outcome, Some(Outcome::Done));
        let options = PageOptions::parse("/stats", "/stats;st=<b>").unwrap();
        assert_eq!(options.outcome, Some(Outcome::Unknown));
    }

    #[test]
    fn a_default_uri_with_a_question_mark_works_too() {
        let options = PageOptions::parse("/haproxy?stats", "/haproxy?stats;csv").unwrap();
        assert_eq!(options.view, View::Csv);
    }

    #[test]
    fn views_and_scope_come_in_any_order() {
        for target in [
            "/stats;csv?scope=ab",
            "/stats?scope=ab;csv",
            "/stats?;csv&scope=ab",
        ] {
            let options = PageOptions::parse("/stats", target).unwrap();
            assert_eq!(
                (options.view, options.scope.as_str()),
                (View::Csv, "ab"),
                "{target}"
            );
        }
    }

    #[test]
    fn markup_in_the_scope_is_dropped() {
        let options = PageOptions::parse("/s", "/s?scope=\"><script>alert(1)").unwrap();
        assert_eq!(options.scope, "scriptalert1");
    }
}
