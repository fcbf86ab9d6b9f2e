//! The admin address: `/metrics`, `/healthz`, `/readyz`. It has no token; it is never public. It answers from the moment
//! that it is bound: opening a store, waiting for brokers and folding a long log take their time.

use crate::{
    events,
    fault::Fault,
    fleet::Fleet,
    fold::driver::{Fold, Health},
    log::ChangeLog,
    observe::{metrics::Metrics, missing::missing_files},
    store::Store,
};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long the log may take to tell its head.
const HEAD_WAIT: Duration = Duration::from_secs(3);

/// What health is read from.
#[derive(Clone)]
pub struct Admin {
    /// The counters.
    pub metrics: Metrics,
    /// The fold.
    pub fold: Fold,
    /// The log.
    pub log: Arc<dyn ChangeLog>,
    /// The store.
    pub store: Store,
    /// The edges.
    pub fleet: Fleet,
    /// The event consumer, with Kafka.
    pub events: Option<events::Consumer>,
}

/// What the admin address speaks of: a replica that is being opened, then one that serves. A clone is the same.
#[derive(Clone, Default)]
pub struct Entrance {
    opening: Arc<Mutex<&'static str>>,
    opened: Arc<OnceLock<Admin>>,
}

impl Entrance {
    /// What is waited for now.
    pub fn opening(&self, what: &'static str) {
        *self.opening.lock() = what;
    }

    /// The replica serves.
    pub fn opened(&self, admin: Admin) {
        // It is opened once.
        let _ = self.opened.set(admin);
    }

    fn admin(&self) -> Result<&Admin, String> {
        let what = || format!("opening: {}", *self.opening.lock());
        self.opened.get().ok_or_else(what)
    }
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// `following`, or `opening: …`, or what is wrong.
    log: String,
    /// What keeps writes from being taken, and edges from being answered, by the stable names of their kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<&'static str>,
    applied: u64,
    head: Option<u64>,
    /// `off` without Kafka. A consumer that waits for its broker does not make the replica unready: the API works.
    events: String,
    /// What an operator should mend although the replica works: each with its remedy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// The admin address, as a service.
pub fn routes(entrance: Entrance) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(entrance)
}

async fn metrics(State(entrance): State<Entrance>) -> Response {
    let admin = match entrance.admin() {
        Ok(admin) => admin,
        Err(opening) => return (StatusCode::SERVICE_UNAVAILABLE, opening).into_response(),
    };
    for (part, fault) in admin.faults() {
        admin.metrics.fault(part, fault.map(|fault| fault.kind));
    }
    for (standing, count) in admin.fleet.census() {
        admin.metrics.edges(standing, count);
    }
    admin.metrics.drifted(admin.fleet.drifted());
    match admin.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl Admin {
    /// How the parts fare that a write needs, and what edges do.
    fn faults(&self) -> [(&'static str, Option<Fault>); 3] {
        [
            ("log", self.log.condition().fault()),
            ("store", self.store.condition().fault()),
            ("edges", self.withholds()),
        ]
    }

    fn withholds(&self) -> Option<Fault> {
        // Who serves no edge at all says why.
        let serves = self.fleet.edges_wait_for.is_none();
        self.fleet.withholds().filter(|_| serves)
    }
}

async fn ready(State(entrance): State<Entrance>) -> Response {
    match entrance.admin() {
        Ok(admin) => ready_as(admin).await,
        Err(opening) => not_opened(opening),
    }
}

fn not_opened(opening: String) -> Response {
    let readiness = Readiness {
        ready: false,
        log: opening,
        faults: Vec::new(),
        applied: 0,
        head: None,
        events: "starting".to_owned(),
        warnings: Vec::new(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(readiness)).into_response()
}

async fn ready_as(admin: &Admin) -> Response {
    let head = tokio::time::timeout(HEAD_WAIT, admin.log.head()).await;
    let state = admin.fold.state();
    let applied = state.applied;
    let (head, head_error) = match head {
        Ok(Ok(head)) => (Some(head), None),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => (
            None,
            Some("the change log does not say where its head is".to_owned()),
        ),
    };
    let faults = admin.faults();
    let fault = faults[..2].iter().find_map(|(_, fault)| fault.as_ref());
    let log = match (admin.fold.health(), head_error, head) {
        (Health::Stopped(why) | Health::Moved(why), _, _) => format!("stopped: {why}"),
        _ if let Some(fault) = fault => format!("refusing writes: {fault}"),
        (Health::Retrying(why), _, _) | (Health::Following, Some(why), _) => {
            format!("retrying: {why}")
        }
        (Health::Following, None, Some(head)) if applied < head => "catching up".to_owned(),
        (Health::Following, None, _) => "following".to_owned(),
    };
    let events = match admin.events.as_ref().map(events::Consumer::health) {
        None => "off".to_owned(),
        Some(events::Health::Starting) => "starting".to_owned(),
        Some(events::Health::Following) => "following".to_owned(),
        Some(events::Health::Retrying(why)) => format!("retrying: {why}"),
    };
    let mut warnings = admin.log.risks();
    warnings.extend(
        missing_files(&admin.store, &state)
            .await
            .unwrap_or_else(|error| Some(error.to_string())),
    );
    warnings.extend(admin.fleet.ahead.warnings(&state));
    warnings.extend(
        (admin.fleet.edges_wait_for).map(|why| format!("this replica serves no edge: {why}")),
    );
    let withholds = faults[2].1.as_ref();
    warnings.extend(withholds.map(ToString::to_string));
    let ready = log == "following" && withholds.is_none();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let head = head.map(|head| head.0);
    (
        status,
        Json(Readiness {
            ready,
            log,
            faults: faults
                .iter()
                .filter_map(|(_, fault)| Some(fault.as_ref()?.kind.as_str()))
                .collect(),
            applied: applied.0,
            head,
            events,
            warnings,
        }),
    )
        .into_response()
}
