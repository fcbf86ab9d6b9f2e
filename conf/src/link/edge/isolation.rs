//! When an edge may use what it has stored without asking: its lease, and the fence that a lost lease leaves behind.
//!
//! # Who counts what
//! The edge sends heartbeat *i* at *s(i)*; control answers it at *c(i)*, with its head of that moment; the answer is read at
//! *a(i)*: *s(i) ≤ c(i) ≤ a(i)*. The lease lasts *L*. The edge has it until *s(i) + L* of the newest answer that it has read. Control
//! says that the edge is fenced, at *q*, only if *q > c(i) + L* of the newest heartbeat that it has answered.
//!
//! # Why a fenced edge serves nothing old
//! Let control say at *q* that the edge is fenced from a purge of epoch *e*, accepted before *q*.
//!
//! **It begins no later than control thinks.** Every answer that the edge may have read by *q* was given before *q*, so the edge's
//! lease ends at some *s(i) + L ≤ c(i) + L < q*. A look-up that reads its clock after *q* finds the lease over, or an answer with
//! *c(j) > q* has been read since.
//!
//! **It ends no earlier than control thinks.** That answer *j* was taken by `Lease::answered`, which first looks
//! whether the former lease is over. It is: the clock was read after the message, so it shows more than *c(j) > q*. So the
//! fence went up, whether or not anybody had looked meanwhile (a process that was stopped has not), and comes down only
//! when the edge obeys the head that was told then. Control accepted *e* before it gave that answer, so the head is *e*
//! or later, and an edge that obeys it obeys the purge. Control may count it as acked then, or as fenced: both are true.
//!
//! **Between the answer and the fence coming down** a newer purge may be accepted, at *p > c(j)*. The edge may serve what that one
//! hits as soon as it obeys the head of *c(j)*. Control has heard of the edge at *c(j)*: until *c(j) + L* it says `missing` and not
//! `fenced`, and by then the edge's lease of at most *s(j) + L* has run out again.
//!
//! **Streams.** Only what is told on the present stream takes the fence down: epochs of another log, or of the same one
//! before it was rewound, compare with nothing. A reset counts only when it is applied. A second answer to a heartbeat
//! tells nothing. A replica that is behind the edge refuses the stream; then the lease runs out. One that is behind another, which
//! told a newer head of the same history, has to catch up with it first.
//!
//! # What control has to keep to
//! - It reads the head *after* it has noted that it answers, and judges receipts in turn with that.
//! - Its clock must not run faster than the edge's by more than it waits longer (it adds a share for drift). The edge counts on a
//!   clock that goes on while the machine sleeps. It stands still in a guest that its hypervisor pauses, or puts back to a
//!   snapshot: that guest wakes up with the lease it had, and until it has read the next answer, or found the lease over, it may
//!   serve what was purged meanwhile. No clock of a guest shows such a pause; who needs the promise lets edges be
//!   stopped instead.
//! - With several replicas, one may only say `fenced` of an edge that another answers if that other's heads include the purge.
//!
//! An edge that control has taken out of the roster is in no receipt: the fence goes up at once. So it does when the edge
//! leaves, before it says so: whatever it still serves then, on whatever connection, it asks the origin about.
//!
//! # A log that was put back
//! A log that was restored from a copy keeps its identity. An edge that was told a head beyond the copy's end stays fenced until
//! the log has grown past it: it can't know which entries are gone. It tells that ([`Shortened`]), and says in `Hello` what it was
//! told.

use crate::change::Epoch;
use std::time::Duration;

/// Why an edge is isolated: control does not count on it, so what it stored may have been purged without its knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// It has just started and has not heard of control yet.
    NotJoined,
    /// Control has not answered for as long as the lease.
    LeaseOver,
    /// Control has taken it out of the roster.
    Removed,
    /// Control answers again, and the edge does not obey yet what was purged meanwhile.
    CatchingUp,
    /// It has left the fleet, or is about to say so: no receipt counts on it.
    Left,
}

/// Control's log ends before a head that it told once: it was put back, or the replica is behind another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortened {
    /// The newest head that was told of this log.
    pub told: Epoch,
    /// What is told now.
    pub head: Epoch,
}

/// So many answers in a row have to tell of a shorter log: a replica may be behind another for a moment.
const SHORT_ANSWERS: u32 = 2;

