//! The headers exchange's index: bindings whose arguments are compared with a message's headers.

use super::Target;
use crate::core::field::{FieldTable, FieldValue};

/// Bindings and where they lead, looked through one by one.
#[derive(Debug, Default)]
pub struct HeadersIndex {
    bindings: Vec<(FieldTable, Target)>,
}

/// How many of a binding's fields must be met, and whether names starting with `x-` count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Match {
    All { with_x: bool },
    Any { with_x: bool },
}

impl Match {
    /// Reads `x-match`; `None` for a word that is none of the four.
    pub fn of(arguments: &FieldTable) -> Option<Match> {
        match arguments.get("x-match").map(FieldValue::as_str) {
            None | Some(Some("all")) => Some(Match::All { with_x: false }),
            Some(Some("any")) => Some(Match::Any { with_x: false }),
            Some(Some("all-with-x")) => Some(Match::All { with_x: true }),
            Some(Some("any-with-x")) => Some(Match::Any { with_x: true }),
            _ => None,
        }
    }
}

impl HeadersIndex {
    pub fn insert(&mut self, arguments: &FieldTable, target: Target) {
        self.bindings.push((arguments.clone(), target));
    }

    pub fn remove(&mut self, arguments: &FieldTable, target: &Target) {
        if let Some(index) = self
            .bindings
            .iter()
            .position(|(a, t)| a == arguments && t == target)
        {
            self.bindings.swap_remove(index);
        }
    }

    /// Calls `found` for the target of each binding that the headers meet.
    pub fn matches(&self, headers: &FieldTable, found: &mut dyn FnMut(&Target)) {
        for (arguments, target) in &self.bindings {
            if accepts(arguments, headers) {
                found(target);
            }
        }
    }
}

fn accepts(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let rule = Match::of(arguments).unwrap_or(Match::All { with_x: false });
    let with_x = matches!(
        rule,
        Match::All { with_x: true } | Match::Any { with_x: true }
    );
    let mut fields = arguments
        .iter()
        .filter(|(name, _)| *name != "x-match" && (with_x || !name.starts_with("x-")));
    let met = |(name, wanted): (&str, &FieldValue)| {
        headers.get(name).is_some_and(|value| equal(wanted, value))
    };
    match rule {
        Match::All { .. } => fields.all(met),
        Match::Any { .. } => fields.any(met),
    }
}

/// A void field asks only for presence.
fn equal(wanted: &FieldValue, value: &FieldValue) -> bool {
    *wanted == FieldValue::Void || wanted.means(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        FieldTable(
            fields
                .iter()
                .map(|(n, v)| ((*n).to_owned(), v.clone()))
                .collect(),
        )
    }

    #[test]
    fn all_needs_every_field_and_any_needs_one() {
        let headers = table(&[("a", FieldValue::I32(1)), ("b", FieldValue::string("x"))]);
        let both = [("a", FieldValue::I64(1)), ("b", FieldValue::string("y"))];
        let mut all = table(&both);
        assert!(!accepts(&all, &headers));
        all.set("x-match", FieldValue::string("any"));
        assert!(accepts(&all, &headers));
    }

    #[test]
    fn a_void_field_asks_for_presence_only() {
        let headers = table(&[("a", FieldValue::Bool(false))]);
        assert!(accepts(&table(&[("a", FieldValue::Void)]), &headers));
        assert!(!accepts(&table(&[("b", FieldValue::Void)]), &headers));
    }

    #[test]
    fn numbers_compare_by_value_whatever_their_type() {
        let headers = table(&[("n", FieldValue::F64(1.0))]);
        for one in [
            FieldValue::I8(1),
            FieldValue::I64(1),
            FieldValue::Timestamp(1),
        ] {
            assert!(accepts(&table(&[("n", one)]), &headers));
        }
        for other in [
            FieldValue::I8(2),
            FieldValue::string("1"),
            FieldValue::Bool(true),
        ] {
            assert!(!accepts(&table(&[("n", other)]), &headers));
        }
    }

    #[test]
    fn names_starting_with_x_count_only_when_asked() {
        let headers = table(&[]);
        let plain = table(&[("x-a", FieldValue::I32(1))]);
        assert!(accepts(&plain, &headers));
        let strict = table(&[
            ("x-a", FieldValue::I32(1)),
            ("x-match", FieldValue::string("all-with-x")),
        ]);
        assert!(!accepts(&strict, &headers));
    }
}
