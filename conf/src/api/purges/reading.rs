//! Reading what is purged, so that what can't be read is refused in the words of who wrote it.

use super::PurgeTarget;
use crate::change::Mode;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

const TARGETS: &str =
    r#"write a list like [{"url": "https://shop.example/a"}, {"tag": "article-7"}]"#;
const TARGET: &str = r#"write {"url": "https://shop.example/a"}, {"prefix": "https://shop.example/img/"}, {"tag": "article-7"}, {"site": "shop"} or "all""#;
const TAG: &str = r#"write {"tag": "article-7"} or {"tag": {"tag": "article-7", "site": "shop"}}"#;

/// The list of targets; whatever is wrong is said with its place in the list.
pub fn targets<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PurgeTarget>, D::Error> {
    let Value::Array(written) = Value::deserialize(from)? else {
        return Err(D::Error::custom(format!("targets is no list: {TARGETS}")));
    };
    let read = |(index, value)| {
        target(value).map_err(|why| D::Error::custom(format!("targets[{index}]: {why}")))
    };
    written.into_iter().enumerate().map(read).collect()
}

/// The mode.
pub fn mode<'de, D: Deserializer<'de>>(from: D) -> Result<Mode, D::Error> {
    match Value::deserialize(from)?.as_str() {
        Some("hard") => Ok(Mode::Hard),
        Some("soft") => Ok(Mode::Soft),
        _ => Err(D::Error::custom(r#"mode must be "hard" or "soft""#)),
    }
}

impl<'de> Deserialize<'de> for PurgeTarget {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        target(Value::deserialize(from)?).map_err(D::Error::custom)
    }
}

fn target(written: Value) -> Result<PurgeTarget, String> {
    let fields = match written {
        Value::Object(fields) => fields,
        Value::String(all) if all == "all" => return Ok(PurgeTarget::All(true)),
        _ => return Err(format!("this is no target: {TARGET}")),
    };
    let mut fields = fields.into_iter();
    let (Some((name, value)), None) = (fields.next(), fields.next()) else {
        return Err(format!("a target has exactly one field: {TARGET}"));
    };
    match (name.as_str(), value) {
        ("url", Value::String(url)) => Ok(PurgeTarget::Url(url)),
        ("prefix", Value::String(url)) => Ok(PurgeTarget::Prefix(url)),
        ("site", Value::String(site)) => Ok(PurgeTarget::Site(site)),
        ("tag", Value::String(tag)) => Ok(PurgeTarget::Tag { tag, site: None }),
        ("tag", Value::Object(fields)) => tag(fields),
        ("tag", _) => Err(format!("tag is neither text nor an object: {TAG}")),
        ("all", Value::Bool(all)) => Ok(PurgeTarget::All(all)),
        ("all", _) => Err(r#"all is not true: write "all" or {"all": true}"#.to_owned()),
        ("url" | "prefix" | "site", _) => Err(format!("{name} is no text: {TARGET}")),
        _ => Err(format!("the field {name:?} is not known: {TARGET}")),
    }
}

fn tag(fields: Map<String, Value>) -> Result<PurgeTarget, String> {
    let (mut tag, mut site) = (None, None);
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("tag", Value::String(text)) => tag = Some(text),
            ("site", Value::String(text)) => site = Some(text),
            ("site", Value::Null) => {}
            ("tag" | "site", _) => return Err(format!("{name} in tag is no text: {TAG}")),
            _ => return Err(format!("the field {name:?} in tag is not known: {TAG}")),
        }
    }
    let tag = tag.ok_or_else(|| format!("tag names no tag: {TAG}"))?;
    Ok(PurgeTarget::Tag { tag, site })
}

impl PurgeTarget {
    /// Refuses what can't be meant, whatever policies say; the text says what to write instead.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Url(url) | Self::Prefix(url) => check_url(url),
            Self::Tag { tag, .. }
                if tag.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                Err(format!(
                    "no object has the tag {tag:?}: origins separate tags by white space, so a tag has neither white space \
                     nor control characters; name several tags one by one"
                ))
            }
            Self::Tag { .. } | Self::Site(_) | Self::All(_) => Ok(()),
        }
    }
}

