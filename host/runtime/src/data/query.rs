//! A query as the embedded database understands it: MongoDB's equality and usual operators. What it does not know is an
//! error, never ignored.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::DataError;

/// What a document must be.
#[derive(Debug, PartialEq)]
pub(super) enum Query {
    /// Every one of these.
    All(Vec<Query>),
    /// At least one of these.
    Any(Vec<Query>),
    /// A field, by its path, passes a test.
    Field(Vec<String>, Test),
}

/// What a field must be.
#[derive(Debug, PartialEq)]
pub(super) enum Test {
    Equal(Value),
    NotEqual(Value),
    In(Vec<Value>),
    Exists(bool),
    /// Of the same type, and in this order to the value; or equal, if so.
    Ordered(Ordering, bool, Value),
}

impl Query {
    /// Reads a query. Nesting is bounded by whoever parsed the JSON.
    pub(super) fn read(query: &Map<String, Value>) -> Result<Self, DataError> {
        let parts = query.iter().map(|(key, value)| match (key.as_str(), value) {
            ("$and", value) => Ok(Self::All(several("$and", value)?)),
            ("$or", value) => Ok(Self::Any(several("$or", value)?)),
            (operator, _) if operator.starts_with('$') => Err(unknown(operator)),
            (path, value) => Self::field(path, value),
        });
        Ok(Self::All(parts.collect::<Result<_, _>>()?))
    }

    fn field(path: &str, value: &Value) -> Result<Self, DataError> {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        let operators = match value {
            Value::Object(map) if map.keys().any(|key| key.starts_with('$')) && !is_id(map) => map,
            value => return Ok(Self::Field(path, Test::Equal(value.clone()))),
        };
        let tests = operators.iter().map(|(operator, value)| {
            let ordered = |ordering, or_equal| Test::Ordered(ordering, or_equal, value.clone());
            let test = match (operator.as_str(), value) {
                ("$eq", value) => Test::Equal(value.clone()),
                ("$ne", value) => Test::NotEqual(value.clone()),
                ("$gt", _) => ordered(Ordering::Greater, false),
                ("$gte", _) => ordered(Ordering::Greater, true),
                ("$lt", _) => ordered(Ordering::Less, false),
                ("$lte", _) => ordered(Ordering::Less, true),
                ("$in", Value::Array(values)) => Test::In(values.clone()),
                ("$in", _) => return Err(DataError::Invalid("$in takes a list".to_owned())),
                ("$exists", Value::Bool(wanted)) => Test::Exists(*wanted),
                ("$exists", _) => return Err(DataError::Invalid("$exists takes true or false".to_owned())),
                (operator, _) if operator.starts_with('$') => return Err(unknown(operator)),
                (field, _) => return Err(DataError::Invalid(format!("{field:?} stands among operators"))),
            };
            Ok(Self::Field(path.clone(), test))
        });
        Ok(Self::All(tests.collect::<Result<_, _>>()?))
    }

    /// Whether a document is what the query asks for.
    pub(super) fn matches(&self, document: &Value) -> bool {
        match self {
            Self::All(queries) => queries.iter().all(|query| query.matches(document)),
            Self::Any(queries) => queries.iter().any(|query| query.matches(document)),
            Self::Field(path, test) => {
                let mut found = Vec::new();
                values(document, path, &mut found);
                test.passes(&found)
            }
        }
    }
}

impl Test {
    /// `found`: the values that the path leads to; more than one behind a list, none where it ends.
    fn passes(&self, found: &[&Value]) -> bool {
        match self {
            Self::Exists(wanted) => found.is_empty() != *wanted,
            Self::Equal(value) => is(found, value),
            Self::NotEqual(value) => !is(found, value),
            Self::In(values) => values.iter().any(|value| is(found, value)),
            Self::Ordered(ordering, or_equal, value) => candidates(found).any(|candidate| {
                let order = order(candidate, value);
                order == Some(*ordering) || (*or_equal && order == Some(Ordering::Equal))
            }),
        }
    }
}

/// Whether a field is `value`, or a list with it. What is not there is `null`.
fn is(found: &[&Value], value: &Value) -> bool {
    (value.is_null() && found.is_empty()) || candidates(found).any(|candidate| equal(candidate, value))
}

