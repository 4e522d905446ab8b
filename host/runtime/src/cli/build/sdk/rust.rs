//! The files of the Rust SDK that travel inside this program. A test compares the list with the repository.

use super::Files;

pub(super) const FILES: Files = sources![
    "guest-sdk/rust/Cargo.toml",
    "guest-sdk/rust/README.md",
    "guest-sdk/rust/src/capability.rs",
    "guest-sdk/rust/src/context.rs",
    "guest-sdk/rust/src/data.rs",
    "guest-sdk/rust/src/error.rs",
    "guest-sdk/rust/src/failure.rs",
    "guest-sdk/rust/src/host.rs",
    "guest-sdk/rust/src/lib.rs",
    "guest-sdk/rust/src/logging.rs",
    "guest-sdk/rust/src/message.rs",
    "guest-sdk/rust/src/node.rs",
    "guest-sdk/rust/src/testing/database.rs",
    "guest-sdk/rust/src/testing/mod.rs",
    "guest-sdk/rust/src/testing/outcome.rs",
    "guest-sdk/rust/src/testing/state.rs",
    "guest-sdk/rust/src/wasm.rs",
    "guest-sdk/rust/template/.gitignore",
    "guest-sdk/rust/template/Cargo.toml",
    "guest-sdk/rust/template/src/lib.rs",
];
