//! What a route caches, for how long, under which key.

use crate::{
    diff::{
        origin::statuses,
        part::{Fact, Part},
        words::{bytes, duration, list, yes},
    },
    policy::{
        CacheRule, CacheStatusRule, CdnCacheControl, DiskAdmission, Heuristic, KeyParts, Names,
        SetCookie, TtlRules,
    },
};
use std::time::Duration;

pub(in crate::diff) fn describe(rule: &CacheRule) -> Part {
    let CacheRule {
        ttl,
        key,
        object_bytes_max,
        hit_for_miss,
        lock_wait,
        tag_headers,
        set_cookie,
        surrogate_control,
        cdn_cache_control,
        cache_status: CacheStatusRule {
            key: shows_key,
            detail,
        },
        groups,
        disk,
        forward_headers,
    } = rule;
    let set_cookie = match set_cookie {
        SetCookie::Bypass => "bypass",
        SetCookie::Store => "store",
    };
    let cdn_cache_control = match cdn_cache_control {
        CdnCacheControl::Forward => "forward",
        CdnCacheControl::Strip => "strip",
    };
    let disk = match disk {
        DiskAdmission::Always => "always",
        DiskAdmission::SecondHit => "second_hit",
        DiskAdmission::Never => "never",
    };
    let mut facts = self::ttl(ttl);
    facts.extend(self::key(key));
    facts.extend([
        Fact::new("object at most", bytes(*object_bytes_max)),
        Fact::new("hit for miss", duration(*hit_for_miss)),
        Fact::new("lock wait", duration(*lock_wait)),
        Fact::new("tag headers", list(tag_headers, "none")),
        Fact::new("set cookie", set_cookie),
        Fact::new("Surrogate-Control counts", yes(*surrogate_control)),
        Fact::new("CDN-Cache-Control", cdn_cache_control),
        Fact::new("Cache-Status key", yes(*shows_key)),
        Fact::new("Cache-Status detail", yes(*detail)),
        Fact::new("cache groups", yes(*groups)),
        Fact::new("disk", disk),
        Fact::new("forward headers", list(forward_headers, "none")),
    ]);
    let lifetime = ttl.over.or(ttl.default);
    let short = match lifetime {
        Some(ttl) => format!("for {}", duration(ttl)),
        None => "as the origin says".to_owned(),
    };
    Part::new("cache", short, facts)
}

fn ttl(rules: &TtlRules) -> Vec<Fact> {
    let TtlRules {
        default,
        over,
        by_status,
        min,
        max,
        stale_while_revalidate,
        stale_if_error,
        heuristic,
    } = rules;
    let maybe = |time: &Option<Duration>| time.map_or_else(|| "none".to_owned(), duration);
    let by_status = by_status
        .iter()
        .map(|(statuses_of, ttl)| format!("{} {}", statuses(statuses_of), duration(*ttl)));
    let heuristic = heuristic.as_ref().map_or_else(
        || "none".to_owned(),
        |Heuristic { fraction, max }| format!("{fraction} of the age, at most {}", duration(*max)),
    );
    vec![
        Fact::new("ttl default", maybe(default)),
        Fact::new("ttl override", maybe(over)),
        Fact::new("ttl by status", list(by_status, "none")),
        Fact::new("ttl min", maybe(min)),
        Fact::new("ttl max", maybe(max)),
        Fact::new("stale while revalidate", maybe(stale_while_revalidate)),
        Fact::new("stale if error", maybe(stale_if_error)),
        Fact::new("heuristic", heuristic),
    ]
}

fn key(key: &KeyParts) -> Vec<Fact> {
    let KeyParts {
        query,
        sort_query,
        headers,
        cookies,
        country,
        device,
    } = key;
    let query = match query {
        Names::All => "all".to_owned(),
        Names::None => "none".to_owned(),
        Names::Only(names) => format!("only {}", list(names, "none")),
        Names::Except(names) => format!("all but {}", list(names, "none")),
    };
    vec![
        Fact::new("key query", query),
        Fact::new("key query sorted", yes(*sort_query)),
        Fact::new("key headers", list(headers, "none")),
        Fact::new("key cookies", list(cookies, "none")),
        Fact::new("key country", yes(*country)),
        Fact::new("key device", yes(*device)),
    ]
}
