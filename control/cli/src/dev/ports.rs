//! Which addresses the programs of a run want, and which are free.

use std::{
    hash::{BuildHasher as _, RandomState},
    io::{Error, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
};

/// An edge of the demo.
pub struct EdgePlace {
    /// Its name.
    pub name: &'static str,
    /// Its own loopback address, which the synthetic GeoIP data places there.
    pub address: Ipv4Addr,
    /// The last digit of its default ports.
    pub digit: u16,
}

/// The edges of the demo.
pub const EDGES: [EdgePlace; 3] = [
    EdgePlace {
        name: "paris",
        address: Ipv4Addr::new(127, 10, 0, 1),
        digit: 1,
    },
    EdgePlace {
        name: "new-york",
        address: Ipv4Addr::new(127, 30, 0, 1),
        digit: 2,
    },
    EdgePlace {
        name: "tokyo",
        address: Ipv4Addr::new(127, 20, 0, 1),
        digit: 3,
    },
];

/// Default ports; each is given up for one of the system's when somebody has it.
const HTTP: u16 = 8000;
const HTTPS: u16 = 8440;
const EDGE_ADMIN: u16 = 9180;
const ORIGIN: u16 = 9000;
const API: u16 = 8080;
const FLEET: u16 = 8081;
const CONTROL_ADMIN: u16 = 8082;
const BROKER: u16 = 9092;
const BROKER_CONTROLLER: u16 = 9093;

/// Below what Linux gives out to whoever asks for any port: none of these is an outgoing connection's by the time that
/// the program which is told of it listens.
const NOBODYS: RangeInclusive<u16> = 10_000..=32_767;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Chooses addresses and remembers whom it had to disappoint.
pub struct Ports {
    ephemeral: bool,
    /// Addresses that somebody else has.
    pub taken: Vec<SocketAddr>,
}

impl Ports {
    /// Default ports, or all by the system.
    pub fn new(ephemeral: bool) -> Self {
        Self {
            ephemeral,
            taken: Vec::new(),
        }
    }

    /// The API's address.
    pub fn api(&mut self) -> SocketAddr {
        self.choose(HERE, API)
    }

    /// The fleet link's address.
    pub fn fleet(&mut self) -> SocketAddr {
        self.choose(HERE, FLEET)
    }

    /// Control's admin address.
    pub fn control_admin(&mut self) -> SocketAddr {
        self.choose(HERE, CONTROL_ADMIN)
    }

    /// The address of an instance of the origin.
    pub fn origin(&mut self, edge: &EdgePlace) -> SocketAddr {
        self.choose(HERE, ORIGIN + edge.digit)
    }

    /// An edge's admin address.
    pub fn edge_admin(&mut self, edge: &EdgePlace) -> SocketAddr {
        self.choose(HERE, EDGE_ADMIN + edge.digit)
    }

    /// Where an edge listens for HTTP: on its own address first, and on 127.0.0.1, where a browser looks for
    /// demo.localhost.
    pub fn http(&mut self, edge: &EdgePlace) -> Vec<SocketAddr> {
        self.public(edge, HTTP + edge.digit)
    }

    /// Where an edge listens for HTTPS.
    pub fn https(&mut self, edge: &EdgePlace) -> Vec<SocketAddr> {
        self.public(edge, HTTPS + edge.digit)
    }

    /// The ports of the broker and its controller. They can't be 0: others are told of them before it runs.
    pub fn broker(&mut self) -> std::io::Result<(u16, u16)> {
        // Both are held until both are known, so that they differ.
        let (broker, controller) = (self.hold(BROKER)?, self.hold(BROKER_CONTROLLER)?);
        Ok((broker.local_addr()?.port(), controller.local_addr()?.port()))
    }

    fn public(&mut self, edge: &EdgePlace, port: u16) -> Vec<SocketAddr> {
        let own = self.choose(edge.address.into(), port);
        if self.ephemeral {
            vec![own]
        } else {
            vec![own, self.choose(HERE, port)]
        }
    }

    fn hold(&mut self, port: u16) -> std::io::Result<TcpListener> {
        let chosen = self.choose(HERE, port);
        if chosen.port() != 0 {
            return TcpListener::bind(chosen);
        }
        let mut ports = from_anywhere(NOBODYS);
        let free = ports.find_map(|port| TcpListener::bind((HERE, port)).ok());
        free.ok_or_else(|| Error::new(ErrorKind::AddrInUse, "all ports are taken"))
    }

    fn choose(&mut self, address: IpAddr, port: u16) -> SocketAddr {
        if self.ephemeral {
            return SocketAddr::new(address, 0);
        }
        let wanted = SocketAddr::new(address, port);
        if TcpListener::bind(wanted).is_ok() {
            wanted
        } else {
            self.taken.push(wanted);
            SocketAddr::new(address, 0)
        }
    }
}

/// All of them, beginning anywhere: another run, started at the same time, looks elsewhere.
fn from_anywhere(ports: RangeInclusive<u16>) -> impl Iterator<Item = u16> {
    let skipped = RandomState::new().hash_one(()) as usize % ports.len();
    let first = ports.clone().skip(skipped);
    first.chain(ports.take(skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_looked_at_once() {
        let mut ports: Vec<_> = from_anywhere(1..=100).collect();
        ports.sort_unstable();
        assert_eq!(ports, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_taken_port_is_named_and_another_one_is_used() {
        let other = TcpListener::bind((HERE, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        let mut ports = Ports::new(false);
        assert_eq!(ports.choose(HERE, port).port(), 0);
        assert_eq!(ports.taken, [SocketAddr::new(HERE, port)]);
    }

    #[test]
    fn ephemeral_ports_are_the_systems_choice() {
        let mut ports = Ports::new(true);
        let (broker, controller) = ports.broker().unwrap();
        assert!(NOBODYS.contains(&broker) && NOBODYS.contains(&controller));
        assert_ne!(broker, controller);
        assert!(
            EDGES
                .iter()
                .all(|edge| ports.http(edge) == [SocketAddr::new(edge.address.into(), 0)])
        );
        assert!(ports.taken.is_empty());
    }
}
