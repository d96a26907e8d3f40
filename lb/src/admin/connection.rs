//! One operator's connection to the CLI.
//!
//! A line in, its answers out, each ended by an empty line, then the connection closes; after
//! `prompt` it stays. Input is bounded by a line's length, output by one piece: an answer is made
//! as fast as it is taken, and who takes nothing for the time-out is disconnected.

use std::sync::Arc;
use std::time::Duration;

use conf::lb::model::SeverityOutput;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::command::{Answer, Session, Severity};
use super::present::Entry;
use super::{Control, line};
use crate::counters::Thread;
use crate::state::SessionId;
use crate::trace::beside::{CLI, Teller, shown};

/// Longest line taken.
const LINE_MAX: usize = 16 * 1024;
/// Output is gathered up to about this much before it is written.
const PIECE: usize = 16 * 1024;

/// Why the connection ends; none of it is worth telling anybody.
#[derive(Debug)]
struct Ended;

/// Serves one connection until it ends.
pub async fn serve<S>(control: Arc<Control>, mut session: Session, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let id = id(&control);
    let present = &control.present;
    let mut connection = Connection {
        stream,
        input: Vec::new(),
        output: String::new(),
        teller: Teller::new(id, session.peer.clone(), CLI),
        entry: present.enter(id, session.peer.clone(), session.timeout),
    };
    // the reason does not matter: the peer left, was too slow or sent too much
    let _: Result<(), Ended> = connection.run(&control, &mut session).await;
    let _ = timeout(Duration::from_secs(1), connection.stream.shutdown()).await;
    control
        .watchers
        .tell(&connection.teller, || "end".to_owned());
}

/// Names a session of the CLI in traces.
fn id(control: &Control) -> SessionId {
    /// Such a session belongs to no data thread.
    const NO_THREAD: Thread = Thread(1022);
    SessionId::new(NO_THREAD, 0, control.runtime.next_serial() as u32)
}

