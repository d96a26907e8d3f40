//! The store on a disk that lies: whatever a crash leaves, a start finds a prefix of what was appended that has
//! everything durable.

mod cold;
mod damage;
mod faults;
mod held;
mod house;

use super::cold::ColdReader;
use super::keeper::{Job, Keeper};
use super::open::Workers;
use super::*;
use sim::disk;
use sim::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

/// The simulated disk in the store's words.
#[derive(Clone)]
pub(super) struct SimDisk(pub disk::Disk, pub Arc<Reads>);

/// What reading is like.
#[derive(Default)]
pub(super) struct Reads {
    /// Every read has to wait for the disk.
    pub wait: AtomicBool,
    pub fail: AtomicBool,
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(disk::Disk::new(seed), Arc::default())
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.list())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SimFile(self.0.open(name)?, self.1.clone())))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
}

struct SimFile(disk::File, Arc<Reads>);

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.1.fail.load(Ordering::Relaxed) {
            true => Err(io::Error::other("cannot be read")),
            false => self.0.read_at(buffer, offset),
        }
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.1.wait.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.read_at(buffer, offset),
        }
    }

    fn will_read(&self, _: u64, _: u64) {}

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.0.reserve(length)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.length())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

pub(super) const SEGMENT: u64 = 32 << 10;

/// A store whose threads are the test.
pub(super) struct Rig {
    pub disk: SimDisk,
    pub store: Store,
    pub committer: Committers,
    pub keeper: Keeper,
    pub jobs: Receiver<Job>,
    pub cold: ColdReader,
    pub recovered: Recovered,
}

impl Rig {
    pub fn open(disk: &SimDisk) -> Result<Rig, OpenError> {
        let options = Options {
            segment_bytes: SEGMENT,
            warm: false,
            slack_segments: 1,
            squash: |commands| commands.into_iter().rev().take(1).collect(),
        };
        let measure = |bytes: &[u8]| Some((bytes.len() as u32, 0));
        let (store, workers, recovered) =
            Store::assemble(Arc::new(disk.clone()), options, measure, Box::new(|| {}))?;
        let Workers {
            committer,
            keeper,
            jobs,
            cold,
        } = workers;
        Ok(Rig {
            disk: disk.clone(),
            store,
            committer,
            keeper,
            jobs,
            cold,
            recovered,
        })
    }

    pub fn new(seed: u64) -> Rig {
        Rig::open(&SimDisk::new(seed)).unwrap()
    }

    /// Lets the committer look as if it had nothing to do.
    pub fn rest(&self) {
        self.store.shared.rest();
    }

    /// What the threads would do by and by.
    pub fn work(&mut self) -> Health {
        self.store.flush();
        let health = self.committer.turn(true);
        while let Ok(job) = self.jobs.try_recv() {
            self.keeper.perform(job);
        }
        self.store.flush();
        health
    }

    pub fn publish(&mut self, queue: u64, seq: u64, message: &[u8]) -> Stored {
        self.store
            .publish(content(message, false), &[reference(queue, seq)])
    }

    /// The sequence numbers recovered in a queue.
    pub fn recovered_seqs(&self, queue: u64) -> Vec<u64> {
        let messages = self.recovered.messages.get(&QueueKey(queue));
        messages
            .map(|messages| messages.iter().map(|message| message.seq).collect())
            .unwrap_or_default()
    }
}

pub(super) fn reference(queue: u64, seq: u64) -> Reference {
    Reference {
        queue: QueueKey(queue),
        seq,
        expires_ms: seq % 3,
    }
}

pub(super) fn content(bytes: &[u8], spilled: bool) -> Content<'_> {
    Content {
        bytes,
        size: bytes.len() as u32,
        priority: 0,
        spilled,
    }
}

