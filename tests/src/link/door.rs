//! How an edge that is played comes in to a control: the one place that knows of addresses and credentials.

use super::stub::fleet_client::FleetClient;
use crate::{Control, certificates::pem};
use anyhow::Context as _;
use latencify_conf::{
    bundle::Bundle,
    change::ENTRY_BYTES_MAX,
    digest::Digest,
    link::{
        message::{EnrollRequest, FromEdge, PolicyRequest, ToEdge},
        trust::CONTROL_NAME,
    },
};
use parking_lot::Mutex;
use std::{collections::HashMap, fs, path::Path, sync::Arc};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// The most bytes of one message, as a gateway takes them.
const MESSAGE_BYTES_MAX: usize = 8 * ENTRY_BYTES_MAX;

/// The way to a control, as long as that keeps its addresses. A clone knows the same certificates.
#[derive(Clone)]
pub struct Door {
    endpoint: Endpoint,
    trust: ClientTlsConfig,
    token: MetadataValue<Ascii>,
    /// What edges have got, by name: they keep it.
    got: Arc<Mutex<HashMap<String, Identity>>>,
}

/// A connection of one edge.
#[derive(Debug, Clone)]
pub(super) struct Line {
    stub: FleetClient<Channel>,
}

impl Door {
    /// To that control, with its join token.
    ///
    /// # Panics
    /// When the control's CA can't be read.
    pub fn of(control: &Control) -> Self {
        let endpoint = Endpoint::from_shared(control.fleet_url())
            .unwrap()
            .tcp_nodelay(true);
        let trust = match control.ca_file() {
            Some(ca) => ClientTlsConfig::new().ca_certificate(certificate(&ca)),
            None => ClientTlsConfig::new()
                .ca_certificate(certificate(&control.fleet_ca_file()))
                .domain_name(CONTROL_NAME),
        };
        let token = format!("Bearer {}", control.join_token());
        Self {
            endpoint,
            trust,
            token: token.parse().unwrap(),
            got: Arc::default(),
        }
    }

    /// A connection of its own, as every edge has, with the certificate of that edge.
    pub(super) async fn open(&self, edge: &str) -> anyhow::Result<Line> {
        let known = self.got.lock().get(edge).cloned();
        let identity = match known {
            Some(known) => known,
            None => self.enrol(edge).await?,
        };
        let stub = self.connect(self.trust.clone().identity(identity)).await?;
        Ok(Line { stub })
    }

    async fn connect(&self, tls: ClientTlsConfig) -> anyhow::Result<FleetClient<Channel>> {
        let channel = self.endpoint.clone().tls_config(tls)?.connect().await?;
        Ok(FleetClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    async fn enrol(&self, edge: &str) -> anyhow::Result<Identity> {
        let key = rcgen::KeyPair::generate()?;
        let request = rcgen::CertificateParams::default().serialize_request(&key)?;
        let mut request = Request::new(EnrollRequest {
            edge: edge.to_owned(),
            request: request.der().to_vec().into(),
        });
        request
            .metadata_mut()
            .insert("authorization", self.token.clone());
        let mut stub = self.connect(self.trust.clone()).await?;
        let enrolled = stub.enroll(request).await?.into_inner();
        let certificate = enrolled.chain.first().context("no certificate")?;
        let identity = Identity::from_pem(pem(certificate), key.serialize_pem());
        self.got.lock().insert(edge.to_owned(), identity.clone());
        Ok(identity)
    }
}

fn certificate(file: &Path) -> Certificate {
    Certificate::from_pem(fs::read(file).unwrap())
}

impl Line {
    /// Opens the stream.
    pub(super) async fn attach(
        &mut self,
        said: mpsc::Receiver<FromEdge>,
    ) -> anyhow::Result<Streaming<ToEdge>> {
        let said = ReceiverStream::new(said);
        Ok(self.stub.attach(said).await?.into_inner())
    }

    /// The files of a policy, verified against their digest.
    pub(super) async fn fetch(mut self, digest: Digest) -> anyhow::Result<()> {
        let request = PolicyRequest {
            digest: bytes::Bytes::copy_from_slice(&digest.0),
        };
        let mut chunks = self.stub.fetch_policy(request).await?.into_inner();
        let mut json = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            json.extend_from_slice(&chunk.bytes);
        }
        let bundle: Bundle = serde_json::from_slice(&json).context("not a bundle")?;
        let found = bundle.digest();
        anyhow::ensure!(found == digest, "{found} came, asked for was {digest}");
        Ok(())
    }
}
