//! Brings the edge to the newest policy target, and says what runs. A reconciler: it works on a signal (a new target, a
//! reload) and on a timer (what failed is tried again).

use super::{
    backoff::Backoff,
    client::Client,
    obey::Wanted,
    ports::PolicyPort,
    secrets::Keeper,
    signatures::Signatures,
    state::{SavedPolicy, StateFolder},
};
use latencify_cache::History;
use latencify_conf::{
    bundle::Bundle,
    digest::Digest,
    link::replica::{REASON_BYTES_MAX, Report, Target},
    validate::SiteIds,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tracing::{error, info, warn};

/// A policy that could not be built is built again after this: a missing file may have come.
const REBUILD_INTERVAL: Duration = Duration::from_secs(30);
/// The first pause after a policy could not be fetched …
const REFETCH_FIRST: Duration = Duration::from_millis(200);
/// … and the longest.
const REFETCH_MAX: Duration = Duration::from_secs(10);

/// The secrets of what runs, and the word that they have changed.
pub struct Confidences {
    /// Fetches and saves them.
    pub keeper: Keeper,
    /// One of them has another value.
    pub changed: Arc<Notify>,
}

/// The task that owns what runs.
pub struct Policies {
    port: Arc<dyn PolicyPort>,
    client: Client,
    folder: StateFolder,
    wanted: watch::Receiver<Option<Wanted>>,
    report: watch::Sender<Report>,
    reload: Arc<Notify>,
    secrets: Confidences,
    /// What was saved by an earlier run: the target until control names one.
    saved: Option<Wanted>,
    /// What is in force.
    running: Option<Wanted>,
    /// The files fetched last: needed again when their policy could not be built, or comes back as another revision.
    fetched: Option<(Digest, Arc<Bundle>)>,
    refetch: Backoff,
    signatures: Signatures,
    /// In force, and to be saved when another process has let go of the folder.
    unsaved: Option<Wanted>,
}

/// Why the edge does not run its target, and when to try again.
struct Failure {
    reason: String,
    again: Duration,
}

impl Policies {
    /// Nothing is in force yet.
    pub fn new(
        port: Arc<dyn PolicyPort>,
        client: Client,
        folder: StateFolder,
        wanted: watch::Receiver<Option<Wanted>>,
        report: watch::Sender<Report>,
        reload: Arc<Notify>,
        secrets: Confidences,
    ) -> Self {
        let refetch = Backoff::new(REFETCH_FIRST, REFETCH_MAX);
        let signatures = Signatures::new(folder.clone());
        Self {
            port,
            client,
            folder,
            wanted,
            report,
            reload,
            secrets,
            saved: None,
            running: None,
            fetched: None,
            refetch,
            signatures,
            unsaved: None,
        }
    }

    /// Puts the saved policy in force, if there is one that can be read and built; the marks are of that history.
    pub async fn boot(&mut self, obeyed: History) {
        if let Err(reason) = self.secrets.keeper.load() {
            error!(
                reason,
                "the saved secrets can't be read and are ignored: waiting for control"
            );
        }
        let saved = match self.folder.load() {
            Ok(Some(saved)) => saved,
            Ok(None) => return info!("no saved policy: waiting for control"),
            Err(reason) => {
                return error!(
                    reason,
                    "the saved policy can't be read and is ignored: waiting for control"
                );
            }
        };
        let SavedPolicy {
            log,
            history,
            revision,
            digest,
            sites,
            bundle,
        } = saved;
        let wanted = Wanted {
            log,
            history,
            target: Target {
                revision,
                digest,
                sites,
                signed: None,
            },
        };
        let wanted = wanted.of_saved(obeyed);
        self.fetched = Some((digest, Arc::new(bundle)));
        match self.install(&wanted).await {
            Ok(()) => {
                info!(revision = revision.0, %digest, "this is the saved policy, until control names one");
            }
            Err(failure) => {
                error!(
                    reason = failure.reason,
                    "the saved policy can't be built: waiting for control or for what it misses"
                );
                self.tell(Some((&wanted.target, failure.reason)));
            }
        }
        self.saved = Some(wanted);
    }

    /// Reconciles until the edge ends.
    pub async fn run(mut self) {
        let mut is_ours = self.folder.is_ours();
        let mut again =
            (self.saved.is_some() && self.running.is_none()).then_some(REBUILD_INTERVAL);
        loop {
            let (reload, changed) = (self.reload.clone(), self.secrets.changed.clone());
            let timer = async {
                match again {
                    Some(again) => tokio::time::sleep(again).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = is_ours.changed() => {
                    if let Some(unsaved) = self.unsaved.take() {
                        self.save(unsaved).await;
                    }
                    continue;
                }
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.refetch.reset();
                }
                () = reload.notified() => {}
                () = changed.notified() => self.secrets.keeper.have_changed(),
                () = timer => {}
            }
            again = self.reconcile().await;
        }
    }

    /// Brings the newest target in force; returns when to try again.
    async fn reconcile(&mut self) -> Option<Duration> {
        let told = self.wanted.borrow_and_update().clone();
        let verified = told.as_ref().map(|told| self.signatures.verify(told));
        let mut wanted = told.or_else(|| self.saved.clone())?;
        // What it is signed with makes it no other policy.
        wanted.target.signed = None;
        if let Some(Err(why)) = verified {
            let reason = format!("it is not built: {why}");
            error!(revision = wanted.target.revision.0, digest = %wanted.target.digest, reason, "the target policy can't be believed; the former one stays");
            self.tell(Some((&wanted.target, reason)));
            return Some(REBUILD_INTERVAL);
        }
        let is_running = self.running.as_ref() == Some(&wanted);
        if is_running && !self.secrets.keeper.needs(wanted.target.digest) {
            self.tell(None);
            return None;
        }
        // A newer target ends what is under way for this one, except a build: what is half installed is nothing.
        let mut newer = self.wanted.clone();
        let fetched = if self.bundle(wanted.target.digest).is_some() {
            Ok(())
        } else {
            tokio::select! {
                fetched = self.client.fetch_policy(wanted.target.digest) => fetched.map(|bundle| {
                    self.fetched = Some((wanted.target.digest, Arc::new(bundle)));
                }),
                _ = newer.changed() => return Some(Duration::ZERO),
            }
        };
        let given = match fetched {
            Ok(()) => self.fetch_secrets(wanted.target.digest, &mut newer).await,
            Err(reason) => Some(Err(reason)),
        };
        let outcome = match given {
            None => return Some(Duration::ZERO),
            Some(Ok(has_news)) if is_running && !has_news => {
                self.refetch.reset();
                self.tell(None);
                return None;
            }
            Some(Ok(_)) => self.install(&wanted).await,
            // What runs goes on with the secrets that it has.
            Some(Err(reason)) if is_running => {
                warn!(
                    reason,
                    "changed secrets can't be fetched; the former ones stay in use"
                );
                return Some(self.refetch.next());
            }
            Some(Err(reason)) => Err(Failure {
                reason: format!("can't be fetched: {reason}"),
                again: self.refetch.next(),
            }),
        };
        match outcome {
            Ok(()) => {
                self.refetch.reset();
                self.save(wanted).await;
                None
            }
            Err(failure) => {
                warn!(
                    revision = wanted.target.revision.0, digest = %wanted.target.digest, reason = failure.reason,
                    "the target policy can't be put in force; the former one stays"
                );
                self.tell(Some((&wanted.target, failure.reason)));
                Some(failure.again)
            }
        }
    }

    /// Fetches the secrets that a policy names, unless that is done; says whether they are other ones. None: a newer target came.
    async fn fetch_secrets(
        &mut self,
        digest: Digest,
        newer: &mut watch::Receiver<Option<Wanted>>,
    ) -> Option<Result<bool, String>> {
        if !self.secrets.keeper.needs(digest) {
            return Some(Ok(false));
        }
        let bundle = self.bundle(digest)?;
        tokio::select! {
            fetched = self.secrets.keeper.fetch(digest, &bundle) => {
                Some(fetched.map_err(|reason| format!("secrets: {reason}")))
            }
            _ = newer.changed() => None,
        }
    }

    async fn install(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let Target {
            revision,
            digest,
            sites,
            signed: _,
        } = &wanted.target;
        let failed = |reason| Failure {
            reason,
            again: REBUILD_INTERVAL,
        };
        let bundle = self
            .bundle(*digest)
            .ok_or_else(|| failed("its files are gone".into()))?;
        let installed = self
            .port
            .install(
                bundle,
                SiteIds::from_map(sites.clone()),
                *revision,
                wanted.history,
            )
            .await
            .map_err(failed)?;
        if installed != *digest {
            return Err(failed(format!(
                "{installed} was put in force instead of {digest}"
            )));
        }
        self.running = Some(wanted.clone());
        self.tell(None);
        Ok(())
    }

    async fn save(&mut self, wanted: Wanted) {
        match self.folder.own() {
            Ok(true) => {}
            Ok(false) => {
                self.unsaved = Some(wanted);
                return;
            }
            Err(error) => {
                error!(%error, "the policy can't be saved now: after a restart this edge would need control");
                self.unsaved = Some(wanted);
                return;
            }
        }
        if let Err(error) = self.secrets.keeper.save() {
            error!(%error, "the secrets can't be saved: after a restart this edge would need control");
        }
        let Some(bundle) = self.bundle(wanted.target.digest) else {
            return;
        };
        let folder = self.folder.clone();
        let saved = tokio::task::spawn_blocking(move || {
            let Target {
                revision,
                digest,
                sites,
                signed: _,
            } = wanted.target;
            folder.save(&SavedPolicy {
                log: wanted.log,
                history: wanted.history,
                revision,
                digest,
                sites,
                bundle: (*bundle).clone(),
            })
        });
        let saved = timeout(REBUILD_INTERVAL, saved).await;
        if let Ok(Ok(Err(error))) = &saved {
            error!(%error, "the policy can't be saved: after a restart this edge would need control");
        }
    }

    fn bundle(&self, digest: Digest) -> Option<Arc<Bundle>> {
        self.fetched
            .as_ref()
            .filter(|(fetched, _)| *fetched == digest)
            .map(|(_, bundle)| bundle.clone())
    }

    fn tell(&self, failed: Option<(&Target, String)>) {
        let (failed, mut reason) = match failed {
            None => (None, String::new()),
            Some((target, reason)) => (Some((target.revision, target.digest)), reason),
        };
        let cut = (0..=REASON_BYTES_MAX.min(reason.len()))
            .rev()
            .find(|&at| reason.is_char_boundary(at))
            .unwrap_or(0);
        reason.truncate(cut);
        let running = self
            .running
            .as_ref()
            .map(|wanted| (wanted.target.revision, wanted.target.digest));
        let report = Report {
            running,
            failed,
            reason,
        };
        self.report.send_if_modified(|told| {
            let is_news = *told != report;
            *told = report;
            is_news
        });
    }
}
