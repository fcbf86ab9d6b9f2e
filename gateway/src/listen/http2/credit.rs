//! Frames that carry nothing of a request and yet are owed to what we sent.

/// A DATA frame may be answered by so many WINDOW_UPDATE frames, one for the stream and one for the connection, however
/// little is in it. Each request may bring as many of its own accord.
const UPDATES: u32 = 2;
/// And by one more for so many octets: clients give back what they have read, not what came. Go's gives back each 4 KiB,
/// for the stream and for the connection.
const UPDATE_BYTES: u32 = 1 << 10;
/// What a client may save up: the answers to about 60 MiB.
const UPDATES_MAX: u32 = 65_536;
/// A DATA frame may be answered by one PING, as gRPC does to learn the delay of the way; so many may be saved up.
const PINGS_MAX: u32 = 1_000;

/// What a client may send without its being counted.
#[derive(Debug)]
pub(super) struct Credit {
    updates: u32,
    pings: u32,
}

impl Default for Credit {
    /// At the start of a connection.
    fn default() -> Self {
        Self {
            updates: UPDATES,
            pings: 0,
        }
    }
}

impl Credit {
    /// A request came.
    pub(super) fn request_came(&mut self) {
        self.earn(UPDATES);
    }

    /// A DATA frame with so many octets went out.
    pub(super) fn data_went(&mut self, octets: u32) {
        self.earn(UPDATES + octets / UPDATE_BYTES);
        self.pings = self.pings.saturating_add(1).min(PINGS_MAX);
    }

    /// Whether a WINDOW_UPDATE that came is an answer.
    pub(super) fn takes_update(&mut self) -> bool {
        takes(&mut self.updates)
    }

    /// Whether a PING that came is one.
    pub(super) fn takes_ping(&mut self) -> bool {
        takes(&mut self.pings)
    }

    fn earn(&mut self, updates: u32) {
        self.updates = self.updates.saturating_add(updates).min(UPDATES_MAX);
    }
}

fn takes(credit: &mut u32) -> bool {
    let left = credit.checked_sub(1);
    *credit = left.unwrap_or(0);
    left.is_some()
}
