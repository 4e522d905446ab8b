//! Where component bytes and package files come from.
