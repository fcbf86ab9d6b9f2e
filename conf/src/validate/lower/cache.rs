//! Caching rules.

use super::{At, Flaw, Lowering, edit::UNTOUCHABLE};
use crate::{
    document::{self, Cache, CacheRules, Query, text::Statuses},
    policy::{
        CacheRule, CacheStatusRule, CdnCacheControl, DiskAdmission, Heuristic, KeyParts, Names,
        SetCookie, StatusSet, TtlRules,
    },
};

impl Lowering<'_, '_, '_> {
    pub(super) fn cache(&mut self, written: &Cache, at: At<'_>) -> Option<CacheRule> {
        let default = CacheRule::default();
        let rules = match written {
            Cache::Switch(false) => return None,
            Cache::Switch(true) => return Some(default),
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
        if rules.grace.is_some()
            && rules.stale_while_revalidate.is_some()
            && rules.stale_if_error.is_some()
        {
            let flaw = Flaw::new("`grace` has no effect beside both of what it sets");
            self.refuse_key(
                at.key("grace"),
                flaw.help("leave it out, or `stale_while_revalidate` or `stale_if_error`"),
            );
        }
        self.forwardable(rules, at);
        Some(CacheRule {
            ttl: ttl(rules),
            key: key(&rules.key),
            object_bytes_max: rules
                .object_max
                .map_or(default.object_bytes_max, |size| size.0),
            hit_for_miss: rules
                .hit_for_miss
                .map_or(default.hit_for_miss, |time| time.0),
            lock_wait: rules.lock_wait.map_or(default.lock_wait, |time| time.0),
            tag_headers: names(&rules.tag_headers),
            set_cookie: rules
                .set_cookie
                .map_or(default.set_cookie, |word| match word {
                    document::SetCookie::Bypass => SetCookie::Bypass,
                    document::SetCookie::Store => SetCookie::Store,
                }),
            surrogate_control: rules.surrogate_control,
            cdn_cache_control: rules
                .cdn_cache_control
                .map_or(default.cdn_cache_control, |word| match word {
                    document::CdnCacheControl::Forward => CdnCacheControl::Forward,
                    document::CdnCacheControl::Strip => CdnCacheControl::Strip,
                }),
            cache_status: rules
                .cache_status
                .as_ref()
                .map_or(default.cache_status, |written| CacheStatusRule {
                    key: written.key.unwrap_or(default.cache_status.key),
                    detail: written.detail.unwrap_or(default.cache_status.detail),
                }),
            groups: rules.groups.unwrap_or(default.groups),
            disk: rules.disk.map_or(default.disk, |word| match word {
                document::Disk::Always => DiskAdmission::Always,
                document::Disk::SecondHit => DiskAdmission::SecondHit,
                document::Disk::Never => DiskAdmission::Never,
            }),
            forward_headers: names(&rules.forward_headers),
        })
    }

    fn forwardable(&mut self, rules: &CacheRules, at: At<'_>) {
        let items = at.key("forward_headers").items();
        for (name, item) in rules
            .forward_headers
            .iter()
            .zip(items.filter(|_| at.has("forward_headers")))
        {
            let help = match name.0.as_str() {
                known if UNTOUCHABLE.contains(&known) => {
                    "it belongs to the connection, not to the message"
                }
                "host" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" => {
                    "the edge writes it itself"
                }
                _ => continue,
            };
            let flaw = Flaw::new(format!("`{}` can't be forwarded", name.0));
            self.refuse(item, flaw.help(help));
        }
    }
}

fn names(written: &[document::text::HeaderName]) -> Vec<http::HeaderName> {
    written.iter().map(|name| name.0.clone()).collect()
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
        stale_while_revalidate: time(&rules.stale_while_revalidate.or(rules.grace)),
        stale_if_error: time(&rules.stale_if_error.or(rules.grace)),
        heuristic: rules.heuristic.as_ref().map(|written| {
            let default = Heuristic::default();
            Heuristic {
                fraction: written.fraction.unwrap_or(default.fraction),
                max: written.max.map_or(default.max, |time| time.0),
            }
        }),
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
        headers: self::names(&written.headers),
        cookies: written.cookies.iter().map(|name| name.0.clone()).collect(),
        country: written.country,
        device: written.device,
    }
}
