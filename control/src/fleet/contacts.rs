//! The [contact](super::contact) with every edge process, and the clock that it counts on.

use super::contact::Contact;
use crate::{
    fold::State,
    store::{Store, StoreError, promises::Promise},
};
use latencify_conf::{
    change::{Epoch, ProcessId},
    link::message::WhenIsolated,
};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Time since the machine's start, sleep included: a machine that slept has let leases run out.
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// What is known of every process's lease. A clone sees the same.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    of: Arc<Mutex<HashMap<ProcessId, Contact>>>,
    /// Since then, every earlier run on this store is known to be dead.
    started: Duration,
}

impl Contacts {
    /// What the store remembers of these processes. An earlier run on this store may have answered them until `started`:
    /// since then, it is known to be dead.
    pub async fn load(
        store: &Store,
        of: impl IntoIterator<Item = ProcessId>,
        started: Duration,
    ) -> Result<Self, StoreError> {
        let promises = store.promises(of).await?;
        let remembered = promises.into_iter().map(|(process, promise)| {
            let contact = Contact::remembered(promise.when_isolated, promise.lease, started);
            (process, contact)
        });
        Ok(Self {
            of: Arc::new(Mutex::new(remembered.collect())),
            started,
        })
    }

    /// A process is about to be welcomed. What it said and what it is promised is in the store afterwards.
    pub async fn greet(
        &self,
        store: &Store,
        process: ProcessId,
        when_isolated: Option<WhenIsolated>,
        lease: Duration,
    ) -> Result<(), StoreError> {
        let known = self.get(process);
        let mut contact = match known {
            Some(contact) => contact,
            None => remembered(store, process, lease).await?,
        };
        contact.greeted(when_isolated, lease);
        let promise = Promise {
            when_isolated,
            lease: contact.lease(),
        };
        let is_kept = known.is_some_and(|known| {
            (known.when_isolated(), known.lease()) == (when_isolated, contact.lease())
        });
        if !is_kept {
            store.promise(process, promise).await?;
        }
        let mut of = self.of.lock();
        // Another stream of the process may have been answered meanwhile.
        of.entry(process)
            .and_modify(|known| known.greeted(when_isolated, lease))
            .or_insert(contact);
        Ok(())
    }

    /// A heartbeat of a process is about to be answered; `head` reads the epoch that the answer tells.
    ///
    /// Who judges a receipt looks at the head first and at the contact then. Here it is the other way round, under one
    /// lock: either the judge sees this answer, or the answer tells a head that is as new as the judge's.
    pub fn answer(&self, process: ProcessId, head: impl FnOnce() -> Epoch) -> Epoch {
        let mut of = self.of.lock();
        let head = head();
        if let Some(contact) = of.get_mut(&process) {
            contact.answered(now(), head);
        }
        head
    }

    /// A process starts over on another history.
    pub fn reset(&self, process: ProcessId) {
        if let Some(contact) = self.of.lock().get_mut(&process) {
            contact.reset();
        }
    }

    /// What is known of a process's lease.
    pub fn get(&self, process: ProcessId) -> Option<Contact> {
        self.of.lock().get(&process).copied()
    }

    /// For how much longer a process may hold a lease; none: it must have run out. One of which nothing is known may have
    /// been given a lease by an earlier run.
    pub fn lease_left(&self, process: ProcessId, lease: Duration) -> Option<Duration> {
        let known = self.get(process);
        let contact = known.unwrap_or_else(|| Contact::remembered(None, lease, self.started));
        contact.left(now())
    }

    /// Only who is in the roster is still in the fleet.
    pub fn forget_all_but(&self, state: impl FnOnce() -> Arc<State>) {
        let mut of = self.of.lock();
        let state = state();
        of.retain(|process, _| state.roster.contains_key(process));
    }
}

/// A process that is new to this run. One that is new to the store may come from a replica with another store, and still
/// hold the lease that it was given there.
async fn remembered(
    store: &Store,
    process: ProcessId,
    lease: Duration,
) -> Result<Contact, StoreError> {
    let promise = store.promises([process]).await?.into_iter().next();
    let longest = promise.map_or(lease, |(_, promise)| promise.lease.max(lease));
    Ok(Contact::remembered(None, longest, now()))
}
