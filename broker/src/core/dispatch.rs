//! Bytes to frames, frames to methods, methods to those who handle them.

use super::channel::{Channel, Content};
use super::connection::{At, State};
use super::frame::{self, Frame};
use super::limits::most;
use super::method::Method;
use super::refusal::{Code, Refusal};
use super::wire::{WireError, begin};
use super::{Core, publish};

/// Class and number, as a refusal names them.
const PUBLISH_ID: (u16, u16) = (60, 40);
const ACK_ID: (u16, u16) = (60, 80);

impl Core {
    /// Bytes have arrived; answers how many were used. The rest is an incomplete frame, to be given again.
    pub fn receive(&mut self, index: u32, data: &[u8]) -> usize {
        let Some(connection) = self.connections.get_mut(index as usize) else {
            return data.len();
        };
        connection.received_ms = self.clock.now_ms;
        let mut used = 0;
        while used < data.len() {
            let rest = &data[used..];
            let (state, frame_max) = {
                let connection = &self.connections[index as usize];
                (connection.state, connection.frame_max)
            };
            if self.connections[index as usize].is_held() {
                break;
            }
            used += match state {
                State::Closed | State::Refused => rest.len(),
                State::Verifying => break,
                State::Header => match self.on_header(index, rest) {
                    0 => break,
                    taken => taken,
                },
                _ => {
                    if state == State::Running
                        && let Some(taken) = self.whole_publish(index, rest, frame_max)
                    {
                        used += taken;
                        continue;
                    }
                    match frame::parse(rest, frame_max) {
                        Ok(None) => break,
                        Ok(Some(frame)) => {
                            if self.must_wait_for_answer(index, frame.channel) {
                                break;
                            }
                            self.on_frame(index, frame);
                            if self.connections[index as usize].getting {
                                break;
                            }
                            frame.length()
                        }
                        Err(refusal) => {
                            self.fail_connection(index, &refusal, (0, 0));
                            self.connections[index as usize].state = State::Closing;
                            rest.len()
                        }
                    }
                }
            };
        }
        if let Some(connection) = self.connections.get_mut(index as usize) {
            connection.counters.received_bytes += used as u64;
        }
        used
    }

    /// A publish whose three frames stand in a row, taken as one; `None` when it is anything else.
    #[inline]
    fn whole_publish(&mut self, index: u32, data: &[u8], frame_max: u32) -> Option<usize> {
        if data.len() < 34 || data[0] != frame::METHOD || data[7..11] != begin::BASIC_PUBLISH {
            return None;
        }
        let method = frame::parse(data, frame_max).ok()??;
        let mut length = method.length();
        let header = frame::parse(&data[length..], frame_max).ok()??;
        if header.kind != frame::HEADER
            || header.channel != method.channel
            || header.payload.len() < 14
        {
            return None;
        }
        length += header.length();
        let size = u64::from_be_bytes(*header.payload[4..].first_chunk::<8>()?);
        let mut frames = 2;
        let body: &[u8] = if size == 0 {
            &[]
        } else {
            let body = frame::parse(&data[length..], frame_max).ok()??;
            if body.kind != frame::BODY
                || body.channel != method.channel
                || body.payload.len() as u64 != size
            {
                return None;
            }
            length += body.length();
            frames = 3;
            body.payload
        };
        let connection = &mut self.connections[index as usize];
        let channel = connection.channel_mut(method.channel)?;
        if channel.closing || channel.content.is_some() || channel.owed {
            return None;
        }
        let (route, mandatory) = publish::arguments(method.payload).ok()?;
        connection.counters.received_frames += frames;
        let at = At {
            connection: index,
            channel: method.channel,
        };
        if let Err(refusal) = self.publish(at, route, mandatory, header.payload, body) {
            self.fail(at, &refusal, PUBLISH_ID);
        }
        Some(length)
    }

