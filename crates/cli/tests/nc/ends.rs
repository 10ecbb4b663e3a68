//! What is hard on a program: much in both directions, streams that are closed or full, few descriptors, words that are no text,
//! clients one after another, a descriptor that is handed over.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Instant;

use super::side_by_side::{LONG, alone, port, programs};
use super::support::{need, until};

const MUCH: usize = 64 << 20;

/// Bytes that do not repeat soon, so that a part that is lost, doubled or moved is seen.
fn much(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(MUCH);
    while bytes.len() < MUCH {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn start(program: &Path, line: &str) -> (Child, ChildStdin, ChildStdout) {
    let mut command = Command::new(program);
    command.args(line.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, stdin, stdout)
}

fn connect(port: u16) -> TcpStream {
    let mut made = None;
    until("a listener", || {
        made = TcpStream::connect(("127.0.0.1", port)).ok();
        made.is_some()
    });
    made.unwrap()
}

/// One end writes all while it reads all, as the other does.
fn exchange(mut to: impl Write + Send, mut from: impl Read + Send, bytes: &[u8], end: impl FnOnce() + Send) -> Vec<u8> {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            to.write_all(bytes).unwrap();
            drop(to);
            end();
        });
        let mut heard = Vec::new();
        from.read_to_end(&mut heard).unwrap();
        heard
    })
}

#[test]
fn much_arrives_whole_both_ways() {
    alone("ends::much_arrives_whole_both_ways", || {
        let (_folder, [_, ours]) = programs();
        let (up, down) = (much(1), much(2));
        for listens in [false, true] {
            let port = port();
            let listener = TcpListener::bind(("127.0.0.1", if listens { 0 } else { port })).unwrap();
            let line = if listens { format!("-lN {port}") } else { format!("-N 127.0.0.1 {port}") };
            let (mut child, stdin, stdout) = start(&ours, &line);
            let stream = if listens { connect(port) } else { listener.accept().unwrap().0 };
            let (sent, got) = std::thread::scope(|scope| {
                let peer = scope.spawn(|| {
                    exchange(&stream, &stream, &down, || {
                        // A listener ends with its client: until all was heard, the client's side stays open.
                        if !listens {
                            stream.shutdown(Shutdown::Write).unwrap();
                        }
                    })
                });
                let near = scope.spawn(|| exchange(stdin, stdout, &up, || {}));
                let sent = peer.join().unwrap();
                // Where nc has ended the connection, too, there is none any more.
                let _ = stream.shutdown(Shutdown::Both);
                (sent, near.join().unwrap())
            });
            assert!(sent == up, "{} of {} bytes came from nc {line}", sent.len(), up.len());
            assert!(got == down, "{} of {} bytes came out of nc {line}", got.len(), down.len());
            assert_eq!(child.wait().unwrap().code(), Some(0), "{line}");
        }
    });
}

#[test]
fn clients_come_one_after_another_until_it_is_ended() {
    alone("ends::clients_come_one_after_another_until_it_is_ended", || {
        let (_folder, programs) = programs();
        for program in programs {
            let port = port();
            let (mut child, stdin, mut stdout) = start(&program, &format!("-lkd {port}"));
            for number in 0..5 {
                let mut stream = connect(port);
                stream.write_all(format!("client {number}\n").as_bytes()).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                // nc ends the connection when it has written all.
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).unwrap();
                let mut line = vec![0; 9];
                stdout.read_exact(&mut line).unwrap();
                assert_eq!(line, format!("client {number}\n").as_bytes());
            }
            assert!(child.try_wait().unwrap().is_none());
            let id = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
            let status = child.wait().unwrap();
            // Nothing catches it: the system ends the process.
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
            drop(stdin);
        }
    });
}

