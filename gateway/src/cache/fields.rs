//! Response fields, packed: a name that is common is one octet, every other is kept as it was spelt.
//!
//! ```text
//! each: number of the name u8 (0: length, name) │ length, value
//! ```
//! Lengths are LEB128.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora::http::{HeaderNameVariant, ResponseHeader};

/// Names that are one octet, as HTTP/1 servers spell them and in lower case. What is packed does not outlive the process: the
/// order means nothing.
const NAMES: [(&str, &str); 60] = [
    ("Accept-CH", "accept-ch"),
    ("Accept-Ranges", "accept-ranges"),
    (
        "Access-Control-Allow-Credentials",
        "access-control-allow-credentials",
    ),
    (
        "Access-Control-Allow-Headers",
        "access-control-allow-headers",
    ),
    (
        "Access-Control-Allow-Methods",
        "access-control-allow-methods",
    ),
    ("Access-Control-Allow-Origin", "access-control-allow-origin"),
    (
        "Access-Control-Expose-Headers",
        "access-control-expose-headers",
    ),
    ("Access-Control-Max-Age", "access-control-max-age"),
    ("Age", "age"),
    ("Allow", "allow"),
    ("Alt-Svc", "alt-svc"),
    ("Cache-Control", "cache-control"),
    ("Cache-Groups", "cache-groups"),
    ("Cache-Status", "cache-status"),
    ("Cache-Tag", "cache-tag"),
    ("CDN-Cache-Control", "cdn-cache-control"),
    ("Connection", "connection"),
    ("Content-Disposition", "content-disposition"),
    ("Content-Encoding", "content-encoding"),
    ("Content-Language", "content-language"),
    ("Content-Length", "content-length"),
    ("Content-Location", "content-location"),
    ("Content-Range", "content-range"),
    ("Content-Security-Policy", "content-security-policy"),
    ("Content-Type", "content-type"),
    (
        "Cross-Origin-Embedder-Policy",
        "cross-origin-embedder-policy",
    ),
    ("Cross-Origin-Opener-Policy", "cross-origin-opener-policy"),
    (
        "Cross-Origin-Resource-Policy",
        "cross-origin-resource-policy",
    ),
    ("Date", "date"),
    ("ETag", "etag"),
    ("Expires", "expires"),
    ("Keep-Alive", "keep-alive"),
    ("Last-Modified", "last-modified"),
    ("Link", "link"),
    ("Location", "location"),
    ("NEL", "nel"),
    ("Permissions-Policy", "permissions-policy"),
    ("Pragma", "pragma"),
    ("Referrer-Policy", "referrer-policy"),
    ("Report-To", "report-to"),
    ("Retry-After", "retry-after"),
    ("Server", "server"),
    ("Server-Timing", "server-timing"),
    ("Set-Cookie", "set-cookie"),
    ("Strict-Transport-Security", "strict-transport-security"),
    ("Surrogate-Control", "surrogate-control"),
    ("Surrogate-Key", "surrogate-key"),
    ("Timing-Allow-Origin", "timing-allow-origin"),
    ("Trailer", "trailer"),
    ("Transfer-Encoding", "transfer-encoding"),
    ("Upgrade", "upgrade"),
    ("Vary", "vary"),
    ("Via", "via"),
    ("Warning", "warning"),
    ("X-Cache", "x-cache"),
    ("X-Content-Type-Options", "x-content-type-options"),
    ("X-Frame-Options", "x-frame-options"),
    ("X-Powered-By", "x-powered-by"),
    ("X-Request-Id", "x-request-id"),
    ("X-XSS-Protection", "x-xss-protection"),
];

/// Reads what was packed. It was written here, so that nothing is missing; if it were, it would read as empty.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

/// A field, as it is packed.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: Name<'a>,
    value: &'a [u8],
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Known(&'static str),
    Spelt(&'a [u8]),
}

/// Packs the fields of a head, in their order.
pub(super) fn pack(header: &ResponseHeader, out: &mut Vec<u8>) {
    let put = |name: HeaderNameVariant<'_>, value: &HeaderValue| {
        let name = match name {
            HeaderNameVariant::Case(name) => name.as_slice(),
            HeaderNameVariant::Titled(name) => name.as_bytes(),
        };
        put_name(out, name);
        put_counted(out, value.as_bytes());
        Ok(())
    };
    // Fails where `put` does.
    let _ = header.map(put);
}

