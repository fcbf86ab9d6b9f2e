//! The judgement of receipts: how one process of the roster stands to a purge. Pure: the receipts of the API and the
//! simulation ask the same functions.

use super::contact::Contact;
use latencify_conf::{
    api::{ReceiptState, ReceiptWhy},
    change::{Epoch, ProcessId},
    link::message::WhenIsolated,
};
use std::time::Duration;

/// A process's stay in the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The operator's name for the edge.
    pub edge: String,
    /// Which run of it.
    pub process: ProcessId,
    /// The entry by which it joined.
    pub joined: Epoch,
    /// The entry by which it left; none: it is there.
    pub left: Option<Epoch>,
}

impl Stay {
    /// Whether a purge at this epoch counts on the process.
    pub fn counts_at(&self, epoch: Epoch) -> bool {
        self.joined <= epoch && self.left.is_none_or(|left| left > epoch)
    }
}

/// What is known of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The newest epoch that all its workers obey.
    pub acked: Epoch,
    /// Whether it is in the roster now. One that was taken out and is back serves what it had stored: it has to obey.
    pub in_roster: bool,
    /// Whether it has a stream here.
    pub connected: bool,
    /// Its lease; none: nothing is known of it.
    pub contact: Option<Contact>,
}

/// How a process stands to a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Acked, fenced, missing or left.
    pub state: ReceiptState,
    /// Why it is fenced or missing.
    pub why: Option<ReceiptWhy>,
    /// Since when it is fenced, on the replica's clock.
    pub since: Option<Duration>,
    /// When it will be fenced, if it is not heard of before.
    pub due: Option<Duration>,
}

/// Judges one process. `head` is the replica's newest accepted epoch, read before `standing` was.
pub fn judge(epoch: Epoch, head: Epoch, now: Duration, standing: &Standing) -> Judgement {
    let plain = |state| Judgement {
        state,
        why: None,
        since: None,
        due: None,
    };
    if standing.acked >= epoch {
        return plain(ReceiptState::Acked);
    }
    let missing = |why| Judgement {
        why: Some(why),
        ..plain(ReceiptState::Missing)
    };
    // A replica that has not folded the purge tells heads before it: who hears those may stop being isolated. Nor does it
    // know yet who joined in the same batch.
    if head < epoch {
        return missing(ReceiptWhy::NotFolded);
    }
    if !standing.in_roster {
        return plain(ReceiptState::Left);
    }
    let Some((contact, when_isolated)) = standing
        .contact
        .and_then(|contact| Some((contact, contact.when_isolated()?)))
    else {
        return missing(ReceiptWhy::NeverHeard);
    };
    let fenced = |why, since| Judgement {
        why: Some(why),
        since,
        ..plain(ReceiptState::Fenced)
    };
    match when_isolated {
        WhenIsolated::Serve if contact.is_out(now) => missing(ReceiptWhy::Serves),
        WhenIsolated::Serve => missing(ReceiptWhy::UnderWay),
        WhenIsolated::Revalidate | WhenIsolated::Refuse if contact.is_out(now) => {
            fenced(ReceiptWhy::LeaseOver, Some(contact.held_until()))
        }
        WhenIsolated::Revalidate | WhenIsolated::Refuse if contact.fenced_through() >= epoch => {
            fenced(ReceiptWhy::CatchingUp, None)
        }
        WhenIsolated::Revalidate | WhenIsolated::Refuse => Judgement {
            due: Some(contact.held_until()),
            ..missing(if standing.connected {
                ReceiptWhy::UnderWay
            } else {
                ReceiptWhy::LeaseRuns
            })
        },
    }
}

