//! Routes that no request reaches, because one earlier route takes all of theirs.

use crate::{
    path::{has_segment_prefix, segment_prefixes},
    policy::{HeaderMatch, MethodSet, PathPattern, Route, RouteMatch},
};
use std::{collections::HashMap, sync::Arc};

/// How many earlier routes with one pattern are looked at. Beyond it a route may be unreachable and pass: time stays
/// linear in the number of routes.
const CANDIDATES_MAX: usize = 64;

/// The earlier routes of a site by their patterns.
#[derive(Default)]
pub(super) struct Reach {
    any_path: Vec<usize>,
    exact: HashMap<String, Vec<usize>>,
    below: HashMap<String, Vec<usize>>,
    glob: HashMap<String, Vec<usize>>,
    added: usize,
}

impl Reach {
    /// Adds a route behind the earlier ones; the name of one of them that takes every request of it, if there is one.
    /// A route whose conditions are not clear counts, but says nothing.
    pub(super) fn add<'r>(
        &mut self,
        matches: &RouteMatch,
        is_clear: bool,
        earlier: &'r [Arc<Route>],
    ) -> Option<&'r str> {
        if !is_clear {
            self.added += 1;
            return None;
        }
        let taker = self.candidates(matches).find_map(|index| {
            earlier
                .get(index)
                .filter(|route| takes_all(&route.matches, matches))
                .map(|route| &*route.name)
        });
        let index = self.added;
        self.added += 1;
        let note = |routes: &mut Vec<usize>| {
            if routes.len() < CANDIDATES_MAX && routes.last() != Some(&index) {
                routes.push(index);
            }
        };
        if matches.paths.is_empty() {
            note(&mut self.any_path);
        }
        for path in &matches.paths {
            note(match path {
                PathPattern::Exact(path) => self.exact.entry(path.clone()).or_default(),
                PathPattern::Below(path) => self.below.entry(path.clone()).or_default(),
                PathPattern::Glob(path) => self.glob.entry(path.clone()).or_default(),
            });
        }
        taker
    }

    /// Earlier routes that take the first of the paths at least.
    fn candidates<'c>(&'c self, matches: &'c RouteMatch) -> impl Iterator<Item = usize> + 'c {
        let (same, folder) = match matches.paths.first() {
            Some(PathPattern::Exact(path)) => (self.exact.get(path), Some(path.as_str())),
            Some(PathPattern::Below(path)) => (None, Some(path.as_str())),
            Some(PathPattern::Glob(path)) => (self.glob.get(path), Some("")),
            None => (None, Some("")),
        };
        let above = folder
            .into_iter()
            .flat_map(segment_prefixes)
            .filter_map(|prefix| self.below.get(prefix));
        self.any_path
            .iter()
            .chain(same.into_iter().flatten())
            .chain(above.flatten())
            .copied()
    }
}

/// Whether every request that `later` matches is matched by `earlier`.
fn takes_all(earlier: &RouteMatch, later: &RouteMatch) -> bool {
    let any_path = [PathPattern::Below(String::new())];
    let later_paths = if later.paths.is_empty() {
        &any_path
    } else {
        later.paths.as_slice()
    };
    let covers_paths = earlier.paths.is_empty()
        || later_paths
            .iter()
            .all(|path| earlier.paths.iter().any(|wider| covers(wider, path)));
    let covers_methods = match (&earlier.methods, &later.methods) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(MethodSet(wider)), Some(MethodSet(methods))) => {
            methods.iter().all(|method| wider.contains(method))
        }
    };
    let covers_headers = earlier
        .headers
        .iter()
        .all(|wider: &HeaderMatch| later.headers.contains(wider));
    covers_paths
        && covers_methods
        && covers_headers
        && (earlier.https.is_none() || earlier.https == later.https)
}

fn covers(wider: &PathPattern, path: &PathPattern) -> bool {
    match (wider, path) {
        (PathPattern::Below(folder), PathPattern::Exact(path) | PathPattern::Below(path)) => {
            has_segment_prefix(path, folder)
        }
        (PathPattern::Below(folder), PathPattern::Glob(_)) => folder.is_empty(),
        (wider, path) => wider == path,
    }
}
