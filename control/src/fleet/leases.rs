//! The leases of all edge processes, as one run of a replica knows them, and who is being taken out of the roster. Pure: the
//! replica holds it behind [`Contacts`](super::Contacts), with a clock and a store; the simulation drives it with its own.

use super::contact::Contact;
use crate::{fold::State, store::promises::Promise};
use latencify_conf::{
    change::{Epoch, ProcessId},
    link::message::WhenIsolated,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

/// What is known of every process's lease.
#[derive(Debug, Default)]
pub struct Leases {
    contacts: HashMap<ProcessId, Contact>,
    /// Processes that are being taken out of the roster, each by so many: none of them is promised anything meanwhile.
    closed: HashMap<ProcessId, usize>,
    /// Since then, no earlier run answers anybody.
    started: Duration,
    /// The longest lease that one of them may have given, as far as the log tells.
    given: Duration,
}

/// What a process is about to be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    contact: Contact,
    lease: Duration,
    /// To be in the store before the process is told; none: it is there.
    pub keep: Option<Promise>,
}

impl Leases {
    /// What the store remembers of processes. An earlier run on this store may have answered them until `started`.
    pub fn remembered(
        promises: impl IntoIterator<Item = (ProcessId, Promise)>,
        started: Duration,
    ) -> Self {
        let contact =
            |promise: Promise| Contact::remembered(promise.when_isolated, promise.lease, started);
        Self {
            contacts: promises
                .into_iter()
                .map(|(process, promise)| (process, contact(promise)))
                .collect(),
            closed: HashMap::new(),
            started,
            given: Duration::ZERO,
        }
    }

    /// An earlier run on this store may have answered them until this later moment, and given them such leases, whatever
    /// the store knows.
    pub fn held_since(&mut self, started: Duration, lease: Duration) {
        self.started = self.started.max(started);
        self.given = self.given.max(lease);
        for contact in self.contacts.values_mut() {
            contact.held_since(self.started, self.given);
        }
    }

    /// A process was told what it is promised, and the store keeps that. Says whether it may be welcomed: not while it is
    /// being taken out.
    pub fn greeted(&mut self, process: ProcessId, greeting: &Greeting) -> bool {
        let Greeting {
            mut contact, lease, ..
        } = *greeting;
        // It may go back to an earlier run that still answers, whatever the store knows of it: also one that joined behind the
        // copy that this run stands on.
        contact.held_since(self.started, self.given);
        // Another stream of the process may have been answered meanwhile.
        self.contacts
            .entry(process)
            .and_modify(|known| known.greeted(contact.when_isolated(), lease))
            .or_insert(contact);
        !self.closed.contains_key(&process)
    }

    /// A heartbeat of a process is about to be answered: with this head. None: it may not be answered, because the process
    /// is being taken out of the roster, or is out. `state` must be read under the lock that guards these leases.
    pub fn answer(&mut self, process: ProcessId, now: Duration, state: &State) -> Option<Epoch> {
        if self.closed.contains_key(&process) || !state.roster.contains_key(&process) {
            return None;
        }
        let head = state.position.epoch;
        self.contacts.get_mut(&process)?.answered(now, head);
        Some(head)
    }

    /// Begins to take a process out of the roster, until it is [opened](Self::open) as often; the error says for how much
    /// longer it may hold a lease. Of one of which nothing is known, an earlier run may have answered it until this one
    /// started.
    pub fn close(
        &mut self,
        process: ProcessId,
        lease: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let known = self.contacts.get(&process).copied();
        let longest = lease.max(self.given);
        let contact = known.unwrap_or_else(|| Contact::remembered(None, longest, self.started));
        if let Some(left) = contact.left(now) {
            return Err(left);
        }
        *self.closed.entry(process).or_default() += 1;
        Ok(())
    }

    /// Whoever took the process out is certain that no entry of that takes effect later.
    pub fn open(&mut self, process: ProcessId) {
        if let Entry::Occupied(mut by) = self.closed.entry(process) {
            *by.get_mut() -= 1;
            if *by.get() == 0 {
                by.remove();
            }
        }
    }

    /// Whether it is being taken out.
    #[cfg(test)]
    pub fn is_closed(&self, process: ProcessId) -> bool {
        self.closed.contains_key(&process)
    }

