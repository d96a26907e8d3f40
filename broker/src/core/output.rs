//! What waits to be written to one connection: small parts copied into one buffer, large bodies by reference.

use super::frame;
use super::message::Message;
use super::method::Method;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Bodies from this size on are not copied.
const BY_REFERENCE: usize = 4096;
/// A drained buffer larger than this is given back.
const KEEP: usize = 4096;

/// Bytes in the order in which they leave.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    /// How much of the buffer has been written.
    written: usize,
    /// Bodies, each to be written before the buffer's byte `at`.
    bodies: VecDeque<BodyPart>,
    body_bytes: usize,
}

#[derive(Debug)]
struct BodyPart {
    at: usize,
    message: Message,
    start: usize,
    end: usize,
}

impl Output {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.written + self.body_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append copied bytes to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub fn method(&mut self, channel: u16, method: &Method<'_>) {
        frame::write(&mut self.buffer, frame::METHOD, channel, |out| {
            method.encode(out)
        });
    }

    /// Header and body frames of a message.
    pub fn content(&mut self, channel: u16, message: &Message, frame_max: u32) {
        let header = message.header();
        frame::head(&mut self.buffer, frame::HEADER, channel, header.len());
        self.buffer.extend_from_slice(header);
        self.buffer.push(frame::END);
        let body = message.body();
        let chunk = if frame_max == 0 {
            usize::MAX
        } else {
            frame_max as usize - frame::OVERHEAD
        };
        let mut start = 0;
        while start < body.len() {
            let end = body.len().min(start.saturating_add(chunk));
            frame::head(&mut self.buffer, frame::BODY, channel, end - start);
            if end - start < BY_REFERENCE {
                self.buffer.extend_from_slice(&body[start..end]);
            } else {
                self.bodies.push_back(BodyPart {
                    at: self.buffer.len(),
                    message: message.clone(),
                    start,
                    end,
                });
                self.body_bytes += end - start;
            }
            self.buffer.push(frame::END);
            start = end;
        }
    }

    /// The next bytes to write, in at most `slices.capacity()` pieces.
    pub fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, most: usize) {
        let mut at = self.written;
        for body in &self.bodies {
            if slices.len() + 2 > most {
                return;
            }
            if body.at > at {
                slices.push(IoSlice::new(&self.buffer[at..body.at]));
                at = body.at;
            }
            slices.push(IoSlice::new(&body.message.body()[body.start..body.end]));
        }
        if at < self.buffer.len() {
            slices.push(IoSlice::new(&self.buffer[at..]));
        }
    }

    /// Takes `count` written bytes off the front.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(body) = self.bodies.front_mut() {
            let before = body.at - self.written;
            if count < before {
                break;
            }
            count -= before;
            self.written = body.at;
            let take = count.min(body.end - body.start);
            body.start += take;
            self.body_bytes -= take;
            count -= take;
            if body.start < body.end {
                break;
            }
            self.bodies.pop_front();
        }
        self.written += count;
        if self.is_empty() {
            self.reset();
        } else if self.written > 1 << 20 && self.written * 2 > self.buffer.len() {
            self.compact();
        }
    }

    fn reset(&mut self) {
        self.written = 0;
        self.buffer.clear();
        if self.buffer.capacity() > KEEP * 64 {
            self.buffer = Vec::new();
        }
        if self.bodies.capacity() > 64 {
            self.bodies = VecDeque::new();
        }
    }

    /// Gives the buffer back while nothing waits; called when the connection has been quiet.
    pub fn release(&mut self) {
        if self.is_empty() && self.buffer.capacity() > 0 {
            *self = Output::default();
        }
    }

    fn compact(&mut self) {
        self.buffer.drain(..self.written);
        for body in &mut self.bodies {
            body.at -= self.written;
        }
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(size: usize) -> Message {
        let header = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
        Message::new(b"\0\0", &header, &body, false, 0, &mut Vec::new())
    }

    proptest! {
        #[test]
        fn partial_writes_give_the_same_bytes(
            sizes in proptest::collection::vec(0usize..20_000, 1..6),
            steps in proptest::collection::vec(1usize..9000, 1..40),
        ) {
            let mut output = Output::default();
            let mut expected = Vec::new();
            for size in sizes {
                let message = message(size);
                output.content(1, &message, 8192);
                frame::write(&mut expected, frame::HEADER, 1, |out| out.extend(message.header()));
                for chunk in message.body().chunks(8184) {
                    frame::write(&mut expected, frame::BODY, 1, |out| out.extend(chunk));
                }
            }
            let mut got: Vec<u8> = Vec::new();
            let mut steps = steps.into_iter().cycle();
            while !output.is_empty() {
                let mut slices = Vec::new();
                output.slices(&mut slices, 4);
                let ready: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                let count = ready.len().min(steps.next().unwrap_or(1));
                got.extend(&ready[..count]);
                output.advance(count);
            }
            prop_assert_eq!(got, expected);
        }
    }
}
