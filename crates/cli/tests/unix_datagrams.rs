//! `serve`, `talk --listen` and `load` over `unix-dgram:`, and programs over `unix-seqpacket:`: each client that has a name is a
//! conversation of its own, and nothing is lost on the way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    shutdown, socket_with, sockopt,
};
use support::*;

/// Where a server is, and its address as it is typed.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
    to: SocketAddr,
    address: String,
}

impl Place {
    fn path(folder: &Path) -> Self {
        let path = folder.join("served");
        let address = format!("unix-dgram:{}", path.display());
        Self { folder: folder.to_owned(), to: SocketAddr::from_pathname(path).unwrap(), address }
    }

    fn name(folder: &Path, name: &str) -> Self {
        let name = format!("sockeye.test.{name}.{}", std::process::id());
        let to = SocketAddr::from_abstract_name(&name).unwrap();
        Self { folder: folder.to_owned(), to, address: format!("unix-dgram:@{name}") }
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        Server::start_at(&[&self.address], arguments)
    }

    /// A client that is bound to a path.
    fn client(&self, name: &str) -> Client {
        Client::over(UnixDatagram::bind(self.folder.join(name)).unwrap(), &self.to)
    }
}

struct Client(UnixDatagram);

impl Client {
    fn over(socket: UnixDatagram, to: &SocketAddr) -> Self {
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.connect_addr(to).unwrap();
        Self(socket)
    }

    /// One whose name the system chose.
    fn named_by_system(to: &SocketAddr) -> Self {
        let socket = UnixDatagram::unbound().unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed()).unwrap();
        Self::over(socket, to)
    }

    fn say(&self, message: impl AsRef<[u8]>) {
        self.0.send(message.as_ref()).unwrap();
    }

    fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 300_000];
        let length = self.0.recv(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn asks(&self, question: impl AsRef<[u8]>) -> String {
        self.say(question);
        text(&self.hear())
    }
}

#[test]
fn each_named_client_has_a_play_of_its_own_at_a_path_and_at_an_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "served.talk", "C: name?\nS: who asks?\nC: {name}\nS: hello, {name}\n");
    for (number, place) in [Place::path(folder.path()), Place::name(folder.path(), "play")].into_iter().enumerate() {
        let mut server = place.serve(&["--play", &file, "--times", "3"]);
        let clients = [
            place.client(&format!("a{number}")),
            place.client(&format!("b{number}")),
            Client::named_by_system(&place.to),
        ];
        for client in &clients {
            assert_eq!(client.asks("name?"), "who asks?");
        }
        for (number, client) in clients.iter().enumerate().rev() {
            assert_eq!(client.asks(format!("client {number}")), format!("hello, client {number}"));
        }
        assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
        let log = server.log.to_end().join("\n");
        assert!(log.contains(&format!("a{number}")) && log.contains("3 as written"), "{log}");
        assert!(!folder.path().join("served").exists());
    }
}

#[test]
fn a_play_goes_on_with_what_came_while_it_paused_and_differs_where_it_differs() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let file = write(folder.path(), "p.talk", "C: one\nS waits 200ms\nC: two\nS: three\nC: four\nS: five\n");
    let mut server = place.serve(&["--play", &file, "--times", "2"]);
    let client = place.client("a");
    for word in ["one", "two", "four"] {
        client.say(word);
    }
    assert_eq!([text(&client.hear()), text(&client.hear())], ["three", "five"]);
    client.say("another");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    server.log.wait_for("expected  one");
}

/// An empty message waits as any other. What a play leaves is for the next one, which counts it.
#[test]
fn what_came_while_a_play_paused_is_heard_even_if_it_is_empty_and_the_rest_begins_the_next_play() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let file = write(folder.path(), "p.talk", "C: one\nS waits 200ms\nC: {word}\nS: got {word}\n");
    let server = place.serve(&["--play", &file]);
    let client = place.client("a");
    for word in ["one", "", "one", "four"] {
        client.say(word);
    }
    assert_eq!([text(&client.hear()), text(&client.hear())], ["got ", "got four"]);
    // What begins the next play counts for that.
    let first = server.log.wait_for("closed #1");
    assert!(first.contains(" 3 bytes from the client, 4 from the server"), "{first}");
    let second = server.log.wait_for("closed #2");
    assert!(second.contains(" 7 bytes from the client, 8 from the server"), "{second}");
}