struct Connection<S> {
    stream: S,
    input: Vec<u8>,
    output: String,
    teller: Teller,
    entry: Entry,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self, control: &Arc<Control>, session: &mut Session) -> Result<(), Ended> {
        loop {
            let line = self.line(session.timeout).await?;
            self.entry.speaks(session.timeout);
            control
                .watchers
                .tell(&self.teller, || format!("-> {}", shown(line.as_bytes())));
            for words in line::split(&line) {
                let answer = super::run(control, session, &words);
                if self.answer(answer, session).await? {
                    return Ok(());
                }
                self.output.push('\n');
                if session.prompt {
                    self.output.push_str("> ");
                }
            }
            self.flush(session.timeout).await?;
            if !session.prompt && !self.input.contains(&b'\n') {
                return Ok(());
            }
        }
    }

    /// The next line, without its end.
    async fn line(&mut self, patience: Duration) -> Result<String, Ended> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.input.len() >= LINE_MAX {
                return Err(Ended);
            }
            let mut piece = [0u8; 2048];
            match timeout(patience, self.stream.read(&mut piece)).await {
                Ok(Ok(read)) if read > 0 => self.input.extend_from_slice(&piece[..read]),
                Ok(Ok(_) | Err(_)) | Err(_) => return Err(Ended),
            }
        }
    }

    /// Writes an answer; true when it ends the connection.
    async fn answer(&mut self, answer: Answer, session: &Session) -> Result<bool, Ended> {
        let mut answer = answer;
        loop {
            match answer {
                Answer::Done => return Ok(false),
                Answer::Quit => {
                    self.flush(session.timeout).await?;
                    return Ok(true);
                }
                Answer::Later(future) => answer = future.await,
                Answer::Say(severity, text) => {
                    self.say(severity, &text, session.severity);
                    return Ok(false);
                }
                Answer::Text(text) => {
                    self.output.push_str(&text);
                    return Ok(false);
                }
                Answer::Pieces(pieces) => {
                    for piece in pieces {
                        self.output.push_str(&piece);
                        if self.output.len() >= PIECE {
                            self.flush(session.timeout).await?;
                        }
                    }
                    return Ok(false);
                }
                Answer::Follow(receiver) => return self.follow(receiver, session).await,
            }
        }
    }

    fn say(&mut self, severity: Severity, text: &str, marked: SeverityOutput) {
        match marked {
            SeverityOutput::None => {}
            SeverityOutput::Number => {
                self.output.push_str(&format!("[{}]: ", severity as u8));
            }
            SeverityOutput::String => {
                self.output.push_str(&format!("[{}]: ", severity.word()));
            }
        }
        self.output.push_str(text);
        self.output.push('\n');
    }

    /// Passes on what comes until the operator types or leaves.
    async fn follow(
        &mut self,
        mut receiver: tokio::sync::mpsc::Receiver<String>,
        session: &Session,
    ) -> Result<bool, Ended> {
        loop {
            let mut typed = [0u8; 64];
            tokio::select! {
                piece = receiver.recv() => match piece {
                    Some(piece) => {
                        self.output.push_str(&piece);
                        self.flush(session.timeout).await?;
                    }
                    None => return Ok(false),
                },
                read = self.stream.read(&mut typed) => match read {
                    Ok(read) if read > 0 => return Ok(!session.prompt),
                    Ok(_) | Err(_) => return Err(Ended),
                },
            }
        }
    }

    async fn flush(&mut self, patience: Duration) -> Result<(), Ended> {
        let bytes = std::mem::take(&mut self.output).into_bytes();
        for piece in bytes.chunks(PIECE) {
            match timeout(patience, self.stream.write_all(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Ended),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Peer, Runtime};
    use conf::lb::model::AdminLevel;

    async fn talk(level: AdminLevel, input: &[u8]) -> String {
        let control = Control::new(Runtime::new(Vec::new()));
        let (mut ours, theirs) = tokio::io::duplex(64);
        let session = Session {
            level,
            prompt: false,
            timeout: Duration::from_secs(10),
            severity: SeverityOutput::None,
            peer: Peer::None,
            stream: None,
            expert: false,
            experimental: false,
        };
        let server = tokio::spawn(serve(control, session, theirs));
        let input = input.to_vec();
        let (mut reader, mut writer) = tokio::io::split(&mut ours);
        let mut out = Vec::new();
        let write = async {
            // the server may leave before it took everything
            let _ = writer.write_all(&input).await;
            let _ = writer.shutdown().await;
        };
        let (_, read) = tokio::join!(write, reader.read_to_end(&mut out));
        read.unwrap();
        server.await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn an_answer_ends_with_an_empty_line_and_the_connection_closes() {
        assert_eq!(
            talk(AdminLevel::Admin, b"show cli level\n").await,
            "admin\n\n"
        );
    }

    #[tokio::test]
    async fn commands_are_chained_and_answered_one_by_one() {
        assert_eq!(
            talk(
                AdminLevel::Admin,
                b"show cli level;operator; show cli level\n"
            )
            .await,
            "admin\n\n\noperator\n\n"
        );
    }

    #[tokio::test]
    async fn a_prompt_keeps_the_connection_open() {
        assert_eq!(
            talk(AdminLevel::User, b"prompt\nshow cli level\nquit\n").await,
            "\n> user\n\n> "
        );
    }

    #[tokio::test]
    async fn levels_are_kept_and_only_lowered() {
        assert_eq!(
            talk(
                AdminLevel::Operator,
                b"set weight a/b 1; user; show errors\n"
            )
            .await,
            "Permission denied\n\n\nPermission denied\n\n"
        );
    }

    #[tokio::test]
    async fn messages_carry_their_severity_on_demand() {
        assert_eq!(
            talk(
                AdminLevel::Admin,
                b"set severity-output number; set weight a 1\n"
            )
            .await,
            "\n[3]: Require 'backend/server'.\n\n"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_never_run_and_one_too_long_is_cut() {
        assert_eq!(talk(AdminLevel::Admin, b"show version").await, "");
        let long = vec![b'x'; LINE_MAX * 3];
        assert_eq!(talk(AdminLevel::Admin, &long).await, "");
    }

    #[tokio::test]
    async fn garbage_is_an_unknown_command() {
        let answer = talk(AdminLevel::User, b"\xff\xfe\x00 GET / HTTP/1.1\n").await;
        assert!(answer.starts_with("Unknown command."));
    }

    #[tokio::test]
    async fn commands_that_only_haproxy_has_are_named() {
        let answer = talk(AdminLevel::Admin, b"show table x\n").await;
        assert_eq!(
            answer,
            "'show table' is not available in Evenkeel: stick tables are not there yet.\n\n"
        );
    }
}
