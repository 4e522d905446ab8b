//! Whether an object of the cluster is as it was rendered, whatever else the API server has filled in. Pure.

use serde_json::Value;

/// Whether everything that `wanted` says is so in `live`. Objects may have more fields there; lists may not have more or fewer
/// elements. Quantities are compared by what they mean: the server writes `1000m` as `1`.
pub(super) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match live.get(key) {
                Some(live) => covers(live, wanted),
                // What is empty is not written.
                None => is_empty(wanted),
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (Value::String(live), Value::String(wanted)) => {
            live == wanted || quantity(live).is_some_and(|live| quantity(wanted) == Some(live))
        }
        (live, wanted) => live == wanted || (live.is_null() && is_empty(wanted)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(elements) => elements.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(is) => !is,
        Value::Number(_) => false,
    }
}

/// A quantity in thousandths; none for what is not one, or is a name that merely looks like one.
fn quantity(text: &str) -> Option<u128> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u128 = text[..digits].parse().ok()?;
    let thousandths = match &text[digits..] {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        _ => return None,
    };
    number.checked_mul(thousandths)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::covers;

    #[test]
    fn what_the_server_fills_in_is_no_difference() {
        let wanted = json!({ "spec": { "replicas": 2, "paused": false, "template": { "labels": { "a": "b" }, "volumes": [] } } });
        let live = json!({ "spec": { "replicas": 2, "strategy": {}, "template": { "labels": { "a": "b" }, "dns": "x" } }, "status": {} });
        assert!(covers(&live, &wanted));
    }

    #[test]
    fn what_somebody_changed_added_to_a_list_or_removed_is_a_difference() {
        let wanted = json!({ "replicas": 2, "env": [{ "name": "a", "value": "1" }] });
        for live in [
            json!({ "replicas": 3, "env": [{ "name": "a", "value": "1" }] }),
            json!({ "replicas": 2, "env": [{ "name": "a", "value": "2" }] }),
            json!({ "replicas": 2, "env": [{ "name": "a", "value": "1" }, { "name": "b" }] }),
            json!({ "replicas": 2 }),
        ] {
            assert!(!covers(&live, &wanted), "{live}");
        }
    }

    #[test]
    fn quantities_are_compared_by_what_they_mean() {
        let same = [("1000m", "1"), ("1024Mi", "1Gi"), ("256Mi", "256Mi"), ("1000", "1k"), ("1Gi", "1073741824")];
        for (a, b) in same {
            assert!(covers(&json!(a), &json!(b)), "{a} {b}");
        }
        for (a, b) in [("500m", "1"), ("1Gi", "1G"), ("x", "y"), ("1", "v1")] {
            assert!(!covers(&json!(a), &json!(b)), "{a} {b}");
        }
    }
}
