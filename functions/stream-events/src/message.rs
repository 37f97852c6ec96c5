//! What one event of the stream looks like in the contract: OpenAPI has no words for a stream, so its body is described
//! as the events that a client takes from it.

use crate::RunEvent;
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};

/// An event as a client of server-sent events sees it.
pub enum Message {}

impl PartialSchema for Message {
    fn schema() -> RefOr<Schema> {
        let text = |says: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(says));
        let again = ObjectBuilder::new().schema_type(Type::Integer);
        ObjectBuilder::new()
            .description(Some("One event of the stream; comments between them keep the connection open."))
            .property("event", text("`run`: the whole state of the run."))
            .property("id", text("For `Last-Event-ID`."))
            .property("retry", again.description(Some("Milliseconds after which to connect again.")))
            .property("data", text("JSON: a `RunEvent`.").content_media_type("application/json"))
            .required("data")
            .into()
    }
}

impl ToSchema for Message {
    fn name() -> Cow<'static, str> {
        "RunMessage".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RunEvent::name().into_owned(), RunEvent::schema()));
        RunEvent::schemas(schemas);
    }
}
