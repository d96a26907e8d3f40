//! Ending a session politely: the client is told to go and to come back
//! elsewhere, the server sees a client that leaves in order.
//!
//! ```text
//! frame    AMQP: the server's running frame passes on       -> answer
//! answer   connection.close said; the client's last frames
//!          pass on until its close-ok                       -> part
//! part     connection.close said to the server, until its
//!          close-ok                                         -> over
//! fin      not AMQP: the client got a FIN; its last bytes
//!          pass on until its own                            -> over
//! ```
//!
//! Bytes in, bytes out: sockets and deadlines are the session's.

use super::amqp_frames::{Control, Progress, Step, Talk, close, close_ok};

/// AMQP's `CONNECTION-FORCED`.
const FORCED: u16 = 320;
/// AMQP's `REPLY-SUCCESS`.
const SUCCESS: u16 = 200;

/// What is to be done, in this order: bytes, then ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// For the client.
    pub to_client: Vec<u8>,
    /// For the server.
    pub to_server: Vec<u8>,
    /// Then the client gets our FIN.
    pub end_client: bool,
    /// Then the server gets our FIN.
    pub end_server: bool,
    /// Both sides have said goodbye.
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Frame,
    Answer,
    Part,
    Fin,
    Over,
}

/// A session that is being ended.
#[derive(Clone, Debug)]
pub struct Farewell {
    stage: Stage,
    talk: Talk,
    reason: String,
    /// Bytes of the client's running head that the server has already.
    passed_of_head: usize,
    client_ended: bool,
    server_ended: bool,
}

impl Farewell {
    /// Begins to end a session; `talk` is what it said so far, if it was followed.
    pub fn begin(talk: Option<Talk>, reason: &str, orders: &mut Orders) -> Farewell {
        let amqp = talk.filter(|t| t.progress == Progress::Open);
        let mut farewell = Farewell {
            stage: if amqp.is_some() {
                Stage::Frame
            } else {
                Stage::Fin
            },
            talk: amqp.unwrap_or_default(),
            reason: reason.to_owned(),
            passed_of_head: 0,
            client_ended: false,
            server_ended: false,
        };
        match farewell.stage {
            Stage::Fin => orders.end_client = true,
            Stage::Frame | Stage::Answer | Stage::Part | Stage::Over => {
                farewell.close_if_at_boundary(orders);
            }
        }
        farewell
    }

    /// Bytes came from the server.
    pub fn from_server(&mut self, mut bytes: &[u8], orders: &mut Orders) {
        while !bytes.is_empty() {
            let taken = match self.stage {
                Stage::Fin | Stage::Over => return,
                Stage::Frame | Stage::Answer | Stage::Part => self.talk.down.step(bytes),
            };
            let (taken, control) = match taken {
                Step::Head(n) | Step::Payload(n) | Step::Done(n) => (n, None),
                Step::Frame(n, control) => (n, control),
                Step::Garbled => return self.give_up(orders),
            };
            match self.stage {
                Stage::Frame => {
                    orders.to_client.extend_from_slice(&bytes[..taken]);
                    self.close_if_at_boundary(orders);
                }
                Stage::Part if control == Some(Control::CloseOk) => self.become_over(orders),
                Stage::Answer | Stage::Part | Stage::Fin | Stage::Over => {}
            }
            bytes = &bytes[taken..];
        }
    }

