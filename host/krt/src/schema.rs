//! The JSON Schema of krt.yml, generated from the manifest's types.
