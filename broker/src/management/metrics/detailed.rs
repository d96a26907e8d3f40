//! Series per queue, channel and connection: `/metrics/detailed`, which gives
//! the families that are asked for, and `/metrics/per-object`, which gives all.

use super::columns::{
    CHANNELS, CONNECTIONS, Column, Columns, PUBLISHES, QUEUE_DELIVERIES, QUEUES, ROUTED, TAKEN,
    wanted,
};
use super::{Kind, Page, facts, node};
use crate::core::Core;
use crate::management::engine::{channel_counters, queue_counters};
use crate::management::flows;
use crate::management::numbers::{self, ChannelNumbers};
use crate::management::reply::Reply;
use crate::management::request::Request;
use crate::management::state::Management;
use crate::management::view::Counters;
use Kind::Gauge;

/// The families that have a series for each queue, channel or connection.
const OBJECTS: [&str; 11] = [
    "queue_coarse_metrics",
    "queue_consumer_count",
    "queue_metrics",
    "queue_delivery_metrics",
    "channel_metrics",
    "channel_process_metrics",
    "channel_exchange_metrics",
    "channel_queue_metrics",
    "channel_queue_exchange_metrics",
    "connection_coarse_metrics",
    "connection_metrics",
];

/// The families that the query names, of the virtual hosts that it names.
pub async fn page(m: &Management, request: &Request) -> Result<String, Reply> {
    let all = |key: &str| -> Vec<String> {
        let values = request.query.iter().filter(|(name, _)| name == key);
        values.map(|(_, value)| value.clone()).collect()
    };
    let (families, vhosts) = (all("family"), all("vhost"));
    let named: Vec<_> = families.iter().map(String::as_str).collect();
    let mut page = Page::default();
    facts::families(&mut page, m, "rabbitmq_detailed", &named).await?;
    objects(&mut page, m, "rabbitmq_detailed", &families, &vhosts).await?;
    cluster(&mut page, m, &named, &vhosts).await?;
    node::identity(&mut page, m).await?;
    Ok(page.finish())
}

/// All families under the names of the node's series.
pub async fn per_object(m: &Management) -> Result<String, Reply> {
    let whole = node::page(m).await?;
    let mut page = Page::default();
    objects(&mut page, m, "rabbitmq", &OBJECTS.map(str::to_owned), &[]).await?;
    let objects = page.finish();
    // a family may stand in a page only once: the objects' instead of the sums
    let detailed: Vec<_> = objects
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let kept = whole.lines().filter(|line| {
        let name = line
            .trim_start_matches("# TYPE ")
            .trim_start_matches("# HELP ");
        let name = name.split([' ', '{']).next().unwrap_or("");
        !detailed.contains(&name)
    });
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text.push_str(&objects);
    Ok(text)
}

/// Whose series it is: labels and their values.
type Labels = Vec<(&'static str, String)>;
/// The values of some columns for one object.
type Row = (Labels, Vec<f64>);

/// The rows of one table, gathered where the engine is.
struct Rows<V: 'static> {
    columns: Vec<&'static Column<V>>,
    rows: Vec<Row>,
}

impl<V> Rows<V> {
    fn of(
        table: Columns<V>,
        families: &[&str],
        objects: impl Iterator<Item = (Labels, V)>,
    ) -> Self {
        let columns = wanted(table, families);
        let mut rows = Vec::new();
        if !columns.is_empty() {
            let values = |object: &V| columns.iter().map(|column| (column.of)(object)).collect();
            rows = objects
                .map(|(labels, object)| (labels, values(&object)))
                .collect();
        }
        Rows { columns, rows }
    }

    fn write(mut self, page: &mut Page, prefix: &str) {
        self.rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (index, column) in self.columns.iter().enumerate() {
            let name = format!("{prefix}_{}", column.name);
            page.family(column.kind, &name, column.help);
            for (labels, values) in &self.rows {
                let labels: Vec<_> = labels.iter().map(|(l, v)| (*l, v.as_str())).collect();
                page.series(&name, &labels, values[index]);
            }
        }
    }
}

