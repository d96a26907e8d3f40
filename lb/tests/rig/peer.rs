//! Clients and servers that do what a plan says and check every byte they get.

use super::PATIENCE;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;

/// What one side does: how much it sends in which pieces, how it reads, and
/// whether it ends its side only after the other has ended.
#[derive(Clone, Debug)]
pub struct Plan {
    pub size: usize,
    pub piece: usize,
    pub read_piece: usize,
    pub waits_for_end: bool,
}

pub fn byte_at(seed: u8, n: usize) -> u8 {
    seed.wrapping_add((n % 251) as u8)
}

/// Sends and reads at the same time as planned; gives what it read wrong.
pub fn play(stream: &mut TcpStream, plan: &Plan, own: u8, other: u8, expected: usize) {
    let (ended, wait) = channel();
    let mut writer = stream.try_clone().expect("clone");
    let plan_of_writer = plan.clone();
    let sending = std::thread::spawn(move || {
        let Plan { size, piece, .. } = plan_of_writer;
        let bytes: Vec<u8> = (0..size).map(|n| byte_at(own, n)).collect();
        for chunk in bytes.chunks(piece) {
            writer.write_all(chunk).expect("write");
        }
        if plan_of_writer.waits_for_end {
            wait.recv_timeout(PATIENCE).expect("the other side's end");
        }
        writer.shutdown(Shutdown::Write).expect("half-close");
    });
    let mut buffer = vec![0; plan.read_piece];
    let mut count = 0;
    loop {
        let size = stream.read(&mut buffer).expect("read");
        if size == 0 {
            break;
        }
        for (n, byte) in buffer[..size].iter().enumerate() {
            assert_eq!(*byte, byte_at(other, count + n), "at byte {}", count + n);
        }
        count += size;
    }
    assert_eq!(count, expected);
    // The writer does not listen when it had nothing to wait for.
    let _ = ended.send(());
    sending.join().expect("writer");
}

/// Any behaviour.
pub fn plan() -> impl Strategy<Value = Plan> {
    let size = prop_oneof![
        Just(0_usize),
        1_usize..2000,
        60_000_usize..70_000,
        0_usize..3_000_000
    ];
    let piece = prop_oneof![1000_usize..5000, 30_000_usize..200_000];
    (size, piece, 1000_usize..150_000, any::<bool>()).prop_map(
        |(size, piece, read_piece, waits_for_end)| Plan {
            size,
            piece,
            read_piece,
            waits_for_end,
        },
    )
}
