use crate::testing::Answer;

mod authorization;
mod outcomes;
mod requests;
mod startup;

fn problem(answer: &Answer) -> &str {
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{answer:?}"
    );
    assert_eq!(answer.body["status"], answer.status.as_u16(), "{answer:?}");
    assert_eq!(
        answer.body["request_id"],
        answer.headers["x-request-id"].to_str().unwrap(),
        "{answer:?}"
    );
    answer.body["type"]
        .as_str()
        .unwrap()
        .strip_prefix("/problems/")
        .unwrap()
}
