//! Watching the topic while control runs: whether brokers answer, whether it is still the same topic with the same log, and
//! whether it is still kept as it must be.
//!
//! # What shows that a topic was deleted and made again
//! - There is none, or it ends before what this replica has seen.
//! - Its first record names another log, or none. It is read again every [`IDENTITY_EVERY`], after every fault, and as soon
//!   as a record comes that was written for another log.
//! - A record that was just written stands before one that was there already (the log itself notices that).

use super::{Look, PARTITION, Shared, epoch_of, reader::Records, topic};
use crate::{
    fault::{Fault, Kind},
    log::{LogError, origin_of},
};
use latencify_conf::change::Epoch;
use rdkafka::Message as _;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take before the brokers count as away.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(3);
/// How often the first record is read again.
const IDENTITY_EVERY: Duration = Duration::from_secs(10);
/// How often it is asked how the topic is kept. What must be and is not any more is told, but writes go on: refusing them
/// would stop purges and bring nothing back.
const SETTINGS_EVERY: Duration = Duration::from_mins(1);

/// Watches until the log is dropped.
pub(super) async fn keep_watching(shared: Arc<Shared>) {
    let mut identity_at = Instant::now() + IDENTITY_EVERY;
    let mut settings_at = Instant::now() + SETTINGS_EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shared.doubted.notified() => {}
        }
        let is_due = Instant::now() >= identity_at || shared.condition.fault().is_some();
        match look(&shared, is_due).await {
            Ok(()) => shared.condition.clear(),
            Err(fault) => shared.condition.raise(fault),
        }
        if is_due {
            identity_at = Instant::now() + IDENTITY_EVERY;
        }
        if Instant::now() >= settings_at {
            settings_at = Instant::now() + SETTINGS_EVERY;
            look_at_settings(&shared).await;
        }
    }
}

async fn look(shared: &Shared, is_due: bool) -> Result<(), Fault> {
    let seen = shared.newest();
    let away = |error: &LogError| {
        Fault::new(
            Kind::Away,
            format!(
                "the brokers {} do not answer: {error}",
                shared.cluster.brokers
            ),
        )
    };
    let look = match shared.ask.look(LOOK_MAX).await {
        Ok(Some(look)) => look,
        Ok(None) => return Err(shared.missing()),
        Err(error) => return Err(away(&error)),
    };
    let head = Epoch(look.next as u64);
    if is_due || head < seen {
        match shared.look_at_first(&look).await {
            Ok(()) => {}
            Err(LogError::Lost(fault)) => return Err(fault),
            Err(error) if head >= seen => return Err(away(&error)),
            // Then the end tells enough.
            Err(_) => {}
        }
    }
    if head < seen {
        return Err(shared.rewound(head, seen));
    }
    let in_sync_min = shared.kept().in_sync_min();
    if in_sync_min.is_some_and(|min| look.in_sync.len() < min) {
        return Err(Fault::new(
            Kind::Away,
            format!(
                "{} of the brokers that keep the topic {} are in sync, and min.insync.replicas={} are needed: start the others",
                look.in_sync.len(),
                shared.topic,
                in_sync_min.unwrap_or_default()
            ),
        ));
    }
    shared.saw(head);
    Ok(())
}

async fn look_at_settings(shared: &Shared) {
    let Ok(kept) = topic::Kept::ask(&shared.cluster, &shared.topic, &shared.ask).await else {
        return;
    };
    let risks = kept.all(&shared.topic, &shared.cluster);
    for risk in risks.iter().filter(|risk| !shared.risks().contains(risk)) {
        tracing::error!("{risk}");
    }
    shared.keep(kept, risks);
}

impl Shared {
    /// Reads the first record again: it must name this log.
    pub(super) async fn look_at_first(&self, look: &Look) -> Result<(), LogError> {
        if look.first > 0 {
            // Deleted from the front: told by the settings' check, and nothing is wrong with what is left.
            return Ok(());
        }
        let first = Records::once(&self.cluster, &self.topic, Epoch(0), LOOK_MAX).await?;
        let Some(first) = first.first() else {
            return Err(LogError::Unreachable(
                "its first record did not come".to_owned(),
            ));
        };
        debug_assert_eq!(first.partition(), PARTITION);
        if epoch_of(first.offset()) != Epoch(1) {
            return Ok(()); // Deleted meanwhile.
        }
        match origin_of(first.payload().unwrap_or_default()) {
            Ok(origin) if origin.log == self.origin.log => Ok(()),
            Ok(origin) => Err(LogError::Lost(
                self.replaced(&format!("holds log {}", origin.log)),
            )),
            Err(_) => Err(LogError::Lost(self.replaced("holds no log"))),
        }
    }

    pub(super) fn missing(&self) -> Fault {
        Fault::new(
            Kind::Missing,
            format!(
                "the topic {} does not exist any more on {}: it was deleted, and log {} with it; {}",
                self.topic,
                self.cluster.brokers,
                self.origin.log,
                self.remedy("")
            ),
        )
    }

    pub(super) fn replaced(&self, holds: &str) -> Fault {
        let delete = format!(
            "delete what is there now (kafka-topics.sh --bootstrap-server {} --delete --topic {}), ",
            self.cluster.brokers, self.topic
        );
        Fault::new(
            Kind::Replaced,
            format!(
                "the topic {} was deleted and made again: it {holds}, not log {}; nothing of it is followed and nothing is \
                 written to it; {}",
                self.topic,
                self.origin.log,
                self.remedy(&delete)
            ),
        )
    }

    fn rewound(&self, head: Epoch, seen: Epoch) -> Fault {
        Fault::new(
            Kind::Rewound,
            format!(
                "the topic {} ends at {head}, but had {seen} entries: it was deleted and made again, or an older copy was \
                 restored; {}",
                self.topic,
                self.remedy("delete the topic, ")
            ),
        )
    }

    fn remedy(&self, first: &str) -> String {
        format!(
            "to go on with another log that has all that this replica's store has folded: stop every control, {first}and run \
             latencify-control migrate-log --data DIR --kafka {} --kafka-prefix {} --log-is-lost",
            self.cluster.brokers, self.cluster.prefix
        )
    }
}
