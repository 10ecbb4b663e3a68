//! Regular expressions of the linear-time kind (Thompson's construction, simulated): whatever a peer sends, each byte is
//! looked at once for each place in the expression. They match bytes, from the first to the last.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Longest expression, in bytes.
const LONGEST: usize = 10 * 1024;
/// Most instructions that an expression may become: `(a{1000}){1000}` is a short text.
const MOST_STATES: usize = 20_000;

/// An expression made ready.
#[derive(Debug)]
pub(crate) struct Regex {
    source: String,
    states: Vec<State>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

#[derive(Debug)]
enum State {
    /// One byte within one of the ranges, then the next state.
    Byte(Vec<(u8, u8)>),
    /// Nothing is read: the way goes on at both.
    Split(usize, usize),
    Jump(usize),
    /// Goes on if this holds between two bytes.
    Look(Look),
    Match,
}

impl Regex {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without its place.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("a regex of {} bytes is longer than {LONGEST}", source.len()));
        }
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        let tree = parser.parse(source).map_err(|error| match error {
            regex_syntax::Error::Parse(error) => format!("the regex is not well formed: {}", error.kind()),
            regex_syntax::Error::Translate(error) => format!("the regex cannot match bytes: {}", error.kind()),
            _ => "the regex is not well formed".to_owned(),
        })?;
        let mut states = Vec::new();
        build(&tree, &mut states)?;
        states.push(State::Match);
        Ok(Self { source: source.to_owned(), states })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches the bytes from end to end.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        let (mut now, mut next) = (Places::new(self.states.len()), Places::new(self.states.len()));
        let mut open = Vec::new();
        self.reach(0, bytes, 0, &mut now, &mut open);
        for (at, &byte) in bytes.iter().enumerate() {
            if now.list.is_empty() {
                return false;
            }
            next.clear();
            for &place in &now.list {
                if let State::Byte(ranges) = &self.states[place]
                    && ranges.iter().any(|&(from, to)| (from..=to).contains(&byte))
                {
                    self.reach(place + 1, bytes, at + 1, &mut next, &mut open);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.list.iter().any(|&place| matches!(self.states[place], State::Match))
    }

    /// Every state that can be reached from one without reading.
    fn reach(&self, from: usize, bytes: &[u8], at: usize, places: &mut Places, open: &mut Vec<usize>) {
        open.push(from);
        while let Some(place) = open.pop() {
            if !places.insert(place) {
                continue;
            }
            match &self.states[place] {
                State::Byte(_) | State::Match => {}
                State::Split(first, second) => open.extend([*second, *first]),
                State::Jump(to) => open.push(*to),
                State::Look(look) => {
                    if holds(*look, bytes, at) {
                        open.push(place + 1);
                    }
                }
            }
        }
    }
}

/// States that are held at one byte; each once.
struct Places {
    list: Vec<usize>,
    held: Vec<bool>,
}

impl Places {
    fn new(states: usize) -> Self {
        Self { list: Vec::new(), held: vec![false; states] }
    }

    fn insert(&mut self, place: usize) -> bool {
        let new = !std::mem::replace(&mut self.held[place], true);
        if new {
            self.list.push(place);
        }
        new
    }

    fn clear(&mut self) {
        for place in self.list.drain(..) {
            self.held[place] = false;
        }
    }
}

fn holds(look: Look, bytes: &[u8], at: usize) -> bool {
    let word = |index: Option<usize>| {
        index.and_then(|index| bytes.get(index)).is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphanumeric())
    };
    let boundary = || word(at.checked_sub(1)) != word(Some(at));
    match look {
        Look::Start => at == 0,
        Look::End => at == bytes.len(),
        Look::StartLF => at == 0 || bytes[at - 1] == b'\n',
        Look::EndLF => at == bytes.len() || bytes[at] == b'\n',
        Look::WordAscii => boundary(),
        Look::WordAsciiNegate => !boundary(),
        _ => false,
    }
}

fn push(states: &mut Vec<State>, state: State) -> Result<usize, String> {
    if states.len() >= MOST_STATES {
        return Err(format!("the regex grows past {MOST_STATES} states: its repetitions are too large"));
    }
    states.push(state);
    Ok(states.len() - 1)
}