    /// Bytes came from the client.
    pub fn from_client(&mut self, mut bytes: &[u8], orders: &mut Orders) {
        while !bytes.is_empty() {
            match self.stage {
                Stage::Fin => return orders.to_server.extend_from_slice(bytes),
                Stage::Part | Stage::Over => return,
                Stage::Frame | Stage::Answer => {}
            }
            let step = self.talk.up.step(bytes);
            let taken = match step {
                Step::Head(n) | Step::Payload(n) | Step::Done(n) | Step::Frame(n, _) => n,
                Step::Garbled => return self.give_up(orders),
            };
            match (self.stage, step) {
                (Stage::Answer, Step::Frame(_, Some(Control::CloseOk))) => {
                    return self.part(orders);
                }
                (Stage::Answer, Step::Frame(_, Some(Control::Close))) => {
                    orders.to_client.extend(close_ok());
                    return self.part(orders);
                }
                (Stage::Answer, Step::Frame(..)) => {
                    let head = &self.talk.up.head()[self.passed_of_head..];
                    orders.to_server.extend_from_slice(head);
                    self.passed_of_head = 0;
                }
                // held back until it is known what it begins
                (Stage::Answer, Step::Head(_)) => {}
                _ => orders.to_server.extend_from_slice(&bytes[..taken]),
            }
            bytes = &bytes[taken..];
        }
    }

    /// The client ended its side, after everything that it sent.
    pub fn client_ended(&mut self, orders: &mut Orders) {
        self.client_ended = true;
        match self.stage {
            Stage::Frame | Stage::Answer if self.talk.up.at_boundary() => self.part(orders),
            Stage::Frame | Stage::Answer | Stage::Fin => {
                self.stage = Stage::Fin;
                orders.end_server = true;
                orders.end_client = true;
                self.end_if_both_ended(orders);
            }
            Stage::Part | Stage::Over => {}
        }
    }

    /// The server ended its side, after everything that it sent.
    pub fn server_ended(&mut self, orders: &mut Orders) {
        self.server_ended = true;
        match self.stage {
            // it was cut in a frame: there is no boundary any more
            Stage::Frame => {
                self.stage = Stage::Fin;
                orders.end_client = true;
            }
            Stage::Part => self.become_over(orders),
            Stage::Fin => self.end_if_both_ended(orders),
            Stage::Answer | Stage::Over => {}
        }
    }

    fn close_if_at_boundary(&mut self, orders: &mut Orders) {
        if self.talk.down.at_boundary() {
            orders.to_client.extend(close(FORCED, &self.reason));
            let up = &self.talk.up;
            self.passed_of_head = if up.in_head() { up.head().len() } else { 0 };
            self.stage = Stage::Answer;
        }
    }

    /// The client is gone or about to go: the server is told.
    fn part(&mut self, orders: &mut Orders) {
        if self.server_ended {
            return self.become_over(orders);
        }
        orders.to_server.extend(close(SUCCESS, &self.reason));
        self.stage = Stage::Part;
    }

    /// What came is not AMQP: only FINs are left to say.
    fn give_up(&mut self, orders: &mut Orders) {
        self.stage = Stage::Fin;
        orders.end_client = true;
        orders.end_server = true;
        self.end_if_both_ended(orders);
    }

    fn end_if_both_ended(&mut self, orders: &mut Orders) {
        if self.client_ended && self.server_ended {
            self.become_over(orders);
        }
    }

