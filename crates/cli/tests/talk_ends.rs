//! How a conversation of `talk` ends: no end is taken for more than it says, and a reset is always one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, shutdown,
    socket_with,
};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::*;

/// How long a producer says nothing: longer than anybody should guess from. A slow machine only makes it longer.
const PAUSE: Duration = Duration::from_millis(2500);

/// A pipe that its writer has closed.
fn ended_pipe() -> Stdio {
    std::io::pipe().unwrap().0.into()
}

fn producer(program: &str, arguments: &[&str]) -> Child {
    need(program);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Says a line, which the other end must hear, and after a pause another.
fn say_twice(producer: &mut Child, mut heard: impl FnMut() -> String) {
    let mut stdin = producer.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(heard(), "one\n");
    std::thread::sleep(PAUSE);
    stdin.write_all(b"two\n").unwrap();
}

#[test]
fn a_listener_without_input_takes_all_however_long_its_sender_pauses() {
    for sender in [BINARY, "nc", "socat"] {
        for (stdin, more) in [(Stdio::null(), &[][..]), (ended_pipe(), &[]), (Stdio::null(), &["--eol", "lf"])] {
            let (mut listener, port, _log) = listening("127.0.0.1:0", stdin, more);
            let address = format!("127.0.0.1:{port}");
            let both = format!("TCP:{address}");
            let port = port.to_string();
            let arguments: &[&str] = match sender {
                "nc" => &["-N", "127.0.0.1", &port],
                "socat" => &["-", &both],
                _ => &["talk", &address],
            };
            let mut sender = producer(sender, arguments);
            let stdout = listener.stdout.as_mut().unwrap();
            say_twice(&mut sender, || line(stdout));
            assert_eq!(text(&to_end(stdout)), "two\n", "{arguments:?}");
            assert_eq!((wait(&mut listener), wait(&mut sender)), (0, 0), "{arguments:?}");
        }
    }
}

/// `talk ADDR | head -1` beside a peer that says no more: it ends with its reader, unless something is still to be sent.
#[test]
fn it_ends_when_nobody_reads_what_comes_and_nothing_is_left_to_say() {
    let (typed, _keys) = terminal();
    let members: [(&[&str], Stdio); 4] = [
        (&[], typed.into()),
        (&[], Stdio::null()),
        (&["--recv-only"], Stdio::null()),
        (&["--eol", "crlf"], Stdio::null()),
    ];
    for (more, stdin) in members {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut child, mut reader) = talk_to(&listener.local_addr().unwrap().to_string(), more, stdin);
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"one\n").unwrap();
        assert_eq!(line(&mut reader), "one\n");
        drop(reader);
        assert_eq!(wait(&mut child), 23, "{more:?}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let (typed, mut keys) = terminal();
    let (mut child, mut reader) = talk_to(&format!("udp://{}", socket.local_addr().unwrap()), &[], typed.into());
    keys.write_all(b"question\n").unwrap();
    let (_, from) = socket.recv_from(&mut [0; 64]).unwrap();
    socket.send_to(b"one\n", from).unwrap();
    assert_eq!(line(&mut reader), "one\n");
    drop(reader);
    assert_eq!(wait(&mut child), 23);
}

#[test]
fn what_a_program_says_arrives_though_nobody_reads_the_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut child, mut reader) = talk_to(&listener.local_addr().unwrap().to_string(), &[], Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(LONG)).unwrap();
    peer.write_all(b"one\n").unwrap();
    assert_eq!(line(&mut reader), "one\n");
    drop(reader);
    for said in ["two\n", "three\n"] {
        wait_until_idle(child.id());
        stdin.write_all(said.as_bytes()).unwrap();
        assert_eq!(line(&mut peer), said);
    }
    drop(stdin);
    assert_eq!(to_end(&mut peer), b"");
    assert_eq!(wait(&mut child), 23);
}

