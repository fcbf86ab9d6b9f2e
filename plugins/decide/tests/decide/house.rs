//! Small policies and requests to decide about.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use latencify_conf::{
    Point,
    change::SiteId,
    digest::Digest,
    policy::{
        Action, EdgeRules, HeaderEdits, HostPattern, Limits, Origin, OriginId, PathPattern, Policy,
        Proxy, PurgeAccess, Route, RouteMatch, Scheme, Site, Steering, Timeouts, TlsToOrigin,
        WeightedOrigin,
    },
};
use latencify_decide::facts::Request;
use latencify_geoip::Place;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub const PARIS: Point = Point {
    latitude: 48.85,
    longitude: 2.35,
};
pub const TOKYO: Point = Point {
    latitude: 35.68,
    longitude: 139.69,
};
pub const NEW_YORK: Point = Point {
    latitude: 40.71,
    longitude: -74.01,
};

/// A Tuesday of 2025.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

/// A request to fill in.
pub struct Asking {
    pub method: Method,
    pub https: bool,
    pub host: String,
    /// Host and port as they were written; none: the host.
    pub authority: Option<String>,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub client: IpAddr,
    pub place: Option<Place>,
    pub now: SystemTime,
}

impl Asking {
    /// GET over plain HTTP.
    pub fn get(host: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: Method::GET,
            https: false,
            host: host.to_owned(),
            authority: None,
            path: path.to_owned(),
            query,
            headers: HeaderMap::new(),
            client: "192.0.2.1".parse().unwrap(),
            place: None,
            now: now(),
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        self
    }

    pub fn from(mut self, client: &str, country: Option<&str>) -> Self {
        self.client = client.parse().unwrap();
        self.place = country.map(|code| Place {
            country: Some(code.parse().unwrap()),
            ..Place::default()
        });
        self
    }

    pub fn at(mut self, point: Point) -> Self {
        self.place.get_or_insert_default().point = Some(point);
        self
    }

    pub fn facts(&self) -> Request<'_> {
        Request {
            method: &self.method,
            https: self.https,
            host: &self.host,
            authority: self.authority.as_deref().unwrap_or(&self.host),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            client: self.client,
            place: self.place.as_ref(),
            now: self.now,
        }
    }
}

/// Header fields in their order.
pub fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// A route that proxies everything to the first origin.
pub fn route(name: &str) -> Route {
    Route {
        name: name.into(),
        matches: RouteMatch::default(),
        access: None,
        auth: None,
        limits: Vec::new(),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        action: Action::Proxy(Box::new(Proxy {
            steering: Steering::Nearest(weighted(&[1])),
            rewrite: None,
            cache: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        })),
    }
}

/// A route for paths that match.
pub fn route_of(name: &str, paths: &[PathPattern]) -> Route {
    let mut route = route(name);
    route.matches.paths = paths.to_vec();
    route
}

/// A site with these hosts, as a policy file writes them.
pub fn site(id: u64, hosts: &[&str], routes: Vec<Route>) -> Arc<Site> {
    let pattern = |host: &&str| match host.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) => HostPattern::Under(suffix.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    };
    Arc::new(Site {
        id: SiteId(id),
        name: format!("site-{id}").into(),
        hosts: hosts.iter().map(pattern).collect(),
        certificate: None,
        purge: PurgeAccess::default(),
        routes: routes.into_iter().map(Arc::new).collect(),
    })
}

/// Origins at these places.
pub fn policy(sites: Vec<Arc<Site>>, places: &[Option<Point>]) -> Arc<Policy> {
    let origin = |(index, place): (usize, &Option<Point>)| {
        Arc::new(Origin {
            name: format!("origin-{index}").into(),
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port: 9000 + index as u16,
            place: *place,
            weight: 1,
            host_header: None,
            sign: None,
            tls: TlsToOrigin {
                client: None,
                sni: None,
                ca: None,
                verify: true,
            },
            health: None,
        })
    };
    Arc::new(Policy {
        digest: Digest::default(),
        edge: EdgeRules::default(),
        sites,
        origins: places.iter().enumerate().map(origin).collect(),
        certificates: Vec::new(),
    })
}

/// Origins 0, 1, … with these weights.
pub fn weighted(weights: &[u32]) -> Vec<WeightedOrigin> {
    weights
        .iter()
        .enumerate()
        .map(|(index, weight)| WeightedOrigin {
            origin: OriginId(index),
            weight: *weight,
        })
        .collect()
}
