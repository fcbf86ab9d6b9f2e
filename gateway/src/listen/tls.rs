//! TLS towards clients: the certificate is chosen by the name that the client asks for (SNI), among those of the
//! policy that runs at that moment. This is the only module that knows the TLS library.

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use latencify_conf::policy::{CertificateId, HostPattern, Policy};
use openssl::{
    pkey::{PKey, Private},
    ssl::{AlpnError, NameType, SslAcceptor, SslMethod, SslOptions, SslVersion, select_next_proto},
    x509::X509,
};
use pingora::{
    listeners::TlsAccept,
    protocols::{
        IO,
        tls::{SslStream, TlsRef, server::handshake_with_callback},
    },
    tls::ext,
};
use std::{path::Path, sync::Arc};
use tracing::debug;

/// Protocols offered, the preferred one first (RFC 7301 §3.1).
const ALPN_OFFERED: &[u8] = b"\x02h2\x08http/1.1";

/// The certificates of one policy, loaded and checked.
#[derive(Default)]
pub struct Certificates {
    loaded: Vec<Arc<Loaded>>,
    hosts: Vec<(HostPattern, CertificateId)>,
}

struct Loaded {
    leaf: X509,
    intermediates: Vec<X509>,
    key: PKey<Private>,
}

/// Where the certificates of the running policy are read from on each handshake.
pub type CertificateSource = Arc<ArcSwapOption<Certificates>>;

/// Speaks TLS with clients.
pub struct Acceptor {
    settings: SslAcceptor,
    chooser: Chooser,
}

struct Chooser(CertificateSource);

impl Certificates {
    /// Loads every certificate of the policy; one that can't be read or does not fit its key fails all.
    pub fn load(policy: &Policy, folder: &Path) -> Result<Self> {
        let loaded = policy
            .certificates
            .iter()
            .map(|certificate| {
                Loaded::read(
                    &folder.join(&certificate.chain),
                    &folder.join(&certificate.key),
                )
                .map(Arc::new)
                .with_context(|| format!("certificate {}", certificate.name))
            })
            .collect::<Result<Vec<_>>>()?;
        let hosts = policy
            .sites
            .iter()
            .filter_map(|site| site.certificate.map(|id| (site, id)))
            .flat_map(|(site, id)| site.hosts.iter().map(move |host| (host.clone(), id)))
            .collect();
        Ok(Self { loaded, hosts })
    }

    /// The certificate for a name: an exact host first, then the longest wildcard, then `*`. A client that names
    /// nobody gets that of `*`, else the first of the policy.
    fn choose(&self, name: Option<&str>) -> Option<&Arc<Loaded>> {
        let host = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let fits = |pattern: &HostPattern| match &host {
            Some(host) => pattern.matches(host),
            None => *pattern == HostPattern::Any,
        };
        let best = self
            .hosts
            .iter()
            .filter(|(pattern, _)| fits(pattern))
            .max_by_key(|(pattern, _)| pattern.precedence());
        match (best, &host) {
            (Some((_, id)), _) => self.loaded.get(id.0),
            (None, None) => self.loaded.first(),
            (None, Some(_)) => None,
        }
    }
}

impl Loaded {
    fn read(chain: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
        };
        let mut chain_certificates = X509::stack_from_pem(&read(chain)?)
            .with_context(|| format!("{} holds no PEM certificates", chain.display()))?
            .into_iter();
        let Some(leaf) = chain_certificates.next() else {
            bail!("{} holds no certificate", chain.display())
        };
        let private = PKey::private_key_from_pem(&read(key)?)
            .with_context(|| format!("{} holds no PEM private key", key.display()))?;
        let public = leaf
            .public_key()
            .with_context(|| format!("public key of {}", chain.display()))?;
        if !public.public_eq(&private) {
            bail!(
                "the key in {} is not that of the certificate in {}",
                key.display(),
                chain.display()
            );
        }
        Ok(Self {
            leaf,
            intermediates: chain_certificates.collect(),
            key: private,
        })
    }

    fn use_for(&self, ssl: &mut TlsRef) -> Result<(), openssl::error::ErrorStack> {
        ext::ssl_use_certificate(ssl, &self.leaf)?;
        ext::ssl_use_private_key(ssl, &self.key)?;
        self.intermediates
            .iter()
            .try_for_each(|certificate| ext::ssl_add_chain_cert(ssl, certificate))
    }
}

impl Acceptor {
    /// TLS 1.2 and 1.3, HTTP/2 preferred over HTTP/1.1.
    pub fn new(source: CertificateSource) -> Result<Self> {
        let mut builder =
            SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).context("TLS settings")?;
        builder
            .set_min_proto_version(Some(SslVersion::TLS1_2))
            .context("TLS versions")?;
        builder.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(ALPN_OFFERED, offered).ok_or(AlpnError::NOACK)
        });
        Ok(Self {
            settings: builder.build(),
            chooser: Chooser(source),
        })
    }

    /// The server's side of the handshake.
    pub async fn handshake<S: IO>(&self, stream: S) -> pingora::Result<SslStream<S>> {
        handshake_with_callback(&self.settings, stream, &self.chooser).await
    }
}

#[async_trait]
impl TlsAccept for Chooser {
    // Without a certificate the handshake fails by itself, with an alert to the client.
    async fn certificate_callback(&self, ssl: &mut TlsRef) {
        let certificates = self.0.load_full();
        let name = ssl.servername(NameType::HOST_NAME).map(str::to_owned);
        let Some(chosen) = certificates
            .as_ref()
            .and_then(|all| all.choose(name.as_deref()).cloned())
        else {
            debug!(
                name = name.as_deref().unwrap_or("-"),
                "no certificate for this name"
            );
            return;
        };
        if let Err(error) = chosen.use_for(ssl) {
            debug!(%error, "certificate not usable for this handshake");
        }
    }
}
