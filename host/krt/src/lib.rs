//! The language of KRT v2: what a `krt.yml` says, whether it may say so, and what follows from it.
//!
//! # Layout
//! text → [`manifest`] (`Krt` + [`problem`]s) → [`mod@check`] (rules) → [`topology`] → [`names`] → [`plan`].
//! Beside them [`files`] (the port to a package's files), [`archive`] (the `.krt` file), [`proto`] (services found at
//! run time), [`environment`] (what runners of the original are told) and [`schema`].
//!
//! This crate does no IO, has no async and knows neither NATS nor Kubernetes nor wasm: it maps values to values.

pub mod archive;
pub mod check;
pub mod environment;
pub mod files;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod problem;
pub mod proto;
pub mod schema;
pub mod topology;

pub use check::{Checked, check};
