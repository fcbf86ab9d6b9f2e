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
    let authority = authority(request).unwrap_or_default();
    let host = host(authority);
    let names_host = host.is_some();
    let asked = Asked {
        id: id(headers, rules.trusts(peer), ctx.clock.began_at),
        peer,
        client,
        place: edge.places.lookup(client),
        https: request.https,
        method: request.method.clone(),
        host: host.unwrap_or_default(),
        authority: authority.to_owned(),
        path: normalise(request.uri.path()).into(),
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
    if !names_host {
        return Err(Stop::because(
            Fault::BadRequest,
            "The request names no host, or one that can't be read.",
        ));
    }
    Ok(())
}

fn asks_for_websocket(request: &Request<'_>) -> bool {
    let protocol = (request.version == Version::HTTP_11)
        .then(|| request.headers.get(header::UPGRADE))
        .flatten();
    protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// The id that a trusted hop gave, else a new one (UUIDv7: ids sort by time).
fn id(headers: &HeaderMap, trusted: bool, now: SystemTime) -> String {
    let given = trusted
        .then(|| headers.get(REQUEST_ID))
        .flatten()
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
fn authority<'a>(request: &Request<'a>) -> Option<&'a str> {
    if let Some(authority) = request.uri.authority() {
        return Some(authority.as_str());
    }
    let mut lines = request.headers.get_all(header::HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let line = line.to_str().ok()?;
    (is_plain(line) || Authority::try_from(line).is_ok()).then_some(line)
}

/// Whether it is a name or an IPv4 address, with a port or without: an authority that needs no parser to be known as one.
fn is_plain(authority: &str) -> bool {
    let host = authority
        .bytes()
        .take_while(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_'))
        .count();
    let port = authority.as_bytes().get(host..).unwrap_or_default();
    host > 0
        && match port.split_first() {
            None => true,
            Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
        }
}

/// The host of an authority in lower case, without port and trailing dot; an IPv6 literal keeps its brackets.
fn host(authority: &str) -> Option<String> {
    let octets = authority.as_bytes();
    if octets.contains(&b'@') {
        return None;
    }
    let end = if octets.starts_with(b"[") {
        octets.iter().position(|octet| *octet == b']')? + 1
    } else {
        let colon = octets.iter().position(|octet| *octet == b':');
        colon.unwrap_or(octets.len())
    };
    let host = authority.get(..end)?;
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
            let found = authority(&request).and_then(host);
            assert_eq!(found.as_deref(), expected, "{lines:?}");
        };
        check(&["Shop.Example"], Some("shop.example"));
        check(&["shop.example.:8080"], Some("shop.example"));
        check(&["shop.example:"], Some("shop.example"));
        check(&["a~b:80"], Some("a~b"));
        check(&["[::1]:80"], Some("[::1]"));
        check(&["[::1"], None);
        check(&[""], None);
        check(&[":80"], None);
        check(&["a:b:c"], None);
        check(&["a/b"], None);
        check(&["user@shop.example"], None);
        check(&["a b"], None);
        check(&[], None);
        check(&["a", "b"], None);
    }

    #[test]
    fn what_is_plainly_an_authority_is_one_to_the_parser_too() {
        for octet in 0..=u8::MAX {
            for text in [vec![octet], vec![b'a', octet], vec![b'a', b':', octet]] {
                let Ok(text) = String::from_utf8(text) else {
                    continue;
                };
                let parsed = Authority::try_from(text.as_str());
                assert!(!is_plain(&text) || parsed.is_ok(), "{text:?}");
                if let (Ok(parsed), false) = (parsed, text.contains('@')) {
                    let host = host(&text).unwrap_or_default();
                    let expected = parsed.host().strip_suffix('.').unwrap_or(parsed.host());
                    assert_eq!(host, expected.to_ascii_lowercase(), "{text:?}");
                }
            }
        }
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
