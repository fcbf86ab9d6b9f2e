//! What is known of one connection, and whether it may stay.

use super::places::Place;
use axum::http::Extensions;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a connection may take to show a token, from its first octet on.
pub const TOKEN_MAX: Duration = Duration::from_secs(15);
/// How long a connection may stay on which no request is under way, half a head included.
pub const IDLE_MAX: Duration = Duration::from_secs(15);
/// How long a client may take nothing of what it is sent, or leave a part of an answer without room (HTTP/2's windows).
pub const TAKE_MAX: Duration = Duration::from_secs(30);

/// Why a connection was ended that might have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// No place was left, and everybody had shown a token.
    Full,
    /// It had shown no token, and made way for a newcomer.
    CrowdedOut,
    /// The TLS handshake failed, or took too long.
    Handshake,
    /// It has shown no token for too long.
    NoToken,
    /// No request was under way for too long.
    Idle,
    /// The client took nothing of what it was sent for too long.
    NotTaken,
    /// It was not done long enough after the stop.
    Stopping,
}

/// Streams at a time of one HTTP/2 connection.
const STREAMS_MAX: u32 = 200;
/// The same where nobody shows a token: who reads metrics and health asks for one at a time.
const OPEN_STREAMS_MAX: u32 = 8;

/// Who has to show a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// Everybody.
    Token,
    /// Nobody can.
    Open,
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Visit {
    terms: Terms,
    began: Instant,
    /// Gone with the connection: a request that outlives it holds no place.
    place: Weak<Place>,
    token_shown: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers are not handed over to their end.
    under_way: usize,
    /// Since when nothing is, or was.
    quiet_since: Instant,
    /// Since when the client takes nothing.
    waits_since: Option<Instant>,
    /// Answers that have more for the client, and since when nobody has asked them for it. With HTTP/2 a window without
    /// room keeps them from the stream, which has then nothing to write and can't tell.
    offered: BTreeMap<Number, Instant>,
    newest: Number,
}

/// A later request of a connection has a larger number.
type Number = u64;

/// A request is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay {
    visit: Arc<Visit>,
    number: Number,
}

impl Terms {
    /// How many streams one HTTP/2 connection may have at a time.
    pub fn streams_max(self) -> u32 {
        match self {
            Self::Token => STREAMS_MAX,
            Self::Open => OPEN_STREAMS_MAX,
        }
    }
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::CrowdedOut,
        Self::Handshake,
        Self::NoToken,
        Self::Idle,
        Self::NotTaken,
        Self::Stopping,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::CrowdedOut => "crowded_out",
            Self::Handshake => "handshake",
            Self::NoToken => "no_token",
            Self::Idle => "idle",
            Self::NotTaken => "not_taken",
            Self::Stopping => "stopping",
        }
    }
}

impl Visit {
    /// A connection begins, in that place.
    pub fn new(terms: Terms, place: Weak<Place>) -> Arc<Self> {
        let began = Instant::now();
        Arc::new(Self {
            terms,
            began,
            place,
            token_shown: AtomicBool::new(false),
            state: Mutex::new(State {
                under_way: 0,
                quiet_since: began,
                waits_since: None,
                offered: BTreeMap::new(),
                newest: 0,
            }),
        })
    }

    /// A request begins.
    pub fn request(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.newest += 1;
        UnderWay {
            visit: Arc::clone(self),
            number: state.newest,
        }
    }

    /// A token was shown: nobody crowds the connection out from here on, not even before its own task runs again.
    fn shows_token(&self) {
        self.token_shown.store(true, Ordering::Release);
        if let Some(place) = self.place.upgrade() {
            place.keep();
        }
    }

    fn has_shown_token(&self) -> bool {
        self.token_shown.load(Ordering::Acquire)
    }

