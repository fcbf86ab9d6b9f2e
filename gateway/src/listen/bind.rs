//! Binding the sockets, and telling which addresses they got.

use anyhow::{Context as _, Result};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};
use tokio::net::TcpListener;

/// Connections that the kernel holds before they are accepted.
const BACKLOG: i32 = 4096;

/// A socket that listens, and where.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listener: TcpListener,
    /// Its address, with the port that the system chose when port 0 was asked for.
    pub address: SocketAddr,
    /// The address that was asked for.
    pub asked: SocketAddr,
}

impl Bound {
    /// A socket that listens since before.
    pub(super) fn kept(listener: std::net::TcpListener, asked: SocketAddr) -> Result<Self> {
        let place = || format!("the socket at {asked} that was handed over");
        listener.set_nonblocking(true).with_context(place)?;
        let listener = TcpListener::from_std(listener).with_context(place)?;
        let address = listener.local_addr().with_context(place)?;
        Ok(Self {
            listener,
            address,
            asked,
        })
    }

    /// A second handle on the socket: it listens as long as one of them is there.
    pub(super) fn handle(&self) -> Result<OwnedFd> {
        (self.listener.as_fd().try_clone_to_owned())
            .with_context(|| format!("a second handle on {}", self.address))
    }
}

/// The bound addresses, as the ports file holds them.
#[derive(Serialize)]
struct Ports<'a> {
    http: Vec<&'a SocketAddr>,
    https: Vec<&'a SocketAddr>,
    admin: &'a SocketAddr,
    pid: u32,
}

/// Binds one address. An IPv6 socket takes IPv6 alone, so that `[::]:80` and `0.0.0.0:80` live side by side and an IPv4
/// client never shows as a mapped address in access lists.
pub fn bind(asked: SocketAddr) -> Result<Bound> {
    let open = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(asked),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if asked.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&asked.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    let listener = open().with_context(|| format!("can't listen on {asked}"))?;
    let address = listener
        .local_addr()
        .with_context(|| format!("address of the listener on {asked}"))?;
    Ok(Bound {
        listener,
        address,
        asked,
    })
}

/// Writes the bound addresses, and which process listens, as JSON; readers see the whole file or none.
pub fn write_ports_file(
    path: &Path,
    http: &[SocketAddr],
    https: &[SocketAddr],
    admin: &SocketAddr,
) -> Result<()> {
    let ports = Ports {
        http: http.iter().collect(),
        https: https.iter().collect(),
        admin,
        pid: std::process::id(),
    };
    let part = PathBuf::from(format!("{}.part", path.display()));
    std::fs::write(&part, serde_json::to_vec(&ports)?)
        .with_context(|| format!("ports file {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("ports file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_zero_is_told_and_both_families_share_a_port() {
        // The port that the system chooses for one family, somebody may have in the other.
        let both = (0..100).find_map(|_| {
            let v6 = bind("[::1]:0".parse().unwrap()).unwrap();
            assert_ne!(v6.address.port(), 0);
            bind(SocketAddr::from(([127, 0, 0, 1], v6.address.port()))).ok()
        });
        assert!(both.is_some(), "no port in 100 could be shared");
    }

    #[test]
    fn the_ports_file_is_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ports");
        let address: SocketAddr = "127.0.0.1:80".parse().unwrap();
        write_ports_file(&path, &[address], &[], &address).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"http":["127.0.0.1:80"],"https":[],"admin":"127.0.0.1:80","pid":{}}}"#,
                std::process::id()
            )
        );
    }
}