/// Adds packed fields to a head.
pub(super) fn unpack(packed: &[u8], header: &mut ResponseHeader) {
    // One copy, of which each value is a part.
    let copy = Bytes::copy_from_slice(packed);
    for Field { name, value } in fields(&copy) {
        // It was a header's before, so it is one now.
        let Ok(value) = HeaderValue::from_maybe_shared(copy.slice_ref(value)) else {
            continue;
        };
        let _ = match name {
            Name::Known(name) => header.append_header(name, value),
            Name::Spelt(name) => header.append_header(copy.slice_ref(name), value),
        };
    }
}

/// The first value of a field.
pub(super) fn value_of<'a>(packed: &'a [u8], name: &HeaderName) -> Option<&'a [u8]> {
    values_of(packed, name).next()
}

/// All values of a field.
pub(super) fn values_of<'a>(packed: &'a [u8], name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let named = fields(packed).filter(|field| field.name.is(name));
    named.map(|field| field.value)
}

fn fields(packed: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = Cursor(packed);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let [number] = rest.array();
        let name = match usize::from(number).checked_sub(1) {
            None => Name::Spelt(rest.counted()),
            Some(number) => {
                let (titled, lower) = NAMES.get(number / 2).copied().unwrap_or_default();
                Name::Known(if number % 2 == 0 { titled } else { lower })
            }
        };
        let value = rest.counted();
        Some(Field { name, value })
    })
}

fn put_name(out: &mut Vec<u8>, name: &[u8]) {
    let as_titled = NAMES.iter().position(|(it, _)| it.as_bytes() == name);
    let as_lower = || NAMES.iter().position(|(_, it)| it.as_bytes() == name);
    let number = as_titled
        .map(|at| 2 * at + 1)
        .or_else(|| as_lower().map(|at| 2 * at + 2));
    out.push(number.unwrap_or_default() as u8);
    if number.is_none() {
        put_counted(out, name);
    }
}

/// Octets with their length.
pub(super) fn put_counted(out: &mut Vec<u8>, octets: &[u8]) {
    put_number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// A number in as few octets as it needs (LEB128).
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

impl Name<'_> {
    fn is(&self, name: &HeaderName) -> bool {
        let own = match self {
            Self::Known(name) => name.as_bytes(),
            Self::Spelt(name) => name,
        };
        own.eq_ignore_ascii_case(name.as_str().as_bytes())
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, octets: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(octets).unwrap_or_default();
        self.0 = rest;
        taken
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    pub(super) fn counted(&mut self) -> &'a [u8] {
        let length = self.number();
        self.take(length as usize)
    }

    pub(super) fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [octet] = self.array();
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                break;
            }
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(header: &ResponseHeader) -> String {
        let mut wire = Vec::new();
        header.header_to_h1_wire(&mut wire);
        String::from_utf8(wire).unwrap()
    }

    #[test]
    fn known_names_are_spelt_in_two_ways_and_each_is_there_once() {
        for (at, (titled, lower)) in NAMES.iter().enumerate() {
            assert_eq!(titled.to_ascii_lowercase(), *lower);
            let before = NAMES[..at].iter();
            assert!(before.map(|(_, name)| name).all(|name| name != lower));
        }
        assert!(2 * NAMES.len() < 256);
    }

    #[test]
    fn fields_come_back_as_they_were_spelt_and_in_their_order() {
        let long = "x".repeat(70_000);
        let fields = [
            ("Content-Type", "text/html"),
            ("x-MiXed", "a"),
            ("set-cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("ETAG", "\"1\""),
            ("etag", ""),
            ("X-Long", &long),
            ("Server", "caf\u{e9}"),
        ];
        let mut with_case = ResponseHeader::build(200, None).unwrap();
        let mut without = ResponseHeader::build_no_case(200, None).unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            with_case.append_header(name, value.clone()).unwrap();
            without.append_header(name, value).unwrap();
        }
        let mut packed = Vec::new();
        pack(&with_case, &mut packed);
        let mut again = ResponseHeader::build(200, None).unwrap();
        unpack(&packed, &mut again);
        assert_eq!(wire(&again), wire(&with_case));
        assert_eq!(value_of(&packed, &http::header::ETAG).unwrap(), b"\"1\"");
        assert_eq!(values_of(&packed, &http::header::SET_COOKIE).count(), 2);
        assert_eq!(value_of(&packed, &http::header::VARY), None);
        packed.clear();
        pack(&without, &mut packed);
        let mut again = ResponseHeader::build_no_case(200, None).unwrap();
        unpack(&packed, &mut again);
        assert_eq!(wire(&again), wire(&without));
    }
}
