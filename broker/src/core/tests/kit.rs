//! Clients that speak frames to an engine, and read its answers as text.

use crate::core::Core;
use crate::core::access::Password;
use crate::core::connection::Peer;
use crate::core::field::{FieldTable, FieldValue};
use crate::core::frame;
use crate::core::journal::Volatile;
use crate::core::metadata::Command;
use crate::core::method::Method;
use crate::core::properties::Properties;
use crate::core::settings::Settings;
use crate::core::vhost::VhostSpec;

/// An engine with the default vhost and user.
pub struct Bench {
    pub core: Core,
}

/// A client's connection to the bench's engine.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub u32);

/// What came from the server: a method as text, and the body where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub channel: u16,
    pub text: String,
    pub body: Option<String>,
    pub headers: FieldTable,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Bench {
        let mut core = Core::new(settings, Box::new(Volatile), [7; 32]);
        let password = Password::hash_salted(b"guest", [1; 4]);
        let all = || ".*".to_owned();
        let (user, vhost) = ("guest".to_owned(), "/".to_owned());
        core.execute(Command::PutVhost(VhostSpec {
            name: vhost.clone(),
            ..VhostSpec::default()
        }));
        core.execute(Command::PutUser {
            name: user.clone(),
            password_hash: password.export_hash(),
            hashing_algorithm: password.export_algorithm().to_owned(),
            tags: Vec::new(),
        });
        core.execute(Command::SetPermission {
            user,
            vhost,
            configure: all(),
            write: all(),
            read: all(),
        });
        core.clock.now_ms = 1;
        core.clock.wall_ms = 1_700_000_000_000;
        core.start();
        Bench { core }
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) {
        self.core.clock.now_ms += ms;
        self.core.clock.wall_ms += ms;
        self.core.end_turn();
    }

    pub fn connect_raw(&mut self) -> Client {
        let address = "127.0.0.1:40000".parse().expect("an address");
        let local = "127.0.0.1:5672".parse().expect("an address");
        Client(self.core.accept(Peer {
            address,
            local,
            tls: None,
            certificate: None,
        }))
    }

    /// A connection, open, with channel 1.
    pub fn connect(&mut self) -> Client {
        let client = self.connect_raw();
        self.bytes(client, b"AMQP\0\0\x09\x01");
        self.login(client, b"\0guest\0guest");
        self.send(
            client,
            0,
            &Method::ConnectionTuneOk {
                channel_max: 2047,
                frame_max: 131_072,
                heartbeat: 0,
            },
        );
        self.send(
            client,
            0,
            &Method::ConnectionOpen {
                virtual_host: "/",
                capabilities: "",
                insist: false,
            },
        );
        self.send(client, 1, &Method::ChannelOpen { out_of_band: "" });
        let answers = self.answers(client);
        assert!(
            answers.iter().any(|a| a.text.starts_with("ChannelOpenOk")),
            "{answers:?}"
        );
        client
    }

    pub fn login(&mut self, client: Client, response: &[u8]) {
        let names = [
            "authentication_failure_close",
            "consumer_cancel_notify",
            "connection.blocked",
        ];
        let capabilities = FieldTable::from(names.map(|name| (name, FieldValue::Bool(true))));
        let client_properties =
            FieldTable::from([("capabilities", FieldValue::Table(capabilities))]);
        let method = Method::ConnectionStartOk {
            client_properties,
            mechanism: "PLAIN",
            response,
            locale: "en_US",
        };
        self.send(client, 0, &method);
    }

    pub fn open_channel(&mut self, client: Client, channel: u16) {
        self.send(client, channel, &Method::ChannelOpen { out_of_band: "" });
        self.answers(client);
    }

    pub fn bytes(&mut self, client: Client, bytes: &[u8]) {
        let used = self.core.receive(client.0, bytes);
        assert_eq!(used, bytes.len(), "the engine takes whole frames at once");
        self.core.end_turn();
    }

    pub fn send(&mut self, client: Client, channel: u16, method: &Method<'_>) {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, frame::METHOD, channel, |out| method.encode(out));
        self.bytes(client, &bytes);
    }

    /// Sends on channel 1 and reads everything that comes.
    pub fn call(&mut self, client: Client, method: &Method<'_>) -> Vec<Answer> {
        self.send(client, 1, method);
        self.answers(client)
    }

    /// The same for one answer's text.
    pub fn ask(&mut self, client: Client, method: &Method<'_>) -> String {
        let answers = self.call(client, method);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].text.clone()
    }

    pub fn publish(&mut self, client: Client, exchange: &str, key: &str, body: &str) {
        self.publish_with(client, exchange, key, body, &Properties::default());
    }

    pub fn publish_with(
        &mut self,
        client: Client,
        exchange: &str,
        key: &str,
        body: &str,
        with: &Properties<'_>,
    ) {
        self.publish_on(client, 1, (exchange, key), body, with, false);
    }

    pub fn publish_on(
        &mut self,
        client: Client,
        channel: u16,
        (exchange, routing_key): (&str, &str),
        body: &str,
        with: &Properties<'_>,
        mandatory: bool,
    ) {
        let bytes = self.publish_bytes(channel, (exchange, routing_key), body, with, mandatory);
        self.bytes(client, &bytes);
    }

    pub fn publish_bytes(
        &self,
        channel: u16,
        (exchange, routing_key): (&str, &str),
        body: &str,
        with: &Properties<'_>,
        mandatory: bool,
    ) -> Vec<u8> {
        let method = Method::BasicPublish {
            ticket: 0,
            exchange,
            routing_key,
            mandatory,
            immediate: false,
        };
        let mut bytes = Vec::new();
        frame::write(&mut bytes, frame::METHOD, channel, |out| method.encode(out));
        frame::write(&mut bytes, frame::HEADER, channel, |out| {
            out.extend(with.encode(body.len() as u64))
        });
        if !body.is_empty() {
            frame::write(&mut bytes, frame::BODY, channel, |out| {
                out.extend(body.bytes())
            });
        }
        bytes
    }

    pub fn declare(&mut self, client: Client, queue: &str, arguments: FieldTable) -> String {
        self.ask(client, &queue_declare(queue, arguments))
    }

    pub fn bind(
        &mut self,
        client: Client,
        queue: &str,
        exchange: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) {
        let method = Method::QueueBind {
            ticket: 0,
            queue,
            exchange,
            routing_key,
            nowait: false,
            arguments,
        };
        assert_eq!(self.ask(client, &method), "QueueBindOk");
    }

    pub fn consume(&mut self, client: Client, queue: &str, tag: &str, no_ack: bool) -> Vec<Answer> {
        self.call(
            client,
            &basic_consume(queue, tag, no_ack, false, FieldTable::new()),
        )
    }

    /// Fetches one message without acknowledgement: its body, or nothing.
    pub fn get(&mut self, client: Client, queue: &str) -> Option<Answer> {
        let mut answers = self.call(
            client,
            &Method::BasicGet {
                ticket: 0,
                queue,
                no_ack: true,
            },
        );
        assert_eq!(answers.len(), 1, "{answers:?}");
        let answer = answers.pop()?;
        answer.text.starts_with("BasicGetOk").then_some(answer)
    }

    pub fn ready(&self, queue: &str) -> usize {
        self.core
            .find_queue("/", queue)
            .expect("the queue is there")
            .ready
            .len()
    }

    /// Everything that waits to be written to this client.
    pub fn answers(&mut self, client: Client) -> Vec<Answer> {
        let Some(connection) = self.core.connections.get(client.0 as usize) else {
            return Vec::new();
        };
        let mut slices = Vec::new();
        connection.output.slices(&mut slices, usize::MAX);
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        self.core.written(client.0, bytes.len());
        self.core.end_turn();
        read_answers(&bytes)
    }
}

