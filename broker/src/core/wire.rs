//! AMQP's elementary types on the wire: what the generated methods are made of.

use super::field::{FieldError, FieldTable};

/// How the methods begin that are written or read by hand: class and number.
pub mod begin {
    pub const BASIC_PUBLISH: [u8; 4] = [0, 60, 0, 40];
    pub const BASIC_RETURN: [u8; 4] = [0, 60, 0, 50];
    pub const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];
    pub const BASIC_GET_OK: [u8; 4] = [0, 60, 0, 71];
    pub const BASIC_ACK: [u8; 4] = [0, 60, 0, 80];
    /// A content header of the class: no weight.
    pub const BASIC_HEADER: [u8; 4] = [0, 60, 0, 0];
}

/// Why bytes are not a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The bytes end before the arguments do.
    Short,
    /// Bytes are left behind the arguments.
    Long,
    /// A short string is not UTF-8.
    NotText,
    UnknownMethod {
        class: u16,
        method: u16,
    },
    Field(FieldError),
}

impl From<FieldError> for WireError {
    fn from(error: FieldError) -> WireError {
        WireError::Field(error)
    }
}

/// Takes values off the front of a payload.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader(payload)
    }

    /// What has not been taken.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (front, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*front)
    }

    pub fn octet(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn short(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn long(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn longlong(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn timestamp(&mut self) -> Result<u64, WireError> {
        self.longlong()
    }

    /// A short string's bytes, whatever they are.
    pub fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.octet()?;
        self.take(length.into())
    }

    pub fn shortstr(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| WireError::NotText)
    }

    pub fn longstr(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.long()?;
        self.take(length as usize)
    }

    pub fn table(&mut self) -> Result<FieldTable, WireError> {
        Ok(FieldTable::decode(&mut self.0)?)
    }
}

pub fn octet(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

pub fn short(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn long(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn longlong(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn timestamp(out: &mut Vec<u8>, value: u64) {
    longlong(out, value);
}

/// A short string, cut to the 255 bytes that it may have.
pub fn shortstr(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.push(end as u8);
    out.extend_from_slice(&text.as_bytes()[..end]);
}

pub fn longstr(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

pub fn table(out: &mut Vec<u8>, table: &FieldTable) {
    table.encode(out);
}

/// Up to eight consecutive bits in one octet, the first in the lowest place.
pub fn bits(out: &mut Vec<u8>, bits: &[bool]) {
    let octet = |bits: &[bool]| {
        bits.iter()
            .rev()
            .fold(0, |octet, bit| octet << 1 | u8::from(*bit))
    };
    out.extend(bits.chunks(8).map(octet));
}
