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

/// Numbers below a bound, from a seed other than 0.
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    }
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
    let mut random = random(0x9e37_79b9_7f4a_7c15);
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

/// The frames of a session's bytes; the last one may be a piece.
fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(head) = bytes.first_chunk::<7>() {
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let (frame, rest) = bytes.split_at(bytes.len().min(length.saturating_add(8)));
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames.push(bytes.to_vec());
    frames
}

/// Numbers at which lengths and counts turn over.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xce, b'F'];

/// Puts the frames of all sessions together anew, and damages some of them.
fn mix(all: &[Vec<u8>], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut mixed = Vec::new();
    for _ in 0..1 + random(40) {
        let mut frame = all[random(all.len())].clone();
        if frame.is_empty() {
            continue;
        }
        for _ in 0..[0, 0, 0, 1, 2, 5][random(6)] {
            let place = random(frame.len());
            match random(6) {
                0 => frame[place] = random(256) as u8,
                1 => frame[place] ^= 1 << random(8),
                2 => frame[place] = EDGES[random(EDGES.len())],
                3 if frame.len() > 1 => drop(frame.remove(place)),
                4 => frame.insert(place, EDGES[random(EDGES.len())]),
                _ => frame[2.min(place)] = random(4) as u8,
            }
        }
        // half of the damaged frames have the length and the end that they should have
        if frame.len() >= 8 && random(2) == 0 {
            let length = frame.len() - 8;
            frame[3..7].copy_from_slice(&(length as u32).to_be_bytes());
            frame[7 + length] = 0xce;
        }
        mixed.extend(frame);
    }
    mixed
}

#[test]
#[ignore = "long: EVENKEEL_FUZZ_SESSIONS says how many, EVENKEEL_FUZZ_SEED from where"]
fn sessions_put_together_anew_are_served_without_a_panic() {
    let number = |name: &str, or: u64| {
        let value = std::env::var(name).ok();
        value.map_or(or, |value| value.parse().expect("a number"))
    };
    let (sessions, seed) = (
        number("EVENKEEL_FUZZ_SESSIONS", 5_000),
        number("EVENKEEL_FUZZ_SEED", 1),
    );
    let all: Vec<Vec<u8>> = corpus().iter().flat_map(|bytes| frames(bytes)).collect();
    for seed in seed..seed + sessions {
        let bytes = mix(
            &all,
            &mut random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        );
        let outcome = std::panic::catch_unwind(|| session(&bytes));
        assert!(
            outcome.is_ok(),
            "EVENKEEL_FUZZ_SESSIONS=1 EVENKEEL_FUZZ_SEED={seed}"
        );
    }
}
