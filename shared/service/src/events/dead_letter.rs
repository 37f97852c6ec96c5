//! A message that its subscriber could not process, as Pub/Sub forwards it: the message as it was, its attributes, and
//! two more that say which subscription gave it up and after how many attempts. An event of Eventarc is a message of
//! CloudEvents' Pub/Sub binding: its context attributes are message attributes that begin with `ce-`.

use super::{
    message::{self, Inner},
    object::StorageObject,
    proto::DocumentEventData,
};
use crate::{Problem, World};
use axum::extract::{FromRequest, Request};
use platform::{BlobPath, DocPath};
use prost::Message;

/// The attribute that names the subscription.
pub const SUBSCRIPTION: &str = "CloudPubSubDeadLetterSourceSubscription";
/// The attribute that counts the attempts.
pub const ATTEMPTS: &str = "CloudPubSubDeadLetterSourceDeliveryCount";

/// What could not be processed, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The event's or the message's own id.
    pub id: String,
    pub subscription: String,
    pub attempts: u32,
    pub subject: Subject,
}

/// What it was about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    Document(DocPath),
    /// An object and its generation.
    Object(BlobPath, i64),
    /// A message, or an event that cannot be read.
    Other,
}

impl Subject {
    /// As the record of a dead letter names it.
    pub fn name(&self) -> Option<String> {
        match self {
            Subject::Document(path) => Some(path.to_string()),
            Subject::Object(path, _) => Some(path.to_string()),
            Subject::Other => None,
        }
    }
}

impl FromRequest<World> for DeadLetter {
    type Rejection = Problem;

    async fn from_request(request: Request, world: &World) -> Result<Self, Problem> {
        let (message, data) = message::read(request).await?;
        let attribute = |name: &str| message.attributes.get(name).cloned();
        Ok(DeadLetter {
            id: attribute("ce-id").unwrap_or_else(|| message.message_id.clone()),
            subscription: attribute(SUBSCRIPTION).unwrap_or_default(),
            attempts: attribute(ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or_default(),
            subject: subject(&message, &data, &world.settings.bucket_prefix).unwrap_or(Subject::Other),
        })
    }
}

fn subject(message: &Inner, data: &[u8], bucket_prefix: &str) -> Option<Subject> {
    let kind = message.attributes.get("ce-type")?;
    if kind.starts_with("google.cloud.firestore.") {
        let named = message.attributes.get("ce-document").cloned().or_else(|| {
            let event = DocumentEventData::decode(data).ok()?;
            event.value.or(event.old_value)?.path().map(str::to_owned)
        });
        return DocPath::parse(&named?).ok().map(Subject::Document);
    }
    let object: StorageObject = serde_json::from_slice(data).ok()?;
    let path = BlobPath::new(object.bucket.strip_prefix(bucket_prefix)?, object.name).ok()?;
    Some(Subject::Object(path, object.generation.parse().ok()?))
}
