//! Every file that documentation shows is a good policy, and fits the published schema.

mod support;

use latencify_conf::document;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_example_is_a_good_policy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let policy = support::good(&fs::read_to_string(&path).unwrap());
        assert!(!policy.sites.is_empty(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} examples");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = document::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let mut keys = 0;
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, definition) in definitions
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .chain([("Document", &schema)])
    {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(
                property["description"].is_string(),
                "{name}.{key} has no description"
            );
            keys += 1;
        }
        if definition["type"] == "object" {
            assert_eq!(
                definition["additionalProperties"], false,
                "{name} takes unknown keys"
            );
        }
    }
    assert!(keys > 80, "{keys}");
    assert!(
        !schema.to_string().contains("\"null\""),
        "an empty value is never right"
    );
}

/// The walker passes by what it does not know, so the schema must not say more than it knows.
#[test]
fn the_schema_uses_only_what_validation_checks() {
    let known = BTreeSet::from([
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "deprecated",
        "description",
        "enum",
        "examples",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minProperties",
        "minimum",
        "oneOf",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
    ]);
    let mut pending = vec![document::schema()];
    while let Some(schema) = pending.pop() {
        let Some(schema) = schema.as_object() else {
            continue;
        };
        for (keyword, value) in schema {
            assert!(known.contains(keyword.as_str()), "{keyword} in {schema:?}");
            match keyword.as_str() {
                "$defs" | "properties" => {
                    pending.extend(value.as_object().unwrap().values().cloned());
                }
                "anyOf" | "oneOf" => pending.extend(value.as_array().unwrap().iter().cloned()),
                "items" | "additionalProperties" | "propertyNames" => pending.push(value.clone()),
                _ => {}
            }
        }
    }
}
