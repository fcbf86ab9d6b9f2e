//! The objects of a shard, each under a number that it keeps while it is stored: so a table of numbers finds them, queues link
//! them, and a sweep can stop anywhere and go on there, however much comes and goes meanwhile.

use super::queues::Queue;
use crate::object::Object;
use std::sync::atomic::AtomicU8;

/// The number of an object within its shard.
pub(super) type Number = u32;
/// No object has this number: a shard holds fewer.
pub(super) const NOBODY: Number = Number::MAX;

#[derive(Debug)]
pub(super) struct Slab<M> {
    slots: Vec<Slot<M>>,
    /// Of the slots that are free, the one to use next; `next` of each leads on.
    free: Number,
    objects: usize,
}

#[derive(Debug)]
pub(super) struct Slot<M> {
    /// None: the slot is free.
    pub(super) object: Option<Object<M>>,
    pub(super) previous: Number,
    pub(super) next: Number,
    pub(super) queue: Queue,
    pub(super) reads: AtomicU8,
}

impl<M> Slab<M> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NOBODY,
            objects: 0,
        }
    }

    /// Whether no other object fits.
    pub(super) fn is_full(&self) -> bool {
        self.free == NOBODY && self.slots.len() >= NOBODY as usize
    }

    /// Takes an object in, in no queue yet.
    pub(super) fn insert(&mut self, object: Object<M>) -> Number {
        self.objects += 1;
        let slot = Slot {
            object: Some(object),
            previous: NOBODY,
            next: NOBODY,
            queue: Queue::Small,
            reads: AtomicU8::new(0),
        };
        let number = self.free;
        if let Some(free) = self.slots.get_mut(number as usize) {
            self.free = free.next;
            *free = slot;
            return number;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as Number
    }

    /// Gives an object out. It must be in no queue any more.
    pub(super) fn remove(&mut self, number: Number) -> Option<Object<M>> {
        let slot = self.slots.get_mut(number as usize)?;
        let object = slot.object.take()?;
        slot.next = self.free;
        self.free = number;
        self.objects -= 1;
        if self.objects == 0 {
            self.slots.clear();
            self.free = NOBODY;
        }
        Some(object)
    }

    pub(super) fn get(&self, number: Number) -> Option<&Slot<M>> {
        self.slots.get(number as usize)
    }

    pub(super) fn get_mut(&mut self, number: Number) -> Option<&mut Slot<M>> {
        self.slots.get_mut(number as usize)
    }

    pub(super) fn object(&self, number: Number) -> Option<&Object<M>> {
        self.get(number)?.object.as_ref()
    }

    /// What is stored under so many numbers from one on.
    pub(super) fn from(&self, number: usize, numbers: usize) -> impl Iterator<Item = &Object<M>> {
        let slots = self.slots.iter().skip(number).take(numbers);
        slots.filter_map(|slot| slot.object.as_ref())
    }

    /// Behind the last number.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn objects(&self) -> usize {
        self.objects
    }
}

impl<M> Slot<M> {
    /// Bytes charged for it.
    pub(super) fn bytes(&self) -> u64 {
        self.object
            .as_ref()
            .map_or(0, |object| object.body.charged())
    }
}
