//! What goes out when the stream below has no room, and what is said of the connection's end.

use super::{super::tests as peer, *};
use crate::{
    listen::{
        Limits,
        http2::frames::{PREFACE, kind},
    },
    observe::ConnectionMetrics,
};
use async_trait::async_trait;
use futures::{FutureExt as _, task::noop_waker};
use latencify_conf::policy::EdgeRules;
use parking_lot::Mutex;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use std::net::{IpAddr, Ipv4Addr};

/// A stream as TLS is: what it could not pass on it holds, and what is written next must begin with the same octets.
#[derive(Debug, Default, Clone)]
struct Tls(Arc<Mutex<Below>>);

#[derive(Debug, Default)]
struct Below {
    is_full: bool,
    held: Vec<u8>,
    sent: Vec<u8>,
    to_read: Vec<u8>,
}

impl AsyncRead for Tls {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let octets = std::mem::take(&mut self.0.lock().to_read);
        if octets.is_empty() {
            return Poll::Pending;
        }
        buf.put_slice(&octets);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tls {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut below = self.0.lock();
        assert!(
            buf.starts_with(&below.held),
            "{:?} is held, and {buf:?} comes",
            below.held
        );
        if below.is_full {
            below.held = buf.to_vec();
            return Poll::Pending;
        }
        below.held.clear();
        below.sent.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Shutdown for Tls {
    async fn shutdown(&mut self) {}
}

#[async_trait]
impl Peek for Tls {}

impl Ssl for Tls {}

impl UniqueID for Tls {
    fn id(&self) -> UniqueIDType {
        0
    }
}

impl GetTimingDigest for Tls {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Tls {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Tls {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

struct Ground {
    below: Arc<Mutex<Below>>,
    gate: Arc<Gate>,
    word: Arc<Word>,
    watched: Watched,
}

impl Ground {
    /// Of which nothing has passed but the beginning.
    fn begun(limits: EdgeLimits) -> Self {
        let rules = Limits::default();
        rules.set(EdgeRules {
            limits,
            ..EdgeRules::default()
        });
        let gate = Gate::new(rules, ConnectionMetrics::unseen().unwrap(), 1 << 10);
        let backlog = gate.backlog.connection(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (tls, word) = (Tls::default(), Arc::new(Word::default()));
        let below = tls.0.clone();
        let watched = Watched::new(Box::new(tls), &limits, gate.clone(), backlog, word.clone());
        let mut ground = Self {
            below,
            gate,
            word,
            watched,
        };
        let settings = peer::frame(kind::SETTINGS, 0, 0, &[]);
        assert!(ground.library_writes(&settings));
        ground.client(&[PREFACE, &settings].concat());
        ground.below.lock().sent.clear();
        ground
    }

    /// Whether it was taken.
    fn library_writes(&mut self, octets: &[u8]) -> bool {
        let waker = noop_waker();
        let written =
            Pin::new(&mut self.watched).poll_write(&mut Context::from_waker(&waker), octets);
        matches!(written, Poll::Ready(Ok(length)) if length == octets.len())
    }

    fn library_flushes(&mut self) {
        let waker = noop_waker();
        let flushed = Pin::new(&mut self.watched).poll_flush(&mut Context::from_waker(&waker));
        assert!(flushed.is_ready());
    }

    /// What the client sends is read to its end.
    fn client(&mut self, octets: &[u8]) {
        self.below.lock().to_read = octets.to_vec();
        let waker = noop_waker();
        let mut buf = [0; 16_384];
        loop {
            let mut buf = ReadBuf::new(&mut buf);
            let read =
                Pin::new(&mut self.watched).poll_read(&mut Context::from_waker(&waker), &mut buf);
            if read.is_pending() {
                return;
            }
        }
    }

    /// The kinds of the frames that went out since the last time.
    fn sent(&mut self) -> Vec<u8> {
        let sent = std::mem::take(&mut self.below.lock().sent);
        let (mut kinds, mut rest) = (Vec::new(), sent.as_slice());
        while let [_, a, b, kind, ..] = rest {
            kinds.push(*kind);
            rest = &rest[9 + usize::from(u16::from_be_bytes([*a, *b]))..];
        }
        kinds
    }
}

fn ping(number: u8) -> Vec<u8> {
    peer::frame(kind::PING, 0, 0, &[number; 8])
}

fn get(number: u32) -> Vec<u8> {
    let flags = peer::END_HEADERS | peer::END_STREAM;
    peer::frame(kind::HEADERS, flags, number * 2 + 1, &[0x82])
}

#[tokio::test]
async fn what_the_library_could_not_write_goes_before_anything_of_ours() {
    let of_library = peer::frame(kind::SETTINGS, 0, 0, &[]);
    for ours in [write::going_away().to_vec(), ping(1)] {
        let mut ground = Ground::begun(EdgeLimits::default());
        ground.below.lock().is_full = true;
        assert!(!ground.library_writes(&of_library));
        ground.watched.as_ours.extend_from_slice(&ours);
        // Still full, then not: it reads, and nothing goes out.
        ground.client(&ping(2));
        ground.below.lock().is_full = false;
        ground.client(&ping(3));
        assert!(ground.sent().is_empty());
        // It has more by now.
        assert!(ground.library_writes(&[&of_library[..], &ping(4)].concat()));
        ground.library_flushes();
        assert_eq!(ground.sent(), [kind::SETTINGS, kind::PING, ours[3]]);
    }
}

#[tokio::test]
async fn what_we_could_not_write_goes_before_anything_of_the_library() {
    let mut ground = Ground::begun(EdgeLimits::default());
    ground.below.lock().is_full = true;
    ground.watched.as_ours.extend_from_slice(&ping(1));
    ground.client(&ping(2));
    let of_library = peer::frame(kind::SETTINGS, 0, 0, &[]);
    assert!(!ground.library_writes(&of_library));
    ground
        .watched
        .as_ours
        .extend_from_slice(&write::going_away());
    ground.below.lock().is_full = false;
    assert!(ground.library_writes(&of_library));
    assert_eq!(ground.sent(), [kind::PING, kind::GOAWAY, kind::SETTINGS]);
}

#[tokio::test]
async fn who_has_asked_enough_is_told_at_once_and_once() {
    let mut ground = Ground::begun(EdgeLimits {
        requests: 2,
        ..EdgeLimits::default()
    });
    ground.client(&get(0));
    assert!(ground.sent().is_empty());
    assert!(
        ground
            .word
            .filled(&ground.gate.limits)
            .now_or_never()
            .is_none()
    );
    ground.client(&get(1));
    assert_eq!(ground.sent(), [kind::GOAWAY]);
    assert!(
        ground
            .word
            .filled(&ground.gate.limits)
            .now_or_never()
            .is_some()
    );
    ground.client(&get(2));
    ground.word.say_going();
    ground.library_flushes();
    assert!(ground.sent().is_empty());
}

#[tokio::test]
async fn a_limit_that_is_lowered_is_obeyed_with_the_next_request() {
    let limits = EdgeLimits {
        streams: 1,
        ..EdgeLimits::default()
    };
    let mut ground = Ground::begun(limits);
    for number in 0..10 {
        ground.client(&get(number));
    }
    assert!(ground.sent().is_empty());
    ground.gate.limits.set(EdgeRules {
        limits: EdgeLimits {
            requests: 2,
            ..limits
        },
        ..EdgeRules::default()
    });
    ground.client(&get(10));
    assert_eq!(ground.sent(), [kind::GOAWAY]);
    assert!(
        ground
            .word
            .filled(&ground.gate.limits)
            .now_or_never()
            .is_some()
    );
    assert_eq!(ground.word.ended_already(), None, "it was just told");
}

#[tokio::test]
async fn half_a_frame_keeps_no_window_from_being_waited_for() {
    let mut ground = Ground::begun(EdgeLimits::default());
    // 100,000 octets more, of which the library gets the smaller part, and half a PING behind which nothing is handed over.
    let wide = peer::frame(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 0, 0, 0]);
    let more = peer::frame(kind::WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes());
    ground.client(&[wide, more, get(0)].concat());
    ground.client(&ping(1)[..9]);
    let head = peer::frame(kind::HEADERS, peer::END_HEADERS, 1, &[0x88]);
    assert!(ground.library_writes(&head));
    let part = (65_535 + 100_000_usize).div_ceil(2);
    for sent in (0..part).step_by(16_384) {
        assert!(!ground.watched.watch.waits_for_window());
        let data = vec![7; (part - sent).min(16_384)];
        assert!(ground.library_writes(&peer::frame(kind::DATA, 0, 1, &data)));
    }
    assert!(ground.watched.watch.waits_for_window());
    ground.client(&ping(1)[9..]);
    assert!(
        !ground.watched.watch.waits_for_window(),
        "now it got the rest"
    );
}