    /// Whether the client has room for what it is sent.
    pub fn takes(&self, takes: bool) {
        let mut state = self.state.lock();
        if takes && state.waits_since.take().is_some() {
            state.quiet_since = Instant::now();
        } else if !takes {
            state.waits_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether a request is under way of somebody who may ask.
    pub fn is_served(&self) -> bool {
        let may_ask = self.terms == Terms::Open || self.has_shown_token();
        may_ask && self.state.lock().under_way > 0
    }

    /// Why it may not stay; none: it may.
    pub fn overstays(&self, now: Instant) -> Option<Cut> {
        let state = self.state.lock();
        let State {
            under_way,
            quiet_since,
            waits_since,
            ..
        } = *state;
        let mut not_taken = state.offered.values().copied().chain(waits_since);
        let is_over = |since: Instant, most: Duration| now.duration_since(since) >= most;
        let needs_token = self.terms == Terms::Token && !self.has_shown_token();
        if not_taken.any(|since| is_over(since, TAKE_MAX)) {
            Some(Cut::NotTaken)
        } else if needs_token && is_over(self.began, TOKEN_MAX) {
            Some(Cut::NoToken)
        } else if under_way == 0 && waits_since.is_none() && is_over(quiet_since, IDLE_MAX) {
            Some(Cut::Idle)
        } else {
            None
        }
    }
}

impl UnderWay {
    /// The answer has more for the client, from now on.
    pub fn offers(&self) {
        let mut state = self.visit.state.lock();
        state.offered.insert(self.number, Instant::now());
    }

    /// The answer has no more for now: whatever is waited for, it is not the client.
    pub fn has_no_more_yet(&self) {
        self.visit.state.lock().offered.remove(&self.number);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.visit.state.lock();
        state.offered.remove(&self.number);
        state.under_way -= 1;
        state.quiet_since = Instant::now();
    }
}

/// A request with these extensions has shown its token: the connection that it came on keeps its place.
pub fn token_shown(extensions: &Extensions) {
    if let Some(visit) = extensions.get::<Arc<Visit>>() {
        visit.shows_token();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::places::{Places, STRANGERS_PER_ADDRESS_MAX},
        *,
    };
    use futures::FutureExt as _;

    /// After so long.
    fn after(visit: &Visit, time: Duration) -> Option<Cut> {
        visit.overstays(visit.began + time)
    }

    #[test]
    fn a_token_is_to_be_shown_in_time_whatever_is_under_way() {
        let visit = Visit::new(Terms::Token, Weak::new());
        let _request = visit.request();
        assert_eq!(after(&visit, TOKEN_MAX * 99 / 100), None);
        assert_eq!(after(&visit, TOKEN_MAX), Some(Cut::NoToken));
        assert!(!visit.is_served());
        visit.shows_token();
        assert_eq!(after(&visit, TOKEN_MAX * 100), None);
        assert!(visit.is_served());
    }

    #[test]
    fn who_needs_no_token_needs_a_request() {
        let visit = Visit::new(Terms::Open, Weak::new());
        assert_eq!(after(&visit, IDLE_MAX * 99 / 100), None);
        assert_eq!(after(&visit, IDLE_MAX), Some(Cut::Idle));
        let first = visit.request();
        let second = visit.request();
        drop(first);
        assert_eq!(after(&visit, IDLE_MAX * 100), None);
        drop(second);
        let quiet_since = visit.state.lock().quiet_since;
        assert_eq!(visit.overstays(quiet_since + IDLE_MAX * 99 / 100), None);
        assert_eq!(visit.overstays(quiet_since + IDLE_MAX), Some(Cut::Idle));
    }

    #[test]
    fn whoever_takes_nothing_is_ended_and_whoever_takes_a_little_is_not() {
        let visit = Visit::new(Terms::Token, Weak::new());
        visit.shows_token();
        let request = visit.request();
        visit.takes(false);
        let since = visit.state.lock().waits_since.unwrap();
        visit.takes(false);
        assert_eq!(visit.state.lock().waits_since, Some(since));
        // The last of an answer is on its way: nothing is under way any more, and it is not idle.
        drop(request);
        assert_eq!(visit.overstays(since + TAKE_MAX * 99 / 100), None);
        assert_eq!(visit.overstays(since + TAKE_MAX), Some(Cut::NotTaken));
        visit.takes(true);
        let quiet_since = visit.state.lock().quiet_since;
        assert!(quiet_since >= since);
        assert_eq!(visit.overstays(quiet_since + IDLE_MAX * 99 / 100), None);
        assert_eq!(visit.overstays(quiet_since + IDLE_MAX), Some(Cut::Idle));
    }

    #[test]
    fn an_answer_that_nobody_asks_for_more_is_not_taken_unless_it_has_none() {
        let visit = Visit::new(Terms::Open, Weak::new());
        let (stuck, other) = (visit.request(), visit.request());
        stuck.offers();
        let since = *visit.state.lock().offered.values().next().unwrap();
        assert_eq!(visit.overstays(since + TAKE_MAX * 99 / 100), None);
        assert_eq!(visit.overstays(since + TAKE_MAX), Some(Cut::NotTaken));
        // What goes on beside it is no excuse.
        other.offers();
        other.has_no_more_yet();
        visit.takes(true);
        assert_eq!(visit.overstays(since + TAKE_MAX), Some(Cut::NotTaken));
        stuck.has_no_more_yet();
        assert_eq!(visit.overstays(since + TAKE_MAX * 100), None);
        stuck.offers();
        drop(stuck);
        assert_eq!(visit.overstays(since + TAKE_MAX * 100), None);
    }

    #[test]
    fn who_shows_a_token_has_its_place_at_once() {
        let places = Places::new();
        let from = "192.0.2.1".parse().unwrap();
        let enter = || Arc::new(places.take(from).ok().unwrap().0);
        let is_out = |place: &Arc<Place>| place.made_way().now_or_never().is_some();
        let (known, stranger) = (enter(), enter());
        let visit = Visit::new(Terms::Token, Arc::downgrade(&known));
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&visit));
        // No task of the connection has run since.
        token_shown(&extensions);
        let flood: Vec<_> = (0..STRANGERS_PER_ADDRESS_MAX).map(|_| enter()).collect();
        assert!(is_out(&stranger) && !is_out(&known));
        assert!(!flood.iter().any(is_out));
        // A request that outlives its connection holds no place.
        let taken = places.taken();
        drop(known);
        assert_eq!(places.taken(), taken - 1);
        token_shown(&extensions);
    }
}
