//! What can be done, as verbs that know no HTTP: the API, the fleet link and the event consumer all call these.

mod edges;
mod enrolment;
mod events;
mod limited;
mod policies;
mod purges;
mod reading;
mod replicas;
pub mod resolve;
mod rollouts;

pub use edges::Removed;
pub use policies::{Submission, Submitted};
pub use purges::{Location, Purged};
pub use reading::Policies;

use crate::{
    fleet::Fleet,
    fold::{Conflict, Outcome},
    identity::Forbidden,
    pki::Pki,
    seal::Seal,
    store::{StoreError, folding::Settled},
    writer::{Key, WriteError, Writer},
};
use latencify_conf::{
    api::PolicyError,
    change::{Change, Epoch, Revision},
};
use uuid::Uuid;

/// Everything that the verbs work on.
#[derive(Clone)]
pub struct Control {
    /// The edges, the store and the fold.
    pub fleet: Fleet,
    /// Policies as obeyed, for resolving purges.
    pub policies: Policies,
    /// What secrets and private keys are sealed with in the store.
    pub seal: Seal,
    /// The fleet's own certificates.
    pub pki: Pki,
}

/// Why a verb did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log failed, or nothing is folded.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no such thing; the text says which.
    #[error("{0}")]
    NotFound(String),
    /// The caller may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The policy has errors.
    #[error("the policy has {} errors", .0.len())]
    PolicyInvalid(Vec<PolicyError>),
    /// The request can't be meant; the text says what to change.
    #[error("{0}")]
    Invalid(String),
    /// A purge or an event names what no policy knows.
    #[error(transparent)]
    Unresolved(#[from] resolve::Unresolved),
    /// Another policy is the head than the writer saw.
    #[error(
        "revision {head} is the head, not the one that this change was made from: look at it, then submit again"
    )]
    HeadMoved {
        /// The head.
        head: Revision,
    },
    /// Other policies became the head, again and again, while names were resolved.
    #[error(
        "the head policy changes faster than names can be resolved by it: nothing was purged, try again"
    )]
    HeadMoves,
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request: use a new one")]
    KeyReused,
    /// A value can't be sealed, or what is stored can't be opened.
    #[error("{0}")]
    Sealed(crate::seal::SealError),
    /// It stands in the way; the text says what.
    #[error("{0}")]
    Conflict(String),
    /// A policy in the store can't be read by this version, so nothing can be resolved by it.
    #[error("revision {revision} can't be read by this version of control: {why}")]
    PolicyUnreadable {
        /// Which.
        revision: Revision,
        /// Its first error.
        why: String,
    },
}

/// Which entry answers a write: its own, or the original that it repeats.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    id: Uuid,
    epoch: Epoch,
    repeat: bool,
}

impl Answer {
    /// Where the entry stands.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Control {
    fn writer(&self) -> &Writer {
        &self.fleet.writer
    }

    /// The answer to an earlier request with this key, before anything is resolved or validated anew: what the names in
    /// it mean may have changed since, what was done has not.
    pub(crate) async fn earlier(&self, key: Option<&Key>) -> Result<Option<Answer>, Refused> {
        let Some(key) = key else { return Ok(None) };
        let Some(original) = self
            .fleet
            .store
            .original(&format!("key:{}", key.name))
            .await?
        else {
            return Ok(None);
        };
        if !crate::fold::within_window(&original, self.fleet.fold.state().applied) {
            return Ok(None);
        }
        if original.request != Some(key.request) {
            return Err(Refused::KeyReused);
        }
        Ok(Some(Answer {
            id: original.id,
            epoch: original.epoch,
            repeat: true,
        }))
    }

    /// Appends a change and says which entry answers it.
    pub(crate) async fn write(
        &self,
        by: &str,
        key: Option<Key>,
        change: Change,
    ) -> Result<Answer, Refused> {
        let settled = self.writer().write(by, key, change).await?;
        answer(&settled)
    }
}

fn answer(settled: &Settled) -> Result<Answer, Refused> {
    match settled.folded.outcome {
        Outcome::Accepted => Ok(Answer {
            id: settled.entry.id,
            epoch: settled.epoch,
            repeat: false,
        }),
        Outcome::Repeat(original) => Ok(Answer {
            id: original.id,
            epoch: original.epoch,
            repeat: true,
        }),
        Outcome::Conflict(Conflict::HeadMoved { head }) => Err(Refused::HeadMoved { head }),
        Outcome::Conflict(Conflict::KeyReused(_)) => Err(Refused::KeyReused),
        Outcome::Conflict(Conflict::RolloutMoved { at: Some((revision, step)) }) => {
            Err(Refused::Conflict(format!(
                "a rollout of revision {revision} is under way, and at its step {step}: look at it (`latencify rollout status`), then \
                 try again; to replace it, name {revision} as the base"
            )))
        }
        Outcome::Conflict(Conflict::RolloutMoved { at: None }) => Err(Refused::Conflict(
            "that rollout is over: `latencify rollout status` shows how it ended".into(),
        )),
        Outcome::Conflict(Conflict::NotInRoster) => Err(Refused::NotFound(
            "the process is not in the fleet (any more): `latencify edge list` shows who is".into(),
        )),
        Outcome::Conflict(Conflict::WriterGone) => Err(Refused::Conflict(
            "this run of control was replaced by another before the entry came to the log; nothing changed".into(),
        )),
        Outcome::Conflict(Conflict::NoSuchReplica) => Err(Refused::NotFound(
            "the replica has not announced itself, or has left: `latencify replica list` shows who is there".into(),
        )),
        Outcome::Conflict(Conflict::SecretMoved) => Err(Refused::Conflict(
            "a newer value of this secret came into force meanwhile: look at it, then try again".into(),
        )),
        Outcome::Conflict(Conflict::NoSuchSecret) => Err(Refused::NotFound(
            "there is no such secret (any more): `latencify secret list` shows those that there are".into(),
        )),
        Outcome::Conflict(Conflict::NoSuchKey) => Err(Refused::NotFound(
            "no key of that name is believed (any more)".into(),
        )),
        Outcome::Conflict(Conflict::TooManyKeys) => Err(Refused::Conflict(
            "as many keys of that use are believed as may be: retire one first".into(),
        )),
        Outcome::Conflict(Conflict::OtherStore(other)) => Err(Refused::Conflict(format!(
            "the replica {other} folds into a store of its own"
        ))),
        Outcome::Conflict(
            Conflict::AlreadyJoined
            | Conflict::OtherRun { .. }
            | Conflict::KeyKnown
            | Conflict::NotFirst
            | Conflict::NotLast,
        ) => Err(Refused::Conflict(
            "this is so already; nothing changed".into(),
        )),
    }
}
