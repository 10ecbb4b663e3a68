//! Payloads: text or hex with holes in it.

mod hex;
mod pattern_meant;

use hex::{HexError, hex_bytes};
use pattern_meant::{pattern_meant, regex_meant};

use super::size::MOST;
use super::{Hole, Pattern, Sample, Template, TemplatePart, TemplatePartKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::number::Number;
use crate::number::is_digits;
use crate::pattern::{Expressions, MOST_BYTES};

/// Where a payload stands: its line, and the column of its first character.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Reads a text payload. A `{` that does not begin a hole is just a `{`.
pub(super) fn text(payload: &str, at: At, expressions: &mut Expressions, findings: &mut Vec<Diagnostic>) -> Template {
    Reader::new(payload, at, expressions, findings, Notation::Text).template()
}

/// Reads a hex payload: pairs of digits, spaces wherever one likes, holes.
pub(super) fn hex(payload: &str, at: At, expressions: &mut Expressions, findings: &mut Vec<Diagnostic>) -> Template {
    Reader::new(payload, at, expressions, findings, Notation::Hex).template()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    Text,
    Hex,
}

impl Notation {
    /// Whether a text is one hole that may stand on such a line.
    fn takes(self, hole: &str) -> bool {
        let (mut expressions, mut findings) = (Expressions::default(), Vec::new());
        let template = Reader::new(hole, At { line: 1, column: 1 }, &mut expressions, &mut findings, self).template();
        findings.is_empty() && matches!(&template.parts[..], [TemplatePart { kind: TemplatePartKind::Hole(_), .. }])
    }
}

/// Longest text behind the colon of a hole, in bytes, whose own braces are looked for.
const MOST_BRACED: usize = 200;

struct Reader<'a> {
    characters: Vec<char>,
    position: usize,
    at: At,
    expressions: &'a mut Expressions,
    findings: &'a mut Vec<Diagnostic>,
    notation: Notation,
    parts: Vec<TemplatePart>,
    /// The last part is text that may grow.
    is_text: bool,
}

/// What is wrong inside a hole; the place is the hole's.
struct Broken {
    message: String,
    help: String,
}

fn broken(message: impl Into<String>, help: impl Into<String>) -> Broken {
    Broken { message: message.into(), help: help.into() }
}

impl<'a> Reader<'a> {
    fn new(
        payload: &str,
        at: At,
        expressions: &'a mut Expressions,
        findings: &'a mut Vec<Diagnostic>,
        notation: Notation,
    ) -> Self {
        Self {
            characters: payload.chars().collect(),
            position: 0,
            at,
            expressions,
            findings,
            notation,
            parts: Vec::new(),
            is_text: false,
        }
    }

    fn template(mut self) -> Template {
        // Of a line that alone is too large no more is read: it is refused.
        while let Some(&next) = self.characters.get(self.position)
            && self.parts.len() <= MOST
            && !self.expressions.is_full()
        {
            let start = self.position;
            if next == '{' && self.hole_begins() {
                match self.hole() {
                    Ok(kind) => self.push(start, kind),
                    Err(Broken { message, help }) => {
                        let place = self.place(start, self.position.max(start + 1));
                        self.findings.push(Diagnostic::error(place, message).help(help));
                    }
                }
            } else if self.notation == Notation::Hex {
                self.hex_run();
            } else {
                self.position += 1;
                self.push(start, TemplatePartKind::Literal(next.to_string().into_bytes()));
            }
        }
        // A large transcript has hundreds of thousands of them.
        for part in &mut self.parts {
            if let TemplatePartKind::Literal(bytes) = &mut part.kind {
                bytes.shrink_to_fit();
            }
        }
        self.parts.shrink_to_fit();
        Template { parts: self.parts }
    }

    /// Whether a hole begins here: `{0x`, or `{`, a name, and one of `:`, `=` and `}`.
    fn hole_begins(&self) -> bool {
        let rest = &self.characters[self.position + 1..];
        if rest.starts_with(&['0', 'x']) {
            return true;
        }
        let name = name_length(rest);
        name > 0 && matches!(rest.get(name), Some(':' | '=' | '}'))
    }

