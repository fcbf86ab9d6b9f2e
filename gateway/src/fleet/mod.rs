//! The edge as a member of a fleet: one stream to control, whose purges are obeyed as they come and whose policies are
//! fetched and built beside it.
//!
//! # Characters
//! - [`session`]: owns the stream and every reconnection. It drives [`obey`].
//! - [`obey`]: the state machine of [`conf::link::edge`](latencify_conf::link::edge), which decides what is believed, and
//!   the marks that it is obeyed with. The simulation drives it as well.
//! - [`policies`]: brings the edge to the newest target, on a signal and on a timer. Nothing waits for it.
//! - [`enroll`]: who the edge is to control, by its certificate, and who control is to it.
//! - [`standing`]: whether stored objects may be used, as requests ask.
//! - [`state`]: the folder with the last good policy, so that an edge starts without control.
//! - [`Fleet`]: the handle that the rest of the edge holds; takes `PURGE`s of clients to control.

mod backoff;
mod client;
pub mod enroll;
mod isolation_told;
pub mod obey;
mod policies;
mod ports;
pub mod saved;
mod secrets;
mod session;
mod settings;
mod signatures;
pub mod standing;
mod state;
mod status;
mod stream;

pub use ports::{EdgePorts, KeptMarks, MarksPort, PolicyPort};
pub use settings::{Acks, JoinToken, Link, Settings, WhenIsolated};
pub use standing::{Isolated, Standing};
pub use state::{SavedPolicy, StateFolder};
pub use status::LinkState;

use crate::purge::{PurgePort, PurgeRefused, Purged};
use async_trait::async_trait;
use client::Client;
use enroll::Passport;
use latencify_conf::{
    change::{Epoch, Mode, ProcessId, SiteId},
    link::{
        edge::Introduction,
        message,
        replica::{Report, is_edge_name},
    },
};
use obey::Obedience;
use parking_lot::Mutex;
use saved::{Loaded, SavedMarks, Saver, Saving};
use status::Status;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A clean stop waits so long for control to take the edge out of the roster.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// It waits so long for the disk to take what was obeyed last.
const SAVE_WITHIN: Duration = Duration::from_secs(3);

/// The edge's membership in a fleet. Dropping it ends the tasks without a goodbye; see [`Fleet::stop`].
pub struct Fleet {
    client: Client,
    process: ProcessId,
    status: Arc<Status>,
    reload: Arc<Notify>,
    leave: CancellationToken,
    session: Mutex<Option<JoinHandle<()>>>,
    policies: JoinHandle<()>,
    renewing: JoinHandle<()>,
    telling: JoinHandle<()>,
    saver: Mutex<Option<Saver>>,
    saving: Arc<Saving>,
}

