//! As much of an AMQP 0-9-1 client as the traffic needs, over any stream.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Largest frame that is accepted.
const MAX_FRAME: usize = 1 << 20;

/// Heartbeat that is asked for, seconds: a broker lets go of a client whose host
/// died, and delivers again what it had, after two to three of these.
const HEARTBEAT_S: u16 = 2;

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
    delivery: Option<(u64, bool, u64, Vec<u8>)>,
    cluster: String,
}

struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn method(&self) -> Option<(u16, u16)> {
        let four: [u8; 4] = self.payload.get(..4)?.try_into().ok()?;
        let class = u16::from_be_bytes([four[0], four[1]]);
        let method = u16::from_be_bytes([four[2], four[3]]);
        (self.kind == 1).then_some((class, method))
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
        client.cluster = cluster_in(&client.expect(10, 10).await?);
        let mut start_ok = vec![0, 0, 0, 0];
        start_ok.extend(short("PLAIN"));
        start_ok.extend([0, 0, 0, 12]);
        start_ok.extend(b"\0guest\0guest");
        start_ok.extend(short("en_US"));
        client.method(0, 10, 11, &start_ok).await?;
        let tune = client.expect(10, 30).await?;
        let tune_ok = tune.get(4..10).ok_or_else(|| bad("a short tune"))?;
        let tune_ok = [tune_ok, &HEARTBEAT_S.to_be_bytes()].concat();
        client.method(0, 10, 31, &tune_ok).await?;
        client
            .method(0, 10, 40, &[short("/"), vec![0, 0]].concat())
            .await?;
        client.expect(10, 41).await?;
        client.method(1, 20, 10, &[0]).await?;
        client.expect(20, 11).await?;
        Ok(client)
    }

    /// The name of the broker's cluster, empty if it says none.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// A durable queue.
    pub async fn declare(&mut self, queue: &str) -> io::Result<()> {
        let args = [vec![0, 0], short(queue), vec![0b10], vec![0, 0, 0, 0]].concat();
        self.method(1, 50, 10, &args).await?;
        self.expect(50, 11).await.map(|_| ())
    }

    /// Confirms from now on.
    pub async fn confirm_select(&mut self) -> io::Result<()> {
        self.method(1, 85, 10, &[0]).await?;
        self.expect(85, 11).await.map(|_| ())
    }

    /// Manual acknowledgement with a prefetch window.
    pub async fn consume(&mut self, queue: &str, prefetch: u16) -> io::Result<()> {
        let qos = [&[0, 0, 0, 0][..], &prefetch.to_be_bytes(), &[0]].concat();
        self.method(1, 60, 10, &qos).await?;
        self.expect(60, 11).await?;
        let args = [
            vec![0, 0],
            short(queue),
            short("t"),
            vec![0],
            vec![0, 0, 0, 0],
        ]
        .concat();
        self.method(1, 60, 20, &args).await?;
        self.expect(60, 21).await.map(|_| ())
    }

    /// A persistent message to a queue, by the default exchange.
    pub async fn publish(&mut self, queue: &str, body: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 + body.len());
        let args = [vec![0, 0], short(""), short(queue), vec![0]].concat();
        put_method(&mut out, 1, 60, 40, &args);
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend([0x10, 0x00, 2]);
        put_frame(&mut out, 2, 1, &header);
        put_frame(&mut out, 3, 1, body);
        self.stream.write_all(&out).await
    }

    /// Acknowledges one delivery.
    pub async fn ack(&mut self, tag: u64) -> io::Result<()> {
        let args = [&tag.to_be_bytes()[..], &[0]].concat();
        self.method(1, 60, 80, &args).await
    }

    /// A sign of life.
    pub async fn heartbeat(&mut self) -> io::Result<()> {
        let mut out = Vec::with_capacity(8);
        put_frame(&mut out, 8, 0, &[]);
        self.stream.write_all(&out).await
    }

    /// Says goodbye; failures do not matter any more.
    pub async fn close(&mut self) {
        let args = [&200u16.to_be_bytes()[..], &short("bye"), &[0, 0, 0, 0]].concat();
        if self.method(0, 10, 50, &args).await.is_ok() {
            let limit = std::time::Duration::from_millis(500);
            let _ = tokio::time::timeout(limit, self.expect(10, 51)).await;
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
            (1, Some((60, 80 | 120))) => Ok(Some(Event::Confirm {
                tag: long(p, 4).ok_or_else(short_frame)?,
                multiple: p.get(12).ok_or_else(short_frame)? & 1 == 1,
                good: frame.method() == Some((60, 80)),
            })),
            (1, Some((60, 60))) => {
                let name = usize::from(*p.get(4).ok_or_else(short_frame)?);
                let tag = long(p, 5 + name).ok_or_else(short_frame)?;
                let flag = *p.get(13 + name).ok_or_else(short_frame)? != 0;
                self.delivery = Some((tag, flag, u64::MAX, Vec::new()));
                Ok(None)
            }
            (1, Some((20, 40) | (10, 50))) => {
                let length = usize::from(*p.get(6).ok_or_else(short_frame)?);
                let text = p.get(7..7 + length).unwrap_or_default();
                Ok(Some(Event::Closed(
                    String::from_utf8_lossy(text).into_owned(),
                )))
            }
            (1, Some((60, 30))) => Ok(Some(Event::Closed("the consumer was cancelled".to_owned()))),
            (2, _) => {
                let size = long(p, 4).ok_or_else(short_frame)?;
                if let Some(delivery) = &mut self.delivery {
                    delivery.2 = size;
                }
                Ok(self.delivered())
            }
            (3, _) => {
                if let Some(delivery) = &mut self.delivery {
                    delivery.3.extend(p);
                }
                Ok(self.delivered())
            }
            _ => Ok(Some(Event::Other)),
        }
    }

    fn delivered(&mut self) -> Option<Event> {
        let whole = |d: &mut (u64, bool, u64, Vec<u8>)| d.3.len() as u64 >= d.2;
        let (tag, redelivered, _, body) = self.delivery.take_if(whole)?;
        Some(Event::Delivery {
            tag,
            redelivered,
            body,
        })
    }

    async fn expect(&mut self, class: u16, method: u16) -> io::Result<Vec<u8>> {
        loop {
            let frame = self.frame().await?;
            if frame.method() == Some((class, method)) {
                return Ok(frame.payload);
            }
            if let Some(Event::Closed(why)) = self.take(frame)? {
                return Err(io::Error::other(why));
            }
        }
    }

    async fn method(
        &mut self,
        channel: u16,
        class: u16,
        method: u16,
        args: &[u8],
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(12 + args.len());
        put_method(&mut out, channel, class, method, args);
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
    out.push(0xce);
}

fn put_method(out: &mut Vec<u8>, channel: u16, class: u16, method: u16, args: &[u8]) {
    let mut payload = Vec::with_capacity(4 + args.len());
    payload.extend(class.to_be_bytes());
    payload.extend(method.to_be_bytes());
    payload.extend(args);
    put_frame(out, 1, channel, &payload);
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
