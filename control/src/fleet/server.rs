//! The gRPC face of the fleet, behind the join token.

use super::{Fleet, session};
use crate::{
    auth::{Token, bearer},
    serve::token_shown,
    verbs::{Control, Location, Refused},
};
use futures::Stream;
use latencify_conf::{
    change::{Mode, ProcessId, SiteId},
    digest::Digest,
    link::message::{EdgePurge, EdgePurgeAnswer, FromEdge, PolicyChunk, PolicyRequest, ToEdge},
};
use std::pin::Pin;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

/// The stubs, as generated.
#[allow(missing_docs, clippy::pedantic, clippy::all)]
pub(super) mod stub {
    include!(concat!(env!("OUT_DIR"), "/latencify.link.v1.rs"));
}

/// Messages on their way to one edge; the session waits when the edge takes none.
const OUTBOUND_MAX: usize = 64;
/// Bytes of one chunk of a policy.
const CHUNK_BYTES: usize = 256 * 1024;
/// The most bytes of one message from an edge.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The service.
pub struct FleetService {
    control: Control,
    token: Token,
}

/// The gRPC routes, as a service for HTTP/2.
pub fn routes(control: Control, token: Token) -> axum::Router {
    let service = stub::fleet_server::FleetServer::new(FleetService { control, token })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    tonic::service::Routes::new(service).into_axum_router()
}

impl FleetService {
    fn authorise<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        match header.and_then(bearer) {
            Some(token) if self.token.is(token) => {
                token_shown(request.extensions());
                Ok(())
            }
            Some(_) => Err(Status::unauthenticated(
                "the join token is not this fleet's",
            )),
            None => Err(Status::unauthenticated(
                "send the join token: authorization: Bearer TOKEN",
            )),
        }
    }

    fn fleet(&self) -> &Fleet {
        &self.control.fleet
    }
}

type Chunks = Pin<Box<dyn Stream<Item = Result<PolicyChunk, Status>> + Send>>;

#[tonic::async_trait]
impl stub::fleet_server::Fleet for FleetService {
    type AttachStream = ReceiverStream<Result<ToEdge, Status>>;
    type FetchPolicyStream = Chunks;

    async fn attach(
        &self,
        request: Request<Streaming<FromEdge>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.authorise(&request)?;
        let (outbound, messages) = mpsc::channel(OUTBOUND_MAX);
        let fleet = self.fleet().clone();
        fleet
            .sessions
            .spawn(session::run(fleet.clone(), request.into_inner(), outbound));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn fetch_policy(
        &self,
        request: Request<PolicyRequest>,
    ) -> Result<Response<Chunks>, Status> {
        self.authorise(&request)?;
        let digest: [u8; 32] = request.into_inner().digest[..]
            .try_into()
            .map_err(|_| Status::invalid_argument("a digest is 32 bytes"))?;
        let digest = Digest(digest);
        let blob = self
            .fleet()
            .store
            .blob(digest)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let blob = blob.ok_or_else(|| {
            Status::not_found(format!(
                "the files of policy {digest} are not in this replica's store: submit the policy again"
            ))
        })?;
        let blob = bytes::Bytes::from(blob);
        let chunks = (0..blob.len()).step_by(CHUNK_BYTES).map(move |start| {
            Ok(PolicyChunk {
                bytes: blob.slice(start..blob.len().min(start + CHUNK_BYTES)),
            })
        });
        Ok(Response::new(Box::pin(futures::stream::iter(chunks))))
    }

    async fn purge(
        &self,
        request: Request<EdgePurge>,
    ) -> Result<Response<EdgePurgeAnswer>, Status> {
        self.authorise(&request)?;
        let EdgePurge {
            key,
            soft,
            process,
            site,
            path,
            host,
        } = request.into_inner();
        let process = Uuid::from_slice(&process)
            .map_err(|_| Status::invalid_argument("a process is 16 bytes"))?;
        let mode = if soft { Mode::Soft } else { Mode::Hard };
        let purged = self
            .control
            .purge_from_edge(
                ProcessId(process),
                SiteId(site),
                Location {
                    host: &host,
                    path: &path,
                },
                mode,
                &key,
            )
            .await;
        let purged = purged.map_err(|refused| status(&refused))?;
        Ok(Response::new(EdgePurgeAnswer {
            id: purged.id.to_string(),
            epoch: purged.epoch.0,
        }))
    }
}

fn status(refused: &Refused) -> Status {
    let text = refused.to_string();
    match refused {
        Refused::Store(_)
        | Refused::Write(_)
        | Refused::PolicyUnreadable { .. }
        | Refused::HeadMoves => Status::unavailable(text),
        Refused::NotFound(_) => Status::not_found(text),
        _ => Status::invalid_argument(text),
    }
}
