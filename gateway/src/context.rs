//! What one request carries from phase to phase.

use crate::{
    drain::UnderWay,
    edge::Edge,
    errors::Fault,
    fetches::Place as PlaceAtOrigin,
    fleet::Isolated,
    incoming::Incoming,
    listen::{UnsentResponse, Wire},
    observe::{Counted, Cut},
    origin::{SocketHandle, Watch, signing::Signing},
    policy::Compiled,
    respond::Stop,
    step::Step,
};
use http::{HeaderMap, Method, StatusCode, Version, header};
use latencify_cache::{Arrival, Fetch, Fetching, History, Stamp};
use latencify_conf::{
    policy::{Action, CacheRule, OriginId, Proxy, RateLimit, Site},
    record::CacheOutcome,
};
use latencify_decide::{
    admit::Token,
    facts,
    freshness::{Lifetime, RequestDirectives, Reuse},
    limit::RateState,
    refresh::Freshened,
    route::ReadyRoute,
};
use latencify_geoip::Place;
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// One request's state. Each part is written by one phase and read by those after it.
pub struct Context {
    /// When things happened.
    pub clock: Clock,
    /// Who asks for what; none until the request has been read.
    pub asked: Option<Asked>,
    /// The policy that decides, held to the end whatever policy comes meanwhile; none: the edge has none yet.
    pub policy: Option<Arc<Compiled>>,
    /// What this edge obeyed when it began to decide.
    pub obeyed: Option<Stamp>,
    /// What answers; none when nothing does.
    pub taken: Option<Taken>,
    /// What admission found.
    pub admitted: Admitted,
    /// What the cache does.
    pub caching: Caching,
    /// What was tried at origins.
    pub steering: Steering,
    /// What goes to the client.
    pub answer: Answer,
    /// The steps of the decision, for the record.
    pub decisions: Vec<Step>,
    /// The connection that it came on; none: over HTTP/2, and in a background refresh.
    pub wire: Option<Wire>,
    /// What of the response waits for its client; none: in a background refresh.
    pub unsent: Option<UnsentResponse>,
    /// Interim answers (1xx) of origins so far.
    pub interim_answers: u32,
    /// Bytes of the request's body so far.
    pub body_bytes: u64,
    /// Whether it refreshes a stored response for nobody in particular.
    pub is_refresh: bool,
    /// What was decided before Pingora got the request; none: nothing, or it has been heeded.
    pub decided: Option<Result<(), Stop>>,
    /// Where it is told how it ended; none: it has been told.
    pub untold: Option<Arc<Edge>>,
    _under_way: (UnderWay, Counted),
}

/// When things happened.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The head had been read, on the monotonic clock.
    pub began: Instant,
    /// The same on the wall clock.
    pub began_at: SystemTime,
    /// From then to the head of the response.
    pub first_byte: Option<Duration>,
}

/// Who asks for what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request's id.
    pub id: String,
    /// Who is connected: the client, or the nearest hop before it.
    pub peer: IpAddr,
    /// The client, behind trusted hops.
    pub client: IpAddr,
    /// Where the client is.
    pub place: Option<Place>,
    /// Whether it came over TLS.
    pub https: bool,
    /// The method.
    pub method: Method,
    /// The host: lower case, no port.
    pub host: String,
    /// The authority as the client wrote it: host and port.
    pub authority: String,
    /// The path in its normal form.
    pub path: Arc<str>,
    /// The query without its `?`.
    pub query: Option<String>,
    /// The version that the client speaks.
    pub version: Version,
    /// Whether it asks for a WebSocket (RFC 6455 §4.1), and has no body itself.
    pub upgrade: bool,
    /// What the client demands of stored responses.
    pub directives: RequestDirectives,
}

/// What answers.
#[derive(Clone)]
pub struct Taken {
    /// The site.
    pub site: Arc<Site>,
    /// The route; none: the site has none for this request.
    pub route: Option<Arc<ReadyRoute>>,
}

/// What admission found.
#[derive(Default)]
pub struct Admitted {
    /// The verified token.
    pub token: Option<Token>,
    /// The limits that were asked.
    pub limits: Vec<(Arc<RateLimit>, RateState)>,
}

