//! What the engine's thread and the committer share: operations handed over, and how far they got.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Operations that nobody waits for are written after this at the latest, and synced.
const LAZY: Duration = Duration::from_millis(50);
/// Unless there is that much.
const EAGER_BYTES: usize = 256 << 10;
/// No more than this is left to a caller that may commit by itself.
const HELD_BYTES: usize = 64 << 10;
/// Emptied buffers kept for the next turn.
const BUFFERS: usize = 4;
/// Larger ones are not kept: they were for one large message.
const BUFFER_BYTES: usize = 4 << 20;

/// What the committer does, in order.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// A new hot segment begins; the one before is complete.
    Open { segment: u32, length: u64 },
    Write {
        segment: u32,
        offset: u32,
        bytes: Arc<Vec<u8>>,
    },
    Seal {
        segment: u32,
        offset: u32,
        summary: Arc<Vec<u8>>,
        messages: u32,
    },
    /// A change of the metadata.
    Command { bytes: Arc<Vec<u8>> },
}

impl Operation {
    pub fn bytes(&self) -> usize {
        match self {
            Operation::Write { bytes, .. } | Operation::Command { bytes } => bytes.len(),
            Operation::Seal { summary, .. } => summary.len(),
            Operation::Open { .. } => 0,
        }
    }
}

/// How the disk does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Good,
    /// No space left, or no file can be opened: what is appended waits in memory. The text names the operation.
    Full(String),
    /// Writing or syncing failed: nothing may be confirmed any more, the node must stop.
    Failed(String),
}

/// Calls back when something changed that the engine should look at: durable position, health, housekeeping.
pub type Wake = Box<dyn Fn() + Send + Sync>;

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    durable: AtomicU64,
    written: AtomicU64,
    /// Somebody waits for this position to be written.
    awaited: AtomicU64,
    /// Segment and offset up to which the hot log is durable.
    durable_place: AtomicU64,
    /// The hot segment that the committer writes.
    hot: AtomicU32,
    /// A copy of the state's, to be looked at without the lock.
    pending_bytes: AtomicUsize,
    wake: Wake,
}

struct State {
    /// Not yet written, with the position after each. Kept until written, so that they can be read meanwhile.
    operations: VecDeque<(u64, Operation)>,
    bytes: usize,
    /// Somebody waits for this position to be durable.
    wanted: u64,
    waiting: Waiting,
    /// What is wanted was left to the engine's thread: it commits or hands over.
    held: bool,
    stopping: bool,
    health: Health,
    buffers: Vec<Vec<u8>>,
}

/// What the committer's thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Working,
    /// Until something urgent comes or a moment has passed.
    Briefly,
    /// Until anything comes.
    Asleep,
}

/// Why the committer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// There are operations.
    Work,
    /// A moment has passed: write and sync what nobody waits for.
    Lazy,
    Stop,
}

