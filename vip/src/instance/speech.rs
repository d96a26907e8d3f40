//! What an instance says to other routers: adverts, and the last words that
//! its guardian keeps.

use super::Instance;
use crate::core::Time;
use crate::core::advert::{self, Auth, Outgoing};
use crate::core::ah::{Key, Seal};
use crate::core::router::SHORTEST;
use crate::guardian::Goodbye;
use crate::options::Held;
use crate::packet::Sender;
use crate::raw;
use crate::speaker::Speaker;
use std::net::IpAddr;
use std::time::Duration;

impl Instance {
    pub(super) fn open_speaker(&self, index: u32, out: u32) -> std::io::Result<Speaker> {
        let frames =
            self.conf.peers.is_empty() && self.conf.vmac.as_ref().is_some_and(|v| !v.xmit_base);
        if frames {
            let sender = Sender::new(out)?;
            let mac = advert::virtual_mac(self.conf.family, self.conf.vrid.0);
            return Ok(Speaker::Frames { sender, mac });
        }
        raw::Speaker::new(self.conf.family, &self.conf.interface, index).map(Speaker::Ip)
    }

    /// Builds and sends one advert to the group or to every peer.
    pub(super) fn advertise(&mut self, priority: u8, interval: Duration) {
        let (Some(source), Some(mut speaker)) = (self.source, self.speaker.take()) else {
            return;
        };
        let mut packet = std::mem::take(&mut self.packet);
        // one number for all peers
        let seal = self.key().map(|key| Seal {
            key,
            sequence: self.sequence.advance(),
        });
        let outgoing = self.outgoing(priority, interval);
        let ttl = match self.conf.peers.is_empty() {
            true => 255,
            false => self.conf.unicast_ttl.unwrap_or(255),
        };
        let mut failure = None;
        for target in self.targets() {
            outgoing.build(source, target, &mut packet);
            let result = speaker.send(source, target, ttl, &packet, seal);
            failure = result.err().or(failure);
        }
        self.packet = packet;
        self.speaker = Some(speaker);
        self.journal
            .sent(&self.conf.name, priority, failure.as_ref());
    }

    /// Sends the advert that is due and nothing else. False, and nothing happened, where the router
    /// must be asked what is due. In the calm of this number nothing else happens: the second advert
    /// in it is the first one again.
    pub fn beat(&mut self, now: Time, calm: u64) -> bool {
        if self.router.next_beat().is_none_or(|at| now < at) {
            return true;
        }
        if self.seals() {
            return false;
        }
        let Some(priority) = self.router.beat(now) else {
            return false;
        };
        let speaker = self.speaker.as_mut();
        let again = std::mem::replace(&mut self.spoke_in, calm) == calm;
        let same = again && self.source.is_some() && self.conf.peers.len() <= 1;
        match speaker.filter(|_| same).and_then(Speaker::again) {
            Some(result) => {
                let failure = result.err();
                self.journal
                    .sent(&self.conf.name, priority, failure.as_ref());
            }
            None => self.advertise(priority, self.conf.advert_int),
        }
        true
    }

    fn outgoing(&self, priority: u8, interval: Duration) -> Outgoing<'_> {
        Outgoing {
            version: self.conf.version,
            vrid: self.conf.vrid.0,
            priority,
            interval,
            auth: self.admission.auth,
            addresses: &self.advertised,
            plain_checksum: self.conf.v3_checksum_as_v2,
        }
    }

    /// Of the authentication header, if it has one.
    fn key(&self) -> Option<Key> {
        match self.admission.auth {
            Auth::Header(key) => Some(key),
            Auth::None | Auth::Password(_) => None,
        }
    }

    fn targets(&self) -> impl Iterator<Item = IpAddr> {
        let peers = self.conf.peers.iter().map(|p| p.address);
        let group = peers.len() == 0;
        group.then_some(self.conf.group).into_iter().chain(peers)
    }

    /// What an operator asked of this router, for the guardian.
    pub fn held(&self) -> Option<Held> {
        let maintenance = self.router.in_maintenance();
        (maintenance || self.router.is_demoted()).then(|| Held {
            instance: self.conf.name.clone(),
            maintenance,
        })
    }

    /// The last words of this router, for the guardian.
    pub fn goodbye(&self) -> Vec<Goodbye> {
        let Some(source) = self.source else {
            return Vec::new();
        };
        let mut said = vec![self.outgoing(0, self.conf.advert_int)];
        if self.router.hastens() {
            said.insert(0, self.outgoing(self.router.priority(), SHORTEST));
        }
        let mut words = Vec::new();
        for (outgoing, sequence) in said.iter().zip(self.sequence.later()..) {
            let seal = self.key().map(|key| Seal { key, sequence });
            for target in self.targets() {
                let mut message = Vec::new();
                outgoing.build(source, target, &mut message);
                words.push(Goodbye {
                    interface: self.conf.interface.clone(),
                    from: source,
                    to: target,
                    message,
                    seal,
                });
            }
        }
        words
    }
}
