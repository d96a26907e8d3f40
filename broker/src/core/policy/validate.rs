//! Checks of a policy's definition, with the texts that operators and their
//! scripts know from RabbitMQ.

use serde_json::{Map, Value};

/// A key with the check of its value; the error says what is wrong.
struct Setting {
    key: &'static str,
    check: Check,
    operator: bool,
}

enum Check {
    /// A string; the text names what it is.
    Text(&'static str),
    /// A whole number of at least this; the text names what it is.
    AtLeast(i64, &'static str),
    /// One of these words; the text names the key's value.
    Word(&'static [&'static str], &'static str),
    /// One of these numbers.
    Number(&'static [i64], &'static str),
    /// Number and unit, such as `7D`.
    Age,
    /// Where a queue's leader goes; has a text of its own.
    MasterLocator,
}

const fn setting(key: &'static str, check: Check, operator: bool) -> Setting {
    Setting {
        key,
        check,
        operator,
    }
}

static SETTINGS: &[Setting] = &[
    setting(
        "alternate-exchange",
        Check::Text("alternate exchange name"),
        false,
    ),
    setting(
        "consumer-timeout",
        Check::AtLeast(1, "consumer timeout"),
        false,
    ),
    setting(
        "dead-letter-exchange",
        Check::Text("dead letter exchange name"),
        false,
    ),
    setting(
        "dead-letter-routing-key",
        Check::Text("dead letter routing key"),
        false,
    ),
    setting(
        "dead-letter-strategy",
        Check::Word(&["at-most-once", "at-least-once"], "dead letter strategy"),
        false,
    ),
    setting("delivery-limit", Check::AtLeast(0, "delivery limit"), true),
    setting(
        "durability",
        Check::Word(&["fsync", "replicated", "memory"], "durability level"),
        false,
    ),
    setting("expires", Check::AtLeast(1, "queue expiry"), true),
    setting(
        "initial-cluster-size",
        Check::AtLeast(0, "cluster size"),
        false,
    ),
    setting("max-age", Check::Age, false),
    setting(
        "max-in-memory-bytes",
        Check::AtLeast(0, "maximum memory in bytes"),
        true,
    ),
    setting(
        "max-in-memory-length",
        Check::AtLeast(0, "maximum memory in bytes"),
        true,
    ),
    setting("max-length", Check::AtLeast(0, "maximum length"), true),
    setting(
        "max-length-bytes",
        Check::AtLeast(0, "maximum length in bytes"),
        true,
    ),
    setting("message-ttl", Check::AtLeast(0, "message TTL"), true),
    setting(
        "overflow",
        Check::Word(
            &["drop-head", "reject-publish", "reject-publish-dlx"],
            "overflow value",
        ),
        false,
    ),
    setting(
        "queue-leader-locator",
        Check::Word(
            &["client-local", "balanced", "random", "least-leaders"],
            "queue leader locator value",
        ),
        false,
    ),
    setting("queue-master-locator", Check::MasterLocator, false),
    setting(
        "queue-mode",
        Check::Word(&["default", "lazy"], "queue-mode value"),
        false,
    ),
    setting(
        "queue-version",
        Check::Number(&[1, 2], "queue-version value"),
        false,
    ),
    setting(
        "stream-max-segment-size-bytes",
        Check::AtLeast(0, "segment size"),
        false,
    ),
];

static HA_KEYS: [&str; 6] = [
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-sync-batch-size",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
];

/// Checks a user policy's definition.
pub fn validate(definition: &Map<String, Value>) -> Result<(), String> {
    check(definition, |_| true, true)
}

/// Checks an operator policy's definition: limits only.
pub fn validate_operator(definition: &Map<String, Value>) -> Result<(), String> {
    check(definition, |setting| setting.operator, false)
}

fn check(
    definition: &Map<String, Value>,
    allowed: impl Fn(&Setting) -> bool,
    ha: bool,
) -> Result<(), String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    for setting in SETTINGS.iter().filter(|s| allowed(s)) {
        if let Some(value) = definition.get(setting.key) {
            setting.check.run(value)?;
        }
    }
    if ha {
        check_ha(definition)?;
    }
    let known = |key: &str| {
        SETTINGS.iter().any(|s| s.key == key && allowed(s)) || (ha && HA_KEYS.contains(&key))
    };
    let mut unknown: Vec<_> = definition.iter().filter(|(k, _)| !known(k)).collect();
    unknown.sort_by_key(|(key, _)| key.as_str());
    if unknown.is_empty() {
        return Ok(());
    }
    let term =
        |(key, value): &(&String, &Value)| format!("{{<<\"{key}\">>,{}}}", erlang_term(value));
    let list: Vec<_> = unknown.iter().map(term).collect();
    Err(format!(
        "[{}] are not recognised policy settings",
        list.join(",")
    ))
}

impl Check {
    fn run(&self, value: &Value) -> Result<(), String> {
        let good = match self {
            Check::Text(_) => value.is_string(),
            Check::AtLeast(least, _) => {
                value.as_i64().is_some_and(|n| n >= *least)
                    || value.as_u64().is_some() && value.as_i64().is_none()
            }
            Check::Word(words, _) => value.as_str().is_some_and(|w| words.contains(&w)),
            Check::Number(numbers, _) => value.as_i64().is_some_and(|n| numbers.contains(&n)),
            Check::Age => value.as_str().is_some_and(is_age),
            Check::MasterLocator => value
                .as_str()
                .is_some_and(|w| ["client-local", "min-masters", "random"].contains(&w)),
        };
        if good {
            return Ok(());
        }
        let shown = erlang_term(value);
        Err(match self {
            Check::Text(what)
            | Check::AtLeast(_, what)
            | Check::Word(_, what)
            | Check::Number(_, what) => format!("{shown} is not a valid {what}"),
            Check::Age => format!("{shown} is not a valid max age"),
            Check::MasterLocator => format!("{shown} invalid queue-master-locator value"),
        })
    }
}

fn is_age(text: &str) -> bool {
    let digits = text.trim_end_matches(['Y', 'M', 'D', 'h', 'm', 's']);
    text.len() == digits.len() + 1
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
}

fn check_ha(definition: &Map<String, Value>) -> Result<(), String> {
    let Some(mode) = definition.get("ha-mode") else {
        if HA_KEYS.iter().any(|key| definition.contains_key(*key)) {
            let text = "ha-mode must be specified to specify ha-params, ha-sync-mode or \
                        ha-promote-on-shutdown";
            return Err(text.to_owned());
        }
        return Ok(());
    };
    check_ha_params(mode, definition.get("ha-params"))?;
    either(definition, "ha-sync-mode", ["manual", "automatic"])?;
    if let Some(size) = definition.get("ha-sync-batch-size")
        && size.as_i64().is_none_or(|n| n < 1)
    {
        let shown = erlang_term(size);
        return Err(format!(
            "ha-sync-batch-size takes an integer greater than 0, {shown} given"
        ));
    }
    either(
        definition,
        "ha-promote-on-shutdown",
        ["always", "when-synced"],
    )?;
    either(
        definition,
        "ha-promote-on-failure",
        ["always", "when-synced"],
    )
}

fn check_ha_params(mode: &Value, params: Option<&Value>) -> Result<(), String> {
    let given = params.map_or("none".to_owned(), erlang_term);
    match (mode.as_str(), params) {
        (Some("all"), None) => Ok(()),
        (Some("all"), Some(_)) => Err("ha-mode=\"all\" does not take parameters".to_owned()),
        (Some("exactly"), Some(n)) if n.as_i64().is_some_and(|n| n > 0) => Ok(()),
        (Some("exactly"), _) => Err(format!(
            "ha-mode=\"exactly\" takes an integer, {given} given"
        )),
        (Some("nodes"), Some(Value::Array(nodes))) if nodes.is_empty() => {
            Err("ha-mode=\"nodes\" list must be non-empty".to_owned())
        }
        (Some("nodes"), Some(Value::Array(nodes))) => {
            let other: Vec<_> = nodes.iter().filter(|n| !n.is_string()).cloned().collect();
            if other.is_empty() {
                return Ok(());
            }
            let shown = erlang_term(&Value::Array(other));
            Err(format!(
                "ha-mode=\"nodes\" takes a list of strings, {shown} was not a string"
            ))
        }
        (Some("nodes"), _) => Err(format!("ha-mode=\"nodes\" takes a list, {given} given")),
        _ => Err(format!(
            "{} is not a valid ha-mode value",
            erlang_term(mode)
        )),
    }
}

fn either(definition: &Map<String, Value>, key: &str, words: [&str; 2]) -> Result<(), String> {
    match definition.get(key) {
        None => Ok(()),
        Some(value) if value.as_str().is_some_and(|w| words.contains(&w)) => Ok(()),
        Some(value) => Err(format!(
            "{key} must be \"{}\" or \"{}\", got {}",
            words[0],
            words[1],
            erlang_term(value)
        )),
    }
}

/// A JSON value as RabbitMQ's texts print it: strings as `<<"x">>`, maps as
/// `#{<<"k">> => 1}`.
pub fn erlang_term(value: &Value) -> String {
    let mut out = String::new();
    write_term(&mut out, value);
    out
}

fn write_term(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => {
            write_binary(out, s);
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write_term(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("#{");
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&format!("<<\"{key}\">> => "));
                write_term(out, item);
            }
            out.push('}');
        }
    }
}

