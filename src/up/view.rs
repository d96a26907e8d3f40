//! What the person sees: the live view of a terminal, or plain lines.

use super::keys::{self, Selection};
use super::plan::{Plan, VIP};
use super::requests::Request;
use super::traffic::ledger::Balance;
use super::watch::{Proxy, Status};
use ratatui::DefaultTerminal;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that the live view keeps.
const KEPT: usize = 200;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the start.
    pub at: Duration,
    /// In words.
    pub text: String,
}

/// Lines or a terminal.
pub enum View {
    /// Lines on standard output.
    Plain {
        /// When the last line of figures was written.
        last: Duration,
    },
    /// The live view.
    Live(Box<Live>),
}

/// The live view's state.
pub struct Live {
    terminal: DefaultTerminal,
    selection: Selection,
    picture: Picture,
}

/// What a frame shows beside the figures.
#[derive(Default)]
struct Picture {
    /// Where to connect.
    head: Vec<String>,
    events: VecDeque<Event>,
    /// Name of the selected host.
    selected: String,
}

impl View {
    /// Plain lines when asked for, or when there is no terminal that a picture can be drawn on.
    pub fn open(
        plain: bool,
        plan: &Plan,
        requests: &mpsc::Sender<Request>,
    ) -> Result<View, String> {
        if plain || !is_canvas() {
            return Ok(View::Plain {
                last: Duration::ZERO,
            });
        }
        let terminal =
            ratatui::try_init().map_err(|e| format!("the terminal: {e}; try --plain"))?;
        let selection = Selection::of(plan);
        keys::read(selection.clone(), requests.clone());
        Ok(View::Live(Box::new(Live {
            terminal,
            selection,
            picture: Picture::default(),
        })))
    }

    /// Everything answers: where to connect.
    pub fn ready(&mut self, ports: &[u16], after: Duration, plan: &Plan) {
        let [amqp, stats, management] = ports else {
            return;
        };
        let behind = plan.brokers.len();
        let head = [
            (
                format!("amqp://guest:guest@localhost:{amqp}"),
                format!("AMQP, through the virtual address {VIP}"),
            ),
            (
                format!("http://localhost:{stats}/stats"),
                "the balancer's statistics".to_owned(),
            ),
            (
                format!("http://localhost:{management}"),
                "the broker's management (guest / guest)".to_owned(),
            ),
        ];
        let head = head.map(|(place, what)| format!("{place:<37}{what}"));
        let head = head.to_vec();
        match self {
            View::Live(live) => live.picture.head = head,
            View::Plain { .. } => {
                let seconds = after.as_secs_f64();
                say(&format!(
                    "ready after {seconds:.1} s: two proxy hosts, {behind} broker(s)"
                ));
                for line in head {
                    say(&format!("  {line}"));
                }
                say("break something from another shell: evenkeel up --do kill-proxy A");
            }
        }
    }

    /// Something happened.
    pub fn event(&mut self, event: Event) {
        match self {
            View::Plain { .. } => say(&format!("[{:8.3}] {}", event.at.as_secs_f64(), event.text)),
            View::Live(live) => {
                live.picture.events.push_back(event);
                if live.picture.events.len() > KEPT {
                    live.picture.events.pop_front();
                }
            }
        }
    }

    /// The figures as they stand; plain lines every two seconds.
    pub fn draw(&mut self, status: &Status, balance: Option<&Balance>, now: Duration) {
        match self {
            View::Plain { last } => {
                if now.saturating_sub(*last) >= Duration::from_secs(2) && !status.proxies.is_empty()
                {
                    *last = now;
                    say(&format!(
                        "[{:8.3}] {}",
                        now.as_secs_f64(),
                        one_line(status, balance)
                    ));
                }
            }
            View::Live(live) => {
                live.picture.selected = live.selection.name();
                let picture = &live.picture;
                // a frame that cannot be drawn is drawn the next time
                let _ = live
                    .terminal
                    .draw(|frame| live_frame(frame, status, balance, now, picture));
            }
        }
    }

