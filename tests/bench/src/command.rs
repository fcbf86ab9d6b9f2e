//! What each command does.

use crate::{
    load,
    machine::{self, Machine},
    output,
    peers::{self, Peer},
    purge, round, server,
    settings::{Command, Settings},
    table::{self, Outcome},
    verdict,
    works::Work,
};
use anyhow::{Context as _, bail, ensure};
use latencify_tests::repository;
use std::{fs, process::ExitCode};

/// Does it.
pub fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(settings) => run(&settings),
        Command::Load { plan } => load::run(&plan).map(|()| ExitCode::SUCCESS),
        Command::Origin {
            listen,
            sink,
            records,
        } => server::origin(listen, sink, records).map(|()| ExitCode::SUCCESS),
        Command::Limit { listen, bytes } => {
            server::limit(listen, bytes).map(|()| ExitCode::SUCCESS)
        }
    }
}

fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    must_be_possible(settings)?;
    let mut outcome = Outcome {
        machine: Machine::read(),
        settings,
        versions: versions(settings)?,
        results: Vec::new(),
        purges: None,
        undone: Vec::new(),
        verdicts: Vec::new(),
    };
    for work in settings.works() {
        output::note(&format!("{work}: {}", work.title()));
        match measure(work, settings, &mut outcome) {
            Ok(()) => {}
            Err(error) => {
                output::warn(&format!("{work}: {error:#}"));
                let reason = format!("{work}: {error:#}");
                outcome
                    .undone
                    .push(reason.lines().next().unwrap_or_default().to_owned());
                outcome.verdicts.push(verdict::of_nothing(work));
            }
        }
    }
    write(&outcome)
}

fn measure(work: Work, settings: &Settings, outcome: &mut Outcome<'_>) -> anyhow::Result<()> {
    if work == Work::Purge {
        let purges = purge::run(settings)?;
        outcome.verdicts.push(verdict::of_purges(&purges));
        outcome.purges = Some(purges);
        return Ok(());
    }
    let closed = outcome
        .results
        .iter()
        .find(|results| results.work == Work::Hit1k);
    let nginx = closed.and_then(|results| results.median(Peer::Nginx, |sample| sample.rate));
    let results = round::run(work, settings, nginx)?;
    outcome.verdicts.push(verdict::of_results(&results));
    outcome.results.push(results);
    Ok(())
}

fn write(outcome: &Outcome<'_>) -> anyhow::Result<ExitCode> {
    let markdown = outcome.markdown();
    output::say(&markdown);
    let whole = || repository().join("tests/bench/results/peers.md");
    let file = outcome.settings.out.clone();
    let file = file.or_else(|| outcome.settings.is_whole().then(whole));
    if let Some(file) = file {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&file, &markdown).with_context(|| file.display().to_string())?;
        output::note(&format!("written to {}", file.display()));
    }
    let (is_missed, lines) = table::told(&outcome.verdicts);
    for line in lines {
        output::warn(&line);
    }
    Ok(ExitCode::from(u8::from(is_missed)))
}

/// Names everything that is missing at once.
fn must_be_possible(settings: &Settings) -> anyhow::Result<()> {
    let peers = settings.peers();
    let works = settings.works();
    let mut programs: Vec<_> = peers
        .iter()
        .flat_map(|peer| peer.programs())
        .copied()
        .collect();
    programs.extend(["setpriv", "taskset"]);
    if works.contains(&Work::H2) {
        programs.extend(["curl", "h2load"]);
    }
    programs.retain(|program| peers::find(program).is_none());
    if !programs.is_empty() {
        bail!(
            "missing: {}. deploy/setup bench installs them; --peers and --works leave them out",
            programs.join(", ")
        );
    }
    let cores = std::thread::available_parallelism()?.get() as u32;
    ensure!(
        settings.proxy_core != settings.load_core
            && settings.proxy_core.max(settings.load_core) < cores,
        "two cores of {cores} are wanted, one for the proxy and one for the load: --proxy-core, --load-core"
    );
    ensure!(
        !machine::is_real_time(),
        "a real-time scheduler runs this: the kernel throttles who spins there, and one that spins for a lock shuts its holder out; \
         run it under the ordinary one (without `chrt -f` or `-r`)"
    );
    peers::gateway(settings).map(drop)
}

fn versions(settings: &Settings) -> anyhow::Result<Vec<(Peer, String)>> {
    let ours = peers::gateway(settings)?.display().to_string();
    let version = |peer: Peer| {
        let program = match peer {
            Peer::Limit => {
                return "a loop over tokio that reads, and writes a fixed buffer".to_owned();
            }
            Peer::Latencify => ours.clone(),
            peer => {
                let name = peer.programs().first().copied().unwrap_or_default();
                peers::find(name).map_or_else(|| name.to_owned(), |path| path.display().to_string())
            }
        };
        machine::version(&program, peer.version_flag())
    };
    Ok(settings
        .peers()
        .into_iter()
        .map(|peer| (peer, version(peer)))
        .collect())
}
