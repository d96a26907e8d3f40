//! One message: a single reference-counted buffer with the client's bytes untouched.
//!
//! `basic.publish` carries exchange and routing key as two short strings in a row, and so do `basic.deliver`,
//! `basic.get-ok` and `basic.return`; those bytes, the content header frame's payload and the body are kept as they
//! came and copied out as they are.
//!
//! ```text
//! header length u32 | route length u16 | flags u8 | priority u8 | route | header | body
//! ```

use std::sync::Arc;

const HEAD: usize = 8;
const PERSISTENT: u8 = 1;

/// A routed or routable message. Cloning shares the buffer.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Arc<[u8]>);

impl Message {
    /// Builds a message from its wire parts; `scratch` is a buffer to assemble in, reused from message to message.
    ///
    /// `route` is exchange and routing key as two short strings, `header` the payload of the content header frame.
    pub fn new(
        route: &[u8],
        header: &[u8],
        body: &[u8],
        persistent: bool,
        priority: u8,
        scratch: &mut Vec<u8>,
    ) -> Message {
        debug_assert!(route.len() >= 2 && route.len() <= 512);
        scratch.clear();
        scratch.extend((header.len() as u32).to_le_bytes());
        scratch.extend((route.len() as u16).to_le_bytes());
        scratch.push(if persistent { PERSISTENT } else { 0 });
        scratch.push(priority);
        scratch.extend_from_slice(route);
        scratch.extend_from_slice(header);
        scratch.extend_from_slice(body);
        Message(Arc::from(&scratch[..]))
    }

    /// The same message with another content header.
    pub fn with_header(&self, header: &[u8]) -> Message {
        Message::new(
            self.route(),
            header,
            self.body(),
            self.is_persistent(),
            self.priority(),
            &mut Vec::new(),
        )
    }

    /// The buffer as it stands, for a store to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes back what [`Message::as_bytes`] gave; `None` when the lengths inside do not fit.
    pub fn from_bytes(bytes: &[u8]) -> Option<Message> {
        let head = bytes.get(..HEAD)?;
        let header = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
        let route = u16::from_le_bytes(head[4..6].try_into().ok()?) as usize;
        let strings = bytes.get(HEAD..HEAD + route)?;
        let exchange = *strings.first()? as usize;
        let key = *strings.get(1 + exchange)? as usize;
        if 2 + exchange + key != route || header < 14 || bytes.len() < HEAD + route + header {
            return None;
        }
        Some(Message(Arc::from(bytes)))
    }

    fn header_length(&self) -> usize {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]) as usize
    }

    fn route_length(&self) -> usize {
        u16::from_le_bytes([self.0[4], self.0[5]]) as usize
    }

    /// Exchange and routing key as two short strings in a row.
    pub fn route(&self) -> &[u8] {
        &self.0[HEAD..HEAD + self.route_length()]
    }

    /// The exchange that it was published to.
    pub fn exchange(&self) -> &[u8] {
        let route = self.route();
        &route[1..1 + route[0] as usize]
    }

    pub fn routing_key(&self) -> &[u8] {
        let route = self.route();
        &route[2 + route[0] as usize..]
    }

    /// The content header frame's payload: class, weight, body size, property flags and properties.
    pub fn header(&self) -> &[u8] {
        let start = HEAD + self.route_length();
        &self.0[start..start + self.header_length()]
    }

    pub fn body(&self) -> &[u8] {
        &self.0[HEAD + self.route_length() + self.header_length()..]
    }

    /// Whether delivery-mode is 2.
    pub fn is_persistent(&self) -> bool {
        self.0[6] & PERSISTENT != 0
    }

    /// The priority property; 0 when there is none.
    pub fn priority(&self) -> u8 {
        self.0[7]
    }

    /// Bytes of the body: what RabbitMQ counts as a message's size.
    pub fn size(&self) -> usize {
        self.body().len()
    }

    /// Bytes that it occupies in memory.
    pub fn footprint(&self) -> usize {
        self.0.len() + 16
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &String::from_utf8_lossy(self.exchange()))
            .field("routing_key", &String::from_utf8_lossy(self.routing_key()))
            .field("size", &self.size())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_back_its_parts() {
        let mut header = vec![0, 60, 0, 0];
        header.extend(5u64.to_be_bytes());
        header.extend([0, 0]);
        let message = Message::new(
            b"\x02ex\x03key",
            &header,
            b"hello",
            true,
            7,
            &mut Vec::new(),
        );
        assert_eq!(message.exchange(), b"ex");
        assert_eq!(message.routing_key(), b"key");
        assert_eq!(message.header(), &header[..]);
        assert_eq!(message.body(), b"hello");
        assert!(message.is_persistent());
        assert_eq!(message.priority(), 7);
        assert_eq!(Message::from_bytes(message.as_bytes()), Some(message));
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        for length in 0..40 {
            let _ = Message::from_bytes(&vec![255; length]);
            assert_eq!(Message::from_bytes(&vec![0; length]), None);
        }
    }
}
