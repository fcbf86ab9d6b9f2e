//! The program's own log, on standard error. Each line names its process: during an upgrade two of them write into one log.

use std::{fmt, process};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The time, and which process.
pub struct TimeAndProcess;

/// JSON with a `pid`.
pub struct JsonWithProcess(Format<Json>);

impl FormatTime for TimeAndProcess {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        SystemTime.format_time(line)?;
        write!(line, " [{}]", process::id())
    }
}

impl Default for JsonWithProcess {
    fn default() -> Self {
        Self(tracing_subscriber::fmt::format().json())
    }
}

impl<S, N> FormatEvent<S, N> for JsonWithProcess
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut object = String::new();
        (self.0).format_event(context, Writer::new(&mut object), event)?;
        // It begins with its time; so it is never empty.
        match object.strip_prefix('{') {
            Some(fields) => write!(line, "{{\"pid\":{},{fields}", process::id()),
            None => line.write_str(&object),
        }
    }
}
