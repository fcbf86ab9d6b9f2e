//! One work: all peers started, each verified, then round by round.

mod check;

use crate::{
    ground::{Ground, myself},
    h2load,
    load::{Pace, Plan, Report},
    machine, output,
    peers::{Peer, Running},
    process,
    sample::{Results, Sample, median},
    settings::Settings,
    works::{Origin, Paths, Work},
};
use anyhow::{Context as _, ensure};

/// So long before each round's measuring.
const WARM_MS: u64 = 300;
/// The part of nginx's maximum at which the open loop asks.
const OPEN_SHARE: f64 = 0.7;
/// Rounds of nginx alone that find its maximum, if it was not measured.
const CALIBRATION_ROUNDS: u32 = 3;
/// What an object of 1 KiB takes at most in all peers together, tmpfs included.
const MEMORY_KIB_PER_OBJECT: u64 = 14;

/// Does the work. The rate is nginx's maximum, if it is known.
pub fn run(work: Work, settings: &Settings, nginx_rate: Option<f64>) -> anyhow::Result<Results> {
    if work == Work::Zipf {
        let wanted = (u64::from(settings.objects) * MEMORY_KIB_PER_OBJECT) >> 10;
        let there = machine::available_mib();
        ensure!(
            there >= wanted,
            "{} objects take {wanted} MiB in all peers together; {there} are free",
            settings.objects
        );
    }
    let ground = Ground::new(settings.load_core)?;
    let mut peers = Vec::new();
    for peer in settings
        .peers()
        .into_iter()
        .filter(|&peer| work.is_for(peer))
    {
        peers.push(Running::start(peer, &ground, work, settings)?);
    }
    let mut bench = Bench {
        work,
        settings,
        ground,
        pace: Pace::Closed,
        results: Results {
            work,
            rounds: peers
                .iter()
                .map(|running| (running.peer, Vec::new()))
                .collect(),
            failures: Vec::new(),
            notes: Vec::new(),
        },
    };
    for running in &mut peers {
        output::note(&format!("  {} is verified", running.peer));
        bench
            .verify(running)
            .with_context(|| format!("{}: {work}", running.peer))?;
    }
    if work == Work::Open {
        bench.find_pace(&mut peers, nginx_rate)?;
    }
    bench.rounds(&mut peers);
    Ok(bench.results)
}

/// A work that is being done.
struct Bench<'a> {
    work: Work,
    settings: &'a Settings,
    ground: Ground,
    pace: Pace,
    results: Results,
}

