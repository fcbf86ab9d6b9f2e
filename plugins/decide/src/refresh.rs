//! What the answer to a validation changes in what is stored: a 304 (RFC 9111 §4.3.3, §4.3.4), or a 200 to HEAD (§4.3.5), by
//! the rules of §3.2.

use crate::{conditional, dates, hops, vary::Vary};
use http::{HeaderMap, HeaderName, header};
use std::time::SystemTime;

/// Fields that describe the stored octets, which stay as they are. §3.2 demands it of `Content-Length`; the others would
/// tell of a body that is not there: its coding, its part, its digest.
const ABOUT_THE_BODY: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("repr-digest"),
];

/// What an answer does to a stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshened {
    /// It holds still, with these fields.
    Updated(HeaderMap),
    /// The answer is of another representation, or of one that is chosen by other request fields: it must not update what is
    /// stored (§4.3.4), which stays stale. After a 304 it still answers this request, for which the origin said so (§4.3.3);
    /// the next one asks again.
    Other,
}

/// What a 304 does to the stored response that the origin was asked about. Several that could be meant: [`identified`].
pub fn by_not_modified(stored: &HeaderMap, not_modified: &HeaderMap, now: SystemTime) -> Freshened {
    if identified(&[stored], not_modified, now).is_empty() || widens_vary(stored, not_modified) {
        return Freshened::Other;
    }
    Freshened::Updated(merged(stored, not_modified))
}

/// What a 200 to HEAD does to a stored response to GET (§4.3.5): it updates it if each validator that it carries, and its
/// `Content-Length` if it has one, are the stored ones.
pub fn by_head(stored: &HeaderMap, answer: &HeaderMap) -> Freshened {
    let agrees = [header::ETAG, header::LAST_MODIFIED, header::CONTENT_LENGTH]
        .iter()
        .all(|name| {
            let (told, known) = (answer.get_all(name), stored.get_all(name));
            !answer.contains_key(name) || told.iter().eq(known.iter())
        });
    if agrees && !widens_vary(stored, answer) {
        Freshened::Updated(merged(stored, answer))
    } else {
        Freshened::Other
    }
}

/// Which of the stored responses that could have been chosen for a request its 304 updates (§4.3.4), by index:
/// all with its strong entity tag; else the most recent with its weak validator; else, if it carries none, the one that there is.
///
/// Where no strong tag is equal, equal opaque parts count as weak ones: origins that compress on the fly weaken the tag of
/// their 200 and not that of their 304.
pub fn identified(stored: &[&HeaderMap], not_modified: &HeaderMap, now: SystemTime) -> Vec<usize> {
    let tag = |fields: &HeaderMap| {
        fields
            .get(header::ETAG)
            .map(|tag| tag.as_bytes().trim_ascii().to_vec())
    };
    let by = |matches: &dyn Fn(&HeaderMap) -> bool| -> Vec<usize> {
        let all = stored.iter().enumerate();
        all.filter(|(_, fields)| matches(fields))
            .map(|(index, _)| index)
            .collect()
    };
    if let Some(told) = tag(not_modified) {
        let strong = by(&|fields| {
            tag(fields).is_some_and(|known| conditional::strongly_equal(&told, &known))
        });
        if !strong.is_empty() {
            return strong;
        }
        let weak = by(&|fields| {
            tag(fields).map_or(stored.len() == 1, |known| {
                conditional::weakly_equal(&told, &known)
            })
        });
        return most_recent(stored, weak, now);
    }
    if let Some(told) = dates::single(not_modified, &header::LAST_MODIFIED, now) {
        let same = by(&|fields| {
            let known = dates::single(fields, &header::LAST_MODIFIED, now);
            known.map_or(stored.len() == 1, |known| known == told)
        });
        return most_recent(stored, same, now);
    }
    match stored {
        [_] => vec![0],
        _ => Vec::new(),
    }
}

/// The stored header fields after an answer that holds for them: all lines of each field that it carries replace the stored
/// ones. Fields about the body or the connection stay out, and so does a validator where one is stored: it is the one that was
/// found equal, or weaker. `Vary` stays: the variant was stored by it.
pub fn merged(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let mut fields = stored.clone();
    // An Age that the answer does not repeat is of the old response.
    fields.remove(header::AGE);
    let stays = |name: &HeaderName| {
        ABOUT_THE_BODY.contains(name)
            || hops::is_hop_by_hop(name, update)
            || (*name == header::ETAG || *name == header::VARY) && stored.contains_key(name)
    };
    for name in update.keys().filter(|name| !stays(name)) {
        fields.remove(name);
        for value in update.get_all(name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}

fn most_recent(stored: &[&HeaderMap], among: Vec<usize>, now: SystemTime) -> Vec<usize> {
    let date = |index: &usize| {
        let fields = stored.get(*index)?;
        dates::single(fields, &header::DATE, now)
    };
    among.into_iter().max_by_key(date).into_iter().collect()
}

/// Whether an answer names more in `Vary` than what is stored: then the stored variant may be another request's.
fn widens_vary(stored: &HeaderMap, answer: &HeaderMap) -> bool {
    match (Vary::of(stored), Vary::of(answer)) {
        (_, Vary::Nothing) => false,
        (_, Vary::Everything) => true,
        (Vary::Fields(known), Vary::Fields(told)) => told.iter().any(|name| !known.contains(name)),
        (_, Vary::Fields(_)) => true,
    }
}
