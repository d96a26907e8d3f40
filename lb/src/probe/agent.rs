//! `agent-check`: tell the agent something if so configured, read one line.

use super::dialogue::{Event, Finding, Step};
use crate::core::agent::Report;
use crate::core::health::CheckStatus;

/// Most that is read before a line must have ended.
const LINE_LIMIT: usize = 4096;

/// One question to an agent.
#[derive(Clone, Debug)]
pub struct Agent {
    send: Vec<u8>,
    input: Vec<u8>,
}

impl Agent {
    /// A question that begins with `send`, which may be empty.
    pub fn new(send: Vec<u8>) -> Agent {
        Agent {
            send,
            input: Vec::new(),
        }
    }

    /// Takes an event.
    pub fn step(&mut self, event: Event<'_>) -> Step {
        match event {
            Event::Connected if !self.send.is_empty() => Step::Send(self.send.clone()),
            Event::Connected | Event::Sent => Step::Receive,
            Event::Received(bytes, closed) => {
                let room = LINE_LIMIT - self.input.len();
                self.input
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.read(closed)
            }
        }
    }

    fn read(&mut self, closed: bool) -> Step {
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
        if let Some(end) = self.input.iter().position(ends) {
            let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
            let mut finding = Finding::bare(CheckStatus::Checked);
            finding.agent = Some(Box::new(Report::parse(&line)));
            return Step::Done(finding);
        }
        let full = self.input.len() >= LINE_LIMIT;
        match (closed, self.input.is_empty()) {
            (false, _) if !full => Step::Receive,
            (true, true) => Step::Done(Finding::new(
                CheckStatus::L7Response,
                0,
                format!("TCPCHK got an empty response at step {}", self.number()),
            )),
            // HAProxy names it by the time-out that this ends in
            _ => Step::Done(Finding::new(
                CheckStatus::L7Timeout,
                0,
                "Ignoring incomplete line from agent",
            )),
        }
    }

    fn number(&self) -> u8 {
        1 + u8::from(!self.send.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(agent: &mut Agent, bytes: &[u8], closed: bool) -> Step {
        agent.step(Event::Received(bytes, closed))
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut agent = Agent::new(b"hello\n".to_vec());
        assert_eq!(
            agent.step(Event::Connected),
            Step::Send(b"hello\n".to_vec())
        );
        assert_eq!(agent.step(Event::Sent), Step::Receive);
        assert_eq!(ask(&mut agent, b"up 5", false), Step::Receive);
        let Step::Done(finding) = ask(&mut agent, b"0%\r\njunk", false) else {
            panic!("the line is complete");
        };
        let report = finding.agent.expect("a report");
        assert_eq!(report.weight.as_deref(), Some("50%"));
    }

    #[test]
    fn an_agent_that_says_nothing_or_never_ends_its_line_is_told() {
        let Step::Done(finding) = ask(&mut Agent::new(Vec::new()), b"", true) else {
            panic!("it closed");
        };
        assert_eq!(finding.status, CheckStatus::L7Response);
        assert_eq!(finding.text, "TCPCHK got an empty response at step 1");
        let endless = vec![b'u'; LINE_LIMIT * 2];
        let Step::Done(finding) = ask(&mut Agent::new(Vec::new()), &endless, false) else {
            panic!("the line is too long");
        };
        assert_eq!(finding.text, "Ignoring incomplete line from agent");
        assert!(finding.agent.is_none());
    }
}
