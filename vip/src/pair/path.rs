//! One way to a peer: what was last heard there, how often to speak, and how
//! long a silence is ordinary.

use crate::core::Time;
use crate::core::heartbeat::{BootId, Role, RouterView};
use std::net::SocketAddr;
use std::time::Duration;

/// Signs of life missed on every path before a peer is suspected. With the probe that is less than
/// the 0.2 s after which a client's TCP sends again: its connections are told at the first try.
const MISSES: u32 = 3;
/// A host without an active router speaks so many times less often, and so does one whose
/// adverts are heard: nobody waits for what these heartbeats say.
const CALM: u32 = 10;
/// The same towards a build that does not know [`CALM`].
const QUIET: u32 = 4;
/// Adverts that come at least every so many heartbeats' time are signs of life themselves.
const CARRIED: u32 = 2;
/// How long probes of the address may stay unanswered, and the pause between them.
pub const PROBE: Duration = Duration::from_millis(30);
pub const PROBES: u32 = 3;
/// Greetings to somebody who does not answer, before they get rare.
const EAGER: u32 = 40;
const RARE: Duration = Duration::from_secs(2);

/// One way to a peer.
#[derive(Debug)]
pub struct Path {
    pub address: SocketAddr,
    /// From the configuration: greeted for ever.
    pub configured: bool,
    pub unanswered: u32,
    pub next_at: Time,
    /// From then on the next heartbeat goes along with whatever wakes the process: beside an
    /// advert it costs no wake-up of its own.
    early_at: Time,
    /// Boot id last heard here, and when.
    pub boot: BootId,
    /// The last sign of life: a heartbeat, or an advert of short interval.
    pub heard_at: Option<Time>,
    /// It echoed our boot id.
    pub verified: bool,
    pub sequence: u64,
    pub leaving: bool,
    /// It hears our adverts here.
    pub hears: bool,
    /// It knows [`CALM`].
    pub calm: bool,
    /// It takes lists of connections.
    pub lists: bool,
    /// It said that it does not hear this host: its heartbeats get rare, as those to a dead one.
    pub deaf: bool,
    /// It spoke here with a key that is not ours, since it was last understood.
    pub foreign: bool,
    /// What it was last told of hearing its adverts.
    pub told: bool,
    /// When an advert of short interval last came from this address.
    pub advert_at: Option<Time>,
    pub routers: Vec<RouterView>,
    pub digest: [u8; 8],
    pub streak: u32,
    pub verdict: Verdict,
    /// An `Alive` that is silent here is not judged again before.
    spared_until: Time,
    /// What goes by the witnesses.
    pub witness: Witness,
}

/// Heartbeats by way of third hosts, which bring them to who does not hear the other directly.
#[derive(Debug, Default)]
pub struct Witness {
    /// When one last brought a heartbeat that says that the peer goes on.
    pub heard_at: Option<Time>,
    /// The number of the last that one brought.
    pub sequence: u64,
    /// When the peer last said that it does not hear this host.
    pub asked_at: Option<Time>,
    /// When a heartbeat last went by the witnesses.
    pub shown_at: Option<Time>,
    /// Only witnesses bring its heartbeats, and the log says so.
    pub parted: bool,
}

/// What is thought of a silent peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Alive,
    /// So many probes are out since then.
    Probing(Time, u32),
    /// It did not answer the probe either, or left.
    Dead,
    /// Its kernel answered: plain VRRP decides.
    Uncertain,
}

/// Whether adverts of this interval stand for heartbeats.
pub fn carries(advert: Duration, interval: Duration) -> bool {
    advert <= interval * CARRIED
}

impl Path {
    /// A path on which nothing was heard yet.
    pub fn new(address: SocketAddr, configured: bool) -> Path {
        Path {
            address,
            configured,
            unanswered: 0,
            next_at: Time::default(),
            early_at: Time::default(),
            boot: [0; 16],
            heard_at: None,
            verified: false,
            sequence: 0,
            leaving: false,
            hears: false,
            calm: false,
            lists: false,
            deaf: false,
            foreign: false,
            told: false,
            advert_at: None,
            routers: Vec::new(),
            digest: [0; 8],
            streak: 0,
            verdict: Verdict::Alive,
            spared_until: Time::default(),
            witness: Witness::default(),
        }
    }

