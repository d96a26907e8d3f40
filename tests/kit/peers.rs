//! Where the clients are that `tests/peers` installs.

use std::path::Path;

/// A Python that has pika and its kin: `EVENKEEL_PYTHON`, or the one that `tests/peers` made, or
/// the system's.
pub fn python() -> String {
    std::env::var("EVENKEEL_PYTHON").unwrap_or_else(|_| {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
        match own.exists() {
            true => own.display().to_string(),
            false => "python3".to_owned(),
        }
    })
}
