//! `fetch` on a terminal: colour, and one bar for everything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::web::{Web, answer, ok};
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
        assert!(!shown.contains('\x1b'), "{shown:?}");
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
