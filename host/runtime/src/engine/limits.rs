//! What a node may use, and the one limiter over all memories and tables of an instance. Counts; never decides what
//! a refusal means for a message.

use std::fmt;

use wasmtime::ResourceLimiter;

use super::config::{CORE_INSTANCES, MEMORIES, TABLES};

/// Bytes of the host for one table element: a pointer.
const TABLE_ELEMENT: usize = std::mem::size_of::<usize>();

/// Caps that do not stand in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one object that goes in or out of an object store, and of anything else passed to the host in one call.
    pub object: usize,
    /// Bytes of one configuration value.
    pub value: usize,
    /// Bytes of one log line; the rest is cut.
    pub log_line: usize,
    /// Bytes of log that a node may write in a second; further lines are counted and dropped.
    pub log_bytes_per_second: usize,
    /// Host resources (files, streams, sockets, pollables) that an instance may hold at a time.
    pub handles: usize,
}

/// Counts what an instance uses.
#[derive(Debug)]
pub(super) struct Meter {
    limit: usize,
    used: usize,
    /// What was last granted: given back if the growth then fails.
    granted: usize,
    refused: Option<Refused>,
}

/// A wish that was refused. The guest sees a failed `memory.grow`, and usually aborts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    what: &'static str,
    more: usize,
    used: usize,
    limit: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            object: 64 << 20,
            value: 1 << 20,
            log_line: 8 << 10,
            log_bytes_per_second: 256 << 10,
            // A language runtime holds about ten.
            handles: 1024,
        }
    }
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), used: 0, granted: 0, refused: None }
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Bytes that may still be taken.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// A new message: what was refused before is no longer of interest.
    pub(super) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// What was refused since.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn grow(&mut self, what: &'static str, current: usize, desired: usize) -> bool {
        let more = desired.saturating_sub(current);
        let asked = self.used.saturating_add(more);
        if asked > self.limit {
            self.refused = Some(Refused { what, more, used: self.used, limit: self.limit });
            return false;
        }
        self.used = asked;
        self.granted = more;
        true
    }

    fn failed(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.granted));
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow("memory", current, desired))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT);
        Ok(self.grow("tables", bytes(current), bytes(desired)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, more, used, limit } = *self;
        write!(f, "{what}: {} more, with {} in use, is over the limit of {}", Bytes(more), Bytes(used), Bytes(limit))
    }
}

/// A number of bytes for people.
pub(super) struct Bytes(pub(super) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => write!(f, "{} MiB", n >> 20),
            n if n >= 1 << 20 => write!(f, "{:.2} MiB", n as f64 / f64::from(1 << 20)),
            n if n >= 1 << 10 => write!(f, "{} KiB", n.div_ceil(1 << 10)),
            n => write!(f, "{n} bytes"),
        }
    }
}
