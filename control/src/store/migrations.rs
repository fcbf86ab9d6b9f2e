//! The store's schema, in steps that are each applied once. A step that was released is never edited: databases that
//! have it would not get the change.

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryOrder, TransactionTrait,
    sea_query::{
        ColumnDef, Index, IndexCreateStatement, Table, TableAlterStatement, TableCreateStatement,
    },
};

mod certificates;
mod identity;
mod secrets;

mod entity {
    use sea_orm::entity::prelude::*;

    /// A step that was applied.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "migrations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub step: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

struct Step {
    name: &'static str,
    tables: fn() -> Vec<TableCreateStatement>,
    indexes: fn() -> Vec<IndexCreateStatement>,
    columns: fn() -> Vec<TableAlterStatement>,
}

const STEPS: &[Step] = &[
    Step {
        name: "first",
        tables: first_tables,
        indexes: first_indexes,
        columns: Vec::new,
    },
    Step {
        name: "fences and replicas",
        tables: fences_and_replicas,
        indexes: Vec::new,
        columns: Vec::new,
    },
    Step {
        name: "absent replicas and forks",
        tables: forks,
        indexes: Vec::new,
        columns: absent_replicas,
    },
    Step {
        name: "the longest lease",
        tables: Vec::new,
        indexes: Vec::new,
        columns: longest_lease,
    },
    Step {
        name: "identity",
        tables: identity::tables,
        indexes: identity::indexes,
        columns: Vec::new,
    },
    Step {
        name: "certificates of edges",
        tables: certificates::tables,
        indexes: Vec::new,
        columns: Vec::new,
    },
    Step {
        name: "rollouts",
        tables: rollouts,
        indexes: Vec::new,
        columns: Vec::new,
    },
    Step {
        name: "secrets",
        tables: secrets::tables,
        indexes: secrets::indexes,
        columns: Vec::new,
    },
    Step {
        name: "keys of policies",
        tables: policy_keys,
        indexes: Vec::new,
        columns: Vec::new,
    },
];

/// Brings a database to this version's schema.
pub async fn migrate(database: &DatabaseConnection) -> Result<(), DbErr> {
    let table = Table::create()
        .table("migrations")
        .if_not_exists()
        .col(ColumnDef::new("step").integer().not_null().primary_key())
        .col(ColumnDef::new("name").string().not_null())
        .to_owned();
    database.execute(&table).await?;
    let newest = entity::Entity::find()
        .order_by_desc(entity::Column::Step)
        .one(database)
        .await?;
    let done = newest.map_or(0, |row| row.step as usize);
    if done > STEPS.len() {
        return Err(DbErr::Custom(format!(
            "the store has schema step {done}, this version knows {}: a newer version wrote it; run that one",
            STEPS.len()
        )));
    }
    for (number, step) in STEPS.iter().enumerate().skip(done) {
        let transaction = database.begin().await?;
        for table in (step.tables)() {
            transaction.execute(&table).await?;
        }
        for index in (step.indexes)() {
            transaction.execute(&index).await?;
        }
        for column in (step.columns)() {
            transaction.execute(&column).await?;
        }
        let row = entity::ActiveModel {
            step: Set(number as i32 + 1),
            name: Set(step.name.to_owned()),
        };
        entity::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn maybe_number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn maybe_text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

/// A table whose first column is the key.
fn table(name: &'static str, columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create().table(name).take();
    for (number, mut column) in columns.into_iter().enumerate() {
        table.col(if number == 0 {
            column.primary_key().take()
        } else {
            column
        });
    }
    table
}

fn forks() -> Vec<TableCreateStatement> {
    vec![table(
        "forks",
        vec![id("log"), text("edge"), number("epoch")],
    )]
}

fn absent_replicas() -> Vec<TableAlterStatement> {
    let add = |table: &'static str, column: ColumnDef| {
        Table::alter().table(table).add_column(column).take()
    };
    vec![
        add("replicas", maybe_number("unread_max_ms")),
        add("applied", maybe_number("absent_ms")),
        add("applied", number("none_absent_since").default(0).take()),
    ]
}

fn longest_lease() -> Vec<TableAlterStatement> {
    let column = number("lease_ms").default(0).take();
    vec![Table::alter().table("applied").add_column(column).take()]
}

fn policy_keys() -> Vec<TableCreateStatement> {
    let name = ColumnDef::new("kid").string_len(200).not_null().take();
    let blob = |name: &'static str| ColumnDef::new(name).blob().not_null().take();
    vec![table(
        "policy_keys",
        vec![name, blob("sealed"), blob("public_key")],
    )]
}

fn rollouts() -> Vec<TableCreateStatement> {
    vec![table(
        "rollouts",
        vec![
            number("revision"),
            maybe_number("stable"),
            text("plan"),
            number("stage"),
            number("step"),
            number("paused"),
            text("by"),
            text("at"),
            maybe_text("ended"),
            number("returned"),
        ],
    )]
}

fn fences_and_replicas() -> Vec<TableCreateStatement> {
    vec![
        table(
            "promises",
            vec![id("process"), text("when_isolated"), number("lease_ms")],
        ),
        table("identity", vec![number("id"), id("store")]),
        table(
            "replicas",
            vec![
                number("joined"),
                id("replica"),
                text("name"),
                text("kind"),
                id("store"),
                text("version"),
                maybe_number("left"),
                maybe_text("why"),
            ],
        ),
    ]
}

fn first_tables() -> Vec<TableCreateStatement> {
    // A key is bounded, because MySQL indexes no unbounded text.
    let name = |name: &'static str| ColumnDef::new(name).string_len(700).not_null().take();
    let long_name = |name: &'static str| ColumnDef::new(name).string_len(1100).not_null().take();
    let blob = |name: &'static str| ColumnDef::new(name).blob().not_null().take();
    let maybe_blob = |name: &'static str| ColumnDef::new(name).blob().null().take();
    vec![
        table(
            "applied",
            vec![
                number("id"),
                id("log"),
                number("epoch"),
                number("position"),
                blob("hash"),
                number("last_site"),
            ],
        ),
        table(
            "entries",
            vec![
                number("epoch"),
                id("id"),
                text("outcome"),
                maybe_number("previous"),
                maybe_blob("previous_hash"),
                maybe_blob("hash"),
                blob("bytes"),
            ],
        ),
        table("blobs", vec![name("digest"), blob("bytes")]),
        table(
            "policies",
            vec![
                number("revision"),
                number("epoch"),
                name("digest"),
                text("by"),
                text("at"),
                text("message"),
                text("sites"),
            ],
        ),
        table(
            "roster",
            vec![
                number("joined"),
                id("process"),
                text("edge"),
                text("about"),
                maybe_number("left"),
                maybe_text("why"),
            ],
        ),
        table("purges", vec![id("id"), number("epoch"), text("mode")]),
        table(
            "repeats",
            vec![
                long_name("name"),
                number("epoch"),
                id("id"),
                maybe_text("request"),
            ],
        ),
        table(
            "processes",
            vec![
                id("process"),
                number("acked"),
                text("version"),
                maybe_text("running"),
                maybe_number("revision"),
                maybe_text("failed"),
                maybe_number("failed_revision"),
                text("reason"),
            ],
        ),
        table("tokens", vec![name("name"), blob("hash")]),
    ]
}

fn first_indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str, column: &'static str| {
        Index::create().name(name).table(table).col(column).take()
    };
    vec![
        index("policies_by_digest", "policies", "digest"),
        index("policies_by_epoch", "policies", "epoch")
            .unique()
            .take(),
        index("roster_by_process", "roster", "process"),
        index("repeats_by_epoch", "repeats", "epoch"),
        index("purges_by_epoch", "purges", "epoch"),
    ]
}
