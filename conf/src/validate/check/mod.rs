//! The structure of a file against the published schema: unknown and missing keys, wrong types, words, forms and
//! bounds, all at once. What is wrong is marked unsound in the tree, so that the checks that follow see only the rest.
//!
//! The walker knows the subset of JSON Schema that our own types produce. Every schema is taken as a list of
//! alternatives; the kind of the value, then its keys, choose the one that its author meant, and only that one's errors
//! are told.

mod shape;
mod wording;

use super::{
    nearest::suggest,
    report::Report,
    tree::{Entry, NodeId, Tree, Value, holds_secret},
};
use crate::document::text::Flaw;
use serde_json::Value as Json;
use shape::{format, has_type, is_required, is_type, properties, property, required, words};
use std::cmp::Reverse;
use wording::{expected, found, range, unknown_key};

/// Checks a node and all below it against a schema.
pub(super) fn check(tree: &mut Tree, root: NodeId, schema: &Json, report: &mut Report<'_>) {
    let mut checker = Checker {
        schema,
        tree,
        report,
    };
    checker.check(root, schema);
}

struct Checker<'s, 'r, 'b> {
    schema: &'s Json,
    tree: &'r mut Tree,
    report: &'r mut Report<'b>,
}

impl<'s> Checker<'s, '_, '_> {
    /// Whether a node is sound; if it is not, it is marked and something is in the report.
    fn check(&mut self, id: NodeId, schema: &'s Json) -> bool {
        let alternatives = self.alternatives(schema);
        let sound = match self.tree.node(id).value.clone() {
            Value::Null => self.mismatch(id, &alternatives),
            _ if alternatives.iter().any(|schema| schema.is_boolean()) => true,
            Value::Bool(_) => {
                has_type(&alternatives, "boolean") || self.mismatch(id, &alternatives)
            }
            Value::Integer(value, written) => {
                self.number(id, value as f64, &written, true, &alternatives)
            }
            Value::Float(value, written) => self.number(id, value, &written, false, &alternatives),
            Value::Text(text) => self.text(id, &text, &alternatives),
            Value::List(items) => self.list(id, &items, &alternatives),
            Value::Map(entries) => self.map(id, &entries, &alternatives),
        };
        if !sound {
            self.tree.mark_unsound(id);
        }
        sound
    }

