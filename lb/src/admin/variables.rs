//! `get var`, `set var`: variables of the process.

use super::command::{Answer, Call, Command};
use crate::core::expr::Sample;
use crate::facts;
use crate::state::Variables;
use conf::lb::model::AdminLevel;
use std::net::IpAddr;

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["get", "var"],
        "<name>",
        AdminLevel::Operator,
        "a variable of the process (proc.*)",
        get,
    ),
    Command::new(
        &["set", "var"],
        "<name> { <expr> | expr <expr> | fmt <format> }",
        AdminLevel::Operator,
        "set a variable of the process (experimental)",
        set,
    ),
];

const MISSING: &str = "Missing process-wide variable identifier.";

fn get(call: &mut Call<'_>) -> Answer {
    let name = call.argument(0);
    if name.is_empty() {
        return Answer::error(MISSING);
    }
    let Some(value) = call.control.runtime.variables.get(name) else {
        return Answer::error("Variable not found.");
    };
    let kind = match &value {
        Sample::Bool(_) => "bool",
        Sample::Int(_) => "sint",
        Sample::Ip(IpAddr::V4(_)) => "ipv4",
        Sample::Ip(IpAddr::V6(_)) => "ipv6",
        Sample::Text(_) => "str",
        Sample::Bytes(_) => "bin",
    };
    let text = match &value {
        // it may come from a client: nothing that a terminal obeys
        Sample::Text(text) => text.escape_ascii().to_string(),
        other => String::from_utf8_lossy(&other.to_text()).into_owned(),
    };
    Answer::Text(format!("{name}: type={kind} value=<{text}>"))
}

fn set(call: &mut Call<'_>) -> Answer {
    if !call.session.experimental {
        return Answer::error("This command is restricted to experimental mode only.");
    }
    let name = call.argument(0);
    let (is_format, value) = match call.argument(1) {
        "fmt" => (true, call.argument(2)),
        "expr" => (false, call.argument(2)),
        value => (false, value),
    };
    if name.is_empty() {
        return Answer::error(MISSING);
    }
    if value.is_empty() {
        return Answer::error("Missing either 'expr', 'fmt' or expression.");
    }
    if !Variables::own(name) {
        return Answer::Text(format!(
            "'set var': cannot set variable '{name}', only scope 'proc' is permitted here."
        ));
    }
    match conf::lb::process_variable(name, value, is_format) {
        Ok(variable) => {
            facts::set_variable(&call.control.runtime, &variable);
            Answer::Done
        }
        Err(error) => Answer::Text(error.replace('`', "'")),
    }
}
