//! The checked-in JSON Schema is the one that the types give. `BLESS=1` rewrites it.

use std::path::Path;

#[test]
fn the_checked_in_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("krt.schema.json");
    let schema = krt::schema::schema();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(checked_in, schema, "`make bless` rewrites {}", path.display());
}

#[test]
fn the_schema_knows_every_section_and_refuses_misspelt_limits() {
    let schema: serde_json::Value = serde_json::from_str(&krt::schema::schema()).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["version", "description", "workflows"]));
    assert_eq!(schema["$defs"]["Wasm"]["additionalProperties"], false);
    assert_eq!(schema["$defs"]["Node"]["additionalProperties"], serde_json::Value::Null);
    assert_eq!(schema["properties"]["version"]["maxLength"], 19);
    assert_eq!(schema["properties"]["version"]["pattern"], "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$");
    assert_eq!(
        schema["$defs"]["ObjectStore"]["properties"]["scope"]["enum"],
        serde_json::json!(["workflow", "project"])
    );
}
