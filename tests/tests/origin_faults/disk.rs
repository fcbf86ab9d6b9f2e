//! With a disk tier: what broke off is not found on disk after a restart either.

use super::{
    faults,
    origin::WELL,
    world::{PATIENCE, PATIENT, Seen, World},
};
use latencify_tests::{Protocol, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_incomplete_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display().to_string();
    let flags = [("--disk", disk.as_str()), ("--disk-wait", "60s")];
    let mut world = World::with(PATIENT, "10m", |options| {
        flags
            .into_iter()
            .fold(options, |options, (name, value)| options.flag(name, value))
    })
    .await;
    until(&world, "ready", 1).await;
    let path = |name| format!("/kept/{name}");
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        world.origin.plays(&path, [fault.acts]);
        let cut = world.ask(Protocol::Http1, &path).await;
        assert!(matches!(cut, Seen::Cut { .. }), "{path}: {cut:?}");
    }
    world.edge.restart().await;
    until(&world, "ready", 1).await;
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        let next = world.ask(Protocol::Http1, &path).await.whole(&path);
        assert!(next.text() == WELL && !next.is_hit(), "{path}: {next:?}");
    }
    until(&world, "stored_total", faults::of_bodies().len()).await;
    world.edge.restart().await;
    until(&world, "ready", 1).await;
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        let kept = world.ask(Protocol::Http1, &path).await.whole(&path);
        let is_from_disk = kept.is_hit() && kept.header("cache-status").contains("detail=disk");
        assert!(kept.text() == WELL && is_from_disk, "{path}: {kept:?}");
    }
}

/// The folder is opened, and written to, beside what clients ask.
async fn until(world: &World, name: &str, at_least: usize) {
    let what = format!("disk_{name} is {at_least} or more");
    wait_until(&what, PATIENCE, async || {
        let metric = format!("latencify_gateway_disk_{name}");
        let value = world.edge.metric(&metric).await;
        if value >= at_least as f64 {
            Ok(())
        } else {
            Err(format!("{value}"))
        }
    })
    .await;
}
