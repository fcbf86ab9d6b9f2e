//! Control is killed on the way.

use super::{SOON, begin, ended, first, good, origin, serves, status};
use latencify_conf::change::RolloutEnd;
use latencify_tests::{Control, wait_until};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_goes_on_where_it_stood_when_control_was_killed() {
    let origin = origin().await;
    let mut control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let soak = Duration::from_secs(8);
    let revision = begin(&control, &good(&origin, 2), first("paris", soak)).await;
    serves(&paris, "v2").await;
    let before = status(&control, revision).await;
    control.kill();
    // Without control the edges keep to what each was told.
    for (edge, version) in [(&paris, "v2"), (&tokyo, "v1")] {
        let reply = edge.get("shop.example", "/").await;
        assert_eq!(reply.header("x-version"), version, "{}", edge.name());
    }
    control.restart().await;
    if before.stage == 0 {
        wait_until("it is looked after again", SOON, async || {
            let now = status(&control, revision).await;
            if now.ended.is_some() || now.soaked_ms.is_some() || now.stage > 0 {
                Ok(())
            } else {
                Err(format!("{now:#?}"))
            }
        })
        .await;
    }
    let over = ended(&control, revision).await;
    assert_eq!(over.ended, Some(RolloutEnd::Completed), "{over:#?}");
    serves(&tokyo, "v2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_rollout_is_paused_when_control_is_back() {
    let origin = origin().await;
    let mut control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let plan = first("paris", Duration::from_mins(10));
    let revision = begin(&control, &good(&origin, 2), plan).await;
    let paused = super::say(
        &control,
        revision,
        latencify_conf::api::RolloutAction::Pause,
        0,
    )
    .await;
    assert_eq!(paused.status, 200, "{}", paused.text());
    control.kill();
    control.restart().await;
    let now = status(&control, revision).await;
    assert!(
        now.paused && now.step == 1 && now.ended.is_none(),
        "{now:#?}"
    );
    serves(&paris, "v2").await;
    serves(&tokyo, "v1").await;
}
