//! Names that the policy gives, and patterns of names.

use super::{Flaw, Text, written_as_text};
use std::path::PathBuf;

/// The most characters of a name that the policy gives to a site, an origin, a certificate, a route or a limit.
pub const NAME_BYTES_MAX: usize = 64;
/// The most bytes of a value that is copied as it is: an issuer, an audience, a claim's name, a file's path.
pub const WORDS_BYTES_MAX: usize = 1024;

/// A name: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub String);

/// A name of a query parameter or cookie, or a wildcard like `utm_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(pub String);

/// Text that is not empty and not too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub String);

/// The path of a file on the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl Text for Name {
    const FORMAT: &'static str = "latencify-name";
    const EXPECTED: &'static str = "a name";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let help = "letters, digits, `-`, `_` and `.`, with a letter or digit first";
        if text.is_empty() {
            return Err(Flaw::new("a name can't be empty").help(help));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(Flaw::new(format!("a name of {} characters", text.len()))
                .help(format!("at most {NAME_BYTES_MAX}")));
        }
        let good = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !good || !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(Flaw::new(format!("`{text}` is not a name")).help(help));
        }
        Ok(Self(text.to_owned()))
    }
}
written_as_text!(
    Name,
    "A name: letters, digits, `-`, `_` and `.`, a letter or digit first, at most 64.",
    ["shop", "paris-1"]
);

impl Text for NamePattern {
    const FORMAT: &'static str = "latencify-name-pattern";
    const EXPECTED: &'static str = "a name, or a wildcard like utm_*";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let core = text
            .strip_suffix('*')
            .or_else(|| text.strip_prefix('*'))
            .unwrap_or(text);
        if core.contains('*') {
            return Err(Flaw::new(format!("`{text}`: one `*`, and only at an end"))
                .help("like utm_* or *_id"));
        }
        if core.is_empty() {
            return Err(Flaw::new(format!("`{text}` names nothing"))
                .help("for every name write `all`, for none `none`"));
        }
        Words::parse(text)?;
        Ok(Self(text.to_owned()))
    }
}
written_as_text!(
    NamePattern,
    "A name; `*` at one end is a wildcard.",
    ["page", "utm_*"]
);

impl Text for Words {
    const FORMAT: &'static str = "latencify-text";
    const EXPECTED: &'static str = "text";
    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new("this can't be empty"));
        }
        if text.len() > WORDS_BYTES_MAX {
            return Err(Flaw::new(format!("{} bytes are too many", text.len()))
                .help(format!("at most {WORDS_BYTES_MAX}")));
        }
        if text.chars().any(char::is_control) {
            return Err(Flaw::new("there is a control character in this text")
                .help("a line break or tab may have slipped in"));
        }
        Ok(Self(text.to_owned()))
    }
}
written_as_text!(
    Words,
    "Text that is not empty, at most 1024 bytes, on one line.",
    ["https://login.example/"]
);

impl Text for FilePath {
    const FORMAT: &'static str = "latencify-file";
    const EXPECTED: &'static str = "a file's path";
    fn parse(text: &str) -> Result<Self, Flaw> {
        let Words(path) = Words::parse(text)?;
        Ok(Self(path.into()))
    }
}
written_as_text!(
    FilePath,
    "The path of a file on the edge; a relative one starts at the edge's certificate folder.",
    ["shop.pem"]
);

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn names() {
        check::<Name>("shop", Ok("Name(\"shop\")"));
        check::<Name>("a.b-c_d9", Ok("Name(\"a.b-c_d9\")"));
        check::<Name>("", Err("can't be empty"));
        for bad in ["-a", "a b", "a/b", "é", ".a"] {
            check::<Name>(bad, Err("is not a name"));
        }
        check::<Name>(&"a".repeat(65), Err("65 characters"));
        check::<NamePattern>("utm_*", Ok("NamePattern(\"utm_*\")"));
        check::<NamePattern>("*_id", Ok("NamePattern(\"*_id\")"));
        check::<NamePattern>("*", Err("names nothing"));
        check::<NamePattern>("a*b", Err("only at an end"));
        check::<NamePattern>("*a*", Err("only at an end"));
        check::<Words>("a\nb", Err("control character"));
        check::<Words>(&"a".repeat(1025), Err("too many"));
    }
}
