//! What all requests share. Everything that changes while requests run is swapped whole.

use crate::{
    cache::{FailedFetches, MemoryStorage},
    drain::Drain,
    fetches::Fetches,
    fleet::{Fleet, Isolated, WhenIsolated},
    hot::ready::ReadyHeads,
    limit::Limiter,
    listen::{
        Limits,
        tls::{CertificateSource, Certificates},
    },
    observe::{AccessLog, Metrics, Pulled},
    origin::Network,
    policy::{Compiled, compile},
    purge::PurgePort,
    secrets::SecretStore,
};
use arc_swap::ArcSwapOption;
use latencify_cache::History;
use latencify_conf::{bundle::Bundle, change::Revision, digest::Digest, validate::SiteIds};
use latencify_decide::hops::Pseudonym;
use latencify_geoip::GeoIp;
use parking_lot::Mutex;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::runtime::Handle;
use tracing::info;

/// The shared state of an edge.
pub struct Edge {
    pseudonym: Pseudonym,
    running: ArcSwapOption<Compiled>,
    certificates: CertificateSource,
    /// What clients may take, by the policy that runs.
    pub limits: Limits,
    /// Who is at an origin.
    pub fetches: Arc<Fetches>,
    certificate_folder: PathBuf,
    /// What the certificate files looked like when they were loaded. The lock is also held while a policy is installed,
    /// so that two never interleave.
    loaded_files: Mutex<Vec<FileLook>>,
    place_files: Vec<PathBuf>,
    /// The cache.
    pub cache: &'static MemoryStorage,
    /// Fetches that have failed lately.
    pub failed_fetches: FailedFetches,
    /// Heads of hot objects.
    pub ready_heads: ReadyHeads,
    /// The values of secrets that the next policy is built with.
    pub secrets: Arc<SecretStore>,
    /// Where clients are.
    pub places: GeoIp,
    network: Arc<Network>,
    runtime: Handle,
    /// The counters of rate limits.
    pub limiter: Limiter,
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// The records.
    pub access_log: AccessLog,
    /// What is under way.
    pub drain: Arc<Drain>,
    purge_port: OnceLock<Arc<dyn PurgePort>>,
    fleet: OnceLock<Arc<Fleet>>,
}

/// What an [`Edge`] is made of.
pub struct Parts {
    /// What it is called in `Via`, `CDN-Loop` and `Cache-Status`: two edges in a row need two names.
    pub name: String,
    /// The cache.
    pub cache: &'static MemoryStorage,
    /// Where relative certificate paths start.
    pub certificate_folder: PathBuf,
    /// The GeoIP files.
    pub place_files: Vec<PathBuf>,
    /// The same, opened.
    pub places: GeoIp,
    /// Names and connections towards origins.
    pub network: Arc<Network>,
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// The records.
    pub access_log: AccessLog,
    /// What is under way.
    pub drain: Arc<Drain>,
}

#[derive(PartialEq, Eq)]
struct FileLook {
    path: PathBuf,
    seen: Option<(u64, SystemTime)>,
}

