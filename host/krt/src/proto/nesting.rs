//! Looks at the brackets of a proto before any parser does: the parsers of option values recurse without a bound.
//!
//! It must read strings and comments exactly as the parser does, so whatever is doubtful in them is an error here.

use std::ops::Range;

/// Messages nest 31 deep at most (protoc's own bound); options within them a few more.
const DEEPEST: usize = 64;

/// Why a text is not handed to the parser.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Range<usize>,
    pub(super) message: &'static str,
    pub(super) help: &'static str,
}

/// Checks that brackets nest to a bounded depth and strings and comments end.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' | b'(' | b'<' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Fault {
                        at: at..at + 1,
                        message: "this is nested deeper than 64 levels",
                        help: "move inner definitions out to the top of the file",
                    });
                }
                at += 1;
            }
            b'}' | b']' | b')' | b'>' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'#' => at = end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = end_of_comment(bytes, at)?,
            b'"' | b'\'' => at = end_of_string(text, at)?,
            _ => at += 1,
        }
    }
    Ok(())
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length)
}

fn end_of_comment(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start + 2;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"*/" => return Ok(at + 2),
            b"/*" => {
                let help = "end the first comment with `*/`, or take this `/*` out of it";
                return Err(Fault { at: at..at + 2, message: "a comment begins inside a comment", help });
            }
            _ => at += 1,
        }
    }
    Err(Fault { at: start..start + 2, message: "this comment does not end", help: "end it with `*/`" })
}

fn end_of_string(text: &str, start: usize) -> Result<usize, Fault> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\n') => {
                let help = "end it with the quote that it begins with, on the same line";
                return Err(Fault { at: start..start + 1, message: "this string does not end", help });
            }
            Some(byte) if *byte == bytes[start] => return Ok(at + 1),
            Some(b'\\') => {
                let length = escape(&bytes[at + 1..]).ok_or_else(|| {
                    let next = text[at + 1..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
                    let help =
                        "known are \\a \\b \\f \\n \\r \\t \\v \\? \\\\ \\' \\\" \\x41 \\101 \\u0041 \\U00000041";
                    Fault { at: at..at + 1 + next, message: "this is not an escape that strings have", help }
                })?;
                at += 1 + length;
            }
            Some(_) => at += 1,
        }
    }
}

/// How many bytes after the backslash belong to the escape.
fn escape(rest: &[u8]) -> Option<usize> {
    let digits = |count: usize| {
        let there = rest.get(1..=count)?;
        there.iter().all(u8::is_ascii_hexdigit).then_some(count + 1)
    };
    match rest.first()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'?' | b'\\' | b'\'' | b'"' => Some(1),
        // Whether one digit or up to three: none of them is a quote or a backslash.
        b'0'..=b'7' => Some(1),
        b'x' | b'X' => digits(1),
        b'u' => digits(4),
        b'U' => digits(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, check};

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "{[(<".repeat(100);
        let text = format!("// {many}\n/* {many}\n */ option a = \"{many}\\\"{many}\" '{many}\\''; # {many}");
        assert_eq!(check(&text), Ok(()));
    }

    #[test]
    fn nesting_is_bounded_and_what_follows_one_another_is_not_nested() {
        assert_eq!(check(&"{}".repeat(10_000)), Ok(()));
        assert_eq!(check(&"{".repeat(DEEPEST)), Ok(()));
        assert_eq!(check(&"{".repeat(DEEPEST + 1)).unwrap_err().at, DEEPEST..DEEPEST + 1);
        // Closing brackets where none is open must not make room.
        assert!(check(&format!("{}{}", "}".repeat(100), "{".repeat(DEEPEST + 1))).is_err());
    }

    #[test]
    fn what_is_doubtful_in_strings_and_comments_is_refused() {
        for text in
            ["\"a", "'a\n'", "/* a", "/*/", "/* /* */", "\"\\q\"", "\"\\\n\"", "'\\x'", "'\\u12'", "\"\\é\"", "\"\\"]
        {
            assert!(check(text).is_err(), "{text:?}");
        }
        assert_eq!(check(r#""\a\b\f\n\r\t\v\?\\\'\"\x4\x41\7\101\u0041\U00000041""#), Ok(()));
    }
}