/// A program at the other end of whose output a reader stands.
fn talk_to(address: &str, more: &[&str], stdin: Stdio) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = command(&[]);
    command.args(["talk", address]).args(more).stdin(stdin).stdout(writer).stderr(Stdio::null());
    (command.spawn().unwrap(), reader)
}

/// A terminal, and its keys.
fn terminal() -> (File, File) {
    let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&keys).unwrap();
    unlockpt(&keys).unwrap();
    let path = ptsname(&keys, Vec::new()).unwrap();
    (File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap(), keys.into())
}

/// With `--keep` a client that came before takes nothing from the next.
#[test]
fn a_listener_without_input_takes_one_client_after_another_whole() {
    let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::null(), &["--keep"]);
    let stdout = listener.stdout.as_mut().unwrap();
    for number in 1..=2 {
        let mut sender = producer(BINARY, &["talk", &format!("127.0.0.1:{port}")]);
        say_twice(&mut sender, || line(stdout));
        assert_eq!(line(stdout), "two\n");
        assert_eq!(wait(&mut sender), 0);
        log.wait_for(&format!("closed #{number}"));
    }
    signal(listener.id(), "INT");
    assert_eq!(wait(&mut listener), 130);
}

#[test]
fn a_peer_that_has_only_half_closed_gets_what_a_producer_says_later() {
    for arguments in [&[][..], &["--eol", "crlf"]] {
        let (address, peer) = serve_one(|mut stream| {
            stream.shutdown(Shutdown::Write).unwrap();
            text(&to_end(&mut stream))
        });
        let mut sender = producer(BINARY, &[&["talk", &address.to_string()], arguments].concat());
        let mut stdin = sender.stdin.take().unwrap();
        std::thread::sleep(PAUSE);
        stdin.write_all(b"late\n").unwrap();
        drop(stdin);
        assert_eq!(wait(&mut sender), 0);
        assert_eq!(peer.join().unwrap().trim_end(), "late");
    }
}

/// The same from the listening end: a client asked and waits, and the answer takes its time.
#[test]
fn a_client_that_has_only_half_closed_gets_a_late_answer() {
    let (mut listener, port, _log) = listening("127.0.0.1:0", Stdio::piped(), &[]);
    let mut answer = listener.stdin.take().unwrap();
    let mut client = producer(BINARY, &["talk", &format!("127.0.0.1:{port}")]);
    client.stdin.take().unwrap().write_all(b"question\n").unwrap();
    assert_eq!(line(listener.stdout.as_mut().unwrap()), "question\n");
    std::thread::sleep(PAUSE);
    answer.write_all(b"answer\n").unwrap();
    drop(answer);
    assert_eq!(text(&to_end(client.stdout.as_mut().unwrap())), "answer\n");
    assert_eq!((wait(&mut client), wait(&mut listener)), (0, 0));
}

/// What is said to a peer that has closed is not sent, and that is told with its count.
#[test]
fn a_peer_that_has_closed_gets_nothing_more_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let record = folder.path().join("record.talk");
    for (unix, more) in
        [(false, &[][..]), (false, &["--eol", "lf"]), (false, &["--record", record.to_str().unwrap()]), (true, &[])]
    {
        let (told, closed) = std::sync::mpsc::channel();
        let address = if unix {
            let listener = UnixListener::bind(&path).unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                line(&mut stream);
                drop(stream);
                told.send(()).unwrap();
            });
            format!("unix:{}", path.display())
        } else {
            let (address, _) = serve_one(move |mut stream| {
                line(&mut stream);
                drop(stream);
                told.send(()).unwrap();
            });
            address.to_string()
        };
        let mut sender = producer(BINARY, &[&["talk", &address], more].concat());
        let mut stdin = sender.stdin.take().unwrap();
        stdin.write_all(b"one\n").unwrap();
        closed.recv().unwrap();
        std::thread::sleep(PAUSE);
        let _ = stdin.write_all(b"twice\n");
        drop(stdin);
        let output = sender.wait_with_output().unwrap();
        assert_code(&output, 56);
        let stderr = text(&output.stderr);
        assert!(stderr.contains("6 bytes of standard input were not sent"), "{address} {more:?}: {stderr}");
    }
}

