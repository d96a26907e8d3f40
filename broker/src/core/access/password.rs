//! Password hashes: argon2id for new ones, RabbitMQ's salted digests for those
//! that were imported.
//!
//! Pure: salts are arguments. Checking an argon2id hash takes some ten
//! milliseconds of CPU and belongs on a thread that may block; salted digests
//! take microseconds.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// argon2id memory in KiB, passes and lanes: one of the sets that OWASP gives
/// as equal in strength; the one with the least memory that keeps passes low.
const MEMORY_KIB: u32 = 7168;
const PASSES: u32 = 5;
const LANES: u32 = 1;
/// What RabbitMQ's export calls its algorithms.
const SHA256: &str = "rabbit_password_hashing_sha256";
const SHA512: &str = "rabbit_password_hashing_sha512";
const MD5: &str = "rabbit_password_hashing_md5";
/// What our export calls ours.
const ARGON2ID: &str = "argon2id";

/// A stored password.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// No password: nobody can log in with one.
    None,
    /// A PHC string `$argon2id$v=19$...`.
    Argon2id(String),
    /// RabbitMQ's: four bytes of salt, then the digest of salt and password.
    Salted {
        /// Which digest.
        digest: DigestKind,
        /// Salt and digest together, as the export has them.
        bytes: Vec<u8>,
    },
}

/// The digests that RabbitMQ has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// The default of RabbitMQ.
    Sha256,
    /// Chosen by `password_hashing_module`.
    Sha512,
    /// Before RabbitMQ 3.6.
    Md5,
}

/// A hash in a definitions file that cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// The algorithm is not one of those above.
    UnknownAlgorithm(String),
    /// Not Base64, or no PHC string where one must be.
    Malformed,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::UnknownAlgorithm(name) => {
                write!(f, "password hashing algorithm '{name}' is not supported")
            }
            PasswordError::Malformed => f.write_str("password hash is malformed"),
        }
    }
}

impl std::error::Error for PasswordError {}

impl Password {
    /// Hashes a new password with argon2id. Slow by intent.
    pub fn hash(password: &[u8], salt: [u8; 16]) -> Password {
        let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt of allowed length");
        let hash = argon2id()
            .hash_password(password, &salt)
            .expect("the parameters are constants that a test has run");
        Password::Argon2id(hash.to_string())
    }

    /// Hashes as RabbitMQ does (`hash_password`, `auth/hash_password`).
    pub fn hash_salted(password: &[u8], salt: [u8; 4]) -> Password {
        let mut bytes = salt.to_vec();
        bytes.extend(DigestKind::Sha256.salted(&salt, password));
        let digest = DigestKind::Sha256;
        Password::Salted { digest, bytes }
    }

    /// Whether `password` is the one. Slow when [`Password::is_slow`].
    pub fn verify(&self, password: &[u8]) -> bool {
        match self {
            Password::None => false,
            Password::Argon2id(text) => PasswordHash::new(text)
                .is_ok_and(|hash| argon2id().verify_password(password, &hash).is_ok()),
            Password::Salted { digest, bytes } => bytes
                .split_at_checked(4)
                .is_some_and(|(salt, known)| same(&digest.salted(salt, password), known)),
        }
    }

    /// Whether checking belongs on a thread that may block.
    pub fn is_slow(&self) -> bool {
        matches!(self, Password::Argon2id(_))
    }

    /// `password_hash` as the metadata log has it.
    pub fn export_hash(&self) -> String {
        match self {
            Password::None => String::new(),
            Password::Argon2id(text) => text.clone(),
            Password::Salted { bytes, .. } => STANDARD.encode(bytes),
        }
    }

    /// `password_hash` of an export: always Base64. RabbitMQ refuses a whole document for one that is not; a hash that it
    /// cannot compute it takes over, and its user is without a usable password there.
    pub fn portable_hash(&self) -> String {
        match self {
            Password::Argon2id(text) => STANDARD.encode(text),
            Password::None | Password::Salted { .. } => self.export_hash(),
        }
    }

