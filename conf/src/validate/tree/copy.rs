//! Copies for aliases: each use of an anchor becomes nodes of its own, so that every node has one path.

use super::{DEPTH_MAX, Entry, NODES_MAX, NodeId, Place, Step, Tree, Value};
use crate::document::text::Flaw;

/// A bound that the text would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// [`NODES_MAX`].
    Nodes,
    /// [`DEPTH_MAX`].
    Depth,
}

impl Bound {
    pub(super) fn flaw(self) -> Flaw {
        match self {
            Self::Nodes => Flaw::new(format!("more than {NODES_MAX} values, aliases expanded"))
                .help("use fewer aliases, or split the policy"),
            Self::Depth => Flaw::new(format!("nested deeper than {DEPTH_MAX}, aliases expanded"))
                .help("a policy is at most 10 deep"),
        }
    }
}

impl Tree {
    pub(super) fn add_bounded(&mut self, place: Place, value: Value) -> Result<NodeId, Bound> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Bound::Nodes);
        }
        Ok(self.add(place, value))
    }

    /// A copy of a node and all below it, for a place at that depth.
    pub(super) fn copy(&mut self, id: NodeId, depth: usize) -> Result<NodeId, Bound> {
        if depth > DEPTH_MAX {
            return Err(Bound::Depth);
        }
        let node = self.node(id).clone();
        let copy = self.add_bounded(node.place, Value::Null)?;
        let value = match node.value {
            Value::List(items) => {
                let mut copies = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    let item = self.copy(item, depth + 1)?;
                    self.attach(item, copy, Step::Index(index));
                    copies.push(item);
                }
                Value::List(copies)
            }
            Value::Map(entries) => {
                let mut copies = Vec::with_capacity(entries.len());
                for entry in entries {
                    let node = self.copy(entry.node, depth + 1)?;
                    self.attach(node, copy, Step::Key(entry.key.clone()));
                    copies.push(Entry { node, ..entry });
                }
                Value::Map(copies)
            }
            value => value,
        };
        self.nodes[copy.0].value = value;
        Ok(copy)
    }
}
