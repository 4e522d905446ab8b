//! Queries over the documents of a test host: what every database of the host's understands, and no more.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::DatabaseError;

/// Whether `name` can be a collection.
pub(super) fn check_collection(name: &str) -> Result<(), DatabaseError> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with("system.") || name.split('.').any(str::is_empty) || !name.chars().all(known) {
        return Err(DatabaseError::Invalid(format!("{name:?} is not a collection: letters, digits and -_. only")));
    }
    Ok(())
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Value, DatabaseError> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(DatabaseError::Invalid(format!("{text} is not a JSON object"))),
        Err(error) => Err(DatabaseError::Invalid(format!("{text} is not JSON: {error}"))),
    }
}

/// Whether `document` is what `query` asks for.
pub(super) fn matches(query: &Value, document: &Value) -> Result<bool, DatabaseError> {
    let mut all = true;
    for (key, value) in query.as_object().into_iter().flatten() {
        all &= match key.as_str() {
            "$and" => !several(value, document)?.contains(&false),
            "$or" => several(value, document)?.contains(&true),
            key if key.starts_with('$') => return Err(unknown(key)),
            path => {
                let mut found = Vec::new();
                lookup(document, path, &mut found);
                field(&found, value)?
            }
        };
    }
    Ok(all)
}

fn several(queries: &Value, document: &Value) -> Result<Vec<bool>, DatabaseError> {
    let queries = queries.as_array().filter(|list| !list.is_empty() && list.iter().all(Value::is_object));
    let queries = queries.ok_or_else(|| DatabaseError::Invalid("$and and $or take a list of queries".to_owned()))?;
    queries.iter().map(|query| matches(query, document)).collect()
}

/// Whether what was found passes a value's test, or those of its operators.
fn field(found: &[&Value], value: &Value) -> Result<bool, DatabaseError> {
    let operators = match value.as_object() {
        Some(map) if map.keys().any(|key| key.starts_with('$')) => map,
        _ => return Ok(is(found, value)),
    };
    let mut all = true;
    for (operator, value) in operators {
        let ordered = |wanted: &[Ordering]| {
            each(found).any(|candidate| order(candidate, value).is_some_and(|order| wanted.contains(&order)))
        };
        all &= match (operator.as_str(), value) {
            ("$eq", _) => is(found, value),
            ("$ne", _) => !is(found, value),
            ("$gt", _) => ordered(&[Ordering::Greater]),
            ("$gte", _) => ordered(&[Ordering::Greater, Ordering::Equal]),
            ("$lt", _) => ordered(&[Ordering::Less]),
            ("$lte", _) => ordered(&[Ordering::Less, Ordering::Equal]),
            ("$in", Value::Array(values)) => values.iter().any(|value| is(found, value)),
            ("$exists", Value::Bool(wanted)) => found.is_empty() != *wanted,
            (operator, _) => return Err(unknown(operator)),
        };
    }
    Ok(all)
}

/// What is not there is `null`; a list is each of its values, too.
fn is(found: &[&Value], value: &Value) -> bool {
    (found.is_empty() && value.is_null())
        || each(found).any(|candidate| candidate == value || order(candidate, value) == Some(Ordering::Equal))
}

fn each<'a>(found: &'a [&'a Value]) -> impl Iterator<Item = &'a Value> {
    found.iter().flat_map(|value| [*value].into_iter().chain(value.as_array().into_iter().flatten()))
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// Where a path leads: into fields, and into each document of a list.
fn lookup<'a>(value: &'a Value, path: &str, found: &mut Vec<&'a Value>) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    match (value, rest) {
        (Value::Object(map), rest) => match (map.get(key), rest) {
            (Some(value), Some(rest)) => lookup(value, rest, found),
            (Some(value), None) => found.push(value),
            (None, _) => {}
        },
        (Value::Array(values), _) => values.iter().for_each(|value| lookup(value, path, found)),
        _ => {}
    }
}

fn unknown(operator: &str) -> DatabaseError {
    DatabaseError::Invalid(format!("a test host does not know {operator:?}, or not with this value"))
}
