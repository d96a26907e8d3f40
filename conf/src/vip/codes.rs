//! Codes of the VRRP daemon's language.

use crate::code::Code;

/// `E2xxx`.
pub static CODES: &[Code] = &[
    Code {
        id: "E2001",
        title: "a virtual router is incomplete",
        explanation: "A vrrp_instance needs `interface` and `virtual_router_id`. keepalived \
                      skips such an instance or refuses the file without naming a line.",
    },
    Code {
        id: "E2002",
        title: "a value that keepalived replaces in silence",
        explanation: "keepalived runs with another value than the one written (a priority of \
                      300 becomes 100, a password is cut to 8 characters, a bad address is \
                      skipped). Here it is an error, because the two hosts of a pair then \
                      disagree with their files. `--lenient` runs with keepalived's value and \
                      warns.",
    },
    Code {
        id: "E2003",
        title: "two things of one name or number",
        explanation: "Two blocks of a kind share a name, or two instances of one address family \
                      share a virtual_router_id on one interface. Both places are shown. \
                      keepalived takes the first of a name, and so does `--lenient`.",
    },
    Code {
        id: "E2004",
        title: "a reference to nothing",
        explanation: "A track_script, track_process, track_file, track_lb or group entry names \
                      something that is not defined. keepalived drops the entry and then tracks \
                      nothing.",
    },
    Code {
        id: "E2005",
        title: "options that contradict each other",
        explanation: "Both places are shown: for example nopreempt with `state MASTER`, an \
                      advertisement interval with a fraction in VRRPv2, a virtual address of \
                      another family than the instance's.",
    },
    Code {
        id: "E2006",
        title: "LVS is not part of this daemon",
        explanation: "virtual_server blocks and their checkers configure the kernel's load \
                      balancer. This daemon moves addresses only; balance with `evenkeel lb`, \
                      or leave the blocks to keepalived and start this daemon with `--skip-lvs`.",
    },
    Code {
        id: "E2007",
        title: "high skew",
        explanation: "A backup waits its skew time, (256 - priority)/256 of an advertisement \
                      interval, before it takes over from a master that leaves. With priorities \
                      near 100 that is 0.6 s of the interval, with 254 and 250 it is 0.02 s. Two \
                      Evenkeel hosts hand over without that wait, and an Evenkeel master keeps \
                      the addresses meanwhile and spares a VRRPv3 backup most of it; when \
                      keepalived is the master the priorities decide.",
    },
    Code {
        id: "E2008",
        title: "has no effect here",
        explanation: "The keyword is keepalived's and accepted so that the file loads, but there \
                      is nothing in this daemon that it would change (mail alerts, SNMP, process \
                      priorities that the service manager sets).",
    },
    Code {
        id: "E2009",
        title: "the two hosts' files disagree",
        explanation: "`evenkeel vip lint A B` compares the files of a pair. Virtual router id, \
                      version, interval, address list and authentication must agree, priorities \
                      must differ.",
    },
    Code {
        id: "E2010",
        title: "a keyword that stands in a section twice",
        explanation: "keepalived says nothing and runs with the last one, and so does this. Where \
                      keepalived keeps the first and ignores the second (scripts and what \
                      `vrrp_track_process` and `vrrp_track_file` watch), it is an error (E2002).",
    },
    Code {
        id: "E2011",
        title: "this host lacks what the file names",
        explanation: "An interface, a user or a program of a script is not there (now). The file \
                      may be right, so this is a warning: an instance without its interface \
                      stays in FAULT, a script that cannot be run counts as failed.",
    },
    Code {
        id: "E2012",
        title: "a script that root would run and others can change",
        explanation: "`enable_script_security` is set, and somebody else than root can change \
                      the script or a directory above it. keepalived's `-t` ends with 6 then, \
                      and so does this.",
    },
    Code {
        id: "E2013",
        title: "authentication that VRRP no longer has",
        explanation: "RFC 2338 had IPsec's Authentication Header around adverts, RFC 3768 took it \
                      out. keepalived still speaks it in VRRPv2 over IPv4, and so does this, in \
                      the same way: HMAC-MD5 with a key of 8 bytes at most. It works; it is no \
                      strong protection, and there is none in VRRPv3.",
    },
];
