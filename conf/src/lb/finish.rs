//! From sections in the making to the configuration: numbers, names, limits.

use super::draft::{CheckDraft, Draft};
use super::healthcheck::Named;
use super::load::Loader;
use super::model::{
    Bind, CheckAction, CheckKind, CheckStep, Config, Fetch, FormatPart, Front, Global, Logging,
    Place, Proxy, Server, SessionFormat, StateSource,
};
use super::post;
use super::proxy::check_rules::plain_request;
use super::proxy::server::direct;
use crate::diagnostic::Report;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Number of the first proxy; 1 was the CLI's.
const FIRST_PROXY: u32 = 2;

pub(super) fn finish(mut loader: Loader) -> (Option<Config>, Report) {
    number_proxies(&mut loader.proxies);
    for draft in &mut loader.proxies {
        settle(draft);
    }
    set_state_files(&loader.global.global, &mut loader.proxies);
    for named in &mut loader.healthchecks {
        settle_checks(&mut named.draft);
    }
    share_checks(&mut loader.proxies, &mut loader.healthchecks);
    let whole = post::Whole {
        global: &loader.global,
        proxies: &loader.proxies,
        userlists: &loader.userlists,
        rings: &loader.rings,
        healthchecks: &loader.healthchecks,
    };
    post::check(&whole, &mut loader.report);
    loader.report.align();
    if loader.report.has_errors() {
        return (None, loader.report);
    }
    let mut config = Config {
        global: loader.global.global,
        proxies: loader.proxies.into_iter().map(proxy).collect(),
        userlists: loader.userlists.into_iter().map(Arc::new).collect(),
        rings: loader.rings.into_iter().map(Arc::new).collect(),
    };
    let maxconn = config.global.maxconn.unwrap_or(0);
    fill_fullconn(&mut config, maxconn);
    (Some(config), loader.report)
}

/// Gives numbers to proxies, addresses and servers that have none.
fn number_proxies(proxies: &mut [Draft]) {
    let taken: BTreeSet<u32> = proxies
        .iter()
        .filter(|d| d.proxy.id_forced)
        .map(|d| d.proxy.id)
        .collect();
    // a proxy with an id of its own uses up a number, too
    let mut next = FIRST_PROXY;
    for draft in proxies {
        if !draft.proxy.id_forced {
            while taken.contains(&next) {
                next += 1;
            }
            draft.proxy.id = next;
        }
        next += 1;
        if let Some(front) = &mut draft.proxy.front {
            number_binds(&mut front.binds);
        }
        number_servers(&mut draft.back().servers);
    }
}

fn number_binds(binds: &mut [Bind]) {
    let taken: BTreeSet<u32> = binds.iter().filter_map(|b| b.id).collect();
    // an address with an id of its own uses up a number, too
    let mut next = 1;
    for bind in binds {
        let count = bind.address.count();
        let collides = |next: u32| taken.range(next..next + count).next().is_some();
        while bind.id.is_none() && collides(next) {
            next += 1;
        }
        bind.number = bind.id.unwrap_or(next);
        next += count;
    }
}

fn number_servers(servers: &mut [Arc<Server>]) {
    let taken: BTreeSet<u32> = servers
        .iter()
        .filter(|s| s.id_forced)
        .map(|s| s.id)
        .collect();
    // a server with an id of its own uses up a number, too
    let mut next = 1;
    for server in servers {
        if !server.id_forced {
            while taken.contains(&next) {
                next += 1;
            }
            Arc::make_mut(server).id = next;
        }
        next += 1;
    }
}

/// Where each backend's servers find their states.
fn set_state_files(global: &Global, proxies: &mut [Draft]) {
    let based = |file: PathBuf| match &global.server_state_base {
        Some(base) => base.join(file),
        None => file,
    };
    for draft in proxies {
        let own = PathBuf::from(&draft.proxy.name);
        let back = draft.back();
        back.state_file = match back.state_source {
            StateSource::None => None,
            StateSource::Global => global.server_state_file.clone().map(based),
            StateSource::Local => Some(based(back.state_file_name.clone().unwrap_or(own))),
        };
    }
}

/// What follows from several lines of one section.
fn settle(draft: &mut Draft) {
    let own = draft.proxy.name.clone();
    if let Some(stats) = &mut draft.proxy.stats {
        for name in stats.scope.iter_mut().filter(|name| *name == ".") {
            own.clone_into(name);
        }
    }
    // the lines of a TCP proxy cannot be of the HTTP form
    let http = matches!(
        draft.proxy.logging.format,
        SessionFormat::Http | SessionFormat::HttpClf
    );
    if http && draft.proxy.mode == super::model::Mode::Tcp {
        draft.proxy.logging.format = SessionFormat::Tcp;
    }
    let logging = &mut draft.proxy.logging;
    logging.wants_tcp_info = wants_tcp_info(logging);
    settle_checks(draft);
    if draft.marks.never_retries {
        draft.back().retries = 0;
    }
    let direct = direct(draft).map(Arc::new);
    let back = draft.back();
    back.direct = direct.filter(|_| back.servers.is_empty());
    for server in &mut draft.back().servers {
        let server = Arc::make_mut(server);
        if let Some(track) = &mut server.track
            && track.backend.is_empty()
        {
            track.backend.clone_from(&own);
        }
    }
}

