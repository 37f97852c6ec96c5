//! A [`Query`] in Firestore's terms. Every query ends its order with the document's name, so that a cursor has one
//! meaning: the value it was ordered by, then the name.

use super::values;
use crate::{
    Collection, Error, Result,
    docs::{Cursor, Direction, Query, Scope},
};
use firestore::{
    FirestoreDb, FirestoreQueryCursor, FirestoreQueryDirection, FirestoreQueryFilter, FirestoreQueryFilterCompare,
    FirestoreQueryOrder, FirestoreValue, select_builder::FirestoreSelectDocBuilder,
};
use serde_json::Value as Json;

/// The order of names.
const NAME: &str = "__name__";

/// A query under construction.
pub(super) type Select<'a> = FirestoreSelectDocBuilder<'a, FirestoreDb>;

/// The query with its order, cursor and limit.
pub(super) fn select<'a>(db: &'a FirestoreDb, query: &Query) -> Result<Select<'a>> {
    let (field, direction) = match &query.order {
        Some((field, direction)) => (Some(plain(field)?), *direction),
        None => (None, Direction::Ascending),
    };
    let direction = match direction {
        Direction::Ascending => FirestoreQueryDirection::Ascending,
        Direction::Descending => FirestoreQueryDirection::Descending,
    };
    let mut select = matching(db, query)?.order(|_| {
        let fields = field.iter().map(String::as_str).chain([NAME]);
        fields.map(|field| FirestoreQueryOrder::new(field.to_owned(), direction.clone())).collect()
    });
    if let Some(cursor) = &query.after {
        select = select.start_at(after(cursor, field.is_some(), db.get_documents_path())?);
    }
    if let Some(limit) = query.limit {
        select = select.limit(limit);
    }
    Ok(select)
}

/// The documents a query is about, in no order: what aggregates run over.
pub(super) fn matching<'a>(db: &'a FirestoreDb, query: &Query) -> Result<Select<'a>> {
    let root = db.get_documents_path();
    let select = match &query.scope {
        Scope::Collection(collection) => {
            let (parent, id) = split(collection, root);
            db.fluent().select().from(id.as_str()).parent(parent)
        }
        Scope::Group(name) => db.fluent().select().from(name.as_str()).parent(root).all_descendants(),
    };
    let filter = |(field, any): &(String, Vec<Json>)| {
        let field = plain(field)?;
        let compare = match any.as_slice() {
            [value] => FirestoreQueryFilterCompare::Equal(field, comparable(value)?),
            any => {
                any.iter().try_for_each(|value| comparable(value).map(|_| ()))?;
                FirestoreQueryFilterCompare::In(field, FirestoreValue::from(values::value(Json::Array(any.to_vec()))?))
            }
        };
        Ok(FirestoreQueryFilter::Compare(Some(compare)))
    };
    let filters = query.filters.iter().map(filter).collect::<Result<Vec<_>>>()?;
    Ok(select.filter(|build| build.for_all(filters.clone())))
}

/// The full name of the document a collection hangs below, and the collection's own name.
pub(super) fn split(collection: &Collection, root: &str) -> (String, String) {
    match collection.as_str().rsplit_once('/') {
        Some((parent, id)) => (format!("{root}/{parent}"), id.to_owned()),
        None => (root.to_owned(), collection.as_str().to_owned()),
    }
}

/// A field's name as it may stand in a query: no part of it needs quoting.
pub(super) fn plain(field: &str) -> Result<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if field.is_empty() || !field.chars().all(allowed) {
        return Err(Error::Invalid(format!("{field:?} is not a field")));
    }
    Ok(field.to_owned())
}

fn after(cursor: &Cursor, ordered: bool, root: &str) -> Result<FirestoreQueryCursor> {
    let mut place = match (&cursor.value, ordered) {
        (Some(value), true) => vec![comparable(value)?],
        (None, false) => vec![],
        _ => return Err(Error::Invalid("the cursor belongs to another order".into())),
    };
    place.push(FirestoreValue::from(values::reference(format!("{root}/{}", cursor.path))));
    Ok(FirestoreQueryCursor::AfterValue(place))
}

fn comparable(value: &Json) -> Result<FirestoreValue> {
    match value {
        Json::String(_) | Json::Bool(_) | Json::Number(_) => Ok(FirestoreValue::from(values::value(value.clone())?)),
        _ => Err(Error::Invalid("a filter compares with text, numbers and booleans".into())),
    }
}
