//! Connections whose other end is a test.

use super::{
    visit::{IDLE_MAX, TAKE_MAX},
    *,
};
use axum::{body::Bytes, routing::get};
use futures::{StreamExt as _, stream};
use hyper::client::conn::http2::{Builder as ClientBuilder, SendRequest};
use hyper_util::rt::TokioExecutor;
use tokio::io::duplex;

/// More than one part.
static BODY: [u8; 100_000] = [b'x'; 100_000];
/// Of the pipe between both ends.
const PIPE_BYTES: usize = 1024 * 1024;
/// HTTP/2's own.
const WINDOW: u32 = 65_535;
/// What does not come to pass by then never does.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection whose client has so much room in each stream; it answers PINGs for as long as it is let.
async fn connection(window: u32) -> (SendRequest<Body>, Arc<Visit>) {
    let router = Router::new()
        .route("/empty", get(|| async {}))
        .route("/small", get(|| async { "0123456789" }))
        .route("/large", get(|| async { Bytes::from_static(&BODY) }))
        .route("/waits", get(|| async { waits() }));
    let work = Work {
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
    };
    let (near, far) = duplex(PIPE_BYTES);
    let visit = Visit::new(Terms::Open, Weak::new());
    let visited = Arc::clone(&visit);
    tokio::spawn(async move {
        let service =
            hyper::service::service_fn(|request| answer(request, &router, &visited, (None, None)));
        let near = TokioIo::new(Looked::new(near, Arc::clone(&visited)));
        let builder = builder(Terms::Open, &work);
        // It ends with the test.
        let _ = builder.serve_connection(near, service).await;
    });
    let (client, connection) = ClientBuilder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(far))
        .await
        .unwrap();
    tokio::spawn(connection);
    (client, visit)
}

/// A body that says one thing, and then nothing for as long as anybody listens.
fn waits() -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"f"))]);
    Body::from_stream(first.chain(stream::pending()))
}

async fn ask(client: &mut SendRequest<Body>, path: &str) -> Response<Incoming> {
    client.ready().await.unwrap();
    let request = Request::get(format!("http://control{path}"));
    let request = request.body(Body::empty()).unwrap();
    client.send_request(request).await.unwrap()
}

/// What would be said of it if nothing happened for so long.
fn after(visit: &Visit, time: Duration) -> Option<Cut> {
    visit.overstays(Instant::now() + time)
}

async fn wait_for(visit: &Visit, time: Duration, expected: Option<Cut>) {
    let is_so = async {
        while after(visit, time) != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, is_so).await;
    assert!(waited.is_ok(), "{visit:?} is not {expected:?}");
}

#[tokio::test]
async fn a_client_whose_windows_have_no_room_takes_nothing() {
    for (window, path) in [
        (0, "/small"),
        (0, "/large"),
        (0, "/waits"),
        (1, "/small"),
        (1, "/large"),
    ] {
        let (mut client, visit) = connection(window).await;
        let answer = ask(&mut client, path).await;
        // What else goes on is no excuse.
        for _ in 0..3 {
            ask(&mut client, "/empty").await;
            let said = after(&visit, TAKE_MAX);
            assert_eq!(said, Some(Cut::NotTaken), "{path} with {window}: {visit:?}");
        }
        drop(answer);
        wait_for(&visit, TAKE_MAX, Some(Cut::Idle)).await;
    }
}

#[tokio::test]
async fn a_client_with_room_stays_for_as_long_as_the_answer_has_no_more() {
    for window in [1, WINDOW] {
        let (mut client, visit) = connection(window).await;
        let waiting = ask(&mut client, "/waits").await;
        wait_for(&visit, TAKE_MAX * 10, None).await;
        drop(waiting);
        wait_for(&visit, IDLE_MAX, Some(Cut::Idle)).await;
    }
    let (mut client, visit) = connection(WINDOW).await;
    let large = Body::new(ask(&mut client, "/large").await.into_body());
    let large = axum::body::to_bytes(large, usize::MAX).await.unwrap();
    assert!(large[..] == BODY);
    wait_for(&visit, TAKE_MAX, Some(Cut::Idle)).await;
}
