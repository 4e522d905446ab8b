//! The port to the files of a package, so that checks can look at them without this crate doing IO.

/// The files of one package, by slash-separated path relative to its root.
pub trait Files {
    /// What is at `path`, if anything. `path` may be hostile: absolute, with `..`, or with a NUL.
    fn kind(&self, path: &str) -> Option<FileKind>;
    /// The bytes of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Why it cannot be read, for a person.
    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String>;
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
