//! What an instance counts and remembers, and what of it goes to the log, at a
//! limited rate.

use crate::SPLIT_FOR;
use crate::core::advert::{ChecksumKind, Heard, Refusal};
use crate::core::router::Phase;
use crate::core::{Cause, Evidence, Time};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Transitions and reports that are kept.
const KEPT: usize = 64;
/// Time between two log lines of the same kind.
const QUIET: Duration = Duration::from_secs(10);

/// A change of role.
#[derive(Clone, Debug)]
pub struct Transition {
    /// Wall time.
    pub at: String,
    /// Before.
    pub from: Phase,
    /// After.
    pub to: Phase,
    /// Why.
    pub cause: String,
}

/// Something that an operator should know of.
#[derive(Clone, Debug)]
pub struct Report {
    /// Wall time of the first.
    pub at: String,
    /// What was seen.
    pub text: String,
    /// How often in a row.
    pub count: u64,
    /// Whether it says that two routers are active.
    pub of_split: bool,
}

/// A moment at which the router thread came too late for an instance.
#[derive(Clone, Debug)]
pub struct Lateness {
    /// Wall time.
    pub at: String,
    /// By how much.
    pub by: Duration,
    /// Why.
    pub because: &'static str,
}

impl Lateness {
    /// The thread waited for its time, and was not running when it came.
    pub const NOT_RUNNING: &str =
        "the process did not run (no processor was free for it, or it or the machine was stopped)";
    /// The thread was still at work.
    pub const AT_WORK: &str = "the kernel or another instance kept the process busy";
}

/// Lets one line of a kind through per [`QUIET`].
#[derive(Debug)]
struct Limiter<K> {
    last: BTreeMap<K, (Instant, u64)>,
}

