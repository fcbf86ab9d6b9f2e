//! Telling what happened: one record a request, and the numbers.

mod access_log;
mod metrics;

pub use access_log::{AccessLog, AccessLogWriter};
pub use metrics::{Counted, Metrics, RequestLabels};
