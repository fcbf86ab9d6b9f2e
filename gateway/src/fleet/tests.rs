//! An edge against a real gRPC server whose control is conf's replica state machine.

mod authority;
mod control;
mod policies;
mod stream;

use super::*;
use control::{Control, TOKEN};
use latencify_cache::{
    History, Marks,
    marks::{LocalMarks, MarksSnapshot},
};
use latencify_conf::{
    bundle::Bundle,
    change::{Position, Revision, Target},
    digest::Digest,
    link::replica,
    validate::SiteIds,
};
use std::{net::SocketAddr, path::Path, time::SystemTime};
use tokio::sync::Semaphore;

const DEADLINE: Duration = Duration::from_mins(1);

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

    fn history(&self) -> History {
        History::default()
    }

    fn obey(&self, position: &Position) {
        self.note(format!("obey {}", position.epoch));
    }
}

impl KeptMarks for Noted {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn purge_at(&self, targets: &[Target], mode: Mode, epoch: Epoch, _at: SystemTime) {
        self.purge(targets, mode, epoch);
    }

    fn snapshot(&self) -> MarksSnapshot {
        Marks::new().snapshot()
    }

    fn restore(&self, _snapshot: MarksSnapshot, _locals: LocalMarks) {}

    fn resumed(&self) {}
}

#[async_trait]
impl PolicyPort for Noted {
    async fn install(
        &self,
        bundle: Arc<Bundle>,
        sites: SiteIds,
        revision: Revision,
        _history: History,
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
        control: format!("https://{control}"),
        control_ca: None,
        token: Some(JoinToken::new(TOKEN)),
        edge: "paris".into(),
        state: state.to_owned(),
        about: vec![("place".into(), "Paris".into())],
        when_isolated: WhenIsolated::default(),
        acks: Acks::default(),
        takes_over: false,
    }
}

async fn join(settings: Settings, edge: &Arc<Noted>) -> Fleet {
    Fleet::start(
        settings,
        EdgePorts {
            policies: edge.clone(),
            marks: edge.clone(),
            secrets: Arc::default(),
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
            signed: None,
        },
        bundle,
    )
}
