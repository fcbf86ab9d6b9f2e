//! Connections to an origin that wait for a request: those that this edge makes itself, for what passes through before Pingora.
//!
//! They lie with their origin, so that what distinguishes origins distinguishes connections; within it, by address. Each thread
//! has a place of its own, and looks at the others' only when nothing lies there.

use super::{live::Live, peer};
use crate::alarm::Alarm;
use parking_lot::Mutex;
use socket2::SockRef;
use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// So many connections to one origin wait at most.
pub const IDLE_OF_ORIGIN_MAX: usize = 512;
/// And to all origins.
pub const IDLE_IN_ALL_MAX: usize = 1_024;
/// Places of threads; with more threads, some share one.
const PLACES: usize = 16;
/// So often connections are closed whose time is over, or that their origin has closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Those of all origins.
static IN_ALL: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % PLACES
    };
}

/// A connection to an origin, with the alarm that rings when it is silent for too long.
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// For the task that waits for it.
    pub alarm: Alarm,
}

/// The connections to one origin that wait.
#[derive(Default)]
pub struct Idle {
    places: [Mutex<Vec<Waiting>>; PLACES],
    count: Arc<AtomicUsize>,
}

struct Waiting {
    address: SocketAddr,
    connection: Connection,
    until: Instant,
    _counted: Counted,
}

/// Counted in both numbers until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// None: there are as many as there may be.
    fn begin(of_origin: &Arc<AtomicUsize>) -> Option<Self> {
        let enter = |count: &AtomicUsize, max| {
            let next = |now| (now < max).then_some(now + 1);
            count.fetch_update(Relaxed, Relaxed, next).is_ok()
        };
        if !enter(of_origin, IDLE_OF_ORIGIN_MAX) {
            return None;
        }
        if !enter(&IN_ALL, IDLE_IN_ALL_MAX) {
            of_origin.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Self(of_origin.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
        IN_ALL.fetch_sub(1, Relaxed);
    }
}

impl Idle {
    /// The connection to that address that waits for the shortest time, and over which nothing has come meanwhile. Those that
    /// are of no use are closed on the way. `now` may be a moment ago.
    pub fn take(&self, address: SocketAddr, now: Instant) -> Option<Connection> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let own = PLACE.with(|place| *place);
        (own..own + PLACES).find_map(|place| {
            let place = self.places.get(place % PLACES)?;
            loop {
                // Not locked while the system is asked.
                let waiting = place.lock().take(address)?;
                if now < waiting.until && is_silent(&waiting.connection) {
                    return Some(waiting.connection);
                }
            }
        })
    }

    /// Lets a connection wait that brought a whole response and nothing behind it; closes it if there are too many.
    pub fn put(&self, address: SocketAddr, connection: Connection, until: Instant) {
        let place = PLACE.with(|place| self.places.get(*place));
        if let (Some(place), Some(counted)) = (place, Counted::begin(&self.count)) {
            place.lock().push(Waiting {
                address,
                connection,
                until,
                _counted: counted,
            });
        }
    }

    fn sweep(&self, now: Instant) {
        for place in &self.places {
            let is_useless =
                |waiting: &mut Waiting| waiting.until <= now || !is_silent(&waiting.connection);
            let useless: Vec<_> = place.lock().extract_if(.., is_useless).collect();
            drop(useless);
        }
    }
}

trait Place {
    fn take(&mut self, address: SocketAddr) -> Option<Waiting>;
}

impl Place for Vec<Waiting> {
    fn take(&mut self, address: SocketAddr) -> Option<Waiting> {
        let at = self
            .iter()
            .rposition(|waiting| waiting.address == address)?;
        Some(self.remove(at))
    }
}

/// Connects as the origin's rules have it; the time is the caller's.
pub async fn connect(address: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&peer::keepalive())?;
    Ok(Connection {
        stream,
        alarm: Alarm::default(),
    })
}

/// Whether nothing has come over a connection, neither octets nor its end. The system is asked: what the runtime knows may be
/// older.
fn is_silent(connection: &Connection) -> bool {
    let came = SockRef::from(&connection.stream).peek(&mut [MaybeUninit::uninit()]);
    came.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Closes what waits in vain, for as long as it runs.
pub(super) async fn keep_swept(live: Arc<Live>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        live.idle.sweep(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    const LONG: Duration = Duration::from_hours(1);

    async fn pair(listener: &TcpListener) -> (Connection, TcpStream) {
        let connection = connect(listener.local_addr().unwrap()).await.unwrap();
        (connection, listener.accept().await.unwrap().0)
    }

    async fn until_heard(connection: &Connection) {
        while is_silent(connection) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_has_said_something_or_waited_too_long_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let idle = Idle::default();
        assert!(idle.take(address, Instant::now()).is_none());

        let (stream, _other) = pair(&listener).await;
        let port = stream.stream.local_addr().unwrap();
        idle.put(address, stream, Instant::now() + LONG);
        let elsewhere = SocketAddr::from(([127, 0, 0, 9], address.port()));
        assert!(idle.take(elsewhere, Instant::now()).is_none());
        assert_eq!(
            idle.take(address, Instant::now())
                .unwrap()
                .stream
                .local_addr()
                .unwrap(),
            port
        );
        assert!(idle.take(address, Instant::now()).is_none(), "taken once");

        let (stream, mut other) = pair(&listener).await;
        other.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        until_heard(&stream).await;
        idle.put(address, stream, Instant::now() + LONG);
        let (stream, other) = pair(&listener).await;
        drop(other);
        until_heard(&stream).await;
        idle.put(address, stream, Instant::now() + LONG);
        let (stream, _third) = pair(&listener).await;
        idle.put(address, stream, Instant::now());
        assert!(idle.take(address, Instant::now()).is_none());
        assert_eq!(idle.count.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn there_are_never_more_than_the_bound_and_the_sweep_closes_what_is_of_no_use() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let idle = Idle::default();
        let mut others = Vec::new();
        for _ in 0..3 {
            let (stream, other) = pair(&listener).await;
            idle.put(address, stream, Instant::now() + LONG);
            others.push(other);
        }
        idle.count.fetch_add(IDLE_OF_ORIGIN_MAX - 3, Relaxed);
        let (stream, _other) = pair(&listener).await;
        idle.put(address, stream, Instant::now() + LONG);
        let waiting = || -> usize { idle.places.iter().map(|place| place.lock().len()).sum() };
        assert_eq!(waiting(), 3, "one too many is closed");
        idle.count.fetch_sub(IDLE_OF_ORIGIN_MAX - 3, Relaxed);

        drop(others.pop());
        while waiting() == 3 {
            idle.sweep(Instant::now());
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting(), 2);
        idle.sweep(Instant::now() + LONG);
        assert_eq!((waiting(), idle.count.load(Relaxed)), (0, 0));
    }
}
