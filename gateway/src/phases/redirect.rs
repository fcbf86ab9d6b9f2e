//! Routes that answer with a redirect.

use crate::{
    context::Context,
    errors::Fault,
    request::Request,
    respond::{Reply, Stop},
};
use bytes::Bytes;
use http::{StatusCode, header};
use latencify_conf::policy::Action;
use latencify_decide::{edit, redirect::location};

/// Answers if the route is a redirect.
pub fn redirect(request: &Request<'_>, ctx: &mut Context) -> Result<(), Stop> {
    let (Some(asked), Some(route)) = (&ctx.asked, ctx.route()) else {
        return Ok(());
    };
    let Action::Redirect(rule) = &route.action else {
        return Ok(());
    };
    let facts = asked.facts(request.headers, ctx.clock.began_at);
    let (Some(location), Ok(status)) = (location(rule, &facts), StatusCode::from_u16(rule.status))
    else {
        return Err(Fault::Internal.into());
    };
    let mut fields = http::HeaderMap::from_iter([(header::LOCATION, location)]);
    edit::apply(&route.response_headers, &mut fields);
    let headers = fields
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    ctx.decide(format!("redirect:{}", status.as_u16()));
    Err(Stop::Answer(Box::new(Reply {
        status,
        headers,
        body: Bytes::new(),
    })))
}
