//! `talk` and `serve` over `unix-seqpacket:` and `unix-dgram:`: messages keep their bounds, and over packets each side can say that it has ended.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept, bind, connect,
    listen, recv, send, shutdown, socket_with, sockopt,
};
use support::*;

/// Something that accepts connections of packets, and its address.
fn packets(folder: &Path) -> (OwnedFd, String) {
    let path = folder.join("packets");
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
    bind(&fd, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&fd, 8).unwrap();
    (fd, format!("unix-seqpacket:{}", path.display()))
}

fn accepted(listener: &OwnedFd) -> OwnedFd {
    let fd = accept(listener).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
    fd
}

fn say(fd: &OwnedFd, message: &[u8]) {
    send(fd, message, SendFlags::NOSIGNAL).unwrap();
}

fn hear(fd: &OwnedFd) -> Vec<u8> {
    let mut buffer = vec![0; 300_000];
    let length = recv(fd, &mut buffer[..], RecvFlags::empty()).unwrap().1;
    buffer.truncate(length);
    buffer
}

fn datagrams(folder: &Path) -> (UnixDatagram, String) {
    let path = folder.join("datagrams");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    (socket, format!("unix-dgram:{}", path.display()))
}

#[test]
fn a_line_is_a_packet_and_each_side_hears_the_others_end() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = packets(folder.path());
    let server = std::thread::spawn(move || {
        let client = accepted(&listener);
        let heard: Vec<_> = (0..5).map(|_| hear(&client)).collect();
        say(&client, b"answer");
        say(&client, b"");
        say(&client, b"of\nlines\n");
        // What comes behind our end still arrives.
        shutdown(&client, Shutdown::Write).unwrap();
        (heard, hear(&client))
    });
    let record = folder.path().join("record.talk");
    let large = [b'x'; 100_000];
    let input = [b"one\n\ntwo\r\n", &large[..], b"\nlast"].concat();
    let output = run(&["talk", &address, "--record", record.to_str().unwrap()], &input);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "answer\n\nof\nlines\n");
    let (heard, end) = server.join().unwrap();
    assert!(
        heard == [&b"one"[..], b"", b"two", &large, b"last"],
        "{:?}",
        heard.iter().map(Vec::len).collect::<Vec<_>>()
    );
    assert_eq!(end, b"");
    let record = std::fs::read_to_string(record).unwrap();
    assert!(record.contains("C: one\nC:\nC: two\n") && record.contains("S: answer\nS:\n"), "{record}");
}

