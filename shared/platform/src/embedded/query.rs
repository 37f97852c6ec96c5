//! A [`Query`] as SQL. Field names become JSON paths only after a check; every value is bound, never written in.

use crate::{
    Error, Result,
    docs::{Direction, Number, Query, Scope},
};
use rusqlite::types::Value as Sql;
use serde_json::Value;

/// `SELECT` of whole documents in the query's order.
pub(super) fn select(query: &Query) -> Result<(String, Vec<Sql>)> {
    let (mut filter, mut values) = filter(query)?;
    let (field, direction) = match &query.order {
        Some((field, direction)) => (Some(json_path(field)?), *direction),
        None => (None, Direction::Ascending),
    };
    let (word, sign) = match direction {
        Direction::Ascending => ("ASC", '>'),
        Direction::Descending => ("DESC", '<'),
    };
    if let Some(field) = &field {
        filter.push_str(&format!(" AND {field} IS NOT NULL"));
    }
    if let Some(cursor) = &query.after {
        match (&field, &cursor.value) {
            (Some(field), Some(value)) => {
                filter.push_str(&format!(" AND ({field}, path) {sign} (?, ?)"));
                values.push(sql_value(value)?);
            }
            (None, None) => filter.push_str(&format!(" AND path {sign} ?")),
            _ => return Err(Error::Invalid("the cursor belongs to another order".into())),
        }
        values.push(Sql::Text(cursor.path.as_str().to_owned()));
    }
    let order = field.map_or_else(|| format!("path {word}"), |field| format!("{field} {word}, path {word}"));
    let limit = query.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    Ok((format!("SELECT path, body, version, updated_at FROM docs WHERE {filter} ORDER BY {order}{limit}"), values))
}

/// `SELECT` of the numbers, each a real one.
pub(super) fn aggregate(query: &Query, numbers: &[Number<'_>]) -> Result<(String, Vec<Sql>)> {
    let (filter, values) = filter(query)?;
    let column = |number: &Number<'_>| match number {
        Number::Count => Ok("CAST(COUNT(*) AS REAL)".to_owned()),
        Number::Sum(field) => Ok(format!("TOTAL({})", json_path(field)?)),
    };
    let columns = numbers.iter().map(column).collect::<Result<Vec<_>>>()?.join(", ");
    Ok((format!("SELECT {columns} FROM docs WHERE {filter}"), values))
}

fn filter(query: &Query) -> Result<(String, Vec<Sql>)> {
    let (mut filter, mut values) = match &query.scope {
        Scope::Collection(collection) => ("collection = ?".to_owned(), vec![Sql::Text(collection.as_str().to_owned())]),
        Scope::Group(name) => ("grp = ?".to_owned(), vec![Sql::Text(name.clone())]),
    };
    for (field, any) in &query.filters {
        filter.push_str(&format!(" AND {} IN ({})", json_path(field)?, vec!["?"; any.len()].join(", ")));
        for value in any {
            values.push(sql_value(value)?);
        }
    }
    Ok((filter, values))
}

fn json_path(field: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if field.is_empty() || !field.chars().all(plain) {
        return Err(Error::Invalid(format!("{field:?} is not a field")));
    }
    Ok(format!("json_extract(body, '$.{field}')"))
}

fn sql_value(value: &Value) -> Result<Sql> {
    match value {
        Value::String(text) => Ok(Sql::Text(text.clone())),
        Value::Bool(flag) => Ok(Sql::Integer(i64::from(*flag))),
        Value::Number(number) => number
            .as_i64()
            .map(Sql::Integer)
            .or_else(|| number.as_f64().map(Sql::Real))
            .ok_or_else(|| Error::Invalid("a number out of range".into())),
        _ => Err(Error::Invalid("a filter compares with text, numbers and booleans".into())),
    }
}
