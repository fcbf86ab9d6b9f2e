//! Where a replica listens, before anything is answered there.

use crate::{settings::Settings, tls};
use anyhow::Context as _;
use rustls::sign::CertifiedKey;
use std::{fs, net::SocketAddr, path::Path};
use tokio::net::TcpListener;

/// The listeners, and what the operator has them show.
pub(super) struct Bound {
    pub(super) api: TcpListener,
    pub(super) fleet: TcpListener,
    pub(super) admin: TcpListener,
    /// None: control's own certificate is shown.
    pub(super) operators: Option<CertifiedKey>,
}

/// Where they listen, with the ports that the system chose.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) api: SocketAddr,
    pub(super) fleet: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Bound {
    /// Binds all three; an error names the flag.
    pub(super) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let operators = match (&settings.tls_cert, &settings.tls_key) {
            (Some(chain), Some(key)) => Some(tls::operators(chain, key)?),
            _ => None,
        };
        let listen = async |flag: &str, address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("{flag} {address} can't be listened on"))
        };
        Ok(Self {
            api: listen("--api", settings.api).await?,
            fleet: listen("--fleet", settings.fleet).await?,
            admin: listen("--admin", settings.admin).await?,
            operators,
        })
    }

    pub(super) fn addresses(&self) -> std::io::Result<Addresses> {
        Ok(Addresses {
            api: self.api.local_addr()?,
            fleet: self.fleet.local_addr()?,
            admin: self.admin.local_addr()?,
        })
    }
}

impl Addresses {
    /// Writes them, all at once.
    pub(super) fn tell(&self, file: &Path) -> std::io::Result<()> {
        let addresses =
            serde_json::json!({"api": self.api, "fleet": self.fleet, "admin": self.admin});
        let fresh = file.with_extension("new");
        fs::write(&fresh, addresses.to_string())?;
        fs::rename(fresh, file)
    }
}