#[test]
fn more_than_may_wait_for_a_play_that_pauses_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let file = write(folder.path(), "p.talk", "C: one\nS waits 3600s\nC: {word}\n");
    let server = place.serve(&["--play", &file]);
    let client = place.client("a");
    client.say("one");
    // 128 KiB wait, and 64 messages: these are few.
    for _ in 0..5 {
        client.say([b'x'; 60_000]);
    }
    server.log.wait_for("datagrams that came while their plays could not hear them: ");
}

#[test]
fn a_message_that_is_too_large_is_told_and_those_behind_it_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let server = place.serve(&["--echo"]);
    let client = place.client("a");
    sockopt::set_socket_send_buffer_size(&client.0, 300_000).unwrap();
    assert_eq!(client.asks([b'x'; 200_000]).len(), 200_000);
    client.say([b'x'; 270_000]);
    assert_eq!(client.asks("next"), "next");
    let told = server.log.wait_for("messages larger than ");
    assert!(told.starts_with("dropped 1: ") && told.ends_with(" are not taken"), "{told}");
    let (code, log) = server.stop();
    assert_eq!((code, log.last().unwrap().as_str()), (0, "2 conversations, 2 ended by themselves, 200004 bytes came"));
}

#[test]
fn echo_keeps_bounds_and_sizes_whatever_a_message_holds() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let server = place.serve(&["--echo"]);
    let client = Client::named_by_system(&place.to);
    for message in [&b"one"[..], b"", b"of\nlines\n", &[b'x'; 100_000], &[0; 1]] {
        client.say(message);
        assert!(client.hear() == message, "{} bytes", message.len());
    }
    // Two threads: a sender waits for room, and so does the server.
    let sender = Client(client.0.try_clone().unwrap());
    let saying = std::thread::spawn(move || (0..5000_u32).for_each(|number| sender.say(number.to_be_bytes())));
    for number in 0..5000_u32 {
        assert_eq!(client.hear(), number.to_be_bytes());
    }
    saying.join().unwrap();
    assert_eq!(server.stop().0, 0);
}

#[test]
fn discard_takes_all_of_a_flood_and_says_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let server = place.serve(&["--discard", "--json"]);
    let client = place.client("flood");
    for _ in 0..3000 {
        client.say([b'x'; 1000]);
    }
    // A client without a name is heard too.
    UnixDatagram::unbound().unwrap().send_to_addr(b"nameless", &place.to).unwrap();
    server.log.wait_for("(unnamed)");
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
    let of = |line: &String| serde_json::from_str::<serde_json::Value>(line).ok();
    let closed = log.iter().filter_map(of).filter(|event| event["event"] == "closed");
    let bytes: u64 = closed.map(|event| event["from_client"].as_u64().unwrap()).sum();
    assert_eq!(bytes, 3_000_008, "{log:#?}");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let server = place.serve(&["--echo", "-v"]);
    // One that is connected has no queue of its own, but room of the server's.
    let deaf = (0..12).map(|number| UnixDatagram::bind(folder.path().join(format!("deaf{number}"))).unwrap());
    let deaf: Vec<Client> = deaf.map(Client).collect();
    for client in &deaf {
        client.0.set_read_timeout(Some(LONG)).unwrap();
        for number in 0..300_u32 {
            client.0.send_to_addr(&number.to_be_bytes(), &place.to).unwrap();
        }
    }
    let other = place.client("other");
    for number in 0..1000_u32 {
        assert_eq!(other.asks(format!("question {number}")), format!("question {number}"));
    }
    // What waited for them is there as soon as they read.
    for client in &deaf {
        for number in 0..300_u32 {
            assert_eq!(client.hear(), number.to_be_bytes());
        }
    }
    assert_eq!(server.stop().0, 0);
}

