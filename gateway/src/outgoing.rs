//! A request on its way to an origin, as the phases change it: in Pingora's form, or in this edge's own.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use latencify_decide::edit::Fields;
use latencify_framing::is_target_octet;
use pingora::{Error, ErrorType, OrErr as _, Result, http::RequestHeader};
use std::borrow::Cow;

/// What the phases change of it. Whatever can't be put in makes an error, and the request goes nowhere.
pub trait Outgoing {
    /// Its method.
    fn method(&self) -> &Method;
    /// Path and query, as they go over the wire.
    fn target(&self) -> Cow<'_, [u8]>;
    /// Its fields.
    fn fields(&self) -> &HeaderMap;
    /// The same, for edits of the policy.
    fn edit(&mut self) -> impl Fields + '_;
    /// Takes out all lines of a field.
    fn remove(&mut self, name: &HeaderName);
    /// One line instead of all.
    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()>;
    /// One more line.
    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()>;
    /// Whether it asks about the server, not about a path (`OPTIONS *`).
    fn is_for_server(&self) -> bool;
    /// Asks for this target.
    fn aim(&mut self, target: String) -> Result<()>;
}

/// In the form of this edge: nothing but what goes over the wire.
pub struct Plain {
    /// The method.
    pub method: Method,
    /// The target; empty until it is aimed.
    pub target: String,
    /// The fields.
    pub fields: HeaderMap,
}

struct OfPingora<'a>(&'a mut RequestHeader);
struct Own<'a>(&'a mut HeaderMap);

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

impl Fields for Own<'_> {
    fn remove(&mut self, name: &HeaderName) {
        self.0.remove(name);
    }
    fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.0.try_insert(name, value.clone());
    }
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        let _ = self.0.try_append(name, value.clone());
    }
}

impl Outgoing for RequestHeader {
    fn method(&self) -> &Method {
        &self.method
    }

    fn target(&self) -> Cow<'_, [u8]> {
        if self.version == Version::HTTP_2 {
            // Over HTTP/2 Pingora sends what the URI has.
            let target = self.uri.path_and_query();
            return target.map_or(Cow::Borrowed(b"/"), |target| {
                Cow::Owned(target.as_str().as_bytes().to_vec())
            });
        }
        Cow::Owned(self.raw_path().to_vec())
    }

    fn fields(&self) -> &HeaderMap {
        &self.headers
    }

    fn edit(&mut self) -> impl Fields + '_ {
        OfPingora(self)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.insert_header(name, value)
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.append_header(name, value).map(drop)
    }

    fn is_for_server(&self) -> bool {
        self.uri.path() == "*"
    }

    fn aim(&mut self, target: String) -> Result<()> {
        self.set_uri(read(&target)?);
        Ok(())
    }
}

impl Outgoing for Plain {
    fn method(&self) -> &Method {
        &self.method
    }

    fn target(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.target.as_bytes().to_vec())
    }

    fn fields(&self) -> &HeaderMap {
        &self.fields
    }

    fn edit(&mut self) -> impl Fields + '_ {
        Own(&mut self.fields)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.fields.remove(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        let set = self.fields.try_insert(name, value);
        set.map(drop).map_err(|_| too_many())
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        let added = self.fields.try_append(name, value);
        added.map(drop).map_err(|_| too_many())
    }

    fn is_for_server(&self) -> bool {
        false
    }

    fn aim(&mut self, target: String) -> Result<()> {
        let is_sound = target.starts_with('/') && target.bytes().all(is_target_octet);
        self.target = if is_sound {
            target
        } else {
            let target = read(&target)?;
            let target = target.path_and_query();
            target.map_or_else(|| "/".to_owned(), ToString::to_string)
        };
        Ok(())
    }
}

fn read(target: &str) -> Result<Uri> {
    target
        .parse()
        .or_err(ErrorType::InvalidHTTPHeader, "target for the origin")
}

fn too_many() -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, "no room for a field")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_ask_for_the_same_target() {
        for target in [
            "/",
            "/a%20b?c=d&e",
            "/a?b?c",
            "/a#b",
            "/ä",
            "/a b",
            "/{a}|b",
        ] {
            let mut own = Plain {
                method: Method::GET,
                target: String::new(),
                fields: HeaderMap::new(),
            };
            let mut other = RequestHeader::build("GET", b"/", None).unwrap();
            let aimed = own.aim(target.to_owned()).is_ok();
            assert_eq!(aimed, other.aim(target.to_owned()).is_ok(), "{target}");
            if aimed {
                assert_eq!(own.target.as_bytes(), other.raw_path(), "{target}");
            }
        }
    }
}
