//! The series of queues, channels and connections as tables: family, name, help, value. Each stands in a page once for
//! every object, or once with the sum.

use super::{Kind, Page};
use crate::management::numbers::{ChannelNumbers, ConnectionNumbers, QueueNumbers};
use crate::management::view::Counters;
use Kind::{Counter, Gauge};

/// One series.
#[derive(Debug)]
pub struct Column<V: 'static> {
    /// The family of `/metrics/detailed` that has it.
    pub family: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its name behind the prefix.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its value; NaN where there is none.
    pub of: fn(&V) -> f64,
}

/// A table of series.
pub type Columns<V> = &'static [Column<V>];

/// Which series of a table stand in a page.
pub fn wanted<V>(columns: Columns<V>, families: &[&str]) -> Vec<&'static Column<V>> {
    let mut kept: Vec<&Column<V>> = Vec::new();
    for column in columns {
        let twice = kept.iter().any(|other| other.name == column.name);
        if families.contains(&column.family) && !twice {
            kept.push(column);
        }
    }
    kept
}

/// The sum of every series over all objects. What has no sum (a point in time) is NaN.
pub fn sums<V>(columns: Columns<V>, objects: impl Iterator<Item = V>) -> Vec<f64> {
    let mut sums = vec![0.0; columns.len()];
    for object in objects {
        for (sum, column) in sums.iter_mut().zip(columns) {
            *sum += (column.of)(&object);
        }
    }
    sums
}

/// A table's sums, each a family of its own.
pub fn write_sums<V>(page: &mut Page, columns: Columns<V>, sums: &[f64]) {
    for (column, sum) in columns.iter().zip(sums) {
        let summed = column.kind == Counter || !NOT_SUMMED.contains(&column.name);
        let again = columns.iter().find(|other| other.name == column.name);
        if summed && again.is_some_and(|first| std::ptr::eq(first, column)) {
            let name = format!("rabbitmq_{}", column.name);
            page.one(column.kind, &name, column.help, sum);
        }
    }
}

const NOT_SUMMED: [&str; 1] = ["queue_head_message_timestamp"];

macro_rules! columns {
    ($value:ty: $($family:literal { $($kind:ident $name:literal $help:literal $of:expr;)* })*) => {
        &[$($(Column::<$value> { family: $family, kind: $kind, name: $name, help: $help, of: $of },)*)*]
    };
}

