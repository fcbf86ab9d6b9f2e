//! Paths, patterns of paths, and where redirects point.

use super::{Flaw, Text, written_as_text};
use crate::{path::normalise, policy::PathPattern};

/// The most bytes of a path or pattern.
pub const PATH_BYTES_MAX: usize = 2048;
/// The most bytes of a pattern with wildcards: matching costs its length times that of the text.
pub const GLOB_BYTES_MAX: usize = 1000;

/// A pattern over paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathText(pub PathPattern);

/// A path that starts with a slash; a query may follow where one makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(pub String);

/// A URL or an absolute path with `{host}`, `{path}` and `{query}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget(pub String);

impl Text for PathText {
    const FORMAT: &'static str = "latencify-path-pattern";
    const EXPECTED: &'static str = "a path like /a/b, /a/** or *.css";
    fn parse(text: &str) -> Result<Self, Flaw> {
        bounded(text)?;
        if !text.starts_with(['/', '*']) {
            return Err(
                Flaw::new(format!("the path `{text}` does not start with `/` or `*`"))
                    .help(format!("write `/{text}`")),
            );
        }
        if text.contains('#')
            || text
                .split_once('?')
                .is_some_and(|(_, rest)| rest.contains('='))
        {
            let flaw = Flaw::new(format!("`{text}` is more than a path"));
            return Err(flaw.help("routes match the path alone; `?` stands for one character"));
        }
        if is_glob(text) && text.len() > GLOB_BYTES_MAX {
            let flaw = Flaw::new(format!("{} bytes are too many for a pattern", text.len()));
            return Err(flaw.help(format!("at most {GLOB_BYTES_MAX}")));
        }
        let any_start = text.trim_start_matches('*');
        Ok(Self(match text.strip_suffix("/**") {
            _ if any_start.is_empty() => PathPattern::Below(String::new()),
            Some(folder) if !is_glob(folder) => PathPattern::Below(match folder {
                "" => String::new(),
                folder => normalise(folder).trim_end_matches('/').to_owned(),
            }),
            _ if !is_glob(text) => PathPattern::Exact(normalise(text).into_owned()),
            // A pattern without a leading slash is about the end of the path, however deep: `**` reaches down.
            // A pattern without a leading slash may begin after any slash: the normal form must not give it one.
            _ if any_start.len() < text.len() => {
                let stars = text.get(..text.len() - any_start.len()).unwrap_or_default();
                let rest = normalise(any_start);
                let rest = if any_start.starts_with('/') {
                    &rest
                } else {
                    rest.trim_start_matches('/')
                };
                PathPattern::Glob(format!("{stars}{rest}"))
            }
            _ => PathPattern::Glob(normalise(text).into_owned()),
        }))
    }
}
written_as_text!(
    PathText,
    "A pattern over paths: `/a/b` is that path, `/a/**` it and everything below, otherwise `*` is any run without a slash, `**` any run, `?` one character. `*.css` is any path with that end.",
    ["/static/**", "/robots.txt", "*.css", "/v?/items/*"]
);

impl Text for AbsolutePath {
    const FORMAT: &'static str = "latencify-path";
    const EXPECTED: &'static str = "a path like /a/b";
    fn parse(text: &str) -> Result<Self, Flaw> {
        bounded(text)?;
        if !text.starts_with('/') {
            return Err(
                Flaw::new(format!("the path `{text}` does not start with `/`"))
                    .help(format!("write `/{text}`")),
            );
        }
        Ok(Self(text.to_owned()))
    }
}
written_as_text!(
    AbsolutePath,
    "A path that starts with `/`.",
    ["/", "/index.html"]
);

impl Text for RedirectTarget {
    const FORMAT: &'static str = "latencify-redirect";
    const EXPECTED: &'static str = "a URL or a path like https://new.example{path}{query}";
    fn parse(text: &str) -> Result<Self, Flaw> {
        bounded(text)?;
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('{') {
            let known = ["host}", "path}", "query}"]
                .iter()
                .find_map(|name| after.strip_prefix(name));
            rest = known.ok_or_else(|| {
                let name: String = after
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                Flaw::new(format!("`{{{name}` stands for nothing"))
                    .help("there are {host}, {path} and {query}")
            })?;
        }
        let sample = text
            .replace("{host}", "host.example")
            .replace("{path}", "/path")
            .replace("{query}", "?query");
        if sample.starts_with('/') && !sample.starts_with("//") {
            return Ok(Self(text.to_owned()));
        }
        match url::Url::parse(&sample) {
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Flaw::new(format!(
                "`{text}` is neither an http(s) URL nor a path that starts with `/`"
            ))
            .help("like https://new.example{path}{query} or /new{query}")),
        }
    }
}
written_as_text!(
    RedirectTarget,
    "A URL or an absolute path, where `{host}`, `{path}` and `{query}` stand for the request's; `{query}` brings its `?`.",
    ["https://new.example{path}{query}", "/new"]
);

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn bounded(text: &str) -> Result<(), Flaw> {
    if text.len() > PATH_BYTES_MAX {
        return Err(
            Flaw::new(format!("{} bytes are too many for a path", text.len()))
                .help(format!("at most {PATH_BYTES_MAX}")),
        );
    }
    match text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        Some(' ') => {
            Err(Flaw::new(format!("there is a blank in `{text}`")).help("write it as %20"))
        }
        Some(_) => Err(Flaw::new("there is a control character in this path")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn patterns() {
        let good = [
            ("/a/b", "Exact(\"/a/b\")"),
            ("/", "Exact(\"/\")"),
            ("/a/./b", "Exact(\"/a/b\")"),
            ("/%7Eme", "Exact(\"/~me\")"),
            ("/é", "Exact(\"/%C3%A9\")"),
            ("/a/**", "Below(\"/a\")"),
            ("/**", "Below(\"\")"),
            ("/a//**", "Below(\"/a\")"),
            ("*.css", "Glob(\"*.css\")"),
            ("*", "Below(\"\")"),
            ("**/x", "Glob(\"**/x\")"),
            ("/img/*/large", "Glob(\"/img/*/large\")"),
            ("/v?/x", "Glob(\"/v?/x\")"),
            ("/é/*", "Glob(\"/%C3%A9/*\")"),
            ("/a/*/**", "Glob(\"/a/*/**\")"),
        ];
        for (text, pattern) in good {
            check::<PathText>(text, Ok(&format!("PathText({pattern})")));
        }
        check::<PathText>("a/b", Err("write `/a/b`"));
        check::<PathText>("", Err("does not start"));
        check::<PathText>("/a?x=1", Err("more than a path"));
        check::<PathText>("/a b", Err("%20"));
        check::<PathText>(&"/".repeat(2049), Err("too many"));
        check::<PathText>(&"/*".repeat(501), Err("too many for a pattern"));
    }

    #[test]
    fn redirect_targets() {
        for good in [
            "https://new.example{path}{query}",
            "/new",
            "/new{query}",
            "http://{host}:8080{path}",
            "{path}x",
        ] {
            assert!(RedirectTarget::parse(good).is_ok(), "{good}");
        }
        check::<RedirectTarget>("new.example", Err("neither"));
        check::<RedirectTarget>("//new.example", Err("neither"));
        check::<RedirectTarget>("javascript:alert(1)", Err("neither"));
        check::<RedirectTarget>("https://new.example{url}", Err("`{url` stands for nothing"));
        check::<RedirectTarget>("https://new.example{", Err("stands for nothing"));
    }
}
