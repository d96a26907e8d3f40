//! Programs that stand where ours belong: the haproxy or keepalived that a host had before.

use super::{Doctor, Host};
use crate::doctor::Level;

impl Doctor {
    pub(super) fn rivals(&mut self, host: &Host) {
        let facts = host.facts();
        let runs = matches!(facts.lb_status, Some(Ok(_)));
        for rival in &facts.rivals {
            let who = format!("{} (pid {}) listens on {}", rival.name, rival.pid, rival.at);
            let text = match runs {
                true => format!("{who} as well: it takes connections that are the balancer's"),
                false => format!("{who}: the balancer cannot start there"),
            };
            let mend = match rival.name.as_str() {
                "haproxy" | "nginx" => format!("systemctl disable --now {}", rival.name),
                _ => format!("systemctl status {}  # whose is it?", rival.pid),
            };
            self.say(Level::Error, text, mend);
        }
        let Some(pid) = facts.keepalived else { return };
        let stop = "systemctl disable --now keepalived";
        match &facts.vip_status {
            Some(Ok(_)) => {
                let text = format!("keepalived (pid {pid}) runs beside the VRRP daemon");
                self.say(Level::Error, text, stop);
            }
            Some(Err(_)) => {
                let text = format!("keepalived (pid {pid}) runs in the VRRP daemon's place");
                let mend = format!("{stop}; systemctl start evenkeel-vip");
                self.say(Level::Note, text, mend);
            }
            None => {}
        }
    }
}
