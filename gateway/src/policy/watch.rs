//! Following policy and certificate files. A change on disk, SIGHUP and a timer all lead to the same idempotent step:
//! read, compare with what was tried last, and install if it differs.

use super::read_bundle;
use crate::{edge::Edge, secrets::folder};
use latencify_conf::{digest::Digest, validate::SiteIds};
use notify::{RecursiveMode, Watcher as _};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Files are looked at so often even when no change is reported: some file systems report none.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);
/// Writes come in bursts; the step waits until they are over.
const SETTLE: Duration = Duration::from_millis(150);

/// A policy in files, and what became of it when it was last tried.
pub struct FilePolicy {
    path: PathBuf,
    /// The folder of the secrets that it names.
    secrets: Option<PathBuf>,
    tried: Option<Digest>,
    /// Why it is not in effect, as told last.
    refused: Option<String>,
}

impl FilePolicy {
    /// The policy at that path, and the folder of the secrets that it names.
    pub fn new(path: PathBuf, secrets: Option<PathBuf>) -> Self {
        Self {
            path,
            secrets,
            tried: None,
            refused: None,
        }
    }

    /// Installs what the files say now, unless it is in effect. One that was refused is tried again: a certificate that
    /// was missing may be there now. The error says why nothing changed, once for each reason.
    pub fn reconcile(&mut self, edge: &Edge) -> Result<(), String> {
        let refusal = self.try_to_install(edge).err();
        let news = refusal.is_some() && refusal != self.refused;
        self.refused.clone_from(&refusal);
        match refusal {
            Some(reason) if news => {
                edge.metrics.policy_reload_failures.inc();
                Err(reason)
            }
            _ => Ok(()),
        }
    }

    fn try_to_install(&mut self, edge: &Edge) -> Result<(), String> {
        let bundle = read_bundle(&self.path).map_err(|error| format!("{error:#}"))?;
        let digest = bundle.digest();
        let has_news = match &self.secrets {
            Some(folder) => edge.secrets.set(folder::read(folder)?),
            None => false,
        };
        if self.refused.is_none() && self.tried == Some(digest) && !has_news {
            return Ok(());
        }
        self.tried = Some(digest);
        let history = edge.cache.marks().history();
        edge.install(&bundle, &SiteIds::standalone(), None, history)
            .map(drop)
    }

    /// What is refused is told again.
    fn forget(&mut self) {
        self.tried = None;
        self.refused = None;
    }
}

/// Follows the files until the program ends. `nudges` (SIGHUP) make it look at once and try again what failed.
pub async fn watch(
    edge: Arc<Edge>,
    mut policy: Option<FilePolicy>,
    mut nudges: mpsc::Receiver<()>,
) {
    // One place: a second report while one waits says nothing new.
    let (report, mut reports) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = report.try_send(());
        }
    })
    .inspect_err(|error| warn!(%error, "files are not watched; they are still looked at every {RECONCILE_EVERY:?}"))
    .ok();
    let mut watched = BTreeSet::new();
    loop {
        if let Some(watcher) = &mut watcher {
            follow(watcher, &mut watched, folders(&edge, policy.as_ref()));
        }
        tokio::select! {
            () = tokio::time::sleep(RECONCILE_EVERY) => {}
            Some(()) = reports.recv() => tokio::time::sleep(SETTLE).await,
            nudge = nudges.recv() => match (nudge, &mut policy) {
                (Some(()), Some(policy)) => policy.forget(),
                (Some(()), None) => {}
                (None, _) => return,
            },
        }
        let (looking, looked) = (edge.clone(), policy.take());
        // Compiling is work of many milliseconds; requests go on meanwhile.
        let step = tokio::task::spawn_blocking(move || look(&looking, looked)).await;
        match step {
            Ok(back) => policy = back,
            Err(error) => {
                error!(%error, "looking at the policy files failed; they are no longer followed");
                return;
            }
        }
    }
}

fn look(edge: &Edge, mut policy: Option<FilePolicy>) -> Option<FilePolicy> {
    if let Some(policy) = &mut policy
        && let Err(reason) = policy.reconcile(edge)
    {
        error!("the policy was not taken, the one before stays in effect:\n{reason}");
    }
    match edge.reload_certificates() {
        Ok(false) => {}
        Ok(true) => info!("certificates changed on disk and are in use"),
        Err(reason) => {
            error!(
                "the changed certificates were not taken, the ones before stay in use: {reason}"
            );
        }
    }
    if let Err(error) = edge.reload_places() {
        error!(%error, "a changed GeoIP file was not taken, the one before stays in use");
    }
    policy
}

/// The folders to watch: a file that is replaced by a rename is a change of its folder.
fn folders(edge: &Edge, policy: Option<&FilePolicy>) -> BTreeSet<PathBuf> {
    let files = edge
        .certificate_files()
        .into_iter()
        .chain(edge.place_files().iter().cloned());
    let mut folders: BTreeSet<PathBuf> = files
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    if let Some(policy) = policy {
        let folder = if policy.path.is_dir() {
            Some(policy.path.as_path())
        } else {
            policy.path.parent()
        };
        folders.extend(folder.map(Path::to_owned));
        folders.extend(policy.secrets.clone());
    }
    folders
        .into_iter()
        .map(|folder| {
            if folder.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                folder
            }
        })
        .collect()
}

fn follow(
    watcher: &mut notify::RecommendedWatcher,
    watched: &mut BTreeSet<PathBuf>,
    wanted: BTreeSet<PathBuf>,
) {
    for gone in watched.difference(&wanted) {
        let _ = watcher.unwatch(gone);
    }
    let mut following = BTreeSet::new();
    for folder in wanted {
        let known = watched.contains(&folder);
        if known || watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
            following.insert(folder);
        }
    }
    *watched = following;
}
