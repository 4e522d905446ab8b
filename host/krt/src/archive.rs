//! The `.krt` archive: a gzipped tar, read with bounds and written so that the original can read it.
