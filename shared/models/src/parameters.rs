//! Tables of parameters: from one table come the JSON Schema that clients read and the check of what they send. A
//! name that is not in the table is refused, so that a misspelt parameter never passes for its default.

use crate::{FieldError, request::member};
use serde_json::{Map, Value, json};

/// One line of a table.
pub(crate) struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    pub meaning: &'static str,
}

/// What a parameter holds, and its default. Bounds are inclusive.
pub(crate) enum Kind {
    Flag(bool),
    Whole { default: i64, min: i64, max: i64 },
    Real { default: f64, min: f64, max: f64 },
}

/// The largest seed the tools' random generators take.
pub(crate) const MAX_SEED: i64 = u32::MAX as i64;

pub(crate) const fn flag(name: &'static str, default: bool, meaning: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Flag(default), meaning }
}

pub(crate) const fn whole(name: &'static str, default: i64, min: i64, max: i64, meaning: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Whole { default, min, max }, meaning }
}

pub(crate) const fn real(name: &'static str, default: f64, min: f64, max: f64, meaning: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Real { default, min, max }, meaning }
}

/// The JSON Schema of the whole table.
pub(crate) fn schema(table: &[Parameter]) -> Value {
    let properties = table.iter().map(|parameter| {
        let mut schema = match parameter.kind {
            Kind::Flag(default) => json!({"type": "boolean", "default": default}),
            Kind::Whole { default, min, max } => {
                json!({"type": "integer", "default": default, "minimum": min, "maximum": max})
            }
            Kind::Real { default, min, max } => {
                json!({"type": "number", "default": default, "minimum": min, "maximum": max})
            }
        };
        schema["description"] = parameter.meaning.into();
        (parameter.name.to_owned(), schema)
    });
    let properties: Map<_, _> = properties.collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// Every parameter with the value given or its default. Faults are added to `errors`.
pub(crate) fn canonical(table: &[Parameter], given: &Value, errors: &mut Vec<FieldError>) -> Value {
    let none = Map::new();
    let given = match given {
        Value::Object(given) => given,
        Value::Null => &none,
        _ => {
            errors.push(FieldError::new("/parameters", "must be an object"));
            &none
        }
    };
    for name in given.keys().filter(|name| table.iter().all(|parameter| parameter.name != name.as_str())) {
        let known: Vec<_> = table.iter().map(|parameter| parameter.name).collect();
        let reason = format!("is not a parameter of this model; those are {}", known.join(", "));
        errors.push(FieldError::new(member("/parameters", name), reason));
    }
    let values = table.iter().map(|parameter| {
        let value = parameter.kind.value(given.get(parameter.name)).unwrap_or_else(|reason| {
            errors.push(FieldError::new(member("/parameters", parameter.name), reason));
            Value::Null
        });
        (parameter.name.to_owned(), value)
    });
    Value::Object(values.collect())
}

impl Kind {
    /// The value given, or the default; errs with the reason why it will not do.
    fn value(&self, given: Option<&Value>) -> Result<Value, String> {
        match *self {
            Kind::Flag(default) => given.map_or(Some(default), Value::as_bool).map(Value::from),
            Kind::Whole { default, min, max } => {
                let within = |number: &i64| (min..=max).contains(number);
                given.map_or(Some(default), Value::as_i64).filter(within).map(Value::from)
            }
            Kind::Real { default, min, max } => {
                let within = |number: &f64| (min..=max).contains(number);
                given.map_or(Some(default), Value::as_f64).filter(within).map(Value::from)
            }
        }
        .ok_or_else(|| self.wanted())
    }

    fn wanted(&self) -> String {
        match self {
            Kind::Flag(_) => "must be true or false".to_owned(),
            Kind::Whole { min, max, .. } => format!("must be a whole number from {min} to {max}"),
            Kind::Real { min, max, .. } => format!("must be a number from {min} to {max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [Parameter; 3] =
        [whole("steps", 200, 1, 500, "steps"), flag("fast", false, "fast"), real("t", 0.1, 0.0, 1.0, "t")];

    fn check(given: Value) -> (Value, Vec<FieldError>) {
        let mut errors = vec![];
        (canonical(&TABLE, &given, &mut errors), errors)
    }

    #[test]
    fn what_is_not_given_is_written_out_as_its_default() {
        let all = json!({"steps": 200, "fast": false, "t": 0.1});
        assert_eq!(check(Value::Null), (all.clone(), vec![]));
        assert_eq!(check(json!({"steps": 200})), (all, vec![]), "the same request has the same canonical form");
    }

    #[test]
    fn a_misspelt_name_and_a_value_out_of_range_are_both_told_at_once() {
        let (_, errors) = check(json!({"step": 3, "steps": 0, "fast": "yes", "t": 1}));
        let told: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(told, ["/parameters/step", "/parameters/steps", "/parameters/fast"]);
        assert_eq!(errors[1].reason, "must be a whole number from 1 to 500");
        assert_eq!(check(json!([])).1[0].pointer, "/parameters");
        assert_eq!(check(json!({"steps": 2.5})).1.len(), 1);
    }

    #[test]
    fn the_schema_says_what_the_check_does() {
        let schema = schema(&TABLE);
        assert_eq!(schema["properties"]["steps"]["maximum"], 500);
        assert_eq!(schema["additionalProperties"], false);
    }
}
