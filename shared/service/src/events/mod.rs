//! The wire: what Eventarc and Pub/Sub send, read into three extractors, and written by the same types for whoever
//! plays Google on a laptop. An event carries ids; what it says of a document's state is a hint, and handlers read the
//! document itself before they act.

pub mod dead_letter;
mod document;
mod message;
mod object;
mod proto;

pub use dead_letter::{DeadLetter, Subject};
pub use document::{DocumentChange, encode_document_event};
pub use message::{Push, encode_push};
pub use object::{Finalized, encode_object_event};

use crate::Problem;
use axum::{body::to_bytes, extract::Request, http::HeaderMap};
use cloudevents::{AttributesReader, Data, Event, binding::http::to_event};

/// The most an event may weigh: Eventarc's own limit is 512 KiB, and base64 adds a third.
const EVENT_LIMIT: usize = 1024 * 1024;

/// Reads a CloudEvent of the given type, binary or structured. Anything else is a 400, on every delivery, until the
/// subscription sets it aside.
async fn cloud_event(request: Request, kinds: &[&str]) -> Result<(Event, HeaderMap), Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, EVENT_LIMIT).await.map_err(|_| Problem::bad_request("the event is too large"))?;
    let event = to_event(&parts.headers, body.to_vec())
        .map_err(|error| Problem::bad_request(format!("this is not a CloudEvent: {error}")))?;
    if !kinds.contains(&event.ty()) {
        return Err(Problem::bad_request(format!("events of the type {:?} are not for this function", event.ty())));
    }
    Ok((event, parts.headers))
}

/// The event's content as bytes, whatever the content type made of it.
fn payload(event: &Event) -> Result<Vec<u8>, Problem> {
    match event.data() {
        Some(Data::Binary(bytes)) => Ok(bytes.clone()),
        Some(Data::String(text)) => Ok(text.clone().into_bytes()),
        Some(Data::Json(value)) => Ok(value.to_string().into_bytes()),
        None => Err(Problem::bad_request("the event has no content")),
    }
}
