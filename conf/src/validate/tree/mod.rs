//! The bundle as a tree whose nodes know their place: what every check speaks of.
//!
//! Nodes lie in one arena and point to their parent, so that an error's path is climbed only when there is an error,
//! and no depth of nesting can exhaust the stack when a tree is dropped.

mod copy;
mod open;
mod read;
mod scalar;

pub(super) use read::{Read, holds_secret, read};

use std::{collections::HashSet, fmt::Write as _};

/// The most nodes that a bundle may have after aliases are expanded: about 150 MB. A policy with 20,000 routes of the
/// usual size has 400,000.
pub(super) const NODES_MAX: usize = 1_000_000;
/// The deepest nesting, aliases expanded. The deepest thing that a policy can say is 10 deep.
pub(super) const DEPTH_MAX: usize = 64;

/// A place in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the file.
    pub file: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// The index of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(usize);

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub value: Value,
    parent: Option<(NodeId, Step)>,
}

/// What a value is, by YAML's core schema (YAML 1.2.2 §10.3).
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, as written.
    Integer(i64, String),
    /// Another number, as written.
    Float(f64, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<NodeId>),
    /// A mapping in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub key_place: Place,
    /// The value.
    pub node: NodeId,
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// All files of a bundle.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Nodes that a check has refused: whoever goes on passes them by, so that one error is not told twice.
    unsound: HashSet<NodeId>,
}

impl Tree {
    /// The node of that id.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Refuses a node for the checks to come.
    pub(super) fn mark_unsound(&mut self, id: NodeId) {
        self.unsound.insert(id);
    }

    /// Whether no check has refused the node.
    pub(super) fn is_sound(&self, id: NodeId) -> bool {
        !self.unsound.contains(&id)
    }

    /// Whether no check has refused the node or anything below it.
    pub(super) fn is_wholly_sound(&self, id: NodeId) -> bool {
        let below_is = match &self.node(id).value {
            Value::List(items) => items.iter().all(|item| self.is_wholly_sound(*item)),
            Value::Map(entries) => entries.iter().all(|entry| self.is_wholly_sound(entry.node)),
            _ => true,
        };
        below_is && self.is_sound(id)
    }

    /// The entries of a mapping, refused ones included; none for anything else.
    pub(super) fn entries(&self, id: NodeId) -> &[Entry] {
        match &self.node(id).value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of that key, refused or not.
    pub(super) fn entry(&self, id: NodeId, key: &str) -> Option<&Entry> {
        self.entries(id).iter().find(|entry| entry.key == key)
    }

    /// Where the node is: `sites.shop.routes[2].cache.ttl`.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        while let Some((parent, step)) = &self.node(at).parent {
            steps.push(step);
            at = *parent;
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Key(key) => push_key(&mut path, key),
                Step::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }

    /// The key that the node stands under, if its parent is a mapping.
    pub(super) fn last_key(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).parent {
            Some((_, Step::Key(key))) => Some(key),
            _ => None,
        }
    }

    /// The node's index, if its parent is a list.
    pub(super) fn index(&self, id: NodeId) -> Option<usize> {
        match &self.node(id).parent {
            Some((_, Step::Index(index))) => Some(*index),
            _ => None,
        }
    }

    /// Where the node's key starts; without one, where the node does.
    pub(super) fn key_place(&self, id: NodeId) -> Place {
        let entry = match &self.node(id).parent {
            Some((parent, Step::Key(key))) => self.entry(*parent, key),
            _ => None,
        };
        entry.map_or(self.node(id).place, |entry| entry.key_place)
    }

    /// The sound part of a node as JSON, for the typed document.
    pub(super) fn to_json(&self, id: NodeId) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.node(id).value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value, _) => Json::from(*value),
            Value::Float(value, _) => Json::from(*value),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(
                items
                    .iter()
                    .filter(|item| self.is_sound(**item))
                    .map(|item| self.to_json(*item))
                    .collect(),
            ),
            Value::Map(entries) => Json::Object(
                (entries.iter().filter(|entry| self.is_sound(entry.node)))
                    .map(|entry| (entry.key.clone(), self.to_json(entry.node)))
                    .collect(),
            ),
        }
    }

    fn add(&mut self, place: Place, value: Value) -> NodeId {
        self.nodes.push(Node {
            place,
            value,
            parent: None,
        });
        NodeId(self.nodes.len() - 1)
    }

    fn attach(&mut self, child: NodeId, parent: NodeId, step: Step) {
        self.nodes[child.0].parent = Some((parent, step));
    }

    /// A mapping that holds entries of other mappings; the paths of its values stay theirs.
    pub(super) fn gather(&mut self, place: Place, entries: Vec<Entry>) -> NodeId {
        self.add(place, Value::Map(entries))
    }
}

/// Appends a key to a path, quoted if it could be mistaken for several.
pub(super) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-$*".contains(&byte));
    let _ = if plain {
        write!(path, "{key}")
    } else {
        write!(path, "{key:?}")
    };
}
