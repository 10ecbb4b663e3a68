//! Colour on terminals: the words that sort a message, and what stands where in a head. It is put in after cleaning.

use std::borrow::Cow;
use std::ffi::OsStr;

use clap::ValueEnum;

/// When messages are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// What it comes to, for a stream that is a terminal or not.
    pub(crate) fn is_wanted(self, terminal: bool, variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
                    || variable("TERM").is_some_and(|value| value == OsStr::new("dumb"));
                terminal && !plain
            }
        }
    }
}

/// The words that are painted where they begin a line, each with its code (SGR of ECMA-48): bold red, yellow, blue.
const WORDS: [(&str, &str); 4] = [("error:", "1;31"), ("sockeye:", "1;31"), ("warning:", "1;33"), ("  -->", "1;34")];

/// Paints text that was cleaned before: the codes added here are then the only ones in it.
pub(crate) fn paint(text: &str, wanted: bool) -> Cow<'_, str> {
    if !wanted {
        return Cow::Borrowed(text);
    }
    let mut painted = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        match WORDS.iter().find_map(|(word, code)| line.strip_prefix(word).map(|rest| (word, code, rest))) {
            Some((word, code, rest)) => painted.push_str(&format!("\x1b[{code}m{word}\x1b[0m{rest}")),
            None => painted.push_str(line),
        }
    }
    Cow::Owned(painted)
}

/// Paints the head of an answer that was cleaned before: its status by what it means, and the names of fields.
pub(crate) fn paint_head(head: &str) -> String {
    let mut painted = String::with_capacity(head.len() * 2);
    for (number, line) in head.split_inclusive('\n').enumerate() {
        let text = line.trim_end();
        let end = &line[text.len()..];
        match (number, text.split_once(' '), text.split_once(':')) {
            (0, Some((version, status)), _) => {
                let code = match status.as_bytes().first() {
                    Some(b'2') => "1;32",
                    Some(b'3') => "1;33",
                    _ => "1;31",
                };
                painted.push_str(&format!("{version} \x1b[{code}m{status}\x1b[0m{end}"));
            }
            (_, _, Some((name, value))) => painted.push_str(&format!("\x1b[36m{name}\x1b[0m:{value}{end}")),
            _ => painted.push_str(line),
        }
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        let with = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.into());
        assert!(Color::Auto.is_wanted(true, |_| None));
        assert!(Color::Auto.is_wanted(true, with("NO_COLOR", "")));
        assert!(!Color::Auto.is_wanted(true, with("NO_COLOR", "1")));
        assert!(!Color::Auto.is_wanted(true, with("TERM", "dumb")));
        assert!(!Color::Auto.is_wanted(false, |_| None));
        assert!(Color::Always.is_wanted(false, with("NO_COLOR", "1")));
        assert!(!Color::Never.is_wanted(true, |_| None));
    }

    #[test]
    fn a_head_shows_its_status_and_its_names() {
        let head = "HTTP/1.1 404 Not Found\r\nA: b: c\r\nodd\r\n\r\n";
        let painted = "HTTP/1.1 \x1b[1;31m404 Not Found\x1b[0m\r\n\x1b[36mA\x1b[0m: b: c\r\nodd\r\n\r\n";
        assert_eq!(paint_head(head), painted);
        assert!(paint_head("HTTP/2 204\r\n\r\n").starts_with("HTTP/2 \x1b[1;32m204\x1b[0m\r\n"));
    }

    #[test]
    fn only_the_first_word_of_a_line_is_painted() {
        let text = "error: no\n  --> a.talk:1:1\n 1 | C: error: x\n";
        assert_eq!(paint(text, false), text);
        assert_eq!(
            paint(text, true),
            "\x1b[1;31merror:\x1b[0m no\n\x1b[1;34m  -->\x1b[0m a.talk:1:1\n 1 | C: error: x\n"
        );
    }
}
