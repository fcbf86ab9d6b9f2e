//! The head of an HTTP/2 request, read into what the phases ask of it.

use super::inbound;
use crate::{
    hot::head::Caller,
    hpack::{Field, Meaning},
    request::{Head, Request},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header,
    uri::{Parts, Scheme},
};
use std::sync::Arc;

/// A request without a body that a stored response could answer.
pub(super) struct Own {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    caller: Caller,
}

impl Own {
    /// Reads a request about which the library could say nothing. One of another kind, or that is odd in any way, is its to
    /// judge.
    pub(super) fn read(
        head: &inbound::Head,
        fields: &[Arc<Field>],
        caller: Caller,
    ) -> Option<Self> {
        // A stream that depends on itself is an error (RFC 7540 §5.3.1).
        let depends_on = (head.priority.as_ref())
            .and_then(|priority| Some(u32::from_be_bytes(*priority.first_chunk()?)));
        let is_sound = depends_on.is_none_or(|on| on & (u32::MAX >> 1) != head.stream);
        if !head.ends_stream || !is_sound {
            return None;
        }
        let (mut method, mut parts) = (None, Parts::default());
        let mut headers = HeaderMap::try_with_capacity(fields.len()).ok()?;
        for field in fields {
            let is_again = match &field.meaning {
                Meaning::Regular(name, value) => {
                    if !is_plain(name, value) || headers.try_append(name, value.clone()).is_err() {
                        return None;
                    }
                    false
                }
                _ if !headers.is_empty() => return None,
                Meaning::Method(value) => method.replace(value.clone()).is_some(),
                Meaning::Https => parts.scheme.replace(Scheme::HTTPS).is_some(),
                Meaning::Authority(value) => parts.authority.replace(value.clone()).is_some(),
                Meaning::Path(value) => parts.path_and_query.replace(value.clone()).is_some(),
                Meaning::Other => return None,
            };
            if is_again {
                return None;
            }
        }
        let has_user = parts.authority.as_ref()?.as_str().contains('@');
        let is_origin_form = parts.path_and_query.as_ref()?.as_str().starts_with('/');
        if has_user || !is_origin_form || !caller.https {
            return None;
        }
        parts.scheme.as_ref()?;
        Some(Self {
            method: method?,
            uri: Uri::from_parts(parts).ok()?,
            headers,
            caller,
        })
    }

    /// Its fields.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// Whether nobody would refuse a request for that field, or read it in another way.
fn is_plain(name: &HeaderName, value: &HeaderValue) -> bool {
    const NOT_PLAIN: [HeaderName; 6] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let is_of_connection = matches!(name.as_str(), "keep-alive" | "proxy-connection");
    !is_of_connection && !NOT_PLAIN.contains(name) && (name != header::TE || value == "trailers")
}

impl Head for Own {
    fn request(&self) -> Request<'_> {
        self.caller
            .asks(&self.method, &self.uri, &self.headers, Version::HTTP_2)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.headers.remove(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> bool {
        self.headers.try_insert(name, value).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::{IpAddr, Ipv4Addr};

    const CALLER: Caller = Caller {
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        https: true,
    };
    const HEAD: inbound::Head = inbound::Head {
        stream: 3,
        ends_stream: true,
        priority: None,
        is_new: true,
    };

    fn read(head: &inbound::Head, fields: &str) -> Option<Own> {
        let fields: Vec<_> = (fields.split('|'))
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| {
                let [name, value] =
                    [name, value].map(|text| Bytes::copy_from_slice(text.as_bytes()));
                Arc::new(Field::new(name, value, false))
            })
            .collect();
        Own::read(head, &fields, CALLER)
    }

    const GET: &str = ":method=GET|:scheme=https|:path=/a?b|:authority=shop.example";

    #[test]
    fn a_request_is_read_as_it_stands() {
        let own = read(&HEAD, &format!("{GET}|cookie=a|x=y|cookie=b|te=trailers")).unwrap();
        let request = own.request();
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.uri, "https://shop.example/a?b");
        assert_eq!(request.target, b"/a?b");
        let cookies: Vec<_> = request.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"]);
        assert_eq!(request.version, Version::HTTP_2);
    }

    #[test]
    fn what_is_odd_is_not_taken() {
        let check = |fields: &str| assert!(read(&HEAD, fields).is_none(), "{fields}");
        for more in [
            "host=shop.example",
            "connection=x",
            "keep-alive=1",
            "te=gzip",
            "content-length=0",
            "expect=100-continue",
            ":path=/",
            "Upper=case",
            "x= \u{1}",
            ":unknown=x",
        ] {
            check(&format!("{GET}|{more}"));
        }
        for name in [":method", ":scheme", ":path", ":authority"] {
            let others = GET.split('|').filter(|field| !field.starts_with(name));
            check(&others.collect::<Vec<_>>().join("|"));
        }
        check(&GET.replace("GET", "POST"));
        check(&GET.replace("https", "http"));
        check(&GET.replace("/a?b", "*"));
        check(&GET.replace("/a?b", ""));
        check(&GET.replace("shop", "user@shop"));
        check(&format!("x=y|{GET}"));
        // More than a map has room for.
        check(&format!("{GET}{}", "|a=b".repeat(25_000)));
        let with_body = inbound::Head {
            ends_stream: false,
            ..HEAD
        };
        assert!(read(&with_body, GET).is_none());
        let of_itself = inbound::Head {
            priority: Some([0x80, 0, 0, 3, 7]),
            ..HEAD
        };
        assert!(read(&of_itself, GET).is_none());
    }
}
