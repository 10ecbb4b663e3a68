//! The grammar for editors says of every line what the parser says of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;
use support::{command, run_command, text, transcript};

struct Grammar {
    /// Each top pattern's scope and expression, in their order.
    lines: Vec<(String, Regex)>,
    holes: Vec<Regex>,
}

impl Grammar {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/transcript.tmLanguage.json");
        let grammar: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let resolve = |pattern: &Value| match pattern["include"].as_str() {
            Some(name) => grammar["repository"][name.strip_prefix('#').unwrap()].clone(),
            None => pattern.clone(),
        };
        let rule = |pattern: &Value| {
            let expression = Regex::new(pattern["match"].as_str().unwrap()).unwrap();
            (pattern["name"].as_str().unwrap().to_owned(), expression)
        };
        let lines = grammar["patterns"].as_array().unwrap().iter().map(|pattern| rule(&resolve(pattern))).collect();
        let holes = grammar["repository"]["hole"]["patterns"].as_array().unwrap();
        Self { lines, holes: holes.iter().map(|pattern| rule(pattern).1).collect() }
    }

    fn scope(&self, line: &str) -> &str {
        self.lines.iter().find(|(_, expression)| expression.is_match(line)).map_or("", |(scope, _)| scope)
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(transcript(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "talk")).collect()
}

#[test]
fn every_line_of_every_transcript_is_what_the_parser_takes_it_for() {
    let grammar = Grammar::read();
    let begun = Regex::new(r"\{(?:0x|[A-Za-z_][A-Za-z0-9_]*[:=}])").unwrap();
    // Those of the folder stand by themselves.
    let mut seen = vec![grammar.scope("include parts/login.talk").to_owned()];
    assert_eq!(seen, ["meta.include.talk"]);
    for line in [
        "maybe",
        "  at any time",
        "not S: {_}",
        "not C hex: 00",
        "let id = random 16 hex",
        "let now = time HTTP",
        "let n = sum {n} 4",
    ] {
        assert!(!grammar.scope(line).starts_with("invalid"), "{line}");
    }
    for path in files("") {
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.trim().is_empty()) {
            let scope = grammar.scope(line);
            assert!(!scope.starts_with("invalid"), "{}: {line}", path.display());
            // What begins as a hole is coloured as one.
            if scope.starts_with("meta.message") {
                let holes: usize = grammar.holes.iter().map(|hole| hole.find_iter(line).count()).sum();
                assert_eq!(begun.find_iter(line).count(), holes, "{}: {line}", path.display());
            }
            seen.push(scope.to_owned());
        }
    }
    for (scope, _) in &grammar.lines {
        let used = seen.contains(scope) || scope.starts_with("invalid") || scope == "meta.message.file.talk";
        assert!(used, "no transcript shows {scope}");
    }
}

/// A statement that the parser does not know as one is marked wrong, and no other is.
#[test]
fn what_begins_no_statement_is_marked() {
    let grammar = Grammar::read();
    let mut marked = 0;
    for path in files("broken") {
        let name = path.file_name().unwrap();
        let mut check = command(&[]);
        check.args(["check", "--json"]).arg(name).current_dir(transcript("broken"));
        let told = text(&run_command(&mut check, b"").stdout);
        let Ok(content) = fs::read_to_string(&path) else { continue };
        for (number, line) in content.lines().enumerate() {
            let is_unknown = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|finding| {
                finding["line"].as_u64() == Some(number as u64 + 1)
                    && ["begins no statement", "is not a statement", "a space must follow"]
                        .iter()
                        .any(|words| finding["message"].as_str().is_some_and(|message| message.contains(words)))
            });
            // It is one inside `choose`, and a line does not say where it stands.
            if is_unknown && line.trim() != "else" {
                assert!(grammar.scope(line).starts_with("invalid"), "{}: {line}", path.display());
                marked += 1;
            }
        }
    }
    assert!(marked > 5, "{marked}");
}
