//! `talk --play` as a test: several files, rows of values, reports, secrets and records; and `check`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use support::*;

const GREET: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn mock(folder: &Path, text: &str, arguments: &[&str]) -> Server {
    let path = file(folder, "mock.talk", text);
    let mut all = vec!["--play", path.to_str().unwrap()];
    all.extend_from_slice(arguments);
    Server::start_at(&["tcp://127.0.0.1:0"], &all)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn each_row_is_a_play_and_the_reports_say_which_failed() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), "S: Welcome!\nC: {name}\nS: Hello, {name}!\nS closes\n", &[]);
    let greet = file(folder.path(), "greet.talk", "S: Welcome!\nC: {name}\nS: {greeting}, {name}!\nS closes\n");
    let rows = file(folder.path(), "rows.csv", "name,greeting\nAnn,Hello\nBob,Hi\n\"C, D\",Hello\n");
    let [xml, tap, json] = ["r.xml", "r.tap", "r.json"].map(|name| folder.path().join(name));
    let address = server.address();
    let mut arguments = vec!["talk", &address, "--play", path(&greet), "--data", path(&rows)];
    for report in [&xml, &tap, &json] {
        arguments.extend(["--report", path(report)]);
    }
    let output = run(&arguments, b"");
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("expected  Hi, Bob!") && stderr.contains("3 plays, 2 as written, 1 not"), "{stderr}");
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"1\"") && xml.contains("row 3\""), "{xml}");
    let tap = std::fs::read_to_string(tap).unwrap();
    assert!(tap.contains("\nok 1 - ") && tap.contains("\nnot ok 2 - ") && tap.contains("\nok 3 - "), "{tap}");
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&json["plays"], &json["failed"], &json["cases"][1]["ok"]), (&3.into(), &1.into(), &false.into()));
}

#[test]
fn the_junit_report_is_read_by_a_parser_of_another_make() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), "S raw: {0x1b}[2J<&>{0x0a}\nS closes\n", &[]);
    let wrong = file(folder.path(), "wrong.talk", "S: \"other\" & <more>\n");
    let report = folder.path().join("r.xml");
    let output = run(&["talk", &server.address(), "--play", path(&wrong), "--report", path(&report)], b"");
    assert_code(&output, 1);
    let script = "import sys, xml.etree.ElementTree as t\nroot = t.parse(sys.argv[1]).getroot()\n\
                  print(root.find('testsuite/testcase/failure').text)";
    let output = run_command(std::process::Command::new("python3").args(["-c", script]).arg(&report), b"");
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains("expected  \"other\" & <more>"), "{}", text(&output.stdout));
}

#[test]
fn several_files_are_played_and_the_code_is_that_of_the_first_failure() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), GREET, &[]);
    let good = file(folder.path(), "good.talk", GREET);
    let late = file(folder.path(), "late.talk", "timeout 200ms\nS: Welcome!\nS: more\n");
    let wrong = file(folder.path(), "wrong.talk", "S: Hi!\n");
    let play = |files: &[&PathBuf], more: &[&str]| {
        let address = server.address();
        let mut arguments = vec!["talk", &address];
        for file in files {
            arguments.extend(["--play", path(file)]);
        }
        arguments.extend_from_slice(more);
        run(&arguments, b"")
    };
    let output = play(&[&good, &late, &wrong, &good], &[]);
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("4 plays, 2 as written, 2 not"), "{}", text(&output.stderr));
    let output = play(&[&good], &["--repeat", "5"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("5 plays, 5 as written"), "{}", text(&output.stderr));
    // One wrong file is known before anyone is disturbed.
    let bad = file(folder.path(), "bad.talk", "S: {x\nbanana\n");
    server.log.wait_for_count("closed #", 9);
    let before = server.log.all().len();
    assert_code(&play(&[&good, &bad], &[]), 2);
    assert_eq!(server.log.all().len(), before);
}