#[test]
fn answers_to_who_has_no_name_or_is_gone_are_told_and_fail_where_it_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let nameless = || UnixDatagram::unbound().unwrap().send_to_addr(b"question", &place.to).unwrap();
    let mut server = place.serve(&["--echo", "--once"]);
    nameless();
    server.log.wait_for("has no name to be answered at");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    let file = write(folder.path(), "gone.talk", "C: one\nC: two\nS: answer\n");
    let mut server = place.serve(&["--play", &file, "--times", "2"]);
    let client = place.client("gone");
    client.say("one");
    client.say("two");
    drop(client);
    nameless();
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
}

/// What waits for a client that does not read is on its way until it is gone with it: until then it is no answer.
#[test]
fn answers_that_waited_for_a_client_that_dies_are_lost_and_those_before_them_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let room = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let count = room.trim().parse::<usize>().unwrap() + 20;
    let mut server = place.serve(&["--echo", "--times", &(count + 1).to_string()]);
    let deaf = UnixDatagram::bind(folder.path().join("deaf")).unwrap();
    for _ in 0..count {
        deaf.send_to_addr(b"x", &place.to).unwrap();
    }
    // All of them were looked at, and as many answered as its queue holds.
    assert_eq!(place.client("other").asks("behind them"), "behind them");
    drop(deaf);
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    let log = server.log.to_end();
    let lines = |words: &str| log.iter().filter(|line| line.contains(words)).count();
    let (lost, arrived) =
        (lines(" 1 bytes from the client, 0 from the server"), lines(" 1 bytes from the client, 1 from the server"));
    assert!(lost > 0 && arrived > 0 && lost + arrived == count, "{lost} {arrived} {log:#?}");
    assert!(lines("error: 1 answer of 1 bytes could not be sent: their client is gone") > 0, "{log:#?}");
    assert!(log.last().unwrap().ends_with(&format!(", {lost} failed")), "{log:#?}");
}

/// They are little, and what is remembered of each conversation until its answer has left is more.
#[test]
fn conversations_whose_answers_wait_count_among_the_buffers() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let file = write(folder.path(), "two.talk", "C: {one}\nC: {two}\nS: ok\n");
    let server = place.serve(&["--play", &file, "--max-memory", "128KiB", "-v"]);
    let waits = place.client("waits");
    waits.say("in the middle of its play");
    let mut deaf_until_the_end = Vec::new();
    for number in 0..3 {
        let deaf = UnixDatagram::bind(folder.path().join(format!("deaf{number}"))).unwrap();
        for _ in 0..1200 {
            deaf.send_to_addr(b"x", &place.to).unwrap();
        }
        deaf_until_the_end.push(deaf);
    }
    let closed = server.log.wait_for("closed #1 ");
    assert!(closed.contains("all buffers together reached their bound of 128 KiB (--max-memory)"), "{closed}");
}

/// There is no firewall between the two: it is the client's file that may not be written to.
#[test]
fn an_answer_to_a_client_whose_file_may_not_be_written_to_says_so() {
    need("strace");
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    // As it is without the rights of root.
    let denied = "inject=sendto:error=EACCES:when=1+";
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto", "-e", denied];
    let mut server = Server::start_with(&strace, &[&place.address], &["--echo", "--once"]);
    place.client("a").say("x");
    assert_eq!(server.wait(), 1);
    let told = server.log.wait_for("error: 1 answer of 1 bytes could not be sent: ");
    assert!(told.contains("Permission denied"), "{told}");
}

#[test]
fn thousands_of_clients_come_and_go_and_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::name(folder.path(), "many");
    let file = write(folder.path(), "p.talk", "C: {one}\nS: and?\nC: {two}\nS: {one} {two}\n");
    let server = place.serve(&["--play", &file]);
    let stays = Client::named_by_system(&place.to);
    assert_eq!(stays.asks("first"), "and?");
    for number in 0..3000 {
        // Names that the system chose may be chosen again, as ports are.
        let name = SocketAddr::from_abstract_name(format!("sockeye.test.{number}.{}", std::process::id())).unwrap();
        let client = Client::over(UnixDatagram::bind_addr(&name).unwrap(), &place.to);
        assert_eq!(client.asks(format!("{number}")), "and?");
        if number % 3 > 0 {
            assert_eq!(client.asks("again"), format!("{number} again"));
        }
    }
    assert_eq!(stays.asks("last"), "first last");
    assert_eq!(server.stop().0, 0);
}

