//! An edge without sockets, and what each part of a hit asks of it.

use crate::stored::{BODY_BYTES, REQUEST, decided, read, response, store};
use bytes::BytesMut;
use http::Method;
use latencify_cache::{Eviction, Marks, Record};
use latencify_conf::{bundle::Bundle, validate::SiteIds};
use latencify_decide::{
    facts,
    freshness::{Exchange, RequestDirectives, Storable, storable},
};
use latencify_gateway::{
    cache::{MemoryStorage, Options, StoredMeta},
    context::Context,
    drain::Drain,
    edge::{Edge, Parts},
    hot::{self, head::Own, ready::ReadyHead},
    observe::{AccessLog, AccessLogWriter, Metrics},
    origin::Network,
    phases::{
        caching,
        finish::{self, Ending},
    },
    request::Head as _,
    verdict::Use,
};
use latencify_geoip::GeoIp;
use pingora::http::ResponseHeader;
use std::{
    hint::black_box,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What is stored beside what is asked for.
const OBJECTS: usize = 500;
const POLICY: &str = "
version: 1
origins:
  app: {url: 'http://127.0.0.1:9'}
sites:
  other: {hosts: [other.example, '*.other.example'], routes: [{origins: [app]}]}
  shop:
    hosts: [www.example.com, shop.example]
    routes:
      - {name: api, match: {path: '/api/**', methods: [POST, PUT]}, origins: [app]}
      - {name: images, match: {path: '/images/**'}, origins: [app], cache: {ttl: 1d}}
      - name: pages
        origins: [app]
        rate_limits: [{name: everybody, key: address, rate: 1000000/s}]
        cache: {key: {query: {except: ['utm_*', fbclid]}, sort_query: true}}
";

/// An edge that stands alone, without sockets, and a request that has been let in.
pub struct Stand {
    edge: Arc<Edge>,
    own: Own,
    ctx: Box<Context>,
    /// Of a request for something that varies.
    varied: Box<Context>,
    record: Arc<Record<StoredMeta>>,
    ready: ReadyHead,
    octets: BytesMut,
    response: ResponseHeader,
    writer: Option<AccessLogWriter>,
    _runtime: tokio::runtime::Runtime,
}

impl Stand {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let metrics = Metrics::new().unwrap();
        let dropped = metrics.access_log_dropped.clone();
        let (access_log, writer) = AccessLog::open(&PathBuf::from("/dev/null"), dropped).unwrap();
        let options = Options {
            bytes_max: 1 << 30,
            eviction: Eviction::default(),
            fill_lock_age: Duration::from_secs(30),
        };
        let edge = Edge::new(Parts {
            name: "edge-1".to_owned(),
            cache: MemoryStorage::open(options, Marks::new()),
            certificate_folder: PathBuf::from("."),
            places: GeoIp::open(&[]).unwrap(),
            place_files: Vec::new(),
            network: Network::new(None),
            metrics,
            access_log,
            drain: Drain::new(),
        });
        let bundle = Bundle::single("policy.yaml", POLICY);
        let ids = SiteIds::standalone();
        let history = edge.cache.marks().history();
        edge.install(&bundle, &ids, None, history).unwrap();
        for number in 0..OBJECTS {
            let path = format!("/products/{}/{number:09}", number % 500);
            let request = REQUEST.replace("/products/7/000000007", &path);
            runtime.block_on(store(&edge, &request, false));
            let request = request.replace("/products/", "/variants/");
            runtime.block_on(store(&edge, &request, true));
        }
        let mut other = read(&REQUEST.replace("/products/", "/variants/"));
        let mut varied = decided(&edge, &mut other);
        varied.untold = None;
        let mut own = read(REQUEST);
        let mut ctx = decided(&edge, &mut own);
        let hit = hot::find(&edge, &own.request(), &mut ctx).expect("a hit");
        let record = hit.record().clone();
        let head = hit.answer(&edge, &own.request(), &mut ctx).unwrap().head;
        let put = hot::differing(&ctx, true).unwrap();
        let ready =
            ReadyHead::of(&head, &put, record.clone(), ctx.route().unwrap().clone()).unwrap();
        drop(inside);
        Self {
            edge,
            own,
            ctx,
            varied,
            record,
            ready,
            octets: BytesMut::with_capacity(4_096),
            response: response(false),
            writer: Some(writer),
            _runtime: runtime,
        }
    }

    pub fn end(mut self) {
        self.ctx.untold = None;
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
    }

    pub fn decide(&mut self) {
        let mut ctx = decided(&self.edge, &mut self.own);
        ctx.untold = None;
        black_box(ctx);
    }

    pub fn key(&mut self) {
        let rule = self.ctx.caching.rule.clone().unwrap();
        black_box(caching::primary_key(&rule, self.own.headers(), &self.ctx));
    }

    /// With its key.
    pub fn lookup(&mut self) {
        let rule = self.ctx.caching.rule.clone().unwrap();
        let key = caching::primary_key(&rule, self.own.headers(), &self.ctx).unwrap();
        let found = caching::find(&self.edge, &rule, &key, self.own.headers());
        assert!(black_box(found).is_some());
    }

    /// The same of a response that varies, of which another variant was stored first.
    pub fn lookup_of_variant(&mut self) {
        let rule = self.varied.caching.rule.clone().unwrap();
        let key = caching::primary_key(&rule, self.own.headers(), &self.varied).unwrap();
        let found = caching::find(&self.edge, &rule, &key, self.own.headers());
        assert!(black_box(found).is_some());
    }

    /// With the marks, and the trust that an edge has in what it stores.
    pub fn freshness(&mut self) {
        let lifetime = caching::lifetime(&self.record.meta).unwrap();
        let verdict = caching::weigh(&self.edge, &self.record, &lifetime, &self.ctx).unwrap();
        assert!(black_box(verdict).lets() == Use::Answer);
    }

    pub fn write_ready(&mut self) {
        self.octets.clear();
        let differing = hot::differing(&self.ctx, true).unwrap();
        self.ready.write(&mut self.octets, &differing);
        assert!(black_box(&self.octets).len() > 300);
    }

    /// With the look-up: what is not hot is decoded, and its head is made field by field.
    pub fn make_head(&mut self) {
        let hit = hot::find(&self.edge, &self.own.request(), &mut self.ctx).unwrap();
        let answer = hit.answer(&self.edge, &self.own.request(), &mut self.ctx);
        self.octets.clear();
        answer.unwrap().head.header_to_h1_wire(&mut self.octets);
        assert!(black_box(&self.octets).len() > 300);
    }

    pub fn fetched(&mut self) {
        let rule = self.ctx.caching.rule.clone().unwrap();
        let now = SystemTime::now();
        let exchange = Exchange {
            method: &Method::GET,
            authorized: false,
            asked: RequestDirectives::default(),
            sent: now,
            received: now,
            edge: self.edge.name(),
        };
        let response = facts::Response {
            status: 200,
            headers: &self.response.headers,
        };
        let stored = storable(&exchange, response, &rule);
        assert!(matches!(black_box(stored), Storable::Store { .. }));
    }

    pub fn tell(&mut self) {
        let ending = Ending {
            status: 200,
            bytes: (0, BODY_BYTES as u64),
            headers: Some(self.own.headers()),
        };
        finish::told(&self.edge, &ending, &mut self.ctx);
    }
}
