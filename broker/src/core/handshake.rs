//! From the first byte to `connection.open-ok`: protocol header, login, tuning, vhost.

use super::access::{Login, PasswordCheck};
use super::connection::{Capabilities, Connection, Peer, State};
use super::field::{FieldTable, FieldValue};
use super::limits::most;
use super::method::Method;
use super::refusal::{Code, Refusal};
use super::timers::Timer;
use super::{Core, Effect, frame};

const HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// How long a client that cannot be told is kept waiting after a wrong password.
const REFUSED_FOR_MS: u64 = 1000;
const LOCALES: &[u8] = b"en_US";

/// `connection.start` as it was sent last.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    of: Option<GreetingOf>,
    bytes: Vec<u8>,
}

/// What it is made of.
#[derive(Debug, PartialEq)]
struct GreetingOf {
    version: (u8, u8),
    external: bool,
    cluster_name: String,
    product: String,
    product_version: String,
}

/// A login response, taken apart.
struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl Core {
    /// A client has connected; answers its place.
    pub fn accept(&mut self, peer: Peer) -> u32 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.statistics.connections_created += 1;
        let now_ms = self.clock.now_ms;
        let connection = Connection::new(serial, peer, now_ms, self.clock.wall_ms);
        let index = self.connections.insert(connection) as u32;
        let due = now_ms + self.settings.handshake_timeout.as_millis() as u64;
        self.timers.set(
            due,
            Timer::Handshake {
                connection: index,
                serial,
            },
        );
        if self.suspended {
            self.hang_up(index);
        }
        index
    }

    /// The protocol header; answers how many bytes it took.
    pub(super) fn on_header(&mut self, index: u32, data: &[u8]) -> usize {
        // the header, how older ones spell it, and the version that each is answered with
        let known: [(&[u8; 8], (u8, u8)); 4] = [
            (HEADER, (0, 9)),
            (b"AMQP\x01\x01\x00\x09", (0, 9)),
            (b"AMQP\x01\x01\x08\x00", (8, 0)),
            (b"AMQP\x01\x01\x09\x01", (8, 0)),
        ];
        let seen = data.len().min(8);
        let found = known
            .iter()
            .find(|(header, _)| header[..seen] == data[..seen]);
        let Some((_, (major, minor))) = found.copied() else {
            let connection = &mut self.connections[index as usize];
            connection.output.buffer().extend_from_slice(HEADER);
            tracing::warn!(peer = %connection.peer.address, "bad protocol header");
            self.hang_up(index);
            return data.len();
        };
        if seen < 8 {
            return 0;
        }
        self.connections[index as usize].state = State::Starting;
        self.greet(index, (major, minor));
        8
    }

    /// Sends `connection.start`, the same bytes as to the client before where nothing in it has changed.
    fn greet(&mut self, index: u32, version: (u8, u8)) {
        let made_of = GreetingOf {
            version,
            external: self.connections[index as usize].peer.certificate.is_some(),
            cluster_name: self.cluster_name(),
            product: self.settings.product.clone(),
            product_version: self.settings.version.clone(),
        };
        if self.greeting.of.as_ref() != Some(&made_of) {
            let method = Method::ConnectionStart {
                version_major: version.0,
                version_minor: version.1,
                server_properties: Core::server_properties(&made_of),
                mechanisms: match made_of.external {
                    true => b"AMQPLAIN PLAIN EXTERNAL",
                    false => b"AMQPLAIN PLAIN",
                },
                locales: LOCALES,
            };
            let mut bytes = Vec::new();
            frame::write(&mut bytes, frame::METHOD, 0, |out| method.encode(out));
            self.greeting = Greeting {
                of: Some(made_of),
                bytes,
            };
        }
        let connection = &mut self.connections[index as usize];
        connection.counters.sent_frames += 1;
        connection
            .output
            .buffer()
            .extend_from_slice(&self.greeting.bytes);
        self.touch(index);
    }

    fn server_properties(of: &GreetingOf) -> FieldTable {
        let yes = FieldValue::Bool(true);
        let capabilities = [
            "publisher_confirms",
            "exchange_exchange_bindings",
            "basic.nack",
            "consumer_cancel_notify",
            "connection.blocked",
            "consumer_priorities",
            "authentication_failure_close",
            "per_consumer_qos",
            "direct_reply_to",
        ];
        // Extensions of 0-9-1; who asks for an older version is promised none.
        let capabilities = capabilities
            .into_iter()
            .filter(|_| of.version == (0, 9))
            .map(|name| (name, yes.clone()));
        FieldTable::from([
            ("capabilities", FieldValue::Table(capabilities.collect())),
            ("cluster_name", FieldValue::string(&*of.cluster_name)),
            (
                "copyright",
                FieldValue::string("Copyright (c) the Evenkeel authors"),
            ),
            (
                "information",
                FieldValue::string(
                    "Evenkeel's AMQP 0-9-1 broker, licensed under the Apache License 2.0",
                ),
            ),
            (
                "platform",
                FieldValue::string(concat!("Evenkeel ", env!("CARGO_PKG_VERSION"))),
            ),
            ("product", FieldValue::string(of.product.as_str())),
            ("version", FieldValue::string(of.product_version.as_str())),
        ])
    }

    /// The cluster's name: a global parameter, the node's settings without one.
    pub fn cluster_name(&self) -> String {
        let parameter = self
            .metadata
            .global_parameters
            .get("cluster_name")
            .and_then(|v| v.as_str());
        parameter.unwrap_or(&self.settings.cluster_name).to_owned()
    }

    /// A method on channel 0.
    pub(super) fn on_connection_method(
        &mut self,
        index: u32,
        method: Method<'_>,
    ) -> Result<(), Refusal> {
        let state = self.connections[index as usize].state;
        match (state, method) {
            (
                State::Starting,
                Method::ConnectionStartOk {
                    client_properties,
                    mechanism,
                    response,
                    ..
                },
            ) => self.on_start_ok(index, client_properties, mechanism, response),
            (
                State::Tuning,
                Method::ConnectionTuneOk {
                    channel_max,
                    frame_max,
                    heartbeat,
                },
            ) => self.on_tune_ok(index, channel_max, frame_max, heartbeat),
            (State::Opening, Method::ConnectionOpen { virtual_host, .. }) => {
                self.on_open(index, virtual_host)
            }
            (State::Running, Method::ConnectionUpdateSecret { .. }) => {
                self.send(index, 0, &Method::ConnectionUpdateSecretOk);
                Ok(())
            }
            (_, Method::ConnectionClose { .. }) => {
                self.release_channels(index);
                self.send(index, 0, &Method::ConnectionCloseOk);
                self.hang_up(index);
                Ok(())
            }
            (State::Closing, Method::ConnectionCloseOk) => {
                self.hang_up(index);
                Ok(())
            }
            (State::Closing | State::Closed | State::Refused, _) => Ok(()),
            (_, _) => {
                let word = self.connections[index as usize].state_word();
                let text = format!("unexpected method in connection state {word}");
                Err(Refusal::new(Code::ChannelError, text))
            }
        }
    }

    fn on_start_ok(
        &mut self,
        index: u32,
        client_properties: FieldTable,
        mechanism: &str,
        response: &[u8],
    ) -> Result<(), Refusal> {
        let connection = &mut self.connections[index as usize];
        connection.capabilities = Capabilities::of(&client_properties);
        connection.client_properties = Some(Box::new(client_properties));
        let loopback = connection.peer.is_loopback();
        let credentials = match mechanism {
            "PLAIN" => {
                connection.mechanism = "PLAIN";
                plain(response)
            }
            "AMQPLAIN" => {
                connection.mechanism = "AMQPLAIN";
                amqplain(response)
            }
            "EXTERNAL" if connection.peer.certificate.is_some() => {
                return self.login_external(index, loopback);
            }
            other => {
                let text = format!("unknown authentication mechanism '{other}'");
                return Err(Refusal::new(Code::CommandInvalid, text));
            }
        };
        let Some(Credentials { user, password }) = credentials else {
            self.refuse_login(index);
            return Ok(());
        };
        self.connections[index as usize].user = user.as_str().into();
        match self
            .metadata
            .access
            .login(&self.logins, &user, &password, loopback)
        {
            Login::Done(Ok(())) => self.tune(index),
            Login::Done(Err(_)) => self.refuse_login(index),
            Login::Check(check) => {
                let connection = &mut self.connections[index as usize];
                connection.state = State::Verifying;
                let serial = connection.serial;
                self.effects.push(Effect::Verify {
                    connection: index,
                    serial,
                    check: Box::new(check),
                });
            }
        }
        Ok(())
    }

    /// The answer to [`Effect::Verify`].
    pub fn verified(&mut self, index: u32, serial: u64, check: &PasswordCheck, right: bool) {
        if right {
            check.remember(&self.metadata.access, &mut self.logins);
        }
        let Some(connection) = self.connections.get(index as usize) else {
            return;
        };
        if connection.serial != serial || connection.state != State::Verifying {
            return;
        }
        if right {
            self.tune(index)
        } else {
            self.refuse_login(index)
        }
        self.effects.push(Effect::Resume { connection: index });
    }

    fn login_external(&mut self, index: u32, loopback: bool) -> Result<(), Refusal> {
        let connection = &mut self.connections[index as usize];
        connection.mechanism = "EXTERNAL";
        let user = connection.peer.certificate.clone().unwrap_or_default();
        connection.user = user.as_str().into();
        match self.metadata.access.login_external(&user, loopback) {
            Ok(()) => self.tune(index),
            Err(_) => self.refuse_login(index),
        }
        Ok(())
    }

    fn refuse_login(&mut self, index: u32) {
        let now_ms = self.clock.now_ms;
        let connection = &mut self.connections[index as usize];
        let mechanism = connection.mechanism;
        self.statistics.logins.1 += 1;
        tracing::warn!(peer = %connection.peer.address, user = &*connection.user, mechanism, "login refused");
        if connection.capabilities.authentication_failure_close {
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            );
            self.fail_connection(index, &Refusal::access(text), (0, 0));
            return;
        }
        connection.state = State::Refused;
        let serial = connection.serial;
        self.timers.set(
            now_ms + REFUSED_FOR_MS,
            Timer::Handshake {
                connection: index,
                serial,
            },
        );
    }

    fn tune(&mut self, index: u32) {
        self.statistics.logins.0 += 1;
        self.connections[index as usize].state = State::Tuning;
        let settings = &self.settings;
        let method = Method::ConnectionTune {
            channel_max: settings.channel_max,
            frame_max: settings.frame_max,
            heartbeat: settings.heartbeat_s,
        };
        self.send(index, 0, &method);
    }

    fn on_tune_ok(
        &mut self,
        index: u32,
        channel_max: u16,
        frame_max: u32,
        heartbeat_s: u16,
    ) -> Result<(), Refusal> {
        let settings = &self.settings;
        negotiated(
            "frame_max",
            frame_max,
            frame::MIN_FRAME_MAX,
            settings.frame_max,
        )?;
        negotiated(
            "channel_max",
            channel_max.into(),
            1,
            settings.channel_max.into(),
        )?;
        let connection = &mut self.connections[index as usize];
        connection.channel_max = channel_max;
        connection.frame_max = frame_max;
        connection.heartbeat_s = heartbeat_s;
        connection.state = State::Opening;
        if heartbeat_s != 0 {
            let timer = Timer::Heartbeat {
                connection: index,
                serial: connection.serial,
            };
            self.timers
                .set(self.clock.now_ms + u64::from(heartbeat_s) * 500, timer);
        }
        Ok(())
    }

    fn on_open(&mut self, index: u32, name: &str) -> Result<(), Refusal> {
        let user = self.connections[index as usize].user.clone();
        self.may_open(&user, name)?;
        let connection = &mut self.connections[index as usize];
        connection.vhost = name.into();
        connection.state = State::Running;
        tracing::debug!(
            name = connection.peer.name(),
            user = &*user,
            vhost = name,
            "connection open"
        );
        self.send(index, 0, &Method::ConnectionOpenOk { known_hosts: "" });
        Ok(())
    }

    fn may_open(&self, user: &str, vhost: &str) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal::new(Code::NotAllowed, text));
        let Some(found) = self.metadata.vhost(vhost) else {
            return refuse(format!("vhost {vhost} not found"));
        };
        if self.metadata.access.permission(user, vhost).is_none() {
            return refuse(format!(
                "access to vhost '{vhost}' refused for user '{user}'"
            ));
        }
        let running = |of: &dyn Fn(&Connection) -> bool| {
            self.connections
                .iter()
                .filter(|(_, c)| c.state == State::Running && of(c))
                .count() as u64
        };
        if let Some(limit) = self.settings.connection_max
            && running(&|_| true) >= limit
        {
            return refuse(format!(
                "connection refused: node connection limit ({limit}) is reached"
            ));
        }
        if let Some(limit) = found.limits.max_connections.and_then(most)
            && running(&|c| &*c.vhost == vhost) >= limit
        {
            return refuse(format!(
                "access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached"
            ));
        }
        let limits = self
            .metadata
            .access
            .users
            .get(user)
            .map(|user| user.limits)
            .unwrap_or_default();
        if let Some(limit) = limits.max_connections.and_then(most)
            && running(&|c| &*c.user == user) >= limit
        {
            return refuse(format!(
                "connection refused for user '{user}': user connection limit ({limit}) is reached"
            ));
        }
        Ok(())
    }
}

