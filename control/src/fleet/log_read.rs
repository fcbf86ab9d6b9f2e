//! Reading the log to its end, again and again, and noting as of when it was: what [promises](super::word) rest on where
//! others may follow the log.

use super::{
    contacts,
    word::{AsOf, Withheld, Word},
};
use crate::{
    fault::{Fault, Kind},
    fold::driver::{Fold, Health},
    log::ChangeLog,
};
use latencify_conf::change::ReplicaId;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// It is asked so many times where the log ends in the time for which an answer counts, and so long a part of that may it
/// take until everything up to there is folded; but it is asked neither more nor less often than these.
const ASKED_A_BOUND: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest between an attempt that failed and the next: edges may be waiting.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// As of when this run has read its log to the end. A clone sees the same.
#[derive(Clone)]
pub struct LogRead {
    as_of: Arc<watch::Sender<AsOf>>,
    wanted: Arc<Notify>,
    /// Why it could not be read to its end when that was tried last; none: it could.
    fails: Arc<Mutex<Option<String>>>,
}

impl LogRead {
    /// As it stands at first.
    pub fn new(as_of: AsOf) -> Self {
        Self {
            as_of: Arc::new(watch::Sender::new(as_of)),
            wanted: Arc::default(),
            fails: Arc::default(),
        }
    }

    /// What this run goes by now.
    pub fn word(&self, run: Option<ReplicaId>) -> Word {
        Word {
            run,
            as_of: *self.as_of.borrow(),
        }
    }

    /// Wakes whenever the log was read to its end.
    pub fn subscribe(&self) -> watch::Receiver<AsOf> {
        self.as_of.subscribe()
    }

    /// Somebody waits for the next time.
    pub fn wanted(&self) {
        self.wanted.notify_one();
    }

    /// Reads it to its end, again and again, until `stop`.
    pub async fn keep_reading(self, log: Arc<dyn ChangeLog>, fold: Fold, stop: CancellationToken) {
        let Some(max) = self.as_of.borrow().max() else {
            return;
        };
        let pause = (max / ASKED_A_BOUND).clamp(PAUSE_MIN, PAUSE_MAX);
        let again = async {
            loop {
                let fails = self.read(&*log, &fold, max).await.err();
                let pause = match fails {
                    None => pause,
                    Some(_) => pause.min(TRY_AGAIN),
                };
                self.note(fails);
                tokio::time::sleep(PAUSE_MIN).await;
                tokio::select! {
                    () = tokio::time::sleep(pause.saturating_sub(PAUSE_MIN)) => {}
                    () = self.wanted.notified() => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = again => {}
        }
    }

    /// Reads it once; the error says why it could not be read to its end.
    async fn read(&self, log: &dyn ChangeLog, fold: &Fold, max: Duration) -> Result<(), String> {
        let asked = contacts::now();
        let end = log.end().await.map_err(|error| error.to_string())?;
        // Not for ever: what stands at the end may be no entry of this log, which shows when it is read.
        if fold.reaches(end, max / ASKED_A_BOUND).await {
            self.as_of.send_modify(|as_of| as_of.read(asked));
            return Ok(());
        }
        Err(match fold.health() {
            Health::Retrying(why) | Health::Stopped(why) | Health::Moved(why) => why,
            Health::Following => format!(
                "it ends at {end}, and is folded to {}",
                fold.state().applied
            ),
        })
    }

    /// Tells once that it fails, and once that it is over.
    fn note(&self, fails: Option<String>) {
        let mut before = self.fails.lock();
        match (&*before, &fails) {
            (None, Some(why)) => tracing::warn!(why, "the log can't be read to its end"),
            (Some(_), None) => tracing::info!("the log is read to its end again"),
            _ => {}
        }
        *before = fails;
    }

    /// What an operator and a refused edge are told.
    pub fn fault(&self, word: &Word, withheld: Withheld, now: Duration) -> Fault {
        let why = self.fails.lock().clone();
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let detail = match (withheld, word.as_of.ago(now)) {
            (Withheld::Replaced, _) => {
                "edges are not answered: the log says that another run has taken this one's place"
                    .to_owned()
            }
            (Withheld::Unread, None) => {
                format!("edges are not answered yet: this run has not read the log to its end{why}")
            }
            (Withheld::Unread, Some(ago)) => format!(
                "edges are not answered, and are isolated when their leases are over: the log could not be read to its end for \
                 {} s, which is longer than --log-unread-max ({} s); another run of control may serve them meanwhile. They are \
                 answered again as soon as it can: look at its brokers, and at this store's disk{why}",
                ago.as_secs(),
                word.as_of.max().unwrap_or_default().as_secs()
            ),
        };
        Fault::new(Kind::Unread, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_why_the_log_could_not_be_read() {
        let read = LogRead::new(AsOf::within(Duration::from_secs(10)));
        let said = || {
            let word = read.word(None);
            let fault = read.fault(&word, Withheld::Unread, Duration::from_mins(1));
            fault.detail
        };
        read.note(Some("no broker answers".to_owned()));
        assert!(said().ends_with(": no broker answers"), "{}", said());
        read.as_of
            .send_modify(|as_of| as_of.read(Duration::from_secs(1)));
        assert!(said().contains("--log-unread-max (10 s)"), "{}", said());
        assert!(said().ends_with(": no broker answers"), "{}", said());
        read.note(None);
        assert!(!said().contains("no broker answers"), "{}", said());
    }
}
