//! As much of AMQP 0-9-1's wire format as a check needs.

/// Octet that ends a frame.
const FRAME_END: u8 = 0xCE;

/// Frame types.
const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// The connection's own channel, and the one that a check opens.
pub const CONNECTION: u16 = 0;
pub const CHANNEL: u16 = 1;

/// A method: its class and its number there.
pub type Id = (u16, u16);

/// The methods that a check says or hears.
pub mod id {
    use super::Id;

    pub const CONNECTION_START: Id = (10, 10);
    pub const CONNECTION_START_OK: Id = (10, 11);
    pub const CONNECTION_SECURE: Id = (10, 20);
    pub const CONNECTION_TUNE: Id = (10, 30);
    pub const CONNECTION_TUNE_OK: Id = (10, 31);
    pub const CONNECTION_OPEN: Id = (10, 40);
    pub const CONNECTION_OPEN_OK: Id = (10, 41);
    pub const CONNECTION_CLOSE: Id = (10, 50);
    pub const CONNECTION_CLOSE_OK: Id = (10, 51);
    pub const CONNECTION_BLOCKED: Id = (10, 60);
    pub const CHANNEL_OPEN: Id = (20, 10);
    pub const CHANNEL_OPEN_OK: Id = (20, 11);
    pub const BASIC_PUBLISH: Id = (60, 40);
}

/// Frames longer than this are refused: a check meets only small ones.
const FRAME_LIMIT: usize = 256 * 1024;

/// Nesting of tables that is still looked into.
const DEPTH_LIMIT: u8 = 4;

/// Fields of a table that are kept.
const FIELD_LIMIT: usize = 64;

/// A frame as it lies in the buffer.
#[derive(Debug)]
pub struct Frame<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// A method with its arguments.
#[derive(Debug)]
pub struct Method<'a> {
    /// Which one.
    pub id: Id,
    /// Everything behind.
    pub arguments: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame and its length; nothing while it is incomplete.
    ///
    /// # Errors
    /// The bytes are not a frame.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, ()> {
        if bytes.first().is_some_and(|kind| !matches!(kind, 1..=3 | 8)) {
            return Err(());
        }
        let Some(header) = bytes.get(..7) else {
            return Ok(None);
        };
        let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]) as usize;
        if size > FRAME_LIMIT {
            return Err(());
        }
        let Some(payload) = bytes.get(7..7 + size) else {
            return Ok(None);
        };
        match bytes.get(7 + size) {
            None => Ok(None),
            Some(&FRAME_END) => Ok(Some((
                Frame {
                    kind: header[0],
                    payload,
                },
                size + 8,
            ))),
            Some(_) => Err(()),
        }
    }

    /// The method in it, if it is a method frame.
    pub fn method(&self) -> Option<Method<'a>> {
        if self.kind != METHOD {
            return None;
        }
        let mut reader = Reader::new(self.payload);
        let id = (reader.u16()?, reader.u16()?);
        Some(Method {
            id,
            arguments: reader.rest,
        })
    }
}

/// Reads arguments from the front; nothing when they are cut short.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.rest.get(..count)?;
        self.rest = &self.rest[count..];
        Some(taken)
    }

    /// An octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// A short.
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// A long.
    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A short string.
    pub fn short_string(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A long string.
    pub fn long_string(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// The fields of a table that are strings.
    pub fn table(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        let mut table = Reader::new(self.long_string()?);
        while !table.rest.is_empty() && fields.len() < FIELD_LIMIT {
            let name = table.short_string()?;
            let kind = table.u8()?;
            if kind == b'S' {
                let value = table.long_string()?;
                fields.push((lossy(name), lossy(value)));
            } else {
                table.skip(kind, DEPTH_LIMIT)?;
            }
        }
        Some(fields)
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        let size = match kind {
            b't' | b'b' | b'B' => 1,
            b's' | b'u' | b'U' => 2,
            b'I' | b'i' | b'f' => 4,
            b'l' | b'L' | b'd' | b'T' => 8,
            b'D' => 5,
            b'V' => 0,
            b'S' | b'x' | b'F' => return self.long_string().map(drop),
            b'A' if depth > 0 => return self.long_string().map(drop),
            _ => return None,
        };
        self.take(size).map(drop)
    }
}

fn lossy(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// A short string as the wire has it; cut at 255 bytes.
pub fn short(text: &str) -> Vec<u8> {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    let mut out = vec![bytes.len() as u8];
    out.extend_from_slice(bytes);
    out
}

/// A method frame.
pub fn method_frame(channel: u16, (class, method): Id, arguments: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(arguments.len() + 4);
    payload.extend_from_slice(&class.to_be_bytes());
    payload.extend_from_slice(&method.to_be_bytes());
    payload.extend_from_slice(arguments);
    frame(METHOD, channel, &payload)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
    out
}

/// An empty message to a routing key that no queue has, on the check's channel.
pub fn publish_nowhere() -> Vec<u8> {
    let mut arguments = vec![0, 0];
    arguments.extend_from_slice(&short(""));
    arguments.extend_from_slice(&short("evenkeel.check.nowhere"));
    arguments.push(0);
    let mut out = method_frame(CHANNEL, id::BASIC_PUBLISH, &arguments);
    let mut header = id::BASIC_PUBLISH.0.to_be_bytes().to_vec();
    // no weight, no body, no properties
    header.extend_from_slice(&[0; 2 + 8 + 2]);
    out.extend_from_slice(&frame(HEADER, CHANNEL, &header));
    out
}

/// Client properties: who is asking, and that it understands
/// `connection.blocked` and a proper refusal of the log-in.
pub fn table_of_client() -> Vec<u8> {
    let mut capabilities = Vec::new();
    for name in ["connection.blocked", "authentication_failure_close"] {
        capabilities.extend_from_slice(&short(name));
        capabilities.extend_from_slice(&[b't', 1]);
    }
    let mut fields = Vec::new();
    for (name, value) in [("product", "Evenkeel"), ("connection_name", "health check")] {
        fields.extend_from_slice(&short(name));
        fields.push(b'S');
        fields.extend_from_slice(&(value.len() as u32).to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    fields.extend_from_slice(&short("capabilities"));
    fields.push(b'F');
    fields.extend_from_slice(&(capabilities.len() as u32).to_be_bytes());
    fields.extend_from_slice(&capabilities);
    let mut out = (fields.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&fields);
    out
}