    /// Gives the terminal back.
    pub fn close(&mut self) {
        if matches!(self, View::Live(_)) {
            *self = View::Plain {
                last: Duration::ZERO,
            };
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Whether there is a terminal that moves its cursor.
fn is_canvas() -> bool {
    let kind = std::env::var("TERM").unwrap_or_default();
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    terminal && !matches!(kind.as_str(), "" | "dumb")
}

/// A line on standard output. A reader that went away ends it all, as `println!` does; a terminal
/// that is gone is told by SIGHUP.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "{line}").and_then(|()| out.flush());
    match said {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            panic!("failed printing to stdout: {error}")
        }
        Ok(()) | Err(_) => {}
    }
}

fn masters(status: &Status) -> String {
    let list = status.masters().join(" and ").to_uppercase();
    if list.is_empty() {
        "nobody".to_owned()
    } else {
        list
    }
}

fn one_line(status: &Status, balance: Option<&Balance>) -> String {
    let sessions: u64 = status.proxies.iter().map(|p| p.sessions).sum();
    let up = status.brokers.iter().filter(|b| b.up).count();
    let mut line = format!(
        "master {} sessions {sessions} brokers {up}/{}",
        masters(status),
        status.brokers.len()
    );
    if let Some(balance) = balance {
        let _ = write!(line, " | {balance}");
    }
    line
}

/// The answer to `--do status`.
pub fn status_text(status: &Status, balance: Option<&Balance>) -> String {
    let mut out = format!("virtual address {VIP}: held by {}\n", masters(status));
    for proxy in &status.proxies {
        let _ = writeln!(
            out,
            "proxy {}: {}, balancer {}, {} AMQP sessions ({} in all)",
            proxy.name.to_uppercase(),
            if proxy.master { "master" } else { "backup" },
            if proxy.balancer {
                "answers"
            } else {
                "does not answer"
            },
            proxy.sessions,
            proxy.total
        );
        for server in &proxy.servers {
            let _ = writeln!(
                out,
                "  server {}: {} ({}), {} sessions",
                server.name, server.status, server.check, server.sessions
            );
        }
    }
    for broker in &status.brokers {
        let _ = writeln!(
            out,
            "broker {}: {}, {} connections, {} messages, {:.0}/s in, {:.0}/s out",
            broker.name.to_uppercase(),
            if broker.up {
                "answers"
            } else {
                "does not answer"
            },
            broker.connections,
            broker.messages,
            broker.published,
            broker.delivered
        );
    }
    if let Some(balance) = balance {
        let _ = writeln!(out, "ledger: {balance}");
    }
    out
}

fn live_frame(
    frame: &mut ratatui::Frame<'_>,
    status: &Status,
    balance: Option<&Balance>,
    now: Duration,
    picture: &Picture,
) {
    let hosts = status.brokers.len() as u16;
    let keys = keys::help(&picture.selected);
    // what matters most first
    let [proxies, books, brokers, foot, top] = fitting(
        frame.area().height,
        [
            5,
            if balance.is_some() { 4 } else { 0 },
            hosts + 3,
            keys.len() as u16,
            picture.head.len() as u16 + 2,
        ],
    );
    let [top, proxies, brokers, books, log, foot] = Layout::vertical([
        Constraint::Length(top),
        Constraint::Length(proxies),
        Constraint::Length(brokers),
        Constraint::Length(books),
        Constraint::Min(0),
        Constraint::Length(foot),
    ])
    .areas(frame.area());
    let title = format!(" Evenkeel up, {} s ", now.as_secs());
    let lines: Vec<Line<'_>> = picture
        .head
        .iter()
        .map(|l| Line::from(l.as_str()))
        .collect();
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(title.bold())),
        top,
    );
    frame.render_widget(proxy_table(status, &picture.selected), proxies);
    frame.render_widget(broker_table(status, &picture.selected), brokers);
    if let Some(balance) = balance {
        frame.render_widget(ledger(balance), books);
    }
    frame.render_widget(event_log(&picture.events, log.height), log);
    frame.render_widget(Paragraph::new(keys), foot);
}

/// Lines of the event log that stay, with its frame.
const LEAST_LOG: u16 = 3;

/// The heights of these parts, the first ones first, in a window of so many lines: a part for which
/// there is no whole room is left out, and so are those behind it.
fn fitting<const N: usize>(height: u16, parts: [u16; N]) -> [u16; N] {
    let mut room = Some(height.saturating_sub(LEAST_LOG));
    parts.map(|part| {
        room = room.and_then(|room| room.checked_sub(part));
        room.map_or(0, |_| part)
    })
}

fn event_log(events: &VecDeque<Event>, height: u16) -> Paragraph<'_> {
    let room = usize::from(height.saturating_sub(2));
    let lines: Vec<Line<'_>> = events
        .iter()
        .skip(events.len().saturating_sub(room))
        .map(|event| {
            let at = Span::from(format!("{:8.3}  ", event.at.as_secs_f64())).dim();
            let text = Span::from(event.text.as_str());
            let text = match event.text.split([':', ' ']).next() {
                Some("action") => text.fg(Color::Cyan),
                Some("error") => text.fg(Color::Red),
                _ if event.text.contains("held by") => text.bold(),
                _ => text,
            };
            Line::from(vec![at, text])
        })
        .collect();
    Paragraph::new(lines).block(Block::bordered().title(" Events "))
}