#[test]
fn a_peer_that_ended_may_still_read_and_one_that_left_things_unread_has_reset() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = packets(folder.path());
    let mut talk = command(&[]).args(["talk", &address]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let client = accepted(&listener);
    say(&client, b"all");
    shutdown(&client, Shutdown::Write).unwrap();
    assert_eq!(support::line(talk.stdout.as_mut().unwrap()), "all\n");
    let mut input = talk.stdin.take().unwrap();
    for word in ["one", "two"] {
        writeln!(input, "{word}").unwrap();
        assert_eq!(hear(&client), word.as_bytes());
    }
    drop(input);
    assert_eq!(hear(&client), b"");
    assert_eq!(wait(&mut talk), 0);
    // What it said before it went is heard, and then that it went.
    let mut talk = command(&[])
        .args(["talk", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client = accepted(&listener);
    let mut input = talk.stdin.take().unwrap();
    writeln!(input, "unread").unwrap();
    until("it to come", || recv(&client, &mut [0; 9][..], RecvFlags::PEEK).unwrap().1 == 6);
    say(&client, b"goodbye");
    drop(client);
    let output = talk.wait_with_output().unwrap();
    assert_code(&output, 56);
    assert_eq!(text(&output.stdout), "goodbye\n");
    drop(input);
}

/// An input that had ended had ended, however the conversation did.
#[test]
fn of_an_input_that_had_ended_it_is_not_said_that_it_had_not() {
    let sink = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = format!("udp://{}", sink.local_addr().unwrap());
    let closed = Closed::udp();
    let nobody = format!("udp://{}", closed.address);
    let folder = tempfile::tempdir().unwrap();
    let (_reads_nothing, unix) = datagrams(folder.path());
    let (listener, packets) = packets(folder.path());
    let mut told = Vec::new();
    for (arguments, code) in [
        (&["--idle", "300ms", &udp][..], 28),
        (&["--timeout", "300ms", &udp], 28),
        (&[&nobody], 7),
        (&["--idle", "300ms", &unix], 28),
    ] {
        let output = run(&[&["talk"], arguments].concat(), b"hi\n");
        assert_code(&output, code);
        told.push(text(&output.stderr));
    }
    let leaves = std::thread::spawn(move || {
        let client = accepted(&listener);
        until("it to come", || recv(&client, &mut [0; 9][..], RecvFlags::PEEK).unwrap().1 == 2);
    });
    let output = run(&["talk", &packets], b"hi\n");
    leaves.join().unwrap();
    assert_code(&output, 56);
    told.push(text(&output.stderr));
    let (mut listener, port, log) = listening("udp://127.0.0.1:0", Stdio::null(), &["--idle", "300ms"]);
    sink.send_to(b"hi", ("127.0.0.1", port)).unwrap();
    assert_eq!(wait(&mut listener), 28);
    told.push(log.to_end().join("\n"));
    for told in told {
        assert!(told.contains(" bytes sent, ") && !told.contains("had not ended"), "{told}");
    }
    // One that had not is another matter.
    let mut talk = Talk::start(&["--idle", "300ms", &udp]);
    talk.stdin.as_mut().unwrap().write_all(b"hi\n").unwrap();
    talk.log.wait_for(", standard input had not ended");
}

#[test]
fn datagrams_are_answered_at_a_name_that_the_system_chose() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = datagrams(folder.path());
    let answering = std::thread::spawn(move || {
        let mut buffer = vec![0; 300_000];
        (0..3)
            .map(|number| {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to_addr(format!("answer {number}").as_bytes(), &from).unwrap();
                length
            })
            .collect::<Vec<_>>()
    });
    let input = [b"one\n\n", &[b'x'; 150_000][..]].concat();
    let output = run(&["talk", &address], &input);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "answer 0\nanswer 1\nanswer 2\n");
    assert_eq!(answering.join().unwrap(), [3, 0, 150_000]);
}

#[test]
fn a_full_queue_holds_datagrams_up_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = datagrams(folder.path());
    let input: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    let talk = std::thread::spawn(move || run(&["talk", &address, "--send-only"], input.as_bytes()));
    // Nothing is read before the queue is full, which holds some ten.
    let mut buffer = [0; 100];
    for number in 0..2000 {
        let length = server.recv(&mut buffer).unwrap();
        assert_eq!(text(&buffer[..length]), format!("line {number}"));
    }
    assert_code(&talk.join().unwrap(), 0);
}

#[test]
fn nobody_a_dead_socket_another_kind_and_what_is_too_large_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (server, datagrams) = datagrams(folder.path());
    let (_listener, packets) = packets(folder.path());
    let path = |address: &str| address.split_once(':').unwrap().1.to_owned();
    for (address, words) in [
        (format!("unix-dgram:{}", path(&packets)), "a socket of another kind stands there"),
        (format!("unix-seqpacket:{}/none", folder.path().display()), "No such file or directory"),
        (format!("unix-dgram:{}/none", folder.path().display()), "No such file or directory"),
        ("unix-dgram:@no.such.name.of.a.test".to_owned(), "Connection refused"),
    ] {
        let output = run(&["talk", &address], b"hello\n");
        assert!(text(&output.stderr).contains(words), "{address}: {}", text(&output.stderr));
        assert_code(&output, 7);
    }
    let input = [b"one\n", &[b'x'; 280_000][..]].concat();
    for address in [&datagrams, &format!("{datagrams}?sndbuf=8192")] {
        let output = run(&["talk", address, "--send-only"], &input);
        assert!(text(&output.stderr).contains("line 2 of standard input has"), "{}", text(&output.stderr));
        assert_code(&output, 18);
    }
    drop(server);
    let output = run(&["talk", &datagrams], b"hello\n");
    assert!(text(&output.stderr).contains("Connection refused"), "{}", text(&output.stderr));
    assert_code(&output, 7);
}

