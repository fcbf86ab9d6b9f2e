//! What the client's SETTINGS let us do, as far as the library has confirmed them (RFC 9113 §6.5.3).

use std::collections::VecDeque;

const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// RFC 9113 §6.5.2.
const TABLE_BYTES: u32 = 4_096;
const WINDOW: u32 = 65_535;

/// Those that hold, and those that wait.
#[derive(Debug)]
pub(super) struct Terms {
    window: u32,
    table_bytes: u32,
    /// SETTINGS that came, in their order. As many as are read before the library answers, which floods bound.
    waiting: VecDeque<Change>,
    /// The next block must say that the table shrank (RFC 7541 §4.2), which only the library can.
    is_table_owed: bool,
    /// We have sent our own SETTINGS, before which nothing may come.
    is_begun: bool,
    /// A last stream was named: nothing that comes is to be served.
    is_over: bool,
}

/// One SETTINGS frame.
#[derive(Debug, Default)]
struct Change {
    window: Option<u32>,
    shrinks_table: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            window: WINDOW,
            table_bytes: TABLE_BYTES,
            waiting: VecDeque::new(),
            is_table_owed: false,
            is_begun: false,
            is_over: false,
        }
    }
}

impl Terms {
    /// The client begins SETTINGS.
    pub(super) fn their_settings(&mut self) {
        self.waiting.push_back(Change::default());
    }

    /// A parameter of them.
    pub(super) fn their_setting(&mut self, id: u16, value: u32) {
        let Some(change) = self.waiting.back_mut() else {
            return;
        };
        match id {
            INITIAL_WINDOW_SIZE => change.window = Some(value),
            HEADER_TABLE_SIZE => {
                change.shrinks_table |= value < self.table_bytes;
                self.table_bytes = value;
            }
            _ => {}
        }
    }

    /// The library has confirmed the oldest.
    pub(super) fn our_ack(&mut self) {
        if let Some(change) = self.waiting.pop_front() {
            self.window = change.window.unwrap_or(self.window);
            self.is_table_owed |= change.shrinks_table;
        }
    }

    /// The library has sent its SETTINGS.
    pub(super) fn our_settings(&mut self) {
        self.is_begun = true;
    }

    /// The library begins a block of fields.
    pub(super) fn our_head(&mut self) {
        self.is_table_owed = false;
    }

    /// The library has said how the connection ends.
    pub(super) fn our_goodbye(&mut self, names_last_stream: bool) {
        self.is_over |= names_last_stream;
    }

    /// Whether something may be answered ahead of the library.
    pub(super) fn let_answer(&self) -> bool {
        let shrinks = self.is_table_owed || self.waiting.iter().any(|change| change.shrinks_table);
        self.is_begun && !self.is_over && !shrinks
    }

    /// What a new stream may carry: the least of what was told and is not confirmed.
    pub(super) fn window(&self) -> u64 {
        let waiting = self.waiting.iter().filter_map(|change| change.window);
        u64::from(waiting.fold(self.window, u32::min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Terms {
        let mut terms = Terms::default();
        assert!(!terms.let_answer());
        terms.our_settings();
        terms
    }

    #[test]
    fn more_is_had_when_it_is_confirmed_and_less_at_once() {
        let mut terms = begun();
        terms.their_settings();
        terms.their_setting(INITIAL_WINDOW_SIZE, 1 << 20);
        assert_eq!(terms.window(), 65_535);
        terms.our_ack();
        assert_eq!(terms.window(), 1 << 20);
        terms.their_settings();
        terms.their_setting(INITIAL_WINDOW_SIZE, 10);
        terms.their_settings();
        terms.their_setting(INITIAL_WINDOW_SIZE, 1 << 20);
        assert_eq!(terms.window(), 10);
        terms.our_ack();
        assert_eq!(terms.window(), 10);
        terms.our_ack();
        assert_eq!(terms.window(), 1 << 20);
    }

    #[test]
    fn a_table_that_shrinks_is_the_librarys_to_tell() {
        let mut terms = begun();
        terms.their_settings();
        terms.their_setting(HEADER_TABLE_SIZE, 65_536);
        assert!(terms.let_answer());
        terms.our_ack();
        terms.their_settings();
        terms.their_setting(HEADER_TABLE_SIZE, 0);
        assert!(!terms.let_answer());
        // Written before the library knew.
        terms.our_head();
        assert!(!terms.let_answer());
        terms.our_ack();
        assert!(!terms.let_answer());
        terms.our_head();
        assert!(terms.let_answer());
    }

    #[test]
    fn behind_the_last_stream_nothing_is_answered() {
        let mut terms = begun();
        terms.our_goodbye(false);
        assert!(terms.let_answer());
        terms.our_goodbye(true);
        assert!(!terms.let_answer());
    }
}
