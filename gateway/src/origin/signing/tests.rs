//! Against what AWS publishes: its signature test suite, and the examples of S3's reference.

use super::{aws::*, *};
use crate::{outgoing::Plain, secrets::Value};
use http::Method;
use latencify_conf::policy::{AwsV4, SecretHeader};
use pingora::http::RequestHeader;
use zeroize::Zeroizing;

const SUITE_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const S3_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn secrets(values: &[(&str, &str)]) -> Secrets {
    values
        .iter()
        .map(|(name, value)| {
            let value = Value::exactly(Zeroizing::new(value.as_bytes().to_vec()));
            ((*name).into(), value)
        })
        .collect()
}

fn rule(service: &str, token: Option<&str>) -> AwsV4 {
    AwsV4 {
        region: "us-east-1".to_owned(),
        service: service.to_owned(),
        access_key: "id".into(),
        secret_key: "key".into(),
        session_token: token.map(Into::into),
    }
}

fn aws(service: &str, id: &str, key: &str) -> Aws {
    let secrets = secrets(&[("id", id), ("key", key)]);
    Aws::build(&rule(service, None), &secrets).unwrap()
}

/// The signature of a request, as the test suite gives them: method, target, fields.
#[track_caller]
fn check(aws: &Aws, now: &str, request: (&str, &str, &[(&str, &str)], &str), expected: &str) {
    let (method, target, fields, payload) = request;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    fields.sort();
    let signed = Signed {
        method,
        path: path.as_bytes(),
        query: query.as_bytes(),
        fields: &fields,
        payload,
    };
    let authorization = aws.authorization(&signed, now);
    let (_, signature) = authorization.rsplit_once("Signature=").unwrap();
    assert_eq!(signature, expected, "{method} {target}: {authorization}");
}

