//! One open stream to control, as bytes come and go.

use super::{
    client::{Client, stub::fleet_client::FleetClient},
    status::Broken,
};
use futures::{FutureExt as _, StreamExt as _};
use latencify_conf::link::{edge::WELCOME_WITHIN, message};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

/// Messages to control that wait to be sent. They are small and coalesced; more means that control does not read.
const OUTGOING_MAX: usize = 256;
/// Messages of control that are taken together: one ack answers them all.
const BATCH_MAX: usize = 64;

/// An open stream.
pub struct Stream {
    outgoing: mpsc::Sender<message::FromEdge>,
    incoming: Streaming<message::ToEdge>,
    /// Its connection lives as long as it does.
    _connection: FleetClient<Channel>,
}

impl Stream {
    /// Opens a stream with these first words: control may answer nothing at all before them.
    pub async fn open(
        client: &Client,
        first: impl Iterator<Item = message::FromEdge>,
    ) -> Result<Self, Broken> {
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        for message in first {
            send(&outgoing, message)?;
        }
        let (incoming, connection) =
            timeout(WELCOME_WITHIN, client.attach(ReceiverStream::new(messages)))
                .await
                .map_err(|_| {
                    Broken::Unreachable(format!("no answer within {WELCOME_WITHIN:?}"))
                })??;
        Ok(Self {
            outgoing,
            incoming,
            _connection: connection,
        })
    }

    /// Queues a message for control; never waits.
    pub fn send(&self, message: message::FromEdge) -> Result<(), Broken> {
        send(&self.outgoing, message)
    }

    /// What has come by now, at least one message, and the end if that came too. Dropping the future loses nothing.
    pub async fn next_batch(&mut self) -> (Vec<message::ToEdge>, Option<Broken>) {
        let mut messages = Vec::new();
        let mut next = Some(self.incoming.next().await);
        while let Some(came) = next {
            match came {
                Some(Ok(message)) => messages.push(message),
                Some(Err(status)) => return (messages, Some(status.into())),
                None => return (messages, Some(Broken::Closed)),
            }
            if messages.len() == BATCH_MAX {
                break;
            }
            next = self.incoming.next().now_or_never();
        }
        (messages, None)
    }

    /// Says nothing more and waits for control to end the stream.
    pub async fn finish(self) {
        let Self {
            outgoing,
            mut incoming,
            _connection,
        } = self;
        drop(outgoing);
        while let Some(Ok(_)) = incoming.next().await {}
    }
}

fn send(
    outgoing: &mpsc::Sender<message::FromEdge>,
    message: message::FromEdge,
) -> Result<(), Broken> {
    match outgoing.try_send(message) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(_)) => Err(Broken::Stalled),
        // The end of the stream tells why; it is read next.
        Err(TrySendError::Closed(_)) => Ok(()),
    }
}