/// Our end is no byte that was not sent, and what only our own system took was not sent: given is sent and not sent.
#[test]
fn what_was_not_sent_is_counted_once_and_no_end_among_it() {
    for limit in [["--idle", "200ms"], ["--timeout", "200ms"]] {
        let (address, peer) = serve_one(|mut stream| assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0));
        let address = address.to_string();
        let output = run(&[&["talk", &address, "--recv-only"][..], &limit].concat(), b"");
        peer.join().unwrap();
        assert_code(&output, 28);
        assert!(text(&output.stderr).ends_with("; 0 bytes sent, 0 received\n"), "{}", text(&output.stderr));
        let (mut listening, port, log) = listening("127.0.0.1:0", ended_pipe(), &limit);
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let told = log.wait_for("sockeye: ");
        assert!(told.starts_with(&format!("sockeye: tcp://127.0.0.1:{port}: ")), "{told}");
        assert!(told.ends_with("; 0 bytes sent, 0 received"), "{told}");
        assert_eq!(listening.wait().unwrap().code(), Some(28));
        drop(client);
    }
    for given in [4 << 20, 5_000_001] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, vec![b'x'; given]).unwrap();
        let (address, peer) = serve_one(|mut stream| {
            let mut some = [0; 1000];
            stream.read_exact(&mut some).unwrap();
            // What was not read makes a close a reset.
        });
        let arguments = ["talk", &address.to_string()];
        let input = std::fs::File::open(&path).unwrap();
        let output = command(&[]).args(arguments).stdin(input).output().unwrap();
        peer.join().unwrap();
        assert_code(&output, 56);
        let stderr = text(&output.stderr);
        let number = |behind: &str| -> usize {
            let before = stderr.split(behind).next().unwrap();
            before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        let counts = (number(" bytes sent, "), number(" bytes of standard input were not sent"));
        assert_eq!(counts.0 + counts.1, given, "{stderr}");
    }
}

#[test]
fn receiving_only_reads_no_input_and_ends_with_the_peer() {
    let (address, peer) = serve_one(|mut stream| {
        stream.write_all(b"all of it\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        to_end(&mut stream)
    });
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"not for the peer").unwrap();
    std::io::Seek::rewind(&mut input).unwrap();
    let mut left = input.try_clone().unwrap();
    let output = command(&[]).args(["talk", &address.to_string(), "--recv-only"]).stdin(input).output().unwrap();
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"all of it\n");
    assert_eq!(peer.join().unwrap(), b"");
    assert_eq!(to_end(&mut left), b"not for the peer");
    // An input that stays open is no reason to stay.
    let (mut listener, port, _log) = listening("127.0.0.1:0", Stdio::piped(), &["--recv-only"]);
    let sent = run(&["talk", &format!("127.0.0.1:{port}")], b"hello\n");
    assert_code(&sent, 0);
    assert_eq!(wait(&mut listener), 0);
    assert_eq!(to_end(listener.stdout.as_mut().unwrap()), b"hello\n");
}

