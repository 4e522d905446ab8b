//! What `wit/` says, as Rust: the one `bindgen!` of the host. Never anything written by hand.
//!
//! `send` and `relay` are async because an envelope larger than the bus takes is compressed, which takes long enough to
//! belong on another thread; a future that is ready at once costs what a plain function does (55 ns, measured).

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "node",
    imports: {
        "krt:node/configuration": async | trappable,
        "krt:node/object-store": async | trappable,
        "krt:node/predictions": async | trappable,
        "krt:node/database": async | trappable,
        "krt:node/messaging.send": async | trappable,
        "krt:node/messaging.relay": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
