//! Field tables: AMQP's typed maps, as they appear in arguments, headers and client properties.
//!
//! The tags are RabbitMQ's set, which differs from the AMQP document in a few letters. Decoding is strict about
//! lengths and bounded in depth; it never panics whatever the bytes.

use serde::{Deserialize, Serialize};

/// How deep tables and arrays may nest before the bytes are refused.
pub const MAX_DEPTH: usize = 64;

/// A value in a [`FieldTable`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FieldValue {
    Bool(bool),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    F32(f32),
    F64(f64),
    Decimal { scale: u8, value: i32 },
    LongString(Vec<u8>),
    Bytes(Vec<u8>),
    Array(Vec<FieldValue>),
    Timestamp(u64),
    Table(FieldTable),
    Void,
}

/// An ordered list of named values. Names may repeat on the wire; [`FieldTable::get`] answers the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldTable(pub Vec<(String, FieldValue)>);

/// A number in a field, for comparison.
enum Number {
    Whole(i128),
    Fraction(f64),
}

/// Why bytes are not a field table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// The bytes end before the value does.
    Short,
    /// No value type has this tag.
    UnknownTag(u8),
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A name or table is too long for its length prefix.
    TooLong,
}

impl FieldValue {
    pub fn string(text: impl Into<String>) -> FieldValue {
        FieldValue::LongString(text.into().into_bytes())
    }

    /// The value as an integer, whatever its width.
    pub fn as_integer(&self) -> Option<i64> {
        Some(match *self {
            FieldValue::I8(v) => v.into(),
            FieldValue::U8(v) => v.into(),
            FieldValue::I16(v) => v.into(),
            FieldValue::U16(v) => v.into(),
            FieldValue::I32(v) => v.into(),
            FieldValue::U32(v) => v.into(),
            FieldValue::I64(v) => v,
            _ => return None,
        })
    }

    /// The value as a number, whatever its type: a decimal is none.
    fn as_number(&self) -> Option<Number> {
        Some(match *self {
            FieldValue::F32(v) => Number::Fraction(v.into()),
            FieldValue::F64(v) => Number::Fraction(v),
            FieldValue::Timestamp(v) => Number::Whole(v.into()),
            _ => Number::Whole(self.as_integer()?.into()),
        })
    }

    /// Whether both mean the same: numbers compare by value, all else by type and value.
    pub fn means(&self, other: &FieldValue) -> bool {
        match (self.as_number(), other.as_number()) {
            (Some(Number::Whole(a)), Some(Number::Whole(b))) => a == b,
            (Some(Number::Fraction(a)), Some(Number::Fraction(b))) => a == b,
            (Some(Number::Whole(whole)), Some(Number::Fraction(part)))
            | (Some(Number::Fraction(part)), Some(Number::Whole(whole))) => whole as f64 == part,
            _ => self == other,
        }
    }

