//! `use_vmac`: a macvlan interface with the virtual router's link-layer address.

use crate::core::advert::virtual_mac;
use crate::net::Net;
use conf::vip::model::{Family, Instance};
use std::io;

/// Name of the macvlan interface of an instance.
pub fn name(conf: &Instance) -> String {
    let given = conf.vmac.as_ref().and_then(|v| v.name.clone());
    given.unwrap_or_else(|| match conf.family {
        Family::V4 => format!("vrrp.{}", conf.vrid.0),
        Family::V6 => format!("vrrp6.{}", conf.vrid.0),
    })
}

/// Makes the interface (or takes over one that fits) and gives its number.
pub fn ensure(conf: &Instance, base: u32, net: &mut Net) -> io::Result<u32> {
    let name = name(conf);
    let mac = virtual_mac(conf.family, conf.vrid.0);
    let known = net.links.by_name(&name).map(|l| (l.index, l.mac));
    match known {
        Some((index, Some(found))) if found == mac => {
            net.netlink.link_up(index)?;
            return Ok(index);
        }
        Some((index, _)) => net.netlink.remove_link(index)?,
        None => {}
    }
    net.netlink.add_macvlan(&name, base, mac)?;
    net.links = crate::link::Links::read(&mut net.netlink)?;
    let index = net.index(&name)?;
    quieten(conf, &name);
    if let Err(error) = net.filter.silence(index, true) {
        tracing::info!(%error, "no packet filter: the kernel's reports from {name} may turn a switch to this host");
    }
    net.netlink.link_up(index)?;
    net.links = crate::link::Links::read(&mut net.netlink)?;
    Ok(index)
}

/// Only the macvlan interface may answer for its addresses, and it makes none of its own.
fn quieten(conf: &Instance, name: &str) {
    match conf.family {
        Family::V4 => {
            for (interface, key, value) in [
                (conf.interface.as_str(), "arp_ignore", "1"),
                (conf.interface.as_str(), "arp_filter", "1"),
                // or the base interface's questions would name a virtual address as theirs
                (conf.interface.as_str(), "arp_announce", "2"),
                (name, "arp_ignore", "1"),
                (name, "arp_filter", "1"),
                (name, "accept_local", "1"),
                (name, "rp_filter", "0"),
            ] {
                set("ipv4", interface, key, value);
            }
            // IPv6 would make an address of its own, and its first questions turn the switch
            // towards this host while another one is active
            if !conf.excluded.iter().any(|a| a.address.is_ipv6()) {
                set("ipv6", name, "disable_ipv6", "1");
            }
        }
        Family::V6 => {
            for (key, value) in [
                ("addr_gen_mode", "1"),
                ("accept_ra", "0"),
                ("autoconf", "0"),
                ("accept_dad", "0"),
            ] {
                set("ipv6", name, key, value);
            }
        }
    }
}

fn set(family: &str, interface: &str, key: &str, value: &str) {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/{key}");
    if family == "ipv6" && !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return;
    }
    if let Err(error) = std::fs::write(&path, value) {
        tracing::warn!(%path, value, %error, "cannot set a kernel parameter for use_vmac");
    }
}

/// Removes the interface of an instance.
pub fn remove(conf: &Instance, net: &mut Net) {
    if let Ok(index) = net.index(&name(conf))
        && let Err(error) = net.netlink.remove_link(index)
    {
        tracing::warn!(%error, "cannot remove the interface {}", name(conf));
    }
}