/// What the cache does.
#[derive(Default)]
pub struct Caching {
    /// The rule, when the cache is asked at all.
    pub rule: Option<Arc<CacheRule>>,
    /// When the request came, in the order in which fetches begin.
    pub arrival: Arrival,
    /// Whether the request has no body, as it was found while the client was there; none: its session can be asked at any time.
    pub is_bodiless: Option<bool>,
    /// The stored response that was found, as last judged.
    pub found: Option<Found>,
    /// The edge was isolated when it was last judged, and it had been fetched before the request came.
    pub isolated: Option<Isolated>,
    /// Set when it would have answered and must not: a request that is refused waits for nobody's fetch.
    pub refused: Option<Arc<AtomicBool>>,
    /// What this edge obeyed when the origin was asked.
    pub fetch: Option<Fetching>,
    /// When the origin was asked.
    pub fetch_sent_at: Option<SystemTime>,
    /// Whether the origin was sent credentials.
    pub authorized: bool,
    /// Whether the origin was asked under a condition.
    pub validating: bool,
    /// What a 304 makes of the stored fields, until it is stored.
    pub freshened: Option<Freshened>,
    /// Fields of the fetched response that are for this client alone, and not stored.
    pub left_out: HeaderMap,
    /// What was found last was found on disk.
    pub is_on_disk: bool,
    /// Something is stored for the key, but not for the request's fields.
    pub other_variant: bool,
    /// Whether it waited for another request's fetch.
    pub collapsed: bool,
    /// The key, where `Cache-Status` tells it.
    pub key_told: Option<String>,
    /// The lifetime of what was just stored or validated.
    pub stored: Option<Lifetime>,
    /// Why the cache was not asked, or the response not stored.
    pub reason: Option<&'static str>,
    /// What the cache did, once it is decided.
    pub outcome: CacheOutcome,
}

/// A stored response that a look-up found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its lifetime.
    pub lifetime: Lifetime,
    /// When a soft purge made it stale.
    pub soft_purged: Option<SystemTime>,
    /// Whether it may answer.
    pub reuse: Reuse,
    /// What this edge obeyed when it was fetched.
    pub fetch: Fetch,
}

/// What was tried at origins.
#[derive(Default)]
pub struct Steering {
    /// The origins in the order in which they are tried; none until the first attempt.
    pub order: Option<Vec<OriginId>>,
    /// Its place at the origins, from the first attempt to the end of the response; none: it has none, or needs it no more.
    pub place: Option<PlaceAtOrigin>,
    /// Attempts so far.
    pub attempts: u32,
    /// Those of them that met a connection which the origin had closed while it was idle.
    pub idle_races: u32,
    /// The origin of the attempt under way.
    pub current: Option<Attempt>,
    /// A handle on the connection, over HTTP/1.1.
    pub handle: Option<SocketHandle>,
    /// The time limit on the origin's silence that holds now.
    pub watch: Option<Watch>,
    /// Whether the response's body ends with the connection, and by nothing else.
    pub ends_by_closing: bool,
    /// The status of the last response's head from an origin.
    pub status: Option<u16>,
}

/// An attempt at an origin.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which.
    pub origin: OriginId,
    /// Its name in the policy.
    pub name: Arc<str>,
    /// When it began.
    pub began: Instant,
    /// Whether it has been counted as answered or failed.
    pub reported: bool,
}

/// What goes to the client.
#[derive(Default)]
pub struct Answer {
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The same, more exactly: which refusal.
    pub kind: Option<&'static str>,
    /// Why the request did not come to its end, though nothing is wrong that could be answered.
    pub cut: Option<Cut>,
    /// In words, for the record only.
    pub detail: Option<String>,
    /// The final status that was sent.
    pub status: Option<StatusCode>,
    /// Octets of the body that were given out.
    pub bytes: u64,
    /// The `Age` that was sent.
    pub age: Option<u64>,
}

impl Caching {
    /// A stored response would have answered, and must not.
    pub fn refuse(&self) {
        if let Some(refused) = &self.refused {
            refused.store(true, Ordering::Relaxed);
        }
    }
}

