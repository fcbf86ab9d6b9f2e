//! The program: build → run → drain.

use crate::{
    admin::Admin,
    cache::{MemoryStorage, Options},
    drain::{Drain, Drained},
    edge::{Edge, Parts},
    listen::{self, Endpoint, tls::Acceptor},
    membership::Membership,
    observe::{AccessLog, AccessLogWriter, Metrics},
    origin::Network,
    policy::watch,
    proxy::Gateway,
    settings::{LogForm, Settings},
};
use anyhow::{Context as _, Result, anyhow};
use latencify_cache::Marks;
use latencify_geoip::GeoIp;
use pingora::{
    apps::{HttpServerApp as _, HttpServerOptions},
    proxy::{HttpProxy, http_proxy},
    server::configuration::ServerConf,
};
use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// An HTTP/2 connection without streams is closed after this time.
const H2_IDLE_MAX: Duration = Duration::from_mins(3);
/// Requests on one HTTP/1.1 connection, so that connections spread out again after a deploy.
const KEEPALIVE_REQUESTS_MAX: u32 = 10_000;
/// Connections to origins that are kept for the next request.
const IDLE_ORIGIN_CONNECTIONS_MAX: usize = 1_024;
/// A fetch without a response's head for so long is no longer waited for by others.
const FILL_LOCK_AGE: Duration = Duration::from_mins(1);
/// After a drain that ran out of time, tasks get so long to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

type Proxy = HttpProxy<Gateway>;

/// Runs an edge until it is told to stop. An error means that it could not start.
pub fn run(settings: Settings) -> Result<()> {
    // Two crates below could each bring a TLS provider; the choice is made here, before either is asked.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return Err(anyhow!("a TLS provider was installed before main"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .thread_name("edge")
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let ended = runtime.block_on(live(settings));
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    ended
}

/// Sends the program's own log to standard error. `RUST_LOG` chooses what is told.
pub fn set_up_logging(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match form {
        LogForm::Text => builder.with_target(false).init(),
        LogForm::Json => builder.json().init(),
    }
}

async fn live(settings: Settings) -> Result<()> {
    let mut signals = Signals::new()?;
    let metrics = Metrics::new().context("metrics")?;
    count_panics(&metrics);
    let (access_log, writer) = open_access_log(&settings, &metrics)?;
    let drain = Drain::new();
    let marks = Marks::new();
    let cache = MemoryStorage::open(
        Options {
            bytes_max: settings.cache_memory_bytes,
            fill_lock_age: FILL_LOCK_AGE,
        },
        marks.clone(),
    );
    let edge = Edge::new(Parts {
        name: settings.name.clone(),
        cache,
        certificate_folder: settings.cert_dir.clone(),
        places: GeoIp::open(&settings.geoip).context("GeoIP")?,
        place_files: settings.geoip.clone(),
        network: Network::new(settings.dns),
        metrics,
        access_log,
        drain: drain.clone(),
    });
    let mut membership = Membership::begin(&settings, &edge, &marks).await?;
    let (nudge, nudges) = mpsc::channel(1);
    tokio::spawn(watch(edge.clone(), membership.take_files(), nudges));

    let proxy = Arc::new(proxy(&settings, edge.clone()));
    listen_everywhere(&settings, &edge, &proxy)?;

    while let Told::Reload = signals.next().await {
        info!("SIGHUP: looking at files again");
        if let Some(writer) = &writer {
            writer.reopen();
        }
        // One waiting look is enough.
        let _ = nudge.try_send(());
        membership.reload();
    }
    info!(time_max = ?settings.drain_timeout, "draining");
    drain.begin();
    proxy.http_cleanup().await;
    match drain.finish(settings.drain_timeout).await {
        Drained::Clean => info!("drained"),
        Drained::TimedOut(left) => warn!(left, "the drain's time is over; what is left is cut off"),
    }
    membership.end().await;
    if let Some(writer) = writer {
        writer.finish();
    }
    Ok(())
}

fn open_access_log(
    settings: &Settings,
    metrics: &Metrics,
) -> Result<(AccessLog, Option<AccessLogWriter>)> {
    let dropped = metrics.access_log_dropped.clone();
    let Some(path) = &settings.access_log else {
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
    let mut proxy = http_proxy(&Arc::new(conf), Gateway::new(edge));
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(H2_IDLE_MAX);
    options.keepalive_request_limit = Some(KEEPALIVE_REQUESTS_MAX);
    proxy.server_options = Some(options);
    proxy
}

fn listen_everywhere(settings: &Settings, edge: &Arc<Edge>, proxy: &Arc<Proxy>) -> Result<()> {
    let listening = Arc::new(AtomicBool::new(false));
    let drain = edge.drain.clone();
    if let Some(warning) = settings.open_admin() {
        warn!("{warning}");
    }
    let admin = listen::bind(settings.admin).context("admin")?;
    let admin_address = admin.address;
    let service = Arc::new(Admin::new(edge.clone(), listening.clone()));
    // The admin address answers to the end: it is not part of what drains.
    tokio::spawn(listen::serve(
        Endpoint {
            bound: admin,
            tls: None,
        },
        service,
        Drain::new(),
    ));

    let bind_all = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .copied()
            .map(listen::bind)
            .collect::<Result<Vec<_>>>()
    };
    let (http, https) = (bind_all(&settings.http)?, bind_all(&settings.https)?);
    let addresses =
        |bound: &[listen::Bound]| bound.iter().map(|bound| bound.address).collect::<Vec<_>>();
    let (http_addresses, https_addresses) = (addresses(&http), addresses(&https));
    let acceptor = Arc::new(Acceptor::new(edge.certificate_source())?);
    let plain = http.into_iter().map(|bound| Endpoint { bound, tls: None });
    let secure = https.into_iter().map(|bound| Endpoint {
        bound,
        tls: Some(acceptor.clone()),
    });
    for endpoint in plain.chain(secure) {
        tokio::spawn(listen::serve(endpoint, proxy.clone(), drain.clone()));
    }
    listening.store(true, Ordering::Release);
    if let Some(path) = &settings.ports_file {
        listen::write_ports_file(path, &http_addresses, &https_addresses, &admin_address)?;
    }
    info!(http = ?http_addresses, https = ?https_addresses, admin = %admin_address, "listening");
    Ok(())
}

/// A panic ends the task of one request or connection; here it is told and counted.
fn count_panics(metrics: &Arc<Metrics>) {
    let panics = metrics.panics.clone();
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        error!(%panic, backtrace = %std::backtrace::Backtrace::capture(), "panic");
    }));
}

enum Told {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
