//! Lists and mappings on the way to the value that is being read.

use super::{Entry, NodeId, Place, push_key};
use std::{collections::HashMap, fmt::Write as _};

/// A list or mapping that has begun and not ended.
pub(super) struct Open {
    pub(super) id: NodeId,
    /// 0 for none.
    pub(super) anchor: usize,
    pub(super) inside: Inside,
}

/// What has come of it.
pub(super) enum Inside {
    List(Vec<NodeId>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Place>,
        key: Option<Key>,
        merged: Vec<NodeId>,
    },
}

/// A key whose value has not come yet.
pub(super) enum Key {
    Named(String, Place),
    Merge,
    /// Refused; the value is passed by.
    Refused,
}

/// The path of the innermost one: parents are attached only when they end.
pub(super) fn path_of(open: &[Open]) -> String {
    let mut path = String::new();
    let Some((_, above)) = open.split_last() else {
        return path;
    };
    for open in above {
        match &open.inside {
            Inside::List(items) => {
                // Writing to a String can't fail.
                let _ = write!(path, "[{}]", items.len());
            }
            Inside::Map {
                key: Some(Key::Named(name, _)),
                ..
            } => push_key(&mut path, name),
            Inside::Map { .. } => {}
        }
    }
    path
}
