//! The keywords of `vrrp_instance`, a row each.

use super::super::model::{Version, Vmac};
use super::super::section::{self, Table};
use super::super::unicast;
use super::Draft;
use super::values::{
    addresses, advert_int, authentication, notify, priority, routes, rules, state, tracked, vrid,
};
use crate::keyword::Keyword;

/// The keywords of `vrrp_instance`.
pub static TABLE: Table<Draft> = &[
    Keyword {
        name: "state",
        args: "MASTER|BACKUP",
        doc: "State at start. The election decides in any case; 255 with MASTER starts at once.",
        example: "state BACKUP",
        apply: state,
    },
    Keyword {
        name: "interface",
        args: "<interface>",
        doc: "Where adverts are sent and heard, and where addresses go that name no `dev`.",
        example: "interface eth0",
        apply: |s, a| {
            let word = a.expect("an interface")?;
            section::interface(word)?;
            s.draft.interface = Some(word.clone());
            Ok(())
        },
    },
    Keyword {
        name: "virtual_router_id",
        args: "<1-255>",
        doc: "Number of the virtual router; the same on both hosts, unlike any other in the network.",
        example: "virtual_router_id 51",
        apply: vrid,
    },
    Keyword {
        name: "priority",
        args: "<1-255>",
        doc: "The higher one is master; default 100, with `state MASTER` 255, as in keepalived. 255 says that this host owns the addresses.",
        example: "priority 101",
        apply: priority,
    },
    Keyword {
        name: "advert_int",
        args: "<seconds>",
        doc: "Between adverts: whole seconds 1-255 in VRRPv2, 0.01-40.95 in VRRPv3; default 1.",
        example: "advert_int 1",
        apply: advert_int,
    },
    Keyword {
        name: "down_timer_adverts",
        args: "<1-100>",
        doc: "Missed adverts before a backup takes over; default vrrp_down_timer_adverts.",
        example: "down_timer_adverts 3",
        apply: |s, a| {
            s.draft.down_timer_adverts = Some(section::number(a, 1, 100)?);
            Ok(())
        },
    },
    Keyword {
        name: "nopreempt",
        args: "",
        doc: "A better router that comes back leaves the master alone. Needs `state BACKUP`.",
        example: "nopreempt",
        apply: |s, a| {
            s.draft.nopreempt = Some(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "preempt",
        args: "",
        doc: "The default; undoes nopreempt.",
        example: "preempt",
        apply: |s, _| {
            s.draft.nopreempt = None;
            Ok(())
        },
    },
    Keyword {
        name: "preempt_delay",
        args: "<0-1000>",
        doc: "Seconds after start or return before a better router takes over; default 0.",
        example: "preempt_delay 300",
        apply: |s, a| {
            let span = a.head();
            s.draft.preempt_delay = Some((section::seconds(a, 0.0, 1000.0)?, span));
            Ok(())
        },
    },
    Keyword {
        name: "version",
        args: "<2|3>",
        doc: "VRRP version; default vrrp_version, and 3 for IPv6.",
        example: "version 3",
        apply: |s, a| {
            let span = a.peek().map_or(a.head(), |w| w.span);
            let version = a.choose("a version", &[("2", Version::V2), ("3", Version::V3)])?;
            s.draft.version = Some((version, span));
            Ok(())
        },
    },
    Keyword {
        name: "native_ipv6",
        args: "",
        doc: "An IPv6 instance; the addresses say it too.",
        example: "native_ipv6",
        apply: |s, a| {
            s.draft.native_ipv6 = Some(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "authentication",
        args: "{ auth_type PASS|AH ... auth_pass <secret> }",
        doc: "Password of VRRPv2, up to 8 bytes: PASS sends it in clear, AH sends adverts in IPsec's Authentication Header (IP protocol 51) with an HMAC-MD5 by it.",
        example: "authentication {\n auth_type PASS\n auth_pass 1111\n }",
        apply: authentication,
    },
    Keyword {
        name: "mcast_src_ip",
        args: "<address>",
        doc: "Source address of multicast adverts; default the interface's primary.",
        example: "mcast_src_ip 192.0.2.11",
        apply: unicast::source,
    },
    Keyword {
        name: "unicast_src_ip",
        args: "<address>",
        doc: "Source address of unicast adverts; default the interface's primary. Without it the instance is in FAULT, as in keepalived.",
        example: "unicast_src_ip 192.0.2.11",
        apply: unicast::source,
    },
    Keyword {
        name: "track_src_ip",
        args: "",
        doc: "While this host does not have the source address written here, the instance is in FAULT.",
        example: "track_src_ip",
        apply: |s, _| {
            s.draft.track_source = true;
            Ok(())
        },
    },
    Keyword {
        name: "mcast_dst_ip",
        args: "<address>",
        doc: "Multicast group of this instance's adverts.",
        example: "mcast_dst_ip 224.0.0.18",
        apply: unicast::group,
    },
    Keyword {
        name: "unicast_peer",
        args: "{ <address> [min_ttl <n>] [max_ttl <n>] ... }",
        doc: "Sends adverts to these addresses and not to the group; obeys only them.",
        example: "unicast_peer { 192.0.2.12 }",
        apply: unicast::peers,
    },
    Keyword {
        name: "unicast_ttl",
        args: "<0-255>",
        doc: "TTL of unicast adverts; default 255.",
        example: "unicast_ttl 255",
        apply: |s, a| {
            let span = a.peek().map_or(a.head(), |w| w.span);
            s.draft.unicast_ttl = Some((section::number(a, 0, 255)?, span));
            s.draft.unicast_words.push(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "unicast_fault_no_peer",
        args: "",
        doc: "Without a unicast_peer the instance is in FAULT and speaks to nobody; multicast otherwise.",
        example: "unicast_fault_no_peer",
        apply: |s, _| {
            s.draft.fault_no_peer = true;
            Ok(())
        },
    },
    Keyword {
        name: "promote_secondaries",
        args: "",
        doc: "Sets the interface's kernel parameter: when its first address of a network goes, the others of that network stay.",
        example: "promote_secondaries",
        apply: |s, _| {
            s.draft.promote_secondaries = true;
            Ok(())
        },
    },
    Keyword {
        name: "check_unicast_src",
        args: "[on|off]",
        doc: "Obeys only the peers named; on by default here, `off` turns it off.",
        example: "check_unicast_src",
        apply: |s, a| {
            s.draft.check_unicast_src = Some(section::switch(a)?);
            s.draft.unicast_words.push(a.head());
            Ok(())
        },
    },
    Keyword {
        name: "virtual_ipaddress",
        args: "{ <address>[/<prefix>] [dev <if>] [brd <a>|+|-] [label <l>] [scope <s>] ... }",
        doc: "The addresses that move; also listed in the adverts.",
        example: "virtual_ipaddress { 192.0.2.100/24 dev eth0 label eth0:1 }",
        apply: |s, a| {
            s.draft.addresses_are_written = true;
            let list = addresses(s, a)?;
            s.draft.addresses_are_empty = list.is_empty() && s.findings.is_empty();
            s.draft.addresses.extend(list);
            Ok(())
        },
    },
    Keyword {
        name: "virtual_ipaddress_excluded",
        args: "{ <address>[/<prefix>] ... }",
        doc: "Addresses that move but are not listed in the adverts; either family.",
        example: "virtual_ipaddress_excluded { 2001:db8::101/64 }",
        apply: |s, a| {
            let list = addresses(s, a)?;
            s.draft.excluded.extend(list);
            Ok(())
        },
    },
    Keyword {
        name: "virtual_routes",
        args: "{ <network>|default [via <a>] [dev <if>] [src <a>] [metric <n>] [table <n>] ... }",
        doc: "Routes that are set while master.",
        example: "virtual_routes { 198.51.100.0/24 via 192.0.2.1 }",
        apply: routes,
    },
    Keyword {
        name: "virtual_rules",
        args: "{ [from <network>] [to <network>] [iif <if>] [oif <if>] [fwmark <n>[/<mask>]] [priority <n>] table <n> ... }",
        doc: "Routing rules that are set while master. Without a priority the kernel chooses one.",
        example: "virtual_rules { from 192.0.2.100 table 100 priority 1000 }",
        apply: rules,
    },
    Keyword {
        name: "use_vmac",
        args: "[<interface>]",
        doc: "Puts the addresses on a macvlan with the virtual router's MAC; named vrrp.<id> if not given.",
        example: "use_vmac vrrp.51",
        apply: |s, a| {
            let name = a.take().map(section::interface).transpose()?;
            let xmit_base = s.draft.vmac_xmit_base.is_some();
            s.draft.vmac = Some(Vmac { name, xmit_base });
            Ok(())
        },
    },
    Keyword {
        name: "vmac_xmit_base",
        args: "",
        doc: "With use_vmac: adverts leave by the interface itself.",
        example: "vmac_xmit_base",
        apply: |s, a| {
            s.draft.vmac_xmit_base = Some(a.head());
            if let Some(vmac) = &mut s.draft.vmac {
                vmac.xmit_base = true;
            }
            Ok(())
        },
    },
    Keyword {
        name: "strict_mode",
        args: "[on|off]",
        doc: "As vrrp_strict, for this instance.",
        example: "strict_mode off",
        apply: |s, a| {
            let span = a.head();
            s.draft.strict = Some((section::switch(a)?, span));
            Ok(())
        },
    },
    Keyword {
        name: "dont_track_primary",
        args: "",
        doc: "The state of `interface` itself does not count.",
        example: "dont_track_primary",
        apply: |s, _| {
            s.draft.dont_track_primary = true;
            Ok(())
        },
    },
    Keyword {
        name: "track_interface",
        args: "{ <interface> [weight <n> [reverse]] ... }",
        doc: "Further interfaces; without a weight the loss of one means FAULT.",
        example: "track_interface { eth1 weight -20 }",
        apply: tracked,
    },
    Keyword {
        name: "track_script",
        args: "{ <script> [weight <n> [reverse]] ... }",
        doc: "Names of vrrp_script blocks.",
        example: "track_script { chk }",
        apply: tracked,
    },
    Keyword {
        name: "track_process",
        args: "{ <process> [weight <n> [reverse]] ... }",
        doc: "Names of vrrp_track_process blocks.",
        example: "track_process { px }",
        apply: tracked,
    },
    Keyword {
        name: "track_file",
        args: "{ <file> [weight <n> [reverse]] ... }",
        doc: "Names of vrrp_track_file blocks.",
        example: "track_file { f }",
        apply: tracked,
    },
    Keyword {
        name: "track_lb",
        args: "{ <name> [weight <n> [reverse]] ... }",
        doc: "Evenkeel's own: names of track_lb blocks.",
        example: "track_lb { proxy }",
        apply: tracked,
    },
    Keyword {
        name: "garp_master_delay",
        args: "<seconds>",
        doc: "As vrrp_garp_master_delay.",
        example: "garp_master_delay 5",
        apply: |s, a| {
            s.draft.announce.delay = Some(section::seconds(a, 0.0, 86_400.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "garp_master_repeat",
        args: "<count>",
        doc: "As vrrp_garp_master_repeat.",
        example: "garp_master_repeat 5",
        apply: |s, a| {
            s.draft.announce.repeat = Some(section::repeat(s, a)?);
            Ok(())
        },
    },
    Keyword {
        name: "garp_master_refresh",
        args: "<seconds>",
        doc: "As vrrp_garp_master_refresh.",
        example: "garp_master_refresh 60",
        apply: |s, a| {
            s.draft.announce.refresh = Some(section::seconds(a, 0.0, 86_400.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "garp_master_refresh_repeat",
        args: "<count>",
        doc: "As vrrp_garp_master_refresh_repeat.",
        example: "garp_master_refresh_repeat 1",
        apply: |s, a| {
            s.draft.announce.refresh_repeat = Some(section::number(a, 1, 100)?);
            Ok(())
        },
    },
    Keyword {
        name: "garp_lower_prio_repeat",
        args: "<count>",
        doc: "As vrrp_garp_lower_prio_repeat.",
        example: "garp_lower_prio_repeat 1",
        apply: |s, a| {
            s.draft.announce.lower_prio_repeat = Some(section::number(a, 0, 1000)?);
            Ok(())
        },
    },
    Keyword {
        name: "garp_lower_prio_delay",
        args: "<seconds>",
        doc: "As vrrp_garp_lower_prio_delay.",
        example: "garp_lower_prio_delay 10",
        apply: |s, a| {
            s.draft.announce.lower_prio_delay = Some(section::seconds(a, 0.0, 86_400.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "skip_check_adv_addr",
        args: "[on|off]",
        doc: "As vrrp_skip_check_adv_addr.",
        example: "skip_check_adv_addr",
        apply: |s, a| {
            s.draft.skip_check_adv_addr = Some(section::switch(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "lower_prio_no_advert",
        args: "[on|off]",
        doc: "As vrrp_lower_prio_no_advert.",
        example: "lower_prio_no_advert",
        apply: |s, a| {
            s.draft.lower_prio_no_advert = Some(section::switch(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "higher_prio_send_advert",
        args: "[on|off]",
        doc: "As vrrp_higher_prio_send_advert.",
        example: "higher_prio_send_advert",
        apply: |s, a| {
            s.draft.higher_prio_send_advert = Some(section::switch(a)?);
            Ok(())
        },
    },
    Keyword {
        name: "v3_checksum_as_v2",
        args: "[on|off]",
        doc: "IPv4 VRRPv3 checksums are sent without pseudo-header (RFC 9568); default with it, as keepalived. Both are accepted.",
        example: "v3_checksum_as_v2",
        apply: |s, a| {
            s.draft.v3_checksum_as_v2 = section::switch(a)?;
            Ok(())
        },
    },
    Keyword {
        name: "accept",
        args: "",
        doc: "Packets to the addresses are taken; the default, and what a proxy needs.",
        example: "accept",
        apply: |s, _| {
            s.draft.accept = true;
            Ok(())
        },
    },
    Keyword {
        name: "no_accept",
        args: "",
        doc: "Packets to the addresses are dropped unless priority is 255: they only route. Neighbour discovery works.",
        example: "no_accept",
        apply: |s, _| {
            s.draft.accept = false;
            Ok(())
        },
    },
    Keyword {
        name: "kernel_rx_buf_size",
        args: "<bytes>",
        doc: "Receive buffer of the advert socket.",
        example: "kernel_rx_buf_size 65536",
        apply: |s, a| {
            s.draft.rx_buffer = Some(section::number(a, 1, 1 << 30)?);
            Ok(())
        },
    },
    Keyword {
        name: "debug",
        args: "<0-4>",
        doc: "Verbosity of this instance's log.",
        example: "debug 1",
        apply: |s, a| {
            s.draft.debug = section::number(a, 0, 4)?;
            Ok(())
        },
    },
    Keyword {
        name: "notify",
        args: "<command> [user [group]]",
        doc: "Run after every change, with INSTANCE, the name, the state and the priority behind its own arguments; strictly in order.",
        example: "notify /usr/local/bin/notify.sh",
        apply: notify,
    },
    Keyword {
        name: "notify_master",
        args: "<command> [user [group]]",
        doc: "Run on becoming master.",
        example: "notify_master \"/usr/local/bin/notify.sh master\"",
        apply: notify,
    },
    Keyword {
        name: "notify_backup",
        args: "<command> [user [group]]",
        doc: "Run on becoming backup.",
        example: "notify_backup \"/usr/local/bin/notify.sh backup\"",
        apply: notify,
    },
    Keyword {
        name: "notify_fault",
        args: "<command> [user [group]]",
        doc: "Run on going to FAULT.",
        example: "notify_fault \"/usr/local/bin/notify.sh fault\"",
        apply: notify,
    },
    Keyword {
        name: "notify_stop",
        args: "<command> [user [group]]",
        doc: "Run when the daemon stops.",
        example: "notify_stop \"/usr/local/bin/notify.sh stop\"",
        apply: notify,
    },
    Keyword {
        name: "notify_deleted",
        args: "[<command> [user [group]]]",
        doc: "A reload that drops the instance says DELETED and not FAULT.",
        example: "notify_deleted",
        apply: notify,
    },
    Keyword {
        name: "notify_master_rx_lower_pri",
        args: "<command> [user [group]]",
        doc: "Run when a master hears a lower-priority advert.",
        example: "notify_master_rx_lower_pri /usr/local/bin/again.sh",
        apply: notify,
    },
    Keyword {
        name: "notify_priority_changes",
        args: "[on|off]",
        doc: "Also tells the fifo of priority changes.",
        example: "notify_priority_changes on",
        apply: notify,
    },
];
