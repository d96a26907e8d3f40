//! What both hosts' files must share: the secret of their channel, and a digest
//! by which each sees whether the other's file fits.

use crate::core::heartbeat::Secret;
use conf::vip::model::{Auth, Config};
use sha2::{Digest, Sha256};

/// The pair's secret: `pair_key`, or what both files share.
pub fn secret(config: &Config) -> Secret {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel pair channel, version 1\0");
    match &config.global.pair_channel.key {
        Some(key) => {
            hash.update(b"key\0");
            hash.update(key.as_bytes());
        }
        None => {
            let mut shared: Vec<String> = config
                .instances
                .iter()
                .map(|i| {
                    let password = match &i.auth {
                        None => "",
                        Some(Auth::Pass(password) | Auth::Ah(password)) => password.as_str(),
                    };
                    format!("{} {:?} {password}", i.vrid.0, i.family)
                })
                .collect();
            shared.sort();
            hash.update(shared.join("\n").as_bytes());
        }
    }
    Secret::new(hash.finalize().into())
}

/// A digest of what both configurations must share.
pub fn digest(config: &Config) -> [u8; 8] {
    let mut lines: Vec<String> = Vec::new();
    for i in &config.instances {
        let mut addresses: Vec<String> =
            i.addresses.iter().map(|a| a.address.to_string()).collect();
        addresses.sort();
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {}",
            i.vrid.0,
            i.family,
            i.version,
            i.advert_int,
            i.auth,
            addresses.join(" ")
        ));
    }
    lines.sort();
    let full = Sha256::digest(lines.join("\n").as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&full[..8]);
    short
}
