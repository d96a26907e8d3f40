//! `option amqp-check`: the AMQP 0-9-1 handshake as a check.
//!
//! Without a user: protocol header out, `connection.start` in. With one: log
//! in, open the vhost, publish one message that no queue can get (a broker in
//! a resource alarm answers a publisher, and only a publisher, with
//! `connection.blocked`), and close as the protocol asks, so that the broker's
//! log stays clean.

use super::amqp_wire::{
    CHANNEL, CONNECTION, Frame, Method, Reader, id, method_frame, publish_nowhere, short,
    table_of_client,
};
use super::dialogue::{Event, Finding, Step};
use crate::core::health::CheckStatus;
use conf::lb::model::AmqpCheck;

/// Bytes that open an AMQP 0-9-1 connection.
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A longer start than this is not AMQP.
const LIMIT: usize = 256 * 1024;

/// Reply code of `connection.close` when a node goes away on purpose.
const CONNECTION_FORCED: u16 = 320;

/// Reply code of an orderly `connection.close`.
const REPLY_SUCCESS: u16 = 200;

/// A check is over before a heartbeat would be due.
const NO_HEARTBEAT: u16 = 0;

/// Where the handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Start,
    Tune,
    Open,
    ChannelOpen,
    Close,
}

/// One AMQP check.
#[derive(Clone, Debug)]
pub struct Amqp {
    settings: AmqpCheck,
    stage: Stage,
    input: Vec<u8>,
    /// `RabbitMQ 3.10.8 (rabbit@a)`, from `connection.start`.
    peer: String,
    /// The finding once the closing handshake ends.
    finding: Option<Finding>,
}

impl Amqp {
    /// A check that has not started.
    pub fn new(settings: AmqpCheck) -> Amqp {
        Amqp {
            settings,
            stage: Stage::Header,
            input: Vec::new(),
            peer: String::new(),
            finding: None,
        }
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event<'_>) -> Step {
        match event {
            Event::Connected => {
                self.stage = Stage::Start;
                Step::Send(PROTOCOL_HEADER.to_vec())
            }
            Event::Sent => match (&self.finding, self.stage) {
                (Some(finding), stage) if stage != Stage::Close => Step::Done(finding.clone()),
                _ => Step::Receive,
            },
            Event::Received(bytes, closed) => {
                self.input.extend_from_slice(bytes);
                self.receive(closed)
            }
        }
    }

    fn receive(&mut self, closed: bool) -> Step {
        loop {
            if self.stage == Stage::Start && self.input.first() == Some(&b'A') {
                return self.other_version(closed);
            }
            let input = std::mem::take(&mut self.input);
            let used = match Frame::parse(&input) {
                Err(()) => return self.garbage(),
                Ok(None) if input.len() > LIMIT => return self.garbage(),
                Ok(None) if closed => return self.closed(),
                Ok(None) => {
                    self.input = input;
                    return Step::Receive;
                }
                Ok(Some((frame, used))) => match self.frame(&frame) {
                    Some(step) => {
                        self.input = input[used..].to_vec();
                        return step;
                    }
                    None => used,
                },
            };
            self.input = input[used..].to_vec();
        }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Option<Step> {
        let method = frame.method()?;
        match (self.stage, method.id) {
            (Stage::Close, id::CONNECTION_CLOSE_OK) => Some(self.finish()),
            (_, id::CONNECTION_CLOSE) => Some(self.peer_closes(&method)),
            (_, id::CONNECTION_BLOCKED) => Some(self.blocked(&method)),
            (Stage::Start, id::CONNECTION_START) => Some(self.started(&method)),
            (Stage::Tune, id::CONNECTION_SECURE) => {
                Some(self.fail(CheckStatus::L7Response, 0, "secure challenge"))
            }
            (Stage::Tune, id::CONNECTION_TUNE) => Some(self.tuned(&method)),
            (Stage::Open, id::CONNECTION_OPEN_OK) => {
                self.stage = Stage::ChannelOpen;
                Some(Step::Send(method_frame(CHANNEL, id::CHANNEL_OPEN, &[0])))
            }
            (Stage::ChannelOpen, id::CHANNEL_OPEN_OK) => Some(self.publish_and_leave()),
            // heartbeats, alarms lifted, replies that nothing waits for
            _ => None,
        }
    }

    fn started(&mut self, method: &Method<'_>) -> Step {
        let mut reader = Reader::new(method.arguments);
        let version = (reader.u8(), reader.u8());
        let Some(properties) = reader.table() else {
            return self.garbage();
        };
        let mechanisms = reader.long_string().unwrap_or_default();
        if version != (Some(0), Some(9)) {
            return self.fail(CheckStatus::L7Response, 0, "not AMQP 0-9-1");
        }
        self.peer = describe(&properties);
        let Some(user) = self.settings.user.clone() else {
            return Step::Done(Finding::new(CheckStatus::L7Ok, 0, self.peer.clone()));
        };
        if !mechanisms.split(|b| *b == b' ').any(|m| m == b"PLAIN") {
            return self.fail(CheckStatus::L7Status, 0, "no PLAIN authentication");
        }
        self.stage = Stage::Tune;
        Step::Send(start_ok(
            &user,
            self.settings.password.as_deref().unwrap_or_default(),
        ))
    }

    fn tuned(&mut self, method: &Method<'_>) -> Step {
        let mut reader = Reader::new(method.arguments);
        let (channels, frame_max) = (reader.u16().unwrap_or(0), reader.u32().unwrap_or(0));
        let mut arguments = Vec::new();
        arguments.extend_from_slice(&channels.to_be_bytes());
        arguments.extend_from_slice(&frame_max.to_be_bytes());
        arguments.extend_from_slice(&NO_HEARTBEAT.to_be_bytes());
        let mut bytes = method_frame(CONNECTION, id::CONNECTION_TUNE_OK, &arguments);
        let mut open = short(self.settings.vhost.as_deref().unwrap_or("/"));
        open.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&method_frame(CONNECTION, id::CONNECTION_OPEN, &open));
        self.stage = Stage::Open;
        Step::Send(bytes)
    }

