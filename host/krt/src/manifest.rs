//! The manifest `krt.yml`: text to `Krt` and problems.