impl Context {
    /// At the start of a request of a client's.
    pub fn begin(edge: &Arc<Edge>) -> Self {
        let (under_way, counted) = (edge.drain.request(), edge.metrics.request_under_way());
        Self::told_to(Some(edge.clone()), under_way, counted)
    }

    /// How requests to the origin that is asked are signed; none: they are not.
    pub fn signing(&self) -> Option<&Signing> {
        let asked = self.steering.current.as_ref()?.origin;
        let origins = &self.policy.as_ref()?.origins;
        origins.signing(asked).map(AsRef::as_ref)
    }

    /// At the start of a request.
    pub fn new(under_way: UnderWay, counted: Counted) -> Self {
        Self::told_to(None, under_way, counted)
    }

    /// Made in one go: it is large, and moving it costs.
    #[inline]
    fn told_to(untold: Option<Arc<Edge>>, under_way: UnderWay, counted: Counted) -> Self {
        Self {
            clock: Clock {
                began: Instant::now(),
                began_at: SystemTime::now(),
                first_byte: None,
            },
            asked: None,
            policy: None,
            obeyed: None,
            taken: None,
            admitted: Admitted::default(),
            caching: Caching::default(),
            steering: Steering::default(),
            answer: Answer::default(),
            decisions: Vec::with_capacity(8),
            wire: None,
            unsent: UnsentResponse::begin(),
            interim_answers: 0,
            body_bytes: 0,
            is_refresh: false,
            decided: None,
            untold,
            _under_way: (under_way, counted),
        }
    }

    /// The history that the ids of its policy's sites are of.
    pub fn history(&self) -> History {
        let policy = self.policy.as_ref();
        policy.map_or_else(History::default, |policy| policy.history)
    }

    /// Notes a step of the decision.
    pub fn decide(&mut self, step: impl Into<Step>) {
        self.decisions.push(step.into());
    }

    /// Takes back what a look into the cache has noted, so that another finds nothing of it; so many steps were there before.
    pub fn forget_look(&mut self, steps: usize) {
        self.caching = Caching::default();
        self.answer.age = None;
        self.decisions.truncate(steps);
    }

    /// A head goes to the client; the first that is final sets the time of the first byte.
    pub fn head_goes_out(&mut self, status: StatusCode) {
        if !status.is_informational() {
            self.answer.status = Some(status);
            self.clock
                .first_byte
                .get_or_insert_with(|| self.clock.began.elapsed());
        }
    }

    /// What was written first waited for others, and goes out only now. Returns that moment.
    pub fn head_goes_out_now(&mut self) -> Instant {
        let now = Instant::now();
        self.clock.first_byte = Some(now.duration_since(self.clock.began));
        now
    }

    /// The request has been read; its fields lie in memory as long as it does.
    pub fn head_is_read(&mut self, headers: &HeaderMap) {
        if let Some(unsent) = &mut self.unsent {
            let fields = headers.iter();
            unsent.is_asked_by(
                fields
                    .map(|(name, value)| name.as_str().len() + value.len())
                    .sum(),
            );
        }
    }

    /// The response is fetched, not stored: what an origin sends ahead of the client lies in memory, so many octets at most.
    pub fn body_is_fetched(&mut self, head: &impl Incoming, ahead_max: u64) {
        let length = head.first(&header::CONTENT_LENGTH);
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        if let Some(unsent) = &mut self.unsent {
            unsent.is_fetched(length, ahead_max);
        }
    }

    /// The route's proxying rules, when it proxies.
    pub fn proxying(&self) -> Option<&Proxy> {
        match &self.route()?.action {
            Action::Proxy(proxy) => Some(proxy),
            Action::Redirect(_) => None,
        }
    }

    /// The route, when one took the request.
    pub fn route(&self) -> Option<&Arc<ReadyRoute>> {
        self.taken.as_ref()?.route.as_ref()
    }
}

impl Asked {
    /// The request as decisions see it.
    pub fn facts<'a>(&'a self, headers: &'a HeaderMap, now: SystemTime) -> facts::Request<'a> {
        facts::Request {
            method: &self.method,
            https: self.https,
            host: &self.host,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers,
            client: self.client,
            place: self.place.as_ref(),
            now,
        }
    }
}
