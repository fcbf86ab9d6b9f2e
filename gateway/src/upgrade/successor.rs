//! The side that takes over.

use super::{VARIABLE, wire};
use crate::listen::Kept;
use anyhow::{Context as _, Result, bail};
use std::{env, fs::File, os::unix::net::UnixStream as Socket, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

/// The predecessor answers at once; if it does not, it is stuck, and two would serve.
const GO_WITHIN: Duration = Duration::from_secs(30);

/// The conversation with the predecessor.
#[derive(Debug)]
pub struct TakeOver {
    channel: UnixStream,
}

impl TakeOver {
    /// Takes the sockets of the predecessor; none: there is no predecessor. To be called within the runtime, before
    /// anything else reads standard input, which is empty from now on.
    pub fn begin() -> Result<Option<(Self, Kept)>> {
        if env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let place =
            || format!("{VARIABLE} is set, but standard input is no channel to a predecessor");
        let channel = Socket::from(
            rustix::stdio::stdin()
                .try_clone_to_owned()
                .with_context(place)?,
        );
        rustix::stdio::dup2_stdin(File::open("/dev/null").context("/dev/null")?)
            .context("standard input")?;
        let sockets = wire::receive_sockets(&channel).with_context(place)?;
        channel.set_nonblocking(true).with_context(place)?;
        let channel = UnixStream::from_std(channel).with_context(place)?;
        Ok(Some((Self { channel }, Kept::from_predecessor(sockets))))
    }

    /// Says that this process could serve, and waits until it is to. The predecessor serves until it hears
    /// [`serving`](Self::serving).
    pub async fn ready(&mut self) -> Result<()> {
        self.say(wire::READY).await?;
        let expected = format!("{}\n", wire::GO);
        let mut answer = vec![0; expected.len()];
        match timeout(GO_WITHIN, self.channel.read_exact(&mut answer)).await {
            Ok(Ok(_)) if answer == expected.as_bytes() => Ok(()),
            Ok(Ok(_)) => bail!("the predecessor said something that is not known"),
            Ok(Err(_)) => {
                bail!("the predecessor was told to stop, or ended, before it handed over")
            }
            Err(_) => bail!("the predecessor did not hand over within {GO_WITHIN:?}"),
        }
    }

    /// Says that this process serves: nobody else does from now on.
    pub async fn serving(mut self) {
        if self.say(wire::SERVING).await.is_err() {
            tracing::debug!("the predecessor was gone before it heard that this process serves");
        }
    }

    /// Waits until the predecessor has ended, or was told to stop, before it handed over.
    pub async fn is_gone(&mut self) {
        // It says nothing before this process is ready.
        let _ = self.channel.read_u8().await;
    }

    /// Says why this process can't serve.
    pub async fn failed(mut self, reason: &str) {
        let line: String = (wire::FAILED.chars())
            .chain(reason.chars().map(|c| if c == '\n' { ' ' } else { c }))
            .take(wire::LINE_BYTES_MAX / 4 - 1)
            .collect();
        // A predecessor that is gone needs no reason.
        let _ = self.say(&line).await;
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        (self.channel.write_all(format!("{line}\n").as_bytes()).await)
            .context("the predecessor is gone")
    }
}
