//! Where AMQP 0-9-1 frames end in bytes that pass by, and how far a
//! conversation has come. Only heads of frames are looked at: payloads may
//! pass unseen (spliced), as long as their size is told.

/// Octet that ends a frame.
const END: u8 = 0xCE;
/// Type, channel and size of a frame.
const SHORT: usize = 7;
/// The same with class and method.
const LONG: usize = 11;
/// Sizes beyond this are no AMQP: no broker negotiates so large a frame.
const LARGEST: u32 = 64 << 20;
/// What a client says first.
const GREETING: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// A method of the connection class, on channel 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// `open-ok`: the handshake is done.
    OpenOk,
    /// `close`.
    Close,
    /// `close-ok`.
    CloseOk,
}

impl Control {
    /// The class `connection`.
    const CLASS: u16 = 10;

    fn of(class: u16, method: u16) -> Option<Control> {
        match (class, method) {
            (Control::CLASS, 41) => Some(Control::OpenOk),
            (Control::CLASS, 50) => Some(Control::Close),
            (Control::CLASS, 51) => Some(Control::CloseOk),
            _ => None,
        }
    }
}

/// One step of a walk; the number is how many of the bytes it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A head that is not complete yet.
    Head(usize),
    /// A head is complete, see [`Frames::head`].
    Frame(usize, Option<Control>),
    /// Part of a payload; the frame goes on.
    Payload(usize),
    /// The rest of a frame.
    Done(usize),
    /// These are no frames.
    Garbled,
}

/// Frames of one direction.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    head: [u8; LONG],
    have: u8,
    rest: u32,
}

impl Frames {
    /// Between two frames.
    pub fn at_boundary(&self) -> bool {
        self.have == 0
    }

    /// Bytes of the running frame that have not passed yet, without its end octet; 0 while its
    /// head is not complete.
    pub fn spliceable(&self) -> usize {
        self.rest.saturating_sub(1) as usize
    }

    /// That many bytes of a payload passed unseen: at most [`Frames::spliceable`].
    pub fn skip(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.spliceable(), "the end octet is looked at");
        self.rest -= (bytes as u32).min(self.rest.saturating_sub(1));
    }

    /// The bytes of the head that have come so far.
    pub fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.have)]
    }

    /// Within a head that is not complete.
    pub fn in_head(&self) -> bool {
        self.have > 0 && self.rest == 0
    }

    /// Takes some of `bytes`, which are not empty.
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        if self.rest == 0 {
            return self.collect(bytes);
        }
        let size = (self.rest as usize).min(bytes.len());
        self.rest -= size as u32;
        if self.rest > 0 {
            return Step::Payload(size);
        }
        self.have = 0;
        match bytes[size - 1] {
            END => Step::Done(size),
            _ => Step::Garbled,
        }
    }

    fn collect(&mut self, bytes: &[u8]) -> Step {
        let mut taken = 0;
        loop {
            let have = usize::from(self.have);
            if have >= SHORT {
                let needed = self.needed();
                if have >= needed {
                    break;
                }
            }
            let Some(byte) = bytes.get(taken) else {
                return Step::Head(taken);
            };
            if have == 0 && !matches!(byte, 1..=3 | 8) {
                return Step::Garbled;
            }
            self.head[have] = *byte;
            self.have += 1;
            taken += 1;
        }
        if self.size() > LARGEST {
            return Step::Garbled;
        }
        let seen = u32::from(self.have) - SHORT as u32;
        self.rest = self.size() - seen + 1;
        Step::Frame(taken, self.control())
    }

    fn size(&self) -> u32 {
        let [_, _, _, a, b, c, d, ..] = self.head;
        u32::from_be_bytes([a, b, c, d])
    }

    fn is_control(&self) -> bool {
        matches!(self.head, [1, 0, 0, ..]) && self.size() >= 4
    }

    fn needed(&self) -> usize {
        match self.is_control() {
            true => LONG,
            false => SHORT,
        }
    }

    fn control(&self) -> Option<Control> {
        let [.., a, b, c, d] = self.head;
        match self.is_control() {
            true => Control::of(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            false => None,
        }
    }
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The client has said so many bytes of its greeting.
    Greeting(u8),
    /// Before `open-ok`.
    Handshake,
    /// Between `open-ok` and `close`.
    Open,
    /// One side has said `close`.
    Closing,
    /// This is not AMQP 0-9-1.
    Foreign,
}

/// Both directions of a session.
#[derive(Clone, Debug)]
pub struct Talk {
    /// From the client.
    pub up: Frames,
    /// From the server.
    pub down: Frames,
    /// How far it has come.
    pub progress: Progress,
}

impl Default for Talk {
    fn default() -> Talk {
        Talk {
            up: Frames::default(),
            down: Frames::default(),
            progress: Progress::Greeting(0),
        }
    }
}

impl Talk {
    /// Bytes of the client that are passed on.
    pub fn from_client(&mut self, mut bytes: &[u8]) {
        while let (Progress::Greeting(have), Some((byte, rest))) =
            (self.progress, bytes.split_first())
        {
            self.progress = match GREETING[usize::from(have)] == *byte {
                true if usize::from(have) + 1 == GREETING.len() => Progress::Handshake,
                true => Progress::Greeting(have + 1),
                false => Progress::Foreign,
            };
            bytes = rest;
        }
        self.follow(bytes, true);
    }

