//! What both hosts' files must share: the secret of their channel, and a digest
//! by which each sees whether the other's file fits. Both go over the wire to hosts with
//! another version of this program: what they are made of must not change.

use crate::core::heartbeat::Secret;
use conf::vip::model::{Auth, Config};
use sha2::{Digest, Sha256};

/// The pair's secret: `pair_key`, or what both files share.
pub fn secret(config: &Config) -> Secret {
    Secret::new(secret_bytes(config))
}

fn secret_bytes(config: &Config) -> [u8; 32] {
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
    hash.finalize().into()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(global: &str) -> Config {
        let text = format!(
            "global_defs {{\n{global}\n}}\n\
             vrrp_instance A {{\n interface eth0\n version 2\n virtual_router_id 51\n advert_int 1\n \
             authentication {{\n auth_type PASS\n auth_pass 1111\n }}\n \
             virtual_ipaddress {{\n 10.0.0.2\n 10.0.0.1\n }}\n}}\n\
             vrrp_instance B {{\n interface eth0\n version 3\n virtual_router_id 52\n advert_int 0.5\n \
             virtual_ipaddress {{\n fe80::1\n fd00::1\n }}\n}}\n"
        );
        let (config, report) = conf::vip::load_str("k.conf", &text, &Default::default());
        config.unwrap_or_else(|| panic!("{}", report.human(false)))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The texts are SHA-256 of what the first version hashed, computed by another program.
    #[test]
    fn a_host_with_the_first_version_shares_the_secret_and_the_digest() {
        let shared = config("");
        assert_eq!(
            hex(&secret_bytes(&shared)),
            "55b23738f8740e5a371f4873b5da8bdd89317d674935c41fe53525452e35d30e"
        );
        assert_eq!(hex(&digest(&shared)), "eee1d4f30f597bfd");
        let keyed = config(" pair_key s3cret");
        assert_eq!(
            hex(&secret_bytes(&keyed)),
            "0e9d718359a55f24ca0c9c799af74fc5e5446d984772ecb7b405de5a79829e65"
        );
        assert_eq!(digest(&keyed), digest(&shared));
    }
}