/// A fleet can't be joined as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// They contradict themselves, or name files that can't be read.
    #[error("{0}")]
    Settings(String),
    /// Another process has the state folder.
    #[error(
        "state folder {0} is in use by another process: give each edge a folder of its own (--state), or stop the other \
         process"
    )]
    StateInUse(String),
    /// The state folder can't be made.
    #[error("state folder {path}: {error}")]
    State {
        /// The folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

impl FleetError {
    /// A status with its causes, which tonic keeps apart.
    fn describe(status: &tonic::Status) -> String {
        let mut text = status.message().to_owned();
        let mut cause = std::error::Error::source(status);
        while let Some(error) = cause {
            let why = error.to_string();
            // Layers repeat each other.
            if !text.contains(&why) {
                text = format!("{text}: {why}");
            }
            cause = error.source();
        }
        if text.is_empty() {
            status.code().to_string()
        } else {
            text
        }
    }
}

impl Fleet {
    /// Joins: puts the last good policy in force, if one is saved, then returns and goes on in tasks of this runtime.
    /// Control need not be there.
    pub async fn start(settings: Settings, ports: EdgePorts) -> Result<Self, FleetError> {
        if !is_edge_name(&settings.edge) {
            return Err(FleetError::Settings(format!(
                "edge name {:?}: 1 to 100 letters, digits, dots, hyphens and underscores",
                settings.edge
            )));
        }
        let link = settings.link()?;
        let folder = StateFolder::open(&settings.state).map_err(|error| FleetError::State {
            path: settings.state.display().to_string(),
            error,
        })?;
        match folder.own() {
            Ok(false) if !settings.takes_over => {
                return Err(FleetError::StateInUse(settings.state.display().to_string()));
            }
            Ok(_) => {}
            // What is saved may still be read. The saver tries again, and tells.
            Err(error) => {
                tracing::warn!(%error, folder = %settings.state.display(), "the state folder can't be written now");
            }
        }
        let passport = Arc::new(Passport::open(link, &settings.state)?);
        let client = Client::new(passport.clone());
        let process = ProcessId(Uuid::new_v4());
        let standing = Arc::new(Standing::new(settings.when_isolated));
        let status = Arc::new(Status::new(process, standing.clone()));
        let (want, wanted) = watch::channel(None);
        let (report, reports) = watch::channel(Report::default());
        let reload = Arc::new(Notify::new());
        let secrets = Arc::new(Notify::new());
        let leave = CancellationToken::new();

        let port = ports.policies.clone();
        let mut policies = policies::Policies::new(
            ports.policies,
            client.clone(),
            folder.clone(),
            wanted,
            report,
            reload.clone(),
            policies::Confidences {
                keeper: secrets::Keeper::new(client.clone(), folder.clone(), ports.secrets),
                changed: secrets.clone(),
            },
        );
        let (marks, resumed) = SavedMarks::new(ports.marks, load_marks(&folder).await);
        policies.boot(marks.history()).await;
        let introduction = Introduction {
            edge: settings.edge,
            process,
            version: env!("CARGO_PKG_VERSION").into(),
            about: settings.about,
            when_isolated: settings.when_isolated.said(),
            saves_marks: settings.acks == Acks::Saved,
        };
        let saver =
            Saver::start(&marks, folder.clone(), resumed).map_err(|error| FleetError::State {
                path: settings.state.display().to_string(),
                error,
            })?;
        let marks = Arc::new(marks);
        let edge = match resumed {
            Some(saved) => Obedience::resuming(introduction, saved, marks),
            None => Obedience::new(introduction, marks),
        };
        let session = session::Session::new(
            edge,
            client.clone(),
            status.clone(),
            session::Ends {
                want,
                reports,
                saved: saver.saving().saved(),
                secrets,
                leave: leave.clone(),
                port,
            },
        );
        let renewing = tokio::spawn(passport.keep_renewed(leave.clone()));
        Ok(Self {
            client,
            process,
            status,
            reload,
            leave,
            session: Mutex::new(Some(tokio::spawn(session.run()))),
            renewing,
            policies: tokio::spawn(policies.run()),
            telling: tokio::spawn(isolation_told::keep_telling(standing)),
            saving: saver.saving().clone(),
            saver: Mutex::new(Some(saver)),
        })
    }

    /// Where the link stands, for `/metrics` and for whoever decides by the lease.
    pub fn state(&self) -> LinkState {
        self.status.read()
    }

    /// Whether stored objects may be used.
    pub fn standing(&self) -> &Arc<Standing> {
        self.status.standing()
    }

    /// How saving what is obeyed goes.
    pub fn saving(&self) -> &Arc<Saving> {
        &self.saving
    }

    /// Builds the target again now if it could not be built: the operator may have put the missing file in place.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Leaves the roster. To be called when the edge serves nothing any more; purges reach it until then.
    pub async fn stop(&self) {
        self.leave.cancel();
        let session = self.session.lock().take();
        if let Some(session) = session {
            let _ = timeout(LEAVE_WITHIN, session).await;
        }
        self.policies.abort();
        self.telling.abort();
        self.renewing.abort();
        let saver = self.saver.lock().take();
        if let Some(saver) = saver {
            let finished = tokio::task::spawn_blocking(move || saver.finish());
            let _ = timeout(SAVE_WITHIN, finished).await;
        }
    }
}

/// What an earlier run saved of what it obeyed. What can't be trusted is told.
async fn load_marks(folder: &StateFolder) -> Option<Loaded> {
    let folder = folder.clone();
    let loaded = tokio::task::spawn_blocking(move || saved::load(&folder)).await;
    match loaded.ok()? {
        Ok(loaded) => loaded,
        Err(unfit) => {
            tracing::error!(
                %unfit,
                "what this edge has saved of what it obeyed is not what it wrote: nothing of it is believed; it starts over at \
                 control's head"
            );
            None
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(session) = self.session.lock().take() {
            session.abort();
        }
        self.policies.abort();
        self.telling.abort();
        self.renewing.abort();
    }
}

#[async_trait]
impl PurgePort for Fleet {
    async fn purge(
        &self,
        site: SiteId,
        host: &str,
        path: &str,
        mode: Mode,
        key: &str,
    ) -> Result<Purged, PurgeRefused> {
        // A control that hangs would keep each client waiting for as long as an answer may take.
        if !self.state().connected {
            let why = "the link to control is down, and tried again".to_owned();
            return Err(PurgeRefused::Unreachable(why));
        }
        let answer = self
            .client
            .purge(message::EdgePurge {
                key: key.to_owned(),
                soft: mode == Mode::Soft,
                process: bytes::Bytes::copy_from_slice(self.process.0.as_bytes()),
                site: site.0,
                path: path.to_owned(),
                host: host.to_owned(),
            })
            .await?;
        Ok(Purged {
            id: Some(answer.id),
            epoch: Some(Epoch(answer.epoch)),
        })
    }
}

#[cfg(test)]
mod tests;
