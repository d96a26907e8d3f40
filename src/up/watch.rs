//! Looks at the running picture from outside: who holds the virtual address,
//! what the balancers say of the brokers, what the brokers say of themselves.
//! The same questions work for the peers (haproxy, keepalived, RabbitMQ).

use super::gate;
use super::lab::Lab;
use super::order::Order;
use super::plan::{Host, Plan, VIP};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_millis(700);
/// Longest answer that is read.
const LIMIT: u64 = 1 << 20;

/// A server as a balancer sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// Name of the broker host.
    pub name: String,
    /// `UP`, `DOWN`, `UP 1/2`, ...
    pub status: String,
    /// Sessions now.
    pub sessions: u64,
    /// The last check's result.
    pub check: String,
}

/// One proxy host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Holds the virtual address.
    pub master: bool,
    /// Its balancer answers.
    pub balancer: bool,
    /// AMQP sessions now.
    pub sessions: u64,
    /// AMQP sessions since its balancer started.
    pub total: u64,
    /// The brokers as it sees them.
    pub servers: Vec<Server>,
}

/// One broker host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broker {
    /// Its name.
    pub name: String,
    /// Its management API answers.
    pub up: bool,
    /// Connections.
    pub connections: u64,
    /// Messages ready and unacknowledged.
    pub messages: u64,
    /// Messages published a second.
    pub published: f64,
    /// Messages delivered a second.
    pub delivered: f64,
}

/// A look at everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The proxy hosts.
    pub proxies: Vec<Proxy>,
    /// The broker hosts.
    pub brokers: Vec<Broker>,
}

impl Status {
    /// Names of the hosts that hold the virtual address.
    pub fn masters(&self) -> Vec<&str> {
        let held = self.proxies.iter().filter(|p| p.master);
        held.map(|p| p.name.as_str()).collect()
    }

    /// Whether every balancer that answers sees this broker.
    pub fn is_seen(&self, broker: &str) -> bool {
        let sees = |p: &Proxy| {
            p.servers
                .iter()
                .any(|s| s.name == broker && s.status == "UP")
        };
        self.proxies.iter().filter(|p| p.balancer).all(sees)
    }

    /// Whether nothing is left to change by itself: the first proxy, which has the highest
    /// priority, holds the address, every balancer sees every broker, and every broker answers.
    pub fn is_settled(&self) -> bool {
        let sees_all = |p: &Proxy| p.balancer && p.servers.iter().all(|s| s.status == "UP");
        let first = self.proxies.first().map(|p| p.name.as_str());
        self.masters().iter().copied().eq(first)
            && self.proxies.iter().all(sees_all)
            && self.brokers.iter().all(|b| b.up)
    }
}

/// Takes a look.
pub async fn look(lab: &Lab, plan: &Plan) -> Status {
    let mut status = Status::default();
    for host in &plan.proxies {
        status.proxies.push(proxy(lab, host).await);
    }
    for host in &plan.brokers {
        status.brokers.push(broker(plan, host).await);
    }
    status
}

async fn proxy(lab: &Lab, host: &Host) -> Proxy {
    let order = Order::Addresses {
        host: host.name.clone(),
    };
    let held = tokio::time::timeout(PATIENCE, lab.order(order)).await;
    let vip = VIP.to_string();
    let master = matches!(held, Ok(Ok(list)) if list.split(' ').any(|a| a == vip));
    let answer = tokio::time::timeout(PATIENCE, statistics(&host.file("lb.sock"))).await;
    let mut proxy = Proxy {
        name: host.name.clone(),
        master,
        ..Proxy::default()
    };
    if let Ok(Ok(csv)) = answer {
        proxy.balancer = true;
        read_statistics(&csv, &mut proxy);
    }
    proxy
}

async fn statistics(socket: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"show stat\n").await?;
    let mut text = String::new();
    stream.take(LIMIT).read_to_string(&mut text).await?;
    Ok(text)
}

