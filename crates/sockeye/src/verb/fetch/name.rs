//! The name of the file that a body is saved under if the caller has chosen none: made from the URL that was typed, so that no
//! server has a say in it, and harmless whatever stands there.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use transcript::is_hidden;

use super::Url;
use crate::wire::http::percent_decoded;

/// Longest name of a file, in bytes (NAME_MAX, limits.h).
const LONGEST: usize = 255;

/// A name in the current folder for what a URL leads to; `index.html` if its path has no last part.
#[must_use]
pub fn file_name(url: &Url) -> String {
    let decoded = percent_decoded(url.last_segment());
    safe_name(&String::from_utf8_lossy(&decoded))
}

/// A name in the current folder for a text that may hold anything.
#[must_use]
pub fn safe_name(text: &str) -> String {
    let mut name: String = text.chars().map(harmless).collect();
    // A dot hides a file or leads out of the folder, a dash makes an option of it, a space is not seen.
    if name.starts_with(['.', '-', '~', ' ']) {
        name.replace_range(..1, "_");
    }
    if name.ends_with([' ', '.']) {
        let end = name.len() - 1;
        name.replace_range(end.., "_");
    }
    if is_reserved(&name) {
        name.insert(0, '_');
    }
    shorten(&mut name);
    if name.is_empty() { "index.html".to_owned() } else { name }
}

/// Two URLs of a list whose bodies would be saved under one name. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameCollision {
    /// The URL that stands first in the list.
    pub first: Url,
    /// The other one.
    pub second: Url,
    /// The name.
    pub name: String,
}

impl fmt::Display for NameCollision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} would both be saved as {}", self.first.shown(), self.second.shown(), self.name)
    }
}

impl Error for NameCollision {}

/// The first URL of a list whose [`file_name`] is that of one before it, if there is one.
///
/// ```
/// use sockeye::verb::fetch::{Url, find_collision};
///
/// let urls = ["http://a.test/x", "http://a.test/y", "http://b.test/x?z"].map(Url::parse);
/// let urls: Vec<Url> = urls.into_iter().collect::<Result<_, _>>()?;
/// let collision = find_collision(&urls).ok_or("there is one")?;
/// assert_eq!(collision.to_string(), "http://a.test/x and http://b.test/x?z would both be saved as x");
/// assert!(find_collision(&urls[..2]).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn find_collision(urls: &[Url]) -> Option<NameCollision> {
    let mut names: HashMap<String, &Url> = HashMap::new();
    urls.iter().find_map(|url| {
        let name = file_name(url);
        let first = names.insert(name.clone(), url)?;
        Some(NameCollision { first: first.clone(), second: url.clone(), name })
    })
}

fn harmless(character: char) -> char {
    // The second row means something to other systems' file names, and to a shell.
    let is_special = matches!(character, '/' | '\\' | char::REPLACEMENT_CHARACTER)
        || matches!(character, ':' | '*' | '?' | '"' | '<' | '>' | '|');
    if is_special || is_hidden(character) || character.is_control() { '_' } else { character }
}

/// Names that are devices elsewhere, with any ending.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// Cuts a name that is too long, in front of its ending.
fn shorten(name: &mut String) {
    if name.len() <= LONGEST {
        return;
    }
    let ending =
        name.rfind('.').map(|at| name[at..].to_owned()).filter(|ending| ending.len() <= 16).unwrap_or_default();
    let mut end = LONGEST - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name.push_str(&ending);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> String {
        file_name(&Url::parse(&format!("http://h/{path}")).unwrap())
    }

    #[test]
    fn a_name_is_the_last_part_of_the_path() {
        for (path, expected) in [
            ("", "index.html"),
            ("a/", "index.html"),
            ("a/b.tar.gz", "b.tar.gz"),
            ("a/b?c=/d", "b"),
            ("Gr%C3%BC%C3%9Fe.txt", "Grüße.txt"),
            ("a%20b", "a b"),
            ("100%", "100%"),
        ] {
            assert_eq!(name(path), expected, "{path}");
        }
    }

    /// Row 42 of the faults, for the one name that is made here: 200 forms, none of which leaves the folder, hides, or
    /// holds a control character.
    #[test]
    fn no_name_leaves_the_folder_hides_or_holds_a_control_character() {
        let long = "x".repeat(300) + ".html";
        let wide = "ü".repeat(300);
        let mut paths: Vec<String> = [
            "..",
            ".",
            "%2e%2e",
            "%2E",
            "...",
            ".bashrc",
            "%2ebashrc",
            "..%2f..%2fetc%2fpasswd",
            "%2fetc%2fpasswd",
            "..%5c..%5cx",
            "%5c%5chost%5cshare",
            "C:%5cx",
            "-rf",
            "%2drf",
            "--help",
            "~root",
            "%7e",
            "%20",
            "%20x",
            "x%20",
            "x.",
            "CON",
            "con.txt",
            "NUL",
            "aux.h",
            "COM1",
            "lpt9.x",
            "%00",
            "x%00.html",
            "%1b%5b2J",
            "x%0d%0ay",
            "%7f",
            "%c2%9b31m",
            "%e2%80%ae%74%78%74",
            "%e2%80%8b",
            "%ef%bb%bf",
            "%ff%fe",
            "%c0%ae%c0%ae",
            "%c0%af",
            "a;b",
            "a|b",
            "a*b",
            "a%3fb",
            "$(x)",
            "`x`",
            "a%22b",
            "%e2%80%a8",
            "%f3%a0%81%81",
            "%09",
            "x%2f",
            "%2f",
            "%2f%2f",
            ".%2f.",
        ]
        .map(str::to_owned)
        .to_vec();
        paths.extend([long, wide]);
        paths.extend((0..=255).map(|byte| format!("%{byte:02x}")));
        assert!(paths.len() > 200);
        for path in &paths {
            let name = name(path);
            assert!(!name.is_empty() && name.len() <= 255, "{path}: {name:?}");
            assert!(!name.starts_with(['.', '-', '~', ' ']), "{path}: {name:?}");
            assert!(!name.contains(['/', '\\', '\0']), "{path}: {name:?}");
            assert!(!name.chars().any(|c| c.is_control() || is_hidden(c)), "{path}: {name:?}");
            assert!(!is_reserved(&name), "{path}: {name:?}");
        }
        assert!(name(&paths[paths.len() - 258]).ends_with(".html"), "the ending is kept");
    }
}
