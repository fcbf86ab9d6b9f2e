//! Tags of a response (surrogate keys): what a purge may call it besides its URL.

use http::{HeaderMap, HeaderName};

/// The most tags of one response; further ones are dropped and counted.
pub const TAGS_MAX: usize = 128;

/// The most octets of one tag; a longer one is dropped and counted.
pub use latencify_conf::change::TAG_BYTES_MAX;

/// Space-separated tags (Fastly, Akamai).
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// Comma-separated tags (Cloudflare).
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// The tags of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// Each once, sorted, compared octet by octet.
    pub tags: Vec<String>,
    /// How many were dropped: too many, too long or not UTF-8. A response with dropped tags is best not stored for long,
    /// because a purge of such a tag can't find it.
    pub dropped: usize,
}

/// Reads `Surrogate-Key`, `Cache-Tag` and the policy's further fields, whose tags are separated by spaces or commas.
pub fn of(response: &HeaderMap, further: &[HeaderName]) -> Tags {
    let mut found = Tags::default();
    found.take(response, &SURROGATE_KEY, |byte| {
        byte == b' ' || byte == b'\t'
    });
    found.take(response, &CACHE_TAG, |byte| byte == b',');
    for name in further
        .iter()
        .filter(|name| **name != SURROGATE_KEY && **name != CACHE_TAG)
    {
        found.take(response, name, |byte| {
            byte == b' ' || byte == b'\t' || byte == b','
        });
    }
    found.tags.sort_unstable();
    found.tags.dedup();
    if found.tags.len() > TAGS_MAX {
        found.dropped += found.tags.len() - TAGS_MAX;
        found.tags.truncate(TAGS_MAX);
    }
    found
}

impl Tags {
    fn take(&mut self, response: &HeaderMap, name: &HeaderName, separates: impl Fn(u8) -> bool) {
        for line in response.get_all(name) {
            for tag in line
                .as_bytes()
                .split(|&byte| separates(byte))
                .map(<[u8]>::trim_ascii)
            {
                match std::str::from_utf8(tag) {
                    Ok("") => {}
                    Ok(tag) if tag.len() <= TAG_BYTES_MAX => self.tags.push(tag.to_owned()),
                    _ => self.dropped += 1,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[(&'static str, String)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn each_field_has_its_separator() {
        let headers = response(&[
            ("surrogate-key", "b a,x  b".to_owned()),
            ("cache-tag", "c one, c two,".to_owned()),
            ("xkey", "d,e f".to_owned()),
        ]);
        let xkey = HeaderName::from_static("xkey");
        assert_eq!(
            of(&headers, &[xkey]).tags,
            ["a,x", "b", "c one", "c two", "d", "e", "f"]
        );
        assert_eq!(of(&headers, &[]).tags, ["a,x", "b", "c one", "c two"]);
    }

    #[test]
    fn tags_beyond_the_bounds_are_dropped_and_counted() {
        let many = (0..=TAGS_MAX)
            .map(|n| format!("t{n}"))
            .collect::<Vec<_>>()
            .join(" ");
        let found = of(&response(&[("surrogate-key", many)]), &[]);
        assert_eq!((found.tags.len(), found.dropped), (TAGS_MAX, 1));

        let found = of(
            &response(&[(
                "cache-tag",
                format!("ok, {}", "x".repeat(TAG_BYTES_MAX + 1)),
            )]),
            &[],
        );
        assert_eq!((found.tags, found.dropped), (vec!["ok".to_owned()], 1));
    }
}
