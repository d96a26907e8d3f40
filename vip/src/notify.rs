//! Who is told of a change of role, in which order and with which arguments:
//! keepalived's.

use crate::core::router::Phase;
use conf::vip::model::{Command, Instance, Notify, SyncGroup};

/// One thing to do, after the one before it is done.
#[derive(Clone, Debug)]
pub enum Order {
    /// Run a script with these arguments behind its own.
    Run(Command, Vec<String>),
    /// Write a line into the notify fifos.
    Line(String),
}

/// Orders for a change of an instance. `dropped`: a reload took it out of the file.
pub fn instance(conf: &Instance, to: Phase, priority: u8, dropped: bool) -> Vec<Order> {
    let notify = &conf.notify;
    let (word, own) = match to {
        Phase::Init => return Vec::new(),
        Phase::Stop if dropped && notify.deleted => ("DELETED", &notify.deleted_command),
        // keepalived says so, and does not run notify_fault
        Phase::Stop if dropped => ("FAULT", &None),
        Phase::Stop | Phase::Backup | Phase::Master | Phase::Fault => (to.word(), own(notify, to)),
    };
    orders(notify, own, "INSTANCE", &conf.name, word, priority)
}

/// Orders for a sync group all of whose members have arrived.
pub fn group(group: &SyncGroup, to: Phase) -> Vec<Order> {
    match to {
        Phase::Init => Vec::new(),
        Phase::Stop | Phase::Backup | Phase::Master | Phase::Fault => {
            let own = own(&group.notify, to);
            orders(&group.notify, own, "GROUP", &group.name, to.word(), 0)
        }
    }
}

/// The script for one role alone.
fn own(notify: &Notify, to: Phase) -> &Option<Command> {
    match to {
        Phase::Master => &notify.master,
        Phase::Backup => &notify.backup,
        Phase::Fault => &notify.fault,
        Phase::Stop => &notify.stop,
        Phase::Init => &None,
    }
}

/// The line about an event that is no change of role, such as MASTER_RX_LOWER_PRI.
pub fn event(conf: &Instance, word: &str, priority: u8) -> Order {
    Order::Line(line("INSTANCE", &conf.name, word, priority))
}

/// The line about the state of a group.
pub fn group_event(conf: &SyncGroup, word: &str) -> Order {
    Order::Line(line("GROUP", &conf.name, word, 0))
}

fn orders(
    notify: &Notify,
    own: &Option<Command>,
    kind: &str,
    name: &str,
    word: &str,
    priority: u8,
) -> Vec<Order> {
    let mut orders = Vec::new();
    if let Some(command) = own {
        orders.push(Order::Run(command.clone(), Vec::new()));
    }
    if let Some(command) = &notify.any {
        let arguments = [kind, name, word, &priority.to_string()];
        let arguments = arguments.map(str::to_owned).to_vec();
        orders.push(Order::Run(command.clone(), arguments));
    }
    orders.push(Order::Line(line(kind, name, word, priority)));
    orders
}

fn line(kind: &str, name: &str, word: &str, priority: u8) -> String {
    format!("{kind} \"{name}\" {word} {priority}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_line_has_keepalived_s_form() {
        let line = line("INSTANCE", "VI_1", "MASTER", 101);
        assert_eq!(line, "INSTANCE \"VI_1\" MASTER 101\n");
    }
}
