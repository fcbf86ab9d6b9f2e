//! `latencify-control`: settings → build → run → drain.

use anyhow::Context as _;
use latencify_control::{
    migrate, output,
    presence::Lost,
    run,
    settings::{Invocation, LogForm, MigrateLog, Settings},
};
use std::{io::IsTerminal as _, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The exit status of a run that was replaced or taken out, or whose log goes on elsewhere: service managers shall not start
/// it again. The unit names it.
const LOST: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Invocation::read(std::env::args_os()) {
        Ok(Invocation::Serve(settings)) => serve(settings).await,
        Ok(Invocation::MigrateLog(settings)) => migrate_log(&settings).await,
        Err(error) => error.exit(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            if error.is::<Lost>() {
                ExitCode::from(LOST)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn migrate_log(settings: &MigrateLog) -> anyhow::Result<()> {
    tell(LogForm::Text);
    let progress = output::Progress::default();
    let done = migrate::run(&settings.order(), &progress).await;
    progress.end();
    output::moved(&done?).context("telling how it went on standard output")
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    tell(settings.log);
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;

    let started = run::start_unless(&settings, interrupted(&mut terminate));
    let Some(running) = started.await? else {
        return Ok(());
    };
    running.tell_tokens()?;
    tracing::info!(api = %running.api, fleet = %running.fleet, admin = %running.admin, "control serves");
    let lost = tokio::select! {
        () = interrupted(&mut terminate) => None,
        why = running.lost() => Some(why),
    };
    tracing::info!("control stops: what is under way is finished");
    running.stop().await;
    lost.map_or(Ok(()), |lost| Err(lost.into()))
}

async fn interrupted(terminate: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn tell(form: LogForm) {
    let filter = EnvFilter::try_from_env("RUST_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,librdkafka=warn,rdkafka=warn"));
    let ansi = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi);
    match form {
        LogForm::Text => log.init(),
        LogForm::Json => log.json().init(),
    }
}
