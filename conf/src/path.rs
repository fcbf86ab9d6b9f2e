//! The normal form of a request path. Routes, cache keys, object identities and purge marks all use it, so that two
//! spellings of one path can't be cached apart and a purge can't miss one of them.

use std::borrow::Cow;

/// The normal form of a path (RFC 3986 §6.2.2): unreserved octets decoded, other escapes in upper case, octets that
/// §3.3 does not allow in a path escaped, dot segments removed, a leading slash. `%2F` stays an escape: it is not a
/// separator. Empty segments stay: origins tell them apart.
/// The query is not part of a path; whatever follows a `?` must have been cut off.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(remove_dot_segments(&normal_escapes(path)))
}

/// The segments that a prefix consists of: a prefix mark on `/a` covers `/a` and `/a/b`, never `/ab`.
pub fn has_segment_prefix(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every prefix of a normal path in whole segments, shortest first, ending with the path itself: what a look-up of
/// prefix marks asks for. `/a/b` gives `""`, `/a`, `/a/b`.
pub fn segment_prefixes(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.match_indices('/')
        .map(|(at, _)| &path[..at])
        .chain(std::iter::once(path))
}

fn is_normal(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(stands_raw) && !path.contains("/.")
}

/// Whether an octet may stand in a path unescaped: a slash or one of RFC 3986 §3.3 `pchar`, but `%`. And `?`, which no
/// path has, and the patterns of a policy have.
fn stands_raw(byte: u8) -> bool {
    const RAW: [bool; 256] = {
        let mut raw = [false; 256];
        let mut byte: u8 = 0;
        while byte < 128 {
            raw[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'/' | b'?'
                        | b'-'
                        | b'.'
                        | b'_'
                        | b'~'
                        | b':'
                        | b'@'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b','
                        | b';'
                        | b'='
                );
            byte += 1;
        }
        raw
    };
    RAW[usize::from(byte)]
}

fn normal_escapes(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(bytes.len() + 1);
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], escaped(&bytes[at..])) {
            (b'%', Some(byte)) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                at += 3;
            }
            (b'%', Some(byte)) => {
                push_escape(&mut out, byte);
                at += 3;
            }
            // A bare `%` is not an escape; it stays what it is, spelled so that nobody reads it as one.
            (b'%', None) => {
                push_escape(&mut out, b'%');
                at += 1;
            }
            (byte, _) if stands_raw(byte) => {
                out.push(char::from(byte));
                at += 1;
            }
            (byte, _) => {
                push_escape(&mut out, byte);
                at += 1;
            }
        }
    }
    out
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| {
        bytes
            .get(at)
            .and_then(|&byte| char::from(byte).to_digit(16))
    };
    Some((digit(1)? * 16 + digit(2)?) as u8)
}

fn push_escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([
        '%',
        char::from(HEX[usize::from(byte >> 4)]),
        char::from(HEX[usize::from(byte & 15)]),
    ]);
}

fn remove_dot_segments(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut ends_in_folder = false;
    for segment in segments {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                out.pop();
            }
            _ => out.push(segment),
        }
    }
    let mut text = String::with_capacity(path.len() + 1);
    for segment in &out {
        text.push('/');
        text.push_str(segment);
    }
    if ends_in_folder || text.is_empty() {
        text.push('/');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_path_have_one_form() {
        let cases = [
            ("/a/b", "/a/b"),
            ("", "/"),
            ("/", "/"),
            ("a", "/a"),
            ("/%7Eme", "/~me"),
            ("/%7eme", "/~me"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a//b", "/a//b"),
            ("/a/", "/a/"),
            ("/é", "/%C3%A9"),
            ("/100%", "/100%25"),
            ("/%zz", "/%25zz"),
            ("/.hidden", "/.hidden"),
            ("/a{", "/a%7B"),
            ("/a%7b", "/a%7B"),
            ("/{}|^", "/%7B%7D%7C%5E"),
            ("/\"<>`\\", "/%22%3C%3E%60%5C"),
            ("/[a]", "/%5Ba%5D"),
            ("/a b", "/a%20b"),
            ("/\t\u{7f}\0", "/%09%7F%00"),
            ("/a#b", "/a%23b"),
            ("/:@!$&'()*+,;=-._~", "/:@!$&'()*+,;=-._~"),
            ("/%3A%40%21", "/%3A%40%21"),
        ];
        for (written, normal) in cases {
            assert_eq!(normalise(written), normal, "{written}");
            assert_eq!(
                normalise(normal),
                normal,
                "the normal form of {written} is normal"
            );
        }
    }

    #[test]
    fn prefixes_are_whole_segments() {
        assert!(has_segment_prefix("/a/b", "/a"));
        assert!(has_segment_prefix("/a/b", "/a/"));
        assert!(has_segment_prefix("/a", "/a"));
        assert!(has_segment_prefix("/ab", "/"));
        assert!(!has_segment_prefix("/ab", "/a"));
        assert_eq!(
            segment_prefixes("/a/b").collect::<Vec<_>>(),
            ["", "/a", "/a/b"]
        );
        assert_eq!(segment_prefixes("/").collect::<Vec<_>>(), [""]);
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_and_holds_only_what_a_path_may(path in "(/|[ -~]|\\PC|%[0-9a-fA-F]{2}|\\.){0,24}") {
            let normal = normalise(&path).into_owned();
            prop_assert_eq!(normalise(&normal), &*normal);
            prop_assert!(normal.starts_with('/'));
            prop_assert!(normal.bytes().all(|byte| byte == b'%' || stands_raw(byte)), "{}", normal);
        }

        /// Octets that a path may hold raw and that are not unreserved mean something else when they are escaped; and a raw
        /// `%` before two hexadecimal digits is an escape already.
        #[test]
        fn raw_and_escaped_spellings_meet(segment in "[a-z]{0,3}[ -$&-~é\\x00-\\x1f\\x7f][a-z.]{0,3}") {
            let kept = |byte: u8| b"/?:@!$&'()*+,;=".contains(&byte);
            let escaped: String = segment
                .bytes()
                .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
                .collect();
            let (escaped, raw) = (format!("/{escaped}"), format!("/{segment}"));
            prop_assert_eq!(normalise(&escaped), normalise(&raw));
        }
    }
}
