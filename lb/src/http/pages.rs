//! The pages of the statistics, put together from the running process.

use std::sync::Arc;

use conf::lb::model::{Mode, Stats};

use crate::admin::Control;
use crate::admin::history::Subject;
use crate::state::{Generation, Proxy, SessionView};
use crate::stats::difference::{self, Of};
use crate::stats::page::table::{self, ProxyHead, TableOptions};
use crate::stats::page::{self, PageOptions, Settings, chart, views};
use crate::stats::read::{self, Place, Source as RowSource, Wanted};

/// The proxies that a page shows.
pub struct Shown {
    pub proxies: Vec<Arc<Proxy>>,
    /// No scope narrows them: what concerns the process is shown, too.
    whole: bool,
}

impl Shown {
    pub fn new(generation: &Generation, stats: &Stats, options: &PageOptions) -> Self {
        let proxies = generation
            .proxies
            .iter()
            .filter(|proxy| !proxy.conf.disabled)
            .filter(|proxy| stats.scope.is_empty() || stats.scope.iter().any(|s| s == proxy.name()))
            .filter(|proxy| proxy.name().contains(options.scope.as_str()))
            .cloned()
            .collect();
        let whole = stats.scope.is_empty() && options.scope.is_empty();
        Self { proxies, whole }
    }

    /// The differences to the file that are shown.
    pub fn differences(&self) -> Of<'_> {
        match self.whole {
            true => Of::Everything,
            false => Of::Proxies(&self.proxies),
        }
    }

    /// Whether something with this subject (a proxy, `backend/server`, or the process) is shown.
    fn has(&self, subject: &str) -> bool {
        let name = subject.split_once('/').map_or(subject, |(proxy, _)| proxy);
        self.whole || self.proxies.iter().any(|proxy| proxy.name() == name)
    }
}

/// The page in pieces: head, rows, foot.
pub fn main(
    control: Arc<Control>,
    shown: Shown,
    settings: Settings,
    options: PageOptions,
) -> impl Iterator<Item = String> + Send {
    let head = page::head(&control.info(), &settings, &options);
    let table_options = TableOptions {
        uri: Some(settings.uri.as_str().into()),
        admin: settings.admin,
        legends: settings.show_legends,
        count_servers: false,
    };
    let wanted = Wanted {
        legends: settings.show_legends,
        hide_down: options.hide_down,
        hide_maintenance: options.hide_maintenance,
        ..Wanted::default()
    };
    let listeners = control.listeners();
    let tables = shown.proxies.into_iter().flat_map(move |proxy| {
        let source = RowSource {
            runtime: &control.runtime,
            listeners: &listeners,
        };
        let places = read::places(source, &proxy, &wanted);
        let (mut open, mut close) = (String::new(), String::new());
        {
            let mut head = proxy_head(&proxy);
            head.charts = proxy_charts(&control, &proxy);
            head.moves = proxy_moves(&control, &proxy);
            table::open(&head, &table_options, &mut open);
            table::close(&head, &table_options, &mut close);
        }
        let (control, listeners) = (control.clone(), listeners.clone());
        let table_options = table_options.clone();
        let form = table_options.admin && !proxy.servers.is_empty();
        let rows = places.into_iter().map(move |place| {
            let source = RowSource {
                runtime: &control.runtime,
                listeners: &listeners,
            };
            let mut out = String::new();
            if let Some(row) = read::row(source, &proxy, place, &wanted) {
                table::row(&row, &table_options, form, &mut out);
            }
            out
        });
        std::iter::once(open)
            .chain(rows)
            .chain(std::iter::once(close))
    });
    std::iter::once(head)
        .chain(tables)
        .chain(std::iter::once_with(page::foot))
}

fn proxy_head(proxy: &Proxy) -> ProxyHead<'_> {
    ProxyHead {
        name: proxy.name(),
        id: proxy.conf.id,
        mode: match proxy.conf.mode {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        },
        capability: match (proxy.front.is_some(), proxy.back.is_some()) {
            (true, true) => "proxy",
            (true, false) => "frontend",
            _ => "backend",
        },
        description: proxy.conf.description.as_deref(),
        has_servers: !proxy.servers.is_empty(),
        charts: String::new(),
        moves: String::new(),
    }
}

