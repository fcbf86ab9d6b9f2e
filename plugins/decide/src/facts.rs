//! What is known of a request and of a response, borrowed from whoever holds them.

use http::{HeaderMap, Method};
use latencify_geoip::Place;
use std::{net::IpAddr, time::SystemTime};

/// A request as the decisions see it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method; compared octet by octet (RFC 9110 §9.1).
    pub method: &'a Method,
    /// Whether it came over TLS.
    pub https: bool,
    /// The host asked for: lower case, no port, no trailing dot; an IPv6 literal keeps its brackets.
    pub host: &'a str,
    /// Host and port as the client wrote them.
    pub authority: &'a str,
    /// The path in its [normal form](latencify_conf::path::normalise).
    pub path: &'a str,
    /// The query without its `?`; none when there is no `?`.
    pub query: Option<&'a str>,
    /// The header fields as the client sent them.
    pub headers: &'a HeaderMap,
    /// The client, after [trusted hops](crate::hops::client_address).
    pub client: IpAddr,
    /// Where the client is, if GeoIP knows.
    pub place: Option<&'a Place>,
    /// The time at which the request is decided.
    pub now: SystemTime,
}

/// The head of a response as the decisions see it.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// The header fields as the origin sent them.
    pub headers: &'a HeaderMap,
}
