//! Routes that would answer each other's requests: both cache, both can take the same path, and what tells their requests
//! apart is no part of their keys. What the one's origin said would be stored and sent for the other's (cache poisoning).

use super::{At, Flaw, Lowering};
use crate::{
    path::has_segment_prefix,
    policy::{Action, CacheRule, HeaderMatch, PathPattern, Proxy, Route},
};
use std::sync::Arc;

/// The most routes of a site that cache and have conditions which are no part of their key: each is held against all
/// later ones.
const CONDITIONAL_MAX: usize = 1_000;

/// What tells the requests of two routes apart and is no part of their keys.
enum Input<'r> {
    Header(&'r http::HeaderName),
    Method,
}

/// A route that caches.
struct Caching<'r> {
    route: &'r Route,
    proxy: &'r Proxy,
    rule: &'r CacheRule,
}

impl Lowering<'_, '_, '_> {
    /// Refuses routes of a site that share keys. `clear` holds the routes with their places; those of which something was
    /// refused already say nothing.
    pub(super) fn keyed(&mut self, clear: &[(Arc<Route>, At<'_>)]) {
        let caching: Vec<_> = clear
            .iter()
            .filter_map(|(route, at)| Some((Caching::of(route)?, *at)))
            .collect();
        let conditional: Vec<_> = (0..caching.len())
            .filter(|index| {
                caching
                    .get(*index)
                    .is_some_and(|(route, _)| route.inputs().next().is_some())
            })
            .collect();
        if let Some((route, at)) = conditional
            .get(CONDITIONAL_MAX)
            .and_then(|index| caching.get(*index))
        {
            let flaw = Flaw::new(format!(
                "`{}` is one route too many that caches and has conditions which are no part of its key",
                route.route.name
            ));
            self.refuse(
                *at,
                flaw.help(format!(
                    "at most {CONDITIONAL_MAX} in a site: add the headers to `cache.key.headers`"
                )),
            );
            return;
        }
        for (number, (later, at)) in caching.iter().enumerate() {
            let mixed = conditional
                .iter()
                .take_while(|index| **index < number)
                .filter_map(|index| caching.get(*index))
                .find_map(|(earlier, _)| Some((earlier, earlier.mixes_with(later)?)));
            if let Some((earlier, input)) = mixed {
                self.refuse_key(at.key("cache"), shared(earlier.route, &input));
            }
        }
    }
}

fn shared(earlier: &Route, input: &Input<'_>) -> Flaw {
    let (what, remedy) = match input {
        Input::Header(name) => (
            format!("the header `{name}`"),
            format!("add `{name}` to `cache.key.headers` of both, or"),
        ),
        Input::Method => (
            "the method".to_owned(),
            "let one take GET and HEAD, or".to_owned(),
        ),
    };
    Flaw::new(format!(
        "what `{}` stores would be sent for this route: {what} tells their requests apart, and is no part of the key",
        earlier.name
    ))
    .help(format!("{remedy} give them paths of their own"))
}

impl<'r> Caching<'r> {
    fn of(route: &'r Route) -> Option<Self> {
        let Action::Proxy(proxy) = &route.action else {
            return None;
        };
        let rule = proxy.cache.as_deref()?;
        let answers = ["GET", "HEAD"].iter().any(|method| takes(route, method));
        answers.then_some(Self { route, proxy, rule })
    }

    /// Its conditions that another request of the same key may not meet. Scheme, host and path are parts of every key.
    fn inputs(&self) -> impl Iterator<Item = Input<'r>> {
        let (route, key) = (self.route, &self.rule.key);
        let headers = route.matches.headers.iter().map(header);
        let one_method = takes(route, "GET") != takes(route, "HEAD");
        headers
            .filter(|name| !key.headers.contains(name))
            .map(Input::Header)
            .chain(one_method.then_some(Input::Method))
    }

    /// The first input by which a request of the same key goes to the later route.
    fn mixes_with(&self, later: &Self) -> Option<Input<'r>> {
        let apart = keys_differ(self.rule, later.rule)
            || answers_alike(self, later)
            || !paths_meet(&self.route.matches.paths, &later.route.matches.paths);
        let other = |method: &str| !takes(self.route, method) && takes(later.route, method);
        self.inputs().filter(|_| !apart).find(|input| match input {
            Input::Header(_) => true,
            Input::Method => other("GET") || other("HEAD"),
        })
    }
}

fn header(condition: &HeaderMatch) -> &http::HeaderName {
    match condition {
        HeaderMatch::Present(name)
        | HeaderMatch::Absent(name)
        | HeaderMatch::Equals(name, _)
        | HeaderMatch::Glob(name, _) => name,
    }
}

fn takes(route: &Route, method: &str) -> bool {
    let methods = route.matches.methods.as_ref();
    methods.is_none_or(|set| set.0.iter().any(|known| known == method))
}

/// Keys with other parts are never equal: each part says what it is.
fn keys_differ(a: &CacheRule, b: &CacheRule) -> bool {
    (&a.key.headers, &a.key.cookies, a.key.country, a.key.device)
        != (&b.key.headers, &b.key.cookies, b.key.country, b.key.device)
}

/// Whether both get the same response to the same request, so that it does not matter whose is stored.
fn answers_alike(a: &Caching<'_>, b: &Caching<'_>) -> bool {
    (
        &a.proxy.steering,
        &a.proxy.rewrite,
        &a.route.request_headers,
        &a.route.auth,
    ) == (
        &b.proxy.steering,
        &b.proxy.rewrite,
        &b.route.request_headers,
        &b.route.auth,
    ) && (&a.rule.key, &a.rule.forward_headers, a.rule.set_cookie)
        == (&b.rule.key, &b.rule.forward_headers, b.rule.set_cookie)
}

fn paths_meet(a: &[PathPattern], b: &[PathPattern]) -> bool {
    a.is_empty()
        || b.is_empty()
        || a.iter()
            .any(|one| b.iter().any(|other| may_meet(one, other)))
}

/// Whether a path may match both. Of globs only what stands before the first and behind the last wildcard is looked at, so
/// it may say yes too often.
fn may_meet(a: &PathPattern, b: &PathPattern) -> bool {
    use PathPattern::{Below, Exact, Glob};
    match (a, b) {
        (Exact(a), Exact(b)) => a == b,
        (Exact(path), Below(folder)) | (Below(folder), Exact(path)) => {
            has_segment_prefix(path, folder)
        }
        (Below(a), Below(b)) => has_segment_prefix(a, b) || has_segment_prefix(b, a),
        (Exact(path), Glob(glob)) | (Glob(glob), Exact(path)) => {
            let (start, end) = literal_ends(glob);
            path.starts_with(start) && path.ends_with(end)
        }
        (Below(folder), Glob(glob)) | (Glob(glob), Below(folder)) => {
            let (start, _) = literal_ends(glob);
            start.starts_with(folder.as_str()) || folder.starts_with(start)
        }
        (Glob(a), Glob(b)) => {
            let ((start, end), (other_start, other_end)) = (literal_ends(a), literal_ends(b));
            (start.starts_with(other_start) || other_start.starts_with(start))
                && (end.ends_with(other_end) || other_end.ends_with(end))
        }
    }
}

fn literal_ends(glob: &str) -> (&str, &str) {
    let is_wild = |c| c == '*' || c == '?';
    let start = glob.split(is_wild).next().unwrap_or_default();
    let end = glob.rsplit(is_wild).next().unwrap_or_default();
    (start, end)
}
