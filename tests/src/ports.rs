//! Ports that stay whose they are, whether or not somebody listens on them.
//!
//! A port that the system chooses (`:0`) is free again for everybody as soon as its listener ends: the next program
//! that is started, or anybody's outgoing connection, may be given it, and what should be dead answers. So whatever a
//! test stops, kills or starts again listens outside the range of ports that the system gives out, on a number that no
//! other test of this machine has meanwhile.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as Name, UnixDatagram},
    },
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Below it are ports that programs have by default.
const LOWEST: u16 = 10_000;
/// So many must lie on one side of the system's range, for tests of several programs at a time.
const ENOUGH: usize = 2_000;
/// What Linux gives out when nobody has said otherwise.
const USUAL: RangeInclusive<u16> = 32_768..=60_999;

/// Which number is tried next. It begins anywhere and goes on, so that one program has no port twice before it had all.
static NEXT: LazyLock<AtomicUsize> =
    LazyLock::new(|| AtomicUsize::new(RandomState::new().hash_one(()) as usize));

/// A port of this machine. Until the value goes away no other test is given it, and the system gives it to nobody.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// An abstract name: as ports do, it belongs to the network namespace, and it goes when its process goes.
    _name: UnixDatagram,
}

impl Port {
    /// One that nobody listens on.
    ///
    /// # Panics
    /// When all are taken.
    pub fn reserve() -> Self {
        let ports = outside(&given_out());
        let found = ports.clone().find_map(|_| {
            let at = NEXT.fetch_add(1, Ordering::Relaxed) % ports.len();
            Self::take(ports.start() + u16::try_from(at).unwrap())
        });
        found.unwrap_or_else(|| panic!("all ports of {ports:?} are taken"))
    }

    fn take(number: u16) -> Option<Self> {
        let name = Name::from_abstract_name(format!("latencify-test-port-{number}")).unwrap();
        let name = UnixDatagram::bind_addr(&name).ok()?;
        is_free(number).then_some(Self {
            number,
            _name: name,
        })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// It on that address.
    pub fn on(&self, address: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(address.into(), self.number)
    }

    /// It on 127.0.0.1.
    pub fn here(&self) -> SocketAddr {
        self.on(Ipv4Addr::LOCALHOST)
    }
}

/// What the system gives out.
fn given_out() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = text.split_whitespace().map(str::parse);
    match (ends.next(), ends.next()) {
        (Some(Ok(low)), Some(Ok(high))) => low..=high,
        _ => USUAL,
    }
}

/// The wider side of that range. Where neither is wide enough there is no such place, and any port must do.
fn outside(given_out: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let below = LOWEST..=given_out.start().saturating_sub(1);
    let above = given_out.end().saturating_add(1).max(LOWEST)..=u16::MAX;
    let wider = if below.len() >= above.len() {
        below
    } else {
        above
    };
    if wider.len() >= ENOUGH {
        wider
    } else {
        LOWEST..=u16::MAX
    }
}

/// Whether nobody listens there, on any address.
fn is_free(number: u16) -> bool {
    let on_6 = TcpListener::bind((Ipv6Addr::LOCALHOST, number));
    // A machine without IPv6 has another error.
    let is_taken_on_6 = on_6.is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    !is_taken_on_6 && TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, net::TcpStream};

    #[test]
    fn the_wider_side_is_taken_and_any_port_if_there_is_none() {
        for (given_out, taken) in [
            (32_768..=60_999, 10_000..=32_767),
            (15_000..=20_000, 20_001..=65_535),
            (1_024..=60_999, 61_000..=65_535),
            (1_024..=5_000, 10_000..=65_535),
            (9_000..=65_535, 10_000..=65_535),
            (0..=65_535, 10_000..=65_535),
            (11_000..=65_000, 10_000..=65_535),
        ] {
            assert_eq!(outside(&given_out), taken, "{given_out:?}");
        }
    }

    #[test]
    fn a_port_is_nobody_elses_and_refuses_connections_until_its_owner_listens() {
        let ports: Vec<_> = (0..100).map(|_| Port::reserve()).collect();
        let numbers: BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        for port in &ports {
            assert!(Port::take(port.number()).is_none(), "{port:?} is had twice");
            assert!(!given_out().contains(&port.number()), "{port:?}");
            assert!(TcpStream::connect(port.here()).is_err(), "{port:?} answers");
        }
        let listener = TcpListener::bind(ports[0].here()).unwrap();
        TcpStream::connect(ports[0].here()).unwrap();
        assert!(!is_free(ports[0].number()));
        drop(listener);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_left_alone() {
        let port = Port::reserve();
        let number = port.number();
        let other = TcpListener::bind(port.on([127, 0, 0, 9])).unwrap();
        drop(port);
        assert!(Port::take(number).is_none());
        drop(other);
    }
}