async fn objects(
    page: &mut Page,
    m: &Management,
    prefix: &'static str,
    families: &[String],
    vhosts: &[String],
) -> Result<(), Reply> {
    if !families.iter().any(|f| OBJECTS.contains(&f.as_str())) {
        return Ok(());
    }
    let (families, vhosts) = (families.to_vec(), vhosts.to_vec());
    let part = m
        .with(move |core| {
            let families: Vec<_> = families.iter().map(String::as_str).collect();
            let keeps = |vhost: &str| vhosts.is_empty() || vhosts.iter().any(|v| v == vhost);
            gathered(core, &families, &keeps)
        })
        .await?;
    part.queues.write(page, prefix);
    part.queue_deliveries.write(page, prefix);
    part.channels.write(page, prefix);
    part.publishes.write(page, prefix);
    part.taken.write(page, prefix);
    part.routed.write(page, prefix);
    part.connections.write(page, prefix);
    Ok(())
}

struct Gathered {
    queues: Rows<numbers::QueueNumbers>,
    queue_deliveries: Rows<numbers::QueueNumbers>,
    channels: Rows<ChannelNumbers>,
    publishes: Rows<Counters>,
    taken: Rows<Counters>,
    routed: Rows<u64>,
    connections: Rows<numbers::ConnectionNumbers>,
}

fn gathered(core: &mut Core, families: &[&str], keeps: &dyn Fn(&str) -> bool) -> Gathered {
    core.settle_traffic();
    let core = &*core;
    let queues = || {
        let kept = numbers::queues(core).filter(|(queue, _)| keeps(&queue.vhost));
        kept.map(|(queue, numbers)| (of_queue(&queue.vhost, &queue.name), numbers))
    };
    let channels = || numbers::channels(core).filter(|(c, _, _)| keeps(&c.vhost));
    let of_channel = |c: &crate::core::connection::Connection, number: u16| {
        let name = c.peer.name();
        vec![("channel", format!("{name} ({number})"))]
    };
    let connections = numbers::connections(core).filter(|(c, _)| keeps(&c.vhost));
    Gathered {
        queues: Rows::of(QUEUES, families, queues()),
        queue_deliveries: Rows::of(QUEUE_DELIVERIES, families, queues()),
        channels: Rows::of(
            CHANNELS,
            families,
            channels().map(|(c, n, channel)| (of_channel(c, n), ChannelNumbers::of(channel))),
        ),
        publishes: Rows::of(
            PUBLISHES,
            families,
            channels().flat_map(|(c, n, channel)| published(of_channel(c, n), &c.vhost, channel)),
        ),
        taken: Rows::of(
            TAKEN,
            families,
            channels().flat_map(|(c, n, channel)| {
                let of = channel.traffic.taken().iter();
                of.filter_map(move |(id, taken)| {
                    let queue = core.queue(*id)?;
                    let mut labels = of_channel(c, n);
                    labels.extend(of_queue(&queue.vhost, &queue.name));
                    Some((labels, flows::taken(taken)))
                })
            }),
        ),
        routed: Rows::of(ROUTED, families, routed(core, keeps)),
        connections: Rows::of(
            CONNECTIONS,
            families,
            connections.map(|(c, numbers)| {
                // RabbitMQ calls this label `channel`
                let name = c.peer.name();
                (
                    vec![("channel", name.clone()), ("connection", name)],
                    numbers,
                )
            }),
        ),
    }
}

fn of_queue(vhost: &str, queue: &str) -> Labels {
    vec![("vhost", vhost.to_owned()), ("queue", queue.to_owned())]
}

/// A channel's publishes by exchange. What became of them is known for the channel alone: it stands with the only
/// exchange, or without one.
fn published(
    channel: Labels,
    vhost: &str,
    of: &crate::core::channel::Channel,
) -> Vec<(Labels, Counters)> {
    let with = |exchange: Option<&str>| {
        let mut labels = channel.clone();
        labels.push(("vhost", vhost.to_owned()));
        labels.extend(exchange.map(|name| ("exchange", name.to_owned())));
        labels
    };
    let mut counters = channel_counters(&of.counters);
    match of.traffic.published() {
        [] if counters.publish == 0 => Vec::new(),
        [(exchange, _)] => vec![(with(Some(exchange)), counters)],
        several => {
            let each = several.iter().map(|(exchange, count)| {
                let publish = *count;
                let one = Counters {
                    publish,
                    ..Counters::default()
                };
                (with(Some(exchange)), one)
            });
            let each: Vec<_> = each.collect();
            let told: u64 = several.iter().map(|(_, count)| count).sum();
            counters.publish = counters.publish.saturating_sub(told);
            each.into_iter().chain([(with(None), counters)]).collect()
        }
    }
}