/// A text as a binary's bytes: in quotes when all of them can be printed (as Latin-1), as numbers otherwise.
fn write_binary(out: &mut String, text: &str) {
    let printed = |byte: u8| matches!(byte, 32..=126 | 160..=255);
    out.push_str("<<");
    if !text.is_empty() && text.bytes().all(printed) {
        let quoted: String = text.bytes().map(char::from).collect();
        out.push_str(&format!("\"{}\"", quoted.replace('"', "\\\"")));
    } else {
        let numbers: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
        out.push_str(&numbers.join(","));
    }
    out.push_str(">>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(definition: Value) -> String {
        let map = definition.as_object().expect("an object").clone();
        validate(&map).err().unwrap_or_default()
    }

    #[test]
    fn each_wrong_value_gets_the_known_text() {
        let cases = [
            (json!({}), "no policy provided"),
            (
                json!({"max-length": -5}),
                "-5 is not a valid maximum length",
            ),
            (
                json!({"max-length": "a"}),
                "<<\"a\">> is not a valid maximum length",
            ),
            (
                json!({"max-length-bytes": -1}),
                "-1 is not a valid maximum length in bytes",
            ),
            (
                json!({"message-ttl": 1.5}),
                "1.5 is not a valid message TTL",
            ),
            (json!({"expires": 0}), "0 is not a valid queue expiry"),
            (
                json!({"overflow": "a"}),
                "<<\"a\">> is not a valid overflow value",
            ),
            (
                json!({"dead-letter-exchange": 5}),
                "5 is not a valid dead letter exchange name",
            ),
            (
                json!({"dead-letter-routing-key": 5}),
                "5 is not a valid dead letter routing key",
            ),
            (
                json!({"queue-mode": "foo"}),
                "<<\"foo\">> is not a valid queue-mode value",
            ),
            (
                json!({"delivery-limit": -1}),
                "-1 is not a valid delivery limit",
            ),
            (
                json!({"alternate-exchange": 5}),
                "5 is not a valid alternate exchange name",
            ),
            (
                json!({"max-age": "1x"}),
                "<<\"1x\">> is not a valid max age",
            ),
            (
                json!({"queue-master-locator": "zz"}),
                "<<\"zz\">> invalid queue-master-locator value",
            ),
            (
                json!({"queue-leader-locator": "zz"}),
                "<<\"zz\">> is not a valid queue leader locator value",
            ),
            (
                json!({"queue-version": 3}),
                "3 is not a valid queue-version value",
            ),
            (
                json!({"dead-letter-strategy": "zz"}),
                "<<\"zz\">> is not a valid dead letter strategy",
            ),
            (
                json!({"max-priority": 5}),
                "[{<<\"max-priority\">>,5}] are not recognised policy settings",
            ),
            (
                json!({"foo": {"a": 1}, "bar": [1, "x", true, null, 1.5]}),
                "[{<<\"bar\">>,[1,<<\"x\">>,true,null,1.5]},{<<\"foo\">>,#{<<\"a\">> => 1}}] \
                 are not recognised policy settings",
            ),
            (
                json!({"foo": 1, "expires": -1, "max-length": -2}),
                "-1 is not a valid queue expiry",
            ),
        ];
        for (definition, text) in cases {
            assert_eq!(verdict(definition.clone()), text, "{definition}");
        }
    }

    #[test]
    fn mirroring_keys_are_checked_although_one_node_mirrors_nothing() {
        let cases = [
            (json!({"ha-mode": "all", "ha-sync-mode": "automatic"}), ""),
            (json!({"ha-mode": "exactly", "ha-params": 2}), ""),
            (json!({"ha-mode": "nodes", "ha-params": ["rabbit@a"]}), ""),
            (
                json!({"ha-mode": "exactly"}),
                "ha-mode=\"exactly\" takes an integer, none given",
            ),
            (
                json!({"ha-mode": "zzz"}),
                "<<\"zzz\">> is not a valid ha-mode value",
            ),
            (
                json!({"ha-params": 1}),
                "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
            ),
            (
                json!({"ha-mode": "all", "ha-params": 2}),
                "ha-mode=\"all\" does not take parameters",
            ),
            (
                json!({"ha-mode": "nodes", "ha-params": []}),
                "ha-mode=\"nodes\" list must be non-empty",
            ),
            (
                json!({"ha-mode": "nodes", "ha-params": "a"}),
                "ha-mode=\"nodes\" takes a list, <<\"a\">> given",
            ),
            (
                json!({"ha-mode": "nodes", "ha-params": [1]}),
                "ha-mode=\"nodes\" takes a list of strings, [1] was not a string",
            ),
            (
                json!({"ha-mode": "all", "ha-sync-mode": "zz"}),
                "ha-sync-mode must be \"manual\" or \"automatic\", got <<\"zz\">>",
            ),
            (
                json!({"ha-mode": "all", "ha-sync-batch-size": 0}),
                "ha-sync-batch-size takes an integer greater than 0, 0 given",
            ),
            (
                json!({"ha-mode": "all", "ha-promote-on-failure": "zz"}),
                "ha-promote-on-failure must be \"always\" or \"when-synced\", got <<\"zz\">>",
            ),
        ];
        for (definition, text) in cases {
            assert_eq!(verdict(definition.clone()), text, "{definition}");
        }
    }

    #[test]
    fn an_operator_policy_may_set_limits_only() {
        let map = json!({"dead-letter-exchange": "x"});
        let got = validate_operator(map.as_object().expect("an object"));
        let text = "[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings";
        assert_eq!(got, Err(text.to_owned()));
        let map = json!({"max-length": 3, "message-ttl": 5});
        assert_eq!(
            validate_operator(map.as_object().expect("an object")),
            Ok(())
        );
    }
}
