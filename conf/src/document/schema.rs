//! The published JSON Schema of policy files.

use super::Document;
use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// The JSON Schema (draft 2020-12) of a policy file: what `latencify policy schema` prints, what editors complete by,
/// and what [`validate`](crate::validate::validate) itself checks structure against.
///
/// Texts with a form of their own carry a `format` of latencify's, which other readers pass by.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(RecursiveTransform(drop_null))
        .with_transform(RecursiveTransform(drop_default_null))
        .into_generator();
    generator.into_root_schema_for::<Document>().to_value()
}

/// What may be left out may not be empty: `auth:` with nothing behind it is a slip, not a wish for no authentication.
fn drop_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let Some(Value::Array(branches)) = schema.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            // A description of the field says more than the one of its type.
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
}

fn drop_default_null(schema: &mut Schema) {
    if schema
        .get("default")
        .is_some_and(|value| value.is_null() || value == &Value::Object(serde_json::Map::new()))
    {
        schema.remove("default");
    }
}
