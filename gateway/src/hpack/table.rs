//! The tables that fields are named by (RFC 7541 §2.3).

use super::field::Field;
use bytes::Bytes;
use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock},
};

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

static FIELDS: LazyLock<Vec<Arc<Field>>> = LazyLock::new(|| {
    let fields = STATIC.iter().map(|(name, value)| {
        let [name, value] = [name, value].map(|text| Bytes::from_static(text.as_bytes()));
        Arc::new(Field::new(name, value, false))
    });
    fields.collect()
});

/// The place of a name in the static table; none: it is not in it.
pub(super) fn place_of_name(name: &str) -> Option<usize> {
    Some(STATIC.iter().position(|(known, _)| *known == name)? + 1)
}

/// The place of a field in the static table.
pub(super) fn place_of(name: &str, value: &str) -> Option<usize> {
    Some(STATIC.iter().position(|known| *known == (name, value))? + 1)
}

/// What the client has put into its table.
#[derive(Debug)]
pub(super) struct Table {
    /// From the newest.
    fields: VecDeque<Arc<Field>>,
    bytes: usize,
    bytes_max: usize,
}

impl Table {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            fields: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// The field at an index of both tables, from 1.
    pub(super) fn get(&self, index: usize) -> Option<&Arc<Field>> {
        let index = index.checked_sub(1)?;
        match index.checked_sub(STATIC.len()) {
            None => FIELDS.get(index),
            Some(index) => self.fields.get(index),
        }
    }

    /// Puts a field in front; one that is larger than the table empties it (§4.4).
    pub(super) fn insert(&mut self, field: Arc<Field>) {
        let bytes = field.bytes();
        self.evict(self.bytes_max.saturating_sub(bytes));
        if bytes <= self.bytes_max {
            self.bytes += bytes;
            self.fields.push_front(field);
        }
    }

    /// The table is so large from now on (§4.3).
    pub(super) fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.evict(bytes_max);
    }

    fn evict(&mut self, to: usize) {
        while self.bytes > to
            && let Some(oldest) = self.fields.pop_back()
        {
            self.bytes -= oldest.bytes();
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
