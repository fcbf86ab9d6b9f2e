//! An edge that is sent away, and comes back.

use super::{connected, control, identity, invite, says, with_token};
use latencify_conf::api::PurgeTarget;
use latencify_tests::{Edge, cli};
use std::fs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_edge_is_cut_off_at_once_and_comes_back_by_invitation() {
    let (mut control, _origin) = control(&[]).await;
    let [mut paris, _tokyo] = control.edges(["paris", "tokyo"]).await;
    let said = cli::latencify_at(&control, &["edge", "revoke", "paris"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    says(&mut paris, &["was revoked", "edge invite paris"]).await;
    connected(&control, &["tokyo"]).await;
    // The token that any edge joins with, which it has, does not let it in again.
    says(&mut paris, &["only an invitation lets it in again"]).await;
    // Over a restart of either, too.
    control.restart().await;
    connected(&control, &["tokyo"]).await;
    let before = fs::read(identity(&paris)).unwrap();
    assert_eq!(control.roster().await.edges.len(), 2);

    // What the operator puts into its folder is taken up while it runs.
    let token = invite(&control, "paris").await;
    let url = control.fleet_url();
    let state = paris.folder().join("state").display().to_string();
    let enroll = [
        "edge",
        "enroll",
        "--control",
        &url,
        "--state",
        &state,
        "--token",
        &token,
    ];
    let said = cli::latencify_at(&control, &enroll).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_ne!(fs::read(identity(&paris)).unwrap(), before);
    connected(&control, &["paris", "tokyo"]).await;
    let purge = control.purge(vec![PurgeTarget::All(true)]).await;
    assert_eq!(control.receipt(&purge.id).await.edges.len(), 2);
    let log = serde_json::to_string(&control.log().await).unwrap();
    assert!(log.contains("certificate_revoked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_has_expired_gets_nothing() {
    let (control, _origin) = control(&[("--certificate-lifetime", "20s")]).await;
    let token = invite(&control, "paris").await;
    let mut paris = with_token(&control, "paris", &token).start().await;
    control.everywhere(1).await;
    paris.signal("KILL");
    let old = Expired::of(&paris);
    paris.restart().await;
    old.put_back(&mut paris).await;
    says(&mut paris, &["certificate expired at", "used already"]).await;
    // It serves what it has.
    assert_eq!(paris.get("shop.example", "/").await.text(), "x");
    let others = Edge::member(&control, "tokyo").start().await;
    connected(&control, &["tokyo"]).await;
    drop(others);
}

/// A certificate that is kept until it has expired.
struct Expired {
    identity: Vec<u8>,
    /// It was issued before that was counted from.
    over: tokio::time::Instant,
}

impl Expired {
    fn of(edge: &Edge) -> Self {
        let lifetime = std::time::Duration::from_secs(20);
        Self {
            identity: fs::read(identity(edge)).unwrap(),
            over: tokio::time::Instant::now() + lifetime + std::time::Duration::from_secs(1),
        }
    }

    /// Stops the edge, waits until the certificate has expired, and starts it with that.
    async fn put_back(self, edge: &mut Edge) {
        edge.process().kill();
        tokio::time::sleep_until(self.over).await;
        fs::write(identity(edge), self.identity).unwrap();
        edge.start_again().await;
    }
}
