//! Bytes to text: refuses what cannot be a manifest before any parser sees it.

use super::MAX_BYTES;
use crate::problem::{Problem, Source};

/// The text of a manifest, or a problem that ends the reading.
pub(super) fn text(file: &str, bytes: &[u8]) -> (Source, Option<Problem>) {
    let empty = || Source::new(file, "");
    if bytes.len() > MAX_BYTES {
        let message = format!("the manifest is larger than {} MiB", MAX_BYTES >> 20);
        let help = "a krt.yml has a few kilobytes: is this the right file?";
        return (empty(), Some(Problem::about_file(file, "too-large", message, help)));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let help = "this looks like a .krt archive; give it a name that ends in .krt";
        return (
            empty(),
            Some(Problem::about_file(file, "encoding", "the manifest is compressed data, not text", help)),
        );
    }
    if let Some(encoding) = wide(bytes) {
        let message = format!("the manifest is encoded in {encoding}");
        return (empty(), Some(Problem::about_file(file, "encoding", message, "save it as UTF-8")));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let source = Source::new(file, String::from_utf8_lossy(bytes));
            let at = error.valid_up_to();
            let problem = source.error(
                "encoding",
                at..at + '\u{fffd}'.len_utf8(),
                "the manifest is not UTF-8 here",
                "save it as UTF-8",
            );
            return (source, Some(problem));
        }
    };
    let source = Source::new(file, text);
    let problem = text.find('\0').map(|at| {
        source.error("encoding", at..at + 1, "the manifest holds a NUL character", "is this really a text file?")
    });
    (source, problem)
}

/// UTF-16 and UTF-32, by their mark or by the NULs that such a text of mostly ASCII has.
fn wide(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, 0, 0, a, ..] | [a, 0, 0, 0, ..] if *a != 0 => Some("UTF-32"),
        [0, a, 0, b, ..] | [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some("UTF-16"),
        _ => None,
    }
}