    /// Bytes of the server that are passed on.
    pub fn from_server(&mut self, bytes: &[u8]) {
        if matches!(self.progress, Progress::Greeting(_)) && !bytes.is_empty() {
            // an AMQP server waits for the greeting
            self.progress = Progress::Foreign;
        }
        self.follow(bytes, false);
    }

    fn follow(&mut self, mut bytes: &[u8], of_client: bool) {
        let frames = match of_client {
            true => &mut self.up,
            false => &mut self.down,
        };
        while !bytes.is_empty() && self.progress != Progress::Foreign {
            let taken = match frames.step(bytes) {
                Step::Head(n) | Step::Payload(n) | Step::Done(n) | Step::Frame(n, None) => n,
                Step::Frame(n, Some(control)) => {
                    self.progress = match (control, self.progress) {
                        (Control::OpenOk, Progress::Handshake) if !of_client => Progress::Open,
                        (Control::Close, Progress::Handshake | Progress::Open) => Progress::Closing,
                        (_, progress) => progress,
                    };
                    n
                }
                Step::Garbled => {
                    self.progress = Progress::Foreign;
                    return;
                }
            };
            bytes = &bytes[taken..];
        }
    }
}

/// A frame `connection.close` with this code and text (at most 255 bytes of it).
pub fn close(code: u16, text: &str) -> Vec<u8> {
    let end = (0..=text.len().min(255))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let text = &text.as_bytes()[..end];
    let mut payload = vec![0, 10, 0, 50];
    payload.extend_from_slice(&code.to_be_bytes());
    payload.push(text.len() as u8);
    payload.extend_from_slice(text);
    payload.extend_from_slice(&[0; 4]);
    frame(&payload)
}

/// A frame `connection.close-ok`.
pub fn close_ok() -> Vec<u8> {
    frame(&[0, 10, 0, 51])
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, 0, 0];
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(END);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame of any kind.
    fn any_frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind];
        frame.extend_from_slice(&channel.to_be_bytes());
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(END);
        frame
    }

    fn open_talk() -> Talk {
        let mut talk = Talk::default();
        talk.from_client(&GREETING);
        talk.from_server(&any_frame(1, 0, &[0, 10, 0, 10, 0, 9]));
        assert_eq!(talk.progress, Progress::Handshake);
        talk.from_server(&any_frame(1, 0, &[0, 10, 0, 41, 0]));
        talk
    }

    #[test]
    fn open_ok_opens_and_close_closes() {
        let mut talk = open_talk();
        assert_eq!(talk.progress, Progress::Open);
        talk.from_client(&close(200, "bye"));
        assert_eq!(talk.progress, Progress::Closing);
    }

    #[test]
    fn what_does_not_greet_as_amqp_is_foreign() {
        for greeting in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"AMQP\0\x01\0\0",
            b"\x16\x03\x01",
        ] {
            let mut talk = Talk::default();
            talk.from_client(greeting);
            assert_eq!(talk.progress, Progress::Foreign);
        }
        let mut talk = Talk::default();
        talk.from_server(b"220 mail");
        assert_eq!(talk.progress, Progress::Foreign);
    }

    #[test]
    fn a_frame_without_its_end_octet_is_foreign() {
        let mut talk = open_talk();
        let mut broken = any_frame(3, 1, b"abc");
        *broken.last_mut().unwrap() = 0;
        talk.from_server(&broken);
        assert_eq!(talk.progress, Progress::Foreign);
    }

    #[test]
    fn a_long_reason_is_cut_to_a_short_string() {
        let frame = close(320, &"ä".repeat(300));
        let size = u32::from_be_bytes(frame[3..7].try_into().unwrap()) as usize;
        assert_eq!(frame.len(), size + 8);
        assert_eq!(frame[13], 254);
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_the_bytes_are_cut(
            frames in prop::collection::vec((0usize..4, 0u16..3, prop::collection::vec(any::<u8>(), 0..40)), 1..20),
            cuts in prop::collection::vec(1usize..30, 1..50),
            unseen in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            for (kind, channel, payload) in &frames {
                bytes.extend(any_frame([1, 2, 3, 8][*kind], *channel, payload));
                ends.push(bytes.len());
            }
            let (mut walk, mut at, mut cut) = (Frames::default(), 0, 0);
            while at < bytes.len() {
                prop_assert_eq!(walk.at_boundary(), ends.contains(&at), "at {}", at);
                if unseen && walk.spliceable() > 0 {
                    at += walk.spliceable();
                    walk.skip(walk.spliceable());
                    continue;
                }
                let end = (at + cuts[cut % cuts.len()]).min(bytes.len());
                cut += 1;
                while at < end {
                    at += match walk.step(&bytes[at..end]) {
                        Step::Head(n) | Step::Frame(n, _) | Step::Payload(n) | Step::Done(n) => n,
                        Step::Garbled => panic!("these are frames"),
                    };
                }
            }
            prop_assert!(walk.at_boundary());
        }

        #[test]
        fn any_bytes_are_followed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut talk = open_talk();
            talk.from_server(&bytes);
            talk.from_client(&bytes);
        }
    }
}
