//! What goes wrong, by name, and how often it did.

use std::fmt;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident => $text:literal,)*) => {
        /// What goes wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[doc = $doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// A message, and with it all behind it in its stream, takes long.
    Delay => "delay",
    /// A stream breaks and what was under way is lost.
    Drop => "drop",
    /// The answer to a heartbeat arrives late, and nothing that the edge says arrives after it.
    LateAnswer => "late_answer",
    /// One end of a stream does not notice that it broke.
    HalfOpen => "half_open",
    /// Messages of an old stream arrive after a newer one began: what reordering and duplicates are over TCP.
    Straggler => "straggler",
    /// What an edge says does not reach control.
    PartitionUp => "partition_up",
    /// What control says does not reach an edge.
    PartitionDown => "partition_down",
    /// Neither does.
    PartitionBoth => "partition_both",
    /// A replica sends a delivery twice.
    ForgedDuplicate => "forged_duplicate",
    /// A replica changes the order of two deliveries.
    ForgedReorder => "forged_reorder",
    /// A replica leaves a delivery out.
    ForgedDrop => "forged_drop",
    /// A replica sends an entry that is not what the log holds.
    ForgedAltered => "forged_altered",
    /// A replica says that it goes on where the edge does not stand.
    ForgedStart => "forged_start",
    /// An edge dies and starts again with what it had saved.
    EdgeCrash => "edge_crash",
    /// An edge dies and its disk with it.
    EdgeCrashDiskLost => "edge_crash_disk_lost",
    /// An edge stops cleanly and comes back as another process.
    EdgeLeave => "edge_leave",
    /// An edge joins when the log is long.
    EdgeLate => "edge_late",
    /// The operator takes a process out of the roster.
    EdgeRemoved => "edge_removed",
    /// An edge stands still, and time does not (SIGSTOP).
    EdgePause => "edge_pause",
    /// An edge's wall clock is set.
    ClockJump => "clock_jump",
    /// An edge can't save.
    DiskFull => "disk_full",
    /// An edge's disk says that it keeps what it does not keep.
    DiskLies => "disk_lies",
    /// The power went, and with it what a disk had said to keep.
    FsyncLost => "fsync_lost",
    /// An edge dies while it writes what it saves: in the middle of a line, or between the two files.
    JournalTorn => "journal_torn",
    /// A bit of what an edge saved is another.
    BitFlipped => "bit_flipped",
    /// An edge finds a last record that is not whole, and leaves it out.
    TornRecord => "torn_record",
    /// An edge finds files that are not what was written, and believes nothing of them.
    MarksUnfit => "marks_unfit",
    /// An edge's drain runs out of time.
    DrainOutOfTime => "drain_out_of_time",
    /// A replica dies.
    ReplicaCrash => "replica_crash",
    /// A replica stands still, and time does not.
    ReplicaPause => "replica_pause",
    /// A replica stops cleanly.
    ReplicaStop => "replica_stop",
    /// A copy of control's data folder is started, and the run on the original is not ended.
    SecondRun => "second_run",
    /// A replica reads that another has taken its place.
    Replaced => "replaced",
    /// A replica can't read its log; its edges reach it.
    LogUnreadable => "log_unreadable",
    /// What a replica writes is held up on its way to the log.
    WritesHeldUp => "writes_held_up",
    /// A replica answers no heartbeat, because it has not read its log to the end for too long.
    LogUnread => "log_unread",
    /// A replica dies between an append and its commit.
    AppendLost => "append_lost",
    /// The log does not say whether it took an entry.
    AppendUnknown => "append_unknown",
    /// An append in doubt comes to the log after others, when the run that wrote it is gone.
    AppendLate => "append_late",
    /// The fold finds a removal for which nobody vouches any more.
    WriterGone => "writer_gone",
    /// The fold finds an announcement of a run that would replace one that another has replaced.
    AnnouncedLate => "announced_late",
    /// The fold finds a join for which nobody vouches any more.
    JoinedLate => "joined_late",
    /// The broker takes nothing for a while.
    BrokerAway => "broker_away",
    /// A replica starts and can't read its log.
    StartedWhileLogAway => "started_while_log_away",
    /// The store is put back to an older copy; the log is not.
    StoreRestored => "store_restored",
    /// An edge that obeys more than the replica has is turned away.
    TurnedAway => "turned_away",
    /// A receipt in which nobody is missing is held, because the replica may not know everybody.
    Held => "held",
    /// An edge of the roster is found cut off when all are counted.
    StandsCutOff => "stands_cut_off",
    /// An edge of the roster is found fenced.
    StandsFenced => "stands_fenced",
    /// An edge of the roster is found ahead of the replica.
    StandsAhead => "stands_ahead",
    /// The log is put back to an older copy, with the same identity.
    Rewind => "rewind",
    /// After that, other entries come where edges have seen some.
    Fork => "fork",
    /// An edge that obeyed some of what is gone is told to start over.
    Forked => "forked",
    /// The origin is asked by a policy of another history than the edge obeys by then: nothing of the answer is stored.
    OtherHistory => "other_history",
    /// The log moves to a new one.
    NewLog => "new_log",
    /// The writer's answer is lost: it writes again with the same key.
    Retry => "retry",
    /// A body arrives while a purge comes.
    SlowFill => "slow_fill",
    /// A body breaks off.
    FillBroken => "fill_broken",
    /// The origin does not answer.
    OriginDown => "origin_down",
    /// A 304 comes after a purge, or after a newer answer.
    Late304 => "late_304",
    /// A stale answer is refreshed behind it.
    BackgroundRefresh => "background_refresh",
    /// What is stored is evicted.
    Eviction => "eviction",
    /// An unsafe method purges on one edge.
    LocalPurge => "local_purge",
    /// Too many marks become a wider one.
    Widened => "widened",
    /// Marks are forgotten because nothing is older.
    Swept => "swept",
    /// A look-up or a purge comes between two steps of another.
    Interleaved => "interleaved",
    /// What the log says is obeyed between two steps of a request or a sweep.
    InterleavedTurn => "interleaved_turn",
    /// The marks start over on another log there.
    InterleavedReset => "interleaved_reset",
    /// The sweep goes on there.
    InterleavedSweep => "interleaved_sweep",
    /// The marks are saved there.
    InterleavedSave => "interleaved_save",
    /// Another fetch begins there, or is stored.
    InterleavedFill => "interleaved_fill",
    /// A request is held up between what it found and what it may do with that.
    HeldUp => "held_up",
    /// A request waits for another's fetch.
    Waited => "waited",
    /// An edge answers while it is isolated.
    Isolated => "isolated",
    /// An edge gives up a stream that keeps deliveries back.
    BehindToldHead => "behind_told_head",
    /// A receipt is complete with a fenced edge.
    Fenced => "fenced",
}

/// How often each happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults([u64; Fault::ALL.len()]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Faults {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.add_many(fault, 1);
    }

    /// Some more.
    pub fn add_many(&mut self, fault: Fault, times: u64) {
        if let Some(count) = self.0.get_mut(fault as usize) {
            *count += times;
        }
    }

    /// How often one happened.
    pub fn count(&self, fault: Fault) -> u64 {
        self.0.get(fault as usize).copied().unwrap_or(0)
    }

    /// Adds another world's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }

    /// Those that happened less often than that, and how often.
    pub fn seldom(&self, than: u64) -> Vec<(&'static str, u64)> {
        let counted = Fault::ALL
            .iter()
            .map(|fault| (fault.name(), self.count(*fault)));
        counted.filter(|(_, count)| *count < than).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in Fault::ALL {
            writeln!(f, "  {:<22} {:>10}", fault.name(), self.count(*fault))?;
        }
        Ok(())
    }
}