#[test]
fn sending_only_waits_for_no_answer_and_loses_nothing() {
    // This peer never ends, and talks without being asked.
    let (over, wait_for_it) = std::sync::mpsc::channel::<()>();
    let (address, peer) = serve_one(move |mut stream| {
        stream.write_all(&vec![b'x'; 8 << 20]).unwrap();
        let got = to_end(&mut stream).len();
        let _ = wait_for_it.recv();
        got
    });
    let output = run(&["talk", &address.to_string(), "--send-only"], &vec![b'y'; 4 << 20]);
    drop(over);
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"");
    assert_eq!(peer.join().unwrap(), 4 << 20);
    // One that resets instead of taking all is told.
    let (address, peer) = serve_one(|mut stream| {
        read(&mut stream, 1000);
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    let output = run(&["talk", &address.to_string(), "--send-only"], &vec![b'y'; 4 << 20]);
    assert_code(&output, 56);
    peer.join().unwrap();
}

#[test]
fn a_conversation_in_which_nothing_passes_ends_after_its_idle_time() {
    for (listens, more) in [(false, &[][..]), (false, &["--recv-only"]), (true, &[])] {
        let (code, log) = if listens {
            let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::null(), &["--idle", "300ms"]);
            let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            (wait(&mut listener), log.to_end().join("\n"))
        } else {
            let (over, wait_for_it) = std::sync::mpsc::channel::<()>();
            let (address, _) = serve_one(move |mut stream| {
                // Something passes for longer than the time, and is no reason to end.
                for _ in 0..8 {
                    stream.write_all(b".").unwrap();
                    std::thread::sleep(Duration::from_millis(50));
                }
                let _ = wait_for_it.recv();
            });
            let mut arguments = vec!["talk", "--idle", "300ms"];
            let address = address.to_string();
            arguments.push(&address);
            arguments.extend(more);
            let output = run(&arguments, b"");
            drop(over);
            (code(&output), text(&output.stderr))
        };
        assert_eq!(code, 28, "{log}");
        assert!(log.contains("nothing passed for 0.3 s (--idle)"), "{log}");
    }
}

