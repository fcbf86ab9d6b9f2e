//! Edits of header fields, and the path on its way to the origin.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use latencify_conf::{
    path,
    policy::{HeaderEdits, Rewrite},
};

/// Header fields that can be edited: an [`http::HeaderMap`], or a server's own form of it.
pub trait Fields {
    /// Takes out all lines of a field.
    fn remove(&mut self, name: &HeaderName);
    /// One line instead of all.
    fn set(&mut self, name: &HeaderName, value: &HeaderValue);
    /// One more line.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue);
}

impl Fields for HeaderMap {
    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }

    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.insert(name.clone(), value.clone());
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name.clone(), value.clone());
    }
}

/// Fields of the connection or of the message's framing (RFC 9110 §7.6.1), whose change would let one message be read as
/// two. A valid policy edits none of them.
static UNTOUCHABLE: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a policy may edit a field.
pub fn may_edit(name: &HeaderName) -> bool {
    !UNTOUCHABLE.contains(name)
}

/// Applies edits: first removed, then set, then added. Fields that [must not be edited](may_edit) stay as they are.
pub fn apply(edits: &HeaderEdits, fields: &mut impl Fields) {
    for name in edits.remove.iter().filter(|name| may_edit(name)) {
        fields.remove(name);
    }
    for (name, value) in edits.set.iter().filter(|(name, _)| may_edit(name)) {
        fields.set(name, value);
    }
    for (name, value) in edits.add.iter().filter(|(name, _)| may_edit(name)) {
        fields.add(name, value);
    }
}

/// The request target for the origin: the normal path, rewritten, and the query as it came. It starts from the normal
/// path because that is what the object is stored under: an origin that read another spelling otherwise would let one
/// path's content be stored as another's.
pub fn origin_target(rewrite: Option<&Rewrite>, normal_path: &str, query: Option<&str>) -> String {
    let mut target = match rewrite {
        None => normal_path.to_owned(),
        Some(Rewrite::Path(path)) => rooted(path),
        Some(Rewrite::Prefix { from, to }) => match without_prefix(normal_path, from) {
            Some(rest) => joined(to, rest),
            None => normal_path.to_owned(),
        },
    };
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    target
}

/// What follows a prefix of whole segments: empty, or beginning with a slash.
fn without_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path::has_segment_prefix(path, prefix)
        .then(|| path.strip_prefix(prefix))
        .flatten()
}

fn joined(to: &str, rest: &str) -> String {
    let to = to.strip_suffix('/').unwrap_or(to);
    rooted(&format!("{to}{rest}"))
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_rewritten_and_the_query_stays() {
        let prefix = |from: &str, to: &str| {
            Some(Rewrite::Prefix {
                from: from.to_owned(),
                to: to.to_owned(),
            })
        };
        let check = |rewrite: Option<Rewrite>, path: &str, query: Option<&str>, expected: &str| {
            assert_eq!(
                origin_target(rewrite.as_ref(), path, query),
                expected,
                "{rewrite:?} {path}"
            );
        };
        check(None, "/a", Some("q=1"), "/a?q=1");
        check(None, "/a", Some(""), "/a?");
        check(prefix("/static", "/"), "/static/a", Some("q"), "/a?q");
        check(prefix("/static", "/"), "/static", None, "/");
        check(prefix("/static/", "/"), "/static/", None, "/");
        check(prefix("/static", "/v2"), "/static/a/b", None, "/v2/a/b");
        check(prefix("/static", "/v2/"), "/static", None, "/v2");
        check(prefix("/static", "/v2"), "/statics", None, "/statics");
        check(prefix("/", "/v2"), "/a", None, "/v2/a");
        check(prefix("/", "/v2"), "/", None, "/v2/");
        check(
            Some(Rewrite::Path("/index.html".to_owned())),
            "/any",
            Some("x=1"),
            "/index.html?x=1",
        );
    }

    #[test]
    fn edits_run_in_order_and_leave_framing_alone() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let mut map: HeaderMap = [
            (name("x-gone"), value("1")),
            (name("x-one"), value("1")),
            (name("x-one"), value("2")),
            (name("content-length"), value("5")),
        ]
        .into_iter()
        .collect();
        let edits = HeaderEdits {
            remove: vec![name("x-gone"), name("content-length"), name("connection")],
            set: vec![
                (name("x-one"), value("3")),
                (name("transfer-encoding"), value("chunked")),
            ],
            add: vec![(name("x-one"), value("4")), (name("x-new"), value("5"))],
        };
        apply(&edits, &mut map);
        let expected: HeaderMap = [
            (name("x-one"), value("3")),
            (name("x-one"), value("4")),
            (name("content-length"), value("5")),
            (name("x-new"), value("5")),
        ]
        .into_iter()
        .collect();
        assert_eq!(map, expected);
    }
}
