//! How a fleet is joined.

use super::{FleetError, enroll::Identity};
use latencify_conf::{
    digest::Digest,
    link::{
        message,
        trust::{CONTROL_NAME, JoinText},
    },
};
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
    /// Control's fleet address: `https://…`.
    pub control: String,
    /// PEM file of the CAs that control's certificate is verified against, for one that the operator gave to control; none: the
    /// fleet's own CA, which the join token names.
    pub control_ca: Option<PathBuf>,
    /// What gets this edge its first certificate; none: it has one.
    pub token: Option<JoinToken>,
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

    /// The fingerprint of the fleet's CA, if it says it.
    pub(super) fn ca(&self) -> Option<Digest> {
        JoinText::read(&self.0).ca
    }

    /// The value of `authorization`.
    pub(super) fn bearer(&self) -> Result<MetadataValue<tonic::metadata::Ascii>, FleetError> {
        let secret = JoinText::read(&self.0).secret;
        let mut value: MetadataValue<_> = format!("Bearer {secret}").parse().map_err(|_| {
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

/// Where control is, and what an edge goes by before it has a certificate.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where control is.
    pub(super) url: Url,
    /// What the operator says to trust.
    pub(super) control_ca: Option<PathBuf>,
    /// What gets the first certificate.
    pub(super) token: Option<JoinToken>,
    /// The name that is asked for.
    pub(super) edge: String,
}

/// Who is believed to be control.
pub(super) enum Trust {
    /// Whoever the operator's CAs vouch for, under the name in the URL; PEM.
    Operators(Vec<u8>),
    /// Whoever the fleet's own CAs vouch for, as control, wherever it is; PEM.
    Fleet(Vec<u8>),
}

impl Trust {
    /// The CAs in the operator's file.
    pub(super) fn operators(file: &Path) -> Result<Self, FleetError> {
        let pem = fs::read(file).map_err(|error| {
            FleetError::Settings(format!("control CA {}: {error}", file.display()))
        })?;
        Ok(Self::Operators(pem))
    }
}

impl Settings {
    /// Where control is, and what is to be believed there.
    pub(super) fn link(&self) -> Result<Link, FleetError> {
        Link::new(
            &self.control,
            self.control_ca.clone(),
            self.token.clone(),
            self.edge.clone(),
        )
    }
}

impl Link {
    /// Checks the URL.
    pub fn new(
        control: &str,
        control_ca: Option<PathBuf>,
        token: Option<JoinToken>,
        edge: String,
    ) -> Result<Self, FleetError> {
        Ok(Self {
            url: check_url(control)?,
            control_ca,
            token,
            edge,
        })
    }

    /// A join token goes to nobody but control: away from this machine, something has to say who that is.
    pub(super) fn check_enrolment(&self) -> Result<(), FleetError> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        if token.ca().is_some() || self.control_ca.is_some() || is_loopback(&self.url) {
            return Ok(());
        }
        Err(FleetError::Settings(format!(
            "the join token does not say which CA vouches for {}: use one of `latencify edge invite {}`, or write .ca- and the \
             64 hexadecimal digits of the CA's fingerprint behind it; or, if control has a certificate of yours, name its CA \
             with --control-ca",
            self.url, self.edge
        )))
    }

    /// A channel to control, connected when it is first used.
    pub(super) fn channel(
        &self,
        trust: &Trust,
        identity: Option<&Identity>,
    ) -> Result<Channel, FleetError> {
        let url = &self.url;
        let bad =
            |error: &dyn fmt::Display| FleetError::Settings(format!("control {url}: {error}"));
        let tls = match trust {
            Trust::Operators(pem) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            Trust::Fleet(pem) => ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(pem))
                .domain_name(CONTROL_NAME),
        };
        let tls = match identity {
            None => tls,
            Some(identity) => {
                let certificate = identity.certificate_pem().map_err(|error| bad(&error))?;
                let key = identity.key_pem().map_err(|error| bad(&error))?;
                tls.identity(tonic::transport::Identity::from_pem(certificate, key))
            }
        };
        let endpoint = Endpoint::from_shared(url.to_string())
            .map_err(|error| bad(&error))?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_WITHIN)
            .keep_alive_while_idle(true)
            .tls_config(tls)
            .map_err(|error| bad(&error))?;
        Ok(endpoint.connect_lazy())
    }
}

/// Control's address, if it is one that may be spoken to: always over TLS, in which both sides show who they are.
fn check_url(text: &str) -> Result<Url, FleetError> {
    let refuse = |reason: &str| Err(FleetError::Settings(format!("control {text}: {reason}")));
    let Ok(url) = Url::parse(text) else {
        return refuse("not a URL; it looks like https://control.example:8081");
    };
    match url.scheme() {
        _ if url.host().is_none() => refuse("no host in it"),
        "https" => Ok(url),
        "http" => refuse(
            "control's fleet address speaks TLS, on this machine, too: write https://. The join token says whom to trust",
        ),
        _ => refuse("https:// is supported"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_is_spoken_to_over_tls_and_known_before_a_token_goes_there() {
        let named = format!("a-token.ca-{}", "0".repeat(64));
        // The URL, and whether a token that names no CA may go there.
        for (url, is_allowed, is_here) in [
            ("https://control.example:8081", true, false),
            ("https://10.0.0.1:8081", true, false),
            ("https://localhost.example:8081", true, false),
            ("https://127.0.0.1:8081", true, true),
            ("https://127.1.2.3:8081", true, true),
            ("https://[::1]:8081", true, true),
            ("https://localhost:8081", true, true),
            ("http://127.0.0.1:8081", false, true),
            ("http://control.example:8081", false, false),
            ("ftp://127.0.0.1", false, true),
            ("127.0.0.1:8081", false, false),
            ("", false, false),
        ] {
            let link = |token: &str, ca: Option<&str>| {
                let token = Some(JoinToken::new(token));
                Link::new(url, ca.map(PathBuf::from), token, "paris".into())
            };
            assert_eq!(link("a-token", None).is_ok(), is_allowed, "{url}");
            if !is_allowed {
                continue;
            }
            let may_join = |token, ca| link(token, ca).unwrap().check_enrolment().is_ok();
            assert_eq!(may_join("a-token", None), is_here, "{url}");
            assert!(may_join(&named, None), "{url}");
            assert!(may_join("a-token", Some("ca.pem")), "{url}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", JoinToken::new("secret")).contains("secret"));
        assert!(JoinToken::new("two\nlines").bearer().is_err());
    }
}
