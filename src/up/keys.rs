//! Keys of the live view: one chooses a host, the others do something to it.

use super::plan::Plan;
use super::requests::Request;
use ratatui::crossterm::event::{
    self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// What a key does to the selected host; `*` stands for its name.
struct Key {
    key: char,
    /// On a proxy host, and on a broker host; empty: nothing.
    proxy: &'static str,
    broker: &'static str,
}

const KEYS: &[Key] = &[
    key('k', "kill-proxy *", "kill-node *"),
    key('l', "kill-lb *", ""),
    key('v', "kill-vip *", ""),
    key('s', "", "stop-node *"),
    key('x', "hang *", "hang *"),
    key('y', "hang-vip *", ""),
    key('z', "hang-lb *", ""),
    key('c', "cut *", "cut *"),
    key('d', "demote *", ""),
    key('r', "reload *", ""),
    key('p', "partition", "partition"),
    key('h', "heal *", "heal *"),
    key('H', "heal", "heal"),
    key('q', "quit", "quit"),
];

const fn key(key: char, proxy: &'static str, broker: &'static str) -> Key {
    Key { key, proxy, broker }
}

/// The host that the keys act on, shared by the reader of keys and the view.
#[derive(Clone)]
pub struct Selection {
    hosts: Arc<Vec<String>>,
    proxies: usize,
    at: Arc<AtomicUsize>,
}

impl Selection {
    /// The first proxy host.
    pub fn of(plan: &Plan) -> Selection {
        let hosts = plan.proxies.iter().chain(&plan.brokers);
        Selection {
            hosts: Arc::new(hosts.map(|h| h.name.clone()).collect()),
            proxies: plan.proxies.len(),
            at: Arc::default(),
        }
    }

    /// Name of the selected host.
    pub fn name(&self) -> String {
        let at = self.at.load(Ordering::Relaxed);
        self.hosts.get(at).cloned().unwrap_or_default()
    }

    fn is_proxy(&self) -> bool {
        self.at.load(Ordering::Relaxed) < self.proxies
    }

    fn step(&self, by: usize) {
        let count = self.hosts.len().max(1);
        let at = self.at.load(Ordering::Relaxed);
        self.at.store((at + by) % count, Ordering::Relaxed);
    }

    /// `a` and `b` are the proxy hosts, digits the brokers.
    fn choose(&self, key: char) -> bool {
        let named = |name: &String| *name == key.to_string() || *name == format!("n{key}");
        let found = self.hosts.iter().position(named);
        if let Some(at) = found {
            self.at.store(at, Ordering::Relaxed);
        }
        found.is_some()
    }

    /// The action that a key stands for now; none when it only moves the selection.
    fn press(&self, code: KeyCode, control: bool) -> Option<String> {
        match code {
            KeyCode::Char('c') if control => Some("quit".to_owned()),
            KeyCode::Esc => Some("quit".to_owned()),
            KeyCode::Down | KeyCode::Right | KeyCode::Tab => {
                self.step(1);
                None
            }
            KeyCode::Up | KeyCode::Left | KeyCode::BackTab => {
                self.step(self.hosts.len().saturating_sub(1));
                None
            }
            KeyCode::Char(key) if self.choose(key) => None,
            KeyCode::Char(key) => {
                let row = KEYS.iter().find(|k| k.key == key)?;
                let action = if self.is_proxy() {
                    row.proxy
                } else {
                    row.broker
                };
                (!action.is_empty()).then(|| action.replace('*', &self.name()))
            }
            _ => None,
        }
    }
}

/// Reads keys until the receiver goes.
pub fn read(selection: Selection, requests: mpsc::Sender<Request>) {
    std::thread::spawn(move || {
        while let Ok(input) = event::read() {
            let Input::Key(KeyEvent {
                code,
                modifiers,
                kind: KeyEventKind::Press,
                ..
            }) = input
            else {
                continue;
            };
            let control = modifiers.contains(KeyModifiers::CONTROL);
            let Some(action) = selection.press(code, control) else {
                continue;
            };
            let words = action.split(' ').map(str::to_owned).collect();
            let (answer, _ignored) = oneshot::channel();
            if requests.blocking_send(Request { words, answer }).is_err() {
                return;
            }
        }
    });
}

/// The keys for the selected host, as lines of the view.
pub fn help(selected: &str) -> Vec<Line<'static>> {
    let proxy = !selected.starts_with('n');
    let host = selected.to_uppercase();
    let mut lines = vec![vec![
        Span::from(" tab ").reversed(),
        Span::from(" or a b 1 .. chooses a host  "),
    ]];
    let mut width = 32;
    for key in KEYS {
        let action = if proxy { key.proxy } else { key.broker };
        if action.is_empty() {
            continue;
        }
        let text = format!(" {} ", action.replace('*', &host));
        if width + text.len() + 3 > 78 {
            lines.push(Vec::new());
            width = 0;
        }
        width += text.len() + 3;
        if let Some(line) = lines.last_mut() {
            line.push(Span::from(format!(" {} ", key.key)).reversed());
            line.push(Span::from(text));
        }
    }
    lines.into_iter().map(Line::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::options;

    fn plan() -> Plan {
        let options = options::parse(vec!["--brokers".to_owned(), "2".to_owned()]);
        let options = options.unwrap_or_else(|_| panic!("good options"));
        Plan::new(&options, std::path::Path::new("/nowhere"))
    }

    fn selection() -> Selection {
        Selection::of(&plan())
    }

    #[test]
    fn every_key_stands_for_a_known_action() {
        for key in KEYS {
            let of_both = [(key.proxy, "a"), (key.broker, "n1")];
            for (action, host) in of_both.iter().filter(|(a, _)| !a.is_empty()) {
                let action = action.replace('*', host);
                let words: Vec<_> = action.split(' ').map(str::to_owned).collect();
                let read = super::super::action::parse(&words, &plan());
                assert!(read.is_ok(), "{action}: {read:?}");
            }
        }
    }

    #[test]
    fn keys_act_on_the_selected_host() {
        let selection = selection();
        let press = |key| selection.press(KeyCode::Char(key), false);
        assert_eq!(press('k').as_deref(), Some("kill-proxy a"));
        assert_eq!(press('b'), None);
        assert_eq!(press('v').as_deref(), Some("kill-vip b"));
        assert_eq!(press('2'), None);
        assert_eq!(press('k').as_deref(), Some("kill-node n2"));
        assert_eq!(press('v'), None, "a broker host has no VRRP daemon");
        selection.press(KeyCode::Tab, false);
        assert_eq!(selection.name(), "a");
        selection.press(KeyCode::Up, false);
        assert_eq!(selection.name(), "n2");
        assert_eq!(
            selection.press(KeyCode::Char('c'), true).as_deref(),
            Some("quit")
        );
    }

    #[test]
    fn the_help_fits_a_terminal_of_eighty_columns() {
        for host in ["a", "n1"] {
            for line in help(host) {
                assert!(line.width() <= 80, "{line}");
            }
        }
    }
}
