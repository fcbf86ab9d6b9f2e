//! Targets, bundles and the state folder.

use super::*;
use aws_lc_rs::signature::Ed25519KeyPair;
use latencify_conf::change::LogId;

fn named(target: &replica::Target) -> (Revision, Digest) {
    (target.revision, target.digest)
}

async fn until_runs(control: &Control, what: &str, target: &replica::Target) {
    until(what, || {
        control.heard().report.running == Some(named(target))
    })
    .await;
}

#[tokio::test]
async fn policies_are_fetched_put_in_force_reported_and_saved() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, folder) = joined(&edge).await;
    let (first, bundle) = policy(1);
    control.target(first.clone(), bundle);
    until_runs(&control, "the first", &first).await;
    let (second, bundle) = policy(2);
    control.target(second.clone(), bundle);
    until_runs(&control, "the second", &second).await;
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
    let (first, bundle) = policy(1);
    control.target(first.clone(), bundle);
    until_runs(&control, "the first", &first).await;
    let (second, bundle) = policy(2);
    control.target_without_files(second.clone());
    until("the report", || {
        control.heard().report.failed == Some(named(&second))
    })
    .await;
    let report = control.heard().report;
    assert_eq!(report.running, Some(named(&first)), "{report:?}");
    assert!(report.reason.contains("no policy"), "{report:?}");
    control.target(second.clone(), bundle);
    until_runs(&control, "the second", &second).await;
}

#[tokio::test]
async fn what_control_has_not_signed_is_not_built_and_the_reason_is_told() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, folder) = joined(&edge).await;
    let (first, bundle) = policy(1);
    control.target(first.clone(), bundle);
    until_runs(&control, "the first", &first).await;
    let (second, bundle) = policy(2);
    let good = control.signed(second.clone());
    let signed = good.signed.clone().unwrap();
    let foreign = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let by_another = control::sign(LogId(Uuid::from_u128(1)), &foreign, second.clone());
    let altered = |change: &dyn Fn(&mut replica::Target)| {
        let mut target = good.clone();
        change(&mut target);
        target
    };
    let renamed = latencify_conf::link::snapshot::Signed {
        kid: "others".into(),
        ..by_another.signed.clone().unwrap()
    };
    let forged = [
        // Whoever has another key, and calls it as the true one is called.
        (by_another, "its signature is not that"),
        (
            altered(&|target| target.signed = Some(renamed.clone())),
            "believes \"policies\" alone",
        ),
        // The true signature, of something else.
        (
            altered(&|target| target.sites = [("shop".to_owned(), SiteId(5))].into()),
            "its signature is not that",
        ),
        (
            altered(&|target| target.revision = Revision(3)),
            "its signature is not that",
        ),
        (
            control::sign(LogId(Uuid::from_u128(2)), control.pair(), second.clone()),
            "its signature is not that",
        ),
    ];
    for (target, why) in forged {
        let revision = target.revision;
        control.target(target, bundle.clone());
        until(why, || {
            let report = control.heard().report;
            report.reason.contains(why)
                && report.failed.is_some_and(|(failed, _)| failed == revision)
        })
        .await;
        assert_eq!(
            control.heard().report.running,
            Some(named(&first)),
            "the former one stays"
        );
    }
    control.unsigned(second.clone(), bundle.clone());
    until("it is not signed", || {
        control.heard().report.reason.contains("not signed")
    })
    .await;
    assert_eq!(
        edge.seen()
            .iter()
            .filter(|seen| seen.starts_with("policy"))
            .count(),
        1
    );
    control.target(
        altered(&|target| target.signed = Some(signed.clone())),
        bundle,
    );
    until_runs(&control, "the second", &second).await;
    fleet.stop().await;
    drop(folder);
}
