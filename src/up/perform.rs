//! Carrying out actions: what is killed, cut, healed, reloaded.

use super::action::Action;
use super::order::Order;
use super::rolling::Rolling;
use super::run::Up;
use super::watch::Status;
use nix::sys::signal::Signal;

impl Up {
    /// Does what the action says.
    pub(super) async fn perform(&mut self, action: &Action, status: &Status) -> Result<(), String> {
        match action {
            Action::KillProxy(host) => {
                self.cut(host, true).await?;
                self.signal(host, None, Signal::SIGKILL).await
            }
            Action::KillBalancer(host) => self.signal(host, Some("lb"), Signal::SIGKILL).await,
            Action::KillVip(host) => self.signal(host, Some("vip"), Signal::SIGKILL).await,
            Action::HangVip(host) => self.signal(host, Some("vip"), Signal::SIGSTOP).await,
            Action::HangBalancer(host) => self.signal(host, Some("lb"), Signal::SIGSTOP).await,
            Action::Partition => self.partition(true).await,
            Action::KillNode(host) => self.signal(host, None, Signal::SIGKILL).await,
            Action::StopNode(host) => self.signal(host, None, Signal::SIGTERM).await,
            Action::Hang(host) => self.signal(host, None, Signal::SIGSTOP).await,
            Action::Cut(host) => self.cut(host, true).await,
            Action::Heal(None) => {
                let names: Vec<_> = self.plan.hosts().map(|h| h.name.clone()).collect();
                // only a port that is on the bridge can be set apart or not
                for name in &names {
                    self.cut(name, false).await?;
                }
                self.partition(false).await?;
                for name in &names {
                    self.heal(name).await?;
                }
                Ok(())
            }
            Action::Heal(Some(host)) => self.heal(host).await,
            Action::Demote(host) => self.demote(host.as_deref(), status).await,
            Action::Reload(host) => self.reload(host.as_deref()).await,
            Action::Roll => {
                let brokers = self.plan.brokers.iter().map(|h| h.name.clone());
                self.rolling = Some(Rolling::new(brokers));
                Ok(())
            }
            Action::Status | Action::Quit => Ok(()),
        }
    }

    async fn signal(
        &mut self,
        host: &str,
        only: Option<&str>,
        signal: Signal,
    ) -> Result<(), String> {
        let programs: Vec<String> = self
            .running
            .iter()
            .filter(|((h, name), up)| h == host && **up && only.is_none_or(|o| o == name))
            .map(|((_, name), _)| name.clone())
            .collect();
        if programs.is_empty() {
            return Err(format!(
                "nothing of that runs on host {}",
                host.to_uppercase()
            ));
        }
        for name in programs {
            if matches!(signal, Signal::SIGKILL | Signal::SIGTERM) {
                self.expected.push((host.to_owned(), name.clone()));
            }
            let order = Order::Signal {
                host: host.to_owned(),
                name,
                signal: signal as i32,
                tree: signal != Signal::SIGTERM
                    && signal != Signal::SIGHUP
                    && signal != Signal::SIGUSR2,
            };
            self.order(order).await?;
        }
        Ok(())
    }

    async fn cut(&self, host: &str, cut: bool) -> Result<(), String> {
        let host = host.to_owned();
        self.order(Order::Cut { host, cut }).await.map(|_| ())
    }

    async fn partition(&self, apart: bool) -> Result<(), String> {
        for host in self.plan.proxies.iter().map(|h| h.name.clone()) {
            self.order(Order::Apart { host, apart }).await?;
        }
        Ok(())
    }

    async fn heal(&mut self, host: &str) -> Result<(), String> {
        self.cut(host, false).await?;
        if self.running.iter().any(|((h, _), up)| h == host && *up) {
            self.signal(host, None, Signal::SIGCONT).await?;
        }
        let daemon = (host.to_owned(), "vip".to_owned());
        let goes_on = self.running.get(&daemon) == Some(&true);
        self.start_host(host).await?;
        // a daemon that was started anew knows nothing of its demotion
        if self.demoted.remove(host) && goes_on {
            self.vip_tool(host, "resume").await?;
        }
        Ok(())
    }

    async fn demote(&mut self, host: Option<&str>, status: &Status) -> Result<(), String> {
        let masters = status.masters();
        let name = host
            .or(masters.first().copied())
            .ok_or("nobody is master")?
            .to_owned();
        if self.plan.peers {
            // what an operator of keepalived does: stop it there, later start it
            return self.signal(&name, Some("vip"), Signal::SIGTERM).await;
        }
        self.demoted.insert(name.clone());
        self.vip_tool(&name, "demote").await
    }

    /// `evenkeel vip WORD` on a proxy host.
    async fn vip_tool(&mut self, name: &str, word: &str) -> Result<(), String> {
        let host = self.plan.host(name).ok_or("no such host")?;
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let argv = [
            own.to_string_lossy().as_ref(),
            "vip",
            word,
            "--run-dir",
            &host.file("run"),
        ]
        .map(str::to_owned);
        let order = Order::Start {
            host: name.to_owned(),
            name: word.to_owned(),
            argv: argv.to_vec(),
            env: Vec::new(),
            log: host.file("vip-tool.log"),
        };
        self.expected.push((name.to_owned(), word.to_owned()));
        self.order(order).await.map(|_| ())
    }

    async fn reload(&mut self, host: Option<&str>) -> Result<(), String> {
        let all: Vec<String> = self.plan.proxies.iter().map(|h| h.name.clone()).collect();
        let hosts = host.map_or(all, |h| vec![h.to_owned()]);
        for host in hosts {
            self.signal(&host, Some("lb"), Signal::SIGUSR2).await?;
            self.signal(&host, Some("vip"), Signal::SIGHUP).await?;
        }
        Ok(())
    }
}
