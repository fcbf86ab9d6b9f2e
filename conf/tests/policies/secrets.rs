//! Secrets by name, and what is made of a policy once their values are known.

use crate::support::{good, with_route};
use latencify_conf::policy::{JwtKey, Policy, SecretName, Sign};
use std::collections::BTreeSet;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn example() -> Policy {
    good(include_str!("../../examples/09-private-origins.yaml"))
}

#[test]
fn the_example_names_its_secrets_and_where() {
    let policy = example();
    let secrets = policy.secrets();
    let names: Vec<_> = secrets.keys().map(|name| &*name.0).collect();
    assert_eq!(
        names,
        [
            "bucket-access-key",
            "bucket-secret-key",
            "edge-certificate",
            "edge-key",
            "origin-key",
            "token-key"
        ]
    );
    let at = |name: &str| secrets[&SecretName::from(name)].join("; ");
    assert_eq!(
        at("bucket-secret-key"),
        "origins.bucket.sign.aws_v4.secret_key"
    );
    assert_eq!(at("edge-key"), "origins.ledger.tls.client.key");
    assert_eq!(at("origin-key"), "origins.app.sign.header.value");
    assert_eq!(at("token-key"), "sites.app, route ledger: auth.jwt.secret");
    let Some(Sign::AwsV4(aws)) = &policy.origins[0].sign else {
        panic!("{:?}", policy.origins[0].sign);
    };
    assert_eq!((&*aws.region, &*aws.service), ("eu-west-1", "s3"));
}

#[test]
fn a_token_is_verified_by_the_value_or_the_policy_is_not_built() {
    let policy = example();
    let known = policy.clone().with_token_secrets(|_| Some(KEY)).unwrap();
    assert_eq!(known.digest, policy.digest, "values are not in the digest");
    assert_eq!(known.token_secrets().count(), 0);
    let keys: Vec<_> = known
        .sites
        .iter()
        .flat_map(|site| &site.routes)
        .filter_map(|route| Some(route.auth.as_ref()?.key.clone()))
        .collect();
    assert_eq!(keys, [JwtKey::Secret(KEY.to_vec())]);
    assert!(
        !format!("{known:?}").contains("0123456789abcdef")
            && !format!("{known:?}").contains("48, 49, 50")
    );
    for (value, why) in [(None, "is not there"), (Some(&b"hunter2"[..]), "7 bytes")] {
        let flaws = policy.clone().with_token_secrets(|_| value).unwrap_err();
        let said = flaws[0].to_string();
        assert!(said.contains("token-key") && said.contains(why), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_secret_that_is_written_out_is_still_taken() {
    let policy = good(&with_route(
        "auth: { jwt: { algorithms: [HS256], secret: 0123456789abcdef0123456789abcdef } }",
    ));
    assert!(policy.secrets().is_empty());
    assert_eq!(policy.clone().with_token_secrets(|_| None), Ok(policy));
}

#[test]
fn secrets_that_there_are_not_are_told_where_it_is_known() {
    use latencify_conf::{
        bundle::Bundle,
        validate::{SiteIds, validate_knowing},
    };
    let text = include_str!("../../examples/09-private-origins.yaml");
    let bundle = Bundle::single("p.yaml", text);
    let ids = SiteIds::standalone();
    let all: BTreeSet<String> = example()
        .secrets()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert!(validate_knowing(&bundle, &ids, Some(&all)).is_ok());
    let few: BTreeSet<String> = all
        .iter()
        .filter(|name| *name != "origin-key")
        .cloned()
        .collect();
    let errors = validate_knowing(&bundle, &ids, Some(&few)).unwrap_err();
    let [error] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    assert_eq!(error.path, "origins.app.sign.header.value.ref");
    assert_eq!(error.message, "there is no secret `origin-key`");
    assert!(
        error
            .help
            .as_ref()
            .unwrap()
            .contains("latencify secret set origin-key")
    );
    assert!(validate_knowing(&bundle, &ids, Some(&BTreeSet::new())).is_err());
}
