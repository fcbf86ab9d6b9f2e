//! What is stored (RFC 9111 §3).

use super::{
    case::{Case, End, answer, case, status},
    world::World,
};
use latencify_tests::Protocol;

const STORED: &str = "cache-control: max-age=3600";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_stored_is_and_nothing_else() {
    let world = World::start().await;
    let mut cases = directives();
    cases.extend(credentials());
    cases.extend(bodies());
    cases.extend(statuses());
    cases.extend(methods());
    world.check(cases, &[Protocol::Http1]).await;
}

/// The second request is answered from the store.
fn stored(section: &'static str, what: &'static str, fields: &str) -> Case {
    let answers = [answer(fields), answer(fields)];
    case(section, what)
        .answers(answers)
        .get("")
        .fetched(1)
        .get("")
        .hit(1)
}

/// The second request is the origin's again.
fn not_stored(section: &'static str, what: &'static str, fields: &str) -> Case {
    let answers = [answer(fields), answer(fields)];
    case(section, what)
        .answers(answers)
        .get("")
        .fetched(1)
        .get("")
        .fetched(2)
}

fn directives() -> Vec<Case> {
    vec![
        stored("RFC 9111 §5.2.2.1", "max-age", STORED),
        stored(
            "RFC 9111 §5.2",
            "max-age in any case",
            "cache-control: MaX-aGe=3600",
        ),
        stored(
            "RFC 9111 §5.2",
            "max-age in quotes",
            "cache-control: max-age=\"3600\"",
        ),
        stored(
            "RFC 9111 §5.2.3",
            "beside a directive that nobody knows",
            "cache-control: foo=bar, max-age=3600, baz=\"a, no-store\"",
        ),
        stored(
            "RFC 9111 §5.2",
            "over several lines",
            "cache-control: foo | cache-control: max-age=3600",
        ),
        stored(
            "RFC 9111 §1.2.2",
            "max-age beyond 2^31",
            "cache-control: max-age=99999999999999",
        ),
        stored(
            "RFC 9111 §5.2.2.10",
            "s-maxage above max-age",
            "cache-control: max-age=0, s-maxage=3600",
        ),
        not_stored(
            "RFC 9111 §5.2.2.10",
            "s-maxage of zero above max-age",
            "cache-control: max-age=3600, s-maxage=0",
        ),
        not_stored("RFC 9111 §5.2.2.5", "no-store", "cache-control: no-store"),
        not_stored(
            "RFC 9111 §5.2.2.5",
            "no-store beside max-age",
            "cache-control: max-age=3600 | cache-control: NO-STORE",
        ),
        not_stored(
            "RFC 9111 §5.2.2.7",
            "private",
            "cache-control: private, max-age=3600",
        ),
        not_stored(
            "RFC 9111 §5.2.2.4",
            "no-cache without a validator",
            "cache-control: no-cache, max-age=3600",
        ),
        not_stored(
            "RFC 9111 §4.2.1",
            "two max-age of which one is zero",
            "cache-control: max-age=3600, max-age=0",
        ),
        not_stored(
            "RFC 9111 §4.2.1",
            "a max-age that is no number",
            "cache-control: max-age=3600.5",
        ),
        not_stored("RFC 9111 §3", "nothing said of freshness", ""),
        not_stored(
            "RFC 9111 §4.1",
            "vary star",
            "cache-control: max-age=3600 | vary: *",
        ),
        not_stored(
            "RFC 9111 §4.1",
            "vary star in a list",
            "cache-control: max-age=3600 | vary: accept, *",
        ),
        not_stored(
            "RFC 9111 §4.1",
            "vary star in another line",
            "cache-control: max-age=3600 | vary: accept | vary: *",
        ),
        stored(
            "RFC 9111 §5.2.2.3",
            "must-understand of a status that is understood",
            "cache-control: max-age=3600, no-store, must-understand",
        ),
        case(
            "RFC 9111 §5.2.2.3",
            "must-understand of a status that nobody understands",
        )
        .answers([
            status(299, "cache-control: max-age=3600, must-understand"),
            status(299, "cache-control: max-age=3600, must-understand"),
        ])
        .get("")
        .fetched(1)
        .status(299)
        .get("")
        .fetched(2)
        .status(299),
        case("RFC 9111 §5.2.2.7", "fields that are private")
            .answers([answer(
                "cache-control: max-age=3600, private=\"x-secret, x-other\" | x-secret: a | x-other: b | x-open: c",
            )])
            .get("")
            .fetched(1)
            .has("x-secret: a | x-other: b | x-open: c")
            .get("")
            .hit(1)
            .lacks("x-secret")
            .lacks("x-other")
            .has("x-open: c"),
        case("RFC 9111 §5.2.2.4", "fields that are not to be reused")
            .answers([answer(
                "cache-control: max-age=3600, no-cache=\"x-secret\" | x-secret: a | x-open: c",
            )])
            .get("")
            .fetched(1)
            .has("x-secret: a")
            .get("")
            .hit(1)
            .lacks("x-secret")
            .has("x-open: c"),
        case("RFC 9111 §5.2.1.5", "a request that says no-store")
            .answers([answer(STORED), answer(STORED)])
            .get("cache-control: no-store")
            .fetched(1)
            .get("")
            .fetched(2)
            .get("")
            .hit(2),
        case("RFC 9111 §7.3", "set-cookie, by default")
            .answers([
                answer("cache-control: max-age=3600 | set-cookie: a=1"),
                answer("cache-control: max-age=3600 | set-cookie: a=2"),
            ])
            .get("")
            .fetched(1)
            .has("set-cookie: a=1")
            .get("")
            .fetched(2)
            .has("set-cookie: a=2")
            .tells("detail=set_cookie"),
        case("RFC 9111 §7.3", "set-cookie, where the policy stores it")
            .site("cookies")
            .answers([answer("cache-control: max-age=3600 | set-cookie: a=1")])
            .get("")
            .fetched(1)
            .get("")
            .hit(1)
            .has("set-cookie: a=1"),
    ]
}

