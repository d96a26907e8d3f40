//! The runtime CLI: commands over unix and TCP sockets, in HAProxy's protocol.
//!
//! [`Control`] is what commands and the statistics page act on; [`socket`] opens the sockets (before
//! chroot), [`connection`] speaks with one operator, and the commands are rows of tables, one file
//! per subject.

mod absent;
pub mod address;
mod calls;
pub mod capture;
mod changes;
pub mod client;
pub mod command;
pub mod connection;
mod control;
mod dynamic;
pub mod events;
pub mod frontends;
mod help;
pub mod history;
pub mod limits;
pub mod line;
mod ports;
mod present;
mod rebalance;
pub mod sample;
pub mod servers;
pub mod show;
mod show_servers;
pub mod show_sess;
pub mod socket;
mod successor;
mod targets;
pub mod time;
mod variables;
mod watch;

pub use calls::Amendment;
use command::{Answer, Call, Command, Run, Session};
pub use control::Control;

/// All commands, sorted by their words.
pub fn table() -> impl Iterator<Item = &'static Command> {
    static SORTED: std::sync::LazyLock<Vec<&'static Command>> = std::sync::LazyLock::new(|| {
        let mut all: Vec<_> = [
            show::COMMANDS,
            show_sess::COMMANDS,
            show_servers::COMMANDS,
            servers::COMMANDS,
            dynamic::COMMANDS,
            rebalance::COMMANDS,
            changes::COMMANDS,
            frontends::COMMANDS,
            limits::COMMANDS,
            help::COMMANDS,
            absent::COMMANDS,
            successor::COMMANDS,
            variables::COMMANDS,
            watch::COMMANDS,
        ]
        .into_iter()
        .flatten()
        .collect();
        all.sort_by_key(|command| command.words);
        all
    });
    SORTED.iter().copied()
}

/// Runs one command.
pub fn run(control: &std::sync::Arc<Control>, session: &mut Session, words: &[String]) -> Answer {
    let Some(command) = table().find(|command| command.is_named_by(words)) else {
        return help::unknown(words, session.level);
    };
    match command.run {
        Run::Absent(why) => Answer::error(format!(
            "'{}' is not available in {}: {why}.",
            command.words.join(" "),
            crate::stats::info::PRODUCT
        )),
        Run::Here(_) if session.level < command.level => Answer::error("Permission denied"),
        Run::Here(run) => run(&mut Call {
            control,
            session,
            arguments: &words[command.words.len()..],
        }),
    }
}
