//! Who asks for what: the client behind trusted hops, the request's id, host and path in their normal forms.

mod http2;

use crate::{
    context::{Asked, Context},
    edge::Edge,
    errors::Fault,
    request::Request,
    request_id,
    respond::{REQUEST_ID, Stop},
};
use http::{HeaderMap, Method, Version, header, uri::Authority};
use latencify_conf::{path::normalise, policy::EdgeRules};
use latencify_decide::{freshness::RequestDirectives, hops};
use std::time::SystemTime;

/// The most characters of an id that a trusted hop gave.
const REQUEST_ID_CHARACTERS_MAX: usize = 128;

/// Reads the request; refuses what this edge never serves.
pub fn identify(edge: &Edge, request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    ctx.is_refresh = request.is_refresh;
    ctx.head_is_read(request.headers);
    ctx.policy = edge.running();
    ctx.obeyed = edge.access_log.is_on().then(|| edge.cache.marks().stamp());
    let no_rules = EdgeRules::default();
    let rules = ctx
        .policy
        .as_ref()
        .map_or(&no_rules, |compiled| &compiled.policy.edge);
    let Request { headers, peer, .. } = *request;
    let is_http2 = request.version == Version::HTTP_2;
    let client = hops::client_address(peer, headers, rules);
    let (host, path) = (host(request), normalise(request.uri.path()).into_owned());
    let asked = Asked {
        id: id(headers, rules.trusts(peer), ctx.clock.began_at),
        peer,
        client,
        place: edge.places.lookup(client),
        https: request.https,
        method: request.method.clone(),
        host: host.clone().unwrap_or_default(),
        authority: authority(request)
            .map(|authority| authority.to_string())
            .unwrap_or_default(),
        path: path.into(),
        query: request.uri.query().map(str::to_owned),
        version: request.version,
        upgrade: asks_for_websocket(request) && !has_body(headers),
        directives: RequestDirectives::of(headers),
    };
    let looped = hops::has_looped(headers, edge.name());
    let refused = matches!(asked.method, Method::TRACE | Method::CONNECT);
    let violation = is_http2
        .then(|| {
            http2::check(request, asked.https)
                .and_then(|()| http2::within(request, &rules.limits))
                .err()
        })
        .flatten();
    ctx.asked = Some(asked);
    if let Some(violation) = violation {
        ctx.decide("framing");
        edge.metrics.violation(violation.name());
        return Err(Stop::violation(violation));
    }
    if ctx.policy.is_none() {
        return Err(Fault::NoPolicy.into());
    }
    if looped {
        ctx.decide("loop");
        return Err(Fault::Loop.into());
    }
    if refused {
        return Err(Fault::MethodNotAllowed.into());
    }
    if host.is_none() {
        return Err(Stop::because(
            Fault::BadRequest,
            "The request names no host, or one that can't be read.",
        ));
    }
    Ok(())
}

fn asks_for_websocket(request: &Request<'_>) -> bool {
    let protocol = request.headers.get(header::UPGRADE);
    request.asks_for_upgrade()
        && protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// The id that a trusted hop gave, else a new one (UUIDv7: ids sort by time).
fn id(headers: &HeaderMap, trusted: bool, now: SystemTime) -> String {
    let given = headers
        .get(REQUEST_ID)
        .filter(|_| trusted)
        .and_then(|id| id.to_str().ok());
    let sound = |id: &&str| {
        (1..=REQUEST_ID_CHARACTERS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    given
        .filter(sound)
        .map_or_else(|| request_id::new(now), str::to_owned)
}

/// The authority that is asked for: of the target (HTTP/2, absolute form), else `Host` (RFC 9112 §3.2.2).
fn authority(request: &Request<'_>) -> Option<Authority> {
    if let Some(authority) = request.uri.authority() {
        return Some(authority.clone());
    }
    let mut lines = request.headers.get_all(header::HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    Authority::try_from(line.as_bytes()).ok()
}

/// The host in lower case, without port and trailing dot; an IPv6 literal keeps its brackets.
fn host(request: &Request<'_>) -> Option<String> {
    let authority = authority(request)?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn hosts_have_one_form() {
        let check = |lines: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::HOST, line.parse().unwrap());
            }
            let request = Request {
                method: &Method::GET,
                uri: &Uri::from_static("/"),
                target: b"/",
                headers: &headers,
                version: Version::HTTP_11,
                peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                https: false,
                is_refresh: false,
            };
            assert_eq!(host(&request).as_deref(), expected, "{lines:?}");
        };
        check(&["Shop.Example"], Some("shop.example"));
        check(&["shop.example.:8080"], Some("shop.example"));
        check(&["[::1]:80"], Some("[::1]"));
        check(&["user@shop.example"], None);
        check(&["a b"], None);
        check(&[], None);
        check(&["a", "b"], None);
    }

    #[test]
    fn only_trusted_hops_give_ids() {
        let now = SystemTime::now();
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, "given".parse().unwrap());
        assert_eq!(id(&headers, true, now), "given");
        assert_ne!(id(&headers, false, now), "given");
        headers.insert(REQUEST_ID, "with space".parse().unwrap());
        assert_ne!(id(&headers, true, now), "with space");
    }
}
