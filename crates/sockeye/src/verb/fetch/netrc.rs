//! The file in which people keep whom they are to which machine (ftp(1), "The .netrc file").
//!
//! ```
//! use sockeye::verb::fetch::netrc::look_up;
//!
//! let found = look_up("machine example.org login ann password secret", "example.org", None)?;
//! assert_eq!(found, Some(("ann".to_owned(), "secret".to_owned())));
//! # Ok::<(), sockeye::verb::fetch::netrc::NetrcError>(())
//! ```

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// Who to be to a host, by the first entry that is for it, and for that user if one is known already: `machine HOST`, or
/// `default`, which is for every other. Words that mean nothing are passed over, as curl does.
///
/// # Errors
/// A line is none of such a file.
pub fn look_up(text: &str, host: &str, user: Option<&str>) -> Result<Option<(String, String)>, NetrcError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut words = Words { rest: text.chars().peekable(), line: 1 };
    let mut entry = Entry::default();
    while let Some(word) = words.next()? {
        // In any letters, as curl has it.
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "machine" | "default" => {
                if let Some(found) = std::mem::take(&mut entry).whole(user) {
                    return Ok(Some(found));
                }
                entry.is_for_us = word == "default" || is_same(&words.value("machine")?, host);
            }
            "login" => entry.login = Some(words.value("login")?),
            "password" => entry.password = Some(words.value("password")?),
            "account" => drop(words.value("account")?),
            "macdef" => words.skip_macro(),
            // It may be a password that was written without quotes: not a word about it.
            _ => {}
        }
    }
    Ok(entry.whole(user))
}

/// A line that does not belong into such a file. What stands there is not told: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetrcError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for NetrcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for NetrcError {}

fn is_same(machine: &str, host: &str) -> bool {
    let bare = |name: &str| name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    bare(machine) == bare(host)
}

#[derive(Default)]
struct Entry {
    is_for_us: bool,
    login: Option<String>,
    password: Option<String>,
}

impl Entry {
    fn whole(self, user: Option<&str>) -> Option<(String, String)> {
        if !self.is_for_us {
            return None;
        }
        let password = self.password.unwrap_or_default();
        match (self.login, user) {
            // An entry without a login is for any user.
            (login, Some(user)) => login.is_none_or(|login| login == user).then(|| (user.to_owned(), password)),
            (login, None) => Some((login?, password)),
        }
    }
}

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<String>, NetrcError> {
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
    fn value(&mut self, of: &str) -> Result<String, NetrcError> {
        let line = self.line;
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
        if word.is_empty() {
            return Err(NetrcError { line, what: format!("`{of}` without a value") });
        }
        Ok(word)
    }

    fn quoted(&mut self) -> Result<String, NetrcError> {
        let line = self.line;
        let unclosed = || NetrcError { line, what: "a quote is never closed".to_owned() };
        self.taken();
        let mut word = String::new();
        loop {
            match self.taken().ok_or_else(unclosed)? {
                '"' => return Ok(word),
                '\\' => word.push(match self.taken().ok_or_else(unclosed)? {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    other => other,
                }),
                other => word.push(other),
            }
        }
    }

    /// Commands of ftp(1), up to an empty line.
    fn skip_macro(&mut self) {
        let mut is_empty = false;
        while let Some(next) = self.taken() {
            match next {
                '\n' if is_empty => return,
                '\n' => is_empty = true,
                '\r' => {}
                _ => is_empty = false,
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
            assert_eq!(look_up(text, host, None), Ok(expected), "{host}");
        }
        assert_eq!(look_up("machine a login b password c", "other", None), Ok(None));
        assert_eq!(look_up("", "a", None), Ok(None));
    }

    #[test]
    fn a_user_who_is_known_gets_the_password_of_their_own_entry() {
        let text = "machine a login ann password s1\nmachine a login bob password s2\nmachine b password s3\n\
            machine c login ann password s4\ndefault login bob password s5";
        for (host, user, password) in [
            ("a", "ann", Some("s1")),
            ("a", "bob", Some("s2")),
            ("a", "eve", None),
            ("b", "eve", Some("s3")),
            ("c", "bob", Some("s5")),
            ("d", "bob", Some("s5")),
            ("d", "ann", None),
        ] {
            let expected = password.map(|password| (user.to_owned(), password.to_owned()));
            assert_eq!(look_up(text, host, Some(user)), Ok(expected), "{host} {user}");
        }
        assert_eq!(look_up(text, "b", None).unwrap().unwrap().1, "s5");
    }

    #[test]
    fn oddities_that_other_tools_take_are_taken() {
        for (text, login, password) in [
            ("machine a\r\nlogin b\r\npassword c\r\n", "b", "c"),
            ("macdef init\r\nmachine a login x\r\n\r\nmachine a login b password c", "b", "c"),
            ("macdef init\n machine a login x password y\n\nmachine a login b password c", "b", "c"),
            ("machine a login b password \"c\\td\\n\\\\\\\"\"", "b", "c\td\n\\\""),
            ("machine\ta\tlogin\tb\tpassword\tc", "b", "c"),
            ("machine a port 80 login b protocol https password c", "b", "c"),
            ("login x password y\nmachine a login b password c", "b", "c"),
            ("machine a login b password my secret words", "b", "my"),
            ("\u{feff}machine A. login b password c", "b", "c"),
            ("# machine a login x\nmachine a # comment\nlogin b password #c", "b", "#c"),
            ("machine a account z login b password c account y", "b", "c"),
            ("MACHINE a Login b\nPASSWORD c", "b", "c"),
            ("MacDef x\nmachine a login x password y\n\nDEFAULT login b password C", "b", "C"),
        ] {
            let expected = Some((login.to_owned(), password.to_owned()));
            assert_eq!(look_up(text, "a", None), Ok(expected), "{text}");
        }
        assert_eq!(look_up("machine [::1] login b password c", "::1", None).unwrap().unwrap().0, "b");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_what_stands_there() {
        for (text, says) in [
            ("machine a login b password", "line 1: `password` without a value"),
            ("machine a login b\nmachine", "line 2: `machine` without a value"),
            ("machine a login\n\n\n", "line 1: `login` without a value"),
            ("machine a login \"b\n", "line 1: a quote is never closed"),
        ] {
            assert_eq!(look_up(text, "c", None).unwrap_err().to_string(), says);
        }
    }
}
