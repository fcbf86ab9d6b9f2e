//! The head policy's files, when this replica lacks them: with the log in Kafka and an emptied data folder, entries are
//! folded anew, but the files that they name by digest were only in the store.
//!
//! Nothing stops for it: purges go on, edges keep the policy that they run. The replica stays ready, because the remedy
//! is a request to it.

use crate::{
    fold::{State, driver::Fold},
    log::ChangeLog,
    rollout::stable,
    store::{Store, StoreError},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is missing and what to do; none when the files of the head policy are here, or there is no policy.
pub async fn missing_files(store: &Store, state: &State) -> Result<Option<String>, StoreError> {
    // While one is rolled out, edges run two.
    for head in [state.head.as_ref(), stable(state)].into_iter().flatten() {
        if !store.has_blob(head.digest).await? {
            return Ok(Some(format!(
                "the files of policy revision {} ({}) are not in this replica's store, so edges can't fetch them and keep the \
                 policy that they run: submit the policy again (latencify policy apply)",
                head.revision, head.digest
            )));
        }
    }
    Ok(None)
}

/// Logs it, once for each revision that stays the head, until `stop`.
pub async fn tell_of_missing_files(
    store: Store,
    fold: Fold,
    log: Arc<dyn ChangeLog>,
    stop: CancellationToken,
) {
    let mut states = fold.subscribe();
    let mut judged = None;
    loop {
        let state = states.borrow_and_update().clone();
        let head = [state.head.as_ref(), stable(&state)].map(|head| head.map(|head| head.revision));
        if judged != Some(head) {
            match missing_files(&store, &state).await {
                // While entries are folded anew, older revisions pass by.
                Ok(Some(_)) if log.head().await.is_ok_and(|head| head > state.applied) => {}
                Ok(missing) => {
                    judged = Some(head);
                    if let Some(missing) = missing {
                        tracing::error!("{missing}");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "whether the head policy's files are here is not known");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}