/// Checks what the client made of a tuning value: 0 means no limit.
fn negotiated(field: &str, client: u32, least: u32, server: u32) -> Result<(), Refusal> {
    let shown = if client == 0 {
        "0 (no limit)".to_owned()
    } else {
        client.to_string()
    };
    let refuse = |comparison: &str, bound: &str, value: u32| {
        let text = format!(
            "negotiated {field} = {shown} is {comparison} than the {bound} allowed value ({value})"
        );
        Err(Refusal::new(Code::NotAllowed, text))
    };
    if client != 0 && client < least {
        return refuse("lower", "minimum", least);
    }
    if server != 0 && (client == 0 || client > server) {
        return refuse("higher", "maximum", server);
    }
    Ok(())
}

/// PLAIN: an unused name, the user and the password, apart by zero octets.
fn plain(response: &[u8]) -> Option<Credentials> {
    let mut parts = response.splitn(3, |b| *b == 0);
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Credentials {
        user: String::from_utf8(user.to_vec()).ok()?,
        password: password.to_vec(),
    })
}

/// AMQPLAIN: a field table without its length, `LOGIN` and `PASSWORD` in it.
fn amqplain(response: &[u8]) -> Option<Credentials> {
    let table = super::properties::table_of(response);
    let user = table.get("LOGIN")?.as_str()?.to_owned();
    match table.get("PASSWORD")? {
        FieldValue::LongString(password) => Some(Credentials {
            user,
            password: password.clone(),
        }),
        _ => None,
    }
}
