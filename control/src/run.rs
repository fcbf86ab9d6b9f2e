//! From settings to a running replica, and its end.

use crate::{
    api,
    auth::{Purpose, Token},
    data, events,
    fleet::{self, Ahead, Connections, Contacts, Fleet, Hold, SaidByEdges, Tail},
    fold::driver::Fold,
    kafka::Cluster,
    log,
    observe::{
        admin::{self, Admin, Entrance},
        metrics::Metrics,
        missing::tell_of_missing_files,
    },
    output,
    presence::{self, Announcement, Lost, Presence, announce},
    serve::serve,
    settings::Settings,
    store::Store,
    tls,
    verbs::{Control, Policies},
    writer::Writer,
};
use anyhow::Context as _;
use std::{fs, net::SocketAddr, path::Path, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long what is under way may take after a stop.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// A replica that serves. It stops by [`Running::stop`].
pub struct Running {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where edges attach.
    pub fleet: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// Tokens that were made now.
    pub made: Vec<(Purpose, String)>,
    /// First told to stop: sessions, then servers; last the fold and what is written behind.
    stop_serving: CancellationToken,
    stop_working: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    sessions: TaskTracker,
    presence: Presence,
    /// What tests reach past the API for: moments that a client can't time.
    #[cfg(test)]
    pub(crate) control: Control,
    /// Held so that no second replica works on the data folder.
    _lock: fs::File,
}

struct Bound {
    api: TcpListener,
    fleet: TcpListener,
    admin: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// Builds a replica and starts it.
pub async fn start(settings: &Settings) -> anyhow::Result<Running> {
    settings.check()?;
    if let Some(warning) = settings.open_admin() {
        tracing::warn!("{warning}");
    }
    let bound = bind(settings).await?;
    let addresses = (
        bound.api.local_addr()?,
        bound.fleet.local_addr()?,
        bound.admin.local_addr()?,
    );
    let (stop_serving, stop_working) = (CancellationToken::new(), CancellationToken::new());
    // A start that fails ends what it has begun.
    let given_up = stop_working.clone().drop_guard();
    let entrance = Entrance::default();
    let admin_server = tokio::spawn(serve(
        bound.admin,
        None,
        admin::routes(entrance.clone()),
        stop_working.clone(),
    ));
    entrance.opening("the data folder and its store");
    let lock = data::open(&settings.data, settings.kafka.is_none())?;
    // Nobody else works on this folder from here on.
    let started = fleet::contacts::now();
    if let Some(warning) = data::exposed(&settings.data) {
        tracing::warn!("{warning}");
    }
    let store = Store::open(&settings.data)
        .await
        .context("opening the store")?;
    let (api_token, made_api) =
        Token::establish(&store, Purpose::Api, settings.api_token.as_deref()).await?;
    let (join_token, made_join) =
        Token::establish(&store, Purpose::Join, settings.join_token.as_deref()).await?;
    let cluster = settings.kafka.clone().map(|brokers| Cluster {
        brokers,
        prefix: settings.kafka_prefix.clone(),
    });
    entrance.opening("the change log; without an answer of its brokers, this waits");
    let (log, state) = log::opening::open(&settings.data, cluster.clone(), &store).await?;
    for risk in log.risks() {
        tracing::warn!("{risk}");
    }
    let metrics = Metrics::new()?;
    let said = SaidByEdges::load(&store, &state).await?;
    let contacts = Contacts::load(&store, state.roster.keys().copied(), started).await?;
    let log_is_here = settings.kafka.is_none();
    let longest = store.longest_lease(state.roster.keys().copied()).await?;
    let longest = longest.max(settings.edge_lease);
    let hold = Hold::new(log.origin(), log_is_here, &state, longest, started);
    let tail = Tail::default();
    let fold = Fold::new(state, tail.clone());
    let writer = Writer::new(
        log.clone(),
        fold.clone(),
        store.condition().clone(),
        metrics.clone(),
    );
    let sessions = TaskTracker::new();
    let name = presence::name();
    let mut fleet = Fleet {
        fold: fold.clone(),
        store: store.clone(),
        writer,
        tail,
        connections: Connections::default(),
        ahead: Ahead::default(),
        contacts,
        said,
        metrics: metrics.clone(),
        stop: stop_serving.clone(),
        replica: name.clone(),
        lease: settings.edge_lease,
        edges_wait_for: None,
        hold,
        sessions: sessions.clone(),
    };
    let consumer = cluster.map(events::Consumer::new);
    let mut workers = vec![
        tokio::spawn(fleet.clone().keep_saving(stop_working.clone())),
        tokio::spawn(tell_of_missing_files(
            store.clone(),
            fold.clone(),
            log.clone(),
            stop_working.clone(),
        )),
        tokio::spawn(store.clone().keep_trying(stop_working.clone())),
        tokio::spawn(fold.clone().run(
            log.clone(),
            store.clone(),
            metrics.clone(),
            stop_working.clone(),
        )),
    ];
    let announcement = Announcement {
        name,
        remove: settings.remove_replica,
        log_is_here,
        started,
    };
    entrance.opening("the log is folded to its end, and this run is announced in it");
    let presence = announce(announcement, &*log, &store, &fold, &fleet.writer).await?;
    fleet.edges_wait_for = presence.edges_wait_for();
    fleet.contacts.held_since(presence.alone_since());
    fleet.hold = (fleet.hold).map(|hold| hold.held_since(longest, presence.alone_since()));
    entrance.opened(Admin {
        metrics,
        fold,
        log,
        store,
        fleet: fleet.clone(),
        events: consumer.clone(),
    });
    let control = Control {
        fleet,
        policies: Policies::default(),
        replica: presence.replica(),
    };
    workers.extend(
        consumer.map(|consumer| tokio::spawn(consumer.run(control.clone(), stop_serving.clone()))),
    );
    let api_routes = api::routes(control.clone(), api_token);
    let fleet_routes = fleet::server::routes(control.clone(), join_token);
    let servers = vec![
        tokio::spawn(serve(
            bound.api,
            bound.tls.clone(),
            api_routes,
            stop_serving.clone(),
        )),
        tokio::spawn(serve(
            bound.fleet,
            bound.tls,
            fleet_routes,
            stop_serving.clone(),
        )),
        admin_server,
    ];
    let made = [(Purpose::Api, made_api), (Purpose::Join, made_join)];
    let running = Running {
        api: addresses.0,
        fleet: addresses.1,
        admin: addresses.2,
        made: made
            .into_iter()
            .filter_map(|(purpose, text)| Some((purpose, text?)))
            .collect(),
        stop_serving,
        stop_working,
        servers,
        workers,
        sessions,
        presence,
        #[cfg(test)]
        control,
        _lock: lock,
    };
    if let Some(file) = &settings.ports_file {
        running
            .tell_ports(file)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    given_up.disarm();
    Ok(running)
}

impl Running {
    /// Prints the tokens that were made now.
    pub fn tell_tokens(&self) -> anyhow::Result<()> {
        for (purpose, text) in &self.made {
            output::token(purpose.as_str(), text)
                .context("telling the tokens on standard output")?;
        }
        Ok(())
    }

    /// Waits until the log says that this replica may serve no more, and says why.
    pub async fn lost(&self) -> Lost {
        self.presence.lost().await
    }

    /// Finishes what is under way and stops.
    pub async fn stop(self) {
        self.stop_serving.cancel();
        self.sessions.close();
        let drained = tokio::time::timeout(DRAIN_MAX, async {
            self.sessions.wait().await;
            let (admin, serving) = (self.servers.len().saturating_sub(1), self.servers);
            for (number, server) in serving.into_iter().enumerate() {
                if number == admin {
                    // Nothing is served any more; the fold still works.
                    self.presence.leave().await;
                    self.stop_working.cancel();
                }
                // A server that panicked has been reported by its panic.
                let _ = server.await;
            }
            for worker in self.workers {
                let _ = worker.await;
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                after_s = DRAIN_MAX.as_secs(),
                "not everything under way was finished"
            );
        }
    }

    /// Writes the bound addresses, all at once.
    fn tell_ports(&self, file: &Path) -> std::io::Result<()> {
        let addresses =
            serde_json::json!({"api": self.api, "fleet": self.fleet, "admin": self.admin});
        let fresh = file.with_extension("new");
        fs::write(&fresh, addresses.to_string())?;
        fs::rename(fresh, file)
    }
}

async fn bind(settings: &Settings) -> anyhow::Result<Bound> {
    let tls = match (&settings.tls_cert, &settings.tls_key) {
        (Some(chain), Some(key)) => Some(tls::acceptor(chain, key)?),
        _ => None,
    };
    let listen = async |flag: &str, address: SocketAddr| {
        TcpListener::bind(address)
            .await
            .with_context(|| format!("{flag} {address} can't be listened on"))
    };
    Ok(Bound {
        api: listen("--api", settings.api).await?,
        fleet: listen("--fleet", settings.fleet).await?,
        admin: listen("--admin", settings.admin).await?,
        tls,
    })
}
