//! Hash functions of balancing and of the converters with the same names.

use conf::lb::model::{HashFunction, HashType};
use std::net::IpAddr;

/// `hash-type` at work.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    function: HashFunction,
    avalanche: bool,
}

impl Hasher {
    /// As configured.
    pub fn of(kind: HashType) -> Hasher {
        Hasher {
            function: kind.function,
            avalanche: kind.avalanche,
        }
    }

    /// Hash of some bytes.
    pub fn key(self, bytes: &[u8]) -> u32 {
        self.finish(hash(self.function, bytes))
    }

    /// Hash of an address: its 32 bit words, folded.
    pub fn source(self, address: IpAddr) -> u32 {
        self.finish(match address.to_canonical() {
            IpAddr::V4(ip) => u32::from(ip),
            IpAddr::V6(ip) => {
                let bits = u128::from(ip);
                (0..4).fold(0, |h, word| h ^ (bits >> (32 * word)) as u32)
            }
        })
    }

    fn finish(self, hash: u32) -> u32 {
        match self.avalanche {
            true => avalanche(hash),
            false => hash,
        }
    }
}

/// One of the 32 bit functions.
pub fn hash(function: HashFunction, bytes: &[u8]) -> u32 {
    match function {
        HashFunction::Sdbm => bytes.iter().fold(0, |h: u32, b| {
            u32::from(*b)
                .wrapping_add(h << 6)
                .wrapping_add(h << 16)
                .wrapping_sub(h)
        }),
        HashFunction::Djb2 => bytes.iter().fold(5381, |h: u32, b| {
            (h << 5).wrapping_add(h).wrapping_add(u32::from(*b))
        }),
        HashFunction::Wt6 => wt6(bytes),
        HashFunction::Crc32 => crc32(bytes),
        HashFunction::None => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let digits = text.trim_start().split(|c: char| !c.is_ascii_digit());
            digits
                .take(1)
                .find_map(|d| d.parse::<u64>().ok())
                .unwrap_or(0) as u32
        }
    }
}

/// Two words that swap and rotate by amounts taken from themselves.
fn wt6(bytes: &[u8]) -> u32 {
    let (mut h0, mut h1) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut turn0, mut turn1) = (6, 18);
    for byte in bytes {
        let byte = u32::from(*byte);
        let left = !h1.wrapping_add(byte);
        let right = !(h0 ^ byte);
        h0 = left.rotate_left(turn0);
        h1 = right.rotate_left(turn1);
        let mixed = ((h0 >> 16) ^ h1) & 0xffff;
        (turn0, turn1) = (mixed & 0x1f, mixed >> 11);
    }
    h0 ^ h1
}

/// CRC-32 of Ethernet and zip (reflected, polynomial 0xEDB88320).
pub fn crc32(bytes: &[u8]) -> u32 {
    let update = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, update)
}

/// Spreads nearby numbers over the whole range (Bob Jenkins' 32 bit integer
/// hash, then a large prime).
pub fn avalanche(number: u32) -> u32 {
    let mut a = number;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_functions_hold() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(hash(HashFunction::Djb2, b"a"), 177_670);
        assert_eq!(hash(HashFunction::Sdbm, b"a"), 97);
        assert_eq!(hash(HashFunction::None, b"42x"), 42);
    }
}