/// Messages by the exchange that led them to a queue.
fn routed<'a>(
    core: &'a Core,
    keeps: &'a dyn Fn(&str) -> bool,
) -> impl Iterator<Item = (Labels, u64)> + 'a {
    let vhosts = core.metadata.vhosts.values().filter(|v| keeps(v.name()));
    vhosts.flat_map(move |vhost| {
        vhost.exchanges.iter().flat_map(move |(exchange, found)| {
            found.passed.by_queue().filter_map(move |(id, count)| {
                let queue = core.queue(id)?;
                let labels = vec![
                    ("vhost", queue.vhost.to_string()),
                    ("queue_vhost", queue.vhost.to_string()),
                    ("queue", queue.name.to_string()),
                    ("exchange_vhost", queue.vhost.to_string()),
                    ("exchange", exchange.to_string()),
                ];
                Some((labels, count))
            })
        })
    })
}

/// All messages that reached queues, of queues that are gone, too.
pub fn all_routed(core: &Core) -> u64 {
    let gone = [core.statistics.gone_classic, core.statistics.gone_quorum];
    let gone = gone.iter().map(|c| queue_counters(c).publish);
    let there = core.queues().map(|queue| queue.counters.publish);
    gone.chain(there).sum()
}

/// What RabbitMQ tells for a whole cluster: virtual hosts, exchanges, bindings.
async fn cluster(
    page: &mut Page,
    m: &Management,
    families: &[&str],
    vhosts: &[String],
) -> Result<(), Reply> {
    let keeps = |vhost: &str| vhosts.is_empty() || vhosts.iter().any(|v| v == vhost);
    if families.contains(&"vhost_status") {
        let names = m
            .with(|core| core.metadata.vhosts.keys().cloned().collect::<Vec<_>>())
            .await?;
        let name = "rabbitmq_cluster_vhost_status";
        page.family(Gauge, name, "Whether a given vhost is running");
        for vhost in names.iter().filter(|v| keeps(v)) {
            page.series(name, &[("vhost", vhost)], 1);
        }
    }
    let named = families.contains(&"exchange_names");
    let bound = families.contains(&"exchange_bindings");
    if !named && !bound {
        return Ok(());
    }
    let exchanges = m.with(|core| exchanges(core)).await?;
    let rows = [
        (
            named,
            "rabbitmq_cluster_exchange_name",
            "Enumerates exchanges without any additional info",
        ),
        (
            bound,
            "rabbitmq_cluster_exchange_bindings",
            "Number of bindings for an exchange. This value is cluster-wide.",
        ),
    ];
    for (index, (_, name, help)) in rows.iter().enumerate().filter(|(_, row)| row.0) {
        page.family(Gauge, name, help);
        let kept = exchanges.iter().filter(|(x, _)| keeps(&x[0]));
        for ([vhost, exchange, kind], bindings) in kept {
            let labels = [
                ("vhost", vhost.as_str()),
                ("exchange", exchange),
                ("type", kind),
            ];
            page.series(name, &labels, [1, *bindings][index]);
        }
    }
    Ok(())
}

/// Virtual host, name and type of every exchange but the default ones, with the number of its bindings.
fn exchanges(core: &Core) -> Vec<([String; 3], u64)> {
    let mut all = Vec::new();
    for vhost in core.metadata.vhosts.values() {
        let mut bindings = std::collections::HashMap::<&str, u64>::new();
        for binding in vhost.bindings() {
            *bindings.entry(&binding.source).or_default() += 1;
        }
        let named = vhost.exchanges.values().filter(|x| !x.spec.name.is_empty());
        all.extend(named.map(|x| {
            let names = [
                vhost.name().to_owned(),
                x.spec.name.to_string(),
                x.spec.kind.to_string(),
            ];
            (names, bindings.get(&*x.spec.name).copied().unwrap_or(0))
        }));
    }
    all
}
