//! How a fleet is joined.

use super::FleetError;
use latencify_conf::link::message;
use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tonic::{
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use url::{Host, Url};

/// A connection to control that takes longer has failed.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// An idle connection is pinged so often …
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// … and a ping that is not answered within this ends it.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// How a fleet is joined.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Control's fleet address: `https://…`, or `http://` on loopback.
    pub control: String,
    /// PEM file of the CAs that control's certificate is verified against; none: the system's.
    pub control_ca: Option<PathBuf>,
    /// What lets edges join.
    pub token: JoinToken,
    /// The operator's name for this edge.
    pub edge: String,
    /// The folder where the last good policy is kept.
    pub state: PathBuf,
    /// What people may want to know of this edge.
    pub about: Vec<(String, String)>,
    /// What it does with stored objects while it is isolated.
    pub when_isolated: WhenIsolated,
    /// What its acks mean.
    pub acks: Acks,
    /// It takes the place of a process that still has the state folder: it reads what that one saved, and writes when
    /// that one has ended.
    pub takes_over: bool,
}

/// What an edge does with stored objects while it is isolated: while purges may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum WhenIsolated {
    /// Validates them at their origins before each use; serves nothing stale.
    #[default]
    Revalidate,
    /// Serves them all the same.
    Serve,
    /// Answers 503 where one would have answered.
    Refuse,
}

/// What an edge's acks mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Acks {
    /// Every look-up obeys.
    #[default]
    Obeyed,
    /// Every look-up obeys, and the marks are on disk.
    Saved,
}

impl WhenIsolated {
    /// Its stable name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revalidate => "revalidate",
            Self::Serve => "serve",
            Self::Refuse => "refuse",
        }
    }

    /// As it is said in Hello.
    pub(super) fn said(self) -> message::WhenIsolated {
        match self {
            Self::Revalidate => message::WhenIsolated::Revalidate,
            Self::Serve => message::WhenIsolated::Serve,
            Self::Refuse => message::WhenIsolated::Refuse,
        }
    }
}

/// What lets edges join; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken(String);

impl JoinToken {
    /// The token as control printed it.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The value of `authorization`.
    pub(super) fn bearer(&self) -> Result<MetadataValue<tonic::metadata::Ascii>, FleetError> {
        let mut value: MetadataValue<_> = format!("Bearer {}", self.0).parse().map_err(|_| {
            FleetError::Settings("the join token has characters that no token has".into())
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

impl Settings {
    /// A channel to control, connected when it is first used.
    pub(super) fn channel(&self) -> Result<Channel, FleetError> {
        let url = check_url(&self.control)?;
        let bad = |error: tonic::transport::Error| {
            FleetError::Settings(format!("control {url}: {error}"))
        };
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .map_err(bad)?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_WITHIN)
            .keep_alive_while_idle(true);
        if url.scheme() == "https" {
            endpoint = endpoint
                .tls_config(tls(self.control_ca.as_deref())?)
                .map_err(bad)?;
        }
        Ok(endpoint.connect_lazy())
    }
}

/// Control's address, if it is one that may be spoken to: without TLS only on this machine, because the join token and
/// every purge travel there.
fn check_url(text: &str) -> Result<Url, FleetError> {
    let refuse = |reason: &str| Err(FleetError::Settings(format!("control {text}: {reason}")));
    let Ok(url) = Url::parse(text) else {
        return refuse("not a URL; it looks like https://control.example:8081");
    };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return refuse("no host in it"),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => refuse(
            "http:// is for loopback only; use https:// and, for a CA of your own, --control-ca",
        ),
        _ => refuse("http:// and https:// are supported"),
    }
}

fn tls(ca: Option<&Path>) -> Result<ClientTlsConfig, FleetError> {
    let Some(path) = ca else {
        return Ok(ClientTlsConfig::new().with_native_roots());
    };
    let pem = fs::read(path)
        .map_err(|error| FleetError::Settings(format!("control CA {}: {error}", path.display())))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_control_must_be_on_this_machine() {
        let cases = [
            ("https://control.example:8081", true),
            ("http://127.0.0.1:8081", true),
            ("http://127.1.2.3:8081", true),
            ("http://[::1]:8081", true),
            ("http://localhost:8081", true),
            ("http://control.example:8081", false),
            ("http://10.0.0.1:8081", false),
            ("http://localhost.example:8081", false),
            ("ftp://127.0.0.1", false),
            ("127.0.0.1:8081", false),
            ("", false),
        ];
        for (url, allowed) in cases {
            assert_eq!(check_url(url).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", JoinToken::new("secret")).contains("secret"));
        assert!(JoinToken::new("two\nlines").bearer().is_err());
    }
}
