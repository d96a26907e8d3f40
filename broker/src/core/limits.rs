//! Limits that an administrator sets on a virtual host or on a user.

use serde_json::{Map, Value};

/// How many a limit that is set allows; a negative one allows any number.
pub fn most(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok()
}

/// Limits of a virtual host; none and a negative one mean no limit. A limit of 0 allows none at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// `max-connections`.
    pub max_connections: Option<i64>,
    /// `max-queues`.
    pub max_queues: Option<i64>,
}

/// Limits of a user; none and a negative one mean no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// `max-connections`.
    pub max_connections: Option<i64>,
    /// `max-channels`.
    pub max_channels: Option<i64>,
}

/// A limit by its name, for the parts that set one at a time.
pub trait Limits: Default + Copy {
    /// The names that may be set.
    const NAMES: [&'static str; 2];
    /// What they are called together in refusals.
    const WORD: &'static str;
    /// The slot of a name.
    fn slot(&mut self, name: &str) -> Option<&mut Option<i64>>;

    /// The limits that are set, as the export shows them.
    fn to_json(mut self) -> Map<String, Value> {
        let mut map = Map::new();
        for name in Self::NAMES {
            if let Some(Some(value)) = self.slot(name).map(|s| *s) {
                map.insert(name.to_owned(), value.into());
            }
        }
        map
    }

    /// Sets one limit; a negative one is shown and limits nothing. The error is the text that
    /// operators know.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let shown = crate::core::policy::erlang_term(value);
        let Some(slot) = self.slot(name) else {
            return Err(format!(
                "Unrecognised terms [{{<<\"{name}\">>,{shown}}}] in {}",
                Self::WORD
            ));
        };
        let Some(number) = value.as_i64() else {
            return Err(format!("{name} should be a number, actually was {shown}"));
        };
        *slot = Some(number);
        Ok(())
    }

    /// Lifts one limit; one that nobody knows is not set.
    fn lift(&mut self, name: &str) {
        if let Some(slot) = self.slot(name) {
            *slot = None;
        }
    }

    /// Reads a whole definition, `{"max-queues": 5}`.
    fn from_json(map: &Map<String, Value>) -> Result<Self, String> {
        let mut limits = Self::default();
        for (name, value) in map {
            limits.set(name, value)?;
        }
        Ok(limits)
    }

    /// Whether no limit is set, not even a negative one.
    fn is_unset(self) -> bool {
        self.to_json().is_empty()
    }
}

impl Limits for VhostLimits {
    const NAMES: [&'static str; 2] = ["max-connections", "max-queues"];
    const WORD: &'static str = "limits";

    fn slot(&mut self, name: &str) -> Option<&mut Option<i64>> {
        match name {
            "max-connections" => Some(&mut self.max_connections),
            "max-queues" => Some(&mut self.max_queues),
            _ => None,
        }
    }
}

impl Limits for UserLimits {
    const NAMES: [&'static str; 2] = ["max-connections", "max-channels"];
    const WORD: &'static str = "user-limits";

    fn slot(&mut self, name: &str) -> Option<&mut Option<i64>> {
        match name {
            "max-connections" => Some(&mut self.max_connections),
            "max-channels" => Some(&mut self.max_channels),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_is_read_and_shown_again() {
        let given = json!({"max-connections": 3, "max-queues": 0});
        let limits = VhostLimits::from_json(given.as_object().expect("object")).expect("valid");
        assert_eq!(limits.max_queues, Some(0));
        assert_eq!(Value::from(limits.to_json()), given);
    }

    #[test]
    fn a_negative_limit_is_shown_and_limits_nothing() {
        let mut limits = UserLimits::default();
        limits.set("max-channels", &json!(5)).expect("valid");
        limits.set("max-channels", &json!(-1)).expect("valid");
        assert_eq!(Value::from(limits.to_json()), json!({"max-channels": -1}));
        assert_eq!(limits.max_channels.and_then(most), None);
        limits.lift("max-channels");
        assert!(limits.is_unset());
    }

    #[test]
    fn an_unknown_limit_is_refused_with_the_known_text() {
        let error = VhostLimits::default().set("foo", &json!(2));
        let text = "Unrecognised terms [{<<\"foo\">>,2}] in limits";
        assert_eq!(error, Err(text.to_owned()));
    }
}
