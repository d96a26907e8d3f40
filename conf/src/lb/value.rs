//! Times, sizes and numbers as the balancer's language writes them.

use super::model::ByteSize;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use std::time::Duration;

/// Longest time the language knows: 2^31 - 1 ms, about 24.8 days.
const MAX_MS: u64 = i32::MAX as u64;

/// What a bare number counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds: nearly everywhere.
    Millis,
    /// Seconds: `stats refresh`, `clitcpka-idle`.
    Seconds,
}

/// Why a word is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// This character, at this offset, has no business there.
    Unexpected(char, usize),
    /// Longer than 2147483647 ms.
    Overflow,
}

/// Reads `500`, `5s`, `2h`; times below a millisecond round up.
pub fn time(text: &str, unit: Unit) -> Result<Duration, TimeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    if digits == 0 {
        let found = suffix.chars().next().unwrap_or('\0');
        return Err(TimeError::Unexpected(found, 0));
    }
    let micros_each: u64 = match suffix {
        "" if unit == Unit::Millis => 1_000,
        "" => 1_000_000,
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(junk(suffix, digits)),
    };
    let number: u64 = number.parse().map_err(|_| TimeError::Overflow)?;
    let micros = number.checked_mul(micros_each).ok_or(TimeError::Overflow)?;
    let millis = micros.div_ceil(1000);
    if millis > MAX_MS {
        return Err(TimeError::Overflow);
    }
    Ok(Duration::from_millis(millis))
}

fn junk(suffix: &str, digits: usize) -> TimeError {
    let known = ["us", "ms", "s", "m", "h", "d"]
        .iter()
        .filter(|u| suffix.starts_with(**u))
        .map(|u| u.len())
        .max()
        .unwrap_or(0);
    let found = suffix[known..].chars().next().unwrap_or('\0');
    TimeError::Unexpected(found, digits + known)
}

/// Reads `16384`, `16k`, `2m`, `1g`.
pub fn size(text: &str) -> Option<ByteSize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    let bytes = number.checked_mul(1 << shift)?;
    (bytes <= u64::from(u32::MAX)).then_some(ByteSize(bytes))
}

/// The diagnostic for a word that is no time.
pub fn bad_time(word: &Word, error: TimeError) -> Diagnostic {
    let text = &word.text;
    match error {
        TimeError::Unexpected(_, at) => {
            let rest = &text[at..];
            let problem = if at == 0 {
                format!("`{text}` is not a time")
            } else {
                format!("unexpected `{rest}` in the time `{text}`")
            };
            Diagnostic::error("E0005", word.span, problem)
                .label("expected a number with us, ms, s, m, h or d")
                .help("a number without a unit counts milliseconds in most places; write `5s` for five seconds")
                .maybe_suggest(word.span, in_units(text).as_deref())
        }
        TimeError::Overflow => Diagnostic::error(
            "E0006",
            word.span,
            format!("timer overflow: `{text}` is longer than the largest time"),
        )
        .label("at most 2147483647 ms, about 24.8 days"),
    }
}

/// The time that is meant by `5sec` or `1min`.
fn in_units(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "usec" | "usecs" => "us",
        "msec" | "msecs" | "millis" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    (digits > 0).then(|| format!("{number}{unit}"))
}

/// Takes a word as a time.
pub fn take_time(args: &mut Args<'_>, what: &str, unit: Unit) -> Result<Duration, Diagnostic> {
    let word = args.expect(what)?;
    time(&word.text, unit).map_err(|e| bad_time(word, e))
}

/// Takes a word as a time where 0 means none.
pub fn take_timeout(args: &mut Args<'_>, what: &str) -> Result<Option<Duration>, Diagnostic> {
    let time = take_time(args, what, Unit::Millis)?;
    Ok((!time.is_zero()).then_some(time))
}

/// Takes a word as a whole number of a range (E0005, E0006).
pub fn take_number(args: &mut Args<'_>, what: &str, min: i64, max: i64) -> Result<i64, Diagnostic> {
    let word = args.expect(what)?;
    number(word, what, min, max)
}