/// A reset is never a clean end, no matter which of the two directions is told of it, and what came before it is delivered.
#[test]
fn what_came_before_a_reset_is_delivered_and_then_it_is_56() {
    let folder = tempfile::tempdir().unwrap();
    let (record, play) = (folder.path().join("r.talk"), folder.path().join("p.talk"));
    std::fs::write(&play, "S: some\nS: data\n").unwrap();
    let ways: [&[&str]; 4] =
        [&[], &["--eol", "lf"], &["--record", record.to_str().unwrap()], &["--play", play.to_str().unwrap()]];
    for more in ways {
        for _ in 0..20 {
            let (address, peer) = serve_one(move |mut stream| {
                stream.write_all(b"some\ndata\n").unwrap();
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            });
            let plays = more.first() == Some(&"--play");
            let output = run(&[&["talk", &address.to_string()], more].concat(), b"");
            peer.join().unwrap();
            assert_code(&output, 56);
            if !plays {
                assert_eq!(text(&output.stdout), "some\ndata\n", "{more:?}");
            }
            // Nothing was to be sent, so nothing was not.
            assert!(!text(&output.stderr).contains("not sent"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn megabytes_to_a_peer_that_resets_are_always_56_with_their_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big");
    std::fs::write(&path, vec![b'x'; 4 << 20]).unwrap();
    for abort in [true, false] {
        for (from_file, more) in [(true, &[][..]), (false, &[]), (true, &["--eol", "lf"]), (false, &["--send-only"])] {
            for _ in 0..10 {
                let (address, peer) = serve_one(move |mut stream| {
                    read(&mut stream, 1000);
                    if abort {
                        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                    }
                    // What was not read makes a close a reset.
                });
                let address = address.to_string();
                let arguments = [&["talk", address.as_str()], more].concat();
                let output = if from_file {
                    command(&[]).args(&arguments).stdin(std::fs::File::open(&path).unwrap()).output().unwrap()
                } else {
                    run(&arguments, &vec![b'x'; 4 << 20])
                };
                peer.join().unwrap();
                assert_code(&output, 56);
                let stderr = text(&output.stderr);
                let told = ["bytes of standard input were not sent", "standard input had not ended"];
                assert!(told.iter().any(|told| stderr.contains(told)), "{stderr}");
            }
        }
    }
}

/// A play that has said and heard everything was cut all the same if the reset took what it said last.
#[test]
fn a_play_whose_last_words_meet_a_reset_did_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let play = folder.path().join("p.talk");
    for text in ["S: some\nC: thanks\n", "S: some\nC: thanks\nC stops sending\n", "S: some\nC closes\n"] {
        std::fs::write(&play, text).unwrap();
        for _ in 0..5 {
            let (address, peer) = serve_one(|mut stream| {
                stream.write_all(b"some\n").unwrap();
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            });
            let output = run(&["talk", &address.to_string(), "--play", play.to_str().unwrap()], b"");
            peer.join().unwrap();
            assert_code(&output, 56);
        }
    }
    std::fs::write(&play, "S: some\nS resets\n").unwrap();
    let (address, peer) = serve_one(|mut stream| {
        stream.write_all(b"some\n").unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    assert_code(&run(&["talk", &address.to_string(), "--play", play.to_str().unwrap()], b""), 0);
    peer.join().unwrap();
}

#[test]
fn who_closed_first_is_whose_end_was_sent_or_read_first() {
    // The client's end comes first, also behind an unfinished line.
    for said in ["line\n", "unfinished"] {
        let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::piped(), &[]);
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(said.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(listener.stdout.as_mut().unwrap(), said.len()), said.as_bytes());
        wait_until_idle(listener.id());
        drop(listener.stdin.take());
        assert_eq!(to_end(&mut client), b"");
        assert_eq!(wait(&mut listener), 0);
        log.wait_for("by client");
    }
    // Ours does.
    let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::piped(), &[]);
    listener.stdin.take().unwrap().write_all(b"all we have").unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(to_end(&mut client), b"all we have");
    client.write_all(b"thanks").unwrap();
    drop(client);
    assert_eq!(wait(&mut listener), 0);
    log.wait_for("by server");
}

fn packets_to(path: &std::path::Path) -> OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    fd
}

/// Nothing tells of the end of a client of datagrams; packets have ends as a stream has.
#[test]
fn over_datagrams_it_is_we_who_close_and_over_packets_who_ended_first() {
    let (input, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"answer\n").unwrap();
    drop(writer);
    for (stdin, more) in [(Stdio::from(input), &["--idle", "60s"][..]), (ended_pipe(), &["--send-only"])] {
        let (mut listener, port, log) = listening("udp://127.0.0.1:0", stdin, more);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"asks", ("127.0.0.1", port)).unwrap();
        assert_eq!(wait(&mut listener), 0);
        log.wait_for("by server");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |scheme: &str, name: &str| format!("{scheme}:{}", folder.path().join(name).display());
    let (input, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"answer\n").unwrap();
    drop(writer);
    let (mut listener, _, log) = listening(&at("unix-dgram", "datagrams"), input, &[]);
    let client = std::os::unix::net::UnixDatagram::bind(folder.path().join("sender")).unwrap();
    client.send_to(b"asks", folder.path().join("datagrams")).unwrap();
    assert_eq!(wait(&mut listener), 0);
    log.wait_for("by server");
    for first in ["client", "server"] {
        let address = at("unix-seqpacket", first);
        let (mut listener, _, log) = listening(&address, Stdio::piped(), &[]);
        let client = packets_to(&folder.path().join(first));
        send(&client, b"hello", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(line(listener.stdout.as_mut().unwrap()), "hello\n");
        let mut ours = listener.stdin.take().unwrap();
        if first == "client" {
            shutdown(&client, rustix::net::Shutdown::Write).unwrap();
            wait_until_idle(listener.id());
            drop(ours);
        } else {
            ours.write_all(b"hello\n").unwrap();
            drop(ours);
            for length in [5, 0] {
                assert_eq!(recv(&client, &mut [0; 9][..], RecvFlags::empty()).unwrap().1, length);
            }
            shutdown(&client, rustix::net::Shutdown::Write).unwrap();
        }
        assert_eq!(wait(&mut listener), 0);
        log.wait_for(&format!("by {first}"));
    }
}

/// Calls that fail: all arrives, or it is told, and nothing hangs or aborts.
#[test]
fn a_call_that_fails_loses_nothing_in_silence() {
    need("strace");
    let faults = [
        ("poll", "EINTR"),
        ("poll", "ENOMEM"),
        ("shutdown", "ENOTCONN"),
        ("sendto", "ENOMEM"),
        ("recvfrom", "ENOMEM"),
        ("splice", "ENOMEM"),
        ("splice", "EINVAL"),
        ("pipe2", "EMFILE"),
        ("clone3", "EAGAIN"),
        ("ioctl", "EIO"),
    ];
    for (call, error) in faults {
        for when in 1..=3 {
            let (address, peer) = serve_one(|mut stream| {
                // It may hear nothing, and then it ends by a reset.
                let _ = stream.write_all(b"hello\n");
                let mut got = Vec::new();
                let _ = stream.read_to_end(&mut got);
                let _ = stream.write_all(b"bye\n");
                got
            });
            let inject = format!("inject={call}:error={error}:when={when}");
            let trace = format!("trace={call}");
            let wrapper = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let output = run_command(command(&wrapper).args(["talk", &address.to_string()]), b"question");
            // Where it never came to a connection, one is missing.
            let _ = TcpStream::connect(address);
            let got = peer.join().unwrap();
            let stderr = text(&output.stderr);
            assert!(matches!(code(&output), 0 | 7 | 18 | 26 | 27 | 56), "{inject}: {} {stderr}", code(&output));
            assert!(!stderr.contains("panicked"), "{inject}: {stderr}");
            if code(&output) == 0 {
                assert_eq!((&got[..], text(&output.stdout)), (&b"question"[..], "hello\nbye\n".to_owned()), "{inject}");
            }
        }
    }
}

/// 0 is no limit, as curl has it: it ended everything at once.
#[test]
fn a_limit_of_no_time_is_none_whatever_it_is_about() {
    let play = transcript("greeting.talk");
    let play = play.to_str().unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", play, "--timeout", "0"]);
    let relay =
        Server::relay(&["tcp://127.0.0.1:0", &server.address()], &["--idle-timeout", "0", "--connect-timeout", "0s"]);
    for (address, flags) in [
        (server.address(), &["--timeout", "0"][..]),
        (server.address(), &["--idle", "0"]),
        (server.address(), &["--connect-timeout", "0"]),
        (server.address(), &["--timeout", "0ms", "--idle", "0s", "--connect-timeout", "0"]),
        (relay.address(), &[]),
    ] {
        let output = run(&[&["talk", address.as_str()], flags].concat(), b"Ann\nexit\n");
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "Welcome!\nHello, Ann!\n", "{flags:?}");
    }
    let address = server.address();
    for arguments in [
        &["talk", &address, "--play", play, "--timeout", "0"][..],
        &["talk", "--zero", &address, "--timeout", "0"],
        &["load", &address, "--play", play, "--plays", "1", "--timeout", "0", "--connect-timeout", "0"],
    ] {
        assert_code(&run(arguments, b""), 0);
    }
}

/// A server of WebSocket that says these frames and closes.
fn websocket(answer: &str, frames: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "eol crlf\nignore case\nC: GET {{_=/}} HTTP/1.1\nrepeat\n  C: {{_=Host: x}}\nend\n\
        C: Sec-WebSocket-Key: {{key=dGhlIHNhbXBsZSBub25jZQ==}}\nrepeat\n  C: {{_=Sec-WebSocket-Version: 13}}\nend\nC:\n\
        let digest = sha1 {{key}}258EAFA5-E914-47DA-95CA-C5AB0DC85B11\nlet bytes = unhex {{digest}}\n\
        let accept = base64 {{bytes}}\n{answer}{frames}"
    );
    let play = write(folder.path(), "server.talk", &text);
    (Server::start(&["--play", &play]), folder)
}

const UPGRADE: &str = "S: HTTP/1.1 101 Switching Protocols\nS: Upgrade: websocket\nS: Connection: Upgrade\n\
    S: Sec-WebSocket-Accept: {accept}\nS:\n";

/// The code that a server gives for its end says whether all went well; half a message is none.
#[test]
fn a_websocket_that_ends_in_failure_or_in_the_middle_of_a_message_is_no_success() {
    for (frames, code, says, heard) in [
        ("S hex: 81 02 796f 88 02 03e8\n", 0, "", "yo\n"),
        ("S hex: 81 02 796f 88 00\n", 0, "", "yo\n"),
        ("S hex: 81 02 796f 88 02 03e9\n", 0, "", "yo\n"),
        ("S hex: 81 02 796f 88 02 0fa1\n", 0, "", "yo\n"),
        (
            "S hex: 81 02 796f 88 02 03ea\n",
            56,
            "the peer closed it with 1002, which says that something went wrong",
            "yo\n",
        ),
        ("S hex: 81 02 796f 88 05 03f1 626967\n", 56, "the peer closed it with 1009 \"big\"", "yo\n"),
        ("S hex: 88 02 03f3\n", 56, "the peer closed it with 1011", ""),
        ("S hex: 01 02 796f 88 02 03e8\n", 56, "in the middle of a message, of which 2 bytes had come", ""),
        ("S hex: 81 02 796f 02 03 616263 89 01 70 00 01 64 88 00\n", 56, "of which 4 bytes had come", "yo\n"),
        ("S hex: 83 02 796f\n", 56, "the peer breaks the protocol", ""),
        ("S hex: 81 82 00000000 796f\n", 56, "the peer breaks the protocol", ""),
    ] {
        let (server, _folder) = websocket(UPGRADE, frames);
        let output = run(&["talk", &format!("ws://{}", server.address()), "--recv-only"], b"");
        assert_code(&output, code);
        assert!(text(&output.stderr).contains(says), "{frames}: {output:?}");
        assert_eq!(text(&output.stdout), heard, "{frames}");
    }
    // Words on the way to the answer.
    let on_the_way = "S: HTTP/1.1 100 Continue\nS:\nS: HTTP/1.1 103 Early Hints\nS: Link: </a>\nS:\n";
    let (server, _folder) = websocket(&format!("{on_the_way}{UPGRADE}"), "S hex: 81 02 796f 88 02 03e8\n");
    let output = run(&["talk", &format!("ws://{}", server.address()), "--recv-only"], b"");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "yo\n");
}

