//! The messages of this version: `main` is what callers see, `internal` what nodes send to each other.

/// `public_input.proto`.
pub mod main {
    include!(concat!(env!("OUT_DIR"), "/main.rs"));
}

/// `internal_nodes.proto`.
pub mod internal {
    include!(concat!(env!("OUT_DIR"), "/internal.rs"));
}
