//! Nodes in Go: this krt needs a `command` for them.

use std::path::Path;

use super::language::without_recipe;
use super::progress::Progress;
use super::{Failure, Job, Made, Options};

/// Builds the nodes of one source folder.
pub(super) fn build(
    source: &Path,
    jobs: Vec<Job>,
    _options: &Options,
    _progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    Err(without_recipe(source, &jobs))
}
