//! An edge of a fleet: what its receipts say holds over a restart.

use super::*;
use latencify_conf::api::{PurgeReceipt, PurgeTarget, ReceiptState};
use latencify_tests::Control;

struct Member {
    control: Control,
    setting: Setting,
}

impl Member {
    async fn new() -> Self {
        let (origin, version) = versioned().await;
        let control = Control::embedded().start().await;
        control
            .apply(&one_route(&origin.url(), "cache: true"))
            .await;
        let edge = with_disk(Edge::member(&control, "paris")).start().await;
        control.everywhere(1).await;
        let setting = Setting {
            origin,
            version,
            edge,
        };
        setting.until_ready().await;
        let member = Self { control, setting };
        member.caught_up().await;
        member
    }

    async fn purge(&self, path: &str) -> PurgeReceipt {
        let target = PurgeTarget::Url(format!("http://{HOST}{path}"));
        let purge = self.control.purge(vec![target]).await;
        self.control.receipt(&purge.id).await
    }

    /// Waits until it obeys everything again.
    async fn caught_up(&self) {
        wait_until("it obeys the head", SOON, async || {
            let metrics = self.setting.edge.metrics().await;
            let isolated = metrics.lines().find(|line| {
                line.starts_with("latencify_gateway_isolated{") && line.ends_with(" 1")
            });
            isolated.map_or(Ok(()), |line| Err(line.to_owned()))
        })
        .await;
    }

    /// What comes is what the origin has now, and the disk has it, too: whoever waits for the next one to be stored does not
    /// meet this one.
    async fn is_new_and_stored(&self, path: &str) {
        let wanted = self.setting.disk("stored_total").await + 1.0;
        self.setting.is_new(path).await;
        let what = format!("{path} is stored again, and nothing else");
        self.setting
            .until(&what, "stored_total", |stored| {
                (stored - wanted).abs() < 0.5
            })
            .await;
    }

    async fn restart(&mut self) {
        self.setting.restart().await;
        self.caught_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_survives_and_what_is_purged_does_not() {
    let mut member = Member::new().await;
    for path in ["/a", "/b", "/c"] {
        member.setting.store(path).await;
    }
    // Purged, and killed at once.
    let receipt = member.purge("/a").await;
    assert_eq!(receipt.edges[0].state, ReceiptState::Acked, "{receipt:?}");
    member.setting.edge.process().kill();
    // Purged while it is down.
    let target = PurgeTarget::Url(format!("http://{HOST}/b"));
    member.control.purge(vec![target]).await;
    member.setting.raise();
    member.restart().await;
    member.setting.is_kept("/c", 1).await;
    for path in ["/a", "/b"] {
        member.is_new_and_stored(path).await;
    }
    member.setting.stop().await;
    member.restart().await;
    member.setting.is_kept("/c", 1).await;
    member.setting.is_kept("/a", 2).await;
}

/// Purges and joins stand in the journal, behind the snapshot that the run began with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_after_a_purge_survives() {
    let mut member = Member::new().await;
    member.setting.store("/a").await;
    for round in 0..2 {
        let receipt = member.purge("/a").await;
        let mut edges = receipt.edges.iter();
        assert!(
            edges.any(|edge| edge.state == ReceiptState::Acked),
            "{receipt:?}"
        );
        let path = format!("/after{round}");
        member.setting.store(&path).await;
        member.setting.edge.process().kill();
        member.restart().await;
        for before in 0..=round {
            member.setting.is_kept(&format!("/after{before}"), 1).await;
        }
        member.setting.raise();
        member.is_new_and_stored("/a").await;
        member.setting.version.store(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_under_marks_that_are_lost_is_not_used() {
    let mut member = Member::new().await;
    member.setting.store("/a").await;
    member.setting.edge.process().kill();
    for file in ["marks.snapshot", "marks.journal"] {
        fs::remove_file(member.setting.edge.folder().join("state").join(file)).unwrap();
    }
    member.setting.raise();
    member.restart().await;
    member.setting.is_new("/a").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_that_do_not_wait_for_the_disk_are_refused() {
    let (control, origin) = (Control::embedded().start().await, versioned().await.0);
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    let options = with_disk(Edge::member(&control, "paris")).flag("--acks", "obeyed");
    let (mut process, _folder) = options.start_in_vain();
    assert_eq!(process.ended(SOON).await.code(), Some(2));
    let said = process.said();
    assert!(said.contains("leave --acks out"), "{said}");
}
