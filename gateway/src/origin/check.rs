//! One active health check: an HTTP GET over a connection of its own, made as requests make theirs.

use super::{peer, signing::Signing};
use latencify_conf::policy::{HealthCheck, Origin, Scheme};
use pingora::{
    connectors::http::Connector, http::RequestHeader, protocols::http::client::HttpSession,
    upstreams::peer::HttpPeer,
};
use std::time::{Duration, SystemTime};

/// So much of the answer's body is read; what follows is of no interest.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

const USER_AGENT: &str = concat!("latencify-health/", env!("CARGO_PKG_VERSION"));

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailure {
    /// The origin's name has no address.
    #[error("no address")]
    NoAddress,
    /// It took longer than the policy grants.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// No connection.
    #[error("can't connect: {0}")]
    Connect(String),
    /// A connection, but no answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer that the policy does not expect.
    #[error("status {0}")]
    Status(u16),
}

impl CheckFailure {
    /// The name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::TimedOut(_) => "timed_out",
            Self::Connect(_) => "connect",
            Self::NoAnswer(_) => "no_answer",
            Self::Status(_) => "status",
        }
    }
}

/// Checks once.
pub async fn check(
    connector: &Connector,
    peer: &HttpPeer,
    origin: &Origin,
    rule: &HealthCheck,
    signing: Option<&Signing>,
) -> Result<(), CheckFailure> {
    let exchange = exchange(connector, peer, origin, rule, signing);
    tokio::time::timeout(rule.timeout, exchange)
        .await
        .unwrap_or(Err(CheckFailure::TimedOut(rule.timeout)))
}

async fn exchange(
    connector: &Connector,
    peer: &HttpPeer,
    origin: &Origin,
    rule: &HealthCheck,
    signing: Option<&Signing>,
) -> Result<(), CheckFailure> {
    // A connection is not used twice: a check also tells whether new ones are accepted. Nothing is given back to the
    // connector, and a connection that takes one stream is never shared.
    let mut peer = peer.clone();
    peer.options.max_h2_streams = 1;
    let (mut session, _) = connector
        .get_http_session(&peer)
        .await
        .map_err(|error| CheckFailure::Connect(error.to_string()))?;
    let status = ask(&mut session, origin, rule, signing)
        .await
        .map_err(|error| CheckFailure::NoAnswer(error.to_string()))?;
    session.shutdown().await;
    if rule.expect.contains(status) {
        Ok(())
    } else {
        Err(CheckFailure::Status(status))
    }
}

async fn ask(
    session: &mut HttpSession,
    origin: &Origin,
    rule: &HealthCheck,
    signing: Option<&Signing>,
) -> pingora::Result<u16> {
    session
        .write_request_header(Box::new(request(session, origin, rule, signing)?))
        .await?;
    session.finish_request_body().await?;
    let status = loop {
        session.read_response_header().await?;
        match session
            .response_header()
            .map_or(0, |head| head.status.as_u16())
        {
            100..=199 => {}
            status => break status,
        }
    };
    // Read politely to the end, so that the origin does not log a broken pipe a check.
    let mut left = BODY_BYTES_MAX;
    while left > 0
        && let Some(chunk) = session.read_response_body().await?
    {
        left = left.saturating_sub(chunk.len());
    }
    Ok(status)
}

fn request(
    session: &HttpSession,
    origin: &Origin,
    rule: &HealthCheck,
    signing: Option<&Signing>,
) -> pingora::Result<RequestHeader> {
    let host = peer::own_host_header(origin);
    let mut request = RequestHeader::build("GET", rule.path.as_bytes(), Some(4))?;
    if session.as_http2().is_some() {
        let scheme = if origin.scheme == Scheme::Https {
            "https"
        } else {
            "http"
        };
        let uri = http::Uri::builder()
            .scheme(scheme)
            .authority(host)
            .path_and_query(rule.path.as_str())
            .build();
        request.set_uri(uri.map_err(|error| {
            pingora::Error::because(pingora::ErrorType::InvalidHTTPHeader, "health check", error)
        })?);
    } else {
        request.insert_header(http::header::HOST, host)?;
        request.insert_header(http::header::CONNECTION, "close")?;
    }
    request.insert_header(http::header::USER_AGENT, USER_AGENT)?;
    request.insert_header(http::header::ACCEPT, "*/*")?;
    if let Some(signing) = signing {
        // Over HTTP/2 it stands in `:authority`, and is signed under its older name.
        request.insert_header(http::header::HOST, peer::own_host_header(origin))?;
        signing.sign(&mut request, SystemTime::now())?;
        if session.as_http2().is_some() {
            request.remove_header(&http::header::HOST);
        }
    }
    Ok(request)
}