#[test]
fn an_address_may_stand_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), GREET, &[]);
    let greet = file(folder.path(), "greet.talk", &format!("at tcp://{}\n{GREET}", server.address()));
    assert_code(&run(&["talk", "--play", path(&greet)], b""), 0);
    let nowhere = file(folder.path(), "nowhere.talk", GREET);
    let output = run(&["talk", "--play", path(&nowhere)], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("names no address with `at`"), "{}", text(&output.stderr));
    assert_code(&run(&["talk"], b""), 2);
}

#[test]
fn rows_that_cannot_be_read_or_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let greet = file(folder.path(), "greet.talk", GREET);
    let broken = file(folder.path(), "broken.csv", "name\nAnn,Bob\n");
    let other = file(folder.path(), "rows.txt", "name\nAnn\n");
    for (data, expected, words) in [
        (path(&broken), 2, "broken.csv:2: 2 values for 1 names"),
        (path(&other), 2, "neither .csv nor .jsonl"),
        ("/nowhere.csv", 26, "/nowhere.csv"),
    ] {
        let output = run(&["talk", "1", "--play", path(&greet), "--data", data], b"");
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

/// Row 69 of the faults: what is secret is in no message, no log and no record.
#[test]
fn a_secret_is_nowhere_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), "S: user?\nC: PASS {password}\nS: in\n", &["--secret", "password=hunter3", "-v"]);
    let login = file(folder.path(), "login.talk", "S: user?\nC: PASS {password}\nS: in\nC: bye\n");
    let record = folder.path().join("record.talk");
    let mut command = command(&[]);
    command.args([
        "talk",
        &server.address(),
        "--play",
        path(&login),
        "--record",
        path(&record),
        "--secret",
        "password",
    ]);
    let output = run_command(command.env("password", "hunter2"), b"");
    assert_code(&output, 1);
    server.log.wait_for("closed #1");
    let record = std::fs::read_to_string(record).unwrap();
    assert!(record.contains("C: PASS {password}\n"), "{record}");
    let everything = record + &text(&output.stdout) + &text(&output.stderr);
    assert!(!everything.contains("hunter2"), "{everything}");
    assert!(everything.contains("PASS {password}"), "{everything}");
    assert!(!server.log.all().join("\n").contains("hunter3"), "{:#?}", server.log.all());
    // Without the value there is nothing to say.
    let output = run(&["talk", "1", "--play", path(&login), "--secret", "password"], b"");
    assert_code(&output, 2);
}

#[test]
fn a_record_of_a_play_can_be_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), GREET, &[]);
    let greet = file(folder.path(), "greet.talk", &GREET.replace("Ann", "Ann|Bob|{0x7b}x{0x7d}"));
    let record = folder.path().join("record.talk");
    assert_code(&run(&["talk", &server.address(), "--play", path(&greet), "--record", path(&record)], b""), 0);
    let written = std::fs::read_to_string(&record).unwrap();
    let body = "eol lf\nS: Welcome!\nC: Ann\nS: Hello, Ann!\nC: Bob\nS: Hello, Bob!\nC: {0x7b}x}\nS: Hello, {0x7b}x}!\nC: exit\nS closes\n";
    assert_eq!(written, format!("transcript 1\nat {}\n{body}", server.address()));
    let mut again = mock(folder.path(), &written, &["--once"]);
    assert_code(&run(&["talk", &again.address(), "--play", path(&record)], b""), 0);
    assert_eq!(again.wait(), 0);
}

