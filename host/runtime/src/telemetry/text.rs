//! What others say, made fit to stand in a log: bounded, and unable to forge a line or command a terminal.

use std::borrow::Cow;

/// At most `limit` bytes of `text`, whole characters.
pub fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// Without what would let the one who says it forge a line or command a terminal.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => clean.push_str("\n    | "),
            '\t' => clean.push('\t'),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}
