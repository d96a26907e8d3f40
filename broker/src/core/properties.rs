//! The content header: body size and the 14 properties, read in place.

use super::field::FieldTable;
use super::wire::{self, Reader, WireError};

/// The properties' flags, in wire order from the highest bit.
pub mod flag {
    pub const CONTENT_TYPE: u16 = 1 << 15;
    pub const CONTENT_ENCODING: u16 = 1 << 14;
    pub const HEADERS: u16 = 1 << 13;
    pub const DELIVERY_MODE: u16 = 1 << 12;
    pub const PRIORITY: u16 = 1 << 11;
    pub const CORRELATION_ID: u16 = 1 << 10;
    pub const REPLY_TO: u16 = 1 << 9;
    pub const EXPIRATION: u16 = 1 << 8;
    pub const MESSAGE_ID: u16 = 1 << 7;
    pub const TIMESTAMP: u16 = 1 << 6;
    pub const TYPE: u16 = 1 << 5;
    pub const USER_ID: u16 = 1 << 4;
    pub const APP_ID: u16 = 1 << 3;
    pub const CLUSTER_ID: u16 = 1 << 2;
}

/// Bytes before the properties: class, weight, body size, flags.
pub const FIXED: usize = 14;

/// What the publish path needs of a content header without decoding the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    pub body_size: u64,
    pub flags: u16,
    pub persistent: bool,
    /// A delivery mode that is neither 1 nor 2.
    pub strange_mode: Option<u8>,
    pub priority: u8,
}

/// Reads the fixed part, delivery mode and priority.
pub fn glance(header: &[u8]) -> Result<Glance, WireError> {
    let fixed = header.first_chunk::<FIXED>().ok_or(WireError::Short)?;
    let body_size = u64::from_be_bytes([
        fixed[4], fixed[5], fixed[6], fixed[7], fixed[8], fixed[9], fixed[10], fixed[11],
    ]);
    let flags = u16::from_be_bytes([fixed[12], fixed[13]]);
    let mut glance = Glance {
        body_size,
        flags,
        persistent: false,
        strange_mode: None,
        priority: 0,
    };
    if flags & (flag::DELIVERY_MODE | flag::PRIORITY) == 0 {
        return Ok(glance);
    }
    let mut input = Reader::new(&header[FIXED..]);
    if flags & flag::CONTENT_TYPE != 0 {
        input.short_bytes()?;
    }
    if flags & flag::CONTENT_ENCODING != 0 {
        input.short_bytes()?;
    }
    if flags & flag::HEADERS != 0 {
        input.longstr()?;
    }
    if flags & flag::DELIVERY_MODE != 0 {
        let mode = input.octet()?;
        glance.persistent = mode == 2;
        glance.strange_mode = (!matches!(mode, 1 | 2)).then_some(mode);
    }
    if flags & flag::PRIORITY != 0 {
        glance.priority = input.octet()?;
    }
    Ok(glance)
}