    /// `hashing_algorithm` of an export.
    pub fn export_algorithm(&self) -> &'static str {
        match self {
            Password::None => SHA256,
            Password::Argon2id(_) => ARGON2ID,
            Password::Salted { digest, .. } => digest.export_name(),
        }
    }

    /// Takes over `password_hash` and `hashing_algorithm` of an export. A digest of another length than the algorithm's is
    /// kept, as RabbitMQ keeps it: no password matches it.
    pub fn import(hash: &str, algorithm: Option<&str>) -> Result<Password, PasswordError> {
        if hash.is_empty() {
            return Ok(Password::None);
        }
        let digest = match algorithm.unwrap_or(SHA256) {
            SHA256 => DigestKind::Sha256,
            SHA512 => DigestKind::Sha512,
            MD5 => DigestKind::Md5,
            ARGON2ID => return import_argon2id(hash),
            other => return Err(PasswordError::UnknownAlgorithm(other.to_owned())),
        };
        let bytes = STANDARD
            .decode(hash)
            .map_err(|_| PasswordError::Malformed)?;
        Ok(Password::Salted { digest, bytes })
    }
}

/// A PHC string, as it is or in Base64.
fn import_argon2id(hash: &str) -> Result<Password, PasswordError> {
    let text = match hash.starts_with('$') {
        true => hash.to_owned(),
        false => STANDARD
            .decode(hash)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(PasswordError::Malformed)?,
    };
    PasswordHash::new(&text).map_err(|_| PasswordError::Malformed)?;
    Ok(Password::Argon2id(text))
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::None => f.write_str("None"),
            _ => write!(f, "<{}>", self.export_algorithm()),
        }
    }
}

impl DigestKind {
    fn salted(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        match self {
            DigestKind::Sha256 => digest::<Sha256>(salt, password),
            DigestKind::Sha512 => digest::<Sha512>(salt, password),
            DigestKind::Md5 => digest::<Md5>(salt, password),
        }
    }

    fn export_name(self) -> &'static str {
        match self {
            DigestKind::Sha256 => SHA256,
            DigestKind::Sha512 => SHA512,
            DigestKind::Md5 => MD5,
        }
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .expect("the parameters are constants that a test has run");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn digest<D: Digest>(salt: &[u8], password: &[u8]) -> Vec<u8> {
    D::new_with_prefix(salt)
        .chain_update(password)
        .finalize()
        .to_vec()
}

/// Compares without an early exit, so that time tells nothing.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_argon2id_and_verifies() {
        let hash = Password::hash(b"secret", [7; 16]);
        assert!(hash.is_slow());
        assert!(
            hash.export_hash()
                .starts_with("$argon2id$v=19$m=7168,t=5,p=1$")
        );
        assert!(hash.verify(b"secret"));
        assert!(!hash.verify(b"Secret"));
    }

    #[test]
    fn each_of_rabbitmqs_digests_is_taken_over() {
        for (digest, name) in [
            (DigestKind::Sha256, SHA256),
            (DigestKind::Sha512, SHA512),
            (DigestKind::Md5, MD5),
        ] {
            let mut bytes = vec![1, 2, 3, 4];
            bytes.extend(digest.salted(&[1, 2, 3, 4], b"pw"));
            let hash = Password::import(&STANDARD.encode(bytes), Some(name)).expect("imports");
            assert!(hash.verify(b"pw"));
            assert!(!hash.verify(b"pW"));
            assert_eq!(hash.export_algorithm(), name);
        }
    }

    #[test]
    fn the_hash_that_rabbitmqs_documentation_prints_verifies() {
        // salt 908D C60A, password "test12"
        let text = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        let hash = Password::import(text, None).expect("imports");
        assert!(hash.verify(b"test12"));
    }

    #[test]
    fn export_and_import_keep_the_hash() {
        for hash in [
            Password::hash(b"x", [1; 16]),
            Password::hash_salted(b"x", [9; 4]),
            Password::None,
        ] {
            for text in [hash.export_hash(), hash.portable_hash()] {
                let again = Password::import(&text, Some(hash.export_algorithm()));
                assert_eq!(again, Ok(hash.clone()));
            }
            assert!(STANDARD.decode(hash.portable_hash()).is_ok());
        }
    }

    #[test]
    fn rubbish_is_refused_and_never_verifies() {
        for (text, algorithm) in [("no Base64", None), ("$argon2id$x", Some(ARGON2ID))] {
            let imported = Password::import(text, algorithm);
            assert_eq!(imported, Err(PasswordError::Malformed));
        }
        for text in ["AAAA", "AAAAAA==", "AAAAAAA="] {
            let kept = Password::import(text, None).expect("RabbitMQ takes it");
            assert!(!kept.verify(b"") && !kept.verify(b"AAAA"));
            assert_eq!(kept.export_hash(), text);
        }
        assert!(Password::import("x", Some("rot13")).is_err());
        assert!(!Password::None.verify(b""));
    }
}
