//! The host's links and addresses as last told by the kernel.

use crate::netlink::{Address, Link, Netlink, Notice};
use conf::vip::model::Family;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// Links by number, and addresses in the kernel's order.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<u32, Link>,
    addresses: Vec<Address>,
}

impl Links {
    /// Reads everything from the kernel.
    pub fn read(netlink: &mut Netlink) -> io::Result<Links> {
        let links = netlink.links()?.into_iter().map(|l| (l.index, l));
        Ok(Links {
            links: links.collect(),
            addresses: netlink.addresses()?,
        })
    }

    /// Takes one change in. [`Notice::Overrun`] is the caller's to handle.
    pub fn apply(&mut self, notice: &Notice) {
        match notice {
            Notice::Link(link) => {
                self.links.insert(link.index, link.clone());
            }
            Notice::LinkGone(index) => {
                self.links.remove(index);
                self.addresses.retain(|a| a.index != *index);
            }
            Notice::Address(new) => {
                let same = |a: &&mut Address| a.index == new.index && a.address == new.address;
                match self.addresses.iter_mut().find(same) {
                    Some(known) => *known = new.clone(),
                    None => self.addresses.push(new.clone()),
                }
            }
            Notice::AddressGone(old) => self
                .addresses
                .retain(|a| a.index != old.index || a.address != old.address),
            Notice::PathGone | Notice::Overrun => {}
        }
    }

    /// The link of this name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|l| l.name == name)
    }

    /// The link of this number.
    pub fn get(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Whether an interface has this address.
    pub fn has(&self, index: u32, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .any(|a| a.index == index && a.address == address)
    }

    /// The interface's own address of a family: the first IPv4 one, or the link-local
    /// IPv6 one; never one of `virtuals`.
    pub fn primary(&self, index: u32, family: Family, virtuals: &[IpAddr]) -> Option<IpAddr> {
        let fits = |a: &&Address| {
            a.index == index
                && !virtuals.contains(&a.address)
                && match (family, a.address) {
                    (Family::V4, IpAddr::V4(_)) => true,
                    (Family::V6, IpAddr::V6(v6)) => {
                        !a.tentative && v6.segments()[0] & 0xffc0 == 0xfe80
                    }
                    (Family::V4, IpAddr::V6(_)) | (Family::V6, IpAddr::V4(_)) => false,
                }
        };
        self.addresses.iter().find(fits).map(|a| a.address)
    }

    /// All IPv6 addresses that reach beyond the link and can be used.
    pub fn global(&self) -> impl Iterator<Item = Ipv6Addr> {
        let usable = self.addresses.iter().filter(|a| !a.tentative);
        usable.filter_map(|a| match a.address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() || v6.is_loopback() => None,
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        })
    }

    /// All addresses of a family.
    pub fn of_family(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        let v4 = family == Family::V4;
        let all = self.addresses.iter().map(|a| a.address);
        all.filter(move |a| a.is_ipv4() == v4)
    }
}