impl Bench<'_> {
    fn plan(&self, running: &Running, paths: Paths, pace: Pace) -> Plan {
        Plan {
            target: running.http(),
            connections: self.work.connections(),
            paths,
            bytes: self.work.bytes(),
            pace,
            warm_ms: WARM_MS,
            measured_ms: u64::from(self.settings.seconds) * 1_000,
        }
    }

    /// Another process of this program asks, on the load's core.
    fn load(&self, plan: &Plan) -> anyhow::Result<Report> {
        let words = myself(["load".to_owned(), serde_json::to_string(plan)?])?;
        let output = process::pinned(self.settings.load_core, &words).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{}",
            said.trim().trim_start_matches("bench: ")
        );
        serde_json::from_slice(&output.stdout).context("the report of the load")
    }

    /// The rate of the open loop, from nginx's maximum.
    fn find_pace(&mut self, peers: &mut [Running], known: Option<f64>) -> anyhow::Result<()> {
        let maximum = if let Some(rate) = known {
            rate
        } else {
            self.maximum_of_nginx(peers)?
        };
        let rate = maximum * OPEN_SHARE;
        self.pace = Pace::Open(rate);
        self.results.notes.push(format!(
            "{rate:.0} requests/s are due, whether or not they are answered"
        ));
        Ok(())
    }

    fn maximum_of_nginx(&self, peers: &[Running]) -> anyhow::Result<f64> {
        let nginx = peers.iter().find(|running| running.peer == Peer::Nginx);
        let nginx = nginx.context("the open loop asks at a rate of nginx: let it take part")?;
        let mut rates = Vec::new();
        for _ in 0..CALIBRATION_ROUNDS {
            let paths = self.work.paths(0, self.settings.objects);
            rates.push(self.load(&self.plan(nginx, paths, Pace::Closed))?.rate());
        }
        median(rates).context("nginx's maximum")
    }

    /// Around all peers, each time beginning with another.
    fn rounds(&mut self, peers: &mut [Running]) {
        let count = peers.len();
        let mut recorded = vec![0; count];
        for round in 0..self.settings.rounds as usize {
            for step in 0..count {
                let index = (round + step) % count;
                let (Some(running), Some(recorded)) =
                    (peers.get_mut(index), recorded.get_mut(index))
                else {
                    continue;
                };
                let outcome = self.round(running, round);
                *recorded += running.empty_log();
                self.keep(running.peer, round, outcome);
            }
        }
        for (running, recorded) in peers.iter().zip(recorded) {
            if running.has_log() && recorded == 0 {
                self.without_records(running.peer);
            }
        }
    }

    fn keep(&mut self, peer: Peer, round: usize, outcome: anyhow::Result<Sample>) {
        let found = self.results.rounds.iter_mut().find(|(of, _)| *of == peer);
        let sample = match outcome {
            Ok(sample) => {
                output::note(&format!(
                    "  {peer:13} round {}: {:>8.0} requests/s, p50 {:.0} µs, p99 {:.0} µs",
                    round + 1,
                    sample.rate,
                    sample.p50_us,
                    sample.p99_us
                ));
                Some(sample)
            }
            Err(error) => {
                let failure = format!("{peer} round {}: {error:#}", round + 1);
                output::warn(&failure);
                self.results.failures.push(failure);
                None
            }
        };
        if let Some((_, rounds)) = found {
            rounds.push(sample);
        }
    }

    /// A peer that leaves no record has less to do than the others: nothing that it did counts.
    fn without_records(&mut self, peer: Peer) {
        for (of, rounds) in &mut self.results.rounds {
            if *of == peer {
                rounds.fill(None);
            }
        }
        self.results.failures.push(format!(
            "{peer} round 1 to {}: its access log is empty",
            self.settings.rounds
        ));
    }

    fn round(&mut self, running: &mut Running, round: usize) -> anyhow::Result<Sample> {
        running.must_run()?;
        let heard = self.ground.heard()?;
        let cpu = running.cpu_seconds();
        let report = if self.work == Work::H2 {
            self.h2load(running)?
        } else {
            let paths = self.work.paths(round, self.settings.objects);
            self.load(&self.plan(running, paths, self.pace))?
        };
        let cpu = running.cpu_seconds() - cpu;
        ensure!(report.measured > 0, "nothing was answered");
        let heard = self.ground.heard_at_last()? - heard;
        if running.peer != Peer::Limit {
            self.must_have_heard(heard, report.all)?;
            if heard > 0 && self.work.origin() == Origin::NearlySilent {
                let note = format!(
                    "{} round {}: the origin heard {heard} of {} requests",
                    running.peer,
                    round + 1,
                    report.all
                );
                self.results.notes.push(note);
            }
        }
        if self.work == Work::Miss {
            self.must_have_stored(running, round, report.all)?;
        }
        running.must_run()?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Ok(Sample {
            rate: report.rate(),
            p50_us: report.p50_us,
            p99_us: report.p99_us,
            cpu_s_per_million: cpu * 1e6 / report.all as f64,
            memory_mib: mib(running.memory_bytes()),
            store_mib: mib(running.store_bytes()),
        })
    }

    fn h2load(&self, running: &Running) -> anyhow::Result<Report> {
        let path = format!("/fix/{}/a", self.work.bytes());
        let seen = h2load::run(
            self.settings.load_core,
            running.https_port(),
            &path,
            self.work.bytes(),
            self.settings.seconds,
            self.ground.folder(),
        )?;
        Ok(Report {
            all: seen.requests,
            measured: seen.requests,
            seconds: seen.requests as f64 / seen.rate,
            p50_us: seen.p50_us,
            p99_us: seen.p99_us,
            max_us: seen.p99_us,
        })
    }
}
