//! Secrets: what the fold says of them, and their sealed values, which lie here before the entry that puts them in force.

use super::{
    Store, StoreError,
    entity::{secret_values, secrets},
};
use latencify_conf::change::{Entry, Epoch};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use std::collections::BTreeMap;
use time::format_description::well_known::Rfc3339;

/// A value as it lies in the store.
pub struct SealedValue {
    /// The secret's name.
    pub name: String,
    /// The number of the value.
    pub version: u64,
    /// The octets.
    pub sealed: Vec<u8>,
}

impl SealedValue {
    /// The context that a value is sealed for.
    pub fn context(name: &str, version: u64) -> String {
        format!("secret/{}", id(name, version))
    }
}

impl Store {
    /// The secrets that there are, by name.
    pub async fn secrets(&self) -> Result<Vec<secrets::Model>, StoreError> {
        let query = secrets::Entity::find().order_by_asc(secrets::Column::Name);
        Ok(query.all(&self.read).await?)
    }

    /// The greatest number that a value of this secret has, in force or not; and how many values there are.
    pub async fn secret_versions(&self, name: &str) -> Result<(u64, u64), StoreError> {
        let of_name = secret_values::Entity::find().filter(secret_values::Column::Name.eq(name));
        let connection = self.writer().await?;
        let newest = of_name
            .clone()
            .order_by_desc(secret_values::Column::Version)
            .one(&connection)
            .await?;
        let count = of_name.count(&connection).await?;
        Ok((newest.map_or(0, |row| row.version as u64), count))
    }

    /// Keeps a value that no entry has put in force yet. False: there is one of that number.
    pub async fn keep_secret_value(&self, value: SealedValue) -> Result<bool, StoreError> {
        let id = id(&value.name, value.version);
        let connection = self.writer().await?;
        let known = secret_values::Entity::find_by_id(id.clone()).one(&connection);
        if known.await?.is_some() {
            return Ok(false);
        }
        let row = secret_values::ActiveModel {
            id: Set(id),
            name: Set(value.name),
            version: Set(value.version as i64),
            sealed: Set(value.sealed),
        };
        let kept = secret_values::Entity::insert(row)
            .exec_without_returning(&connection)
            .await;
        self.noted(kept.map(|_| true).map_err(StoreError::from))
            .await
    }

    /// Drops values of a name between two numbers: they are in force no more, or no entry will put them in force.
    pub async fn drop_secret_values(
        &self,
        name: &str,
        above: u64,
        below: u64,
    ) -> Result<(), StoreError> {
        let dropped = secret_values::Entity::delete_many()
            .filter(secret_values::Column::Name.eq(name))
            .filter(secret_values::Column::Version.gt(above as i64))
            .filter(secret_values::Column::Version.lt(below as i64))
            .exec(&self.writer().await?)
            .await;
        self.noted(dropped.map(|_| ()).map_err(StoreError::from))
            .await
    }

    /// The value that is in force, if this store has it.
    pub async fn secret_value(
        &self,
        name: &str,
        version: u64,
    ) -> Result<Option<SealedValue>, StoreError> {
        let row = secret_values::Entity::find_by_id(id(name, version));
        Ok(row.one(&self.read).await?.map(value))
    }

    /// Whether this store has the value of each secret.
    pub async fn has_secret_values(&self) -> Result<BTreeMap<String, Vec<u64>>, StoreError> {
        let columns = secret_values::Entity::find()
            .select_only()
            .column(secret_values::Column::Name)
            .column(secret_values::Column::Version);
        let rows: Vec<(String, i64)> = columns.into_tuple().all(&self.read).await?;
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (name, version) in rows {
            found.entry(name).or_default().push(version as u64);
        }
        Ok(found)
    }

    /// Every value, to be sealed anew.
    pub async fn all_secret_values(&self) -> Result<Vec<SealedValue>, StoreError> {
        let rows = secret_values::Entity::find().all(&self.read).await?;
        Ok(rows.into_iter().map(value).collect())
    }

    /// Puts a value that is sealed anew in the place of the former one.
    pub async fn replace_secret_value(&self, value: SealedValue) -> Result<(), StoreError> {
        let replaced = secret_values::Entity::update_many()
            .col_expr(secret_values::Column::Sealed, Expr::value(value.sealed))
            .filter(secret_values::Column::Id.eq(id(&value.name, value.version)))
            .exec(&self.writer().await?)
            .await;
        self.noted(replaced.map(|_| ()).map_err(StoreError::from))
            .await
    }
}

/// A secret has another value. The values are not the fold's: a log that is folded anew, with its numbers from before a secret was
/// removed, must not drop the one that is in force.
pub(super) async fn save_set(
    transaction: &impl ConnectionTrait,
    epoch: Epoch,
    entry: &Entry,
    name: &str,
    version: u64,
) -> Result<(), StoreError> {
    save_removed(transaction, name).await?;
    let row = secrets::ActiveModel {
        name: Set(name.to_owned()),
        version: Set(version as i64),
        epoch: Set(epoch.0 as i64),
        by: Set(entry.by.clone()),
        at: Set(entry.at.format(&Rfc3339).unwrap_or_default()),
    };
    secrets::Entity::insert(row)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// A secret is gone.
pub(super) async fn save_removed(
    transaction: &impl ConnectionTrait,
    name: &str,
) -> Result<(), StoreError> {
    secrets::Entity::delete_by_id(name.to_owned())
        .exec(transaction)
        .await?;
    Ok(())
}

/// The numbers of the values in force, by name.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = secrets::Entity::find().all(connection).await?;
    let numbered = rows.into_iter().map(|row| (row.name, row.version as u64));
    Ok(numbered.collect())
}

fn id(name: &str, version: u64) -> String {
    format!("{name}/{version}")
}

fn value(row: secret_values::Model) -> SealedValue {
    SealedValue {
        name: row.name,
        version: row.version as u64,
        sealed: row.sealed,
    }
}