/// Whether nobody is missing.
pub fn is_complete<'a>(judgements: impl IntoIterator<Item = &'a Judgement>) -> bool {
    judgements
        .into_iter()
        .all(|judgement| judgement.state != ReceiptState::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURGE: Epoch = Epoch(5);
    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Answered at second 100, with this head.
    fn contact(when_isolated: Option<WhenIsolated>, head: u64) -> Contact {
        let mut contact = Contact::remembered(None, LEASE, at(0));
        contact.greeted(when_isolated, LEASE);
        contact.answered(at(100), Epoch(head));
        contact
    }

    #[test]
    fn acked_fenced_missing_or_left() {
        use {ReceiptState as State, ReceiptWhy as Why};
        let revalidates = Standing {
            acked: Epoch(4),
            in_roster: true,
            connected: false,
            contact: Some(contact(Some(WhenIsolated::Revalidate), 4)),
        };
        let with = |contact| Standing {
            contact,
            ..revalidates
        };
        let serves = with(Some(contact(Some(WhenIsolated::Serve), 4)));
        let refuses = with(Some(contact(Some(WhenIsolated::Refuse), 4)));
        let unknown = with(Some(contact(None, 4)));
        let back = with(Some(contact(Some(WhenIsolated::Revalidate), 5)));
        let acked = Standing {
            acked: PURGE,
            ..serves
        };
        let left = Standing {
            in_roster: false,
            ..revalidates
        };
        let left_obeying = Standing {
            in_roster: false,
            ..acked
        };
        let connected = Standing {
            connected: true,
            ..revalidates
        };
        let cases = [
            ("acked", acked, 5, 200, (State::Acked, None)),
            (
                "acked, then left",
                left_obeying,
                5,
                200,
                (State::Acked, None),
            ),
            ("left", left, 5, 200, (State::Left, None)),
            (
                "lease over",
                revalidates,
                5,
                200,
                (State::Fenced, Some(Why::LeaseOver)),
            ),
            (
                "refuses",
                refuses,
                5,
                200,
                (State::Fenced, Some(Why::LeaseOver)),
            ),
            (
                "connected, silent",
                connected,
                5,
                200,
                (State::Fenced, Some(Why::LeaseOver)),
            ),
            (
                "lease runs",
                revalidates,
                5,
                105,
                (State::Missing, Some(Why::LeaseRuns)),
            ),
            (
                "under way",
                connected,
                5,
                105,
                (State::Missing, Some(Why::UnderWay)),
            ),
            (
                "serves",
                serves,
                5,
                200,
                (State::Missing, Some(Why::Serves)),
            ),
            (
                "unknown",
                unknown,
                5,
                200,
                (State::Missing, Some(Why::NeverHeard)),
            ),
            (
                "nothing known",
                with(None),
                5,
                200,
                (State::Missing, Some(Why::NeverHeard)),
            ),
            (
                "not folded here",
                revalidates,
                4,
                200,
                (State::Missing, Some(Why::NotFolded)),
            ),
            (
                "joined and purged in one batch that is not folded here",
                left,
                4,
                200,
                (State::Missing, Some(Why::NotFolded)),
            ),
            (
                "back, told the purge",
                back,
                5,
                105,
                (State::Fenced, Some(Why::CatchingUp)),
            ),
            (
                "back before the purge",
                with(Some(contact(Some(WhenIsolated::Refuse), 4))),
                5,
                105,
                (State::Missing, Some(Why::LeaseRuns)),
            ),
        ];
        for (name, standing, head, now, expected) in cases {
            let judgement = judge(PURGE, Epoch(head), at(now), &standing);
            assert_eq!((judgement.state, judgement.why), expected, "{name}");
            // Whoever will be fenced says when, and is fenced right after that.
            if let Some(due) = judgement.due {
                let later = judge(
                    PURGE,
                    Epoch(head),
                    due + Duration::from_millis(1),
                    &standing,
                );
                assert_eq!(later.state, State::Fenced, "{name}");
                assert_eq!(later.since, Some(due), "{name}");
            }
            assert_eq!(
                is_complete([&judgement]),
                judgement.state != State::Missing,
                "{name}"
            );
        }
        assert!(is_complete([]));
    }

    #[test]
    fn a_purge_counts_on_who_had_joined_and_not_left() {
        let stay = |joined, left: Option<u64>| Stay {
            edge: "paris".to_owned(),
            process: ProcessId(uuid::Uuid::nil()),
            joined: Epoch(joined),
            left: left.map(Epoch),
        };
        for (joined, left, expected) in [
            (4, None, true),
            (6, None, false),
            (4, Some(6), true),
            (4, Some(4), false),
            (3, Some(4), false),
        ] {
            assert_eq!(
                stay(joined, left).counts_at(PURGE),
                expected,
                "{joined} {left:?}"
            );
        }
    }
}
