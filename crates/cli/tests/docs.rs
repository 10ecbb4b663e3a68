//! The examples of docs/testing.md, run as they stand there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::*;

/// The code blocks of a language, in their order.
fn blocks(language: &str) -> Vec<String> {
    blocks_of("testing.md", language)
}

fn blocks_of(page: &str, language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).unwrap();
    let open = format!("```{language}\n");
    let blocks: Vec<String> =
        page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!blocks.is_empty(), "no {language} on the page");
    blocks
}

/// The page's transcript and the files that it names, and a program of our name that notes each of its runs.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("greet.talk"), &blocks("talk")[0]).unwrap();
    for block in blocks("python").iter().chain(&blocks("go")) {
        let name = block.lines().next().unwrap().trim_start_matches(['#', '/', ' ']);
        assert!(name.ends_with(".py") || name.ends_with(".go"), "{block}");
        std::fs::write(folder.path().join(name), block).unwrap();
    }
    let script = format!("#!/bin/sh\necho $$ >>{}/runs\nexec {BINARY} \"$@\"\n", folder.path().display());
    std::fs::write(folder.path().join("sockeye"), script).unwrap();
    std::fs::set_permissions(folder.path().join("sockeye"), Permissions::from_mode(0o755)).unwrap();
    folder
}

fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> std::process::Output {
    need(program);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PATH", path);
    command
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0");
    run_command(&mut command, b"")
}

/// Everything that a run said, which failed with this code, and that it left no server behind.
#[track_caller]
fn failed(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = run_in(folder, program, arguments);
    assert_code(&output, 1);
    let runs = std::fs::read_to_string(folder.join("runs")).unwrap();
    for id in runs.lines() {
        assert!(!Path::new(&format!("/proc/{id}")).exists(), "a server is left");
    }
    text(&output.stdout) + &text(&output.stderr)
}

fn replace(folder: &Path, name: &str, from: &str, to: &str) {
    let path = folder.join(name);
    let old = std::fs::read_to_string(&path).unwrap();
    let new = old.replace(from, to);
    assert_ne!(new, old, "{name}: {from}");
    std::fs::write(path, new).unwrap();
}

/// What goes wrong in the client under test, in Python, and what the account says to it.
const WRONG: [(&str, &str, &str); 4] = [
    // It says something else, and notices nothing.
    ("print(\"exit\"", "print(\"quit\"", "expected  exit"),
    // It fails first, and leaves in the middle.
    ("print(\"exit\", file=lines, flush=True)", "raise ValueError(\"its own\")", "1 conversation, 0 as written"),
    // It fails first, since the mock has ended the conversation in which it said something else.
    (
        "answer = lines.readline()",
        "print(\"quit\", file=lines, flush=True); lines.read(); raise ValueError(\"its own\")",
        "received  quit",
    ),
    // It fails before it comes.
    ("with socket", "raise ValueError(\"its own\")\n    with socket", "1 never came"),
];

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
fn the_python_example_passes_and_its_account_is_seen_whoever_fails_first() {
    assert_code(&run_in(folder().path(), "python3", &["greet.py"]), 0);
    for (from, to, account) in WRONG {
        let folder = folder();
        replace(folder.path(), "greet.py", from, to);
        let said = failed(folder.path(), "python3", &["greet.py"]);
        assert!(said.contains(account), "{to}: {said}");
        assert!(!to.contains("its own") || said.contains("ValueError: its own"), "{to}: {said}");
    }
}

#[test]
fn the_pytest_fixture_passes_and_its_account_is_seen_whoever_fails_first() {
    let arguments = ["-p", "no:cacheprovider", "test_greet.py"];
    assert_code(&run_in(folder().path(), "pytest-3", &arguments), 0);
    for (from, to, account) in WRONG {
        let folder = folder();
        replace(folder.path(), "greet.py", from, to);
        let said = failed(folder.path(), "pytest-3", &arguments);
        assert!(said.contains(account), "{to}: {said}");
        assert!(!to.contains("its own") || said.contains("ValueError: its own"), "{to}: {said}");
    }
    // The test's own assertion fails first, and the mock went as written: only that is said.
    let folder = folder();
    replace(folder.path(), "test_greet.py", "Hello, Bob!", "Hello, Rob!");
    let said = failed(folder.path(), "pytest-3", &arguments);
    assert!(said.contains("1 failed") && !said.contains("error:"), "{said}");
}

