//! A node that is a WebAssembly component. The only place that names wasmtime.