/// What is said about sessions that are moved between the proxy's servers.
fn proxy_moves(control: &Control, proxy: &Proxy) -> String {
    let mut out = String::new();
    let views = control.rebalancer.get().filter(|_| proxy.back.is_some());
    for view in views.iter().flat_map(|r| r.views(Some(proxy.name()))) {
        table::moves(&view, &mut out);
    }
    out
}

/// The charts of a proxy: of its clients' side where it has one.
fn proxy_charts(control: &Control, proxy: &Proxy) -> String {
    let name = || proxy.name().to_owned();
    let back = control.history.of(&Subject::Backend(name()));
    let mut points = match proxy.front.is_some() {
        true => control.history.of(&Subject::Frontend(name())),
        false => back.clone(),
    };
    if proxy.front.is_some() {
        // of both sides: retries and checks are the servers'
        for (point, back) in points.iter_mut().rev().zip(back.iter().rev()) {
            point.errors = point.errors.saturating_add(back.errors);
            point.check_ms = back.check_ms;
        }
    }
    let checked = proxy.servers.iter().any(|s| s.conf.check.enabled);
    let mut out = String::new();
    if !points.is_empty() {
        chart::charts(&format!("h-{}", proxy.name()), &points, checked, &mut out);
    }
    out
}

/// Live sessions, the oldest first.
pub fn sessions(
    control: Arc<Control>,
    shown: Shown,
    mut sessions: Vec<SessionView>,
    settings: Settings,
    options: PageOptions,
) -> impl Iterator<Item = String> + Send {
    sessions.retain(|view| {
        let name = view.frontend.name();
        shown.proxies.iter().any(|proxy| proxy.name() == name)
    });
    sessions.sort_by_key(|view| std::cmp::Reverse(view.age_ms));
    let total = sessions.len();
    sessions.truncate(views::SESSIONS_MAX);
    let mut open = page::head(&control.info(), &settings, &options);
    views::sessions_open(sessions.len(), total, settings.admin, &mut open);
    let mut close = String::new();
    views::sessions_close(settings.admin, &mut close);
    close.push_str(&page::foot());
    let rows = sessions.into_iter().map(move |view| {
        let mut out = String::new();
        views::session(&view, &settings.uri, settings.admin, &mut out);
        out
    });
    std::iter::once(open)
        .chain(rows)
        .chain(std::iter::once(close))
}

/// What happened lately.
pub fn events(
    control: &Control,
    shown: &Shown,
    settings: &Settings,
    options: &PageOptions,
) -> String {
    let mut out = page::head(&control.info(), settings, options);
    out.push_str("<h3>&gt; Events</h3>");
    let events = control
        .events
        .latest(|subject| shown.has(subject), views::EVENTS_MAX);
    views::timeline(&events, &mut out);
    out.push_str(&page::foot());
    out
}

/// What differs from the file.
pub fn changes(
    control: &Control,
    shown: &Shown,
    settings: &Settings,
    options: &PageOptions,
) -> String {
    let mut out = page::head(&control.info(), settings, options);
    out.push_str("<h3>&gt; Set at run time</h3>");
    let found = difference::all(control, shown.differences());
    views::changes(&found, settings.admin, &mut out);
    out.push_str(&page::foot());
    out
}

/// One server; nothing when there is none of this name among the proxies shown.
pub fn server(
    control: &Control,
    shown: &Shown,
    settings: &Settings,
    options: &PageOptions,
) -> Option<String> {
    let (backend, name) = options.server.split_once('/')?;
    let proxy = shown
        .proxies
        .iter()
        .find(|proxy| proxy.name() == backend && proxy.back.is_some())?;
    let index = proxy
        .servers
        .iter()
        .position(|server| server.name() == name)?;
    let listeners = control.listeners();
    let source = RowSource {
        runtime: &control.runtime,
        listeners: &listeners,
    };
    let wanted = Wanted {
        legends: settings.show_legends,
        ..Wanted::default()
    };
    let row = read::row(source, proxy, Place::Server(index), &wanted)?;
    let subject = Subject::Server(backend.to_owned(), name.to_owned());
    let mut out = page::head(&control.info(), settings, options);
    views::server(
        &row,
        &control.history.of(&subject),
        &difference::all(control, Of::Server(backend, name)),
        settings.admin,
        &control
            .events
            .latest(|subject| subject == options.server, views::EVENTS_MAX),
        &mut out,
    );
    out.push_str(&page::foot());
    Some(out)
}
