//! Every wrong transcript in `transcripts/broken/` is refused in exactly the words beside it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::{command, run_command, text, transcript};

/// Set to rewrite the words; then read them, all of them.
const BLESS: &str = "SOCKEYE_BLESS";

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(transcript("broken")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "talk")).collect();
    files.sort();
    files
}

#[test]
fn every_mistake_is_told_in_these_words() {
    let files = files();
    assert!(files.len() >= 60, "{} files", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut check = command(&[]);
        check.args(["check", name]).current_dir(transcript("broken")).env("NO_COLOR", "1");
        let output = run_command(&mut check, b"");
        let code = output.status.code().unwrap_or(-1);
        let said = format!("{}{}exit {code}\n", text(&output.stderr), text(&output.stdout));
        let expected = path.with_extension("txt");
        if std::env::var_os(BLESS).is_some() {
            fs::write(&expected, &said).unwrap();
        }
        // A mistake is told with its place, or why a side cannot play.
        assert!(said.contains(&format!("{name}:")), "{name}: {said}");
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if said != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}-- said\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nafter looking at them: {BLESS}=1", wrong.join("\n"));
}