    /// Neither named by the configuration nor ever heard.
    pub fn is_stranger(&self) -> bool {
        !self.configured && self.heard_at.is_none()
    }

    /// Greetings are rare until something is heard.
    pub fn greet_seldom(&mut self) {
        self.unanswered = EAGER;
    }

    /// Silence after which this path is suspected: the sender's pace follows from its roles, and from
    /// whether it hears this host. One that does not would not hear a probe either.
    pub fn limit(&self, interval: Duration) -> Duration {
        if self.deaf {
            return RARE * MISSES;
        }
        let active = self.routers.iter().any(|r| r.role == Role::Active);
        interval * MISSES * if active { 1 } else { self.seldom() }
    }

    fn seldom(&self) -> u32 {
        if self.calm { CALM } else { QUIET }
    }

    /// Until the next heartbeat to this peer. `carried`: an active router of ours advertises
    /// so often that its adverts are heartbeats where they are heard.
    pub fn pause(&self, interval: Duration, own: &[RouterView], carried: bool) -> Duration {
        let active = own.iter().any(|r| r.role == Role::Active);
        match self.unanswered {
            EAGER.. => RARE,
            _ if !self.verified => interval,
            _ if active && !(carried && self.hears) => interval,
            _ => interval * self.seldom(),
        }
    }

    /// Until the next heartbeat to a peer that one of us does not hear: witnesses carry them.
    pub fn pause_in_doubt(&self, interval: Duration) -> Duration {
        match self.unanswered {
            EAGER.. => RARE,
            _ => interval,
        }
    }

    /// Whether a witness brought its heartbeats lately.
    pub fn is_witnessed(&self, now: Time, interval: Duration) -> bool {
        self.witness
            .heard_at
            .is_some_and(|at| now - at < interval * MISSES)
    }

    /// Whether this host does not hear a peer that it knows, or is not heard by it.
    pub fn is_in_doubt(&self, now: Time, interval: Duration) -> bool {
        self.verified && (self.is_asked(now, interval) || self.is_silent(now, interval))
    }

    /// Whether the peer lately said that it does not hear this host.
    pub fn is_asked(&self, now: Time, interval: Duration) -> bool {
        self.witness
            .asked_at
            .is_some_and(|at| now - at < interval * CALM)
    }

    /// Whether the next heartbeat goes by the witnesses, too: in doubt, and now and then to
    /// show that this way is open.
    pub fn needs_witness(&self, now: Time, doubt: bool) -> bool {
        doubt || self.witness.shown_at.is_none_or(|at| now - at >= RARE)
    }

    /// It lives, though it is silent here: no judgement for a while.
    pub fn spare(&mut self, now: Time, interval: Duration) {
        self.verdict = Verdict::Alive;
        let witnessed = self
            .witness
            .heard_at
            .map_or(now, |at| at + interval * MISSES);
        self.spared_until = witnessed.max(now + interval);
    }

    /// A heartbeat went out: when the next one is due.
    pub fn greeted(&mut self, now: Time, pause: Duration) {
        self.unanswered = self.unanswered.saturating_add(1);
        self.next_at = now + pause;
        self.early_at = now + pause * 4 / 5;
        if self.is_stranger() && self.unanswered > EAGER * 4 {
            self.unanswered = EAGER * 2;
            self.next_at = now + RARE * 10;
            self.early_at = self.next_at;
        }
    }

    /// It answers: who was given up hears of this host at once, not when a rare greeting is due.
    pub fn answered(&mut self, now: Time) {
        if std::mem::take(&mut self.unanswered) >= EAGER {
            self.hurry(now);
        }
    }

    /// The next heartbeat goes at once.
    pub fn hurry(&mut self, now: Time) {
        self.next_at = now;
        self.early_at = now;
    }

    /// Whether a heartbeat goes now if the process is awake.
    pub fn is_ripe(&self, now: Time) -> bool {
        now >= self.early_at
    }

    /// From when on it is ripe.
    pub fn ripe_at(&self) -> Time {
        self.early_at
    }

