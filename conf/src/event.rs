//! Content events as they arrive: CloudEvents 1.0, in the structured JSON mode or the binary mode of HTTP and Kafka.
//!
//! Three types are known; each names what changed and purges it:
//! `com.latencify.content.published`, `….updated`, `….deleted`. Their data:
//!
//! ```json
//! {"urls": ["https://shop.example/a"], "prefixes": ["https://shop.example/img/"],
//!  "tags": ["product-7"], "site": "shop", "soft": false}
//! ```
//!
//! `site` narrows `tags`; an event that names only a site speaks of the whole site. Attributes and extensions that
//! decide nothing here are let through unread, as CloudEvents asks of consumers.

use crate::change::{EventId, PURGE_TARGETS_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most bytes of an event, headers apart.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// The most bytes of an event's source and of its id.
pub const EVENT_ID_BYTES_MAX: usize = 500;
/// The media type of an event in structured mode (CloudEvents JSON format §3).
pub const STRUCTURED: &str = "application/cloudevents+json";

/// What happened to the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It is there now.
    Published,
    /// It has changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Published, Self::Updated, Self::Deleted];

    /// The CloudEvents `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "com.latencify.content.published",
            Self::Updated => "com.latencify.content.updated",
            Self::Deleted => "com.latencify.content.deleted",
        }
    }
}

/// One content event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentEvent {
    /// Source and id: what makes a repeat a repeat.
    pub id: EventId,
    /// What happened.
    pub kind: Kind,
    /// To what.
    pub content: Content,
}

/// What a content event is about: at least one thing, at most [`PURGE_TARGETS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = r#"an object like {"tags": ["product-7"]}"#
)]
pub struct Content {
    /// Single URLs.
    pub urls: Vec<String>,
    /// URLs and everything below them.
    pub prefixes: Vec<String>,
    /// Surrogate keys.
    pub tags: Vec<String>,
    /// The site that the tags belong to, or, alone, the whole site.
    pub site: Option<String>,
    /// Whether what is stored may still be served as stale.
    pub soft: bool,
}

/// Why an event can't be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Larger than [`EVENT_BYTES_MAX`].
    #[error("an event of {0} bytes is larger than {EVENT_BYTES_MAX}: split it")]
    TooLarge(usize),
    /// Not JSON of the right shape.
    #[error("not a CloudEvents 1.0 event in JSON: {0}")]
    NotAnEvent(#[source] serde_json::Error),
    /// A required attribute is missing or empty.
    #[error(
        "the attribute {0:?} is missing: CloudEvents 1.0 requires specversion, id, source and type"
    )]
    Missing(&'static str),
    /// An attribute is longer than [`EVENT_ID_BYTES_MAX`].
    #[error("the attribute {0:?} is longer than {EVENT_ID_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// Another version of CloudEvents.
    #[error("specversion {0:?} is not known; this version reads 1.0")]
    Version(String),
    /// A type that is not a content event.
    #[error(
        "type {0:?} is not known; known are com.latencify.content.published, .updated and .deleted"
    )]
    Type(String),
    /// Data in another media type than JSON.
    #[error("data of type {0:?} can't be read; send application/json")]
    DataType(String),
    /// No data, or data of another shape.
    #[error(
        "the event's data is not like {{\"urls\": [\"https://shop.example/a\"], \"prefixes\": [], \"tags\": [\"product-7\"], \
         \"site\": \"shop\", \"soft\": false}}: {0}"
    )]
    Data(#[source] serde_json::Error),
    /// Data that names nothing.
    #[error("the event names no URL, prefix, tag or site")]
    NamesNothing,
    /// Data that names too much.
    #[error(
        "the event names {0} things, more than {PURGE_TARGETS_MAX}: split it, or name a prefix or a site"
    )]
    NamesTooMuch(usize),
}