    /// Reads the hole that begins here, to behind its `}`.
    fn hole(&mut self) -> Result<TemplatePartKind, Broken> {
        self.position += 1;
        if self.characters[self.position..].starts_with(&['0', 'x']) {
            self.position += 2;
            let digits = self.take_until(&['}']);
            let bytes = self.closed(hex_bytes(&digits))?;
            return Ok(TemplatePartKind::Literal(bytes));
        }
        let length = name_length(&self.characters[self.position..]);
        let name: String = self.characters[self.position..self.position + length].iter().collect();
        self.position += length;
        let pattern = if self.next_is(':') { self.pattern(&name)? } else { Pattern::Any };
        let mut defaults = Vec::new();
        let mut goes_on = false;
        if self.next_is('=') {
            loop {
                let default = self.default(&pattern)?;
                goes_on |= self.characters.get(self.position - 1) == Some(&'…');
                if defaults.len() <= MOST {
                    defaults.push(default);
                }
                if !self.next_is('|') {
                    break;
                }
            }
        }
        if !self.next_is('}') {
            return Err(unfinished(&name));
        }
        let is_repeated = goes_on && self.is_repeated(&name, &pattern, &mut defaults)?;
        let fits = |default: &&Sample| match &pattern {
            Pattern::Number(number) => number.write(&default.bytes).is_some(),
            pattern => is_repeated || pattern.accepts(&default.bytes),
        };
        if let Some(wrong) = defaults.iter().find(|default| !fits(default)) {
            let shown = String::from_utf8_lossy(&wrong.bytes).into_owned();
            let help = match &pattern {
                Pattern::Number(number) => format!("the default of a number is decimal digits, and fits into {number}"),
                Pattern::Bytes(count) if wrong.bytes.len() < *count => {
                    format!(
                        "to say it again and again up to {count} bytes, write `…` behind it: {{{name}:{count} bytes={shown}…}}"
                    )
                }
                Pattern::Regex(..) if !shown.is_ascii() => {
                    "a regex sees bytes, and a letter outside ASCII is several: `.+` takes it, `.` and `\\w` do not"
                        .to_owned()
                }
                _ => "a line is heard by one side and said by the other: let the default be an example of the pattern"
                    .to_owned(),
            };
            let message = if shown.is_empty() {
                format!("the default of {{{name}}} is empty, and does not fit its own pattern")
            } else {
                format!("the default `{shown}` of {{{name}}} does not fit its own pattern")
            };
            return Err(broken(message, help));
        }
        Ok(TemplatePartKind::Hole(Hole { name, pattern, defaults, is_repeated }))
    }

    /// Whether the `…` behind a default means that it is said again and again. Where it would not have been an error before
    /// that meant something, it is text.
    fn is_repeated(&mut self, name: &str, pattern: &Pattern, defaults: &mut [Sample]) -> Result<bool, Broken> {
        let dots = '…'.len_utf8();
        let is_text = match pattern {
            Pattern::Bytes(count) => {
                self.notation == Notation::Text && defaults.iter().all(|one| one.bytes.len() == *count)
            }
            Pattern::BytesOf(_) => false,
            _ if self.notation == Notation::Text => true,
            _ => {
                return Err(broken(
                    "`…` says a default again and again, up to a length",
                    format!("write {{{name}:16 bytes=00…}}"),
                ));
            }
        };
        if is_text {
            return Ok(false);
        }
        let [default] = defaults else {
            return Err(broken(
                "a default that is repeated stands alone",
                format!("write one: {{{name}:16 bytes=a…}}"),
            ));
        };
        if self.notation == Notation::Text {
            default.bytes.truncate(default.bytes.len() - dots);
        }
        if default.bytes.is_empty() {
            return Err(broken("nothing stands before `…`", format!("write what is repeated: {{{name}:16 bytes=a…}}")));
        }
        Ok(true)
    }

