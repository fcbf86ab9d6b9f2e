//! What operators say, one after the other and at once.

use super::{begin, ended, first, good, origin, say, serves, status, submit};
use latencify_conf::{
    api::{PolicyDetail, RolloutAction},
    change::RolloutEnd,
};
use latencify_tests::{Control, cli};
use std::{fs, time::Duration};

const LONG: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_pause_resume_and_abort_what_they_saw_and_nothing_else() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let revision = begin(&control, &good(&origin, 2), first("paris", LONG)).await;
    serves(&paris, "v2").await;

    // Two operators, one step: one of them is told to look again.
    let (one, other) = tokio::join!(
        say(&control, revision, RolloutAction::Pause, 0),
        say(&control, revision, RolloutAction::Abort, 0),
    );
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [200, 409], "{} {}", one.text(), other.text());
    let now = status(&control, revision).await;
    if now.ended.is_none() {
        assert!(now.paused, "{now:#?}");
        let late = say(&control, revision, RolloutAction::Abort, 0).await;
        assert_eq!(late.status, 409, "{}", late.text());
        let resumed = say(&control, revision, RolloutAction::Resume, 1).await;
        assert_eq!(resumed.status, 200, "{}", resumed.text());
        let said = cli::latencify_at(&control, &["rollout", "abort"]).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    let over = ended(&control, revision).await;
    assert_eq!(over.ended, Some(RolloutEnd::Aborted));
    for edge in [&paris, &tokyo] {
        serves(edge, "v1").await;
    }
    let said = cli::latencify_at(&control, &["rollout", "pause"]).await;
    assert!(
        said.code == 1 && said.stderr.contains("is over"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promoted_runs_everywhere_at_once() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    begin(&control, &good(&origin, 2), first("paris", LONG)).await;
    let said = cli::latencify_at(&control, &["rollout", "promote"]).await;
    assert!(
        said.code == 0 && said.stdout.contains("promoted"),
        "{said:?}"
    );
    for edge in [&paris, &tokyo] {
        serves(edge, "v2").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_submitted_in_between_must_name_what_it_replaces() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    let [_paris, tokyo] = control.edges(["paris", "tokyo"]).await;
    let revision = begin(&control, &good(&origin, 2), first("paris", LONG)).await;
    let blind = control.submit(&good(&origin, 3)).await;
    assert_eq!(blind.status, 409, "{}", blind.text());
    let late = submit(&control, &good(&origin, 3), Some(1), first("paris", LONG)).await;
    assert_eq!(late.status, 409, "{}", late.text());
    let unknown = submit(&control, &good(&origin, 3), Some(2), first("parsi", LONG)).await;
    assert!(unknown.status.is_client_error(), "{}", unknown.text());
    assert!(unknown.text().contains("did you mean") && unknown.text().contains("paris"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("third.yaml");
    fs::write(&file, good(&origin, 3)).unwrap();
    let file = file.display().to_string();
    let said = cli::latencify_at(&control, &["policy", "apply", &file, "--base", "2"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let over = ended(&control, revision).await;
    assert_eq!(
        over.ended,
        Some(RolloutEnd::Superseded(latencify_conf::change::Revision(3)))
    );
    serves(&tokyo, "v3").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_are_compared_and_gone_back_to() {
    let origin = origin().await;
    let control = Control::embedded().start().await;
    control.apply(&good(&origin, 1)).await;
    control.apply(&good(&origin, 2)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("local.yaml");
    fs::write(
        &file,
        good(&origin, 2).replace("x-version: v2", "x-version: v2, x-more: \"1\""),
    )
    .unwrap();
    let file = file.display().to_string();
    let ask = async |arguments: &[&str]| cli::latencify_at(&control, arguments).await;

    let said = ask(&["policy", "diff"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.contains("x-version: v1 -> x-version: v2"),
        "{said:?}"
    );
    assert_eq!(said.stdout, ask(&["policy", "diff", "1", "2"]).await.stdout);
    let local = ask(&["policy", "diff", &file]).await;
    assert!(local.stdout.contains("x-more"), "{local:?}");
    let dry = ask(&["policy", "apply", &file, "--dry-run"]).await;
    assert!(
        dry.stdout.contains("x-more") && dry.stdout.contains("would be accepted"),
        "{dry:?}"
    );
    let none = ask(&["policy", "diff", "9", "1"]).await;
    assert_eq!(none.code, 1, "{none:?}");

    let late = ask(&["policy", "revert", "1", "--base", "1"]).await;
    assert_eq!(late.code, 1, "{late:?}");
    let said = ask(&["policy", "revert", "1", "-m", "too slow"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let head: PolicyDetail = control.get("/v1/policies/head").await;
    assert_eq!(head.summary.revision.0, 3);
    assert_eq!(head.summary.message, "revert to revision 1: too slow");
    assert!(!head.summary.by.is_empty());
    let first: PolicyDetail = control.get("/v1/policies/1").await;
    assert_eq!(
        (head.files, head.summary.digest),
        (first.files, first.summary.digest)
    );
}
