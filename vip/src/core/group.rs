//! Sync groups: routers that move together. The first to move pulls the
//! others; a fault of one is a fault of all.

use super::router::{Event, Health, Phase};

/// A group by the indices of its members in the daemon's list.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its members.
    pub members: Vec<usize>,
}

impl Group {
    /// What the other members must hear when `member` (called `name`) moved from `from` to `to`.
    pub fn follow(&self, member: usize, name: &str, from: Phase, to: Phase) -> Vec<(usize, Event)> {
        let event = match (from, to) {
            (Phase::Master, Phase::Master) => return Vec::new(),
            (_, Phase::Master) => Event::GroupActive(name.to_owned()),
            (Phase::Master, Phase::Backup) => Event::GroupBackup(name.to_owned()),
            (_, Phase::Init | Phase::Backup | Phase::Fault | Phase::Stop) => return Vec::new(),
        };
        let others = self.members.iter().filter(|m| **m != member);
        others.map(|m| (*m, event.clone())).collect()
    }

    /// The health that all members share: the first fault counts for every one.
    pub fn share(own: Health, others: &[Health]) -> Health {
        match own {
            Health::Fault(_) => own,
            Health::Fit { .. } => others
                .iter()
                .find(|h| matches!(h, Health::Fault(_)))
                .cloned()
                .unwrap_or(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Group {
        Group {
            name: "G1".to_owned(),
            members: vec![0, 1],
        }
    }

    #[test]
    fn the_first_to_become_active_pulls_the_others() {
        let pulled = pair().follow(0, "V4", Phase::Backup, Phase::Master);
        assert_eq!(pulled, [(1, Event::GroupActive("V4".to_owned()))]);
    }

    #[test]
    fn the_first_to_give_up_pulls_the_others() {
        let pulled = pair().follow(1, "V6", Phase::Master, Phase::Backup);
        assert_eq!(pulled, [(0, Event::GroupBackup("V6".to_owned()))]);
        assert!(
            pair()
                .follow(0, "V4", Phase::Init, Phase::Backup)
                .is_empty()
        );
    }

    #[test]
    fn a_fault_of_one_is_a_fault_of_all() {
        let fit = Health::Fit {
            priority: 100,
            because: String::new(),
        };
        let fault = Health::Fault("eth1 is down".to_owned());
        assert_eq!(
            Group::share(fit.clone(), std::slice::from_ref(&fault)),
            fault
        );
        assert_eq!(Group::share(fit.clone(), std::slice::from_ref(&fit)), fit);
    }
}
