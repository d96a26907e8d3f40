//! Programs of the caller that run on the client host.

use super::lab::Lab;
use super::order::Order;
use super::plan::{Plan, VIP};

/// What was started and how it ended.
#[derive(Default)]
pub struct Clients {
    started: Vec<Client>,
}

struct Client {
    name: String,
    log: String,
    ended: Option<String>,
}

impl Clients {
    /// Starts one command by the shell.
    pub async fn start(&mut self, lab: &Lab, plan: &Plan, command: &str) -> Result<(), String> {
        let name = format!("client{}", self.started.len() + 1);
        let log = plan.client.file(&format!("{name}.log"));
        let order = Order::Start {
            host: plan.client.name.clone(),
            name: name.clone(),
            argv: ["sh", "-c", command].map(str::to_owned).to_vec(),
            env: vec![("EVENKEEL_VIP".to_owned(), VIP.to_string())],
            log: log.clone(),
        };
        let started = lab.order(order).await;
        started.map_err(|e| format!("cannot start the client `{command}`: {e}"))?;
        self.started.push(Client {
            name,
            log,
            ended: None,
        });
        Ok(())
    }

    /// Notes the end of a client; false when `name` is none.
    pub fn ended(&mut self, name: &str, how: &str) -> bool {
        let client = self.started.iter_mut().find(|c| c.name == name);
        let known = client.is_some();
        if let Some(client) = client {
            client.ended = Some(how.to_owned());
        }
        known
    }

    /// There were clients, and all have ended.
    pub fn all_ended(&self) -> bool {
        !self.started.is_empty() && self.started.iter().all(|c| c.ended.is_some())
    }

    /// One of them ended badly, or not at all.
    pub fn failed(&self) -> bool {
        let good = |c: &Client| c.ended.as_deref() == Some("status 0");
        !self.started.iter().all(good)
    }

    /// What they printed.
    pub fn print(&self) {
        for client in &self.started {
            let text = std::fs::read_to_string(&client.log).unwrap_or_default();
            for line in text.lines() {
                println!("{}: {line}", client.name);
            }
        }
    }
}
