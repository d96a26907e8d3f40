//! Logins that were verified a moment ago, so that a thousand clients that
//! reconnect at once cost one argon2 run and not a thousand.
//!
//! Holds no password and nothing from which one could be guessed without the
//! process's random key: an entry is a keyed digest of the stored hash and the
//! password. A changed password changes the stored hash, so old entries stop
//! to match by themselves.

use super::password::{Password, same};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Users remembered at most; at the bound the cache starts again from empty.
const LIMIT: usize = 4096;

/// Keyed digests of verified logins, one per user.
#[derive(Clone)]
pub struct LoginCache {
    key: [u8; 32],
    seen: HashMap<String, [u8; 32]>,
}

impl LoginCache {
    /// An empty cache; `key` must be random and private to the process.
    pub fn new(key: [u8; 32]) -> LoginCache {
        LoginCache {
            key,
            seen: HashMap::new(),
        }
    }

    /// Whether this login was verified before against this very hash.
    pub fn knows(&self, user: &str, stored: &Password, password: &[u8]) -> bool {
        self.seen
            .get(user)
            .is_some_and(|known| same(known, &self.digest(user, stored, password)))
    }

    /// Remembers a login that was verified.
    pub fn remember(&mut self, user: &str, stored: &Password, password: &[u8]) {
        if self.seen.len() >= LIMIT && !self.seen.contains_key(user) {
            self.seen.clear();
        }
        let digest = self.digest(user, stored, password);
        self.seen.insert(user.to_owned(), digest);
    }

    fn digest(&self, user: &str, stored: &Password, password: &[u8]) -> [u8; 32] {
        let stored = stored.export_hash();
        let mut hash = Sha256::new_with_prefix(self.key);
        for part in [user.as_bytes(), stored.as_bytes(), password] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl std::fmt::Debug for LoginCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoginCache({} users)", self.seen.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_login_is_known_until_the_stored_hash_changes() {
        let mut cache = LoginCache::new([3; 32]);
        let old = Password::hash_salted(b"a", [1; 4]);
        cache.remember("u", &old, b"a");
        assert!(cache.knows("u", &old, b"a"));
        assert!(!cache.knows("u", &old, b"b"));
        assert!(!cache.knows("v", &old, b"a"));
        let new = Password::hash_salted(b"a", [2; 4]);
        assert!(!cache.knows("u", &new, b"a"));
    }

    #[test]
    fn the_cache_stays_bounded() {
        let mut cache = LoginCache::new([3; 32]);
        for i in 0..LIMIT + 10 {
            cache.remember(&i.to_string(), &Password::None, b"x");
        }
        assert!(cache.seen.len() <= LIMIT);
    }
}