/// Nothing is said of TLS where there is none.
#[test]
fn a_handshake_that_is_cut_or_not_done_in_time_is_told() {
    for (scheme, answer, code, says) in [
        ("ws", "S raw: HTTP/1.1 101 Swi\nS closes\n", 56, "127.0.0.1 closed it before it had answered"),
        ("ws", "S: HTTP/1.1 100 Continue\nS:\nS closes\n", 56, "127.0.0.1 closed it before it had answered"),
        ("ws", "S: HTTP/1.1 503 Busy\nS: Content-Length: 0\nS:\n", 22, "WebSocket: the server says no: 503 Busy"),
        ("ws", "S waits 60s\nS: late\n", 28, "the handshake was not done in time"),
        ("tls", "S waits 60s\nS: late\n", 28, "the handshake was not done in time"),
    ] {
        let (server, _folder) = match scheme {
            "ws" => websocket(answer, ""),
            _ => {
                let folder = tempfile::tempdir().unwrap();
                let play = write(folder.path(), "server.talk", "C hex: {_:1 bytes=16}\nS waits 60s\nC closes\n");
                (Server::start(&["--play", &play]), folder)
            }
        };
        let address = format!("{scheme}://{}", server.address());
        let output = run(&["talk", &address, "--recv-only", "--connect-timeout", "2s"], b"");
        assert_code(&output, code);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !(scheme == "ws" && said.contains("TLS")), "{answer}: {said}");
    }
}

