//! When a certificate ends: the one field of X.509 that a health check needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// The earliest end of the certificates in a PEM file, in seconds since 1970;
/// nothing when the file has none that can be read.
pub fn expiry(path: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut rest = text.as_str();
    let mut earliest = None;
    while let Some(start) = rest.find("-----BEGIN CERTIFICATE-----") {
        let body = &rest[start + 27..];
        let end = body.find("-----END CERTIFICATE-----")?;
        let plain: String = body[..end].split_whitespace().collect();
        let ends = STANDARD.decode(plain).ok().and_then(|der| not_after(&der));
        earliest = match (earliest, ends) {
            (Some(a), Some(b)) => Some(u64::min(a, b)),
            (a, b) => a.or(b),
        };
        rest = &body[end..];
    }
    earliest
}

/// One element of DER: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `notAfter`: certificate, to-be-signed, [version], serial, algorithm, issuer, validity.
fn not_after(der: &[u8]) -> Option<u64> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    let (tag, _, rest) = element(fields)?;
    if tag == 0xa0 {
        fields = rest;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let full = match tag {
        0x17 if text.as_bytes().first()? >= &b'5' => format!("19{text}"),
        0x17 => format!("20{text}"),
        _ => text.to_owned(),
    };
    let at = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &full).ok()?;
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut params =
            rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signs");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.pem");
        std::fs::write(&path, certificate.pem()).expect("writes");
        // 2031-02-03T00:00:00Z
        assert_eq!(expiry(&path), Some(1_927_843_200));
    }

    #[test]
    fn rubbish_has_no_end() {
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(not_after(b""), None);
        assert_eq!(expiry(Path::new("/does/not/exist")), None);
    }
}
