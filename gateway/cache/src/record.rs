//! What is known of a stored object beside its body.

use crate::{
    identity::Identity,
    liveness::{Checked, Liveness},
    marks::{Marks, Round},
    rules::Rules,
    stamp::Fetch,
    trust::Trust,
};

/// What the owner of the cache keeps with an object: response header, lifetimes. The engine never looks inside.
pub trait Metadata: Send + Sync + Sized + 'static {
    /// Bytes that it takes, for the budget.
    fn bytes(&self) -> u64;

    /// What it becomes when the body turns out to have that many bytes; none: it stays as it is.
    fn completed(&self, _body_bytes: u64) -> Option<Self> {
        None
    }
}

impl Metadata for () {
    fn bytes(&self) -> u64 {
        0
    }
}

/// One version of an object's metadata. Never changed: a 304 makes a new one for the same body.
#[derive(Debug)]
pub struct Record<M> {
    /// What purges can name.
    pub identity: Identity,
    /// The fetch, or the validation, that brought this version.
    pub fetch: Fetch,
    /// The generation of the fetch that brought the body.
    pub body_generation: u64,
    /// What the owner keeps.
    pub meta: M,
    checked: Checked,
}

impl<M> Record<M> {
    /// The record of a body that this fetch brings.
    pub fn of_fetch(identity: Identity, fetch: Fetch, meta: M) -> Self {
        Self {
            identity,
            fetch,
            body_generation: fetch.generation,
            meta,
            checked: Checked::default(),
        }
    }

    /// The record after a validation of `base`'s body.
    pub fn of_validation(base: &Self, identity: Identity, fetch: Fetch, meta: M) -> Self {
        Self {
            body_generation: base.body_generation,
            ..Self::of_fetch(identity, fetch, meta)
        }
    }

    /// The same, with other metadata.
    pub(crate) fn with_meta(&self, meta: M) -> Self {
        Self {
            body_generation: self.body_generation,
            ..Self::of_fetch(self.identity.clone(), self.fetch, meta)
        }
    }

    /// What the marks say of it now.
    pub fn liveness<R: Rules>(&self, marks: &Marks<R>) -> Liveness {
        marks.check_remembering(&self.identity, &self.fetch.stamp, &self.checked)
    }

    /// Asks the marks for a round of a sweep. False: it is dead.
    pub(crate) fn settle<R: Rules>(&self, marks: &Marks<R>, round: &Round) -> bool {
        marks.settle(round, &self.identity, &self.fetch.stamp, &self.checked)
    }

    /// Whether isolation lets it be used as it is. If not, it may be validated.
    pub fn is_trusted<R: Rules>(&self, _marks: &Marks<R>, trust: Trust) -> bool {
        !R::FETCHED_AFTER_ARRIVAL || trust.allows(self.fetch.generation)
    }
}