    fn pattern(&mut self, name: &str) -> Result<Pattern, Broken> {
        if self.next_is('/') {
            return self.regex(name);
        }
        let mut written = self.take_until(&['=', '}']);
        // `[0-9]{3}` and `{size} bytes` have braces of their own.
        while written.len() < MOST_BRACED
            && written.matches('{').count() > written.matches('}').count()
            && self.characters.get(self.position) == Some(&'}')
            && self.characters[self.position + 1..].contains(&'}')
        {
            self.position += 1;
            written = format!("{written}}}{}", self.take_until(&['=', '}']));
        }
        let wrong = |reader: &mut Self, message: String, help: String| {
            reader.skip_hole();
            Err(broken(message, help))
        };
        match written.as_str() {
            "word" => return Ok(Pattern::Word),
            "int" => return Ok(Pattern::Int),
            _ => {}
        }
        if let Some(number) = Number::named(&written) {
            return Ok(Pattern::Number(number));
        }
        let Some(count) = written.strip_suffix(" bytes") else {
            let all =
                "a pattern is `word`, `int`, `/regex/`, `8 bytes`, `size bytes`, or a number such as `u16` or `hex`";
            let default = self.default_as_written();
            let meant = pattern_meant(name, &written, &default, |hole| self.notation.takes(hole));
            let help = meant.map_or_else(|| all.to_owned(), |meant| format!("{meant}; {all}"));
            let message = match written.as_str() {
                "" => "no pattern stands behind the colon".to_owned(),
                _ => format!("`{written}` is not a pattern"),
            };
            return wrong(self, message, help);
        };
        let characters: Vec<char> = count.chars().collect();
        if is_digits(count) {
            return match count.parse::<usize>() {
                Ok(count) if count <= MOST_BYTES => Ok(Pattern::Bytes(count)),
                _ => {
                    wrong(self, "a hole holds at most 16 MiB".to_owned(), format!("write {MOST_BYTES} bytes or fewer"))
                }
            };
        }
        if name_length(&characters) == characters.len() && count != "_" && !count.is_empty() {
            return Ok(Pattern::BytesOf(count.to_owned()));
        }
        // `{{size} bytes}`, `{$size bytes}`.
        let bare = count.trim_matches(['{', '}', '$', '(', ')', ' ']);
        let hole = format!("{{{name}:{bare} bytes{}}}", self.default_as_written());
        let help = match bare != count && bare.len() < MOST_BRACED && self.notation.takes(&hole) {
            true => format!("write `{hole}`"),
            false => "write a number of bytes, or the name that holds it: {body:size bytes}".to_owned(),
        };
        wrong(self, format!("`{count}` is neither a number nor a name"), help)
    }

    /// `/…/`, to the next slash; braces inside are the expression's own.
    fn regex(&mut self, name: &str) -> Result<Pattern, Broken> {
        let written = self.take_until(&['/']);
        if !self.next_is('/') {
            return Err(broken("the regex is not finished", "end it with / and the hole with }"));
        }
        let regex = self.expressions.compiled(&written);
        if !matches!(self.characters.get(self.position), Some('=' | '}')) {
            let behind = self.take_until(&['}']);
            self.next_is('}');
            let help = regex_meant(name, &written, &behind);
            return Err(broken("behind its regex a hole has `=` or `}`", help));
        }
        match regex {
            Ok(regex) => Ok(Pattern::Regex(regex)),
            Err(error) => {
                self.skip_hole();
                Err(broken(error.to_string(), error.help()))
            }
        }
    }

    /// One default: to the next `|` or `}`, with `{0x…}` read as bytes; on hex lines pairs of digits.
    fn default(&mut self, pattern: &Pattern) -> Result<Sample, Broken> {
        let in_hex = self.notation == Notation::Hex && !matches!(pattern, Pattern::Number(_));
        let start = self.position;
        let mut bytes = Vec::new();
        let mut digits = String::new();
        loop {
            match self.characters.get(self.position) {
                None => break,
                Some('|' | '}') => break,
                Some('{') if self.characters[self.position + 1..].starts_with(&['0', 'x']) => {
                    self.position += 3;
                    let escaped = self.take_until(&['}']);
                    bytes.extend(self.closed(hex_bytes(&escaped))?);
                }
                Some(&other) => {
                    self.position += 1;
                    digits.push(other);
                    if !in_hex {
                        bytes.extend(other.to_string().bytes());
                    }
                }
            }
        }
        if in_hex {
            bytes = hex_bytes(digits.trim_end_matches('…')).map_err(|error| {
                self.skip_hole();
                broken(error.to_string(), "on a hex line a default is pairs of hex digits, as in {flag:1 bytes=00}")
            })?;
        }
        Ok(Sample { place: self.place(start, self.position), bytes })
    }