impl<K> Default for Limiter<K> {
    fn default() -> Limiter<K> {
        Limiter {
            last: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Limiter<K> {
    /// Whether fewer than so many kinds had a line lately; those of before are forgotten.
    fn has_room(&mut self, most: usize) -> bool {
        if self.last.len() >= most {
            let now = Instant::now();
            self.last
                .retain(|_, (at, _)| now.duration_since(*at) < QUIET);
        }
        self.last.len() < most
    }

    /// How many lines were held back, if this one may pass.
    fn pass(&mut self, kind: K) -> Option<u64> {
        let now = Instant::now();
        match self.last.get_mut(&kind) {
            Some((at, held)) if now.duration_since(*at) < QUIET => {
                *held += 1;
                None
            }
            Some(entry) => {
                let held = entry.1;
                *entry = (now, 0);
                Some(held)
            }
            None => {
                self.last.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

/// Counters and memory of one instance.
#[derive(Debug, Default)]
pub struct Journal {
    /// Adverts sent, priority 0 included.
    pub adverts_sent: u64,
    /// Adverts with priority 0 sent.
    pub resigned: u64,
    /// Adverts that passed all checks.
    pub adverts_accepted: u64,
    /// Of these, with a pseudo-header in the checksum.
    pub pseudo_checksums: u64,
    /// Accepted ones with priority 0.
    pub resignations_heard: u64,
    /// Dropped packets by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Gratuitous ARP and unsolicited NA sent.
    pub announcements: u64,
    /// Times that the role began.
    pub became_master: u64,
    /// Evidence of a split brain seen.
    pub split_evidence: u64,
    /// Errors of system calls.
    pub troubles: u64,
    /// The last changes of role, oldest first.
    pub transitions: VecDeque<Transition>,
    /// The last reports, oldest first.
    pub reports: VecDeque<Report>,
    /// The best router heard: address and priority, and when.
    pub last_heard: Option<(Heard, Instant)>,
    /// Times that the router thread came so late that others may have noticed.
    pub late: u64,
    /// The last of these, oldest first.
    pub latenesses: VecDeque<Lateness>,
    /// When the present role began.
    pub since: Option<Instant>,
    split_at: Option<Time>,
    refusals: Limiter<Refusal>,
    evidence: Limiter<String>,
    errors: Limiter<String>,
    send_failing: bool,
}

impl Journal {
    /// Counts from zero; what was remembered stays.
    pub fn clear_counters(&mut self) {
        let old = std::mem::take(self);
        *self = Journal {
            transitions: old.transitions,
            reports: old.reports,
            latenesses: old.latenesses,
            last_heard: old.last_heard,
            since: old.since,
            split_at: old.split_at,
            refusals: old.refusals,
            evidence: old.evidence,
            errors: old.errors,
            send_failing: old.send_failing,
            ..Journal::default()
        };
    }

    /// An advert passed all checks.
    pub fn accepted(&mut self, kind: ChecksumKind, heard: &Heard) {
        self.adverts_accepted += 1;
        self.pseudo_checksums += u64::from(kind == ChecksumKind::Pseudo);
        self.resignations_heard += u64::from(heard.priority == 0);
        self.last_heard = Some((*heard, Instant::now()));
    }

    /// A packet was dropped.
    pub fn refused(&mut self, instance: &str, source: IpAddr, reason: Refusal) {
        *self.refused.entry(reason).or_default() += 1;
        if let Some(held) = self.refusals.pass(reason) {
            warn!(vrrp_instance = instance, %source, reason = reason.name(), held_back = held, "dropped a packet: {reason}");
        }
    }

    /// An advert left, or did not.
    pub fn sent(&mut self, instance: &str, priority: u8, failure: Option<&io::Error>) {
        match failure {
            None => {
                self.adverts_sent += 1;
                self.resigned += u64::from(priority == 0);
                if std::mem::take(&mut self.send_failing) {
                    info!(vrrp_instance = instance, "adverts leave again");
                }
            }
            Some(error) => {
                self.troubles += 1;
                if !std::mem::replace(&mut self.send_failing, true) {
                    warn!(vrrp_instance = instance, %error, "cannot send an advert");
                }
            }
        }
    }

    /// Announcements left.
    pub fn announced(&mut self, count: u32) {
        self.announcements += u64::from(count);
    }

    /// The role changed.
    pub fn changed(&mut self, instance: &str, from: Phase, to: Phase, cause: &Cause) {
        info!(vrrp_instance = instance, from = from.word(), to = to.word(), reason = %cause, "{instance}: {} -> {}: {cause}", from.word(), to.word());
        if from != to {
            self.since = Some(Instant::now());
            self.became_master += u64::from(to == Phase::Master);
        }
        push(
            &mut self.transitions,
            Transition {
                at: service::wall_time(),
                from,
                to,
                cause: cause.to_string(),
            },
        );
    }

    /// Evidence that something is wrong.
    pub fn report(&mut self, instance: &str, now: Time, evidence: &Evidence) {
        if evidence.is_of_split() {
            self.split_evidence += 1;
            self.split_at = Some(now);
        }
        let text = evidence.to_string();
        match self.reports.back_mut() {
            Some(last) if last.text == text => last.count += 1,
            Some(_) | None => push(
                &mut self.reports,
                Report {
                    at: service::wall_time(),
                    text: text.clone(),
                    count: 1,
                    of_split: evidence.is_of_split(),
                },
            ),
        }
        // evidence names senders, which anybody can invent
        if !self.evidence.has_room(KEPT) {
            return;
        }
        if let Some(held) = self.evidence.pass(text.clone()) {
            warn!(
                vrrp_instance = instance,
                held_back = held,
                "{instance}: {text}"
            );
        }
    }

    /// The router thread came late.
    pub fn late(&mut self, instance: &str, by: Duration, because: &'static str) {
        self.late += 1;
        let ms = by.as_millis();
        if let Some(held) = self.errors.pass(because.to_owned()) {
            warn!(
                vrrp_instance = instance,
                late_ms = u64::try_from(ms).unwrap_or(u64::MAX),
                held_back = held,
                "{instance}: late by {ms} ms: {because}"
            );
        }
        let at = service::wall_time();
        push(&mut self.latenesses, Lateness { at, by, because });
    }

    /// Whether evidence of a split brain is fresh.
    pub fn split_brain(&self, now: Time) -> bool {
        self.split_at.is_some_and(|at| now - at < SPLIT_FOR)
    }

    /// A system call failed.
    pub fn trouble(&mut self, what: &str, error: &io::Error) {
        self.troubles += 1;
        if let Some(held) = self.errors.pass(what.to_owned()) {
            warn!(held_back = held, "{what}: {error}");
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_kind_passes_and_the_rest_is_counted() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.pass(Refusal::Checksum), Some(0));
        assert_eq!(limiter.pass(Refusal::Checksum), None);
        assert_eq!(limiter.pass(Refusal::HopLimit), Some(0));
    }

    #[test]
    fn a_flood_of_reports_stays_bounded() {
        let mut journal = Journal::default();
        for i in 0..1000u32 {
            let by = IpAddr::from(i.to_be_bytes());
            let evidence = Evidence::Rival { by, priority: 1 };
            journal.report("VI_1", Time::default(), &evidence);
        }
        assert_eq!(journal.reports.len(), KEPT);
        assert!(journal.evidence.last.len() <= KEPT + 1);
    }
}
