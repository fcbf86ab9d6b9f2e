//! `latencify edge …`

use super::count;
use crate::{
    args::EdgeVerb,
    failure::Failure,
    output::{Output, to_the_second},
    server::{Patience, Server},
};
use latencify_conf::{
    api::{Edge, EdgeInvitation, EdgeInvited, EdgeRevoked, EdgeState, Edges, WhenIsolated},
    change::Epoch,
};
use time::format_description::well_known::Rfc3339;

/// Runs a verb.
pub async fn run(verb: EdgeVerb, server: &Server, output: &Output) -> Result<(), Failure> {
    match verb {
        EdgeVerb::List => output.answer(&server.get::<Edges>("v1/edges").await?, |edges| {
            roster(edges, output)
        }),
        EdgeVerb::Invite { edge, expires } => {
            let invitation = EdgeInvitation {
                expires: Some(expires),
            };
            let path = format!("v1/edges/{}/invitations", path_segment(&edge)?);
            let invited: EdgeInvited = server
                .post(&path, None, &invitation, Patience::brief())
                .await?;
            output.answer(&invited, |invited| {
                let until = invited.expires.format(&Rfc3339).unwrap_or_default();
                output.note(&format!(
                    "lets {} in once, until {}; it is shown only now",
                    invited.edge,
                    to_the_second(&until)
                ));
                invited.token.clone()
            })
        }
        EdgeVerb::Revoke { edge } => {
            let path = format!("v1/edges/{}/revocation", path_segment(&edge)?);
            let revoked: EdgeRevoked = server
                .post(&path, None, &serde_json::json!({}), Patience::brief())
                .await?;
            output.answer(&revoked, |revoked| {
                format!(
                    "{} of {} no longer count; only `latencify edge invite {}` lets it in again",
                    count(revoked.certificates, "certificate"),
                    revoked.edge,
                    revoked.edge
                )
            })
        }
        // It asks the fleet address, not the API.
        EdgeVerb::Enroll(_) => Ok(()),
        EdgeVerb::Remove { edge } => {
            let removed: Edges = server
                .delete(&format!("v1/edges/{}", path_segment(&edge)?))
                .await?;
            output.answer(&removed, |removed| {
                let line = |edge: &Edge| {
                    format!(
                        "{} ({}) is no longer in the roster\n",
                        edge.edge, edge.process
                    )
                };
                removed.edges.iter().map(line).collect()
            })
        }
    }
}

fn roster(edges: &Edges, output: &Output) -> String {
    if edges.edges.is_empty() {
        return "no edge has joined yet".to_owned();
    }
    let mut table = output.table(&["edge", "state", "behind", "policy", "version", "process"]);
    for edge in &edges.edges {
        table.row([
            edge.edge.clone(),
            state(edge),
            behind(edge, edges.head),
            policy(edge),
            edge.version.clone(),
            edge.process.to_string(),
        ]);
    }
    table.to_string()
}

/// How an edge stands to control, in words.
pub fn state(edge: &Edge) -> String {
    if let Some(epoch) = edge.ahead {
        return format!("turned away: ahead of the log, at {epoch}");
    }
    let serves = edge.when_isolated == Some(WhenIsolated::Serve);
    match (edge.state, edge.fenced) {
        (EdgeState::Connected, false) => "connected".to_owned(),
        (EdgeState::Connected, true) => "connected, fenced until it has caught up".to_owned(),
        (EdgeState::Disconnected, true) => format!("{} (fenced)", cut_off(edge)),
        (EdgeState::Disconnected, false) if serves => format!("{} (serves)", cut_off(edge)),
        (EdgeState::Disconnected, false) => cut_off(edge),
    }
}

fn cut_off(edge: &Edge) -> String {
    edge.unheard_ms.map_or_else(
        || "disconnected".to_owned(),
        |ms| format!("cut off for {} s", ms / 1_000),
    )
}

/// What an edge runs, and what it can't build.
pub fn policy(edge: &Edge) -> String {
    let running = edge
        .policy
        .revision
        .map_or_else(|| "none".to_owned(), |revision| revision.to_string());
    match (edge.policy.failed, edge.policy.target) {
        (Some(failed), _) => format!("{running} ({failed} failed)"),
        (None, Some(target)) if edge.policy.drifted => format!("{running}, not yet {target}"),
        _ => running,
    }
}

fn behind(edge: &Edge, head: Epoch) -> String {
    match head.0.saturating_sub(edge.acked.0) {
        0 => "0".to_owned(),
        epochs => count(usize::try_from(epochs).unwrap_or(usize::MAX), "epoch"),
    }
}

/// A name of something else as one segment of a path.
pub fn path_segment_of<'n>(name: &'n str, noun: &str) -> Result<&'n str, Failure> {
    let is_plain = !name.is_empty()
        && name.bytes().any(|byte| byte != b'.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._@~".contains(&byte));
    if is_plain {
        Ok(name)
    } else {
        Err(Failure::usage(format!("{name:?} is no name of a {noun}")))
    }
}

/// A name as one segment of a path; what no name of an edge has would only ask for something else.
fn path_segment(name: &str) -> Result<&str, Failure> {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    let dots = name.bytes().all(|byte| byte == b'.');
    if plain && !dots {
        Ok(name)
    } else {
        Err(Failure::usage(format!(
            "{name:?} is no name of an edge and no process id"
        )))
    }
}
