//! AMQP frames in a stream of bytes that is only watched.
//!
//! A stream counts as AMQP when it begins with the protocol's header or, met
//! in its middle, when a read begins with a whole frame. The payload of a
//! frame is kept only as far as its method's arguments are shown.

use super::methods::{Kind, METHODS, Method};
use std::fmt::Write as _;

/// Bytes before a frame's payload: type, channel, size.
const HEAD: usize = 7;
/// Last byte of each frame.
const END: u8 = 0xCE;
/// Payload that is kept.
const KEPT: usize = 512;
/// Larger frames are none.
const FRAME_MAX: usize = 64 << 20;
const HEADER: &[u8] = b"AMQP";

/// One direction of a session.
#[derive(Default)]
pub struct Frames {
    state: State,
    /// The frame at work as far as it is kept: its head and begin.
    frame: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing known: the next read may begin with a frame.
    #[default]
    Lost,
    /// Inside a frame's head.
    Head,
    /// Inside a frame: so many bytes are to come, its end included.
    Payload(usize),
}

impl Frames {
    /// Takes what was read; each method, content or heartbeat gives a text.
    pub fn read(&mut self, bytes: &[u8], tell: &mut impl FnMut(String)) {
        let mut bytes = bytes;
        if self.state == State::Lost {
            bytes = match begin(bytes) {
                Some(Begin::Header(rest)) => {
                    tell("protocol header".to_owned());
                    rest
                }
                Some(Begin::Frame) => bytes,
                None => return,
            };
            self.state = State::Head;
        }
        while !bytes.is_empty() {
            match self.state {
                State::Lost => return,
                State::Head => {
                    let missing = HEAD - self.frame.len();
                    let (head, rest) = bytes.split_at(missing.min(bytes.len()));
                    self.frame.extend_from_slice(head);
                    bytes = rest;
                    if self.frame.len() == HEAD {
                        self.head_complete();
                    }
                }
                State::Payload(left) => {
                    let (part, rest) = bytes.split_at(left.min(bytes.len()));
                    let room = (HEAD + KEPT).saturating_sub(self.frame.len());
                    self.frame.extend_from_slice(&part[..part.len().min(room)]);
                    bytes = rest;
                    self.state = State::Payload(left - part.len());
                    if left == part.len() {
                        self.over(part.last() == Some(&END), tell);
                    }
                }
            }
        }
    }

    fn head_complete(&mut self) {
        let size = size(&self.frame);
        self.state = match is_head(&self.frame) {
            true => State::Payload(size + 1),
            false => State::Lost,
        };
        if self.state == State::Lost {
            self.frame.clear();
        }
    }

    fn over(&mut self, ends_well: bool, tell: &mut impl FnMut(String)) {
        if ends_well {
            let channel = u16::from_be_bytes([self.frame[1], self.frame[2]]);
            let payload = &self.frame[HEAD..];
            let text = match self.frame[0] {
                1 => method(payload),
                2 => content(payload),
                3 => Some(format!("body of {} bytes", size(&self.frame))),
                _ => Some("heartbeat".to_owned()),
            };
            if let Some(text) = text {
                tell(match channel {
                    0 => text,
                    channel => format!("[{channel}] {text}"),
                });
            }
        }
        self.frame.clear();
        self.state = if ends_well { State::Head } else { State::Lost };
    }
}

enum Begin<'a> {
    Header(&'a [u8]),
    Frame,
}

/// How a read in an unknown place begins.
fn begin(bytes: &[u8]) -> Option<Begin<'_>> {
    if bytes.starts_with(HEADER) {
        return bytes.get(8..).map(Begin::Header);
    }
    if !is_head(bytes) {
        return None;
    }
    (bytes.get(HEAD + size(bytes)) == Some(&END)).then_some(Begin::Frame)
}

fn is_head(bytes: &[u8]) -> bool {
    let kind = bytes
        .first()
        .is_some_and(|kind| matches!(kind, 1 | 2 | 3 | 8));
    bytes.len() >= HEAD && kind && size(bytes) <= FRAME_MAX
}

fn size(head: &[u8]) -> usize {
    match head {
        [_, _, _, a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => usize::MAX,
    }
}

fn content(payload: &[u8]) -> Option<String> {
    let size = payload.get(4..12)?;
    let size = u64::from_be_bytes(size.try_into().ok()?);
    Some(format!("content of {size} bytes"))
}

fn method(payload: &[u8]) -> Option<String> {
    let mut rest = Reader(payload);
    let (class, number) = (rest.number(2)?, rest.number(2)?);
    let known = |m: &&Method| u64::from(m.class) == class && u64::from(m.number) == number;
    let Some(known) = METHODS.iter().find(known) else {
        return Some(format!("method {class}.{number}"));
    };
    let mut text = known.name.to_owned();
    for (kind, name) in known.arguments {
        let value = match kind {
            Kind::Short => rest.number(2).map(|n| n.to_string()),
            Kind::Long => rest.number(4).map(|n| n.to_string()),
            Kind::LongLong => rest.number(8).map(|n| n.to_string()),
            Kind::ShortText => rest.text(),
        };
        let Some(value) = value else {
            break;
        };
        if !name.is_empty() {
            let _ = write!(text, " {name}={value}");
        }
    }
    Some(text)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// A short string in quotes, control characters escaped.
    fn text(&mut self) -> Option<String> {
        let length = self.number(1)? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(format!("{:?}", String::from_utf8_lossy(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame.push(END);
        frame
    }

    fn publish() -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 40, 0, 0, 2];
        payload.extend(b"ex\x03key\x00");
        let mut bytes = frame(1, 7, &payload);
        let mut header = vec![0, 60, 0, 0];
        header.extend(3000u64.to_be_bytes());
        header.extend([0, 0]);
        bytes.extend(frame(2, 7, &header));
        bytes.extend(frame(3, 7, &vec![b'x'; 3000]));
        bytes.extend(frame(8, 0, &[]));
        bytes
    }

    fn told(pieces: &[&[u8]]) -> Vec<String> {
        let mut frames = Frames::default();
        let mut told = Vec::new();
        for piece in pieces {
            frames.read(piece, &mut |text| told.push(text));
        }
        told
    }

    const WHOLE: [&str; 4] = [
        "[7] basic.publish exchange=\"ex\" key=\"key\"",
        "[7] content of 3000 bytes",
        "[7] body of 3000 bytes",
        "heartbeat",
    ];

    #[test]
    fn methods_contents_and_heartbeats_are_named_however_they_are_cut() {
        let mut bytes = b"AMQP\x00\x00\x09\x01".to_vec();
        bytes.extend(publish());
        for cut in [8, 9, 15, 40, 100, bytes.len() - 1] {
            let told = told(&[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(told[0], "protocol header");
            assert_eq!(told[1..], WHOLE, "cut at {cut}");
        }
    }

    #[test]
    fn a_stream_met_in_its_middle_is_followed_from_the_next_whole_frame() {
        let bytes = publish();
        assert_eq!(told(&[b"\x01\x02rest of a frame", &bytes]), WHOLE);
        assert!(told(&[b"GET / HTTP/1.1\r\n\r\n", b"x"]).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_watched_in_bounded_memory(pieces: Vec<Vec<u8>>) {
            let mut frames = Frames {
                state: State::Head,
                ..Frames::default()
            };
            for piece in &pieces {
                frames.read(piece, &mut |_| {});
                prop_assert!(frames.frame.len() <= HEAD + KEPT);
            }
        }
    }
}
