//! What a client notices while others attack the edge: `make bench`.
//!
//! Each limit is attacked in turn. In each round the second client is alone, then others come and behave, then they come
//! as often, by the same door, and attack, and each time the 99th percentile of its requests is taken. Whatever else this
//! machine does in a round only adds to it: so the lower quartile of the rounds counts. That under attack divided by that
//! beside those who behave is what the attack costs beyond the visit. What it costs this machine is not what it costs the
//! edge:
//! - The edge has one half of the cores, everybody else the other, where attackers are behind everything else; the edge
//!   and the second client are before all that this machine does besides (root only).
//! - Attackers keep to a pace that `attacker.rs` states.
//! - All cores are kept awake all the time: an attack that wakes them would make the second client faster.
//!
//! Ends with 1 when an attack makes the second client more than twice as slow as the visit does, did not meet its limit, or
//! met it less than half as often as attackers do that keep their pace. Names after the program's choose among the attacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a measuring program

mod attacker;
mod fetches;
mod kinds;
mod stand;
mod unsent;
mod visitor;

use attacker::{Role, Target, play, spin_for_ever};
use kinds::{KINDS, Kind};
use latencify_tests::{Authority, Edge, client_of};
use stand::{Behind, Half, Helper, edge, move_to, put_first, trust_file};
use std::{process::ExitCode, time::Duration};
use tokio::time::sleep;
use visitor::Visitor;

const WINDOW: Duration = Duration::from_millis(750);
/// What begins or ends is not what is measured. Times that are attacked are shorter than this and a window.
const SETTLING: Duration = Duration::from_millis(400);
/// The lower quartile is one of them.
const ROUNDS: usize = 7;
const RATIO_MAX: f64 = 2.0;

/// What came of an attack.
struct Outcome {
    /// The 99th percentile of the second client while there is nobody else.
    alone: Duration,
    /// While others come as often, and behave.
    behaved: Duration,
    /// While they attack.
    attacked: Duration,
    /// The second in the third: what counts.
    ratio: f64,
    /// How often the limit was met, by the edge's own count.
    refusals: f64,
    /// How often attackers meet it that keep their pace.
    refusals_at_pace: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--origin"] => {
            stand::serve_for_ever().await;
            ExitCode::FAILURE
        }
        ["--spin"] => spin_for_ever(),
        [role @ ("--attack" | "--behave"), name, http, https, trust] => {
            let role = match *role {
                "--attack" => Role::Attacks,
                _ => Role::Behaves,
            };
            let kind = KINDS.iter().find(|kind| kind.name == *name).unwrap();
            let target = Target {
                http: http.parse().unwrap(),
                https: https.parse().unwrap(),
                trust: client_of(&std::fs::read_to_string(trust).unwrap(), &[b"h2"]),
            };
            play(role, &kind.act, target).await;
            ExitCode::FAILURE
        }
        names => run(names).await,
    }
}

async fn run(names: &[&str]) -> ExitCode {
    for name in names {
        assert!(
            KINDS.iter().any(|kind| kind.name == *name),
            "there is no attack {name}"
        );
    }
    // The helpers inherit it.
    move_to(std::process::id(), Half::Others);
    if !put_first(std::process::id()) {
        println!("not root: whoever else works on this machine is measured, too");
    }
    let _awake = Helper::keep_awake();
    let behind = Behind::start();
    let authority = Authority::new();
    println!(
        "{:18} {:30} {:>9} {:>9} {:>9} {:>5} {:>9}  verdict",
        "attack", "limit", "p99 alone", "behaved", "attacked", "ratio", "refusals"
    );
    let mut failed = Vec::new();
    for kind in KINDS {
        if !names.is_empty() && !names.contains(&kind.name) {
            continue;
        }
        let outcome = measure(kind, &edge(kind, &behind, &authority).await).await;
        let Outcome {
            alone,
            behaved,
            attacked,
            ratio,
            refusals,
            ..
        } = outcome;
        let verdict = outcome.verdict();
        println!(
            "{:18} {:30} {:>9} {:>9} {:>9} {ratio:>5.2} {refusals:>9}  {}",
            kind.name,
            kind.limit,
            milliseconds(alone),
            milliseconds(behaved),
            milliseconds(attacked),
            verdict.unwrap_or("good")
        );
        failed.extend(verdict.map(|verdict| format!("{} ({verdict})", kind.name)));
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("not good: {}", failed.join(", "));
    ExitCode::FAILURE
}

async fn measure(kind: &Kind, edge: &Edge) -> Outcome {
    let (http, https) = (edge.http().to_string(), edge.https().to_string());
    let trust = trust_file(edge);
    let words = |role| [role, kind.name, &http, &https, trust.to_str().unwrap()];
    let [mut alone, mut behaved, mut attacked] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let mut visitor = if kind.leaves_no_place() {
            Visitor::kept(edge).await
        } else {
            Visitor::new()
        };
        let mut p99 = async || {
            sleep(SETTLING).await;
            visitor.p99(edge, WINDOW).await
        };
        alone.push(p99().await);
        let helper = Helper::start(&words("--behave"));
        let before = p99().await;
        drop(helper);
        let helper = Helper::start(&words("--attack"));
        let under = p99().await;
        drop(helper);
        behaved.push(before);
        attacked.push(under);
    }
    let (behaved, attacked) = (lower_quartile(behaved), lower_quartile(attacked));
    Outcome {
        alone: lower_quartile(alone),
        behaved,
        attacked,
        ratio: attacked.as_secs_f64() / behaved.as_secs_f64(),
        refusals: edge.metric(&kind.counter.to_string()).await,
        refusals_at_pace: kind.act.refusals_in(SETTLING + WINDOW) * ROUNDS as f64,
    }
}

impl Outcome {
    /// What is wrong with it, if anything is.
    fn verdict(&self) -> Option<&'static str> {
        if self.refusals < 1.0 {
            Some("limit not met")
        } else if self.refusals < self.refusals_at_pace / 2.0 {
            Some("attackers starved")
        } else if self.ratio > RATIO_MAX {
            Some("too slow")
        } else {
            None
        }
    }
}

fn lower_quartile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 4]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
