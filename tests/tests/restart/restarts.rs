//! Restarts with the sockets held by somebody else, as systemd does with a socket unit.

use super::{
    HOST, SMALL, SMALL_BODY, SOON, TIMES, clients, edge, origin, speech::Line,
    was_answered_from_memory,
};
use latencify_tests::{Authority, Client, Edge, wait_until};
use std::time::Duration;

async fn stop(edge: &mut Edge) {
    edge.process().signal("TERM");
    let status = edge.process().ended(SOON).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)] // the figures
async fn no_request_fails_while_the_program_is_restarted() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).managed().start().await;
    let clients = clients(&edge, &authority);
    for _ in 0..TIMES {
        clients.more_answers(2).await;
        stop(&mut edge).await;
        edge.start_again().await;
    }
    // What is asked for again by then has been stored.
    clients.more_answers(6).await;
    let seen = clients.stop().await;
    eprintln!("restarts: {seen:?}");
    assert!(seen.failures.is_empty(), "{seen:#?}");
    assert_eq!(seen.closed_idle, 0, "{seen:#?}");
    was_answered_from_memory(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_the_kernel_while_nobody_runs_is_served() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).managed().start().await;
    stop(&mut edge).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut line = Line::new(Client::new().tcp(edge.http()).await.unwrap());
        line.ask(HOST, SMALL).await.unwrap();
        waiting.push(line);
    }
    edge.start_again().await;
    for mut line in waiting {
        let answer = line.head().await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(
            line.body(answer, Duration::ZERO).await.unwrap(),
            SMALL_BODY.as_bytes()
        );
    }
}

/// Says so again, from now on: without it, systemd would end a service whose unit has a watchdog.
async fn is_alive(edge: &Edge) {
    let told = || {
        let heard = edge.manager().heard();
        heard.iter().filter(|said| *said == "WATCHDOG=1").count()
    };
    let before = told();
    wait_until(
        "the watchdog is told twice more",
        SOON,
        async || match told() {
            now if now >= before + 2 => Ok(()),
            now => Err(format!("{now} after {before}")),
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_hears_what_the_service_is_at() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).managed().start().await;
    let hears = async |edge: &Edge, what: &str, times: usize| {
        wait_until(&format!("{what} is heard"), SOON, async || {
            let heard = edge.manager().heard();
            let count = heard
                .iter()
                .filter(|said| said.lines().any(|line| line.starts_with(what)))
                .count();
            if count == times {
                Ok(())
            } else {
                Err(format!("{heard:?}"))
            }
        })
        .await;
    };
    hears(&edge, "READY=1", 1).await;
    is_alive(&edge).await;
    edge.process().signal("HUP");
    hears(&edge, "RELOADING=1", 1).await;
    hears(&edge, "MONOTONIC_USEC=", 1).await;
    hears(&edge, "READY=1", 2).await;
    edge.upgrade().await;
    let pid = edge.process().pid();
    hears(&edge, &format!("MAINPID={pid}"), 1).await;
    hears(&edge, "READY=1", 3).await;
    hears(&edge, "STOPPING=1", 0).await;
    // Whoever has taken over tells it, too; the one before has nothing under way, and goes.
    wait_until("the one before has ended", SOON, async || {
        match edge.process().predecessors() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?} run")),
        }
    })
    .await;
    is_alive(&edge).await;
    edge.process().signal("TERM");
    hears(&edge, "STOPPING=1", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_socket_that_no_flag_asks_for_is_told() {
    let (origin, authority) = (origin().await, Authority::new());
    // The flags of this start ask for ports of the system's choice.
    let (mut process, _folder) = edge(&origin, &authority).managed().start_in_vain();
    let status = process.ended(SOON).await;
    assert!(!status.success(), "{status}");
    let said = process.said();
    assert!(
        said.contains("was handed over, but no flag asks for it"),
        "{said}"
    );
}
