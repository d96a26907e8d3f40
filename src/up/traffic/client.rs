//! As much of an AMQP 0-9-1 client as the traffic needs, over any stream.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Largest frame that is accepted.
const MAX_FRAME: usize = 1 << 20;

/// Heartbeat that is asked for, seconds: a broker lets go of a client whose host
/// died, and delivers again what it had, after two to three of these.
const HEARTBEAT_S: u16 = 2;

/// Frame types.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// The last octet of every frame.
const FRAME_END: u8 = 0xce;

/// The flag of the one property that a message has, and its value.
const HAS_DELIVERY_MODE: u16 = 1 << 12;
const PERSISTENT: u8 = 2;

/// The connection's own channel, and the one that is opened.
const CONNECTION: u16 = 0;
const CHANNEL: u16 = 1;

/// A method: its class and its number there.
type Id = (u16, u16);
const CONNECTION_START: Id = (10, 10);
const CONNECTION_START_OK: Id = (10, 11);
const CONNECTION_TUNE: Id = (10, 30);
const CONNECTION_TUNE_OK: Id = (10, 31);
const CONNECTION_OPEN: Id = (10, 40);
const CONNECTION_OPEN_OK: Id = (10, 41);
const CONNECTION_CLOSE: Id = (10, 50);
const CONNECTION_CLOSE_OK: Id = (10, 51);
const CHANNEL_OPEN: Id = (20, 10);
const CHANNEL_OPEN_OK: Id = (20, 11);
const CHANNEL_CLOSE: Id = (20, 40);
const QUEUE_DECLARE: Id = (50, 10);
const QUEUE_DECLARE_OK: Id = (50, 11);
const BASIC_CLASS: u16 = 60;
const BASIC_QOS: Id = (BASIC_CLASS, 10);
const BASIC_QOS_OK: Id = (BASIC_CLASS, 11);
const BASIC_CONSUME: Id = (BASIC_CLASS, 20);
const BASIC_CONSUME_OK: Id = (BASIC_CLASS, 21);
const BASIC_CANCEL: Id = (BASIC_CLASS, 30);
const BASIC_PUBLISH: Id = (BASIC_CLASS, 40);
const BASIC_DELIVER: Id = (BASIC_CLASS, 60);
const BASIC_ACK: Id = (BASIC_CLASS, 80);
const BASIC_NACK: Id = (BASIC_CLASS, 120);
const CONFIRM_SELECT: Id = (85, 10);
const CONFIRM_SELECT_OK: Id = (85, 11);

/// What the broker says unasked.
#[derive(Debug)]
pub enum Event {
    /// `basic.ack` or `basic.nack` of published messages.
    Confirm {
        /// Delivery tag.
        tag: u64,
        /// All up to it.
        multiple: bool,
        /// Ack.
        good: bool,
    },
    /// A message for the consumer.
    Delivery {
        /// Delivery tag.
        tag: u64,
        /// The flag.
        redelivered: bool,
        /// The body.
        body: Vec<u8>,
    },
    /// The broker closed the channel or connection.
    Closed(String),
    /// Anything else.
    Other,
}

/// One connection with one channel.
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    /// A delivery whose content is still coming.
    delivery: Option<Delivery>,
    cluster: String,
}

struct Delivery {
    tag: u64,
    redelivered: bool,
    /// Known once the header has come.
    size: Option<u64>,
    body: Vec<u8>,
}

struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn method(&self) -> Option<Id> {
        let four: [u8; 4] = self.payload.get(..4)?.try_into().ok()?;
        let class = u16::from_be_bytes([four[0], four[1]]);
        let method = u16::from_be_bytes([four[2], four[3]]);
        (self.kind == METHOD).then_some((class, method))
    }
}

