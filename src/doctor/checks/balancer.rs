//! The balancer of a host: its file, whether it runs, what it says of its servers.

use super::{Doctor, Host, counted, start_or_restart};
use crate::doctor::Level;
use crate::doctor::facts::Facts;
use conf::lb::model::{BindAddress, Host as Place};
use serde_json::Value;

impl Doctor {
    pub(super) fn balancer(&mut self, host: &Host) {
        let facts = host.facts();
        let path = &facts.lb.path;
        let Some((_, report)) = &host.lb else {
            let text = format!("no balancer here: {path}: {}", facts.lb.problem);
            return self.say(Level::Note, text, "`--lb FILE` names another place");
        };
        self.file("the balancer's file", path, report);
        self.bind_addresses(host);
        match &facts.lb_status {
            Some(Ok(status)) => self.running(status),
            Some(Err(reason)) => {
                let text = format!("the balancer does not answer ({reason})");
                self.say(Level::Error, text, start_or_restart("evenkeel-lb", reason));
            }
            None => {}
        }
    }

    /// A backup host cannot bind an address that only the master has.
    fn bind_addresses(&mut self, host: &Host) {
        let facts: &Facts = host.facts();
        let nonlocal = |name: &str| facts.sysctls.get(name).is_some_and(|v| v == "1");
        let Some(config) = host.lb() else { return };
        let fronts = config.proxies.iter().filter_map(|p| p.front.as_ref());
        for bind in fronts.flat_map(|front| &front.binds) {
            let BindAddress::Tcp {
                host: Place::Ip(ip),
                first,
                ..
            } = &bind.address
            else {
                continue;
            };
            let sysctl = match ip.is_ipv4() {
                true => "net.ipv4.ip_nonlocal_bind",
                false => "net.ipv6.ip_nonlocal_bind",
            };
            let here = ip.is_unspecified() || ip.is_loopback() || facts.addresses.contains(ip);
            if !here && !bind.transparent && !nonlocal(sysctl) {
                let text = format!(
                    "the balancer binds {ip} port {first}, which this host does not have now: it cannot start here"
                );
                let any = if ip.is_ipv4() { "0.0.0.0" } else { "[::]" };
                let mend = format!("sysctl -w {sysctl}=1  # or write `bind {any}:{first}`");
                self.say(Level::Error, text, mend);
            }
        }
    }

    fn running(&mut self, status: &Value) {
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        self.good(format!(
            "the balancer has run for {} s, with {} of {} connections",
            number("uptime_ms") / 1000,
            number("connections"),
            number("connections_limit")
        ));
        let (files, wanted) = (number("open_files_limit"), number("connections_limit") * 2);
        if files < wanted {
            let text = format!(
                "the balancer may open {files} files, its maxconn of {} needs {wanted}",
                number("connections_limit")
            );
            let mend = "LimitNOFILE= in evenkeel-lb.service, or a smaller maxconn";
            self.say(Level::Warning, text, mend);
        }
        for backend in list(&status["backends"]) {
            self.backend(backend);
        }
    }

    fn backend(&mut self, backend: &Value) {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let name = text(&backend["name"]);
        let servers = list(&backend["servers"]);
        let down: Vec<&Value> = servers
            .iter()
            .filter(|s| text(&s["state"]).starts_with("DOWN"))
            .collect();
        if !servers.is_empty() && down.len() == servers.len() {
            let all = format!(
                "no server of {name} is usable ({} down)",
                counted(down.len(), "server")
            );
            let mend = "evenkeel lb ctl show stat  # shows the failed checks";
            self.say(Level::Error, all, mend);
        }
        for server in down {
            let address = text(&server["address"]);
            let there = address.rsplit_once(':').map_or(&*address, |(ip, _)| ip);
            let mend = format!("on {there}: systemctl status rabbitmq-server (or evenkeel-broker)");
            let said = format!(
                "{name}/{} is down: {}",
                text(&server["name"]),
                text(&server["reason"])
            );
            self.say(Level::Warning, said, mend);
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
