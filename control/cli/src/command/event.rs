//! `latencify event …`

use crate::{args::EventVerb, failure::Failure, output::Output, server::Server};
use latencify_conf::{
    api::EventAccepted,
    event::{ContentEvent, EVENT_BYTES_MAX, STRUCTURED},
};
use std::{fs::File, io::Read, path::Path};

/// Runs a verb.
pub async fn run(verb: EventVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    let EventVerb::Send { file } = verb;
    let bytes = read(&file)?;
    // The server would say the same; this way no token and no connection are needed to learn it.
    ContentEvent::from_structured(&bytes)
        .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    let accepted: EventAccepted = server.post_bytes("v1/events", STRUCTURED, bytes).await?;
    output.answer(&accepted, |accepted| {
        let repeat = if accepted.repeat {
            " (it was there before)"
        } else {
            ""
        };
        format!(
            "event at epoch {}{repeat}: purge {}",
            accepted.epoch, accepted.purge
        )
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::file("read the event in", file, &error);
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(unreadable)?)
    };
    let mut bytes = Vec::new();
    // One more than allowed, so that a larger event is seen to be larger.
    source
        .take(EVENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}
