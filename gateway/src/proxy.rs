//! The life of a request: each of Pingora's phases calls the module that decides it.

use crate::{
    cache::MemoryStorage,
    context::Context,
    disk,
    edge::Edge,
    listen::{self, Lent},
    origin::address_of,
    phases::{
        admit, caching, fail, finish, hops, identify, interim, invalidate, preconditions, purge,
        redirect, route, stale, steer, storing, transform,
    },
    request::Head,
    respond::{self, Stop},
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Version};
use latencify_decide::hops as rules;
use pingora::{
    Error, Result,
    cache::{CacheKey, CacheMeta, ForcedFreshness, HitHandler, RespCacheable, key::HashBinary},
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    protocols::Digest,
    proxy::{FailToProxy, ProxyHttp, RangeType, Session},
    upstreams::peer::HttpPeer,
};
use std::{any::Any, os::fd::RawFd, sync::Arc, time::Duration};

/// The edge as Pingora sees it.
pub struct Gateway {
    edge: Arc<Edge>,
    cache: &'static MemoryStorage,
}

impl Gateway {
    /// A gateway over the shared state.
    pub fn new(edge: Arc<Edge>) -> Self {
        let cache = edge.cache;
        Self { edge, cache }
    }

    /// What was decided before Pingora got the request is not decided again.
    async fn decide(&self, session: &mut Session, ctx: &mut Context) -> Result<(), Stop> {
        match ctx.decided.take() {
            Some(decided) => {
                hops::end_of_request(session, ctx)?;
                decided
            }
            None => decide(&self.edge, session, ctx).await,
        }
    }
}

