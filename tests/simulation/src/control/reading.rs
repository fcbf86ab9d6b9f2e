//! As of when a run has read its log to the end, asked as the shipped `log_read` asks: where the log ends, again and again, and each
//! time everything up to there is folded first. What follows from it, the shipped [`Word`] says.

use crate::{
    event::{Event, Run},
    faults::Fault,
    log::Kind,
    world::World,
};
use latencify_cache::rules::Rules;
use latencify_conf::change::Epoch;
use latencify_control::fleet::word::{AsOf, Withheld, Word};
use std::time::Duration;

/// It is asked so many times where the log ends in the time for which an answer counts, but not more often than this.
const ASKED_A_BOUND: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What a run knows of the log's end.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// As of when it has read everything.
    pub as_of: AsOf,
    /// Where it ended when that was asked last, if not all of it is folded.
    end: Option<(Duration, Epoch)>,
}

impl Reading {
    /// Of a run that has just started.
    pub fn new(max: Option<Duration>) -> Self {
        Self {
            as_of: max.map_or_else(AsOf::always, AsOf::within),
            end: None,
        }
    }
}

impl<R: Rules> World<R> {
    /// So long after it has read the log to its end a run may answer edges; none: nobody else can follow the log.
    pub fn unread_max(&self, run: Run) -> Option<Duration> {
        (self.log.kind == Kind::Broker).then_some(self.own_unread_max(run))
    }

    /// As it was told at its start, wherever the log is.
    pub fn own_unread_max(&self, run: Run) -> Duration {
        let [some, others] = self.plan.unread_max;
        if run.is_multiple_of(2) { some } else { others }
    }

    fn word(&self) -> Option<Word> {
        let running = self.replica.running.as_ref()?;
        if self.plan.breaks.serves_an_old_fold {
            return Some(Word {
                run: None,
                as_of: AsOf::always(),
            });
        }
        Some(Word {
            run: running.announced(),
            as_of: running.reading.as_of,
        })
    }

    /// Whether the replica promises no edge anything now.
    pub fn withholds(&mut self) -> bool {
        let (state, now) = (&self.replica.store.state, self.now);
        let may_promise = self.word().map(|word| word.may_promise(state, now));
        match may_promise {
            Some(Ok(())) => false,
            Some(Err(Withheld::Unread)) if self.plan.breaks.answers_unread => false,
            Some(Err(Withheld::Unread)) => {
                self.fault(Fault::LogUnread);
                true
            }
            Some(Err(Withheld::Replaced)) | None => true,
        }
    }

    /// The moment as of which the replica may say whose lease is over.
    pub fn judges_at(&self) -> Duration {
        let word = self.word();
        let state = &self.replica.store.state;
        word.map_or(Duration::ZERO, |word| word.judges_at(state, self.now))
    }

    /// A run asks where the log ends, if it knows of nothing that it has to fold first.
    pub fn ask_end(&mut self, run: Run) {
        let (asked, answers, end) = (self.now, self.log_answers(), self.log.head());
        let told = self.plan.blink;
        let Some(running) = self.replica.run(run) else {
            return;
        };
        let Some(max) = running.reading.as_of.max() else {
            return;
        };
        let is_free = running
            .reading
            .end
            .is_none_or(|(asked, _)| asked + max < self.now);
        if answers && is_free {
            self.put(told, Event::EndTold(run, asked, end));
        }
        self.put((max / ASKED_A_BOUND).max(PAUSE_MIN), Event::AskEnd(run));
    }

    /// A run hears where the log ended when it asked.
    pub fn end_told(&mut self, run: Run, asked: Duration, end: Epoch) {
        if let Some(running) = self.replica.run(run) {
            running.reading.end = Some((asked, end));
            self.is_at_the_end(run);
        }
    }

    /// Whether what was there when it was asked is folded by now.
    pub fn is_at_the_end(&mut self, run: Run) {
        let applied = self.replica.store.state.applied;
        let Some(running) = self.replica.run(run) else {
            return;
        };
        let Some((asked, _)) = running.reading.end.filter(|(_, end)| applied >= *end) else {
            return;
        };
        running.reading.end = None;
        running.reading.as_of.read(asked);
    }
}
