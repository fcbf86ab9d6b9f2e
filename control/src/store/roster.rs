//! Who was in the fleet when, and the purges that receipts are about.

use super::{
    Store, StoreError,
    entity::{purges, roster},
};
use crate::fleet::judgement::Stay;
use latencify_conf::change::{Epoch, Mode, ProcessId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

/// A purge that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// Its id.
    pub id: Uuid,
    /// Its entry.
    pub epoch: Epoch,
    /// Hard or soft.
    pub mode: Mode,
}

impl Store {
    /// The stays of processes that had joined and not left at an epoch, by edge.
    pub async fn roster_at(&self, epoch: Epoch) -> Result<Vec<Stay>, StoreError> {
        let epoch = epoch.0 as i64;
        let not_left = Condition::any()
            .add(roster::Column::Left.is_null())
            .add(roster::Column::Left.gt(epoch));
        let query = roster::Entity::find()
            .filter(roster::Column::Joined.lte(epoch))
            .filter(not_left)
            .order_by_asc(roster::Column::Edge)
            .order_by_asc(roster::Column::Joined);
        Ok(query.all(&self.read).await?.into_iter().map(stay).collect())
    }

    /// A purge by its id.
    pub async fn purge(&self, id: Uuid) -> Result<Option<Purge>, StoreError> {
        let Some(row) = purges::Entity::find_by_id(id).one(&self.read).await? else {
            return Ok(None);
        };
        let mode = match row.mode.as_str() {
            "hard" => Mode::Hard,
            "soft" => Mode::Soft,
            other => return Err(StoreError::damaged("a purge", format!("mode {other:?}"))),
        };
        Ok(Some(Purge {
            id: row.id,
            epoch: Epoch(row.epoch as u64),
            mode,
        }))
    }
}

fn stay(row: roster::Model) -> Stay {
    Stay {
        edge: row.edge,
        process: ProcessId(row.process),
        joined: Epoch(row.joined as u64),
        left: row.left.map(|left| Epoch(left as u64)),
    }
}
