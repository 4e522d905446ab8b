//! Versions on Kubernetes. The only place that names kube and its types; never runs a node.
//!
//! [`render`](render::render) says which objects a version is, as a pure function.

pub mod render;