/// A host's name; the selected one stands out.
fn name_cell(name: &str, selected: &str) -> Cell<'static> {
    let text = name.to_uppercase();
    if name == selected {
        Cell::from(format!("\u{25b8}{text}")).style(Style::new().reversed())
    } else {
        Cell::from(format!(" {text}"))
    }
}

fn state_cell(proxy: &Proxy, masters: usize) -> Cell<'static> {
    match (proxy.master, proxy.balancer) {
        (true, true) if masters > 1 => {
            Cell::from("MASTER (two)").style(Style::new().fg(Color::Red).bold())
        }
        (true, true) => Cell::from("MASTER").style(Style::new().fg(Color::Green).bold()),
        (true, false) => {
            Cell::from("MASTER, no balancer").style(Style::new().fg(Color::Red).bold())
        }
        (false, true) => Cell::from("backup"),
        (false, false) => Cell::from("down").style(Style::new().fg(Color::Red)),
    }
}

fn proxy_table(status: &Status, selected: &str) -> Table<'static> {
    let masters = status.masters().len();
    let rows = status.proxies.iter().map(|proxy| {
        let servers: Vec<_> = proxy
            .servers
            .iter()
            .map(|s| format!("{} {} ({})", s.name, s.status, s.sessions))
            .collect();
        Row::new([
            name_cell(&proxy.name, selected),
            state_cell(proxy, masters),
            Cell::from(proxy.sessions.to_string()),
            Cell::from(proxy.total.to_string()),
            Cell::from(servers.join("  ")),
        ])
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(20),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths)
        .header(Row::new(["host", "state", "sessions", "total", "sees"]).bold())
        .block(Block::bordered().title(" Proxy hosts "))
}

fn broker_table(status: &Status, selected: &str) -> Table<'static> {
    let rows = status.brokers.iter().map(|broker| {
        let state = if broker.up {
            Cell::from("up").style(Style::new().fg(Color::Green))
        } else {
            Cell::from("down").style(Style::new().fg(Color::Red))
        };
        Row::new([
            name_cell(&broker.name, selected),
            state,
            Cell::from(broker.connections.to_string()),
            Cell::from(broker.messages.to_string()),
            Cell::from(format!("{:.0}/s", broker.published)),
            Cell::from(format!("{:.0}/s", broker.delivered)),
        ])
    });
    let widths = [Constraint::Length(6), Constraint::Length(20)]
        .into_iter()
        .chain([Constraint::Length(12); 4]);
    Table::new(rows, widths)
        .header(Row::new(["host", "state", "connections", "messages", "in", "out"]).bold())
        .block(Block::bordered().title(" Brokers "))
}

fn ledger(balance: &Balance) -> Paragraph<'static> {
    let style = if balance.unflagged == 0 {
        Style::new()
    } else {
        Style::new().fg(Color::Red)
    };
    let first = format!(
        "confirmed {}   delivered {}   waiting {}   duplicates {} (unflagged {})   reconnects {}",
        balance.confirmed,
        balance.delivered,
        balance.lost,
        balance.duplicates,
        balance.unflagged,
        balance.reconnects
    );
    let second = format!(
        "longest gap: {} ms publishing, {} ms consuming",
        balance.publish_gap_ms, balance.delivery_gap_ms
    );
    Paragraph::new(vec![Line::from(first).style(style), Line::from(second)])
        .block(Block::bordered().title(" Ledger of confirmed messages "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_window_shows_whole_parts_and_the_events() {
        let parts = [5, 4, 4, 3, 5];
        assert_eq!(fitting(24, parts), parts);
        assert_eq!(fitting(23, parts), [5, 4, 4, 3, 0], "no head");
        assert_eq!(fitting(12, parts), [5, 4, 0, 0, 0]);
        assert_eq!(fitting(3, parts), [0; 5]);
    }

    #[test]
    fn the_live_view_fits_small_and_large_terminals() {
        let status = Status {
            proxies: vec![Proxy::default(), Proxy::default()],
            brokers: vec![Default::default()],
        };
        for (width, height) in [(20, 5), (80, 24), (200, 60)] {
            let backend = ratatui::backend::TestBackend::new(width, height);
            let mut terminal = ratatui::Terminal::new(backend).expect("a test terminal");
            let picture = Picture {
                head: vec!["amqp://localhost:5672".to_owned()],
                events: VecDeque::from([Event {
                    at: Duration::from_secs(1),
                    text: "something happened".to_owned(),
                }]),
                selected: "a".to_owned(),
            };
            let balance = Balance::default();
            terminal
                .draw(|frame| {
                    live_frame(frame, &status, Some(&balance), Duration::ZERO, &picture);
                })
                .expect("drawn");
            if height > 20 {
                let text = format!("{}", terminal.backend());
                assert!(text.contains("something happened"), "{text}");
            }
        }
    }
}
