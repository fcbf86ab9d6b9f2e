//! A client that never retries: what fails, the test sees.

mod connection;
mod reply;

pub use connection::{Connection, Protocol};
pub use reply::Reply;

use crate::{Authority, body, body::Body};
use http::Request;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Sends requests from one loopback address. Each request of [`get`](Self::get) and [`send`](Self::send) has a
/// connection of its own; [`connect`](Self::connect) keeps one.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    source: IpAddr,
}

impl Client {
    /// From 127.0.0.1, whose place nobody knows.
    pub fn new() -> Self {
        Self {
            source: Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// From that address of this machine: any of 127.0.0.0/8, or ::1.
    pub fn at(source: &str) -> Self {
        Self {
            source: source.parse().unwrap(),
        }
    }

    /// `GET http://HOST/PATH` from the server at that address.
    ///
    /// # Panics
    /// When no whole answer comes.
    pub async fn get(&self, server: SocketAddr, host: &str, path: &str) -> Reply {
        let request = Self::request("GET", host, path)
            .body(body::empty())
            .unwrap();
        self.send(server, request)
            .await
            .unwrap_or_else(|error| panic!("GET {host}{path} at {server}: {error:#}"))
    }

    /// A request with a Host, to add to.
    pub fn request(method: &str, host: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
    }

    /// Sends one request over a new plain connection and reads the whole answer.
    pub async fn send(&self, server: SocketAddr, request: Request<Body>) -> anyhow::Result<Reply> {
        self.connect(server).await?.send(request).await
    }

    /// A plain connection, HTTP/1.1.
    pub async fn connect(&self, server: SocketAddr) -> anyhow::Result<Connection> {
        Connection::plain(self.source, server).await
    }

    /// A connection over TLS to the server of that name (SNI), whose certificate the authority must have issued.
    pub async fn connect_tls(
        &self,
        server: SocketAddr,
        name: &str,
        authority: &Authority,
        protocol: Protocol,
    ) -> anyhow::Result<Connection> {
        Connection::tls(self.source, server, name, authority, protocol).await
    }

    /// A plain TCP connection, for what HTTP libraries will not send.
    pub async fn tcp(&self, server: SocketAddr) -> anyhow::Result<tokio::net::TcpStream> {
        connection::dial(self.source, server).await
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}
