//! `talk` in a pipe: every byte arrives, or it is said with the count.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use support::*;

/// A file of so many bytes that are not all the same.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

/// Row 18 of the faults: the answer comes long after our end of the stream.
#[test]
fn an_answer_that_comes_late_is_waited_for() {
    let (tell, told) = channel();
    let (address, server) = serve_one(move |mut stream| {
        let asked = to_end(&mut stream);
        // It has nothing more to do, and no time of its own to wake up for.
        wait_until_at_rest(told.recv().unwrap());
        stream.write_all(&pattern(100_000)).unwrap();
        asked
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    talk.stdin.take().unwrap().write_all(b"question").unwrap();
    tell.send(talk.child.id()).unwrap();
    let (code, stdout) = talk.finish();
    assert_eq!(code, 0);
    assert!(stdout == pattern(100_000));
    assert_eq!(server.join().unwrap(), b"question");
}

/// Row 20: the producer ends at once; sizes around the edges of buffers.
#[test]
fn the_last_byte_of_a_producer_that_is_gone_arrives() {
    let mut sizes: Vec<usize> = vec![0, 1, 2];
    for edge in [4096, 65_536, 131_072, 262_144, 524_288] {
        sizes.extend(edge - 3..=edge + 3);
    }
    for size in sizes {
        let (address, server) = serve_one(move |mut stream| {
            let got = to_end(&mut stream);
            stream.write_all(&got).unwrap();
            got.len()
        });
        let output = run(&["talk", &address.to_string()], &pattern(size));
        assert_code(&output, 0);
        assert_eq!(server.join().unwrap(), size);
        assert!(output.stdout == pattern(size), "{size}");
    }
}

#[test]
fn both_directions_at_once_do_not_hold_each_other_up() {
    let server = Server::start(&["--echo"]);
    let payload = pattern(32 << 20);
    let output = run(&["talk", &server.address()], &payload);
    assert_code(&output, 0);
    assert!(output.stdout == payload);
}

/// Row 21: a reset is never a clean end.
#[test]
fn a_reset_is_exit_56_and_says_how_much_came() {
    let (address, server) = serve_one(|mut stream| {
        stream.write_all(b"half").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    let mut got = [0; 4];
    talk.child.stdout.as_mut().unwrap().read_exact(&mut got).unwrap();
    talk.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    server.join().unwrap();
    let line = talk.log.wait_for("reset");
    assert!(line.contains("1 bytes sent, 4 received"), "{line}");
    assert_eq!(talk.finish().0, 56);
}

#[test]
fn when_the_server_ends_first_talk_ends_too() {
    let (address, server) = serve_one(|mut stream| {
        line(&mut stream);
        stream.write_all(b"bye\n").unwrap();
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    talk.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    server.join().unwrap();
    // Standard input is still open, and nothing was left in it.
    let (code, stdout) = talk.finish();
    assert_eq!((code, text(&stdout)), (0, "bye\n".to_owned()));
}

#[test]
fn bytes_of_standard_input_that_were_not_sent_are_counted_and_are_no_success() {
    let (address, server) = serve_one(|mut stream| {
        read(&mut stream, 1000);
        // A half-close: it reads nothing more, and then it is gone.
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big");
    std::fs::write(&path, pattern(64 << 20)).unwrap();
    let output = command(&[])
        .args(["talk", &address.to_string()])
        .stdin(std::fs::File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    server.join().unwrap();
    assert!(matches!(code(&output), 18 | 56), "{}", text(&output.stderr));
    let stderr = text(&output.stderr);
    let unsent: u64 = stderr
        .split(", ")
        .find_map(|part| part.strip_suffix(" bytes of standard input were not sent\n"))
        .unwrap()
        .trim_start_matches("at least ")
        .parse()
        .unwrap();
    assert!(unsent > 32 << 20 && unsent < 64 << 20, "{stderr}");
}

#[test]
fn a_server_that_only_stopped_sending_still_gets_the_rest() {
    let (address, server) = serve_one(|mut stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        to_end(&mut stream).len()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big");
    std::fs::write(&path, pattern(16 << 20)).unwrap();
    let mut command = command(&[]);
    command.args(["talk", &address.to_string()]).stdin(std::fs::File::open(&path).unwrap());
    let output = command.output().unwrap();
    assert_code(&output, 0);
    assert_eq!(server.join().unwrap(), 16 << 20);
}

/// It is the same with a producer that pauses: the pipe is empty again and again.
#[test]
fn a_server_that_only_stopped_sending_still_gets_what_a_producer_makes() {
    let (ended, told) = std::sync::mpsc::channel();
    let (address, server) = serve_one(move |mut stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        let mut first = [0; 6];
        stream.read_exact(&mut first).unwrap();
        ended.send(()).unwrap();
        to_end(&mut stream).len()
    });
    let mut talk = Talk::start(&[&address.to_string()]);
    let mut stdin = talk.stdin.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    told.recv().unwrap();
    // By now talk has read the server's end, or reads it while this comes.
    for _ in 0..200 {
        stdin.write_all(&pattern(65_536)).unwrap();
        std::thread::yield_now();
    }
    drop(stdin);
    assert_eq!(talk.finish().0, 0);
    assert_eq!(server.join().unwrap(), 200 * 65_536);
}

/// Row 22: a reader with a tiny window, a byte at a time.
#[test]
fn short_writes_and_tiny_windows_lose_nothing() {
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 1).unwrap();
    rustix::net::bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte).unwrap() == 1 {
            got.push(byte[0]);
        }
        stream.write_all(b"done").unwrap();
        got
    });
    let output = run(&["talk", &address.to_string()], &pattern(150_000));
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"done");
    assert!(reader.join().unwrap() == pattern(150_000));
}

#[test]
fn time_limits_end_a_conversation_and_a_connection_attempt() {
    let (over, wait) = channel::<()>();
    let (address, server) = serve_one(move |mut stream| {
        to_end(&mut stream);
        let _ = wait.recv();
    });
    with_enough_time(|times| {
        let time = format!("{}s", times);
        let output = run(&["talk", &address.to_string(), "--timeout", &time], b"hello");
        assert_code(&output, 28);
        let words = format!("longer than {times} s (--timeout); 5 bytes sent, 0 received");
        if text(&output.stderr).contains(&words) { Ok(()) } else { Err(text(&output.stderr)) }
    });
    drop(over);
    server.join().unwrap();
    // A listener whose backlog is full answers no client.
    let full = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&full, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = std::net::SocketAddr::try_from(rustix::net::getsockname(&full).unwrap()).unwrap();
    let _fill: Vec<_> = (0..3)
        .map(|_| {
            let flags = rustix::net::SocketFlags::NONBLOCK;
            let fd = rustix::net::socket_with(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                flags,
                None,
            );
            let fd = fd.unwrap();
            let _ = rustix::net::connect(&fd, &address);
            fd
        })
        .collect();
    let output = run(&["talk", &address.to_string(), "--connect-timeout", "200ms"], b"");
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("--connect-timeout"), "{}", text(&output.stderr));
}

#[test]
fn line_endings_are_sent_as_asked() {
    for (eol, expected) in [("lf", "a\nb\n"), ("crlf", "a\r\nb\r\n"), ("none", "ab")] {
        let (address, server) = serve_one(|mut stream| to_end(&mut stream));
        assert_code(&run(&["talk", &address.to_string(), "--eol", eol], b"a\nb\r\n"), 0);
        assert_eq!(text(&server.join().unwrap()), expected);
    }
}

#[test]
fn the_listening_end_is_the_same_for_one_client_or_for_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let listen = |extra: &[&str], address: &str| {
        let _ = std::fs::remove_file(&port_file);
        let mut arguments = vec!["--listen", address, "--port-file", port_file.to_str().unwrap()];
        arguments.extend(extra);
        let talk = Talk::start(&arguments);
        talk.log.wait_for("listening on");
        let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
        (talk, port)
    };
    let (mut talk, port) = listen(&[], "127.0.0.1:0");
    talk.stdin.take().unwrap().write_all(b"from the listener").unwrap();
    let output = run(&["talk", &port.to_string()], b"from the client");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "from the listener");
    assert_eq!(talk.finish(), (0, b"from the client".to_vec()));
    assert_code(&run(&["talk", &format!("127.0.0.1:{port}")], b""), 7);

    let (talk, port) = listen(&["--keep"], "127.0.0.1:0");
    for client in [&b"one "[..], b"two "] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(client).unwrap();
    }
    // The third waits for standard input, which is still open; the first two have ended.
    talk.log.wait_for("closed #2");
    signal(talk.child.id(), "INT");
    let (code, stdout) = talk.finish();
    assert_eq!((code, text(&stdout)), (130, "one two ".to_owned()));

    let (mut talk, port) = listen(&[], "udp://127.0.0.1:0");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.send(b"first").unwrap();
    talk.log.wait_for("opened #1 udp");
    talk.stdin.as_mut().unwrap().write_all(b"answer\n").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    client.send(b"second").unwrap();
    drop(talk.stdin.take());
    let (code, stdout) = talk.finish();
    assert_eq!((code, text(&stdout)), (0, "first\nsecond\n".to_owned()));
}

