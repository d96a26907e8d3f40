//! What is wrong with a policy as it was written: everything at once, in the order and the words that operators know.

use super::{ApplyTo, Pattern, erlang_term, validate, validate_operator};
use serde_json::{Map, Value};

/// Columns of a line of Erlang's; a term that ends there or beyond is broken.
const COLUMNS: usize = 79;

/// A policy as it was written, its definition read.
pub struct Entry<'a> {
    pub pattern: &'a Value,
    pub apply_to: Option<&'a Value>,
    pub definition: &'a Map<String, Value>,
    pub priority: Option<&'a Value>,
}

impl Entry<'_> {
    /// All complaints, none for a good one.
    pub fn complaints(&self, operator: bool) -> Vec<String> {
        let definition = match operator {
            true => validate_operator(self.definition),
            false => validate(self.definition),
        };
        let all = [
            definition,
            self.check_apply_to(),
            self.check_pattern(),
            self.check_priority(),
        ];
        all.into_iter().filter_map(Result::err).collect()
    }

    fn check_apply_to(&self) -> Result<(), String> {
        let word = match self.apply_to {
            None => return Ok(()),
            Some(value) => plain(value),
        };
        match ApplyTo::parse(&word) {
            Some(_) => Ok(()),
            None => Err(format!(
                "apply-to '{word}' unrecognised; should be 'queues', 'exchanges' or 'all'"
            )),
        }
    }

    fn check_pattern(&self) -> Result<(), String> {
        let Value::String(text) = self.pattern else {
            let shown = erlang_term(self.pattern);
            return Err(format!("pattern should be a binary but was {shown}"));
        };
        let Err(error) = Pattern::policy(text) else {
            return Ok(());
        };
        let begin = "pattern should be regular expression but is invalid: ";
        let term = error.to_string();
        Err(match begin.len() + term.len() < COLUMNS {
            true => format!("{begin}{term}"),
            false => {
                let indent = " ".repeat(begin.len() + 1);
                let (reason, at) = (&error.reason, error.position);
                format!("{begin}{{\"{reason}\",\n{indent}{at}}}")
            }
        })
    }

    fn check_priority(&self) -> Result<(), String> {
        match self.priority {
            Some(value) if !value.is_i64() => {
                let shown = erlang_term(value);
                Err(format!("priority should be a number, actually was {shown}"))
            }
            _ => Ok(()),
        }
    }
}

/// A value as `~s` shows it: lists of texts are one text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => erlang_term(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaints(entry: &Value, operator: bool) -> Vec<String> {
        let entry = Entry {
            pattern: &entry["pattern"],
            apply_to: entry.get("apply-to"),
            definition: entry["definition"].as_object().expect("an object"),
            priority: entry.get("priority"),
        };
        entry.complaints(operator)
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let entry = json!({"pattern": "(", "apply-to": ["z", "z"], "definition": {"foo": 1}, "priority": "x"});
        let all = [
            "[{<<\"foo\">>,1}] are not recognised policy settings",
            "apply-to 'zz' unrecognised; should be 'queues', 'exchanges' or 'all'",
            "pattern should be regular expression but is invalid: {\"missing )\",1}",
            "priority should be a number, actually was <<\"x\">>",
        ];
        assert_eq!(complaints(&entry, false), all);
        let entry = json!({"pattern": -1, "definition": {}});
        let both = [
            "no policy provided",
            "pattern should be a binary but was -1",
        ];
        assert_eq!(complaints(&entry, true), both);
        let null = json!({"pattern": "a", "definition": {"max-length": 1}, "apply-to": null});
        let one = ["apply-to 'null' unrecognised; should be 'queues', 'exchanges' or 'all'"];
        assert_eq!(complaints(&null, false), one);
        let good = json!({"pattern": "a", "definition": {"max-length": 1}, "apply-to": "queues"});
        assert!(complaints(&good, true).is_empty());
    }

    #[test]
    fn a_long_term_is_broken_as_there() {
        let entry = json!({"pattern": "a[", "definition": {"max-length": 1}});
        let text = format!(
            "pattern should be regular expression but is invalid: {{\"missing terminating ] for character class\",\n{}2}}",
            " ".repeat(54)
        );
        assert_eq!(complaints(&entry, false), [text]);
    }
}