impl EventError {
    /// Its stable name, in dead letters, logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::NotAnEvent(_) => "not_an_event",
            Self::Missing(_) => "attribute_missing",
            Self::TooLong(_) => "attribute_too_long",
            Self::Version(_) => "version_unknown",
            Self::Type(_) => "type_unknown",
            Self::DataType(_) => "data_type_unknown",
            Self::Data(_) => "data_unreadable",
            Self::NamesNothing => "names_nothing",
            Self::NamesTooMuch(_) => "names_too_much",
        }
    }
}

/// The context attributes of an event in binary mode, without their prefix (`ce-` in HTTP, `ce_` in Kafka).
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// `specversion`.
    pub specversion: Option<&'a str>,
    /// `id`.
    pub id: Option<&'a str>,
    /// `source`.
    pub source: Option<&'a str>,
    /// `type`.
    pub kind: Option<&'a str>,
    /// The content type of the data; none: JSON.
    pub datacontenttype: Option<&'a str>,
}

impl ContentEvent {
    /// Reads an event in structured mode (CloudEvents JSON format §3).
    pub fn from_structured(bytes: &[u8]) -> Result<Self, EventError> {
        within_bounds(bytes)?;
        let event: Structured<'_> =
            serde_json::from_slice(bytes).map_err(EventError::NotAnEvent)?;
        let attributes = Attributes {
            specversion: event.specversion.as_deref(),
            id: event.id.as_deref(),
            source: event.source.as_deref(),
            kind: event.kind.as_deref(),
            datacontenttype: event.datacontenttype.as_deref(),
        };
        Self::from_parts(
            &attributes,
            event.data.map_or("null", RawValue::get).as_bytes(),
        )
    }

    /// Reads an event in binary mode: attributes in headers, data as the body.
    pub fn from_binary(attributes: &Attributes<'_>, data: &[u8]) -> Result<Self, EventError> {
        within_bounds(data)?;
        Self::from_parts(attributes, data)
    }

    fn from_parts(attributes: &Attributes<'_>, data: &[u8]) -> Result<Self, EventError> {
        let version = attribute("specversion", attributes.specversion)?;
        if version != "1.0" {
            return Err(EventError::Version(version.to_owned()));
        }
        let id = attribute("id", attributes.id)?.to_owned();
        let source = attribute("source", attributes.source)?.to_owned();
        let written = attribute("type", attributes.kind)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == written)
            .ok_or_else(|| EventError::Type(written.to_owned()))?;
        let media_type = attributes.datacontenttype.unwrap_or("application/json");
        if !is_json(media_type) {
            return Err(EventError::DataType(
                media_type.chars().take(EVENT_ID_BYTES_MAX).collect(),
            ));
        }
        let content: Content = serde_json::from_slice(data).map_err(EventError::Data)?;
        match content.named() {
            0 => Err(EventError::NamesNothing),
            named if named > PURGE_TARGETS_MAX => Err(EventError::NamesTooMuch(named)),
            _ => Ok(Self {
                id: EventId { source, id },
                kind,
                content,
            }),
        }
    }
}

impl Content {
    /// How many things it names.
    fn named(&self) -> usize {
        let named = self.urls.len() + self.prefixes.len() + self.tags.len();
        named.max(usize::from(self.site.is_some()))
    }
}

/// An event in structured mode. Unknown members are extensions, and those are allowed.
#[derive(Deserialize)]
#[serde(
    expecting = r#"an object like {"specversion": "1.0", "type": "com.latencify.content.updated", "source": "cms", "id": "42", "data": {"tags": ["product-7"]}}"#
)]
struct Structured<'a> {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    datacontenttype: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn within_bounds(bytes: &[u8]) -> Result<(), EventError> {
    if bytes.len() > EVENT_BYTES_MAX {
        Err(EventError::TooLarge(bytes.len()))
    } else {
        Ok(())
    }
}

fn attribute<'a>(name: &'static str, value: Option<&'a str>) -> Result<&'a str, EventError> {
    match value {
        None | Some("") => Err(EventError::Missing(name)),
        Some(value) if value.len() > EVENT_ID_BYTES_MAX => Err(EventError::TooLong(name)),
        Some(value) => Ok(value),
    }
}

