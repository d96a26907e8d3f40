//! `show sess`: live sessions, asked of the data threads that hold them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use conf::lb::model::{AdminLevel, Mode};

use super::command::{Answer, Call, Command};
use super::{Control, address, time};
use crate::diff;
use crate::state::{Generation, Phase, Proxy, SessionId, SessionView};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[Command::new(
    &["show", "sess"],
    "[<id>|all]",
    AdminLevel::Operator,
    "live sessions, in a line each, or one in full",
    sess,
)];

/// How long the data threads are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// All live sessions; those of threads that do not answer in time are missing.
pub async fn collect(control: &Arc<Control>) -> Vec<SessionView> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let threads = control.runtime.sessions(move |views| {
        // nobody listens any more when the reader left
        let _ = sender.send(views);
    });
    let mut all = control.http_sessions();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for _ in 0..threads {
        match tokio::time::timeout_at(deadline, receiver.recv()).await {
            Ok(Some(views)) => all.extend(views),
            Ok(None) | Err(_) => break,
        }
    }
    mark_outdated(&mut all, &control.runtime.generation());
    all
}

/// Marks the sessions that began under other rules than those of this generation.
fn mark_outdated(views: &mut [SessionView], now: &Generation) {
    // sessions share their proxies: each is compared once
    let mut judged = HashMap::new();
    let mut changed = |was: &Arc<Proxy>, now: Option<&Arc<Proxy>>| {
        *judged
            .entry(Arc::as_ptr(was))
            .or_insert_with(|| now.is_none_or(|now| differs(was, now)))
    };
    for view in views {
        let frontend = &view.frontend;
        view.outdated = changed(frontend, now.frontend(frontend.name()));
        let Some(backend) = &view.backend else {
            continue;
        };
        let present = now.backend(backend.name());
        let gone = view.server.as_ref().is_some_and(|server| {
            present.is_some_and(|backend| backend.server(server.name()).is_none())
        });
        view.outdated |= gone || changed(backend, present);
    }
}

fn differs(was: &Arc<Proxy>, now: &Arc<Proxy>) -> bool {
    !Arc::ptr_eq(was, now) && diff::bare(&was.conf) != diff::bare(&now.conf)
}

/// The number in `0x...` or a decimal.
pub fn parse_id(word: &str) -> Option<SessionId> {
    let number = match word.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => word.parse().ok()?,
    };
    (number > 0).then(|| SessionId::from_number(number))
}

fn sess(call: &mut Call<'_>) -> Answer {
    let control = call.control.clone();
    let word = call.argument(0).to_owned();
    let id = parse_id(&word);
    Answer::Later(Box::pin(async move {
        let views = collect(&control).await;
        match (id, word.as_str()) {
            (Some(id), _) => match views.iter().find(|view| view.id == id) {
                Some(view) => Answer::Text(full(view)),
                None => match control.present.full(Some(id)).pop() {
                    Some(text) => Answer::Text(text),
                    None => Answer::error("Session not found."),
                },
            },
            (None, "all") => {
                let others = control.present.full(None);
                Answer::Pieces(Box::new(views.into_iter().map(|v| full(&v)).chain(others)))
            }
            (None, _) => {
                let others = control.present.short();
                Answer::Pieces(Box::new(views.into_iter().map(|v| short(&v)).chain(others)))
            }
        }
    }))
}

fn expires(ms: Option<u64>) -> String {
    ms.map_or_else(String::new, time::span)
}

/// One session in a line.
pub fn short(view: &SessionView) -> String {
    let backend = view.backend.as_ref().map_or("<NONE>", |proxy| proxy.name());
    let server = view
        .server
        .as_ref()
        .map_or("<none>", |server| server.name());
    let whole = |ms: u64| time::span(ms / 1000 * 1000);
    let expires = expires(view.expires_ms);
    format!(
        "{id:#x}: proto={proto} src={src} fe={fe} be={backend} srv={server} ts={ts} age={age} \
         idle={idle} rq[bytes={rq},i={rq_wait},rx={expires}] rp[bytes={rp},i={rp_wait},rx={expires}] \
         exp={expires}{rules}\n",
        id = view.id.number(),
        proto = address::protocol(&view.client),
        src = address::peer(&view.client),
        fe = view.frontend.name(),
        ts = phase(view.phase),
        age = whole(view.age_ms),
        idle = whole(view.idle_ms),
        rq = view.bytes_in,
        rq_wait = view.pending[0],
        rp = view.bytes_out,
        rp_wait = view.pending[1],
        rules = if view.outdated { " rules=old" } else { "" },
    )
}

/// What a session is doing, in a word.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Done => "CLO",
        Phase::Request => "REQ",
        Phase::Queue => "QUE",
        Phase::Connect => "CON",
        Phase::Headers => "HDR",
        Phase::Data => "EST",
        Phase::Last => "CLO",
        Phase::Tarpit => "TAR",
    }
}

fn full(view: &SessionView) -> String {
    let mode = |mode: Mode| match mode {
        Mode::Tcp => "tcp",
        Mode::Http => "http",
    };
    let accepted = std::time::SystemTime::now() - Duration::from_millis(view.age_ms);
    let mut out = format!(
        "{:#x}: [{}] id={} proto={} source={}\n",
        view.id.number(),
        time::stamp(accepted),
        view.id.number(),
        address::protocol(&view.client),
        address::peer(&view.client)
    );
    let frontend = &view.frontend.conf;
    let _ = writeln!(
        out,
        "  frontend={} (id={} mode={}), listener=? addr={}",
        frontend.name,
        frontend.id,
        mode(frontend.mode),
        address::peer(&view.local)
    );
    match &view.backend {
        Some(backend) => {
            let _ = writeln!(
                out,
                "  backend={} (id={} mode={}) addr={}",
                backend.name(),
                backend.conf.id,
                mode(backend.conf.mode),
                address::peer(&view.outgoing)
            );
        }
        None => out.push_str("  backend=<NONE> (id=-1 mode=-)\n"),
    }
    match &view.server {
        Some(server) => {
            let _ = writeln!(
                out,
                "  server={} (id={}) addr={}",
                server.name(),
                server.conf.id,
                address::peer(&view.remote)
            );
        }
        None => out.push_str("  server=<NONE> (id=-1)\n"),
    }
    let side = |ended: bool| if ended { "CLO" } else { "EST" };
    let _ = writeln!(
        out,
        "  state={} age={} idle={} exp={}{}",
        phase(view.phase),
        time::span(view.age_ms),
        time::span(view.idle_ms),
        if view.expires_ms.is_some() {
            expires(view.expires_ms)
        } else {
            "<NEVER>".to_owned()
        },
        if view.outdated { " rules=old" } else { "" }
    );
    let _ = writeln!(
        out,
        "  req: client={} total={} pending={}",
        side(view.client_ended),
        view.bytes_in,
        view.pending[0]
    );
    let _ = writeln!(
        out,
        "  res: server={} total={} pending={}",
        if view.server.is_some() {
            side(view.server_ended)
        } else {
            "NONE"
        },
        view.bytes_out,
        view.pending[1]
    );
    out
}
