//! The VRRP daemon of a host: its file, whether it runs, its instances' states.

use super::{Doctor, Host, start_or_restart};
use crate::doctor::Level;
use conf::vip::model::Instance;
use serde_json::Value;
use std::net::IpAddr;

impl Doctor {
    pub(super) fn vrrp(&mut self, host: &Host) {
        let facts = host.facts();
        let path = &facts.vip.path;
        let Some((config, report)) = &host.vip else {
            let text = format!("no VRRP daemon here: {path}: {}", facts.vip.problem);
            return self.say(Level::Note, text, "`--vip FILE` names another place");
        };
        self.file("the VRRP daemon's file", path, report);
        match &facts.vip_status {
            Some(Ok(status)) => self.instances(status),
            Some(Err(reason)) => {
                let text = format!("the VRRP daemon does not answer ({reason})");
                self.say(Level::Error, text, start_or_restart("evenkeel-vip", reason));
            }
            None => {}
        }
        for instance in config.iter().flat_map(|c| &c.instances) {
            if !facts.interfaces.contains(&instance.interface) {
                let text = format!(
                    "{}: there is no interface {}",
                    instance.name, instance.interface
                );
                let mend = format!("write one of: {}", facts.interfaces.join(", "));
                self.say(Level::Error, text, mend);
            }
            if holds(instance, &facts.addresses) {
                let text = format!("{}: this host holds the virtual addresses", instance.name);
                self.good(text);
            }
        }
    }

    fn instances(&mut self, status: &Value) {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
        for instance in list(&status["instances"]) {
            let name = text(&instance["name"]);
            let explain = format!("evenkeel vip explain {name}");
            if instance["split_brain"] == true {
                let said = format!(
                    "{name}: another host was master too within the last {} s (split brain)",
                    vip::SPLIT_FOR.as_secs()
                );
                let mend = "check the network between the proxy hosts (IP protocol 112)";
                self.say(Level::Error, said, mend);
            }
            if instance["state"] == "FAULT" {
                let why = text(&instance["fault"]);
                self.say(
                    Level::Error,
                    format!("{name} is in FAULT: {why}"),
                    explain.as_str(),
                );
            }
            if instance["maintenance"] == true {
                let said = format!("{name} is in maintenance: this host does not take over");
                self.say(Level::Warning, said, "evenkeel vip resume");
            } else if instance["demoted"] == true {
                let said = format!("{name} was demoted: it does not take the address back");
                self.say(Level::Note, said, "evenkeel vip resume");
            }
        }
        for peer in list(&status["pair"]["peers"]) {
            if peer["witnessed"] == true {
                let said = format!(
                    "the other proxy host {} lives, but the two do not hear each other (a witness says so)",
                    text(&peer["address"])
                );
                let mend = "check the network between the proxy hosts (IP protocol 112, UDP 8112)";
                self.say(Level::Error, said, mend);
            } else if peer["alive"] == false {
                let said = format!("the other proxy host {} is silent", text(&peer["address"]));
                let mend = "there: systemctl status evenkeel-vip; between: does UDP 8112 pass?";
                self.say(Level::Warning, said, mend);
            }
        }
        let peered = list(&status["pair"]["peers"])
            .iter()
            .any(|p| p["alive"] == true);
        for witness in list(&status["pair"]["witnesses"]).iter().filter(|_| peered) {
            let fresh = witness["silent_ms"]
                .as_u64()
                .is_some_and(|ms| ms < vip::WITNESS_SILENT_MS);
            if !fresh {
                let address = text(&witness["address"]);
                let said = format!("the witness {address} brings no word of the other proxy host");
                let mend = format!(
                    "ping -c1 {address}; `pair_witness {address}` in both hosts' files; a network that drops \
                     packets with a foreign source address can have no witness"
                );
                self.say(Level::Warning, said, mend);
            }
        }
    }
}

fn holds(instance: &Instance, addresses: &[IpAddr]) -> bool {
    let mut virtual_ones = instance.addresses.iter();
    virtual_ones.any(|a| addresses.contains(&a.address))
}
