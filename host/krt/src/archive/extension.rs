//! What tar entries say about the entry that follows: GNU long names and pax records. Never large, never trusted.

use std::io::{self, Read};

use crate::files::LONGEST_PATH;

/// Far above what any tool writes for one entry.
const LONGEST_RECORDS: u64 = 64 << 10;

/// What is known about the next entry beyond its header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    /// Its path, in place of the header's.
    pub(super) path: Option<Vec<u8>>,
    /// Its size; two parsers could disagree on which of the two counts.
    pub(super) size: Option<u64>,
    /// Whether it is sparse: bytes that are nowhere in the archive.
    pub(super) sparse: bool,
}

/// Why an extension is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExtensionError {
    #[error("they are larger than any tool writes")]
    TooLarge,
    #[error("they are malformed or contradict each other")]
    Malformed,
    #[error("they would change all entries that follow")]
    Global,
    #[error(transparent)]
    Read(#[from] io::Error),
}

impl Extension {
    /// A GNU long name: the path, ended by a NUL.
    pub(super) fn read_long_name(&mut self, content: impl Read) -> Result<(), ExtensionError> {
        // One more for the NUL and one to see that it is longer.
        let mut name = read_bounded(content, LONGEST_PATH as u64 + 1)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        self.set_path(name)
    }

    /// Pax records about the next entry.
    pub(super) fn read_pax(&mut self, content: impl Read) -> Result<(), ExtensionError> {
        let bytes = read_bounded(content, LONGEST_RECORDS)?;
        for record in records(&bytes) {
            let (key, value) = record?;
            match key {
                b"path" => self.set_path(value.to_vec())?,
                b"size" => self.size = Some(number(value)?),
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Two names for one entry: readers disagree on which counts.
    fn set_path(&mut self, path: Vec<u8>) -> Result<(), ExtensionError> {
        match self.path.replace(path) {
            Some(_) => Err(ExtensionError::Malformed),
            None => Ok(()),
        }
    }
}

/// Global pax records: a comment (as git writes) is welcome, anything that changes entries is not.
pub(super) fn check_global(content: impl Read) -> Result<(), ExtensionError> {
    let bytes = read_bounded(content, LONGEST_RECORDS)?;
    for record in records(&bytes) {
        let (key, _) = record?;
        if matches!(key, b"path" | b"size" | b"linkpath") || key.starts_with(b"GNU.sparse.") {
            return Err(ExtensionError::Global);
        }
    }
    Ok(())
}

fn read_bounded(content: impl Read, limit: u64) -> Result<Vec<u8>, ExtensionError> {
    let mut bytes = Vec::new();
    content.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(ExtensionError::TooLarge);
    }
    Ok(bytes)
}

/// `<length> <key>=<value>\n`, the length counting the whole record: a value may hold line breaks.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), ExtensionError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let parsed = record(bytes);
        bytes = parsed.as_ref().map_or(&[][..], |(_, rest)| rest);
        Some(parsed.map(|(record, _)| record).ok_or(ExtensionError::Malformed))
    })
}

type Record<'b> = (&'b [u8], &'b [u8]);

fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space]).ok()?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), rest))
}

fn number(digits: &[u8]) -> Result<u64, ExtensionError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ExtensionError::Malformed);
    }
    std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or(ExtensionError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::{Extension, ExtensionError, check_global};

    fn pax(text: &str) -> Result<Extension, ExtensionError> {
        let mut extension = Extension::default();
        extension.read_pax(text.as_bytes()).map(|()| extension)
    }

    #[test]
    fn a_value_with_a_line_break_is_one_record() {
        let extension = pax("21 comment=a\npath=no\n12 path=yes\n").unwrap();
        assert_eq!(extension.path.as_deref(), Some(&b"yes"[..]));
    }

    #[test]
    fn malformed_records_are_refused() {
        for text in ["x", "99 path=a\n", "0 \n", "11 path=yes\n", "7 size=\n", "12 size=1e3\n", "-1 a=b\n", " a=b\n"] {
            assert!(matches!(pax(text), Err(ExtensionError::Malformed)), "{text:?}");
        }
    }

    #[test]
    fn sparse_records_are_noticed() {
        assert!(pax("22 GNU.sparse.major=1\n").unwrap().sparse);
    }

    #[test]
    fn a_global_comment_is_harmless_and_a_global_path_is_not() {
        assert!(check_global(&b"18 comment=abcdef\n"[..]).is_ok());
        assert!(matches!(check_global(&b"10 path=a\n"[..]), Err(ExtensionError::Global)));
    }

    #[test]
    fn an_endless_long_name_is_not_read_to_its_end() {
        let endless = std::io::repeat(b'a');
        assert!(matches!(Extension::default().read_long_name(endless), Err(ExtensionError::TooLarge)));
    }
}
