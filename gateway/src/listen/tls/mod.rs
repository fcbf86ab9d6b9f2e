//! TLS towards clients: version 1.2 and 1.3, with the certificate for the name that the client asks for (SNI), among
//! those of the policy that runs at that moment. This folder alone knows the TLS library.
//!
//! The name is read from the client's first message before the library sees it ([`hello`]), and chooses a whole context
//! ([`context`]) and not only a certificate: each certificate has ticket keys of its own, so a session of one is nothing
//! to another, and ends when its certificate is replaced. (With one context for all, OpenSSL would look for the session
//! before anything could be said about the name.)

mod certificates;
mod context;
mod hello;

pub use certificates::{CertificateSource, Certificates};
pub use context::Context;

use pingora::{
    ErrorType::TLSHandshakeFailure,
    OrErr as _,
    protocols::{
        IO,
        l4::stream::Stream as Socket,
        tls::{SslStream, server::handshake},
    },
};
use std::sync::Arc;
use tracing::debug;

/// Speaks TLS with clients.
pub struct Acceptor {
    source: CertificateSource,
    /// For names that have no certificate: refuses with an alert.
    nobody: Arc<Context>,
}

/// What a client's first message has chosen.
pub struct Chosen(Arc<Context>);

impl Acceptor {
    /// An acceptor that shows the certificates of that source.
    pub fn new(source: CertificateSource) -> anyhow::Result<Self> {
        Ok(Self {
            source,
            nobody: Arc::new(Context::nobody()?),
        })
    }

    /// Reads the client's first message, which stays to be read, and chooses by it.
    pub async fn choose(&self, socket: &mut Socket) -> pingora::Result<Chosen> {
        let name = hello::read(socket)
            .await
            .or_err(TLSHandshakeFailure, "reading the client's first message")?;
        let certificates = self.source.load_full();
        let chosen = certificates.and_then(|all| all.choose(name.as_deref()).cloned());
        Ok(Chosen(chosen.unwrap_or_else(|| {
            debug!(
                name = name.as_deref().unwrap_or("-"),
                "no certificate for this name"
            );
            self.nobody.clone()
        })))
    }
}

impl Chosen {
    /// The server's side of the handshake.
    pub async fn handshake<S: IO>(&self, stream: S) -> pingora::Result<SslStream<S>> {
        handshake(&self.0.settings(), stream).await
    }
}
