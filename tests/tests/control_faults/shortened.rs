//! An older copy of a log that was put back, and ends before what an edge was told of and had not obeyed yet.

use crate::{
    moving::copy,
    writers::{SOON, embedded, readyz},
};
use latencify_conf::{
    api::PurgeTarget,
    change::Epoch,
    link::edge::{Isolation, Shortened},
};
use latencify_tests::{Control, Door, LinkEdge, policy::one_route, wait_until};
use tokio::time::{Instant, timeout_at};

/// Short, so that it runs out while the test waits.
const LEASE: &str = "3s";

/// Lets the edge go on until something holds of it: it obeys what comes, or only takes it. It comes again whenever its stream
/// is gone.
async fn until(
    what: &str,
    edge: &mut LinkEdge,
    obeys: bool,
    mut holds: impl FnMut(&LinkEdge) -> bool,
) {
    let deadline = Instant::now() + SOON;
    while !holds(edge) {
        let turn = timeout_at(deadline, edge.turn()).await;
        match turn.unwrap_or_else(|_| panic!("in vain: {what}; {:?}", edge.link())) {
            Ok(actions) if obeys => edge.obey(&actions).unwrap(),
            Ok(_) => {}
            Err(error) => come_again(edge, &error.to_string()).await,
        }
    }
}

async fn come_again(edge: &mut LinkEdge, why: &str) {
    wait_until(&format!("the edge comes again: {why}"), SOON, async || {
        let again = edge.attach_again().await;
        again.map_err(|error| error.to_string())
    })
    .await;
}

fn obeyed(edge: &LinkEdge) -> Epoch {
    edge.link().obeyed().map_or(Epoch(0), |at| at.epoch)
}

fn isolation(edge: &LinkEdge) -> Option<Isolation> {
    edge.link().isolation(LinkEdge::now())
}

async fn purge(control: &Control, times: usize) -> Epoch {
    let mut newest = Epoch(0);
    for _ in 0..times {
        newest = control.purge(vec![PurgeTarget::All(true)]).await.epoch;
    }
    newest
}

/// Whether control tells its operator of an edge that was told of that epoch.
async fn is_told(control: &Control, told: Epoch, expected: bool) {
    wait_until("control tells its operator, or not", SOON, async || {
        let reply = readyz(control).await;
        let text = reply.text();
        let says = format!("paris was told that this log goes to epoch {told}");
        if reply.status == 200 && text.contains(&says) == expected {
            Ok(())
        } else {
            Err(format!("{} {text}", reply.status))
        }
    })
    .await;
}

/// What is gone may be purges, so the edge uses nothing that it has stored until the log has outgrown what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_before_what_an_edge_was_told_is_told_of_at_both_ends() {
    let mut control = embedded().flag("--edge-lease", LEASE).start().await;
    control
        .apply(&one_route("http://127.0.0.1:9", "cache: true"))
        .await;
    let mut paris = LinkEdge::attach(&Door::of(&control), "paris")
        .await
        .unwrap();
    until("paris is in the fleet", &mut paris, true, |paris| {
        isolation(paris).is_none()
    })
    .await;
    let (data, older) = (
        control.folder().join("data"),
        control.folder().join("older"),
    );
    control.kill();
    copy(&data, &older);
    control.restart().await;
    come_again(&mut paris, "control was started again").await;
    let stood = obeyed(&paris);
    let lost = purge(&control, 5).await;
    // It takes what comes, and has not come to obeying it.
    until("paris is told of the purges", &mut paris, false, |paris| {
        paris.link().head() >= lost
    })
    .await;
    assert_eq!(obeyed(&paris), stood);
    assert_eq!(paris.link().shortened(), None);
    is_told(&control, lost, false).await;

    control.kill();
    copy(&older, &data);
    wait_until("its lease is over", SOON, async || {
        let isolation = isolation(&paris);
        isolation.map(|_| ()).ok_or("it runs")
    })
    .await;
    control.restart().await;
    come_again(&mut paris, "an older copy was put back").await;
    until("the edge tells of it", &mut paris, true, |paris| {
        paris.link().shortened().is_some()
    })
    .await;
    let shortened = paris.link().shortened().unwrap();
    assert_eq!(shortened.told, lost);
    assert!(shortened.head < lost, "{shortened:?}");
    is_told(&control, lost, true).await;
    // It obeys all that there is, and that is not enough.
    let Shortened { head, .. } = shortened;
    until("paris obeys what is there", &mut paris, true, |paris| {
        obeyed(paris) >= head
    })
    .await;
    assert!(isolation(&paris).is_some());

    let newest = purge(&control, 6).await;
    assert!(newest > lost, "{newest}");
    until(
        "paris is back when the log has outgrown it",
        &mut paris,
        true,
        |paris| isolation(paris).is_none(),
    )
    .await;
    assert!(obeyed(&paris) >= lost);
    until("it tells of nothing any more", &mut paris, true, |paris| {
        paris.link().shortened().is_none()
    })
    .await;
    is_told(&control, lost, false).await;
}
