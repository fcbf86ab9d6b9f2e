//! The conditions of a route, compiled.

use super::glob::{Glob, TooLong};
use crate::facts::Request;
use http::HeaderName;
use latencify_conf::{
    path,
    policy::{HeaderMatch, MethodSet, PathPattern, RouteMatch},
};
use serde::Serialize;

/// All of it must hold.
#[derive(Debug)]
pub(super) struct Condition {
    paths: Vec<PathTest>,
    methods: Option<MethodSet>,
    headers: Vec<HeaderTest>,
    https: Option<bool>,
}

/// Why a route does not take a request: the first condition that is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// No path pattern matches.
    Path,
    /// The method is not one of them.
    Method,
    /// The route is for the other transport.
    Transport,
    /// A header condition does not hold.
    Header,
}

#[derive(Debug)]
enum PathTest {
    Exact(String),
    Below(String),
    Glob(Glob),
}

#[derive(Debug)]
enum HeaderTest {
    Present(HeaderName),
    Absent(HeaderName),
    Equals(HeaderName, String),
    Glob(HeaderName, Glob),
}

impl Condition {
    pub(super) fn new(matches: &RouteMatch) -> Result<Self, TooLong> {
        Ok(Self {
            paths: matches
                .paths
                .iter()
                .map(PathTest::new)
                .collect::<Result<_, _>>()?,
            methods: matches.methods.clone(),
            headers: matches
                .headers
                .iter()
                .map(HeaderTest::new)
                .collect::<Result<_, _>>()?,
            https: matches.https,
        })
    }

    /// The cheapest condition is asked first.
    pub(super) fn mismatch(&self, request: &Request<'_>) -> Option<Mismatch> {
        if self.https.is_some_and(|https| https != request.https) {
            return Some(Mismatch::Transport);
        }
        if self
            .methods
            .as_ref()
            .is_some_and(|set| !set.0.iter().any(|method| method == request.method.as_str()))
        {
            return Some(Mismatch::Method);
        }
        if !self.paths.is_empty() && !self.paths.iter().any(|test| test.holds(request.path)) {
            return Some(Mismatch::Path);
        }
        if !self.headers.iter().all(|test| test.holds(request)) {
            return Some(Mismatch::Header);
        }
        None
    }
}

impl PathTest {
    fn new(pattern: &PathPattern) -> Result<Self, TooLong> {
        Ok(match pattern {
            PathPattern::Exact(path) => Self::Exact(path.clone()),
            PathPattern::Below(prefix) => Self::Below(prefix.clone()),
            PathPattern::Glob(glob) => Self::Glob(Glob::of_path(glob)?),
        })
    }

    fn holds(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Below(prefix) => path::has_segment_prefix(path, prefix),
            Self::Glob(glob) => glob.matches(path.as_bytes()),
        }
    }
}

impl HeaderTest {
    fn new(condition: &HeaderMatch) -> Result<Self, TooLong> {
        Ok(match condition {
            HeaderMatch::Present(name) => Self::Present(name.clone()),
            HeaderMatch::Absent(name) => Self::Absent(name.clone()),
            HeaderMatch::Equals(name, value) => Self::Equals(name.clone(), value.clone()),
            HeaderMatch::Glob(name, glob) => Self::Glob(name.clone(), Glob::of_value(glob)?),
        })
    }

    fn holds(&self, request: &Request<'_>) -> bool {
        let headers = request.headers;
        match self {
            Self::Present(name) => headers.contains_key(name),
            Self::Absent(name) => !headers.contains_key(name),
            Self::Equals(name, value) => headers
                .get_all(name)
                .iter()
                .any(|line| line.as_bytes() == value.as_bytes()),
            Self::Glob(name, glob) => headers
                .get_all(name)
                .iter()
                .any(|line| glob.matches(line.as_bytes())),
        }
    }
}
