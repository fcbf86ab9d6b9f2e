//! Taking the token out of a request: from the places where [`token`](super::token) looks for one, read the same way, so
//! that what was verified is what the origin does not get to see.

use crate::{edit::Fields, fields};
use http::{HeaderMap, HeaderValue, header};
use latencify_conf::policy::TokenSource;

/// Takes the token out of the header, wherever the route looks for one. `headers` is how the header is now.
pub fn strip_token(sources: &[TokenSource], headers: &HeaderMap, request: &mut impl Fields) {
    for source in sources {
        match source {
            TokenSource::Bearer => request.remove(&header::AUTHORIZATION),
            TokenSource::Header(name) => request.remove(name),
            // All of them at once, and in the query.
            TokenSource::Cookie(_) | TokenSource::Query(_) => {}
        }
    }
    let names: Vec<_> = sources.iter().filter_map(cookie_name).collect();
    if names
        .iter()
        .any(|name| fields::cookies(headers, name).next().is_some())
    {
        strip_cookies(&names, headers, request);
    }
}

/// The query without the parameters where the route looks for a token; none: nothing is left.
pub fn strip_parameters(sources: &[TokenSource], query: &str) -> Option<String> {
    let holds_token = |parameter: &str| {
        let found = fields::parameter_name(parameter);
        sources
            .iter()
            .any(|source| matches!(source, TokenSource::Query(name) if *name == *found))
    };
    let kept: Vec<_> = query
        .split('&')
        .filter(|parameter| !holds_token(parameter))
        .collect();
    let kept = kept.join("&");
    (!kept.is_empty()).then_some(kept)
}

fn cookie_name(source: &TokenSource) -> Option<&str> {
    match source {
        TokenSource::Cookie(name) => Some(name),
        TokenSource::Bearer | TokenSource::Header(_) | TokenSource::Query(_) => None,
    }
}

/// Every line keeps its other cookies as they are, octet by octet.
fn strip_cookies(names: &[&str], headers: &HeaderMap, request: &mut impl Fields) {
    request.remove(&header::COOKIE);
    for line in headers.get_all(header::COOKIE) {
        let kept: Vec<_> = line
            .as_bytes()
            .split(|&byte| byte == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty() && !is_named(member, names))
            .collect();
        // Parts of a valid value between "; " are a valid value.
        if let (false, Ok(value)) = (
            kept.is_empty(),
            HeaderValue::from_bytes(&kept.join(&b"; "[..])),
        ) {
            request.add(&header::COOKIE, &value);
        }
    }
}

fn is_named(member: &[u8], names: &[&str]) -> bool {
    let (found, _) = fields::pair(member);
    names.iter().any(|name| name.as_bytes() == found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn header(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &[u8])| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_token_is_gone_from_every_place_and_nothing_else_is() {
        let sources = [
            TokenSource::Bearer,
            TokenSource::Header(HeaderName::from_static("x-token")),
            TokenSource::Cookie("token".into()),
        ];
        let check = |given: &[(&'static str, &[u8])], expected: &[(&'static str, &[u8])]| {
            let given = header(given);
            let mut stripped = given.clone();
            strip_token(&sources, &given, &mut stripped);
            assert_eq!(stripped, header(expected), "{given:?}");
        };
        check(
            &[
                ("authorization", b"Bearer x"),
                ("x-token", b"x"),
                ("x-else", b"1"),
            ],
            &[("x-else", b"1")],
        );
        check(
            &[("cookie", b"a=1; token=x; b=2")],
            &[("cookie", b"a=1; b=2")],
        );
        check(&[("cookie", b"token=\"x\"")], &[]);
        check(
            &[("cookie", b"a=1"), ("cookie", b"token = x;b=2; token=y")],
            &[("cookie", b"a=1"), ("cookie", b"b=2")],
        );
        check(
            &[("cookie", b"name=J\xc3\xb6rg; token=x; raw=\xff")],
            &[("cookie", b"name=J\xc3\xb6rg; raw=\xff")],
        );
        // What holds no token stays octet by octet.
        check(
            &[("cookie", b"a=1;;b=2 ;Token=x")],
            &[("cookie", b"a=1;;b=2 ;Token=x")],
        );
    }

    #[test]
    fn a_token_is_gone_from_the_query_however_its_name_is_escaped() {
        let sources = [TokenSource::Query("a b".into()), TokenSource::Bearer];
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(
                strip_parameters(&sources, query).as_deref(),
                expected,
                "{query}"
            );
        };
        check("x=1&a+b=t&y=%20", Some("x=1&y=%20"));
        check("a%20b=t", None);
        check("%61+b", None);
        check("ab=t", Some("ab=t"));
        check("x&&y", Some("x&&y"));
    }
}
