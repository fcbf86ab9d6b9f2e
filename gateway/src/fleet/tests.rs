//! An edge against a real gRPC server whose control is conf's replica state machine.

mod control;

use super::*;
use control::{Control, TOKEN};
use latencify_conf::{
    bundle::Bundle,
    change::{Position, Revision, Target},
    digest::Digest,
    link::replica,
    validate::SiteIds,
};
use std::{net::SocketAddr, path::Path};
use tokio::sync::Semaphore;

const DEADLINE: Duration = Duration::from_secs(20);

/// An edge that notes what it is told.
#[derive(Default)]
struct Noted {
    seen: Mutex<Vec<String>>,
    /// Why policies can't be built.
    refusal: Mutex<Option<String>>,
    /// Builds wait for a permit, if there is one.
    builds: Option<Semaphore>,
}

impl Noted {
    fn note(&self, what: String) {
        self.seen.lock().push(what);
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

impl MarksPort for Noted {
    fn reset(&self, start: &Position) {
        self.note(format!("reset {}", start.epoch));
    }

    fn purge(&self, targets: &[Target], mode: Mode, epoch: Epoch) {
        let on: Vec<_> = targets
            .iter()
            .map(|target| {
                if let Target::Site { site } = target {
                    site.0
                } else {
                    0
                }
            })
            .collect();
        self.note(format!("{mode:?} {on:?} at {epoch}"));
    }

    fn obey(&self, position: &Position) {
        self.note(format!("obey {}", position.epoch));
    }
}

#[async_trait]
impl PolicyPort for Noted {
    async fn install(
        &self,
        bundle: Arc<Bundle>,
        sites: SiteIds,
        revision: Revision,
    ) -> Result<Digest, String> {
        if let Some(builds) = &self.builds {
            builds.acquire().await.unwrap().forget();
        }
        if let Some(refusal) = self.refusal.lock().clone() {
            return Err(refusal);
        }
        self.note(format!(
            "policy {revision} shop={:?}",
            sites.get("shop").map(|site| site.0)
        ));
        Ok(bundle.digest())
    }
}

fn settings(control: SocketAddr, state: &Path) -> Settings {
    Settings {
        control: format!("http://{control}"),
        control_ca: None,
        token: JoinToken::new(TOKEN),
        edge: "paris".into(),
        state: state.to_owned(),
        about: vec![("place".into(), "Paris".into())],
    }
}

async fn join(settings: Settings, edge: &Arc<Noted>) -> Fleet {
    Fleet::start(
        settings,
        EdgePorts {
            policies: edge.clone(),
            marks: edge.clone(),
        },
    )
    .await
    .unwrap()
}

/// An edge that has joined a control with one entry in its log.
async fn joined(edge: &Arc<Noted>) -> (Control, Fleet, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (control, address) = Control::start().await;
    control.purge(site(1));
    let fleet = join(settings(address, folder.path()), edge).await;
    until("the edge joins", || control.heard().acked == Epoch(1)).await;
    (control, fleet, folder)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, poll).await.is_ok(), "in vain: {what}");
}

fn site(number: u64) -> Target {
    Target::Site {
        site: SiteId(number),
    }
}

fn policy(revision: u64) -> (replica::Target, Bundle) {
    let bundle = Bundle::single("shop.yaml", format!("version: 1 # {revision}"));
    let sites = [("shop".to_owned(), SiteId(4))].into();
    (
        replica::Target {
            revision: Revision(revision),
            digest: bundle.digest(),
            sites,
        },
        bundle,
    )
}

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
    drop(fleet);

    // Control is gone; the next start runs what was saved.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let next = Arc::new(Noted::default());
    let fleet = join(settings(dead, folder.path()), &next).await;
    assert_eq!(next.seen(), ["policy 2 shop=Some(4)"]);
    until("control is missed", || {
        fleet.state().errors["unreachable"] > 0
    })
    .await;
    assert!(!fleet.state().connected);
    let purged = fleet.purge(SiteId(4), "/a", Mode::Hard, "key").await;
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
async fn purges_of_clients_are_appended_by_control() {
    let edge = Arc::new(Noted::default());
    let (control, fleet, _folder) = joined(&edge).await;
    let purged = fleet.purge(SiteId(4), "/a", Mode::Soft, "key").await;
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
    let refused = fleet.purge(SiteId(4), "", Mode::Hard, "key").await;
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
        token: JoinToken::new("wrong"),
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
        },
    )
    .await;
    assert!(matches!(refused, Err(FleetError::Settings(_))));
}