fn build(tree: &Hir, states: &mut Vec<State>) -> Result<(), String> {
    match tree.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => {
            for &byte in &literal.0 {
                push(states, State::Byte(vec![(byte, byte)]))?;
            }
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class.ranges().iter().map(|range| (range.start(), range.end())).collect();
            push(states, State::Byte(ranges))?;
        }
        HirKind::Class(Class::Unicode(class)) => {
            // Without Unicode mode only ASCII is left here.
            let byte = |character: char| u8::try_from(character).map_err(|_| "the regex cannot match bytes".to_owned());
            let ranges: Result<Vec<_>, String> =
                class.ranges().iter().map(|range| Ok((byte(range.start())?, byte(range.end())?))).collect();
            push(states, State::Byte(ranges?))?;
        }
        HirKind::Look(look) => match look {
            Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::WordAscii | Look::WordAsciiNegate => {
                push(states, State::Look(*look))?;
            }
            _ => return Err("the regex uses a boundary that is not known; ^, $, \\b and \\B are".to_owned()),
        },
        HirKind::Capture(capture) => build(&capture.sub, states)?,
        HirKind::Concat(parts) => {
            for part in parts {
                build(part, states)?;
            }
        }
        HirKind::Alternation(ways) => {
            let mut ends = Vec::new();
            for (index, way) in ways.iter().enumerate() {
                if index + 1 == ways.len() {
                    build(way, states)?;
                    break;
                }
                let split = push(states, State::Split(0, 0))?;
                build(way, states)?;
                ends.push(push(states, State::Jump(0))?);
                states[split] = State::Split(split + 1, states.len());
            }
            let after = states.len();
            for end in ends {
                states[end] = State::Jump(after);
            }
        }
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                build(&repetition.sub, states)?;
            }
            match repetition.max {
                None => {
                    let split = push(states, State::Split(0, 0))?;
                    build(&repetition.sub, states)?;
                    push(states, State::Jump(split))?;
                    states[split] = State::Split(split + 1, states.len());
                }
                Some(max) => {
                    let mut splits = Vec::new();
                    for _ in repetition.min..max {
                        splits.push(push(states, State::Split(0, 0))?);
                        build(&repetition.sub, states)?;
                    }
                    let after = states.len();
                    for split in splits {
                        states[split] = State::Split(split + 1, after);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &str, text: &str) -> bool {
        Regex::new(source).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn an_expression_matches_from_end_to_end() {
        for (source, yes, no) in [
            ("[a-z]+", &["a", "abc"][..], &["", "aB", "ab "][..]),
            ("a|bc|", &["a", "bc", ""], &["b", "abc"]),
            ("(ab){2,3}c?", &["abab", "ababab", "ababc"], &["ab", "abababab", "ababcc"]),
            ("x{0}y", &["y"], &["xy"]),
            ("(a*)*b", &["b", "aaab"], &["a", "ba"]),
            (r"\d+\.\d+", &["1.25"], &["1", ".5", "1.2a"]),
            (r"^a.c$", &["abc"], &["a\nc", "abcd"]),
            (r"(?i)hello\b.*", &["HeLLo world", "hello"], &["helloo"]),
            (r"[^\x00-\x1f]*", &["été"], &["a\tb"]),
            (r"a\x2fb", &["a/b"], &["a/c"]),
            ("é+", &["éé"], &["e", "é\u{e8}"]),
        ] {
            for text in yes {
                assert!(matches(source, text), "{source} on {text:?}");
            }
            for text in no {
                assert!(!matches(source, text), "{source} on {text:?}");
            }
        }
        assert!(Regex::new(r"\xff[\x80-\x81]").unwrap().matches(b"\xff\x80"));
    }

    #[test]
    fn what_blows_up_elsewhere_stays_linear_here() {
        assert!(!matches("(a+)+b", &"a".repeat(60_000)));
        assert!(!matches("(a|a|aa)*c", &"a".repeat(60_000)));
    }

    #[test]
    fn a_bad_expression_says_why() {
        for (source, word) in [
            ("(", "unclosed group"),
            ("a{2,1}", "repetition"),
            ("*", "repetition"),
            ("(a{900}){900}", "20000 states"),
            (r"\p{Greek}", "Unicode"),
        ] {
            let message = Regex::new(source).unwrap_err();
            assert!(message.contains(word), "{source}: {message}");
        }
        assert!(Regex::new(&"a".repeat(10_241)).is_err());
    }
}