/// Whether a session's line shows what the kernel knows of its connections.
fn wants_tcp_info(logging: &Logging) -> bool {
    let own = match &logging.format {
        SessionFormat::Custom(format) => Some(format),
        SessionFormat::Json(true) => return true,
        _ => None,
    };
    let formats = [
        own,
        logging.error_format.as_ref(),
        logging.structured_data.as_ref(),
    ];
    let parts = formats.into_iter().flatten().flat_map(|f| &f.parts);
    parts.into_iter().any(|part| match part {
        FormatPart::Expr(expr, _) => matches!(expr.fetch, Fetch::TcpInfo { .. }),
        FormatPart::Text(_) | FormatPart::Space | FormatPart::Tag(..) => false,
    })
}

/// Puts the rules of the chosen kind of check together.
fn settle_checks(draft: &mut Draft) {
    let CheckDraft {
        tcp,
        mut http,
        request,
        send_state,
        external,
        ..
    } = draft.checks.clone();
    let is_send = |step: &CheckStep| matches!(step.action, CheckAction::HttpSend(_));
    if !http.iter().any(is_send) {
        let connects = |step: &CheckStep| {
            matches!(
                step.action,
                CheckAction::Connect(_) | CheckAction::Comment(_)
            )
        };
        let at = http.iter().take_while(|step| connects(step)).count();
        let send = request.unwrap_or_else(plain_request);
        http.insert(
            at,
            CheckStep {
                action: CheckAction::HttpSend(send),
                comment: None,
                place: Place::default(),
            },
        );
    }
    for step in &mut http {
        if let CheckAction::HttpSend(send) = &mut step.action {
            send.send_state = send_state;
        }
    }
    match &mut draft.back().check.kind {
        CheckKind::Tcp(steps) => *steps = tcp,
        CheckKind::Http(steps) => *steps = http,
        CheckKind::External(check) => *check = external,
        CheckKind::Protocol(_) | CheckKind::Connect | CheckKind::Amqp(_) | CheckKind::Mysql(_) => {}
    }
}

/// Gives servers the checks of the sections that they name; a name that does
/// not exist is told by the rules about references.
fn share_checks(proxies: &mut [Draft], sections: &mut [Named]) {
    for server in proxies.iter_mut().flat_map(|d| &mut d.back().servers) {
        let Some(name) = server.check.section.clone() else {
            continue;
        };
        if let Some(found) = sections.iter_mut().find(|s| s.name == name) {
            Arc::make_mut(server).check.own = Some(found.check());
        }
    }
}

/// `fullconn` where the file gives none: a tenth, rounded up, of what all
/// frontends that may lead to a backend admit; one without a `maxconn` admits
/// what the process does.
pub fn fill_fullconn(config: &mut Config, process_maxconn: u32) {
    let sums: Vec<u32> = config
        .proxies
        .iter()
        .map(|target| {
            let leads = |p: &&Arc<Proxy>| leads_to(p, &target.name);
            let limit = |p: &Arc<Proxy>| p.front.as_ref().and_then(|f| f.maxconn);
            let limit = |p: &Arc<Proxy>| limit(p).unwrap_or(process_maxconn);
            let limits = config.proxies.iter().filter(leads).map(limit);
            limits.fold(0, u32::saturating_add)
        })
        .collect();
    for (proxy, sum) in config.proxies.iter_mut().zip(sums) {
        if let Some(back) = &mut Arc::make_mut(proxy).back
            && !back.fullconn_set
        {
            back.fullconn = u32::max(1, sum.div_ceil(10));
        }
    }
}

fn leads_to(proxy: &Proxy, backend: &str) -> bool {
    let Some(front) = &proxy.front else {
        return false;
    };
    // a listen section leads to its own servers
    let own = proxy.back.is_some() && proxy.name == backend;
    own || names(front).any(|name| name == backend)
}

fn names(front: &Front) -> impl Iterator<Item = &str> {
    let rules = front
        .use_backend
        .iter()
        .filter_map(|rule| match &rule.backend {
            super::model::BackendName::Fixed(name) => Some(name.as_str()),
            super::model::BackendName::Format(_) => None,
        });
    rules.chain(front.default_backend.as_deref())
}

/// Drops the side that the section does not have.
fn proxy(draft: Draft) -> Arc<Proxy> {
    let (has_front, has_back) = (draft.has_front(), draft.has_back());
    let mut proxy = draft.proxy;
    if !has_front {
        proxy.front = None;
    }
    if !has_back {
        proxy.back = None;
    }
    Arc::new(proxy)
}