#[test]
fn a_program_serves_each_named_client_and_hears_one_message_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let echo = write(
        folder.path(),
        "echo.py",
        "import os\nwhile True:\n    m = os.read(0, 99999)\n    if not m: break\n    os.write(1, b'<' + m + b'>')\n",
    );
    let server = place.serve(&["--exec", &format!("python3 {echo}")]);
    let clients = [place.client("a"), Client::named_by_system(&place.to)];
    for round in 0..3 {
        for client in &clients {
            for number in 0..20 {
                client.say(format!("{round} {number}"));
            }
        }
        for client in &clients {
            for number in 0..20 {
                assert_eq!(text(&client.hear()), format!("<{round} {number}>"));
            }
        }
    }
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
    let log = log.join("\n");
    assert!(log.contains("opened #2") && !log.contains("opened #3"), "{log}");
}

fn packets(path: &Path) -> std::os::fd::OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
    connect(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    fd
}

fn hear(fd: &std::os::fd::OwnedFd) -> Vec<u8> {
    let mut buffer = vec![0; 300_000];
    let length = recv(fd, &mut buffer[..], RecvFlags::empty()).unwrap().1;
    buffer.truncate(length);
    buffer
}

#[test]
fn a_program_over_packets_keeps_their_bounds_and_hears_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packets");
    let echo = write(
        folder.path(),
        "echo.py",
        "import os\nwhile True:\n    m = os.read(0, 99999)\n    if not m: break\n    os.write(1, b'<' + m + b'>')\nos.write(1, b'the end')\n",
    );
    let address = format!("unix-seqpacket:{}", path.display());
    let mut server = Server::start_at(&[&address], &["--exec", &format!("python3 {echo}"), "--times", "2"]);
    let clients = [packets(&path), packets(&path)];
    // Far more than any queue keeps: the sender waits for the program, and nothing is lost.
    let sender = rustix::io::fcntl_dupfd_cloexec(&clients[0], 0).unwrap();
    let saying = std::thread::spawn(move || {
        (0..2000_u32).for_each(|number| {
            assert_eq!(send(&sender, &number.to_be_bytes().repeat(100), SendFlags::NOSIGNAL), Ok(400))
        });
        send(&sender, &[b'x'; 60_000], SendFlags::NOSIGNAL).unwrap();
        shutdown(&sender, Shutdown::Write).unwrap();
    });
    for number in 0..2000_u32 {
        assert_eq!(hear(&clients[0]), [b"<", &number.to_be_bytes().repeat(100)[..], b">"].concat(), "{number}");
    }
    assert_eq!(hear(&clients[0]).len(), 60_002);
    assert_eq!(hear(&clients[0]), b"the end");
    assert_eq!(hear(&clients[0]), b"");
    saying.join().unwrap();
    send(&clients[1], b"last", SendFlags::NOSIGNAL).unwrap();
    assert_eq!(hear(&clients[1]), b"<last>");
    shutdown(&clients[1], Shutdown::Write).unwrap();
    assert_eq!(hear(&clients[1]), b"the end");
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    assert!(!path.exists());
}

#[test]
fn a_program_over_packets_that_fails_or_has_a_terminal_is_told_as_over_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packets");
    let address = format!("unix-seqpacket:{}", path.display());
    let mut server = Server::start_at(&[&address], &["--exec", "sh -c 'echo bye; exit 3'", "--once"]);
    let client = packets(&path);
    assert_eq!(hear(&client), b"bye\n");
    assert_eq!(hear(&client), b"");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    server.log.wait_for("exited with 3");
    let mut server =
        Server::start_at(&[&address], &["--exec", "sh -c 'test -t 0 && read a && echo got $a'", "--pty", "--once"]);
    let client = packets(&path);
    send(&client, b"line\n", SendFlags::NOSIGNAL).unwrap();
    let mut all = String::new();
    while !all.contains("got line") {
        let more = hear(&client);
        assert!(!more.is_empty(), "{all}");
        all.push_str(&text(&more));
    }
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}