#[test]
fn the_signature_test_suite_of_aws() {
    const NOW: &str = "20150830T123600Z";
    let aws = aws("service", "AKIDEXAMPLE", SUITE_KEY);
    let plain: &[(&str, &str)] = &[("host", "example.amazonaws.com"), ("x-amz-date", NOW)];
    let cases = [
        // get-vanilla, get-slash, get-slashes, get-relative, get-relative-relative
        (
            "GET",
            "/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "//",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/example/..",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "/example1/example2/../..",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        // get-slash-dot-slash
        (
            "GET",
            "/./",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        // get-vanilla-query-order-key-case
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        // post-vanilla
        (
            "POST",
            "/",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
    ];
    for (method, target, expected) in cases {
        check(&aws, NOW, (method, target, plain, EMPTY), expected);
    }
    // get-header-value-trim
    let trimmed: &[(&str, &str)] = &[
        ("host", "example.amazonaws.com"),
        ("my-header1", "value1"),
        ("my-header2", "\"a b c\""),
        ("x-amz-date", NOW),
    ];
    check(
        &aws,
        NOW,
        ("GET", "/", trimmed, EMPTY),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    );
}

#[test]
fn the_examples_of_s3s_reference() {
    const NOW: &str = "20130524T000000Z";
    let aws = aws("s3", "AKIAIOSFODNN7EXAMPLE", S3_KEY);
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let plain: &[(&str, &str)] = &[host, ("x-amz-content-sha256", EMPTY), ("x-amz-date", NOW)];
    let ranged: &[(&str, &str)] = &[
        host,
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY),
        ("x-amz-date", NOW),
    ];
    let body = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let put: &[(&str, &str)] = &[
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        host,
        ("x-amz-content-sha256", body),
        ("x-amz-date", NOW),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    let cases = [
        (
            ("GET", "/test.txt", ranged, EMPTY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            ("PUT", "/test%24file.text", put, body),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            ("GET", "/?lifecycle", plain, EMPTY),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            ("GET", "/?max-keys=2&prefix=J", plain, EMPTY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (request, expected) in cases {
        check(&aws, NOW, request, expected);
    }
}

#[test]
fn paths_and_queries_are_written_as_the_verifier_reads_them() {
    let written = |target: &str, is_s3| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let signed = Signed {
            method: "GET",
            path: path.as_bytes(),
            query: query.as_bytes(),
            fields: &[],
            payload: EMPTY,
        };
        let text = canonical(&signed, is_s3);
        let mut lines = text.lines().skip(1).map(str::to_owned);
        (lines.next().unwrap(), lines.next().unwrap())
    };
    // target, path for S3, path for others, query
    let cases = [
        ("/a b", "/a%20b", "/a%2520b", ""),
        ("/a%20b", "/a%20b", "/a%2520b", ""),
        ("/a+b?a+b=c+d", "/a%2Bb", "/a%252Bb", "a%20b=c%20d"),
        ("/%7Ea/~b", "/~a/~b", "/~a/~b", ""),
        ("/a//b/../c/", "/a//b/../c/", "/a/c/", ""),
        ("/a%2Fb", "/a%2Fb", "/a%252Fb", ""),
        ("/%E4%BD%A0", "/%E4%BD%A0", "/%25E4%25BD%25A0", ""),
        ("/x?b=2&a=1&a=0&c", "/x", "/x", "a=0&a=1&b=2&c="),
        ("/x?k=%2f%7e&%41=", "/x", "/x", "A=&k=%2F~"),
        ("/x?a=b=c&&", "/x", "/x", "a=b%3Dc"),
    ];
    for (target, s3, other, query) in cases {
        assert_eq!(written(target, true), (s3.into(), query.into()), "{target}");
        assert_eq!(
            written(target, false),
            (other.into(), query.into()),
            "{target}"
        );
    }
}

fn plain(fields: &[(&'static str, &str)]) -> Plain {
    let mut request = Plain {
        method: Method::GET,
        target: "/a%20b?x=1".to_owned(),
        fields: HeaderMap::new(),
    };
    for (name, value) in fields {
        request.fields.append(*name, value.parse().unwrap());
    }
    request
}

#[test]
fn both_forms_of_a_request_get_the_same_signature_and_nothing_of_the_clients_stays() {
    let secrets = secrets(&[("id", "AKID"), ("key", "hunter2"), ("token", "session")]);
    let signing = Signing::build(&Sign::AwsV4(rule("s3", Some("token"))), &secrets).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_460_000);
    let sent = [
        ("host", "bucket.example"),
        ("authorization", "Bearer mine"),
        ("x-amz-date", "20000101T000000Z"),
        ("x-amz-acl", "public-read"),
        ("x-amz-security-token", "mine"),
        ("x-other", "stays"),
    ];
    let mut own = plain(&sent);
    let mut other = RequestHeader::build("GET", b"/a%20b?x=1", None).unwrap();
    for (name, value) in sent {
        other.append_header(name, value).unwrap();
    }
    signing.strip(&mut own);
    signing.strip(&mut other);
    signing.sign(&mut own, now).unwrap();
    signing.sign(&mut other, now).unwrap();
    for fields in [&own.fields, &other.headers] {
        let of = |name: &str| {
            let mut all = fields.get_all(name).iter();
            let first = all.next().map(|value| value.to_str().unwrap().to_owned());
            assert!(all.next().is_none(), "{name} twice");
            first
        };
        assert_eq!(of("x-amz-date").unwrap(), "20261123T185320Z");
        assert_eq!(of("x-amz-content-sha256").unwrap(), EMPTY);
        assert_eq!(of("x-amz-security-token").unwrap(), "session");
        assert_eq!(of("x-amz-acl"), None);
        assert_eq!(of("x-other").unwrap(), "stays");
        let authorization = of("authorization").unwrap();
        assert!(
            authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="
            ),
            "{authorization}"
        );
        let shown = format!("{fields:?}");
        assert!(
            !shown.contains("AWS4") && !shown.contains("session"),
            "{shown}"
        );
    }
    assert_eq!(
        own.fields.get("authorization"),
        other.headers.get("authorization")
    );
}

#[test]
fn what_the_policy_adds_is_signed_and_a_later_attempt_has_a_later_date() {
    let secrets = secrets(&[("id", "AKID"), ("key", "hunter2")]);
    let signing = Signing::build(&Sign::AwsV4(rule("s3", None)), &secrets).unwrap();
    let mut request = plain(&[("host", "b.example"), ("x-amz-request-payer", "requester")]);
    request.method = Method::PUT;
    let mut dates = Vec::new();
    for seconds in [1_795_460_000, 1_795_460_001] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        signing.sign(&mut request, now).unwrap();
        let text = |name: &str| {
            request
                .fields
                .get(name)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert!(text("authorization").contains("x-amz-date;x-amz-request-payer,"));
        assert_eq!(text("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
        dates.push((text("x-amz-date"), text("authorization")));
    }
    assert_ne!(dates[0], dates[1]);
}

#[test]
fn a_shared_header_replaces_what_a_client_says_and_is_not_shown() {
    let sign = Sign::Header(SecretHeader {
        name: HeaderName::from_static("x-origin-key"),
        value: "key".into(),
    });
    let signing = Signing::build(&sign, &secrets(&[("key", "hunter2")])).unwrap();
    let mut request = plain(&[("x-origin-key", "guess"), ("x-origin-key", "another")]);
    signing.strip(&mut request);
    assert!(request.fields.is_empty());
    signing.sign(&mut request, SystemTime::now()).unwrap();
    assert_eq!(request.fields.get("x-origin-key").unwrap(), "hunter2");
    assert!(!format!("{:?}", request.fields).contains("hunter2"));
    assert!(!signing.takes_authorization());
}

#[test]
fn a_missing_or_unfit_secret_is_named_and_its_value_is_not() {
    let header = |value: &str| {
        Sign::Header(SecretHeader {
            name: HeaderName::from_static("x-origin-key"),
            value: value.into(),
        })
    };
    let known = secrets(&[
        ("empty", ""),
        ("broken", "hunter2\nhunter2"),
        ("id", "hunter2/"),
        ("key", "hunter2 x"),
    ]);
    for (sign, expected) in [
        (header("gone"), "`gone` is not there"),
        (header("empty"), "`empty` is empty"),
        (header("broken"), "`broken` can't be a header's value"),
        (
            Sign::AwsV4(rule("s3", None)),
            "`id` is not the id of an access key",
        ),
        (
            Sign::AwsV4(AwsV4 {
                access_key: "key".into(),
                ..rule("s3", None)
            }),
            "`key` can't be a key of AWS",
        ),
        (
            Sign::AwsV4(AwsV4 {
                access_key: "gone".into(),
                ..rule("s3", None)
            }),
            "`gone` is not there",
        ),
    ] {
        let error = Signing::build(&sign, &known).err().unwrap();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_refusal_for_the_time_is_told_apart_by_the_clocks() {
    let known = secrets(&[("id", "AKID"), ("key", "hunter2")]);
    let signing = Signing::build(&Sign::AwsV4(rule("s3", None)), &known).unwrap();
    let now = SystemTime::now();
    let dated = |apart: Option<i64>| {
        let mut fields = HeaderMap::new();
        if let Some(apart) = apart {
            let by = Duration::from_secs(apart.unsigned_abs());
            let date = if apart < 0 { now - by } else { now + by };
            fields.insert("date", httpdate::fmt_http_date(date).parse().unwrap());
        }
        fields
    };
    for (status, apart, expected) in [
        (403, Some(3600), true),
        (403, Some(-3600), true),
        (403, Some(60), false),
        (403, None, false),
        (200, Some(3600), false),
        (404, Some(3600), false),
    ] {
        let found = signing.is_refused_for_time(status, &dated(apart), now);
        assert_eq!(found, expected, "{status} {apart:?}");
    }
}
