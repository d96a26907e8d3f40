//! Ethernet frames: gratuitous ARP, unsolicited neighbour advertisements, the
//! probe of an address, and the claims of others. Bytes only; `packet` sends them.

use crate::core::advert::{checksum_from, pseudo_sum_for};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A link-layer address.
pub type Mac = [u8; 6];

/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;
const BROADCAST: Mac = [0xff; 6];
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// A claim of an address seen on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who claims it.
    pub mac: Mac,
}

/// Tells everybody that `address` is at `mac`.
pub fn announcement(address: IpAddr, mac: Mac, router: bool) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp(1, mac, address, [0; 6], address, BROADCAST),
        IpAddr::V6(address) => {
            let mut body = vec![ADVERTISEMENT, 0, 0, 0];
            let flags = if router { 0xa0 } else { 0x20 };
            body.extend([flags, 0, 0, 0]);
            body.extend(address.octets());
            body.extend([2, 1]);
            body.extend(mac);
            let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            icmpv6(mac, address, all, body)
        }
    }
}

/// Asks who has `address`; a living kernel answers.
pub fn probe(address: IpAddr, mac: Mac, own: IpAddr) -> Option<Vec<u8>> {
    match (address, own) {
        (IpAddr::V4(address), IpAddr::V4(own)) => {
            Some(arp(1, mac, own, [0; 6], address, BROADCAST))
        }
        (IpAddr::V6(address), IpAddr::V6(own)) => {
            let mut body = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
            body.extend(address.octets());
            body.extend([1, 1]);
            body.extend(mac);
            let [.., a, b, c] = address.octets();
            let low = u16::from_be_bytes([b, c]);
            let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
            Some(icmpv6(mac, own, group, body))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn arp(op: u16, sha: Mac, spa: Ipv4Addr, tha: Mac, tpa: Ipv4Addr, to: Mac) -> Vec<u8> {
    let mut frame = ethernet(to, sha, ARP);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(op.to_be_bytes());
    frame.extend(sha);
    frame.extend(spa.octets());
    frame.extend(tha);
    frame.extend(tpa.octets());
    frame
}

fn ethernet(to: Mac, from: Mac, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(to);
    frame.extend(from);
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn icmpv6(mac: Mac, from: Ipv6Addr, to: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let start = pseudo_sum_for(IpAddr::V6(from), IpAddr::V6(to), ICMPV6, body.len());
    let sum = checksum_from(start, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let [.., a, b, c, d] = to.octets();
    let mut frame = ethernet([0x33, 0x33, a, b, c, d], mac, IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(body);
    frame
}

/// The claim in a frame: ARP of any kind by its sender, or a neighbour advertisement.
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let ethertype = u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?);
    let body = frame.get(14..)?;
    match ethertype {
        ARP => {
            let mac = body.get(8..14)?.try_into().ok()?;
            let address: [u8; 4] = body.get(14..18)?.try_into().ok()?;
            let ours = body.get(..6)? == [0, 1, 8, 0, 6, 4];
            ours.then_some(Claim {
                address: IpAddr::from(address),
                mac,
            })
        }
        IPV6 => {
            let icmp = body.get(40..)?;
            let target: [u8; 16] = icmp.get(8..24)?.try_into().ok()?;
            let option = icmp.get(24..32);
            let mac = match option {
                Some([2, 1, mac @ ..]) => mac.try_into().ok()?,
                _ => frame.get(6..12)?.try_into().ok()?,
            };
            let advertises = *body.get(6)? == ICMPV6 && *icmp.first()? == ADVERTISEMENT;
            advertises.then_some(Claim {
                address: IpAddr::from(target),
                mac,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::advert::{checksum_from, pseudo_sum_for};

    const MAC: Mac = [2, 0, 0, 0, 0, 7];

    #[test]
    fn a_gratuitous_arp_is_a_broadcast_request_whose_sender_is_its_target() {
        let address = Ipv4Addr::new(10, 77, 0, 50);
        let frame = announcement(IpAddr::V4(address), MAC, false);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[..6], BROADCAST);
        assert_eq!(frame[20..22], [0, 1]);
        assert_eq!(frame[28..32], address.octets());
        assert_eq!(frame[38..42], address.octets());
        let expected = Claim {
            address: IpAddr::V4(address),
            mac: MAC,
        };
        assert_eq!(claim(&frame), Some(expected));
    }

    #[test]
    fn an_unsolicited_na_overrides_and_has_a_right_checksum() {
        let address: Ipv6Addr = "fd77::50".parse().expect("an address");
        let frame = announcement(IpAddr::V6(address), MAC, true);
        let icmp = &frame[54..];
        assert_eq!(icmp[4], 0xa0, "router and override, not solicited");
        assert_eq!(frame[21], 255);
        let all = IpAddr::V6("ff02::1".parse().expect("an address"));
        let start = pseudo_sum_for(IpAddr::V6(address), all, ICMPV6, icmp.len());
        assert_eq!(checksum_from(start, icmp), 0);
        assert_eq!(claim(&frame).map(|c| c.mac), Some(MAC));
    }

    #[test]
    fn frames_cut_anywhere_claim_nothing_or_the_same() {
        for address in ["10.77.0.50", "fd77::50"] {
            let address: IpAddr = address.parse().expect("an address");
            let frame = announcement(address, MAC, false);
            for end in 0..frame.len() {
                let found = claim(&frame[..end]);
                assert!(found.is_none_or(|c| c.address == address));
            }
        }
    }
}
