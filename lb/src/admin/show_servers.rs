//! `show servers state` and `show servers conn`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::model::{AdminLevel, Host};

use super::command::{Answer, Call, Command};
use super::{address, targets};
use crate::core::server::Admin;
use crate::state::{Endpoint, Generation, Proxy, Runtime, Server};

/// The commands of this file.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["show", "servers", "conn"],
        "[<backend>]",
        AdminLevel::User,
        "connections of servers, of all backends or one",
        conn,
    ),
    Command::new(
        &["show", "servers", "state"],
        "[<backend>]",
        AdminLevel::User,
        "states of servers, as a state file keeps them",
        state,
    ),
];

const STATE_FIELDS: &str = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
    srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
    srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn \
    srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

fn selected(call: &Call<'_>) -> Result<Vec<Arc<Proxy>>, Answer> {
    let generation = call.control.runtime.generation();
    match call.argument(0) {
        "" => Ok(generation.proxies.clone()),
        name => match generation
            .backend(name)
            .or_else(|| by_number(&generation, name))
        {
            Some(proxy) => Ok(vec![proxy.clone()]),
            None => Err(Answer::error("Can't find backend.")),
        },
    }
}

/// `#<id>` of a backend.
fn by_number<'g>(generation: &'g Generation, name: &str) -> Option<&'g Arc<Proxy>> {
    let numbered = name.starts_with('#').then(|| generation.proxy(name));
    numbered.flatten().filter(|proxy| proxy.back.is_some())
}

fn state(call: &mut Call<'_>) -> Answer {
    match selected(call) {
        Ok(proxies) => Answer::Text(state_text(&call.control.runtime, &proxies)),
        Err(refused) => refused,
    }
}

/// The states of these proxies' servers, in the form of a state file.
pub fn state_text(runtime: &Runtime, proxies: &[Arc<Proxy>]) -> String {
    let mut out = format!("1\n# {STATE_FIELDS}\n");
    for proxy in proxies {
        for server in &proxy.servers {
            state_line(runtime, proxy, server, &mut out);
        }
    }
    out
}

fn state_line(runtime: &Runtime, proxy: &Proxy, server: &Arc<Server>, out: &mut String) {
    let status = server.status().clone();
    let health = server.health_now();
    let agent = server.agent_now();
    // without checks: one that is disabled from the start is shown as if its check waited for that
    let resting = status.admin.in_maintenance();
    let waiting = status.admin.has(Admin::CONFIG_MAINT);
    let (value, bits) = match health.configured {
        true => (health.value(), health.state_bits()),
        false if resting => (0, u8::from(waiting) << 3),
        false => (server.conf.check.rise, 0),
    };
    let (address, mut port) = address::parts(&server.endpoint());
    if *server.endpoint() == Endpoint::Unresolved {
        port = targets::configured_port(server).unwrap_or(0).to_string();
    }
    let fqdn = server.fqdn().unwrap_or_else(|| "-".to_owned());
    let check = &server.conf.check;
    // what an operator set goes before the file
    let set = server.check_at.load_full().unwrap_or_default();
    let host = |set: Option<IpAddr>, host: &Option<Host>| match (set, host) {
        (Some(ip), _) => ip.to_string(),
        (None, Some(Host::Ip(ip))) => ip.to_string(),
        (None, Some(Host::Name(name, _))) => name.clone(),
        (None, None) => "-".to_owned(),
    };
    let _ = writeln!(
        out,
        "{} {} {} {} {address} {} {} {} {} {} {} {} {} {} {} {} {} {fqdn} {port} - 0 {} {} {} {}",
        proxy.conf.id,
        proxy.name(),
        server.conf.id,
        server.name(),
        status.operation as u8,
        admin_bits(status.admin, server.conf.disabled),
        status.weight,
        status.initial_weight,
        runtime.now_ms().saturating_sub(status.changed_ms) / 1000,
        health.status().number().max(1),
        health.status().result() as u8,
        value,
        bits,
        if agent.configured {
            agent.state_bits()
        } else {
            0
        },
        u8::from(proxy.conf.id_forced),
        u8::from(server.conf.id_forced),
        set.port.or(check.port).unwrap_or(0),
        host(set.ip, &check.addr),
        host(set.agent_ip, &check.agent.addr),
        set.agent_port.or(check.agent.port).unwrap_or(0),
    );
}

/// Maintenance by the file is shown as an operator's, too, as state files have
/// it; that the file says `disabled` is shown also after an operator's `ready`.
fn admin_bits(admin: Admin, disabled: bool) -> u8 {
    let by_file = if disabled { Admin::CONFIG_MAINT.0 } else { 0 };
    let forced = if admin.has(Admin::CONFIG_MAINT) {
        Admin::FORCED_MAINT.0
    } else {
        0
    };
    admin.0 | forced | by_file
}

fn conn(call: &mut Call<'_>) -> Answer {
    let proxies = match selected(call) {
        Ok(proxies) => proxies,
        Err(refused) => return refused,
    };
    let threads = call.control.runtime.threads().len();
    let mut out = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb \
         safe_nb idle_lim idle_cur idle_per_thr[{threads}]\n"
    );
    for proxy in &proxies {
        for server in &proxy.servers {
            let (address, port) = address::parts(&server.endpoint());
            let _ = writeln!(
                out,
                "{}/{} {}/{} {address} {port} - 5000 {} {} {} 0 0 -1 0{}",
                proxy.name(),
                server.name(),
                proxy.conf.id,
                server.conf.id,
                server.served.load(Relaxed),
                server.sessions.max(),
                server.sessions.max(),
                " 0".repeat(threads)
            );
        }
    }
    Answer::Text(out)
}
