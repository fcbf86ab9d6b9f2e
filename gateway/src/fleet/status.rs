//! What the rest of the edge may know of the link.

use super::{
    FleetError,
    standing::{Standing, boot_time},
};
use latencify_conf::{
    change::{Epoch, Position, ProcessId},
    link::edge::{EdgeLink, Fault},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Where the link stands now.
#[derive(Debug, Clone)]
pub struct LinkState {
    /// This run of the edge.
    pub process: ProcessId,
    /// Whether a replica has welcomed this edge on the present stream.
    pub connected: bool,
    /// Every entry up to here is applied.
    pub obeyed: Option<Position>,
    /// The newest epoch that a replica has told of.
    pub head: Epoch,
    /// Until when control counts on this edge; none before the first answered heartbeat. In the past: the edge is cut
    /// off.
    pub lease_until: Option<Instant>,
    /// Entries applied since the start.
    pub entries: u64,
    /// Streams opened since the start.
    pub streams: u64,
    /// What went wrong since the start, by name; all names are there from the start.
    pub errors: BTreeMap<&'static str, u64>,
}

/// Why a stream ended, beside [`Fault`].
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// No connection.
    #[error("control can't be reached: {0}")]
    Unreachable(String),
    /// Neither the certificate nor the join token is accepted, or they are missing.
    #[error("control does not let this edge in: {0}")]
    Unauthorised(String),
    /// Whoever answers is not control.
    #[error("not believed to be control: {0}")]
    Untrusted(String),
    /// The stream ended with an error.
    #[error("the stream broke: {0}")]
    Stream(String),
    /// Control closed the stream without a reason.
    #[error("control closed the stream")]
    Closed,
    /// What the edge says is not read.
    #[error("control does not read what the edge sends")]
    Stalled,
    /// The protocol was not kept.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Broken {
    /// Names that are not [`Fault`]'s.
    const NAMES: [&'static str; 6] = [
        "unreachable",
        "unauthorised",
        "untrusted",
        "stream_broken",
        "closed",
        "stalled",
    ];

    /// Its stable name, in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Unauthorised(_) => "unauthorised",
            Self::Untrusted(_) => "untrusted",
            Self::Stream(_) => "stream_broken",
            Self::Closed => "closed",
            Self::Stalled => "stalled",
            Self::Fault(fault) => fault.as_str(),
        }
    }
}

impl std::convert::From<tonic::Status> for Broken {
    fn from(status: tonic::Status) -> Self {
        use tonic::Code;
        let said = status.message().to_owned();
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::Unauthorised(said),
            Code::Unavailable | Code::DeadlineExceeded => {
                Self::Unreachable(FleetError::describe(&status))
            }
            _ => Self::Stream(FleetError::describe(&status)),
        }
    }
}

/// Not the end of a stream, and worth counting: control's log ends before a head that it told once.
pub const LOG_SHORTENED: &str = "log_shortened";

/// Likewise: control's log has not the entry that this edge obeyed, though it goes as far.
pub const LOG_FORKED: &str = "log_forked";

/// Kept by the link, read by everyone.
pub struct Status {
    standing: Arc<Standing>,
    entries: AtomicU64,
    errors: BTreeMap<&'static str, AtomicU64>,
    state: Mutex<State>,
}

struct State {
    process: ProcessId,
    connected: bool,
    obeyed: Option<Position>,
    head: Epoch,
    lease_until: Option<Duration>,
    streams: u64,
}

impl Status {
    /// Nothing has happened yet.
    pub fn new(process: ProcessId, standing: Arc<Standing>) -> Self {
        let names = Fault::NAMES.into_iter().chain(Broken::NAMES);
        let names = names.chain([LOG_SHORTENED, LOG_FORKED]);
        Self {
            standing,
            entries: AtomicU64::new(0),
            errors: names.map(|name| (name, AtomicU64::new(0))).collect(),
            state: Mutex::new(State {
                process,
                connected: false,
                obeyed: None,
                head: Epoch(0),
                lease_until: None,
                streams: 0,
            }),
        }
    }

    /// A moment on the clock of the link, [`boot_time`], for timers.
    pub fn at(time: Duration) -> Instant {
        let (now, here) = (boot_time(), Instant::now());
        match time.checked_sub(now) {
            Some(ahead) => here + ahead,
            None => here.checked_sub(now.saturating_sub(time)).unwrap_or(here),
        }
    }

    /// Whether stored objects may be used, as requests ask.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Takes over where the link stands.
    pub fn follow(&self, link: &EdgeLink) {
        self.standing.follow(link, boot_time());
        let mut state = self.state.lock();
        state.connected = link.is_live();
        state.obeyed = link.obeyed();
        state.head = link.head();
        state.lease_until = link.lease_until();
    }

    /// A stream was opened.
    pub fn count_stream(&self) {
        self.state.lock().streams += 1;
    }

    /// So many entries were applied.
    pub fn count_entries(&self, entries: u64) {
        self.entries.fetch_add(entries, Relaxed);
    }

    /// Something went wrong.
    pub fn count_error(&self, name: &'static str) {
        if let Some(counter) = self.errors.get(name) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Everything, as it is now.
    pub fn read(&self) -> LinkState {
        let state = self.state.lock();
        LinkState {
            process: state.process,
            connected: state.connected,
            obeyed: state.obeyed,
            head: state.head,
            lease_until: state.lease_until.map(Self::at),
            entries: self.entries.load(Relaxed),
            streams: state.streams,
            errors: self
                .errors
                .iter()
                .map(|(name, counter)| (*name, counter.load(Relaxed)))
                .collect(),
        }
    }
}