/// Reads a word as a whole number of a range (E0005, E0006).
pub fn number(word: &Word, what: &str, min: i64, max: i64) -> Result<i64, Diagnostic> {
    let digits = word.text.strip_prefix(['-', '+']).unwrap_or(&word.text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let error = wrong(word, what).label(format!("expected a number from {min} to {max}"));
        return Err(error.maybe_suggest(word.span, thousands(digits).as_deref()));
    }
    match word.text.parse::<i64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(Diagnostic::error(
            "E0006",
            word.span,
            format!("`{}` is out of range for {what}", word.text),
        )
        .label(format!("expected a number from {min} to {max}"))),
    }
}

/// The number that is meant by `4k`.
fn thousands(text: &str) -> Option<String> {
    let number: u32 = text.strip_suffix(['k', 'K'])?.parse().ok()?;
    Some(number.checked_mul(1000)?.to_string())
}

/// Takes a word as a number that fits `u32`.
pub fn take_u32(args: &mut Args<'_>, what: &str) -> Result<u32, Diagnostic> {
    take_number(args, what, 0, i64::from(i32::MAX)).map(|n| n as u32)
}

/// Takes a word as a size.
pub fn take_size(args: &mut Args<'_>, what: &str) -> Result<ByteSize, Diagnostic> {
    args.parse(&format!("{what} (bytes, or with k, m, g)"), size)
}

/// Reads hexadecimal digits, two a byte.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect()
}

/// First character of the block that stands for raw bytes: a byte written as
/// `\xHH` above 0x7f, or one of a file that is not UTF-8, is kept in words as
/// the character 0xF700 + byte (of the private use area).
const RAW: u32 = 0xF700;

/// The character that stands for a raw byte.
pub fn raw_byte(byte: u8) -> char {
    if byte < 0x80 {
        return byte as char;
    }
    char::from_u32(RAW + u32::from(byte)).unwrap_or('\u{fffd}')
}

/// The bytes of a word.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            code @ 0xF780..=0xF7FF => out.push((code - RAW) as u8),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_take_units_and_refuse_junk_and_overflow() {
        let ms = |text| time(text, Unit::Millis).map(|d| d.as_millis());
        assert_eq!(ms("500"), Ok(500));
        assert_eq!(ms("5s"), Ok(5_000));
        assert_eq!(ms("2m"), Ok(120_000));
        assert_eq!(ms("1500us"), Ok(2));
        assert_eq!(ms("0"), Ok(0));
        assert_eq!(time("5", Unit::Seconds), Ok(Duration::from_secs(5)));
        assert_eq!(ms("5x"), Err(TimeError::Unexpected('x', 1)));
        assert_eq!(ms("5sx"), Err(TimeError::Unexpected('x', 2)));
        assert_eq!(ms("x"), Err(TimeError::Unexpected('x', 0)));
        assert_eq!(ms("2147483647"), Ok(2_147_483_647));
        assert_eq!(ms("2147483648"), Err(TimeError::Overflow));
        assert_eq!(ms("25d"), Err(TimeError::Overflow));
        assert_eq!(ms("99999999999999999999"), Err(TimeError::Overflow));
        assert_eq!(ms("10us"), Ok(1));
    }

    #[test]
    fn sizes_take_one_suffix() {
        assert_eq!(size("16384"), Some(ByteSize(16384)));
        assert_eq!(size("16k"), Some(ByteSize(16384)));
        assert_eq!(size("1M"), Some(ByteSize(1 << 20)));
        assert_eq!(size("1kb"), None);
        assert_eq!(size("k"), None);
        assert_eq!(size("8g"), None);
    }

    #[test]
    fn raw_bytes_survive_the_way_through_a_word() {
        let word: String = [0x41, 0x80, 0xff].into_iter().map(raw_byte).collect();
        assert_eq!(bytes(&word), [0x41, 0x80, 0xff]);
        assert_eq!(bytes("ö"), "ö".as_bytes());
        assert_eq!(hex("0aFF"), Some(vec![10, 255]));
        assert_eq!(hex("0"), None);
    }
}
