//! Secrets and their sealed values.

use super::{number, table, text};
use sea_orm::sea_query::{ColumnDef, Index, IndexCreateStatement, TableCreateStatement};

pub(super) fn tables() -> Vec<TableCreateStatement> {
    // A key is bounded, because MySQL indexes no unbounded text.
    let name = |name: &'static str| ColumnDef::new(name).string_len(100).not_null().take();
    let sealed = ColumnDef::new("sealed").blob().not_null().take();
    vec![
        table(
            "secrets",
            vec![
                name("name"),
                number("version"),
                number("epoch"),
                text("by"),
                text("at"),
            ],
        ),
        table(
            "secret_values",
            vec![name("id"), name("name"), number("version"), sealed],
        ),
    ]
}

pub(super) fn indexes() -> Vec<IndexCreateStatement> {
    let mut index = Index::create();
    index.name("secret_values_by_name").table("secret_values");
    vec![index.col("name").take()]
}
