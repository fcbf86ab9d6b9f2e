//! What this machine may have too few of to connect to anybody: then the origin that was to be asked is not to blame.

use crate::listen::is_exhaustion;
use pingora::Error;
use rustix::io::Errno;
use std::{
    error::Error as Cause,
    io, iter,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// What was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// File descriptors, or memory of the kernel's.
    Descriptor,
    /// Local ports towards that address.
    Port,
}

impl Shortage {
    /// What a failure to connect to that address is for want of; none: the other side is to blame.
    pub fn of(error: &Error, address: Option<SocketAddr>) -> Option<Self> {
        let cause: &(dyn Cause + 'static) = error.root_cause();
        let error = iter::successors(Some(cause), |&cause| cause.source())
            .find_map(|cause| cause.downcast_ref::<io::Error>())?;
        if is_exhaustion(error) {
            return Some(Self::Descriptor);
        }
        let is_without_address = Errno::from_io_error(error) == Some(Errno::ADDRNOTAVAIL);
        (is_without_address && address.is_some_and(is_reached_from_here)).then_some(Self::Port)
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Descriptor => "no_descriptor",
            Self::Port => "no_port",
        }
    }

    /// The step of the decision.
    pub fn step(self) -> &'static str {
        match self {
            Self::Descriptor => "edge:no_descriptor",
            Self::Port => "edge:no_port",
        }
    }
}

/// Whether this machine has an address of its own towards that one. The kernel says the same of a want of ports and of an
/// address that can't be reached at all, like one of IPv6 where there is none; of datagrams, which have ports of their own,
/// it says only the latter. Nothing is sent.
fn is_reached_from_here(address: SocketAddr) -> bool {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any).is_ok_and(|socket| socket.connect(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::ErrorType;

    fn shortage(errno: Errno, address: &str) -> Option<Shortage> {
        let error = io::Error::from(errno);
        let error = Error::because(ErrorType::BindError, "origin", error);
        Shortage::of(&error, Some(address.parse().unwrap()))
    }

    #[test]
    fn a_want_of_ports_is_told_from_an_address_that_nobody_here_reaches() {
        assert_eq!(
            shortage(Errno::ADDRNOTAVAIL, "127.0.0.1:80"),
            Some(Shortage::Port)
        );
        // Refused to whoever does not say that it means it: as good as an address without a way to it.
        assert_eq!(shortage(Errno::ADDRNOTAVAIL, "255.255.255.255:80"), None);
        assert_eq!(shortage(Errno::CONNREFUSED, "127.0.0.1:80"), None);
        assert_eq!(
            shortage(Errno::MFILE, "127.0.0.1:80"),
            Some(Shortage::Descriptor)
        );
    }
}
