//! Any bytes behind a good handshake: the fuzzing corpus as it is, and damaged in ways that a seed decides.

use broker::core::Core;
use broker::core::access::Password;
use broker::core::connection::Peer;
use broker::core::journal::Volatile;
use broker::core::metadata::Command;
use broker::core::settings::Settings;
use broker::core::vhost::VhostSpec;
use std::path::PathBuf;

include!("../../fuzz/fuzz_targets/broker_session.rs");

fn corpus() -> Vec<Vec<u8>> {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/broker_frames");
    let entries = std::fs::read_dir(place).expect("the corpus");
    entries
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"))
        .collect()
}

#[test]
fn the_fuzzing_corpus_is_served_without_a_panic() {
    let corpus = corpus();
    assert!(corpus.len() >= 5);
    for bytes in &corpus {
        session(bytes);
    }
}

#[test]
fn damaged_frames_are_served_without_a_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    for bytes in corpus() {
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(4) {
                let place = random(damaged.len());
                match random(4) {
                    0 => damaged[place] = random(256) as u8,
                    1 => damaged[place] ^= 1 << random(8),
                    2 => drop(damaged.remove(place)),
                    _ => damaged.insert(place, random(256) as u8),
                }
            }
            session(&damaged);
        }
    }
}
