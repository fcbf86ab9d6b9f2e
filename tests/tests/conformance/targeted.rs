//! Directives for CDNs alone (RFC 9213), read as Structured Fields (RFC 9651); `Surrogate-Control`.

use super::{
    case::{Case, answer, case},
    world::World,
};
use latencify_tests::Protocol;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directives_for_cdns_count_above_the_others() {
    let world = World::start().await;
    let section = "RFC 9213 §2.2";
    let held = |section, what, fields: &str, is_stored: bool| -> Case {
        let case = case(section, what)
            .answers([answer(fields), answer(fields)])
            .get("")
            .fetched(1)
            .get("");
        if is_stored {
            case.hit(1)
        } else {
            case.fetched(2)
        }
    };
    let mut cases = Vec::new();
    for (section, what, fields, is_stored) in [
        (section, "max-age", "cdn-cache-control: max-age=3600", true),
        (
            section,
            "max-age above no-store",
            "cdn-cache-control: max-age=3600 | cache-control: no-store",
            true,
        ),
        (
            section,
            "max-age above private",
            "cdn-cache-control: max-age=3600 | cache-control: private",
            true,
        ),
        (
            section,
            "max-age above Expires",
            "cdn-cache-control: max-age=3600 | expires: {now-60}",
            true,
        ),
        (
            section,
            "no-store above max-age",
            "cdn-cache-control: no-store | cache-control: max-age=3600",
            false,
        ),
        (
            section,
            "max-age of zero above max-age",
            "cdn-cache-control: max-age=0 | cache-control: max-age=3600",
            false,
        ),
        (
            section,
            "private above max-age",
            "cdn-cache-control: private | cache-control: max-age=3600",
            false,
        ),
        (
            section,
            "nothing of freshness above max-age",
            "cdn-cache-control: must-revalidate | cache-control: max-age=3600",
            false,
        ),
        (
            "RFC 9213 §2.1",
            "what is no dictionary is ignored",
            "cdn-cache-control: max-age=3600, &&& | cache-control: no-store",
            false,
        ),
        (
            "RFC 9213 §2.1",
            "max-age as a string is invalid",
            "cdn-cache-control: max-age=\"0\" | cache-control: max-age=3600",
            true,
        ),
        (
            "RFC 9213 §2.1",
            "max-age as a decimal is invalid",
            "cdn-cache-control: max-age=0.5 | cache-control: max-age=3600",
            true,
        ),
        (
            "RFC 9651 §4.2",
            "names in upper case are no dictionary",
            "cdn-cache-control: MAX-AGE=0 | cache-control: max-age=3600",
            true,
        ),
        (
            "RFC 9213 §2.2",
            "an empty one is ignored",
            "cdn-cache-control: | cache-control: max-age=3600",
            true,
        ),
        (
            "RFC 9651 §4.2",
            "over two lines",
            "cdn-cache-control: foo | cdn-cache-control: max-age=3600 | cache-control: no-store",
            true,
        ),
        (
            "RFC 9651 §4.2.2",
            "the last of two max-age counts",
            "cdn-cache-control: max-age=0, max-age=3600 | cache-control: no-store",
            true,
        ),
        (
            "RFC 9651 §3.1.2",
            "parameters are ignored",
            "cdn-cache-control: max-age=3600;a=1 | cache-control: no-store",
            true,
        ),
        (
            "RFC 9213 §2.2",
            "Surrogate-Control does not count by default",
            "surrogate-control: max-age=3600 | cache-control: no-store",
            false,
        ),
    ] {
        cases.push(held(section, what, fields, is_stored));
    }
    cases.push(
        case("RFC 9213 §3.1", "it goes on to the client")
            .answers([answer("cdn-cache-control: max-age=3600")])
            .get("")
            .has("cdn-cache-control: max-age=3600")
            .get("")
            .hit(1)
            .has("cdn-cache-control: max-age=3600"),
    );
    cases.push(
        case("RFC 9213 §2.2", "it is stripped where the policy says so")
            .site("stripping")
            .answers([answer("cdn-cache-control: max-age=3600")])
            .get("")
            .lacks("cdn-cache-control")
            .get("")
            .hit(1)
            .lacks("cdn-cache-control"),
    );
    cases.extend(surrogates());
    world.check(cases, &[Protocol::Http1]).await;
}

fn surrogates() -> Vec<Case> {
    let section = "Edge Architecture 1.0 §2.2";
    let held = |what, fields: &str, is_stored: bool| -> Case {
        let case = case(section, what)
            .site("surrogate")
            .answers([answer(fields), answer(fields)])
            .get("")
            .fetched(1)
            .lacks("surrogate-control")
            .origin_saw("surrogate-capability: *")
            .get("");
        if is_stored {
            case.hit(1)
        } else {
            case.fetched(2)
        }
    };
    vec![
        held(
            "Surrogate-Control above Cache-Control",
            "surrogate-control: max-age=3600 | cache-control: no-store",
            true,
        ),
        held(
            "Surrogate-Control no-store",
            "surrogate-control: no-store | cache-control: max-age=3600",
            false,
        ),
        held(
            "CDN-Cache-Control above Surrogate-Control",
            "surrogate-control: max-age=3600 | cdn-cache-control: max-age=0",
            false,
        ),
        held(
            "Surrogate-Control for another",
            "surrogate-control: max-age=3600;other | cache-control: no-store",
            false,
        ),
    ]
}
