//! What keeps the log or the store from being written, as it is found while control runs: named, told once, and taken
//! back by itself when it is over.

use parking_lot::Mutex;
use std::{fmt, sync::Arc, time::Instant};
use tokio::sync::watch;

/// The kinds of faults. Each has a stable name, which `/readyz` and the metric read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No room is left where it is kept.
    DiskFull,
    /// It may be read, but not written.
    ReadOnly,
    /// The disk or the file under it fails.
    Io,
    /// Its brokers don't answer, or too few of them are there.
    Away,
    /// It does not exist any more.
    Missing,
    /// Another log stands in its place.
    Replaced,
    /// It has lost entries that it had: an older copy was restored.
    Rewound,
    /// It was not read to its end for too long, so edges are not answered.
    Unread,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DiskFull,
        Self::ReadOnly,
        Self::Io,
        Self::Away,
        Self::Missing,
        Self::Replaced,
        Self::Rewound,
        Self::Unread,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Io => "io",
            Self::Away => "away",
            Self::Missing => "missing",
            Self::Replaced => "replaced",
            Self::Rewound => "rewound",
            Self::Unread => "unread",
        }
    }
}

/// A fault, and what an operator is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: Kind,
    /// Where, why, and the remedy.
    pub detail: String,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Whether something works. A clone sees the same.
#[derive(Debug, Clone)]
pub struct Condition {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    what: &'static str,
    now: watch::Sender<Option<Fault>>,
    since: Mutex<Option<Instant>>,
}

impl Condition {
    /// It works. `what` names it in the program's log.
    pub fn new(what: &'static str) -> Self {
        Self {
            inner: Arc::new(Inner {
                what,
                now: watch::Sender::new(None),
                since: Mutex::default(),
            }),
        }
    }

    /// What is wrong; none: nothing is known to be.
    pub fn fault(&self) -> Option<Fault> {
        self.inner.now.borrow().clone()
    }

    /// Waits until something is wrong.
    pub async fn fails(&self) -> Fault {
        let mut now = self.inner.now.subscribe();
        // The sender lives as long as this does.
        match now
            .wait_for(Option::is_some)
            .await
            .map(|fault| fault.clone())
        {
            Ok(Some(fault)) => fault,
            _ => std::future::pending().await,
        }
    }

    /// Something is wrong. It is logged when it begins and when its kind changes, not each time that it is met.
    pub fn raise(&self, fault: Fault) {
        let mut since = self.inner.since.lock();
        since.get_or_insert_with(Instant::now);
        self.inner.now.send_if_modified(|now| {
            if now.as_ref() == Some(&fault) {
                return false;
            }
            if now.as_ref().map(|now| now.kind) != Some(fault.kind) {
                tracing::error!(
                    part = self.inner.what,
                    fault = fault.kind.as_str(),
                    "{fault}; writes are refused until it is mended"
                );
            }
            *now = Some(fault);
            true
        });
    }

    /// It works, or works again.
    pub fn clear(&self) {
        if self.inner.now.borrow().is_none() {
            return;
        }
        let mut since = self.inner.since.lock();
        let lasted = since.take().map(|since| since.elapsed());
        if self.inner.now.send_replace(None).is_some() {
            tracing::info!(
                part = self.inner.what,
                after_s = lasted.unwrap_or_default().as_secs(),
                "it works again, and writes are taken"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_says_what_is_wrong_until_it_is_mended() {
        let condition = Condition::new("test");
        assert_eq!(condition.fault(), None);
        condition.clear();
        let full = Fault::new(Kind::DiskFull, "full");
        condition.raise(full.clone());
        assert_eq!(condition.clone().fails().await, full);
        let worse = Fault::new(Kind::ReadOnly, "read-only");
        condition.raise(worse.clone());
        assert_eq!(condition.fault(), Some(worse));
        condition.clear();
        assert_eq!(condition.fault(), None);
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
