//! Bytes on their way into a file: counted, hashed, and no more of them than there may be.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sha2::Digest as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Archive, Digest};

/// Bytes of a packed package: as many as an archive may have unpacked.
pub(super) const MAX_PACKED: u64 = 4 << 30;

/// A temporary file that is being written.
pub(super) struct Hashing {
    file: tokio::fs::File,
    hash: sha2::Sha256,
    size: u64,
    limit: u64,
}

impl Hashing {
    /// A file of at most `limit` bytes that is removed when it is closed.
    pub(super) fn new(limit: u64) -> io::Result<Self> {
        let file = tokio::fs::File::from_std(tempfile::tempfile()?);
        Ok(Self { file, hash: sha2::Sha256::new(), size: 0, limit })
    }

    /// What was written.
    pub(super) async fn finish(mut self) -> io::Result<Archive> {
        self.file.flush().await?;
        let mut file: File = self.file.into_std().await;
        io::Seek::rewind(&mut file)?;
        Ok(Archive { file, size: self.size, digest: Digest::from_hash(&self.hash.finalize()) })
    }
}

impl AsyncWrite for Hashing {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.size + bytes.len() as u64 > this.limit {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, "more bytes than a package may have")));
        }
        let written = ready!(Pin::new(&mut this.file).poll_write(context, bytes))?;
        this.hash.update(&bytes[..written]);
        this.size += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().file).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().file).poll_shutdown(context)
    }
}
