//! What the API and the fleet address show of themselves, and whom the latter lets in.

use crate::{
    data,
    pki::{self, Pki, ServerNames, Shown},
    seal::Seal,
    settings::Settings,
    store::Store,
    tls,
};
use anyhow::Context as _;
use rustls::sign::CertifiedKey;
use std::{
    fs,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What is shown on either address.
pub(super) struct Certificates {
    /// The fleet's own CA.
    pub(super) pki: Pki,
    /// None: the API is plain, on loopback.
    pub(super) api: Option<TlsAcceptor>,
    /// Always.
    pub(super) fleet: TlsAcceptor,
    own: Option<(Shown, ServerNames)>,
}

impl Certificates {
    /// The operator's certificate on both addresses if there is one, and otherwise control's own.
    pub(super) async fn open(
        settings: &Settings,
        operators: Option<CertifiedKey>,
        store: &Store,
        seal: &Seal,
        [api, fleet]: [SocketAddr; 2],
    ) -> anyhow::Result<Self> {
        let pki = Pki::open(store, seal, settings.certificate_lifetime)
            .await
            .context("opening the fleet's CA")?;
        publish(&settings.data, &pki);
        let speaks_tls = operators.is_some() || settings.api_needs_tls();
        let (shown, own) = if let Some(operators) = operators {
            (Shown::new(operators), None)
        } else {
            let listens: [IpAddr; 2] = [api.ip(), fleet.ip()];
            let names = ServerNames::new(&listens, &settings.api_names);
            let shown = Shown::new(pki.show(&names).context("control's own certificate")?);
            (shown.clone(), Some((shown, names)))
        };
        let shown = Arc::new(shown);
        let of_api = speaks_tls.then(|| tls::of_everybody(shown.clone()));
        if own.is_some() && speaks_tls {
            tracing::info!(
                "the API shows a certificate of the fleet's CA: `latencify --ca {}`, or `--ca-fingerprint {}` elsewhere",
                settings.data.join(pki::CA_FILE).display(),
                pki.fingerprint()?
            );
        }
        Ok(Self {
            api: of_api.transpose()?,
            fleet: tls::of_edges(shown, pki.authorities())?,
            pki,
            own,
        })
    }

    /// Replaces control's own certificate in time; nothing is to be done for the operator's.
    pub(super) fn keep(&self, stop: CancellationToken) -> Option<JoinHandle<()>> {
        let (shown, names) = self.own.clone()?;
        Some(tokio::spawn(
            self.pki.clone().keep_shown(shown, names, stop),
        ))
    }
}

/// Tells whoever may read the data folder which CAs are trusted.
fn publish(folder: &Path, pki: &Pki) {
    let file = folder.join(pki::CA_FILE);
    let text = pki.pem();
    if fs::read_to_string(&file).is_ok_and(|known| known == text) {
        return;
    }
    let fresh = file.with_extension("new");
    let written = data::private(&fresh).and_then(|mut open| {
        open.set_len(0)?;
        open.write_all(text.as_bytes())?;
        Ok(fs::rename(&fresh, &file)?)
    });
    if let Err(error) = written {
        // A replica starts on a full disk too.
        tracing::warn!(%error, file = %file.display(), "the fleet's CA is not told in the data folder");
    }
}