impl Isolation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NotJoined,
        Self::LeaseOver,
        Self::Removed,
        Self::CatchingUp,
        Self::Left,
    ];

    /// Its stable name, in records, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJoined => "not_joined",
            Self::LeaseOver => "lease_over",
            Self::Removed => "removed",
            Self::CatchingUp => "catching_up",
            Self::Left => "left",
        }
    }
}

/// What the edge has been promised, and what it has to do before that counts.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    until: Option<Duration>,
    fence: Fence,
    /// The newest head that any stream told of the present history.
    told: Epoch,
    /// The head of the newest answer on the present stream, if it is before `told`, and how many in a row were.
    short: Option<(Epoch, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    Down,
    /// Up until a heartbeat that is answered on the present stream tells a head.
    UntilTold(Isolation),
    /// Up until the edge obeys this head, told on the present stream.
    UntilObeyed(Epoch),
}

impl Lease {
    /// A process that has just started.
    pub(super) fn new() -> Self {
        Self {
            until: None,
            fence: Fence::UntilTold(Isolation::NotJoined),
            told: Epoch(0),
            short: None,
        }
    }

    /// Until when control counts on this edge; none before the first answer, and after a removal.
    pub fn until(&self) -> Option<Duration> {
        self.until
    }

    /// The newest head that any stream told of the present history; 0: none.
    pub fn told(&self) -> Epoch {
        self.told
    }

    /// Whether control's log ends before what it told once, as the present stream says again and again.
    pub fn shortened(&self) -> Option<Shortened> {
        let (head, _) = self.short.filter(|(_, times)| *times >= SHORT_ANSWERS)?;
        let told = self.told;
        Some(Shortened { told, head })
    }

    /// Until when stored objects may be used if nothing more is heard; none: not now.
    pub fn trusted_until(&self) -> Option<Duration> {
        self.until.filter(|_| self.fence == Fence::Down)
    }

    /// Why the edge is isolated; none: it is not.
    pub fn isolation(&self, now: Duration) -> Option<Isolation> {
        match self.fence {
            Fence::UntilTold(why) => Some(why),
            _ if self.is_over(now) => Some(Isolation::LeaseOver),
            Fence::UntilObeyed(_) => Some(Isolation::CatchingUp),
            Fence::Down => None,
        }
    }

    /// A lease that is over leaves the fence up.
    fn look(&mut self, now: Duration) {
        if self.is_over(now) && !matches!(self.fence, Fence::UntilTold(_)) {
            self.fence = Fence::UntilTold(Isolation::LeaseOver);
        }
    }

    /// A new stream: what was told on the last one tells nothing of this one.
    pub fn stream_opened(&mut self) {
        self.short = None;
        if let Fence::UntilObeyed(_) = self.fence {
            self.fence = Fence::UntilTold(Isolation::CatchingUp);
        }
    }

    /// The present stream tells another history: epochs that were told of the former one compare with nothing.
    pub fn history_changed(&mut self) {
        self.told = Epoch(0);
        self.short = None;
    }

    /// A heartbeat was answered on the present stream: the lease lasts until `until`, and control's head is `head`. `obeyed` is what
    /// the edge obeys of the history that the present stream tells; none: nothing of it yet.
    pub fn answered(&mut self, until: Duration, head: Epoch, obeyed: Option<Epoch>, now: Duration) {
        self.look(now);
        self.until = self.until.max(Some(until));
        self.short = (head < self.told).then(|| {
            let times = self.short.map_or(0, |(_, times)| times);
            (head, times.saturating_add(1))
        });
        self.told = self.told.max(head);
        // An answer so late that its lease is over again tells nothing that would last.
        if matches!(self.fence, Fence::UntilTold(_)) && !self.is_over(now) {
            self.fence = Fence::UntilObeyed(self.told);
        }
        if let Some(obeyed) = obeyed {
            self.obeyed(obeyed);
        }
    }

    /// The edge obeys this epoch of the history that the present stream tells.
    pub fn obeyed(&mut self, epoch: Epoch) {
        if let Fence::UntilObeyed(head) = self.fence
            && epoch >= head
        {
            self.fence = Fence::Down;
        }
    }

    /// Control has taken the process out of the roster: no receipt counts on it until it is welcomed again.
    pub fn removed(&mut self) {
        self.until = None;
        self.fence = Fence::UntilTold(Isolation::Removed);
    }

    /// The edge leaves: no receipt counts on it any more.
    pub fn left(&mut self) {
        self.until = None;
        self.fence = Fence::UntilTold(Isolation::Left);
    }

    fn is_over(&self, now: Duration) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}