    /// A process starts over on another history.
    pub fn reset(&mut self, process: ProcessId) {
        if let Some(contact) = self.contacts.get_mut(&process) {
            contact.reset();
        }
    }

    /// What is known of a process's lease.
    pub fn get(&self, process: ProcessId) -> Option<Contact> {
        self.contacts.get(&process).copied()
    }

    /// Only who is in the roster is still in the fleet. `state` must be read under the lock that guards these leases.
    pub fn forget_all_but(&mut self, state: &State) {
        self.contacts
            .retain(|process, _| state.roster.contains_key(process));
    }
}

impl Greeting {
    /// What a process that says hello is promised: `known` in this run, or else by an earlier one; `stored` is what the store
    /// has of it. One that is new to the store may come from a replica with another store, and still hold the lease that it
    /// was given there.
    pub fn new(
        known: Option<Contact>,
        stored: Option<Promise>,
        when_isolated: Option<WhenIsolated>,
        lease: Duration,
        now: Duration,
    ) -> Self {
        let longest = stored.map_or(lease, |promise| promise.lease.max(lease));
        let mut contact = known.unwrap_or_else(|| Contact::remembered(None, longest, now));
        contact.greeted(when_isolated, lease);
        let promise = Promise {
            when_isolated,
            lease: contact.lease(),
        };
        Self {
            contact,
            lease,
            keep: (stored != Some(promise)).then_some(promise),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// It joined after the copy was made that this run stands on: nothing of it is in the store. It says hello here, and goes
    /// back to the run that it had, before it is welcomed.
    #[test]
    fn a_process_that_the_store_does_not_know_is_held_for_as_long_as_any_other() {
        let (now, others_end) = (at(100), at(220));
        let process = ProcessId(Uuid::from_u128(7));
        let mut leases = Leases::remembered([], now);
        leases.held_since(others_end, LEASE);
        let greeting = Greeting::new(None, None, Some(WhenIsolated::Revalidate), LEASE, now);
        assert!(leases.greeted(process, &greeting));
        let contact = leases.get(process).unwrap();
        assert!(contact.held_until() >= others_end + LEASE, "{contact:?}");
        assert!(leases.close(process, LEASE, at(225)).is_err());
        // One that came between the two is held as long.
        let mut leases = Leases::remembered([], now);
        assert!(leases.greeted(process, &greeting));
        leases.held_since(others_end, LEASE);
        assert_eq!(leases.get(process), Some(contact));
    }

    /// The store is an older copy: what a later run with a longer lease has promised is not in it. The log tells of that run.
    #[test]
    fn nobody_is_fenced_or_taken_out_while_a_longer_lease_may_run_that_an_earlier_run_gave() {
        let (started, longer) = (at(100), at(60));
        let [known, unknown, new] = [7, 8, 9].map(|number| ProcessId(Uuid::from_u128(number)));
        let mode = Some(WhenIsolated::Revalidate);
        let promise = Promise {
            when_isolated: mode,
            lease: LEASE,
        };
        let mut leases = Leases::remembered([(known, promise)], started);
        leases.held_since(started, longer);
        let greeting = Greeting::new(None, None, mode, LEASE, started);
        assert!(leases.greeted(new, &greeting));
        let fenced = |leases: &Leases, process, seconds| {
            let contact = leases.get(process);
            contact.is_some_and(|contact| contact.is_fenced(at(seconds), Epoch(0)))
        };
        for process in [known, new] {
            assert!(!fenced(&leases, process, 160), "{process}");
            assert!(fenced(&leases, process, 161), "{process}");
        }
        for process in [known, unknown, new] {
            assert!(leases.close(process, LEASE, at(160)).is_err(), "{process}");
            assert!(leases.close(process, LEASE, at(161)).is_ok(), "{process}");
        }
        // What this run promises is its own lease.
        let mut leases = Leases::remembered([(known, promise)], started);
        leases.held_since(started, longer);
        let mut state = State::before(latencify_conf::change::LogId(Uuid::nil()));
        let member = crate::fold::Member {
            edge: "paris".to_owned(),
            joined: Epoch(1),
            about: std::collections::BTreeMap::new(),
        };
        state.roster.insert(known, member);
        leases.answer(known, at(200), &state);
        assert!(!fenced(&leases, known, 210) && leases.get(known).unwrap().is_out(at(211)));
    }
}
