//! Rollouts: the rows that the fold's effects write, and the state read back from them.

use super::{
    Store, StoreError,
    entity::{policies, rollouts},
};
use crate::{
    fold::{Effect, Head},
    rollout::Rollout,
};
use latencify_conf::change::{Entry, Plan, Revision, RolloutEnd};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict, Query},
};
use time::format_description::well_known::Rfc3339;

/// What of the state the policies and rollouts make.
pub(super) struct Loaded {
    pub(super) head: Option<Head>,
    pub(super) newest: Revision,
    pub(super) rollout: Option<Rollout>,
}

impl Store {
    /// The rollout of a revision, if there was one.
    pub async fn rollout(&self, revision: Revision) -> Result<Option<rollouts::Model>, StoreError> {
        Ok(rollouts::Entity::find_by_id(revision.0 as i64)
            .one(&self.read)
            .await?)
    }

    /// The newest rollout, whether or not it is over.
    pub async fn newest_rollout(&self) -> Result<Option<rollouts::Model>, StoreError> {
        Ok(rollouts::Entity::find()
            .order_by_desc(rollouts::Column::Revision)
            .one(&self.read)
            .await?)
    }
}

impl rollouts::Model {
    /// How it was to go.
    pub fn plan(&self) -> Result<Plan, StoreError> {
        serde_json::from_str(&self.plan)
            .map_err(|error| StoreError::damaged("a rollout's plan", error))
    }

    /// Why it is over; none: it is under way.
    pub fn end(&self) -> Result<Option<RolloutEnd>, StoreError> {
        let read = |text: &String| {
            serde_json::from_str(text)
                .map_err(|error| StoreError::damaged("the end of a rollout", error))
        };
        self.ended.as_ref().map(read).transpose()
    }
}

/// Writes one effect.
pub(super) async fn save(
    transaction: &impl ConnectionTrait,
    entry: &Entry,
    effect: &Effect,
) -> Result<(), StoreError> {
    let at = entry.at.format(&Rfc3339).unwrap_or_default();
    match effect {
        Effect::RolloutMoved(rollout) => {
            let row = rollouts::ActiveModel {
                revision: Set(rollout.revision.0 as i64),
                stable: Set(rollout.stable.as_ref().map(|head| head.revision.0 as i64)),
                plan: Set(serde_json::to_string(&rollout.plan)
                    .map_err(|error| StoreError::damaged("a plan", error))?),
                stage: Set(rollout.stage.into()),
                step: Set(rollout.step.into()),
                paused: Set(rollout.paused.into()),
                by: Set(entry.by.clone()),
                at: Set(at),
                ended: Set(None),
                returned: Set(0),
            };
            let replace = OnConflict::column(rollouts::Column::Revision)
                .update_columns([
                    rollouts::Column::Stage,
                    rollouts::Column::Step,
                    rollouts::Column::Paused,
                    rollouts::Column::By,
                    rollouts::Column::At,
                ])
                .to_owned();
            rollouts::Entity::insert(row)
                .on_conflict(replace)
                .exec_without_returning(transaction)
                .await?;
        }
        Effect::RolloutEnded { revision, why } => {
            let ended = serde_json::to_string(why)
                .map_err(|error| StoreError::damaged("the end of a rollout", error))?;
            rollouts::Entity::update_many()
                .col_expr(rollouts::Column::Ended, Expr::value(ended))
                .col_expr(
                    rollouts::Column::Returned,
                    Expr::value(i64::from(!why.keeps())),
                )
                .col_expr(rollouts::Column::By, Expr::value(entry.by.clone()))
                .col_expr(rollouts::Column::At, Expr::value(at))
                .filter(rollouts::Column::Revision.eq(revision.0 as i64))
                .exec(transaction)
                .await?;
        }
        _ => {}
    }
    Ok(())
}

/// Reads everything back. The head is the newest revision that was not returned.
pub(super) async fn load(connection: &impl ConnectionTrait) -> Result<Loaded, StoreError> {
    let newest = policies::Entity::find()
        .order_by_desc(policies::Column::Revision)
        .one(connection)
        .await?;
    let returned = Query::select()
        .column(rollouts::Column::Revision)
        .from(rollouts::Entity)
        .and_where(rollouts::Column::Returned.eq(1))
        .to_owned();
    let head = policies::Entity::find()
        .filter(policies::Column::Revision.not_in_subquery(returned))
        .order_by_desc(policies::Column::Revision)
        .limit(1)
        .one(connection)
        .await?;
    let under_way = rollouts::Entity::find()
        .filter(rollouts::Column::Ended.is_null())
        .one(connection)
        .await?;
    let rollout = match under_way {
        Some(row) => Some(read(connection, row).await?),
        None => None,
    };
    Ok(Loaded {
        head: head.map(|row| row.head()).transpose()?,
        newest: Revision(newest.map_or(0, |row| row.revision as u64)),
        rollout,
    })
}

async fn read(
    connection: &impl ConnectionTrait,
    row: rollouts::Model,
) -> Result<Rollout, StoreError> {
    let stable = match row.stable {
        None => None,
        Some(revision) => {
            let stable = policies::Entity::find_by_id(revision)
                .one(connection)
                .await?
                .ok_or_else(|| {
                    StoreError::damaged("a rollout", "its former revision is missing")
                })?;
            Some(stable.head()?)
        }
    };
    Ok(Rollout {
        revision: Revision(row.revision as u64),
        stable,
        plan: row.plan()?,
        stage: row.stage as u32,
        step: row.step as u32,
        paused: row.paused != 0,
    })
}