/// From the request's head to the decision to answer it from cache or origin.
pub async fn decide(edge: &Edge, head: &mut impl Head, ctx: &mut Context) -> Result<(), Stop> {
    identify::identify(edge, &head.request(), ctx)?;
    hops::end_of_request(head, ctx)?;
    route::find(&head.request(), ctx)?;
    purge::purge(edge, &head.request(), ctx).await?;
    route::require(ctx)?;
    admit::admit(edge, &head.request(), ctx).await?;
    admit::body_length(&head.request(), ctx)?;
    redirect::redirect(&head.request(), ctx)
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    // Over HTTP/2 there may be one already: what was decided goes with the task that serves the stream.
    fn new_ctx(&self) -> Context {
        listen::take_decided().map_or_else(|| Context::begin(&self.edge), |decided| *decided)
    }

    // Responses pass as they are: Pingora's compression is left out.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        ctx: &mut Context,
        wire: Box<dyn Any + Send + Sync>,
    ) {
        let Ok(lent) = wire.downcast::<Lent>() else {
            return;
        };
        let Lent { wire, decided } = *lent;
        if let Some(decided) = decided {
            *ctx = *decided;
        }
        ctx.wire = Some(wire);
    }

    // How long a client is waited for is the policy's business (`edge.limits`), and kept by `listen`: a timer here would
    // overrule it. Behind an upgrade, the origin's `between_bytes` bounds the silence. Whether the connection goes on, Pingora
    // reads in the first line of `Connection` alone.
    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut Context) -> Result<()> {
        session.set_read_timeout(None);
        session.set_write_timeout(None);
        let head = session.req_header();
        let goes_on = rules::persists(head.version, &head.headers) && !self.edge.drain.is_begun();
        session.set_keepalive(goes_on.then_some(0));
        interim::begin(session);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        match self.decide(session, ctx).await {
            Ok(()) if finish::is_for_nobody(session, ctx) => Ok(true),
            Ok(()) => transform::upgrade(session, ctx).map(|()| false),
            Err(stop) => {
                // An origin has failed already, before Pingora got the request: as after every such failure.
                if ctx.steering.attempts > 0 {
                    session.set_keepalive(None);
                }
                respond::write(session, ctx, stop).await.map(|()| true)
            }
        }
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        caching::enable(self.cache, session, ctx);
        Ok(())
    }

    fn cache_key_callback(&self, session: &Session, ctx: &mut Context) -> Result<CacheKey> {
        caching::key(&self.edge, session, ctx)
    }

    fn cache_vary_filter(
        &self,
        meta: &CacheMeta,
        ctx: &mut Context,
        request: &RequestHeader,
    ) -> Option<HashBinary> {
        caching::choose(meta, &request.headers, ctx)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        meta: &CacheMeta,
        hit: &mut HitHandler,
        _is_fresh: bool,
        ctx: &mut Context,
    ) -> Result<Option<ForcedFreshness>> {
        let judge = |ctx: &mut Context| caching::judge(&self.edge, meta, ctx);
        let Some(length) = disk::length_of(hit) else {
            ctx.caching.is_on_disk = false;
            return Ok(Some(judge(ctx)));
        };
        let part = preconditions::wanted(&session.request(), meta, length, ctx);
        let is_usable = |ctx: &Context| caching::is_usable(&self.edge, meta, ctx);
        Ok(Some(disk::judge(hit, part, ctx, is_usable, judge).await))
    }

    fn should_serve_stale(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        error: Option<&Error>,
    ) -> bool {
        if let Some(error) = error {
            steer::responded_with_error(&self.edge, error, ctx);
        }
        stale::may_serve(&self.edge, session, ctx, error)
    }

    fn cache_not_modified_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &mut Context,
    ) -> Result<bool> {
        Ok(preconditions::is_not_modified(
            &session.request(),
            response,
            ctx,
        ))
    }

    fn range_header_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> RangeType {
        preconditions::part(session, response, ctx)
    }

    async fn proxy_upstream_filter(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<bool> {
        match caching::before_origin(self.edge.name(), ctx) {
            Ok(()) => Ok(true),
            Err(stop) => respond::write(session, ctx, stop).await.map(|()| false),
        }
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        ctx: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        steer::peer(&self.edge, ctx).await
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        peer: &HttpPeer,
        socket: RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        steer::connected(peer, socket, reused, ctx);
        Ok(())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Context,
        e: Box<Error>,
    ) -> Box<Error> {
        let is_repeatable = !session.as_ref().retry_buffer_truncated();
        steer::could_not_connect(&self.edge, address_of(peer), is_repeatable, ctx, e)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        let is_repeatable =
            !session.as_ref().retry_buffer_truncated() && session.response_written().is_none();
        steer::failed(
            &self.edge,
            is_repeatable,
            ctx,
            e.more_context(format!("origin at {peer}")),
            client_reused,
        )
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        if request.version == Version::HTTP_2 {
            hops::begin_http2_request(session, request)?;
        } else {
            hops::begin_request(request)?;
        }
        transform::towards_origin(request, self.edge.pseudonym(), ctx)?;
        storing::begin_fetch(self.cache, session, request, ctx);
        steer::request_begins(session, request.version, ctx);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if end {
            steer::request_ends(ctx);
        }
        admit::body_piece(ctx, body.as_ref().map_or(0, Bytes::len))
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        steer::responded(&self.edge, response, ctx);
        hops::end_of_response(response, ctx)?;
        interim::pass_on(session, response, ctx).await;
        storing::freshen(session, response, ctx)?;
        invalidate::after_unsafe(self.cache, response, ctx).await;
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        _body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        steer::body_piece(end, ctx).map(|()| None)
    }

    fn upstream_response_trailer_filter(
        &self,
        _session: &mut Session,
        _trailers: &mut HeaderMap,
        ctx: &mut Context,
    ) -> Result<()> {
        steer::body_piece(true, ctx)
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        response: &ResponseHeader,
        ctx: &mut Context,
    ) -> Result<RespCacheable> {
        Ok(storing::store(
            self.cache,
            self.edge.name(),
            session,
            response,
            ctx,
        ))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        if interim::is_interim(response.status) {
            return Ok(());
        }
        ctx.head_goes_out(response.status);
        hops::decide_upgrade(response.status, ctx);
        storing::end_fetch(response.status, ctx);
        ctx.caching.outcome = caching::outcome(session, ctx);
        ctx.caching.collapsed = session.cache.lock_duration().is_some();
        if !ctx.caching.outcome.is_from_cache() {
            ctx.body_is_fetched(response, listen::READ_AHEAD_BYTES_MAX);
        }
        let limits = admit::limit_fields(ctx);
        let is_old = !session.is_http2() && session.req_header().version == Version::HTTP_10;
        if is_old && hops::without_chunks(response) {
            session.set_keepalive(None);
        }
        transform::towards_client(response, self.edge.pseudonym(), limits, ctx)?;
        hops::keep_date(response, ctx);
        hops::let_head_wait(session, ctx);
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        ctx.answer.bytes += body.as_ref().map_or(0, Bytes::len) as u64;
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        e: &Error,
        ctx: &mut Context,
    ) -> FailToProxy {
        fail::answer(session, e, ctx).await
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, ctx: &mut Context) {
        finish::finish(&self.edge, session, e, ctx);
    }
}
