//! `talk --data`: a play for each row, from scripts that are made ready once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::{Path, PathBuf};

use support::*;

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A server that plays a transcript, and the client's side of another one with rows of its own.
fn played(folder: &Path, server: &str, client: &str, rows: (&str, &str), more: &[&str]) -> (i32, String) {
    let mock = file(folder, "mock.talk", server);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", mock.to_str().unwrap()]);
    let (client, data) = (file(folder, "client.talk", client), file(folder, rows.0, rows.1));
    let address = server.address();
    let mut arguments = vec!["talk", &address, "--play", client.to_str().unwrap(), "--data", data.to_str().unwrap()];
    arguments.extend_from_slice(more);
    let output = run(&arguments, b"");
    (output.status.code().unwrap(), text(&output.stderr).to_owned())
}

#[test]
fn a_row_that_cannot_be_played_is_told_in_words_and_the_others_are_played() {
    let folder = tempfile::tempdir().unwrap();
    let echo = "repeat\n  C: {line}\n  S: {line}\nend\n";
    let client = "repeat\n  C: {name}\n  S: {name}\nend\nC: exit\nS: exit\n";
    let (code, stderr) = played(folder.path(), echo, client, ("a.csv", "name\nAnn\nexit\nBob\n"), &[]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("`exit` would be heard as line 5"), "{stderr}");
    assert!(stderr.contains("3 plays, 2 as written, 1 not"), "{stderr}");
    let (code, stderr) = played(folder.path(), echo, "C: {name}\nS: {name}\n", ("b.csv", "name\n\"a\nb\"\n"), &[]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("a value with a line ending in it cannot stand in a text line"), "{stderr}");
    let client = "let plain = unbase64 {coded}\nC: {plain}\nS: {plain}\n";
    let (code, stderr) = played(folder.path(), echo, client, ("c.csv", "coded\nQW5u\n?\n"), &[]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("the value is not base64") && stderr.contains("1 as written"), "{stderr}");
}

#[test]
fn rows_of_json_may_have_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = "C: {who}\nS: {who}!\n";
    let client = "set greeting = Hello\nC: {greeting}, {name=World}\nS: {greeting}, {name}!\n";
    let rows =
        "{\"name\":\"Ann\"}\n{\"greeting\":\"Hi\"}\n{\"name\":\"Bob\",\"greeting\":\"Ho\"}\n{\"name\":\"Eve\"}\n";
    let (code, stderr) = played(folder.path(), server, client, ("a.jsonl", rows), &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("4 plays, 4 as written"), "{stderr}");
    // A row wins over `--set`, which is told, and what no row gives is as `--set` gives it.
    let (code, stderr) = played(
        folder.path(),
        "C: {who}\nS: Hi, Ann!\n",
        client,
        ("b.csv", "name\nAnn\nBob\n"),
        &["--set", "greeting=Hi", "--set", "name=Zoe"],
    );
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("warning: the value that --set gives `name` is never used"), "{stderr}");
    assert!(stderr.contains("expected  Hi, Bob!") && stderr.contains("2 plays, 1 as written, 1 not"), "{stderr}");
}

#[test]
fn a_secret_stays_one_whichever_row_gives_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let client = "C: PASS {password}\nS: in\n";
    let server = "C: PASS {_}\nS: not hunter2 nor hunter3\n";
    let record = folder.path().join("record.talk");
    let more = ["--secret", "password=hunter3", "--record", record.to_str().unwrap()];
    let (code, stderr) = played(folder.path(), server, client, ("a.csv", "password\nhunter2\n"), &more);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("sent      PASS {password}") && !stderr.contains("hunter"), "{stderr}");
    let record = std::fs::read_to_string(record).unwrap();
    assert!(record.contains("C: PASS {password}") && !record.contains("hunter"), "{record}");
}

/// Which of two values a name has would be decided without a word.
#[test]
fn a_name_that_is_given_two_values_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let play = file(folder.path(), "p.talk", "C: {name=Ann}\nS: {name}\n");
    let play = play.to_str().unwrap();
    let twice = ["--set", "name=a", "--set", "name=b"];
    for (words, says) in [
        (&["talk", "127.0.0.1:9", "--play", play, "--set", "name=a", "--set", "name=a"][..], "--set gives `name`"),
        (&["talk", "127.0.0.1:9", "--play", play, "--secret", "name=a", "--secret", "name=b"], "--secret gives `name`"),
        (
            &["talk", "127.0.0.1:9", "--play", play, "--secret", "name=a", "--set", "name=b"],
            "--set and --secret both give `name`",
        ),
    ] {
        let output = run(words, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{words:?} {}", text(&output.stderr));
    }
    for words in [&["serve", "127.0.0.1:0", "--play", play][..], &["load", "1", "--play", play], &["check", play]] {
        let output = run(&[words, &twice].concat(), b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("--set gives `name` a value, and it can have one alone"), "{words:?}");
    }
    // Rows that have no value of their own take it from there, and a secret may differ from row to row.
    let server = "repeat\n  C: {line}\n  S: {line}\nend\n";
    let client = "C: {name}\nS: {name}\n";
    for more in [["--set", "name=Ann"], ["--secret", "name=Ann"]] {
        let rows =
            if more[0] == "--set" { ("b.jsonl", "{\"name\":\"Bob\"}\n{}\n") } else { ("b.csv", "name\nBob\nEve\n") };
        let (code, stderr) = played(folder.path(), server, client, rows, &more);
        assert!(code == 0 && stderr.contains("2 plays, 2 as written"), "{more:?} {code} {stderr}");
    }
}

/// As spreadsheets save it where they are not told otherwise.
#[test]
fn rows_that_are_not_utf_8_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("a.talk"), "C: {n}\n").unwrap();
    let utf16 = |text: &str, swap: bool| -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|unit: u16| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    for (bytes, says) in [
        (utf16("n\na\n", false), "it is UTF-16: save it as UTF-8"),
        (utf16("n\na\n", true), "it is UTF-16: save it as UTF-8"),
        (b"n\nfirst\nJos\xe9\n".to_vec(), "line 3 is not UTF-8: save it as UTF-8"),
    ] {
        for name in ["rows.csv", "rows.jsonl"] {
            std::fs::write(path(name), &bytes).unwrap();
            let output = run(&["talk", "127.0.0.1:9", "--play", &path("a.talk"), "--data", &path(name)], b"");
            assert_code(&output, 26);
            let wanted = format!("cannot read {}: {says}", path(name));
            assert!(text(&output.stderr).contains(&wanted), "{}", text(&output.stderr));
        }
    }
}
