//! A client's name out of its certificate: the whole subject, its common name, or an alternative name.
//!
//! The bytes come from a certificate that rustls has verified; only as much of DER is read as finding names needs, and
//! anything unexpected is "no name".

use crate::core::connection::CertificateFacts;
use conf::broker::LoginFrom;

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const GENERALIZED_TIME: u8 = 0x18;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// The attribute types that have a short form.
const SHORT: [(&[u8], &str); 8] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19],
        "DC",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01],
        "UID",
    ),
];

/// The user's name that a certificate stands for.
pub fn login_name(certificate: &[u8], from: LoginFrom) -> Option<String> {
    let fields = Fields::of(certificate)?;
    match from {
        LoginFrom::DistinguishedName => distinguished_name(fields.subject),
        LoginFrom::CommonName => attributes(fields.subject)?
            .into_iter()
            .find(|(oid, _)| *oid == COMMON_NAME)
            .map(|(_, value)| value),
        LoginFrom::SubjectAlternativeName => alternative_name(fields.extensions?),
    }
}

/// What lists show of a certificate; an empty name is shown as nothing.
pub fn facts(certificate: &[u8]) -> Option<CertificateFacts> {
    let fields = Fields::of(certificate)?;
    let times = elements(fields.validity)?;
    let [from, until] = times[..] else {
        return None;
    };
    Some(CertificateFacts {
        subject: distinguished_name(fields.subject).unwrap_or_default(),
        issuer: distinguished_name(fields.issuer).unwrap_or_default(),
        validity: format!("{} - {}", time(from)?, time(until)?),
    })
}

/// `261129134716Z` (with four digits of the year from 2050 on) as `2026-11-29T13:47:16Z`.
fn time((tag, text): (u8, &[u8])) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let digits = match tag {
        GENERALIZED_TIME => text.to_owned(),
        // two digits: from 1950 to 2049 (RFC 5280)
        _ if text < "5" => format!("20{text}"),
        _ => format!("19{text}"),
    };
    if digits.len() != 14 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| &digits[from..to];
    let date = [part(0, 4), part(4, 6), part(6, 8)].join("-");
    let clock = [part(8, 10), part(10, 12), part(12, 14)].join(":");
    Some(format!("{date}T{clock}Z"))
}

/// Tag, contents and what follows.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte)),
                rest,
            )
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The elements of a constructed one.
fn elements(mut input: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let (tag, contents, rest) = element(input)?;
        found.push((tag, contents));
        input = rest;
    }
    Some(found)
}

struct Fields<'a> {
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// To be signed: version (optional), serial, algorithm, issuer, validity, subject, key, ... extensions.
    fn of(certificate: &'a [u8]) -> Option<Fields<'a>> {
        let (_, certificate, _) = element(certificate)?;
        let (_, signed, _) = element(certificate)?;
        let all = elements(signed)?;
        let versioned = usize::from(all.first()?.0 == 0xa0);
        let extensions = all
            .iter()
            .find(|(tag, _)| *tag == 0xa3)
            .and_then(|(_, contents)| element(contents));
        let sequence = |at: usize| {
            let found = all.get(versioned + at);
            found.filter(|(tag, _)| *tag == SEQUENCE).map(|(_, c)| *c)
        };
        Some(Fields {
            issuer: sequence(2)?,
            validity: sequence(3)?,
            subject: sequence(4)?,
            extensions: extensions.map(|(_, contents, _)| contents),
        })
    }
}

/// The subject's attributes in the order of the certificate: type and value.
fn attributes(subject: &[u8]) -> Option<Vec<(&[u8], String)>> {
    let mut found = Vec::new();
    for (_, set) in elements(subject)? {
        for (_, attribute) in elements(set)? {
            if let [(OID, oid), (_, value)] = elements(attribute)?[..] {
                found.push((oid, String::from_utf8_lossy(value).into_owned()));
            }
        }
    }
    Some(found)
}

/// `CN=app,O=Shop`: the last attribute first, as RFC 4514 has it.
fn distinguished_name(subject: &[u8]) -> Option<String> {
    let one = |(oid, value): (&[u8], String)| {
        let short = SHORT
            .iter()
            .find(|(known, _)| *known == oid)
            .map(|(_, name)| *name);
        let escaped: String = value
            .chars()
            .flat_map(|c| {
                if ",+\"\\<>;".contains(c) {
                    vec!['\\', c]
                } else {
                    vec![c]
                }
            })
            .collect();
        Some(format!("{}={escaped}", short?))
    };
    let mut parts: Vec<String> = attributes(subject)?.into_iter().filter_map(one).collect();
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The first DNS or mail name.
fn alternative_name(extensions: &[u8]) -> Option<String> {
    for (_, extension) in elements(extensions)? {
        let parts = elements(extension)?;
        if parts.first() != Some(&(OID, ALTERNATIVE_NAME)) {
            continue;
        }
        let (_, names, _) = element(parts.last()?.1)?;
        let named = elements(names)?
            .into_iter()
            .find(|(tag, _)| matches!(tag, 0x81 | 0x82));
        return named.and_then(|(_, name)| String::from_utf8(name.to_vec()).ok());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate() -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["worker.shop".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Shop, Inc");
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "worker-1");
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn each_kind_of_name_is_found() {
        let certificate = certificate();
        let name = |from| login_name(&certificate, from);
        assert_eq!(name(LoginFrom::CommonName).as_deref(), Some("worker-1"));
        assert_eq!(
            name(LoginFrom::DistinguishedName).as_deref(),
            Some("CN=worker-1,O=Shop\\, Inc")
        );
        assert_eq!(
            name(LoginFrom::SubjectAlternativeName).as_deref(),
            Some("worker.shop")
        );
    }

    #[test]
    fn what_lists_show_is_found() {
        let found = facts(&certificate()).expect("facts");
        assert_eq!(found.subject, "CN=worker-1,O=Shop\\, Inc");
        assert_eq!(found.issuer, found.subject, "signed by itself");
        assert_eq!(
            found.validity,
            "1975-01-01T00:00:00Z - 4096-01-01T00:00:00Z"
        );
        assert_eq!(
            time((0x17, b"491231235959Z")).as_deref(),
            Some("2049-12-31T23:59:59Z")
        );
        assert_eq!(time((0x17, b"4912312359Z")), None);
    }

    proptest! {
        #[test]
        fn damaged_certificates_never_panic(place: usize, byte: u8, cut: usize) {
            let mut damaged = certificate();
            let place = place % damaged.len();
            damaged[place] = byte;
            damaged.truncate(cut % (damaged.len() + 1));
            let _ = facts(&damaged);
            for from in [LoginFrom::CommonName, LoginFrom::DistinguishedName, LoginFrom::SubjectAlternativeName] {
                let _ = login_name(&damaged, from);
            }
        }
    }
}
