//! `latencify policy diff|revert`: what differs between revisions and files, as obeyed; and going back.

use super::{policy::revision_segment, policy_local};
use crate::{
    args::{Diff, Revert},
    failure::Failure,
    output::{Output, printable},
    policy_files::{self, PolicyFiles},
    server::{Patience, Server},
};
use latencify_conf::{
    api::{Policies, PoliciesCompared, PolicyAccepted, PolicyDetail, PolicyRevert},
    bundle::Bundle,
    change::Revision,
    diff::PolicyDiff,
    policy::Policy,
};
use std::path::{Path, PathBuf};

/// One side of a comparison.
enum Side {
    /// A number or `head`.
    Revision(String),
    /// Files on this machine.
    Files(PathBuf),
}

/// Shows what differs. Two revisions are compared by control; files here, as control would.
pub async fn diff(args: &Diff, server: &Server, output: &Output) -> Result<(), Failure> {
    let sides = match (&args.from, &args.to) {
        (None, _) => before_head(server).await?,
        (Some(one), None) => match side(one) {
            files @ Side::Files(_) => (head(), files),
            revision => (revision, head()),
        },
        (Some(from), Some(to)) => (side(from), side(to)),
    };
    let diff = match &sides {
        (Side::Revision(from), Side::Revision(to)) => {
            let (from, to) = (revision_segment(from)?, revision_segment(to)?);
            let path = format!("v1/policies/{from}/diff/{to}");
            server.get::<PoliciesCompared>(&path).await?.diff
        }
        (from, to) => {
            let (from, to) = (obeyed(from, server).await?, obeyed(to, server).await?);
            PolicyDiff::between(Some(&from), &to)
        }
    };
    output.answer(&diff, in_words)
}

/// What a dry run or a comparison tells people.
pub fn in_words(diff: &PolicyDiff) -> String {
    if diff.is_empty() {
        "no difference: both are obeyed alike".to_owned()
    } else {
        printable(&diff.to_string())
    }
}

/// Makes the files of an earlier revision the head again, if the head is still the one that is seen here or named.
pub async fn revert(args: &Revert, server: &Server, output: &Output) -> Result<(), Failure> {
    let base = match args.base {
        Some(base) => Some(Revision(base)),
        None => newest(server)
            .await?
            .policies
            .iter()
            .find(|policy| policy.head)
            .map(|head| head.revision),
    };
    let revert = PolicyRevert {
        message: args.message.clone(),
        base,
    };
    let path = format!("v1/policies/{}/revert", args.revision);
    let key = args.idempotency_key.clone();
    let accepted: PolicyAccepted = server.post(&path, key, &revert, Patience::brief()).await?;
    output.answer(&accepted, |accepted| {
        format!(
            "revision {} at epoch {}: the files of revision {} again; {}",
            accepted.revision, accepted.epoch, args.revision, accepted.digest
        )
    })
}

fn head() -> Side {
    Side::Revision("head".to_owned())
}

/// A number or `head` is a revision, whatever lies in the folder; `./7` is a file.
fn side(text: &str) -> Side {
    if revision_segment(text).is_ok() {
        Side::Revision(text.to_owned())
    } else {
        Side::Files(PathBuf::from(text))
    }
}

async fn newest(server: &Server) -> Result<Policies, Failure> {
    server.get("v1/policies?limit=100").await
}

/// The head, and the revision before it.
async fn before_head(server: &Server) -> Result<(Side, Side), Failure> {
    let all = newest(server).await?;
    let head = all.policies.iter().position(|policy| policy.head);
    let pair = head.and_then(|at| all.policies.get(at).zip(all.policies.get(at + 1)));
    let Some((head, before)) = pair else {
        return Err(Failure::failed("there are no two revisions to compare yet")
            .with_help("with a file: latencify policy diff FILE"));
    };
    let side = |revision: Revision| Side::Revision(revision.to_string());
    Ok((side(before.revision), side(head.revision)))
}

async fn obeyed(side: &Side, server: &Server) -> Result<Policy, Failure> {
    let files = match side {
        Side::Files(path) => policy_files::load(path)?,
        Side::Revision(revision) => {
            let path = format!("v1/policies/{}", revision_segment(revision)?);
            let detail: PolicyDetail = server.get(&path).await?;
            PolicyFiles {
                bundle: Bundle::new(detail.files),
                folder: Path::new(&format!("revision {}", detail.summary.revision)).to_owned(),
            }
        }
    };
    policy_local::check(&files)
}
