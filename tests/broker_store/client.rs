//! A client of a few methods, written from the protocol's text: what it does not know it does not want.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What the broker sent, as far as these tests care.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Everything up to this number is confirmed, or this one alone.
    Confirm { number: u64, multiple: bool },
    Delivery {
        tag: u64,
        redelivered: bool,
        body: Vec<u8>,
    },
    /// Any other method: class and number, and its arguments.
    Method(u16, u16, Vec<u8>),
}

pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// A delivery whose body is still to come.
    opened: Option<(u64, bool, usize, Vec<u8>)>,
    events: VecDeque<Event>,
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(0xCE);
    out
}

fn method(channel: u16, class: u16, number: u16, arguments: &[&[u8]]) -> Vec<u8> {
    let mut payload = [class.to_be_bytes(), number.to_be_bytes()].concat();
    arguments
        .iter()
        .for_each(|bytes| payload.extend_from_slice(bytes));
    frame(1, channel, &payload)
}

impl Client {
    /// Connects as guest and opens channel 1.
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut client = Client {
            stream,
            input: Vec::new(),
            opened: None,
            events: VecDeque::new(),
        };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        client.wait(10, 10)?;
        let login = b"\0guest\0guest";
        let length = (login.len() as u32).to_be_bytes();
        client.send(&method(
            0,
            10,
            11,
            &[&[0; 4], &short("PLAIN"), &length, login, &short("en_US")],
        ))?;
        let tune = client.wait(10, 30)?;
        client.send(&method(0, 10, 31, &[&tune[..6], &[0, 0]]))?;
        client.send(&method(0, 10, 40, &[&short("/"), &[0, 0]]))?;
        client.wait(10, 41)?;
        client.send(&method(1, 20, 10, &[&[0]]))?;
        client.wait(20, 11)?;
        Ok(client)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn declare(&mut self, queue: &str) -> io::Result<()> {
        self.send(&method(1, 50, 10, &[&[0, 0], &short(queue), &[2], &[0; 4]]))?;
        self.wait(50, 11).map(drop)
    }

    /// Asks for many queues without waiting; each is answered in turn.
    #[allow(dead_code)]
    pub fn declare_all(&mut self, queues: &[String]) -> io::Result<()> {
        let declare = |queue: &String| method(1, 50, 10, &[&[0, 0], &short(queue), &[2], &[0; 4]]);
        let all: Vec<u8> = queues.iter().flat_map(declare).collect();
        self.send(&all)
    }

    /// How many messages are ready in a queue that is there.
    pub fn ready(&mut self, queue: &str) -> io::Result<u32> {
        self.send(&method(1, 50, 10, &[&[0, 0], &short(queue), &[1], &[0; 4]]))?;
        let answer = self.wait(50, 11)?;
        let at = 1 + answer[0] as usize;
        Ok(u32::from_be_bytes([
            answer[at],
            answer[at + 1],
            answer[at + 2],
            answer[at + 3],
        ]))
    }

    pub fn confirm_mode(&mut self) -> io::Result<()> {
        self.send(&method(1, 85, 10, &[&[0]]))?;
        self.wait(85, 11).map(drop)
    }

    pub fn publish(&mut self, queue: &str, body: &[u8], persistent: bool) -> io::Result<()> {
        let mut out = method(1, 60, 40, &[&[0, 0], &short(""), &short(queue), &[0]]);
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend([0x10, 0, if persistent { 2 } else { 1 }]);
        out.extend(frame(2, 1, &header));
        if !body.is_empty() {
            out.extend(frame(3, 1, body));
        }
        self.send(&out)
    }

    pub fn consume(&mut self, queue: &str, prefetch: u16) -> io::Result<()> {
        self.send(&method(
            1,
            60,
            10,
            &[&[0; 4], &prefetch.to_be_bytes(), &[0]],
        ))?;
        self.wait(60, 11)?;
        self.send(&method(
            1,
            60,
            20,
            &[&[0, 0], &short(queue), &short("c"), &[0], &[0; 4]],
        ))
    }

    pub fn ack(&mut self, tag: u64) -> io::Result<()> {
        self.send(&method(1, 60, 80, &[&tag.to_be_bytes(), &[0]]))
    }

    pub fn transact(&mut self) -> io::Result<()> {
        self.send(&method(1, 90, 10, &[]))?;
        self.wait(90, 11).map(drop)
    }

    pub fn commit(&mut self) -> io::Result<()> {
        self.send(&method(1, 90, 20, &[]))?;
        self.wait(90, 21).map(drop)
    }

    /// Waits for a method; gives its arguments. What comes before is kept.
    fn wait(&mut self, class: u16, number: u16) -> io::Result<Vec<u8>> {
        let mut kept = VecDeque::new();
        loop {
            match self.next()? {
                Event::Method(c, n, arguments) if (c, n) == (class, number) => {
                    kept.append(&mut self.events);
                    self.events = kept;
                    return Ok(arguments);
                }
                Event::Method(c, n, arguments) if (c, n) == (10, 50) || (c, n) == (20, 40) => {
                    return Err(io::Error::other(
                        String::from_utf8_lossy(&arguments).into_owned(),
                    ));
                }
                other => kept.push_back(other),
            }
        }
    }

    /// The next event, whenever it comes.
    pub fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&buffer[..count]),
            }
            self.parse();
        }
    }

    fn parse(&mut self) {
        let mut at = 0;
        while self.input.len() >= at + 8 {
            let bytes = &self.input[at..];
            let length = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
            if bytes.len() < length + 8 {
                break;
            }
            let (kind, payload) = (bytes[0], bytes[7..7 + length].to_vec());
            at += length + 8;
            self.take(kind, payload);
        }
        self.input.drain(..at);
    }

    fn take(&mut self, kind: u8, payload: Vec<u8>) {
        match (kind, &mut self.opened) {
            (1, _) => self.take_method(&payload),
            (2, Some(opened)) => {
                opened.2 = u64::from_be_bytes(payload[4..12].try_into().unwrap()) as usize
            }
            (3, Some(opened)) => opened.3.extend_from_slice(&payload),
            _ => {}
        }
        if kind != 1
            && let Some((tag, redelivered, size, body)) =
                self.opened.take_if(|opened| opened.2 == opened.3.len())
        {
            debug_assert_eq!(size, body.len());
            self.events.push_back(Event::Delivery {
                tag,
                redelivered,
                body,
            });
        }
    }

    fn take_method(&mut self, payload: &[u8]) {
        let (class, number) = (
            u16::from_be_bytes([payload[0], payload[1]]),
            u16::from_be_bytes([payload[2], payload[3]]),
        );
        let arguments = &payload[4..];
        let long = |at: usize| u64::from_be_bytes(arguments[at..at + 8].try_into().unwrap());
        match (class, number) {
            (60, 80) => self.events.push_back(Event::Confirm {
                number: long(0),
                multiple: arguments[8] != 0,
            }),
            (60, 60) => {
                let at = 1 + arguments[0] as usize;
                self.opened = Some((long(at), arguments[at + 8] != 0, usize::MAX, Vec::new()));
            }
            (60, 21) => {}
            _ => self
                .events
                .push_back(Event::Method(class, number, arguments.to_vec())),
        }
    }
}
