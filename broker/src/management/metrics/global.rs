//! The series that count by protocol and type of queue since the start, and ours.

use super::{Kind, Page};
use crate::core::letters::Reason;
use crate::management::state::Management;
use crate::management::system;
use crate::management::view::NodeView;
use Kind::{Counter, Gauge};

const CLASSIC: &str = "rabbit_classic_queue";
const QUORUM: &str = "rabbit_quorum_queue";

/// RabbitMQ's global counters.
pub fn write(page: &mut Page, view: &NodeView) {
    let c = &view.counters;
    let plain = [
        (
            "messages_received_total",
            "Total number of messages received from publishers",
            c.publish,
        ),
        (
            "messages_received_confirm_total",
            "Total number of messages received from publishers expecting confirmations",
            view.publish_confirm,
        ),
        (
            "messages_confirmed_total",
            "Total number of messages confirmed to publishers",
            c.confirm,
        ),
        (
            "messages_routed_total",
            "Total number of messages routed to queues",
            c.publish
                .saturating_sub(c.return_unroutable + c.drop_unroutable),
        ),
        (
            "messages_unroutable_returned_total",
            "Total number of messages that could not be routed and returned to the publisher",
            c.return_unroutable,
        ),
        (
            "messages_unroutable_dropped_total",
            "Total number of messages that could not be routed and dropped",
            c.drop_unroutable,
        ),
    ];
    for (name, help, value) in plain {
        let name = format!("rabbitmq_global_{name}");
        page.family(Counter, &name, help);
        page.series(&name, &[("protocol", "amqp091")], value);
    }
    page.family(
        Gauge,
        "rabbitmq_global_publishers",
        "Publishers currently connected",
    );
    page.series(
        "rabbitmq_global_publishers",
        &[("protocol", "amqp091")],
        view.publishers,
    );
    page.family(
        Gauge,
        "rabbitmq_global_consumers",
        "Consumers currently connected",
    );
    page.series(
        "rabbitmq_global_consumers",
        &[("protocol", "amqp091")],
        view.open.consumers,
    );
    let q = &view.quorum;
    let by_type = [
        (
            "messages_acknowledged_total",
            "Total number of messages acknowledged by consumers",
            c.ack,
            q.ack,
        ),
        (
            "messages_delivered_total",
            "Total number of messages delivered to consumers",
            c.deliver_get(),
            q.deliver_get(),
        ),
        (
            "messages_delivered_consume_manual_ack_total",
            "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
            c.deliver,
            q.deliver,
        ),
        (
            "messages_delivered_consume_auto_ack_total",
            "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
            c.deliver_no_ack,
            q.deliver_no_ack,
        ),
        (
            "messages_delivered_get_manual_ack_total",
            "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
            c.get,
            q.get,
        ),
        (
            "messages_delivered_get_auto_ack_total",
            "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
            c.get_no_ack,
            q.get_no_ack,
        ),
        (
            "messages_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            c.get_empty,
            q.get_empty,
        ),
        (
            "messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            c.redeliver,
            q.redeliver,
        ),
    ];
    for (name, help, all, quorum) in by_type {
        let name = format!("rabbitmq_global_{name}");
        page.family(Counter, &name, help);
        let labels = |kind| [("protocol", "amqp091"), ("queue_type", kind)];
        page.series(&name, &labels(CLASSIC), all.saturating_sub(quorum));
        page.series(&name, &labels(QUORUM), quorum);
    }
    dead_letters(page, view);
}

/// Messages that died, by type of queue, by what then happened, by reason. Nothing is lettered at least once here: a
/// letter is not lost with the process, but nobody waits for its confirm.
fn dead_letters(page: &mut Page, view: &NodeView) {
    let word = |lettered| if lettered { "at_most_once" } else { "disabled" };
    for (reason, why) in Reason::ALL.into_iter().zip([
        "message TTL exceeded",
        "overflow drop-head or reject-publish-dlx",
        "basic.reject or basic.nack",
        "delivery-limit exceeded",
    ]) {
        let name = format!(
            "rabbitmq_global_messages_dead_lettered_{}_total",
            reason.word()
        );
        let help = format!("Total number of messages dead-lettered due to {why}");
        page.family(Counter, &name, &help);
        for (quorum, kind) in [(false, CLASSIC), (true, QUORUM)] {
            if !quorum && reason == Reason::DeliveryLimit {
                continue;
            }
            if quorum && reason != Reason::MaxLength {
                let labels = [
                    ("queue_type", kind),
                    ("dead_letter_strategy", "at_least_once"),
                ];
                page.series(&name, &labels, 0);
            }
            for lettered in [true, false] {
                let labels = [
                    ("queue_type", kind),
                    ("dead_letter_strategy", word(lettered)),
                ];
                page.series(&name, &labels, view.deaths.count(quorum, lettered, reason));
            }
        }
    }
    let name = "rabbitmq_global_messages_dead_lettered_confirmed_total";
    let help = "Total number of messages dead-lettered and confirmed by target queues";
    page.family(Counter, name, help);
    let labels = [
        ("queue_type", QUORUM),
        ("dead_letter_strategy", "at_least_once"),
    ];
    page.series(name, &labels, 0);
}

/// What RabbitMQ has no series for.
pub fn ours(page: &mut Page, m: &Management, view: &NodeView) {
    let store = system::store(&m.facts.data_dir);
    let files = "evenkeel_store_files";
    page.one(Gauge, files, "Files of the message log", store.files);
    let bytes = "evenkeel_store_disk_bytes";
    page.one(
        Gauge,
        bytes,
        "Bytes of the message log on disk",
        store.disk_bytes,
    );
    let unreadable = "evenkeel_store_messages_unreadable_total";
    let help = "Stored messages that could not be read back and were passed over";
    page.one(Counter, unreadable, help, view.unreadable);
    let name = "evenkeel_dead_letters_total";
    let help = "Messages that left a queue undelivered, by reason";
    page.family(Counter, name, help);
    for reason in Reason::ALL {
        let of = |quorum| [true, false].map(|lettered| view.deaths.count(quorum, lettered, reason));
        let all: u64 = [of(false), of(true)].iter().flatten().sum();
        page.series(name, &[("reason", reason.word())], all);
    }
}
