//! Signing that can't be meant, and values that stand where names should.

use crate::support::read;

fn refused(sign: &str) -> String {
    let text = format!(
        "origins:\n  app:\n    url: https://a.example\n    {sign}\nsites:\n  main: {{hosts: [a.example], routes: [{{origins: [app]}}]}}\n"
    );
    let Err(errors) = read(&text) else {
        panic!("accepted: {sign}")
    };
    latencify_conf::validate::render(&errors)
}

#[test]
fn signing_that_can_not_be_meant_is_refused() {
    let aws = "region: r, access_key: {ref: a}, secret_key: {ref: b}";
    for (sign, expected) in [
        (
            "sign: {header: {name: host, value: {ref: a}}}",
            "`host` can't carry a secret",
        ),
        (
            "sign: {header: {name: connection, value: {ref: a}}}",
            "can't carry a secret",
        ),
        ("sign: {header: {name: x-key}}", "`value` is missing"),
        (
            "sign: {header: {name: x key, value: {ref: a}}}",
            "not a header's name",
        ),
        (
            "sign: {aws_v4: {region: r, access_key: {ref: a}}}",
            "`secret_key` is missing",
        ),
        ("sign: {}", "empty"),
        ("sign: {gcp: {}}", "unknown key `gcp`"),
        ("tls: {client: {certificate: {ref: a}}}", "`key` is missing"),
        (
            "tls: {client: {certificate: a.pem, key: {ref: a}}}",
            "expected a mapping",
        ),
    ] {
        let said = refused(sign);
        assert!(said.contains(expected), "{sign}: {said}");
    }
    let both = format!("sign: {{aws_v4: {{{aws}}}, header: {{name: x, value: {{ref: a}}}}}}");
    assert!(
        refused(&both).contains("does not go together"),
        "{}",
        refused(&both)
    );
}

#[test]
fn a_value_where_a_name_should_stand_is_not_quoted() {
    let value = "hunter2";
    for sign in [
        format!("sign: {{header: {{name: x-key, value: {value}}}}}"),
        format!("sign: {{header: {{name: x-key, value: [{value}]}}}}"),
        format!("sign:\n      header:\n        name: x-key\n        value: {value}"),
        format!("sign: {{header: {{name: x-key, value: {{ref: {value}/+}}}}}}"),
        format!(
            "sign:\n      header:\n        name: x-key\n        value:\n          ref: {value}/+"
        ),
        format!(
            "sign: {{aws_v4: {{region: r, access_key: {value}, secret_key: {value}, session_token: {value}}}}}"
        ),
        format!(
            "sign:\n      aws_v4:\n        region: r\n        access_key: {{ref: a}}\n        secret_key: {value}"
        ),
    ] {
        let said = refused(&sign);
        assert!(!said.contains("hunter2"), "{sign}: {said}");
    }
}
