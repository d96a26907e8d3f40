//! Who is told of a change of role, in which order and with which arguments:
//! keepalived's.

use crate::core::router::Phase;
use conf::vip::model::{Command, Config, Instance, Notify, SyncGroup};

/// One thing to do, after the one before it is done.
#[derive(Clone, Debug)]
pub enum Order {
    /// Run a script with these arguments behind its own.
    Run(Command, Vec<String>),
    /// Write a line into the notify fifo.
    Line(String),
}

/// Orders for a change of an instance.
pub fn instance(config: &Config, conf: &Instance, to: Phase, priority: u8) -> Vec<Order> {
    let mut orders = scripts(&conf.notify, "INSTANCE", &conf.name, to, priority);
    if config.global.notify_fifo.is_some() && to != Phase::Init {
        orders.push(Order::Line(line("INSTANCE", &conf.name, to, priority)));
    }
    orders
}

/// Orders for a sync group all of whose members have arrived.
pub fn group(config: &Config, group: &SyncGroup, to: Phase) -> Vec<Order> {
    let mut orders = scripts(&group.notify, "GROUP", &group.name, to, 0);
    if config.global.notify_fifo.is_some() && to != Phase::Init {
        orders.push(Order::Line(line("GROUP", &group.name, to, 0)));
    }
    orders
}

fn scripts(notify: &Notify, kind: &str, name: &str, to: Phase, priority: u8) -> Vec<Order> {
    let own = match to {
        Phase::Master => &notify.master,
        Phase::Backup => &notify.backup,
        Phase::Fault => &notify.fault,
        Phase::Stop => &notify.stop,
        Phase::Init => return Vec::new(),
    };
    let mut orders = Vec::new();
    if let Some(command) = own {
        orders.push(Order::Run(command.clone(), Vec::new()));
    }
    if let Some(command) = &notify.any {
        let arguments = [kind, name, to.word(), &priority.to_string()];
        let arguments = arguments.map(str::to_owned).to_vec();
        orders.push(Order::Run(command.clone(), arguments));
    }
    orders
}

fn line(kind: &str, name: &str, to: Phase, priority: u8) -> String {
    format!("{kind} \"{name}\" {} {priority}\n", to.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_line_has_keepalived_s_form() {
        let line = line("INSTANCE", "VI_1", Phase::Master, 101);
        assert_eq!(line, "INSTANCE \"VI_1\" MASTER 101\n");
    }
}
