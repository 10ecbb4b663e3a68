//! One canonical layout: blocks indented by two spaces, one space between words, nothing invisible at the end of a line.
//! What is said stays what it is, and comments stay where they are.

use crate::syntax::said_by;

/// Lays a transcript out. The text should parse; lines that do not are kept as they are.
///
/// Formatting twice changes nothing more, and the statements are the same as before.
#[must_use]
pub fn format(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut laid_out = String::with_capacity(text.len());
    let mut open: Vec<Block> = Vec::new();
    let mut blank = false;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start_matches([' ', '\t']);
        if line.is_empty() {
            blank = !laid_out.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            laid_out.push('\n');
        }
        // What begins a branch stands as far in as the block itself.
        let chooses = open.last() == Some(&Block::Choose);
        let statement = statement(line, chooses);
        let is_way = match open.last() {
            Some(Block::Choose) => statement == "else" || statement == "is" || statement.starts_with("is "),
            _ => statement == "or",
        };
        if statement == "end" {
            open.pop();
        }
        let depth = open.len().saturating_sub(usize::from(is_way));
        laid_out.push_str(&"  ".repeat(depth));
        laid_out.push_str(&statement);
        laid_out.push('\n');
        let opens =
            matches!(statement.as_str(), "repeat" | "either" | "in any order" | "together" | "maybe" | "at any time")
                || statement.starts_with("repeat ");
        if opens {
            open.push(Block::Other);
        } else if statement.starts_with("choose ") {
            open.push(Block::Choose);
        }
    }
    laid_out
}

/// A block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Choose,
    Other,
}

/// Whether a word is a side, with the number of its connection or without.
fn is_side(word: &str) -> bool {
    said_by(word).is_some()
}

/// One statement or comment without its indent.
fn statement(line: &str, chooses: bool) -> String {
    if line.starts_with('#') {
        return line.trim_end().to_owned();
    }
    if let Some((head, payload)) = line.split_once(':') {
        match head.split_once(' ').unwrap_or((head, "")) {
            (side, "" | "raw") if is_side(side) => return message(head, payload),
            (side, "hex") if is_side(side) => return message(head, &hex(payload)),
            (side, "file") if is_side(side) => {
                return message(head, &format!(" {}", payload.trim_matches([' ', '\t'])));
            }
            _ if head.starts_with("not") => {
                let words: Vec<&str> = head.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
                match words[..] {
                    ["not", side] | ["not", side, "raw"] if is_side(side) => return message(&words.join(" "), payload),
                    ["not", side, "hex"] if is_side(side) => return message(&words.join(" "), &hex(payload)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // The value is verbatim behind one space.
    if chooses && let Some(value) = line.strip_prefix("is").filter(|value| value.starts_with([' ', '\t'])) {
        return format!("is {}", visible(&value[1..]));
    }
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if matches!(word, "set" | "let")
        && let Some((name, value)) = rest.split_once('=')
    {
        // The value is verbatim behind one space.
        let value = visible(value.strip_prefix(' ').unwrap_or(value));
        let space = if value.is_empty() { "" } else { " " };
        return format!("{word} {} ={space}{value}", name.trim_matches([' ', '\t']));
    }
    let line = line.trim_end_matches([' ', '\t']);
    line.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What is said, with a last space or tab that can be seen.
fn message(head: &str, payload: &str) -> String {
    let seen = visible(payload.strip_prefix(' ').unwrap_or(payload));
    if seen.is_empty() { format!("{head}:") } else { format!("{head}: {seen}") }
}

/// Text with a last space or tab that can be seen.
fn visible(text: &str) -> String {
    match text.char_indices().next_back() {
        Some((at, ' ')) => format!("{}{{0x20}}", &text[..at]),
        Some((at, '\t')) => format!("{}{{0x09}}", &text[..at]),
        _ => with_ending(text),
    }
}

/// A CR that would be taken for one of the file's own line ending, spelled out.
fn with_ending(text: &str) -> String {
    text.strip_suffix('\r').map_or_else(|| text.to_owned(), |rest| format!("{rest}{{0x0d}}"))
}

/// Hex digits in small letters with single spaces; holes stay as they are.
fn hex(payload: &str) -> String {
    let mut laid_out = String::from(" ");
    let mut rest = payload.trim_matches([' ', '\t']);
    while let Some(next) = rest.chars().next() {
        if next == '{' {
            let length = rest.find('}').map_or(rest.len(), |end| end + 1);
            laid_out.push_str(&rest[..length]);
            rest = &rest[length..];
        } else if matches!(next, ' ' | '\t') {
            laid_out.push(' ');
            rest = rest.trim_start_matches([' ', '\t']);
        } else {
            laid_out.push(next.to_ascii_lowercase());
            rest = &rest[next.len_utf8()..];
        }
    }
    laid_out
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn blocks_are_indented_and_what_is_said_stays() {
        let text = "\u{feff}\r\n\r\n   # a comment  \r\ngap   100ms\r\n\r\n\r\n\tS:  Welcome! \r\nrepeat   3\r\n#  in it\r\nC: {a=x|y}\r\n\
                    either\r\nS:\r\nor\r\nS hex:  0A fF   {x:1 bytes=0A} 00 \r\nend\r\nend\r\nset  a =  b \r\nC  waits 5ms\r\n\r\n";
        let expected = "# a comment\ngap 100ms\n\nS:  Welcome!{0x20}\nrepeat 3\n  #  in it\n  C: {a=x|y}\n  either\n    S:\n  or\n    \
                        S hex: 0a ff {x:1 bytes=0A} 00\n  end\nend\nset a =  b{0x20}\nC waits 5ms\n";
        assert_eq!(format(text), expected);
        assert_eq!(format(expected), expected);
    }
}
