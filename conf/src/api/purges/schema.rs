//! The OpenAPI schema of a target, with every way to write it.

use super::PurgeTarget;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type},
    },
};

impl ToSchema for PurgeTarget {}

impl PartialSchema for PurgeTarget {
    fn schema() -> RefOr<Schema> {
        let tag = object("tag", text("The tag."))
            .property("site", text("The site's name; none: every site."))
            .description(Some("A surrogate key, of one site or of every site."));
        let tag = OneOfBuilder::new()
            .item(text("A surrogate key, of every site."))
            .item(tag);
        let url = text("`https://shop.example/a`: this path, over all queries and variants.");
        let prefix = text("`https://shop.example/a/`: the path and everything below it.");
        let all = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Boolean))
            .description(Some("Must be true."));
        OneOfBuilder::new()
            .description(Some("What is purged."))
            .item(object("url", url))
            .item(object("prefix", prefix))
            .item(object("tag", tag))
            .item(object("site", text("A whole site by its name.")))
            .item(object("all", all))
            .item(text("Everything.").enum_values(Some(["all"])))
            .into()
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(description))
}

/// An object with this one required field, and no field that is not named.
fn object(field: &str, schema: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property(field, schema)
        .required(field)
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}