impl Edge {
    /// An edge without a policy yet. Follows origins on the runtime that it is made in.
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = Limits::default();
        Arc::new(Self {
            fetches: Fetches::new(limits.clone(), parts.metrics.fetches.clone()),
            pseudonym: Pseudonym::new(parts.name),
            cache: parts.cache,
            failed_fetches: FailedFetches::default(),
            ready_heads: ReadyHeads::default(),
            secrets: Arc::default(),
            running: ArcSwapOption::empty(),
            certificates: Arc::new(ArcSwapOption::empty()),
            limits,
            certificate_folder: parts.certificate_folder,
            loaded_files: Mutex::new(Vec::new()),
            place_files: parts.place_files,
            places: parts.places,
            network: parts.network,
            runtime: Handle::current(),
            limiter: Limiter::new(),
            metrics: parts.metrics,
            access_log: parts.access_log,
            drain: parts.drain,
            purge_port: OnceLock::new(),
            fleet: OnceLock::new(),
        })
    }

    /// What it is called in `Via`, `CDN-Loop` and `Cache-Status`.
    pub fn name(&self) -> &str {
        self.pseudonym.name()
    }

    /// The same, as messages that pass say it.
    pub fn pseudonym(&self) -> &Pseudonym {
        &self.pseudonym
    }

    /// The policy that runs, if any.
    pub fn running(&self) -> Option<Arc<Compiled>> {
        self.running.load_full()
    }

    /// Where TLS finds the certificates of the policy that runs.
    pub fn certificate_source(&self) -> CertificateSource {
        self.certificates.clone()
    }

    /// Where purges that clients send go. Set once, before the first request.
    pub fn set_purge_port(&self, port: Arc<dyn PurgePort>) {
        let _ = self.purge_port.set(port);
    }

    /// Where purges that clients send go; none: nowhere.
    pub fn purge_port(&self) -> Option<&Arc<dyn PurgePort>> {
        self.purge_port.get()
    }

    /// Compiles a policy, whose ids are of that history, and puts it into effect, whole; on an error (for people) the one before stays. Blocks for as
    /// long as compiling and reading certificates take: call it off the request threads.
    pub fn install(
        &self,
        bundle: &Bundle,
        sites: &SiteIds,
        revision: Option<Revision>,
        history: History,
    ) -> Result<Digest, String> {
        let mut loaded_files = self.loaded_files.lock();
        let previous = self.running();
        let (compiled, certificates) = compile(
            bundle,
            sites,
            (revision, history),
            &self.certificate_folder,
            &self.secrets.now(),
            previous.as_deref(),
        )?;
        compiled.origins.start(&self.network, &self.runtime);
        let digest = compiled.policy.digest;
        let (sites, origins) = (compiled.policy.sites.len(), compiled.policy.origins.len());
        self.show(certificates);
        self.limits.set(compiled.policy.edge.clone());
        self.running.store(Some(Arc::new(compiled)));
        *loaded_files = self.look_at_certificates();
        self.metrics.policy_reloads.inc();
        self.metrics
            .policy_revision
            .set(revision.map_or(0, |revision| revision.0 as i64));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.metrics.policy_loaded_at.set(now as i64);
        info!(%digest, revision = revision.map(|revision| revision.0), sites, origins, "policy in force");
        Ok(digest)
    }

    /// Loads the certificates of the running policy again if their files have changed; says whether they had.
    pub fn reload_certificates(&self) -> Result<bool, String> {
        let mut loaded_files = self.loaded_files.lock();
        let Some(running) = self.running() else {
            return Ok(false);
        };
        let look = self.look_at_certificates();
        if *loaded_files == look {
            return Ok(false);
        }
        // Not tried again until the files change again.
        *loaded_files = look;
        let certificates = Certificates::load(&running.policy, &self.certificate_folder)
            .map_err(|error| format!("{error:#}"))
            .inspect_err(|_| self.metrics.policy_reload_failures.inc())?;
        self.show(certificates);
        Ok(true)
    }

    /// Clients of certificates that have not changed go on with their TLS sessions.
    fn show(&self, certificates: Certificates) {
        let former = self.certificates.load();
        let certificates = certificates.keep_sessions_of(former.as_deref());
        self.certificates.store(Some(Arc::new(certificates)));
    }

    /// Opens GeoIP files again that have changed.
    pub fn reload_places(&self) -> Result<(), latencify_geoip::GeoIpError> {
        self.places.reload_if_changed().map(drop)
    }

    /// The GeoIP files.
    pub fn place_files(&self) -> &[PathBuf] {
        &self.place_files
    }

    /// The certificate files of the policy that runs.
    pub fn certificate_files(&self) -> Vec<PathBuf> {
        let Some(running) = self.running() else {
            return Vec::new();
        };
        let files = running
            .policy
            .certificates
            .iter()
            .flat_map(|certificate| [&certificate.chain, &certificate.key]);
        files
            .map(|file| self.certificate_folder.join(file))
            .collect()
    }

    /// The link to control, for the metrics and for whoever asks whether purges may be missing. Set once.
    pub fn set_fleet(&self, fleet: Arc<Fleet>) {
        let _ = self.fleet.set(fleet);
    }

    /// Whether purges may be missing now, and what to do then; none also for an edge that stands alone.
    pub fn isolated(&self) -> Option<Isolated> {
        self.fleet.get()?.standing().isolated()
    }

    /// Whether stored responses are refused now.
    pub fn refuses_stored(&self) -> bool {
        let refuses = |fleet: &Arc<Fleet>| {
            let standing = fleet.standing();
            standing.when_isolated() == WhenIsolated::Refuse && standing.isolated().is_some()
        };
        self.fleet.get().is_some_and(refuses)
    }

    /// A request found a stored object while purges might be missing.
    pub fn count_isolated(&self) {
        if let Some(fleet) = self.fleet.get() {
            fleet.standing().count_request();
        }
    }

    /// The text that a scrape gets.
    pub fn render_metrics(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = self.metrics.render()?;
        let mut pulled = Pulled::default();
        pulled.cache(&self.cache.count(), self.cache.marks().count());
        if let Some(disk) = self.cache.disk() {
            pulled.disk(&disk.count());
        }
        pulled.places(self.places.failures());
        if let Some(running) = self.running() {
            pulled.origins(&running.origins.snapshot());
        }
        if let Some(fleet) = self.fleet.get() {
            pulled.link(&fleet.state());
            pulled.standing(fleet.standing());
            pulled.saving(fleet.saving());
        }
        text.extend(pulled.into_text().into_bytes());
        Ok(text)
    }

    fn look_at_certificates(&self) -> Vec<FileLook> {
        self.certificate_files()
            .into_iter()
            .map(|path| {
                let seen = fs::metadata(&path).ok().and_then(|metadata| {
                    metadata
                        .modified()
                        .ok()
                        .map(|modified| (metadata.len(), modified))
                });
                FileLook { path, seen }
            })
            .collect()
    }
}
