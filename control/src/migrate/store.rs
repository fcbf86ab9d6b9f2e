//! The new store: the old one's tokens and files, and all else folded from the new log, compared with the old.

use super::target::Target;
use crate::{data, fold::State, output::Progress, store::Store};
use anyhow::{Context as _, bail};
use latencify_conf::change::{Epoch, REPEAT_WINDOW_ENTRIES};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the new log may take to give its next entries.
const READ_WAIT: Duration = Duration::from_secs(20);

/// What the fold writes, and what edges said of the old log: emptied, and folded or said again.
const FOLDED: [&str; 13] = [
    "applied",
    "entries",
    "policies",
    "purges",
    "repeats",
    "replicas",
    "revoked_certificates",
    "rollouts",
    "revocations",
    "roster",
    "trusted_keys",
    "processes",
    "secrets",
];

/// What must come to the same, whatever the epochs are.
const COMPARED: [(&str, &str); 11] = [
    (
        "policies",
        r#"revision, digest, "by", "at", message, sites"#,
    ),
    ("purges", "id, mode"),
    (
        "rollouts",
        r#"revision, stable, plan, stage, step, paused, "by", "at", ended, returned"#,
    ),
    ("roster", r#"process, edge, about, "left" is null, why"#),
    (
        "replicas",
        r#"replica, name, kind, store, version, "left" is null, why"#,
    ),
    ("revoked_certificates", "serial, edge, until_ms"),
    ("trusted_keys", "kid, purpose, public_key"),
    ("revocations", "what, before_ms, until_ms"),
    ("secrets", r#"name, version, "by", "at""#),
    ("applied", "id, last_site"),
    // The first entry is the log's own.
    (
        "(select id, outcome, bytes, row_number() over (order by epoch) as number from {of}.entries)",
        "case number when 1 then null else id end, case number when 1 then null else bytes end, outcome, number",
    ),
];

fn file(data: &Path) -> PathBuf {
    data.join(crate::store::FILE)
}

fn being_filled(data: &Path) -> PathBuf {
    data.join(crate::store::FILE).with_extension("db.moving")
}

/// Folds the new log from its first entry into a copy of the store that has nothing folded.
pub(super) async fn refold(
    folder: &Path,
    store: &Store,
    target: &Target,
    progress: &Progress,
) -> anyhow::Result<Store> {
    let new = being_filled(folder);
    for beside in ["", "-wal", "-shm", "-journal"] {
        let left_over = PathBuf::from(format!("{}{beside}", new.display()));
        match fs::remove_file(&left_over) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| left_over.display().to_string());
            }
            _ => {}
        }
    }
    data::private(&new)?;
    store.copy_to(&new).await.context("copying the store")?;
    let fresh = Store::open_file(&new)
        .await
        .context("opening the new store")?;
    fresh.empty(&FOLDED).await?;
    let head = target.head().await?;
    progress.begin("folding the new log from its first entry", head.0);
    let mut state = fresh.bind(target.identity()).await?;
    let mut reader = target.reader().await?;
    while state.applied < head {
        let records = reader.next(READ_WAIT).await?;
        if records.is_empty() {
            bail!(
                "the new log does not give its entries after {}",
                state.applied
            );
        }
        let batch = fresh.fold(&mut state, &records).await?;
        if let Some(error) = batch.stopped {
            return Err(error.into());
        }
        progress.at(state.applied.0);
    }
    Ok(fresh)
}

/// Refuses a new log that comes to another state than the old one.
pub(super) async fn compare(
    data: &Path,
    fresh: &Store,
    old: &State,
    target: &Target,
) -> anyhow::Result<()> {
    if target.is_anothers() {
        // It has gone on meanwhile; that it has all of this store's entries was seen when they were compared.
        return Ok(());
    }
    let new = fresh.bind(target.identity()).await?;
    let roster = |state: &State| -> Vec<_> {
        let member = |(process, member): (&_, &crate::fold::Member)| {
            (*process, member.edge.clone(), member.about.clone())
        };
        state.roster.iter().map(member).collect()
    };
    let policies = |state: &State| (state.head.clone(), state.newest, state.rollout.clone());
    if policies(&new) != policies(old)
        || new.last_site != old.last_site
        || roster(&new) != roster(old)
    {
        bail!(
            "the new log does not come to the state of the store (head policy, ids of sites or roster): nothing was changed; \
             please report this"
        );
    }
    let oldest = old.applied.0.saturating_sub(REPEAT_WINDOW_ENTRIES);
    let differ = fresh
        .differs_from(&file(data), &COMPARED, Epoch(oldest))
        .await
        .context("comparing the stores")?;
    if let Some(what) = differ {
        bail!(
            "the new log comes to other {what} than the store has: nothing was changed; please report this"
        );
    }
    Ok(())
}

/// Puts the new store in the old one's place. Both are closed.
pub(super) fn take_place(data: &Path) -> anyhow::Result<()> {
    let (old, new) = (file(data), being_filled(data));
    for closed in [&old, &new] {
        let left = PathBuf::from(format!("{}-wal", closed.display()));
        if left.exists() {
            bail!("{} is still in use: run this again", left.display());
        }
    }
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, &old).with_context(|| format!("putting {} in its place", new.display()))?;
    fs::File::open(data)?.sync_all()?;
    Ok(())
}