/// All of a message's bytes.
pub(super) fn take(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

/// What happened to one reference of a message.
#[derive(Debug, Clone)]
struct Fate {
    message: Vec<u8>,
    stored: Stored,
    /// The position behind its record, and its place among all that was published.
    published: u64,
    order: u64,
    settled: Option<u64>,
    unit: Option<u64>,
    /// The unit that settles it.
    settled_in: Option<u64>,
}

/// Does random things to a store and remembers what must come of them.
struct Model {
    rng: Rng,
    fates: BTreeMap<(u64, u64), Fate>,
    commands: Vec<(u64, Vec<u8>)>,
    next_seq: u64,
    order: u64,
    units: u64,
    /// Settlements of this turn, whose position only the flush tells.
    unflushed: Vec<(u64, u64)>,
}

impl Model {
    fn new(seed: u64) -> Model {
        Model {
            rng: Rng::new(seed),
            fates: BTreeMap::new(),
            commands: Vec::new(),
            next_seq: 1,
            order: 0,
            units: 0,
            unflushed: Vec::new(),
        }
    }

    fn publish(&mut self, store: &mut Store, unit: Option<u64>) {
        let length = if self.rng.chance(3) {
            40_000
        } else {
            self.rng.below(2500) as usize
        };
        let mut message = vec![self.rng.below(256) as u8; length];
        message.extend(self.next_seq.to_le_bytes());
        let count = if self.rng.chance(20) {
            1 + self.rng.below(3)
        } else {
            1
        };
        let first = self.rng.below(4);
        let references: Vec<Reference> = (0..count)
            .map(|n| reference((first + n) % 4 + 1, self.next_seq + n))
            .collect();
        self.next_seq += count;
        let stored = store.publish(content(&message, false), &references);
        self.order += 1;
        for reference in references {
            let fate = Fate {
                message: message.clone(),
                stored,
                published: store.position(),
                order: self.order,
                settled: None,
                unit,
                settled_in: None,
            };
            self.fates.insert((reference.queue.0, reference.seq), fate);
        }
    }

    fn settle(&mut self, store: &mut Store) {
        let key = self.settle_some(store);
        self.unflushed.extend(key);
    }

    /// Settles a message: which.
    fn settle_some(&mut self, store: &mut Store) -> Option<(u64, u64)> {
        // Mostly the oldest, as consumers do, and some anywhere.
        let skip = if self.rng.chance(70) {
            0
        } else {
            self.rng.below(40) as usize
        };
        let live = self
            .fates
            .iter_mut()
            .filter(|(_, fate)| fate.settled.is_none());
        let (&(queue, seq), fate) = live.into_iter().nth(skip)?;
        store.settle(QueueKey(queue), seq, fate.stored);
        fate.settled = Some(u64::MAX);
        Some((queue, seq))
    }

    fn unit(&mut self, store: &mut Store) {
        store.begin_unit();
        self.units += 1;
        let mut settled = Vec::new();
        for _ in 0..1 + self.rng.below(5) {
            match self.rng.chance(40) {
                true => settled.extend(self.settle_some(store)),
                false => self.publish(store, Some(self.units)),
            }
        }
        let end = store.end_unit();
        for key in settled {
            let fate = self.fates.get_mut(&key).unwrap();
            (fate.settled, fate.settled_in) = (Some(end), Some(self.units));
        }
        for fate in self
            .fates
            .values_mut()
            .filter(|fate| fate.unit == Some(self.units))
        {
            fate.published = end;
        }
    }

    fn flush(&mut self, store: &mut Store) {
        store.flush();
        for key in self.unflushed.drain(..) {
            self.fates.get_mut(&key).unwrap().settled = Some(store.position());
        }
    }

    /// What the engine's thread does for a lone publisher; false when the disk gave up.
    fn commit_held(&mut self, rig: &mut Rig) -> bool {
        rig.rest();
        let position = rig.store.position();
        rig.store.want(position);
        rig.store.may_hold(true);
        self.flush(&mut rig.store);
        rig.store.may_hold(false);
        let held = rig.store.holds();
        rig.store.commit_held();
        let failed = matches!(rig.store.health(), Health::Failed(_));
        assert!(!held || failed || rig.store.durable() >= position);
        !failed
    }

    /// Random steps until they are done or the disk gave up.
    fn run(&mut self, rig: &mut Rig, steps: u64) {
        for _ in 0..steps {
            match self.rng.below(100) {
                0..40 => self.publish(&mut rig.store, None),
                40..76 => self.settle(&mut rig.store),
                76..78 => self.unit(&mut rig.store),
                78..80 => {
                    let bytes = format!("command {}", self.commands.len()).into_bytes();
                    self.commands
                        .push((rig.store.command(bytes.clone()), bytes));
                }
                80..90 => self.flush(&mut rig.store),
                90..93 => {
                    if !self.commit_held(rig) {
                        return;
                    }
                }
                93..96 => {
                    if matches!(rig.committer.turn(self.rng.chance(50)), Health::Failed(_)) {
                        return;
                    }
                }
                _ => {
                    if let Ok(job) = rig.jobs.try_recv() {
                        rig.keeper.perform(job);
                    }
                }
            }
        }
    }

    /// Checks what a start found against what was durable (or, when only the process went, written).
    fn check(&mut self, rig: &mut Rig, safe: u64, context: &str) {
        let found: BTreeMap<(u64, u64), Stored> = rig
            .recovered
            .messages
            .iter()
            .flat_map(|(queue, messages)| {
                messages
                    .iter()
                    .map(|message| ((queue.0, message.seq), message.stored))
            })
            .collect();
        assert!(
            rig.recovered.damage.is_empty(),
            "{context}: {:?}",
            rig.recovered.damage
        );
        let last = found
            .keys()
            .map(|key| self.fates[key].order)
            .max()
            .unwrap_or(0);
        let mut units: BTreeMap<u64, BTreeSet<bool>> = BTreeMap::new();
        for (key, fate) in &self.fates {
            let is_found = found.contains_key(key);
            if fate.settled.is_none() {
                assert!(
                    is_found || fate.published > safe,
                    "{context}: durable message {key:?} is lost"
                );
                assert!(
                    is_found || fate.order > last,
                    "{context}: {key:?} is missing before a later message"
                );
                if let Some(unit) = fate.unit {
                    units.entry(unit).or_default().insert(is_found);
                }
            }
            // one that its own unit has published says nothing: it is away in either case
            if let Some(unit) = fate.settled_in
                && fate.published <= safe
                && fate.unit != Some(unit)
            {
                units.entry(unit).or_default().insert(!is_found);
            }
            if fate.settled.is_some_and(|at| at <= safe) {
                assert!(
                    !is_found,
                    "{context}: {key:?} was durably settled and is back"
                );
            }
        }
        assert!(
            units.values().all(|kinds| kinds.len() == 1),
            "{context}: half a unit"
        );
        for (key, stored) in &found {
            let message = rig.store.fetch(*stored, take).unwrap();
            assert_eq!(message, self.fates[key].message, "{context}: {key:?}");
        }
        let commands: Vec<&Vec<u8>> = self.commands.iter().map(|(_, bytes)| bytes).collect();
        let kept = rig.recovered.commands.iter().collect::<Vec<_>>();
        assert_eq!(kept, commands[..kept.len()], "{context}");
        assert!(
            kept.len() >= self.commands.iter().filter(|(at, _)| *at <= safe).count(),
            "{context}"
        );
        self.go_on(&found);
    }

    /// What a start found is the truth from then on.
    fn go_on(&mut self, found: &BTreeMap<(u64, u64), Stored>) {
        self.unflushed.clear();
        self.fates.retain(|key, _| found.contains_key(key));
        for (key, fate) in &mut self.fates {
            fate.stored = found[key];
            (fate.published, fate.settled) = (0, None);
            (fate.unit, fate.settled_in) = (None, None);
        }
    }
}

/// Runs, crashes, starts, checks; several lives of one disk.
fn lives(seed: u64, lives: u64, steps: u64, fuse: Option<u64>) -> u64 {
    let disk = SimDisk::new(seed);
    let mut model = Model::new(seed);
    let mut rig = Rig::open(&disk).unwrap();
    let started = disk.0.operations();
    for life in 0..lives {
        let commands = rig.recovered.commands.len();
        model.commands.truncate(commands);
        model.commands.iter_mut().for_each(|command| command.0 = 0);
        if let Some(fuse) = fuse {
            disk.0.crash_after(fuse);
        } else if model.rng.chance(50) {
            disk.0.crash_after(model.rng.below(120));
        }
        model.run(&mut rig, steps);
        let is_kill = model.rng.chance(30);
        let safe = if is_kill {
            rig.store.written()
        } else {
            rig.store.durable()
        };
        drop(rig);
        if is_kill {
            disk.0.kill()
        } else {
            disk.0.crash()
        }
        rig = Rig::open(&disk).unwrap();
        model.check(
            &mut rig,
            safe,
            &format!("seed {seed}, life {life}, fuse {fuse:?}"),
        );
    }
    disk.0.operations() - started
}

#[test]
fn many_lives_keep_everything_durable_and_nothing_settled() {
    for seed in 0..150 {
        lives(seed, 6, 400, None);
    }
}

#[test]
fn a_crash_at_any_operation_leaves_a_prefix_with_everything_durable() {
    let operations = lives(7, 1, 900, None);
    for fuse in 0..operations + 10 {
        lives(7, 1, 900, Some(fuse));
    }
}

#[test]
fn when_everything_is_settled_the_room_is_given_back() {
    for seed in 0..60 {
        let mut rig = Rig::new(seed);
        let mut model = Model::new(seed);
        model.run(&mut rig, 1500);
        for (&(queue, seq), fate) in &mut model.fates {
            if fate.settled.is_none() {
                rig.store.settle(QueueKey(queue), seq, fate.stored);
                fate.settled = Some(u64::MAX);
                rig.store.flush();
            }
        }
        // The tail is given up only when the log has grown beyond it.
        let last = rig.publish(9, 1, &vec![0; SEGMENT as usize]);
        rig.store.settle(QueueKey(9), 1, last);
        for _ in 0..20 {
            rig.work();
        }
        let usage = rig.store.usage();
        assert!(
            usage.segments <= 3 && usage.live_bytes == 0,
            "seed {seed}: {usage:?}"
        );
    }
}

#[test]
fn a_crash_while_starting_changes_nothing() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut model = Model::new(seed);
        let mut rig = Rig::open(&disk).unwrap();
        model.run(&mut rig, 600);
        let safe = rig.store.durable();
        drop(rig);
        disk.0.crash();
        for fuse in 0..6 {
            disk.0.crash_after(fuse);
            drop(Rig::open(&disk));
            disk.0.crash();
        }
        let mut rig = Rig::open(&disk).unwrap();
        model.check(&mut rig, safe, &format!("seed {seed}"));
    }
}
