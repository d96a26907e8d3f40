//! A segment: one file of the log, written from front to back once, then sealed with a summary, then used again.
//!
//! ```text
//! 0     header: magic, version, state, id, seed salt, crc     one sector; at 2048 the same again
//! 1024  seal: where the summary is, its length and crc, messages, crc
//! 4096  records
//! ..    summary (sealed segments)
//! ```
//!
//! A file is a slot; which segment it holds, or that it is spare, says its header. So a roll or a reuse writes one
//! sector and touches no directory. The header's two copies never share a sector with anything else: a disk that
//! writes sectors whole leaves each copy either old or new.

use super::disk::{DiskFile, read_exact_at};
use super::record::{u32_at, u64_at};
use std::io;

/// Where records begin.
pub(super) const DATA: u32 = 4096;
const COPIES: [usize; 2] = [0, 2048];
const SEAL: usize = 1024;
const MAGIC: &[u8; 8] = b"EVKL-LOG";
const VERSION: u16 = 1;
const HEADER_LENGTH: usize = 40;
const SEAL_LENGTH: usize = 32;

/// What a segment was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The log as it came: sealed when a later one exists.
    Hot,
    /// Messages moved out of mostly settled segments; complete from the beginning.
    Cold,
}

/// What a slot's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Spare,
    Segment {
        id: u32,
        role: Role,
        salt: u32,
    },
    /// Neither copy makes sense.
    Damaged,
    /// Written by a newer version of this program.
    Newer(u16),
}

/// Where a sealed segment's summary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub offset: u32,
    pub length: u32,
    pub crc: u32,
    pub messages: u32,
}

/// The checksum seed of a segment's records: differs between any two segments of a node, and nobody outside knows it.
pub(super) fn seed(id: u32, salt: u32) -> u32 {
    crc32c::crc32c_append(salt, &id.to_le_bytes())
}

fn header_bytes(header: Header) -> [u8; HEADER_LENGTH] {
    let (state, id, salt) = match header {
        Header::Segment {
            id,
            role: Role::Hot,
            salt,
        } => (1, id, salt),
        Header::Segment {
            id,
            role: Role::Cold,
            salt,
        } => (2, id, salt),
        Header::Spare | Header::Damaged | Header::Newer(_) => (0u16, 0, 0),
    };
    let mut bytes = [0; HEADER_LENGTH];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&state.to_le_bytes());
    bytes[12..16].copy_from_slice(&id.to_le_bytes());
    bytes[16..20].copy_from_slice(&salt.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..HEADER_LENGTH - 4]);
    bytes[HEADER_LENGTH - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn parse_header(bytes: &[u8]) -> Header {
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if &bytes[..8] != MAGIC {
        return Header::Damaged;
    }
    if version > VERSION {
        return Header::Newer(version);
    }
    if crc32c::crc32c(&bytes[..HEADER_LENGTH - 4]) != u32_at(bytes, HEADER_LENGTH - 4) {
        return Header::Damaged;
    }
    let (id, salt) = (u32_at(bytes, 12), u32_at(bytes, 16));
    match bytes[10] {
        0 => Header::Spare,
        1 => Header::Segment {
            id,
            role: Role::Hot,
            salt,
        },
        2 => Header::Segment {
            id,
            role: Role::Cold,
            salt,
        },
        _ => Header::Damaged,
    }
}

/// Writes a slot's header, both copies. Not synced.
pub(super) fn write_header(file: &dyn DiskFile, header: Header) -> io::Result<()> {
    let bytes = header_bytes(header);
    COPIES
        .iter()
        .try_for_each(|&at| file.write_all_at(&bytes, at as u64))
}

/// What a slot holds, and its seal.
///
/// Of two copies that differ, a segment counts rather than a spare: that is a crash while one became the other, and
/// then nothing that depends on either outcome was done yet.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<(Header, Option<Seal>)> {
    let mut page = vec![0; DATA as usize];
    let length = file.length()?.min(u64::from(DATA)) as usize;
    read_exact_at(file, &mut page[..length], 0)?;
    let [first, second] = COPIES.map(|at| parse_header(&page[at..at + HEADER_LENGTH]));
    let header = match (first, second) {
        (Header::Newer(version), _) | (_, Header::Newer(version)) => Header::Newer(version),
        (segment @ Header::Segment { .. }, _) | (_, segment @ Header::Segment { .. }) => segment,
        (Header::Spare, _) | (_, Header::Spare) => Header::Spare,
        (Header::Damaged, Header::Damaged) => Header::Damaged,
    };
    Ok((header, parse_seal(&page[SEAL..SEAL + SEAL_LENGTH], header)))
}

