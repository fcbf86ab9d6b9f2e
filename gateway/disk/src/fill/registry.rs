//! The fills under way, by key.

use super::{Fill, Phase};
use crate::{hash::KeyHash, outcome::Refusal};
use latencify_cache::KeyRef;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The most fills under way.
pub const FILLS_MAX: usize = 4096;
/// The most of one key.
pub const FILLS_PER_KEY_MAX: usize = 4;

/// The fills under way.
#[derive(Debug, Default)]
pub(crate) struct Fills(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    by_key: HashMap<KeyHash, Vec<Arc<Fill>>>,
    count: usize,
    next_id: u64,
}

impl Fills {
    /// Begins the fill that `make` makes, given its number.
    pub(crate) fn begin(
        &self,
        hash: KeyHash,
        make: impl FnOnce(u64) -> Fill,
    ) -> Result<Arc<Fill>, Refusal> {
        let mut registry = self.0.lock();
        let Registry {
            by_key,
            count,
            next_id,
        } = &mut *registry;
        if *count >= FILLS_MAX || by_key.get(&hash).map_or(0, Vec::len) >= FILLS_PER_KEY_MAX {
            return Err(Refusal::TooManyFills);
        }
        *next_id += 1;
        *count += 1;
        let fill = Arc::new(make(*next_id));
        by_key.entry(hash).or_default().push(Arc::clone(&fill));
        Ok(fill)
    }

    /// The newest fill of a key that may be followed.
    pub(crate) fn offer(&self, hash: KeyHash, key: KeyRef<'_>) -> Option<Arc<Fill>> {
        let registry = self.0.lock();
        let fills = registry.by_key.get(&hash)?;
        let may_be_followed = |fill: &&Arc<Fill>| {
            let state = fill.state.lock();
            fill.head.key.as_ref() == key
                && state.refused.is_none()
                && !matches!(state.phase, Phase::Broken(_))
        };
        let newest = fills.iter().filter(may_be_followed);
        newest.max_by_key(|fill| (fill.order, fill.id)).cloned()
    }

    /// It is stored, or will not be.
    pub(crate) fn end(&self, fill: &Fill) {
        let ended = {
            let mut registry = self.0.lock();
            let Some(fills) = registry.by_key.get_mut(&fill.hash) else {
                return;
            };
            let Some(at) = fills.iter().position(|other| other.id == fill.id) else {
                return;
            };
            let ended = fills.swap_remove(at);
            if fills.is_empty() {
                registry.by_key.remove(&fill.hash);
            }
            registry.count -= 1;
            ended
        };
        drop(ended);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().count
    }
}