    fn on_frame(&mut self, index: u32, frame: Frame<'_>) {
        let at = At {
            connection: index,
            channel: frame.channel,
        };
        let connection = &mut self.connections[index as usize];
        connection.counters.received_frames += 1;
        let outcome = match frame.kind {
            frame::HEARTBEAT if frame.channel == 0 && frame.payload.is_empty() => Ok(()),
            frame::METHOD if frame.payload.len() < 4 => Err((unknown(&frame), (0, 0))),
            frame::HEARTBEAT if frame.channel == 0 => Err((unknown(&frame), (0, 0))),
            frame::METHOD if frame.channel == 0 => self.on_channel_0(index, frame.payload),
            _ if connection.state != State::Running => match connection.state {
                State::Closing | State::Closed => Ok(()),
                _ => Err((unexpected(&frame), (0, 0))),
            },
            frame::METHOD => self.on_channel_method(at, frame.payload),
            frame::HEADER if frame.channel != 0 => self.on_content_header(at, frame.payload),
            frame::BODY if frame.channel != 0 => self.on_content_body(at, frame.payload),
            frame::HEADER | frame::BODY | frame::HEARTBEAT => Err((unexpected(&frame), (0, 0))),
            _ => Err((unknown(&frame), (0, 0))),
        };
        if let Err((refusal, method)) = outcome {
            self.fail(at, &refusal, method);
        }
    }

    fn on_channel_0(&mut self, index: u32, payload: &[u8]) -> Result<(), (Refusal, (u16, u16))> {
        let method = decode(payload)?;
        let id = method.id();
        self.on_connection_method(index, method)
            .map_err(|refusal| (refusal.of_connection(), id))
    }

    fn on_channel_method(&mut self, at: At, payload: &[u8]) -> Result<(), (Refusal, (u16, u16))> {
        let connection = &mut self.connections[at.connection as usize];
        let Some(channel) = connection.channel_mut(at.channel) else {
            return self.on_unopened(at, payload);
        };
        if channel.closing {
            match Method::decode(payload) {
                Ok(Method::ChannelCloseOk) => self.forget_channel(at),
                Ok(Method::ChannelClose { .. }) => {
                    self.reply(at, &Method::ChannelCloseOk);
                }
                // the number is free again only after channel.close-ok
                Ok(Method::ChannelOpen { .. }) => return Err((opened_twice(), id_of(payload))),
                _ => {}
            }
            return Ok(());
        }
        if let Some(content) = &channel.content {
            let text = content.expects("method frame");
            return Err((Refusal::new(Code::UnexpectedFrame, text), PUBLISH_ID));
        }
        if let Some(rest) = payload.strip_prefix(&begin::BASIC_ACK)
            && let Some((tag, [bits])) = rest.split_first_chunk::<8>()
        {
            let tag = u64::from_be_bytes(*tag);
            return self
                .on_ack(at, tag, bits & 1 != 0)
                .map_err(|refusal| (refusal, ACK_ID));
        }
        if payload.starts_with(&begin::BASIC_PUBLISH) {
            return self
                .begin_publish(at, payload)
                .map_err(|refusal| (refusal, PUBLISH_ID));
        }
        let method = decode(payload)?;
        let id = method.id();
        self.on_method(at, method).map_err(|refusal| (refusal, id))
    }

    /// A method on a channel that is not open.
    fn on_unopened(&mut self, at: At, payload: &[u8]) -> Result<(), (Refusal, (u16, u16))> {
        match Method::decode(payload) {
            Ok(Method::ChannelOpen { .. }) => {
                self.may_open_channel(at)
                    .map_err(|refusal| (refusal, (0, 0)))?;
                let channel = Channel {
                    prefetch: self.settings.default_prefetch,
                    ..Channel::default()
                };
                self.connections[at.connection as usize].add_channel(at.channel, channel);
                self.statistics.channels_created += 1;
                self.reply(at, &Method::ChannelOpenOk { channel_id: &[] });
                Ok(())
            }
            // both sides closed it at once
            Ok(Method::ChannelCloseOk) => Ok(()),
            _ => Err((
                Refusal::new(Code::ChannelError, "expected 'channel.open'"),
                id_of(payload),
            )),
        }
    }