/// Row 35 of the faults: a full disk ends the record, at a whole statement, and not the conversation.
#[test]
fn a_record_on_a_full_disk_is_valid_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("repeat 200\n  C: {}\n  S: ok\nend\nC: bye\nS: bye\nS closes\n", "x".repeat(997));
    let server = mock(folder.path(), &long, &["--once"]);
    let talk = folder.path().join("mock.talk");
    let script = format!(
        "mkdir disk; mount -t tmpfs -o size=64k none disk; \
         cd /; code=0; \"$1\" talk {} --play {} --record {}/disk/r.talk 2>{}/err || code=$?; cp {}/disk/r.talk {}/copy; exit $code",
        server.address(),
        talk.display(),
        folder.path().display(),
        folder.path().display(),
        folder.path().display(),
        folder.path().display()
    );
    // The mount is private to it; the network is the machine's, where the server is.
    need("unshare");
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "sh", "-euc", &script, "sh", BINARY]).current_dir(folder.path());
    let output = run_command(&mut command, b"");
    assert_code(&output, 23);
    let errors = std::fs::read_to_string(folder.path().join("err")).unwrap();
    assert!(errors.contains("the record is not whole: No space left on device"), "{errors}");
    let mut server = server;
    assert_eq!(server.wait(), 0, "the conversation itself was played to its end");
    let copy = folder.path().join("copy");
    let written = std::fs::read_to_string(&copy).unwrap();
    assert!(written.len() > 30_000 && written.ends_with('\n'), "{}", written.len());
    assert_code(&run(&["check", path(&copy)], b""), 0);
}

#[test]
fn check_formats_and_changes_nothing_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let untidy = file(
        folder.path(),
        "untidy.talk",
        "\r\nS:  Welcome! \r\nrepeat\r\n#  a\r\nC: {a=x|y}\r\nS hex: 0A\r\nend\r\n\r\n\r\nC: exit",
    );
    let output = run(&["check", "--format", path(&untidy)], b"");
    assert_code(&output, 0);
    let tidy = "S:  Welcome!{0x20}\nrepeat\n  #  a\n  C: {a=x|y}\n  S hex: 0a\nend\n\nC: exit\n";
    assert_eq!(text(&output.stdout), tidy);
    assert_code(&run(&["check", "--format", "--write", path(&untidy)], b""), 0);
    assert_eq!(std::fs::read_to_string(&untidy).unwrap(), tidy);
    let wrong = file(folder.path(), "wrong.talk", "C: {x\nrepaet\n");
    let output = run(&["check", "--format", path(&wrong)], b"");
    assert_code(&output, 2);
    assert!(output.stdout.is_empty());
}

#[test]
fn check_gives_its_findings_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = file(folder.path(), "wrong.talk", "C: {x=}\nrepaet\nend\n");
    let output = run(&["check", "--json", path(&wrong)], b"");
    assert_code(&output, 2);
    let first: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["column"], &first["severity"]), (&2.into(), &1.into(), &"error".into()));
    assert_eq!(first["help"], "did you mean `repeat`?");
    let good = file(folder.path(), "good.talk", GREET);
    let output = run(&["check", "--json", path(&good)], b"");
    assert_code(&output, 0);
    let last: serde_json::Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert_eq!((&last["client"], &last["server"], &last["agree"]), (&true.into(), &true.into(), &true.into()));
    assert!(last["udp"]["no"].as_str().unwrap().contains("a server cannot speak first"));
}

#[test]
fn check_sees_what_only_a_file_beside_the_transcript_can_tell() {
    let folder = tempfile::tempdir().unwrap();
    let get = file(folder.path(), "get.talk", "C: get\nS file: body.bin\nS closes\n");
    let output = run(&["check", path(&get)], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("`body.bin` cannot be read"), "{}", text(&output.stderr));
    std::fs::write(folder.path().join("body.bin"), vec![7; 500_000]).unwrap();
    let output = run(&["check", path(&get)], b"");
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains("they agree"), "{}", text(&output.stdout));
    let at = file(folder.path(), "at.talk", "at nonsense\nC: get\n");
    assert_code(&run(&["check", path(&at)], b""), 2);
}

