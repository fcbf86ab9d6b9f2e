//! The access log. A request writes its record as a line into a buffer of its thread ([`lanes`]); one thread takes what has
//! gathered there to the file ([`writer`]), many lines at a time. So a request wakes nobody and waits for nobody, and
//! lines of different threads may stand in another order than their times. A full buffer drops the record and counts it.

mod lanes;
mod writer;

pub use writer::AccessLogWriter;

use lanes::Lanes;
use latencify_conf::record::AccessRecord;
use prometheus::IntCounter;
use std::{borrow::Borrow, io, path::Path, sync::Arc};

/// Where requests leave their records.
#[derive(Clone)]
pub struct AccessLog {
    lanes: Option<Arc<Lanes>>,
    dropped: IntCounter,
}

impl AccessLog {
    /// No access log.
    pub fn off(dropped: IntCounter) -> Self {
        Self {
            lanes: None,
            dropped,
        }
    }

    /// Opens the file (`-`: standard output) and starts the thread that writes it.
    pub fn open(path: &Path, dropped: IntCounter) -> io::Result<(Self, AccessLogWriter)> {
        let lanes = Arc::new(Lanes::new());
        let writer = AccessLogWriter::start(path, Arc::clone(&lanes), dropped.clone())?;
        let lanes = Some(lanes);
        Ok((Self { lanes, dropped }, writer))
    }

    /// Whether records are wanted at all.
    pub fn is_on(&self) -> bool {
        self.lanes.is_some()
    }

    /// Leaves a record; drops and counts it when the writer is behind.
    pub fn record<'a>(&self, record: impl Borrow<AccessRecord<'a>>) {
        let Some(lanes) = &self.lanes else { return };
        if !lanes.add(record.borrow()) {
            self.dropped.inc();
        }
    }
}

#[cfg(test)]
mod tests;
