//! The files of the C SDK that travel inside this program. A test compares the list with the repository.

use super::Files;

pub(super) const FILES: Files = sources![
    "guest-sdk/c/Doxyfile",
    "guest-sdk/c/README.md",
    "guest-sdk/c/bindings/node.c",
    "guest-sdk/c/bindings/node.h",
    "guest-sdk/c/include/krt_node.h",
    "guest-sdk/c/include/krt_pb.h",
    "guest-sdk/c/include/krt_testing.h",
    "guest-sdk/c/src/krt_arena.c",
    "guest-sdk/c/src/krt_facts.c",
    "guest-sdk/c/src/krt_host.c",
    "guest-sdk/c/src/krt_internal.h",
    "guest-sdk/c/src/krt_node.c",
    "guest-sdk/c/src/krt_pb_decode.c",
    "guest-sdk/c/src/krt_pb_encode.c",
    "guest-sdk/c/src/krt_wasm.c",
    "guest-sdk/c/template/Makefile",
    "guest-sdk/c/template/main.c",
    "guest-sdk/c/template/test/test_node.c",
    "guest-sdk/c/testing/krt_json.c",
    "guest-sdk/c/testing/krt_json.h",
    "guest-sdk/c/testing/krt_test_host.c",
    "guest-sdk/c/testing/krt_test_state.h",
    "guest-sdk/c/testing/krt_testing.c",
    "guest-sdk/c/testing/testing.mk",
];
