//! Every socket that the edge listens on: bound here, or kept from before, so that no connection is refused while one
//! process takes over from another.

use super::{Bound, bind};
use anyhow::{Context as _, Result, bail};
use listenfd::ListenFd;
use serde::{Deserialize, Serialize};
use std::{env, fmt, net::SocketAddr, net::TcpListener, os::fd::OwnedFd};

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// Metrics and health.
    Admin,
}

/// Which addresses are to be listened on, as the flags say.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Plain HTTP.
    pub http: &'a [SocketAddr],
    /// HTTP over TLS.
    pub https: &'a [SocketAddr],
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// The sockets that listen.
#[derive(Debug)]
pub struct Sockets {
    /// Plain HTTP.
    pub http: Vec<Bound>,
    /// HTTP over TLS.
    pub https: Vec<Bound>,
    /// Metrics and health.
    pub admin: Bound,
}

/// What is told of a socket to the process that takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What it is for.
    pub role: Role,
    /// The address as the flag said it, maybe with port 0.
    pub asked: SocketAddr,
}

/// A second handle on each socket, for the process that takes them over. While one is there the socket listens.
#[derive(Debug, Default)]
pub struct Handles(pub Vec<(Label, OwnedFd)>);

/// Sockets that listened before this process began.
#[derive(Debug, Default)]
pub struct Kept(Vec<KeptSocket>);

#[derive(Debug)]
struct KeptSocket {
    /// None: whatever its address is asked for.
    role: Option<Role>,
    /// The address that a flag must say to mean it.
    asked: SocketAddr,
    listener: TcpListener,
}

impl Role {
    fn of_name(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Admin => "admin",
        })
    }
}

impl Kept {
    /// The sockets that systemd, or whoever speaks its protocol, hands to this process (`LISTEN_FDS`, `LISTEN_PID`).
    /// A socket belongs to the flag that says its address; its name (`LISTEN_FDNAMES`), where it is http, https or
    /// admin, must be that flag's.
    pub fn from_supervisor() -> Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut handed = ListenFd::from_env();
        let mut kept = Vec::new();
        for index in 0..handed.len() {
            let name = names.next().unwrap_or_default();
            let listener = handed
                .take_tcp_listener(index)
                .with_context(|| format!("LISTEN_FDS: socket {index} ({name:?})"))?
                .with_context(|| format!("LISTEN_FDS: socket {index} ({name:?}) is gone"))?;
            let asked = listener.local_addr().context("LISTEN_FDS")?;
            kept.push(KeptSocket {
                role: Role::of_name(name),
                asked,
                listener,
            });
        }
        Ok(Self(kept))
    }

    /// The sockets of the process that this one takes over from.
    pub fn from_predecessor(sockets: Vec<(Label, OwnedFd)>) -> Self {
        let kept = sockets.into_iter().map(|(label, socket)| KeptSocket {
            role: Some(label.role),
            asked: label.asked,
            listener: socket.into(),
        });
        Self(kept.collect())
    }

    fn take(&mut self, role: Role, asked: SocketAddr) -> Option<TcpListener> {
        let fits = |kept: &KeptSocket| {
            kept.asked == asked && kept.role.is_none_or(|of_kept| of_kept == role)
        };
        let index = self.0.iter().position(fits)?;
        Some(self.0.remove(index).listener)
    }

    /// A socket that nothing asks for holds clients who are never served.
    fn none_left(&self) -> Result<()> {
        let Some(left) = self.0.first() else {
            return Ok(());
        };
        let name = left.role.map_or(String::new(), |role| format!("{role} "));
        bail!(
            "a {name}socket at {} was handed over, but no flag asks for it: add --http, --https or --admin {}, or take it \
             out of the socket unit",
            left.asked,
            left.asked
        )
    }
}

impl Sockets {
    /// Takes what was kept and binds the rest.
    pub fn open(asked: Asked<'_>, mut kept: Kept) -> Result<Self> {
        let mut open = |role, address| match kept.take(role, address) {
            Some(listener) => Bound::kept(listener, address),
            None => bind(address).with_context(|| format!("--{role}")),
        };
        let mut all = |role, addresses: &[SocketAddr]| {
            addresses
                .iter()
                .map(|address| open(role, *address))
                .collect::<Result<Vec<_>>>()
        };
        let http = all(Role::Http, asked.http)?;
        let https = all(Role::Https, asked.https)?;
        let admin = open(Role::Admin, asked.admin)?;
        kept.none_left()?;
        Ok(Self { http, https, admin })
    }

    /// A second handle on each, to hand over later.
    pub fn handles(&self) -> Result<Handles> {
        let of = |role, bound: &[Bound]| {
            bound
                .iter()
                .map(|bound| {
                    let label = Label {
                        role,
                        asked: bound.asked,
                    };
                    Ok((label, bound.handle()?))
                })
                .collect::<Result<Vec<_>>>()
        };
        let mut handles = of(Role::Http, &self.http)?;
        handles.extend(of(Role::Https, &self.https)?);
        handles.extend(of(Role::Admin, std::slice::from_ref(&self.admin))?);
        Ok(Handles(handles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(role: Option<Role>, listener: &TcpListener) -> KeptSocket {
        KeptSocket {
            role,
            asked: listener.local_addr().unwrap(),
            listener: listener.try_clone().unwrap(),
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_taken_and_the_rest_is_bound() {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked {
            http: &[address, any],
            https: &[],
            admin: any,
        };
        let sockets = Sockets::open(asked, Kept(vec![kept(None, &listener)])).unwrap();
        assert_eq!(sockets.http[0].address, address);
        assert_ne!(sockets.http[1].address, address);
        // What is handed on is found again under what was asked for, although the port is another.
        let handles = sockets.handles().unwrap().0;
        assert_eq!(handles.len(), 3);
        let bound = (sockets.http[1].address, sockets.admin.address);
        drop(sockets);
        let again = Sockets::open(asked, Kept::from_predecessor(handles)).unwrap();
        assert_eq!((again.http[1].address, again.admin.address), bound);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_asks_for_is_told() {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = |http: SocketAddr, kept| {
            let asked = Asked {
                http: &[http],
                https: &[],
                admin: any,
            };
            Sockets::open(asked, Kept(vec![kept]))
        };
        let error = open(any, kept(None, &listener)).unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("--http"),
            "{error}"
        );
        // Its name says that it is for something else.
        let error = open(address, kept(Some(Role::Https), &listener)).unwrap_err();
        assert!(format!("{error:#}").contains("--http"), "{error:#}");
        open(address, kept(Some(Role::Http), &listener)).unwrap();
    }
}
