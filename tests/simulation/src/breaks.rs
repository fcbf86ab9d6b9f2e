//! What is broken on purpose, beside the engine's [rules](latencify_cache::rules::Rules), to see that it is needed; and what a world
//! is about, or told falsely.

use crate::{focus::Focus, lies::Lie};

macro_rules! breaks {
    ($($(#[doc = $doc:literal])* $rule:ident,)*) => {
        /// What is broken on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Breaks {
            $($(#[doc = $doc])* pub $rule: bool,)*
            /// What happens, if not what chance picks: the same when nothing is broken.
            pub focus: Option<Focus>,
            /// What is told falsely.
            pub lie: Option<Lie>,
        }

        impl Breaks {
            /// Nothing is broken.
            pub const NONE: Self = Self {
                $($rule: false,)*
                focus: None,
                lie: None,
            };

            /// One of them broken, by its name; none: there is no such rule here.
            pub fn named(name: &str) -> Option<Self> {
                let mut broken = Self::NONE;
                let rule = match name {
                    $(stringify!($rule) => &mut broken.$rule,)*
                    _ => return None,
                };
                *rule = true;
                Some(broken)
            }
        }
    };
}

breaks! {
    /// Purges are acked, and published with the next message.
    ack_before_publish,
    /// The lease counts from when the answer was read.
    lease_from_answer,
    /// A process that is being taken out of the roster is promised a lease meanwhile.
    promises_the_removed,
    /// Removals count whoever runs when they come to the log.
    removals_outlive_their_run,
    /// A replica serves edges before it has folded its log to the end.
    serves_an_old_fold,
    /// A replica answers heartbeats however long it has not read its log to the end.
    answers_unread,
    /// A replica counts leases from its announcement, as if no earlier run could have answered anybody after that.
    alone_at_once,
    /// Announcements name nobody whom they replace.
    announces_blindly,
    /// Joins count whoever runs when they come to the log.
    joins_outlive_their_run,
    /// Receipts are not held on data that may be an older copy.
    without_hold,
    /// An edge says that it has saved what it has not.
    claims_unsaved,
    /// An edge says that it leaves, and goes on answering.
    leaves_before_it_is_drained,
}
