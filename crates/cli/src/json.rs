//! JSON as lines: one value is one line, for programs and on a terminal.

use serde_json::Value;
use transcript::is_hidden;

/// Adds a value and a line break. JSON itself asks only for C0 controls to be escaped; C1 codes, characters that hide or
/// reorder text, and the separators that some programs take for line breaks are escaped too.
pub(crate) fn push_line(text: &mut String, value: &Value) {
    for character in value.to_string().chars() {
        if is_hidden(character) {
            // All that JSON has outside of strings can be seen, so this stands inside one.
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(character);
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives_and_none_that_hides_is_written() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let mut text = String::new();
        push_line(&mut text, &Value::from(all.as_str()));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), all);
        assert!(!text.trim_end_matches('\n').chars().any(is_hidden));
    }
}
