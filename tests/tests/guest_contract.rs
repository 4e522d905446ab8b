//! The guest contract does not change under components that exist: what was built against a released version of
//! `wit/krt-node.wit` still fits the present one. Needs no built guests: the components are checked in as text.

use std::collections::BTreeMap;

use krt_host::engine::{Engine, EngineOptions};
use wit_parser::{Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem};

const PRESENT: &str = include_str!("../../wit/krt-node.wit");
const RELEASED: &str = include_str!("../../wit/released/0.1.0.wit");
const EVERYTHING: &str = include_str!("../components/0.1.0/everything.wat");

/// A version of the contract that components were built against.
struct Release {
    version: &'static str,
    wit: &'static str,
    /// Functions that a component may import.
    functions: usize,
    /// Imports every one of them.
    everything: &'static str,
    /// Imports what it must.
    minimal: Option<&'static str>,
}

const RELEASES: [Release; 2] = [
    Release {
        version: "0.1.0",
        wit: RELEASED,
        functions: 24,
        everything: EVERYTHING,
        minimal: Some(include_str!("../components/0.1.0/minimal.wat")),
    },
    Release {
        version: "0.1.1",
        wit: include_str!("../../wit/released/0.1.1.wit"),
        functions: 28,
        everything: include_str!("../components/0.1.1/everything.wat"),
        minimal: None,
    },
];

impl Release {
    fn components(&self) -> impl Iterator<Item = &'static str> {
        [self.everything].into_iter().chain(self.minimal)
    }
}

/// The present contract under the name of a released version. The host matches names within a track (0.1), which what
/// compares texts and components here does not know.
fn present_as(version: &str) -> String {
    let (before, after) = PRESENT.split_once("\npackage krt:node@").expect("a package");
    let (_, after) = after.split_once(';').expect("a version");
    // An item may not be newer than its package.
    let since = regex::Regex::new(r"@since\(version = [0-9.]+\)").expect("a pattern");
    let text = format!("{before}\npackage krt:node@{version};{after}");
    since.replace_all(&text, format!("@since(version = {version})")).into_owned()
}

#[test]
fn every_item_of_a_released_contract_is_still_there_unchanged() {
    for Release { version, wit, .. } in RELEASES {
        let problems = breaking(&items(wit), &items(&present_as(version)));
        assert!(problems.is_empty(), "this breaks components built against {version}:\n{}", problems.join("\n"));
    }
}

#[test]
fn what_is_new_in_the_present_contract_is_marked_with_its_version() {
    let latest = RELEASES.last().expect("there are some");
    let same = items(&present_as(latest.version)) == items(latest.wit);
    let named = PRESENT.contains(&format!("\npackage krt:node@{};", latest.version));
    assert_eq!(same, named, "a contract that differs from its release is another version, and is not released yet");
}

#[test]
fn a_component_of_a_released_contract_fits_the_present_world_whether_it_uses_all_of_it_or_little() {
    for release in RELEASES {
        for component in release.components() {
            fits(&present_as(release.version), component).unwrap_or_else(|e| panic!("{}: {e:#}", release.version));
        }
    }
}

#[test]
fn the_engine_takes_components_that_were_built_against_a_released_contract() {
    let engine = Engine::new(EngineOptions { max_instances: 1, ..EngineOptions::default() }).expect("an engine");
    for release in RELEASES {
        for component in release.components() {
            let component = wat::parse_str(component).expect("valid text");
            if let Err(error) = engine.load("node.wasm", &component) {
                panic!("{}: {error}", release.version);
            }
        }
    }
}

/// The host has all interfaces: one that has not is played by a name that it does not know.
#[test]
fn a_component_that_imports_an_interface_which_the_host_has_not_is_told_which() {
    let engine = Engine::new(EngineOptions { max_instances: 1, ..EngineOptions::default() }).expect("an engine");
    let newer = RELEASES[1].everything.replace("krt:node/database@0.1.1", "krt:node/forecasts@0.1.2");
    let error =
        engine.load("node.wasm", &wat::parse_str(newer).expect("valid text")).map(drop).expect_err("no host has it");
    assert_eq!(
        error.to_string(),
        "node.wasm cannot run here: it imports krt:node/forecasts@0.1.2, which this host's krt:node@0.1 does not have: \
         use a newer host, or rebuild it with an older SDK"
    );
}

