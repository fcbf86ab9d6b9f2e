//! A whole edge: built, then accepting, then drained.

use crate::{
    admin::Admin,
    cache::{MemoryStorage, Options, keep_swept},
    disk,
    drain::{Drain, Drained},
    edge::{Edge, Parts},
    listen::{self, Asked, Bound, Endpoint, Gate, Handles, Kept, Limits, Sockets, tls::Acceptor},
    membership::Membership,
    observe::{AccessLog, AccessLogWriter, ConnectionMetrics, Metrics},
    origin::Network,
    policy::watch,
    proxy::Gateway,
    settings::Settings,
};
use anyhow::{Context as _, Result, bail};
use latencify_cache::Marks;
use latencify_geoip::GeoIp;
use pingora::{
    apps::HttpServerApp as _,
    proxy::{HttpProxy, http_proxy},
    server::configuration::ServerConf,
};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tracing::{info, warn};

/// Connections to origins that are kept for the next request.
const IDLE_ORIGIN_CONNECTIONS_MAX: usize = 1_024;
/// A fetch without a response's head for so long is no longer waited for by others.
const FILL_LOCK_AGE: Duration = Duration::from_mins(1);
/// A process that takes over must have a policy by then …
const POLICY_WITHIN: Duration = Duration::from_secs(30);
/// … and waits so long until it obeys what the fleet has agreed on; control may be away.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

type Proxy = HttpProxy<Gateway>;

/// A whole edge.
pub struct Service {
    settings: Settings,
    edge: Arc<Edge>,
    proxy: Arc<Proxy>,
    acceptor: Arc<Acceptor>,
    /// The numbers of the private address, which nobody scrapes.
    unseen: ConnectionMetrics,
    membership: Membership,
    access_log: Option<AccessLogWriter>,
    nudge: mpsc::Sender<()>,
    /// Until it accepts.
    sockets: Option<Sockets>,
    /// Until it drains.
    handles: Handles,
    /// The private address answers to the end, except when another process answers there.
    admin_drain: Arc<Drain>,
}

/// Who accepts when this process does not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heir {
    /// Nobody, or whoever is started next.
    None,
    /// The process that took over, on the same sockets.
    Successor,
}

impl Heir {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Successor => "successor",
        }
    }
}

impl Service {
    /// Opens the sockets, reads the policy or joins the fleet. Accepts nothing yet.
    pub async fn build(settings: Settings, kept: Kept, metrics: Arc<Metrics>) -> Result<Self> {
        let asked = Asked {
            http: &settings.http,
            https: &settings.https,
            admin: settings.admin,
        };
        let sockets = Sockets::open(asked, kept)?;
        let handles = sockets.handles()?;
        let unseen = ConnectionMetrics::unseen().context("metrics")?;
        let (access_log, writer) = open_access_log(settings.access_log.as_deref(), &metrics)?;
        let marks = Marks::new();
        let cache = MemoryStorage::open(
            Options {
                bytes_max: settings.cache_memory_bytes,
                eviction: settings.cache_eviction,
                fill_lock_age: FILL_LOCK_AGE,
            },
            marks.clone(),
        );
        tokio::spawn(keep_swept(cache));
        if settings.disk.is_some() {
            marks.keep();
        }
        let edge = Edge::new(Parts {
            name: settings.name.clone(),
            cache,
            certificate_folder: settings.cert_dir.clone(),
            places: GeoIp::open(&settings.geoip).context("GeoIP")?,
            place_files: settings.geoip.clone(),
            network: Network::new(settings.dns),
            metrics,
            access_log,
            drain: Drain::new(),
        });
        let mut membership = Membership::begin(&settings, &edge, &marks).await?;
        // The marks stand as they were left.
        if let Some(options) = &settings.disk {
            disk::start(options, cache).context("disk tier")?;
        }
        let (nudge, nudges) = mpsc::channel(1);
        tokio::spawn(watch(edge.clone(), membership.take_files(), nudges));
        Ok(Self {
            proxy: Arc::new(proxy(&settings, edge.clone())),
            acceptor: Arc::new(Acceptor::new(edge.certificate_source())?),
            unseen,
            settings,
            edge,
            membership,
            access_log: writer,
            nudge,
            sockets: Some(sockets),
            handles,
            admin_drain: Drain::new(),
        })
    }

