//! What is known of a stored object beside its body.

use crate::{
    identity::{Identified, Identity},
    key::KeyRef,
    liveness::{Checked, Death, Liveness},
    marks::{Marks, Round},
    name::Name,
    rules::Rules,
    stamp::Fetch,
    trust::Trust,
};
use latencify_conf::change::SiteId;

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
    /// What purges can name, and the key under which it is stored, or will be.
    name: Name,
    /// The fetch, or the validation, that brought this version.
    pub fetch: Fetch,
    /// What the owner keeps.
    pub meta: M,
    checked: Checked,
}

impl<M> Record<M> {
    /// The record of a body that this fetch brings.
    pub fn of_fetch(identity: Identity, fetch: Fetch, meta: M) -> Self {
        Self {
            name: Name::of(&identity, None),
            fetch,
            meta,
            checked: Checked::default(),
        }
    }

    /// The record after a validation of `base`'s body.
    pub fn of_validation(base: &Self, identity: Identity, fetch: Fetch, meta: M) -> Self {
        Self {
            name: Name::of(&identity, Some(base.body_generation())),
            ..Self::of_fetch(identity, fetch, meta)
        }
    }

    /// The record of what comes from a tier that outlives the process, as the fetch of then brought it; or why it is dead. It is
    /// settled now: to be used, or put into the cache, at once.
    pub fn taken_over<R: Rules>(
        marks: &Marks<R>,
        identity: Identity,
        fetch: Fetch,
        meta: M,
    ) -> Result<(Self, Liveness), Death> {
        let record = Self::of_fetch(identity.clone(), fetch, meta);
        match marks.take_over(&identity, &fetch.stamp, &record.checked) {
            Liveness::Dead(death) => Err(death),
            liveness => Ok((record, liveness)),
        }
    }

    /// The same, with other metadata.
    pub(crate) fn with_meta(&self, meta: M) -> Self {
        Self {
            name: self.name.clone(),
            fetch: self.fetch,
            meta,
            checked: self.checked.copy(),
        }
    }

    /// The same, for that key.
    pub(crate) fn keyed(self, key: KeyRef<'_>) -> Self {
        Self {
            name: self.name.keyed(key),
            ..self
        }
    }

    /// The key under which it is stored, or will be.
    pub(crate) fn key(&self) -> KeyRef<'_> {
        self.name.key()
    }

    /// Bytes that key and identity take.
    pub(crate) fn name_bytes(&self) -> u64 {
        self.name.bytes()
    }

    /// What purges can name, in a form of its own. [`Identified`] reads it without that.
    pub fn identity(&self) -> Identity {
        self.name.identity()
    }

    /// The generation of the fetch that brought the body.
    pub fn body_generation(&self) -> u64 {
        self.name.body_generation().unwrap_or(self.fetch.generation)
    }

    /// What the marks say of it now.
    pub fn liveness<R: Rules>(&self, marks: &Marks<R>) -> Liveness {
        marks.check_remembering(&self.name, &self.fetch.stamp, &self.checked)
    }

    /// Asks the marks for a round of a sweep. False: it is dead.
    pub(crate) fn settle<R: Rules>(&self, marks: &Marks<R>, round: &Round) -> bool {
        marks.settle(round, &self.name, &self.fetch.stamp, &self.checked)
    }

    /// Whether isolation lets it be used as it is. If not, it may be validated.
    pub fn is_trusted<R: Rules>(&self, _marks: &Marks<R>, trust: Trust) -> bool {
        !R::FETCHED_AFTER_ARRIVAL || trust.allows(self.fetch.generation)
    }
}

impl<M> Identified for Record<M> {
    fn site(&self) -> SiteId {
        self.name.site()
    }

    fn path(&self) -> &str {
        self.name.path()
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.name.tags()
    }
}
