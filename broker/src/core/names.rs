//! Names that the server makes up: unguessable, and unlike any made before.

use sha2::{Digest, Sha256};

/// Makes names and numbers from a secret seed.
pub struct Names {
    seed: [u8; 32],
    count: u64,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Names {
    pub fn new(seed: [u8; 32]) -> Names {
        Names { seed, count: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.count.to_be_bytes())
            .finalize()
            .into()
    }

    /// `prefix` and 22 characters.
    pub fn name(&mut self, prefix: &str) -> String {
        let block = self.block();
        let mut name = prefix.to_owned();
        name.extend(
            block[..22]
                .iter()
                .map(|b| char::from(ALPHABET[usize::from(*b % 64)])),
        );
        name
    }

    /// A number that is as hard to guess.
    pub fn number(&mut self) -> u64 {
        let block = self.block();
        u64::from_be_bytes([
            block[0], block[1], block[2], block[3], block[4], block[5], block[6], block[7],
        ])
    }
}