    /// The value as Erlang prints it, in which form RabbitMQ's error texts have it; text stands for itself.
    pub fn printed(&self) -> String {
        match self {
            FieldValue::LongString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            FieldValue::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| format!("{{{},{}}}", item.type_name(), item.term()));
                format!("[{}]", items.collect::<Vec<_>>().join(","))
            }
            FieldValue::Table(table) => {
                let fields = table.0.iter().map(|(name, value)| {
                    format!("{{<<\"{name}\">>,{},{}}}", value.type_name(), value.term())
                });
                format!("[{}]", fields.collect::<Vec<_>>().join(","))
            }
            other => other.term(),
        }
    }

    fn term(&self) -> String {
        match self {
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => super::frame::octets(bytes),
            FieldValue::Array(_) | FieldValue::Table(_) => self.printed(),
            FieldValue::Bool(value) => value.to_string(),
            FieldValue::F32(value) => format!("{value:?}"),
            FieldValue::F64(value) => format!("{value:?}"),
            FieldValue::Timestamp(value) => value.to_string(),
            FieldValue::Decimal { scale, value } => format!("{{{scale},{value}}}"),
            FieldValue::Void => "undefined".to_owned(),
            other => other.as_integer().unwrap_or(0).to_string(),
        }
    }

    /// The value as text, when it is a long string of valid UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            FieldValue::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            FieldValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// RabbitMQ's name for the type, as its error texts print it.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldValue::Bool(_) => "bool",
            FieldValue::I8(_) => "byte",
            FieldValue::U8(_) => "unsignedbyte",
            FieldValue::I16(_) => "short",
            FieldValue::U16(_) => "unsignedshort",
            FieldValue::I32(_) => "signedint",
            FieldValue::U32(_) => "unsignedint",
            FieldValue::I64(_) => "long",
            FieldValue::F32(_) => "float",
            FieldValue::F64(_) => "double",
            FieldValue::Decimal { .. } => "decimal",
            FieldValue::LongString(_) => "longstr",
            FieldValue::Bytes(_) => "binary",
            FieldValue::Array(_) => "array",
            FieldValue::Timestamp(_) => "timestamp",
            FieldValue::Table(_) => "table",
            FieldValue::Void => "void",
        }
    }

    /// Appends tag and value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FieldValue::Bool(v) => out.extend([b't', u8::from(*v)]),
            FieldValue::I8(v) => tagged(out, b'b', &v.to_be_bytes()),
            FieldValue::U8(v) => tagged(out, b'B', &[*v]),
            FieldValue::I16(v) => tagged(out, b's', &v.to_be_bytes()),
            FieldValue::U16(v) => tagged(out, b'u', &v.to_be_bytes()),
            FieldValue::I32(v) => tagged(out, b'I', &v.to_be_bytes()),
            FieldValue::U32(v) => tagged(out, b'i', &v.to_be_bytes()),
            FieldValue::I64(v) => tagged(out, b'l', &v.to_be_bytes()),
            FieldValue::F32(v) => tagged(out, b'f', &v.to_be_bytes()),
            FieldValue::F64(v) => tagged(out, b'd', &v.to_be_bytes()),
            FieldValue::Decimal { scale, value } => {
                out.extend([b'D', *scale]);
                out.extend(value.to_be_bytes());
            }
            FieldValue::LongString(bytes) => long(out, b'S', bytes),
            FieldValue::Bytes(bytes) => long(out, b'x', bytes),
            FieldValue::Array(items) => {
                out.push(b'A');
                sized(out, |out| items.iter().for_each(|item| item.encode(out)));
            }
            FieldValue::Timestamp(v) => tagged(out, b'T', &v.to_be_bytes()),
            FieldValue::Table(table) => {
                out.push(b'F');
                table.encode(out);
            }
            FieldValue::Void => out.push(b'V'),
        }
    }

    fn decode(input: &mut &[u8], depth: usize) -> Result<FieldValue, FieldError> {
        let tag = take(input, 1)?[0];
        Ok(match tag {
            b't' => FieldValue::Bool(take(input, 1)?[0] != 0),
            b'b' => FieldValue::I8(i8::from_be_bytes(array(input)?)),
            b'B' => FieldValue::U8(take(input, 1)?[0]),
            b's' => FieldValue::I16(i16::from_be_bytes(array(input)?)),
            b'u' => FieldValue::U16(u16::from_be_bytes(array(input)?)),
            b'I' => FieldValue::I32(i32::from_be_bytes(array(input)?)),
            b'i' => FieldValue::U32(u32::from_be_bytes(array(input)?)),
            b'l' | b'L' => FieldValue::I64(i64::from_be_bytes(array(input)?)),
            b'f' => FieldValue::F32(f32::from_be_bytes(array(input)?)),
            b'd' => FieldValue::F64(f64::from_be_bytes(array(input)?)),
            b'D' => {
                let scale = take(input, 1)?[0];
                FieldValue::Decimal {
                    scale,
                    value: i32::from_be_bytes(array(input)?),
                }
            }
            b'S' => FieldValue::LongString(long_bytes(input)?.to_vec()),
            b'x' => FieldValue::Bytes(long_bytes(input)?.to_vec()),
            b'A' => {
                let mut inner = long_bytes(input)?;
                let depth = deeper(depth)?;
                let mut items = Vec::new();
                while !inner.is_empty() {
                    items.push(FieldValue::decode(&mut inner, depth)?);
                }
                FieldValue::Array(items)
            }
            b'T' => FieldValue::Timestamp(u64::from_be_bytes(array(input)?)),
            b'F' => FieldValue::Table(FieldTable::decode_at(input, deeper(depth)?)?),
            b'V' => FieldValue::Void,
            other => return Err(FieldError::UnknownTag(other)),
        })
    }
}

impl FieldTable {
    pub fn new() -> FieldTable {
        FieldTable::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Sets `name`, in place when it is there, at the end otherwise.
    pub fn set(&mut self, name: &str, value: FieldValue) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(index).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &FieldValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Appends the table with its length prefix. Names longer than 255 bytes are cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        sized(out, |out| {
            for (name, value) in &self.0 {
                let name = &name.as_bytes()[..name.len().min(255)];
                out.push(name.len() as u8);
                out.extend_from_slice(name);
                value.encode(out);
            }
        });
    }

    /// The table's wire bytes: also a canonical key for comparing argument tables.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Takes a length-prefixed table off the front of `input`.
    pub fn decode(input: &mut &[u8]) -> Result<FieldTable, FieldError> {
        FieldTable::decode_at(input, 0)
    }