/// Of several mocks in one test each account is seen: whether the test raises, is skipped, or holds on to a connection.
#[test]
fn every_account_is_seen_in_pytest_whatever_becomes_of_the_test() {
    let folder = folder();
    let two = "import socket, pytest\nfrom greet import greet\n\
        def say(port, words):\n    s = socket.create_connection(('127.0.0.1', port)); s.sendall(words); return s\n\
        def test_raises(mock):\n    a, b = mock('greet.talk'), mock('greet.talk')\n    say(a, b'Ann\\none\\n').makefile().read()\n    \
            say(b, b'Ann\\ntwo\\n').makefile().read()\n    raise ValueError('its own')\n\
        def test_skips(mock):\n    mock('greet.talk')\n    pytest.skip('it is not the day')\n\
        def test_holds(mock):\n    test_holds.s = say(mock('greet.talk'), b'Ann\\n')\n\
        def test_is_right(mock):\n    assert greet(mock('greet.talk'), 'Bob') == 'Hello, Bob!\\n'\n";
    std::fs::write(folder.path().join("test_two.py"), two).unwrap();
    let said = failed(folder.path(), "pytest-3", &["test_two.py"]);
    for words in ["received  one", "received  two", "its own", "1 never came", "cut at line 5", "2 passed, 1 skipped"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = failed(folder.path(), "pytest-3", &["--lf", "-x", "test_two.py"]);
    assert!(
        said.contains("received  one") && said.contains("received  two") && !said.contains("cut at line"),
        "{said}"
    );
}

/// What the test expects the client to raise hides no play that went wrong, and makes none of one that went well.
#[test]
fn an_error_that_a_test_expects_hides_no_account() {
    let folder = folder();
    let expected = "import contextlib, socket, pytest\nfrom sockeye_mock import Mock\n\
        def say(words):\n    with Mock('greet.talk') as port, socket.create_connection(('127.0.0.1', port)) as s:\n        \
            s.sendall(words)\n        s.makefile().read()\n        raise ValueError('its own')\n\
        def test_raises():\n    with pytest.raises(ValueError):\n        say(b'Ann\\none\\n')\n\
        def test_suppressed():\n    with contextlib.suppress(ValueError):\n        say(b'Ann\\ntwo\\n')\n\
        def test_is_right():\n    with pytest.raises(ValueError, match='its own'):\n        say(b'Ann\\nexit\\n')\n";
    std::fs::write(folder.path().join("test_expected.py"), expected).unwrap();
    let said = failed(folder.path(), "pytest-3", &["-p", "no:cacheprovider", "test_expected.py"]);
    for words in ["received  one", "received  two", "ValueError: its own", "2 failed, 1 passed"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn the_unittest_example_passes_and_its_account_is_seen_whoever_fails_first() {
    let arguments = ["-m", "unittest", "test_with_unittest.py"];
    assert_code(&run_in(folder().path(), "python3", &arguments), 0);
    for (from, to, account) in WRONG {
        let folder = folder();
        replace(folder.path(), "greet.py", from, to);
        let said = failed(folder.path(), "python3", &arguments);
        assert!(said.contains(account), "{to}: {said}");
        assert!(!to.contains("its own") || said.contains("ValueError: its own"), "{to}: {said}");
    }
}

#[test]
fn the_go_example_passes_and_its_account_is_seen_whoever_fails_first() {
    let folder = folder();
    std::fs::write(folder.path().join("go.mod"), "module greet\n\ngo 1.19\n").unwrap();
    let test = |name: &str, after: &str| {
        format!(
            "package greet\nimport (\"fmt\"; \"io\"; \"net\"; \"testing\")\nfunc Test{name}(t *testing.T) {{\n\
            server, err := net.Dial(\"tcp\", Mock(t, \"greet.talk\"))\nif err != nil {{ t.Fatal(err) }}\n{after}\n\
            fmt.Fprint(server, \"Bob\\nexit\\n\")\nheard, _ := io.ReadAll(server)\n\
            if string(heard) != \"Welcome!\\nHello, Bob!\\n\" {{ t.Fatalf(\"%q\", heard) }}\n}}\n"
        )
    };
    let write = |text: String| std::fs::write(folder.path().join("greet_test.go"), text).unwrap();
    write(test("Greeting", ""));
    assert_code(&run_in(folder.path(), "go", &["test"]), 0);
    for (wrong, account) in [
        ("fmt.Fprint(server, \"\\nquit\\n\")", "expected  exit"),
        // It leaves with the welcome unread, or before it: either is its end.
        ("server.Close(); t.Fatal(\"its own\")", "error: the client "),
    ] {
        write(test("Greeting", wrong));
        let said = failed(folder.path(), "go", &["test"]);
        assert!(said.contains(account), "{wrong}: {said}");
        assert!(!wrong.contains("its own") || said.contains("its own"), "{wrong}: {said}");
    }
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

/// What the README of this crate shows is what happens, command by command.
#[test]
fn the_readme_of_the_crate_says_what_happens() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = page.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let steps: Vec<(&str, &str)> = block.split("$ ").skip(1).filter_map(|step| step.split_once('\n')).collect();
    let [(show, transcript), (check, agree), (serve, silent), (talk, end)] = steps[..] else { panic!("{steps:?}") };
    let folder = folder();
    std::fs::write(folder.path().join(show.strip_prefix("cat ").unwrap()), transcript).unwrap();
    let says = |line: &str| text(&run_in(folder.path(), "bash", &["-c", &format!("{{ {line}; }} 2>&1")]).stdout);
    assert_eq!(says(check), agree);
    let file = folder.path().join("greeting.talk");
    let flags = serve.strip_prefix("sockeye serve 127.0.0.1:9999 --play greeting.talk ").unwrap();
    let flags = [&["--play", file.to_str().unwrap()][..], &[flags.strip_suffix(" & # a server").unwrap()]].concat();
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &flags);
    assert_eq!((says(&talk.replace("127.0.0.1:9999", &server.address())).as_str(), silent), (end, ""));
    assert_eq!(server.wait(), 0);
}

/// Every example of the reference plays from both ends, without a warning.
#[test]
fn the_examples_of_the_reference_play_from_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.txt"), "the body\n").unwrap();
    let examples = blocks_of("transcript.md", "talk");
    let login = examples.iter().find(|example| example.contains("C: USER")).unwrap();
    std::fs::write(folder.path().join("login.talk"), login).unwrap();
    for (number, example) in examples.iter().enumerate() {
        let path = folder.path().join(format!("example-{number}.talk"));
        std::fs::write(&path, example).unwrap();
        let output = run(&["check".as_ref(), path.as_os_str()], b"");
        assert_code(&output, 0);
        let said = text(&output.stdout);
        assert!(output.stderr.is_empty(), "{example}\n{}", text(&output.stderr));
        for words in ["as client: yes", "as server: yes", "they agree"] {
            assert!(said.contains(words), "{example}\n{said}");
        }
    }
    // Everything that can be written is shown.
    let all = examples.join("\n");
    for word in [
        "S: ",
        "C: ",
        "S raw: ",
        "C hex: ",
        "S file: ",
        " closes",
        " stops sending",
        " resets",
        " waits ",
        "starttls",
        "set ",
        "let ",
        "repeat\n",
        "repeat 3",
        "either",
        "\n  or\n",
        "\nend",
        "in any order",
        "together",
        "transcript 1",
        "at tcp://",
        "eol crlf",
        "eol none",
        "gap ",
        "timeout ",
        "ignore case",
        ":word",
        ":int",
        ":/",
        " bytes=",
        "n bytes=",
        "{_=",
        "|",
        "{0x20}",
        "= length ",
        "= md5 ",
        "= sha1 ",
        "= sha256 ",
        "= hmac-md5 ",
        "= hmac-sha1 ",
        "= hmac-sha256 ",
        "= base64 ",
        "= unbase64 ",
        "= unhex ",
        "= hex ",
        "= sum ",
        "= difference ",
        "= crc32 ",
        "= crc16 ",
        "= sum8 ",
        "= xor8 ",
        "= random ",
        "= time ",
        ":u16=",
        ":u32le}",
        ":varint}",
        ":hex=",
        ":2 hex}",
        "…}",
        "not S: ",
        "maybe\n",
        "at any time\n",
        "include ",
    ] {
        assert!(all.contains(word), "{word:?} is in no example");
    }
}

/// What the reference says is refused is refused, in those words, and before a play.
#[test]
fn what_the_reference_says_is_refused_is_refused_in_those_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.talk");
    for example in blocks_of("transcript.md", "refused") {
        std::fs::write(&path, &example).unwrap();
        let output = run(&["check".as_ref(), path.as_os_str()], b"");
        assert_code(&output, 2);
        let (why, said) = (example.lines().next().unwrap().trim_start_matches("# "), text(&output.stderr));
        assert!(said.contains(&format!("error: {why}")), "{example}\n{said}");
        assert!(said.contains("= help: "), "{said}");
    }
}

/// What the reference says about plays that are judged holds.
#[test]
fn a_client_that_leaves_at_a_loop_that_statements_follow_fails_where_plays_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("first.talk");
    std::fs::write(&path, &blocks_of("transcript.md", "talk")[0]).unwrap();
    let play = path.to_str().unwrap();
    for (more, expected) in [(&["--once"][..], 1), (&["--once", "--allow-early-close"], 0)] {
        let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &[&["--play", play], more].concat());
        drop(server.welcomed());
        assert_eq!(server.wait(), expected, "{more:?}");
    }
}
