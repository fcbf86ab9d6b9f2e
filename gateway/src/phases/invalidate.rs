//! RFC 9111 §4.4, RFC 9875 §3: an unsafe request that succeeds makes stored responses unfit, on this edge.

use crate::{cache::MemoryStorage, context::Context, disk::purge_here};
use latencify_conf::{
    change::{Mode, Target},
    policy::{Action, CacheRule},
};
use latencify_decide::{
    groups,
    invalidation::{self, Change, Origin},
};
use pingora::http::ResponseHeader;
use std::sync::Arc;

/// Purges the path, what `Location` and `Content-Location` name of the same origin, each over all queries and variants, and
/// the groups that the response names. Only at sites that cache at all, so that uploads elsewhere make no marks.
pub async fn after_unsafe(storage: &MemoryStorage, response: &ResponseHeader, ctx: &mut Context) {
    let marks = storage.marks();
    let named = targets(response, ctx).into_iter();
    let targets: Vec<_> = named
        .map(|target| marks.named(target, ctx.history()))
        .collect();
    if !targets.is_empty() {
        // What the origin did is done, whether or not the disk took it.
        let _ = purge_here(storage, &targets, Mode::Hard).await;
        ctx.decide("cache:invalidated");
    }
}

fn targets(response: &ResponseHeader, ctx: &Context) -> Vec<Target> {
    let (Some(asked), Some(taken)) = (&ctx.asked, &ctx.taken) else {
        return Vec::new();
    };
    let rules = rules(ctx);
    if rules.is_empty() {
        return Vec::new();
    }
    let change = Change {
        method: &asked.method,
        origin: Origin {
            https: asked.https,
            authority: &asked.authority,
        },
        path: &asked.path,
        query: asked.query.as_deref(),
    };
    let (site, status) = (taken.site.id, response.status.as_u16());
    let paths = invalidation::paths(&change, status, &response.headers);
    let mut targets: Vec<_> = paths
        .into_iter()
        .map(|path| Target::Url { site, path })
        .collect();
    if rules.iter().any(|rule| rule.groups) {
        let named = groups::invalidated(&asked.method, status, &response.headers);
        targets.extend(named.names.iter().map(|group| Target::Tag {
            site,
            tag: groups::tag(&change.origin, group),
        }));
    }
    targets
}

/// How the routes of the site cache.
fn rules(ctx: &Context) -> Vec<Arc<CacheRule>> {
    let routes = ctx.taken.iter().flat_map(|taken| &taken.site.routes);
    let rule = |action: &Action| match action {
        Action::Proxy(proxy) => proxy.cache.clone(),
        Action::Redirect(_) => None,
    };
    routes.filter_map(|route| rule(&route.action)).collect()
}
