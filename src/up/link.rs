//! Interfaces of the laboratory, by netlink: the bridge, a pair of interfaces
//! for each host, addresses.

use futures_util::TryStreamExt;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::InfoBridgePort;
use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkUnspec, LinkVeth, new_connection};
use std::io;
use std::net::IpAddr;

/// A connection to the kernel of the current network namespace.
pub struct Links {
    handle: Handle,
}

fn other(what: &str, error: rtnetlink::Error) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

impl Links {
    /// Opens it; its task runs on the current runtime.
    pub fn open() -> io::Result<Links> {
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(connection);
        Ok(Links { handle })
    }

    /// Index of an interface.
    pub async fn index(&self, name: &str) -> io::Result<u32> {
        let mut links = self
            .handle
            .link()
            .get()
            .match_name(name.to_owned())
            .execute();
        let link = links.try_next().await.map_err(|e| other(name, e))?;
        link.map(|l| l.header.index)
            .ok_or_else(|| io::Error::other(format!("{name}: no such interface")))
    }

    /// Switches an interface on or off.
    pub async fn set_up(&self, name: &str, up: bool) -> io::Result<()> {
        let index = self.index(name).await?;
        let message = LinkUnspec::new_with_index(index);
        let message = if up { message.up() } else { message.down() };
        let request = self.handle.link().set(message.build());
        request.execute().await.map_err(|e| other(name, e))
    }

    /// Adds a bridge and switches it on.
    pub async fn bridge(&self, name: &str) -> io::Result<()> {
        let message = LinkBridge::new(name).up().build();
        let request = self.handle.link().add(message);
        request.execute().await.map_err(|e| other(name, e))
    }

    /// Adds a pair: `port` on `bridge`, the other end as `eth0` in the network
    /// namespace of process `pid`.
    pub async fn pair(&self, port: &str, bridge: &str, pid: u32) -> io::Result<()> {
        let inner = format!("x{port}");
        let request = self.handle.link().add(LinkVeth::new(port, &inner).build());
        request.execute().await.map_err(|e| other(port, e))?;
        let index = self.index(&inner).await?;
        let message = LinkUnspec::new_with_index(index)
            .name("eth0")
            .setns_by_pid(pid)
            .build();
        let request = self.handle.link().set(message);
        request.execute().await.map_err(|e| other(&inner, e))?;
        self.master(port, Some(bridge)).await?;
        self.set_up(port, true).await
    }

    /// Puts a port on a bridge or takes it off; its carrier stays.
    pub async fn master(&self, port: &str, bridge: Option<&str>) -> io::Result<()> {
        let index = self.index(port).await?;
        let message = LinkUnspec::new_with_index(index);
        let message = match bridge {
            Some(bridge) => message.controller(self.index(bridge).await?),
            None => message.nocontroller(),
        };
        let request = self.handle.link().set(message.build());
        request.execute().await.map_err(|e| other(port, e))
    }

    /// Ports that are set apart reach every other port, but not each other.
    pub async fn apart(&self, port: &str, apart: bool) -> io::Result<()> {
        let message = LinkBridgePort::new(self.index(port).await?);
        let message = message.append_info_data(InfoBridgePort::Isolated(apart));
        let request = self.handle.link().set_port(message.build());
        request.execute().await.map_err(|e| other(port, e))
    }

    /// The IPv4 addresses of an interface, separated by spaces.
    pub async fn addresses(&self, name: &str) -> io::Result<String> {
        let index = self.index(name).await?;
        let request = self.handle.address().get().set_link_index_filter(index);
        let mut answers = request.execute();
        let mut list = Vec::new();
        while let Some(message) = answers.try_next().await.map_err(|e| other(name, e))? {
            for attribute in message.attributes {
                if let AddressAttribute::Local(ip @ IpAddr::V4(_)) = attribute {
                    list.push(ip.to_string());
                }
            }
        }
        Ok(list.join(" "))
    }

    /// Adds an address with its prefix length (`10.77.0.11/24`).
    pub async fn address(&self, name: &str, address: &str) -> io::Result<()> {
        let index = self.index(name).await?;
        let wrong = || io::Error::other(format!("{address}: not an address with a prefix length"));
        let (ip, prefix) = address.split_once('/').ok_or_else(wrong)?;
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        let request = self.handle.address().add(index, ip, prefix);
        request.execute().await.map_err(|e| other(address, e))
    }
}
