//! RFC 9111 §4.4: an unsafe request that succeeds makes what is stored for its path unfit, on this edge.

use crate::{cache::MemoryStorage, context::Context};
use http::StatusCode;
use latencify_conf::change::{Mode, Target};

/// Purges the path, over all its queries and variants, when an unsafe method got a response that is no error: what is
/// stored for it is not served again. Only at routes of a site that caches at all, so that uploads elsewhere make no marks.
pub fn after_unsafe(storage: &MemoryStorage, status: StatusCode, ctx: &mut Context) {
    let (Some(asked), Some(taken)) = (&ctx.asked, &ctx.taken) else {
        return;
    };
    if asked.method.is_safe() || !(status.is_success() || status.is_redirection()) || !caches(ctx) {
        return;
    }
    let target = Target::Url {
        site: taken.site.id,
        path: asked.path.to_string(),
    };
    storage.marks().local_purge(&target, Mode::Hard);
    ctx.decide("cache:invalidated");
}

fn caches(ctx: &Context) -> bool {
    use latencify_conf::policy::Action;
    let Some(taken) = &ctx.taken else {
        return false;
    };
    taken.site.routes.iter().any(|route| match &route.action {
        Action::Proxy(proxy) => proxy.cache.is_some(),
        Action::Redirect(_) => false,
    })
}
