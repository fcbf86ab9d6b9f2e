//! The memory of responses that their clients do not take, bounded by client address and in all.
//!
//! # Characters
//! - [`Response`]: one response, and the most that it can hold while its client is waited for;
//! - [`Connection`]: one connection, its responses, and what in it waits for the client: the socket, or windows of HTTP/2;
//! - [`Backlog`]: all connections of which something waits. One that waits is charged for all of its responses at once; over
//!   a limit, whoever has been waited for the longest is ended. Who has taken as much as it holds is waited for anew, so
//!   that a client that is slow for a moment stays, and one that takes an octet now and then does not.
//!
//! What a response holds can't be asked of Pingora, so that the most is charged: what it reads ahead from an origin lies in
//! a channel and in buffers of its own, a stored body belongs to the cache, which has its own bound.

mod accounts;

use super::{Limits, gate::Block};
use crate::observe::{ConnectionMetrics, Ended};
use accounts::{Accounts, Standing};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::Context,
};

/// What a request holds besides its head and a body.
const REQUEST_BYTES: u64 = 32 << 10;
/// What can lie between origin and client: nine reads of 64 KiB (four in Pingora's channel, four taken out of it, one under
/// way), and what the client's side holds of one.
pub const READ_AHEAD_BYTES_MAX: u64 = 10 * (64 << 10);

tokio::task_local! {
    /// The connection that the task serves.
    static SERVED: Arc<Connection>;
}

/// All connections of a set of listeners.
pub struct Backlog {
    limits: Limits,
    metrics: ConnectionMetrics,
    accounts: Mutex<Accounts<Weak<Connection>>>,
}

/// One connection.
pub struct Connection {
    backlog: Arc<Backlog>,
    block: Block,
    /// What its responses can hold.
    bytes: AtomicU64,
    /// Which [`Waits`] there are.
    waits: AtomicU8,
    /// Octets that its socket has taken.
    taken: AtomicU64,
    /// Since when it is waited for. Locked under the lock of the accounts alone.
    standing: Mutex<Standing>,
    /// Why it is to be ended; taken by whoever does it.
    sentence: Mutex<Option<Ended>>,
    waker: AtomicWaker,
}

/// What waits for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Waits {
    /// The socket has no room.
    Socket = 1,
    /// A window of HTTP/2 is shut.
    Window = 2,
}

/// One response, until it is dropped.
pub struct Response {
    connection: Arc<Connection>,
    bytes: u64,
}

impl Backlog {
    /// With nobody waited for.
    pub fn new(limits: Limits, metrics: ConnectionMetrics) -> Arc<Self> {
        Arc::new(Self {
            limits,
            metrics,
            accounts: Mutex::default(),
        })
    }

    /// A connection of that client.
    pub fn connection(self: &Arc<Self>, client: IpAddr) -> Arc<Connection> {
        Arc::new(Connection {
            backlog: self.clone(),
            block: Block::of(client),
            bytes: AtomicU64::new(0),
            waits: AtomicU8::new(0),
            taken: AtomicU64::new(0),
            standing: Mutex::default(),
            sentence: Mutex::default(),
            waker: AtomicWaker::new(),
        })
    }

    /// Charges a connection for what it holds, if it is waited for, and ends whoever is over a limit.
    fn settle(&self, connection: &Arc<Connection>) {
        let limits = self.limits.now();
        let mut accounts = self.accounts.lock();
        let before = accounts.bytes();
        let bytes = connection.bytes.load(Ordering::SeqCst);
        if connection.waits.load(Ordering::SeqCst) == 0 || bytes == 0 {
            accounts.leave(&connection.standing.lock());
            // What it was to be ended for is over.
            *connection.sentence.lock() = None;
        } else if connection.sentence.lock().is_none() {
            let taken = connection.taken.load(Ordering::Relaxed);
            let charge = (connection.block, bytes, Arc::downgrade(connection));
            accounts.charge(&mut connection.standing.lock(), taken, charge);
        }
        let mut sentenced = Vec::new();
        while let Some((over, why)) = accounts.take_over(connection.block, &limits) {
            if let Some(over) = over.upgrade() {
                *over.standing.lock() = Standing::default();
                *over.sentence.lock() = Some(why);
                sentenced.push(over);
            }
        }
        self.metrics.unsent(accounts.bytes() as i64 - before as i64);
        drop(accounts);
        for over in sentenced {
            over.waker.wake();
        }
    }
}

impl Connection {
    /// Something waits for the client from now on, or does no more.
    pub fn waits(self: &Arc<Self>, what: Waits, now: bool) {
        let bit = what as u8;
        let before = if now {
            self.waits.fetch_or(bit, Ordering::SeqCst)
        } else {
            self.waits.fetch_and(!bit, Ordering::SeqCst)
        };
        if (before & bit != 0) != now {
            self.backlog.settle(self);
        }
    }

    /// The client's socket has taken so many octets.
    pub fn took(&self, octets: usize) {
        self.taken.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Says whether, and why, what waits is to be ended; if it is not yet, the task is woken when it is.
    pub fn take_sentence(&self, cx: &Context<'_>) -> Option<Ended> {
        self.waker.register(cx.waker());
        self.sentence.lock().take()
    }

    /// What is served within is served on this connection.
    pub async fn serve<T>(self: &Arc<Self>, serving: impl Future<Output = T>) -> T {
        SERVED.scope(self.clone(), serving).await
    }

    /// The same, of what is done at once.
    pub fn serve_now<T>(self: &Arc<Self>, serving: impl FnOnce() -> T) -> T {
        SERVED.sync_scope(self.clone(), serving)
    }

    /// So much waits for the client beside its responses, until that is dropped.
    pub fn holds(self: &Arc<Self>, bytes: u64) -> Response {
        self.add(bytes);
        Response {
            connection: self.clone(),
            bytes,
        }
    }

    fn add(self: &Arc<Self>, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.settle_if_waited_for();
    }

    fn settle_if_waited_for(self: &Arc<Self>) {
        if self.waits.load(Ordering::SeqCst) != 0 {
            self.backlog.settle(self);
        }
    }
}

impl Response {
    /// To a request of the connection that this task serves; none: it serves none (a background refresh).
    pub fn begin() -> Option<Self> {
        let connection = SERVED.try_with(Arc::clone).ok()?;
        connection.add(REQUEST_BYTES);
        Some(Self {
            connection,
            bytes: REQUEST_BYTES,
        })
    }

    /// Its request has so many octets of fields. They are held twice: as they came, and as they were read.
    pub fn is_asked_by(&mut self, head_bytes: usize) {
        let bytes = 2 * head_bytes as u64;
        self.bytes += bytes;
        self.connection.add(bytes);
    }

    /// An origin brings its body, of so many bytes if that is known; so many of it lie here at once.
    pub fn is_fetched(&mut self, length: Option<u64>, ahead_max: u64) {
        let bytes = length.map_or(ahead_max, |length| length.min(ahead_max));
        self.bytes += bytes;
        self.connection.add(bytes);
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.connection
            .bytes
            .fetch_sub(self.bytes, Ordering::SeqCst);
        self.connection.settle_if_waited_for();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("bytes", &self.bytes)
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}
