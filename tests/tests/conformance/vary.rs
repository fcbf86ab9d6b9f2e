//! Which variant answers (RFC 9110 §12.5.5, RFC 9111 §4.1).

use super::{
    case::{Case, answer, case},
    world::World,
};
use latencify_tests::Protocol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_variant_answers() {
    let world = World::start().await;
    let section = "RFC 9111 §4.1";
    let on = |what, vary: &str, first: &str, second: &str| -> Case {
        let fields = format!("cache-control: max-age=3600 | {vary}");
        case(section, what)
            .answers([answer(&fields), answer(&fields), answer(&fields)])
            .get(first)
            .fetched(1)
            .get(second)
    };
    let language = "vary: accept-language";
    let cases = vec![
        on(
            "the same value",
            language,
            "accept-language: de",
            "accept-language: de",
        )
        .hit(1),
        on(
            "another value",
            language,
            "accept-language: de",
            "accept-language: fr",
        )
        .fetched(2)
        .tells("fwd=vary-miss")
        .get("accept-language: de")
        .hit(1)
        .get("accept-language: fr")
        .hit(2),
        on(
            "a field that the other lacks",
            language,
            "accept-language: de",
            "",
        )
        .fetched(2),
        on(
            "a field that the first lacked",
            language,
            "",
            "accept-language: de",
        )
        .fetched(2),
        on("neither has the field", language, "", "").hit(1),
        on(
            "another field",
            language,
            "accept: text/html",
            "accept: text/plain",
        )
        .hit(1),
        on(
            "two names in a list",
            "vary: accept-language, accept",
            "accept-language: de | accept: a/b",
            "accept-language: de | accept: a/c",
        )
        .fetched(2)
        .get("accept-language: de | accept: a/b")
        .hit(1),
        on(
            "two names in two lines",
            "vary: accept-language | vary: accept",
            "accept-language: de | accept: a/b",
            "accept-language: de | accept: a/c",
        )
        .fetched(2),
        on(
            "names in any case",
            "vary: ACCEPT-Language",
            "accept-language: de",
            "accept-language: fr",
        )
        .fetched(2),
        on(
            "white space in a value",
            language,
            "accept-language: de, fr",
            "accept-language: de,fr",
        )
        .hit(1),
        on(
            "languages in another case",
            language,
            "accept-language: en-GB",
            "accept-language: en-gb",
        )
        .hit(1),
        on(
            "codings in another order",
            "vary: accept-encoding",
            "accept-encoding: gzip, br",
            "accept-encoding: br, gzip",
        )
        .hit(1),
        on(
            "a value over two lines",
            language,
            "accept-language: de | accept-language: fr",
            "accept-language: de, fr",
        )
        .hit(1),
        on(
            "an empty member of the list",
            "vary: accept-language, , accept",
            "accept-language: de",
            "accept-language: de",
        )
        .hit(1),
        case(section, "several variants at once")
            .answers((0..4).map(|_| answer("cache-control: max-age=3600 | vary: accept-language")))
            .get("accept-language: a")
            .fetched(1)
            .get("accept-language: b")
            .fetched(2)
            .get("accept-language: c")
            .fetched(3)
            .get("accept-language: a")
            .hit(1)
            .get("accept-language: b")
            .hit(2)
            .get("accept-language: c")
            .hit(3),
        case(section, "responses that name different fields")
            .answers([
                answer("cache-control: max-age=3600 | vary: accept-language"),
                answer("cache-control: max-age=3600 | vary: accept"),
                answer("cache-control: max-age=3600 | vary: accept"),
            ])
            .get("accept-language: de | accept: a/b")
            .fetched(1)
            .get("accept-language: fr | accept: a/b")
            .fetched(2)
            .get("accept-language: it | accept: a/c")
            .fetched(3)
            .get("accept-language: es | accept: a/b")
            .hit(2),
    ];
    world
        .check(cases, &[Protocol::Http1, Protocol::Http2])
        .await;
}
