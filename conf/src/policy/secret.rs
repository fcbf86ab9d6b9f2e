//! Secrets that a policy names, and the policy once their values are known.

use super::{Jwt, JwtKey, Policy, Route, Sign, Site};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The most octets of a secret's value.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// The fewest octets of a secret that signs tokens: the output of the smallest hash (RFC 7518 §3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;

/// The name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(pub Arc<str>);

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SecretName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// A secret that a policy needs and that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: secret `{name}` {why}")]
pub struct SecretFlaw {
    /// Which.
    pub name: SecretName,
    /// Where the policy names it.
    pub at: String,
    /// What is wrong with it.
    pub why: String,
}

impl Policy {
    /// Every secret that the policy names, with the places that name it: `origins.bucket.sign.aws_v4.secret_key`.
    pub fn secrets(&self) -> BTreeMap<SecretName, Vec<String>> {
        let mut found: BTreeMap<SecretName, Vec<String>> = BTreeMap::new();
        let mut add = |name: &SecretName, at: String| {
            found.entry(name.clone()).or_default().push(at);
        };
        for origin in &self.origins {
            let at = |key: &str| format!("origins.{}.{key}", origin.name);
            match &origin.sign {
                None => {}
                Some(Sign::Header(header)) => add(&header.value, at("sign.header.value")),
                Some(Sign::AwsV4(aws)) => {
                    add(&aws.access_key, at("sign.aws_v4.access_key"));
                    add(&aws.secret_key, at("sign.aws_v4.secret_key"));
                    if let Some(token) = &aws.session_token {
                        add(token, at("sign.aws_v4.session_token"));
                    }
                }
            }
            if let Some(client) = &origin.tls.client {
                add(&client.certificate, at("tls.client.certificate"));
                add(&client.key, at("tls.client.key"));
            }
        }
        for (site, route, jwt) in self.tokens() {
            if let JwtKey::SecretRef(name) = &jwt.key {
                add(name, token_place(site, route));
            }
        }
        found
    }

    /// The policy with the values of the secrets that verify tokens. Those of origins are looked up by who speaks to them.
    pub fn with_token_secrets<'s>(
        mut self,
        value: impl Fn(&SecretName) -> Option<&'s [u8]>,
    ) -> Result<Self, Vec<SecretFlaw>> {
        let is_named = |(_, _, jwt): (_, _, &Arc<Jwt>)| matches!(jwt.key, JwtKey::SecretRef(_));
        if !self.tokens().any(is_named) {
            return Ok(self);
        }
        let mut flaws = Vec::new();
        for site in &mut self.sites {
            let mut routes = site.routes.clone();
            for route in &mut routes {
                let Some(jwt) = &route.auth else { continue };
                let JwtKey::SecretRef(name) = &jwt.key else {
                    continue;
                };
                match usable(value(name)) {
                    Ok(value) => {
                        let jwt = Jwt {
                            key: JwtKey::Secret(value.to_vec()),
                            ..Jwt::clone(jwt)
                        };
                        *route = Arc::new(Route {
                            auth: Some(Arc::new(jwt)),
                            ..Route::clone(route)
                        });
                    }
                    Err(why) => flaws.push(SecretFlaw {
                        name: name.clone(),
                        at: token_place(site, route),
                        why,
                    }),
                }
            }
            *site = Arc::new(Site {
                routes,
                ..Site::clone(site)
            });
        }
        if flaws.is_empty() {
            Ok(self)
        } else {
            Err(flaws)
        }
    }

    /// The secrets that verify tokens and whose values are not known.
    pub fn token_secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.tokens().filter_map(|(_, _, jwt)| match &jwt.key {
            JwtKey::SecretRef(name) => Some(name),
            _ => None,
        })
    }

    fn tokens(&self) -> impl Iterator<Item = (&Arc<Site>, &Arc<Route>, &Arc<Jwt>)> {
        self.sites.iter().flat_map(|site| {
            let routes = site.routes.iter();
            routes.filter_map(move |route| Some((site, route, route.auth.as_ref()?)))
        })
    }
}

fn token_place(site: &Site, route: &Route) -> String {
    format!("sites.{}, route {}: auth.jwt.secret", site.name, route.name)
}

fn usable(value: Option<&[u8]>) -> Result<&[u8], String> {
    match value {
        None => Err("is not there".to_owned()),
        Some(value) if value.len() < TOKEN_SECRET_BYTES_MIN => Err(format!(
            "has {} bytes and can be guessed: at least {TOKEN_SECRET_BYTES_MIN}, like the output of `openssl rand -hex 32`",
            value.len()
        )),
        Some(value) => Ok(value),
    }
}