#[test]
fn a_transcript_is_played_over_packets_with_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = packets(folder.path());
    let play = |text: &str| {
        let file = write(folder.path(), "play.talk", text);
        let address = address.clone();
        std::thread::spawn(move || run(&["talk", &address, "--play", &file], b""))
    };
    let talk = play("S: welcome\nC: one\nC:\nS: {answer}\nS stops sending\nC: after\nC closes\n");
    let client = accepted(&listener);
    say(&client, b"welcome");
    assert_eq!([hear(&client), hear(&client)], [&b"one"[..], b""]);
    say(&client, b"an answer");
    shutdown(&client, Shutdown::Write).unwrap();
    assert_eq!([hear(&client), hear(&client)], [&b"after"[..], b""]);
    assert_code(&talk.join().unwrap(), 0);
    // It closes where more was to come, and says more where it was to close.
    let talk = play("C: one\nS: two\nS: three\n");
    let client = accepted(&listener);
    assert_eq!(hear(&client), b"one");
    say(&client, b"two");
    shutdown(&client, Shutdown::Write).unwrap();
    let output = talk.join().unwrap();
    assert!(text(&output.stderr).contains("the server closed early"), "{}", text(&output.stderr));
    assert_code(&output, 1);
    let talk = play("C: one\nS closes\n");
    let client = accepted(&listener);
    assert_eq!(hear(&client), b"one");
    say(&client, b"");
    assert_code(&talk.join().unwrap(), 1);
    // The bounds are part of it: two messages are not one.
    let talk = play("C: one\nS: twothree\n");
    let client = accepted(&listener);
    assert_eq!(hear(&client), b"one");
    say(&client, b"two");
    say(&client, b"three");
    assert_code(&talk.join().unwrap(), 1);
}

#[test]
fn a_transcript_is_played_over_datagrams_of_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = datagrams(folder.path());
    let file = write(folder.path(), "play.talk", "C: name?\nS: {name}\nC: thanks, {name}\n");
    let talk = std::thread::spawn(move || run(&["talk", &address, "--play", &file], b""));
    let mut buffer = [0; 100];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(text(&buffer[..length]), "name?");
    server.send_to_addr(b"Ada", &from).unwrap();
    let length = server.recv(&mut buffer).unwrap();
    assert_eq!(text(&buffer[..length]), "thanks, Ada");
    assert_code(&talk.join().unwrap(), 0);
}

#[test]
fn socat_is_spoken_to_over_packets_and_speaks_to_a_listener() {
    need("socat");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socat");
    let mut socat = Command::new("socat")
        .args([&format!("UNIX-LISTEN:{},type=5", path.display()), "EXEC:tr a-z A-Z"])
        .spawn()
        .unwrap();
    until("socat to listen", || listens_at(&path));
    let output = run(&["talk", &format!("unix-seqpacket:{}", path.display()), "--eol", "lf"], b"hello\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "HELLO\n");
    wait(&mut socat);
    let address = format!("unix-seqpacket:{}", folder.path().join("ours").display());
    let mut talk = command(&[])
        .args(["talk", "--listen", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(talk.stdin.take().unwrap(), "from us").unwrap();
    until("it to listen", || listens_at(&folder.path().join("ours")));
    let to = format!("UNIX-CONNECT:{},type=5", folder.path().join("ours").display());
    let socat = run_command(Command::new("socat").args(["-t", "30", "-", &to]), b"from socat");
    assert_eq!(text(&socat.stdout), "from us");
    let output = talk.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "from socat\n");
    assert!(!folder.path().join("ours").exists());
}

fn connected(path: &Path) -> OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
    connect(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    fd
}

#[test]
fn a_server_plays_a_transcript_to_each_client_of_packets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("served");
    let address = format!("unix-seqpacket:{}", path.display());
    let file = write(folder.path(), "served.talk", "S: welcome\nC: {name}\nS: hello, {name}\nC:\nS:\nC closes\n");
    let mut server = Server::start_at(&[&address], &["--play", &file, "--times", "3"]);
    let clients = [connected(&path), connected(&path)];
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(hear(client), b"welcome");
        say(client, format!("client {number}").as_bytes());
        assert_eq!(text(&hear(client)), format!("hello, client {number}"));
        // An empty message is one, and none of the end.
        say(client, b"");
        assert_eq!(hear(client), b"");
    }
    drop(clients);
    let last = connected(&path);
    assert_eq!(hear(&last), b"welcome");
    say(&last, b"last");
    assert_eq!(hear(&last), b"hello, last");
    shutdown(&last, Shutdown::Write).unwrap();
    server.log.wait_for("the client closed early");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    assert!(!path.exists());
}