    fn may_open_channel(&self, at: At) -> Result<(), Refusal> {
        let connection = &self.connections[at.connection as usize];
        let open = connection.channels().len();
        let max = usize::from(connection.channel_max);
        if max != 0 && open >= max {
            let text = format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
            );
            return Err(Refusal::new(Code::NotAllowed, text));
        }
        let user = self.metadata.access.users.get(&*connection.user);
        if let Some(limit) = user.and_then(|user| user.limits.max_channels.and_then(most)) {
            let of_user = self
                .connections
                .iter()
                .filter(|(_, c)| c.user == connection.user);
            if of_user.map(|(_, c)| c.channels().len() as u64).sum::<u64>() >= limit {
                let text = format!(
                    "number of channels opened for user '{}' has reached the maximum allowed user limit of ({limit})",
                    connection.user
                );
                return Err(Refusal::new(Code::NotAllowed, text));
            }
        }
        Ok(())
    }

    fn on_method(&mut self, at: At, method: Method<'_>) -> Result<(), Refusal> {
        match method {
            Method::ChannelOpen { .. } => Err(opened_twice()),
            Method::ChannelClose { .. } => {
                self.release_channel(at);
                self.forget_channel(at);
                self.reply(at, &Method::ChannelCloseOk);
                Ok(())
            }
            // neither was asked for
            Method::ChannelCloseOk | Method::ChannelFlowOk { .. } => {
                Err(Refusal::new(Code::CommandInvalid, "unimplemented method"))
            }
            Method::ChannelFlow { active: true } => {
                self.reply(at, &Method::ChannelFlowOk { active: true });
                Ok(())
            }
            Method::ChannelFlow { active: false } => {
                Err(Refusal::new(Code::NotImplemented, "active=false"))
            }
            Method::AccessRequest { .. } => {
                self.reply(at, &Method::AccessRequestOk { ticket: 1 });
                Ok(())
            }
            Method::ExchangeDeclare { .. }
            | Method::ExchangeDelete { .. }
            | Method::ExchangeBind { .. }
            | Method::ExchangeUnbind { .. }
            | Method::QueueDeclare { .. }
            | Method::QueueDelete { .. }
            | Method::QueueBind { .. }
            | Method::QueueUnbind { .. }
            | Method::QueuePurge { .. } => self.on_declaration(at, method),
            Method::BasicQos { .. }
            | Method::BasicConsume { .. }
            | Method::BasicCancel { .. }
            | Method::BasicCancelOk { .. }
            | Method::BasicGet { .. } => self.on_consuming(at, method),
            Method::BasicAck { .. }
            | Method::BasicNack { .. }
            | Method::BasicReject { .. }
            | Method::BasicRecover { .. }
            | Method::BasicRecoverAsync { .. } => self.on_settlement(at, method),
            Method::ConfirmSelect { nowait } => self.on_confirm_select(at, nowait),
            Method::TxSelect | Method::TxCommit | Method::TxRollback => {
                self.on_transaction(at, &method)
            }
            _ => Err(Refusal::new(Code::CommandInvalid, "unimplemented method")),
        }
    }

    fn begin_publish(&mut self, at: At, payload: &[u8]) -> Result<(), Refusal> {
        let (route, mandatory) = publish::arguments(payload)?;
        let content = Content {
            route: route.into(),
            mandatory,
            header: None,
            size: 0,
            body: Vec::new(),
        };
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.content = Some(Box::new(content));
        }
        Ok(())
    }

    fn on_content_header(&mut self, at: At, payload: &[u8]) -> Result<(), (Refusal, (u16, u16))> {
        if payload.len() < 12 {
            let refusal = frame::frame_error(frame::HEADER, payload, "unknown_frame");
            return Err((refusal, (0, 0)));
        }
        let max = self.settings.max_message_size;
        let Some(channel) = self.content_channel(at)? else {
            return Ok(());
        };
        let refuse = |refusal: Refusal| Err((refusal, PUBLISH_ID));
        let Some(content) = &mut channel.content else {
            return Err((no_method(), (0, 0)));
        };
        let class = u16::from_be_bytes([payload[0], payload[1]]);
        if payload[2..4] != [0, 0] {
            return refuse(Refusal::new(
                Code::UnexpectedFrame,
                content.expects("weight 0"),
            ));
        }
        if content.header.is_some() || class != 60 {
            let text = content.expects(&format!("one for class {class}"));
            return refuse(Refusal::new(Code::UnexpectedFrame, text));
        }
        let glance = super::properties::glance(payload).map_err(|e| (malformed(e), PUBLISH_ID))?;
        if glance.body_size > max {
            let text = format!(
                "message size {} is larger than configured max size {max}",
                glance.body_size
            );
            return refuse(Refusal::precondition(text));
        }
        content.header = Some(payload.into());
        content.size = glance.body_size;
        self.note_publisher(at);
        self.end_publish(at)
    }

    fn on_content_body(&mut self, at: At, payload: &[u8]) -> Result<(), (Refusal, (u16, u16))> {
        let Some(channel) = self.content_channel(at)? else {
            return Ok(());
        };
        let Some(content) = &mut channel.content else {
            return Err((no_method(), (0, 0)));
        };
        let refuse = |text: String| Err((Refusal::new(Code::UnexpectedFrame, text), PUBLISH_ID));
        if content.header.is_none() {
            return refuse(content.expects("body frame"));
        }
        if (content.body.len() + payload.len()) as u64 > content.size {
            return refuse("content body is longer than its header says".to_owned());
        }
        self.may_gather(at, payload.len() as u64)
            .map_err(|refusal| (refusal, PUBLISH_ID))?;
        if let Some(content) = self.content_channel(at)?.and_then(|c| c.content.as_mut()) {
            content.body.extend_from_slice(payload);
        }
        self.end_publish(at)
    }

    /// The channel that content is for; nothing when it is closing.
    fn content_channel(&mut self, at: At) -> Result<Option<&mut Channel>, (Refusal, (u16, u16))> {
        match self.connections[at.connection as usize].channel_mut(at.channel) {
            Some(channel) if channel.closing => Ok(None),
            Some(channel) => Ok(Some(channel)),
            None => Err((no_method(), (0, 0))),
        }
    }

    /// Publishes once the body is complete.
    fn end_publish(&mut self, at: At) -> Result<(), (Refusal, (u16, u16))> {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        let complete = |content: &mut Box<Content>| {
            content.header.is_some() && content.body.len() as u64 == content.size
        };
        let Some(content) = channel.content.take_if(complete) else {
            return Ok(());
        };
        let header = content.header.as_deref().unwrap_or_default();
        self.publish(at, &content.route, content.mandatory, header, &content.body)
            .map_err(|refusal| (refusal, PUBLISH_ID))
    }
}

