//! `talk` at a terminal: lines are edited and remembered, and what the peer says destroys none that is being typed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use support::{LONG, Log, command, line, text, to_end, wait, wait_until_idle};

/// A terminal, and all that was shown on it.
struct Terminal {
    keys: File,
    slave: File,
    shown: Arc<(Mutex<String>, Condvar)>,
}

impl Terminal {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
        let keys = File::from(master);
        let shown: Arc<(Mutex<String>, Condvar)> = Arc::default();
        let (mut reader, all) = (keys.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal that no process has open is an error.
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                all.0.lock().unwrap().push_str(&text(&bytes[..length]));
                all.1.notify_all();
            }
        });
        Self { keys, slave, shown }
    }

    fn start(&self, arguments: &[&str], state: &Path) -> (Child, Log) {
        let end = || Stdio::from(self.slave.try_clone().unwrap());
        let mut child = command(&[])
            .arg("talk")
            .args(arguments)
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", state)
            .stdin(end())
            .stdout(end())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        (child, log)
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this was shown, behind what was shown before.
    #[track_caller]
    fn wait_for(&self, words: &str, behind: usize) -> usize {
        let until = Instant::now() + LONG;
        let mut shown = self.shown.0.lock().unwrap();
        loop {
            if let Some(at) = shown.get(behind..).and_then(|rest| rest.find(words)) {
                return behind + at + words.len();
            }
            assert!(Instant::now() < until, "no `{words}` in {:?}", &shown[behind..]);
            shown = self.shown.1.wait_timeout(shown, std::time::Duration::from_millis(200)).unwrap().0;
        }
    }

    /// Whether it echoes and hands over whole lines, as a shell wants to find it.
    fn is_cooked(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Ctrl-C, for the editor: between two lines the key is a signal for the processes that the terminal controls, and there is none here.
    fn interrupt(&mut self) {
        let signals = || tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ISIG);
        support::until("an editor that takes every key", || !signals());
        self.press("\x03");
    }

    /// Waits until a line is edited.
    fn wait_until_edited(&self) {
        support::until("the editor", || !self.is_cooked());
    }
}

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_A: &str = "\x01";
const CTRL_D: &str = "\x04";
const CTRL_K: &str = "\x0b";

fn peer_of(terminal: &Terminal, more: &[&str], state: &Path) -> (Child, Log, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (child, log) = terminal.start(&[&[address.as_str()], more].concat(), state);
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    (child, log, stream)
}

#[test]
fn lines_are_edited_remembered_and_not_destroyed_by_what_comes() {
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::new();
    let (mut child, _log, mut peer) = peer_of(&terminal, &[], state.path());
    terminal.wait_until_edited();
    // In the middle, at the beginning, and to the end.
    terminal.press(&format!("ab{LEFT}x{CTRL_A}_\r"));
    assert_eq!(line(&mut peer), "_axb\n");
    terminal.press(&format!("gone{CTRL_A}{CTRL_K}grüße 日本\r"));
    assert_eq!(line(&mut peer), "grüße 日本\n");
    terminal.press(&format!("{UP}{UP}!\r"));
    assert_eq!(line(&mut peer), "_axb!\n");
    // What the peer says comes above the line in hand, which goes on.
    terminal.press("half");
    let at = terminal.wait_for("half", 0);
    peer.write_all(b"from the peer\r\nand more\n\x1b[2J\n").unwrap();
    let at = terminal.wait_for("from the peer", at);
    let at = terminal.wait_for("{0x1b}[2J", at);
    // It is drawn again.
    let at = terminal.wait_for("half", at);
    terminal.press(" done\r");
    assert_eq!(line(&mut peer), "half done\n");
    // A prompt has no end of line.
    peer.write_all(b"password: ").unwrap();
    terminal.wait_for("password: ", at);
    terminal.press(" secret\r");
    assert_eq!(line(&mut peer), " secret\n");
    // The end of what is typed is not that of what comes.
    terminal.press(CTRL_D);
    assert_eq!(to_end(&mut peer), b"");
    let lines: String = (0..500).map(|number| format!("line {number}\n")).collect();
    peer.write_all(lines.as_bytes()).unwrap();
    peer.write_all(b"the last").unwrap();
    drop(peer);
    assert_eq!(wait(&mut child), 0);
    let at = terminal.wait_for("line 499", at);
    terminal.wait_for("the last", at);
    assert!(terminal.is_cooked());
    let path = state.path().join("sockeye/history");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "_axb\ngrüße 日本\n_axb!\nhalf done\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // The next one has them.
    let mut terminal = Terminal::new();
    let (mut child, log, mut peer) = peer_of(&terminal, &[], state.path());
    terminal.wait_until_edited();
    terminal.press(&format!("{UP}\r"));
    assert_eq!(line(&mut peer), "half done\n");
    // What was sent is counted behind it.
    wait_until_idle(child.id());
    terminal.interrupt();
    assert_eq!(wait(&mut child), 130);
    log.wait_for("interrupted; 10 bytes sent, 0 received");
    assert!(terminal.is_cooked());
}

