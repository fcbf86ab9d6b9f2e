//! The table that people read.

use crate::{
    machine::Machine,
    peers::Peer,
    purge::{self, Instructions},
    sample::{Results, Sample},
    settings::Settings,
    verdict::{Standing, Verdict},
};
use std::fmt::Write as _;

/// Everything that came of a run.
pub struct Outcome<'a> {
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: &'a Settings,
    /// Of each peer, what it calls itself.
    pub versions: Vec<(Peer, String)>,
    /// Work by work.
    pub results: Vec<Results>,
    /// Of the last work.
    pub purges: Option<Instructions>,
    /// Works that could not be done, and why.
    pub undone: Vec<String>,
    /// Work by work.
    pub verdicts: Vec<Verdict>,
}

impl Outcome<'_> {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = "# latencify beside its peers\n\n".to_owned();
        // Writing to a string never fails.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        self.write_ground(text)?;
        writeln!(text, "\n## Floors and goals\n")?;
        writeln!(
            text,
            "| work | found | floor | kept | found | goal | reached |\n|---|---|---|---|---|---|---|"
        )?;
        for verdict in &self.verdicts {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                verdict.work.title(),
                verdict.found,
                verdict.floor,
                verdict.floor_is.text(),
                verdict.found_for_goal,
                verdict.goal,
                verdict.goal_is.text()
            )?;
        }
        for undone in &self.undone {
            writeln!(text, "\nNot measured: {undone}")?;
        }
        for results in &self.results {
            write_results(text, results)?;
        }
        if let Some(purges) = &self.purges {
            write_purges(text, purges)?;
        }
        Ok(())
    }

    fn write_ground(&self, text: &mut String) -> std::fmt::Result {
        let (machine, settings) = (&self.machine, self.settings);
        writeln!(
            text,
            "{} × {}, {} MiB, Linux {}; load average {} when it began. Proxy on core {}, load and origin on core {}.",
            machine.cores,
            machine.model,
            machine.memory_mib,
            machine.kernel,
            machine.load,
            settings.proxy_core,
            settings.load_core
        )?;
        writeln!(
            text,
            "{} rounds of {} s each, interleaved over the peers; the full cache holds {} objects.\n\n\
             Figures are medians over rounds; ratios are medians of the ratios of single rounds. CPU is the peer's own, in seconds for a million \
             requests. Memory is that of its processes, shared pages once; tmpfs is what its cache's files take there, beside it. Access \
             logs are on, and seen to be written.\n",
            settings.rounds, settings.seconds, settings.objects
        )?;
        for (peer, version) in &self.versions {
            writeln!(text, "- {peer}: {version}")?;
        }
        Ok(())
    }
}

fn write_results(text: &mut String, results: &Results) -> std::fmt::Result {
    writeln!(text, "\n## {}\n", results.work.title())?;
    for note in &results.notes {
        writeln!(text, "{note}.\n")?;
    }
    let best = results.best();
    let measured = match results.work.measure() {
        crate::works::Measure::Rate => "rate",
        crate::works::Measure::P99 => "p99",
    };
    writeln!(
        text,
        "| peer | requests/s | {measured} × nginx | {measured} × best peer | p50 µs | p99 µs | CPU s / 1 M | memory MiB | tmpfs MiB | rounds |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for &(peer, ref rounds) in &results.rounds {
        let median = |what: fn(&Sample) -> f64, digits: usize| {
            let value = results.median(peer, what);
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let ratio = |to: Option<Peer>| {
            let value = to.and_then(|to| results.ratio(peer, to));
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
        };
        let is_best = if Some(peer) == best { " (best)" } else { "" };
        writeln!(
            text,
            "| {peer}{is_best} | {} | {} | {} | {} | {} | {} | {} | {} | {} of {} |",
            median(|sample| sample.rate, 0),
            ratio(Some(Peer::Nginx)),
            ratio(best),
            median(|sample| sample.p50_us, 0),
            median(|sample| sample.p99_us, 0),
            median(|sample| sample.cpu_s_per_million, 1),
            median(|sample| sample.memory_mib, 0),
            median(|sample| sample.store_mib, 0),
            results.samples(peer).len(),
            rounds.len(),
        )?;
    }
    for failure in &results.failures {
        writeln!(
            text,
            "\nDoes not count: {}",
            failure.lines().next().unwrap_or_default()
        )?;
    }
    Ok(())
}

fn write_purges(text: &mut String, purges: &Instructions) -> std::fmt::Result {
    writeln!(
        text,
        "\n## purge by tag\n\nInstructions of one purge in the engine (the mark that later look-ups ask), counted by `{}`:\n\n\
         | objects stored | instructions |\n|--:|--:|\n| {} | {:.0} |\n| {} | {:.0} |",
        purges.by.name(),
        purge::FEW,
        purges.few,
        purges.objects,
        purges.many
    )
}

/// Whether any floor is missed, and what is to be told of floors and goals.
pub fn told(verdicts: &[Verdict]) -> (bool, Vec<String>) {
    let mut lines = Vec::new();
    for verdict in verdicts {
        if verdict.floor_is != Standing::Kept {
            lines.push(format!(
                "floor of {} {}: {}, demanded {}",
                verdict.work,
                because(verdict.floor_is),
                verdict.found,
                verdict.floor
            ));
        }
        if verdict.goal_is != Standing::Kept {
            lines.push(format!(
                "goal of {} {}: {}, wanted {}",
                verdict.work,
                because(verdict.goal_is),
                verdict.found_for_goal,
                verdict.goal
            ));
        }
    }
    let is_missed = verdicts
        .iter()
        .any(|verdict| verdict.floor_is != Standing::Kept);
    (is_missed, lines)
}

fn because(standing: Standing) -> &'static str {
    match standing {
        Standing::Kept => "kept",
        Standing::Missed => "missed",
        Standing::Unknown => "not measured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample::tests::results, verdict, works::Work};

    #[test]
    fn a_missed_floor_is_told_and_a_missed_goal_alone_does_not_fail() {
        let measured = |ours: f64| {
            let found = results(
                Work::Hit1k,
                &[
                    (Peer::Nginx, &[Some(100.0)]),
                    (Peer::Haproxy, &[Some(170.0)]),
                    (Peer::Latencify, &[Some(ours)]),
                ],
            );
            told(&[verdict::of_results(&found)])
        };
        let (is_missed, lines) = measured(100.0);
        assert!(is_missed && lines.len() == 2, "{lines:?}");
        let (is_missed, lines) = measured(140.0);
        assert!(
            !is_missed && lines.len() == 1 && lines[0].starts_with("goal of hit-1k missed"),
            "{lines:?}"
        );
        assert_eq!(measured(180.0), (false, Vec::new()));
        assert!(
            told(&[verdict::of_nothing(Work::Zipf)]).0,
            "what was not measured is not kept"
        );
    }

    #[test]
    fn every_peer_has_a_line_of_ratios() {
        let found = results(
            Work::Hit1k,
            &[
                (Peer::Nginx, &[Some(100.0), Some(100.0)]),
                (Peer::Haproxy, &[Some(200.0), None]),
                (Peer::Latencify, &[Some(150.0), Some(150.0)]),
            ],
        );
        let mut text = String::new();
        write_results(&mut text, &found).unwrap();
        assert!(
            text.contains("| haproxy (best) | 200 | 2.00 | 1.00 |"),
            "{text}"
        );
        assert!(text.contains("| latencify | 150 | 1.50 | 0.75 |"), "{text}");
        assert!(text.contains("| 1 of 2 |"), "{text}");
    }
}
