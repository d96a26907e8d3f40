//! HAProxy's server state file, format version 1: what `show servers state`
//! prints and `server-state-file` reads at the start.
//!
//! A row says what the old configuration had (`iweight`, maintenance by the
//! file) and what held. What the configuration changed since stays as
//! configured, and unlike HAProxy a port of the file never replaces one of the
//! configuration.

use crate::core::health::{CheckStatus, Outcome};
use crate::core::server::{Admin, Change};
use crate::state::{CheckAt, Endpoint, Generation, Proxy, Runtime, Server};
use conf::lb::model::{InitAddr, ServerAddress, ServerPort};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Columns of a row in version 1.
const COLUMNS: usize = 25;
/// Most rows that are read.
const ROWS: usize = 100_000;
/// Longest file that is read.
const LIMIT: u64 = 64 << 20;

/// One server's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    backend_id: u32,
    backend: String,
    server_id: u32,
    server: String,
    address: String,
    operation: u8,
    admin: u8,
    weight: u32,
    initial_weight: u32,
    changed_ago_s: u64,
    check_status: u8,
    check_value: u32,
    check_bits: u8,
    agent_bits: u8,
    forced_ids: (bool, bool),
    fqdn: String,
    port: u16,
    check_at: CheckAt,
}

/// Reads a file's text; rows that make no sense are told by line.
///
/// # Errors
/// It is no state file of version 1.
pub fn parse(text: &str) -> Result<(Vec<Row>, Vec<String>), String> {
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, "1")) => {}
        Some((_, first)) if first.parse::<u32>().is_ok() => {
            return Err(format!("its format has version {first}, not 1"));
        }
        _ => return Err("it is no server state file".to_owned()),
    }
    // a file that was cut inside a row must not be taken for a whole one
    let cut = !text.ends_with('\n');
    let last = text.lines().count() - 1;
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parsed = match cut && index == last {
            true => Err("the line is cut short".to_owned()),
            false => row(line),
        };
        match parsed {
            Ok(row) if rows.len() < ROWS => rows.push(row),
            Ok(_) => return Err(format!("it has more than {ROWS} rows")),
            Err(problem) => problems.push(format!("line {}: {problem}", index + 1)),
        }
    }
    Ok((rows, problems))
}

fn row(line: &str) -> Result<Row, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.len() < COLUMNS {
        return Err(format!("{} columns, expected {COLUMNS}", words.len()));
    }
    let bad = |index: usize, what: &str| format!("`{}` is no {what}", words[index]);
    let number = |index: usize, what: &str| -> Result<u64, String> {
        words[index].parse().map_err(|_| bad(index, what))
    };
    let small = |index: usize, what: &str, most: u64| -> Result<u32, String> {
        let value = number(index, what)?;
        match value <= most {
            true => Ok(value as u32),
            false => Err(bad(index, what)),
        }
    };
    let port_at = |index: usize| -> Result<Option<u16>, String> {
        let port = small(index, "port", 65_535)? as u16;
        Ok((port > 0).then_some(port))
    };
    Ok(Row {
        backend_id: small(0, "id", u64::from(u32::MAX))?,
        backend: words[1].to_owned(),
        server_id: small(2, "id", u64::from(u32::MAX))?,
        server: words[3].to_owned(),
        address: words[4].to_owned(),
        operation: small(5, "operational state", 3)? as u8,
        admin: small(6, "administrative state", 0x7F)? as u8,
        weight: small(7, "weight", 256)?,
        initial_weight: small(8, "weight", 256)?,
        changed_ago_s: number(9, "time")?,
        check_status: small(10, "check status", 255)? as u8,
        check_value: small(12, "health", u64::from(u32::MAX))?,
        check_bits: small(13, "check state", 255)? as u8,
        agent_bits: small(14, "agent state", 255)? as u8,
        forced_ids: (small(15, "flag", 255)? != 0, small(16, "flag", 255)? != 0),
        fqdn: words[17].to_owned(),
        port: small(18, "port", 65_535)? as u16,
        // names of the configuration stand here, too; they say nothing new
        check_at: CheckAt {
            ip: words[22].parse().ok(),
            port: port_at(21)?,
            agent_ip: words[23].parse().ok(),
            agent_port: port_at(24)?,
        },
    })
}

