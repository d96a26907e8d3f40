//! The consumers of the traffic: one at each broker, since brokers that are no
//! cluster have a queue of the same name each, and the balancer decides who of
//! them the publisher talks to.

use super::client::{Client, Event};
use super::ledger::Ledger;
use super::{PAUSE, QUEUE, SILENCE, Target, connect};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Unacknowledged messages of a consumer at most.
const PREFETCH: u16 = 100;
/// How long the end waits for what is confirmed and not delivered.
const LAST_WAIT: Duration = Duration::from_secs(20);
/// So often a consumer looks at once for a broker that has none ...
const QUICK_TRIES: u32 = 25;
/// ... and then at this pace: a broker may be down for long.
const SLOW_PAUSE: Duration = Duration::from_millis(300);

/// What ended a connection in an orderly way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// The run is over.
    Over,
    /// Another consumer is at this broker.
    Taken,
}

/// As many as there are brokers.
pub struct Consumers {
    target: Target,
    ledger: Rc<RefCell<Ledger>>,
    stop: watch::Receiver<bool>,
    /// The brokers that have a consumer, by the names of their clusters.
    taken: RefCell<HashSet<String>>,
}

impl Consumers {
    /// None of them is connected yet.
    pub fn new(
        target: Target,
        ledger: Rc<RefCell<Ledger>>,
        stop: watch::Receiver<bool>,
    ) -> Consumers {
        Consumers {
            target,
            ledger,
            stop,
            taken: RefCell::default(),
        }
    }

    /// Consumes until the run is over and what was confirmed has arrived.
    pub async fn run(self) {
        let all = Rc::new(self);
        let mut tasks = JoinSet::new();
        for _ in 0..all.target.brokers.max(1) {
            let all = all.clone();
            tasks.spawn_local(async move { all.one().await });
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn one(&self) {
        let mut end: Option<Instant> = None;
        let mut tries = 0;
        loop {
            if *self.stop.borrow() {
                let end = *end.get_or_insert_with(|| Instant::now() + LAST_WAIT);
                if self.ledger.borrow().is_drained() || Instant::now() > end {
                    return;
                }
            }
            match self.consume().await {
                Ok(Leaving::Over) => {}
                Ok(Leaving::Taken) if tries < QUICK_TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(Leaving::Taken) => tokio::time::sleep(SLOW_PAUSE).await,
                Err(_) => {
                    tries = 0;
                    self.ledger.borrow_mut().consumer_lost();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One connection, at a broker that has no consumer.
    async fn consume(&self) -> io::Result<Leaving> {
        let mut client = connect(&self.target).await?;
        let broker = client.cluster().to_owned();
        if !self.taken.borrow_mut().insert(broker.clone()) {
            client.close().await;
            return Ok(Leaving::Taken);
        }
        let ended = self.deliveries(&mut client).await;
        self.taken.borrow_mut().remove(&broker);
        ended
    }

    async fn deliveries(&self, client: &mut Client) -> io::Result<Leaving> {
        client.consume(QUEUE, PREFETCH).await?;
        self.ledger.borrow_mut().consumer_connected();
        let mut heard = Instant::now();
        loop {
            let drained = self.ledger.borrow().is_drained();
            if *self.stop.borrow() && (drained || heard.elapsed() > SILENCE) {
                client.close().await;
                return Ok(Leaving::Over);
            }
            // Messages are confirmed, but none arrives: this connection is dead.
            if heard.elapsed() > SILENCE && self.ledger.borrow().behind_for(SILENCE) {
                return Err(io::Error::other("no delivery for too long"));
            }
            tokio::select! {
                biased;
                event = client.event() => match event? {
                    Event::Delivery { tag, redelivered, body } => {
                        heard = Instant::now();
                        if let Ok(number) = body.as_slice().try_into() {
                            let number = u64::from_be_bytes(number);
                            self.ledger.borrow_mut().delivered(number, redelivered);
                        }
                        client.ack(tag).await?;
                    }
                    Event::Closed(why) => return Err(io::Error::other(why)),
                    Event::Confirm { .. } | Event::Other => {}
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => client.heartbeat().await?,
            }
        }
    }
}
