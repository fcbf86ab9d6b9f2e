//! The demo's policy.

use super::{
    layout::{self, Layout},
    ports::EDGES,
};
use crate::{
    failure::Failure,
    server::{Patience, Server},
};
use latencify_conf::{
    api::{PolicyAccepted, PolicyDetail, PolicySubmission},
    bundle::File,
};
use std::{collections::BTreeMap, net::SocketAddr};

/// As written; origins have names that stand for the addresses that they turn out to have.
const POLICY: &str = include_str!("policy.yaml");

/// The demo's policy, unless an earlier run is kept that has one.
pub async fn apply(
    origins: &BTreeMap<String, SocketAddr>,
    layout: &Layout,
    server: &Server,
) -> Result<(), Failure> {
    if server.get::<PolicyDetail>("v1/policies/head").await.is_ok() {
        return Ok(());
    }
    let text = policy_for(origins);
    layout::write(&layout.policy(), text.as_bytes())?;
    let submission = PolicySubmission {
        files: vec![File {
            name: "policy.yaml".to_owned(),
            text,
        }],
        message: "the demo's policy".to_owned(),
        base: None,
        dry_run: false,
        rollout: None,
    };
    server
        .post::<PolicyAccepted>("v1/policies", None, &submission, Patience::brief())
        .await?;
    Ok(())
}

/// The demo's policy names default addresses; these are the real ones.
fn policy_for(origins: &BTreeMap<String, SocketAddr>) -> String {
    EDGES.iter().fold(POLICY.to_owned(), |text, edge| {
        let real = origins
            .get(edge.name)
            .map(|address| format!("http://{address}"));
        let written = format!("http://{}.invalid", edge.name);
        real.map_or_else(|| text.clone(), |real| text.replace(&written, &real))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latencify_conf::{
        bundle::Bundle,
        validate::{SiteIds, validate},
    };

    #[test]
    fn the_demo_policy_is_valid_with_every_origin_at_its_real_address() {
        let origins = EDGES
            .iter()
            .map(|edge| (edge.name.to_owned(), SocketAddr::from(([127, 0, 0, 1], 1))))
            .collect();
        let text = policy_for(&origins);
        assert!(!text.contains(".invalid"), "{text}");
        let policy = validate(&Bundle::single("policy.yaml", text), &SiteIds::standalone());
        let policy =
            policy.unwrap_or_else(|errors| panic!("{}", latencify_conf::validate::render(&errors)));
        assert_eq!(policy.origins.len(), EDGES.len());
    }
}
