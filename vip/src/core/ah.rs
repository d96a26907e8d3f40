//! The Authentication Header (RFC 2402) around a VRRPv2 advert, `auth_type AH`
//! of keepalived: IP protocol 51 with HMAC-MD5-96 (RFC 2403) over the packet.
//! IPv4 only. VRRP dropped it with RFC 3768; files in the field have it.
//! Not here: what the advert inside says (`advert`).
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | next header, 112 |
//! | 1 | length of this header in words of 4 bytes, less 2: 4 |
//! | 2 | zero |
//! | 4 | security parameters index: the sender's address |
//! | 4 | sequence number |
//! | 12 | integrity check value (ICV) |

use crate::core::advert;
use crate::core::advert::Refusal;
use hmac::{Hmac, Mac};
use md5::Md5;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// The header's number in the IP header.
pub const PROTOCOL: u8 = 51;
/// Length of the header.
pub const LENGTH: usize = 24;
const IP: usize = 20;
/// Of the header, where the ICV begins.
const ICV: usize = 12;
const WORDS: u8 = (LENGTH / 4 - 2) as u8;

/// The password, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub [u8; 8]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// How an advert is wrapped on its way out: by which key, as which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The key of both hosts.
    pub key: Key,
    /// The sequence number.
    pub sequence: u32,
}

impl Seal {
    /// Appends the header and the message to an IPv4 header without options, which stands in
    /// `packet` alone and counts them in its length already.
    pub fn append(&self, packet: &mut Vec<u8>, vrrp: &[u8]) {
        let Some(ip) = packet.first_chunk::<IP>().copied() else {
            return;
        };
        let mut header = [0; LENGTH];
        header[0] = advert::PROTOCOL;
        header[1] = WORDS;
        header[4..8].copy_from_slice(&ip[12..16]);
        header[8..12].copy_from_slice(&self.sequence.to_be_bytes());
        let mac = mac(self.key, &ip, &header, vrrp).finalize().into_bytes();
        header[ICV..].copy_from_slice(&mac[..LENGTH - ICV]);
        packet.extend(header);
        packet.extend(vrrp);
    }
}

/// What was around an advert that arrived.
#[derive(Clone, Copy, Debug)]
pub enum Wrap<'a> {
    /// Nothing.
    Bare,
    /// A header, not yet believed.
    Sealed(Sealed<'a>),
    /// Protocol 51, and no header that holds an advert.
    Broken,
}

/// A header that arrived, with what it vouches for.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    ip: &'a [u8; IP],
    header: &'a [u8; LENGTH],
    vrrp: &'a [u8],
}

/// Takes an IPv4 packet of protocol 51 apart; the second is the VRRP part. Total: any bytes give
/// a seal to be checked, or a broken one and nothing.
pub fn unwrap(packet: &[u8]) -> (Wrap<'_>, &[u8]) {
    let parts = || {
        let (ip, rest) = packet.split_first_chunk::<IP>()?;
        let (header, vrrp) = rest.split_first_chunk::<LENGTH>()?;
        let fits = ip[0] == 0x45 && header[..2] == [advert::PROTOCOL, WORDS];
        fits.then_some(Sealed { ip, header, vrrp })
    };
    match parts() {
        Some(sealed) => (Wrap::Sealed(sealed), sealed.vrrp),
        None => (Wrap::Broken, &[]),
    }
}

impl Sealed<'_> {
    /// Its sequence number, if the sender has the key and sent this.
    pub fn check(&self, key: Key) -> Result<u32, Refusal> {
        let (header, icv) = self.header.split_at(ICV);
        if header[4..8] != self.ip[12..16] {
            return Err(Refusal::Icv);
        }
        // compares without an early exit
        mac(key, self.ip, self.header, self.vrrp)
            .verify_truncated_left(icv)
            .map_err(|_| Refusal::Icv)?;
        let [.., a, b, c, d] = *header else {
            return Err(Refusal::Icv);
        };
        Ok(u32::from_be_bytes([a, b, c, d]))
    }
}

/// The code over the whole packet; what changes on the way, and the ICV itself, count as zero.
fn mac(key: Key, ip: &[u8; IP], header: &[u8; LENGTH], vrrp: &[u8]) -> Hmac<Md5> {
    let mut steady = *ip;
    for changes in MUTABLE {
        steady[changes].fill(0);
    }
    if !Ipv4Addr::new(ip[16], ip[17], ip[18], ip[19]).is_multicast() {
        steady[TTL] = 0;
    }
    let mut mac = Hmac::<Md5>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    mac.update(&steady);
    mac.update(&header[..ICV]);
    mac.update(&[0; LENGTH - ICV]);
    mac.update(vrrp);
    mac
}

/// Fields of the IP header that count as zero: service, flags with the offset, and the checksum.
const MUTABLE: [std::ops::Range<usize>; 3] = [1..2, 6..8, 10..12];

/// Counts as zero to one peer. To a group it is covered, other than in RFC 2402 and as in keepalived.
const TTL: usize = 8;

/// The numbers of one virtual router, those that it sends and those that it hears in one: who
/// takes the role over goes on where the other ended, so that the others still listen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    /// The largest that was sent or heard.
    last: u32,
    /// The last that was heard, and on which interface.
    heard: Option<(u32, u32)>,
    /// Of which block the guardian knows.
    told: u32,
}

/// Numbers that the guardian's last words stay ahead of the adverts' at most, as a power of 2.
const BLOCK: u32 = 12;

impl Sequence {
    /// The number of the next advert. Past the largest one it begins anew, after 136 years.
    pub fn advance(&mut self) -> u32 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.last
    }

    /// Takes note of a number that was heard on an interface; an old one was sent again by somebody.
    pub fn hear(&mut self, number: u32, interface: u32) -> Result<(), Refusal> {
        if number <= self.last {
            return Err(Refusal::Sequence);
        }
        self.last = number;
        self.heard = Some((number, interface));
        Ok(())
    }

    /// Whether this is the last advert once more, from another interface: the kernel hands a frame
    /// to the virtual interface and to the one below it.
    pub fn is_copy(&self, number: u32, interface: u32) -> bool {
        self.heard
            .is_some_and(|(last, first)| last == number && first != interface)
    }

    /// A number for words that are said much later: no advert is beyond it before
    /// [`Sequence::is_new_block`] says that there must be a new one.
    pub fn later(&self) -> u32 {
        let next = (self.last >> BLOCK) + 1;
        next.checked_mul(1 << BLOCK).unwrap_or(1)
    }

    /// Whether later words need a new number; once for each time.
    pub fn is_new_block(&mut self) -> bool {
        let block = self.last >> BLOCK;
        std::mem::replace(&mut self.told, block) != block
    }
}

#[cfg(test)]
mod tests;