/// The properties, borrowing from the header frame. The headers table stays undecoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties<'a> {
    pub content_type: Option<&'a [u8]>,
    pub content_encoding: Option<&'a [u8]>,
    /// The table's bytes behind its length.
    pub headers: Option<&'a [u8]>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<&'a [u8]>,
    pub reply_to: Option<&'a [u8]>,
    pub expiration: Option<&'a [u8]>,
    pub message_id: Option<&'a [u8]>,
    pub timestamp: Option<u64>,
    pub kind: Option<&'a [u8]>,
    pub user_id: Option<&'a [u8]>,
    pub app_id: Option<&'a [u8]>,
    pub cluster_id: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Decodes a content header frame's payload.
    pub fn decode(header: &'a [u8]) -> Result<Properties<'a>, WireError> {
        let flags = glance(header)?.flags;
        let mut input = Reader::new(&header[FIXED..]);
        let has = |bit: u16| flags & bit != 0;
        let text =
            |bit: u16, input: &mut Reader<'a>| has(bit).then(|| input.short_bytes()).transpose();
        Ok(Properties {
            content_type: text(flag::CONTENT_TYPE, &mut input)?,
            content_encoding: text(flag::CONTENT_ENCODING, &mut input)?,
            headers: has(flag::HEADERS).then(|| input.longstr()).transpose()?,
            delivery_mode: has(flag::DELIVERY_MODE)
                .then(|| input.octet())
                .transpose()?,
            priority: has(flag::PRIORITY).then(|| input.octet()).transpose()?,
            correlation_id: text(flag::CORRELATION_ID, &mut input)?,
            reply_to: text(flag::REPLY_TO, &mut input)?,
            expiration: text(flag::EXPIRATION, &mut input)?,
            message_id: text(flag::MESSAGE_ID, &mut input)?,
            timestamp: has(flag::TIMESTAMP)
                .then(|| input.timestamp())
                .transpose()?,
            kind: text(flag::TYPE, &mut input)?,
            user_id: text(flag::USER_ID, &mut input)?,
            app_id: text(flag::APP_ID, &mut input)?,
            cluster_id: text(flag::CLUSTER_ID, &mut input)?,
        })
    }

    /// The headers, decoded; empty when there are none or they cannot be decoded.
    pub fn header_table(&self) -> FieldTable {
        self.headers.map(table_of).unwrap_or_default()
    }

    /// A content header frame's payload with these properties.
    pub fn encode(&self, body_size: u64) -> Vec<u8> {
        let mut out = wire::begin::BASIC_HEADER.to_vec();
        wire::longlong(&mut out, body_size);
        wire::short(&mut out, self.flags());
        let short = |out: &mut Vec<u8>, text: Option<&[u8]>| {
            if let Some(text) = text {
                let text = &text[..text.len().min(255)];
                out.push(text.len() as u8);
                out.extend_from_slice(text);
            }
        };
        short(&mut out, self.content_type);
        short(&mut out, self.content_encoding);
        if let Some(headers) = self.headers {
            wire::longstr(&mut out, headers);
        }
        out.extend(self.delivery_mode);
        out.extend(self.priority);
        short(&mut out, self.correlation_id);
        short(&mut out, self.reply_to);
        short(&mut out, self.expiration);
        short(&mut out, self.message_id);
        out.extend(self.timestamp.into_iter().flat_map(u64::to_be_bytes));
        short(&mut out, self.kind);
        short(&mut out, self.user_id);
        short(&mut out, self.app_id);
        short(&mut out, self.cluster_id);
        out
    }

    fn flags(&self) -> u16 {
        let bit = |there: bool, bit: u16| if there { bit } else { 0 };
        bit(self.content_type.is_some(), flag::CONTENT_TYPE)
            | bit(self.content_encoding.is_some(), flag::CONTENT_ENCODING)
            | bit(self.headers.is_some(), flag::HEADERS)
            | bit(self.delivery_mode.is_some(), flag::DELIVERY_MODE)
            | bit(self.priority.is_some(), flag::PRIORITY)
            | bit(self.correlation_id.is_some(), flag::CORRELATION_ID)
            | bit(self.reply_to.is_some(), flag::REPLY_TO)
            | bit(self.expiration.is_some(), flag::EXPIRATION)
            | bit(self.message_id.is_some(), flag::MESSAGE_ID)
            | bit(self.timestamp.is_some(), flag::TIMESTAMP)
            | bit(self.kind.is_some(), flag::TYPE)
            | bit(self.user_id.is_some(), flag::USER_ID)
            | bit(self.app_id.is_some(), flag::APP_ID)
            | bit(self.cluster_id.is_some(), flag::CLUSTER_ID)
    }
}

/// Decodes a table whose length prefix has been taken off.
pub fn table_of(bytes: &[u8]) -> FieldTable {
    let mut whole = Vec::with_capacity(bytes.len() + 4);
    wire::longstr(&mut whole, bytes);
    FieldTable::decode(&mut &whole[..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn properties_decode_to_what_was_encoded(
            texts in proptest::collection::vec(proptest::option::of("[a-z]{0,20}"), 11),
            mode in proptest::option::of(1u8..3), priority: Option<u8>, timestamp: Option<u64>, size: u64,
        ) {
            let text = |n: usize| texts[n].as_deref().map(str::as_bytes);
            let properties = Properties {
                content_type: text(0), content_encoding: text(1), headers: text(2), delivery_mode: mode, priority,
                correlation_id: text(3), reply_to: text(4), expiration: text(5), message_id: text(6), timestamp,
                kind: text(7), user_id: text(8), app_id: text(9), cluster_id: text(10),
            };
            let bytes = properties.encode(size);
            let seen = glance(&bytes).unwrap();
            prop_assert_eq!(seen.body_size, size);
            prop_assert_eq!(seen.persistent, mode == Some(2));
            prop_assert_eq!(seen.priority, priority.unwrap_or(0));
            prop_assert_eq!(Properties::decode(&bytes), Ok(properties));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (glance(&bytes), Properties::decode(&bytes));
        }
    }
}
