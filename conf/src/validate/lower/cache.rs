//! Caching rules.

use super::{At, Flaw, Lowering};
use crate::{
    document::{self, Cache, CacheRules, Query, text::Statuses},
    policy::{CacheRule, KeyParts, Names, StatusSet, TtlRules},
};
use std::time::Duration;

const OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;
const HIT_FOR_MISS: Duration = Duration::from_secs(10);
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl Lowering<'_, '_, '_> {
    pub(super) fn cache(&mut self, written: &Cache, at: At<'_>) -> Option<CacheRule> {
        let default = CacheRules::default();
        let rules = match written {
            Cache::Switch(false) => return None,
            Cache::Switch(true) => &default,
            Cache::Rules(rules) => rules,
        };
        if let (Some(min), Some(max)) = (rules.min_ttl, rules.max_ttl)
            && min > max
        {
            let flaw = Flaw::new("`min_ttl` is longer than `max_ttl`");
            self.refuse(
                at.key("min_ttl"),
                flaw.help("the origin's lifetime is kept between them: exchange them"),
            );
        }
        if rules.object_max.is_some_and(|size| size.0 == 0) {
            let flaw = Flaw::new("`object_max: 0B` would store nothing");
            self.refuse(at.key("object_max"), flaw.help("write `cache: false`"));
        }
        Some(CacheRule {
            ttl: ttl(rules),
            key: key(&rules.key),
            object_bytes_max: rules.object_max.map_or(OBJECT_BYTES_MAX, |size| size.0),
            hit_for_miss: rules.hit_for_miss.map_or(HIT_FOR_MISS, |time| time.0),
            lock_wait: rules.lock_wait.map_or(LOCK_WAIT, |time| time.0),
            tag_headers: rules
                .tag_headers
                .iter()
                .map(|name| name.0.clone())
                .collect(),
        })
    }
}

fn ttl(rules: &CacheRules) -> TtlRules {
    let time = |written: &Option<document::text::Duration>| written.map(|time| time.0);
    let mut by_status: Vec<_> = (rules.ttl_by_status.iter())
        .filter_map(|(statuses, ttl)| Some((statuses.parse::<Statuses>().ok()?.0, ttl.0)))
        .collect();
    // The first that matches decides, so the narrowest comes first: 404 before 4xx.
    by_status.sort_by_key(|(range, _)| (range.end() - range.start(), *range.start()));
    TtlRules {
        default: time(&rules.default_ttl),
        over: time(&rules.ttl),
        by_status: by_status
            .into_iter()
            .map(|(range, ttl)| (StatusSet(vec![range]), ttl))
            .collect(),
        min: time(&rules.min_ttl),
        max: time(&rules.max_ttl),
        stale_while_revalidate: time(&rules.stale_while_revalidate),
        stale_if_error: time(&rules.stale_if_error),
    }
}

fn key(written: &document::CacheKey) -> KeyParts {
    let names = |patterns: &[document::text::NamePattern]| {
        patterns.iter().map(|pattern| pattern.0.clone()).collect()
    };
    KeyParts {
        query: match &written.query {
            None | Some(Query::All) => Names::All,
            Some(Query::None) => Names::None,
            Some(Query::Only(patterns)) => Names::Only(names(patterns)),
            Some(Query::Except(patterns)) => Names::Except(names(patterns)),
        },
        sort_query: written.sort_query,
        headers: written.headers.iter().map(|name| name.0.clone()).collect(),
        cookies: written.cookies.iter().map(|name| name.0.clone()).collect(),
        country: written.country,
    }
}
