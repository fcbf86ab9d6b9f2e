//! Targets, bundles and the state folder.

use super::*;

#[tokio::test]
async fn policies_are_fetched_put_in_force_reported_and_saved() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, folder) = joined(&edge).await;
    let (first, bundle) = policy(1);
    control.target(first.clone(), bundle);
    let runs = |target: &replica::Target| Some((target.revision, target.digest));
    until("the first", || {
        control.heard().report.running == runs(&first)
    })
    .await;
    let (second, bundle) = policy(2);
    control.target(second.clone(), bundle);
    until("the second", || {
        control.heard().report.running == runs(&second)
    })
    .await;
    let folder_of_state = StateFolder::open(folder.path()).unwrap();
    until("it is saved", || {
        folder_of_state
            .load()
            .unwrap()
            .is_some_and(|saved| saved.revision == Revision(2))
    })
    .await;
    fleet.stop().await;
    drop(fleet);
    until("the folder is free", || folder_of_state.own().unwrap()).await;
    drop(folder_of_state);

    // Control is gone; the next start runs what was saved.
    // Bound, so that nobody else is given it, and not listening.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = held.local_addr().unwrap();
    let next = Arc::new(Noted::default());
    let fleet = join(settings(dead, folder.path()), &next).await;
    assert_eq!(next.seen(), ["policy 2 shop=Some(4)"]);
    until("control is missed", || {
        fleet.state().errors["unreachable"] > 0
    })
    .await;
    assert!(!fleet.state().connected);
    let purged = fleet
        .purge(SiteId(4), "shop.example", "/a", Mode::Hard, "key")
        .await;
    assert!(
        matches!(purged, Err(PurgeRefused::Unreachable(_))),
        "{purged:?}"
    );
}

#[tokio::test]
async fn a_saved_policy_that_can_not_be_read_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), "half a pol").unwrap();
    let (control, address) = Control::start().await;
    let (target, bundle) = policy(1);
    control.target(target.clone(), bundle);
    let edge = Arc::new(Noted::default());
    let _fleet = join(settings(address, folder.path()), &edge).await;
    until("control helps", || {
        control.heard().report.running == Some((target.revision, target.digest))
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_can_not_be_built_is_reported_and_purges_go_on() {
    let edge = Arc::new(Noted {
        builds: Some(Semaphore::new(0)),
        ..Noted::default()
    });
    let (control, fleet, _folder) = joined(&edge).await;
    *edge.refusal.lock() = Some("shop.pem: no such file".into());
    let (target, bundle) = policy(1);
    let failed = Some((target.revision, target.digest));
    control.target(target, bundle);
    control.purge(site(2));
    until("an ack while the policy is being built", || {
        control.heard().acked == Epoch(2)
    })
    .await;
    edge.builds.as_ref().unwrap().add_permits(1);
    until("the report", || control.heard().report.failed == failed).await;
    let report = control.heard().report;
    assert_eq!(
        (report.running, report.reason.as_str()),
        (None, "shop.pem: no such file")
    );
    control.purge(site(3));
    until("purges go on", || control.heard().acked == Epoch(3)).await;

    *edge.refusal.lock() = None;
    edge.builds.as_ref().unwrap().add_permits(1);
    fleet.reload();
    until("the file came", || control.heard().report.running == failed).await;
    assert_eq!(control.heard().report.failed, None);
}

#[tokio::test]
async fn the_newest_target_wins() {
    let edge = Arc::new(Noted {
        builds: Some(Semaphore::new(0)),
        ..Noted::default()
    });
    let (control, _fleet, _folder) = joined(&edge).await;
    let last = policy(9).0;
    for revision in 1..=9 {
        let (target, bundle) = policy(revision);
        control.target(target, bundle);
    }
    edge.builds.as_ref().unwrap().add_permits(9);
    until("the last", || {
        control.heard().report.running == Some((last.revision, last.digest))
    })
    .await;
    assert_eq!(edge.seen().last().unwrap(), "policy 9 shop=Some(4)");
}

#[tokio::test]
async fn files_that_do_not_have_the_digest_are_not_put_in_force() {
    let edge = Arc::new(Noted::default());
    let (control, _fleet, _folder) = joined(&edge).await;
    let (target, _) = policy(1);
    control.target(target.clone(), policy(2).1);
    until("the report", || {
        control.heard().report.failed == Some((target.revision, target.digest))
    })
    .await;
    let reason = control.heard().report.reason;
    assert!(reason.contains(&policy(2).0.digest.to_string()), "{reason}");
    assert!(!edge.seen().iter().any(|note| note.starts_with("policy")));
}

#[tokio::test]
async fn files_that_control_lost_leave_the_former_policy_in_force_until_they_are_back() {
    let edge = Arc::new(Noted {
        builds: Some(Semaphore::new(9)),
        ..Noted::default()
    });
    let (control, _fleet, _folder) = joined(&edge).await;
    let runs = |target: &replica::Target| Some((target.revision, target.digest));
    let (first, bundle) = policy(1);
    control.target(first.clone(), bundle);
    until("the first", || {
        control.heard().report.running == runs(&first)
    })
    .await;
    let (second, bundle) = policy(2);
    control.target_without_files(second.clone());
    until("the report", || {
        control.heard().report.failed == runs(&second)
    })
    .await;
    let report = control.heard().report;
    assert_eq!(report.running, runs(&first), "{report:?}");
    assert!(report.reason.contains("no policy"), "{report:?}");
    control.target(second.clone(), bundle);
    until("the second", || {
        control.heard().report.running == runs(&second)
    })
    .await;
}