    /// An advert came from here that [`carries`]: as good as a heartbeat of a peer that is known.
    pub fn advert(&mut self, now: Time) {
        self.advert_at = Some(now);
        if self.verified && self.verdict != Verdict::Dead {
            self.heard_at = Some(now);
            self.verdict = Verdict::Alive;
        }
    }

    /// Whether the peer may leave heartbeats out because its adverts come.
    pub fn is_carried(&self, now: Time, interval: Duration) -> bool {
        self.advert_at
            .is_some_and(|at| now - at < interval * MISSES)
    }

    /// It said what has another key than ours; whether that is news. Of a peer that is understood
    /// somebody else says it.
    pub fn is_newly_foreign(&mut self, now: Time, interval: Duration) -> bool {
        let understood = self.verified && !self.is_silent(now, interval);
        !understood && !std::mem::replace(&mut self.foreign, true)
    }

    /// Whether nothing came for longer than is ordinary.
    pub fn is_silent(&self, now: Time, interval: Duration) -> bool {
        self.heard_at
            .is_none_or(|at| now - at >= self.limit(interval))
    }

    /// Whether the peer is there and stays.
    pub fn is_alive(&self, now: Time, interval: Duration) -> bool {
        self.verified && !self.leaving && !self.is_silent(now, interval)
    }