    /// Waits until it could serve: a policy runs, and in a fleet, if control is there, it obeys what was agreed on.
    pub async fn could_serve(&self) -> Result<()> {
        let begin = Instant::now();
        while self.edge.running().is_none() {
            if begin.elapsed() > POLICY_WITHIN {
                bail!("no policy runs after {POLICY_WITHIN:?}");
            }
            sleep(LOOK_EVERY).await;
        }
        let Some(fleet) = self.membership.fleet() else {
            return Ok(());
        };
        let begin = Instant::now();
        loop {
            let link = fleet.state();
            let obeyed = link.obeyed.map(|position| position.epoch);
            if link.lease_until.is_some() && obeyed >= Some(link.head) {
                return Ok(());
            }
            if begin.elapsed() > CATCH_UP_WITHIN {
                warn!(
                    "control has not told within {CATCH_UP_WITHIN:?} where the fleet stands; serving by the saved policy"
                );
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Accepts from now on, and says so where the settings want it; an error means that it could not be said there.
    pub fn accept(&mut self) -> Result<()> {
        let Some(Sockets { http, https, admin }) = self.sockets.take() else {
            bail!("it accepts already");
        };
        if let Some(warning) = self.settings.open_admin() {
            warn!("{warning}");
        }
        let addresses =
            |bound: &[Bound]| bound.iter().map(|bound| bound.address).collect::<Vec<_>>();
        let (http_addresses, https_addresses) = (addresses(&http), addresses(&https));
        let admin_address = admin.address;

        let listening = Arc::new(AtomicBool::new(false));
        let private = Endpoint {
            bound: admin,
            tls: None,
        };
        let service = Arc::new(Admin::new(self.edge.clone(), listening.clone()));
        let descriptors = listen::raise_descriptors();
        // A flood of clients takes no place from whoever looks after the edge.
        let staff = Gate::new(Limits::default(), self.unseen.clone(), descriptors);
        tokio::spawn(listen::serve(
            private,
            service,
            self.admin_drain.clone(),
            staff,
        ));
        let gate = Gate::new(
            self.edge.limits.clone(),
            self.edge.metrics.connections.clone(),
            descriptors,
        );
        let _ = gate.edge.set(self.edge.clone());

        let plain = http.into_iter().map(|bound| Endpoint { bound, tls: None });
        let secure = https.into_iter().map(|bound| Endpoint {
            bound,
            tls: Some(self.acceptor.clone()),
        });
        for endpoint in plain.chain(secure) {
            let drain = self.edge.drain.clone();
            // Counted in, so that no connection is let in after the drain has found nothing under way.
            self.edge.drain.spawn(listen::serve(
                endpoint,
                self.proxy.clone(),
                drain,
                gate.clone(),
            ));
        }
        listening.store(true, Ordering::Release);
        self.tell_where(&http_addresses, &https_addresses, &admin_address)?;
        info!(http = ?http_addresses, https = ?https_addresses, admin = %admin_address, "listening");
        Ok(())
    }

    fn tell_where(
        &self,
        http: &[SocketAddr],
        https: &[SocketAddr],
        admin: &SocketAddr,
    ) -> Result<()> {
        if let Some(path) = &self.settings.pid_file {
            fs::write(path, format!("{}\n", std::process::id()))
                .with_context(|| format!("pid file {}", path.display()))?;
        }
        match &self.settings.ports_file {
            Some(path) => listen::write_ports_file(path, http, https, admin),
            None => Ok(()),
        }
    }

    /// The sockets, for a successor.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Looks at files again: the policy, certificates, GeoIP data, the access log.
    pub fn reload(&self) {
        if let Some(writer) = &self.access_log {
            writer.reopen();
        }
        // One waiting look is enough.
        let _ = self.nudge.try_send(());
        self.membership.reload();
    }

    /// Accepts nothing more from now on.
    pub fn begin_drain(&mut self, heir: Heir) {
        info!(time_max = ?self.settings.drain_timeout, heir = heir.as_str(), "draining");
        self.handles = Handles::default();
        if heir == Heir::Successor {
            self.admin_drain.begin();
        } else if let Some(path) = &self.settings.pid_file {
            // A file that is left behind does no harm.
            let _ = fs::remove_file(path);
        }
        self.edge.drain.begin();
    }

    /// Serves what is under way to its end, or for as long as the settings allow; then leaves the fleet.
    pub async fn drain(&self) {
        let drain = self.edge.drain.clone();
        let closing = async {
            drain.idle_closes().await;
            self.proxy.http_cleanup().await;
            std::future::pending::<()>().await;
        };
        let drained = tokio::select! {
            drained = drain.finish(self.settings.drain_timeout) => drained,
            () = closing => return,
        };
        match drained {
            Drained::Clean => info!("drained"),
            Drained::TimedOut(left) => {
                warn!(left, "the drain's time is over; what was left is cut off");
            }
        }
    }

    /// Leaves the fleet and writes the last records. To be called when nothing is served any more.
    pub async fn end(self) {
        tokio::join!(self.membership.end(), disk::end(self.edge.cache));
        if let Some(writer) = self.access_log {
            writer.finish();
        }
    }
}

fn open_access_log(
    path: Option<&Path>,
    metrics: &Metrics,
) -> Result<(AccessLog, Option<AccessLogWriter>)> {
    let dropped = metrics.access_log_dropped.clone();
    let Some(path) = path else {
        return Ok((AccessLog::off(dropped), None));
    };
    let (log, writer) = AccessLog::open(path, dropped)
        .with_context(|| format!("can't open the access log {}", path.display()))?;
    Ok((log, Some(writer)))
}

fn proxy(settings: &Settings, edge: Arc<Edge>) -> Proxy {
    let conf = ServerConf {
        threads: settings.threads,
        upstream_keepalive_pool_size: IDLE_ORIGIN_CONNECTIONS_MAX,
        // Pingora's own bound is above ours, which the policy says.
        max_retries: crate::phases::steer::ATTEMPTS_MAX,
        ..ServerConf::default()
    };
    http_proxy(&Arc::new(conf), Gateway::new(edge))
}
