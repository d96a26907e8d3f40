//! What an agent's line says about its server.
//!
//! A line is words separated by blanks and commas, in any order and case:
//! health (`up`, `down`, `fail`, `stopped`), administration (`ready`, `drain`,
//! `maint`), a weight (`75%`), a limit (`maxconn:30`); after `#` a description.

/// What administration an agent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administration {
    /// `ready`: neither maintenance nor drain.
    Ready,
    /// `drain`: no new sessions.
    Drain,
    /// `maint`: maintenance.
    Maint,
}

/// An agent's line, taken apart. Of several words of one kind the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Health, and the word that said so.
    pub health: Option<(bool, String)>,
    /// Administration.
    pub administration: Option<Administration>,
    /// The weight's word, `%` included.
    pub weight: Option<String>,
    /// The limit's word.
    pub maxconn: Option<String>,
    /// The first word that is none of these.
    pub unknown: Option<String>,
    /// What stands behind `#`.
    pub description: String,
}

impl Report {
    /// Reads a line without its end.
    pub fn parse(line: &str) -> Report {
        let mut report = Report::default();
        let mut rest = line;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if let Some(description) = rest.strip_prefix('#') {
                report.description = description.trim_matches([' ', '\t']).to_owned();
                return report;
            }
            if rest.is_empty() {
                return report;
            }
            let end = rest.find([' ', '\t', ',']).unwrap_or(rest.len());
            report.word(&rest[..end]);
            rest = &rest[end..];
        }
    }

    fn word(&mut self, word: &str) {
        match word.to_ascii_lowercase().as_str() {
            "up" => self.health = Some((true, word.to_owned())),
            "down" | "stopped" | "fail" => self.health = Some((false, word.to_owned())),
            "ready" => self.administration = Some(Administration::Ready),
            "drain" => self.administration = Some(Administration::Drain),
            "maint" => self.administration = Some(Administration::Maint),
            text if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('%') => {
                self.weight = Some(word.to_owned());
            }
            text => match text.strip_prefix("maxconn:") {
                Some(limit) => self.maxconn = Some(limit.to_owned()),
                None if self.unknown.is_none() => self.unknown = Some(word.to_owned()),
                None => {}
            },
        }
    }

    /// The text of the agent's last check: what it said, then its own
    /// description or, where that leaves room, what was wrong with the line.
    pub fn text(&self, warning: Option<&str>) -> String {
        let trouble = self.unknown.as_deref().or(warning);
        let Some((up, word)) = &self.health else {
            return match (&self.unknown, warning) {
                (Some(unknown), _) => format!("agent reports an error : {unknown}"),
                (None, Some(warning)) => format!("agent warns : {warning}"),
                (None, None) => String::new(),
            };
        };
        let own = Some(self.description.as_str()).filter(|text| !text.is_empty());
        let detail = match up {
            true => trouble.or(own),
            false => own.or(trouble),
        };
        match detail {
            Some(detail) => format!("via agent : {word} ({detail})"),
            None => format!("via agent : {word}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_each_kind_are_found_in_any_order_and_case() {
        let report = Report::parse("50%, MAXCONN:30\tUp drain # fine day ");
        assert_eq!(report.health, Some((true, "Up".to_owned())));
        assert_eq!(report.administration, Some(Administration::Drain));
        assert_eq!(report.weight.as_deref(), Some("50%"));
        assert_eq!(report.maxconn.as_deref(), Some("30"));
        assert_eq!(report.description, "fine day");
        assert_eq!(report.text(None), "via agent : Up (fine day)");
    }

    #[test]
    fn a_sharp_within_a_word_starts_no_description() {
        let report = Report::parse("50% drain#x");
        assert_eq!(report.unknown.as_deref(), Some("drain#x"));
        assert_eq!(report.text(None), "agent reports an error : drain#x");
    }

    #[test]
    fn the_own_description_of_bad_news_goes_first_and_trouble_of_good_news() {
        assert_eq!(
            Report::parse("down # why").text(Some("w")),
            "via agent : down (why)"
        );
        assert_eq!(
            Report::parse("down bogus").text(None),
            "via agent : down (bogus)"
        );
        assert_eq!(
            Report::parse("up # fine").text(Some("w")),
            "via agent : up (w)"
        );
    }

    #[test]
    fn a_lone_number_or_a_negative_share_is_an_unknown_word() {
        assert_eq!(Report::parse("-5%").unknown.as_deref(), Some("-5%"));
        assert_eq!(Report::parse("75").unknown.as_deref(), Some("75"));
        assert_eq!(Report::parse("").text(None), "");
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_harm(line in ".{0,200}") {
            let report = Report::parse(&line);
            prop_assert!(report.text(None).len() <= line.len() + 32);
        }
    }
}
