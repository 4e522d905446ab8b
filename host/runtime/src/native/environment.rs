//! What a program of the original's images finds in its environment on this machine. Pure.

use std::ffi::OsString;

use krt::environment::{Places, of_node};
use krt::names::Names;
use krt::topology::{Node, Workflow};

use super::Platform;

/// Names that the platform sets begin so. What stands under such a name around krt itself is not meant for nodes.
const PREFIX: &str = "KRT_";

/// Everything: what any program needs, then the version's configuration, then what the platform sets.
pub(super) fn of(platform: &Platform, names: &Names, workflow: &Workflow, node: &Node) -> Vec<(OsString, OsString)> {
    let own = |(name, value): &(String, String)| (name.into(), value.into());
    let around = platform.inherited.iter().filter(|(name, _)| !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let mut all: Vec<(OsString, OsString)> = around.cloned().collect();
    let Platform { mongo_uri, influx_uri, nats_server, package, .. } = platform;
    // A path need not be text: it comes last, as it is.
    let places = Places { package: "", nats: nats_server, mongo: mongo_uri, influx: influx_uri };
    let set = of_node(&places, names, workflow, node).into_iter().map(|(name, value)| (name.into(), value.into()));
    let package = std::iter::once(("KRT_BASE_PATH".into(), package.into()));
    // A later one replaces an earlier one of the same name.
    for (name, value) in platform.variables.iter().map(own).chain(set).chain(package) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => all.push((name, value)),
        }
    }
    all
}
