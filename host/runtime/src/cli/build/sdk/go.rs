//! The files of the Go SDK that travel inside this program. A test compares the list with the repository.

use super::Files;

pub(super) const FILES: Files = sources![];
