//! What `load` shows while it goes on: a screen on a terminal, lines and objects elsewhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use support::*;

/// Runs `sockeye load` on a terminal of its own, of 80 columns and 24 rows, and does something when the screen is there.
/// Standard output is what the terminal got; the last line says whether the terminal is as it was before.
fn on_a_terminal(arguments: &[&str], key: &str, variables: &[(&str, &str)]) -> Output {
    need("python3");
    let script = "
import fcntl, os, select, struct, sys, termios
ours, theirs = os.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(theirs)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    for fd in 0, 1, 2: os.dup2(theirs, fd)
    os.execv(sys.argv[2], sys.argv[2:])
shown, ended = b'', False
while True:
    if select.select([ours], [], [], 0.05)[0]:
        more = os.read(ours, 65536)
        shown += more
        sys.stdout.buffer.write(more)
        if sys.argv[1] and b'p99' in shown and b'reports' in shown:
            os.write(ours, sys.argv[1].encode())
            sys.argv[1] = ''
    elif ended: break
    else:
        done, status = os.waitpid(pid, os.WNOHANG)
        ended = done == pid
print('the terminal is ' + ('as before' if termios.tcgetattr(theirs) == before else 'changed'))
sys.exit(os.waitstatus_to_exitcode(status))
";
    let mut command = Command::new("python3");
    command.args(["-c", script, key, BINARY, "load"]).args(arguments);
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
    run_command(&mut command, b"")
}

/// A server that greets again and again, and what loads it for longer than a test may take.
fn stage() -> (tempfile::TempDir, Server, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("greet.talk"), "C: {name=Michael}\nS: Hello, {name}!\n").unwrap();
    fs::write(path("server.talk"), "repeat\n  C: {name=Michael|Tracy}\n  S: Hello, {name}!\nend\n").unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path("server.talk")]);
    let words = [server.address(), "--play".to_owned(), path("greet.talk"), "--connections".to_owned(), "2".to_owned()];
    (folder, server, [&words[..], &["--rate".to_owned(), "200".to_owned()]].concat())
}

fn strs(words: &[String], more: &[&'static str]) -> Vec<String> {
    words.iter().cloned().chain(more.iter().map(|word| (*word).to_owned())).collect()
}

#[test]
fn a_terminal_has_one_screen_that_q_and_ctrl_c_end_with_a_report() {
    let (folder, _server, words) = stage();
    let save = folder.path().join("run.json").display().to_string();
    let words = strs(&words, &["--duration", "600s", "--save"]);
    for (key, expected) in [("q", 0), ("\u{3}", 130)] {
        let words: Vec<&str> = words.iter().map(String::as_str).chain([save.as_str()]).collect();
        let output = on_a_terminal(&words, key, &[]);
        assert_code(&output, expected);
        let shown = text(&output.stdout);
        assert!(shown.contains("of 600 s") || shown.contains("of 10 min 0 s"), "{shown}");
        // Drawn in place: after the first time it goes up as many lines as it has, and what it drew is gone at the end.
        let (screens, report) = shown.rsplit_once("\x1b[?25h").expect("the cursor is shown again");
        assert!(screens.starts_with("\x1b[?25l") && screens.contains("A\r") && screens.contains('█'), "{screens:?}");
        assert!(screens.ends_with("\r\x1b[J"), "{screens:?}");
        assert!(
            report.contains("exchanges") && report.contains("greet.talk:1") && report.contains("p99.9"),
            "{report}"
        );
        assert!(report.contains("the terminal is as before"), "{report}");
        let run: Value = serde_json::from_slice(&fs::read(&save).unwrap()).unwrap();
        assert!(run["exchanges"].as_u64().unwrap() > 0 && run["failures"] == 0, "{run}");
        assert_eq!(run["interrupted"], true, "it was ended before its time");
    }
}

#[test]
fn a_terminal_that_wants_no_drawing_gets_lines() {
    let (_folder, _server, words) = stage();
    for (more, variables) in [(&[][..], [("TERM", "dumb")]), (&["-q"], [("A", "b")]), (&["--json"], [("A", "b")])] {
        let words = strs(&words, &[&["--duration", "2s"], more].concat());
        let output = on_a_terminal(&words.iter().map(String::as_str).collect::<Vec<_>>(), "", &variables);
        assert_code(&output, 0);
        assert!(
            !["\x1b[K", "\x1b[?25"].iter().any(|code| text(&output.stdout).contains(code)),
            "{more:?}: {}",
            text(&output.stdout)
        );
    }
}

#[test]
fn elsewhere_a_second_is_a_line_or_an_object_or_nothing() {
    let (_folder, _server, words) = stage();
    let told = |more: &[&'static str]| {
        let words = strs(&words, &[&["load"], &["--duration", "3s"][..], more].concat());
        // The verb stands first.
        let (before, after) = words.split_at(words.iter().position(|word| word == "load").unwrap());
        let words: Vec<&String> = after.iter().take(1).chain(before).chain(&after[1..]).collect();
        let output = run(&words, b"");
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("all exchanges"), "{}", text(&output.stdout));
        text(&output.stderr)
    };
    let lines = told(&[]);
    assert!(lines.lines().any(|line| line.starts_with("1 s: ") && line.contains(" exchanges, p50 ")), "{lines}");
    let quiet = told(&["-q"]);
    assert!(
        quiet.lines().all(|line| line.starts_with("warning: ")),
        "a machine that is busy is told all the same: {quiet}"
    );
    let objects = told(&["--json"]);
    let seconds: Vec<Value> = objects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|object: &Value| object["event"] == "second")
        .collect();
    assert!(seconds.len() >= 2 && seconds[0]["second"] == 0 && seconds[0]["p99"].as_f64().unwrap() > 0.0, "{objects}");
}
