//! From settings to a running replica, and its end.

mod begun;

use crate::{
    api,
    auth::{Purpose, Token},
    data, events,
    fleet::{
        self, Ahead, Connections, Contacts, Fleet, Hold, LogRead, SaidByEdges, Tail, word::AsOf,
    },
    fold::driver::Fold,
    kafka::Cluster,
    log,
    observe::{
        admin::{self, Admin, Entrance},
        metrics::Metrics,
        missing::tell_of_missing_files,
    },
    output,
    presence::{self, Announcement, Lost, Presence, Unsettled, announce},
    serve::{Served, Terms, serve},
    settings::Settings,
    store::Store,
    tls,
    verbs::{Control, Policies},
    writer::Writer,
};
use anyhow::Context as _;
use begun::Begun;
use latencify_conf::change::ReplicaId;
use std::{fs, net::SocketAddr, path::Path};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

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
    presence: Presence,
    /// What tests reach past the API for: moments that a client can't time.
    #[cfg(test)]
    pub(crate) control: Control,
    begun: Begun,
}

struct Bound {
    api: TcpListener,
    fleet: TcpListener,
    admin: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// Builds a replica and starts it.
pub async fn start(settings: &Settings) -> anyhow::Result<Running> {
    let never = std::future::pending();
    let started = start_unless(settings, never).await?;
    started.context("nobody has stopped it")
}

/// Builds a replica and starts it, unless it is `stopped` meanwhile. A start that comes to nothing ends what it has begun.
pub async fn start_unless(
    settings: &Settings,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<Option<Running>> {
    let mut begun = Begun::default();
    let built = tokio::select! {
        built = build(settings, &mut begun) => built.map(Some),
        () = stopped => Ok(None),
    };
    match built {
        Ok(Some(built)) => Ok(Some(built.running(begun))),
        Ok(None) => {
            begun.end().await;
            Ok(None)
        }
        Err(error) => {
            begun.end().await;
            Err(error)
        }
    }
}

/// A replica that serves, apart from what ends it.
struct Built {
    api: SocketAddr,
    fleet: SocketAddr,
    admin: SocketAddr,
    made: Vec<(Purpose, String)>,
    presence: Presence,
    #[cfg(test)]
    control: Control,
}

async fn build(settings: &Settings, begun: &mut Begun) -> anyhow::Result<Built> {
    settings.check()?;
    if let Some(warning) = settings.open_admin() {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = settings.hasty_unread() {
        tracing::warn!("{warning}");
    }
    let bound = bind(settings).await?;
    let addresses = (
        bound.api.local_addr()?,
        bound.fleet.local_addr()?,
        bound.admin.local_addr()?,
    );
    let (stop_serving, stop_working) = (begun.stop_serving.clone(), begun.stop_working.clone());
    let entrance = Entrance::default();
    let metrics = Metrics::new()?;
    let served = |name, terms, tls: &Option<TlsAcceptor>, router| Served {
        name,
        terms,
        tls: tls.clone(),
        router,
        connections: metrics.connections(),
    };
    let admin_routes = admin::routes(entrance.clone());
    begun.admin = Some(tokio::spawn(serve(
        bound.admin,
        served("admin", Terms::Open, &None, admin_routes),
        stop_working.clone(),
    )));
    entrance.opening("the data folder and its store");
    begun.lock = Some(data::open(&settings.data, settings.kafka.is_none())?);
    // Nobody else works on this folder from here on.
    let started = fleet::contacts::now();
    if let Some(warning) = data::exposed(&settings.data) {
        tracing::warn!("{warning}");
    }
    let store = Store::open(&settings.data)
        .await
        .context("opening the store")?;
    begun.store = Some(store.clone());
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
    begun.log = Some(log.clone());
    for risk in log.risks() {
        tracing::warn!("{risk}");
    }
    let said = SaidByEdges::load(&store, &state).await?;
    let contacts = Contacts::load(&store, state.roster.keys().copied(), started).await?;
    let log_is_here = settings.kafka.is_none();
    let longest = store.longest_lease(state.roster.keys().copied()).await?;
    let longest = longest.max(settings.edge_lease);
    let hold = Hold::new(log.origin(), log_is_here, &state, longest, started);
    let ahead = Ahead::remembered(store.fork(log.identity()).await?);
    let log_read = LogRead::new(if log_is_here {
        AsOf::always()
    } else {
        AsOf::within(settings.log_unread_max)
    });
    let tail = Tail::default();
    let fold = Fold::new(state, tail.clone());
    let writer = Writer::new(
        log.clone(),
        fold.clone(),
        store.condition().clone(),
        metrics.clone(),
    );
    let name = presence::name();
    let mut fleet = Fleet {
        fold: fold.clone(),
        store: store.clone(),
        writer,
        tail,
        connections: Connections::default(),
        ahead,
        contacts,
        said,
        metrics: metrics.clone(),
        stop: stop_serving.clone(),
        replica: name.clone(),
        lease: settings.edge_lease,
        edges_wait_for: None,
        run: None,
        log_read: log_read.clone(),
        hold,
        sessions: begun.sessions.clone(),
    };
    let consumer = cluster.map(events::Consumer::new);
    begun.workers = vec![
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
        tokio::spawn(log_read.keep_reading(log.clone(), fold.clone(), stop_working.clone())),
    ];
    let announcement = Announcement {
        run: ReplicaId(Uuid::now_v7()),
        name,
        remove: settings.remove_replica,
        log_is_here,
        started,
        unread_max: settings.log_unread_max,
    };
    entrance.opening("the log is folded to its end, and this run is announced in it");
    let unsettled = Unsettled::new(announcement.run, fleet.writer.clone());
    begun.unsettled = Some(unsettled.clone());
    let presence = announce(
        announcement,
        &unsettled,
        &*log,
        &store,
        &fold,
        &fleet.writer,
    )
    .await?;
    begun.presence = Some(presence.clone());
    fleet.edges_wait_for = presence.edges_wait_for();
    fleet.run = presence.replica();
    fleet.contacts.held_since(presence.alone_since());
    fleet.hold = (fleet.hold).map(|hold| hold.held_since(longest, presence.alone_since()));
    entrance.opened(Admin {
        metrics: metrics.clone(),
        fold,
        log,
        store,
        fleet: fleet.clone(),
        events: consumer.clone(),
    });
    let control = Control {
        fleet,
        policies: Policies::default(),
    };
    let tell_alone = presence.clone().tell_alone(longest, stop_working.clone());
    begun.workers.push(tokio::spawn(tell_alone));
    begun.workers.extend(
        consumer.map(|consumer| tokio::spawn(consumer.run(control.clone(), stop_serving.clone()))),
    );
    let api_routes = api::routes(control.clone(), api_token);
    let fleet_routes = fleet::server::routes(control.clone(), join_token);
    begun.servers = vec![
        tokio::spawn(serve(
            bound.api,
            served("api", Terms::Token, &bound.tls, api_routes),
            stop_serving.clone(),
        )),
        tokio::spawn(serve(
            bound.fleet,
            served("fleet", Terms::Token, &bound.tls, fleet_routes),
            stop_serving.clone(),
        )),
    ];
    let made = [(Purpose::Api, made_api), (Purpose::Join, made_join)];
    let built = Built {
        api: addresses.0,
        fleet: addresses.1,
        admin: addresses.2,
        made: made
            .into_iter()
            .filter_map(|(purpose, text)| Some((purpose, text?)))
            .collect(),
        presence,
        #[cfg(test)]
        control,
    };
    if let Some(file) = &settings.ports_file {
        built
            .tell_ports(file)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(built)
}

impl Built {
    fn running(self, begun: Begun) -> Running {
        Running {
            api: self.api,
            fleet: self.fleet,
            admin: self.admin,
            made: self.made,
            presence: self.presence,
            #[cfg(test)]
            control: self.control,
            begun,
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

    /// Finishes what is under way and stops: nothing of the data folder is open then.
    pub async fn stop(self) {
        self.begun.end().await;
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
