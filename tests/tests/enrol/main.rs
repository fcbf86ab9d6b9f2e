//! Who edges are to control, and who control is to them: invitations, certificates, their renewal and their revocation, with
//! real processes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

mod api;
mod invited;
mod renewed;
mod revoked;
mod strangers;

use latencify_conf::api::EdgeState;
use latencify_tests::{
    Control, Edge, EdgeOptions, Origin, cli, policy::one_route, reply, wait_until,
};
use std::{path::PathBuf, time::Duration};

const SOON: Duration = Duration::from_mins(1);
const TOKEN: &str = "LATENCIFY_JOIN_TOKEN";

/// A control with a policy, and the origin of that.
async fn control(flags: &[(&str, &str)]) -> (Control, Origin) {
    let origin = Origin::serve(|_| async { reply::text("x").max_age(600).done() }).await;
    let mut options = Control::embedded();
    for (flag, value) in flags {
        options = options.flag(flag, value);
    }
    let control = options.start().await;
    control
        .apply(&one_route(&origin.url(), "cache: true"))
        .await;
    (control, origin)
}

/// The token that `latencify edge invite` prints.
async fn invite(control: &Control, edge: &str) -> String {
    let said = cli::latencify_at(control, &["edge", "invite", edge]).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.stdout.trim().to_owned()
}

/// An edge with that token instead of the one that any number join with.
fn with_token(control: &Control, name: &str, token: &str) -> EdgeOptions {
    Edge::member(control, name).environment(TOKEN, token)
}

fn identity(edge: &Edge) -> PathBuf {
    edge.folder().join("state/identity.pem")
}

async fn says(edge: &mut Edge, words: &[&str]) {
    wait_until(&format!("it says {words:?}"), SOON, async || {
        let said = edge.process().said();
        if words.iter().all(|word| said.contains(word)) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
}

/// Waits until the edges that have a stream are these.
async fn connected(control: &Control, names: &[&str]) {
    wait_until(&format!("{names:?} are connected"), SOON, async || {
        let roster = control.roster().await;
        let mut there: Vec<_> = roster
            .edges
            .iter()
            .filter(|edge| edge.state == EdgeState::Connected)
            .map(|edge| edge.edge.as_str())
            .collect();
        there.sort_unstable();
        if there == names {
            Ok(())
        } else {
            Err(format!("{roster:#?}"))
        }
    })
    .await;
}
