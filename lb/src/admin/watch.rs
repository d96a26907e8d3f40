//! `follow sessions`: what sessions do, as it happens.

use super::command::{Answer, Call, Command};
use crate::state::Message;
use crate::trace::Order;
use crate::trace::beside::CLI;
use conf::lb::address::network;
use conf::lb::model::AdminLevel;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Lines that a watcher may be behind before it loses some.
const BEHIND: usize = 1024;
/// Watchers at once.
const WATCHERS: u32 = 8;

/// The commands of this file.
pub static COMMANDS: &[Command] = &[Command::new(
    &["follow", "sessions"],
    "[src <address>[/<mask>]]* [frontend <name>] [session <id>]",
    AdminLevel::Operator,
    "show phases, requests, bytes and AMQP methods of sessions as they happen",
    follow,
)];

fn follow(call: &mut Call<'_>) -> Answer {
    static NOW: AtomicU32 = AtomicU32::new(0);
    let (lines, receiver) = mpsc::channel(BEHIND);
    let mut order = Order {
        number: call.control.runtime.next_serial(),
        sources: Vec::new(),
        session: None,
        frontend: None,
        lines,
        lost: AtomicU64::new(0),
    };
    for pair in call.arguments.chunks(2) {
        if let Err(problem) = narrow(&mut order, &pair[0], pair.get(1)) {
            return Answer::error(problem);
        }
    }
    let generation = call.control.runtime.generation();
    if let Some(name) = order.frontend.as_deref()
        && name != CLI
        && generation.frontend(name).is_none()
    {
        return Answer::error(format!("There is no frontend '{name}'."));
    }
    if NOW.fetch_add(1, Relaxed) >= WATCHERS {
        NOW.fetch_sub(1, Relaxed);
        return Answer::error(format!("{WATCHERS} others watch sessions already."));
    }
    let control = call.control.clone();
    let order = Arc::new(order);
    control.runtime.tell_all(|| Message::Watch(order.clone()));
    control.watchers.add(order.clone());
    tokio::spawn(async move {
        order.lines.closed().await;
        control.runtime.tell_all(|| Message::Unwatch(order.number));
        control.watchers.remove(order.number);
        NOW.fetch_sub(1, Relaxed);
    });
    Answer::Follow(receiver)
}

fn narrow(order: &mut Order, word: &str, value: Option<&String>) -> Result<(), String> {
    let value = value.ok_or_else(|| format!("'{word}' needs a value."))?;
    match word {
        "src" => {
            let network = network(value);
            order
                .sources
                .push(network.ok_or_else(|| format!("'{value}' is no address or network."))?);
        }
        "frontend" => order.frontend = Some(value.clone()),
        "session" => {
            let digits = value.strip_prefix("0x").unwrap_or(value);
            let id = u64::from_str_radix(digits, 16);
            order.session = Some(id.map_err(|_| format!("'{value}' is no session id."))?);
        }
        _ => {
            return Err(format!(
                "Expected 'src', 'frontend' or 'session', not '{word}'."
            ));
        }
    }
    Ok(())
}