/// The system stops a read in front of an urgent byte (tcp(7)); what stands behind it is to be read all the same.
#[test]
fn behind_an_urgent_byte_a_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let rest = "d".repeat(400_000);
    for (more, to_file) in [(&[][..], false), (&[], true), (&["--recv-only"], false), (&["--recv-only"], true)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = folder.path().join("out");
        let (mut output, into) = std::io::pipe().unwrap();
        let stdout = if to_file { File::create(&path).unwrap().into() } else { Stdio::from(into) };
        let address = listener.local_addr().unwrap().to_string();
        let mut talk =
            command(&[]).args(["talk", &address]).args(more).stdin(Stdio::null()).stdout(stdout).spawn().unwrap();
        let mut peer = accept(&listener);
        peer.write_all(b"abc").unwrap();
        rustix::net::send(&peer, b"X", rustix::net::SendFlags::OOB).unwrap();
        let sent = rest.clone();
        let sending = std::thread::spawn(move || {
            peer.write_all(sent.as_bytes()).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            peer
        });
        let came = if to_file { Vec::new() } else { to_end(&mut output) };
        assert_eq!(wait(&mut talk), 0, "{more:?} {to_file}");
        drop(sending.join().unwrap());
        let came = if to_file { std::fs::read(&path).unwrap() } else { came };
        assert!(came == format!("abc{rest}").as_bytes(), "{more:?} {to_file}: {} bytes", came.len());
    }
}

