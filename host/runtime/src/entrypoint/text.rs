//! Texts that come from elsewhere: error texts bounded, so that the caller's HTTP stack takes them; time spans.

use std::time::Duration;

/// Bytes that a status text may have once percent-encoded. Common clients take 8 KiB of headers in all.
const MAX_ENCODED: usize = 4096;

/// `text`, cut so that it fits a `grpc-message` header.
pub(super) fn bounded(text: &str) -> String {
    let mut encoded = 0;
    for (at, c) in text.char_indices() {
        // tonic escapes control characters, non-ASCII and a handful of others: three bytes each.
        encoded += if c.is_ascii_alphanumeric() || c == ' ' { 1 } else { 3 * c.len_utf8() };
        if encoded > MAX_ENCODED {
            return format!("{}… ({} bytes in all)", &text[..at], text.len());
        }
    }
    text.to_owned()
}

/// `500ms`, `5s`, `2m`, `1h` or `1.5` (seconds); none if it is something else, negative or beyond all use.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_as_they_are() {
        assert_eq!(bounded("disk full: Ünlü"), "disk full: Ünlü");
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_say_so() {
        let cut = bounded(&"é".repeat(10_000));
        assert!(cut.ends_with("… (20000 bytes in all)"), "{cut}");
        assert!(cut.len() < 2 * MAX_ENCODED);
    }

    #[test]
    fn time_spans_have_a_unit_or_are_seconds() {
        for (text, millis) in [("500ms", 500), ("5s", 5000), ("1.5", 1500), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "5 s", "1e3", "inf", "nan", "5d", "99999999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