#[test]
fn update_writes_anew_what_the_server_says_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let today = "S: 220 mail2 ready\nrepeat\n  C: EHLO {me}\n  S: 250-{me} at your service\n  S: 250 PIPELINING\nend\nC: QUIT\nS: 221 bye bye\nS closes\n";
    let server = mock(folder.path(), today, &[]);
    let old = "# What the server said last year.\nS: 220 {banner} ready\n\nC: EHLO {me=client}\n  S: 250-{me} welcomes you\n\tS: 250 SIZE\r\nC: QUIT\nS: 221 bye\n";
    let path = file(folder.path(), "old.talk", old);
    let output = run(&["talk", &server.address(), "--play", path.to_str().unwrap(), "--update"], b"");
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("written anew: line 5, 6, 8"), "{}", text(&output.stderr));
    let new = old
        .replace("{me} welcomes you", "{me} at your service")
        .replace("250 SIZE", "250 PIPELINING")
        .replace("221 bye", "221 bye bye");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), new);
    // What differs in another way is told as ever, and the file stays.
    let shut = file(folder.path(), "shut.talk", "S: 220 {banner} ready\nC: QUIT\nS: 221 bye bye\nS: more\n");
    let before = std::fs::read_to_string(&shut).unwrap();
    assert_code(&run(&["talk", &server.address(), "--play", shut.to_str().unwrap(), "--update"], b""), 1);
    assert_eq!(std::fs::read_to_string(&shut).unwrap(), before);
    // A line that captures what is used later is not taken away.
    let names = file(folder.path(), "names.talk", "S: 221 {who:int=1}\nC: EHLO {who}\n");
    let before = std::fs::read_to_string(&names).unwrap();
    assert_code(&run(&["talk", &server.address(), "--play", names.to_str().unwrap(), "--update"], b""), 1);
    assert_eq!(std::fs::read_to_string(&names).unwrap(), before);
}

#[test]
fn a_conversation_by_hand_is_recorded_from_either_end_and_is_its_own_test() {
    let folder = tempfile::tempdir().unwrap();
    let server = mock(folder.path(), GREET, &[]);
    let record = folder.path().join("hand.talk");
    let mut talking = Talk::start(&[&server.address(), "--record", path(&record)]);
    talking.stdin.as_mut().unwrap().write_all(b"Ann\nBob\nexit\n").unwrap();
    // The server ends first. Not until it has closed: on a machine that remembers no more ends (tcp(7), `tcp_max_tw_buckets`), ours
    // would be answered with a reset.
    until("the server's end", || has_ended(2, server.ports[0]));
    wait_until_idle(talking.child.id());
    drop(talking.stdin.take());
    assert_eq!(talking.finish().0, 0);
    let body = "S: Welcome!\nC: Ann\nC: Bob\nC: exit\nS: Hello, Ann!\nS: Hello, Bob!\nS closes\n";
    let written = std::fs::read_to_string(&record).unwrap();
    // Which of the two was read first is the machine's choice; everything else is not.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&written),
        sorted(&format!("transcript 1\nat {}\neol lf\n{body}", server.address())),
        "{written}"
    );
    assert_code(&run(&["check", path(&record)], b""), 0);
    let again = mock(folder.path(), &written, &["--once"]);
    assert_code(&run(&["talk", &again.address(), "--play", path(&record)], b""), 0);

    let heard = folder.path().join("heard.talk");
    let port = folder.path().join("port");
    let mut listening = Talk::start(&["--listen", "127.0.0.1:0", "--port-file", path(&port), "--record", path(&heard)]);
    drop(listening.stdin.take());
    until("the port", || port.exists());
    let number = std::fs::read_to_string(&port).unwrap();
    assert_code(&run(&["talk", number.trim()], b"\xff\xfe hello\nbye\n"), 0);
    assert_eq!(listening.finish().0, 0);
    let written = std::fs::read_to_string(&heard).unwrap();
    assert!(written.contains("\nC hex: ff fe 20 68 65 6c 6c 6f 0a\nC: bye\n"), "{written}");
}
