//! AMQP's methods: generated from `data/amqp-rabbitmq-0.9.1.json` by `tests/method_codec.rs`; do not edit.
//!
//! The data is Copyright (c) Broadcom and its affiliates, under the MIT licence (notice in the data file).

use super::field::FieldTable;
use super::wire::{self, Reader, WireError};

/// A method with its arguments, borrowing strings from the frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Method<'a> {
    /// `basic.qos`
    BasicQos {
        prefetch_size: u32,
        prefetch_count: u16,
        global: bool,
    },
    /// `basic.qos-ok`
    BasicQosOk,
    /// `basic.consume`
    BasicConsume {
        ticket: u16,
        queue: &'a str,
        consumer_tag: &'a str,
        no_local: bool,
        no_ack: bool,
        exclusive: bool,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `basic.consume-ok`
    BasicConsumeOk { consumer_tag: &'a str },
    /// `basic.cancel`
    BasicCancel { consumer_tag: &'a str, nowait: bool },
    /// `basic.cancel-ok`
    BasicCancelOk { consumer_tag: &'a str },
    /// `basic.publish`
    BasicPublish {
        ticket: u16,
        exchange: &'a str,
        routing_key: &'a str,
        mandatory: bool,
        immediate: bool,
    },
    /// `basic.return`
    BasicReturn {
        reply_code: u16,
        reply_text: &'a str,
        exchange: &'a str,
        routing_key: &'a str,
    },
    /// `basic.deliver`
    BasicDeliver {
        consumer_tag: &'a str,
        delivery_tag: u64,
        redelivered: bool,
        exchange: &'a str,
        routing_key: &'a str,
    },
    /// `basic.get`
    BasicGet {
        ticket: u16,
        queue: &'a str,
        no_ack: bool,
    },
    /// `basic.get-ok`
    BasicGetOk {
        delivery_tag: u64,
        redelivered: bool,
        exchange: &'a str,
        routing_key: &'a str,
        message_count: u32,
    },
    /// `basic.get-empty`
    BasicGetEmpty { cluster_id: &'a str },
    /// `basic.ack`
    BasicAck { delivery_tag: u64, multiple: bool },
    /// `basic.reject`
    BasicReject { delivery_tag: u64, requeue: bool },
    /// `basic.recover-async`
    BasicRecoverAsync { requeue: bool },
    /// `basic.recover`
    BasicRecover { requeue: bool },
    /// `basic.recover-ok`
    BasicRecoverOk,
    /// `basic.nack`
    BasicNack {
        delivery_tag: u64,
        multiple: bool,
        requeue: bool,
    },
    /// `connection.start`
    ConnectionStart {
        version_major: u8,
        version_minor: u8,
        server_properties: FieldTable,
        mechanisms: &'a [u8],
        locales: &'a [u8],
    },
    /// `connection.start-ok`
    ConnectionStartOk {
        client_properties: FieldTable,
        mechanism: &'a str,
        response: &'a [u8],
        locale: &'a str,
    },
    /// `connection.secure`
    ConnectionSecure { challenge: &'a [u8] },
    /// `connection.secure-ok`
    ConnectionSecureOk { response: &'a [u8] },
    /// `connection.tune`
    ConnectionTune {
        channel_max: u16,
        frame_max: u32,
        heartbeat: u16,
    },
    /// `connection.tune-ok`
    ConnectionTuneOk {
        channel_max: u16,
        frame_max: u32,
        heartbeat: u16,
    },
    /// `connection.open`
    ConnectionOpen {
        virtual_host: &'a str,
        capabilities: &'a str,
        insist: bool,
    },
    /// `connection.open-ok`
    ConnectionOpenOk { known_hosts: &'a str },
    /// `connection.close`
    ConnectionClose {
        reply_code: u16,
        reply_text: &'a str,
        class_id: u16,
        method_id: u16,
    },
    /// `connection.close-ok`
    ConnectionCloseOk,
    /// `connection.blocked`
    ConnectionBlocked { reason: &'a str },
    /// `connection.unblocked`
    ConnectionUnblocked,
    /// `connection.update-secret`
    ConnectionUpdateSecret {
        new_secret: &'a [u8],
        reason: &'a str,
    },
    /// `connection.update-secret-ok`
    ConnectionUpdateSecretOk,
    /// `channel.open`
    ChannelOpen { out_of_band: &'a str },
    /// `channel.open-ok`
    ChannelOpenOk { channel_id: &'a [u8] },
    /// `channel.flow`
    ChannelFlow { active: bool },
    /// `channel.flow-ok`
    ChannelFlowOk { active: bool },
    /// `channel.close`
    ChannelClose {
        reply_code: u16,
        reply_text: &'a str,
        class_id: u16,
        method_id: u16,
    },
    /// `channel.close-ok`
    ChannelCloseOk,
    /// `access.request`
    AccessRequest {
        realm: &'a str,
        exclusive: bool,
        passive: bool,
        active: bool,
        write: bool,
        read: bool,
    },
    /// `access.request-ok`
    AccessRequestOk { ticket: u16 },
    /// `exchange.declare`
    ExchangeDeclare {
        ticket: u16,
        exchange: &'a str,
        kind: &'a str,
        passive: bool,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `exchange.declare-ok`
    ExchangeDeclareOk,
    /// `exchange.delete`
    ExchangeDelete {
        ticket: u16,
        exchange: &'a str,
        if_unused: bool,
        nowait: bool,
    },
    /// `exchange.delete-ok`
    ExchangeDeleteOk,
    /// `exchange.bind`
    ExchangeBind {
        ticket: u16,
        destination: &'a str,
        source: &'a str,
        routing_key: &'a str,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `exchange.bind-ok`
    ExchangeBindOk,
    /// `exchange.unbind`
    ExchangeUnbind {
        ticket: u16,
        destination: &'a str,
        source: &'a str,
        routing_key: &'a str,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `exchange.unbind-ok`
    ExchangeUnbindOk,
    /// `queue.declare`
    QueueDeclare {
        ticket: u16,
        queue: &'a str,
        passive: bool,
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `queue.declare-ok`
    QueueDeclareOk {
        queue: &'a str,
        message_count: u32,
        consumer_count: u32,
    },
    /// `queue.bind`
    QueueBind {
        ticket: u16,
        queue: &'a str,
        exchange: &'a str,
        routing_key: &'a str,
        nowait: bool,
        arguments: FieldTable,
    },
    /// `queue.bind-ok`
    QueueBindOk,
    /// `queue.purge`
    QueuePurge {
        ticket: u16,
        queue: &'a str,
        nowait: bool,
    },
    /// `queue.purge-ok`
    QueuePurgeOk { message_count: u32 },
    /// `queue.delete`
    QueueDelete {
        ticket: u16,
        queue: &'a str,
        if_unused: bool,
        if_empty: bool,
        nowait: bool,
    },
    /// `queue.delete-ok`
    QueueDeleteOk { message_count: u32 },
    /// `queue.unbind`
    QueueUnbind {
        ticket: u16,
        queue: &'a str,
        exchange: &'a str,
        routing_key: &'a str,
        arguments: FieldTable,
    },
    /// `queue.unbind-ok`
    QueueUnbindOk,
    /// `tx.select`
    TxSelect,
    /// `tx.select-ok`
    TxSelectOk,
    /// `tx.commit`
    TxCommit,
    /// `tx.commit-ok`
    TxCommitOk,
    /// `tx.rollback`
    TxRollback,
    /// `tx.rollback-ok`
    TxRollbackOk,
    /// `confirm.select`
    ConfirmSelect { nowait: bool },
    /// `confirm.select-ok`
    ConfirmSelectOk,
}

impl<'a> Method<'a> {
    /// Decodes a method frame's payload.
    pub fn decode(payload: &'a [u8]) -> Result<Method<'a>, WireError> {
        let mut input = Reader::new(payload);
        let id = (input.short()?, input.short()?);
        let method = match id {
            (60, 10) => {
                let prefetch_size = input.long()?;
                let prefetch_count = input.short()?;
                let bits = input.octet()?;
                let global = bits & 1 != 0;
                Method::BasicQos {
                    prefetch_size,
                    prefetch_count,
                    global,
                }
            }
            (60, 11) => Method::BasicQosOk,
            (60, 20) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let consumer_tag = input.shortstr()?;
                let bits = input.octet()?;
                let no_local = bits & 1 != 0;
                let no_ack = bits & 2 != 0;
                let exclusive = bits & 4 != 0;
                let nowait = bits & 8 != 0;
                let arguments = input.table()?;
                Method::BasicConsume {
                    ticket,
                    queue,
                    consumer_tag,
                    no_local,
                    no_ack,
                    exclusive,
                    nowait,
                    arguments,
                }
            }
            (60, 21) => {
                let consumer_tag = input.shortstr()?;
                Method::BasicConsumeOk { consumer_tag }
            }
            (60, 30) => {
                let consumer_tag = input.shortstr()?;
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                Method::BasicCancel {
                    consumer_tag,
                    nowait,
                }
            }
            (60, 31) => {
                let consumer_tag = input.shortstr()?;
                Method::BasicCancelOk { consumer_tag }
            }
            (60, 40) => {
                let ticket = input.short()?;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let bits = input.octet()?;
                let mandatory = bits & 1 != 0;
                let immediate = bits & 2 != 0;
                Method::BasicPublish {
                    ticket,
                    exchange,
                    routing_key,
                    mandatory,
                    immediate,
                }
            }
            (60, 50) => {
                let reply_code = input.short()?;
                let reply_text = input.shortstr()?;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                Method::BasicReturn {
                    reply_code,
                    reply_text,
                    exchange,
                    routing_key,
                }
            }
            (60, 60) => {
                let consumer_tag = input.shortstr()?;
                let delivery_tag = input.longlong()?;
                let bits = input.octet()?;
                let redelivered = bits & 1 != 0;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                Method::BasicDeliver {
                    consumer_tag,
                    delivery_tag,
                    redelivered,
                    exchange,
                    routing_key,
                }
            }
            (60, 70) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let bits = input.octet()?;
                let no_ack = bits & 1 != 0;
                Method::BasicGet {
                    ticket,
                    queue,
                    no_ack,
                }
            }
            (60, 71) => {
                let delivery_tag = input.longlong()?;
                let bits = input.octet()?;
                let redelivered = bits & 1 != 0;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let message_count = input.long()?;
                Method::BasicGetOk {
                    delivery_tag,
                    redelivered,
                    exchange,
                    routing_key,
                    message_count,
                }
            }
            (60, 72) => {
                let cluster_id = input.shortstr()?;
                Method::BasicGetEmpty { cluster_id }
            }
            (60, 80) => {
                let delivery_tag = input.longlong()?;
                let bits = input.octet()?;
                let multiple = bits & 1 != 0;
                Method::BasicAck {
                    delivery_tag,
                    multiple,
                }
            }
            (60, 90) => {
                let delivery_tag = input.longlong()?;
                let bits = input.octet()?;
                let requeue = bits & 1 != 0;
                Method::BasicReject {
                    delivery_tag,
                    requeue,
                }
            }
            (60, 100) => {
                let bits = input.octet()?;
                let requeue = bits & 1 != 0;
                Method::BasicRecoverAsync { requeue }
            }
            (60, 110) => {
                let bits = input.octet()?;
                let requeue = bits & 1 != 0;
                Method::BasicRecover { requeue }
            }
            (60, 111) => Method::BasicRecoverOk,
            (60, 120) => {
                let delivery_tag = input.longlong()?;
                let bits = input.octet()?;
                let multiple = bits & 1 != 0;
                let requeue = bits & 2 != 0;
                Method::BasicNack {
                    delivery_tag,
                    multiple,
                    requeue,
                }
            }
            (10, 10) => {
                let version_major = input.octet()?;
                let version_minor = input.octet()?;
                let server_properties = input.table()?;
                let mechanisms = input.longstr()?;
                let locales = input.longstr()?;
                Method::ConnectionStart {
                    version_major,
                    version_minor,
                    server_properties,
                    mechanisms,
                    locales,
                }
            }
            (10, 11) => {
                let client_properties = input.table()?;
                let mechanism = input.shortstr()?;
                let response = input.longstr()?;
                let locale = input.shortstr()?;
                Method::ConnectionStartOk {
                    client_properties,
                    mechanism,
                    response,
                    locale,
                }
            }
            (10, 20) => {
                let challenge = input.longstr()?;
                Method::ConnectionSecure { challenge }
            }
            (10, 21) => {
                let response = input.longstr()?;
                Method::ConnectionSecureOk { response }
            }
            (10, 30) => {
                let channel_max = input.short()?;
                let frame_max = input.long()?;
                let heartbeat = input.short()?;
                Method::ConnectionTune {
                    channel_max,
                    frame_max,
                    heartbeat,
                }
            }
            (10, 31) => {
                let channel_max = input.short()?;
                let frame_max = input.long()?;
                let heartbeat = input.short()?;
                Method::ConnectionTuneOk {
                    channel_max,
                    frame_max,
                    heartbeat,
                }
            }
            (10, 40) => {
                let virtual_host = input.shortstr()?;
                let capabilities = input.shortstr()?;
                let bits = input.octet()?;
                let insist = bits & 1 != 0;
                Method::ConnectionOpen {
                    virtual_host,
                    capabilities,
                    insist,
                }
            }
            (10, 41) => {
                let known_hosts = input.shortstr()?;
                Method::ConnectionOpenOk { known_hosts }
            }
            (10, 50) => {
                let reply_code = input.short()?;
                let reply_text = input.shortstr()?;
                let class_id = input.short()?;
                let method_id = input.short()?;
                Method::ConnectionClose {
                    reply_code,
                    reply_text,
                    class_id,
                    method_id,
                }
            }
            (10, 51) => Method::ConnectionCloseOk,
            (10, 60) => {
                let reason = input.shortstr()?;
                Method::ConnectionBlocked { reason }
            }
            (10, 61) => Method::ConnectionUnblocked,
            (10, 70) => {
                let new_secret = input.longstr()?;
                let reason = input.shortstr()?;
                Method::ConnectionUpdateSecret { new_secret, reason }
            }
            (10, 71) => Method::ConnectionUpdateSecretOk,
            (20, 10) => {
                let out_of_band = input.shortstr()?;
                Method::ChannelOpen { out_of_band }
            }
            (20, 11) => {
                let channel_id = input.longstr()?;
                Method::ChannelOpenOk { channel_id }
            }
            (20, 20) => {
                let bits = input.octet()?;
                let active = bits & 1 != 0;
                Method::ChannelFlow { active }
            }
            (20, 21) => {
                let bits = input.octet()?;
                let active = bits & 1 != 0;
                Method::ChannelFlowOk { active }
            }
            (20, 40) => {
                let reply_code = input.short()?;
                let reply_text = input.shortstr()?;
                let class_id = input.short()?;
                let method_id = input.short()?;
                Method::ChannelClose {
                    reply_code,
                    reply_text,
                    class_id,
                    method_id,
                }
            }
            (20, 41) => Method::ChannelCloseOk,
            (30, 10) => {
                let realm = input.shortstr()?;
                let bits = input.octet()?;
                let exclusive = bits & 1 != 0;
                let passive = bits & 2 != 0;
                let active = bits & 4 != 0;
                let write = bits & 8 != 0;
                let read = bits & 16 != 0;
                Method::AccessRequest {
                    realm,
                    exclusive,
                    passive,
                    active,
                    write,
                    read,
                }
            }
            (30, 11) => {
                let ticket = input.short()?;
                Method::AccessRequestOk { ticket }
            }
            (40, 10) => {
                let ticket = input.short()?;
                let exchange = input.shortstr()?;
                let kind = input.shortstr()?;
                let bits = input.octet()?;
                let passive = bits & 1 != 0;
                let durable = bits & 2 != 0;
                let auto_delete = bits & 4 != 0;
                let internal = bits & 8 != 0;
                let nowait = bits & 16 != 0;
                let arguments = input.table()?;
                Method::ExchangeDeclare {
                    ticket,
                    exchange,
                    kind,
                    passive,
                    durable,
                    auto_delete,
                    internal,
                    nowait,
                    arguments,
                }
            }
            (40, 11) => Method::ExchangeDeclareOk,
            (40, 20) => {
                let ticket = input.short()?;
                let exchange = input.shortstr()?;
                let bits = input.octet()?;
                let if_unused = bits & 1 != 0;
                let nowait = bits & 2 != 0;
                Method::ExchangeDelete {
                    ticket,
                    exchange,
                    if_unused,
                    nowait,
                }
            }
            (40, 21) => Method::ExchangeDeleteOk,
            (40, 30) => {
                let ticket = input.short()?;
                let destination = input.shortstr()?;
                let source = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                let arguments = input.table()?;
                Method::ExchangeBind {
                    ticket,
                    destination,
                    source,
                    routing_key,
                    nowait,
                    arguments,
                }
            }
            (40, 31) => Method::ExchangeBindOk,
            (40, 40) => {
                let ticket = input.short()?;
                let destination = input.shortstr()?;
                let source = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                let arguments = input.table()?;
                Method::ExchangeUnbind {
                    ticket,
                    destination,
                    source,
                    routing_key,
                    nowait,
                    arguments,
                }
            }
            (40, 51) => Method::ExchangeUnbindOk,
            (50, 10) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let bits = input.octet()?;
                let passive = bits & 1 != 0;
                let durable = bits & 2 != 0;
                let exclusive = bits & 4 != 0;
                let auto_delete = bits & 8 != 0;
                let nowait = bits & 16 != 0;
                let arguments = input.table()?;
                Method::QueueDeclare {
                    ticket,
                    queue,
                    passive,
                    durable,
                    exclusive,
                    auto_delete,
                    nowait,
                    arguments,
                }
            }
            (50, 11) => {
                let queue = input.shortstr()?;
                let message_count = input.long()?;
                let consumer_count = input.long()?;
                Method::QueueDeclareOk {
                    queue,
                    message_count,
                    consumer_count,
                }
            }
            (50, 20) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                let arguments = input.table()?;
                Method::QueueBind {
                    ticket,
                    queue,
                    exchange,
                    routing_key,
                    nowait,
                    arguments,
                }
            }
            (50, 21) => Method::QueueBindOk,
            (50, 30) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                Method::QueuePurge {
                    ticket,
                    queue,
                    nowait,
                }
            }
            (50, 31) => {
                let message_count = input.long()?;
                Method::QueuePurgeOk { message_count }
            }
            (50, 40) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let bits = input.octet()?;
                let if_unused = bits & 1 != 0;
                let if_empty = bits & 2 != 0;
                let nowait = bits & 4 != 0;
                Method::QueueDelete {
                    ticket,
                    queue,
                    if_unused,
                    if_empty,
                    nowait,
                }
            }
            (50, 41) => {
                let message_count = input.long()?;
                Method::QueueDeleteOk { message_count }
            }
            (50, 50) => {
                let ticket = input.short()?;
                let queue = input.shortstr()?;
                let exchange = input.shortstr()?;
                let routing_key = input.shortstr()?;
                let arguments = input.table()?;
                Method::QueueUnbind {
                    ticket,
                    queue,
                    exchange,
                    routing_key,
                    arguments,
                }
            }
            (50, 51) => Method::QueueUnbindOk,
            (90, 10) => Method::TxSelect,
            (90, 11) => Method::TxSelectOk,
            (90, 20) => Method::TxCommit,
            (90, 21) => Method::TxCommitOk,
            (90, 30) => Method::TxRollback,
            (90, 31) => Method::TxRollbackOk,
            (85, 10) => {
                let bits = input.octet()?;
                let nowait = bits & 1 != 0;
                Method::ConfirmSelect { nowait }
            }
            (85, 11) => Method::ConfirmSelectOk,
            (class, method) => return Err(WireError::UnknownMethod { class, method }),
        };
        if input.rest().is_empty() {
            Ok(method)
        } else {
            Err(WireError::Long)
        }
    }

    /// Appends class, method and arguments: a method frame's payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (class, method) = self.id();
        wire::short(out, class);
        wire::short(out, method);
        match self {
            Method::BasicQos {
                prefetch_size,
                prefetch_count,
                global,
            } => {
                wire::long(out, *prefetch_size);
                wire::short(out, *prefetch_count);
                wire::bits(out, &[*global]);
            }
            Method::BasicQosOk => {}
            Method::BasicConsume {
                ticket,
                queue,
                consumer_tag,
                no_local,
                no_ack,
                exclusive,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::shortstr(out, consumer_tag);
                wire::bits(out, &[*no_local, *no_ack, *exclusive, *nowait]);
                wire::table(out, arguments);
            }
            Method::BasicConsumeOk { consumer_tag } => {
                wire::shortstr(out, consumer_tag);
            }
            Method::BasicCancel {
                consumer_tag,
                nowait,
            } => {
                wire::shortstr(out, consumer_tag);
                wire::bits(out, &[*nowait]);
            }
            Method::BasicCancelOk { consumer_tag } => {
                wire::shortstr(out, consumer_tag);
            }
            Method::BasicPublish {
                ticket,
                exchange,
                routing_key,
                mandatory,
                immediate,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
                wire::bits(out, &[*mandatory, *immediate]);
            }
            Method::BasicReturn {
                reply_code,
                reply_text,
                exchange,
                routing_key,
            } => {
                wire::short(out, *reply_code);
                wire::shortstr(out, reply_text);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
            }
            Method::BasicDeliver {
                consumer_tag,
                delivery_tag,
                redelivered,
                exchange,
                routing_key,
            } => {
                wire::shortstr(out, consumer_tag);
                wire::longlong(out, *delivery_tag);
                wire::bits(out, &[*redelivered]);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
            }
            Method::BasicGet {
                ticket,
                queue,
                no_ack,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::bits(out, &[*no_ack]);
            }
            Method::BasicGetOk {
                delivery_tag,
                redelivered,
                exchange,
                routing_key,
                message_count,
            } => {
                wire::longlong(out, *delivery_tag);
                wire::bits(out, &[*redelivered]);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
                wire::long(out, *message_count);
            }
            Method::BasicGetEmpty { cluster_id } => {
                wire::shortstr(out, cluster_id);
            }
            Method::BasicAck {
                delivery_tag,
                multiple,
            } => {
                wire::longlong(out, *delivery_tag);
                wire::bits(out, &[*multiple]);
            }
            Method::BasicReject {
                delivery_tag,
                requeue,
            } => {
                wire::longlong(out, *delivery_tag);
                wire::bits(out, &[*requeue]);
            }
            Method::BasicRecoverAsync { requeue } => {
                wire::bits(out, &[*requeue]);
            }
            Method::BasicRecover { requeue } => {
                wire::bits(out, &[*requeue]);
            }
            Method::BasicRecoverOk => {}
            Method::BasicNack {
                delivery_tag,
                multiple,
                requeue,
            } => {
                wire::longlong(out, *delivery_tag);
                wire::bits(out, &[*multiple, *requeue]);
            }
            Method::ConnectionStart {
                version_major,
                version_minor,
                server_properties,
                mechanisms,
                locales,
            } => {
                wire::octet(out, *version_major);
                wire::octet(out, *version_minor);
                wire::table(out, server_properties);
                wire::longstr(out, mechanisms);
                wire::longstr(out, locales);
            }
            Method::ConnectionStartOk {
                client_properties,
                mechanism,
                response,
                locale,
            } => {
                wire::table(out, client_properties);
                wire::shortstr(out, mechanism);
                wire::longstr(out, response);
                wire::shortstr(out, locale);
            }
            Method::ConnectionSecure { challenge } => {
                wire::longstr(out, challenge);
            }
            Method::ConnectionSecureOk { response } => {
                wire::longstr(out, response);
            }
            Method::ConnectionTune {
                channel_max,
                frame_max,
                heartbeat,
            } => {
                wire::short(out, *channel_max);
                wire::long(out, *frame_max);
                wire::short(out, *heartbeat);
            }
            Method::ConnectionTuneOk {
                channel_max,
                frame_max,
                heartbeat,
            } => {
                wire::short(out, *channel_max);
                wire::long(out, *frame_max);
                wire::short(out, *heartbeat);
            }
            Method::ConnectionOpen {
                virtual_host,
                capabilities,
                insist,
            } => {
                wire::shortstr(out, virtual_host);
                wire::shortstr(out, capabilities);
                wire::bits(out, &[*insist]);
            }
            Method::ConnectionOpenOk { known_hosts } => {
                wire::shortstr(out, known_hosts);
            }
            Method::ConnectionClose {
                reply_code,
                reply_text,
                class_id,
                method_id,
            } => {
                wire::short(out, *reply_code);
                wire::shortstr(out, reply_text);
                wire::short(out, *class_id);
                wire::short(out, *method_id);
            }
            Method::ConnectionCloseOk => {}
            Method::ConnectionBlocked { reason } => {
                wire::shortstr(out, reason);
            }
            Method::ConnectionUnblocked => {}
            Method::ConnectionUpdateSecret { new_secret, reason } => {
                wire::longstr(out, new_secret);
                wire::shortstr(out, reason);
            }
            Method::ConnectionUpdateSecretOk => {}
            Method::ChannelOpen { out_of_band } => {
                wire::shortstr(out, out_of_band);
            }
            Method::ChannelOpenOk { channel_id } => {
                wire::longstr(out, channel_id);
            }
            Method::ChannelFlow { active } => {
                wire::bits(out, &[*active]);
            }
            Method::ChannelFlowOk { active } => {
                wire::bits(out, &[*active]);
            }
            Method::ChannelClose {
                reply_code,
                reply_text,
                class_id,
                method_id,
            } => {
                wire::short(out, *reply_code);
                wire::shortstr(out, reply_text);
                wire::short(out, *class_id);
                wire::short(out, *method_id);
            }
            Method::ChannelCloseOk => {}
            Method::AccessRequest {
                realm,
                exclusive,
                passive,
                active,
                write,
                read,
            } => {
                wire::shortstr(out, realm);
                wire::bits(out, &[*exclusive, *passive, *active, *write, *read]);
            }
            Method::AccessRequestOk { ticket } => {
                wire::short(out, *ticket);
            }
            Method::ExchangeDeclare {
                ticket,
                exchange,
                kind,
                passive,
                durable,
                auto_delete,
                internal,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, exchange);
                wire::shortstr(out, kind);
                wire::bits(out, &[*passive, *durable, *auto_delete, *internal, *nowait]);
                wire::table(out, arguments);
            }
            Method::ExchangeDeclareOk => {}
            Method::ExchangeDelete {
                ticket,
                exchange,
                if_unused,
                nowait,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, exchange);
                wire::bits(out, &[*if_unused, *nowait]);
            }
            Method::ExchangeDeleteOk => {}
            Method::ExchangeBind {
                ticket,
                destination,
                source,
                routing_key,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, destination);
                wire::shortstr(out, source);
                wire::shortstr(out, routing_key);
                wire::bits(out, &[*nowait]);
                wire::table(out, arguments);
            }
            Method::ExchangeBindOk => {}
            Method::ExchangeUnbind {
                ticket,
                destination,
                source,
                routing_key,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, destination);
                wire::shortstr(out, source);
                wire::shortstr(out, routing_key);
                wire::bits(out, &[*nowait]);
                wire::table(out, arguments);
            }
            Method::ExchangeUnbindOk => {}
            Method::QueueDeclare {
                ticket,
                queue,
                passive,
                durable,
                exclusive,
                auto_delete,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::bits(
                    out,
                    &[*passive, *durable, *exclusive, *auto_delete, *nowait],
                );
                wire::table(out, arguments);
            }
            Method::QueueDeclareOk {
                queue,
                message_count,
                consumer_count,
            } => {
                wire::shortstr(out, queue);
                wire::long(out, *message_count);
                wire::long(out, *consumer_count);
            }
            Method::QueueBind {
                ticket,
                queue,
                exchange,
                routing_key,
                nowait,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
                wire::bits(out, &[*nowait]);
                wire::table(out, arguments);
            }
            Method::QueueBindOk => {}
            Method::QueuePurge {
                ticket,
                queue,
                nowait,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::bits(out, &[*nowait]);
            }
            Method::QueuePurgeOk { message_count } => {
                wire::long(out, *message_count);
            }
            Method::QueueDelete {
                ticket,
                queue,
                if_unused,
                if_empty,
                nowait,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::bits(out, &[*if_unused, *if_empty, *nowait]);
            }
            Method::QueueDeleteOk { message_count } => {
                wire::long(out, *message_count);
            }
            Method::QueueUnbind {
                ticket,
                queue,
                exchange,
                routing_key,
                arguments,
            } => {
                wire::short(out, *ticket);
                wire::shortstr(out, queue);
                wire::shortstr(out, exchange);
                wire::shortstr(out, routing_key);
                wire::table(out, arguments);
            }
            Method::QueueUnbindOk => {}
            Method::TxSelect => {}
            Method::TxSelectOk => {}
            Method::TxCommit => {}
            Method::TxCommitOk => {}
            Method::TxRollback => {}
            Method::TxRollbackOk => {}
            Method::ConfirmSelect { nowait } => {
                wire::bits(out, &[*nowait]);
            }
            Method::ConfirmSelectOk => {}
        }
    }

    /// Class and method number.
    pub fn id(&self) -> (u16, u16) {
        match self {
            Method::BasicQos { .. } => (60, 10),
            Method::BasicQosOk => (60, 11),
            Method::BasicConsume { .. } => (60, 20),
            Method::BasicConsumeOk { .. } => (60, 21),
            Method::BasicCancel { .. } => (60, 30),
            Method::BasicCancelOk { .. } => (60, 31),
            Method::BasicPublish { .. } => (60, 40),
            Method::BasicReturn { .. } => (60, 50),
            Method::BasicDeliver { .. } => (60, 60),
            Method::BasicGet { .. } => (60, 70),
            Method::BasicGetOk { .. } => (60, 71),
            Method::BasicGetEmpty { .. } => (60, 72),
            Method::BasicAck { .. } => (60, 80),
            Method::BasicReject { .. } => (60, 90),
            Method::BasicRecoverAsync { .. } => (60, 100),
            Method::BasicRecover { .. } => (60, 110),
            Method::BasicRecoverOk => (60, 111),
            Method::BasicNack { .. } => (60, 120),
            Method::ConnectionStart { .. } => (10, 10),
            Method::ConnectionStartOk { .. } => (10, 11),
            Method::ConnectionSecure { .. } => (10, 20),
            Method::ConnectionSecureOk { .. } => (10, 21),
            Method::ConnectionTune { .. } => (10, 30),
            Method::ConnectionTuneOk { .. } => (10, 31),
            Method::ConnectionOpen { .. } => (10, 40),
            Method::ConnectionOpenOk { .. } => (10, 41),
            Method::ConnectionClose { .. } => (10, 50),
            Method::ConnectionCloseOk => (10, 51),
            Method::ConnectionBlocked { .. } => (10, 60),
            Method::ConnectionUnblocked => (10, 61),
            Method::ConnectionUpdateSecret { .. } => (10, 70),
            Method::ConnectionUpdateSecretOk => (10, 71),
            Method::ChannelOpen { .. } => (20, 10),
            Method::ChannelOpenOk { .. } => (20, 11),
            Method::ChannelFlow { .. } => (20, 20),
            Method::ChannelFlowOk { .. } => (20, 21),
            Method::ChannelClose { .. } => (20, 40),
            Method::ChannelCloseOk => (20, 41),
            Method::AccessRequest { .. } => (30, 10),
            Method::AccessRequestOk { .. } => (30, 11),
            Method::ExchangeDeclare { .. } => (40, 10),
            Method::ExchangeDeclareOk => (40, 11),
            Method::ExchangeDelete { .. } => (40, 20),
            Method::ExchangeDeleteOk => (40, 21),
            Method::ExchangeBind { .. } => (40, 30),
            Method::ExchangeBindOk => (40, 31),
            Method::ExchangeUnbind { .. } => (40, 40),
            Method::ExchangeUnbindOk => (40, 51),
            Method::QueueDeclare { .. } => (50, 10),
            Method::QueueDeclareOk { .. } => (50, 11),
            Method::QueueBind { .. } => (50, 20),
            Method::QueueBindOk => (50, 21),
            Method::QueuePurge { .. } => (50, 30),
            Method::QueuePurgeOk { .. } => (50, 31),
            Method::QueueDelete { .. } => (50, 40),
            Method::QueueDeleteOk { .. } => (50, 41),
            Method::QueueUnbind { .. } => (50, 50),
            Method::QueueUnbindOk => (50, 51),
            Method::TxSelect => (90, 10),
            Method::TxSelectOk => (90, 11),
            Method::TxCommit => (90, 20),
            Method::TxCommitOk => (90, 21),
            Method::TxRollback => (90, 30),
            Method::TxRollbackOk => (90, 31),
            Method::ConfirmSelect { .. } => (85, 10),
            Method::ConfirmSelectOk => (85, 11),
        }
    }

    /// The name as documents print it, `queue.declare`.
    pub fn name(&self) -> &'static str {
        match self {
            Method::BasicQos { .. } => "basic.qos",
            Method::BasicQosOk => "basic.qos-ok",
            Method::BasicConsume { .. } => "basic.consume",
            Method::BasicConsumeOk { .. } => "basic.consume-ok",
            Method::BasicCancel { .. } => "basic.cancel",
            Method::BasicCancelOk { .. } => "basic.cancel-ok",
            Method::BasicPublish { .. } => "basic.publish",
            Method::BasicReturn { .. } => "basic.return",
            Method::BasicDeliver { .. } => "basic.deliver",
            Method::BasicGet { .. } => "basic.get",
            Method::BasicGetOk { .. } => "basic.get-ok",
            Method::BasicGetEmpty { .. } => "basic.get-empty",
            Method::BasicAck { .. } => "basic.ack",
            Method::BasicReject { .. } => "basic.reject",
            Method::BasicRecoverAsync { .. } => "basic.recover-async",
            Method::BasicRecover { .. } => "basic.recover",
            Method::BasicRecoverOk => "basic.recover-ok",
            Method::BasicNack { .. } => "basic.nack",
            Method::ConnectionStart { .. } => "connection.start",
            Method::ConnectionStartOk { .. } => "connection.start-ok",
            Method::ConnectionSecure { .. } => "connection.secure",
            Method::ConnectionSecureOk { .. } => "connection.secure-ok",
            Method::ConnectionTune { .. } => "connection.tune",
            Method::ConnectionTuneOk { .. } => "connection.tune-ok",
            Method::ConnectionOpen { .. } => "connection.open",
            Method::ConnectionOpenOk { .. } => "connection.open-ok",
            Method::ConnectionClose { .. } => "connection.close",
            Method::ConnectionCloseOk => "connection.close-ok",
            Method::ConnectionBlocked { .. } => "connection.blocked",
            Method::ConnectionUnblocked => "connection.unblocked",
            Method::ConnectionUpdateSecret { .. } => "connection.update-secret",
            Method::ConnectionUpdateSecretOk => "connection.update-secret-ok",
            Method::ChannelOpen { .. } => "channel.open",
            Method::ChannelOpenOk { .. } => "channel.open-ok",
            Method::ChannelFlow { .. } => "channel.flow",
            Method::ChannelFlowOk { .. } => "channel.flow-ok",
            Method::ChannelClose { .. } => "channel.close",
            Method::ChannelCloseOk => "channel.close-ok",
            Method::AccessRequest { .. } => "access.request",
            Method::AccessRequestOk { .. } => "access.request-ok",
            Method::ExchangeDeclare { .. } => "exchange.declare",
            Method::ExchangeDeclareOk => "exchange.declare-ok",
            Method::ExchangeDelete { .. } => "exchange.delete",
            Method::ExchangeDeleteOk => "exchange.delete-ok",
            Method::ExchangeBind { .. } => "exchange.bind",
            Method::ExchangeBindOk => "exchange.bind-ok",
            Method::ExchangeUnbind { .. } => "exchange.unbind",
            Method::ExchangeUnbindOk => "exchange.unbind-ok",
            Method::QueueDeclare { .. } => "queue.declare",
            Method::QueueDeclareOk { .. } => "queue.declare-ok",
            Method::QueueBind { .. } => "queue.bind",
            Method::QueueBindOk => "queue.bind-ok",
            Method::QueuePurge { .. } => "queue.purge",
            Method::QueuePurgeOk { .. } => "queue.purge-ok",
            Method::QueueDelete { .. } => "queue.delete",
            Method::QueueDeleteOk { .. } => "queue.delete-ok",
            Method::QueueUnbind { .. } => "queue.unbind",
            Method::QueueUnbindOk => "queue.unbind-ok",
            Method::TxSelect => "tx.select",
            Method::TxSelectOk => "tx.select-ok",
            Method::TxCommit => "tx.commit",
            Method::TxCommitOk => "tx.commit-ok",
            Method::TxRollback => "tx.rollback",
            Method::TxRollbackOk => "tx.rollback-ok",
            Method::ConfirmSelect { .. } => "confirm.select",
            Method::ConfirmSelectOk => "confirm.select-ok",
        }
    }
}
