//! Numbered messages through one address: a publisher with confirms,
//! consumers with acknowledgements, and the ledger of all.

pub mod client;
mod consumer;
pub mod ledger;

use super::ending::Ending;
use super::gate;
use client::{Client, Event};
use consumer::Consumers;
use ledger::{Balance, Ledger};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The queue of the traffic.
const QUEUE: &str = "evenkeel.traffic";
/// Without an answer for so long a client takes its connection for dead.
const SILENCE: Duration = Duration::from_millis(1500);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(20);
/// Unconfirmed messages at most.
const WINDOW: usize = 1000;

/// How long the end waits for messages that are confirmed and not delivered.
const DRAIN: Duration = Duration::from_secs(25);
/// Exit status when the ledger is broken.
pub const LEDGER_BROKEN: u8 = 1;

/// Where the traffic goes and how much of it.
#[derive(Clone)]
pub struct Target {
    /// The way in.
    pub gate: PathBuf,
    /// The address that the clients know.
    pub address: SocketAddr,
    /// Messages a second.
    pub rate: u32,
    /// Brokers behind the address that do not share their queues.
    pub brokers: usize,
}

/// A running publisher with its consumers and the ledger of both.
pub struct Traffic {
    ledger: Rc<RefCell<Ledger>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Traffic {
    /// Starts both, on the current set of local tasks.
    pub fn start(target: Target) -> Traffic {
        let ledger = Rc::new(RefCell::new(Ledger::new()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::task::spawn_local(run(target, ledger.clone(), stopped));
        Traffic { ledger, stop, task }
    }

    /// How the ledger stands.
    pub fn balance(&self) -> Balance {
        self.ledger.borrow().balance()
    }

    /// Publishes no more.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
        self.ledger.borrow_mut().stop_clocks();
    }

    /// Waits until what is confirmed is delivered too, for a while, or until
    /// somebody does not want to wait; the last balance.
    pub async fn finish(mut self, ending: &mut Ending) -> Balance {
        self.stop();
        let soon = tokio::time::timeout(Duration::from_secs(1), &mut self.task);
        if soon.await.is_ok() {
            return self.balance();
        }
        let (limit, waiting) = (DRAIN.as_secs(), self.balance().lost);
        println!(
            "waiting up to {limit} s for {waiting} confirmed messages to be delivered; Ctrl-C ends at once"
        );
        tokio::select! {
            () = ending.told() => {}
            _ = tokio::time::timeout(DRAIN, &mut self.task) => {}
        }
        self.balance()
    }
}

/// Prints the ledger at the end; the exit status that it means.
pub fn conclude(balance: &Balance) -> ExitCode {
    println!("ledger: {balance}");
    if balance.is_whole() {
        println!("every confirmed message was delivered; every duplicate carried its flag");
        return ExitCode::SUCCESS;
    }
    println!("the ledger is BROKEN");
    ExitCode::from(LEDGER_BROKEN)
}

/// Runs a publisher and consumers until `stop`, then drains.
async fn run(target: Target, ledger: Rc<RefCell<Ledger>>, stop: watch::Receiver<bool>) {
    // what is published and not yet confirmed may be confirmed still: the consumers stay until then
    let (published, over) = watch::channel(false);
    let publish = async {
        publisher(target.clone(), ledger.clone(), stop).await;
        let _ = published.send(true);
    };
    let consumers = Consumers::new(target.clone(), ledger.clone(), over);
    tokio::join!(publish, consumers.run());
}

async fn connect(target: &Target) -> std::io::Result<Client> {
    let open = async {
        let stream = gate::connect(&target.gate, target.address).await?;
        let mut client = Client::open(stream).await?;
        client.declare(QUEUE).await?;
        Ok(client)
    };
    tokio::time::timeout(Duration::from_millis(2500), open)
        .await
        .map_err(|_| std::io::Error::other("no answer"))?
}

async fn publisher(target: Target, ledger: Rc<RefCell<Ledger>>, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match publish(&target, &ledger, &stop).await {
            Ok(()) => return,
            Err(_) => ledger.borrow_mut().publisher_lost(),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn publish(
    target: &Target,
    ledger: &Rc<RefCell<Ledger>>,
    stop: &watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut client = connect(target).await?;
    client.confirm_select().await?;
    ledger.borrow_mut().publisher_connected();
    let mut unconfirmed: std::collections::BTreeMap<u64, u64> = Default::default();
    let mut tag = 0;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / f64::from(target.rate)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        if *stop.borrow() && unconfirmed.is_empty() {
            client.close().await;
            return Ok(());
        }
        if !unconfirmed.is_empty() && heard.elapsed() > SILENCE {
            return Err(std::io::Error::other("no confirm for too long"));
        }
        tokio::select! {
            biased;
            event = client.event() => match event? {
                Event::Confirm { tag, multiple, good } => {
                    heard = Instant::now();
                    let mut rest = unconfirmed.split_off(&(tag + 1));
                    if !multiple {
                        let number = unconfirmed.remove(&tag);
                        rest.append(&mut unconfirmed);
                        unconfirmed.extend(number.map(|n| (tag, n)));
                    }
                    for number in unconfirmed.values() {
                        ledger.borrow_mut().confirmed(*number, good);
                    }
                    unconfirmed = rest;
                }
                Event::Closed(why) => return Err(std::io::Error::other(why)),
                Event::Delivery { .. } | Event::Other => {}
            },
            _ = tick.tick(), if !*stop.borrow() && unconfirmed.len() < WINDOW => {
                if unconfirmed.is_empty() {
                    heard = Instant::now();
                }
                let number = ledger.borrow_mut().next();
                tag += 1;
                unconfirmed.insert(tag, number);
                client.publish(QUEUE, &number.to_be_bytes()).await?;
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => client.heartbeat().await?,
        }
    }
}
