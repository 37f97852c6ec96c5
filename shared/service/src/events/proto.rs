//! The few protobuf messages a document event is made of (`google.events.cloud.firestore.v1.DocumentEventData` and
//! `google.firestore.v1.Document`), and their values as JSON. References, bytes and points read as text and objects;
//! nothing here writes them.

use chrono::{DateTime, Utc};
use prost::Message;
use serde_json::{Map, Number, Value as Json, json};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct DocumentEventData {
    #[prost(message, optional, tag = "1")]
    pub value: Option<Document>,
    #[prost(message, optional, tag = "2")]
    pub old_value: Option<Document>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Document {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(btree_map = "string, message", tag = "2")]
    pub fields: BTreeMap<String, Value>,
    #[prost(message, optional, tag = "3")]
    pub create_time: Option<Timestamp>,
    #[prost(message, optional, tag = "4")]
    pub update_time: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 5, 6, 8, 9, 10, 11, 17, 18")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(bool, tag = "1")]
    Boolean(bool),
    #[prost(int64, tag = "2")]
    Integer(i64),
    #[prost(double, tag = "3")]
    Double(f64),
    #[prost(string, tag = "5")]
    Reference(String),
    #[prost(message, tag = "6")]
    Map(MapValue),
    #[prost(message, tag = "8")]
    Geo(LatLng),
    #[prost(message, tag = "9")]
    Array(ArrayValue),
    #[prost(message, tag = "10")]
    Timestamp(Timestamp),
    #[prost(int32, tag = "11")]
    Null(i32),
    #[prost(string, tag = "17")]
    String(String),
    #[prost(bytes = "vec", tag = "18")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub struct MapValue {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct LatLng {
    #[prost(double, tag = "1")]
    pub latitude: f64,
    #[prost(double, tag = "2")]
    pub longitude: f64,
}

impl Document {
    /// The path below the database: `users/u1/jobs/j1`.
    pub fn path(&self) -> Option<&str> {
        self.name.split_once("/documents/").map(|(_, path)| path)
    }

    pub fn json(&self) -> Map<String, Json> {
        self.fields.iter().map(|(name, value)| (name.clone(), value.json())).collect()
    }

    pub fn new(name: String, body: &Map<String, Json>, at: DateTime<Utc>) -> Self {
        let time = Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos() as i32 };
        Document { name, fields: fields(body), create_time: Some(time), update_time: Some(time) }
    }
}

fn fields(body: &Map<String, Json>) -> BTreeMap<String, Value> {
    body.iter().map(|(name, value)| (name.clone(), Value::new(value))).collect()
}

impl Value {
    fn json(&self) -> Json {
        match &self.kind {
            None | Some(Kind::Null(_)) => Json::Null,
            Some(Kind::Boolean(value)) => json!(value),
            Some(Kind::Integer(value)) => json!(value),
            Some(Kind::Double(value)) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Some(Kind::String(value) | Kind::Reference(value)) => json!(value),
            Some(Kind::Bytes(value)) => json!(String::from_utf8_lossy(value)),
            Some(Kind::Timestamp(time)) => {
                let nanos = u32::try_from(time.nanos).unwrap_or_default();
                DateTime::from_timestamp(time.seconds, nanos).map_or(Json::Null, |time| json!(time.to_rfc3339()))
            }
            Some(Kind::Geo(point)) => json!({"latitude": point.latitude, "longitude": point.longitude}),
            Some(Kind::Array(array)) => array.values.iter().map(Value::json).collect(),
            Some(Kind::Map(map)) => {
                Json::Object(map.fields.iter().map(|(name, value)| (name.clone(), value.json())).collect())
            }
        }
    }

    fn new(json: &Json) -> Self {
        let kind = match json {
            Json::Null => Kind::Null(0),
            Json::Bool(value) => Kind::Boolean(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Kind::Integer(value),
                None => Kind::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(value) => Kind::String(value.clone()),
            Json::Array(values) => Kind::Array(ArrayValue { values: values.iter().map(Value::new).collect() }),
            Json::Object(body) => Kind::Map(MapValue { fields: fields(body) }),
        };
        Value { kind: Some(kind) }
    }
}
