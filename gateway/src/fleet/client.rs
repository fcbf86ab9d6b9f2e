//! Calls to control.

use super::{FleetError, enroll::Passport};
use crate::{
    purge::PurgeRefused,
    secrets::{SECRETS_MAX, Secrets, Value},
};
use latencify_conf::{
    bundle::{BUNDLE_BYTES_MAX, Bundle},
    change::ENTRY_BYTES_MAX,
    digest::Digest,
    link::message,
    policy::{SECRET_BYTES_MAX, SecretName},
};
use std::{sync::Arc, time::Duration};
use stub::fleet_client::FleetClient;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use zeroize::Zeroizing;

/// The calls, as generated.
#[allow(missing_docs, clippy::pedantic)]
pub mod stub {
    tonic::include_proto!("latencify.link.v1");
}

/// The most bytes of one message: an entry, or a policy target with the ids of many sites.
pub const MESSAGE_BYTES_MAX: usize = 8 * ENTRY_BYTES_MAX;
/// The most bytes of a bundle as JSON, whose texts may need escapes.
const BUNDLE_JSON_BYTES_MAX: usize = 2 * BUNDLE_BYTES_MAX;
/// The next chunk of a bundle must come within this.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);
/// A client's purge must be answered within this: it is appended, committed and folded.
const PURGE_WITHIN: Duration = Duration::from_secs(10);

/// Control, as an edge calls it: over a connection that shows the edge's present certificate.
#[derive(Clone)]
pub struct Client {
    passport: Arc<Passport>,
}

/// Calls over this channel.
pub(super) fn stub(channel: Channel) -> FleetClient<Channel> {
    FleetClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

impl Client {
    /// Calls with this passport.
    pub fn new(passport: Arc<Passport>) -> Self {
        Self { passport }
    }

    /// What is shown to control.
    pub fn passport(&self) -> &Passport {
        &self.passport
    }

    /// Opens the stream; with it comes what keeps its connection, whatever is shown on the next one.
    pub async fn attach(
        &self,
        messages: ReceiverStream<message::FromEdge>,
    ) -> Result<(Streaming<message::ToEdge>, FleetClient<Channel>), Status> {
        let mut stub = self.passport.client()?;
        let stream = stub.attach(messages).await?.into_inner();
        Ok((stream, stub))
    }

    /// The files of a policy, verified against their digest.
    pub async fn fetch_policy(&self, digest: Digest) -> Result<Bundle, String> {
        let late = |_| format!("no answer from control within {CHUNK_WITHIN:?}");
        let failed = |status: Status| FleetError::describe(&status);
        let request = message::PolicyRequest {
            digest: bytes::Bytes::copy_from_slice(&digest.0),
        };
        let mut stub = self.passport.client().map_err(failed)?;
        let mut chunks = timeout(CHUNK_WITHIN, stub.fetch_policy(request))
            .await
            .map_err(late)?
            .map_err(failed)?
            .into_inner();
        let mut json = Vec::new();
        while let Some(chunk) = timeout(CHUNK_WITHIN, chunks.message())
            .await
            .map_err(late)?
            .map_err(failed)?
        {
            if json.len() + chunk.bytes.len() > BUNDLE_JSON_BYTES_MAX {
                return Err(format!("larger than {BUNDLE_JSON_BYTES_MAX} bytes"));
            }
            json.extend_from_slice(&chunk.bytes);
        }
        let bundle: Bundle =
            serde_json::from_slice(&json).map_err(|error| format!("not a bundle: {error}"))?;
        let found = bundle.digest();
        if found != digest {
            return Err(format!(
                "control sent files with the digest {found}, asked for was {digest}"
            ));
        }
        Ok(bundle)
    }

    /// The secrets that a policy names, as far as control has them. A control that knows of none is older than they are.
    pub async fn fetch_secrets(&self, digest: Digest) -> Result<Secrets, String> {
        let late = |_| format!("no answer from control within {CHUNK_WITHIN:?}");
        let failed = |status: Status| FleetError::describe(&status);
        let request = message::SecretsRequest {
            digest: bytes::Bytes::copy_from_slice(&digest.0),
        };
        let mut stub = self.passport.client().map_err(failed)?;
        let answer = timeout(CHUNK_WITHIN, stub.fetch_secrets(request))
            .await
            .map_err(late)?;
        let mut given = match answer {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(Secrets::default()),
            Err(status) => return Err(failed(status)),
        };
        let mut secrets = Vec::new();
        while let Some(secret) = timeout(CHUNK_WITHIN, given.message())
            .await
            .map_err(late)?
            .map_err(failed)?
        {
            if secrets.len() >= SECRETS_MAX || secret.value.len() > SECRET_BYTES_MAX {
                return Err("control gives more than an edge takes".to_owned());
            }
            let value = Value::exactly(Zeroizing::new(secret.value.to_vec()));
            secrets.push((SecretName::from(secret.name.as_str()), value));
        }
        Ok(secrets.into_iter().collect())
    }

    /// Takes a client's purge to the log.
    pub async fn purge(
        &self,
        purge: message::EdgePurge,
    ) -> Result<message::EdgePurgeAnswer, PurgeRefused> {
        let mut stub = self
            .passport
            .client()
            .map_err(|status| PurgeRefused::Unreachable(FleetError::describe(&status)))?;
        let answer = timeout(PURGE_WITHIN, stub.purge(purge))
            .await
            .map_err(|_| PurgeRefused::Unreachable(format!("no answer within {PURGE_WITHIN:?}")))?;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| match status.code() {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented => PurgeRefused::Refused(status.message().to_owned()),
                _ => PurgeRefused::Unreachable(FleetError::describe(&status)),
            })
    }
}
