//! `use_vmac`: a macvlan interface with the virtual router's link-layer address.

use crate::core::advert::virtual_mac;
use crate::net::Net;
use conf::vip::model::{Family, Instance};
use std::collections::BTreeMap;
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
        Some((_, _)) if !net.links.by_name(&name).is_some_and(|l| l.macvlan) => {
            let text = format!("{name} is an interface of another kind");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Some((index, _)) => net.netlink.remove_link(index)?,
        None => {}
    }
    net.netlink.add_macvlan(&name, base, mac)?;
    net.links = crate::link::Links::read(&mut net.netlink)?;
    let index = net.index(&name)?;
    quieten(conf, &name, &mut net.parameters);
    if let Err(error) = net.filter.silence(index, true) {
        tracing::info!(%error, "no packet filter: the kernel's reports from {name} may turn a switch to this host");
    }
    net.netlink.link_up(index)?;
    net.links = crate::link::Links::read(&mut net.netlink)?;
    Ok(index)
}

/// Kernel parameters of base interfaces as they were before `use_vmac` changed them: what to
/// write back, by interface.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, Vec<(&'static str, String)>>);

impl Parameters {
    /// Sets a parameter of a base interface and remembers what it was.
    fn change(&mut self, interface: &str, key: &'static str, value: &str) {
        let before = std::fs::read_to_string(path("ipv4", interface, key));
        let known = self.0.entry(interface.to_owned()).or_default();
        if let Ok(before) = before
            && !known.iter().any(|(k, _)| *k == key)
        {
            known.push((key, before.trim().to_owned()));
        }
        set("ipv4", interface, key, value);
    }

    /// Sets everything of a base interface back.
    pub fn restore(&mut self, interface: &str) {
        for (key, before) in self.0.remove(interface).unwrap_or_default() {
            set("ipv4", interface, key, &before);
        }
    }
}

/// Only the macvlan interface may answer for its addresses, and it makes none of its own.
fn quieten(conf: &Instance, name: &str, parameters: &mut Parameters) {
    match conf.family {
        Family::V4 => {
            for (key, value) in [
                ("arp_ignore", "1"),
                ("arp_filter", "1"),
                // or the base interface's questions would name a virtual address as theirs
                ("arp_announce", "2"),
            ] {
                parameters.change(&conf.interface, key, value);
            }
            for (interface, key, value) in [
                (name, "arp_ignore", "1"),
                // the way back to who asks leads over the base interface: a filter would refuse to answer
                (name, "arp_filter", "0"),
                (name, "accept_local", "1"),
                (name, "rp_filter", "0"),
            ] {
                set("ipv4", interface, key, value);
            }
            if conf.excluded.iter().any(|a| a.address.is_ipv6()) {
                without_own_addresses(name);
            } else {
                set("ipv6", name, "disable_ipv6", "1");
            }
        }
        Family::V6 => without_own_addresses(name),
    }
}

/// IPv6 would make an address of its own, the same on both hosts, and its first questions turn the
/// switch towards this host while another one is active.
fn without_own_addresses(name: &str) {
    for (key, value) in [
        ("addr_gen_mode", "1"),
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("accept_dad", "0"),
    ] {
        set("ipv6", name, key, value);
    }
}

fn path(family: &str, interface: &str, key: &str) -> String {
    format!("/proc/sys/net/{family}/conf/{interface}/{key}")
}

/// Sets a kernel parameter of an interface.
pub fn set(family: &str, interface: &str, key: &str, value: &str) {
    let path = path(family, interface, key);
    if family == "ipv6" && !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return;
    }
    if let Err(error) = std::fs::write(&path, value) {
        tracing::warn!(%path, value, %error, "cannot set a kernel parameter");
    }
}

/// Whether an instance must be gone before another one can make its interface: the kernel takes
/// a link-layer address once per base interface.
pub fn displaces(new: &Instance, old: &Instance) -> bool {
    let both = new.vmac.is_some() && old.vmac.is_some();
    let one = (new.family, new.vrid, &new.interface) == (old.family, old.vrid, &old.interface);
    both && one && name(new) != name(old)
}

/// Removes the interface of an instance.
pub fn remove(conf: &Instance, net: &mut Net) {
    if let Ok(index) = net.index(&name(conf))
        && let Err(error) = net.netlink.remove_link(index)
    {
        tracing::warn!(%error, "cannot remove the interface {}", name(conf));
    }
}