#[test]
fn a_server_echoes_packets_one_by_one_and_waits_for_who_reads_late() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let server = Server::start_at(&[&format!("unix-seqpacket:{}", path.display())], &["--echo"]);
    let client = connected(&path);
    for message in [&b"one"[..], b"", b"of\nlines\n", &[b'x'; 60_000]] {
        say(&client, message);
        assert!(hear(&client) == message, "{}", message.len());
    }
    let sender = rustix::io::fcntl_dupfd_cloexec(&client, 0).unwrap();
    let saying = std::thread::spawn(move || {
        (0..3000_u32).for_each(|number| say(&sender, &number.to_be_bytes().repeat(250)));
        shutdown(&sender, Shutdown::Write).unwrap();
    });
    for number in 0..3000_u32 {
        assert!(hear(&client) == number.to_be_bytes().repeat(250), "{number}");
    }
    saying.join().unwrap();
    assert_eq!(hear(&client), b"");
    server.log.wait_for("closed #1");
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
}

#[test]
fn what_a_server_of_packets_cannot_take_is_told_and_what_has_no_meaning_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("served");
    let address = format!("unix-seqpacket:{}", path.display());
    let mut server = Server::start_at(&[&address], &["--echo", "--once"]);
    let client = connected(&path);
    say(&client, &[b'x'; 100_000]);
    server.log.wait_for("a message came that is larger than 64 KiB, and was not taken");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    drop(client);
    // A dead socket that was left is replaced, and a client is served after it.
    std::fs::remove_file(&path).ok();
    bind(packets_at(), &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let mut server = Server::start_at(&[&address], &["--discard", "--once"]);
    let client = connected(&path);
    say(&client, b"into the void");
    drop(client);
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    let file = write(folder.path(), "resets.talk", "C: one\nS resets\n");
    let output = run(&["serve", &address, "--play", &file], b"");
    assert!(
        text(&output.stderr).contains("`resets` has no meaning over packets of a Unix socket"),
        "{}",
        text(&output.stderr)
    );
    assert_code(&output, 2);
}

fn packets_at() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// One that is too large ends the conversation, and those in front of it have been delivered, however many are there at once.
#[test]
fn messages_in_front_of_one_that_is_too_large_are_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (listener, address) = packets(folder.path());
    let mut talk = command(&[])
        .args(["talk", &address])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peer = accepted(&listener);
    say(&peer, b"first");
    let mut stdout = talk.stdout.take().unwrap();
    assert_eq!(line(&mut stdout), "first\n");
    // It sees all of them at once.
    signal(talk.id(), "STOP");
    sockopt::set_socket_send_buffer_size(&peer, 2_000_000).unwrap();
    for message in [&b"two"[..], b"three", &[b'x'; 300_000]] {
        say(&peer, message);
    }
    signal(talk.id(), "CONT");
    assert_eq!(text(&to_end(&mut stdout)), "two\nthree\n");
    assert_eq!(wait(&mut talk), 18);
}
