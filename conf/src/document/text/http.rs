//! Pieces of HTTP messages.

use super::{Flaw, Text, written_as_text};
use std::ops::RangeInclusive;

/// The most bytes of a header value that a policy sets.
pub const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;

/// The name of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(pub http::HeaderName);

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValue(pub http::HeaderValue);

/// A method, as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(pub String);

/// Status codes: `404`, `4xx` or `400-403`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

impl Text for HeaderName {
    const FORMAT: &'static str = "latencify-header-name";
    const EXPECTED: &'static str = "a header's name";
    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().map(Self).map_err(|_| {
            Flaw::new(format!("`{text}` is not a header's name"))
                .help("letters, digits and `-`, no `:` and no blanks")
        })
    }
}
written_as_text!(
    HeaderName,
    "The name of a header, in upper or lower case.",
    ["x-beta"]
);

impl Text for HeaderValue {
    const FORMAT: &'static str = "latencify-header-value";
    const EXPECTED: &'static str = "a header's value";
    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.len() > HEADER_VALUE_BYTES_MAX {
            let flaw = Flaw::new(format!("{} bytes are too many for a header", text.len()));
            return Err(flaw.help(format!("at most {HEADER_VALUE_BYTES_MAX}")));
        }
        http::HeaderValue::from_str(text.trim())
            .map(Self)
            .map_err(|_| {
                Flaw::new("a header's value has no control characters")
                    .help("a line break may have slipped in: write it on one line")
            })
    }
}
written_as_text!(HeaderValue, "The value of a header.", ["max-age=31536000"]);

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

impl Text for Method {
    const FORMAT: &'static str = "latencify-method";
    const EXPECTED: &'static str = "a method like GET";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let token = http::Method::from_bytes(text.as_bytes());
        if text == "CONNECT" {
            return Err(Flaw::new("CONNECT is not served").help("an edge is not a forward proxy"));
        }
        match token {
            Ok(_) if text.len() <= 32 && !text.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                Ok(Self(text.to_owned()))
            }
            _ => {
                let upper = text.to_ascii_uppercase();
                let flaw = Flaw::new(format!("`{text}` is not a method"));
                Err(if METHODS.contains(&upper.as_str()) {
                    flaw.help(format!("methods are in upper case: `{upper}`"))
                } else {
                    flaw.help("like GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")
                })
            }
        }
    }
}
written_as_text!(
    Method,
    "A method, in upper case.",
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
);

impl Text for Statuses {
    const FORMAT: &'static str = "latencify-statuses";
    const EXPECTED: &'static str = "status codes like 404, 4xx or 400-403";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let bad = || {
            Flaw::new(format!("`{text}` is not a status code"))
                .help("like 404, 4xx or 400-403; from 100 to 599")
        };
        let code = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|code| digits && (100..600).contains(code))
                .ok_or_else(bad)
        };
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => {
                let first: u16 = code(&format!("{class}00"))?;
                first..=first + 99
            }
            (None, Some((first, last))) => code(first)?..=code(last)?,
            (None, None) => code(text)?..=code(text)?,
        };
        if range.is_empty() {
            return Err(
                Flaw::new(format!("`{text}` is empty")).help("the smaller code comes first")
            );
        }
        Ok(Self(range))
    }
}
written_as_text!(
    Statuses,
    "Status codes: one (`404`), a class (`4xx`) or a range (`400-403`).",
    ["404", "4xx", "400-403"]
);

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn statuses() {
        check::<Statuses>("404", Ok("Statuses(404..=404)"));
        check::<Statuses>("2xx", Ok("Statuses(200..=299)"));
        check::<Statuses>("400-403", Ok("Statuses(400..=403)"));
        for bad in [
            "", "99", "600", "6xx", "xx", "4x", "0404", "abc", "400-", "+40",
        ] {
            check::<Statuses>(bad, Err("not a status code"));
        }
        check::<Statuses>("403-400", Err("is empty"));
    }

    #[test]
    fn methods_and_headers() {
        check::<Method>("GET", Ok("Method(\"GET\")"));
        check::<Method>("PROPFIND", Ok("Method(\"PROPFIND\")"));
        check::<Method>("get", Err("upper case: `GET`"));
        check::<Method>("G T", Err("is not a method"));
        check::<Method>("CONNECT", Err("not served"));
        check::<HeaderName>("X-Beta", Ok("HeaderName(\"x-beta\")"));
        check::<HeaderName>("x beta", Err("not a header's name"));
        check::<HeaderName>("x-beta:", Err("not a header's name"));
        check::<HeaderValue>("a\r\nset-cookie: b", Err("control characters"));
    }
}
