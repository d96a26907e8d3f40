//! A rolling restart of the brokers: each is stopped and started, and the next one's turn comes
//! only when it is back, however long that takes.

use super::action::Action;
use super::run::Up;
use super::watch::Status;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the mirrors of a broker that is back may catch up before the next one stops.
const CATCH_UP: Duration = Duration::from_secs(3);

/// What is under way with the first of the brokers that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Stop,
    Ending,
    Starting,
    Back { since: Instant },
}

/// A restart that goes from broker to broker.
#[derive(Debug)]
pub struct Rolling {
    left: VecDeque<String>,
    step: Step,
}

impl Rolling {
    /// One broker after the other.
    pub fn new(brokers: impl Iterator<Item = String>) -> Rolling {
        Rolling {
            left: brokers.collect(),
            step: Step::Stop,
        }
    }

    /// What is to be done now; `runs`: the first broker left has its process.
    fn next(&mut self, now: Instant, runs: bool, status: &Status) -> Option<Action> {
        let host = self.left.front()?.clone();
        match self.step {
            Step::Stop => {
                self.step = Step::Ending;
                return Some(Action::StopNode(host));
            }
            Step::Ending if !runs => {
                self.step = Step::Starting;
                return Some(Action::Heal(Some(host)));
            }
            Step::Starting if status.is_seen(&host) => self.step = Step::Back { since: now },
            Step::Back { since } if now - since >= CATCH_UP => {
                self.left.pop_front();
                self.step = Step::Stop;
            }
            Step::Ending | Step::Starting | Step::Back { .. } => {}
        }
        None
    }
}

impl Up {
    /// Goes on with a rolling restart, if there is one; gives what was done.
    pub(super) async fn roll(&mut self, status: &Status) -> Option<String> {
        let rolling = self.rolling.as_mut()?;
        let Some(host) = rolling.left.front() else {
            self.rolling = None;
            return Some("every broker was restarted".to_owned());
        };
        let key = (host.clone(), "broker".to_owned());
        let runs = self.running.get(&key) == Some(&true);
        let action = rolling.next(Instant::now(), runs, status)?;
        let what = match &action {
            Action::StopNode(host) => format!("rolling restart: {} stops", host.to_uppercase()),
            _ => format!("rolling restart: {} starts", key.0.to_uppercase()),
        };
        match self.perform(&action, status).await {
            Ok(()) => Some(what),
            Err(reason) => {
                self.rolling = None;
                Some(format!("{what}: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::{Proxy, Server};
    use super::*;

    fn seen(state: &str) -> Status {
        let servers = ["n1", "n2"].map(|name| Server {
            name: name.to_owned(),
            status: state.to_owned(),
            ..Server::default()
        });
        let proxy = Proxy {
            balancer: true,
            servers: servers.to_vec(),
            ..Proxy::default()
        };
        Status {
            proxies: vec![proxy],
            brokers: Vec::new(),
        }
    }

    #[test]
    fn the_next_broker_stops_only_when_the_one_before_is_back() {
        let mut rolling = Rolling::new(["n1", "n2"].map(str::to_owned).into_iter());
        let start = Instant::now();
        let (up, down) = (seen("UP"), seen("DOWN"));
        let stop = |host: &str| Some(Action::StopNode(host.to_owned()));
        assert_eq!(rolling.next(start, true, &up), stop("n1"));
        assert_eq!(rolling.next(start, true, &up), None, "it still ends");
        let begin = Some(Action::Heal(Some("n1".to_owned())));
        assert_eq!(rolling.next(start, false, &down), begin);
        assert_eq!(rolling.next(start, true, &down), None, "nobody sees it");
        assert_eq!(rolling.next(start, true, &up), None, "its mirrors catch up");
        assert_eq!(rolling.next(start, true, &up), None);
        let later = start + CATCH_UP;
        assert_eq!(rolling.next(later, true, &up), None);
        assert_eq!(rolling.next(later, true, &up), stop("n2"));
    }
}