fn credentials() -> Vec<Case> {
    let authorized = |what, fields: &str, is_stored: bool| {
        let case = case("RFC 9111 §3.5", what)
            .answers([answer(fields), answer(fields)])
            .get("authorization: Basic YTpi")
            .fetched(1)
            .origin_saw("authorization: Basic YTpi")
            .get("");
        if is_stored {
            case.hit(1)
        } else {
            case.fetched(2)
        }
    };
    vec![
        authorized("credentials", STORED, false),
        authorized(
            "credentials and private",
            "cache-control: private, max-age=3600",
            false,
        ),
        authorized(
            "credentials and public",
            "cache-control: public, max-age=3600",
            true,
        ),
        authorized(
            "credentials and s-maxage",
            "cache-control: s-maxage=3600",
            true,
        ),
        authorized(
            "credentials and must-revalidate",
            "cache-control: must-revalidate, max-age=3600",
            true,
        ),
        case("RFC 9111 §3.5", "what was stored without credentials")
            .answers([answer(STORED)])
            .get("")
            .fetched(1)
            .get("authorization: Basic YTpi")
            .hit(1),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        case("RFC 9111 §3.3", "a body that is shorter than its length")
            .answers([answer(STORED).ending(End::Short), answer(STORED)])
            .get("")
            .breaks_off()
            .get("")
            .fetched(2)
            .get("")
            .hit(2),
        case("RFC 9111 §3.3", "a chunked body without its end")
            .answers([
                answer("cache-control: max-age=3600 | transfer-encoding: chunked")
                    .body("5\r\nbegin\r\n")
                    .ending(End::Short),
                answer(STORED),
            ])
            .get("")
            .breaks_off()
            .get("")
            .fetched(2)
            .get("")
            .hit(2),
        case("RFC 9112 §7.1", "a chunked body")
            .answers([
                answer("cache-control: max-age=3600 | transfer-encoding: chunked")
                    .body("5\r\nbegin\r\n4\r\n end\r\n0\r\n\r\n"),
            ])
            .get("")
            .body("begin end")
            .get("")
            .body("begin end")
            .asks(0)
            .has("content-length: 9"),
        case("RFC 9112 §6.3", "a body that ends with the connection")
            .answers([answer(
                "cache-control: max-age=3600 | connection: close | transfer-encoding: chunked",
            )
            .body("3\r\nall\r\n0\r\n\r\n")
            .ending(End::Short)])
            .get("")
            .body("all")
            .get("")
            .body("all")
            .asks(0),
        case("RFC 9110 §15.4.5", "a body of no octets")
            .answers([answer(STORED).body("")])
            .get("")
            .body("")
            .get("")
            .asks(0)
            .body(""),
    ]
}

fn statuses() -> Vec<Case> {
    let understood = [
        (200, "the status 200"),
        (203, "the status 203"),
        (204, "the status 204"),
        (300, "the status 300"),
        (301, "the status 301"),
        (302, "the status 302"),
        (307, "the status 307"),
        (308, "the status 308"),
        (400, "the status 400"),
        (404, "the status 404"),
        (410, "the status 410"),
        (414, "the status 414"),
        (418, "the status 418"),
        (500, "the status 500"),
        (501, "the status 501"),
        (503, "the status 503"),
        (299, "the status 299, which nobody knows"),
        (599, "the status 599, which nobody knows"),
    ];
    let stored = understood.map(|(code, what)| {
        case("RFC 9111 §3", what)
            .answers([status(code, STORED)])
            .get("")
            .fetched(1)
            .status(code)
            .get("")
            .hit(1)
            .status(code)
    });
    let never = [
        (206, "the status 206", " | content-range: bytes 0-7/9"),
        (412, "the status 412", ""),
        (416, "the status 416", ""),
    ];
    let not_stored = never.map(|(code, what, more)| {
        let fields = format!("{STORED}{more}");
        case("RFC 9111 §3", what)
            .answers([status(code, &fields), status(code, &fields)])
            .get("")
            .fetched(1)
            .status(code)
            .get("")
            .fetched(2)
            .status(code)
    });
    stored.into_iter().chain(not_stored).collect()
}

fn methods() -> Vec<Case> {
    let other = |what, method| {
        case("RFC 9111 §3", what)
            .answers([answer(STORED), answer(STORED)])
            .ask(method, "", "")
            .fetched(1)
            .get("")
            .fetched(2)
            .get("")
            .hit(2)
    };
    vec![
        other("what POST brings", "POST"),
        other("what PUT brings", "PUT"),
        other("what OPTIONS brings", "OPTIONS"),
        other("what an unknown method brings", "FOO"),
        case("RFC 9111 §4", "a stored GET answers HEAD")
            .answers([answer(STORED)])
            .get("")
            .fetched(1)
            .head("")
            .hit(1)
            .has("content-length: 8"),
        case("RFC 9111 §4", "what GET stored answers no other method")
            .answers([answer(STORED), answer(STORED)])
            .get("")
            .fetched(1)
            .ask("OPTIONS", "", "")
            .fetched(2)
            .get("")
            .hit(1),
    ]
}
