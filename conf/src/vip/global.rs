//! `global_defs`.

use super::announce;
use super::model::{Global, NotifyFifo, Place, ScriptUser, Version};
use super::section::{self, Section, Table};
use super::unicast;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, wrong};
use crate::source::Span;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

type Here = Section<Global>;

/// The keywords of `global_defs`.
pub static TABLE: Table<Global> = &[
    Keyword {
        name: "router_id",
        args: "<name>",
        doc: "Name of this host in reports; the host name if not given.",
        example: "router_id lb_a",
        apply: |s, a| {
            s.draft.router_id = Some(a.expect("a name")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "lvs_id",
        args: "<name>",
        doc: "Old spelling of `router_id`.",
        example: "lvs_id LVS_DEVEL",
        apply: |s, a| {
            s.draft.router_id = Some(a.expect("a name")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "script_user",
        args: "<user> [group]",
        doc: "User that runs scripts which name none. Default: keepalived_script if there is such a user, else root.",
        example: "script_user root",
        apply: |s, a| {
            s.draft.script_user = Some(ScriptUser {
                user: a.expect("a user")?.text.clone(),
                group: a.take().map(|w| w.text.clone()),
            });
            Ok(())
        },
    },
    Keyword {
        name: "enable_script_security",
        args: "",
        doc: "Refuses scripts run by root that somebody else could change; the message names the part of the path.",
        example: "enable_script_security",
        apply: |s, _| {
            s.draft.script_security = true;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_version",
        args: "<2|3>",
        doc: "Version of instances that name none; default 2. IPv6 instances are always 3.",
        example: "vrrp_version 3",
        apply: |s, a| {
            s.draft.version = a.choose("a version", &[("2", Version::V2), ("3", Version::V3)])?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_master_delay",
        args: "<seconds>",
        doc: "From the election to the second burst of announcements; 0 = none. Default 5.",
        example: "vrrp_garp_master_delay 10",
        apply: |s, a| {
            s.draft.announce.delay = section::seconds(a, 0.0, 86_400.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_master_repeat",
        args: "<count>",
        doc: "Announcements in a burst, 1-1000; default 5.",
        example: "vrrp_garp_master_repeat 1",
        apply: |s, a| {
            s.draft.announce.repeat = section::repeat(s, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_master_refresh",
        args: "<seconds>",
        doc: "Between refreshing announcements while master; 0 = none. keepalived's default is none; here one packet per address and second, because that ends the outage after a partition.",
        example: "vrrp_garp_master_refresh 60",
        apply: |s, a| {
            s.draft.announce.refresh = Some(section::seconds(a, 0.0, 86_400.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_master_refresh_repeat",
        args: "<count>",
        doc: "Announcements in a refresh, 1-100; default 1.",
        example: "vrrp_garp_master_refresh_repeat 2",
        apply: |s, a| {
            s.draft.announce.refresh_repeat = section::number(a, 1, 100)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_lower_prio_repeat",
        args: "<count>",
        doc: "Announcements after a lower-priority advert, 0-1000.",
        example: "vrrp_garp_lower_prio_repeat 1",
        apply: |s, a| {
            s.draft.announce.lower_prio_repeat = Some(section::number(a, 0, 1000)?);
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_lower_prio_delay",
        args: "<seconds>",
        doc: "From the answer to a lower-priority advert to a second one; 0 = none. Default as vrrp_garp_master_delay.",
        example: "vrrp_garp_lower_prio_delay 10",
        apply: |s, a| {
            s.draft.announce.lower_prio_delay = Some(section::seconds(a, 0.0, 86_400.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_garp_interval",
        args: "<seconds>",
        doc: "Pause between two gratuitous ARPs on one interface, to the microsecond; 0, the default: a burst leaves at once.",
        example: "vrrp_garp_interval 0.001",
        apply: |s, a| {
            s.draft.announce.garp_interval = announce::pause(s, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_gna_interval",
        args: "<seconds>",
        doc: "Pause between two unsolicited neighbour advertisements on one interface; default 0.",
        example: "vrrp_gna_interval 0.000001",
        apply: |s, a| {
            s.draft.announce.gna_interval = announce::pause(s, a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_down_timer_adverts",
        args: "<1-100>",
        doc: "Missed adverts before a backup takes over, for instances that write no down_timer_adverts; default 3.",
        example: "vrrp_down_timer_adverts 3",
        apply: |s, a| {
            s.draft.down_timer_adverts = section::number(a, 1, 100)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_startup_delay",
        args: "<seconds>",
        doc: "Instances wait so long after the daemon's start before they take part; default 0.",
        example: "vrrp_startup_delay 5.5",
        apply: |s, a| {
            s.draft.startup_delay = section::seconds(a, 0.0, 1000.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_notify_priority_changes",
        args: "[on|off]",
        doc: "Default of notify_priority_changes; off.",
        example: "vrrp_notify_priority_changes on",
        apply: |s, a| {
            s.draft.notify_priority_changes = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_min_garp",
        args: "[on|off]",
        doc: "One announcement per address and no second burst.",
        example: "vrrp_min_garp",
        apply: |s, a| {
            s.draft.announce.minimal = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_skip_check_adv_addr",
        args: "[on|off]",
        doc: "Does not compare the address list of every advert, only that of a new sender.",
        example: "vrrp_skip_check_adv_addr",
        apply: |s, a| {
            s.draft.skip_check_adv_addr = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_check_unicast_src",
        args: "[on|off]",
        doc: "Obeys only the peers named in unicast_peer. keepalived's default is off; here it is on, and `off` turns it off.",
        example: "vrrp_check_unicast_src",
        apply: |s, a| {
            s.draft.check_unicast_src = Some(section::switch(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_lower_prio_no_advert",
        args: "[on|off]",
        doc: "A master does not answer a lower-priority advert with its own.",
        example: "vrrp_lower_prio_no_advert",
        apply: |s, a| {
            s.draft.lower_prio_no_advert = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_higher_prio_send_advert",
        args: "[on|off]",
        doc: "A master that hears a better one sends one last advert before it yields, so that the winner announces itself again. keepalived's default is off, here it is on.",
        example: "vrrp_higher_prio_send_advert",
        apply: |s, a| {
            s.draft.higher_prio_send_advert = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_strict",
        args: "[on|off]",
        doc: "Strict RFC mode: no unicast, no password, no address without an advert. keepalived then also drops traffic to the addresses; this daemon does not.",
        example: "vrrp_strict",
        apply: |s, a| {
            s.draft.strict = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_mcast_group4",
        args: "<address>",
        doc: "Multicast group of IPv4 adverts; default 224.0.0.18.",
        example: "vrrp_mcast_group4 224.0.0.18",
        apply: |s, a| {
            s.draft.mcast_group4 = a.parse("an IPv4 multicast address", |t| {
                t.parse().ok().filter(std::net::Ipv4Addr::is_multicast)
            })?;
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_mcast_group6",
        args: "<address>",
        doc: "Multicast group of IPv6 adverts; default ff02::12.",
        example: "vrrp_mcast_group6 ff02::12",
        apply: |s, a| {
            s.draft.mcast_group6 = a.parse("a link-local IPv6 multicast address", |t| {
                t.parse().ok().filter(|a| unicast::is_group(IpAddr::V6(*a)))
            })?;
            Ok(())
        },
    },
    Keyword {
        name: "notify_fifo",
        args: "<path> [user [group]]",
        doc: "Fifo that gets a line for every change of state; made if missing.",
        example: "notify_fifo /run/vrrp.fifo",
        apply: fifo,
    },
    Keyword {
        name: "vrrp_notify_fifo",
        args: "<path> [user [group]]",
        doc: "A second fifo that gets the same lines.",
        example: "vrrp_notify_fifo /run/vrrp.fifo",
        apply: fifo,
    },
    Keyword {
        name: "notify_fifo_script",
        args: "<command> [user [group]]",
        doc: "Started with the fifo's path as its last argument; reads it.",
        example: "notify_fifo_script /usr/local/bin/read_fifo.sh",
        apply: fifo_script,
    },
    Keyword {
        name: "vrrp_notify_fifo_script",
        args: "<command> [user [group]]",
        doc: "As notify_fifo_script, for vrrp_notify_fifo.",
        example: "vrrp_notify_fifo_script /usr/local/bin/read_fifo.sh",
        apply: fifo_script,
    },
    Keyword {
        name: "startup_script",
        args: "<command> [user [group]]",
        doc: "Run once before anything else starts.",
        example: "startup_script /usr/local/bin/before.sh",
        apply: |s, a| {
            s.draft.startup_script = Some(section::command(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "shutdown_script",
        args: "<command> [user [group]]",
        doc: "Run once after everything has stopped.",
        example: "shutdown_script /usr/local/bin/after.sh",
        apply: |s, a| {
            s.draft.shutdown_script = Some(section::command(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "startup_script_timeout",
        args: "<1-1000>",
        doc: "Seconds that startup_script may take; default 10.",
        example: "startup_script_timeout 10",
        apply: |s, a| {
            s.draft.startup_timeout = Duration::from_secs(section::number(a, 1, 1000)?);
            Ok(())
        },
    },
    Keyword {
        name: "shutdown_script_timeout",
        args: "<1-1000>",
        doc: "Seconds that shutdown_script may take; default 10.",
        example: "shutdown_script_timeout 10",
        apply: |s, a| {
            s.draft.shutdown_timeout = Duration::from_secs(section::number(a, 1, 1000)?);
            Ok(())
        },
    },
    Keyword {
        name: "default_interface",
        args: "<interface>",
        doc: "Where static addresses and routes are that name none; default eth0.",
        example: "default_interface eth1",
        apply: |s, a| {
            let name = section::interface(a.expect("an interface")?)?;
            s.draft.default_interface = Some(name);
            Ok(())
        },
    },
    Keyword {
        name: "random_seed",
        args: "<number>",
        doc: "From this line on the numbers of ${_RANDOM} are the same in each reading.",
        example: "random_seed 7",
        // the reader of lines has taken it
        apply: |_, a| section::number::<u32>(a, 0, i64::from(u32::MAX)).map(|_| ()),
    },
    Keyword {
        name: "vmac_prefix",
        args: "<text>",
        doc: "How the names of virtual interfaces begin that use_vmac does not name; default vrrp.",
        example: "vmac_prefix vv",
        apply: |s, a| {
            let word = a.expect("a prefix")?;
            if word.text.len() > 10 {
                return Err(wrong(word, "a prefix of at most 10 bytes: `6.255` follows"));
            }
            s.draft.vmac_prefix = Some(section::interface(word)?);
            Ok(())
        },
    },
    Keyword {
        name: "fifo_write_vrrp_states_on_reload",
        args: "",
        doc: "After a reload the fifos get the state of every instance and group again.",
        example: "fifo_write_vrrp_states_on_reload",
        apply: |s, _| {
            s.draft.states_on_reload = true;
            Ok(())
        },
    },
    Keyword {
        name: "dynamic_interfaces",
        args: "[allow_if_changes]",
        doc: "An interface may be missing at start, and is waited for in FAULT: so it is here in any case.",
        example: "dynamic_interfaces",
        apply: |_, a| {
            let _ = a.take_if("allow_if_changes");
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_rt_priority",
        args: "<1-99>",
        doc: "Runs the daemon's timers with this real-time priority (SCHED_RR).",
        example: "vrrp_rt_priority 50",
        apply: |s, a| {
            s.draft.rt_priority = Some(section::number(a, 1, 99)?);
            Ok(())
        },
    },
    Keyword {
        name: "vrrp_priority",
        args: "<-20..19>",
        doc: "Nice value of the thread that sends adverts; -20, before all others, is the default (keepalived's: as any process).",
        example: "vrrp_priority -10",
        apply: |s, a| {
            s.draft.nice = section::number(a, -20, 19)?;
            Ok(())
        },
    },
    Keyword {
        name: "address_lease",
        args: "[on|off]",
        doc: "Evenkeel's own. Addresses carry a lifetime that the daemon renews, so that they end by themselves when every process of it dies. Default on.",
        example: "address_lease off",
        apply: |s, a| {
            s.draft.address_lease = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "pair_channel",
        args: "[on|off] [port <port>] [interval <seconds>]",
        doc: "Evenkeel's own. The authenticated channel between two Evenkeel hosts: UDP port 8112, a heartbeat every 0.05 s. Default on; silent when the peer is keepalived.",
        example: "pair_channel port 8112 interval 0.05",
        apply: pair_channel,
    },
    Keyword {
        name: "pair_key",
        args: "<secret>",
        doc: "Evenkeel's own. The secret of the pair channel; derived from the instances' passwords if not given.",
        example: "pair_key \"correct horse battery staple\"",
        apply: |s, a| {
            s.draft.pair_channel.key = Some(a.expect("a secret")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "pair_peer",
        args: "<address> ...",
        doc: "Evenkeel's own. Further addresses of the peer, such as one on a second network; also where the peer cannot be learnt from its adverts.",
        example: "pair_peer 192.0.2.12 10.0.0.12",
        apply: |s, a| {
            let first = section::address(a.expect("an address")?)?;
            s.draft.pair_channel.peers.push(first);
            for word in a.rest() {
                s.draft.pair_channel.peers.push(section::address(word)?);
            }
            Ok(())
        },
    },
    Keyword {
        name: "pair_tickle",
        args: "[on|off]",
        doc: "Evenkeel's own. The master tells its peer by the pair channel which clients are connected to its addresses; if it dies, its successor asks each of them whether it still is, so that clients that only wait connect anew at once. Default on.",
        example: "pair_tickle off",
        apply: |s, a| {
            s.draft.pair_channel.tickle = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "pair_witness",
        args: "<IPv4 address> ...",
        doc: "Evenkeel's own. Hosts that answer pings and that both proxy hosts and the clients reach, such as the servers: a backup that does not hear the master any more, but gets its word by one of them, stays backup. Both hosts need the line.",
        example: "pair_witness 192.0.2.21 192.0.2.22",
        apply: pair_witness,
    },
    Keyword {
        name: "status_page",
        args: "<address:port>|off",
        doc: "Evenkeel's own. Where the status page with JSON and metrics listens; default 127.0.0.1:8110.",
        example: "status_page 127.0.0.1:8110",
        apply: |s, a| {
            let word = a.expect("an address with a port, or off")?;
            s.draft.status_page = match word.text.as_str() {
                "off" => None,
                text => Some(
                    text.parse()
                        .map_err(|_| wrong(word, "an address with a port, or `off`"))?,
                ),
            };
            Ok(())
        },
    },
];

/// Most witnesses of a pair: a heartbeat goes to each.
const MOST_WITNESSES: usize = 8;

fn pair_witness(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let mut next = Some(a.expect("an IPv4 address")?);
    while let Some(word) = next {
        let witness = match word.text.parse() {
            Ok(IpAddr::V4(witness)) if !witness.is_multicast() && !witness.is_unspecified() => {
                witness
            }
            Ok(_) | Err(_) => return Err(wrong(word, "the IPv4 address of a host")),
        };
        let list = &mut s.draft.pair_channel.witnesses;
        if list.len() >= MOST_WITNESSES {
            return Err(wrong(word, "at most 8 witnesses"));
        }
        list.push(witness);
        next = a.take();
    }
    Ok(())
}

/// The fifo of a keyword, made if it is the first mention.
fn fifo_of<'d>(s: &'d mut Here, keyword: &'static str, span: Span) -> &'d mut NotifyFifo {
    let fifos = &mut s.draft.notify_fifos;
    let known = fifos.iter().position(|f| f.keyword == keyword);
    let at = known.unwrap_or_else(|| {
        fifos.push(NotifyFifo {
            keyword,
            place: Place(span),
            path: PathBuf::new(),
            owner: None,
            script: None,
        });
        fifos.len() - 1
    });
    &mut fifos[at]
}

fn fifo_keyword(args: &Args<'_>) -> &'static str {
    match args.keyword().starts_with("vrrp_") {
        true => "vrrp_notify_fifo",
        false => "notify_fifo",
    }
}

fn fifo(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let path = PathBuf::from(&a.expect("a path")?.text);
    let owner = a.take().map(|user| ScriptUser {
        user: user.text.clone(),
        group: a.take().map(|g| g.text.clone()),
    });
    let fifo = fifo_of(s, fifo_keyword(a), a.head());
    (fifo.path, fifo.owner) = (path, owner);
    Ok(())
}

fn fifo_script(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let script = Some(section::command(a)?);
    fifo_of(s, fifo_keyword(a), a.head()).script = script;
    Ok(())
}

fn pair_channel(s: &mut Here, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let channel = &mut s.draft.pair_channel;
    channel.enabled = true;
    while let Some(word) = a.peek() {
        match word.text.as_str() {
            "port" => {
                a.take();
                channel.port = section::number(a, 1, 65_535)?;
            }
            "interval" => {
                a.take();
                channel.interval = section::seconds(a, 0.01, 1.0)?.max(Duration::from_millis(10));
            }
            _ => channel.enabled = section::switch(a)?,
        }
    }
    Ok(())
}
