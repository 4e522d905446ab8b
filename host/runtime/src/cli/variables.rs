//! Values for a version's configuration variables: from flags, a file, or the environment. Values are never printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use krt::topology::Topology;

/// Where the values of configuration variables come from.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Variables {
    /// A value for a configuration variable of the manifest (repeatable; wins over the file and the environment)
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = assignment)]
    config: Vec<(String, String)>,
    /// A file of NAME=VALUE lines with values for configuration variables
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

impl Variables {
    /// A value for every variable that the manifest names, or an error that names those without.
    pub(super) fn values(&self, topology: &Topology) -> anyhow::Result<Vec<(String, String)>> {
        let mut given = BTreeMap::new();
        if let Some(path) = &self.config_file {
            given.extend(in_file(path)?);
        }
        given.extend(self.config.iter().cloned());
        let declared: Vec<&String> = topology.files.iter().chain(&topology.variables).collect();
        if let Some((unknown, _)) = self.config.iter().find(|(name, _)| !declared.contains(&name)) {
            bail!("the manifest declares no configuration variable {unknown:?}; add it under config.variables");
        }
        let mut values = Vec::new();
        let mut missing = Vec::new();
        for name in declared {
            match given.get(name).cloned().or_else(|| std::env::var(name).ok()) {
                Some(value) => values.push((name.clone(), value)),
                None => missing.push(name.as_str()),
            }
        }
        if !missing.is_empty() {
            bail!(
                "no value for the configuration variables {}: give them with --config NAME=VALUE, --config-file FILE, \
                 or in the environment",
                missing.join(", ")
            );
        }
        Ok(values)
    }
}

/// The NAME=VALUE lines of a file.
pub(super) fn in_file(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let reading = || format!("reading {}", path.display());
    dotenvy::from_path_iter(path).with_context(reading)?.map(|line| line.with_context(reading)).collect()
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