/// A `talk` that listens, with all its ends.
fn listening(place: &Place, arguments: &[&str]) -> Child {
    command(&[])
        .args(["talk", "--listen", &place.address])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Says something as soon as it listens.
fn say_first(socket: &UnixDatagram, place: &Place, words: &str) {
    until("it to listen", || socket.send_to_addr(words.as_bytes(), &place.to).is_ok());
}

#[test]
fn a_listener_talks_with_the_first_who_comes_and_answers_it() {
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::path(folder.path()), Place::name(folder.path(), "listen")] {
        let mut talk = listening(&place, &[]);
        let socket = UnixDatagram::unbound().unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed()).unwrap();
        say_first(&socket, &place, "hello");
        assert_eq!(support::line(talk.stdout.as_mut().unwrap()), "hello\n");
        let client = Client::over(socket, &place.to);
        let mut input = talk.stdin.take().unwrap();
        for word in ["one", "", "three"] {
            writeln!(input, "{word}").unwrap();
            assert_eq!(text(&client.hear()), word);
        }
        // Others do not get through.
        let other = UnixDatagram::unbound().unwrap();
        assert!(other.send_to_addr(b"other", &place.to).is_err());
        client.say("last");
        assert_eq!(support::line(talk.stdout.as_mut().unwrap()), "last\n");
        drop(input);
        assert_eq!(wait(&mut talk), 0);
        assert!(!folder.path().join("served").exists());
    }
}

#[test]
fn a_listener_that_keeps_listening_has_one_conversation_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let mut talk = listening(&place, &["--keep", "--idle", "3s"]);
    let (a, b) = (UnixDatagram::bind(folder.path().join("a")).unwrap(), UnixDatagram::unbound().unwrap());
    say_first(&a, &place, "from a");
    b.send_to_addr(b"from somebody", &place.to).unwrap();
    a.send_to_addr(b"from a again", &place.to).unwrap();
    let mut out = talk.stdout.take().unwrap();
    for line in ["from a\n", "from a again\n", "from somebody\n"] {
        assert_eq!(support::line(&mut out), line);
    }
    let b = UnixDatagram::bind(folder.path().join("b")).unwrap();
    until("it to listen again", || b.send_to_addr(b"from b", &place.to).is_ok());
    assert_eq!(support::line(&mut out), "from b\n");
    signal(talk.id(), "TERM");
    wait(&mut talk);
    let mut log = String::new();
    talk.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("opened #2") && log.contains("(unnamed)"), "{log}");
}

#[test]
fn a_listener_cannot_answer_who_has_no_name_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let talk = listening(&place, &[]);
    writeln!(talk.stdin.as_ref().unwrap(), "an answer").unwrap();
    say_first(&UnixDatagram::unbound().unwrap(), &place, "hello");
    let output = talk.wait_with_output().unwrap();
    assert_code(&output, 18);
    assert_eq!(text(&output.stdout), "hello\n");
    assert!(text(&output.stderr).contains("the client has no name to be answered at"), "{}", text(&output.stderr));
}

