//! A cursor that follows the typed document through the tree, so that every check knows the place of what it checks.

use super::tree::{Entry, NodeId, Place, Tree, Value};

/// Where in the bundle a check stands.
#[derive(Clone, Copy)]
pub(super) struct At<'t> {
    tree: &'t Tree,
    id: NodeId,
}

impl<'t> At<'t> {
    /// At a node.
    pub(super) fn new(tree: &'t Tree, id: NodeId) -> Self {
        Self { tree, id }
    }

    /// The value of a key; where there is none, here.
    pub(super) fn key(self, key: &str) -> Self {
        match self.tree.entry(self.id, key) {
            Some(entry) => Self {
                id: entry.node,
                ..self
            },
            None => self,
        }
    }

    /// The keys on the way to a value.
    pub(super) fn keys(self, keys: &[&str]) -> Self {
        keys.iter().fold(self, |at, key| at.key(key))
    }

    /// The value of a key, if it is written and sound.
    pub(super) fn section(self, key: &str) -> Option<Self> {
        let entry = self
            .tree
            .entry(self.id, key)
            .filter(|entry| self.tree.is_sound(entry.node))?;
        Some(Self {
            id: entry.node,
            ..self
        })
    }

    /// Whether a key is written, be its value sound or not.
    pub(super) fn has(self, key: &str) -> bool {
        self.tree.entry(self.id, key).is_some()
    }

    /// Whether nothing here or below was refused.
    pub(super) fn is_wholly_sound(self) -> bool {
        self.tree.is_wholly_sound(self.id)
    }

    /// The sound items of a list, as the typed document has them. What is no list is its only item.
    pub(super) fn items(self) -> impl Iterator<Item = At<'t>> {
        let items: &[NodeId] = match &self.tree.node(self.id).value {
            Value::List(items) => items,
            _ => &[],
        };
        let alone = (!matches!(self.tree.node(self.id).value, Value::List(_))).then_some(self);
        let sound = items.iter().filter(move |id| self.tree.is_sound(**id));
        alone
            .into_iter()
            .chain(sound.map(move |id| Self { id: *id, ..self }))
    }

    /// The sound entries of a mapping, in the order of the file.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'t str, At<'t>)> {
        let tree = self.tree;
        let sound = tree
            .entries(self.id)
            .iter()
            .filter(move |entry| tree.is_sound(entry.node));
        sound.map(move |entry| {
            (
                entry.key.as_str(),
                Self {
                    id: entry.node,
                    ..self
                },
            )
        })
    }

    /// All entries of a mapping, sound or not.
    pub(super) fn all_entries(self) -> &'t [Entry] {
        self.tree.entries(self.id)
    }

    /// Where it starts.
    pub(super) fn place(self) -> Place {
        self.tree.node(self.id).place
    }

    /// Where its key starts.
    pub(super) fn key_place(self) -> Place {
        self.tree.key_place(self.id)
    }

    /// What its path is.
    pub(super) fn path(self) -> String {
        self.tree.path(self.id)
    }

    /// The index in its list, from 0, counting unsound ones too.
    pub(super) fn index(self) -> Option<usize> {
        self.tree.index(self.id)
    }
}
