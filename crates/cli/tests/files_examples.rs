//! The examples of docs/files.md, run as they stand there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::web::gzip;
use support::{BINARY, assert_code, need, run, run_command, signal, text, until};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/files.md")).unwrap()
}

/// The folder that the page describes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("site/docs")).unwrap();
    for (name, content) in [
        ("outside.txt", "outside\n"),
        ("site/a.txt", "Hello!\n"),
        ("site/docs/note.txt", "a note\n"),
        ("site/docs/guide.html", &"x".repeat(4000)),
        ("site/app.js", "1"),
        ("site/.env", "a secret\n"),
        ("site/404.html", "<h1>Lost?</h1>"),
        ("site/app.html", "an application\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::write(folder.path().join("site/app.js.gz"), gzip(b"1")).unwrap();
    folder
}

/// Whether these lines stand in what was said, in this order; `…` stands for anything.
fn stand_in(wanted: &[&str], said: &str) -> bool {
    let mut lines = said.lines();
    wanted.iter().all(|wanted| {
        lines.any(|line| {
            let mut rest = line.trim_end();
            let parts: Vec<&str> = wanted.split('…').collect();
            parts.iter().enumerate().all(|(at, part)| {
                let found = if at == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
                found.is_some_and(|found| {
                    rest = &rest[found + part.len()..];
                    true
                })
            }) && (rest.is_empty() || wanted.ends_with('…'))
        })
    })
}

fn example(block: &str) {
    let mut steps = block.split("\n$ ");
    let start = steps.next().unwrap().trim_start_matches("$ sockeye ");
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let start = start.replace(":8080", ":0").replace(":8443", ":0");
    let mut server = Command::new("bash")
        .args(["-c", &format!("exec {BINARY} {start} --port-file ports")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    until("it listens", || {
        assert_eq!(server.try_wait().unwrap(), None, "{block}");
        at("ports").exists()
    });
    let ports = fs::read_to_string(at("ports")).unwrap();
    let ports: Vec<&str> = ports.lines().collect();
    let real = |text: &str| {
        let text = text.replace(":8080", &format!(":{}", ports[0]));
        text.replace(":8443", &format!(":{}", ports.last().unwrap()))
    };
    for step in steps {
        let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
        let mut shell = Command::new("bash");
        shell.args(["-c", &real(command)]).current_dir(folder.path()).env("no_proxy", "*");
        let output = run_command(&mut shell, b"");
        assert_code(&output, 0);
        let expected = real(expected.trim_end());
        let wanted: Vec<&str> = expected.lines().collect();
        assert!(stand_in(&wanted, &text(&output.stdout)), "{command}\n{expected}\n\n{}", text(&output.stdout));
    }
    signal(server.id(), "TERM");
    server.wait().unwrap();
}

#[test]
fn every_example_of_the_page_runs() {
    for program in ["bash", "curl", "tar", "unzip"] {
        need(program);
    }
    let page = page();
    let blocks: Vec<&str> =
        page.split("```console\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() > 15, "{}", blocks.len());
    std::thread::scope(|scope| {
        for block in blocks {
            scope.spawn(move || example(block));
        }
    });
}

#[test]
fn every_flag_has_an_example() {
    let help = run(&["serve", "--help"], b"");
    let help = text(&help.stdout);
    let flags = help.split("Files over HTTP").nth(1).unwrap().split("\n\n\n").next().unwrap();
    let page = page();
    let commands: String = page.lines().filter(|line| line.starts_with("$ sockeye")).collect();
    let mut count = 0;
    for line in flags.lines().filter(|line| line.trim_start().starts_with("--")) {
        let flag = line.split_whitespace().next().unwrap();
        let is_common = ["--quiet", "--verbose", "--json", "--color", "--help"].contains(&flag);
        count += usize::from(!is_common);
        assert!(is_common || commands.contains(flag), "{flag} has no example");
    }
    assert!(count > 15, "{count}");
}
