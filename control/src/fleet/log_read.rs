//! Reading the log to its end, again and again, and noting as of when it was: what [promises](super::word) rest on where
//! others may follow the log.

use super::{
    contacts,
    word::{AsOf, Withheld, Word},
};
use crate::{
    fault::{Fault, Kind},
    fold::driver::Fold,
    log::{ChangeLog, LogError},
};
use latencify_conf::change::ReplicaId;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// It is asked so many times where the log ends in the time for which an answer counts; but neither more nor less often
/// than these.
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
}

impl LogRead {
    /// As it stands at first.
    pub fn new(as_of: AsOf) -> Self {
        Self {
            as_of: Arc::new(watch::Sender::new(as_of)),
            wanted: Arc::default(),
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
                let pause = match self.read(&*log, &fold, max).await {
                    Ok(true) => pause,
                    Ok(false) => {
                        tracing::debug!("the log is not folded to its end");
                        pause.min(TRY_AGAIN)
                    }
                    Err(error) => {
                        tracing::debug!(%error, "where the log ends is not known");
                        pause.min(TRY_AGAIN)
                    }
                };
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

    /// Reads it once; says whether everything is folded that was there.
    async fn read(
        &self,
        log: &dyn ChangeLog,
        fold: &Fold,
        max: Duration,
    ) -> Result<bool, LogError> {
        let asked = contacts::now();
        let end = log.end().await?;
        // Not for ever: what stands at the end may be no entry of this log, which shows when it is read.
        let is_folded = fold.reaches(end, max / 2).await;
        if is_folded {
            self.as_of.send_modify(|as_of| as_of.read(asked));
        }
        Ok(is_folded)
    }
}

/// What an operator and a refused edge are told.
pub fn fault(word: &Word, withheld: Withheld, now: Duration) -> Fault {
    let detail = match (withheld, word.as_of.ago(now)) {
        (Withheld::Replaced, _) => {
            "edges are not answered: the log says that another run has taken this one's place"
                .to_owned()
        }
        (Withheld::Unread, None) => {
            "edges are not answered yet: this run has not read the log to its end".to_owned()
        }
        (Withheld::Unread, Some(ago)) => format!(
            "edges are not answered, and are isolated when their leases are over: the log could not be read to its end for {} s, \
             which is longer than --log-unread-max ({} s); another run of control may serve them meanwhile. They are answered \
             again as soon as it can: look at its brokers, and at this store's disk",
            ago.as_secs(),
            word.as_of.max().unwrap_or_default().as_secs()
        ),
    };
    Fault::new(Kind::Unread, detail)
}