fn read_answers(mut rest: &[u8]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    while let Some(found) = frame::parse(rest, 0).expect("the server writes frames") {
        rest = &rest[found.length()..];
        match found.kind {
            frame::METHOD => {
                let method = Method::decode(found.payload).expect("the server writes methods");
                answers.push(Answer {
                    channel: found.channel,
                    text: format!("{method:?}"),
                    body: None,
                    headers: FieldTable::new(),
                });
            }
            frame::HEADER => {
                let answer = answers.last_mut().expect("a header follows its method");
                answer.body = Some(String::new());
                answer.headers = Properties::decode(found.payload)
                    .expect("good properties")
                    .header_table();
            }
            frame::BODY => {
                let body = answers.last_mut().and_then(|answer| answer.body.as_mut());
                body.expect("a body follows its header")
                    .push_str(&String::from_utf8_lossy(found.payload));
            }
            _ => {}
        }
    }
    answers
}

pub fn bodies(answers: &[Answer]) -> Vec<&str> {
    answers
        .iter()
        .filter_map(|answer| answer.body.as_deref())
        .collect()
}

pub fn queue_declare(queue: &str, arguments: FieldTable) -> Method<'_> {
    Method::QueueDeclare {
        ticket: 0,
        queue,
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments,
    }
}

/// `queue.delete` without conditions.
pub fn queue_delete(queue: &str) -> Method<'_> {
    Method::QueueDelete {
        ticket: 0,
        queue,
        if_unused: false,
        if_empty: false,
        nowait: false,
    }
}

/// Frames of these methods for a channel, as a client sends them.
pub fn encoded(channel: u16, methods: &[Method<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for method in methods {
        frame::write(&mut bytes, frame::METHOD, channel, |out| method.encode(out));
    }
    bytes
}

pub fn durable_declare(queue: &str, arguments: FieldTable) -> Method<'_> {
    let mut method = queue_declare(queue, arguments);
    if let Method::QueueDeclare { durable, .. } = &mut method {
        *durable = true;
    }
    method
}

pub fn basic_consume<'a>(
    queue: &'a str,
    consumer_tag: &'a str,
    no_ack: bool,
    exclusive: bool,
    arguments: FieldTable,
) -> Method<'a> {
    Method::BasicConsume {
        ticket: 0,
        queue,
        consumer_tag,
        no_local: false,
        no_ack,
        exclusive,
        nowait: false,
        arguments,
    }
}

pub fn exchange_declare<'a>(exchange: &'a str, kind: &'a str, arguments: FieldTable) -> Method<'a> {
    Method::ExchangeDeclare {
        ticket: 0,
        exchange,
        kind,
        passive: false,
        durable: false,
        auto_delete: false,
        internal: false,
        nowait: false,
        arguments,
    }
}

pub fn table<const N: usize>(fields: [(&str, FieldValue); N]) -> FieldTable {
    FieldTable::from(fields)
}

pub fn text(value: &str) -> FieldValue {
    FieldValue::string(value)
}
