//! The digest of a binding's arguments that RabbitMQ puts into a properties key: Erlang's portable hash of the argument
//! list, so that a key noted down from a RabbitMQ names the same binding here.
//!
//! The list is one of `{Name, Type, Value}` terms, sorted by name; the hash runs over the terms from left to right and
//! mixes each into 32 bits of state (Bob Jenkins' mixing function, a constant of its own for each kind of term).

use crate::core::field::{FieldTable, FieldValue};

const GOLDEN: u32 = 0x9e37_79b9;
/// What ends a list, as the hash sees it.
const NIL: u32 = 2;
/// The hash of an empty list by itself.
const ONLY_NIL: u32 = 3_468_870_702;

/// The digest of `arguments`.
pub fn of(arguments: &FieldTable) -> u32 {
    let mut fields: Vec<_> = arguments.0.iter().collect();
    fields.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    let mut hash = TermHash(0);
    for (name, value) in fields {
        hash.field(name, value);
    }
    hash.nil();
    hash.0
}

/// The state of the hash.
struct TermHash(u32);

impl TermHash {
    fn field(&mut self, name: &str, value: &FieldValue) {
        self.tuple(3);
        self.binary(name.as_bytes());
        self.typed(value);
    }

    /// A value's type and the value itself.
    fn typed(&mut self, value: &FieldValue) {
        self.atom(value.type_name());
        match value {
            FieldValue::Bool(true) => self.atom("true"),
            FieldValue::Bool(false) => self.atom("false"),
            FieldValue::Void => self.atom("undefined"),
            FieldValue::I8(v) => self.integer((*v).into()),
            FieldValue::U8(v) => self.integer((*v).into()),
            FieldValue::I16(v) => self.integer((*v).into()),
            FieldValue::U16(v) => self.integer((*v).into()),
            FieldValue::I32(v) => self.integer((*v).into()),
            FieldValue::U32(v) => self.integer((*v).into()),
            FieldValue::I64(v) => self.integer((*v).into()),
            FieldValue::Timestamp(v) => self.integer((*v).into()),
            FieldValue::F32(v) => self.float((*v).into()),
            FieldValue::F64(v) => self.float(*v),
            FieldValue::Decimal { scale, value } => {
                self.tuple(2);
                self.integer((*scale).into());
                self.integer((*value).into());
            }
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => self.binary(bytes),
            FieldValue::Array(items) => {
                for item in items {
                    self.tuple(2);
                    self.typed(item);
                }
                self.nil();
            }
            FieldValue::Table(table) => {
                for (name, value) in &table.0 {
                    self.field(name, value);
                }
                self.nil();
            }
        }
    }

    fn tuple(&mut self, arity: u32) {
        self.mix(arity, 0, 9);
    }

    fn nil(&mut self) {
        match self.0 {
            0 => self.0 = ONLY_NIL,
            _ => self.mix(NIL, 0, 2),
        }
    }

    /// An atom of ASCII letters.
    fn atom(&mut self, name: &str) {
        let name = name.bytes().fold(0u32, |hash, letter| {
            let hash = (hash << 4).wrapping_add(letter.into());
            let high = hash & 0xf000_0000;
            hash ^ (high >> 24) ^ high
        });
        match self.0 {
            0 => self.0 = name,
            _ => self.mix(name, 0, 3),
        }
    }

    /// A number of up to 64 bits and a sign: those of 28 bits are hashed in another way.
    fn integer(&mut self, value: i128) {
        const SMALL: i128 = 1 << 27;
        if (-SMALL..SMALL).contains(&value) {
            if value < 0 {
                self.mix(-value as u32, 0, 1);
            }
            self.mix(value as u32, 0, 1);
        } else {
            let size = value.unsigned_abs();
            let sign = if value < 0 { 10 } else { 11 };
            self.mix(size as u32, (size >> 32) as u32, sign);
        }
    }

    fn float(&mut self, value: f64) {
        // both zeros are the same
        let bits = if value == 0.0 { 0 } else { value.to_bits() };
        self.mix((bits >> 32) as u32, bits as u32, 12);
    }

    fn binary(&mut self, bytes: &[u8]) {
        let state = GOLDEN.wrapping_mul(13).wrapping_add(self.0);
        self.0 = match bytes {
            [] => state,
            bytes => block(bytes, state),
        };
    }

    /// Two words into the state; `kind` tells kinds of terms apart.
    fn mix(&mut self, first: u32, second: u32, kind: u32) {
        let kind = GOLDEN.wrapping_mul(kind);
        let mut words = [kind.wrapping_add(first), kind.wrapping_add(second), self.0];
        mix(&mut words);
        self.0 = words[2];
    }
}

