//! JSON as Firestore's values and back. Only what JSON has is written, with one exception: the field `expire_at` is
//! written as a timestamp, because Firestore's TTL policies look at nothing else, and reads as the same text again.

use crate::{Error, Result, docs::Body};
use chrono::{DateTime, SecondsFormat, Utc};
use firestore::gcloud_sdk::{
    google::firestore::v1::{ArrayValue, MapValue, Value, value::ValueType},
    prost_types::Timestamp,
};
use serde_json::{Number, Value as Json};
use std::collections::HashMap;

/// The field TTL policies watch.
const EXPIRY: &str = "expire_at";

/// The fields of a document.
pub(super) fn fields(body: Body) -> Result<HashMap<String, Value>> {
    body.into_iter()
        .map(|(name, json)| {
            let value = if name == EXPIRY { timestamp(&json)? } else { value(json)? };
            Ok((name, value))
        })
        .collect()
}

/// The body of a document.
pub(super) fn body(fields: HashMap<String, Value>) -> Result<Body> {
    fields.into_iter().map(|(name, value)| Ok((name, json(value)?))).collect()
}

/// A value that is not an expiry.
pub(super) fn value(json: Json) -> Result<Value> {
    Ok(of(match json {
        Json::Null => ValueType::NullValue(0),
        Json::Bool(flag) => ValueType::BooleanValue(flag),
        Json::String(text) => ValueType::StringValue(text),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => ValueType::IntegerValue(whole),
            None if number.is_u64() => return Err(Error::Invalid(format!("{number} is too large for a document"))),
            None => ValueType::DoubleValue(number.as_f64().unwrap_or_default()),
        },
        Json::Array(items) => {
            let values = items.into_iter().map(value).collect::<Result<_>>()?;
            ValueType::ArrayValue(ArrayValue { values })
        }
        Json::Object(body) => {
            let fields = body.into_iter().map(|(name, json)| Ok((name, value(json)?))).collect::<Result<_>>()?;
            ValueType::MapValue(MapValue { fields })
        }
    }))
}

/// A reference to a document, by its full name.
pub(super) fn reference(name: String) -> Value {
    of(ValueType::ReferenceValue(name))
}

fn of(kind: ValueType) -> Value {
    Value { value_type: Some(kind) }
}

/// The number a sum or a count came to.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value.value_type {
        Some(ValueType::IntegerValue(whole)) => Some(whole as f64),
        Some(ValueType::DoubleValue(number)) => Some(number),
        _ => None,
    }
}

fn json(value: Value) -> Result<Json> {
    let strange = |kind: &str| Error::internal("reading a document", format!("a field holds {kind}"));
    Ok(match value.value_type {
        None | Some(ValueType::NullValue(_)) => Json::Null,
        Some(ValueType::BooleanValue(flag)) => Json::Bool(flag),
        Some(ValueType::StringValue(text)) => Json::String(text),
        Some(ValueType::IntegerValue(whole)) => Json::from(whole),
        Some(ValueType::DoubleValue(number)) => {
            Json::Number(Number::from_f64(number).ok_or_else(|| strange("a number that JSON has not"))?)
        }
        Some(ValueType::TimestampValue(time)) => {
            Json::String(text_of(&time).ok_or_else(|| strange("a time out of range"))?)
        }
        Some(ValueType::ArrayValue(array)) => array.values.into_iter().map(json).collect::<Result<_>>()?,
        Some(ValueType::MapValue(map)) => Json::Object(body(map.fields)?),
        Some(_) => return Err(strange("a kind of value that JSON has not")),
    })
}

fn timestamp(json: &Json) -> Result<Value> {
    let wrong = || Error::Invalid(format!("{EXPIRY} is {json}: it must be a UTC time with milliseconds and a Z"));
    let text = json.as_str().ok_or_else(wrong)?;
    let time = text.parse::<DateTime<Utc>>().map_err(|_| wrong())?;
    let time = Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().cast_signed() };
    // Anything else would come back as another text than was written.
    if text_of(&time).as_deref() != Some(text) {
        return Err(wrong());
    }
    Ok(of(ValueType::TimestampValue(time)))
}

fn text_of(time: &Timestamp) -> Option<String> {
    let time = moment(time)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A protobuf timestamp as a time.
pub(super) fn moment(time: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(json: Json) -> Body {
        match json {
            Json::Object(body) => body,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn what_is_written_is_read_back_unchanged() {
        let written = object(json!({
            "n": i64::MIN, "f": 0.5, "whole": 2.0, "t": "é\n", "b": true, "nothing": null,
            "l": [1, {"x": [2]}], "deep": {"expire_at": "not a time here"}, "expire_at": "2026-11-23T12:00:00.250Z",
        }));
        let fields = fields(written.clone()).unwrap();
        assert!(matches!(fields["expire_at"].value_type, Some(ValueType::TimestampValue(_))), "TTL needs a timestamp");
        assert_eq!(body(fields).unwrap(), written);
    }

    #[test]
    fn what_could_not_be_read_back_unchanged_is_refused() {
        for expiry in [json!("tomorrow"), json!(17), json!("2026-11-23T12:00:00Z"), json!("2026-11-23T12:00:00.1234Z")]
        {
            assert!(matches!(fields(object(json!({"expire_at": expiry}))), Err(Error::Invalid(_))), "{expiry}");
        }
        assert!(matches!(fields(object(json!({"n": u64::MAX}))), Err(Error::Invalid(_))));
    }
}
