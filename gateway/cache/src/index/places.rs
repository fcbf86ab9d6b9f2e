//! A place for every stored object that it keeps while it is stored, so that a sweep can stop anywhere and go on there,
//! however much comes and goes meanwhile.

use crate::key::Key;

#[derive(Debug, Default)]
pub(super) struct Places {
    keys: Vec<Option<Key>>,
    free: Vec<usize>,
}

impl Places {
    /// An object of that key is stored.
    pub(super) fn take(&mut self, key: &Key) -> usize {
        while let Some(place) = self.free.pop() {
            // Places behind the end are gone. There are more of them again only when none is free.
            if let Some(free) = self.keys.get_mut(place) {
                *free = Some(key.clone());
                return place;
            }
        }
        self.keys.push(Some(key.clone()));
        self.keys.len() - 1
    }

    /// It is stored no more.
    pub(super) fn leave(&mut self, place: usize) {
        let Some(left) = self.keys.get_mut(place) else {
            return;
        };
        *left = None;
        self.free.push(place);
        while self.keys.last().is_some_and(Option::is_none) {
            self.keys.pop();
        }
        if self.keys.is_empty() {
            self.free.clear();
        }
        if self.free.len() > 2 * self.keys.len() {
            let end = self.keys.len();
            self.free.retain(|&place| place < end);
        }
    }

    /// The keys at so many places from one on.
    pub(super) fn from(&self, place: usize, places: usize) -> impl Iterator<Item = &Key> {
        self.keys.iter().skip(place).take(places).flatten()
    }

    /// Behind the last place.
    pub(super) fn end(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyRef;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(number: u16) -> Key {
        KeyRef {
            primary: &number.to_be_bytes(),
            variance: None,
        }
        .to_key()
    }

    proptest! {
        #[test]
        fn whoever_stays_keeps_its_place_and_places_are_used_again(steps in prop::collection::vec((0_u16..20, any::<bool>()), 1..200)) {
            let (mut places, mut model, mut most) = (Places::default(), HashMap::new(), 0);
            for (number, comes) in steps {
                if comes {
                    model.entry(number).or_insert_with(|| places.take(&key(number)));
                } else if let Some(place) = model.remove(&number) {
                    places.leave(place);
                }
                most = most.max(model.len());
                prop_assert!(places.end() <= most);
                prop_assert!(places.free.len() <= 2 * most);
                prop_assert_eq!(places.from(0, most).count(), model.len());
                for (number, place) in &model {
                    prop_assert_eq!(places.from(*place, 1).next(), Some(&key(*number)));
                }
            }
        }
    }
}
