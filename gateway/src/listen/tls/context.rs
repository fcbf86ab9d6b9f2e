//! The settings of TLS for one certificate.

use anyhow::{Context as _, Result, bail};
use latencify_conf::policy::TlsVersion;
use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    sha::sha256,
    ssl::{
        AlpnError, SniError, SslAcceptor, SslAcceptorBuilder, SslAlert, SslMethod, SslMode,
        SslOptions, SslSessionCacheMode, SslVersion, select_next_proto,
    },
    x509::X509,
};
use parking_lot::Mutex;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tracing::error;

/// Protocols offered, the preferred one first (RFC 7301 §3.1).
const ALPN_OFFERED: &[u8] = b"\x02h2\x08http/1.1";
/// Mozilla's "intermediate", without finite-field Diffie-Hellman, which nobody needs who has elliptic curves, and whose
/// server can be kept busy by whoever asks.
const CIPHERS_1_2: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
const CIPHERS_1_3: &str =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/// Of these the first list that the library knows: post-quantum key exchange came with OpenSSL 3.5.
const GROUPS: [&str; 2] = ["X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"];
/// Without SHA-1, whatever the system's configuration says.
const SIGNATURES: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:\
    rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
    RSA+SHA256:RSA+SHA384:RSA+SHA512";
/// Who steals a ticket key reads the sessions that it was used for; after this time it is used for no more. Older
/// tickets are answered by a full handshake.
const TICKET_KEY_TIME: Duration = Duration::from_hours(12);

/// The settings of TLS for one certificate, with its ticket keys.
pub struct Context {
    material: Option<Material>,
    min: TlsVersion,
    /// What a session belongs to: certificate, key, and oldest version.
    identity: [u8; 32],
    current: Mutex<Current>,
}

struct Current {
    settings: SslAcceptor,
    since: Instant,
}

struct Material {
    leaf: X509,
    intermediates: Vec<X509>,
    key: PKey<Private>,
}

impl Context {
    /// For the certificate and intermediates in one PEM file and the key in another.
    pub(super) fn load(chain: &Path, key: &Path, min: TlsVersion) -> Result<Self> {
        let material = Material::read(chain, key)?;
        let identity = material.identity(min).context("digest")?;
        let settings = build(Some(&material), min, &identity)
            .with_context(|| format!("{}: the TLS library does not take it", chain.display()))?;
        Ok(Self::of(Some(material), min, identity, settings))
    }

    /// For names that have no certificate: an alert says so (RFC 6066 §3).
    pub(super) fn nobody() -> Result<Self> {
        let identity = [0; 32];
        let min = TlsVersion::default();
        let settings = build(None, min, &identity).context("TLS settings")?;
        Ok(Self::of(None, min, identity, settings))
    }

    fn of(
        material: Option<Material>,
        min: TlsVersion,
        identity: [u8; 32],
        settings: SslAcceptor,
    ) -> Self {
        Self {
            material,
            min,
            identity,
            current: Mutex::new(Current {
                settings,
                since: Instant::now(),
            }),
        }
    }

    /// Whether sessions of one may go on in the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// The library's settings, whose ticket keys are young enough.
    pub(super) fn settings(&self) -> SslAcceptor {
        self.settings_at(Instant::now())
    }

    fn settings_at(&self, now: Instant) -> SslAcceptor {
        let mut current = self.current.lock();
        if now.saturating_duration_since(current.since) >= TICKET_KEY_TIME {
            match build(self.material.as_ref(), self.min, &self.identity) {
                Ok(settings) => current.settings = settings,
                // What was built before is built again: out of memory, at most.
                Err(error) => error!(%error, "TLS ticket keys could not be renewed"),
            }
            current.since = now;
        }
        current.settings.clone()
    }
}

impl Material {
    fn read(chain: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
        };
        let mut certificates = X509::stack_from_pem(&read(chain)?)
            .with_context(|| format!("{} holds no PEM certificates", chain.display()))?
            .into_iter();
        let Some(leaf) = certificates.next() else {
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
            intermediates: certificates.collect(),
            key: private,
        })
    }

    /// The certificates name the key, which was checked to be theirs.
    fn identity(&self, min: TlsVersion) -> Result<[u8; 32], ErrorStack> {
        let mut octets = vec![min as u8];
        for certificate in std::iter::once(&self.leaf).chain(&self.intermediates) {
            octets.extend(certificate.to_der()?);
        }
        Ok(sha256(&octets))
    }

    fn use_for(&self, builder: &mut SslAcceptorBuilder) -> Result<(), ErrorStack> {
        builder.set_certificate(&self.leaf)?;
        builder.set_private_key(&self.key)?;
        self.intermediates
            .iter()
            .try_for_each(|certificate| builder.add_extra_chain_cert(certificate.clone()))
    }
}

fn build(
    material: Option<&Material>,
    min: TlsVersion,
    identity: &[u8; 32],
) -> Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    builder.set_min_proto_version(Some(match min {
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }))?;
    builder.set_cipher_list(CIPHERS_1_2)?;
    builder.set_ciphersuites(CIPHERS_1_3)?;
    builder.set_sigalgs_list(SIGNATURES)?;
    let [preferred, usual] = GROUPS;
    builder
        .set_groups_list(preferred)
        .or_else(|_| builder.set_groups_list(usual))?;
    // AES first where the client has it in hardware; a client that puts ChaCha20 first has not.
    builder.set_options(
        SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::PRIORITIZE_CHACHA,
    );
    // An idle connection holds no buffers.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    // Sessions are kept by clients, in tickets. A request in early data could be replayed: there is none.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_max_early_data(0)?;
    builder.set_session_id_context(identity)?;
    // A client that offers only what is not spoken here gets an alert instead of a protocol that it did not offer
    // (RFC 7301 §3.2).
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(ALPN_OFFERED, offered).ok_or(AlpnError::ALERT_FATAL)
    });
    match material {
        Some(material) => material.use_for(&mut builder)?,
        None => builder.set_servername_callback(|_, alert| {
            *alert = SslAlert::UNRECOGNIZED_NAME;
            Err(SniError::ALERT_FATAL)
        }),
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests;
