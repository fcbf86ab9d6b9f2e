//! The CA that control shows, found by its fingerprint before anything is said to control.

use latencify_conf::{
    digest::Digest,
    link::trust::{CONTROL_NAME, fingerprint},
};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};
use url::Url;

/// Connecting, and each part of the handshake, may take so long.
const WITHIN: Duration = Duration::from_secs(5);

/// Why there is no CA to trust.
#[derive(Debug, thiserror::Error)]
pub enum NoAuthority {
    /// Nobody is there, or does not speak TLS.
    #[error("{0}")]
    Unreachable(#[from] io::Error),
    /// Somebody else is there.
    #[error(
        "whoever answers there does not show the CA {wanted} that the join token names, but {}: somebody is on the way, or the \
         token is another fleet's",
        listed(.found)
    )]
    Other {
        /// The fingerprint in the token.
        wanted: Digest,
        /// What was shown.
        found: Vec<Digest>,
    },
}

fn listed(found: &[Digest]) -> String {
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    if found.is_empty() {
        "nothing".to_owned()
    } else {
        found.join(", ")
    }
}

/// The CA (PEM) of that fingerprint that control shows; without one, the last certificate that it shows. Nothing is sent beyond
/// the handshake, and nothing is believed yet: the connection that follows trusts this CA alone, and verifies.
pub fn authority(control: &Url, wanted: Option<Digest>) -> Result<Vec<u8>, NoAuthority> {
    let shown = shown(control)?;
    let found: Vec<_> = shown.iter().map(|der| fingerprint(der)).collect();
    let at = match wanted {
        Some(wanted) => found.iter().position(|found| *found == wanted),
        None => shown.len().checked_sub(1),
    };
    match (at.and_then(|at| shown.get(at)), wanted) {
        (Some(der), _) => {
            let pem = openssl::x509::X509::from_der(der).and_then(|read| read.to_pem());
            pem.map_err(|error| io::Error::other(error).into())
        }
        (None, Some(wanted)) => Err(NoAuthority::Other { wanted, found }),
        (None, None) => Err(io::Error::other("no certificate was shown").into()),
    }
}

/// The chain that control shows, DER.
fn shown(control: &Url) -> io::Result<Vec<Vec<u8>>> {
    let host = control.host_str().unwrap_or_default();
    let host = host.trim_matches(|c| c == '[' || c == ']');
    let port = control.port_or_known_default().unwrap_or(443);
    let mut last = io::Error::other(format!("{host} has no address"));
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, WITHIN) {
            Ok(stream) => return handshake(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn handshake(stream: TcpStream) -> io::Result<Vec<Vec<u8>>> {
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let configured = connector.build().configure()?.verify_hostname(false);
    let stream = configured
        .connect(CONTROL_NAME, stream)
        .map_err(|error| io::Error::other(format!("no TLS handshake: {error}")))?;
    let chain = stream.ssl().peer_cert_chain();
    let chain = chain
        .into_iter()
        .flatten()
        .map(openssl::x509::X509Ref::to_der);
    Ok(chain.collect::<Result<_, _>>()?)
}
