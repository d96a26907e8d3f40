//! Frames: seven bytes of head, the payload, one end octet.

use super::refusal::{Code, Refusal};

/// Kind of frames that carry a method.
pub const METHOD: u8 = 1;
/// Kind of frames that carry the header of a content.
pub const HEADER: u8 = 2;
/// Kind of frames that carry a piece of a body.
pub const BODY: u8 = 3;
/// Kind of frames that carry nothing.
pub const HEARTBEAT: u8 = 8;
/// The octet that ends each frame.
pub const END: u8 = 0xce;
/// Bytes of a frame that are not payload.
pub const OVERHEAD: usize = 8;
/// Frames up to this size are accepted whatever was negotiated.
pub const MIN_FRAME_MAX: u32 = 4096;
/// Bytes by which a payload may exceed the limit: some clients do not count what frames it.
const SLACK: u32 = OVERHEAD as u32;
/// A heartbeat, ready to send.
pub const HEARTBEAT_FRAME: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, END];

/// A frame as it came; its end octet was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub channel: u16,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that the frame takes on the wire.
    pub fn length(&self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

/// Looks for a frame at the front of `input`; `None` until it is all there. `frame_max` 0 means no limit.
pub fn parse(input: &[u8], frame_max: u32) -> Result<Option<Frame<'_>>, Refusal> {
    let Some(head) = input.first_chunk::<7>() else {
        return Ok(None);
    };
    let kind = head[0];
    let channel = u16::from_be_bytes([head[1], head[2]]);
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let limit = if frame_max == 0 {
        u32::MAX
    } else {
        frame_max.max(MIN_FRAME_MAX)
    } - OVERHEAD as u32;
    if size > limit.saturating_add(SLACK) {
        let reason = format!("{{frame_too_large,{size},{limit}}}");
        return Err(frame_error(kind, &[], &reason));
    }
    let size = size as usize;
    let Some(end) = input.get(7 + size) else {
        return Ok(None);
    };
    let payload = &input[7..7 + size];
    if *end != END {
        return Err(frame_error(
            kind,
            payload,
            &format!("{{invalid_frame_end_marker,{end}}}"),
        ));
    }
    Ok(Some(Frame {
        kind,
        channel,
        payload,
    }))
}

/// 501 with the frame's kind and first octets, in the shape that operators know.
pub fn frame_error(kind: u8, payload: &[u8], reason: &str) -> Refusal {
    Refusal::new(
        Code::FrameError,
        format!("{}: {reason}", describe(kind, payload)),
    )
}

/// A frame's kind and first octets.
pub fn describe(kind: u8, payload: &[u8]) -> String {
    let (label, shown) = match payload {
        _ if payload.len() > 16 => ("first 16 octets", &payload[..16]),
        _ => ("all octets", payload),
    };
    format!("type {kind}, {label} = {}", octets(shown))
}

/// Octets as Erlang prints a binary.
pub fn octets(bytes: &[u8]) -> String {
    if !bytes.is_empty() && bytes.iter().all(|b| (0x20..0x7f).contains(b)) {
        return format!("<<\"{}\">>", String::from_utf8_lossy(bytes));
    }
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

/// Appends a frame whose payload `fill` writes.
pub fn write(out: &mut Vec<u8>, kind: u8, channel: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let channel = channel.to_be_bytes();
    out.extend_from_slice(&[kind, channel[0], channel[1], 0, 0, 0, 0]);
    fill(out);
    let size = (out.len() - start - 7) as u32;
    out[start + 3..start + 7].copy_from_slice(&size.to_be_bytes());
    out.push(END);
}

/// Appends a frame's head.
pub fn head(out: &mut Vec<u8>, kind: u8, channel: u16, size: usize) {
    let channel = channel.to_be_bytes();
    let size = (size as u32).to_be_bytes();
    out.extend_from_slice(&[
        kind, channel[0], channel[1], size[0], size[1], size[2], size[3],
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_is_found_only_when_complete(
            kind in 1u8..9, channel: u16, payload in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400,
        ) {
            let mut bytes = Vec::new();
            write(&mut bytes, kind, channel, |out| out.extend(&payload));
            let frame = Frame { kind, channel, payload: &payload };
            prop_assert_eq!(parse(&bytes, 131_072), Ok(Some(frame)));
            let cut = cut.min(bytes.len() - 1);
            prop_assert_eq!(parse(&bytes[..cut], 131_072), Ok(None));
        }

        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes, 4096);
        }
    }

    #[test]
    fn the_refusals_read_as_operators_know_them() {
        let refused = parse(&[3, 0, 1, 0, 3, 13, 64], 131_072).unwrap_err();
        assert_eq!(
            refused.reply_text(),
            "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}"
        );
        let refused = parse(&[1, 0, 0, 0, 0, 0, 2, 0, 10, 0], 131_072).unwrap_err();
        assert_eq!(
            refused.reply_text(),
            "FRAME_ERROR - type 1, all octets = <<0,10>>: {invalid_frame_end_marker,0}"
        );
    }
}
