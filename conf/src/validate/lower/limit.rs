//! Rate limits.

use super::{At, Flaw, Lowering};
use crate::{
    document::{self, RateKey as WrittenKey},
    policy::{RateKey, RateLimit},
};
use std::{collections::HashMap, sync::Arc};

/// The limits of one site by name: those of one name share their counts, so they must be alike.
#[derive(Default)]
pub(super) struct SiteLimits(HashMap<Arc<str>, Arc<RateLimit>>);

impl Lowering<'_, '_, '_> {
    pub(super) fn rate_limits(
        &mut self,
        route: &str,
        written: &document::Route,
        at: At<'_>,
        site: &mut SiteLimits,
    ) -> Vec<Arc<RateLimit>> {
        let items = written
            .rate_limits
            .iter()
            .flatten()
            .zip(at.key("rate_limits").items());
        let mut limits: Vec<Arc<RateLimit>> = Vec::new();
        for (limit, item) in items {
            let number = item.index().unwrap_or(limits.len()) + 1;
            let limit = Arc::new(rate_limit(route, number, limit));
            if matches!(limit.key, RateKey::Claim(_)) && !at.has("auth") {
                let flaw = Flaw::new(
                    "a limit by claim needs a verified token, but this route has no `auth`",
                );
                self.refuse(
                    item.key("key"),
                    flaw.help("add `auth: { jwt: … }`, or count by `address`"),
                );
            }
            let known = site
                .0
                .entry(Arc::clone(&limit.name))
                .or_insert_with(|| Arc::clone(&limit));
            if **known != *limit {
                let flaw = Flaw::new(format!(
                    "the limit `{}` has another key, rate or burst elsewhere in this site",
                    limit.name
                ));
                let shared = Arc::clone(known);
                self.refuse(
                    item.key("name"),
                    flaw.help(
                        "limits of one name share their counts: make them alike, or rename one",
                    ),
                );
                limits.push(shared);
                continue;
            }
            if limits.iter().any(|other| other.name == limit.name) {
                let flaw = Flaw::new(format!(
                    "the limit `{}` is there twice on this route",
                    limit.name
                ));
                self.refuse(
                    item.key("name"),
                    flaw.help("each request would be counted twice: leave one out"),
                );
            }
            limits.push(Arc::clone(known));
        }
        limits
    }
}

fn rate_limit(route: &str, number: usize, written: &document::RateLimit) -> RateLimit {
    RateLimit {
        name: match &written.name {
            Some(name) => name.0.as_str().into(),
            None => format!("{route}/{number}").into(),
        },
        key: match &written.key {
            None | Some(WrittenKey::Address) => RateKey::Address,
            Some(WrittenKey::Header(name)) => RateKey::Header(name.0.clone()),
            Some(WrittenKey::Claim(name)) => RateKey::Claim(name.0.clone()),
        },
        requests: written.rate.requests,
        per: written.rate.per,
        burst: written.burst.unwrap_or(written.rate.requests),
    }
}