/// What parsers of URLs would let through in silence: `http:///x` as the host `x`, and whatever stands before an `@`.
fn check_url(url: &str) -> Result<(), String> {
    let Some((_, rest)) = url.split_once("://") else {
        return Ok(());
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err("the URL has no host: write it like https://shop.example/a".to_owned());
    }
    if authority.contains('@') {
        return Err(
            "the URL has a user or a password before the host, which no stored object has: leave out what stands before \
             the @"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PurgeRequest;
    use serde_json::{from_value, json};

    #[test]
    fn every_way_to_write_a_target_is_read_and_what_is_written_is_read_again() {
        let tag = |site: Option<&str>| PurgeTarget::Tag {
            tag: "x".into(),
            site: site.map(str::to_owned),
        };
        let cases = [
            (json!({"url": "u"}), PurgeTarget::Url("u".into())),
            (json!({"prefix": "u"}), PurgeTarget::Prefix("u".into())),
            (json!({"site": "s"}), PurgeTarget::Site("s".into())),
            (json!({"tag": "x"}), tag(None)),
            (json!({"tag": {"tag": "x"}}), tag(None)),
            (json!({"tag": {"tag": "x", "site": null}}), tag(None)),
            (json!({"tag": {"tag": "x", "site": "s"}}), tag(Some("s"))),
            (json!({"all": true}), PurgeTarget::All(true)),
            (json!({"all": false}), PurgeTarget::All(false)),
            (json!("all"), PurgeTarget::All(true)),
        ];
        for (written, expected) in cases {
            let read: PurgeTarget = from_value(written.clone()).unwrap();
            assert_eq!(read, expected, "{written}");
            let again = from_value(serde_json::to_value(&read).unwrap()).unwrap();
            assert_eq!(read, again, "{written}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_said_in_the_users_words() {
        let cases = [
            (
                json!({"targets": [{"tag": 7}]}),
                "targets[0]: tag is neither text",
            ),
            (json!({"targets": [{"tag": {}}]}), "tag names no tag"),
            (
                json!({"targets": [{"tag": {"tag": "x", "sight": "s"}}]}),
                "\"sight\" in tag",
            ),
            (
                json!({"targets": [{"tag": {"tag": 7}}]}),
                "tag in tag is no text",
            ),
            (
                json!({"targets": ["all", "everything"]}),
                "targets[1]: this is no target",
            ),
            (json!({"targets": [{"all": "yes"}]}), "{\"all\": true}"),
            (json!({"targets": [{"url": ["a"]}]}), "url is no text"),
            (json!({"targets": [{"host": "a"}]}), "\"host\" is not known"),
            (json!({"targets": [{}]}), "exactly one field"),
            (
                json!({"targets": [{"url": "a", "tag": "b"}]}),
                "exactly one field",
            ),
            (json!({"targets": {"all": true}}), "targets is no list"),
            (
                json!({"targets": ["all"], "mode": "firm"}),
                "mode must be \"hard\" or \"soft\"",
            ),
            (json!({"targets": ["all"], "mode": 7}), "mode must be"),
            (json!({}), "`targets`"),
            (json!("all"), "an object like {\"targets\""),
            (json!([]), "an object like {\"targets\""),
        ];
        for (written, says) in cases {
            let error = from_value::<PurgeRequest>(written.clone()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(says), "{written}: {error}");
            for word in [
                "struct",
                "enum",
                "variant",
                "PurgeTarget",
                "PurgeRequest",
                "::",
            ] {
                assert!(!error.contains(word), "{written}: {error}");
            }
        }
    }

    #[test]
    fn what_no_policy_can_give_a_meaning_is_refused_by_name() {
        let url = |text: &str| PurgeTarget::Url(text.into());
        let tag = |text: &str| PurgeTarget::Tag {
            tag: text.into(),
            site: None,
        };
        let cases = [
            (url("https://shop.example/a@b"), None),
            (url("https://[::1]:8080/"), None),
            (
                url("https://user:pw@shop.example/"),
                Some("user or a password"),
            ),
            (
                PurgeTarget::Prefix("http://u@h".into()),
                Some("user or a password"),
            ),
            (url("http:///x"), Some("no host")),
            (url("http://"), Some("no host")),
            (url("http://?x"), Some("no host")),
            (url("http://:80/"), Some("no host")),
            (tag("product-7"), None),
            (tag("ürün/7"), None),
            (tag("a b"), Some("white space")),
            (tag("a\u{0}"), Some("white space")),
            (tag("a\n"), Some("white space")),
        ];
        for (target, says) in cases {
            let checked = target.check();
            match says {
                None => assert_eq!(checked, Ok(()), "{target:?}"),
                Some(says) => assert!(checked.is_err_and(|why| why.contains(says)), "{target:?}"),
            }
        }
    }
}
