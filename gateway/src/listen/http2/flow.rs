//! The windows of a connection (RFC 9113 §5.2).

/// Windows before anybody says otherwise (RFC 9113 §6.9.2).
const WINDOW: i64 = 65_535;

/// Windows of the connection, and those that new streams get.
#[derive(Debug)]
pub(super) struct Flow {
    /// What the client may still send.
    pub receive: i64,
    /// What we may still send.
    pub send: i64,
    /// Of it, what is kept for answers ahead of the library.
    pub ahead: i64,
    /// What we give a new stream.
    pub our_initial: i64,
    /// What the client gives a new stream.
    pub their_initial: i64,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            receive: WINDOW,
            send: WINDOW,
            ahead: 0,
            our_initial: WINDOW,
            their_initial: WINDOW,
        }
    }
}

impl Flow {
    /// Whether nothing is left of the library's part, so that what it sends waits for the client.
    pub(super) fn is_shut(&self) -> bool {
        self.send <= self.ahead
    }
}
