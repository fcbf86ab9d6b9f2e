//! Requests that wait for another's fetch, which fails: each gets an answer of its own or another's good one, and the origin is
//! asked no more than it must be.

use super::{
    faults::{self, Then},
    origin::{
        Act::{Reset, Say, Silence, Wait},
        WELL,
    },
    world::{HOST, PATIENCE, PATIENT, Seen, World},
};
use futures::future::join_all;
use http_body_util::BodyExt as _;
use latencify_tests::{Client, Protocol, Reply, body, wait_until};

const MANY: usize = 20;

/// Asks side by side, and calls `when` when all of them are under way and the origin has been asked.
async fn ask_together(world: &World, path: &str, when: impl AsyncFnOnce()) -> Vec<Reply> {
    let asking = join_all((0..MANY).map(|_| world.ask(Protocol::Http1, path)));
    let gathering = async {
        wait_until("all are under way", PATIENCE, async || {
            let metric = "latencify_gateway_requests_under_way";
            let under_way = world.edge.metric(metric).await as usize;
            let asked = world.origin.asked(path);
            if under_way >= MANY && asked >= 1 {
                return Ok(());
            }
            Err(format!("{under_way} under way, {asked} at the origin"))
        })
        .await;
        when().await;
    };
    let (seen, ()) = tokio::join!(asking, gathering);
    seen.into_iter().map(|seen| seen.whole(path)).collect()
}

fn count(replies: &[Reply], status: u16, body: &str) -> usize {
    let is = |reply: &&Reply| reply.status == status && reply.text().contains(body);
    replies.iter().filter(is).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fetch_that_fails_costs_one_request_its_answer() {
    let world = World::new(PATIENT).await;
    for fault in faults::of_heads() {
        // What is written before the test lets it go on is enough to fail.
        let path = format!("/kept/{}", fault.name);
        let acts = [vec![Wait], fault.acts.clone()].concat();
        world.origin.plays(&path, [acts]);
        let go_on = async || world.origin.go_on(&path);
        let replies = ask_together(&world, &path, go_on).await;
        assert_eq!(
            count(&replies, 502, "origin_failed"),
            1,
            "{path}: {replies:?}"
        );
        assert_eq!(count(&replies, 200, WELL), MANY - 1, "{path}: {replies:?}");
        assert_eq!(world.origin.asked(&path), 2, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_goes_on_failing_is_asked_once_by_each() {
    let world = World::new(PATIENT).await;
    let path = "/kept/for-ever";
    let first = vec![Wait, Reset];
    let others = (0..10 * MANY).map(|_| vec![Reset]);
    world.origin.plays(path, [first].into_iter().chain(others));
    let replies = ask_together(&world, path, async || world.origin.go_on(path)).await;
    assert_eq!(count(&replies, 502, "origin_failed"), MANY, "{replies:?}");
    assert_eq!(world.origin.asked(path), MANY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_behind_a_silent_origin_go_on_when_its_time_is_over() {
    let world = World::new("first_byte: 5s, between_bytes: 5s").await;
    let path = "/kept/silent";
    world.origin.plays(path, [vec![Silence]]);
    let replies = ask_together(&world, path, async || ()).await;
    assert_eq!(count(&replies, 504, "origin_timeout"), 1, "{replies:?}");
    assert_eq!(count(&replies, 200, WELL), MANY - 1, "{replies:?}");
    assert_eq!(world.origin.asked(path), 2);
}

/// They have waited as long as the policy has them wait, and ask for themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_longer_than_the_policy_says() {
    let world = World::with(PATIENT, "1s", |options| options).await;
    let path = "/kept/held";
    world.origin.plays(path, [vec![Wait, Reset]]);
    let leader = world.ask(Protocol::Http1, path);
    let others = async {
        wait_until("the origin is asked", PATIENCE, async || {
            (world.origin.asked(path) == 1)
                .then_some(())
                .ok_or("not yet")
        })
        .await;
        let others = join_all((1..MANY).map(|_| world.edge.get(HOST, path))).await;
        world.origin.go_on(path);
        others
    };
    let (leader, others) = tokio::join!(leader, others);
    assert_eq!(count(&others, 200, WELL), MANY - 1, "{others:?}");
    assert_eq!(leader.whole(path).status, 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_follow_a_body_that_breaks_off_are_cut_off() {
    let world = World::new(PATIENT).await;
    let bodies = faults::of_bodies().into_iter();
    for fault in bodies.filter(|fault| fault.then == Then::Cut) {
        let path = format!("/kept/{}", fault.name);
        world.origin.plays(&path, [fault.acts.clone()]);
        let following = (0..MANY).map(async |_| {
            let mut connection = world.connect(Protocol::Http1).await;
            let request = Client::request("GET", HOST, &path).body(body::empty());
            let answer = connection.stream(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            (connection, answer)
        });
        // Everybody has the head before the body breaks off.
        let following = tokio::time::timeout(PATIENCE, join_all(following)).await;
        let following = following.unwrap_or_else(|_| panic!("{path}: nothing comes"));
        world.origin.go_on(&path);
        for (connection, answer) in following {
            let ended = tokio::time::timeout(PATIENCE, answer.into_body().collect()).await;
            let ended = ended.unwrap_or_else(|_| panic!("{path}: neither whole nor cut off"));
            assert!(ended.is_err(), "{path}: {ended:?}");
            drop(connection);
        }
        assert_eq!(world.origin.asked(&path), 1, "{path}");
        let next = world.ask(Protocol::Http1, &path).await.whole(&path);
        assert!(next.text() == WELL && !next.is_hit(), "{path}: {next:?}");
        let last = world.ask(Protocol::Http1, &path).await.whole(&path);
        assert!(last.text() == WELL && last.is_hit(), "{path}: {last:?}");
    }
}

/// One of them reads slowly, one leaves: that is no matter of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_takes_nothing_from_those_who_follow_its_fetch() {
    let world = World::new(PATIENT).await;
    let path = "/kept/left";
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 10\r\n\r\n12345";
    world
        .origin
        .plays(path, [vec![Say(head), Wait, Say("67890")]]);
    let request = || {
        Client::request("GET", HOST, path)
            .body(body::empty())
            .unwrap()
    };
    let mut leader = world.connect(Protocol::Http1).await;
    let leads = leader.stream(request()).await.unwrap();
    let mut follower = world.connect(Protocol::Http1).await;
    let follows = follower.stream(request()).await.unwrap();
    drop((leads, leader));
    world.origin.go_on(path);
    let whole = follows.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(whole, "1234567890");
    let Seen::Whole(hit) = world.ask(Protocol::Http1, path).await else {
        panic!("cut off");
    };
    assert!(hit.is_hit() && hit.text() == "1234567890", "{hit:?}");
    assert_eq!(world.origin.asked(path), 1);
}