    fn push(&mut self, start: usize, kind: TemplatePartKind) {
        let place = self.place(start, self.position);
        // Single characters of text grow into one part; bytes from {0x…} stay apart so that columns stay true.
        if let (
            TemplatePartKind::Literal(more),
            Some(TemplatePart { place: last, kind: TemplatePartKind::Literal(bytes) }),
        ) = (&kind, self.parts.last_mut())
            && place.width == 1
            && self.is_text
        {
            bytes.extend_from_slice(more);
            last.width += 1;
            return;
        }
        self.is_text = place.width == 1 && matches!(kind, TemplatePartKind::Literal(_));
        self.parts.push(TemplatePart { place, kind });
    }

    fn place(&self, from: usize, to: usize) -> Span {
        Span { line: self.at.line, column: self.at.column + from, width: to.saturating_sub(from) }
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let found = self.characters.get(self.position) == Some(&wanted);
        self.position += usize::from(found);
        found
    }

    fn take_until(&mut self, ends: &[char]) -> String {
        let rest = &self.characters[self.position..];
        let length = rest.iter().position(|c| ends.contains(c)).unwrap_or(rest.len());
        self.position += length;
        rest[..length].iter().collect()
    }

    /// What stands from here to the end of the hole: `=`, and its defaults.
    fn default_as_written(&self) -> String {
        let rest = &self.characters[self.position..];
        let mut escaped = false;
        let end = rest.iter().enumerate().position(|(at, c)| match c {
            '{' => {
                escaped |= rest[at + 1..].starts_with(&['0', 'x']);
                false
            }
            '}' => !std::mem::take(&mut escaped),
            _ => false,
        });
        end.map_or(String::new(), |end| rest[..end].iter().collect())
    }

    fn skip_hole(&mut self) {
        self.take_until(&['}']);
        self.next_is('}');
    }

    /// The bytes of a `{0x…}` if it is well formed and closed.
    fn closed(&mut self, bytes: Result<Vec<u8>, HexError>) -> Result<Vec<u8>, Broken> {
        let closed = self.next_is('}');
        match bytes {
            Err(error) => Err(broken(error.to_string(), "write pairs of hex digits: {0x0d0a}")),
            Ok(bytes) if bytes.is_empty() => Err(broken("{0x} names no byte", "write pairs of hex digits: {0x0d0a}")),
            Ok(_) if !closed => Err(unfinished("0x…")),
            Ok(bytes) => Ok(bytes),
        }
    }
}

fn unfinished(name: &str) -> Broken {
    broken(format!("the hole {{{name} is not finished"), "close it with }, or write {0x7b} for a { that is text")
}

