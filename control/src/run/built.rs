//! The building of a replica: each part once what it stands on is there, the answering last.

use super::{
    begun::Begun,
    bound::{Addresses, Bound},
    certificates::Certificates,
};
use crate::{
    api,
    auth::{Purpose, Token},
    data, events,
    fleet::{
        self, Ahead, Connections, Contacts, Fleet, Hold, LogRead, SaidByEdges, Tail, word::AsOf,
    },
    fold::driver::Fold,
    identity::Identity,
    kafka::Cluster,
    log,
    observe::{
        admin::{self, Admin, Entrance},
        metrics::Metrics,
        missing::tell_of_missing_files,
    },
    presence::{self, Announcement, Presence, Unsettled, announce},
    rollout::{Rollouts, conductor, health::HealthOfEdges},
    seal::Seal,
    serve::{Served, Terms, serve},
    settings::Settings,
    snapshots::Signer,
    store::Store,
    verbs::{Control, Policies},
    writer::Writer,
};
use anyhow::Context as _;
use latencify_conf::{change::ReplicaId, link::trust::JoinText};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

/// A replica that serves, apart from what ends it.
pub(super) struct Built {
    pub(super) addresses: Addresses,
    /// Tokens that were made now.
    pub(super) made: Vec<(Purpose, String)>,
    pub(super) presence: Presence,
    #[cfg(test)]
    pub(super) control: Control,
}

/// Builds a replica; what has to be ended, even if this fails or is dropped, is noted as `begun` as soon as it is.
pub(super) async fn build(settings: &Settings, begun: &mut Begun) -> anyhow::Result<Built> {
    if let Some(warning) = settings.open_admin() {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = settings.hasty_unread() {
        tracing::warn!("{warning}");
    }
    let bound = Bound::bind(settings).await?;
    let addresses = bound.addresses()?;
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
    let seal = open_seal(settings).await?;
    let store = Store::open(&settings.data)
        .await
        .context("opening the store")?;
    begun.store = Some(store.clone());
    let certificates = Certificates::open(
        settings,
        bound.operators,
        &store,
        &seal,
        [addresses.api, addresses.fleet],
    )
    .await?;
    let anew = crate::secrets::seal_anew(&store, &seal)
        .await
        .context("opening the secrets in the store")?;
    if anew > 0 {
        tracing::info!(secrets = anew, "sealed anew with the newest key");
    }
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
        health: HealthOfEdges::default(),
        signer: Signer::establish(&store, &seal).await?,
        rollouts: Rollouts::default(),
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
        lease: settings.edge_lease,
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
    // What is not in this store, the log tells.
    let longest = longest.max(fold.state().longest_lease);
    fleet.contacts.held_since(presence.alone_since(), longest);
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
        seal,
        pki: certificates.pki.clone(),
    };
    begun
        .workers
        .extend(certificates.keep(stop_working.clone()));
    begun.workers.push(tokio::spawn(conductor::run(
        control.fleet.clone(),
        stop_serving.clone(),
    )));
    let tell_alone = presence.clone().tell_alone(longest, stop_working.clone());
    begun.workers.push(tokio::spawn(tell_alone));
    begun.workers.extend(
        consumer.map(|consumer| tokio::spawn(consumer.run(control.clone(), stop_serving.clone()))),
    );
    let identity =
        Identity::new(control.clone(), api_token).context("passwords can't be hashed")?;
    identity
        .reseal_keys()
        .await
        .context("opening the keys of access tokens")?;
    begun.workers.push(tokio::spawn(
        identity.clone().keep_keys(stop_working.clone()),
    ));
    let api_routes = api::routes(control.clone(), identity);
    let fleet_routes = fleet::server::routes(control.clone(), join_token);
    begun.servers = vec![
        tokio::spawn(serve(
            bound.api,
            served("api", Terms::Token, &certificates.api, api_routes),
            stop_serving.clone(),
        )),
        tokio::spawn(serve(
            bound.fleet,
            served(
                "fleet",
                Terms::Token,
                &Some(certificates.fleet),
                fleet_routes,
            ),
            stop_serving.clone(),
        )),
    ];
    let ca = certificates.pki.fingerprint()?;
    let made_join = made_join.map(|secret| JoinText::write(&secret, &ca));
    let made = [(Purpose::Api, made_api), (Purpose::Join, made_join)];
    let built = Built {
        addresses,
        made: made
            .into_iter()
            .filter_map(|(purpose, text)| Some((purpose, text?)))
            .collect(),
        presence,
        #[cfg(test)]
        control,
    };
    if let Some(file) = &settings.ports_file {
        addresses
            .tell(file)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(built)
}

/// The keys that secrets and private keys are sealed with; a command that gives them may take its time.
async fn open_seal(settings: &Settings) -> anyhow::Result<Seal> {
    let (given, folder) = (settings.seal.clone(), settings.data.clone());
    let opened = tokio::task::spawn_blocking(move || Seal::open(&given, &folder)).await;
    opened?.context("reading the keys that secrets are sealed with")
}