    /// The schemas that a value may follow, references and nested choices resolved.
    fn alternatives(&self, schema: &'s Json) -> Vec<&'s Json> {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let target = reference
                .strip_prefix('#')
                .and_then(|pointer| self.schema.pointer(pointer));
            return target.map_or_else(Vec::new, |target| self.alternatives(target));
        }
        match schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Json::as_array)
        {
            Some(branches) => branches
                .iter()
                .flat_map(|branch| self.alternatives(branch))
                .collect(),
            None => vec![schema],
        }
    }

    fn number(
        &mut self,
        id: NodeId,
        value: f64,
        written: &str,
        whole: bool,
        alternatives: &[&'s Json],
    ) -> bool {
        let fits = |schema: &&&Json| match schema.get("type").and_then(Json::as_str) {
            Some("integer") => whole,
            Some("number") => true,
            _ => false,
        };
        if let Some(schema) = alternatives.iter().find(fits) {
            return self.bounds(id, value, schema);
        }
        // A number where text has a form of its own: the form knows best what is missing, be it a unit.
        match format(alternatives).map(|format| (format.check)(written)) {
            Some(Err(flaw)) => self.refuse(id, flaw),
            _ => self.mismatch(id, alternatives),
        }
    }

    fn bounds(&mut self, id: NodeId, value: f64, schema: &Json) -> bool {
        let bound = |name| schema.get(name).and_then(Json::as_f64);
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let known: Vec<String> = words.iter().map(ToString::to_string).collect();
            let listed = words.iter().any(|word| {
                word.as_f64()
                    .is_some_and(|word| (word - value).abs() < f64::EPSILON)
            });
            return listed
                || self.refuse(
                    id,
                    Flaw::new(format!("`{value}` is not one of {}", known.join(", "))),
                );
        }
        match (bound("minimum"), bound("maximum")) {
            (Some(min), _) if value < min => self.refuse(
                id,
                Flaw::new(format!("{value} is too small")).help(range(Some(min), bound("maximum"))),
            ),
            (_, Some(max)) if value > max => self.refuse(
                id,
                Flaw::new(format!("{value} is too large")).help(range(bound("minimum"), Some(max))),
            ),
            _ => true,
        }
    }

    fn text(&mut self, id: NodeId, text: &str, alternatives: &[&'s Json]) -> bool {
        let words = words(alternatives);
        if words.contains(&text) {
            return true;
        }
        if let Some(format) = format(alternatives) {
            return match (format.check)(text) {
                Ok(()) => true,
                Err(flaw) if self.is_secret(id) => {
                    let flaw = Flaw {
                        message: format!("this is not {}", format.expected),
                        ..flaw
                    };
                    self.refuse(id, flaw)
                }
                Err(flaw) => self.refuse(id, flaw),
            };
        }
        if !words.is_empty() {
            let shown: String = text.chars().take(80).collect();
            let flaw = Flaw::new(format!("`{shown}` is not known here"));
            return self.refuse(
                id,
                flaw.help(suggest(text, words.iter().copied(), "known words")),
            );
        }
        has_type(alternatives, "string") || self.mismatch(id, alternatives)
    }

    fn list(&mut self, id: NodeId, items: &[NodeId], alternatives: &[&'s Json]) -> bool {
        let Some(schema) = alternatives.iter().find(|schema| is_type(schema, "array")) else {
            return self.mismatch(id, alternatives);
        };
        let length = |name| {
            schema
                .get(name)
                .and_then(Json::as_u64)
                .map(|length| length as usize)
        };
        if length("minItems").is_some_and(|min| items.len() < min) {
            return self.refuse(
                id,
                Flaw::new("this list is empty").help("write at least one, or leave the key out"),
            );
        }
        if let Some(max) = length("maxItems").filter(|max| items.len() > *max) {
            return self.refuse(
                id,
                Flaw::new(format!("{} are too many", items.len())).help(format!("at most {max}")),
            );
        }
        if let Some(schema) = schema.get("items") {
            for item in items {
                self.check(*item, schema);
            }
        }
        true
    }

    fn map(&mut self, id: NodeId, entries: &[Entry], alternatives: &[&'s Json]) -> bool {
        let shapes: Vec<&'s Json> = alternatives
            .iter()
            .copied()
            .filter(|schema| is_type(schema, "object"))
            .collect();
        // Of several shapes, the author meant the one that knows most of the keys and misses the fewest.
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        let known = |shape: &Json| {
            entries
                .iter()
                .filter(|entry| property(shape, &entry.key).is_some())
                .count()
        };
        let missing = |shape: &Json| required(shape).filter(|key| !has(key)).count();
        let best = shapes
            .iter()
            .copied()
            .min_by_key(|shape| (Reverse(known(shape)), missing(shape)));
        let Some(shape) = best else {
            return self.mismatch(id, alternatives);
        };
        if shapes.len() > 1 && known(shape) == 0 {
            return self.no_shape(id, entries, &shapes);
        }
        let mut sound = true;
        for entry in entries {
            sound &= self.entry(entry, shape, &shapes) || !is_required(shape, &entry.key);
        }
        for name in required(shape) {
            if !has(name) {
                self.missing(id, name, shape);
                sound = false;
            }
        }
        if shape
            .get("minProperties")
            .and_then(Json::as_u64)
            .is_some_and(|min| (entries.len() as u64) < min)
        {
            sound = self.refuse(
                id,
                Flaw::new("this mapping is empty").help("write at least one entry"),
            );
        }
        sound
    }

    fn entry(&mut self, entry: &Entry, shape: &'s Json, shapes: &[&'s Json]) -> bool {
        if let Some(schema) = property(shape, &entry.key) {
            return self.check(entry.node, schema);
        }
        let others = shape
            .get("additionalProperties")
            .filter(|schema| **schema != Json::Bool(false));
        let flaw = match (others, shape.get("propertyNames")) {
            (Some(schema), names) => {
                let form = names
                    .map(|names| self.alternatives(names))
                    .and_then(|names| format(&names));
                match form.map(|form| (form.check)(&entry.key)) {
                    Some(Err(flaw)) => flaw,
                    _ => return self.check(entry.node, schema),
                }
            }
            (None, _)
                if shapes
                    .iter()
                    .any(|shape| property(shape, &entry.key).is_some()) =>
            {
                let chosen: Vec<&str> = properties(shape).map(|(name, _)| name).collect();
                Flaw::new(format!(
                    "`{}` does not go together with `{}`",
                    entry.key,
                    chosen.join("`, `")
                ))
                .help("keep one of them")
            }
            (None, _) => unknown_key(&entry.key, properties(shape).map(|(name, _)| name)),
        };
        self.refuse_key(entry, flaw)
    }

    /// None of the shapes knows any of the keys.
    fn no_shape(&mut self, id: NodeId, entries: &[Entry], shapes: &[&'s Json]) -> bool {
        let known = || {
            shapes
                .iter()
                .flat_map(|shape| properties(shape).map(|(name, _)| name))
        };
        for entry in entries {
            self.refuse_key(entry, unknown_key(&entry.key, known()));
        }
        if entries.is_empty() {
            let flaw = Flaw::new("this mapping is empty");
            return self.refuse(
                id,
                flaw.help(format!(
                    "known keys: {}",
                    known().collect::<Vec<_>>().join(", ")
                )),
            );
        }
        false
    }

    fn missing(&mut self, id: NodeId, name: &str, shape: &'s Json) {
        let expected = property(shape, name).map(|schema| expected(&self.alternatives(schema)));
        let flaw = Flaw::new(format!("`{name}` is missing")).help(format!(
            "add `{name}:` with {}",
            expected.unwrap_or_else(|| "a value".to_owned())
        ));
        self.report
            .add(self.tree.key_place(id), self.tree.path(id), flaw);
    }

    fn mismatch(&mut self, id: NodeId, alternatives: &[&Json]) -> bool {
        let value = &self.tree.node(id).value;
        let is_secret = self.is_secret(id);
        let message = if is_secret {
            format!("expected {}", expected(alternatives))
        } else {
            format!(
                "expected {}, found {}",
                expected(alternatives),
                found(value)
            )
        };
        let takes_text = has_type(alternatives, "string") && words(alternatives).is_empty();
        let help = match value {
            Value::Null => Some("write a value, or leave the key out".to_owned()),
            Value::Bool(_) | Value::Integer(..) | Value::Float(..) if takes_text && is_secret => {
                Some("put quotes around it".to_owned())
            }
            // `1.2` is a number in YAML, also where it names a version.
            Value::Integer(_, written) | Value::Float(_, written)
                if words(alternatives).contains(&written.as_str()) =>
            {
                Some(format!("write it in quotes: \"{written}\""))
            }
            Value::Integer(_, written) | Value::Float(_, written) if takes_text => {
                Some(format!("write \"{written}\""))
            }
            Value::Bool(value) if takes_text => Some(format!("write \"{value}\"")),
            // YAML 1.1 took these words for truth values.
            Value::Text(word) if has_type(alternatives, "boolean") => {
                match word.to_lowercase().as_str() {
                    "yes" | "on" | "y" => Some("write `true`".to_owned()),
                    "no" | "off" | "n" => Some("write `false`".to_owned()),
                    _ => None,
                }
            }
            _ => None,
        };
        self.refuse(id, Flaw { message, help })
    }

    /// Whether a value may be a secret, so that no error quotes it.
    fn is_secret(&self, id: NodeId) -> bool {
        self.tree.last_key(id).is_some_and(holds_secret)
    }

    fn refuse(&mut self, id: NodeId, flaw: Flaw) -> bool {
        self.report.add_at(self.tree, id, flaw);
        false
    }

    fn refuse_key(&mut self, entry: &Entry, flaw: Flaw) -> bool {
        self.report
            .add(entry.key_place, self.tree.path(entry.node), flaw);
        self.tree.mark_unsound(entry.node);
        false
    }
}