#[test]
fn the_component_that_uses_everything_imports_every_function_that_was_released() {
    for Release { version, wit, functions, everything, .. } in RELEASES {
        let released = items(wit);
        let imported: Vec<_> = released
            .iter()
            .filter(|(name, text)| text.starts_with("func") && !name.starts_with("handler."))
            .map(|(name, _)| name.split_once('.').expect("an interface and a function"))
            .collect();
        assert_eq!(imported.len(), functions, "the number of imported functions in {version}");
        for (interface, function) in imported {
            let lowered = format!("(import \"krt:node/{interface}@{version}\" \"{function}\" (func");
            assert!(everything.contains(&lowered), "everything.wat of {version} lacks {interface}.{function}");
        }
    }
}

/// The tests above can fail: each of these changes is one that a careless edit would make.
#[test]
fn every_kind_of_breaking_change_is_noticed() {
    let changes = [
        ("a record gains a field", "error: option<string>,\n  }", "error: option<string>,\n    hops: u32,\n  }"),
        ("a record loses a field", "    from-node: string,\n", ""),
        ("a field changes its type", "payload: option<payload>,", "payload: payload,"),
        ("a variant gains a case", "    too-many(u32),", "    too-many(u32),\n    too-fast,"),
        ("a case changes its type", "    too-many(u32),", "    too-many(u64),"),
        ("an enum gains a case", "    undefined,", "    undefined,\n    progress,"),
        ("an enum changes its order", "    node,\n    workflow,", "    workflow,\n    node,"),
        ("a function gains a parameter", "set: func(key: string,", "set: func(ttl: u64, key: string,"),
        ("a parameter changes its name", "save: func(name: string, data:", "save: func(key: string, data:"),
        ("a function changes its result", "attempt: func() -> u32", "attempt: func() -> u64"),
        ("a function becomes async", "relay: func(", "relay: async func("),
        ("a function goes", "  @since(version = 0.1.0)\n  min-level: func() -> level;", ""),
        ("an interface goes", "  import delivery;\n", ""),
        ("an interface is no longer exported", "  export handler;\n", ""),
        ("the handler gains a function", "  handle: func(", "  stop: func();\n  handle: func("),
        ("the world gains an export", "  export handler;\n", "  export handler;\n  export stop: func();\n"),
        ("a failure gains a case", "    transient(string),\n  }", "    transient(string),\n    later(u64),\n  }"),
    ];
    let released = items(RELEASED);
    for (what, from, to) in changes {
        let changed = released_with(from, to);
        assert!(!breaking(&released, &items(&changed)).is_empty(), "not noticed by comparison: {what}");
        // A component may export more than it is asked for.
        let fits_nevertheless = what == "an interface is no longer exported";
        assert_eq!(fits(&changed, EVERYTHING).is_ok(), fits_nevertheless, "the component's check of: {what}");
    }
}

/// What 0.1.x may do.
#[test]
fn growth_by_functions_and_interfaces_is_no_breaking_change() {
    let grown = released_with("  max-payload:", "  pause: func();\n  max-payload:")
        .replace("interface delivery {", "interface forecasts {\n  save: func(value: f64);\n}\ninterface delivery {")
        .replace("  import delivery;\n", "  import delivery;\n  import forecasts;\n");
    assert_eq!(breaking(&items(RELEASED), &items(&grown)), Vec::<String>::new());
    fits(&grown, EVERYTHING).expect("the component fits");
}

#[test]
fn every_function_and_interface_is_documented() {
    let (resolve, world) = parse(PRESENT);
    let mut missing = Vec::new();
    for (_, interface) in interfaces(&resolve, world) {
        let interface = &resolve.interfaces[interface];
        let name = interface.name.as_deref().unwrap_or_default();
        if interface.docs.contents.is_none() {
            missing.push(name.to_owned());
        }
        for function in interface.functions.values() {
            if function.docs.contents.is_none() {
                missing.push(format!("{name}.{}", function.name));
            }
        }
        for (type_name, id) in &interface.types {
            let is_alias = matches!(resolve.types[*id].kind, TypeDefKind::Type(_));
            if !is_alias && resolve.types[*id].docs.contents.is_none() {
                missing.push(format!("{name}.{type_name}"));
            }
        }
    }
    assert!(missing.is_empty(), "without documentation: {missing:?}");
}

/// Every item of a contract by name, with what it is in one line.
type Items = BTreeMap<String, String>;

/// What a component built against `released` would trip over in `present`.
fn breaking(released: &Items, present: &Items) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, was) in released {
        match present.get(name) {
            None => problems.push(format!("{name} is gone; it was: {was}")),
            Some(is) if is != was => problems.push(format!("{name} was: {was}\n  and is: {is}")),
            Some(_) => {}
        }
    }
    // What the host calls must be in components that exist: exports cannot grow.
    for (name, is) in present {
        if !released.contains_key(name) && (name.starts_with("export ") || name.starts_with("handler.")) {
            problems.push(format!("{name} is new, and no component has it: {is}"));
        }
    }
    problems
}

