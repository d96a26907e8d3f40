//! Follows a body as it passes, to know where it ends; chunks keep their form on the way.

use super::head::Body;

/// A body that breaks its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBody;

/// Where in a body we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is over.
    Done,
    /// So many bytes are to come.
    Left(u64),
    /// Inside chunks.
    Chunks(Chunk),
    /// It ends with the connection.
    UntilClose,
}

/// Where in the chunks we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// In the digits of a size.
    Size(u64, u8),
    /// In what follows a size on its line.
    Extension(u64, u32),
    /// In the data.
    Data(u64),
    /// At the line's end behind the data; so many of its two bytes passed.
    DataEnd(u8),
    /// In the trailer; bytes of the present line, and bytes in all.
    Trailer(u32, u32),
}

/// Longest extension or trailer taken.
const EXTRA_MAX: u32 = 16 * 1024;

impl Progress {
    /// The start of a body.
    pub fn of(body: Body) -> Self {
        match body {
            Body::None | Body::Length(0) => Progress::Done,
            Body::Length(length) => Progress::Left(length),
            Body::Chunked => Progress::Chunks(Chunk::Size(0, 0)),
            Body::UntilClose => Progress::UntilClose,
        }
    }

    pub fn is_done(&self) -> bool {
        *self == Progress::Done
    }

    /// Goes over bytes; gives how many of them belong to the body.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, BadBody> {
        match self {
            Progress::Done => Ok(0),
            Progress::UntilClose => Ok(bytes.len()),
            Progress::Left(left) => {
                let taken = (*left).min(bytes.len() as u64);
                *left -= taken;
                if *left == 0 {
                    *self = Progress::Done;
                }
                Ok(taken as usize)
            }
            Progress::Chunks(chunk) => {
                let mut taken = 0;
                while taken < bytes.len() {
                    let (next, passed) = chunk.clone().step(&bytes[taken..])?;
                    taken += passed;
                    match next {
                        Some(next) => *chunk = next,
                        None => {
                            *self = Progress::Done;
                            break;
                        }
                    }
                }
                Ok(taken)
            }
        }
    }
}

impl Chunk {
    /// One step over at least one byte; nothing next at the end of the body.
    fn step(self, bytes: &[u8]) -> Result<(Option<Chunk>, usize), BadBody> {
        let byte = bytes[0];
        let next = match self {
            Chunk::Data(left) => {
                let taken = left.min(bytes.len() as u64);
                let next = match left - taken {
                    0 => Chunk::DataEnd(0),
                    left => Chunk::Data(left),
                };
                return Ok((Some(next), taken as usize));
            }
            Chunk::Size(size, digits) => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(digit)) if digits < 15 => {
                    Chunk::Size(size << 4 | u64::from(digit), digits + 1)
                }
                (b'\r' | b'\n' | b';' | b' ' | b'\t', None) if digits > 0 => {
                    return Chunk::Extension(size, 0).step(bytes);
                }
                _ => return Err(BadBody),
            },
            Chunk::Extension(size, passed) => match byte {
                b'\n' if size == 0 => Chunk::Trailer(0, 0),
                b'\n' => Chunk::Data(size),
                _ if passed >= EXTRA_MAX => return Err(BadBody),
                _ => Chunk::Extension(size, passed + 1),
            },
            Chunk::DataEnd(passed) => match (passed, byte) {
                (0, b'\r') => Chunk::DataEnd(1),
                (0 | 1, b'\n') => Chunk::Size(0, 0),
                _ => return Err(BadBody),
            },
            Chunk::Trailer(line, all) => match byte {
                b'\n' if line == 0 => return Ok((None, 1)),
                b'\n' => Chunk::Trailer(0, all),
                b'\r' => Chunk::Trailer(line, all),
                _ if all >= EXTRA_MAX => return Err(BadBody),
                _ => Chunk::Trailer(line + 1, all + 1),
            },
        };
        Ok((Some(next), 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHUNKED: &[u8] = b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: 1\r\n\r\nNEXT";

    #[test]
    fn chunks_end_after_their_trailer() {
        let mut progress = Progress::of(Body::Chunked);
        let taken = progress.pass(CHUNKED).unwrap();
        assert_eq!(&CHUNKED[taken..], b"NEXT");
        assert!(progress.is_done());
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut progress = Progress::of(Body::Length(5));
        assert_eq!(progress.pass(b"abc"), Ok(3));
        assert_eq!(progress.pass(b"defg"), Ok(2));
        assert!(progress.is_done());
    }

    #[test]
    fn sizes_that_are_none_are_refused() {
        for bad in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "fffffffffffffffff\r\n",
            "1\r\nab\r\n",
        ] {
            let mut progress = Progress::of(Body::Chunked);
            assert_eq!(progress.pass(bad.as_bytes()), Err(BadBody), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(cut in 0..CHUNKED.len()) {
            let mut progress = Progress::of(Body::Chunked);
            let (first, second) = CHUNKED.split_at(cut);
            let mut taken = progress.pass(first).unwrap();
            if taken == first.len() {
                taken += progress.pass(second).unwrap();
            }
            prop_assert_eq!(taken, CHUNKED.len() - 4);
            prop_assert!(progress.is_done());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut progress = Progress::of(Body::Chunked);
            let _ = progress.pass(&bytes);
        }
    }
}
