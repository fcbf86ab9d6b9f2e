//! Alone or in a fleet: where this edge's policies and purges come from.

use crate::{
    edge::Edge,
    fleet::{EdgePorts, Fleet, PolicyPort},
    policy::FilePolicy,
    purge::OwnMarks,
    settings::{Role, Settings},
};
use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use latencify_cache::{History, Marks};
use latencify_conf::{
    bundle::Bundle, change::Revision, digest::Digest, link::health::Health, validate::SiteIds,
};
use std::sync::Arc;
use tracing::info;

/// How this edge gets its policies and purges.
pub enum Membership {
    /// From files; purges are its own.
    Alone {
        /// What is followed, until somebody takes it.
        files: Option<FilePolicy>,
    },
    /// From control.
    Member {
        /// The link.
        fleet: Arc<Fleet>,
    },
}

/// Puts the fleet's policies into effect.
struct Installer(Arc<Edge>);

impl Membership {
    /// Alone, reads the policy, which must be good. In a fleet, puts the last good policy into effect, if one is saved,
    /// and goes on in the background: control need not be there.
    pub async fn begin(settings: &Settings, edge: &Arc<Edge>, marks: &Arc<Marks>) -> Result<Self> {
        match &settings.role {
            Role::Alone { policy, secrets } => {
                edge.set_purge_port(Arc::new(OwnMarks(edge.cache)));
                let (mut files, installing) = (
                    FilePolicy::new(policy.clone(), secrets.clone()),
                    edge.clone(),
                );
                let (files, installed) = tokio::task::spawn_blocking(move || {
                    let installed = files.reconcile(&installing);
                    (files, installed)
                })
                .await
                .context("reading the policy")?;
                installed.map_err(|reason| anyhow!("the policy can't be used:\n{reason}"))?;
                Ok(Self::Alone { files: Some(files) })
            }
            Role::Member(link) => {
                let ports = EdgePorts {
                    policies: Arc::new(Installer(edge.clone())),
                    marks: marks.clone(),
                    secrets: edge.secrets.clone(),
                };
                let fleet = Arc::new(Fleet::start(link.clone(), ports).await?);
                edge.set_purge_port(fleet.clone());
                edge.set_fleet(fleet.clone());
                info!(
                    control = link.control,
                    edge = link.edge,
                    "joining the fleet"
                );
                Ok(Self::Member { fleet })
            }
        }
    }

    /// The policy files to follow, once; none in a fleet.
    pub fn take_files(&mut self) -> Option<FilePolicy> {
        match self {
            Self::Alone { files } => files.take(),
            Self::Member { .. } => None,
        }
    }

    /// The link to control; none alone.
    pub fn fleet(&self) -> Option<&Arc<Fleet>> {
        match self {
            Self::Alone { .. } => None,
            Self::Member { fleet } => Some(fleet),
        }
    }

    /// Tries again what failed: a file that was missing may be there now.
    pub fn reload(&self) {
        if let Some(fleet) = self.fleet() {
            fleet.reload();
        }
    }

    /// Leaves the roster; to be called when nothing is served any more.
    pub async fn end(&self) {
        if let Some(fleet) = self.fleet() {
            fleet.stop().await;
        }
    }
}

#[async_trait]
impl PolicyPort for Installer {
    async fn install(
        &self,
        bundle: Arc<Bundle>,
        sites: SiteIds,
        revision: Revision,
        history: History,
    ) -> Result<Digest, String> {
        let edge = self.0.clone();
        let install = move || edge.install(&bundle, &sites, Some(revision), history);
        tokio::task::spawn_blocking(install)
            .await
            .unwrap_or_else(|error| Err(format!("compiling the policy failed: {error}")))
            .inspect_err(|_| self.0.metrics.policy_reload_failures.inc())
    }

    fn health(&self) -> Option<Health> {
        let compiled = self.0.running()?;
        let digest = compiled.policy.digest;
        Some(compiled.tally.read(compiled.revision?, digest))
    }
}
