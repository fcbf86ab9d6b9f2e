//! Cache keys, compared byte for byte: a hash that collides never serves another object.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The variance of a key: which variant of a response that varies (RFC 9111 §4.1).
pub type Variance = [u8; 16];

/// A key as it is stored.
#[derive(Debug, Clone)]
pub struct Key {
    primary: Arc<[u8]>,
    variance: Option<Variance>,
}

/// A key as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef<'a> {
    /// The whole primary key.
    pub primary: &'a [u8],
    /// None: the primary slot.
    pub variance: Option<Variance>,
}

impl KeyRef<'_> {
    /// The key as it is stored.
    pub fn to_key(self) -> Key {
        Key {
            primary: self.primary.into(),
            variance: self.variance,
        }
    }
}

impl Key {
    /// The key as it is asked for.
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef {
            primary: &self.primary,
            variance: self.variance,
        }
    }

    /// Bytes that it holds on the heap.
    pub fn bytes(&self) -> u64 {
        self.primary.len() as u64
    }
}

/// What lets a map of [`Key`]s be asked with a [`KeyRef`], without an allocation.
pub(crate) trait AsKey {
    fn as_key(&self) -> KeyRef<'_>;
}

impl AsKey for Key {
    fn as_key(&self) -> KeyRef<'_> {
        self.as_ref()
    }
}

impl AsKey for KeyRef<'_> {
    fn as_key(&self) -> KeyRef<'_> {
        *self
    }
}

impl PartialEq for dyn AsKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.as_key() == other.as_key()
    }
}

impl Eq for dyn AsKey + '_ {}

impl Hash for dyn AsKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_key().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl<'a> Borrow<dyn AsKey + 'a> for Key {
    fn borrow(&self) -> &(dyn AsKey + 'a) {
        self
    }
}