fn read_statistics(csv: &str, proxy: &mut Proxy) {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or_default().trim_start_matches("# ");
    let column = |name: &str| header.split(',').position(|c| c == name);
    let (Some(scur), Some(stot), Some(status), Some(check)) = (
        column("scur"),
        column("stot"),
        column("status"),
        column("check_status"),
    ) else {
        return;
    };
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        if field(0) != "amqp" {
            continue;
        }
        let number = |at: usize| field(at).parse().unwrap_or(0);
        match field(1) {
            "FRONTEND" => (proxy.sessions, proxy.total) = (number(scur), number(stot)),
            "BACKEND" => {}
            name => proxy.servers.push(Server {
                name: name.to_owned(),
                status: field(status).to_owned(),
                sessions: number(scur),
                check: field(check).trim_start_matches("* ").to_owned(),
            }),
        }
    }
}

async fn broker(plan: &Plan, host: &Host) -> Broker {
    let mut broker = Broker {
        name: host.name.clone(),
        ..Broker::default()
    };
    let at = SocketAddr::from((host.address, 15672));
    let answer = tokio::time::timeout(PATIENCE, get(plan, at, "/api/overview")).await;
    let Ok(Ok(overview)) = answer else {
        return broker;
    };
    let whole = |path: &str| overview.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let rate = |path: &str| {
        overview
            .pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or(0.0)
    };
    broker.up = true;
    broker.connections = whole("/object_totals/connections");
    broker.messages = whole("/queue_totals/messages");
    broker.published = rate("/message_stats/publish_details/rate");
    broker.delivered = rate("/message_stats/deliver_get_details/rate");
    broker
}

/// `GET path` from a management API as guest.
pub async fn get(plan: &Plan, at: SocketAddr, path: &str) -> std::io::Result<Value> {
    let mut stream = gate::connect(&plan.gate, at).await?;
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {at}\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.take(LIMIT).read_to_string(&mut text).await?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("no answer"))?;
    if !head.contains(" 200 ") {
        let line = head.lines().next().unwrap_or_default();
        return Err(std::io::Error::other(line.to_owned()));
    }
    // HTTP/1.0 answers may still be chunked by lenient servers.
    let start = body.find('{').unwrap_or(0);
    let end = body.rfind('}').map_or(body.len(), |at| at + 1);
    serde_json::from_str(&body[start..end.max(start)]).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_settled_once_the_better_host_holds_the_address_and_sees_the_brokers() {
        let proxy = |name: &str, master, status: &str| Proxy {
            name: name.to_owned(),
            master,
            balancer: true,
            servers: vec![Server {
                status: status.to_owned(),
                ..Server::default()
            }],
            ..Proxy::default()
        };
        let status = |proxies: [Proxy; 2], up| {
            let broker = Broker {
                up,
                ..Broker::default()
            };
            Status {
                proxies: proxies.to_vec(),
                brokers: vec![broker],
            }
        };
        let settled = |proxies| status(proxies, true).is_settled();
        let good = [proxy("a", true, "UP"), proxy("b", false, "UP")];
        assert!(settled(good.clone()));
        assert!(!status(good, false).is_settled());
        assert!(!settled([proxy("a", false, "UP"), proxy("b", true, "UP")]));
        assert!(!settled([proxy("a", true, "UP"), proxy("b", true, "UP")]));
        assert!(!settled([
            proxy("a", true, "UP"),
            proxy("b", false, "DOWN")
        ]));
    }

    #[test]
    fn the_servers_of_the_amqp_proxy_are_read_from_the_statistics() {
        let csv = "# pxname,svname,scur,stot,status,check_status,\n\
                   amqp,FRONTEND,3,9,OPEN,,\namqp,n1,2,5,UP,* L7OK,\namqp,BACKEND,3,9,UP,,\n\
                   monitor,FRONTEND,1,1,OPEN,,\n";
        let mut proxy = Proxy::default();
        read_statistics(csv, &mut proxy);
        assert_eq!(
            (proxy.sessions, proxy.total, proxy.servers.len()),
            (3, 9, 1)
        );
        assert_eq!(proxy.servers[0].check, "L7OK");
    }
}
