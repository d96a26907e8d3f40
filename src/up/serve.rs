//! A picture that stands: what is looked at, said and asked until its end.

use super::action::{self, Action};
use super::ending::Ending;
use super::gate::Door;
use super::lab::{End, Lab};
use super::order::HOST_ITSELF;
use super::plan::{Plan, VIP};
use super::requests::Request;
use super::run::Up;
use super::traffic::{self, Traffic};
use super::view::{Event, View, status_text};
use super::watch::{self, Status};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

impl Up {
    fn say(&mut self, view: &mut View, text: impl Into<String>) {
        view.event(Event {
            at: self.started.elapsed(),
            text: text.into(),
        });
    }

    /// The picture until its end; the exit status.
    pub(super) async fn serve(
        &mut self,
        doors: Vec<Door>,
        ending: &mut Ending,
    ) -> Result<ExitCode, String> {
        let ports: Vec<u16> = doors.iter().map(|d| d.port).collect();
        for door in doors {
            door.serve(self.plan.gate.clone());
        }
        let (requests, mut asked) = mpsc::channel(16);
        let mut view = View::open(self.options.plain, &self.plan, &requests)?;
        let ready = self.started.elapsed();
        view.ready(&ports, ready, &self.plan);
        self.say(
            &mut view,
            format!("ready after {:.1} s", ready.as_secs_f64()),
        );
        self.listen(requests.clone())?;
        self.timetable(&requests)?;
        let traffic = self.options.traffic.then(|| {
            Traffic::start(traffic::Target {
                gate: self.plan.gate.clone(),
                address: self.plan.at_vip(5672),
                rate: self.options.rate,
                // RabbitMQ's nodes are one cluster
                brokers: match self.options.with_rabbitmq {
                    true => 1,
                    false => self.plan.brokers.len(),
                },
            })
        });
        for command in self.options.clients.clone() {
            self.clients.start(&self.lab, &self.plan, &command).await?;
        }
        let deadline = self.options.run_for.map(|time| Instant::now() + time);
        let watched = self
            .watch(&mut view, &mut asked, deadline, traffic.as_ref(), ending)
            .await;
        if let Some(traffic) = &traffic {
            traffic.stop();
        }
        view.close();
        watched?;
        if ending.hung_up {
            return Ok(ExitCode::SUCCESS);
        }
        let balance = match traffic {
            Some(traffic) => Some(traffic.finish(ending).await),
            None => None,
        };
        self.clients.print();
        let status = match balance {
            Some(balance) => traffic::conclude(&balance),
            None => {
                println!("ended after {:.1} s", self.started.elapsed().as_secs_f64());
                ExitCode::SUCCESS
            }
        };
        Ok(if self.clients.failed() {
            ExitCode::from(traffic::LEDGER_BROKEN)
        } else {
            status
        })
    }

    async fn watch(
        &mut self,
        view: &mut View,
        asked: &mut mpsc::Receiver<Request>,
        deadline: Option<Instant>,
        traffic: Option<&Traffic>,
        ending: &mut Ending,
    ) -> Result<(), String> {
        let mut looks = looks(self.lab.clone(), self.plan.clone());
        let mut status = Status::default();
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        let deadline = tokio::time::Instant::from_std(deadline.unwrap_or(far));
        let mut redraw = tokio::time::interval(Duration::from_millis(250));
        loop {
            tokio::select! {
                () = ending.told() => return Ok(()),
                () = tokio::time::sleep_until(deadline) => return Ok(()),
                end = self.ends.recv() => {
                    let (host, name, how) = still_there(end)?;
                    if self.clients.ended(&name, &how) {
                        self.say(view, format!("client {name} ended ({how})"));
                        if self.clients.all_ended() {
                            return Ok(());
                        }
                    } else {
                        self.ended(view, host, name, &how);
                    }
                }
                Some(request) = asked.recv() => {
                    if self.asked(view, request, &status, traffic).await {
                        return Ok(());
                    }
                }
                Some(new) = looks.recv() => {
                    self.compare(view, &status, &new);
                    status = new;
                    if let Some(done) = self.roll(&status).await {
                        self.say(view, done);
                    }
                }
                _ = redraw.tick() => {
                    let balance = traffic.map(Traffic::balance);
                    view.draw(&status, balance.as_ref(), self.started.elapsed());
                }
            }
        }
    }

