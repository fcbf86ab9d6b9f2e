//! The gRPC face of the fleet. Who calls is known by its certificate; the one call that goes without shows a join token.

use super::{Fleet, session};
use crate::{
    auth::{Token, bearer},
    pki::{Presented, enrol::NotEnrolled},
    serve::{PeerCertificate, token_shown},
    verbs::{Control, Location, Refused},
};
use futures::Stream;
use latencify_conf::{
    change::{Mode, ProcessId, SiteId},
    digest::Digest,
    link::message::{
        EdgePurge, EdgePurgeAnswer, EnrollRequest, Enrolled, FromEdge, PolicyChunk, PolicyRequest,
        RenewRequest, Secret, SecretsRequest, ToEdge,
    },
};
use std::pin::Pin;
use time::OffsetDateTime;
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
    join: Token,
}

/// The gRPC routes, as a service for HTTP/2.
pub fn routes(control: Control, join: Token) -> axum::Router {
    let service = stub::fleet_server::FleetServer::new(FleetService { control, join })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    tonic::service::Routes::new(service).into_axum_router()
}

impl FleetService {
    /// Which edge calls, by its certificate: TLS has verified it, and the log says nothing against it.
    fn identify<T>(&self, request: &Request<T>) -> Result<Presented, Status> {
        let certificate = request.extensions().get::<PeerCertificate>();
        let certificate = certificate.ok_or_else(|| {
            Status::unauthenticated(
                "present the certificate of an edge: `latencify edge invite NAME` makes a token to get one with",
            )
        })?;
        let presented = Presented::read(&certificate.0)
            .ok_or_else(|| Status::unauthenticated("the certificate is no edge's"))?;
        if presented.until <= OffsetDateTime::now_utc() {
            let why = format!("the certificate of {} has expired", presented.edge);
            return Err(Status::unauthenticated(why));
        }
        if self.fleet().has_revoked(&presented) {
            return Err(Status::permission_denied(revoked(&presented)));
        }
        token_shown(request.extensions());
        Ok(presented)
    }

    fn fleet(&self) -> &Fleet {
        &self.control.fleet
    }
}

type Secrets = Pin<Box<dyn Stream<Item = Result<Secret, Status>> + Send>>;
type Chunks = Pin<Box<dyn Stream<Item = Result<PolicyChunk, Status>> + Send>>;

#[tonic::async_trait]
impl stub::fleet_server::Fleet for FleetService {
    type AttachStream = ReceiverStream<Result<ToEdge, Status>>;
    type FetchPolicyStream = Chunks;
    type FetchSecretsStream = Secrets;

    async fn attach(
        &self,
        request: Request<Streaming<FromEdge>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let caller = self.identify(&request)?;
        let (outbound, messages) = mpsc::channel(OUTBOUND_MAX);
        let fleet = self.fleet().clone();
        fleet.sessions.spawn(session::run(
            fleet.clone(),
            caller,
            request.into_inner(),
            outbound,
        ));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<Enrolled>, Status> {
        let header = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = header
            .and_then(bearer)
            .ok_or_else(|| not_enrolled(&NotEnrolled::NoToken))?;
        let pki = &self.control.pki;
        let admitted = pki
            .admits(&self.join, token)
            .await
            .map_err(|why| not_enrolled(&why))?;
        token_shown(request.extensions());
        let EnrollRequest { edge, request } = request.into_inner();
        let enrolled = pki.enrol(admitted, &edge, &request).await;
        enrolled
            .map(Response::new)
            .map_err(|why| not_enrolled(&why))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Enrolled>, Status> {
        let caller = self.identify(&request)?;
        let request = request.into_inner().request;
        let enrolled = self.control.pki.renew(&caller.edge, &request).await;
        enrolled
            .map(Response::new)
            .map_err(|why| not_enrolled(&why))
    }

    async fn fetch_policy(
        &self,
        request: Request<PolicyRequest>,
    ) -> Result<Response<Chunks>, Status> {
        self.identify(&request)?;
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

    async fn fetch_secrets(
        &self,
        request: Request<SecretsRequest>,
    ) -> Result<Response<Self::FetchSecretsStream>, Status> {
        self.identify(&request)?;
        let digest: [u8; 32] = request.into_inner().digest[..]
            .try_into()
            .map_err(|_| Status::invalid_argument("a digest is 32 bytes"))?;
        let given = self.control.secrets_of(Digest(digest)).await;
        let given = given.map_err(|refused| status(&refused))?;
        let secrets = given.into_iter().map(|given| {
            Ok(Secret {
                value: bytes::Bytes::copy_from_slice(&given.value),
                name: given.name,
                version: given.version,
            })
        });
        Ok(Response::new(Box::pin(futures::stream::iter(secrets))))
    }

    async fn purge(
        &self,
        request: Request<EdgePurge>,
    ) -> Result<Response<EdgePurgeAnswer>, Status> {
        let caller = self.identify(&request)?;
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
        let state = self.fleet().fold.state();
        if let Some(member) = state.roster.get(&ProcessId(process))
            && member.edge != caller.edge
        {
            let why = format!(
                "the process is one of {}, not of {}",
                member.edge, caller.edge
            );
            return Err(Status::permission_denied(why));
        }
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

/// What an edge is told whose certificate was revoked.
pub(super) fn revoked(certificate: &Presented) -> String {
    format!(
        "the certificate of {edge} (serial number {serial}) was revoked: `latencify edge invite {edge}` makes a token to get \
         another with, if it is to come back",
        edge = certificate.edge,
        serial = certificate.serial
    )
}

fn not_enrolled(why: &NotEnrolled) -> Status {
    let text = why.to_string();
    tracing::warn!(reason = why.as_str(), "an edge got no certificate: {text}");
    match why {
        NotEnrolled::NoToken
        | NotEnrolled::UnknownToken
        | NotEnrolled::Expired(_)
        | NotEnrolled::Used(_) => Status::unauthenticated(text),
        NotEnrolled::OtherName { .. } | NotEnrolled::Barred(_) => Status::permission_denied(text),
        NotEnrolled::BadName(_) | NotEnrolled::BadRequest(_) => Status::invalid_argument(text),
        NotEnrolled::Failed(_) => Status::unavailable(text),
    }
}

fn status(refused: &Refused) -> Status {
    let text = refused.to_string();
    match refused {
        Refused::Store(_)
        | Refused::Sealed(_)
        | Refused::Write(_)
        | Refused::PolicyUnreadable { .. }
        | Refused::HeadMoves => Status::unavailable(text),
        Refused::NotFound(_) => Status::not_found(text),
        Refused::Forbidden(_) => Status::permission_denied(text),
        _ => Status::invalid_argument(text),
    }
}
