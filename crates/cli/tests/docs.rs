//! The examples of docs/testing.md, run as they stand there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::process::Command;

use support::*;

/// The code blocks of a language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing.md")).unwrap();
    let open = format!("```{language}\n");
    let blocks: Vec<String> =
        page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "no {language} on the page");
    blocks
}

/// A folder with the page's transcript, and a command that finds our program by its name there.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("greet.talk"), &blocks("talk")[0]).unwrap();
    std::os::unix::fs::symlink(BINARY, folder.path().join("sockeye")).unwrap();
    folder
}

fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> std::process::Output {
    need(program);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    run_command(Command::new(program).args(arguments).current_dir(folder).env("PATH", path), b"")
}

#[test]
fn the_shell_example_passes_and_fails_with_the_conversation() {
    need("nc");
    let folder = folder();
    let script = &blocks("sh")[0];
    assert_code(&run_in(folder.path(), "bash", &["-euc", script]), 0);
    std::fs::remove_file(folder.path().join("port")).unwrap();
    // A client that says less than the transcript.
    let wrong = script.replace("Bob\\nexit\\n", "Bob\\nquit\\n");
    assert_ne!(&wrong, script);
    assert_code(&run_in(folder.path(), "bash", &["-euc", &wrong]), 1);
}

#[test]
fn the_python_example_passes_and_fails_with_the_account() {
    let folder = folder();
    let script = &blocks("python")[0];
    assert_code(&run_in(folder.path(), "python3", &["-c", script]), 0);
    let wrong = script.replace("print(\"exit\"", "print(\"quit\"");
    assert_ne!(&wrong, script);
    let output = run_in(folder.path(), "python3", &["-c", &wrong]);
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("expected  exit"), "{}", text(&output.stderr));
}

#[test]
fn the_example_of_rows_and_reports_passes() {
    let folder = folder();
    std::fs::write(folder.path().join("names.csv"), "name\nBob\nTracy\n").unwrap();
    let server =
        Server::start_at(&["tcp://127.0.0.1:0"], &["--play", folder.path().join("greet.talk").to_str().unwrap()]);
    let script = blocks("sh")[1].replace("127.0.0.1:9999", &server.address());
    assert_code(&run_in(folder.path(), "bash", &["-euc", &script]), 0);
    let report = std::fs::read_to_string(folder.path().join("result.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"0\""), "{report}");
}