impl Shared {
    pub fn new(wake: Wake) -> Shared {
        Shared {
            state: Mutex::new(State {
                operations: VecDeque::new(),
                bytes: 0,
                wanted: 0,
                waiting: Waiting::Working,
                held: false,
                stopping: false,
                health: Health::Good,
                buffers: Vec::new(),
            }),
            changed: Condvar::new(),
            durable: AtomicU64::new(0),
            written: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            durable_place: AtomicU64::new(0),
            hot: AtomicU32::new(0),
            pending_bytes: AtomicUsize::new(0),
            wake,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub fn hot(&self) -> u32 {
        self.hot.load(Ordering::Acquire)
    }

    pub fn set_hot(&self, segment: u32) {
        self.hot.store(segment, Ordering::Release);
    }

    pub fn durable_place(&self) -> (u32, u32) {
        let place = self.durable_place.load(Ordering::Acquire);
        ((place >> 32) as u32, place as u32)
    }

    /// Wakes the engine if somebody waits for what is new.
    pub fn set_written(&self, position: u64) {
        let before = self.written.swap(position, Ordering::AcqRel);
        if position > before && self.awaited.load(Ordering::Acquire) > before {
            self.wake();
        }
    }

    /// Somebody waits for everything up to here to be written.
    pub fn await_written(&self, position: u64) {
        self.awaited.fetch_max(position, Ordering::AcqRel);
    }

    /// Whoever syncs on another thread than the engine's wakes the engine afterwards.
    pub fn set_durable(&self, position: u64, (segment, offset): (u32, u32)) {
        self.durable_place.store(
            u64::from(segment) << 32 | u64::from(offset),
            Ordering::Release,
        );
        self.durable.store(position, Ordering::Release);
    }

    pub fn wake(&self) {
        (self.wake)();
    }

    pub fn health(&self) -> Health {
        self.lock().health.clone()
    }

    /// Sets the health and wakes the engine when it changed. A failure is for good.
    pub fn set_health(&self, health: Health) {
        let mut state = self.lock();
        if state.health != health && !matches!(state.health, Health::Failed(_)) {
            state.health = health;
            drop(state);
            self.wake();
        }
    }

    /// Hands operations over. `wanted` is the position that somebody waits for, or 0.
    ///
    /// With `may_hold` a small batch that somebody waits for wakes nobody while the committer rests: the answer is true
    /// then, and the caller commits it by itself or calls [`Shared::nudge`].
    pub fn push(
        &self,
        operations: &mut Vec<(u64, Operation)>,
        wanted: u64,
        may_hold: bool,
    ) -> bool {
        let mut state = self.lock();
        state.bytes += operations
            .iter()
            .map(|(_, operation)| operation.bytes())
            .sum::<usize>();
        state.operations.extend(operations.drain(..));
        self.pending_bytes.store(state.bytes, Ordering::Relaxed);
        state.wanted = state.wanted.max(wanted);
        let rests = state.waiting != Waiting::Working && state.health == Health::Good;
        if may_hold && wanted != 0 && state.bytes <= HELD_BYTES && rests {
            state.held = true;
            return true;
        }
        let urgent = wanted != 0 || state.bytes >= EAGER_BYTES;
        match state.waiting {
            Waiting::Working => state.held = false,
            Waiting::Briefly if !urgent => return state.held,
            Waiting::Briefly | Waiting::Asleep => self.rouse(state),
        }
        false
    }

    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        state.waiting = Waiting::Working;
        state.held = false;
        drop(state);
        self.changed.notify_one();
    }

    /// Leaves to the committer what was held.
    pub fn nudge(&self) {
        let mut state = self.lock();
        state.held = false;
        if state.waiting != Waiting::Working {
            self.rouse(state);
        }
    }

    /// The committer's thread, if there were one, would rest.
    #[cfg(test)]
    pub fn rest(&self) {
        self.lock().waiting = Waiting::Asleep;
    }

    /// What was held is committed.
    pub fn let_go(&self) {
        self.lock().held = false;
    }

    /// Asks the committer to write and sync everything, then to end.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }

    /// Bytes handed over and not yet written.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// What is to be done and the position that somebody waits for.
    pub fn pending(&self) -> (Vec<(u64, Operation)>, u64) {
        let state = self.lock();
        (state.operations.iter().cloned().collect(), state.wanted)
    }

    /// The first operations are done, up to this position.
    pub fn written_through(&self, done: usize) {
        let mut state = self.lock();
        for _ in 0..done {
            let Some((_, operation)) = state.operations.pop_front() else {
                break;
            };
            state.bytes -= operation.bytes();
            self.pending_bytes.store(state.bytes, Ordering::Relaxed);
            if let Operation::Write { bytes, .. } = operation
                && state.buffers.len() < BUFFERS
                && let Ok(mut buffer) = Arc::try_unwrap(bytes)
                && buffer.capacity() <= BUFFER_BYTES
            {
                buffer.clear();
                state.buffers.push(buffer);
            }
        }
    }

    /// A buffer for the next turn.
    pub fn buffer(&self) -> Vec<u8> {
        self.lock().buffers.pop().unwrap_or_default()
    }

    /// Bytes of a segment that are not written yet.
    pub fn read_pending(&self, segment: u32, offset: u32, length: u32) -> Option<Vec<u8>> {
        self.pending_at(segment, offset, length, <[u8]>::to_vec)
    }

    pub fn is_pending(&self, segment: u32, offset: u32, length: u32) -> bool {
        self.pending_at(segment, offset, length, |_| ()).is_some()
    }

    fn pending_at<T>(
        &self,
        segment: u32,
        offset: u32,
        length: u32,
        make: impl Fn(&[u8]) -> T,
    ) -> Option<T> {
        if self.pending_bytes() == 0 {
            return None;
        }
        let state = self.lock();
        state
            .operations
            .iter()
            .find_map(|(_, operation)| match operation {
                Operation::Write {
                    segment: s,
                    offset: at,
                    bytes,
                } if *s == segment && *at <= offset => {
                    let from = (offset - at) as usize;
                    bytes.get(from..from + length as usize).map(&make)
                }
                _ => None,
            })
    }

    /// Waits for work.
    pub fn wait(&self) -> Turn {
        let mut state = self.lock();
        loop {
            // written and not synced
            let dirty = self.durable() < self.written();
            if state.stopping {
                return Turn::Stop;
            }
            let waited_for = state.wanted > self.durable() && !state.held;
            if waited_for && (dirty || !state.operations.is_empty()) || state.bytes >= EAGER_BYTES {
                return Turn::Work;
            }
            if state.operations.is_empty() && !dirty {
                state.waiting = Waiting::Asleep;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                state.waiting = Waiting::Briefly;
                let (guard, timeout) = self
                    .changed
                    .wait_timeout(state, LAZY)
                    .unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if timeout.timed_out() {
                    state.waiting = Waiting::Working;
                    return Turn::Lazy;
                }
            }
            state.waiting = Waiting::Working;
        }
    }

    /// Waits a moment before trying again to write to a full disk; true when the store is to stop.
    pub fn wait_for_space(&self, moment: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, moment, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        state.stopping
    }
}
