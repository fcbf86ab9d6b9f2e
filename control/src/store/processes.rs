//! What edge processes last said: acks and policy reports. Written behind, so that no ack waits for the disk: what is
//! lost with a crash, edges say again when they are back.

use super::{Store, StoreError, entity::processes, state};
use latencify_conf::{
    change::{Epoch, ProcessId, Revision},
    link::replica::Report,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, TransactionTrait,
    sea_query::OnConflict,
};

/// What a process last said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The newest epoch that all its workers obey.
    pub acked: Epoch,
    /// Its version; empty before it has spoken.
    pub version: String,
    /// What it runs.
    pub report: Report,
}

impl Store {
    /// What these processes last said.
    pub async fn said(
        &self,
        of: impl IntoIterator<Item = ProcessId>,
    ) -> Result<Vec<(ProcessId, Said)>, StoreError> {
        let query = processes::Entity::find()
            .filter(processes::Column::Process.is_in(of.into_iter().map(|id| id.0)));
        query.all(&self.read).await?.into_iter().map(read).collect()
    }

    /// Keeps what processes said.
    pub async fn save_said(&self, said: &[(ProcessId, Said)]) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let saved = save(&self.writer().await?, said).await;
        self.noted(saved).await
    }
}

async fn save(database: &DatabaseConnection, said: &[(ProcessId, Said)]) -> Result<(), StoreError> {
    let transaction = database.begin().await?;
    for (process, said) in said {
        let replace = OnConflict::column(processes::Column::Process)
            .update_columns([
                processes::Column::Acked,
                processes::Column::Version,
                processes::Column::Running,
                processes::Column::Revision,
                processes::Column::Failed,
                processes::Column::FailedRevision,
                processes::Column::Reason,
            ])
            .to_owned();
        processes::Entity::insert(row(*process, said))
            .on_conflict(replace)
            .exec_without_returning(&transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn row(process: ProcessId, said: &Said) -> processes::ActiveModel {
    let Report {
        running,
        failed,
        reason,
    } = &said.report;
    processes::ActiveModel {
        process: Set(process.0),
        acked: Set(said.acked.0 as i64),
        version: Set(said.version.clone()),
        running: Set(running.map(|(_, digest)| digest.to_string())),
        revision: Set(running.map(|(revision, _)| revision.0 as i64)),
        failed: Set(failed.map(|(_, digest)| digest.to_string())),
        failed_revision: Set(failed.map(|(revision, _)| revision.0 as i64)),
        reason: Set(reason.clone()),
    }
}

fn read(row: processes::Model) -> Result<(ProcessId, Said), StoreError> {
    let pair = |revision: Option<i64>, digest: Option<String>| match (revision, digest) {
        (Some(revision), Some(digest)) => {
            Ok(Some((Revision(revision as u64), state::digest(&digest)?)))
        }
        _ => Ok::<_, StoreError>(None),
    };
    let report = Report {
        running: pair(row.revision, row.running)?,
        failed: pair(row.failed_revision, row.failed)?,
        reason: row.reason,
    };
    Ok((
        ProcessId(row.process),
        Said {
            acked: Epoch(row.acked as u64),
            version: row.version,
            report,
        },
    ))
}
