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
    /// Edges stop cleanly, and purges come meanwhile.
    Drains,
    /// Edges are cut off and come back, while others come between their steps.
    Returns,
}

impl Focus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Removals,
        Self::Restores,
        Self::LateWords,
        Self::OldStores,
        Self::Drains,
        Self::Returns,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removals => "removals",
            Self::Restores => "restores",
            Self::LateWords => "late_words",
            Self::OldStores => "old_stores",
            Self::Drains => "drains",
            Self::Returns => "returns",
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
            Self::Restores => vec![
                Trouble::Rewind,
                Trouble::EdgeCrash,
                Trouble::EdgeLeave,
                Trouble::Partition,
                Trouble::Partition,
            ],
            Self::LateWords => vec![
                Trouble::Remove,
                Trouble::Remove,
                Trouble::Remove,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::BrokerAway,
                Trouble::ReplicaCrash,
            ],
            Self::OldStores => vec![
                Trouble::RestoreStore,
                Trouble::Partition,
                Trouble::Partition,
                Trouble::BrokerAway,
            ],
            Self::Drains => vec![Trouble::EdgeLeave],
            Self::Returns => vec![Trouble::Partition, Trouble::Break],
        };
        let log = match self {
            Self::Restores => Kind::Embedded,
            Self::LateWords | Self::OldStores => Kind::Broker,
            Self::Removals | Self::Drains | Self::Returns => plan.log,
        };
        let append_unknown = if self == Self::LateWords { 300 } else { 0 };
        let interleave = if self == Self::Returns { 300 } else { 0 };
        Plan {
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
        }
    }
}
