//! A response on its way to a client, as the phases change it: in Pingora's form, or in this edge's own.

mod plain;
#[cfg(test)]
mod tests;

pub use plain::Plain;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use latencify_decide::{edit::Fields, hops};
use pingora::{Result, http::ResponseHeader};
use std::borrow::Cow;

/// What the phases change of it. Whatever can't be put in makes an error.
pub trait Incoming {
    /// Its status.
    fn status(&self) -> StatusCode;
    /// The version that it came in.
    fn version(&self) -> Version;
    /// The values of a field, line by line.
    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]>;
    /// All fields.
    fn to_map(&self) -> Cow<'_, HeaderMap>;
    /// The same, for edits of the policy.
    fn edit(&mut self) -> impl Fields + '_;
    /// Takes out all lines of a field; whether there was one.
    fn take(&mut self, name: &HeaderName) -> bool;
    /// Takes out what is for one connection alone, but for `Transfer-Encoding`, and for `Upgrade` where that is kept.
    fn end_hop(&mut self, keeps_upgrade: bool);
    /// One line instead of all.
    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()>;
    /// One more line.
    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()>;

    /// Takes out all lines of a field.
    fn remove(&mut self, name: &HeaderName) {
        self.take(name);
    }
    /// The value of a field's first line.
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.lines(name).next()
    }
    /// Whether a field is there.
    fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
}

struct OfPingora<'a>(&'a mut ResponseHeader);

// A name and a value that are valid already can't be refused, but for a map that is full: then the edit is lost.
impl Fields for OfPingora<'_> {
    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }
    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.0.insert_header(name.clone(), value.clone());
    }
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.0.append_header(name.clone(), value.clone());
    }
}

impl Incoming for ResponseHeader {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn version(&self) -> Version {
        self.version
    }

    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &[u8]> {
        self.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn to_map(&self) -> Cow<'_, HeaderMap> {
        Cow::Borrowed(&self.headers)
    }

    fn edit(&mut self) -> impl Fields + '_ {
        OfPingora(self)
    }

    fn take(&mut self, name: &HeaderName) -> bool {
        self.remove_header(name).is_some()
    }

    fn end_hop(&mut self, keeps_upgrade: bool) {
        for name in hops::hop_by_hop(&self.headers) {
            // Pingora frames each message anew, and reads `Transfer-Encoding` to do so.
            let stays =
                name == header::TRANSFER_ENCODING || keeps_upgrade && name == header::UPGRADE;
            if !stays {
                self.remove_header(&name);
            }
        }
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.insert_header(name, value)
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.append_header(name, value).map(drop)
    }
}