    fn decode_at(input: &mut &[u8], depth: usize) -> Result<FieldTable, FieldError> {
        let mut inner = long_bytes(input)?;
        let mut fields = Vec::new();
        while !inner.is_empty() {
            let length = take(&mut inner, 1)?[0] as usize;
            let name = String::from_utf8_lossy(take(&mut inner, length)?).into_owned();
            fields.push((name, FieldValue::decode(&mut inner, depth)?));
        }
        Ok(FieldTable(fields))
    }
}

impl<'n> FromIterator<(&'n str, FieldValue)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (&'n str, FieldValue)>>(pairs: I) -> FieldTable {
        let owned = |(name, value): (&str, FieldValue)| (name.to_owned(), value);
        FieldTable(pairs.into_iter().map(owned).collect())
    }
}

impl<const N: usize> From<[(&str, FieldValue); N]> for FieldTable {
    fn from(fields: [(&str, FieldValue); N]) -> FieldTable {
        fields.into_iter().collect()
    }
}

/// Walks over a table whose length prefix has been taken off, as decoding would, without keeping anything.
pub fn check(table: &[u8]) -> Result<(), FieldError> {
    check_fields(table, 0)
}

fn check_fields(mut input: &[u8], depth: usize) -> Result<(), FieldError> {
    while !input.is_empty() {
        let length = take(&mut input, 1)?[0] as usize;
        take(&mut input, length)?;
        check_value(&mut input, depth)?;
    }
    Ok(())
}

fn check_value(input: &mut &[u8], depth: usize) -> Result<(), FieldError> {
    let size = match take(input, 1)?[0] {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => return long_bytes(input).map(drop),
        b'F' => return check_fields(long_bytes(input)?, deeper(depth)?),
        b'A' => {
            let mut inner = long_bytes(input)?;
            let depth = deeper(depth)?;
            while !inner.is_empty() {
                check_value(&mut inner, depth)?;
            }
            return Ok(());
        }
        other => return Err(FieldError::UnknownTag(other)),
    };
    take(input, size).map(drop)
}

fn deeper(depth: usize) -> Result<usize, FieldError> {
    if depth >= MAX_DEPTH {
        Err(FieldError::TooDeep)
    } else {
        Ok(depth + 1)
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn long(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Writes a four byte length, then what `fill` appends.
fn sized(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    fill(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], FieldError> {
    let (front, rest) = input.split_at_checked(count).ok_or(FieldError::Short)?;
    *input = rest;
    Ok(front)
}

fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], FieldError> {
    let (front, rest) = input.split_first_chunk::<N>().ok_or(FieldError::Short)?;
    *input = rest;
    Ok(*front)
}

fn long_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], FieldError> {
    let length = u32::from_be_bytes(array(input)?) as usize;
    take(input, length)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_value() -> impl Strategy<Value = FieldValue> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(FieldValue::Bool),
            any::<i8>().prop_map(FieldValue::I8),
            any::<u8>().prop_map(FieldValue::U8),
            any::<i16>().prop_map(FieldValue::I16),
            any::<u16>().prop_map(FieldValue::U16),
            any::<i32>().prop_map(FieldValue::I32),
            any::<u32>().prop_map(FieldValue::U32),
            any::<i64>().prop_map(FieldValue::I64),
            (-1e6f32..1e6).prop_map(FieldValue::F32),
            (-1e9f64..1e9).prop_map(FieldValue::F64),
            (any::<u8>(), any::<i32>())
                .prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::LongString),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::Bytes),
            any::<u64>().prop_map(FieldValue::Timestamp),
            Just(FieldValue::Void),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(FieldValue::Array),
                proptest::collection::vec(("[a-z-]{0,12}", inner), 0..5)
                    .prop_map(|fields| FieldValue::Table(FieldTable(fields))),
            ]
        })
    }

    pub(crate) fn any_table() -> impl Strategy<Value = FieldTable> {
        proptest::collection::vec(("[a-z-]{0,12}", any_value()), 0..6).prop_map(FieldTable)
    }

    proptest! {
        #[test]
        fn a_table_decodes_to_what_was_encoded(table in any_table()) {
            let bytes = table.to_bytes();
            let mut input = &bytes[..];
            prop_assert_eq!(FieldTable::decode(&mut input), Ok(table));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_are_refused_and_the_check_agrees(
            table in any_table(), place: usize, byte: u8, bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut damaged = table.to_bytes();
            let place = place % damaged.len();
            damaged[place] = byte;
            for bytes in [&damaged[..], &bytes[..]] {
                let decoded = FieldTable::decode(&mut &bytes[..]).map(drop);
                let checked = long_bytes(&mut &bytes[..]).and_then(check);
                prop_assert_eq!(decoded, checked);
            }
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let mut table = FieldTable::new();
        for _ in 0..200 {
            table = FieldTable::from([("t", FieldValue::Table(table))]);
        }
        assert_eq!(
            FieldTable::decode(&mut &table.to_bytes()[..]),
            Err(FieldError::TooDeep)
        );
    }
}
