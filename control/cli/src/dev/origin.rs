//! The demo origin: one program in three places, so that it shows who answered and when.
//!
//! | path | what it shows |
//! |---|---|
//! | `/`, `/articles/{n}` | stored for an hour; tags `page`, `article`, `article-{n}` |
//! | `/where` | which place answers, never stored |
//! | `/uncacheable` | never stored |
//! | `/slow` | takes two seconds, stored for a minute |
//! | `/events` | server-sent events, one a second |
//! | `/api/hello`, `/france` | for rate and access rules |
//! | `POST /publish` | a new version of all pages, in every place |
//! | `POST /down`, `POST /up` | this place answers 503 until it is up again |

use super::layout;
use crate::{args::DevOrigin, failure::Failure};
use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, future::try_join_all, stream};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, signal::unix};

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(2);
/// Pages are stored for an hour, so that only a purge brings a new version to the clients.
const PAGE: &str = "public, max-age=3600";

/// One place.
#[derive(Clone)]
struct Place {
    name: Arc<str>,
    /// Shared by all places.
    version: Arc<AtomicU64>,
    down: Arc<AtomicBool>,
}

/// Serves every place until SIGTERM.
pub async fn run(args: DevOrigin) -> Result<(), Failure> {
    let version = Arc::new(AtomicU64::new(1));
    let mut bound: BTreeMap<String, SocketAddr> = BTreeMap::new();
    let mut places = Vec::new();
    for (name, address) in args.listen {
        let unbound = |error: std::io::Error| {
            Failure::failed(format!("{name} can't listen on {address}: {error}"))
        };
        let listener = TcpListener::bind(address).await.map_err(unbound)?;
        bound.insert(name.clone(), listener.local_addr().map_err(unbound)?);
        let place = Place {
            name: name.as_str().into(),
            version: Arc::clone(&version),
            down: Arc::default(),
        };
        places.push(axum::serve(listener, router(place)).into_future());
    }
    if let Some(file) = args.ports_file {
        let json =
            serde_json::to_vec(&bound).map_err(|error| Failure::failed(error.to_string()))?;
        layout::replace(&file, &json)?;
    }
    let mut terminate = unix::signal(unix::SignalKind::terminate())
        .map_err(|error| Failure::failed(format!("signals can't be received: {error}")))?;
    tokio::select! {
        served = try_join_all(places) => served.map(drop).map_err(|error| Failure::failed(format!("the origin: {error}"))),
        _ = terminate.recv() => Ok(()),
    }
}

fn router(place: Place) -> Router {
    let content = Router::new()
        .route("/", get(home))
        .route("/articles/{number}", get(article))
        .route("/where", get(whereabouts))
        .route("/france", get(whereabouts))
        .route("/uncacheable", get(whereabouts))
        .route("/slow", get(slow))
        .route("/events", get(events))
        .route("/api/hello", get(hello))
        .route("/healthz", get(async || "ok\n"))
        .route("/publish", post(publish))
        .layer(middleware::from_fn_with_state(place.clone(), outage));
    let switch = Router::new()
        .route("/down", post(down))
        .route("/up", post(up));
    content.merge(switch).with_state(place)
}

/// While a place is down, all of it is.
async fn outage(State(place): State<Place>, request: Request, next: Next) -> Response {
    if place.down.load(Ordering::Relaxed) {
        let body = format!("{} is down; bring it back with POST /up\n", place.name);
        return (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    }
    next.run(request).await
}

async fn home(State(place): State<Place>) -> Response {
    page(&place, "The demo of latencify", "page")
}

async fn article(State(place): State<Place>, Path(number): Path<u32>) -> Response {
    page(
        &place,
        &format!("Article {number}"),
        &format!("page article article-{number}"),
    )
}

fn page(place: &Place, title: &str, tags: &str) -> Response {
    let version = place.version.load(Ordering::Relaxed);
    let headers = [
        (header::CACHE_CONTROL, PAGE.to_owned()),
        (header::ETAG, format!("\"{version}\"")),
        (
            header::HeaderName::from_static("surrogate-key"),
            tags.to_owned(),
        ),
    ];
    let body = format!(
        "<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<p>Version {version}, from the origin in {}.</p>\n",
        place.name
    );
    (headers, Html(body)).into_response()
}

/// Who answers, and for whom.
async fn whereabouts(State(place): State<Place>, headers: HeaderMap) -> Response {
    let client = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok());
    uncacheable(json!({"origin": &*place.name, "for": client}))
}

async fn hello(State(place): State<Place>) -> Response {
    uncacheable(json!({"hello": "world", "origin": &*place.name}))
}

fn uncacheable(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], format!("{body}\n")).into_response()
}

async fn slow(State(place): State<Place>) -> Response {
    tokio::time::sleep(SLOW).await;
    let version = place.version.load(Ordering::Relaxed);
    let body = format!("version {version}, from {}, after {SLOW:?}\n", place.name);
    ([(header::CACHE_CONTROL, "public, max-age=60")], body).into_response()
}

async fn events(State(place): State<Place>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0_u64, move |tick| {
        let name = Arc::clone(&place.name);
        async move {
            if tick > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Some((
                Ok(Event::default()
                    .id(tick.to_string())
                    .data(format!("tick {tick} from {name}"))),
                tick + 1,
            ))
        }
    }))
}

async fn publish(State(place): State<Place>) -> String {
    format!(
        "version {}\n",
        place.version.fetch_add(1, Ordering::Relaxed) + 1
    )
}

async fn down(State(place): State<Place>) -> String {
    place.down.store(true, Ordering::Relaxed);
    format!("{} is down\n", place.name)
}

async fn up(State(place): State<Place>) -> String {
    place.down.store(false, Ordering::Relaxed);
    format!("{} is up\n", place.name)
}
