//! Routes.

use super::{At, Flaw, Lowering, limit::SiteLimits};
use crate::{
    document::{self, HeaderCondition, text::HeaderName},
    policy::{
        Action, HeaderMatch, Limits, MethodSet, Proxy, RedirectTo, Route, RouteMatch, Steering,
        Timeouts,
    },
};
use std::{sync::Arc, time::Duration};

/// Keys that are about asking an origin.
const PROXY_KEYS: &[&str] = &[
    "origins",
    "cache",
    "rewrite",
    "timeouts",
    "limits",
    "request_headers",
];

impl Lowering<'_, '_, '_> {
    /// The `number` counts from 1.
    pub(super) fn route(
        &mut self,
        site: &str,
        number: usize,
        written: &document::Route,
        at: At<'_>,
        limits: &mut SiteLimits,
    ) -> Route {
        let name: Arc<str> = match &written.name {
            Some(name) => name.0.as_str().into(),
            None => format!("{site}/{number}").into(),
        };
        let mut matches = written
            .matches
            .as_ref()
            .map_or_else(RouteMatch::default, route_match);
        let action = self.action(written, at);
        if let Action::Redirect(redirect) = &action
            && matches!(redirect.to, RedirectTo::Https { .. })
        {
            if matches.https == Some(true) {
                let flaw =
                    Flaw::new("a redirect to HTTPS of requests that came over HTTPS never ends");
                self.refuse(
                    at.keys(&["match", "https"]),
                    flaw.help("leave `https: true` out"),
                );
            }
            matches.https = Some(false);
        }
        Route {
            limits: self.rate_limits(&name, written, at, limits),
            name,
            matches,
            access: written
                .access
                .as_ref()
                .map(|access| self.access(access, at.key("access"))),
            auth: written
                .auth
                .as_ref()
                .map(|auth| Arc::new(self.jwt(&auth.jwt, at.keys(&["auth", "jwt"])))),
            request_headers: self.edits(written.request_headers.as_ref(), at, "request_headers"),
            response_headers: self.edits(written.response_headers.as_ref(), at, "response_headers"),
            action,
        }
    }

    fn action(&mut self, written: &document::Route, at: At<'_>) -> Action {
        match (at.has("redirect"), at.has("origins")) {
            (true, _) => {
                for key in PROXY_KEYS.iter().filter(|key| at.has(key)) {
                    let flaw = Flaw::new(format!("`{key}` has no effect beside `redirect`"));
                    self.refuse_key(
                        at.key(key),
                        flaw.help(format!(
                            "a route redirects or asks origins: leave `{key}` or `redirect` out"
                        )),
                    );
                }
            }
            (false, false) => {
                let flaw =
                    Flaw::new("this route does nothing: it has neither `origins` nor `redirect`");
                self.refuse(at, flaw.help("add `origins: [NAME]`, or `redirect: https`"));
            }
            (false, true) => {}
        }
        if let Some(redirect) = &written.redirect {
            return Action::Redirect(super::edit::redirect(redirect));
        }
        let steering = match &written.origins {
            Some(origins) => self.steering(origins, at.key("origins")),
            None => Steering::Nearest(Vec::new()),
        };
        Action::Proxy(Box::new(Proxy {
            steering,
            rewrite: written
                .rewrite
                .as_ref()
                .map(|rewrite| self.rewrite(rewrite, written.matches.as_ref(), at.key("rewrite"))),
            cache: written
                .cache
                .as_ref()
                .and_then(|cache| self.cache(cache, at.key("cache")))
                .map(Arc::new),
            timeouts: written
                .timeouts
                .as_ref()
                .map_or_else(Timeouts::default, timeouts),
            limits: written.limits.as_ref().map_or_else(Limits::default, bounds),
        }))
    }
}

fn route_match(written: &document::Match) -> RouteMatch {
    let paths = written
        .path
        .as_ref()
        .map_or(&[][..], |path| path.as_slice());
    let methods = written.methods.as_ref();
    RouteMatch {
        paths: paths.iter().map(|path| path.0.clone()).collect(),
        methods: methods.map(|methods| {
            MethodSet(
                methods
                    .as_slice()
                    .iter()
                    .map(|method| method.0.clone())
                    .collect(),
            )
        }),
        headers: written
            .headers
            .iter()
            .filter_map(|(name, condition)| header_match(name, condition))
            .collect(),
        https: written.https,
    }
}

/// None never comes: keys of the section have the form of a header's name.
fn header_match(name: &str, condition: &HeaderCondition) -> Option<HeaderMatch> {
    let HeaderName(name) = name.parse().ok()?;
    let value = match condition {
        HeaderCondition::Text(value) => &value.0,
        HeaderCondition::Exactly(exactly) => &exactly.equals.0,
    };
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Some(match (condition, text.as_str()) {
        (HeaderCondition::Exactly(_), _) => HeaderMatch::Equals(name, text),
        (_, "present") => HeaderMatch::Present(name),
        (_, "absent") => HeaderMatch::Absent(name),
        (_, pattern) if pattern.contains('*') => HeaderMatch::Glob(name, text),
        _ => HeaderMatch::Equals(name, text),
    })
}

fn timeouts(written: &document::Timeouts) -> Timeouts {
    let default = Timeouts::default();
    let or = |written: &Option<document::text::Timeout>, default: Duration| {
        written.map_or(default, |time| time.0)
    };
    Timeouts {
        connect: or(&written.connect, default.connect),
        first_byte: or(&written.first_byte, default.first_byte),
        between_bytes: or(&written.between_bytes, default.between_bytes),
        send: or(&written.send, default.send),
        idle: or(&written.idle, default.idle),
    }
}

fn bounds(written: &document::Limits) -> Limits {
    let default = Limits::default();
    Limits {
        request_body_bytes_max: written
            .request_body
            .map_or(default.request_body_bytes_max, |size| size.0),
        retries_max: written.retries.unwrap_or(default.retries_max),
    }
}