    /// Publishes, and says goodbye in the same breath: a broker that is fine
    /// answers the goodbye, one in an alarm stops reading behind the message
    /// and says that it is blocked. The channel is left to the broker to
    /// close: closing it just before the connection makes RabbitMQ 3.10 log a
    /// supervisor report now and then.
    fn publish_and_leave(&mut self) -> Step {
        self.finding = Some(Finding::new(CheckStatus::L7Ok, 0, self.peer.clone()));
        self.stage = Stage::Close;
        let mut bytes = publish_nowhere();
        let mut arguments = REPLY_SUCCESS.to_be_bytes().to_vec();
        arguments.extend_from_slice(&short("check done"));
        arguments.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&method_frame(CONNECTION, id::CONNECTION_CLOSE, &arguments));
        Step::Send(bytes)
    }

    fn finish(&mut self) -> Step {
        let finding = self.finding.clone();
        Step::Done(finding.unwrap_or_else(|| Finding::bare(CheckStatus::L7Ok)))
    }

    /// A broker in a resource alarm: keeps its sessions, gets no new ones. It
    /// reads nothing from a blocked publisher, so no goodbye would be heard.
    fn blocked(&mut self, method: &Method<'_>) -> Step {
        let reason = Reader::new(method.arguments)
            .short_string()
            .unwrap_or_default();
        let text = format!(
            "blocked: {}, {}",
            String::from_utf8_lossy(reason),
            self.peer
        );
        Step::Done(Finding::new(CheckStatus::L7OkConditional, 0, text))
    }

    fn peer_closes(&mut self, method: &Method<'_>) -> Step {
        let mut reader = Reader::new(method.arguments);
        let code = reader.u16().unwrap_or(0);
        let text = String::from_utf8_lossy(reader.short_string().unwrap_or_default()).into_owned();
        let status = match code {
            CONNECTION_FORCED => CheckStatus::L7OkConditional,
            _ => CheckStatus::L7Status,
        };
        self.finding = Some(Finding::new(status, u32::from(code), text));
        self.stage = Stage::Header;
        Step::Send(method_frame(CONNECTION, id::CONNECTION_CLOSE_OK, &[]))
    }

    fn other_version(&mut self, closed: bool) -> Step {
        match self.input.get(4..8) {
            Some(version) => {
                let text = format!(
                    "peer offers AMQP {}.{}.{}",
                    version[1], version[2], version[3]
                );
                self.fail(CheckStatus::L7Response, 0, &text)
            }
            None if closed => self.garbage(),
            None => Step::Receive,
        }
    }

    fn garbage(&mut self) -> Step {
        self.fail(CheckStatus::L7Response, 0, "answer is not AMQP")
    }

    fn closed(&mut self) -> Step {
        if let Some(finding) = &self.finding {
            return Step::Done(finding.clone());
        }
        // RabbitMQ before 3.2 and some others refuse a log-in by closing
        match self.stage {
            Stage::Tune => self.fail(CheckStatus::L7Status, 403, "closed after the log-in"),
            stage => self.fail(
                CheckStatus::L7Response,
                0,
                &format!("closed while waiting for {}", wait(stage)),
            ),
        }
    }

    fn fail(&mut self, status: CheckStatus, code: u32, text: &str) -> Step {
        Step::Done(Finding::new(status, code, text))
    }

    /// The finding when the broker stayed silent.
    pub fn timed_out(&self) -> Finding {
        let silent = || {
            Finding::new(
                CheckStatus::L7Timeout,
                0,
                format!("no {}", wait(self.stage)),
            )
        };
        match &self.finding {
            Some(finding) if self.stage != Stage::Close => finding.clone(),
            Some(_) | None => silent(),
        }
    }
}

/// What the stage waits for, in the protocol's words.
fn wait(stage: Stage) -> &'static str {
    match stage {
        Stage::Header | Stage::Start => "connection.start",
        Stage::Tune => "connection.tune",
        Stage::Open => "connection.open-ok",
        Stage::ChannelOpen => "channel.open-ok",
        Stage::Close => "connection.close-ok",
    }
}

fn describe(properties: &[(String, String)]) -> String {
    let get = |name: &str| {
        properties
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let mut text = get("product").unwrap_or("AMQP broker").to_owned();
    if let Some(version) = get("version") {
        text.push(' ');
        text.push_str(version);
    }
    if let Some(cluster) = get("cluster_name") {
        text.push_str(&format!(" ({cluster})"));
    }
    text
}

fn start_ok(user: &str, password: &str) -> Vec<u8> {
    let mut arguments = table_of_client();
    arguments.extend_from_slice(&short("PLAIN"));
    let response = format!("\0{user}\0{password}");
    arguments.extend_from_slice(&(response.len() as u32).to_be_bytes());
    arguments.extend_from_slice(response.as_bytes());
    arguments.extend_from_slice(&short("en_US"));
    method_frame(CONNECTION, id::CONNECTION_START_OK, &arguments)
}

#[cfg(test)]
mod tests;
