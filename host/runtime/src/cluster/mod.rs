//! Versions on Kubernetes: the custom resource, its operator, and the commands of a user. The only place that names kube and
//! its types; never runs a node.
//!
//! # Layout
//! [`crd`] is what a user writes and reads; [`render`](render::render) says which objects a version is, as a pure function;
//! [`reconcile`] makes the one from the other; [`client`] finds the cluster, [`versions`] is what a user does there,
//! [`forward`] leads to NATS from outside, and [`inspect`] says what is missing for it.

pub mod client;
pub mod crd;
pub mod forward;
pub mod inspect;
pub mod logs;
pub mod reconcile;
pub mod render;
pub mod versions;
