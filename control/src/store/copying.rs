//! A store beside another: copied, emptied of what was folded, and compared.

use super::{Store, StoreError, entity::entries};
use latencify_conf::change::Epoch;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, PaginatorTrait, Statement,
};
use std::path::Path;

impl Store {
    /// Finishes what is under way and brings everything into the one file, so that it can be renamed.
    pub async fn close(self) -> Result<(), StoreError> {
        self.read.close_by_ref().await?;
        let connection = self.write.connection().await?;
        connection
            .execute_unprepared("pragma journal_mode = delete")
            .await?;
        drop(connection);
        self.write.shut().await;
        Ok(())
    }

    /// How many entries were folded.
    pub async fn count_entries(&self) -> Result<u64, StoreError> {
        Ok(entries::Entity::find().count(&self.read).await?)
    }

    /// Copies the whole store to a file that is not there yet.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let statement = format!("vacuum into {}", quoted(file));
        self.write
            .connection()
            .await?
            .execute_unprepared(&statement)
            .await?;
        Ok(())
    }

    /// Empties tables.
    pub async fn empty(&self, tables: &[&str]) -> Result<(), StoreError> {
        let connection = self.write.connection().await?;
        for table in tables {
            connection
                .execute_unprepared(&format!("delete from {table}"))
                .await?;
        }
        Ok(())
    }

    /// The first of the tables whose columns say something else in another store's file, and the names of repeats that are
    /// not in this one; none when all is the same. In a table, `{of}` stands for its database.
    pub async fn differs_from(
        &self,
        file: &Path,
        compared: &[(&str, &str)],
        repeats_after: Epoch,
    ) -> Result<Option<String>, StoreError> {
        let connection = self.write.connection().await?;
        connection
            .execute_unprepared(&format!("attach database {} as old", quoted(file)))
            .await?;
        let found = find_difference(&connection, compared, repeats_after).await;
        connection.execute_unprepared("detach database old").await?;
        Ok(found?)
    }
}

async fn find_difference(
    connection: &DatabaseConnection,
    compared: &[(&str, &str)],
    repeats_after: Epoch,
) -> Result<Option<String>, DbErr> {
    let from = |table: &str, of: &str| {
        if table.contains("{of}") {
            table.replace("{of}", of)
        } else {
            format!("{of}.{table}")
        }
    };
    for (table, columns) in compared {
        let (new, old) = (from(table, "main"), from(table, "old"));
        for (one, other) in [(&new, &old), (&old, &new)] {
            let only_in_one = format!(
                "select 1 from (select {columns} from {one} except select {columns} from {other}) limit 1"
            );
            if is_any(connection, &only_in_one).await? {
                let name = if table.contains("{of}") {
                    "entries"
                } else {
                    *table
                };
                return Ok(Some(name.to_owned()));
            }
        }
    }
    // Names that have left the window go when there is time for it, so this store may have more.
    let forgotten = format!(
        "select 1 from (select name, id, request from old.repeats where epoch > {repeats_after} except select name, id, \
         request from main.repeats) limit 1"
    );
    Ok(is_any(connection, &forgotten)
        .await?
        .then(|| "repeats".to_owned()))
}

async fn is_any(connection: &DatabaseConnection, query: &str) -> Result<bool, DbErr> {
    let statement = Statement::from_string(DbBackend::Sqlite, query);
    Ok(connection.query_one_raw(statement).await?.is_some())
}

/// A path as a text of SQL.
fn quoted(file: &Path) -> String {
    format!("'{}'", file.display().to_string().replace('\'', "''"))
}
