//! Reading header fields: lists, quoted strings, cookies. Nothing here allocates unless it must unescape.

use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// The members of a comma-separated field over all its lines (RFC 9110 §5.6.1), trimmed, empty ones left out. A comma
/// inside a quoted string does not separate.
pub(crate) fn list<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|line| Members {
        rest: line.as_bytes(),
        separator: b',',
    })
}

/// The parts of one value between separators outside of quoted strings, trimmed, empty ones left out.
pub(crate) fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    Members {
        rest: value,
        separator,
    }
}

/// The members of a list from its end, trimmed, empty ones left out. Quotes pair up from the end too, so that one left
/// open at the start can't swallow what was appended after it.
pub(crate) fn members_from_end(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (member, before) = match last_unquoted_comma(line) {
            Some(at) => (line.get(at + 1..).unwrap_or_default(), line.get(..at)),
            None => (line, None),
        };
        rest = before;
        Some(member.trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

fn last_unquoted_comma(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    line.iter().enumerate().rev().find_map(|(at, &byte)| {
        let escapes = || {
            line.iter()
                .take(at)
                .rev()
                .take_while(|&&byte| byte == b'\\')
                .count()
        };
        match byte {
            b'"' if !quoted || escapes() % 2 == 0 => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

struct Members<'a> {
    rest: &'a [u8],
    separator: u8,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = unquoted_position(self.rest, self.separator).unwrap_or(self.rest.len());
            let (member, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            let member = member.trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

fn unquoted_position(value: &[u8], separator: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().position(|&byte| {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = byte == b'\\';
            quoted = byte != b'"';
        } else if byte == b'"' {
            quoted = true;
        } else {
            return byte == separator;
        }
        false
    })
}

/// A value without its quotes and escapes (RFC 9110 §5.6.4); a token as it is.
pub(crate) fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return Cow::Borrowed(value);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' {
            bytes.next().copied().unwrap_or(b'\\')
        } else {
            byte
        });
    }
    Cow::Owned(out)
}

/// `name` and `value` of `name=value`, trimmed; without `=`, no value.
pub(crate) fn pair(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match member.iter().position(|&byte| byte == b'=') {
        Some(at) => {
            let (name, rest) = member.split_at(at);
            (
                name.trim_ascii(),
                Some(rest.get(1..).unwrap_or_default().trim_ascii()),
            )
        }
        None => (member.trim_ascii(), None),
    }
}

/// The values of a cookie over all `Cookie` lines (RFC 6265 §4.2.1), in their order.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(move |member| match pair(member) {
            (found, Some(value)) if found == name.as_bytes() => Some(value),
            _ => None,
        })
}

/// The name of a query parameter, decoded as a form decodes it, so that `%61` can't hide an `a`.
pub(crate) fn parameter_name(parameter: &str) -> Cow<'_, str> {
    let end = parameter.bytes().position(|octet| octet == b'=');
    let raw = end
        .and_then(|end| parameter.get(..end))
        .unwrap_or(parameter);
    form_decoded(raw)
}

/// `+` and escapes decoded; what is not UTF-8 becomes U+FFFD.
pub(crate) fn form_decoded(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| byte == b'+' || byte == b'%') {
        return Cow::Borrowed(raw);
    }
    let spaced = raw.replace('+', " ");
    Cow::Owned(
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        lines
            .iter()
            .map(|line| (name.clone(), line.parse().unwrap()))
            .collect()
    }

    #[test]
    fn lists_split_outside_of_quotes() {
        let check = |lines: &[&str], expected: &[&str]| {
            let map = headers("x-list", lines);
            let found: Vec<_> = list(&map, &HeaderName::from_static("x-list")).collect();
            assert_eq!(
                found,
                expected
                    .iter()
                    .map(|text| text.as_bytes())
                    .collect::<Vec<_>>(),
                "{lines:?}"
            );
        };
        check(&["a, b ,,c"], &["a", "b", "c"]);
        check(&["a", "b, c"], &["a", "b", "c"]);
        check(&[r#"a="x,y", b"#], &[r#"a="x,y""#, "b"]);
        check(&[r#"a="x\",y", b"#], &[r#"a="x\",y""#, "b"]);
        check(&[r#"a="open, b"#], &[r#"a="open, b"#]);
        check(&["", " , "], &[]);
    }

    #[test]
    fn lists_split_from_their_end() {
        let check = |line: &str, expected: &[&str]| {
            let found: Vec<_> = members_from_end(line.as_bytes()).collect();
            assert_eq!(
                found,
                expected
                    .iter()
                    .map(|text| text.as_bytes())
                    .collect::<Vec<_>>(),
                "{line}"
            );
        };
        check("a, b,,c", &["c", "b", "a"]);
        check("", &[]);
        check(r#"a, b="x,y""#, &[r#"b="x,y""#, "a"]);
        check(r#"a, b="x\",y""#, &[r#"b="x\",y""#, "a"]);
        check(r#""open, b"#, &["b", "\"open"]);
        check(
            r#"x="a, b, for=c;d="e,f""#,
            &[r#"for=c;d="e,f""#, "b", r#"x="a"#],
        );
    }

    #[test]
    fn quoted_strings_lose_quotes_and_escapes() {
        assert_eq!(&*unquote(br#""a\"b""#), br#"a"b"#);
        assert_eq!(&*unquote(b"token"), b"token");
        assert_eq!(&*unquote(br#"""#), br#"""#);
    }

    #[test]
    fn cookies_are_found_over_all_lines() {
        let map = headers("cookie", &["a=1; b=2", "a=3;ab=4; a"]);
        assert_eq!(cookies(&map, "a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(cookies(&map, "c").count(), 0);
    }
}