fn decode(payload: &[u8]) -> Result<Method<'_>, (Refusal, (u16, u16))> {
    Method::decode(payload).map_err(|error| match error {
        WireError::Short | WireError::Long => {
            let arguments = frame::octets(payload.get(4..).unwrap_or_default());
            let text = format!("cannot decode {arguments}");
            (Refusal::new(Code::FrameError, text), id_of(payload))
        }
        error => (malformed(error), id_of(payload)),
    })
}

impl Content {
    /// What should have come instead of what came.
    fn expects(&self, came: &str) -> String {
        match (&self.header, came.strip_prefix("one for class")) {
            (Some(_), _) => "expected content body, got non content body frame instead".to_owned(),
            (None, Some(class)) => {
                format!("expected content header for class 60, got one for class{class} instead")
            }
            (None, None) => {
                "expected content header for class 60, got non content header frame instead"
                    .to_owned()
            }
        }
    }
}

fn no_method() -> Refusal {
    Refusal::new(
        Code::UnexpectedFrame,
        "expected method frame, got non method frame instead",
    )
}

/// The refusal of bytes that are no method.
pub(super) fn malformed(error: WireError) -> Refusal {
    match error {
        WireError::UnknownMethod { class, method } => Refusal::new(
            Code::CommandInvalid,
            format!("unknown method {class}.{method}"),
        ),
        WireError::Short => Refusal::new(Code::SyntaxError, "arguments end early"),
        WireError::Long => Refusal::new(Code::SyntaxError, "bytes behind the arguments"),
        WireError::NotText => Refusal::new(Code::SyntaxError, "a short string is not UTF-8"),
        WireError::Field(error) => {
            Refusal::new(Code::SyntaxError, format!("bad field table: {error:?}"))
        }
    }
}

fn id_of(payload: &[u8]) -> (u16, u16) {
    match payload {
        [a, b, c, d, ..] => (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
        _ => (0, 0),
    }
}

fn opened_twice() -> Refusal {
    Refusal::new(Code::ChannelError, "second 'channel.open' seen")
}

fn unknown(frame: &Frame<'_>) -> Refusal {
    frame::frame_error(frame.kind, frame.payload, "unknown_frame")
}

fn unexpected(frame: &Frame<'_>) -> Refusal {
    let text = frame::describe(frame.kind, frame.payload);
    Refusal::new(Code::UnexpectedFrame, text)
}
