//! `option mysql-check`: read the greeting, with a user also log in and quit.

use super::dialogue::{Event, Finding, Step};
use crate::core::health::CheckStatus;
use conf::lb::model::MysqlCheck;

/// Most that is read of an answer.
const INPUT_LIMIT: usize = 16 * 1024;

/// Longest text taken from the server.
const TEXT_LIMIT: usize = 256;

/// First byte of a packet that tells an error.
const ERROR: u8 = 0xff;

/// `COM_QUIT` as a packet of its own.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// A check of a MySQL server.
#[derive(Clone, Debug)]
pub struct Mysql {
    settings: MysqlCheck,
    input: Vec<u8>,
    /// What the greeting says the server is.
    version: String,
    greeted: bool,
}

impl Mysql {
    /// A check with these settings.
    pub fn new(settings: MysqlCheck) -> Mysql {
        Mysql {
            settings,
            input: Vec::new(),
            version: String::new(),
            greeted: false,
        }
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event<'_>) -> Step {
        match event {
            Event::Connected => match self.log_in() {
                Some(packets) => Step::Send(packets),
                None => Step::Receive,
            },
            Event::Sent => Step::Receive,
            Event::Received(bytes, closed) => {
                let room = INPUT_LIMIT - self.input.len();
                self.input
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.read(closed)
            }
        }
    }

    /// Log-in and goodbye go out at once, ahead of the greeting, so that a
    /// check needs no more than one round trip.
    fn log_in(&self) -> Option<Vec<u8>> {
        let user = self.settings.user.as_deref()?;
        let mut body = match self.settings.old {
            // capabilities: secure connection; largest packet 64 kB
            true => vec![0x00, 0x80, 0x00, 0x00, 0x01],
            false => {
                // capabilities: protocol 4.1, secure connection; utf8
                let mut body = vec![0x00, 0x82, 0x00, 0x00, 0x00, 0x80, 0x00, 0x01, 0x21];
                body.extend_from_slice(&[0; 23]);
                body
            }
        };
        body.extend_from_slice(user.as_bytes());
        // the end of the name, and an empty password
        body.extend_from_slice(&[0, 0]);
        let mut packets = (body.len() as u32).to_le_bytes()[..3].to_vec();
        packets.push(1);
        packets.extend_from_slice(&body);
        packets.extend_from_slice(&QUIT);
        Some(packets)
    }

    fn read(&mut self, closed: bool) -> Step {
        loop {
            let Some((body, rest)) = packet(&self.input) else {
                let over = closed || self.input.len() >= INPUT_LIMIT;
                return match over {
                    true => Step::Done(self.cut_off()),
                    false => Step::Receive,
                };
            };
            if body.first() == Some(&ERROR) {
                return Step::Done(refused(body));
            }
            if self.greeted || self.settings.user.is_none() {
                let version = match self.greeted {
                    true => self.version.clone(),
                    false => version(body),
                };
                return Step::Done(Finding::new(CheckStatus::L7Ok, 0, version));
            }
            self.greeted = true;
            self.version = version(body);
            self.input = rest.to_vec();
        }
    }

    fn cut_off(&self) -> Finding {
        // steps as HAProxy counts them: connect, log in, read
        let step = 2 + u32::from(self.settings.user.is_some());
        match self.input.is_empty() && !self.greeted {
            true => Finding::new(
                CheckStatus::L7Response,
                0,
                format!("TCPCHK got an empty response at step {step}"),
            ),
            false => Finding::bare(CheckStatus::L7Response),
        }
    }
}

/// The first packet's body and what follows; nothing while it is incomplete.
fn packet(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = input.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    rest.split_at_checked(length)
}

/// The server's version: text behind the protocol's number.
fn version(body: &[u8]) -> String {
    let text = body.get(1..).unwrap_or_default();
    readable(text.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Code and words of an error packet.
fn refused(body: &[u8]) -> Finding {
    let code = match body {
        [_, low, high, ..] => u32::from(u16::from_le_bytes([*low, *high])),
        _ => 0,
    };
    let text = readable(body.get(3..).unwrap_or_default());
    Finding::new(CheckStatus::L7Status, code, text)
}

fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_LIMIT)]).into_owned();
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GREETING: &[u8] = b"\x0d\0\0\0\x0a10.11.6-Ma\0x";
    const WELCOME: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
    const DENIED: &[u8] = b"\x0f\0\0\x02\xff\x15\x04#28000Denied";

    fn check(user: Option<&str>) -> Mysql {
        Mysql::new(MysqlCheck {
            user: user.map(str::to_owned),
            old: false,
        })
    }

    fn finding(step: Step) -> Finding {
        match step {
            Step::Done(finding) => finding,
            other => panic!("not over: {other:?}"),
        }
    }

    #[test]
    fn the_greeting_suffices_without_a_user() {
        let mut check = check(None);
        assert_eq!(check.step(Event::Connected), Step::Receive);
        let found = finding(check.step(Event::Received(GREETING, false)));
        assert_eq!((found.status, found.code), (CheckStatus::L7Ok, 0));
        assert_eq!(found.text, "10.11.6-Ma");
    }

    #[test]
    fn a_user_logs_in_and_quits_in_one_go() {
        let mut check = check(Some("bob"));
        let Step::Send(packets) = check.step(Event::Connected) else {
            panic!("a log-in is sent");
        };
        assert!(packets.starts_with(&[0x25, 0, 0, 1, 0x00, 0x82]));
        assert!(packets.ends_with(b"bob\0\0\x01\0\0\0\x01"));
        assert_eq!(check.step(Event::Sent), Step::Receive);
        assert_eq!(check.step(Event::Received(GREETING, false)), Step::Receive);
        let found = finding(check.step(Event::Received(WELCOME, true)));
        assert_eq!(found.status, CheckStatus::L7Ok);
    }

    #[test]
    fn a_refusal_is_told_with_its_code_and_words() {
        let mut check = check(Some("bob"));
        let _ = check.step(Event::Received(GREETING, false));
        let found = finding(check.step(Event::Received(DENIED, false)));
        assert_eq!((found.status, found.code), (CheckStatus::L7Status, 1045));
        assert_eq!(found.text, "#28000Denied");
    }

    #[test]
    fn an_answer_that_is_cut_off_is_no_answer() {
        let mut check = check(None);
        let found = finding(check.step(Event::Received(&GREETING[..7], true)));
        assert_eq!(found.status, CheckStatus::L7Response);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for user in [None, Some("u")] {
                let _ = check(user).step(Event::Received(&bytes, true));
            }
        }
    }
}