/// Bytes by twelves into `state`; the length takes the lowest byte of the last word.
fn block(bytes: &[u8], state: u32) -> u32 {
    let mut words = [GOLDEN, GOLDEN, state];
    let twelves = bytes.chunks_exact(12);
    let rest = twelves.remainder();
    for twelve in twelves {
        for (place, byte) in twelve.iter().enumerate() {
            add(&mut words, place, *byte);
        }
        mix(&mut words);
    }
    words[2] = words[2].wrapping_add(bytes.len() as u32);
    for (place, byte) in rest.iter().enumerate() {
        add(&mut words, if place < 8 { place } else { place + 1 }, *byte);
    }
    mix(&mut words);
    words[2]
}

fn add(words: &mut [u32; 3], place: usize, byte: u8) {
    let word = &mut words[place / 4];
    *word = word.wrapping_add(u32::from(byte) << (8 * (place % 4)));
}

/// Bob Jenkins' reversible mixing of three words (Dr. Dobb's Journal, 1997).
fn mix(words: &mut [u32; 3]) {
    let shifts = [(13, 8, 13), (12, 16, 5), (3, 10, 15)];
    let [mut a, mut b, mut c] = *words;
    for (first, second, third) in shifts {
        a = a.wrapping_sub(b).wrapping_sub(c) ^ (c >> first);
        b = b.wrapping_sub(c).wrapping_sub(a) ^ (a << second);
        c = c.wrapping_sub(a).wrapping_sub(b) ^ (b >> third);
    }
    *words = [a, b, c];
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn digest<const N: usize>(fields: [(&str, FieldValue); N]) -> String {
        URL_SAFE_NO_PAD.encode(of(&FieldTable::from(fields)).to_be_bytes())
    }

    #[test]
    fn digests_are_those_of_erlang() {
        use FieldValue::*;
        let s = |text: &str| FieldValue::string(text);
        // printed by `erlang:phash2` of OTP 25 over RabbitMQ's terms
        let inner = FieldTable::from([("q", s("w"))]);
        let table = FieldTable::from([("z", I32(1)), ("a", Table(inner))]);
        let expected = [
            (digest([("a", s("x"))]), "rIoqGg"),
            (digest([("x-match", s("all")), ("k", s("v"))]), "g-1wFg"),
            (digest([("b", Bool(true)), ("c", Bool(false))]), "nP07NA"),
            (digest([("i", I32(300))]), "beq9zw"),
            (digest([("i", I32(-5))]), "WPxiUQ"),
            (digest([("i", I64(134_217_727))]), "4cXZAg"),
            (digest([("i", I64(134_217_728))]), "wV3viQ"),
            (digest([("i", I64(-134_217_728))]), "yyytUw"),
            (digest([("i", I64(-134_217_729))]), "O-mgBg"),
            (digest([("i", I64(5_000_000_000))]), "B58eHw"),
            (digest([("i", I64(i64::MIN))]), "pkze6A"),
            (digest([("i", I64(i64::MAX))]), "vQF6xQ"),
            (digest([("t", Timestamp(u64::MAX))]), "a3b_PQ"),
            (digest([("f", F64(1.5))]), "fF0G0A"),
            (digest([("f", F64(-0.0))]), "wyka5A"),
            (digest([("f", F32(1.1))]), "V3U0Cg"),
            (digest([("n", Void)]), "LmSayA"),
            (
                digest([("l", Array(vec![s("a"), I32(1), Bool(true)]))]),
                "y684Kw",
            ),
            (digest([("l", Array(vec![]))]), "IL_SLw"),
            (digest([("t", Table(table))]), "na_vrA"),
            (digest([("t", Table(FieldTable::new()))]), "nUcNOQ"),
            (
                digest([(
                    "d",
                    Decimal {
                        scale: 1,
                        value: 15,
                    },
                )]),
                "ym6udg",
            ),
            (digest([("x", Bytes(vec![0, 1]))]), "aWmUgQ"),
            (digest([("", s(""))]), "3FY6nQ"),
            (digest([("b", I8(-5))]), "K73Dfw"),
            (digest([("B", U8(251))]), "j0hQFg"),
            (digest([("s", I16(-256))]), "uBUvIQ"),
            (digest([("u", U16(65_280))]), "Kh-eYQ"),
            (digest([("i", U32(4_278_190_080))]), "UODtKg"),
            (digest([("k", s(&"x".repeat(25)))]), "LLtqQw"),
            (digest([("é", s("ü"))]), "nrpYYg"),
        ];
        for (index, (found, expected)) in expected.iter().enumerate() {
            assert_eq!(found, expected, "number {index}");
        }
    }
}