/// Reads the files that the configuration names and applies their rows; gives
/// what an operator should know.
pub fn load(runtime: &Runtime) -> Vec<String> {
    let generation = runtime.generation();
    let mut told = Vec::new();
    let mut files: HashMap<PathBuf, Vec<Row>> = HashMap::new();
    for proxy in &generation.proxies {
        let Some(path) = proxy.conf.back.as_ref().and_then(|b| b.state_file.clone()) else {
            continue;
        };
        let rows = files
            .entry(path)
            .or_insert_with_key(|path| read(path, &mut told));
        for row in rows.iter().filter(|row| is_of(row, proxy)) {
            apply(runtime, &generation, proxy, row, &mut told);
        }
    }
    told
}

fn read(path: &Path, told: &mut Vec<String>) -> Vec<Row> {
    let is_short = std::fs::metadata(path).map(|m| m.is_file() && m.len() <= LIMIT);
    let text = match is_short {
        Ok(true) => std::fs::read(path),
        Ok(false) => Err(std::io::Error::other("it is no file of reasonable length")),
        Err(error) => Err(error),
    };
    let parsed = text
        .map_err(|e| e.to_string())
        .and_then(|bytes| parse(&String::from_utf8_lossy(&bytes)));
    match parsed {
        Ok((rows, problems)) => {
            let problems = problems.iter().take(10);
            told.extend(problems.map(|p| format!("server state file {}: {p}", path.display())));
            rows
        }
        Err(problem) => {
            told.push(format!(
                "server state file {} is ignored: {problem}",
                path.display()
            ));
            Vec::new()
        }
    }
}

/// By name; by number where the file forced one and names changed.
fn is_of(row: &Row, proxy: &Proxy) -> bool {
    let conf = &proxy.conf;
    row.backend == conf.name || (row.forced_ids.0 && conf.id_forced && row.backend_id == conf.id)
}

fn find<'a>(row: &Row, proxy: &'a Proxy) -> Option<&'a Arc<Server>> {
    let by_name = proxy.servers.iter().find(|s| s.name() == row.server);
    by_name.or_else(|| {
        let forced = |s: &&Arc<Server>| s.conf.id_forced && s.conf.id == row.server_id;
        proxy
            .servers
            .iter()
            .find(forced)
            .filter(|_| row.forced_ids.1)
    })
}

fn apply(
    runtime: &Runtime,
    generation: &Generation,
    proxy: &Proxy,
    row: &Row,
    told: &mut Vec<String>,
) {
    debug_assert!(generation.backend(proxy.name()).is_some());
    let Some(server) = find(row, proxy) else {
        return;
    };
    let name = format!("{}/{}", proxy.name(), server.name());
    address(runtime, server, row, &name, told);
    targets(server, row, &name, told);
    checks(server, row);
    let why = "changed from server-state after a reload";
    admin(runtime, server, row, why);
    if row.initial_weight == server.conf.weight {
        runtime.change(server, Change::Weight(row.weight), why);
    }
    if server.conf.check.enabled && !server.status().admin.in_maintenance() {
        let change = match row.operation {
            0 => Change::Down,
            3 => Change::Stopping,
            _ => Change::Up,
        };
        runtime.change(server, change, why);
    }
    let ago_ms = row.changed_ago_s.saturating_mul(1000);
    server.status().changed_ms = runtime.now_ms().saturating_sub(ago_ms);
}

/// The last known address serves a name that has none yet (`init-addr last`).
fn address(runtime: &Runtime, server: &Arc<Server>, row: &Row, name: &str, told: &mut Vec<String>) {
    let ServerAddress::Tcp { fqdn, port, .. } = &server.conf.address else {
        return;
    };
    let ServerPort::Fixed(port) = *port else {
        return;
    };
    if row.port != 0 && row.port != port {
        told.push(format!(
            "{name}: port {} of the server state file is ignored, the configuration says {port}",
            row.port
        ));
    }
    let wanted = server.conf.init_addr.contains(&InitAddr::Last);
    let same_name = fqdn.as_deref() == Some(row.fqdn.as_str());
    if wanted
        && same_name
        && *server.endpoint() == Endpoint::Unresolved
        && let Ok(ip) = row.address.parse()
    {
        runtime.relocate(server, Endpoint::Inet(SocketAddr::new(ip, port)));
    }
}

