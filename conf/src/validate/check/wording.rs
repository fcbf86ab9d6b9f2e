//! What schemas ask for and what was found, in words.

use super::shape::{format, properties, required, words};
use crate::{
    document::text::Flaw,
    validate::{nearest::suggest, tree::Value},
};
use serde_json::Value as Json;

pub(super) fn unknown_key<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> Flaw {
    let known: Vec<&str> = known.collect();
    let shown: String = key.chars().take(80).collect();
    Flaw::new(format!("unknown key `{shown}`")).help(suggest(key, known, "known keys"))
}

/// What the alternatives ask for, in words.
pub(super) fn expected(alternatives: &[&Json]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut say = |words: String| {
        if !said.contains(&words) {
            said.push(words);
        }
    };
    for schema in alternatives {
        match schema.get("type").and_then(Json::as_str) {
            Some("string") => match (format(&[schema]), words(&[schema]).as_slice()) {
                (Some(format), _) => say(format.expected.to_owned()),
                (None, []) => say("text".to_owned()),
                (None, words) => words.iter().for_each(|word| say(format!("`{word}`"))),
            },
            Some("boolean") => say("true or false".to_owned()),
            Some("integer") => say("a whole number".to_owned()),
            Some("number") => say("a number".to_owned()),
            Some("array") => say("a list".to_owned()),
            Some("object") => match required(schema).collect::<Vec<_>>().as_slice() {
                [only] if properties(schema).count() == 1 => {
                    say(format!("a mapping with `{only}`"));
                }
                _ => say("a mapping".to_owned()),
            },
            _ => say("a value".to_owned()),
        }
    }
    match said.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// What a value is, in words.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Integer(_, written) | Value::Float(_, written) => format!("the number {written}"),
        Value::Text(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
        Value::Text(_) => "text".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

pub(super) fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if (min - max).abs() < f64::EPSILON => format!("it must be {min}"),
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}