#[test]
fn a_relay_answers_clients_whose_names_the_system_chose() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let behind = Place::name(folder.path(), "behind");
    let server = behind.serve(&["--echo"]);
    let relay = Server::relay(&[&place.address, &behind.address], &[]);
    for _ in 0..3 {
        let client = Client::named_by_system(&place.to);
        assert_eq!(client.asks("question"), "question");
    }
    assert_eq!(relay.stop().0, 0);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn load_measures_over_messages_of_both_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "p.talk", "repeat\n  C: question {n}\n  S: answer {n}\nend\n");
    let asked = write(folder.path(), "asked.talk", "C: question 1\nS: answer 1\n");
    for scheme in ["unix-dgram", "unix-seqpacket"] {
        for name in [folder.path().join(scheme).display().to_string(), format!("@sockeye.load.{}", std::process::id())]
        {
            let address = format!("{scheme}:{name}");
            let server = Server::start_at(&[&address], &["--play", &file]);
            let output = run(&["load", &address, "--play", &asked, "--plays", "300", "--connections", "5"], b"");
            assert_code(&output, 0);
            let said = text(&output.stdout);
            assert!(said.lines().any(|line| line.starts_with("plays") && line.ends_with(" 300")), "{said}");
            assert_eq!(server.stop().0, 0);
            let output = run(&["load", &address, "--play", &asked, "--plays", "3", "--connections", "1"], b"");
            assert_code(&output, 7);
        }
    }
}

#[test]
fn files_of_sockets_are_taken_over_from_the_dead_and_from_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    drop(UnixDatagram::bind(folder.path().join("served")).unwrap());
    let server = place.serve(&["--echo"]);
    assert_eq!(place.client("a").asks("x"), "x");
    for other in ["unix-dgram", "unix-seqpacket", "unix"] {
        let address = format!("{other}:{}", folder.path().join("served").display());
        for arguments in [&["serve", &address, "--echo"][..], &["talk", "--listen", &address]] {
            let output = run(arguments, b"");
            assert_code(&output, 3);
            assert!(text(&output.stderr).contains("in use"), "{}", text(&output.stderr));
        }
    }
    assert_eq!(place.client("b").asks("y"), "y");
    assert_eq!(server.stop().0, 0);
    assert!(!folder.path().join("served").exists());
    std::fs::write(folder.path().join("served"), "a file").unwrap();
    let output = run(&["serve", &place.address, "--echo"], b"");
    assert_code(&output, 3);
    assert_eq!(std::fs::read(folder.path().join("served")).unwrap(), b"a file");
}

#[test]
fn socat_and_python_are_served_and_listened_to() {
    need("socat");
    let folder = tempfile::tempdir().unwrap();
    let place = Place::path(folder.path());
    let file = write(folder.path(), "p.talk", "repeat\n  C: {word}\n  S: hello, {word}\nend\n");
    let server = place.serve(&["--play", &file]);
    let to =
        format!("UNIX-SENDTO:{},bind={}", folder.path().join("served").display(), folder.path().join("c").display());
    let mut socat =
        Command::new("socat").args(["-", &to]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    socat.stdin.as_mut().unwrap().write_all(b"socat").unwrap();
    let mut heard = [0; 12];
    socat.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello, socat");
    drop(socat.stdin.take());
    wait(&mut socat);
    let python = "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.settimeout(60)\ns.bind('')\n\
                  s.connect(sys.argv[1])\ns.send(b'python')\nprint(s.recv(99).decode())\n";
    let output = run_command(Command::new("python3").args(["-c", python]).arg(folder.path().join("served")), b"");
    assert_eq!(text(&output.stdout), "hello, python\n", "{}", text(&output.stderr));
    assert_eq!(server.stop().0, 0);
}

#[test]
fn a_program_that_says_no_more_and_goes_on_is_no_reset_of_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let go = path("go");
    let program = format!("sh -c 'cat; exec >&-; while ! test -e {go}; do sleep 0.05; done'");
    for address in [
        format!("unix:{}", path("stream")),
        format!("unix-seqpacket:{}", path("packets")),
        "tls://127.0.0.1:0".to_owned(),
        "tcp://127.0.0.1:0".to_owned(),
    ] {
        let mut server = Server::start_at(&[&address], &["--exec", &program, "--once"]);
        let to = match address.split_once("://") {
            Some(("tls", _)) => format!("tls://127.0.0.1:{}?insecure", server.port()),
            Some(_) => server.address(),
            None => address.clone(),
        };
        let output = run(&["talk", &to], b"one\ntwo\n");
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("one"), "{address}");
        std::fs::write(&go, "").unwrap();
        assert_eq!(server.wait(), 0, "{address}: {:#?}", server.log.all());
        std::fs::remove_file(&go).unwrap();
    }
}
