//! Generated files that are checked in are what their generators write today. `BLESS=1` rewrites them.

use e2e::{c_bindings, workspace};

#[test]
fn the_bindings_of_the_c_sdk_are_those_of_the_contract() {
    for (name, bytes) in c_bindings::generated(false) {
        let path = workspace().join("guest-sdk/c/bindings").join(&name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &bytes).expect("written");
        }
        let there = std::fs::read(&path).unwrap_or_default();
        assert!(there == bytes, "`make bless` rewrites {}: the contract or the generator changed", path.display());
    }
}

#[test]
fn the_definition_of_the_resource_in_the_chart_is_the_operator_s() {
    let path = workspace().join("charts/krt/crds/versions.yaml");
    let yaml = krt_host::cluster::crd::definition_yaml().expect("it can be written");
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, &yaml).expect("written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == yaml, "`make bless` rewrites {}: the resource changed", path.display());
}
