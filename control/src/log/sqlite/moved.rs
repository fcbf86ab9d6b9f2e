//! The mark in a log that was moved: whoever starts on it is told where it went.

use super::{LogError, unreachable};
use latencify_conf::change::{LogId, MovedTo};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, EntityTrait, QueryOrder as _, Schema,
    sea_query::OnConflict,
};
use std::path::Path;

mod entity {
    use sea_orm::entity::prelude::*;

    /// Where the log went.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "moved")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub log: Uuid,
        pub place: String,
        pub flags: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Marks a log as moved.
pub async fn mark(connection: &DatabaseConnection, mark: &MovedTo) -> Result<(), LogError> {
    let table =
        Schema::new(connection.get_database_backend()).create_table_from_entity(entity::Entity);
    connection
        .execute(table.clone().if_not_exists())
        .await
        .map_err(unreachable)?;
    let row = entity::ActiveModel {
        log: Set(mark.log.0),
        place: Set(mark.place.clone()),
        flags: Set(mark.flags.clone()),
    };
    let same = OnConflict::column(entity::Column::Log)
        .update_columns([entity::Column::Place, entity::Column::Flags])
        .to_owned();
    entity::Entity::insert(row)
        .on_conflict(same)
        .exec_without_returning(connection)
        .await
        .map_err(unreachable)?;
    Ok(())
}

/// Where a log went; none when it was not moved.
pub async fn read(connection: &DatabaseConnection) -> Result<Option<MovedTo>, LogError> {
    let row = entity::Entity::find()
        .order_by_asc(entity::Column::Log)
        .one(connection)
        .await;
    match row {
        Ok(row) => Ok(row.map(|row| MovedTo {
            log: LogId(row.log),
            place: row.place,
            flags: row.flags,
        })),
        // Most logs were never moved.
        Err(error) if error.to_string().contains("no such table") => Ok(None),
        Err(error) => Err(unreachable(error)),
    }
}

/// Refuses a log that was moved.
pub(super) async fn refuse(connection: &DatabaseConnection, file: &Path) -> Result<(), LogError> {
    let Some(mark) = read(connection).await? else {
        return Ok(());
    };
    Err(LogError::Unfit(format!(
        "the change log in {} {mark}",
        file.display()
    )))
}
