//! What predecessor and successor say to each other.

use crate::listen::{Handles, Label};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

/// The most sockets that are handed over.
pub(super) const SOCKETS_MAX: usize = 64;
/// The most octets of a line.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
/// Successor: could serve.
pub(super) const READY: &str = "ready";
/// Successor, before the reason: can't serve.
pub(super) const FAILED: &str = "failed ";
/// Predecessor: accept.
pub(super) const GO: &str = "go";
/// Successor: accepts. From now on the predecessor does not.
pub(super) const SERVING: &str = "serving";

/// The version of this conversation. Another one is refused by name.
const FORMAT: u32 = 1;

/// The first line, beside the sockets.
#[derive(Serialize, Deserialize)]
struct Labels {
    format: u32,
    sockets: Vec<Label>,
}

/// Sends the sockets with their labels.
pub(super) fn send_sockets(channel: &UnixStream, handles: &Handles) -> io::Result<()> {
    if handles.0.len() > SOCKETS_MAX {
        return Err(io::Error::other(format!(
            "{} sockets are more than the {SOCKETS_MAX} that can be handed over",
            handles.0.len()
        )));
    }
    let mut line = serde_json::to_vec(&Labels {
        format: FORMAT,
        sockets: handles.0.iter().map(|(label, _)| label.clone()).collect(),
    })?;
    line.push(b'\n');
    let sockets: Vec<_> = handles.0.iter().map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("the sockets do not fit into one message"));
    }
    let sent = sendmsg(
        channel,
        &[IoSlice::new(&line)],
        &mut beside,
        SendFlags::NOSIGNAL,
    )?;
    if sent == line.len() {
        Ok(())
    } else {
        Err(io::Error::other(
            "the channel took a part of the labels only",
        ))
    }
}

/// Receives what [`send_sockets`] sent; waits for it.
pub(super) fn receive_sockets(channel: &UnixStream) -> io::Result<Vec<(Label, OwnedFd)>> {
    let mut line = vec![0; LINE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut line)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut sockets = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(handed) = message {
            sockets.extend(handed);
        }
    }
    let line = line.get(..received.bytes).unwrap_or_default();
    let Some(line) = line.strip_suffix(b"\n") else {
        return Err(io::Error::other("the predecessor's labels are cut off"));
    };
    let labels: Labels = serde_json::from_slice(line)?;
    if labels.format != FORMAT {
        return Err(io::Error::other(format!(
            "the predecessor hands over in format {}, this program takes {FORMAT}: stop it and start this one",
            labels.format
        )));
    }
    if labels.sockets.len() != sockets.len() {
        return Err(io::Error::other(format!(
            "{} sockets came with {} labels",
            sockets.len(),
            labels.sockets.len()
        )));
    }
    Ok(labels.sockets.into_iter().zip(sockets).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Role;
    use std::{
        io::Write as _,
        net::{TcpListener, TcpStream},
    };

    fn handle(listener: &TcpListener, role: Role) -> (Label, OwnedFd) {
        let label = Label {
            role,
            asked: "0.0.0.0:0".parse().unwrap(),
        };
        (label, listener.try_clone().unwrap().into())
    }

    #[test]
    fn sockets_arrive_as_they_were_with_who_waits_in_them() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _waits = TcpStream::connect(address).unwrap();
        let handles = Handles(vec![
            handle(&listener, Role::Http),
            handle(&other, Role::Admin),
        ]);
        send_sockets(&ours, &handles).unwrap();
        drop((handles, listener));
        let mut received = receive_sockets(&theirs).unwrap();
        assert_eq!(received.len(), 2);
        let (label, socket) = received.remove(0);
        assert_eq!(label.role, Role::Http);
        let again = TcpListener::from(socket);
        assert_eq!(again.local_addr().unwrap(), address);
        again.accept().unwrap();
    }

    #[test]
    fn as_many_as_are_allowed_fit_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for (count, fits) in [(0, true), (SOCKETS_MAX, true), (SOCKETS_MAX + 1, false)] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let handles = Handles((0..count).map(|_| handle(&listener, Role::Https)).collect());
            assert_eq!(send_sockets(&ours, &handles).is_ok(), fits, "{count}");
            if fits {
                assert_eq!(receive_sockets(&theirs).unwrap().len(), count);
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_reason() {
        for (said, reason) in [
            ("", "cut off"),
            ("{\"format\":1", "cut off"),
            ("nonsense\n", "expected"),
            ("{\"format\":2,\"sockets\":[]}\n", "format 2"),
            (
                "{\"format\":1,\"sockets\":[{\"role\":\"http\",\"asked\":\"0.0.0.0:80\"}]}\n",
                "0 sockets came with 1 labels",
            ),
        ] {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(said.as_bytes()).unwrap();
            drop(ours);
            let error = receive_sockets(&theirs).unwrap_err().to_string();
            assert!(error.contains(reason), "{said:?}: {error}");
        }
    }
}
