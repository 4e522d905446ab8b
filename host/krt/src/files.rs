//! The port to the files of a package, so that checks can look at them without this crate doing IO.
//!
//! Also what a path inside a package may look like: slash-separated, relative, and never out of the package.

use std::collections::BTreeMap;

/// Longest path in a package, in bytes: a quarter of what Linux takes, so that a folder in front of it fits too.
pub const LONGEST_PATH: usize = 1024;

/// Longest name between two slashes, in bytes: what common file systems take.
pub const LONGEST_NAME: usize = 255;

/// Deepest nesting of folders.
pub const DEEPEST_PATH: usize = 64;

/// Files of one folder that are listed: as many as a `.proto` and what it imports may be.
pub const MOST_LISTED: usize = 256;

/// The files of one package, by slash-separated path relative to its root.
pub trait Files {
    /// What is at `path`, if anything. `path` may be hostile: absolute, with `..`, or with a NUL.
    fn kind(&self, path: &str) -> Option<FileKind>;
    /// The bytes of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Why it cannot be read, for a person.
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String>;
    /// Names of the files that lie directly in the folder `folder` (empty: the package's root) and end in `suffix`, sorted;
    /// at most [`MOST_LISTED`].
    fn files_in(&self, folder: &str, suffix: &str) -> Vec<String>;
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A device, a fifo, a socket, or a link that leads outside the package.
    Other,
}

/// Why a text is not the path of something in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// It begins at the root of the file system.
    #[error("it is absolute")]
    Absolute,
    /// It leads out of the package.
    #[error("it leads out of the package with `..`")]
    Outside,
    /// It has characters that some system or terminal takes for something else.
    #[error("it has a control character or a backslash")]
    Character,
    /// Over [`LONGEST_PATH`], or a name over [`LONGEST_NAME`].
    #[error("it is longer than {LONGEST_PATH} bytes, or a name in it longer than {LONGEST_NAME}")]
    TooLong,
    /// Over [`DEEPEST_PATH`].
    #[error("it is nested deeper than {DEEPEST_PATH} folders")]
    TooDeep,
}

/// `path` as seen from the folder `base`, relative to the package's root, without `.`, `..` and doubled slashes.
///
/// # Errors
/// When it is not the path of something in the package.
pub fn resolve(base: &str, path: &str) -> Result<String, PathFault> {
    if path.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    if path.len() + base.len() > 2 * LONGEST_PATH {
        return Err(PathFault::TooLong);
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(PathFault::Character);
    }
    let mut names: Vec<&str> = Vec::new();
    for name in base.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or(PathFault::Outside)?;
            }
            name if name.len() > LONGEST_NAME => return Err(PathFault::TooLong),
            name => names.push(name),
        }
    }
    if names.len() > DEEPEST_PATH {
        return Err(PathFault::TooDeep);
    }
    let resolved = names.join("/");
    match resolved.len() {
        0 => Err(PathFault::Empty),
        length if length > LONGEST_PATH => Err(PathFault::TooLong),
        _ => Ok(resolved),
    }
}

/// The folder that holds `path`; empty for the package's root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A package in memory: for tests, and for what was made rather than read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryFiles(pub BTreeMap<String, Vec<u8>>);

impl Files for MemoryFiles {
    fn kind(&self, path: &str) -> Option<FileKind> {
        let path = resolve("", path).ok()?;
        if self.0.contains_key(&path) {
            return Some(FileKind::File);
        }
        let folder = format!("{path}/");
        self.0.keys().any(|file| file.starts_with(&folder)).then_some(FileKind::Directory)
    }

    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        let path = resolve("", path).map_err(|fault| fault.to_string())?;
        match self.0.get(&path) {
            None => Err("there is no such file".to_owned()),
            Some(bytes) if bytes.len() > limit => Err(format!("it is larger than {limit} bytes")),
            Some(bytes) => Ok(bytes.clone()),
        }
    }

    fn files_in(&self, folder: &str, suffix: &str) -> Vec<String> {
        let inside = self.0.keys().filter_map(|path| match folder {
            "" => Some(path.as_str()),
            folder => path.strip_prefix(folder)?.strip_prefix('/'),
        });
        let wanted = |name: &&str| !name.contains('/') && name.ends_with(suffix);
        inside.filter(wanted).take(MOST_LISTED).map(str::to_owned).collect()
    }
}

impl<P: Into<String>, B: Into<Vec<u8>>> FromIterator<(P, B)> for MemoryFiles {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        Self(files.into_iter().map(|(path, bytes)| (path.into(), bytes.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{FileKind, Files as _, MemoryFiles, PathFault, parent, resolve};

    #[test]
    fn a_path_is_resolved_against_its_folder() {
        assert_eq!(resolve("", "./a//b/.").as_deref(), Ok("a/b"));
        assert_eq!(resolve("protos/inner", "../shared.proto").as_deref(), Ok("protos/shared.proto"));
        assert_eq!(parent("a/b/c"), "a/b");
        assert_eq!(parent("c"), "");
    }

    #[test]
    fn a_path_out_of_the_package_is_refused() {
        assert_eq!(resolve("", "../x"), Err(PathFault::Outside));
        assert_eq!(resolve("a", "../../x"), Err(PathFault::Outside));
        assert_eq!(resolve("a", "/etc/passwd"), Err(PathFault::Absolute));
        assert_eq!(resolve("", "a/.."), Err(PathFault::Empty));
        assert_eq!(resolve("", "a\0b"), Err(PathFault::Character));
        assert_eq!(resolve("", "a\\b"), Err(PathFault::Character));
        assert_eq!(resolve("", &"a/".repeat(65)), Err(PathFault::TooDeep));
        assert_eq!(resolve("", &"a".repeat(256)), Err(PathFault::TooLong));
        assert_eq!(resolve("", &format!("{}/", "a".repeat(200)).repeat(6)), Err(PathFault::TooLong));
    }

    #[test]
    fn folders_exist_by_the_files_in_them() {
        let files: MemoryFiles = [("a/b", "x")].into_iter().collect();
        assert_eq!(files.kind("a"), Some(FileKind::Directory));
        assert_eq!(files.kind("./a/b"), Some(FileKind::File));
        assert_eq!(files.kind("../a"), None);
        assert!(files.read("a/b", 0).is_err());
        assert_eq!(files.read("a/b", 1), Ok(b"x".to_vec()));
    }

    #[test]
    fn a_folder_lists_its_own_files_only() {
        let files: MemoryFiles =
            ["z.proto", "a.proto", "a.txt", "b/c.proto", "b/d/e.proto"].map(|it| (it, "")).into_iter().collect();
        assert_eq!(files.files_in("", ".proto"), ["a.proto", "z.proto"]);
        assert_eq!(files.files_in("b", ".proto"), ["c.proto"]);
        assert_eq!(files.files_in("nothing", ".proto"), Vec::<String>::new());
    }
}
