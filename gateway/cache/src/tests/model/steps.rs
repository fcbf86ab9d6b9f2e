//! What may happen in the model, and how often.

use super::super::*;
use proptest::prelude::*;

pub(super) const KEYS: [&str; 4] = ["/", "/a", "/a/b", "/c"];
pub(super) const TAGS: [&str; 2] = ["red", "blue"];

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A fetch begins; its header has not come. A careless one does not say that it is under way.
    Fetch {
        key: usize,
        tags: u8,
        careless: bool,
    },
    /// The header of a fetch comes.
    Header {
        fetch: prop::sample::Index,
    },
    /// A fill ends well.
    Finish {
        fill: prop::sample::Index,
    },
    /// A fill breaks off.
    Drop {
        fill: prop::sample::Index,
    },
    /// What is found needs validation; the origin is not connected yet.
    NeedsValidation {
        key: usize,
    },
    /// A validation begins.
    Validate {
        base: prop::sample::Index,
    },
    /// The 304 of a validation comes.
    NotModified {
        validation: prop::sample::Index,
    },
    /// A purge entry arrives; it is obeyed later or at once.
    Purge {
        target: Target,
        soft: bool,
        obeyed: bool,
    },
    /// A purge of this edge alone.
    Local {
        target: Target,
        soft: bool,
    },
    /// A gap in the log, or a log that went back by so many entries to another history: the floor rises.
    Reset {
        back: u64,
    },
    /// The marks are written down and read again.
    Restore,
    Evict,
    /// A sweep goes on a little.
    Sweep {
        places: usize,
    },
    Find {
        key: usize,
    },
    Pass {
        seconds: u64,
    },
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        4 => (0..KEYS.len()).prop_map(|key| url(KEYS[key])),
        2 => (0..KEYS.len()).prop_map(|key| prefix(KEYS[key])),
        2 => (0..TAGS.len()).prop_map(|name| tag(TAGS[name])),
        1 => Just(Target::Site { site: SITE }),
        1 => Just(Target::All),
        1 => Just(Target::Site { site: SiteId(9) }),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..KEYS.len(), 0_u8..4, prop::bool::weighted(0.2))
            .prop_map(|(key, tags, careless)| Step::Fetch { key, tags, careless }),
        6 => (1_usize..80).prop_map(|places| Step::Sweep { places }),
        5 => any().prop_map(|fetch| Step::Header { fetch }),
        5 => any().prop_map(|fill| Step::Finish { fill }),
        1 => any().prop_map(|fill| Step::Drop { fill }),
        6 => (0..KEYS.len()).prop_map(|key| Step::NeedsValidation { key }),
        8 => any().prop_map(|base| Step::Validate { base }),
        8 => any().prop_map(|validation| Step::NotModified { validation }),
        2 => (target(), any_bool(), any_bool()).prop_map(|(target, soft, obeyed)| Step::Purge { target, soft, obeyed }),
        2 => (target(), any_bool()).prop_map(|(target, soft)| Step::Local { target, soft }),
        1 => prop_oneof![Just(0), 0_u64..9].prop_map(|back| Step::Reset { back }),
        1 => Just(Step::Restore),
        1 => Just(Step::Evict),
        5 => (0..KEYS.len()).prop_map(|key| Step::Find { key }),
        2 => (0_u64..100).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

fn any_bool() -> impl Strategy<Value = bool> {
    any::<bool>()
}
