//! What a terminal, a logger or a mail program has put around the lines of a page.

use std::borrow::Cow;

/// Further in than this nobody's mark stands.
pub(super) const FURTHEST: usize = 48;
/// Most words before a mark that may be a prefix; more are prose.
const MOST_WORDS: usize = 3;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The page without the mark of its encoding.
pub(super) fn without_bom(page: &str) -> &str {
    page.strip_prefix('\u{feff}').unwrap_or(page)
}

/// A line without its colours, where it begins with one: then they are the printer's. Others are said.
pub(super) fn without_colours(line: &str) -> Cow<'_, str> {
    if colour(line.trim_start()).is_none() {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        rest = colour(&rest[at..]).unwrap_or_else(|| {
            plain.push('\u{1b}');
            &rest[at + 1..]
        });
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What stands behind a colour: ESC [ 1;32 m. grep prints ESC [ K behind each.
fn colour(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\u{1b}[")?;
    inside.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == ':').strip_prefix(['m', 'K'])
}

/// What stands behind a time, a number, a bullet or a sign of quoting; none if the line begins with none.
pub(super) fn behind_prefix(body: &str) -> Option<&str> {
    let mut rest = body;
    while let Some(behind) = behind_one(rest) {
        rest = behind;
    }
    (rest.len() < body.len()).then_some(rest)
}

/// What stands behind a time alone, before a sign that may be one of quoting.
pub(super) fn behind_time(body: &str) -> Option<&str> {
    let mut rest = body;
    while !rest.starts_with('>')
        && let Some(behind) =
            behind_one(rest).filter(|_| rest.starts_with(|c: char| c == '[' || c.is_ascii_alphanumeric()))
    {
        rest = behind;
    }
    (rest.len() < body.len()).then_some(rest)
}

fn behind_one(body: &str) -> Option<&str> {
    if let Some(behind) = body.strip_prefix('>') {
        return Some(behind.trim_start());
    }
    let (word, behind) = body.split_once([' ', '\t'])?;
    let bare = word.trim_matches(['[', ']', '(', ')']);
    let is_time = || {
        bare.starts_with(|c: char| c.is_ascii_digit())
            && bare.bytes().all(|byte| byte.is_ascii_digit() || b":.,-/+TZ".contains(&byte))
    };
    (matches!(word, "*" | "-" | "+" | "|" | "│" | "•" | "//" | "//!" | "///" | "#" | "--" | ";" | "%")
        || MONTHS.contains(&bare)
        || is_time())
    .then(|| behind.trim_start())
}

/// The kind of a prefix: its numbers and months are others in each line.
pub(super) fn shape(prefix: &str) -> String {
    let mut shape = String::new();
    for word in prefix.split_ascii_whitespace() {
        let is_month = MONTHS.contains(&word.trim_matches(['[', ']', '(', ')']));
        for c in if is_month { "Jan" } else { word }.chars() {
            let c = if c.is_ascii_digit() { '0' } else { c };
            if c != '0' || !shape.ends_with('0') {
                shape.push(c);
            }
        }
        // `> >` and `>>` are quoted twice.
        if word.bytes().any(|byte| byte != b'>') {
            shape.push(' ');
        }
    }
    shape
}

/// Of a longer one no session is known by: each word of a line would be looked at with all those before it.
pub(super) const LONGEST_SHAPE: usize = 48;

/// What stands behind a prefix of one of these shapes, the longest; nothing may.
pub(super) fn behind_shape<'a>(body: &'a str, shapes: &[String]) -> Option<&'a str> {
    let (mut rest, mut found) = (body, None);
    while !rest.is_empty() {
        // A line may have nothing but its time.
        let is_word = !rest.contains([' ', '\t']);
        let Some(behind) = behind_one(rest).or(is_word.then_some("")) else { break };
        rest = behind;
        let shape = shape(&body[..body.len() - rest.len()]);
        if shape.len() > LONGEST_SHAPE {
            break;
        }
        if shapes.contains(&shape) {
            found = Some(rest);
        }
    }
    found
}

/// Whether `C:` or `S:` stands in a line close to its beginning, behind what is no prefix that we know.
pub(super) fn has_mark_inside(body: &str) -> bool {
    mark_inside(body).is_some()
}

/// Where it stands.
pub(super) fn mark_inside(body: &str) -> Option<usize> {
    let marks = ["C: ", "S: ", "C:\t", "S:\t"];
    let at = marks.iter().filter_map(|mark| body.find(mark)).min()?;
    let is_close = (1..=FURTHEST).contains(&at)
        && body[..at].ends_with([' ', '\t', ']', ')', '|', '>'])
        && body[..at].split_ascii_whitespace().count() <= MOST_WORDS;
    is_close.then_some(at)
}

/// The page with lines that end as ours do, where they end in CR alone.
pub(super) fn with_newlines(page: &str) -> Cow<'_, str> {
    if page.contains('\r') && !page.contains('\n') {
        return Cow::Owned(page.replace('\r', "\n"));
    }
    Cow::Borrowed(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_a_line_that_begins_with_one_are_the_printers() {
        for (line, plain) in [
            ("\u{1b}[32mC: a\u{1b}[0m", "C: a"),
            ("  \u{1b}[1;32mC:\u{1b}[m a", "  C: a"),
            ("\u{1b}[38:5:1mC: \u{1b}[31ma\u{1b}[0m b", "C: a b"),
            ("\u{1b}[01;31m\u{1b}[KC:\u{1b}[m\u{1b}[K a", "C: a"),
            ("\u{1b}[32mC: a\u{1b}[2Jb\u{1b}", "C: a\u{1b}[2Jb\u{1b}"),
            ("S: \u{1b}[32mgreen\u{1b}[0m", "S: \u{1b}[32mgreen\u{1b}[0m"),
            ("\u{1b}[2JC: a", "\u{1b}[2JC: a"),
            ("\u{1b}", "\u{1b}"),
            ("", ""),
        ] {
            assert_eq!(without_colours(line), plain, "{line:?}");
        }
    }

    #[test]
    fn a_time_a_bullet_and_a_sign_of_quoting_are_prefixes() {
        for (line, behind) in [
            ("12:00:01 C: a", "C: a"),
            ("[12:00:01.123] C: a", "C: a"),
            ("2024-01-02T12:00:01Z  C: a", "C: a"),
            ("2024-01-02 12:00:01,5 C: a", "C: a"),
            ("Nov 29 19:07:47 C: a", "C: a"),
            ("1700000000.25 C: a", "C: a"),
            ("> C: a", "C: a"),
            (">>C: a", "C: a"),
            ("* C: a", "C: a"),
            ("- [12:00] C: a", "C: a"),
            ("7. C: a", "C: a"),
        ] {
            assert_eq!(behind_prefix(line), Some(behind), "{line}");
        }
        for line in ["C: a", "word C: a", "*C: a", "-C: a", "12:00:01", "", "x1 C: a"] {
            assert_eq!(behind_prefix(line), None, "{line}");
        }
    }

    #[test]
    fn a_mark_inside_a_line_stands_close_to_its_beginning() {
        for line in ["tag C: a", "[smtp] S: a", "a b c C: d", "x|S: a", "(1)C: a"] {
            assert!(has_mark_inside(line), "{line}");
        }
        for line in ["C: a", "a b c d C: e", "FTPC: a", "\"C: a", "a C:", "", "so C is it"] {
            assert!(!has_mark_inside(line), "{line}");
        }
    }
}
