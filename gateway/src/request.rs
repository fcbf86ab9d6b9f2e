//! A request as the phases see it, whoever has read it: Pingora, or this edge's own loop before Pingora.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use pingora::{
    http::RequestHeader,
    protocols::{Digest, http::v2::server::HttpSession, l4::socket::SocketAddr},
    proxy::Session,
};
use std::net::{IpAddr, Ipv4Addr};

/// What the phases read of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target.
    pub uri: &'a Uri,
    /// The target, octet by octet.
    pub target: &'a [u8],
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The version that the client speaks.
    pub version: Version,
    /// Who is connected: the client, or the nearest hop before it.
    pub peer: IpAddr,
    /// Whether it came over TLS.
    pub https: bool,
    /// Whether it refreshes a stored response for nobody in particular.
    pub is_refresh: bool,
}

/// A request's head that the phases also change.
pub trait Head: Send + Sync {
    /// What is read of it.
    fn request(&self) -> Request<'_>;
    /// Takes out all lines of a field.
    fn remove(&mut self, name: &HeaderName);
    /// One line instead of all; false: there is no room for it.
    fn set(&mut self, name: HeaderName, value: HeaderValue) -> bool;
}

impl Request<'_> {
    /// Whether another protocol is asked for (RFC 9110 §7.8), which HTTP/1.1 alone can.
    pub fn asks_for_upgrade(&self) -> bool {
        self.version == Version::HTTP_11 && self.headers.contains_key(header::UPGRADE)
    }
}

impl Head for Session {
    fn request(&self) -> Request<'_> {
        let head = self.req_header();
        let request = read(head, self.client_addr(), self.digest());
        Request {
            version: if self.is_http2() {
                Version::HTTP_2
            } else {
                head.version
            },
            is_refresh: self.subrequest_ctx.is_some(),
            ..request
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        self.req_header_mut().remove_header(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        self.req_header_mut().insert_header(name, value).is_ok()
    }
}

/// A stream of HTTP/2 before Pingora serves it.
impl Head for HttpSession {
    fn request(&self) -> Request<'_> {
        Request {
            version: Version::HTTP_2,
            ..read(self.req_header(), self.client_addr(), self.digest())
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        self.req_header_mut().remove_header(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        self.req_header_mut().insert_header(name, value).is_ok()
    }
}

fn read<'a>(
    head: &'a RequestHeader,
    client: Option<&SocketAddr>,
    digest: Option<&Digest>,
) -> Request<'a> {
    let address = client.and_then(SocketAddr::as_inet);
    Request {
        method: &head.method,
        uri: &head.uri,
        target: head.raw_path(),
        headers: &head.headers,
        version: head.version,
        // Every listener is TCP, so there always is one; an address that nothing trusts stands in.
        peer: address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
            address.ip().to_canonical()
        }),
        https: digest.is_some_and(|digest| digest.ssl_digest.is_some()),
        is_refresh: false,
    }
}