/// A shell runs it, with its redirections; `$NC` is the program and `$PORT` a port where a server says a line and ends.
fn in_shell(program: &Path, script: &str, says: &[u8]) -> (Option<i32>, String, String, Vec<u8>) {
    need("prlimit");
    let port = port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("NC", program).env("PORT", port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + LONG;
    let mut heard = Vec::new();
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "{script} does not end");
        if let Ok((mut stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let _ = stream.write_all(says);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut heard);
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let same = |bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.replace(&port.to_string(), "PORT").replace(&program.display().to_string(), "nc")
    };
    (status.code(), same(stdout), same(stderr), heard)
}

#[test]
fn closed_and_full_streams_and_few_descriptors_are_met_as_nc_meets_them() {
    alone("ends::closed_and_full_streams_and_few_descriptors_are_met_as_nc_meets_them", || {
        let (_folder, programs) = programs();
        let much = vec![b'x'; 300_000];
        for (script, says) in [
            ("\"$NC\" -d 127.0.0.1 $PORT >/dev/full", b"hello\n".as_slice()),
            ("\"$NC\" 127.0.0.1 $PORT >/dev/full", &much),
            ("\"$NC\" -d 127.0.0.1 $PORT >&-", b"hello\n"),
            ("\"$NC\" 127.0.0.1 $PORT <&-", b"hello\n"),
            // What came before it looks would be echoed, and what comes later not: so nothing comes.
            ("\"$NC\" -w5 127.0.0.1 $PORT <&- >&-", b""),
            ("\"$NC\" -v 127.0.0.1 1 2>&-", b""),
            ("\"$NC\" -v 127.0.0.1 1 2>/dev/full", b""),
            ("\"$NC\" -h 2>/dev/full", b""),
            ("\"$NC\" -h 2>&-", b""),
            ("\"$NC\" -v 127.0.0.1 1 <&- >&-", b""),
            ("\"$NC\" -U /nowhere/x <&-", b""),
            ("\"$NC\" -d 127.0.0.1 $PORT | head -c 10", &much),
            ("prlimit --nofile=4:4 \"$NC\" -v 127.0.0.1 1", b""),
            ("prlimit --nofile=4:4 \"$NC\" -d 127.0.0.1 $PORT", b"hello\n"),
            ("prlimit --nofile=4:4 \"$NC\" -zv 127.0.0.1 1-9", b""),
            ("yes | head -c 200000 | \"$NC\" -N 127.0.0.1 $PORT | wc -c", b"hello\n"),
            ("POSIXLY_CORRECT=1 \"$NC\" 127.0.0.1 1 -v", b""),
            ("POSIXLY_CORRECT=1 \"$NC\" -v 127.0.0.1 1", b""),
        ] {
            let [theirs, ours] = [&programs[0], &programs[1]].map(|program| in_shell(program, script, says));
            assert_eq!(ours, theirs, "ours, and theirs, of {script}");
        }
    });
}

#[test]
fn words_that_are_no_text_are_bytes() {
    alone("ends::words_that_are_no_text_are_bytes", || {
        let (folder, programs) = programs();
        let folder = folder.path().as_os_str().as_bytes();
        for words in [
            &[b"-\xff".as_slice(), b"1"][..],
            &[b"\xff\xfe", b"1"],
            &[b"127.0.0.1", b"\xff"],
            &[b"-w", b"\xff", b"127.0.0.1", b"1"],
            &[b"-T\xc3\x28", b"127.0.0.1", b"1"],
            &[b"-vU", b"/nowhere/\xff"],
            &[b"-U", b"@\xff\xff"],
            &[b"-x", b"\xff:\xfe", b"127.0.0.1", b"1"],
            &[b"-Xconnect", b"-x", b"127.0.0.1:1", b"\xff", b"1"],
            &[b"-p", b"\xff", b"127.0.0.1", b"1"],
            &[b"-s\xff", b"127.0.0.1", b"1"],
        ] {
            let [theirs, ours] = [&programs[0], &programs[1]].map(|program| {
                let mut command = Command::new(program);
                command.args(words.iter().map(|word| OsStr::from_bytes(word))).stdin(Stdio::null());
                let output = command.output().unwrap();
                let own = program.parent().unwrap().strip_prefix(OsStr::from_bytes(folder)).unwrap().as_os_str();
                let cut: Vec<u8> = own.as_bytes().to_vec();
                let stderr = without(&output.stderr, &cut);
                (output.status.code(), output.stdout, stderr)
            });
            assert_eq!(ours, theirs, "{words:?}");
        }
    });
}

