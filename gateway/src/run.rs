//! The program: build → run → drain.

use crate::{
    fleet::enroll::Enroll,
    observe::{JsonWithProcess, Metrics, TimeAndProcess},
    service::{Heir, Service},
    settings::{LogForm, Settings},
    signals::{Signals, Told},
    systemd::ServiceManager,
    upgrade::{Program, TakeOver, Upgrade},
};
use anyhow::{Context as _, Result, anyhow};
use futures::future::BoxFuture;
use std::{io::IsTerminal as _, sync::Arc, time::Duration};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// What is told where `RUST_LOG` says nothing. Of h2 no warnings: it has one for each frame that a client should not have
/// sent, so that one client could fill the disk. Such frames are counted, and end the connection (`listen::http2`).
const LOG_USUAL: &str = "info,h2=error";
/// After a drain that ran out of time, tasks get so long to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// An upgrade that has begun.
struct UnderWay {
    /// The process that shall take over.
    pid: u32,
    /// When it has, its process id; else why not. Dropping this ends that process.
    end: BoxFuture<'static, Result<u32, String>>,
}

/// Runs an edge until it is told to stop. An error means that it could not start.
pub fn run(settings: Settings) -> Result<()> {
    choose_tls()?;
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

/// Gets an edge its certificate.
pub fn enroll(enroll: Enroll) -> Result<()> {
    set_up_logging(LogForm::Text);
    choose_tls()?;
    enroll.run()
}

/// Two crates below could each bring a TLS provider; the choice is made here, before either is asked.
fn choose_tls() -> Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a TLS provider was installed before main"))
}

/// Sends the program's own log to standard error. `RUST_LOG` chooses what is told.
pub fn set_up_logging(form: LogForm) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_USUAL));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match form {
        LogForm::Text => builder.with_timer(TimeAndProcess).with_target(false).init(),
        LogForm::Json => builder
            .json()
            .event_format(JsonWithProcess::default())
            .init(),
    }
}

async fn live(settings: Settings) -> Result<()> {
    let mut signals = Signals::new()?;
    let program = Program::of_this_process().context("the path of this program")?;
    let manager = ServiceManager::from_environment();
    let mut service = start(settings).await?;
    manager.ready();
    if let Some(interval) = manager.watchdog_interval() {
        tokio::spawn(stay_alive(ServiceManager::from_environment(), interval));
    }

    let heir = serve(&service, &mut signals, &program, &manager).await;
    if heir == Heir::None {
        manager.stopping();
    }
    service.begin_drain(heir);
    tokio::select! {
        () = service.drain() => {}
        () = refuse(&mut signals) => {}
    }
    service.end().await;
    Ok(())
}

/// Builds it and accepts: at once, or when the process that it takes over from lets it.
async fn start(settings: Settings) -> Result<Service> {
    let metrics = Metrics::new().context("metrics")?;
    count_panics(&metrics);
    let (take_over, kept) = match TakeOver::begin()? {
        Some((take_over, kept)) => (Some(take_over), kept),
        None => (None, crate::listen::Kept::from_supervisor()?),
    };
    let Some(take_over) = take_over else {
        let mut service = Service::build(settings, kept, metrics).await?;
        service.accept()?;
        return Ok(service);
    };
    take_over_from(take_over, Service::build(settings, kept, metrics)).await
}

async fn take_over_from(
    mut take_over: TakeOver,
    built: impl Future<Output = Result<Service>>,
) -> Result<Service> {
    let mut service = match built.await {
        Ok(service) => service,
        Err(error) => {
            take_over.failed(&format!("{error:#}")).await;
            return Err(error);
        }
    };
    let could_serve = tokio::select! {
        could_serve = service.could_serve() => could_serve,
        () = take_over.is_gone() => Err(anyhow!("the predecessor ended before this process was ready")),
    };
    // Whoever does not serve leaves the fleet again.
    if let Err(error) = could_serve {
        take_over.failed(&format!("{error:#}")).await;
        service.end().await;
        return Err(error);
    }
    if let Err(error) = take_over.ready().await {
        service.end().await;
        return Err(error);
    }
    if let Err(error) = service.accept() {
        error!("serving all the same: {error:#}");
    }
    take_over.serving().await;
    Ok(service)
}

/// Until it is told to stop, or another process has taken over.
async fn serve(
    service: &Service,
    signals: &mut Signals,
    program: &Program,
    manager: &ServiceManager,
) -> Heir {
    let mut upgrade: Option<UnderWay> = None;
    loop {
        let taken_over = async {
            match &mut upgrade {
                Some(upgrade) => (&mut upgrade.end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            told = signals.next() => match told {
                Told::Stop => return Heir::None,
                Told::Reload => {
                    info!("SIGHUP: looking at files again");
                    manager.reloading();
                    service.reload();
                    manager.ready();
                }
                Told::Upgrade => {
                    if upgrade.is_none() {
                        upgrade = begin_upgrade(program, service);
                    } else if let Some(UnderWay { pid, .. }) = upgrade {
                        warn!(pid, "SIGUSR2 refused: an upgrade is under way; this process waits for that one");
                    }
                }
            },
            taken_over = taken_over => {
                upgrade = None;
                match taken_over {
                    Ok(pid) => {
                        manager.main_process(pid);
                        info!(pid, "handed over");
                        return Heir::Successor;
                    }
                    Err(why) => error!(%why, "the upgrade failed; this process goes on"),
                }
            }
        }
    }
}

/// None: it could not begin, and it was told why.
fn begin_upgrade(program: &Program, service: &Service) -> Option<UnderWay> {
    if std::process::id() == 1 {
        warn!(
            "SIGUSR2 refused: this is process 1 (of a container), which ends with all in it when this process hands over; \
             replace the container instead"
        );
        return None;
    }
    info!("SIGUSR2: starting the process that takes over");
    let begun = Upgrade::begin(program, service.handles());
    begun
        .inspect_err(|why| error!(%why, "the upgrade failed; this process goes on"))
        .ok()
        .map(|upgrade| UnderWay {
            pid: upgrade.pid,
            end: Box::pin(upgrade.finish()),
        })
}

/// While it drains nothing else is done; never ends.
async fn refuse(signals: &mut Signals) {
    loop {
        match signals.next().await {
            Told::Upgrade => warn!("SIGUSR2 refused: this process drains"),
            told @ (Told::Stop | Told::Reload) => info!(?told, "this process drains already"),
        }
    }
}

async fn stay_alive(manager: ServiceManager, interval: Duration) {
    let mut beats = tokio::time::interval(interval);
    loop {
        beats.tick().await;
        manager.alive();
    }
}

/// A panic ends the task of one request or connection; here it is told and counted.
fn count_panics(metrics: &Arc<Metrics>) {
    let panics = metrics.panics.clone();
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        error!(%panic, backtrace = %std::backtrace::Backtrace::capture(), "panic");
    }));
}
