//! What runs on each host: ours, or the peers.

use super::order::Order;
use super::plan::{Host, Role};
use super::rabbit;
use super::run::Up;

impl Up {
    /// What runs on a host.
    pub(super) fn orders(&self, host: &Host) -> Result<Vec<(String, Order)>, String> {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let own = own.display().to_string();
        let run = host.file("run");
        let start = |name: &str, argv: Vec<String>, env: Vec<(String, String)>| {
            let order = Order::Start {
                host: host.name.clone(),
                name: name.to_owned(),
                argv,
                env,
                log: host.file(&format!("{name}.log")),
            };
            (name.to_owned(), order)
        };
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let balancer = host.file("haproxy.cfg");
        let vrrp = host.file("keepalived.conf");
        Ok(match host.role {
            Role::Client => Vec::new(),
            Role::Proxy if self.options.peers => {
                let pids = [host.file("k.pid"), host.file("kv.pid")];
                vec![
                    start(
                        "lb",
                        words(&["/usr/sbin/haproxy", "-db", "-f", &balancer]),
                        vec![],
                    ),
                    start(
                        "vip",
                        words(&[
                            "/usr/sbin/keepalived",
                            "-n",
                            "-l",
                            "-P",
                            "-f",
                            &vrrp,
                            "-p",
                            &pids[0],
                            "-r",
                            &pids[1],
                        ]),
                        vec![],
                    ),
                ]
            }
            Role::Proxy => vec![
                start(
                    "lb",
                    words(&[&own, "lb", "-db", "-f", &balancer, "--run-dir", &run]),
                    vec![],
                ),
                start(
                    "vip",
                    words(&[&own, "vip", "-n", "-l", "-f", &vrrp, "--run-dir", &run]),
                    vec![],
                ),
            ],
            Role::Broker => {
                let file = host.file("broker.toml");
                let data = host.file("data");
                let argv = words(&[
                    &own,
                    "broker",
                    "--config",
                    &file,
                    "--data-dir",
                    &data,
                    "--run-dir",
                    &run,
                    "--listen",
                    "0.0.0.0:5672",
                    "--management",
                    "0.0.0.0:15672",
                ]);
                vec![start("broker", argv, vec![])]
            }
            Role::Rabbit => vec![start("broker", rabbit::argv(), rabbit::env(host))],
        })
    }
}