/// Whether the component `wat` may be put where the world of `wit` is asked for.
fn fits(wit: &str, wat: &str) -> anyhow::Result<()> {
    let (resolve, world) = parse(wit);
    wit_component::targets(&resolve, world, &wat::parse_str(wat)?)
}

fn released_with(from: &str, to: &str) -> String {
    assert!(RELEASED.contains(from), "the released contract has no {from:?}");
    RELEASED.replacen(from, to, 1)
}

fn parse(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("krt-node.wit", wit).expect("the contract is valid WIT");
    let world = resolve.select_world(&[package], Some("node")).expect("a world named node");
    (resolve, world)
}

fn items(wit: &str) -> Items {
    let (resolve, world) = parse(wit);
    let package = resolve.worlds[world].package.map(|id| resolve.packages[id].name.to_string()).unwrap_or_default();
    let mut items = Items::from([("package".to_owned(), package)]);
    let ends = &resolve.worlds[world];
    for (direction, named) in [("import", &ends.imports), ("export", &ends.exports)] {
        for (key, item) in named {
            let what = match item {
                WorldItem::Interface { .. } => "interface",
                WorldItem::Function(_) => "func",
                WorldItem::Type { .. } => "type",
            };
            items.insert(format!("{direction} {}", resolve.name_world_key(key)), what.to_owned());
        }
    }
    for (_, id) in interfaces(&resolve, world) {
        let interface = &resolve.interfaces[id];
        let name = interface.name.as_deref().unwrap_or_default();
        for (type_name, id) in &interface.types {
            items.insert(format!("{name}.{type_name}"), definition(&resolve, *id));
        }
        for function in interface.functions.values() {
            let params: Vec<_> =
                function.params.iter().map(|p| format!("{}: {}", p.name, reference(&resolve, &p.ty))).collect();
            let result = function.result.map_or("_".to_owned(), |ty| reference(&resolve, &ty));
            let text = format!("func {:?} ({}) -> {result}", function.kind, params.join(", "));
            items.insert(format!("{name}.{}", function.name), text);
        }
    }
    items
}

/// All interfaces of the package, used by the world or not.
fn interfaces(resolve: &Resolve, world: WorldId) -> Vec<(String, InterfaceId)> {
    let package = resolve.worlds[world].package.expect("the world's package");
    resolve.packages[package].interfaces.iter().map(|(name, id)| (name.clone(), *id)).collect()
}

/// What a named type is.
fn definition(resolve: &Resolve, id: TypeId) -> String {
    let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| reference(resolve, ty));
    let list = |parts: Vec<String>| parts.join(", ");
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|f| format!("{}: {}", f.name, reference(resolve, &f.ty)));
            format!("record {{ {} }}", list(fields.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|c| format!("{}({})", c.name, optional(&c.ty)));
            format!("variant {{ {} }}", list(cases.collect()))
        }
        TypeDefKind::Enum(it) => format!("enum {{ {} }}", list(it.cases.iter().map(|c| c.name.clone()).collect())),
        TypeDefKind::Flags(it) => format!("flags {{ {} }}", list(it.flags.iter().map(|f| f.name.clone()).collect())),
        TypeDefKind::Tuple(it) => format!("tuple<{}>", list(it.types.iter().map(|t| reference(resolve, t)).collect())),
        TypeDefKind::Option(ty) => format!("option<{}>", reference(resolve, ty)),
        TypeDefKind::Result(it) => format!("result<{}, {}>", optional(&it.ok), optional(&it.err)),
        TypeDefKind::List(ty) => format!("list<{}>", reference(resolve, ty)),
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", reference(resolve, &Type::Id(*id))),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", reference(resolve, &Type::Id(*id))),
        TypeDefKind::Type(ty) => reference(resolve, ty),
        // Not in 0.1.0; a contract that gains one of these must teach this test what it is made of.
        other => format!("{} {:?}", other.as_str(), other),
    }
}

/// A type where it is used: its name, if it has one.
fn reference(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let definition_of = &resolve.types[*id];
    match (&definition_of.name, definition_of.owner) {
        // `use`d types are the same wherever they are used.
        (Some(_), _) if matches!(definition_of.kind, TypeDefKind::Type(_)) => definition(resolve, *id),
        (Some(name), TypeOwner::Interface(interface)) => {
            format!("{}.{name}", resolve.interfaces[interface].name.as_deref().unwrap_or_default())
        }
        (Some(name), _) => name.clone(),
        (None, _) => definition(resolve, *id),
    }
}
