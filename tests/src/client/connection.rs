//! One connection.

use super::Reply;
use crate::{Authority, body::Body};
use anyhow::Context;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header::HOST, uri::Scheme};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    ext,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

/// What is spoken over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One connection. HTTP/1.1: one request after the other; HTTP/2: as many as [`Connection::sender`]s.
pub struct Connection {
    sender: Sender,
    /// The server's certificate, DER; none on a plain connection.
    pub certificate: Option<Vec<u8>>,
    driver: JoinHandle<()>,
}

/// Sends over a connection.
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

type Informational = Arc<Mutex<Vec<(StatusCode, HeaderMap)>>>;

pub(super) async fn dial(source: IpAddr, server: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = if server.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // 127.0.0.1 is what it gets without being asked. A port that is bound before it is known where to is taken for all
    // servers, for a minute after its end: those of an address are soon used up.
    let is_usual = source == Ipv4Addr::LOCALHOST && server.ip().is_loopback();
    if source.is_ipv4() == server.is_ipv4() && !is_usual {
        socket
            .bind(SocketAddr::new(source, 0))
            .with_context(|| format!("bind to {source}"))?;
    }
    let stream = socket
        .connect(server)
        .await
        .with_context(|| format!("connect {source} to {server}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    pub(super) async fn plain(source: IpAddr, server: SocketAddr) -> anyhow::Result<Self> {
        let stream = dial(source, server).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // What goes wrong, the sender learns.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self {
            sender: Sender::Http1(sender),
            certificate: None,
            driver,
        })
    }

    pub(super) async fn tls(
        source: IpAddr,
        server: SocketAddr,
        name: &str,
        authority: &Authority,
        protocol: Protocol,
    ) -> anyhow::Result<Self> {
        let offered: &[&[u8]] = match protocol {
            Protocol::Http1 => &[b"http/1.1"],
            Protocol::Http2 => &[b"h2"],
        };
        let stream = dial(source, server).await?;
        let stream = TlsConnector::from(authority.client(offered))
            .connect(ServerName::try_from(name.to_owned())?, stream)
            .await
            .with_context(|| format!("TLS with {name}"))?;
        let session = stream.get_ref().1;
        let certificate = session
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|der| der.to_vec());
        anyhow::ensure!(
            session
                .alpn_protocol()
                .is_none_or(|chosen| offered.contains(&chosen)),
            "the server chose a protocol that was not offered"
        );
        let stream = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                let driver = tokio::spawn(async move {
                    let _ = connection.with_upgrades().await;
                });
                (Sender::Http1(sender), driver)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                let driver = tokio::spawn(async move {
                    let _ = connection.await;
                });
                (Sender::Http2(sender), driver)
            }
        };
        Ok(Self {
            sender,
            certificate,
            driver,
        })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, mut request: Request<Body>) -> anyhow::Result<Reply> {
        let informational = Informational::default();
        let heard = Arc::clone(&informational);
        ext::on_informational(&mut request, move |interim| {
            heard
                .lock()
                .push((interim.status(), interim.headers().clone()));
        });
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.stream(request).await?;
        let (head, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .with_context(|| format!("{what}: the body of {head:?}"))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Reply {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
            informational: std::mem::take(&mut *informational.lock()),
        })
    }

    /// Sends a request and hands out the answer when its head is there.
    pub async fn stream(&mut self, request: Request<Body>) -> anyhow::Result<Response<Incoming>> {
        let what = format!("{} {}", request.method(), request.uri());
        let sent = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.with_context(|| what.clone())?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.with_context(|| what.clone())?;
                sender.send_request(with_authority(request)?).await
            }
        };
        sent.with_context(|| what)
    }

    /// Another handle on the same HTTP/2 connection, for requests side by side.
    ///
    /// # Panics
    /// On HTTP/1.1.
    pub fn sender(&self) -> Self {
        let Sender::Http2(sender) = &self.sender else {
            panic!("HTTP/1.1 has no streams")
        };
        Self {
            sender: Sender::Http2(sender.clone()),
            certificate: self.certificate.clone(),
            // The first handle drives.
            driver: tokio::spawn(async {}),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An upgraded or streaming body lives on in its own handles; hyper ends the connection with the last of them.
        if self.driver.is_finished() {
            self.driver.abort();
        }
    }
}

/// HTTP/2 has `:scheme` and `:authority` instead of Host (RFC 9113 §8.3.1).
fn with_authority(mut request: Request<Body>) -> anyhow::Result<Request<Body>> {
    if let Some(host) = request.headers_mut().remove(HOST) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(host.to_str()?.parse()?);
        *request.uri_mut() = Uri::from_parts(parts)?;
    }
    Ok(request)
}