/// The length of the name at the beginning, 0 if there is none.
pub(super) fn name_length(characters: &[char]) -> usize {
    match characters.first() {
        Some(first) if *first == '_' || first.is_ascii_alphabetic() => {
            characters.iter().take_while(|c| **c == '_' || c.is_ascii_alphanumeric()).count()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &str) -> (Template, Vec<String>) {
        let mut findings = Vec::new();
        let template = text(payload, At { line: 1, column: 4 }, &mut Expressions::default(), &mut findings);
        (template, findings.into_iter().map(|finding| format!("{}: {}", finding.column, finding.message)).collect())
    }

    fn literals(template: &Template) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &template.parts {
            if let TemplatePartKind::Literal(more) = &part.kind {
                bytes.extend_from_slice(more);
            }
        }
        bytes
    }

    #[test]
    fn braces_that_begin_no_hole_are_text() {
        for text in ["{\"ok\":true}", "{ }", "{}", "a { b", "{1}", "{na me}", "${", "{é}"] {
            let (template, findings) = read(text);
            assert_eq!(findings, Vec::<String>::new(), "{text}");
            assert_eq!(literals(&template), text.as_bytes(), "{text}");
            assert_eq!(template.parts.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_hole_has_a_name_a_pattern_and_defaults() {
        let (template, findings) = read("+OK {count:int=2|-3} {_=a{0x7c}b}{0x20}");
        assert_eq!(findings, Vec::<String>::new());
        let TemplatePartKind::Hole(count) = &template.parts[1].kind else { panic!("a hole") };
        assert_eq!((count.name.as_str(), &count.pattern), ("count", &Pattern::Int));
        assert_eq!(count.defaults.iter().map(|d| d.bytes.as_slice()).collect::<Vec<_>>(), [b"2".as_slice(), b"-3"]);
        assert_eq!(template.parts[1].place, Span { line: 1, column: 8, width: 16 });
        assert_eq!(count.defaults[1].place, Span { line: 1, column: 21, width: 2 });
        let TemplatePartKind::Hole(rest) = &template.parts[3].kind else { panic!("a hole") };
        assert_eq!(rest.defaults[0].bytes, b"a|b");
        assert_eq!(template.parts[4].kind, TemplatePartKind::Literal(b" ".to_vec()));
    }

    #[test]
    fn a_regex_has_its_own_braces_and_ends_at_a_slash() {
        let (template, findings) = read("a {code:/[0-9]{3}|x\\x2f/=250} b");
        assert_eq!(findings, Vec::<String>::new());
        let TemplatePartKind::Hole(code) = &template.parts[1].kind else { panic!("a hole") };
        let Pattern::Regex(regex) = &code.pattern else { panic!("a regex") };
        assert_eq!(regex.source(), "[0-9]{3}|x\\x2f");
        assert!(regex.matches(b"x/") && regex.matches(b"250") && !regex.matches(b"25"));
        assert_eq!(literals(&template), b"a  b");
        let (template, findings) = read("{a:/b}c/=b{0x7d}c}");
        assert_eq!((template.parts.len(), findings), (1, vec![]), "a brace in a regex is its own");
    }

    #[test]
    fn what_begins_as_a_hole_must_be_finished_as_one() {
        assert_eq!(read("x {name=abc").1, ["6: the hole {name is not finished"]);
        assert_eq!(read("{0x0").1, ["4: `0` has half a byte too many"]);
        assert_eq!(read("{0xzz}").1, ["4: `z` is not a hex digit"]);
        assert_eq!(read("{0x}").1, ["4: {0x} names no byte"]);
        assert_eq!(read("{a:nonsense}").1, ["4: `nonsense` is not a pattern"]);
        assert_eq!(read("{a:/[/=x}").1, ["4: the regex is not well formed: unclosed character class"]);
        assert_eq!(read("{a:/b").1, ["4: the regex is not finished"]);
        assert_eq!(read("{a:/b/c}").1, ["4: behind its regex a hole has `=` or `}`"]);
        assert_eq!(read("{a:1x bytes}").1, ["4: `1x` is neither a number nor a name"]);
        assert_eq!(read("{a:int=x}").1, ["4: the default `x` of {a} does not fit its own pattern"]);
    }

    #[test]
    fn hex_lines_hold_pairs_and_holes() {
        let mut findings = Vec::new();
        let template =
            hex("20 02 {flag:1 bytes=00} 0 0", At { line: 1, column: 8 }, &mut Expressions::default(), &mut findings);
        assert_eq!(findings[0].message, "`0` is half a byte");
        for (text, help) in [
            ("{0d0a}", "write these bytes without braces: 0d 0a"),
            ("61 {0D 0A} 62", "write these bytes without braces: 0d 0a"),
            ("{00}", "write these bytes without braces: 00"),
            ("{0}", "a hole begins with { and a name: {size:4 bytes}"),
            ("{}", "a hole begins with { and a name: {size:4 bytes}"),
        ] {
            let mut findings = Vec::new();
            hex(text, At { line: 1, column: 8 }, &mut Expressions::default(), &mut findings);
            assert_eq!(findings[0].help.as_deref(), Some(help), "{text}");
        }
        let TemplatePartKind::Hole(flag) = &template.parts[1].kind else { panic!("a hole") };
        assert_eq!((&flag.pattern, flag.defaults[0].bytes.as_slice()), (&Pattern::Bytes(1), [0].as_slice()));
    }
}
