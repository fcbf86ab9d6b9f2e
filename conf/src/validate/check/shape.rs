//! Reading the subset of JSON Schema that our types produce.

use crate::document::text::{FORMATS, Format};
use serde_json::{Map, Value as Json};

pub(super) fn is_type(schema: &Json, name: &str) -> bool {
    schema.get("type").and_then(Json::as_str) == Some(name)
}

pub(super) fn has_type(alternatives: &[&Json], name: &str) -> bool {
    alternatives.iter().any(|schema| is_type(schema, name))
}

pub(super) fn properties(shape: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let known: Option<&Map<String, Json>> = shape.get("properties").and_then(Json::as_object);
    known
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.as_str(), schema))
}

pub(super) fn property<'s>(shape: &'s Json, key: &str) -> Option<&'s Json> {
    shape.get("properties")?.get(key)
}

pub(super) fn required(shape: &Json) -> impl Iterator<Item = &str> {
    shape
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

pub(super) fn is_required(shape: &Json, key: &str) -> bool {
    required(shape).any(|name| name == key)
}

/// The words that a text may be.
pub(super) fn words<'s>(alternatives: &[&'s Json]) -> Vec<&'s str> {
    let is_text = alternatives
        .iter()
        .filter(|schema| is_type(schema, "string"));
    is_text
        .flat_map(|schema| {
            let listed = schema
                .get("enum")
                .and_then(Json::as_array)
                .into_iter()
                .flatten();
            schema.get("const").into_iter().chain(listed)
        })
        .filter_map(Json::as_str)
        .collect()
}

/// The form that a text must have.
pub(super) fn format(alternatives: &[&Json]) -> Option<&'static Format> {
    let name = |schema: &&Json| {
        schema
            .get("format")
            .and_then(Json::as_str)
            .map(str::to_owned)
    };
    alternatives
        .iter()
        .filter_map(name)
        .find_map(|name| FORMATS.iter().find(|format| format.name == name))
}
