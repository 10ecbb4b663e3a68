//! `fetch` on a terminal: colour, and one bar for everything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::web::{Web, answer, fetch, gzip, ok};
use support::{BINARY, Log, need, wait};

/// A fetch on a terminal of its own; what it shows comes as it is shown.
fn on_a_terminal(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Child, Log) {
    need("python3");
    let script = "
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while more := os.read(fd, 4096):
        # A bar is drawn over and over on one line.
        sys.stdout.buffer.write(more.replace(b'\\r', b'\\r\\n'))
        sys.stdout.flush()
except OSError: pass
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
";
    let mut command = Command::new("python3");
    command.args(["-c", script, BINARY, "fetch"]).args(arguments).current_dir(folder);
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = Log::default();
    log.follow(child.stdout.take().unwrap());
    (child, log)
}

#[test]
fn a_terminal_shows_the_head_in_colour_unless_nobody_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    // The peer's own colour is shown, and not obeyed.
    let web = Web::saying(answer("200 OK", "X: \u{9b}31mred\r\nContent-Length: 1\r\n", b"x"));
    let show = |more: &[&str], variables: &[(&str, &str)]| {
        let url = web.url("/x");
        let (mut child, log) = on_a_terminal(folder.path(), &[&[url.as_str(), "-o", "x"], more].concat(), variables);
        assert_eq!(wait(&mut child), 0);
        log.to_end().join("\n")
    };
    for (more, variables) in [(&[][..], &[][..]), (&["--color", "always"], &[("NO_COLOR", "1")]), (&["-q"], &[])] {
        let shown = show(more, variables);
        assert!(shown.contains("HTTP/1.1 \x1b[1;32m200 OK\x1b[0m"), "{shown:?}");
        assert!(shown.contains("\x1b[36mContent-Length\x1b[0m: 1"), "{shown:?}");
        assert!(shown.contains("\x1b[36mX\x1b[0m: {0xc29b}31mred"), "{shown:?}");
    }
    for (more, variables) in
        [(&[][..], ("NO_COLOR", "1")), (&["--color", "never"], ("A", "b")), (&[], ("TERM", "dumb"))]
    {
        let shown = show(more, &[variables]);
        assert!(shown.contains("HTTP/1.1 200 OK") && shown.contains("{0xc29b}31mred"), "{shown:?}");
        // A bar that was shown, as where fetching took long, is erased.
        assert!(!shown.replace("\x1b[2K", "").contains('\x1b'), "{shown:?}");
    }
}

#[test]
fn several_downloads_share_one_bar() {
    let folder = tempfile::tempdir().unwrap();
    let (go, went) = channel::<()>();
    let went = Mutex::new(went);
    let web = Web::start(move |request, stream| {
        let message = ok(&[b'x'; 65536]);
        // One is done at once; of two a half comes.
        let half = message.len() - 32768;
        if request.contains(" /done ") {
            return stream.write_all(&message).unwrap();
        }
        stream.write_all(&message[..half]).unwrap();
        let _ = went.lock().unwrap().recv();
        stream.write_all(&message[half..]).unwrap();
    });
    let urls = ["/done", "/one", "/two"].map(|path| web.url(path));
    let (mut child, log) = on_a_terminal(folder.path(), &[&urls[0], &urls[1], &urls[2], "--color", "never"], &[]);
    // Two thirds of all.
    log.wait_for("128.00 KiB/192.00 KiB");
    drop(go);
    assert_eq!(wait(&mut child), 0);
    let shown = log.to_end();
    assert!(shown.iter().any(|line| line.contains("67% [")), "{shown:?}");
    for name in ["done", "one", "two"] {
        assert!(shown.iter().any(|line| line.contains(&format!("saved {name}, 65536 bytes"))), "{shown:?}");
    }
}

