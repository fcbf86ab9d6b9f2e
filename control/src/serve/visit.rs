//! What is known of one connection, and whether it may stay.

use axum::http::Extensions;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection may take to show a token, from its first octet on.
pub const TOKEN_MAX: Duration = Duration::from_secs(15);
/// How long a connection may stay on which no request is under way, half a head included.
pub const IDLE_MAX: Duration = Duration::from_secs(15);
/// How long a client may take nothing of what it is sent.
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
    /// Once it is.
    token_shown: CancellationToken,
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
}

/// A request is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Visit>);

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
    /// A connection begins.
    pub fn new(terms: Terms) -> Arc<Self> {
        let began = Instant::now();
        Arc::new(Self {
            terms,
            began,
            token_shown: CancellationToken::new(),
            state: Mutex::new(State {
                under_way: 0,
                quiet_since: began,
                waits_since: None,
            }),
        })
    }

    /// A request begins.
    pub fn request(self: &Arc<Self>) -> UnderWay {
        self.state.lock().under_way += 1;
        UnderWay(Arc::clone(self))
    }

    /// Waits until a token was shown.
    pub async fn token_shown(&self) {
        self.token_shown.cancelled().await;
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
        let may_ask = self.terms == Terms::Open || self.token_shown.is_cancelled();
        may_ask && self.state.lock().under_way > 0
    }

    /// Why it may not stay; none: it may.
    pub fn overstays(&self, now: Instant) -> Option<Cut> {
        let State {
            under_way,
            quiet_since,
            waits_since,
        } = *self.state.lock();
        let is_over = |since: Instant, most: Duration| now.duration_since(since) >= most;
        let needs_token = self.terms == Terms::Token && !self.token_shown.is_cancelled();
        if waits_since.is_some_and(|since| is_over(since, TAKE_MAX)) {
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

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way -= 1;
        state.quiet_since = Instant::now();
    }
}

/// A request with these extensions has shown its token: the connection that it came on keeps its place.
pub fn token_shown(extensions: &Extensions) {
    if let Some(visit) = extensions.get::<Arc<Visit>>() {
        visit.token_shown.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so long.
    fn after(visit: &Visit, time: Duration) -> Option<Cut> {
        visit.overstays(visit.began + time)
    }

    #[test]
    fn a_token_is_to_be_shown_in_time_whatever_is_under_way() {
        let visit = Visit::new(Terms::Token);
        let _request = visit.request();
        assert_eq!(after(&visit, TOKEN_MAX * 99 / 100), None);
        assert_eq!(after(&visit, TOKEN_MAX), Some(Cut::NoToken));
        assert!(!visit.is_served());
        visit.token_shown.cancel();
        assert_eq!(after(&visit, TOKEN_MAX * 100), None);
        assert!(visit.is_served());
    }

    #[test]
    fn who_needs_no_token_needs_a_request() {
        let visit = Visit::new(Terms::Open);
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
        let visit = Visit::new(Terms::Token);
        visit.token_shown.cancel();
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
}
