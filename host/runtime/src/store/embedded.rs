//! Key-value buckets and object stores in memory, for `krt run` and tests.