    /// When there is something to send or to judge.
    pub fn due(&self, interval: Duration) -> Time {
        match self.verdict {
            Verdict::Probing(since, sent) => self.next_at.min(since + PROBE / PROBES * sent),
            Verdict::Alive => match self.heard_at.filter(|_| self.verified) {
                Some(at) => {
                    let silent_at = at + self.limit(interval);
                    self.next_at.min(silent_at.max(self.spared_until))
                }
                None => self.next_at,
            },
            Verdict::Dead | Verdict::Uncertain => self.next_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(50);

    fn router(role: Role) -> RouterView {
        RouterView {
            vrid: 51,
            v6: false,
            role,
            priority: 100,
        }
    }

    fn path() -> Path {
        let mut path = Path::new(([192, 0, 2, 1], 8112).into(), false);
        path.verified = true;
        path.calm = true;
        path.heard_at = Some(Time::default());
        path.routers = vec![router(Role::Active)];
        path
    }

    fn ms(ms: u64) -> Time {
        Time::new(Duration::from_millis(ms))
    }

    #[test]
    fn adverts_that_are_heard_stand_for_heartbeats() {
        let own = [router(Role::Active)];
        let mut path = path();
        assert_eq!(path.pause(BEAT, &own, true), BEAT, "nobody said so");
        path.hears = true;
        assert_eq!(path.pause(BEAT, &own, true), BEAT * CALM);
        assert_eq!(path.pause(BEAT, &own, false), BEAT, "adverts are rare");
        assert!(carries(Duration::from_millis(100), BEAT));
        assert!(!carries(Duration::from_millis(110), BEAT));
    }

    #[test]
    fn a_host_without_an_active_router_is_calm_as_far_as_the_peer_knows_calm() {
        let own = [router(Role::Backup)];
        let mut path = path();
        assert_eq!(path.pause(BEAT, &own, false), BEAT * CALM);
        path.calm = false;
        assert_eq!(path.pause(BEAT, &own, false), BEAT * QUIET);
        path.verified = false;
        assert_eq!(path.pause(BEAT, &own, false), BEAT);
    }

    #[test]
    fn an_advert_is_a_sign_of_life_of_a_known_peer_that_is_not_dead() {
        let mut path = path();
        path.verdict = Verdict::Uncertain;
        path.advert(ms(140));
        assert_eq!(path.verdict, Verdict::Alive);
        assert!(path.is_alive(ms(289), BEAT) && !path.is_alive(ms(290), BEAT));
        assert_eq!(path.due(BEAT), Time::default(), "a heartbeat is due");
        path.greeted(ms(140), BEAT * CALM);
        assert!(
            !path.is_ripe(ms(539)) && path.is_ripe(ms(540)),
            "a fifth early"
        );
        assert_eq!(path.due(BEAT), ms(290), "the silence is judged first");
        path.verdict = Verdict::Dead;
        path.advert(ms(300));
        assert_eq!(path.verdict, Verdict::Dead, "a heartbeat proves that");
        let mut stranger = Path::new(path.address, false);
        stranger.advert(ms(1));
        assert_eq!(stranger.heard_at, None);
        assert!(stranger.is_carried(ms(100), BEAT) && !stranger.is_carried(ms(151), BEAT));
    }

    #[test]
    fn a_peer_that_a_witness_hears_is_asked_on_but_not_judged() {
        let mut path = path();
        path.greeted(ms(100), BEAT * CALM);
        assert!(!path.is_in_doubt(ms(149), BEAT) && path.is_in_doubt(ms(150), BEAT));
        assert_eq!(path.due(BEAT), ms(150));
        path.witness.heard_at = Some(ms(151));
        path.spare(ms(151), BEAT);
        assert!(path.is_witnessed(ms(300), BEAT) && !path.is_witnessed(ms(301), BEAT));
        assert_eq!(path.due(BEAT), ms(301), "no turn of the loop before");
        assert_eq!(path.pause_in_doubt(BEAT), BEAT);
        path.witness.heard_at = None;
        path.spare(ms(301), BEAT);
        assert_eq!(path.due(BEAT), ms(351), "another path is as good");
    }

    #[test]
    fn the_witnesses_are_shown_a_heartbeat_now_and_then_and_all_in_doubt() {
        let mut path = path();
        assert!(path.needs_witness(ms(0), false));
        path.witness.shown_at = Some(ms(0));
        assert!(!path.needs_witness(ms(1999), false) && path.needs_witness(ms(2000), false));
        assert!(path.needs_witness(ms(1), true));
        path.heard_at = Some(ms(10));
        assert!(!path.is_in_doubt(ms(20), BEAT));
        path.witness.asked_at = Some(ms(15));
        assert!(path.is_in_doubt(ms(20), BEAT), "the peer does not hear us");
    }

    #[test]
    fn a_backups_silence_is_ordinary_for_longer() {
        let mut path = path();
        assert_eq!(path.limit(BEAT), BEAT * MISSES);
        path.routers = vec![router(Role::Backup)];
        assert_eq!(path.limit(BEAT), BEAT * MISSES * CALM);
        path.calm = false;
        assert_eq!(path.limit(BEAT), BEAT * MISSES * QUIET);
    }

    #[test]
    fn who_does_not_hear_this_host_is_not_suspected_when_its_heartbeats_get_rare() {
        let mut path = path();
        path.deaf = true;
        assert!(path.is_alive(ms(2500), BEAT), "it speaks every two seconds");
        assert_eq!(path.limit(BEAT), RARE * MISSES);
        path.deaf = false;
        assert!(path.is_silent(ms(150), BEAT));
    }

    #[test]
    fn another_key_is_news_once_and_of_a_peer_that_is_understood_none() {
        let mut path = path();
        assert!(!path.is_newly_foreign(ms(100), BEAT), "somebody pretends");
        assert!(path.is_newly_foreign(ms(200), BEAT));
        assert!(!path.is_newly_foreign(ms(300), BEAT));
    }

    #[test]
    fn who_was_given_up_and_answers_hears_of_this_host_at_once() {
        let mut path = path();
        for _ in 0..EAGER {
            path.greeted(ms(0), RARE);
        }
        path.answered(ms(100));
        assert!(path.is_ripe(ms(100)));
        path.greeted(ms(100), BEAT * CALM);
        path.answered(ms(200));
        assert!(!path.is_ripe(ms(200)), "an ordinary answer changes no pace");
    }

    #[test]
    fn who_never_answers_is_greeted_seldom() {
        let mut path = Path::new(([192, 0, 2, 1], 8112).into(), false);
        for _ in 0..EAGER {
            assert_eq!(path.pause(BEAT, &[], false), BEAT);
            path.greeted(ms(0), BEAT);
        }
        assert_eq!(path.pause(BEAT, &[], false), RARE);
        for _ in 0..=EAGER * 3 {
            path.greeted(ms(0), RARE);
        }
        assert_eq!(path.next_at, Time::default() + RARE * 10);
    }
}
