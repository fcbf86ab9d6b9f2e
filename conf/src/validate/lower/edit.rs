//! Edits of headers and paths, and redirects.

use super::{At, Flaw, Lowering};
use crate::{
    document::{self, OneOrMany, text::HeaderName},
    path::{has_segment_prefix, normalise},
    policy::{HeaderEdits, PathPattern, Redirect, RedirectTo, Rewrite},
};

/// Fields of the connection or of the message's framing (RFC 9110 §7.6.1): editing one would let a message be read as two.
pub(super) const UNTOUCHABLE: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Lowering<'_, '_, '_> {
    pub(super) fn edits(
        &mut self,
        written: Option<&document::HeaderEdits>,
        at: At<'_>,
        key: &str,
    ) -> HeaderEdits {
        let Some(written) = written else {
            return HeaderEdits::default();
        };
        let at = at.key(key);
        for (name, item) in written
            .remove
            .iter()
            .zip(at.key("remove").items().filter(|_| at.has("remove")))
        {
            self.may_edit(name, item, item.place());
        }
        for kind in ["set", "add"] {
            for (name, entry) in at.section(kind).into_iter().flat_map(At::entries) {
                if let Ok(name) = name.parse() {
                    self.may_edit(&name, entry, entry.key_place());
                }
            }
        }
        let set = written.set.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?.0, value.0.clone()))
        });
        let add = written
            .add
            .iter()
            .flat_map(|(name, values): (&str, &OneOrMany<_>)| {
                let name = name.parse::<HeaderName>().ok();
                let pairs = values.as_slice().iter().filter_map(
                    move |value: &document::text::HeaderValue| {
                        Some((name.clone()?.0, value.0.clone()))
                    },
                );
                pairs.collect::<Vec<_>>()
            });
        HeaderEdits {
            remove: written.remove.iter().map(|name| name.0.clone()).collect(),
            set: set.collect(),
            add: add.collect(),
        }
    }

    fn may_edit(&mut self, name: &HeaderName, at: At<'_>, place: super::Place) {
        let flaw = Flaw::new(format!("`{}` can't be edited", name.0));
        let flaw = match name.0.as_str() {
            "host" => flaw.help("set `host` on the origin"),
            known if UNTOUCHABLE.contains(&known) => {
                flaw.help("it belongs to the connection, not to the message")
            }
            _ => return,
        };
        self.report.add(place, at.path(), flaw);
    }

    pub(super) fn rewrite(
        &mut self,
        written: &document::Rewrite,
        matches: Option<&document::Match>,
        at: At<'_>,
    ) -> Rewrite {
        match written {
            document::Rewrite::Path(path) => {
                self.no_query(&path.0, at.key("path"));
                Rewrite::Path(path.0.clone())
            }
            document::Rewrite::Prefix(prefix) => {
                let at = at.key("prefix");
                self.no_query(&prefix.to.0, at.key("to"));
                let from = normalise(&prefix.from.0).into_owned();
                let paths = matches.and_then(|matches| matches.path.as_ref());
                let reached = paths.is_none_or(|paths| {
                    paths
                        .as_slice()
                        .iter()
                        .any(|path| may_begin(&path.0, &from))
                });
                if !reached {
                    let flaw = Flaw::new(format!("no path of this route begins with `{from}`"));
                    self.refuse(
                        at.key("from"),
                        flaw.help(
                            "the prefix is of the path that the client sent, in whole segments",
                        ),
                    );
                }
                Rewrite::Prefix {
                    from,
                    to: prefix.to.0.clone(),
                }
            }
        }
    }

    fn no_query(&mut self, path: &str, at: At<'_>) {
        if path.contains(['?', '#']) {
            self.refuse(
                at,
                Flaw::new("a rewrite changes the path alone").help("the query stays as it came"),
            );
        }
    }
}

/// Whether a path that the pattern matches may begin with a prefix.
fn may_begin(pattern: &PathPattern, prefix: &str) -> bool {
    match pattern {
        PathPattern::Exact(path) => has_segment_prefix(path, prefix),
        PathPattern::Below(folder) => {
            has_segment_prefix(folder, prefix) || has_segment_prefix(prefix, folder)
        }
        PathPattern::Glob(_) => true,
    }
}

pub(super) fn redirect(written: &document::Redirect) -> Redirect {
    match written {
        document::Redirect::Https(_) => Redirect {
            status: 308,
            to: RedirectTo::Https { port: 443 },
        },
        document::Redirect::ToHttps(redirect) => Redirect {
            status: redirect.https.status.map_or(308, |status| status.0),
            to: RedirectTo::Https {
                port: redirect.https.port.unwrap_or(443),
            },
        },
        document::Redirect::To(redirect) => Redirect {
            status: redirect.status.map_or(307, |status| status.0),
            to: RedirectTo::Url(redirect.to.0.clone()),
        },
    }
}
