//! Values that are written as text with a form of their own: durations, sizes, blocks of addresses, patterns. Each is
//! one type that parses, describes itself in the schema, and says what is wrong with a text that it refuses.

mod hosts;
mod http;
mod names;
mod paths;
mod quantities;

pub use hosts::{Authority, Block, Client, Host, OriginUrl, ServerName};
pub use http::{HeaderName, HeaderValue, Method, Statuses};
pub use names::{FilePath, Name, NamePattern, Words};
pub use paths::{AbsolutePath, GLOB_BYTES_MAX, PathText, RedirectTarget};
pub use quantities::{DURATION_MAX, Duration, Rate, Size, Timeout};

/// What is wrong with a value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .help.as_ref().map(|help| format!(": {help}")).unwrap_or_default())]
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Flaw {
    /// A flaw without help.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    /// Says what to do.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// A value that is written as text.
pub trait Text: Sized {
    /// Its `format` in the schema.
    const FORMAT: &'static str;
    /// What an error calls it: `a duration like 30s`.
    const EXPECTED: &'static str;
    /// Reads it.
    fn parse(text: &str) -> Result<Self, Flaw>;
}

/// What the schema's walker knows of one `format`.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) check: fn(&str) -> Result<(), Flaw>,
}

const fn format<T: Text>() -> Format {
    Format {
        name: T::FORMAT,
        expected: T::EXPECTED,
        check: |text| T::parse(text).map(drop),
    }
}

/// Every `format` of the schema.
pub(crate) const FORMATS: &[Format] = &[
    format::<AbsolutePath>(),
    format::<Authority>(),
    format::<Block>(),
    format::<Client>(),
    format::<Duration>(),
    format::<FilePath>(),
    format::<HeaderName>(),
    format::<HeaderValue>(),
    format::<Host>(),
    format::<Method>(),
    format::<Name>(),
    format::<NamePattern>(),
    format::<OriginUrl>(),
    format::<PathText>(),
    format::<Rate>(),
    format::<RedirectTarget>(),
    format::<ServerName>(),
    format::<Size>(),
    format::<Statuses>(),
    format::<Timeout>(),
    format::<Words>(),
];

/// Serde, schema and `FromStr` of a type that is written as text.
macro_rules! written_as_text {
    ($type:ident, $description:literal, [$($example:literal),*]) => {
        impl std::str::FromStr for $type {
            type Err = $crate::document::text::Flaw;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::document::text::Text>::parse(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                <Self as $crate::document::text::Text>::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "format": <Self as $crate::document::text::Text>::FORMAT,
                    "description": $description,
                    "examples": [$($example),*],
                })
            }
        }
    };
}
use written_as_text;

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ok` with the value as it prints, or the message.
    #[track_caller]
    pub(super) fn check<T: Text + std::fmt::Debug>(text: &str, expected: Result<&str, &str>) {
        let parsed = T::parse(text).map(|value| format!("{value:?}"));
        match (&parsed, expected) {
            (Ok(value), Ok(wanted)) => assert_eq!(value, wanted, "{text:?}"),
            (Err(flaw), Err(fragment)) => {
                assert!(flaw.to_string().contains(fragment), "{text:?}: {flaw}");
            }
            _ => panic!("{text:?}: {parsed:?}, wanted {expected:?}"),
        }
    }

    #[test]
    fn formats_are_told_apart() {
        for (index, format) in FORMATS.iter().enumerate() {
            assert!(
                format.name.starts_with("latencify-"),
                "{} can be mistaken for a standard format",
                format.name
            );
            assert!(
                FORMATS
                    .iter()
                    .skip(index + 1)
                    .all(|other| other.name != format.name),
                "{} twice",
                format.name
            );
        }
    }
}
