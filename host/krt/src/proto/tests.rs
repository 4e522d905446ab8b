//! Protos as people write them, and as an attacker would.

use std::time::Instant;

use super::{Method, MethodError, Proto};
use crate::files::{FileKind, Files, MemoryFiles};
use crate::problem::Problem;

const PUBLIC_INPUT: &str = r#"syntax = "proto3";
package classificator;

// What callers see.
service Entrypoint {
  rpc Classificator (Request) returns (Response);
  rpc Watch (Request) returns (stream Response);
  rpc Feed (stream Request) returns (Response);
}

message Request { string name = 1; }
message Response { string greeting = 1; }
"#;

fn load(files: &[(&str, &str)]) -> Result<Proto, Vec<Problem>> {
    let path = files[0].0;
    let files: MemoryFiles = files.iter().copied().collect();
    Proto::load(&files, path)
}

fn only_problem(files: &[(&str, &str)]) -> Problem {
    let mut problems = load(files).expect_err("it should be refused");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

fn place(problem: &Problem) -> (&str, usize, usize) {
    (&problem.file, problem.line, problem.column)
}

#[test]
fn a_method_is_known_with_its_path_and_types() {
    let proto = load(&[("public_input.proto", PUBLIC_INPUT)]).unwrap();
    let method = Method::from(&proto.method("Classificator").unwrap());
    assert_eq!(method.path, "/classificator.Entrypoint/Classificator");
    assert_eq!((method.input.as_str(), method.output.as_str()), ("classificator.Request", "classificator.Response"));
    assert!(method.is_unary());
    let watch = Method::from(&proto.method("Watch").unwrap());
    assert_eq!((watch.client_streaming, watch.server_streaming), (false, true));
    let feed = Method::from(&proto.method("Feed").unwrap());
    assert_eq!((feed.client_streaming, feed.server_streaming), (true, false));
    assert_eq!(proto.path(), "public_input.proto");
    assert_eq!(proto.sources().collect::<Vec<_>>(), [("public_input.proto", PUBLIC_INPUT)]);
    match proto.method("Classifier") {
        Err(MethodError::Unknown { known, .. }) => assert_eq!(known, ["Classificator", "Feed", "Watch"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_descriptor_set_describes_the_same_services() {
    let proto = load(&[
        ("a.proto", "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; service Entrypoint { rpc Now (google.protobuf.Timestamp) returns (google.protobuf.Timestamp); }"),
    ])
    .unwrap();
    let pool = prost_reflect::DescriptorPool::decode(proto.descriptor_set_bytes().as_slice()).unwrap();
    assert_eq!(pool.services().map(|s| s.full_name().to_owned()).collect::<Vec<_>>(), ["Entrypoint"]);
    assert!(pool.get_message_by_name("google.protobuf.Timestamp").is_some());
    assert_eq!(Method::from(&proto.method("Now").unwrap()).path, "/Entrypoint/Now");
    assert_eq!(proto.sources().count(), 1, "what is built in is not the package's");
}

#[test]
fn imports_are_found_from_the_root_and_from_the_importing_folder() {
    let proto = load(&[
        ("protos/api.proto", "syntax = \"proto3\"; import \"types/a.proto\"; import \"shared/c.proto\"; service S { rpc M (A) returns (C); }"),
        ("protos/types/a.proto", "syntax = \"proto3\"; import \"b.proto\"; import \"shared/c.proto\"; message A { B b = 1; C c = 2; }"),
        ("protos/types/b.proto", "syntax = \"proto3\"; import \"protos/types/d.proto\"; message B { D d = 1; }"),
        ("protos/types/d.proto", "syntax = \"proto3\"; message D {}"),
        ("shared/c.proto", "syntax = \"proto3\"; message C {}"),
        ("unused.proto", "not a proto"),
    ])
    .unwrap();
    assert_eq!(Method::from(&proto.method("M").unwrap()).path, "/S/M");
    let paths: Vec<_> = proto.sources().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        ["protos/api.proto", "protos/types/a.proto", "protos/types/b.proto", "protos/types/d.proto", "shared/c.proto"]
    );
}

#[test]
fn a_public_import_hands_its_types_on() {
    let proto = load(&[
        ("a.proto", "syntax = \"proto3\"; import \"b.proto\"; service S { rpc M (C) returns (C); }"),
        ("b.proto", "syntax = \"proto3\"; import public \"c.proto\";"),
        ("c.proto", "syntax = \"proto3\"; message C {}"),
    ]);
    assert!(proto.unwrap().method("M").is_ok());
}

#[test]
fn proto2_with_options_and_groups_is_understood() {
    let proto = load(&[(
        "old.proto",
        "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; package old;
         message Tag { optional string text = 1; optional Tag inner = 2; }
         extend google.protobuf.MethodOptions { optional Tag tag = 50001; }
         message In { required int32 a = 1 [default = 7]; optional group G = 2 { optional string s = 1; } extensions 100 to max; }
         service Anything { rpc Do (In) returns (In) { option (tag) = { text: \"x{\" inner { text: 'y' } }; } }",
    )]);
    assert_eq!(Method::from(&proto.unwrap().method("Do").unwrap()).path, "/old.Anything/Do");
}

#[test]
fn a_service_called_entrypoint_is_preferred_wherever_it_is() {
    let message = "syntax = \"proto3\"; message M {}";
    let rpc = "{ rpc Go (M) returns (M); }";
    let proto = |services: &str| load(&[("a.proto", &format!("{message} {services}"))]).unwrap();
    let path = |proto: &Proto| Method::from(&proto.method("Go").unwrap()).path;
    assert_eq!(path(&proto(&format!("service Other {rpc}"))), "/Other/Go");
    assert_eq!(path(&proto(&format!("service Other {rpc} service Entrypoint {rpc}"))), "/Entrypoint/Go");
    assert_eq!(path(&proto(&format!("service Other {rpc} service Entrypoint {{}}"))), "/Other/Go");
    match proto(&format!("service One {rpc} service Two {rpc}")).method("Go") {
        Err(MethodError::Ambiguous { services, .. }) => assert_eq!(services, ["One", "Two"]),
        other => panic!("{other:?}"),
    }
    let imported = [
        ("a.proto", "syntax = \"proto3\"; import \"b.proto\"; service Own { rpc Go (b.M) returns (b.M); }"),
        (
            "b.proto",
            "syntax = \"proto3\"; package b; message M {} service Entrypoint { rpc Go (M) returns (M); rpc Stay (M) returns (M); }",
        ),
    ];
    let imported = load(&imported).unwrap();
    assert_eq!(path(&imported), "/Own/Go");
    assert_eq!(Method::from(&imported.method("Stay").unwrap()).path, "/b.Entrypoint/Stay");
    assert_eq!(imported.services().iter().map(|s| s.name().to_owned()).collect::<Vec<_>>(), ["Own", "Entrypoint"]);
}

#[test]
fn a_missing_import_is_shown_where_it_is_imported() {
    let problem = only_problem(&[("protos/a.proto", "syntax = \"proto3\";\n// é\nimport \"types/b.proto\";\n")]);
    assert_eq!(place(&problem), ("protos/a.proto", 3, 1));
    assert_eq!(problem.code, "proto-import");
    assert_eq!(problem.message, "the imported file `types/b.proto` is not in the package");
    assert_eq!(problem.help, "add it as `types/b.proto` or `protos/types/b.proto`, or correct the import");
}

#[test]
fn all_imports_that_fail_are_told_at_once() {
    let problems = load(&[
        (
            "a.proto",
            "syntax = \"proto3\";\nimport \"gone.proto\";\nimport \"b.proto\";\nimport \"google/protobuf/gone.proto\";",
        ),
        ("b.proto", "syntax = \"proto3\";\nimport \"also-gone.proto\";"),
    ])
    .unwrap_err();
    let places: Vec<_> = problems.iter().map(place).collect();
    assert_eq!(places, [("a.proto", 2, 1), ("a.proto", 4, 1), ("b.proto", 2, 1)]);
}

#[test]
fn an_import_that_is_no_path_in_the_package_is_refused() {
    for import in ["../../etc/passwd", "/dev/zero", "./b.proto", "a//b.proto", "a\\\\b.proto", "\\0", ""] {
        let text = format!("syntax = \"proto3\";\nimport \"{import}\";");
        let problem = only_problem(&[("a.proto", &text), ("b.proto", "")]);
        assert_eq!((problem.line, problem.code.starts_with("proto-")), (2, true), "{import}: {problem:?}");
        assert!(!problem.message.contains("group"), "{import}: {}", problem.message);
    }
    let twice = "syntax = \"proto3\";\nimport \"b.proto\";\nimport \"p/b.proto\";";
    let problem = only_problem(&[("p/a.proto", twice), ("p/b.proto", "")]);
    assert_eq!((problem.line, problem.message.as_str()), (3, "`p/b.proto` is imported twice"));
}

#[test]
fn files_that_import_each_other_are_refused() {
    let problem = only_problem(&[
        ("a.proto", "syntax = \"proto3\"; import \"b.proto\";"),
        ("b.proto", "syntax = \"proto3\";\nimport \"c.proto\";"),
        ("c.proto", "syntax = \"proto3\";\n  import \"b.proto\";"),
    ]);
    assert_eq!(problem.code, "proto-import-cycle");
    assert_eq!(problem.message, "files import each other: b.proto → c.proto → b.proto");
    assert_eq!(place(&problem), ("c.proto", 2, 3));
    assert_eq!(only_problem(&[("a.proto", "import \"a.proto\";")]).code, "proto-import-cycle");
}

#[test]
fn an_error_of_syntax_has_its_place() {
    let problem = only_problem(&[("a.proto", "syntax = \"proto3\";\nmessage é {}\n")]);
    assert_eq!(place(&problem), ("a.proto", 2, 9));
    assert_eq!(problem.code, "proto-syntax");
    let problem = only_problem(&[("a.proto", "syntax = \"proto3\";\nmessage M {\n  strin name 1;\n}\n")]);
    assert_eq!(place(&problem), ("a.proto", 3, 14));
    let problem = only_problem(&[("a.proto", "syntax = \"proto3\";\nmessage M {")]);
    assert!(problem.message.contains("end of file"), "{}", problem.message);
}

#[test]
fn what_is_undefined_or_defined_twice_has_its_place() {
    let problems = load(&[(
        "a.proto",
        "syntax = \"proto3\";\nmessage M {\n  Gone a = 1;\n  Lost b = 2;\n}\nservice S { rpc R (M) returns (Nothing); }\n",
    )])
    .unwrap_err();
    let places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(3, 3), (4, 3), (6, 32)], "{problems:#?}");
    let problem = only_problem(&[("a.proto", "syntax = \"proto3\";\nmessage M {}\n\nmessage M {}\n")]);
    assert_eq!((problem.code, problem.line), ("proto-definition", 4));
    let problem = only_problem(&[("a.proto", "syntax = \"proto3\";\nmessage M {\n int32 a = 1;\n int32 b = 1;\n}")]);
    assert_eq!(problem.line, 4);
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_told() {
    let files = MemoryFiles::default();
    let code = |path: &str| Proto::load(&files, path).unwrap_err()[0].code;
    assert_eq!(code("gone.proto"), "proto-missing");
    assert_eq!(code("/etc/passwd"), "proto-missing");
    assert_eq!(code("../a.proto"), "proto-missing");
    assert_eq!(code(""), "proto-missing");
    let files: MemoryFiles =
        [("latin.proto", b"// caf\xe9".to_vec()), ("large.proto", vec![b' '; (1 << 20) + 1]), ("folder/x", Vec::new())]
            .into_iter()
            .collect();
    let code = |path: &str| Proto::load(&files, path).unwrap_err()[0].code;
    assert_eq!(code("latin.proto"), "proto-encoding");
    assert_eq!(code("large.proto"), "proto-unreadable");
    assert_eq!(code("folder"), "proto-unreadable");
}

#[test]
fn an_empty_file_and_one_with_a_byte_order_mark_are_protos() {
    assert_eq!(load(&[("a.proto", "")]).unwrap().services().len(), 0);
    let marked = format!("\u{feff}{PUBLIC_INPUT}");
    assert!(load(&[("a.proto", &marked)]).unwrap().method("Watch").is_ok());
}

/// Endless: every file imports the next.
struct Endless;

impl Files for Endless {
    fn kind(&self, _: &str) -> Option<FileKind> {
        Some(FileKind::File)
    }

    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        let number: usize = path.trim_end_matches(".proto").parse().map_err(|_| "not a number".to_owned())?;
        Ok(format!("syntax = \"proto3\"; import \"{}.proto\";", number + 1).into_bytes())
    }

    fn files_in(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn an_endless_chain_of_imports_ends() {
    let problems = Proto::load(&Endless, "0.proto").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "proto-too-large");
}

#[test]
fn hostile_texts_end_soon_with_a_bounded_number_of_problems() {
    let option = "import \"google/protobuf/descriptor.proto\"; message T { T t = 1; } extend google.protobuf.FileOptions { T o = 50001; }";
    let texts = [
        "message A { ".repeat(80_000),
        "{".repeat(1 << 20),
        format!("syntax = \"proto3\"; {option} option (o) = {{ {} }};", "t {".repeat(100_000)),
        format!("syntax = \"proto3\"; {option} option (o) = {{ {}{} }};", "t: <".repeat(50), ">".repeat(50)),
        format!("syntax = \"proto3\"; {}", "message A {}\n".repeat(80_000)),
        format!("syntax = \"proto3\"; message M {{ {} }}", "X a = 1;\n".repeat(100_000)),
        format!(
            "syntax = \"proto3\"; message M {{ {} }}",
            (1..30_000).map(|i| format!("reserved {i}; int32 f{i} = {};\n", 40_000 + i)).collect::<String>()
        ),
        format!("syntax = \"proto3\"; {}", "import \"a.proto\";".repeat(60_000)),
        "$".repeat(1 << 20),
        "\u{0}".repeat(1 << 20),
        "é".repeat(1 << 19),
        "\"".repeat((1 << 20) - 1),
        "/*".repeat(1 << 19),
        format!("syntax = \"proto3\"; message M {{ {} a = 1; }}", "a.".repeat(400_000)),
        format!("syntax = \"{}\";", "x".repeat(1 << 19)),
        format!("package {};", "a.".repeat(400_000)),
        "syntax = \"proto3\"; enum E { A = 99999999999999999999999; }".to_owned(),
        "syntax = \"proto3\"; message M { int32 a = 0; int32 b = -1; int32 c = 19000; int32 d = 536870912; }"
            .to_owned(),
        "syntax = \"proto3\"; message M { map<string, map<string, string>> a = 1; oneof o {} }".to_owned(),
    ];
    for text in texts {
        let begun = Instant::now();
        let result = load(&[("hostile.proto", &text)]);
        let shown: String = text.chars().take(60).collect();
        let took = begun.elapsed();
        assert!(took.as_secs() < 5, "{shown}: {took:?}");
        if let Err(problems) = result {
            assert!((1..=60).contains(&problems.len()), "{shown}: {} problems", problems.len());
            for problem in problems {
                assert!(problem.message.len() < 2000 && problem.help.len() < 2000, "{shown}");
                assert!(!problem.message.chars().any(char::is_control), "{shown}: {}", problem.message);
            }
        }
    }
}

#[test]
fn a_proto_changed_anywhere_never_panics() {
    let mut state = 1u64;
    let mut roll = |sides: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % sides
    };
    let pieces =
        ["{", "}", ";", "\"", "'", "\\", "=", "<", ">", "0", "-1", "stream", "message", "é", "import", "/*", "."];
    for _ in 0..3000 {
        let mut text: Vec<char> = PUBLIC_INPUT.chars().collect();
        for _ in 0..=roll(3) {
            let at = roll(text.len());
            let piece = pieces[roll(pieces.len())];
            text.splice(at..(at + roll(4)).min(text.len()), piece.chars());
        }
        let text: String = text.into_iter().collect();
        let _ = load(&[("a.proto", &text)]);
    }
}

#[test]
fn what_generators_of_code_read_has_the_comments_of_the_packages_files() {
    let text = "syntax = \"proto3\";\nimport \"google/protobuf/any.proto\";\n// A mail.\nmessage Mail { google.protobuf.Any any = 1; }\n";
    let set = load(&[("a.proto", text)]).unwrap().commented();
    let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    assert_eq!(names.last(), Some(&"a.proto"), "after what it imports: {names:?}");
    let comments: Vec<_> =
        set.file.iter().flat_map(|file| &file.source_code_info).flat_map(|info| &info.location).collect();
    assert!(comments.iter().any(|location| location.leading_comments() == " A mail.\n"), "{comments:?}");
}