/// The values, and what is in those that are lists.
fn candidates<'a>(found: &'a [&'a Value]) -> impl Iterator<Item = &'a Value> {
    found.iter().flat_map(|value| {
        let within = value.as_array().map(Vec::as_slice).unwrap_or_default();
        std::iter::once(*value).chain(within)
    })
}

/// Values of one type have an order; others do not compare.
fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => numbers(one, other),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// As JSON, but 1 is 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => numbers(one, other) == Some(Ordering::Equal),
        (Value::Array(ones), Value::Array(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| equal(one, other))
        }
        (Value::Object(ones), Value::Object(others)) => {
            ones.len() == others.len()
                && ones.iter().all(|(key, one)| others.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}

/// Whole numbers exactly, where both are.
fn numbers(one: &Value, other: &Value) -> Option<Ordering> {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Where a path leads: into fields, and through lists into each of their documents or to the one of an index.
fn values<'a>(value: &'a Value, path: &[String], found: &mut Vec<&'a Value>) {
    let Some((key, rest)) = path.split_first() else {
        found.push(value);
        return;
    };
    match value {
        Value::Object(map) => {
            if let Some(value) = map.get(key) {
                values(value, rest, found);
            }
        }
        Value::Array(list) => {
            if let Some(value) = key.parse().ok().and_then(|index: usize| list.get(index)) {
                values(value, rest, found);
            }
            for value in list.iter().filter(|value| value.is_object()) {
                values(value, path, found);
            }
        }
        _ => {}
    }
}

fn several(operator: &str, value: &Value) -> Result<Vec<Query>, DataError> {
    let wrong = || DataError::Invalid(format!("{operator} takes a list of queries that is not empty"));
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    list.iter().map(|query| Query::read(query.as_object().ok_or_else(wrong)?)).collect()
}

/// `{"$oid": "…"}` is a value, not an operator: what the embedded database gives as `_id`.
fn is_id(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.contains_key("$oid")
}

fn unknown(operator: &str) -> DataError {
    let shown: String = operator.chars().take(64).collect();
    DataError::Invalid(format!(
        "the embedded database does not know {shown:?}; it knows $eq $ne $gt $gte $lt $lte $in $exists $and $or"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(query: Value, document: Value) -> bool {
        Query::read(query.as_object().unwrap()).unwrap().matches(&document)
    }

    #[test]
    fn equality_is_of_values_of_lists_and_of_what_is_not_there() {
        for (query, document, expected) in [
            (json!({}), json!({"a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), true),
            (json!({"a": 1}), json!({"a": 1.0}), true),
            (json!({"a": 1}), json!({"a": "1"}), false),
            (json!({"a": 9007199254740993_i64}), json!({"a": 9007199254740992_i64}), false),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), false),
            (json!({"a": "x"}), json!({"a": ["w", "x"]}), true),
            (json!({"a": ["w"]}), json!({"a": ["w"]}), true),
            (json!({"a": ["w"]}), json!({"a": ["w", "x"]}), false),
            (json!({"a": null}), json!({}), true),
            (json!({"a": null}), json!({"a": null}), true),
            (json!({"a": null}), json!({"a": 0}), false),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), true),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}}), false),
            (json!({"a.b": 1}), json!({"a": {"b": 1, "c": 2}}), true),
            (json!({"a.b": 1}), json!({"a": [{"b": 2}, {"b": 1}]}), true),
            (json!({"a.1": "x"}), json!({"a": ["w", "x"]}), true),
            (json!({"_id": {"$oid": "65"}}), json!({"_id": {"$oid": "65"}}), true),
        ] {
            assert_eq!(matches(query.clone(), document.clone()), expected, "{query} {document}");
        }
    }

    #[test]
    fn operators_are_mongodbs() {
        for (query, document, expected) in [
            (json!({"a": {"$gt": 1}}), json!({"a": 2}), true),
            (json!({"a": {"$gt": 1}}), json!({"a": 1}), false),
            (json!({"a": {"$gte": 1, "$lt": 3}}), json!({"a": 1}), true),
            (json!({"a": {"$gte": 1, "$lt": 3}}), json!({"a": 3}), false),
            (json!({"a": {"$lte": "b"}}), json!({"a": "b"}), true),
            (json!({"a": {"$lt": 5}}), json!({"a": "4"}), false),
            (json!({"a": {"$lt": 5}}), json!({}), false),
            (json!({"a": {"$gt": 5}}), json!({"a": [1, 9]}), true),
            (json!({"a": {"$ne": 1}}), json!({"a": 2}), true),
            (json!({"a": {"$ne": 1}}), json!({}), true),
            (json!({"a": {"$ne": 1}}), json!({"a": [1, 2]}), false),
            (json!({"a": {"$in": [1, "x"]}}), json!({"a": "x"}), true),
            (json!({"a": {"$in": []}}), json!({"a": "x"}), false),
            (json!({"a": {"$in": [null]}}), json!({}), true),
            (json!({"a": {"$exists": true}}), json!({"a": null}), true),
            (json!({"a": {"$exists": false}}), json!({"a": null}), false),
            (json!({"a": {"$exists": false}}), json!({"b": 1}), true),
            (json!({"$or": [{"a": 1}, {"b": 2}]}), json!({"b": 2}), true),
            (json!({"$or": [{"a": 1}, {"b": 2}]}), json!({"b": 3}), false),
            (json!({"$and": [{"a": 1}, {"$or": [{"b": 2}]}], "c": 3}), json!({"a": 1, "b": 2, "c": 3}), true),
            (json!({"a": {"$eq": {"b": 1}}}), json!({"a": {"b": 1}}), true),
        ] {
            assert_eq!(matches(query.clone(), document.clone()), expected, "{query} {document}");
        }
    }

    #[test]
    fn what_is_not_known_is_an_error_and_never_ignored() {
        for query in [
            json!({"$nor": [{}]}),
            json!({"a": {"$regex": "x"}}),
            json!({"a": {"$gt": 1, "$size": 2}}),
            json!({"a": {"$gt": 1, "b": 2}}),
            json!({"$and": {}}),
            json!({"$or": []}),
            json!({"$or": [1]}),
            json!({"a": {"$in": 1}}),
            json!({"a": {"$exists": 1}}),
            json!({"$and": [{"a": {"$elemMatch": {}}}]}),
        ] {
            assert!(matches!(Query::read(query.as_object().unwrap()), Err(DataError::Invalid(_))), "{query}");
        }
    }
}