/// A seal carries the segment's id, so that one left from the slot's earlier use does not count.
fn parse_seal(bytes: &[u8], header: Header) -> Option<Seal> {
    let Header::Segment { id, .. } = header else {
        return None;
    };
    if crc32c::crc32c(&bytes[..SEAL_LENGTH - 4]) != u32_at(bytes, SEAL_LENGTH - 4)
        || u64_at(bytes, 0) != u64::from(id)
    {
        return None;
    }
    Some(Seal {
        offset: u32_at(bytes, 8),
        length: u32_at(bytes, 12),
        crc: u32_at(bytes, 16),
        messages: u32_at(bytes, 20),
    })
}

/// Writes the summary at `offset` and the seal that points to it. Not synced.
pub(super) fn write_seal(
    file: &dyn DiskFile,
    id: u32,
    offset: u32,
    summary: &[u8],
    messages: u32,
) -> io::Result<()> {
    file.write_all_at(summary, u64::from(offset))?;
    let mut bytes = [0; SEAL_LENGTH];
    bytes[..8].copy_from_slice(&u64::from(id).to_le_bytes());
    bytes[8..12].copy_from_slice(&offset.to_le_bytes());
    bytes[12..16].copy_from_slice(&(summary.len() as u32).to_le_bytes());
    bytes[16..20].copy_from_slice(&crc32c::crc32c(summary).to_le_bytes());
    bytes[20..24].copy_from_slice(&messages.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..SEAL_LENGTH - 4]);
    bytes[SEAL_LENGTH - 4..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&bytes, SEAL as u64)
}

/// The summary that a seal points to; `None` when it cannot be read or its checksum does not fit.
pub(super) fn read_summary(file: &dyn DiskFile, seal: Seal) -> Option<Vec<u8>> {
    if u64::from(seal.offset) + u64::from(seal.length) > file.length().ok()? {
        return None;
    }
    let mut bytes = vec![0; seal.length as usize];
    read_exact_at(file, &mut bytes, u64::from(seal.offset)).ok()?;
    (crc32c::crc32c(&bytes) == seal.crc).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::{Directory, Disk};

    fn with_file(check: impl Fn(&dyn DiskFile)) {
        let temporary = tempfile::tempdir().unwrap();
        check(
            &*Directory::open(temporary.path())
                .unwrap()
                .open("slot")
                .unwrap(),
        );
    }

    #[test]
    fn a_header_reads_back_even_when_one_copy_is_gone() {
        with_file(|file| {
            file.reserve(u64::from(DATA)).unwrap();
            assert_eq!(read_header(file).unwrap().0, Header::Damaged);
            for header in [
                Header::Spare,
                Header::Segment {
                    id: 7,
                    role: Role::Cold,
                    salt: 9,
                },
            ] {
                write_header(file, header).unwrap();
                assert_eq!(read_header(file).unwrap().0, header);
            }
            let header = Header::Segment {
                id: 8,
                role: Role::Hot,
                salt: 9,
            };
            for at in COPIES {
                write_header(file, header).unwrap();
                file.write_all_at(&[0; 16], at as u64).unwrap();
                assert_eq!(read_header(file).unwrap().0, header);
            }
        });
    }

    #[test]
    fn a_seal_counts_only_for_its_own_segment() {
        with_file(|file| {
            write_header(
                file,
                Header::Segment {
                    id: 7,
                    role: Role::Hot,
                    salt: 1,
                },
            )
            .unwrap();
            write_seal(file, 7, DATA, b"summary", 3).unwrap();
            let seal = read_header(file).unwrap().1.unwrap();
            assert_eq!(read_summary(file, seal).unwrap(), b"summary");
            write_header(
                file,
                Header::Segment {
                    id: 8,
                    role: Role::Hot,
                    salt: 1,
                },
            )
            .unwrap();
            assert_eq!(read_header(file).unwrap().1, None);
            file.write_all_at(b"S", u64::from(DATA)).unwrap();
            assert_eq!(read_summary(file, seal), None);
        });
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        with_file(|file| {
            write_header(file, Header::Spare).unwrap();
            file.write_all_at(&[9, 0], 8).unwrap();
            assert_eq!(read_header(file).unwrap().0, Header::Newer(9));
        });
    }

    #[test]
    fn seeds_differ_between_segments() {
        let seeds: std::collections::HashSet<u32> = (0..1000).map(|id| seed(id, 42)).collect();
        assert_eq!(seeds.len(), 1000);
    }
}