#[test]
fn the_end_of_the_peer_ends_it_and_the_terminal_is_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    for (more, keeps) in [(&["--no-history"][..], false), (&[], true)] {
        let mut terminal = Terminal::new();
        let (mut child, _log, mut peer) = peer_of(&terminal, more, state.path());
        terminal.wait_until_edited();
        terminal.press("typed\r");
        assert_eq!(line(&mut peer), "typed\n");
        terminal.press("in hand");
        terminal.wait_for("in hand", 0);
        peer.write_all(b"bye\n").unwrap();
        drop(peer);
        assert_eq!(wait(&mut child), 0);
        terminal.wait_for("bye", 0);
        assert!(terminal.is_cooked());
        assert_eq!(state.path().join("sockeye/history").exists(), keeps);
    }
    // A signal from elsewhere, and a history that cannot be.
    let terminal = Terminal::new();
    let (mut child, log, _peer) = peer_of(&terminal, &["-v"], Path::new("/dev/null"));
    log.wait_for("no history: /dev/null/sockeye/history: ");
    terminal.wait_until_edited();
    support::signal(child.id(), "TERM");
    assert_eq!(wait(&mut child), 143);
    assert!(terminal.is_cooked());
}

#[test]
fn a_listener_and_datagrams_are_typed_too() {
    let state = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::new();
    let (mut child, log) = terminal.start(&["--listen", "127.0.0.1:0"], state.path());
    let listening = log.wait_for("listening on tcp://127.0.0.1:");
    let port: u16 = listening.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    terminal.wait_until_edited();
    terminal.press(&format!("hi{LEFT}{LEFT}o\r"));
    assert_eq!(line(&mut client), "ohi\n");
    drop(client);
    assert_eq!(wait(&mut child), 0);
    let mut terminal = Terminal::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let (mut child, _log) = terminal.start(&[&format!("udp://{}", server.local_addr().unwrap())], state.path());
    terminal.wait_until_edited();
    terminal.press(&format!("{UP}?\r"));
    let mut bytes = [0; 64];
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    // A line is a datagram without its ending.
    assert_eq!(&bytes[..length], b"ohi?");
    server.send_to(b"answer\n", from).unwrap();
    terminal.wait_for("answer", 0);
    terminal.interrupt();
    assert_eq!(wait(&mut child), 130);
}

/// A clipboard comes at once: each of its lines is sent, and what stands behind the last one is in hand.
#[test]
fn lines_that_are_pasted_at_once_are_all_sent() {
    let state = tempfile::tempdir().unwrap();
    let many: String = (0..200).map(|number| format!("line {number}\n")).collect();
    for (pasted, sent) in [
        ("first\nsecond\nthird\nfour".to_owned(), "first\nsecond\nthird\n".to_owned()),
        ("first\rsecond\rfour".to_owned(), "first\nsecond\n".to_owned()),
        ("/docs\tgopher\t+\r\tfour".to_owned(), "/docs\tgopher\t+\n".to_owned()),
        (many.clone() + "four", many),
    ] {
        for is_begun in [true, false] {
            let mut terminal = Terminal::new();
            let (mut child, _log, mut peer) = peer_of(&terminal, &["--no-history"], state.path());
            terminal.wait_until_edited();
            if is_begun {
                terminal.press("typed\r");
                assert_eq!(line(&mut peer), "typed\n");
            }
            terminal.press(&pasted);
            let heard: String = sent.lines().map(|_| line(&mut peer)).collect();
            assert_eq!(heard, sent);
            terminal.press("teen\r");
            assert_eq!(line(&mut peer).trim_start(), "fourteen\n");
            terminal.press(CTRL_D);
            assert_eq!(to_end(&mut peer), b"");
            drop(peer);
            assert_eq!(wait(&mut child), 0, "{pasted:?}");
        }
    }
}

/// Nothing is left out in silence: the input ends there, with a word, and the exit says it.
#[test]
fn bytes_that_are_no_text_are_said_and_not_sent_in_part() {
    let state = tempfile::tempdir().unwrap();
    for bytes in [&b"gr\xfc\xdfe\r"[..], b"\xff\xfe\x00\r", b"cut \xe2\x82\rnext\r"] {
        let mut terminal = Terminal::new();
        let (mut child, log, mut peer) = peer_of(&terminal, &["--no-history"], state.path());
        terminal.wait_until_edited();
        terminal.press("typed\r");
        assert_eq!(line(&mut peer), "typed\n");
        terminal.keys.write_all(bytes).unwrap();
        assert_eq!(text(&to_end(&mut peer)), "", "{bytes:?}");
        log.wait_for("what was typed is not UTF-8: that line was not sent, and no more is read; --raw");
        peer.write_all(b"bye\n").unwrap();
        drop(peer);
        assert_eq!(wait(&mut child), 26, "{bytes:?}");
        terminal.wait_for("bye", 0);
        assert!(terminal.is_cooked());
    }
}

/// Who wants the terminal as it is has it.
#[test]
fn raw_quiet_and_dumb_terminals_have_no_editor() {
    let state = tempfile::tempdir().unwrap();
    for more in ["--raw", "-q", "--hex"] {
        let mut terminal = Terminal::new();
        let (mut child, _log, mut peer) = peer_of(&terminal, &[more], state.path());
        terminal.press("plain\n");
        assert_eq!(line(&mut peer), "plain\n");
        assert!(terminal.is_cooked());
        drop(peer);
        assert_eq!(wait(&mut child), 0, "{more}");
    }
    assert!(!state.path().join("sockeye").exists());
}
