//! The [leases](super::leases) of every edge process behind a lock, with the store that keeps them and the clock that they
//! count on.

use super::{
    contact::Contact,
    leases::{Greeting, Leases},
    word::{Withheld, Word},
};
use crate::{
    fold::State,
    store::{Store, StoreError},
};
use latencify_conf::{
    change::{Epoch, ProcessId},
    link::message::WhenIsolated,
};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::{sync::Arc, time::Duration};

/// Time since the machine's start, sleep included: a machine that slept has let leases run out.
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// Why a heartbeat is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The process is being taken out of the roster, or is out.
    TakenOut,
    /// This run promises nothing now.
    Withheld(Withheld),
}

/// A process that is being taken out of the roster: nothing is promised to it until this is dropped.
pub struct Closed {
    contacts: Contacts,
    process: ProcessId,
}

/// What is known of every process's lease. A clone sees the same.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    of: Arc<Mutex<Leases>>,
}

impl Contacts {
    /// What the store remembers of these processes. An earlier run on this store may have answered them until `started`,
    /// and no longer, as far as is known yet.
    pub async fn load(
        store: &Store,
        of: impl IntoIterator<Item = ProcessId>,
        started: Duration,
    ) -> Result<Self, StoreError> {
        let leases = Leases::remembered(store.promises(of).await?, started);
        Ok(Self {
            of: Arc::new(Mutex::new(leases)),
        })
    }

    /// An earlier run on this store may have answered them until this later moment, and given them such leases.
    pub fn held_since(&self, started: Duration, lease: Duration) {
        self.of.lock().held_since(started, lease);
    }

    /// A process is about to be welcomed. What it said and what it is promised is in the store afterwards. Says whether it
    /// may be welcomed: not while it is being taken out.
    pub async fn greet(
        &self,
        store: &Store,
        process: ProcessId,
        when_isolated: Option<WhenIsolated>,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let known = self.get(process);
        // Asked for even if the process is known: who has left meanwhile is not in the store any more.
        let stored = store.promises([process]).await?.into_iter().next();
        let stored = stored.map(|(_, promise)| promise);
        let greeting = Greeting::new(known, stored, when_isolated, lease, now());
        if let Some(promise) = greeting.keep {
            store.promise(process, promise).await?;
        }
        Ok(self.of.lock().greeted(process, &greeting))
    }

    /// A heartbeat of a process is about to be answered: with this head; or it may not be. `state` reads the newest state,
    /// and `word` was taken before.
    ///
    /// Who judges a receipt looks at the state first and at the contact then. Here it is the other way round, under one
    /// lock: either the judge sees this answer, or the answer tells a head that is as new as the judge's.
    pub fn answer(
        &self,
        process: ProcessId,
        word: &Word,
        state: impl FnOnce() -> Arc<State>,
    ) -> Result<Epoch, Unanswered> {
        let mut of = self.of.lock();
        let state = state();
        let now = now();
        word.may_promise(&state, now)
            .map_err(Unanswered::Withheld)?;
        of.answer(process, now, &state).ok_or(Unanswered::TakenOut)
    }

    /// Begins to take a process out of the roster, unless it may still hold a lease for so long. Of one of which nothing is
    /// known, an earlier run may have answered it until this one started.
    pub fn close(&self, process: ProcessId, lease: Duration) -> Result<Closed, Duration> {
        self.of.lock().close(process, lease, now())?;
        Ok(Closed {
            contacts: self.clone(),
            process,
        })
    }

    /// Whether it is being taken out.
    #[cfg(test)]
    pub fn is_closed(&self, process: ProcessId) -> bool {
        self.of.lock().is_closed(process)
    }

    /// A process starts over on another history.
    pub fn reset(&self, process: ProcessId) {
        self.of.lock().reset(process);
    }

    /// What is known of a process's lease.
    pub fn get(&self, process: ProcessId) -> Option<Contact> {
        self.of.lock().get(process)
    }

    /// Only who is in the roster is still in the fleet.
    pub fn forget_all_but(&self, state: impl FnOnce() -> Arc<State>) {
        let mut of = self.of.lock();
        let state = state();
        of.forget_all_but(&state);
    }
}

impl Closed {
    /// Nothing is promised to the process in this run any more.
    pub fn until_exit(self) {
        std::mem::forget(self);
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.contacts.of.lock().open(self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fleet::word::AsOf, fold::Member};
    use latencify_conf::change::LogId;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    #[tokio::test]
    async fn nothing_is_promised_to_a_process_that_is_being_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let process = ProcessId(Uuid::from_u128(7));
        let member = Member {
            edge: "paris".to_owned(),
            joined: Epoch(1),
            about: BTreeMap::new(),
        };
        let mut state = State::before(LogId(Uuid::nil()));
        state.roster.insert(process, member);
        let (with, without) = (Arc::new(state), Arc::new(State::before(LogId(Uuid::nil()))));
        let contacts = Contacts::load(&store, [process], Duration::ZERO)
            .await
            .unwrap();
        let greet = async |lease| {
            let mode = Some(WhenIsolated::Revalidate);
            contacts.greet(&store, process, mode, lease).await.unwrap()
        };
        let mut word = Word {
            run: None,
            as_of: AsOf::always(),
        };
        let answer = |state: &Arc<State>| contacts.answer(process, &word, || state.clone());

        assert!(greet(Duration::from_hours(1)).await);
        assert_eq!(answer(&with), Ok(Epoch(0)));
        assert!(
            contacts.close(process, Duration::ZERO).is_err(),
            "its lease runs"
        );
        let taken_out = Err(Unanswered::TakenOut);
        assert_eq!(answer(&without), taken_out, "it is out of the roster");

        // Of a process that is not known, nothing was promised in this run, and long ago in an earlier one.
        contacts.forget_all_but(|| without.clone());
        let closed = contacts.close(process, Duration::ZERO).ok().unwrap();
        assert_eq!(answer(&with), taken_out);
        assert!(!greet(Duration::ZERO).await);
        drop(closed);
        assert!(greet(Duration::ZERO).await);
        assert_eq!(answer(&with), Ok(Epoch(0)));
        let before = contacts.get(process);
        word.as_of = AsOf::within(Duration::from_mins(1));
        let withheld = contacts.answer(process, &word, || with.clone());
        assert_eq!(withheld, Err(Unanswered::Withheld(Withheld::Unread)));
        assert_eq!(contacts.get(process), before, "nothing was promised");
    }
}
