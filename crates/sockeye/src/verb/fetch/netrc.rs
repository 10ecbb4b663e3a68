//! The file in which people keep whom they are to which machine (ftp(1), "The .netrc file").

use std::iter::Peekable;
use std::str::Chars;

/// Who to be to a host, by the first entry that is for it: `machine HOST`, or `default`, which is for every other.
///
/// # Errors
/// The line that is none of such a file, and what is wrong with it; never what stands there.
pub fn look_up(text: &str, host: &str) -> Result<Option<(String, String)>, String> {
    let mut words = Words { rest: text.chars().peekable(), line: 1 };
    let mut entry: Option<Entry> = None;
    while let Some(word) = words.next()? {
        match word.as_str() {
            "machine" | "default" => {
                if let Some(found) = entry.take().and_then(Entry::whole) {
                    return Ok(Some(found));
                }
                let is_for_us = word == "default" || words.value("machine")?.eq_ignore_ascii_case(host);
                entry = Some(Entry { is_for_us, ..Entry::default() });
            }
            "login" | "password" | "account" => {
                let value = words.value(&word)?;
                match (&mut entry, word.as_str()) {
                    (None, _) => return Err(format!("line {}: `{word}` without a machine", words.line)),
                    (Some(entry), "login") => entry.login = Some(value),
                    (Some(entry), "password") => entry.password = Some(value),
                    _ => {}
                }
            }
            "macdef" => words.skip_macro(),
            // It may be a password that somebody wrote without quotes.
            _ => return Err(format!("line {}: neither machine, default, login nor password", words.line)),
        }
    }
    Ok(entry.and_then(Entry::whole))
}

#[derive(Default)]
struct Entry {
    is_for_us: bool,
    login: Option<String>,
    password: Option<String>,
}

impl Entry {
    fn whole(self) -> Option<(String, String)> {
        let login = self.login.filter(|_| self.is_for_us)?;
        Some((login, self.password.unwrap_or_default()))
    }
}

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<String>, String> {
        loop {
            match self.rest.peek() {
                None => return Ok(None),
                Some('#') => while self.rest.next_if(|&next| next != '\n').is_some() {},
                Some(next) if next.is_whitespace() => drop(self.taken()),
                Some('"') => return self.quoted().map(Some),
                Some(_) => break,
            }
        }
        let mut word = String::new();
        while let Some(next) = self.rest.next_if(|next| !next.is_whitespace()) {
            word.push(next);
        }
        Ok(Some(word))
    }

    /// Values may begin with a #, as passwords do.
    fn value(&mut self, of: &str) -> Result<String, String> {
        while self.rest.peek().is_some_and(|next| next.is_whitespace()) {
            self.taken();
        }
        if self.rest.peek() == Some(&'"') {
            return self.quoted();
        }
        let mut word = String::new();
        while let Some(next) = self.rest.next_if(|next| !next.is_whitespace()) {
            word.push(next);
        }
        if word.is_empty() { Err(format!("line {}: `{of}` without a value", self.line)) } else { Ok(word) }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let began = self.line;
        let unclosed = || format!("line {began}: a quote is never closed");
        self.taken();
        let mut word = String::new();
        loop {
            match self.taken().ok_or_else(unclosed)? {
                '"' => return Ok(word),
                '\\' => word.push(self.taken().ok_or_else(unclosed)?),
                other => word.push(other),
            }
        }
    }

    /// Commands of ftp(1), up to an empty line.
    fn skip_macro(&mut self) {
        while let Some(next) = self.taken() {
            if next == '\n' && self.rest.peek() == Some(&'\n') {
                return;
            }
        }
    }

    fn taken(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_for_a_machine_counts_and_default_is_for_the_others() {
        let text = "# mine\nmachine a login ann password s1 machine b\n\tlogin bob\n\taccount x\n\tpassword \"a \\\"b\"\n\
            macdef init\nmachine a login not password me\n\nmachine a login late password x\n\
            machine n login nobody\nmachine p password #only\ndefault login anonymous password me@here\n";
        for (host, expected) in
            [("a", ("ann", "s1")), ("B", ("bob", "a \"b")), ("n", ("nobody", "")), ("other", ("anonymous", "me@here"))]
        {
            let expected = Some((expected.0.to_owned(), expected.1.to_owned()));
            assert_eq!(look_up(text, host), Ok(expected), "{host}");
        }
        assert_eq!(look_up("machine a login b password c", "other"), Ok(None));
        assert_eq!(look_up("", "a"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_what_stands_there() {
        for (text, says) in [
            ("machine a\nlogin b\nsecret", "line 3: neither machine, default, login nor password"),
            ("login b", "line 1: `login` without a machine"),
            ("machine a login b password", "line 1: `password` without a value"),
            ("machine a login \"b\n", "line 1: a quote is never closed"),
        ] {
            assert_eq!(look_up(text, "a"), Err(says.to_owned()));
        }
    }
}