fn short(text: &str) -> Vec<u8> {
    let mut out = vec![text.len() as u8];
    out.extend(text.as_bytes());
    out
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Client {
    /// Handshake as guest on `/`, and channel 1.
    pub async fn open(mut stream: UnixStream) -> io::Result<Client> {
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut client = Client {
            stream,
            input: Vec::new(),
            delivery: None,
            cluster: String::new(),
        };
        client.cluster = cluster_in(&client.expect(CONNECTION_START).await?);
        let mut start_ok = vec![0, 0, 0, 0];
        start_ok.extend(short("PLAIN"));
        start_ok.extend([0, 0, 0, 12]);
        start_ok.extend(b"\0guest\0guest");
        start_ok.extend(short("en_US"));
        client
            .method(CONNECTION, CONNECTION_START_OK, &start_ok)
            .await?;
        let tune = client.expect(CONNECTION_TUNE).await?;
        let tune_ok = tune.get(4..10).ok_or_else(|| bad("a short tune"))?;
        let tune_ok = [tune_ok, &HEARTBEAT_S.to_be_bytes()].concat();
        client
            .method(CONNECTION, CONNECTION_TUNE_OK, &tune_ok)
            .await?;
        let open = [short("/"), vec![0, 0]].concat();
        client.method(CONNECTION, CONNECTION_OPEN, &open).await?;
        client.expect(CONNECTION_OPEN_OK).await?;
        client.method(CHANNEL, CHANNEL_OPEN, &[0]).await?;
        client.expect(CHANNEL_OPEN_OK).await?;
        Ok(client)
    }

    /// The name of the broker's cluster, empty if it says none.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// A durable queue.
    pub async fn declare(&mut self, queue: &str) -> io::Result<()> {
        let args = [vec![0, 0], short(queue), vec![0b10], vec![0, 0, 0, 0]].concat();
        self.method(CHANNEL, QUEUE_DECLARE, &args).await?;
        self.expect(QUEUE_DECLARE_OK).await.map(|_| ())
    }

    /// Confirms from now on.
    pub async fn confirm_select(&mut self) -> io::Result<()> {
        self.method(CHANNEL, CONFIRM_SELECT, &[0]).await?;
        self.expect(CONFIRM_SELECT_OK).await.map(|_| ())
    }

    /// Manual acknowledgement with a prefetch window.
    pub async fn consume(&mut self, queue: &str, prefetch: u16) -> io::Result<()> {
        let qos = [&[0, 0, 0, 0][..], &prefetch.to_be_bytes(), &[0]].concat();
        self.method(CHANNEL, BASIC_QOS, &qos).await?;
        self.expect(BASIC_QOS_OK).await?;
        let args = [
            vec![0, 0],
            short(queue),
            short("t"),
            vec![0],
            vec![0, 0, 0, 0],
        ]
        .concat();
        self.method(CHANNEL, BASIC_CONSUME, &args).await?;
        self.expect(BASIC_CONSUME_OK).await.map(|_| ())
    }

    /// A persistent message to a queue, by the default exchange.
    pub async fn publish(&mut self, queue: &str, body: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 + body.len());
        let args = [vec![0, 0], short(""), short(queue), vec![0]].concat();
        put_method(&mut out, CHANNEL, BASIC_PUBLISH, &args);
        let mut header = BASIC_CLASS.to_be_bytes().to_vec();
        let weight: u16 = 0;
        header.extend(weight.to_be_bytes());
        header.extend((body.len() as u64).to_be_bytes());
        header.extend(HAS_DELIVERY_MODE.to_be_bytes());
        header.push(PERSISTENT);
        put_frame(&mut out, HEADER, CHANNEL, &header);
        put_frame(&mut out, BODY, CHANNEL, body);
        self.stream.write_all(&out).await
    }

    /// Acknowledges one delivery.
    pub async fn ack(&mut self, tag: u64) -> io::Result<()> {
        let args = [&tag.to_be_bytes()[..], &[0]].concat();
        self.method(CHANNEL, BASIC_ACK, &args).await
    }

    /// A sign of life.
    pub async fn heartbeat(&mut self) -> io::Result<()> {
        let mut out = Vec::with_capacity(8);
        put_frame(&mut out, HEARTBEAT, CONNECTION, &[]);
        self.stream.write_all(&out).await
    }

    /// Says goodbye; failures do not matter any more.
    pub async fn close(&mut self) {
        let args = [&200u16.to_be_bytes()[..], &short("bye"), &[0, 0, 0, 0]].concat();
        let said = self.method(CONNECTION, CONNECTION_CLOSE, &args).await;
        if said.is_ok() {
            let limit = std::time::Duration::from_millis(500);
            let _ = tokio::time::timeout(limit, self.expect(CONNECTION_CLOSE_OK)).await;
        }
    }

    /// The next thing that the broker says. Safe to drop half-way.
    pub async fn event(&mut self) -> io::Result<Event> {
        loop {
            let frame = self.frame().await?;
            if let Some(event) = self.take(frame)? {
                return Ok(event);
            }
        }
    }

    fn take(&mut self, frame: Frame) -> io::Result<Option<Event>> {
        let short_frame = || bad("a short frame");
        let p = &frame.payload;
        match (frame.kind, frame.method()) {
            (METHOD, Some(BASIC_ACK | BASIC_NACK)) => Ok(Some(Event::Confirm {
                tag: long(p, 4).ok_or_else(short_frame)?,
                multiple: p.get(12).ok_or_else(short_frame)? & 1 == 1,
                good: frame.method() == Some(BASIC_ACK),
            })),
            (METHOD, Some(BASIC_DELIVER)) => {
                let name = usize::from(*p.get(4).ok_or_else(short_frame)?);
                let tag = long(p, 5 + name).ok_or_else(short_frame)?;
                let redelivered = *p.get(13 + name).ok_or_else(short_frame)? != 0;
                self.delivery = Some(Delivery {
                    tag,
                    redelivered,
                    size: None,
                    body: Vec::new(),
                });
                Ok(None)
            }
            (METHOD, Some(CHANNEL_CLOSE | CONNECTION_CLOSE)) => {
                let length = usize::from(*p.get(6).ok_or_else(short_frame)?);
                let text = p.get(7..7 + length).unwrap_or_default();
                Ok(Some(Event::Closed(
                    String::from_utf8_lossy(text).into_owned(),
                )))
            }
            (METHOD, Some(BASIC_CANCEL)) => {
                Ok(Some(Event::Closed("the consumer was cancelled".to_owned())))
            }
            (HEADER, _) => {
                let size = long(p, 4).ok_or_else(short_frame)?;
                if let Some(delivery) = &mut self.delivery {
                    delivery.size = Some(size);
                }
                Ok(self.delivered())
            }
            (BODY, _) => {
                if let Some(delivery) = &mut self.delivery {
                    delivery.body.extend(p);
                }
                Ok(self.delivered())
            }
            _ => Ok(Some(Event::Other)),
        }
    }

    fn delivered(&mut self) -> Option<Event> {
        let is_whole = |d: &mut Delivery| d.size.is_some_and(|size| d.body.len() as u64 >= size);
        let delivery = self.delivery.take_if(is_whole)?;
        Some(Event::Delivery {
            tag: delivery.tag,
            redelivered: delivery.redelivered,
            body: delivery.body,
        })
    }

    /// Waits for a method; gives its payload.
    async fn expect(&mut self, method: Id) -> io::Result<Vec<u8>> {
        loop {
            let frame = self.frame().await?;
            if frame.method() == Some(method) {
                return Ok(frame.payload);
            }
            if let Some(Event::Closed(why)) = self.take(frame)? {
                return Err(io::Error::other(why));
            }
        }
    }

    async fn method(&mut self, channel: u16, method: Id, args: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(12 + args.len());
        put_method(&mut out, channel, method, args);
        self.stream.write_all(&out).await
    }

    /// One whole frame; what was read of the next stays in `input`.
    async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(head) = self.input.get(..7) {
                if head == b"AMQP\0\0\x09" {
                    return Err(bad("the broker does not speak AMQP 0-9-1"));
                }
                let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
                if size > MAX_FRAME {
                    return Err(bad("a frame too large"));
                }
                if self.input.len() >= size + 8 {
                    let rest = self.input.split_off(size + 8);
                    let whole = std::mem::replace(&mut self.input, rest);
                    return Ok(Frame {
                        kind: whole[0],
                        payload: whole[7..7 + size].to_vec(),
                    });
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// `cluster_name` among the server properties of `connection.start`.
fn cluster_in(start: &[u8]) -> String {
    const KEY: &[u8] = b"\x0ccluster_nameS";
    let value = || {
        let at = start.windows(KEY.len()).position(|w| w == KEY)? + KEY.len();
        let length = u32::from_be_bytes(start.get(at..at + 4)?.try_into().ok()?);
        start.get(at + 4..)?.get(..length as usize)
    };
    String::from_utf8_lossy(value().unwrap_or_default()).into_owned()
}

fn long(payload: &[u8], at: usize) -> Option<u64> {
    let eight = payload.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(eight))
}

fn put_frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(FRAME_END);
}

fn put_method(out: &mut Vec<u8>, channel: u16, (class, method): Id, args: &[u8]) {
    let mut payload = Vec::with_capacity(4 + args.len());
    payload.extend(class.to_be_bytes());
    payload.extend(method.to_be_bytes());
    payload.extend(args);
    put_frame(out, METHOD, channel, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_told_by_the_name_of_its_cluster() {
        let start =
            b"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x1b\x0ccluster_nameS\x00\x00\x00\x09rabbit@n1";
        assert_eq!(cluster_in(start), "rabbit@n1");
        assert_eq!(cluster_in(&start[..start.len() - 1]), "");
        assert_eq!(cluster_in(b"\x00\x0a\x00\x0a"), "");
    }
}
