//! Policies reach the fleet in stages: a bad one goes back by itself, and nobody outside the canary ever sees it; whoever is killed,
//! paused or late on the way changes nothing about that.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod canary;
mod commands;
mod killed;

use http::Method;
use latencify_conf::{
    api::{PolicyAccepted, PolicySubmission, RolloutAction, RolloutCommand, RolloutStatus},
    bundle::File,
    change::{Gates, Plan, Revision, Stage},
};
use latencify_tests::{Control, Edge, Origin, Reply, policy::one_route, reply, wait_until};
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);

/// An origin that is well, except for what lies under `/broken`.
async fn origin() -> Origin {
    Origin::serve(async |call| {
        if call.path().starts_with("/broken") {
            reply::status(500).done()
        } else {
            reply::text("well").done()
        }
    })
    .await
}

/// A policy that says its version in a header, and asks the origin for the path as it is.
fn good(origin: &Origin, version: u32) -> String {
    one_route(
        &origin.url(),
        &format!("response_headers: {{set: {{x-version: v{version}}}}}"),
    )
}

/// A policy with which every answer is a 500.
fn bad(origin: &Origin) -> String {
    one_route(&origin.url(), "rewrite: { path: /broken }")
}

/// First the edge of that name, then all.
fn first(edge: &str, soak: Duration) -> Plan {
    Plan {
        stages: vec![Stage::Edges(vec![edge.to_owned()]), Stage::Percent(100)],
        soak_ms: soak.as_millis() as u64,
        deadline_ms: SOON.as_millis() as u64,
        gates: Gates {
            requests_min: 20,
            ..Gates::default()
        },
    }
}

/// Begins a rollout, whatever comes of it.
async fn submit(control: &Control, policy: &str, base: Option<u64>, plan: Plan) -> Reply {
    let submission = PolicySubmission {
        files: vec![File {
            name: "policy.yaml".to_owned(),
            text: policy.to_owned(),
        }],
        message: "in stages".to_owned(),
        base: base.map(Revision),
        dry_run: false,
        rollout: Some(plan),
    };
    control
        .ask(Method::POST, "/v1/policies", None, Some(&submission))
        .await
        .unwrap()
}

async fn begin(control: &Control, policy: &str, plan: Plan) -> Revision {
    let reply = submit(control, policy, None, plan).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json::<PolicyAccepted>().revision
}

async fn status(control: &Control, revision: Revision) -> RolloutStatus {
    control
        .get(&format!("/v1/policies/{revision}/rollout"))
        .await
}

/// What an operator says who saw that step, whatever comes of it.
async fn say(control: &Control, revision: Revision, action: RolloutAction, step: u32) -> Reply {
    let command = RolloutCommand {
        action,
        step: Some(step),
    };
    let path = format!("/v1/policies/{revision}/rollout");
    control
        .ask(Method::POST, &path, None, Some(&command))
        .await
        .unwrap()
}

/// Waits until an edge serves by the policy of that version.
async fn serves(edge: &Edge, version: &str) {
    let what = format!("{} serves by {version}", edge.name());
    wait_until(&what, SOON, async || {
        let reply = edge.get("shop.example", "/").await;
        if reply.header("x-version") == version {
            Ok(())
        } else {
            Err(format!("{reply:?}"))
        }
    })
    .await;
}

/// Waits until a rollout is over.
async fn ended(control: &Control, revision: Revision) -> RolloutStatus {
    wait_until("the rollout is over", SOON, async || {
        let now = status(control, revision).await;
        if now.ended.is_some() {
            Ok(now)
        } else {
            Err(format!("{now:#?}"))
        }
    })
    .await
}
