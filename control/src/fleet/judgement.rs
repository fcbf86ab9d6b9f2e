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
    if !standing.in_roster {
        return plain(ReceiptState::Left);
    }
    let missing = |why| Judgement {
        why: Some(why),
        ..plain(ReceiptState::Missing)
    };
    // A replica that has not folded the purge tells heads before it: who hears those may stop being isolated.
    if head < epoch {
        return missing(ReceiptWhy::NotFolded);
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