fn without(bytes: &[u8], part: &[u8]) -> Vec<u8> {
    match bytes.windows(part.len()).position(|window| window == part) {
        Some(at) => [&bytes[..at], &bytes[at + part.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

#[test]
fn the_socket_itself_is_handed_to_who_is_behind_standard_output() {
    alone("ends::the_socket_itself_is_handed_to_who_is_behind_standard_output", || {
        let (_folder, programs) = programs();
        for program in programs {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let (near, far) = UnixStream::pair().unwrap();
            let mut child = Command::new(&program)
                .args(["-F", "127.0.0.1", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::from(std::os::fd::OwnedFd::from(far)))
                .spawn()
                .unwrap();
            let (mut served, _) = listener.accept().unwrap();
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
            let mut byte = [1_u8];
            let mut parts = [std::io::IoSliceMut::new(&mut byte)];
            let flags = rustix::net::RecvFlags::empty();
            let got = rustix::net::recvmsg(near.as_fd(), &mut parts, &mut control, flags).unwrap();
            assert_eq!(got.bytes, 1);
            let passed = control.drain().find_map(|message| match message {
                rustix::net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                _ => None,
            });
            assert_eq!(child.wait().unwrap().code(), Some(0));
            let mut passed = TcpStream::from(passed.unwrap());
            passed.set_nonblocking(false).unwrap();
            passed.write_all(b"over the passed one\n").unwrap();
            drop(passed);
            let mut heard = Vec::new();
            served.read_to_end(&mut heard).unwrap();
            assert_eq!(heard, b"over the passed one\n");
        }
    });
}

/// As a verb it is the same program, under the name `nc`.
#[test]
fn the_verb_and_the_link_are_one() {
    alone("ends::the_verb_and_the_link_are_one", || {
        let (folder, [_, ours]) = programs();
        let copy = folder.path().join("netcat");
        fs::hard_link(super::support::BINARY, &copy)
            .or_else(|_| fs::copy(super::support::BINARY, &copy).map(|_| ()))
            .unwrap();
        for words in [&["-vz", "127.0.0.1", "1"][..], &["-y"], &["-h"], &[], &["-V", "1", "x", "1"]] {
            let verb = super::support::run(&[&["nc"], words].concat(), b"");
            for (program, name) in [(&ours, "nc"), (&copy, "netcat")] {
                let link = Command::new(program).args(words).stdin(Stdio::null()).output().unwrap();
                let shown = String::from_utf8_lossy(&link.stderr).replace(&program.display().to_string(), "nc");
                let shown = if name == "netcat" { shown.replace("netcat: ", "nc: ") } else { shown };
                assert_eq!(shown, String::from_utf8_lossy(&verb.stderr), "{words:?}");
                assert_eq!(link.status.code(), verb.status.code(), "{words:?}");
            }
        }
    });
}

/// Of all words, these two alone are not nc's: everybody tries them.
#[test]
fn help_of_the_verb_is_that_of_every_verb() {
    let help = super::support::run(&["nc", "--help"], b"");
    super::support::assert_code(&help, 0);
    let shown = super::support::text(&help.stdout);
    for words in ["Usage: sockeye nc", "-X proto", "netcat-openbsd 1.219"] {
        assert!(shown.contains(words), "{shown}");
    }
    let own = super::support::run(&["nc", "-h"], b"");
    super::support::assert_code(&own, 0);
    assert!(own.stdout.is_empty() && own.stderr.starts_with(b"OpenBSD netcat"), "{own:?}");
}
