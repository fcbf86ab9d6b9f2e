//! For how long a stored response is fresh (RFC 9111 §4.2), and how old it is (§4.2.3).

use super::{
    case::{Case, answer, case},
    world::World,
};
use latencify_tests::Protocol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifetimes_and_ages_are_reckoned_as_rfc_9111_says() {
    let world = World::start().await;
    let mut cases = expires();
    cases.extend(ages());
    cases.extend(heuristics());
    world.check(cases, &[Protocol::Http1]).await;
}

fn fresh(section: &'static str, what: &'static str, fields: &str) -> Case {
    case(section, what)
        .answers([answer(fields), answer(fields)])
        .get("")
        .fetched(1)
        .get("")
        .hit(1)
}

fn not_fresh(section: &'static str, what: &'static str, fields: &str) -> Case {
    case(section, what)
        .answers([answer(fields), answer(fields)])
        .get("")
        .fetched(1)
        .get("")
        .fetched(2)
}

fn expires() -> Vec<Case> {
    let section = "RFC 9111 §5.3";
    vec![
        fresh(section, "Expires to come", "expires: {now+3600}"),
        fresh(section, "Expires as RFC 850", "expires: {rfc850+3600}"),
        fresh(section, "Expires as asctime", "expires: {asctime+3600}"),
        fresh(
            section,
            "Expires beyond 32 bits",
            "expires: Sun, 21 Nov 2286 04:46:39 GMT",
        ),
        not_fresh(section, "Expires past", "expires: {now-3600}"),
        not_fresh(section, "Expires now", "expires: {now}"),
        not_fresh(section, "Expires 0", "expires: 0"),
        not_fresh(section, "Expires that is no date", "expires: tomorrow"),
        not_fresh(
            "RFC 9111 §4.2",
            "Expires in another zone",
            "expires: Thu, 18 Aug 2050 02:01:18 AEST",
        ),
        not_fresh(
            section,
            "Expires with dashes",
            "expires: Thu, 18-Aug-2050 02:01:18 GMT",
        ),
        not_fresh(
            section,
            "Expires with an hour of one digit",
            "expires: Thu, 18 Aug 2050 2:01:18 GMT",
        ),
        not_fresh(
            "RFC 9111 §4.2.1",
            "two Expires of which one is past",
            "expires: {now+3600} | expires: {now-3600}",
        ),
        not_fresh(
            section,
            "max-age of zero above Expires",
            "cache-control: max-age=0 | expires: {now+3600}",
        ),
        fresh(
            section,
            "max-age above Expires past",
            "cache-control: max-age=3600 | expires: {now-3600}",
        ),
        fresh(
            section,
            "Expires beside a directive that says nothing of it",
            "cache-control: public | expires: {now+3600}",
        ),
        not_fresh(
            "RFC 9111 §4.2.1",
            "Expires is reckoned from Date",
            "date: {now+3600} | expires: {now+3600}",
        ),
    ]
}

fn ages() -> Vec<Case> {
    let section = "RFC 9111 §4.2.3";
    vec![
        case(section, "an Age from upstream goes on as it is, and counts")
            .answers([answer("cache-control: max-age=86400 | age: 3600")])
            .get("")
            .fetched(1)
            .has("age: 3600")
            .get("")
            .hit(1)
            .has("age: *"),
        not_fresh(
            section,
            "an Age beyond max-age",
            "cache-control: max-age=3600 | age: 3601",
        ),
        not_fresh(
            section,
            "a huge Age",
            "cache-control: max-age=3600 | age: 99999999999999999999",
        ),
        fresh(
            section,
            "an Age of zero",
            "cache-control: max-age=3600 | age: 0",
        ),
        fresh(
            "RFC 9111 §5.1",
            "the first of a list of ages",
            "cache-control: max-age=3600 | age: 0, 7200",
        ),
        not_fresh(
            "RFC 9111 §5.1",
            "the first of a list of ages, which is old",
            "cache-control: max-age=3600 | age: 7200, 0",
        ),
        fresh(
            "RFC 9111 §5.1",
            "an Age that is no number is ignored",
            "cache-control: max-age=3600 | age: abc",
        ),
        fresh(
            "RFC 9111 §5.1",
            "a negative Age is ignored",
            "cache-control: max-age=3600 | age: -7200",
        ),
        not_fresh(
            section,
            "a Date older than max-age",
            "cache-control: max-age=3600 | date: {now-7200}",
        ),
        fresh(
            section,
            "a Date to come is no age",
            "cache-control: max-age=3600 | date: {now+7200}",
        ),
        not_fresh(
            section,
            "the greater of Date and Age, which is Date",
            "cache-control: max-age=3600 | age: 1 | date: {now-7200}",
        ),
        not_fresh(
            section,
            "the greater of Date and Age, which is Age",
            "cache-control: max-age=3600 | age: 7200 | date: {now}",
        ),
        case(section, "without Date the arrival counts")
            .answers([answer("cache-control: max-age=3600").dateless()])
            .get("")
            .fetched(1)
            .get("")
            .hit(1)
            .has("age: *"),
        case(
            "RFC 9110 §6.6.1",
            "a response that had no Date gets the time of its arrival",
        )
        .answers([answer("cache-control: max-age=3600").dateless()])
        .get("")
        .fetched(1)
        .has("date: *")
        .get("")
        .hit(1)
        .has("date: *"),
        case("RFC 9110 §6.6.1", "a Date is never changed")
            .answers([answer(
                "cache-control: max-age=86400 | date: Fri, 01 Jan 2100 00:00:00 GMT",
            )])
            .get("")
            .fetched(1)
            .has("date: Fri, 01 Jan 2100 00:00:00 GMT")
            .get("")
            .hit(1)
            .has("date: Fri, 01 Jan 2100 00:00:00 GMT"),
    ]
}

fn heuristics() -> Vec<Case> {
    let section = "RFC 9111 §4.2.2";
    vec![
        fresh(
            section,
            "a share of the time since the last change",
            "last-modified: {now-86400}",
        )
        .site("heuristic"),
        not_fresh(
            section,
            "no heuristics against an explicit lifetime",
            "cache-control: max-age=0 | last-modified: {now-86400}",
        )
        .site("heuristic"),
        not_fresh(
            section,
            "no heuristics unless the policy has them",
            "last-modified: {now-86400}",
        ),
        fresh(
            "RFC 9111 §4.2.2",
            "the policy's lifetime for what says nothing at all",
            "x-nothing: said",
        )
        .site("heuristic"),
    ]
}
