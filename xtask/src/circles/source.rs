//! The text of a crate as far as its imports go: which modules there are, and what each takes from others. Comments, text
//! in quotes and tests are passed over.

use std::collections::BTreeMap;
use std::path::Path;

use super::ModulePath;

/// A path that a module names, from the crate on, and where it does.
#[derive(Debug, Clone)]
pub(super) struct Import {
    pub(super) path: ModulePath,
    pub(super) place: String,
}

/// What one module has.
#[derive(Debug, Default)]
struct Module {
    imports: Vec<Import>,
    /// Names that it takes from elsewhere, which others may take from it.
    names: BTreeMap<String, ModulePath>,
}

/// The modules of a crate.
#[derive(Debug, Default)]
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// Every source file below a folder: its path from there, and its text.
pub(super) fn files(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(open) = folders.pop() {
        let entries = std::fs::read_dir(&open).map_err(|error| format!("{}: {error}", open.display()))?;
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                files.push((name, text));
            }
        }
    }
    Ok(files)
}

impl Crate {
    /// The crate that these files make, by their paths below its `src`.
    pub(super) fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<ModulePath, (String, String)> =
            files.into_iter().filter_map(|(name, text)| Some((module_in(&name)?, (name, text)))).collect();
        let mut krate = Self::default();
        for module in files.keys() {
            // A folder without a file of its own is a module all the same.
            for length in 0..=module.len() {
                krate.modules.entry(module[..length].to_vec()).or_default();
            }
        }
        for (module, (name, text)) in files {
            let read = krate.parse(&module, &name, &text);
            krate.modules.insert(module, read);
        }
        krate
    }

    /// Every import with the module that has it.
    pub(super) fn imports(&self) -> impl Iterator<Item = (&ModulePath, Import)> {
        self.modules.iter().flat_map(|(path, module)| module.imports.iter().map(move |import| (path, import.clone())))
    }

    /// The module in which what a path names is defined.
    pub(super) fn module_of(&self, path: &[String]) -> ModulePath {
        let mut path = path.to_vec();
        // Names that are passed on in a ring end here.
        for _ in 0..16 {
            let known = (0..=path.len()).rev().find(|&length| self.modules.contains_key(&path[..length])).unwrap_or(0);
            let (module, rest) = path.split_at(known);
            let passed_on = rest.first().and_then(|name| self.modules[module].names.get(name));
            match passed_on {
                Some(from) => path = from.iter().chain(&rest[1..]).cloned().collect(),
                None => return module.to_vec(),
            }
        }
        vec![]
    }

    fn parse(&self, module: &[String], file: &str, text: &str) -> Module {
        let tokens = code(text);
        let mut read = Module::default();
        let mut at = 0;
        while at < tokens.len() {
            let is_use = tokens[at].text == "use";
            at += usize::from(is_use);
            let Some(first) = tokens.get(at) else { break };
            let base = match first.text.as_str() {
                "crate" => Some((vec![], 1)),
                "super" => {
                    let ups = (0..)
                        .take_while(|up| tokens.get(at + 2 * up).is_some_and(|token| token.text == "super"))
                        .count();
                    Some((module[..module.len().saturating_sub(ups)].to_vec(), 2 * ups - 1))
                }
                "self" => Some((module.to_vec(), 1)),
                name if is_use && self.modules.contains_key(&[module, &[name.to_owned()]].concat()) => {
                    Some((module.to_vec(), 0))
                }
                _ => None,
            };
            let Some((base, length)) = base else {
                at += 1;
                continue;
            };
            let mut paths = Vec::new();
            let place = format!("{file}:{}", first.line);
            at += length;
            // `pub(crate)` and `&self` name nothing.
            if length == 0 || tokens.get(at).is_some_and(|token| token.text == "::") {
                at += usize::from(length > 0);
                at = tree(&tokens, at, &base, &mut paths);
            }
            for (path, name) in paths {
                if is_use && let Some(name) = name {
                    read.names.insert(name, path.clone());
                }
                read.imports.push(Import { path, place: place.clone() });
            }
        }
        read
    }
}

/// Reads what stands behind a `::` of a path: each path that it comes to, and the name by which a `use` makes it known.
fn tree(tokens: &[Token], mut at: usize, base: &[String], paths: &mut Vec<(ModulePath, Option<String>)>) -> usize {
    let mut path = base.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    match token.text.as_str() {
                        "}" => return at + 1,
                        "," => at += 1,
                        _ => {
                            let before = at;
                            at = tree(tokens, at, &path, paths);
                            // What is no path ends nothing.
                            at += usize::from(at == before);
                        }
                    }
                }
                return at;
            }
            "*" => {
                paths.push((path, None));
                return at + 1;
            }
            "self" => at += 1,
            name if is_name(name) => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => return at,
        }
        match tokens.get(at).map(|token| token.text.as_str()) {
            Some("::") => at += 1,
            Some("as") => {
                let name = tokens.get(at + 1).map(|token| token.text.clone());
                paths.push((path, name));
                return at + 2;
            }
            _ => break,
        }
    }
    let name = path.last().cloned();
    paths.push((path, name));
    at
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

/// What a file says, without comments, texts in quotes and tests.
pub(super) fn code(text: &str) -> Vec<Token> {
    tokens(&without_tests(&bare(text)))
}

/// Files of their own that a file takes in for tests only, as modules.
pub(super) fn test_modules(file: &str, text: &str) -> Vec<ModulePath> {
    let Some(module) = module_in(file) else { return vec![] };
    let bare = bare(text);
    let mut lines = bare.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test,") {
            let item = lines.by_ref().find(|line| !line.is_empty() && !line.starts_with("#["));
            let name = item.and_then(|item| item.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name));
            found.extend(name.map(|name| [&module[..], &[name.to_owned()]].concat()));
        }
    }
    found
}

/// The module that a file is; none for tests.
pub(super) fn module_in(file: &str) -> Option<ModulePath> {
    let mut names: ModulePath = file.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    match names.last().map(String::as_str) {
        Some("tests") => return None,
        Some("mod" | "lib" | "main") => drop(names.pop()),
        _ => {}
    }
    Some(names)
}

/// A name, `::` or a single sign, and the line that it stands in.
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Names, `::` and single signs.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_name(rest) {
                rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { text: rest[..length].to_owned(), line: index + 1 });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The text without comments and without what stands in quotes; its lines stay.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if next == '"' {
            string(rest)
        } else if next == '\'' {
            character(rest)
        } else {
            bare.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        bare.extend(rest[..length].chars().filter(|&c| c == '\n'));
        rest = &rest[length..];
    }
    bare
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?.chars().take_while(|&c| c == '#').count();
    text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let from = 2 + hashes;
    Some(text[from..].find(&end).map_or(text.len(), |at| from + at + end.len()))
}

/// A character in quotes; a lifetime is only its sign.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), _) => text[3..].find('\'').map_or(text.len(), |at| 3 + at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The text without modules that are for tests only.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        kept.push('\n');
        if line.trim() != "#[cfg(test)]" {
            kept.truncate(kept.len() - 1);
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        for line in lines.by_ref() {
            kept.push('\n');
            let is_attribute = line.trim_start().starts_with("#[");
            let ends = line.trim_end().ends_with(';') || line.trim_end() == format!("{}}}", " ".repeat(indent));
            if !is_attribute && ends && line.len() - line.trim_start().len() == indent {
                break;
            }
        }
    }
    kept
}
