//! The messages of `public_input.proto`.

include!(concat!(env!("OUT_DIR"), "/main.rs"));