/// Row 30: datagrams of every size, whole or a named error.
#[test]
fn datagrams_of_every_size_arrive_whole() {
    let server = Server::start(&["--echo"]);
    let address = format!("udp://{}", server.address());
    // One at a time each, since a burst may be more than a socket's buffer holds; many at once, since each waits a second. A
    // queue that is not read for a while holds all of the first, and one of the largest.
    let small = [1, 2, 511, 512, 1471, 1472, 1473, 8191, 8192, 8193, 16_383, 16_384, 16_385];
    for sizes in [&small[..], &[32_768], &[65_506], &[65_507]] {
        let talks = sizes.iter().copied().map(|size| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut line: Vec<u8> = (0..size).map(|n| b'a' + ((n + size) % 26) as u8).collect();
                line.push(b'\n');
                let output = run(&["talk", &address], &line);
                assert_code(&output, 0);
                assert!(output.stdout == line, "{size}");
            })
        });
        let talks: Vec<_> = talks.collect();
        talks.into_iter().for_each(|talk| talk.join().unwrap());
    }
    let output = run(&["talk", &format!("udp://{}", server.address())], &vec![b'x'; 65_508]);
    assert_code(&output, 18);
    assert!(text(&output.stderr).contains("line 1 of standard input has 65508 bytes, more than a datagram holds"));
}

