//! Telling what happened: one record a request, and the numbers.

mod access_log;
mod metrics;
mod own_log;
mod pulled;
mod tally;
mod unserved;

pub use access_log::{AccessLog, AccessLogWriter};
pub use metrics::{
    ANSWERED, ConnectionMetrics, Counted, Course, Ended, FetchMetrics, Metrics, OriginCounts,
    Refused, RequestLabels, RouteCounts,
};
pub use own_log::{JsonWithProcess, TimeAndProcess};
pub use pulled::Pulled;
pub use tally::Tally;
pub use unserved::{Cut, Unserved};
