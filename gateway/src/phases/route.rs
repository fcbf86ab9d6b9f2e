//! Host → site → route.

use crate::{
    context::{Context, Taken},
    errors::Fault,
    request::Request,
    respond::Stop,
};
use latencify_decide::route::Routed;

/// Finds the site, and the route if there is one.
pub fn find(request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    let (Some(asked), Some(policy)) = (&ctx.asked, &ctx.policy) else {
        return Err(Fault::Internal.into());
    };
    let facts = asked.facts(request.headers, ctx.clock.began_at);
    let taken = match policy.router.route(&facts) {
        Routed::Route { site, route } => Taken {
            site: site.clone(),
            route: Some(route.clone()),
        },
        Routed::NoRoute { site } => Taken {
            site: site.clone(),
            route: None,
        },
        Routed::NoSite => {
            ctx.decide("site:none");
            return Err(Fault::NoSite.into());
        }
    };
    let served_here = !asked.https || taken.site.certificate.is_some();
    match &taken.route {
        Some(route) => {
            let [site, route] = route.steps().clone();
            ctx.decide(site);
            ctx.decide(route);
        }
        None => ctx.decide(format!("site:{}", taken.site.name)),
    }
    ctx.taken = Some(taken);
    if served_here {
        Ok(())
    } else {
        Err(Fault::Misdirected.into())
    }
}

/// From here on a route is needed.
pub fn require(ctx: &mut Context) -> Result<(), Stop> {
    if ctx.route().is_some() {
        return Ok(());
    }
    ctx.decide("route:none");
    Err(Fault::NoRoute.into())
}
