//! Looking up: what a key has that may be served, and what may not be after all.

use crate::{
    body::BodyReader,
    cache::Cache,
    count::Counters,
    key::KeyRef,
    liveness::{Death, Liveness},
    object::Reader,
    record::{Metadata, Record},
    rules::{Point, Rules},
    stream::Broken,
    trust::{StaleRefusal, Trust},
};
use std::sync::Arc;

/// What a look-up found. It was live when the look-up looked at the marks.
#[derive(Debug)]
pub struct Found<M> {
    /// What is known of it.
    pub record: Arc<Record<M>>,
    /// Live, or soft-purged; never dead.
    pub liveness: Liveness,
    /// Reads its body.
    pub reader: Reader,
}

/// What may be done with something that was found earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Nothing: it was purged since.
    Dead(Death),
    /// It may be used as it is. Live, or soft-purged.
    Usable(Liveness),
    /// The edge is isolated and this was fetched before the request came: it may be validated, and is not to be used, stale or
    /// not, unless the origin says so. Live, or soft-purged.
    Doubtful(Liveness),
}

impl<M: Metadata, R: Rules> Cache<M, R> {
    /// The newest live object that the key has, complete or arriving. A dead one is taken out.
    pub fn find(&self, key: KeyRef<'_>) -> Option<Found<M>> {
        let offer = self.index.offer(key)?;
        R::reach(Point::OfferAndLook);
        for fill in offer.fills {
            let liveness = fill.record.liveness(&self.marks);
            // It may have stopped being open since it was offered.
            let follower = if liveness.is_dead() {
                None
            } else {
                R::reach(Point::LookAndFollow);
                fill.stream.follow()
            };
            if let Some(follower) = follower {
                let record = Arc::clone(&fill.record);
                return Some(Found {
                    record,
                    liveness,
                    reader: Reader::Following(follower),
                });
            }
        }
        let object = offer.stored?;
        let liveness = object.record.liveness(&self.marks);
        if liveness.is_dead() {
            R::reach(Point::LookAndRemove);
            if self.index.remove(&object.record) {
                Counters::add(&self.counters.dead);
            }
            return None;
        }
        let reader = Reader::Stored(BodyReader::new(object.body));
        Some(Found {
            record: object.record,
            liveness,
            reader,
        })
    }

    /// What may be done now with something that was found earlier. `trust` says what the request may believe, and is asked
    /// before the marks are: an edge that catches up in between obeys first what was purged while it was isolated, so a
    /// request that found it trusted finds those marks. In the other order, the marks could be those from before, and
    /// the trust from after.
    pub fn judge(&self, record: &Record<M>, trust: impl FnOnce() -> Trust) -> Judged {
        let (trust, liveness) = if R::TRUST_BEFORE_LOOK {
            let trust = trust();
            R::reach(Point::TrustAndLook);
            (trust, record.liveness(&self.marks))
        } else {
            let liveness = record.liveness(&self.marks);
            R::reach(Point::TrustAndLook);
            (trust(), liveness)
        };
        match liveness {
            Liveness::Dead(death) => Judged::Dead(death),
            liveness if record.is_trusted(&self.marks, trust) => Judged::Usable(liveness),
            liveness => Judged::Doubtful(liveness),
        }
    }

    /// Whether what was found, and is stale, may be served after all: the marks are asked again, since purges may have
    /// come since it was found, and so is the trust, since the edge may be isolated by now. To be called directly before
    /// it is served. Ok says what the marks say now: live, or soft-purged.
    pub fn ask_before_stale(
        &self,
        record: &Record<M>,
        found: Liveness,
        trust: Trust,
    ) -> Result<Liveness, StaleRefusal> {
        if !R::ASK_AGAIN_BEFORE_STALE {
            return Ok(found);
        }
        if !record.is_trusted(&self.marks, trust) {
            return Err(StaleRefusal::Isolated);
        }
        record.liveness(&self.marks).into()
    }

    /// Follows exactly that fill, whatever the marks say by now: for the request that brings it.
    pub fn follow(&self, key: KeyRef<'_>, fill: u64) -> Option<Found<M>> {
        let fill = self.index.fill(key, fill)?;
        let follower = fill.stream.follow()?;
        Some(Found {
            record: Arc::clone(&fill.record),
            liveness: Liveness::Live,
            reader: Reader::Following(follower),
        })
    }
}

impl<M> Found<M> {
    /// Whether its body is still arriving.
    pub fn is_filling(&self) -> bool {
        matches!(self.reader, Reader::Following(_))
    }

    /// Reads all of its body.
    pub async fn read_all(&mut self) -> Result<Vec<u8>, Broken> {
        let mut whole = Vec::new();
        while let Some(piece) = self.reader.read().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}