/// Queues. Reductions and memory of a process are 0: a queue is no process here.
pub const QUEUES: Columns<QueueNumbers> = columns! { QueueNumbers:
    "queue_coarse_metrics" {
        Gauge "queue_messages_ready" "Messages ready to be delivered to consumers" |q| q.messages.0 as f64;
        Gauge "queue_messages_unacked" "Messages delivered to consumers but not yet acknowledged" |q| q.messages.1 as f64;
        Gauge "queue_messages" "Sum of ready and unacknowledged messages - total queue depth" |q| q.total() as f64;
        Counter "queue_process_reductions_total" "Total number of queue process reductions" |_| 0.0;
    }
    "queue_consumer_count" {
        Gauge "queue_consumers" "Consumers on a queue" |q| q.consumers as f64;
    }
    "queue_metrics" {
        Gauge "queue_consumers" "Consumers on a queue" |q| q.consumers as f64;
        Gauge "queue_consumer_capacity" "Consumer capacity" |q| q.capacity;
        Gauge "queue_consumer_utilisation" "Same as consumer capacity" |q| q.capacity;
        Gauge "queue_process_memory_bytes" "Memory of the bodies of a queue's messages" |q| (q.resident.1 + q.bytes.1) as f64;
        Gauge "queue_messages_ram" "Ready and unacknowledged messages stored in memory" |q| (q.resident.0 + q.messages.1) as f64;
        Gauge "queue_messages_ram_bytes" "Size of ready and unacknowledged messages stored in memory" |q| (q.resident.1 + q.bytes.1) as f64;
        Gauge "queue_messages_ready_ram" "Ready messages stored in memory" |q| q.resident.0 as f64;
        Gauge "queue_messages_unacked_ram" "Unacknowledged messages stored in memory" |q| q.messages.1 as f64;
        Gauge "queue_messages_persistent" "Persistent messages" |q| q.persistent as f64;
        Gauge "queue_messages_persistent_bytes" "Size in bytes of persistent messages" |q| q.persistent_bytes() as f64;
        Gauge "queue_messages_bytes" "Size in bytes of ready and unacknowledged messages" |q| (q.bytes.0 + q.bytes.1) as f64;
        Gauge "queue_messages_ready_bytes" "Size in bytes of ready messages" |q| q.bytes.0 as f64;
        Gauge "queue_messages_unacked_bytes" "Size in bytes of all unacknowledged messages" |q| q.bytes.1 as f64;
        Gauge "queue_messages_paged_out" "Messages paged out to disk" |q| q.messages.0.saturating_sub(q.resident.0) as f64;
        Gauge "queue_messages_paged_out_bytes" "Size in bytes of messages paged out to disk" |q| q.bytes.0.saturating_sub(q.resident.1) as f64;
        Gauge "queue_head_message_timestamp" "Timestamp of the first message in the queue, if any" |q| q.head_timestamp.map_or(f64::NAN, |at| at as f64);
        Counter "queue_disk_reads_total" "Total number of times queue read messages from disk" |q| q.counters.disk_reads as f64;
        Counter "queue_disk_writes_total" "Total number of times queue wrote messages to disk" |q| q.counters.disk_writes as f64;
    }
};

/// What was taken from queues, by queue: RabbitMQ has this family since 3.12.
pub const QUEUE_DELIVERIES: Columns<QueueNumbers> = columns! { QueueNumbers:
    "queue_delivery_metrics" {
        Counter "queue_messages_delivered_ack_total" "Deliveries in manual acknowledgement mode" |q| q.counters.deliver as f64;
        Counter "queue_messages_delivered_total" "Deliveries in automatic acknowledgement mode" |q| q.counters.deliver_no_ack as f64;
        Counter "queue_messages_redelivered_total" "Redeliveries" |q| q.counters.redeliver as f64;
        Counter "queue_messages_acked_total" "Acknowledgements" |q| q.counters.ack as f64;
        Counter "queue_get_ack_total" "Fetches in manual acknowledgement mode" |q| q.counters.get as f64;
        Counter "queue_get_total" "Fetches in automatic acknowledgement mode" |q| q.counters.get_no_ack as f64;
        Counter "queue_get_empty_total" "Fetches that found nothing" |q| q.counters.get_empty as f64;
    }
};

/// Channels.
pub const CHANNELS: Columns<ChannelNumbers> = columns! { ChannelNumbers:
    "channel_metrics" {
        Gauge "channel_consumers" "Consumers on a channel" |c| c.consumers as f64;
        Gauge "channel_messages_unacked" "Delivered but not yet acknowledged messages" |c| c.unacked as f64;
        Gauge "channel_messages_unconfirmed" "Published but not yet confirmed messages" |c| c.unconfirmed as f64;
        Gauge "channel_messages_uncommitted" "Messages received in a transaction but not yet committed" |c| c.uncommitted as f64;
        Gauge "channel_acks_uncommitted" "Message acknowledgements in a transaction not yet committed" |c| c.acks_uncommitted as f64;
        Gauge "consumer_prefetch" "Limit of unacknowledged messages for each consumer" |c| c.prefetch.into();
        Gauge "channel_prefetch" "Total limit of unacknowledged messages for all consumers on a channel" |c| c.global_prefetch.into();
    }
    "channel_process_metrics" {
        Counter "channel_process_reductions_total" "Total number of channel process reductions" |_| 0.0;
    }
};