    fn become_over(&mut self, orders: &mut Orders) {
        self.stage = Stage::Over;
        orders.over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, channel];
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(0xCE);
        frame
    }

    fn talk() -> Talk {
        Talk {
            progress: Progress::Open,
            ..Talk::default()
        }
    }

    fn begin(talk: Option<Talk>) -> (Farewell, Orders) {
        let mut orders = Orders::default();
        let farewell = Farewell::begin(talk, "moved", &mut orders);
        (farewell, orders)
    }

    #[test]
    fn a_quiet_connection_is_closed_at_once_and_both_sides_say_goodbye() {
        let (mut farewell, mut orders) = begin(Some(talk()));
        assert_eq!(orders.to_client, close(320, "moved"));
        farewell.from_server(&frame(3, 1, b"late"), &mut orders);
        farewell.from_client(&frame(3, 1, b"last"), &mut orders);
        farewell.from_client(&close_ok(), &mut orders);
        let mut expected = frame(3, 1, b"last");
        expected.extend(close(200, "moved"));
        assert_eq!(orders.to_server, expected);
        assert_eq!(orders.to_client, close(320, "moved"), "nothing after close");
        farewell.from_server(&close_ok(), &mut orders);
        assert!(orders.over && !orders.end_client);
    }

    #[test]
    fn what_speaks_something_else_gets_a_fin_and_may_finish_its_sentence() {
        let (mut farewell, mut orders) = begin(None);
        assert!(orders.end_client && orders.to_client.is_empty());
        farewell.from_client(b"bye", &mut orders);
        farewell.from_server(b"late", &mut orders);
        farewell.client_ended(&mut orders);
        assert!(orders.end_server && !orders.over);
        assert_eq!(orders.to_server, b"bye");
        farewell.server_ended(&mut orders);
        assert!(orders.over && orders.to_client.is_empty());
    }

    #[test]
    fn a_client_that_closes_at_the_same_time_gets_its_answer() {
        let (mut farewell, mut orders) = begin(Some(talk()));
        farewell.from_client(&close(200, "own"), &mut orders);
        let mut expected = close(320, "moved");
        expected.extend(close_ok());
        assert_eq!(orders.to_client, expected);
        assert_eq!(orders.to_server, close(200, "moved"));
    }

    #[test]
    fn a_client_that_only_hangs_up_is_reported_to_the_server_in_order() {
        let (mut farewell, mut orders) = begin(Some(talk()));
        farewell.client_ended(&mut orders);
        assert_eq!(orders.to_server, close(200, "moved"));
        farewell.server_ended(&mut orders);
        assert!(orders.over);
    }

    proptest! {
        /// Whatever is cut where: the client gets whole frames and then `close`, the server gets
        /// all frames before the client's `close-ok` and then `close`.
        #[test]
        fn both_sides_see_whole_frames(
            down in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..30)), 1..8),
            up in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..30)), 1..8),
            start_down in 0usize..60, start_up in 0usize..60,
            cut in 1usize..20,
        ) {
            let join = |frames: &[(u8, Vec<u8>)]| -> (Vec<u8>, Vec<usize>) {
                let (mut bytes, mut ends) = (Vec::new(), vec![0]);
                for (channel, payload) in frames {
                    bytes.extend(frame(3, *channel, payload));
                    ends.push(bytes.len());
                }
                (bytes, ends)
            };
            let ((server_says, ends), (client_says, _)) = (join(&down), join(&up));
            let start_down = start_down.min(server_says.len());
            let start_up = start_up.min(client_says.len());
            let mut talk = talk();
            talk.from_server(&server_says[..start_down]);
            talk.from_client(&client_says[..start_up]);
            let (mut farewell, mut orders) = begin(Some(talk));
            for part in server_says[start_down..].chunks(cut) {
                farewell.from_server(part, &mut orders);
            }
            let boundary = ends.iter().copied().find(|e| *e >= start_down).unwrap();
            let mut client_sees = server_says[start_down..boundary].to_vec();
            client_sees.extend(close(320, "moved"));
            prop_assert_eq!(&orders.to_client, &client_sees);
            let mut all = client_says[start_up..].to_vec();
            all.extend(close_ok());
            for part in all.chunks(cut) {
                farewell.from_client(part, &mut orders);
            }
            let mut server_sees = client_says[start_up..].to_vec();
            server_sees.extend(close(200, "moved"));
            prop_assert_eq!(&orders.to_server, &server_sees);
            for part in close_ok().chunks(cut) {
                farewell.from_server(part, &mut orders);
            }
            prop_assert!(orders.over);
        }

        #[test]
        fn any_bytes_in_any_order_never_panic(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..40)), 0..20),
            amqp in any::<bool>(),
        ) {
            let (mut farewell, mut orders) = begin(amqp.then(talk));
            for (of_client, bytes) in parts {
                match of_client {
                    true => farewell.from_client(&bytes, &mut orders),
                    false => farewell.from_server(&bytes, &mut orders),
                }
            }
            farewell.client_ended(&mut orders);
            farewell.server_ended(&mut orders);
            prop_assert!(orders.over);
        }
    }
}
