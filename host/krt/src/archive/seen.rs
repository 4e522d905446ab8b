//! The paths of an archive so far: each once, also where case does not count, and nothing beneath a file.

use std::collections::HashMap;

use super::{Entry, EntryKind};
use crate::files::parent;

/// What stands in the way of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The same path, or one that differs in case only.
    Taken(String),
    /// A folder on the way is a file.
    Beneath(String),
}

/// All paths so far, by lower case: on some file systems that is all that distinguishes them.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, (String, bool)>);

impl Seen {
    /// Adds `entry`; the folders that lead to it and were not there come first in what is returned.
    /// A folder named twice is no news and harmless.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<Vec<Entry>, Conflict> {
        let mut new = Vec::new();
        let mut folder = parent(&entry.path);
        while !folder.is_empty() {
            match self.0.get(&folder.to_lowercase()) {
                Some((path, _)) if path != folder => return Err(Conflict::Taken(path.clone())),
                Some((path, false)) => return Err(Conflict::Beneath(path.clone())),
                Some((_, true)) => break,
                None => new.push(Entry::directory(folder)),
            }
            folder = parent(folder);
        }
        new.reverse();
        let is_directory = entry.kind == EntryKind::Directory;
        match self.0.get(&entry.path.to_lowercase()) {
            Some((path, true)) if is_directory && *path == entry.path => {}
            Some((path, _)) => return Err(Conflict::Taken(path.clone())),
            None => new.push(entry.clone()),
        }
        for entry in &new {
            let is_directory = entry.kind == EntryKind::Directory;
            self.0.insert(entry.path.to_lowercase(), (entry.path.clone(), is_directory));
        }
        Ok(new)
    }

    /// How many there are, implied folders included.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
