//! Why a stream ended that was taken up, as the request on it can find out.
//!
//! A stream that a limit ends is ended for the library by a RST_STREAM that seems to be the client's
//! ([`super::watched`]). Its code tells which limit: one that no client knows, so that none can pretend. What concerns
//! the connection as a whole is kept beside its requests' tasks.

use super::word::Word;
use crate::observe::{Cut, Ended};
use futures::FutureExt as _;
use pingora::{Error, ErrorTrait, protocols::http::v2::server::HttpSession};
use std::sync::{Arc, LazyLock};

tokio::task_local! {
    /// The connection of the request that a task serves.
    pub(super) static CONNECTION: Arc<Word>;
}

/// The first of the codes; chosen by chance for each process.
static FIRST: LazyLock<u32> = LazyLock::new(|| rand::random::<u32>() | 0x8000_0000);

/// The code for a limit.
pub(super) fn code(why: Ended) -> u32 {
    let place = Ended::ALL.iter().position(|ended| *ended == why);
    FIRST.wrapping_add(place.unwrap_or_default() as u32)
}

fn limit(code: u32) -> Option<Ended> {
    let place = code.wrapping_sub(*FIRST) as usize;
    Ended::ALL.get(place).copied()
}

/// Why the stream ended before its time; none: as far as is known it did not.
pub fn cut_of_stream(session: &mut HttpSession, error: Option<&Error>) -> Option<Cut> {
    let of_library = error
        .and_then(h2_error)
        .is_some_and(|error| error.is_library() && error.is_reset());
    if of_library {
        return Some(Cut::MalformedBody);
    }
    let ended = session.idle().now_or_never()?;
    let of_connection = CONNECTION.try_with(|word| word.why()).ok().flatten();
    Some(match (ended, of_connection) {
        (Ok(reason), _) if limit(reason.into()).is_some() => {
            limit(reason.into()).map_or(Cut::ClientReset, Cut::Limit)
        }
        (_, Some(limit)) => Cut::Limit(limit),
        (Ok(_), None) => Cut::ClientReset,
        (Err(_), None) => Cut::ClientGone,
    })
}

/// The library's error under Pingora's.
fn h2_error(error: &Error) -> Option<&h2::Error> {
    let cause: &(dyn ErrorTrait + 'static) = error.root_cause();
    cause.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_code_that_no_standard_gives() {
        for ended in Ended::ALL {
            assert_eq!(limit(code(ended)), Some(ended));
        }
        // RFC 9113 §7.
        for standard in 0..=13 {
            assert_eq!(limit(standard), None);
        }
    }
}
