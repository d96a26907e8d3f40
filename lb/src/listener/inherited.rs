//! Listening sockets of another process, to be matched with what a
//! configuration listens on.
//!
//! Not here: how they come over (`takeover`).

use super::bound::Key;
use conf::lb::model::{Bind, BindAddress, Place};
use socket2::{Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// A socket that another process handed over.
#[derive(Debug)]
pub struct Offer {
    /// The socket.
    pub socket: Socket,
    /// The network namespace that it lives in, as the other's configuration names it.
    pub namespace: Option<String>,
    /// The interface that it is bound to.
    pub interface: Option<String>,
}

/// What is left of an offer; dropping it closes our copies of what nobody took.
#[derive(Debug, Default)]
pub struct Inherited {
    offers: Vec<Offer>,
}

impl Inherited {
    /// Of these sockets.
    pub fn new(offers: Vec<Offer>) -> Inherited {
        Inherited { offers }
    }

    /// Nothing (more) to take.
    pub fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.offers.len()
    }

    /// A socket of the control side (CLI, exporter) that listens at this address.
    pub fn take_port(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bind = Bind::new(BindAddress::Fd(0), Place::default());
        let mut taken = self.take(&Key::Inet(address), &bind);
        Some(taken.pop()?.into())
    }

    /// All sockets that listen at this address in the same interface and namespace.
    pub(super) fn take(&mut self, key: &Key, bind: &Bind) -> Vec<Socket> {
        let fits = |offer: &mut Offer| {
            offer.interface == bind.interface
                && offer.namespace == bind.namespace
                && listens_at(&offer.socket, key, bind)
        };
        let taken = self.offers.extract_if(.., fits);
        taken.map(|offer| offer.socket).collect()
    }
}

/// What cannot be changed on a bound socket is as the bind line wants it.
fn listens_at(socket: &Socket, key: &Key, bind: &Bind) -> bool {
    let is_stream = socket.r#type().is_ok_and(|kind| kind == Type::STREAM);
    if !is_stream || !socket.is_listener().unwrap_or(false) {
        return false;
    }
    let Ok(local) = socket.local_addr() else {
        return false;
    };
    match key {
        Key::Inet(wanted) => {
            let v6only = || socket.only_v6().unwrap_or(false);
            local.as_socket() == Some(*wanted)
                && (wanted.is_ipv4() || bind.v6only.is_none_or(|only| only == v6only()))
        }
        Key::Unix(wanted) => local
            .as_pathname()
            .is_some_and(|path| is_path(path, wanted)),
        Key::Abstract(wanted) => {
            local.as_abstract_namespace() == Some(&*crate::sys::abstract_name(wanted))
        }
        // a number means what the parent opened for us, nothing else
        Key::Fd(_) => false,
    }
}

/// A socket file is bound as `<path>.<pid>.tmp` and moved to its place, and the
/// kernel keeps the first name.
fn is_path(bound: &Path, wanted: &Path) -> bool {
    let (bound, wanted) = (bound.to_string_lossy(), wanted.to_string_lossy());
    let Some(rest) = bound.strip_prefix(&*wanted) else {
        return false;
    };
    let pid = rest.strip_prefix('.').and_then(|r| r.strip_suffix(".tmp"));
    rest.is_empty() || pid.is_some_and(|pid| pid.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Bind {
        Bind::new(BindAddress::Fd(0), Place::default())
    }

    fn offer(listener: TcpListener, interface: Option<&str>) -> Offer {
        Offer {
            socket: listener.into(),
            namespace: None,
            interface: interface.map(str::to_owned),
        }
    }

    #[test]
    fn sockets_are_taken_by_address_and_interface_and_only_once() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let twin = first.try_clone().unwrap();
        let mut inherited = Inherited::new(vec![
            offer(first, None),
            offer(twin, Some("eth9")),
            offer(other, None),
        ]);
        let bind = plain();
        assert_eq!(inherited.take(&Key::Inet(address), &bind).len(), 1);
        assert!(inherited.take(&Key::Inet(address), &bind).is_empty());
        assert_eq!(inherited.len(), 2);
        assert!(inherited.take(&Key::Fd(0), &bind).is_empty());
    }

    #[test]
    fn a_port_of_the_control_side_is_taken_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut inherited = Inherited::new(vec![offer(listener, None)]);
        let taken = inherited.take_port(address).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(inherited.take_port(address).is_none());
    }

    #[test]
    fn a_socket_that_does_not_listen_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let address = client.local_addr().unwrap();
        let mut inherited = Inherited::new(vec![Offer {
            socket: client.into(),
            namespace: None,
            interface: None,
        }]);
        assert!(inherited.take(&Key::Inet(address), &plain()).is_empty());
    }

    #[test]
    fn a_socket_file_is_known_by_the_name_that_it_was_bound_with() {
        let is = |bound: &str| is_path(Path::new(bound), Path::new("/run/a.sock"));
        assert!(is("/run/a.sock") && is("/run/a.sock.4711.tmp"));
        assert!(!is("/run/a.sock.x.tmp") && !is("/run/a.sock2") && !is("/run/b"));
    }
}
