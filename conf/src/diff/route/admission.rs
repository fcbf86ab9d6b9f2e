//! Who a route lets in.

use crate::{
    diff::{
        part::{Fact, Part},
        words::{duration, list, may_be_secret, yes},
    },
    digest::Digest,
    policy::{Access, AccessRule, Jwt, JwtKey, RateKey, RateLimit, TokenSource},
};

pub(in crate::diff) fn access(access: &Access) -> Fact {
    let Access { rules, otherwise } = access;
    let verb = |is_let_in: bool| if is_let_in { "allow" } else { "deny" };
    let rule = |(rule, is_let_in): &(AccessRule, bool)| {
        let who = match rule {
            AccessRule::Address(net) => net.to_string(),
            AccessRule::Country(country) => format!("country {country}"),
        };
        format!("{} {who}", verb(*is_let_in))
    };
    let last = format!("else {}", verb(*otherwise));
    let rules = rules.iter().map(rule).chain([last]);
    Fact::new("access", list(rules, "all"))
}

pub(in crate::diff) fn jwt(jwt: &Jwt) -> Part {
    let Jwt {
        algorithms,
        key,
        issuers,
        audiences,
        claims,
        sources,
        leeway,
        strip,
    } = jwt;
    let algorithms = algorithms.iter().map(|algorithm| format!("{algorithm:?}"));
    let key = match key {
        JwtKey::Secret(secret) => Fact::hidden("key", "shared secret (not shown)", secret),
        JwtKey::SecretRef(name) => Fact::new("key", format!("secret {name}")),
        JwtKey::PublicPem(pem) => Fact::new(
            "key",
            format!("public key {}", Digest::of_parts([pem.as_bytes()])),
        ),
    };
    let claims = claims.iter().map(|(name, value)| {
        if may_be_secret(name) {
            Fact::hidden(
                format!("claim {name}"),
                "value (not shown)",
                value.to_string().as_bytes(),
            )
        } else {
            Fact::new(format!("claim {name}"), value.to_string())
        }
    });
    let source = |source: &TokenSource| match source {
        TokenSource::Bearer => "bearer".to_owned(),
        TokenSource::Header(name) => format!("header {name}"),
        TokenSource::Cookie(name) => format!("cookie {name}"),
        TokenSource::Query(name) => format!("query {name}"),
    };
    let mut facts = vec![
        Fact::new("algorithms", list(algorithms, "none")),
        key,
        Fact::new("issuers", list(issuers, "any")),
        Fact::new("audiences", list(audiences, "any")),
        Fact::new("token from", list(sources.iter().map(source), "nowhere")),
        Fact::new("leeway", duration(*leeway)),
        Fact::new("token taken out", yes(*strip)),
    ];
    facts.extend(claims);
    Part::new("auth", "a token is demanded", facts)
}

pub(in crate::diff) fn limit(limit: &RateLimit) -> Part {
    let RateLimit {
        name,
        key,
        requests,
        per,
        burst,
    } = limit;
    let by = match key {
        RateKey::Address => "address".to_owned(),
        RateKey::Header(name) => format!("header {name}"),
        RateKey::Claim(name) => format!("claim {name}"),
    };
    let rate = format!("{requests} in {}", duration(*per));
    let short = format!("{rate}, burst {burst}, by {by}");
    let facts = vec![
        Fact::new("rate", rate),
        Fact::new("burst", burst.to_string()),
        Fact::new("by", by),
    ];
    Part::new(format!("limit {name}"), short, facts)
}