/// A file that may not grow further (setrlimit(2), RLIMIT_FSIZE) is one that cannot be written, and ends no process by a signal.
#[test]
fn a_file_that_may_not_grow_is_one_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (address, server) = serve_one(|mut client| {
        // A program that cannot write what comes goes away.
        let _ = client.write_all(&[b'x'; 300_000]);
    });
    let file = File::create(folder.path().join("out")).unwrap();
    let output = command(&["prlimit", "--fsize=65536"])
        .args(["talk", &address.to_string()])
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("File too large"), "{}", text(&output.stderr));
    server.join().unwrap();
    let site = folder.path().to_str().unwrap();
    let server =
        Server::start_with(&["prlimit", "--fsize=65536"], &["http://127.0.0.1:0"], &["--files", site, "--upload"]);
    let ask = |request: String| {
        let mut client = server.connect();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        text(&receive(&mut client))
    };
    let body = "x".repeat(300_000);
    let said = ask(format!("PUT /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n{body}"));
    assert!(said.starts_with("HTTP/1.1 413 ") || said.starts_with("HTTP/1.1 5"), "{said}");
    let said = ask("PUT /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nok".to_owned());
    assert!(said.starts_with("HTTP/1.1 201 "), "{said}");
    assert!(!folder.path().join("big").exists());
}

/// What is written beside a conversation may not end it either: a record, and a line of a log for each answer.
#[test]
fn a_record_and_a_log_that_may_not_grow_are_told_and_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let limited = ["prlimit", "--fsize=4096"];
    let echo = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let record = path("record.talk");
    let relay = Server::start_verb("relay", &limited, &["127.0.0.1:0", &echo.address()], &["--record", &record]);
    for said in ["hello\n".repeat(10_000), "again\n".to_owned()] {
        let output = run(&["talk", &relay.address()], said.as_bytes());
        assert_code(&output, 0);
        assert!(text(&output.stdout) == said, "{} bytes", output.stdout.len());
    }
    let (code, log) = relay.stop();
    let told = log.iter().any(|line| line.contains("File too large"));
    assert!(code == 0 && told, "{code} {log:?}");

    std::fs::write(folder.path().join("a"), "hello").unwrap();
    let (site, log) = (folder.path().to_str().unwrap(), path("access.log"));
    let server = Server::start_with(&limited, &["http://127.0.0.1:0"], &["--files", site, "--access-log", &log]);
    for number in 0..200 {
        let mut client = server.connect();
        let request = format!("GET /a?{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let said = text(&receive(&mut client));
        assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("hello"), "{number}: {said}");
    }
    let (code, said) = server.stop();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 4096);
    let told = said.iter().any(|line| line.contains("lines of the access log: its disk is slow or full"));
    assert!(code == 0 && told, "{code} {:?}", said.last());
}
