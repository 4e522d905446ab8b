//! Readers that count: packed bytes below the decompressor, unpacked ones above it. Beyond a bound they fail.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::Limits;

/// Which bound was passed. Travels inside an [`io::Error`] through the decoders between here and the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Passed {
    #[error("too many bytes")]
    Total,
    #[error("too many bytes for so small an archive")]
    Ratio,
}

/// Counts what is read from the packed side.
pub(super) struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

/// Fails once more is unpacked than the limits allow.
pub(super) struct Bounded<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    limits: Limits,
}

impl<R: Read> Counted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, count: Rc::default() }
    }

    pub(super) fn count(&self) -> Rc<Cell<u64>> {
        self.count.clone()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R, packed: Rc<Cell<u64>>, limits: Limits) -> Self {
        Self { inner, packed, unpacked: 0, limits }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.unpacked += n as u64;
        if self.unpacked > self.limits.total {
            return Err(io::Error::other(Passed::Total));
        }
        if self.unpacked > self.limits.ratio_free && self.unpacked > self.packed.get().saturating_mul(self.limits.ratio)
        {
            return Err(io::Error::other(Passed::Ratio));
        }
        Ok(n)
    }
}
