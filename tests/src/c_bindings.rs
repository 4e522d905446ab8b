//! What `wit-bindgen c` writes for the contract's world, by the very crate behind that command. Asserts nothing.

use std::collections::BTreeMap;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::workspace;

/// The files by name: `node.c`, `node.h` and, if wanted, the object with the component's type.
///
/// # Panics
/// When the contract is not one.
pub fn generated(object: bool) -> BTreeMap<String, Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(workspace().join("wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some("node")).expect("its world");
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts { no_object_file: !object, ..Default::default() };
    options.build().generate(&mut resolve, world, &mut files).expect("bindings");
    files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
}