    fn ended(&mut self, view: &mut View, host: String, name: String, how: &str) {
        let key = (host, name);
        self.running.insert(key.clone(), false);
        let (host, name) = &key;
        if let Some(at) = self.expected.iter().position(|e| *e == key) {
            self.expected.swap_remove(at);
            self.say(
                view,
                format!("{name} on {} ended ({how})", host.to_uppercase()),
            );
        } else {
            self.say(
                view,
                format!("{name} on {} ended by itself ({how})", host.to_uppercase()),
            );
        }
    }

    /// Tells what changed between two looks.
    fn compare(&mut self, view: &mut View, old: &Status, new: &Status) {
        let names = |s: &Status| {
            let list = s.masters().join(" and ").to_uppercase();
            if list.is_empty() {
                "nobody".to_owned()
            } else {
                list
            }
        };
        if old.masters() != new.masters() {
            let text = format!("{VIP} is held by {} (before: {})", names(new), names(old));
            self.say(view, text);
        }
        for (before, after) in old.brokers.iter().zip(&new.brokers) {
            if before.up != after.up {
                let word = if after.up {
                    "answers"
                } else {
                    "does not answer"
                };
                self.say(view, format!("broker {} {word}", after.name.to_uppercase()));
            }
        }
        for (before, after) in old.proxies.iter().zip(&new.proxies) {
            for (was, is) in before.servers.iter().zip(&after.servers) {
                if was.status != is.status {
                    let (proxy, server) = (after.name.to_uppercase(), is.name.to_uppercase());
                    let text = format!("{proxy} sees {server} {} ({})", is.status, is.check);
                    self.say(view, text);
                }
            }
        }
    }

    /// Answers a request; true when it asks for the end.
    async fn asked(
        &mut self,
        view: &mut View,
        request: Request,
        status: &Status,
        traffic: Option<&Traffic>,
    ) -> bool {
        let action = match action::parse(&request.words, &self.plan) {
            Ok(action) => action,
            Err(reason) => {
                let _ = request.answer.send(format!("error: {reason}\n"));
                return false;
            }
        };
        if action == Action::Status {
            let balance = traffic.map(Traffic::balance);
            let text = status_text(status, balance.as_ref());
            let _ = request.answer.send(text);
            return false;
        }
        if action != Action::Quit {
            self.say(view, format!("action: {}", request.words.join(" ")));
        }
        let answer = match self.perform(&action, status).await {
            Ok(()) => "done\n".to_owned(),
            Err(reason) => format!("error: {reason}\n"),
        };
        if action == Action::Partition && !self.plan.peers {
            let told = "the hosts do not hear each other; a broker's answer to a ping tells each that the other lives";
            self.say(view, told);
        }
        if answer.starts_with("error") {
            self.say(view, answer.trim().to_owned());
        }
        let _ = request.answer.send(answer);
        action == Action::Quit
    }
}

/// The end of a process, unless it is that of the laboratory or of a host as a whole: what ran
/// there is gone and cannot be brought back.
fn still_there(end: Option<End>) -> Result<End, String> {
    let lost = match end {
        None => "the laboratory's".to_owned(),
        Some((host, name, _)) if name == HOST_ITSELF => format!("host {}'s", host.to_uppercase()),
        Some(end) => return Ok(end),
    };
    Err(format!(
        "{lost} own process was killed, and everything in it is gone; start `evenkeel up` again"
    ))
}

/// A look at everything, again and again.
fn looks(lab: Rc<Lab>, plan: Plan) -> mpsc::Receiver<Status> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        loop {
            let status = watch::look(&lab, &plan).await;
            if sender.send(status).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    receiver
}
