//! What interoperation is tested against: runners and nodes in Python and Go, installed by a script. Asserts nothing.

pub mod probe;

use std::path::{Path, PathBuf};

use crate::{script, workspace};

/// The image for which the Python runner stands.
pub const PYTHON: &str = "konstellation/kre-py";
/// The image for which the Go programs stand.
pub const GO: &str = "konstellation/kre-go";

/// Where they are.
pub struct Tools {
    folder: PathBuf,
}

/// The tools, installed the first time. None, and said so, where they cannot be had.
pub fn tools() -> Option<Tools> {
    let folder = script(&["interop.sh"], "what interoperation is tested against could not be installed")?;
    Some(Tools { folder })
}

impl Tools {
    /// Python with the libraries of the runner.
    pub fn python(&self) -> PathBuf {
        self.folder.join("venv/bin/python3")
    }

    /// A program of `tests/interop/go/cmd`.
    pub fn go(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The flags of `krt run` that map the images of the original to these runners.
    pub fn runners(&self) -> Vec<String> {
        let main = source("python/main.py");
        vec![
            "--runner".into(),
            format!("{PYTHON}='{}' '{}'", self.python().display(), main.display()),
            "--runner".into(),
            format!("{GO}={{src}}"),
        ]
    }
}

/// A file of `tests/interop`.
pub fn source(path: impl AsRef<Path>) -> PathBuf {
    workspace().join("tests/interop").join(path)
}
