//! Calls to control.

use super::FleetError;
use crate::purge::PurgeRefused;
use latencify_conf::{
    bundle::{BUNDLE_BYTES_MAX, Bundle},
    change::ENTRY_BYTES_MAX,
    digest::Digest,
    link::message,
};
use std::time::Duration;
use stub::fleet_client::FleetClient;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

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

/// Control, as an edge calls it.
#[derive(Clone)]
pub struct Client {
    stub: FleetClient<InterceptedService<Channel, Token>>,
}

/// Puts the join token on every call.
#[derive(Clone)]
struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Client {
    /// Calls over this channel with this `authorization`.
    pub fn new(channel: Channel, authorization: MetadataValue<Ascii>) -> Self {
        let stub = FleetClient::with_interceptor(channel, Token(authorization))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self { stub }
    }

    /// Opens the stream.
    pub async fn attach(
        &self,
        messages: ReceiverStream<message::FromEdge>,
    ) -> Result<Streaming<message::ToEdge>, Status> {
        Ok(self.stub.clone().attach(messages).await?.into_inner())
    }

    /// The files of a policy, verified against their digest.
    pub async fn fetch_policy(&self, digest: Digest) -> Result<Bundle, String> {
        let late = |_| format!("no answer from control within {CHUNK_WITHIN:?}");
        let failed = |status: Status| FleetError::describe(&status);
        let request = message::PolicyRequest {
            digest: bytes::Bytes::copy_from_slice(&digest.0),
        };
        let mut stub = self.stub.clone();
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

    /// Takes a client's purge to the log.
    pub async fn purge(
        &self,
        purge: message::EdgePurge,
    ) -> Result<message::EdgePurgeAnswer, PurgeRefused> {
        let mut stub = self.stub.clone();
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
