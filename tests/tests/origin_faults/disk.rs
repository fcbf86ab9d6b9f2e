//! With a disk tier: what broke off is not found on disk after a restart either.

use super::{
    faults,
    origin::WELL,
    world::{PATIENT, Seen, World},
};
use latencify_tests::Protocol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_incomplete_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display().to_string();
    let mut world = World::with(PATIENT, "10m", |options| options.flag("--disk", &disk)).await;
    let path = |name| format!("/kept/{name}");
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        world.origin.plays(&path, [fault.acts]);
        let cut = world.ask(Protocol::Http1, &path).await;
        assert!(matches!(cut, Seen::Cut { .. }), "{path}: {cut:?}");
    }
    world.edge.restart().await;
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        let next = world.ask(Protocol::Http1, &path).await.whole(&path);
        assert!(next.text() == WELL && !next.is_hit(), "{path}: {next:?}");
    }
    world.edge.restart().await;
    for fault in faults::of_bodies() {
        let path = path(fault.name);
        let kept = world.ask(Protocol::Http1, &path).await.whole(&path);
        let is_from_disk = kept.is_hit() && kept.header("cache-status").contains("detail=disk");
        assert!(kept.text() == WELL && is_from_disk, "{path}: {kept:?}");
    }
}
