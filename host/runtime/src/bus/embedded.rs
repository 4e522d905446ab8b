//! The bus in one process, for `krt run` and tests.
