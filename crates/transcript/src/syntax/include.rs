//! Files that a transcript includes: their statements stand where they are included, and what is wrong in them names both
//! files.

use std::fmt;
use std::io;
use std::path::Path;

use super::encoding;
use super::line::Line;
use super::parse::Parser;
use crate::diagnostic::{Diagnostic, Span};

/// Files inside each other, at most.
const DEEPEST: usize = crate::limits::INCLUDED_DEPTH;
/// Files that one transcript includes, those that they include among them; one that is included twice counts twice.
const MOST: usize = crate::limits::INCLUDED;
/// Bytes of all of them together, as of one transcript.
const LARGEST: u64 = crate::limits::INCLUDED_BYTES;

/// Why a file is not included.
#[derive(Debug)]
enum IncludeError {
    /// The transcript is read without a folder.
    NoFolder,
    /// All files together have more bytes than they may.
    TooLarge,
    /// The file cannot be read.
    File(io::Error),
}

impl fmt::Display for IncludeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder => f.write_str("no folder to read files from is given"),
            Self::TooLarge => {
                write!(f, "the files that are included have more than {} MiB together", LARGEST >> 20)
            }
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IncludeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoFolder | Self::TooLarge => None,
            Self::File(error) => Some(error),
        }
    }
}

impl Parser<'_> {
    /// `include path`.
    pub(super) fn include(&mut self, line: Line<'_>, path: &str) {
        if path.is_empty() {
            return self.error(line.place, "`include` names a file", "write `include login.talk`");
        }
        let place = line.place_of(path);
        let Some(below) = self.below_the_folder(path) else { return self.not_below(place, path) };
        let name = beside(self.source.name(), &below);
        if self.inside.contains(&below) || name == self.source.name() {
            let chain: Vec<&str> = self.inside.iter().map(String::as_str).chain([below.as_str()]).collect();
            let message = format!("`{path}` includes itself: {}", chain.join(" → "));
            return self.error(place, message, "take one of these lines out");
        }
        if self.inside.len() == DEEPEST {
            return self.error(
                place,
                format!("files include each other deeper than {DEEPEST}"),
                "put some of them together",
            );
        }
        self.included.files += 1;
        if self.included.files > MOST {
            self.is_full = true;
            return self.error(place, format!("more than {MOST} files are included"), "put some of them together");
        }
        let text = match self.read_file(&below) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("`{path}` cannot be read: {why}");
                let help = "files are looked for below the folder that the transcript stands in";
                return self.error(place, message, help);
            }
        };
        self.included_text(line.place, below, name, &text);
    }

    /// The path below the first transcript's folder of what the file in hand writes as a path; none if it leads out.
    pub(super) fn below_the_folder(&self, path: &str) -> Option<String> {
        if names_another_place(path) {
            return None;
        }
        without_dots(&self.inside.last().map_or_else(|| path.to_owned(), |file| beside(file, path)))
    }

    /// A path leads out of the folder.
    pub(super) fn not_below(&mut self, place: Span, path: &str) {
        let help = if self.inside.is_empty() {
            "write a path relative to the folder that the transcript stands in"
        } else {
            "a path is relative to the folder of its own file, and nothing outside the first transcript's folder is read"
        };
        self.error(place, format!("`{path}` is not below the transcript's folder"), help);
    }

    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, IncludeError> {
        let files = self.files.ok_or(IncludeError::NoFolder)?;
        let file = files.open(path).map_err(IncludeError::File)?;
        self.included.bytes = self.included.bytes.saturating_add(file.len());
        if self.included.bytes > LARGEST {
            return Err(IncludeError::TooLarge);
        }
        let mut text = vec![0; usize::try_from(file.len()).unwrap_or(0)];
        let mut filled = 0;
        while filled < text.len() {
            match file.read_at(filled as u64, &mut text[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => return Err(IncludeError::File(error)),
            }
        }
        text.truncate(filled);
        Ok(text)
    }

    fn included_text(&mut self, by: Span, below: String, name: String, text: &[u8]) {
        if let Some(mut finding) = encoding::not_text(text) {
            // It has no line that could be shown.
            (finding.line, finding.column, finding.width) = (by.line, by.column, by.width);
            finding.message = format!("{below}: {}", finding.message);
            self.findings.push(finding);
            return;
        }
        let decoded = String::from_utf8_lossy(text);
        let decoded = decoded.strip_prefix('\u{feff}').unwrap_or(&decoded);
        let offset = self.source.include(name, decoded, by.line);
        if let Err(wrong) = std::str::from_utf8(text) {
            let finding = encoding::not_utf8(text, wrong.valid_up_to());
            self.findings.push(Diagnostic { line: offset + finding.line, ..finding });
        }
        self.inside.push(below);
        // What ends in another file than it begins would be found by nobody.
        let outside = std::mem::take(&mut self.open);
        self.blocks_outside += outside.len();
        self.lines(decoded, offset);
        if !self.is_full {
            self.close_all();
        }
        self.blocks_outside -= outside.len();
        self.open = outside;
        self.inside.pop();
    }
}

/// Whether a path begins elsewhere than in the folder of its file, whatever stands there.
fn names_another_place(path: &str) -> bool {
    let is_url =
        path.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphabetic()));
    path.starts_with('/') || path.starts_with("~/") || is_url || path.contains('\0')
}

/// A relative path without its dots; none if it leads out of the folder that it begins in, on its way or at its end.
fn without_dots(path: &str) -> Option<String> {
    let mut folders: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(folders.pop()?),
            _ => folders.push(part),
        }
    }
    // A folder stays one: no file is read instead of it.
    let end = if ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) { "/" } else { "" };
    (!folders.is_empty()).then(|| folders.join("/") + end)
}

/// The path of a file beside another one.
fn beside(file: &str, path: &str) -> String {
    match Path::new(file).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.join(path).display().to_string(),
        _ => path.to_owned(),
    }
}
