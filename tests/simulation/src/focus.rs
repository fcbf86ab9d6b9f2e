//! Worlds in which one kind of trouble happens again and again. Chance alone needs thousands of worlds until what some rules are
//! for happens; whoever breaks such a rule looks at worlds that are about it.

use crate::{
    log::Kind,
    plan::{Plan, Rates, Trouble},
    random::Random,
};

/// What a world is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// Processes are taken out of the roster while they can't hear of it.
    Removals,
    /// The log is put back to an older copy, and some who joined after it was made can't hear of it.
    Restores,
    /// Removals are in doubt, and their writers are killed.
    LateWords,
    /// The store is put back to an older copy, and the broker is away.
    OldStores,
    /// Copies of control's data folder are started, and the runs on the originals can't hear of it.
    Successions,
    /// Runs of control die before what they wrote is in the log, their announcements too.
    LateAnnouncements,
    /// Edges stop cleanly, and purges come meanwhile.
    Drains,
    /// Edges are cut off and come back, while others come between their steps.
    Returns,
    /// The log is put back to its beginning again and again, so that sites get other ids, and requests take long.
    Histories,
    /// Nothing is purged, everything changes, and answers and bodies take long: fetches overtake each other.
    Overtakes,
}

impl Focus {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Removals,
        Self::Restores,
        Self::LateWords,
        Self::OldStores,
        Self::Successions,
        Self::LateAnnouncements,
        Self::Drains,
        Self::Returns,
        Self::Histories,
        Self::Overtakes,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removals => "removals",
            Self::Restores => "restores",
            Self::LateWords => "late_words",
            Self::OldStores => "old_stores",
            Self::Successions => "successions",
            Self::LateAnnouncements => "late_announcements",
            Self::Drains => "drains",
            Self::Returns => "returns",
            Self::Histories => "histories",
            Self::Overtakes => "overtakes",
        }
    }

    /// A plan that is about it.
    pub fn of(self, plan: Plan, random: &mut Random) -> Plan {
        let troubles = match self {
            Self::Removals => vec![
                Trouble::Remove,
                Trouble::Remove,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::Break,
            ],
            // Copies that know nobody: everybody had left when they were made, and came back as another process. Whom a copy
            // knows, it counts on, and waits for: receipts would not be complete before everybody's lease has run out.
            Self::Restores => vec![
                Trouble::Rewind,
                Trouble::EdgeLeave,
                Trouble::EdgeLeave,
                Trouble::Partition,
            ],
            Self::LateWords => vec![
                Trouble::Remove,
                Trouble::Remove,
                Trouble::Remove,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::BrokerAway,
            ],
            Self::OldStores => vec![
                Trouble::RestoreStore,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::BrokerAway,
            ],
            Self::Successions => vec![
                Trouble::SecondRun,
                Trouble::LogCut,
                Trouble::Break,
                Trouble::ReplicaStop,
            ],
            Self::LateAnnouncements => vec![
                Trouble::SecondRun,
                Trouble::LogCut,
                Trouble::ReplicaCrash,
                Trouble::ReplicaCrash,
                Trouble::EdgeLeave,
            ],
            Self::Drains => vec![Trouble::EdgeLeave],
            Self::Returns => vec![Trouble::Partition, Trouble::Break],
            Self::Histories => vec![Trouble::Rewind],
            Self::Overtakes => vec![],
        };
        let log = match self {
            Self::Restores | Self::Histories => Kind::Embedded,
            Self::LateWords | Self::OldStores | Self::Successions | Self::LateAnnouncements => {
                Kind::Broker
            }
            Self::Removals | Self::Drains | Self::Returns | Self::Overtakes => plan.log,
        };
        let append_unknown = if self == Self::LateWords { 300 } else { 0 };
        let interleave = match self {
            Self::Returns | Self::Overtakes => 300,
            _ => 0,
        };
        let plan = Plan {
            edges: random.of(2..4) as usize,
            late: 0,
            writers: 3,
            log,
            lease: random.millis(3000..8000),
            request_pause: random.millis(8..20),
            write_pause: random.millis(200..600),
            trouble_pause: (random.millis(200..400), random.millis(400..1500)),
            troubles,
            rates: Rates {
                append_unknown,
                interleave,
                ..Rates::default()
            },
            cache_bytes: 1 << 20,
            narrow_marks: false,
            some_serve: false,
            ..plan
        };
        match self {
            Self::Restores => Plan {
                edges: 1,
                trouble_pause: (random.millis(300..600), random.millis(1000..3000)),
                ..plan
            },
            Self::Successions | Self::LateAnnouncements => Plan {
                lease: random.millis(1000..3000),
                trouble_pause: (random.millis(1000..2000), random.millis(3000..8000)),
                stormy: random.millis(40_000..80_000),
                ..plan
            },
            // Who is to be taken out must hold no lease, and every run waits for those of the one before.
            Self::LateWords => Plan {
                lease: random.millis(1500..4000),
                unread_max: [random.millis(500..1000); 2],
                ..plan
            },
            Self::Histories => Plan {
                trouble_pause: (random.millis(2000..4000), random.millis(5000..9000)),
                rates: Rates {
                    slow_question: 200,
                    slow_answer: 200,
                    slow_fill: 100,
                    unsafe_method: 20,
                    ..plan.rates
                },
                ..plan
            },
            Self::Overtakes => Plan {
                write_pause: random.millis(5000..20_000),
                stormy: random.millis(20_000..30_000),
                rates: Rates {
                    slow_question: 200,
                    slow_answer: 300,
                    slow_fill: 300,
                    ..plan.rates
                },
                ..plan
            },
            _ => plan,
        }
    }
}