#[test]
fn a_closed_udp_port_and_a_silent_one_are_told_apart() {
    let nobody = Closed::udp();
    let closed = nobody.address;
    let output = run(&["talk", &format!("udp://{closed}")], b"hello\n");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("port closed"), "{}", text(&output.stderr));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = run(&["talk", &format!("udp://{}", silent.local_addr().unwrap())], b"hello\n");
    assert_code(&output, 28);
    assert!(
        text(&output.stderr).contains("no answer within 5 s; 5 bytes sent, 0 received"),
        "{}",
        text(&output.stderr)
    );
    let greeting = transcript("greeting-udp.talk");
    let output =
        run(&["talk".as_ref(), format!("udp://{closed}").as_ref(), "--play".as_ref(), greeting.as_os_str()], b"");
    assert_code(&output, 7);
}

/// Row 24: standard output that is full, closed, or a pipe without a reader.
#[test]
fn output_that_cannot_be_written_is_exit_23() {
    let server = Server::start(&["--echo"]);
    let talk = |redirect: &str, input: &str| {
        // Descriptor 3 is a pipe whose reader is gone for certain: one that still lives has room for all of it.
        let script =
            format!("exec 3> >(exec true); wait $!; {input} | \"$1\" talk {} {redirect} 3>&-", server.address());
        Command::new("bash").args(["-c", &script, "bash", BINARY]).output().unwrap()
    };
    for (redirect, words) in
        [(">/dev/full", "No space left"), (">&-", "standard output is closed"), (">&3", "Broken pipe")]
    {
        let output = talk(redirect, "head -c 1000000 /dev/zero");
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains(words), "{redirect}: {}", text(&output.stderr));
    }
    let output = Command::new("bash").args(["-c", "\"$1\" --help >/dev/full", "bash", BINARY]).output().unwrap();
    assert_code(&output, 23);
}

/// Row 25: standard input that is closed, a folder, or a terminal.
#[test]
fn input_that_cannot_be_read_is_defined() {
    let server = Server::start(&[]);
    let talk = |redirect: &str| {
        let script = format!("\"$1\" talk {} {redirect}", server.address());
        Command::new("bash").args(["-c", &script, "bash", BINARY]).stdin(Stdio::null()).output().unwrap()
    };
    for empty in ["<&-", "</dev/null"] {
        let output = talk(empty);
        assert_code(&output, 0);
        assert_eq!(output.stdout, b"Welcome!\n");
    }
    let output = talk("<.");
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot read standard input: Is a directory"), "{}", text(&output.stderr));
}