/// `application/json`, `text/json` or any `+json`, whatever its parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence
        .split_once('/')
        .is_some_and(|(_, subtype)| subtype == "json" || subtype.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(changes: Value) -> Vec<u8> {
        let mut event = json!({
            "specversion": "1.0", "id": "7", "source": "/cms", "type": "com.latencify.content.updated",
            "time": "2026-11-23T00:00:00Z", "traceparent": "x", "data": {"tags": ["a"]},
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                event.as_object_mut().unwrap().remove(name);
            } else {
                event[name] = value.clone();
            }
        }
        event.to_string().into_bytes()
    }

    #[test]
    fn every_kind_is_read_and_extensions_are_let_through() {
        for kind in Kind::ALL {
            let read =
                ContentEvent::from_structured(&event(json!({"type": kind.as_str()}))).unwrap();
            assert_eq!(read.kind, kind);
            assert_eq!(
                read.id,
                EventId {
                    source: "/cms".into(),
                    id: "7".into()
                }
            );
            assert_eq!(read.content.tags, ["a"]);
        }
    }

    #[test]
    fn what_can_not_be_read_says_why() {
        let many: Vec<_> = (0..=PURGE_TARGETS_MAX).map(|n| n.to_string()).collect();
        let cases = [
            (json!({"specversion": null}), "attribute_missing"),
            (json!({"id": ""}), "attribute_missing"),
            (json!({"source": null}), "attribute_missing"),
            (json!({"type": null}), "attribute_missing"),
            (json!({"id": "x".repeat(501)}), "attribute_too_long"),
            (json!({"specversion": "0.3"}), "version_unknown"),
            (json!({"type": "com.example.other"}), "type_unknown"),
            (
                json!({"datacontenttype": "text/plain"}),
                "data_type_unknown",
            ),
            (json!({"data": null}), "data_unreadable"),
            (json!({"data": {"urls": "x"}}), "data_unreadable"),
            (json!({"data": {"tag": ["x"]}}), "data_unreadable"),
            (json!({"data": "x"}), "data_unreadable"),
            (json!({"data": {}}), "names_nothing"),
            (json!({"data": {"tags": many}}), "names_too_much"),
            (json!({"id": 7}), "not_an_event"),
        ];
        for (changes, expected) in cases {
            let error = ContentEvent::from_structured(&event(changes.clone())).unwrap_err();
            assert_eq!(error.as_str(), expected, "{changes}: {error}");
            in_the_users_words(&error);
        }
        let large = vec![b' '; EVENT_BYTES_MAX + 1];
        let garbage: [(&[u8], &str); 6] = [
            (b"", "not_an_event"),
            (b"[]", "not_an_event"),
            (b"7", "not_an_event"),
            (b"\"event\"", "not_an_event"),
            (b"\xff\xfe", "not_an_event"),
            (&large, "too_large"),
        ];
        for (bytes, expected) in garbage {
            let error = ContentEvent::from_structured(bytes).unwrap_err();
            assert_eq!(error.as_str(), expected);
            in_the_users_words(&error);
        }
    }

    /// No name of a type of this program.
    #[track_caller]
    fn in_the_users_words(error: &EventError) {
        let said = error.to_string();
        for word in ["struct", "Structured", "Content ", "elements", "::"] {
            assert!(!said.contains(word), "{said}");
        }
    }

    #[test]
    fn the_binary_mode_reads_the_same() {
        let attributes = Attributes {
            specversion: Some("1.0"),
            id: Some("7"),
            source: Some("/cms"),
            kind: Some(Kind::Deleted.as_str()),
            datacontenttype: Some("application/vnd.shop+json; charset=utf-8"),
        };
        let read =
            ContentEvent::from_binary(&attributes, br#"{"site": "shop", "soft": true}"#).unwrap();
        assert_eq!(
            (read.content.site.as_deref(), read.content.soft),
            (Some("shop"), true)
        );
        let missing = Attributes {
            id: None,
            ..attributes
        };
        assert_eq!(
            ContentEvent::from_binary(&missing, b"{}")
                .unwrap_err()
                .as_str(),
            "attribute_missing"
        );
    }
}
