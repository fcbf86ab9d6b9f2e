//! SIGUSR2: a new process takes over the sockets.

use super::{
    HOST, SMALL, SMALL_BODY, SOON, TIMES, clients, edge, origin, was_answered_from_memory,
};
use latencify_tests::{Authority, Client, body, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)] // the figures
async fn no_request_fails_while_one_process_after_another_takes_over() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority)
        .flag("--http", "127.0.0.1:0")
        .start()
        .await;
    let (http, https, admin) = (edge.http(), edge.https(), edge.admin());
    let clients = clients(&edge, &authority);
    let first = edge.process().pid();
    for _ in 0..TIMES {
        clients.more_answers(2).await;
        edge.upgrade().await;
        // On the same addresses, although a flag says port 0.
        assert_eq!(
            (edge.http(), edge.https(), edge.admin()),
            (http, https, admin)
        );
    }
    // What is asked for again by then has been stored.
    clients.more_answers(6).await;
    let seen = clients.stop().await;
    eprintln!("upgrades: {seen:?}");
    assert!(seen.failures.is_empty(), "{seen:#?}");
    assert_eq!(seen.closed_idle, 0, "{seen:#?}");
    was_answered_from_memory(&edge).await;
    assert_ne!(edge.process().pid(), first);
    // Nobody stays behind.
    wait_until("those before have ended", SOON, async || {
        match edge.process().predecessors() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("{some:?} run")),
        }
    })
    .await;
    let records = edge.access_log();
    let answered = records
        .iter()
        .filter(|record| record["path"] == SMALL)
        .count() as u64;
    assert!(answered > 0, "every line of the records is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_can_not_start_leaves_the_old_one_serving_which_says_why() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).start().await;
    let pid = edge.process().pid();
    let folder = edge.folder().join("policy/policy.yaml");
    let good = std::fs::read_to_string(&folder).unwrap();
    edge.write_policy("version: 1\nsites: {main: {hosts: [nowhere.example]}}\n");
    edge.process().signal("USR2");
    wait_until("the failure is told", SOON, async || {
        let said = edge.process().said();
        let line = said
            .lines()
            .find(|line| line.contains("the upgrade failed"));
        match line {
            Some(line) if line.contains("`routes` is missing") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(edge.get(HOST, SMALL).await.text(), SMALL_BODY);
    // Once it is mended, it works.
    edge.write_policy(&good);
    edge.upgrade().await;
    assert_ne!(edge.process().pid(), pid);
    assert_eq!(edge.get(HOST, SMALL).await.text(), SMALL_BODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_upgrade_at_a_time() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).start().await;
    let first = edge.process().pid();
    // Something under way keeps the process that hands over.
    let mut held = Client::new().tcp(edge.http()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut held, b"GET ")
        .await
        .unwrap();
    edge.process().signal("USR2");
    wait_until("the upgrade is under way", SOON, async || {
        if edge
            .process()
            .said()
            .contains("starting the process that takes over")
        {
            Ok(())
        } else {
            Err("it is not")
        }
    })
    .await;
    edge.process().signal("USR2");
    wait_until("the second is refused", SOON, async || {
        if edge.process().said().contains("SIGUSR2 refused") {
            Ok(())
        } else {
            Err(edge.process().last_words())
        }
    })
    .await;
    wait_until("the first goes on", SOON, async || {
        let said = edge.process().said();
        match said.matches("handed over").count() {
            1 => Ok(()),
            count => Err(count),
        }
    })
    .await;
    assert_eq!(edge.get(HOST, SMALL).await.text(), SMALL_BODY);
    assert_eq!(
        edge.process().pid(),
        first,
        "it is still the one that was started here"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_private_address_is_the_new_process_s_and_the_old_one_is_not_ready() {
    let (origin, authority) = (origin().await, Authority::new());
    let mut edge = edge(&origin, &authority).start().await;
    let ready = || {
        Client::request("GET", "admin", "/readyz")
            .body(body::empty())
            .unwrap()
    };
    // A public connection that may be used any moment keeps the process that hands over.
    let _idle = Client::new().tcp(edge.http()).await.unwrap();
    assert_eq!(edge.get(HOST, SMALL).await.status, 200);
    let mut with_old = Client::new().connect(edge.admin()).await.unwrap();
    assert_eq!(with_old.send(ready()).await.unwrap().status, 200);
    edge.upgrade().await;
    // It goes on until it has heard that the new one serves.
    wait_until("the old one drains", SOON, async || {
        let old = with_old.send(ready()).await.unwrap();
        match (old.status.as_u16(), old.text().trim()) {
            (503, "draining") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let new = Client::new().get(edge.admin(), "admin", "/readyz").await;
    assert_eq!(new.status, 200);
}
