//! Checks of other protocols, as the scripts that they are.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use crate::lb::draft::Draft;
use crate::lb::format;
use crate::lb::model::{
    CheckAction, CheckExpect, CheckKind, CheckPayload, CheckStatus, CheckStep, Converter,
    ExpectPattern, Expr, Fetch, Format, FormatFlags, FormatPart, Place, Regex,
};

type Applied = Result<(), Diagnostic>;

/// A TLS 1.2 client hello of our own: common cipher suites, no extensions. Any
/// TLS server answers it with a handshake or an alert.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x3f, // record: handshake, 63 bytes
    0x01, 0x00, 0x00, 0x3b, 0x03, 0x03, // client hello, 59 bytes, TLS 1.2
    0x45, 0x76, 0x65, 0x6e, 0x6b, 0x65, 0x65, 0x6c, 0x20, 0x68, 0x65, 0x61, 0x6c, 0x74, 0x68, 0x20,
    0x63, 0x68, 0x65, 0x63, 0x6b, 0x20, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x00, // no session
    0x00, 0x14, // ten cipher suites
    0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2c, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x3c, 0x00, 0x2f,
    0x00, 0x35, 0x00, 0x0a, 0x01, 0x00, // no compression
];

/// An anonymous LDAPv3 bind.
const LDAP_BIND: &[u8] = &[
    0x30, 0x0c, 0x02, 0x01, 0x01, 0x60, 0x07, 0x02, 0x01, 0x03, 0x04, 0x00, 0x80, 0x00,
];

/// Puts the steps of a script one behind the other.
struct Script {
    place: Place,
    steps: Vec<CheckStep>,
}

impl Script {
    fn new(a: &Args<'_>) -> Script {
        Script {
            place: Place(a.head()),
            steps: Vec::new(),
        }
    }

    fn push(&mut self, action: CheckAction) {
        self.steps.push(CheckStep {
            action,
            comment: None,
            place: self.place,
        });
    }

    fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.push(CheckAction::Send(CheckPayload::Bytes(bytes.into())));
    }

    fn expect(
        &mut self,
        pattern: ExpectPattern,
        error: CheckStatus,
        min_recv: u32,
    ) -> &mut CheckExpect {
        self.push(CheckAction::Expect(CheckExpect {
            min_recv: (min_recv > 0).then_some(min_recv),
            error_status: Some(error),
            ..CheckExpect::new(pattern)
        }));
        match self.steps.last_mut().map(|step| &mut step.action) {
            Some(CheckAction::Expect(expect)) => expect,
            _ => unreachable!("an expectation was pushed above"),
        }
    }

    fn choose(self, d: &mut Draft) {
        d.checks.unused = [None; 2];
        d.back().check.kind = CheckKind::Protocol(self.steps);
    }
}

/// What a rule shows of the answer: from this byte on; the script cuts it at
/// the line's end.
fn shown(from: usize) -> Format {
    let expr = payload(from, 0);
    Format {
        text: format!("%[{}]", expr.text),
        parts: vec![FormatPart::Expr(Box::new(expr), FormatFlags::default())],
    }
}

fn payload(from: usize, length: usize) -> Expr {
    Expr {
        fetch: Fetch::CheckPayload(from, length),
        converters: Vec::new(),
        text: format!("check.payload({from},{length})"),
    }
}

/// The code that SMTP's answers begin with, and the words behind it.
fn smtp_words(rule: &mut CheckExpect) {
    rule.on_error = Some(shown(4));
    rule.on_success = Some(shown(4));
    rule.status_code = Some(Box::new(payload(0, 3)));
}

fn text(pattern: &str) -> ExpectPattern {
    ExpectPattern::Regex(Regex::new(pattern, false).expect("our own expression compiles"))
}

fn digits(pattern: &str) -> ExpectPattern {
    ExpectPattern::HexRegex(Regex::new(pattern, true).expect("our own expression compiles"))
}

fn redis(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    a.finish()?;
    let mut script = Script::new(a);
    script.send("*1\r\n$4\r\nPING\r\n");
    let answer = script.expect(
        ExpectPattern::String(b"+PONG\r\n".to_vec()),
        CheckStatus::L7Sts,
        0,
    );
    answer.on_error = Some(shown(0));
    answer.on_success = Some(format::fixed("Redis server is ok"));
    script.choose(d);
    Ok(())
}

