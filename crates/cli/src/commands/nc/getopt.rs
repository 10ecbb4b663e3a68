//! Short flags as getopt(3) of the C library takes them. No parser of the kind that other verbs use is exact here: words and
//! flags may be mixed, `-w2`, `-vzw2` and `-w 2` are the same, and what is wrong is said in getopt's words.

/// One step through the command line.
pub(super) enum Step<'a> {
    /// A flag, with its value if it takes one.
    Flag(u8, &'a [u8]),
    /// What getopt says of a flag that is none, or has no value.
    Wrong(Vec<u8>),
}

/// The flags of a command line in their order, and the words that are no flags.
pub(super) struct Flags<'a> {
    program: &'a [u8],
    words: std::slice::Iter<'a, Vec<u8>>,
    /// The letters; `:` behind one that takes a value.
    known: &'a [u8],
    /// What is left of a word of flags.
    rest: &'a [u8],
    /// With POSIXLY_CORRECT in the environment, the first word that is no flag ends them.
    stops_at_word: bool,
    pub(super) operands: Vec<&'a [u8]>,
}

impl<'a> Flags<'a> {
    pub(super) fn new(program: &'a [u8], words: &'a [Vec<u8>], known: &'a str, stops_at_word: bool) -> Self {
        Self { program, words: words.iter(), known: known.as_bytes(), rest: b"", stops_at_word, operands: Vec::new() }
    }

    fn wrong(&self, what: &str, letter: u8) -> Step<'a> {
        Step::Wrong([self.program, b": ", what.as_bytes(), b" -- '", &[letter], b"'\n"].concat())
    }

    fn take_rest(&mut self) {
        self.operands.extend(self.words.by_ref().map(Vec::as_slice));
    }
}

impl<'a> Iterator for Flags<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        while self.rest.is_empty() {
            match self.words.next()?.as_slice() {
                b"--" => {
                    self.take_rest();
                    return None;
                }
                [b'-', flags @ ..] if !flags.is_empty() => self.rest = flags,
                word => {
                    self.operands.push(word);
                    if self.stops_at_word {
                        self.take_rest();
                        return None;
                    }
                }
            }
        }
        let (letter, rest) = self.rest.split_first()?;
        self.rest = rest;
        let place = self.known.iter().position(|known| known == letter).filter(|_| !b":;".contains(letter));
        let Some(place) = place else { return Some(self.wrong("invalid option", *letter)) };
        if self.known.get(place + 1) != Some(&b':') {
            return Some(Step::Flag(*letter, b""));
        }
        let value = match std::mem::take(&mut self.rest) {
            b"" => match self.words.next() {
                Some(value) => value,
                None => return Some(self.wrong("option requires an argument", *letter)),
            },
            value => value,
        };
        Some(Step::Flag(*letter, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, stops_at_word: bool) -> (Vec<String>, Vec<String>) {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let mut flags = Flags::new(b"nc", &words, "lvzw:", stops_at_word);
        let mut said = Vec::new();
        for step in flags.by_ref() {
            said.push(match step {
                Step::Flag(letter, value) => format!("{}{}", letter as char, String::from_utf8_lossy(value)),
                Step::Wrong(words) => String::from_utf8(words).unwrap(),
            });
        }
        (said, flags.operands.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    }

    #[test]
    fn flags_are_read_together_apart_and_between_words() {
        for line in ["-vzw2 h 1", "-v -z -w 2 h 1", "h -vz 1 -w2", "h 1 -vzw 2", "-vz -w2 -- h 1"] {
            let expected = (vec!["v", "z", "w2"], vec!["h", "1"]);
            let (flags, words) = read(line, false);
            assert_eq!(
                (flags.iter().map(String::as_str).collect(), words.iter().map(String::as_str).collect()),
                expected
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_the_c_library_says_it() {
        assert_eq!(read("-y", false).0, ["nc: invalid option -- 'y'\n"]);
        assert_eq!(read("--help", false).0[0], "nc: invalid option -- '-'\n");
        assert_eq!(read("-:", false).0, ["nc: invalid option -- ':'\n"]);
        assert_eq!(read("-vw", false).0, ["v", "nc: option requires an argument -- 'w'\n"]);
    }

    #[test]
    fn a_dash_alone_is_a_word_and_two_end_the_flags() {
        assert_eq!(read("- -v", false), (vec!["v".to_owned()], vec!["-".to_owned()]));
        assert_eq!(read("-- -v", false), (vec![], vec!["-v".to_owned()]));
        assert_eq!(read("h -v", true), (vec![], vec!["h".to_owned(), "-v".to_owned()]));
    }
}