/// Row 61: what a peer sends to a terminal is shown, not obeyed.
#[test]
fn escape_sequences_of_a_peer_do_not_reach_a_terminal() {
    need("python3");
    let (address, server) = serve_one(|mut stream| {
        stream.write_all(b"plain \x1b]52;c;ZXZpbA==\x07 \x1b[6n \xc2\x9b2J \x9b2J \xe2\x80\xae end\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        to_end(&mut stream)
    });
    let script = "
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], 'talk', sys.argv[2]])
out = b''
try:
    while True:
        more = os.read(fd, 4096)
        if not more: break
        out += more
except OSError: pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(out)
sys.exit(os.waitstatus_to_exitcode(status))
";
    let output = Command::new("python3").args(["-c", script, BINARY, &address.to_string()]).output().unwrap();
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("plain {0x1b}]52;c;ZXZpbA=={0x07} {0x1b}[6n {0xc29b}2J {0x9b}2J {0xe280ae} end"),
        "{shown:?}"
    );
    assert!(!output.stdout.contains(&0x1b));
    server.join().unwrap();
}

#[test]
fn an_interrupted_conversation_says_how_far_it_came() {
    for (name, expected) in [("INT", 130), ("TERM", 143)] {
        let (sender, receiver) = channel();
        let (address, server) = serve_one(move |mut stream| {
            stream.write_all(b"four").unwrap();
            sender.send(read(&mut stream, 5)).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let mut talk = Talk::start(&[&address.to_string()]);
        talk.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
        receiver.recv().unwrap();
        let mut four = [0; 4];
        talk.child.stdout.as_mut().unwrap().read_exact(&mut four).unwrap();
        wait_until_idle(talk.child.id());
        signal(talk.child.id(), name);
        talk.log.wait_for("interrupted; 5 bytes sent, 4 received");
        assert_eq!(talk.finish().0, expected);
        server.join().unwrap();
    }
}

#[test]
fn at_a_terminal_typed_lines_go_out_and_ctrl_d_half_closes() {
    need("python3");
    let server = Server::start(&[]);
    let script = "
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], 'talk', sys.argv[2]])
out = b''
def until(words):
    global out
    while words not in out:
        out += os.read(fd, 4096)
until(b'Welcome!')
os.write(fd, b'Michael\\n')
until(b'Hello, Michael!')
os.write(fd, b'\\x04')
try:
    while os.read(fd, 4096): pass
except OSError: pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let output = Command::new("python3").args(["-c", script, BINARY, &server.address()]).output().unwrap();
    assert_code(&output, 0);
    server.log.wait_for("by client, 8 bytes from the client, 25 from the server");
}

/// A server that answers from another port, as TFTP does; others of the same machine are not heard once it has.
#[test]
fn over_udp_the_first_answer_of_the_host_says_who_the_peer_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ask.talk");
    std::fs::write(&path, "C: one\nS: first\nC: two\nS: second\n").unwrap();
    for arguments in [&["--play", path.to_str().unwrap()][..], &[]] {
        let asked = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&asked, &other] {
            socket.set_read_timeout(Some(LONG)).unwrap();
        }
        let address = format!("udp://{}", asked.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut buffer = [0; 100];
            let (length, client) = asked.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"one");
            other.send_to(b"first", client).unwrap();
            let (length, _) = other.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"two", "the second question goes to where the answer came from");
            // By now the first port is a stranger.
            asked.send_to(b"forged", client).unwrap();
            other.send_to(b"second", client).unwrap();
        });
        let mut talk = Talk::start(&[&[address.as_str()], arguments].concat());
        let mut stdin = talk.stdin.take().unwrap();
        let mut heard = String::new();
        if arguments.is_empty() {
            stdin.write_all(b"one\n").unwrap();
            let stdout = talk.child.stdout.as_mut().unwrap();
            heard = line(stdout);
            stdin.write_all(b"two\n").unwrap();
        }
        drop(stdin);
        let (code, rest) = talk.finish();
        assert_eq!(code, 0);
        if arguments.is_empty() {
            assert_eq!(heard + &text(&rest), "first\nsecond\n");
        }
        server.join().unwrap();
    }
}
