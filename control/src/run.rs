//! From settings to a running replica, and its end.

mod begun;
mod bound;
mod built;
mod certificates;

#[cfg(test)]
use crate::verbs::Control;
use crate::{
    auth::Purpose,
    output,
    presence::{Lost, Presence},
    settings::Settings,
};
use anyhow::Context as _;
use begun::Begun;
use built::{Built, build};
use std::net::SocketAddr;

/// A replica that serves. It stops by [`Running::stop`].
pub struct Running {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where edges attach.
    pub fleet: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    /// Tokens that were made now.
    pub made: Vec<(Purpose, String)>,
    presence: Presence,
    /// What tests reach past the API for: moments that a client can't time.
    #[cfg(test)]
    pub(crate) control: Control,
    begun: Begun,
}

/// Builds a replica and starts it.
pub async fn start(settings: &Settings) -> anyhow::Result<Running> {
    let never = std::future::pending();
    let started = start_unless(settings, never).await?;
    started.context("nobody has stopped it")
}

/// Builds a replica and starts it, unless it is `stopped` meanwhile. A start that comes to nothing ends what it has begun.
pub async fn start_unless(
    settings: &Settings,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<Option<Running>> {
    let mut begun = Begun::default();
    let built = tokio::select! {
        built = build(settings, &mut begun) => built.map(Some),
        () = stopped => Ok(None),
    };
    match built {
        Ok(Some(built)) => Ok(Some(Running::new(built, begun))),
        Ok(None) => {
            begun.end().await;
            Ok(None)
        }
        Err(error) => {
            begun.end().await;
            Err(error)
        }
    }
}

impl Running {
    fn new(built: Built, begun: Begun) -> Self {
        Self {
            api: built.addresses.api,
            fleet: built.addresses.fleet,
            admin: built.addresses.admin,
            made: built.made,
            presence: built.presence,
            #[cfg(test)]
            control: built.control,
            begun,
        }
    }

    /// Prints the tokens that were made now.
    pub fn tell_tokens(&self) -> anyhow::Result<()> {
        for (purpose, text) in &self.made {
            output::token(purpose.as_str(), text)
                .context("telling the tokens on standard output")?;
        }
        Ok(())
    }

    /// Waits until the log says that this replica may serve no more, and says why.
    pub async fn lost(&self) -> Lost {
        self.presence.lost().await
    }

    /// Finishes what is under way and stops: nothing of the data folder is open then.
    pub async fn stop(self) {
        self.begun.end().await;
    }
}
