//! Upgrades of a member of a fleet: both processes are members meanwhile, and every purge holds.

use super::{SOON, speech::Line};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Client, Control, Origin, policy::one_route, reply, wait_until};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

const UPGRADES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_gets_ready_ends_with_the_one_that_it_was_to_take_over_from() {
    for signal in ["TERM", "KILL"] {
        let origin = Origin::serve(|_| async { reply::text("ok").done() }).await;
        let mut control = Control::embedded().start().await;
        control.apply(&one_route(&origin.url(), "")).await;
        let [mut paris] = control.edges(["paris"]).await;
        assert_eq!(paris.get("shop.example", "/").await.status, 200);
        // Without control and without a saved policy it waits for one.
        control.kill();
        std::fs::remove_file(paris.folder().join("state/policy.json")).unwrap();
        paris.process().signal("USR2");
        let successor = wait_until("the successor joins the fleet", SOON, async || {
            let joins = |line: &&str| line.contains("joining the fleet");
            let said = paris.process().said();
            let line = said.lines().filter(joins).nth(1);
            line.and_then(pid_of)
                .ok_or_else(|| paris.process().last_words())
        })
        .await;
        assert_eq!(paris.get("shop.example", "/").await.status, 200);
        paris.process().signal(signal);
        wait_until("the successor has ended, too", SOON, async || {
            // Nobody waits for it when its parent is gone; then it is a zombie until process 1 does.
            let state = std::fs::read_to_string(format!("/proc/{successor}/stat"));
            match state {
                Ok(state) if !state.contains(") Z ") => {
                    Err(format!("{signal}: {state}{}", paris.process().last_words()))
                }
                _ => Ok(()),
            }
        })
        .await;
        let ended = paris.process().ended(SOON).await;
        assert_eq!(ended.success(), signal == "TERM", "{signal}: {ended}");
    }
}

/// The process that a line of the log names.
fn pid_of(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once('[')?;
    rest.split_once(']')?.0.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purges_during_upgrades_are_acknowledged_by_all_and_no_old_body_is_served() {
    let version = Arc::new(AtomicU64::new(1));
    let current = version.clone();
    let origin = Origin::serve(move |_| {
        let now = current.load(SeqCst);
        async move { reply::text(now.to_string()).max_age(600).done() }
    })
    .await;
    let control = Control::embedded().start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let [mut paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    // What the last complete receipt promised: nothing older is served to who asks after it, by whichever process.
    let promised = Arc::new(AtomicU64::new(1));
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [paris.http(), paris.http(), paris.http(), tokyo.http()]
        .map(|edge| tokio::spawn(read(edge, promised.clone(), is_over.clone())))
        .into();
    for _ in 0..UPGRADES {
        // A purge is written while one process takes over from another.
        let purges = async {
            for _ in 0..3 {
                let now = 1 + version.fetch_add(1, SeqCst);
                let target = PurgeTarget::Url("http://shop.example/a".to_owned());
                let purge = control.purge(vec![target]).await;
                let receipt = control.receipt(&purge.id).await;
                assert!(receipt.complete, "{receipt:?}");
                promised.store(now, SeqCst);
            }
        };
        futures::join!(purges, paris.upgrade());
        let now = version.load(SeqCst);
        for edge in [&paris, &tokyo] {
            let reply = edge.get("shop.example", "/a").await;
            assert_eq!(
                (reply.status.as_u16(), reply.text()),
                (200, now.to_string().as_str())
            );
        }
    }
    is_over.store(true, SeqCst);
    for reader in readers {
        let answers = reader.await.unwrap();
        assert!(answers > UPGRADES, "only {answers}");
    }
    wait_until("one process is left", SOON, async || {
        match paris.process().predecessors() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?}")),
        }
    })
    .await;
    let target = PurgeTarget::Url("http://shop.example/a".to_owned());
    let purge = control.purge(vec![target]).await;
    let receipt = control.receipt(&purge.id).await;
    assert_eq!(receipt.edges.len(), 2, "{receipt:?}");
}

/// Asks over keepalive connections, which a process that drains serves once more; how many answers came.
async fn read(edge: SocketAddr, promised: Arc<AtomicU64>, is_over: Arc<AtomicBool>) -> usize {
    let (mut answers, mut kept) = (0, None);
    while !is_over.load(SeqCst) {
        let mut line = match kept.take() {
            Some(line) => line,
            None => Line::new(Client::new().tcp(edge).await.unwrap()),
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
        let least = promised.load(SeqCst);
        line.ask("shop.example", "/a").await.unwrap();
        let answer = line.head().await.unwrap();
        let (status, closes) = (answer.status, answer.closes);
        let body = line.body(answer, Duration::ZERO).await.unwrap();
        let version: u64 = String::from_utf8(body).unwrap().parse().unwrap();
        assert!(
            status == 200 && version >= least,
            "{status}: {version} after {least}"
        );
        answers += 1;
        kept = (!closes).then_some(line);
    }
    answers
}
