//! The package's `.proto` files: services and methods, found at run time without protoc.
