//! Bodies of requests and responses.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::HeaderMap;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::{convert::Infallible, io, time::Duration};

/// A body of any kind. An error breaks the connection off.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No octets.
pub fn empty() -> Body {
    full("")
}

/// All at once, with a Content-Length.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// Part by part as the stream yields them.
pub fn streamed(parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(parts.map(|part| part.map(Frame::data))).boxed_unsync()
}

/// Part by part, with a pause before each.
pub fn slow<T: Into<Bytes>>(parts: impl IntoIterator<Item = T>, pause: Duration) -> Body {
    let parts: Vec<Bytes> = parts.into_iter().map(Into::into).collect();
    streamed(stream::iter(parts).then(move |part| async move {
        tokio::time::sleep(pause).await;
        Ok(part)
    }))
}

/// The same octet so many times, in parts of 64 KiB.
pub fn repeated(octet: u8, length: u64) -> Body {
    const PART: usize = 64 * 1024;
    let part = Bytes::from(vec![octet; PART]);
    let parts = (0..length.div_ceil(PART as u64)).map(move |index| {
        let rest = length - index * PART as u64;
        Ok(part.slice(..usize::try_from(rest).map_or(PART, |rest| rest.min(PART))))
    });
    streamed(stream::iter(parts))
}

/// Parts without a pause, then trailers.
pub fn with_trailers<T: Into<Bytes>>(
    parts: impl IntoIterator<Item = T>,
    trailers: HeaderMap,
) -> Body {
    let mut frames: Vec<io::Result<Frame<Bytes>>> = parts
        .into_iter()
        .map(|part| Ok(Frame::data(part.into())))
        .collect();
    frames.push(Ok(Frame::trailers(trailers)));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// These octets, then the connection breaks.
pub fn broken(bytes: impl Into<Bytes>) -> Body {
    streamed(stream::iter([
        Ok(bytes.into()),
        Err(io::ErrorKind::ConnectionAborted.into()),
    ]))
}