#[test]
fn json_is_laid_out_on_a_terminal_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let json = b"{\"b\":1.10,\"a\":[\"x\",12345678901234567890],\"b\":null}";
    let of = |kind: &str, body: &[u8]| {
        Web::saying(answer("200 OK", &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()), body))
    };
    let show = |web: &Web, more: &[&str], variables: &[(&str, &str)]| {
        let url = web.url("/x");
        let arguments = [&[url.as_str(), "-q", "-o", "-"], more].concat();
        let (mut child, log) = on_a_terminal(folder.path(), &arguments, variables);
        assert_eq!(wait(&mut child), 0);
        let lines = log.to_end();
        lines
            .iter()
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let plain = "{\n  \"b\": 1.10,\n  \"a\": [\n    \"x\",\n    12345678901234567890\n  ],\n  \"b\": null\n}";
    for kind in ["application/json", "Application/Problem+JSON; charset=utf-8"] {
        let web = of(kind, json);
        assert_eq!(show(&web, &[], &[("NO_COLOR", "1")]), plain);
        assert_eq!(show(&web, &["--color", "never"], &[]), plain);
        let painted = show(&web, &[], &[]);
        assert!(painted.starts_with("{\n  \x1b[36m\"b\"\x1b[0m: \x1b[33m1.10\x1b[0m,\n"), "{painted:?}");
        // As it came: where it was asked for, and for programs.
        assert_eq!(show(&web, &["--raw-body"], &[]).as_bytes(), json);
        let output = fetch(folder.path(), &[&web.url("/x"), "-q", "-o", "-", "--color", "always"]);
        assert_eq!(output.stdout, json);
    }
    assert_eq!(show(&of("text/plain", json), &[], &[]).as_bytes(), json);
    for (body, expected) in [
        (&b"{\"a\":1,}"[..], "{\"a\":1,}"),
        (b"[\"\x1b[2J\"]", "[\"{0x1b}[2J\"]"),
        (b"[1][2]", "[1][2]"),
        (b"{\"a\":1}\n{\"a\":2}\n", "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}"),
    ] {
        assert_eq!(show(&of("application/json", body), &[], &[("NO_COLOR", "1")]), expected);
    }
    // Packed on the way.
    let packed = gzip(json);
    let kind = "application/json\r\nContent-Encoding: gzip";
    assert_eq!(show(&of(kind, &packed), &[], &[("NO_COLOR", "1")]), plain);
}

/// A terminal that is gone takes nothing, and that is found out at the end, where JSON or half a character was held back.
#[test]
fn a_terminal_that_is_gone_is_told_of() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    let script = "
import os, pty, sys
ours, theirs = pty.openpty()
command = os.fork()
if command == 0:
    os.close(ours)
    os.dup2(theirs, 1)
    os.execv(sys.argv[1], sys.argv[1:])
os.close(theirs)
sys.stdin.readline()
os.close(ours)
print('gone', flush=True)
_, status = os.waitpid(command, 0)
sys.exit(os.waitstatus_to_exitcode(status))
";
    for (kind, body) in [
        ("application/json", &b"{\"a\":1}"[..]),
        ("application/x-ndjson", b"1\n2"),
        ("text/plain", b"\xc3"),
        ("text/plain", b"whole words"),
    ] {
        let (asked, is_asked) = channel();
        let (go, may_go) = channel::<()>();
        let (asked, may_go) = (Mutex::new(asked), Mutex::new(may_go));
        let message = answer("200 OK", &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()), body);
        let web = Web::start(move |_, stream| {
            asked.lock().unwrap().send(()).unwrap();
            let _ = may_go.lock().unwrap().recv();
            let _ = stream.write_all(&message);
        });
        let mut command = Command::new("python3");
        command.args(["-c", script, BINARY, "fetch", &web.url("/x"), "-o", "-", "-q"]).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Log::default();
        log.follow(child.stdout.take().unwrap());
        is_asked.recv().unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        log.wait_for("gone");
        drop(go);
        assert_eq!(wait(&mut child), 23, "{kind} {body:?}");
    }
}
