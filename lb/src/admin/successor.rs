//! What a successor asks for (`_getsocks`, `_follow`, `_keep`), and `show old`: the
//! processes that this one succeeded.

use super::command::{Answer, Call, Command};
use crate::listener::Listener;
use crate::takeover::{report, wire};
use conf::lb::model::AdminLevel;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["_getsocks"],
        "[all]",
        AdminLevel::Admin,
        "hand out the listening sockets",
        getsocks,
    ),
    Command::new(
        &["_follow"],
        "",
        AdminLevel::Admin,
        "report to a successor",
        |call| report::follow(call.control),
    ),
    Command::new(
        &["_keep"],
        "<pid>",
        AdminLevel::Admin,
        "a process before this one was not reached by the successor",
        |call| match call.argument(0).parse() {
            Ok(pid) => {
                call.control.old.take_back(call.control, pid);
                Answer::Text(String::new())
            }
            Err(_) => Answer::error("'_keep' expects a pid."),
        },
    ),
    Command::new(
        &["show", "old"],
        "[json]",
        AdminLevel::User,
        "old processes that still have sessions",
        |call| match call.argument(0) {
            "json" => {
                let all = serde_json::to_string(&call.control.old.processes());
                Answer::Text(all.unwrap_or_default() + "\n")
            }
            _ => Answer::Text(call.control.old.text()),
        },
    ),
];

fn getsocks(call: &mut Call<'_>) -> Answer {
    let Some(stream) = call.session.stream.clone() else {
        return Answer::error(
            "Listeners are handed out over a unix 'stats socket' with 'expose-fd listeners' only.",
        );
    };
    let all = call.argument(0) == "all";
    let sockets: Vec<wire::Sent> = call
        .control
        .listeners()
        .iter()
        .flat_map(|listener| sent(listener, all))
        .chain(call.control.ports.all().into_iter().map(port))
        .collect();
    let control = call.control.clone();
    Answer::Later(Box::pin(async move {
        let count = sockets.len();
        let work = tokio::task::spawn_blocking(move || give(&stream, &sockets));
        let outcome = work.await.map_err(std::io::Error::other).flatten();
        let text = match outcome {
            Ok(()) => format!("{count} listening sockets were handed to another process."),
            Err(error) => format!("Handing over listening sockets failed: {error}"),
        };
        control.events.add("process", &text);
        Answer::Quit
    }))
}

fn port(socket: Arc<socket2::Socket>) -> wire::Sent {
    wire::Sent {
        socket,
        namespace: None,
        interface: None,
    }
}

fn give(stream: &Arc<OwnedFd>, sockets: &[wire::Sent]) -> std::io::Result<()> {
    let stream = UnixStream::from(stream.try_clone()?);
    wire::send(&stream, sockets)
}

fn sent(listener: &Arc<Listener>, all: bool) -> Vec<wire::Sent> {
    let (interface, namespace) = listener.bound.scope();
    let sockets = listener.bound.hand_out(all);
    let sent = |socket| wire::Sent {
        socket,
        namespace: namespace.map(str::to_owned),
        interface: interface.map(str::to_owned),
    };
    sockets.into_iter().map(sent).collect()
}
