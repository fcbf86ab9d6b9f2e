//! Writes, as the shipped verbs do them: the names resolved over the head policy, the entry appended with its key, the answer from
//! the fold's outcome; resolved again when another policy became the head in between.

use super::{Waiter, store::Settled};
use crate::{
    lies::Lie,
    origin::SITES,
    world::World,
    writer::{Intent, Named, Reply, What},
};
use latencify_cache::rules::Rules;
use latencify_conf::{
    change::{Change, Entry, Mode, Revision, SiteId, Target},
    digest::Digest,
};
use latencify_control::fold::{Conflict, Head, Outcome};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

impl<R: Rules> World<R> {
    /// An entry of the replica's.
    pub fn entry(
        &mut self,
        key: Option<String>,
        request: Option<Digest>,
        by: &str,
        change: Change,
    ) -> Entry {
        self.next_entry += 1;
        Entry {
            id: Uuid::from_u128(self.next_entry.into()),
            key,
            request,
            by: by.to_owned(),
            at: OffsetDateTime::UNIX_EPOCH + self.now,
            change,
        }
    }

    /// What a writer sent arrives.
    pub fn writer_asks(&mut self, writer: usize, attempt: u64) {
        let Some(intent) = self.intent(writer, attempt) else {
            return;
        };
        if !(self.replica.running.as_ref()).is_some_and(super::Running::serves_edges) {
            return self.reply(writer, attempt, Reply::Failed);
        }
        self.make_first_copy();
        // Names that the head policy does not know, because the log was put back: the shipped verb says so.
        let Some(change) = self.change(&intent) else {
            return self.reply(writer, attempt, Reply::Refused);
        };
        let request = Digest::of_parts([intent.key.as_bytes()]);
        let entry = self.entry(Some(intent.key), Some(request), "writer", change);
        self.append(&entry, Waiter::Writer { writer, attempt });
    }

    fn change(&self, intent: &Intent) -> Option<Change> {
        let head = self.replica.store.state.head.as_ref();
        match &intent.what {
            What::Policy { digest, more, base } => Some(Change::Policy {
                digest: *digest,
                sites: SITES
                    .iter()
                    .copied()
                    .chain(more.as_deref())
                    .map(str::to_owned)
                    .collect(),
                base: base.then(|| head.map_or(Revision(0), |head| head.revision)),
                message: String::new(),
            }),
            What::Purge { soft, named } => {
                let targets: Vec<_> = named
                    .iter()
                    .map(|named| target(named, head))
                    .collect::<Option<_>>()?;
                let is_all = targets == [Target::All];
                Some(Change::Purge {
                    mode: if *soft { Mode::Soft } else { Mode::Hard },
                    targets,
                    event: None,
                    seen: head.map(|head| head.revision).filter(|_| !is_all),
                })
            }
        }
    }

    /// A writer's entry is folded.
    pub fn write_settled(&mut self, writer: usize, attempt: u64, settled: &Settled) {
        let reply = match settled.folded.outcome {
            Outcome::Accepted => Reply::Done {
                id: settled.entry.id,
                epoch: settled.epoch,
                branch: self.branch,
            },
            Outcome::Repeat(original) => Reply::Done {
                id: original.id,
                epoch: original.epoch,
                branch: self.branch,
            },
            Outcome::Conflict(Conflict::HeadMoved { .. }) => {
                let is_purge = matches!(settled.entry.change, Change::Purge { .. });
                if is_purge {
                    // The names are resolved again.
                    return self.writer_asks(writer, attempt);
                }
                Reply::Refused
            }
            Outcome::Conflict(_) => Reply::Refused,
        };
        self.reply(writer, attempt, reply);
    }

    /// The log did not take a writer's entry, or did not say.
    pub fn write_failed(&mut self, writer: usize, attempt: u64) {
        self.reply(writer, attempt, Reply::Failed);
    }

    fn reply(&mut self, writer: usize, attempt: u64, reply: Reply) {
        let lost = self.random.permille(self.plan.rates.answer_lost);
        if lost || self.lies(Lie::NeverAnswered) {
            return self.fault(crate::faults::Fault::Retry);
        }
        let delay: Duration = self.random.millis(0..20);
        self.put(
            delay,
            crate::event::Event::WriterHears(writer, attempt, reply),
        );
    }
}

fn target(named: &Named, head: Option<&Head>) -> Option<Target> {
    let id = |site: usize| -> Option<SiteId> { head?.sites.get(*SITES.get(site)?).copied() };
    Some(match named {
        Named::All => Target::All,
        Named::Site(site) => Target::Site { site: id(*site)? },
        Named::Url(site, path) => Target::Url {
            site: id(*site)?,
            path: (*path).to_owned(),
        },
        Named::Prefix(site, path) => Target::Prefix {
            site: id(*site)?,
            path: (*path).to_owned(),
        },
        Named::Tag(site, tag) => Target::Tag {
            site: id(*site)?,
            tag: (*tag).to_owned(),
        },
    })
}
