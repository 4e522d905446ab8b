//! How text from a manifest is shown inside a message: bounded and without control characters.

/// Enough to recognise any valid name; a hostile one must not fill the terminal.
const LONGEST: usize = 60;

/// `text` in backticks, cut after 60 characters, control characters escaped.
pub fn quote(text: &str) -> String {
    if text.is_empty() {
        return "`\"\"`".to_owned();
    }
    let mut quoted = String::with_capacity(text.len().min(LONGEST) + 2);
    quoted.push('`');
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            quoted.push('…');
            break;
        }
        if character.is_control() || character == '\u{feff}' || ('\u{202a}'..='\u{202e}').contains(&character) {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(quote("a\u{1b}[31mb\n"), "`a\\u{1b}[31mb\\n`");
        assert_eq!(quote("a\u{202e}b"), "`a\\u{202e}b`");
    }

    #[test]
    fn a_long_text_is_cut() {
        let quoted = quote(&"x".repeat(1000));
        assert_eq!(quoted, format!("`{}…`", "x".repeat(60)));
    }
}