fn smtp(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let hello = a.take().map(|w| w.text.as_str());
    let domain = a.take().map(|w| w.text.as_str());
    a.finish()?;
    let (hello, domain) = match (hello, domain) {
        (Some("EHLO"), Some(domain)) => ("EHLO", domain),
        (Some(_), Some(domain)) => ("HELO", domain),
        _ => ("HELO", "localhost"),
    };
    let mut script = Script::new(a);
    let greeting = script.expect(text("^[0-9]{3}[- \r]"), CheckStatus::L7Rsp, 4);
    greeting.on_error = Some(shown(0));
    let good = || text("^2[0-9]{2}[- \r]");
    smtp_words(script.expect(good(), CheckStatus::L7Sts, 4));
    script.send(format!("{hello} {domain}\r\n"));
    smtp_words(script.expect(good(), CheckStatus::L7Sts, 4));
    script.send("QUIT\r\n");
    smtp_words(script.expect(good(), CheckStatus::L7Sts, 4));
    script.choose(d);
    Ok(())
}

fn pgsql(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    if a.take_if("user").is_none() {
        a.choose("`user` and a name", &[("user", ())])?;
    }
    let user = a.expect("a user's name")?;
    a.finish()?;
    let mut message = 0x0003_0000_u32.to_be_bytes().to_vec();
    message.extend_from_slice(b"user\0");
    message.extend_from_slice(user.text.as_bytes());
    message.extend_from_slice(b"\0\0");
    let mut packet = (message.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend_from_slice(&message);
    let mut script = Script::new(a);
    script.send(packet);
    let refusal = script.expect(text("^E"), CheckStatus::L7Rsp, 5);
    refusal.negated = true;
    refusal.on_error = Some(shown(6));
    let answer = script.expect(
        digits("^52000000[0-9A-F]{2}000000(00|02|03|04|05|06|07|09|0A)"),
        CheckStatus::L7Sts,
        9,
    );
    answer.on_error = Some(format::fixed("PostgreSQL unknown error"));
    answer.on_success = Some(format::fixed("PostgreSQL server is ok"));
    script.choose(d);
    Ok(())
}

fn ldap(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    a.finish()?;
    let mut script = Script::new(a);
    script.send(LDAP_BIND);
    let answer = script.expect(digits("^30"), CheckStatus::L7Rsp, 14);
    answer.on_error = Some(format::fixed("Not LDAPv3 protocol"));
    let length = "([0-7][0-9A-F]|81..|82....|84........)";
    let success = format!("^30{length}02010161{length}0A0100");
    let answer = script.expect(digits(&success), CheckStatus::L7Sts, 14);
    answer.on_error = Some(format::fixed(
        "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
    ));
    // the result's byte, behind an answer whose length is in the short form
    let mut code = payload(9, 1);
    code.converters = vec![Converter::Hex, Converter::Hex2i];
    answer.status_code = Some(Box::new(code));
    script.choose(d);
    Ok(())
}

fn ssl_hello(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    a.finish()?;
    let mut script = Script::new(a);
    script.send(CLIENT_HELLO);
    let answer = script.expect(digits("^1[56]"), CheckStatus::L6Rsp, 5);
    answer.ok_status = Some(CheckStatus::L6Ok);
    answer.timeout_status = Some(CheckStatus::L6Tout);
    script.choose(d);
    Ok(())
}

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "option redis-check",
        args: "",
        doc: "Checks send PING to a Redis server and wait for PONG.",
        example: "option redis-check",
        apply: redis,
    },
    Keyword {
        name: "option smtpchk",
        args: "[{ HELO | EHLO } <domain>]",
        doc: "Checks greet an SMTP server and leave; answers must start with 2.",
        example: "option smtpchk EHLO lb.example",
        apply: smtp,
    },
    Keyword {
        name: "option pgsql-check",
        args: "user <name>",
        doc: "Checks start a PostgreSQL session; being asked for a password is good.",
        example: "option pgsql-check user monitor",
        apply: pgsql,
    },
    Keyword {
        name: "option ldap-check",
        args: "",
        doc: "Checks bind anonymously to an LDAPv3 server and want success.",
        example: "option ldap-check",
        apply: ldap,
    },
    Keyword {
        name: "option ssl-hello-chk",
        args: "",
        doc: "Checks send a TLS client hello; a handshake or an alert is good.",
        example: "option ssl-hello-chk",
        apply: ssl_hello,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_hello_has_the_lengths_that_it_says() {
        assert_eq!(CLIENT_HELLO.len(), 5 + usize::from(CLIENT_HELLO[4]));
        assert_eq!(CLIENT_HELLO.len(), 9 + usize::from(CLIENT_HELLO[8]));
    }
}