/// What channels publish.
pub const PUBLISHES: Columns<Counters> = columns! { Counters:
    "channel_exchange_metrics" {
        Counter "channel_messages_published_total" "Total number of messages published into an exchange on a channel" |c| c.publish as f64;
        Counter "channel_messages_confirmed_total" "Total number of messages published into an exchange and confirmed on the channel" |c| c.confirm as f64;
        Counter "channel_messages_unroutable_returned_total" "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable" |c| c.return_unroutable as f64;
        Counter "channel_messages_unroutable_dropped_total" "Total number of messages published as non-mandatory into an exchange and dropped as unroutable" |c| c.drop_unroutable as f64;
    }
};

/// What channels take from queues.
pub const TAKEN: Columns<Counters> = columns! { Counters:
    "channel_queue_metrics" {
        Counter "channel_get_ack_total" "Total number of messages fetched with basic.get in manual acknowledgement mode" |c| c.get as f64;
        Counter "channel_get_total" "Total number of messages fetched with basic.get in automatic acknowledgement mode" |c| c.get_no_ack as f64;
        Counter "channel_messages_delivered_ack_total" "Total number of messages delivered to consumers in manual acknowledgement mode" |c| c.deliver as f64;
        Counter "channel_messages_delivered_total" "Total number of messages delivered to consumers in automatic acknowledgement mode" |c| c.deliver_no_ack as f64;
        Counter "channel_messages_redelivered_total" "Total number of messages redelivered to consumers" |c| c.redeliver as f64;
        Counter "channel_messages_acked_total" "Total number of messages acknowledged by consumers" |c| c.ack as f64;
        Counter "channel_get_empty_total" "Total number of times basic.get operations fetched no message" |c| c.get_empty as f64;
    }
};

/// Messages that reached queues.
pub const ROUTED: Columns<u64> = columns! { u64:
    "channel_queue_exchange_metrics" {
        Counter "queue_messages_published_total" "Total number of messages published to queues" |count| *count as f64;
    }
};

/// Connections.
pub const CONNECTIONS: Columns<ConnectionNumbers> = columns! { ConnectionNumbers:
    "connection_coarse_metrics" {
        Counter "connection_incoming_bytes_total" "Total number of bytes received on a connection" |c| c.bytes.0 as f64;
        Counter "connection_outgoing_bytes_total" "Total number of bytes sent on a connection" |c| c.bytes.1 as f64;
        Counter "connection_process_reductions_total" "Total number of connection process reductions" |_| 0.0;
    }
    "connection_metrics" {
        Counter "connection_incoming_packets_total" "Total number of packets received on a connection" |c| c.frames.0 as f64;
        Counter "connection_outgoing_packets_total" "Total number of packets sent on a connection" |c| c.frames.1 as f64;
        Gauge "connection_pending_packets" "Number of bytes waiting to be sent on a connection" |c| c.pending as f64;
        Gauge "connection_channels" "Channels on a connection" |c| c.channels as f64;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Columns<u64> = columns! { u64:
        "a" { Gauge "x" "X" |v| *v as f64; Counter "y" "Y" |v| (*v * 2) as f64; }
        "b" { Gauge "x" "X" |v| *v as f64; }
    };

    #[test]
    fn a_series_of_two_families_stands_in_a_page_once() {
        let names = |families: &[&str]| -> Vec<_> {
            let kept = wanted(TABLE, families);
            kept.iter().map(|column| column.name).collect()
        };
        assert_eq!(names(&["a"]), ["x", "y"]);
        assert_eq!(names(&["b", "a"]), ["x", "y"]);
        assert_eq!(names(&["b"]), ["x"]);
        let mut page = Page::default();
        write_sums(&mut page, TABLE, &sums(TABLE, [1, 2].into_iter()));
        let text = page.finish();
        assert_eq!(text.matches("rabbitmq_x 3\n").count(), 1, "{text}");
        assert_eq!(text.matches("rabbitmq_y 6\n").count(), 1, "{text}");
    }
}
