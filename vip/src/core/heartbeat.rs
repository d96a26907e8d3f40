//! The pair channel's message, version 1: what two Evenkeel hosts tell each
//! other beside VRRP. Every message carries an HMAC over everything before it.
//!
//! | bytes | meaning |
//! |---|---|
//! | 4 | `EKVP` |
//! | 1 | version, 1 |
//! | 1 | flags: bit 0 leaving, bit 1 hears the receiver's adverts, bit 2 knows the calm pace, bit 3 does not hear the receiver, bit 4 keeps lists of connections |
//! | 1 | number of routers, at most 64 |
//! | 1 | zero |
//! | 16 | boot id of the sender, random at each start |
//! | 16 | boot id last heard from the receiver, zero if none |
//! | 8 | sequence number, big-endian, growing within a boot id |
//! | 8 | digest of what both configurations must share |
//! | 4 each | router: VRID, family (4 or 6), state (0 out, 1 backup, 2 active), priority |
//! | 16 | HMAC-SHA256 of all the above, cut to 128 bits |

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Version of the format.
pub const VERSION: u8 = 1;
/// Most routers that a message carries.
pub const MOST_ROUTERS: usize = 64;
const MAGIC: [u8; 4] = *b"EKVP";
const HEAD: usize = 56;
/// Bytes of an authentication tag.
pub const TAG: usize = 16;
/// Size of the largest message.
pub const LARGEST: usize = HEAD + MOST_ROUTERS * 4 + TAG;

/// A random number that a process picks at its start.
pub type BootId = [u8; 16];

/// The secret of a pair.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// From a key's bytes.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// The authentication tag of a message.
    pub(super) fn tag(&self, message: &[u8]) -> [u8; TAG] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(message);
        let full = mac.finalize().into_bytes();
        let mut tag = [0; TAG];
        tag.copy_from_slice(&full[..TAG]);
        tag
    }
}

/// What a router is doing, as the peer hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Fault, maintenance, stopped.
    Out,
    /// Waiting.
    Backup,
    /// Active.
    Active,
}

/// One router in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterView {
    /// Virtual router identifier.
    pub vrid: u8,
    /// Whether its addresses are IPv6.
    pub v6: bool,
    /// What it is doing.
    pub role: Role,
    /// Effective priority.
    pub priority: u8,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The sender is leaving on purpose: silence after this is no death.
    pub leaving: bool,
    /// The sender hears the receiver's adverts so often that they stand for heartbeats.
    pub hears: bool,
    /// The sender knows that hosts whose heartbeats nobody waits for speak seldom.
    pub calm: bool,
    /// The sender does not hear the receiver; it asks by the witnesses.
    pub asks: bool,
    /// The sender takes lists of connections ([`super::connections`]).
    pub lists: bool,
    /// Boot id of the sender.
    pub boot: BootId,
    /// Boot id last heard from the receiver.
    pub echo: BootId,
    /// Grows within a boot id.
    pub sequence: u64,
    /// Digest of what both configurations must share.
    pub digest: [u8; 8],
    /// The sender's routers.
    pub routers: Vec<RouterView>,
}

impl Heartbeat {
    /// The bytes to send.
    pub fn encode(&self, secret: &Secret) -> Vec<u8> {
        let routers = &self.routers[..self.routers.len().min(MOST_ROUTERS)];
        let mut out = Vec::with_capacity(LARGEST);
        out.extend(MAGIC);
        let flags = [self.leaving, self.hears, self.calm, self.asks, self.lists];
        let flags = (0..)
            .zip(flags)
            .map(|(bit, set)| u8::from(set) << bit)
            .sum();
        out.extend([VERSION, flags, routers.len() as u8, 0]);
        out.extend(self.boot);
        out.extend(self.echo);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.digest);
        for router in routers {
            let role = match router.role {
                Role::Out => 0,
                Role::Backup => 1,
                Role::Active => 2,
            };
            let family = if router.v6 { 6 } else { 4 };
            out.extend([router.vrid, family, role, router.priority]);
        }
        let tag = secret.tag(&out);
        out.extend(tag);
        out
    }

    /// Reads a message; nothing when it is not ours, damaged or of another version.
    pub fn decode(bytes: &[u8], secret: &Secret) -> Option<Heartbeat> {
        let (message, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        let head: &[u8; HEAD] = message.first_chunk()?;
        if head[..4] != MAGIC || head[4] != VERSION {
            return None;
        }
        let list = &message[HEAD..];
        let count = usize::from(head[6]);
        if count > MOST_ROUTERS || list.len() != count * 4 || !same(&secret.tag(message), tag) {
            return None;
        }
        let mut routers = Vec::with_capacity(count);
        for entry in list.chunks_exact(4) {
            routers.push(RouterView {
                vrid: entry[0],
                v6: entry[1] == 6,
                role: match entry[2] {
                    1 => Role::Backup,
                    2 => Role::Active,
                    _ => Role::Out,
                },
                priority: entry[3],
            });
        }
        Some(Heartbeat {
            leaving: head[5] & 1 != 0,
            hears: head[5] & 2 != 0,
            calm: head[5] & 4 != 0,
            asks: head[5] & 8 != 0,
            lists: head[5] & 16 != 0,
            boot: part(head, 8),
            echo: part(head, 24),
            sequence: u64::from_be_bytes(part(head, 40)),
            digest: part(head, 48),
            routers,
        })
    }
}

fn part<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}

/// Compares without an early exit.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            leaving: false,
            hears: true,
            calm: false,
            asks: true,
            lists: true,
            boot: [1; 16],
            echo: [2; 16],
            sequence: 7,
            digest: [3; 8],
            routers: vec![RouterView {
                vrid: 51,
                v6: false,
                role: Role::Active,
                priority: 110,
            }],
        }
    }

    #[test]
    fn a_heartbeat_is_read_back_with_the_same_secret_only() {
        let secret = Secret::new([9; 32]);
        let bytes = heartbeat().encode(&secret);
        assert_eq!(bytes.len(), 76);
        assert_eq!(Heartbeat::decode(&bytes, &secret), Some(heartbeat()));
        assert_eq!(Heartbeat::decode(&bytes, &Secret::new([8; 32])), None);
    }

    #[test]
    fn a_flipped_bit_or_a_cut_anywhere_is_noticed() {
        let secret = Secret::new([9; 32]);
        let bytes = heartbeat().encode(&secret);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Heartbeat::decode(&bad, &secret), None);
            assert_eq!(Heartbeat::decode(&bytes[..at], &secret), None);
        }
    }

    #[test]
    fn the_fuzz_corpus_is_refused_without_a_panic() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/vip_heartbeat");
        for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
            let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
            assert_eq!(Heartbeat::decode(&bytes, &Secret::new([9; 32])), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Heartbeat::decode(&bytes, &Secret::new([9; 32]));
        }
    }
}