/// Where checks went, as far as the configuration does not say it.
fn targets(server: &Server, row: &Row, name: &str, told: &mut Vec<String>) {
    let (check, agent) = (&server.conf.check, &server.conf.check.agent);
    let (health, asked) = (check.enabled, agent.is_used());
    let at = CheckAt {
        ip: row.check_at.ip.filter(|_| health && check.addr.is_none()),
        port: row.check_at.port.filter(|_| health && check.port.is_none()),
        agent_ip: row
            .check_at
            .agent_ip
            .filter(|_| asked && agent.addr.is_none()),
        agent_port: row
            .check_at
            .agent_port
            .filter(|_| asked && agent.port.is_none()),
    };
    if at != CheckAt::default() {
        told.push(format!(
            "{name}: checks go where the server state file says, the configuration says nothing"
        ));
        server.check_at.store(Some(Arc::new(at)));
    }
}

fn checks(server: &Server, row: &Row) {
    const ENABLED: u8 = 4;
    const CONFIGURED: u8 = 2;
    let kinds = [
        (&server.health, row.check_bits),
        (&server.agent, row.agent_bits),
    ];
    for (health, bits) in kinds {
        let mut health = health.lock().unwrap_or_else(|e| e.into_inner());
        if health.configured && bits & CONFIGURED != 0 && bits & ENABLED == 0 {
            health.enabled = false;
        }
    }
    let mut health = server.health.lock().unwrap_or_else(|e| e.into_inner());
    if !health.configured {
        return;
    }
    let (rise, top) = (health.rise(), health.rise() + health.fall() - 1);
    health.set_value(match row.operation {
        0 => 0,
        3 => row.check_value.clamp(rise, top),
        _ => top,
    });
    if let Some(status) = CheckStatus::by_number(row.check_status) {
        health.set_last(Outcome {
            status,
            code: 0,
            description: String::new(),
            duration: None,
        });
    }
}

/// Maintenance and drain as an operator had left them; where the
/// configuration's `disabled` changed since, it decides.
fn admin(runtime: &Runtime, server: &Arc<Server>, row: &Row, why: &str) {
    let (had, now) = (Admin(row.admin), server.status().admin);
    let (before, after) = (had.has(Admin::CONFIG_MAINT), now.has(Admin::CONFIG_MAINT));
    let in_maintenance = had.has(Admin::FORCED_MAINT);
    if before == after {
        if in_maintenance && !after {
            runtime.change(server, Change::Set(Admin::FORCED_MAINT), why);
        }
        if !in_maintenance && after {
            let both = Admin(Admin::CONFIG_MAINT.0 | Admin::FORCED_MAINT.0);
            runtime.change(server, Change::Clear(both), why);
        }
    }
    if had.has(Admin::FORCED_DRAIN) {
        runtime.change(server, Change::Set(Admin::FORCED_DRAIN), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: &str = "3 be 1 s1 127.0.0.1 2 0 7 1 12 6 3 4 6 0 0 0 - 9 - 0 0 - - 0";

    #[test]
    fn a_row_of_haproxy_is_understood() {
        let (rows, problems) = parse(&format!("1\n# be_id be_name\n{ROW}\n")).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let row = &rows[0];
        assert_eq!((row.backend.as_str(), row.server.as_str()), ("be", "s1"));
        assert_eq!((row.weight, row.initial_weight, row.port), (7, 1, 9));
        assert_eq!((row.changed_ago_s, row.check_value), (12, 4));
    }

    #[test]
    fn other_versions_foreign_texts_and_broken_rows_are_refused() {
        assert!(parse("2\n").unwrap_err().contains("version 2"));
        assert!(parse("").is_err() && parse("global\n").is_err());
        let text = format!("1\n{ROW}\n3 be 1\n{}", &ROW[..30]);
        let (rows, problems) = parse(&text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("line 3: 3 columns"));
        assert!(problems[1].contains("cut short"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse(&text);
            let _ = parse(&format!("1\n{text}"));
        }
    }
}
