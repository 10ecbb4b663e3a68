//! A label as it stands before a line: `A:`, `A>`, `[A]`, `<A>`.

/// Longest label, in bytes.
const LONGEST: usize = 12;

/// Words before a colon that say what stands behind it, and not who speaks.
pub(super) const FIELDS: [&str; 44] = [
    "abstract",
    "action",
    "address",
    "age",
    "author",
    "authors",
    "bcc",
    "category",
    "cc",
    "caution",
    "command",
    "date",
    "default",
    "description",
    "email",
    "example",
    "figure",
    "file",
    "from",
    "input",
    "key",
    "link",
    "name",
    "note",
    "obsoletes",
    "output",
    "path",
    "phone",
    "port",
    "result",
    "section",
    "size",
    "status",
    "subject",
    "summary",
    "table",
    "tip",
    "title",
    "to",
    "type",
    "updates",
    "url",
    "value",
    "warning",
];

/// A label as it stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label<'a> {
    pub(super) name: &'a str,
    pub(super) form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// `A:`
    Colon,
    /// `A>`
    Angle,
    /// `[A]`
    Bracketed,
    /// `<A>`
    Pointed,
}

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (before, behind) = match self.form {
            Form::Colon => ("", ":"),
            Form::Angle => ("", ">"),
            Form::Bracketed => ("[", "]"),
            Form::Pointed => ("<", ">"),
        };
        write!(f, "{before}{}{behind}", self.name)
    }
}

impl<'a> Label<'a> {
    /// The label of a line without its margin, and what stands behind it.
    pub(super) fn of(body: &'a str) -> Option<(Self, &'a str)> {
        let (form, inside) = match body.as_bytes().first()? {
            b'[' => (Form::Bracketed, &body[1..]),
            b'<' => (Form::Pointed, &body[1..]),
            _ => (Form::Colon, body),
        };
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let mut end = inside.find(word)?;
        // `Host A:`
        if let Some(second) = inside[end..].strip_prefix(' ')
            && let Some(more) = second.find(word).filter(|&length| (1..=2).contains(&length))
            && second[more..].starts_with([':', '>', ']'])
        {
            end += 1 + more;
        }
        let (name, behind) = inside.split_at(end);
        let (form, closer) = match (form, behind.chars().next()?) {
            (Form::Colon, '>') => (Form::Angle, '>'),
            (Form::Colon, ':') => (Form::Colon, ':'),
            (Form::Bracketed, ']') => (Form::Bracketed, ']'),
            (Form::Pointed, '>') => (Form::Pointed, '>'),
            _ => return None,
        };
        let said = behind.strip_prefix(closer)?;
        let is_name = name.len() <= LONGEST && name.starts_with(|c: char| c.is_ascii_alphabetic());
        // `C:\path`, `std::io` and `http://` are words.
        let stands_close = name.len() == 1 && !said.starts_with(['\\', ':', '/', '=']);
        let is_label = is_name && (said.is_empty() || said.starts_with([' ', '\t']) || stands_close);
        is_label.then_some((Self { name, form }, said))
    }
}

/// What stands behind the word that some RFCs print in front of an example's first line.
pub(super) fn behind_example(body: &str) -> &str {
    let rest = body.strip_prefix("Example:").map(str::trim_start);
    rest.filter(|rest| Label::of(rest).is_some()).unwrap_or(body)
}

/// Whether a line says who speaks: `P: what`, `Client (subscriber): what`.
pub(super) fn names_speaker(line: &str) -> bool {
    names_role(line)
        || Label::of(line).is_some_and(|(label, said)| {
            !said.trim().is_empty()
                && label.form != Form::Pointed
                && !FIELDS.contains(&label.name.to_ascii_lowercase().as_str())
        })
}

/// The same of a line that is set in further than its mark, where a word before a colon may be a field of what is said.
pub(super) fn names_speaker_further_in(line: &str) -> bool {
    let is_letter =
        |label: Label<'_>| label.name.len() == 1 && label.name.starts_with(|c: char| c.is_ascii_uppercase());
    names_role(line)
        || Label::of(line).is_some_and(|(label, said)| {
            is_letter(label) && matches!(label.form, Form::Colon | Form::Angle) && said.starts_with([' ', '\t'])
        })
}

/// `Client (subscriber): what`.
fn names_role(line: &str) -> bool {
    let parts = line.split_once(" (").and_then(|(name, rest)| Some((name, rest.split_once("): ")?.0)));
    parts.is_some_and(|(name, role)| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && [name, role].iter().all(|word| {
                (1..=LONGEST).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    })
}

/// Whether a line has a label of one letter, which no page has in its head.
pub(super) fn is_letter(line: &str) -> bool {
    Label::of(line).is_some_and(|(label, _)| label.name.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_short_name_with_a_mark_behind_or_around_it() {
        for (line, label, said) in [
            ("A: hello", "A:", " hello"),
            ("A> hello", "A>", " hello"),
            ("[A] hello", "[A]", " hello"),
            ("<A> hello", "<A>", " hello"),
            ("A:", "A:", ""),
            ("A:hello", "A:", "hello"),
            ("Alice: hello", "Alice:", " hello"),
            ("user_1-a> hi", "user_1-a>", " hi"),
            ("abcdefghijkl: x", "abcdefghijkl:", " x"),
            ("Host A: hello", "Host A:", " hello"),
            ("Host 12> hello", "Host 12>", " hello"),
            ("[Host A] hello", "[Host A]", " hello"),
        ] {
            let found = Label::of(line).map(|(label, said)| (label.to_string(), said));
            assert_eq!(found, Some((label.to_owned(), said)), "{line}");
        }
        for line in [
            "",
            "hello",
            "abcdefghijklm: x",
            "Alice:hello",
            "1: one",
            "12:30 noon",
            "C:\\path",
            "a::b",
            "s://x",
            "a:=b",
            "[A: x",
            "<A] x",
            "A] x",
            "Host ABC: x",
            ": x",
        ] {
            assert_eq!(Label::of(line), None, "{line}");
        }
    }

    #[test]
    fn a_label_of_one_letter_is_told_from_a_word() {
        for (line, is_one) in [("A: x", true), ("[B] x", true), ("x> y", true), ("Note: x", false), ("A x", false)] {
            assert_eq!(is_letter(line), is_one, "{line}");
        }
    }

    #[test]
    fn the_word_before_an_example_goes_only_where_a_label_follows() {
        for (line, behind) in [
            ("Example:    A: x", "A: x"),
            ("Example: [A] x", "[A] x"),
            ("Example: this one", "Example: this one"),
            ("Examples: A: x", "Examples: A: x"),
        ] {
            assert_eq!(behind_example(line), behind, "{line}");
        }
    }
}
