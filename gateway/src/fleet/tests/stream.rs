//! Purges, trust, coming and going.

use super::*;

#[tokio::test]
async fn purges_are_obeyed_in_order_acked_and_not_lost_with_the_stream() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    assert_eq!(
        edge.seen(),
        ["reset 1", "obey 1"],
        "what was purged before the edge came is under its floors"
    );
    control.purge(site(2));
    until("an ack", || control.heard().acked == Epoch(2)).await;
    control.kick();
    control.purge(site(3));
    control.purge(site(4));
    until("an ack after the stream broke", || {
        control.heard().acked == Epoch(4)
    })
    .await;
    let purges: Vec<_> = edge
        .seen()
        .into_iter()
        .filter(|note| note.starts_with("Hard"))
        .collect();
    assert_eq!(purges, ["Hard [2] at 2", "Hard [3] at 3", "Hard [4] at 4"]);
    let resets = edge
        .seen()
        .iter()
        .filter(|note| note.starts_with("reset"))
        .count();
    assert_eq!(
        resets, 1,
        "the second stream went on where the first had ended"
    );
    let hellos = control.heard().hellos;
    assert_eq!(
        hellos
            .iter()
            .map(|at| at.map(|at| at.epoch.0))
            .collect::<Vec<_>>(),
        [None, Some(2)]
    );
    let state = fleet.state();
    assert_eq!(state.obeyed.map(|at| at.epoch), Some(Epoch(4)));
    assert_eq!(
        (state.connected, state.streams, state.errors["closed"]),
        (true, 2, 1)
    );
    until("a lease", || {
        fleet
            .state()
            .lease_until
            .is_some_and(|until| until > tokio::time::Instant::now())
    })
    .await;
}

/// Control's own half: `tests/control_faults/shortened.rs`.
#[tokio::test]
async fn a_log_that_ends_before_what_control_told_is_told_of_once() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    let counted = || fleet.state().errors["log_shortened"];
    control.tells_of_more(5);
    until("it is told of more", || fleet.state().head == Epoch(6)).await;
    assert_eq!(counted(), 0);
    control.tells_of_more(0);
    control.kick();
    until("it tells of that", || counted() == 1).await;
    for number in 2..=6 {
        control.purge(site(number));
    }
    until("the log has outgrown it", || {
        control.heard().acked == Epoch(6)
    })
    .await;
    control.kick();
    until("another stream", || control.heard().streams == 3).await;
    control.purge(site(7));
    until("it goes on", || control.heard().acked == Epoch(7)).await;
    assert_eq!(counted(), 1);
}

#[tokio::test]
async fn a_forged_entry_is_noticed_and_refused() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    control.forge(1);
    control.purge(site(2));
    until("the forgery is noticed", || {
        fleet.state().errors["altered"] == 1
    })
    .await;
    assert_eq!(
        edge.seen(),
        ["reset 1", "obey 1"],
        "nothing of it was applied"
    );
    until("the true entry", || control.heard().acked == Epoch(2)).await;
    assert_eq!(edge.seen()[2..], ["Hard [2] at 2", "obey 2"]);
}

#[tokio::test]
async fn purges_of_clients_are_appended_by_control() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    let purged = fleet
        .purge(SiteId(4), "shop.example", "/a", Mode::Soft, "key")
        .await;
    assert_eq!(
        purged,
        Ok(Purged {
            id: Some("p1".into()),
            epoch: Some(Epoch(9))
        })
    );
    let purge = control.heard().purges.remove(0);
    assert_eq!(
        (
            purge.site,
            purge.path.as_str(),
            purge.soft,
            purge.key.as_str()
        ),
        (4, "/a", true, "key")
    );
    assert_eq!(purge.process, fleet.state().process.0.as_bytes()[..]);
    let refused = fleet
        .purge(SiteId(4), "shop.example", "", Mode::Hard, "key")
        .await;
    assert_eq!(refused, Err(PurgeRefused::Refused("an empty path".into())));
}

#[tokio::test]
async fn a_clean_stop_leaves_the_roster() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    fleet.stop().await;
    assert!(control.heard().left);
    assert!(!fleet.state().connected);
}

#[tokio::test]
async fn a_wrong_token_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (_control, address) = Control::start().await;
    let wrong = Settings {
        token: Some(JoinToken::new("wrong")),
        ..settings(address, folder.path())
    };
    let fleet = join(wrong, &Arc::default()).await;
    until("it is noticed", || {
        fleet.state().errors["unauthorised"] == 1
    })
    .await;
    let bad_name = Settings {
        edge: "a/b".into(),
        ..settings(address, folder.path())
    };
    let edge = Arc::new(Noted::default());
    let refused = Fleet::start(
        bad_name,
        EdgePorts {
            policies: edge.clone(),
            marks: edge,
            secrets: Arc::default(),
        },
    )
    .await;
    assert!(matches!(refused, Err(FleetError::Settings(_))));
}
