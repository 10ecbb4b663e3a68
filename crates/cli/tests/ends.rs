//! Ends that have no address of their own: programs, standard input and output, descriptors that were given; for `talk`, `relay`
//! and `serve` alike.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use support::peers::Peer;
use support::*;

const ANY: &str = "tcp://127.0.0.1:0";

/// A program that says what it is asked, in capitals, line by line, and that it was told to end.
const LOUD: &str = "while read -r line; do printf '%s\\n' \"$line\" | tr a-z A-Z; done; echo the end";

#[test]
fn a_program_is_talked_to_like_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let loud = write(folder.path(), "loud.sh", LOUD);
    let output = run(&["talk", &format!("exec:sh '{loud}'")], b"hello\nthere\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "HELLO\nTHERE\nthe end\n");
    // Words are split as a shell splits them, and nothing else is as in a shell.
    let output = run(&["talk", "exec:printf '%s|' \"a b\" c\\ d '$HOME' x?y://z"], b"");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "a b|c d|$HOME|x?y://z|".to_owned()));
    let output = run(&["talk", "sh:echo one | cat; echo \"$((1 + 1))\""], b"");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "one\n2\n".to_owned()));
    // Much either way.
    let much: Vec<u8> = (0..3_000_000_u32).map(|at| (at >> 3) as u8).collect();
    let output = run(&["talk", "exec:cat"], &much);
    assert_code(&output, 0);
    assert!(output.stdout == much);
}

#[test]
fn a_transcript_is_a_test_of_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let loud = write(folder.path(), "loud.sh", LOUD);
    let address = format!("exec:sh {loud}");
    let says = "C: hello\nS: HELLO\nC: again\nS: AGAIN\nC closes\nS: the end\nS closes\n";
    let good = write(folder.path(), "good.talk", says);
    assert_code(&run(&["talk", &address, "--play", &good], b""), 0);
    // Each play has a program of its own.
    let once = write(folder.path(), "once.talk", "C: hello\nS: HELLO\n");
    assert_code(&run(&["talk", &address, "--play", &once, "--repeat", "3"], b""), 0);
    let bad = write(folder.path(), "bad.talk", "C: hello\nS: hello\n");
    let output = run(&["talk", &address, "--play", &bad], b"");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("HELLO"), "{}", text(&output.stderr));
    // As written, and the program says that something went wrong.
    let fails = write(folder.path(), "fails.talk", "S: fine\nS closes\n");
    let output = run(&["talk", "sh:echo fine; exit 3", "--play", &fails], b"");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("sh exited with 3"), "{}", text(&output.stderr));
}

#[test]
fn a_program_with_a_terminal_has_one() {
    for (address, says) in [
        ("sh+pty:test -t 0 && test -t 1 && test -t 2 && echo all three", "all three\r\n"),
        ("exec+pty:tty", "/dev/pts/"),
        ("sh:test -t 0 || echo none", "none\n"),
    ] {
        let output = run(&["talk", address], b"");
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains(says), "{address}: {}", text(&output.stdout));
    }
    // The end of what is said is the end of what is typed.
    let output = run(&["talk", "sh+pty:stty -echo; echo ready; cat; echo over"], b"typed\n");
    assert_code(&output, 0);
    assert!(text(&output.stdout).ends_with("typed\r\nover\r\n"), "{}", text(&output.stdout));
}

/// In a line the first end of what is typed only hands over the line: it takes a second one.
#[test]
fn the_end_of_a_line_that_has_no_newline_is_heard_at_a_terminal() {
    for (verb, input) in
        [("talk", "no newline"), ("talk", ""), ("talk", "one\n"), ("talk", "one\ntwo"), ("relay", "no newline")]
    {
        for program in ["sh+pty:stty -echo; cat; echo over", "exec+pty:sh -c 'stty -echo; wc -c; echo over'"] {
            let arguments = if verb == "talk" { vec![verb, program] } else { vec![verb, "stdio", program] };
            let output = run(&arguments, input.as_bytes());
            assert_code(&output, 0);
            assert!(text(&output.stdout).ends_with("over\r\n"), "{verb} {program} {input:?}: {output:?}");
        }
    }
}

#[test]
fn a_line_that_a_terminal_would_cut_is_an_error() {
    let line = |length: usize| [vec![b'x'; length], vec![b'\n']].concat();
    for program in ["sh+pty:stty -echo; wc -c", "exec+pty:sh -c 'stty -echo; wc -c'"] {
        for arguments in [&["talk", program][..], &["relay", "stdio", program]] {
            let output = run(arguments, &line(4095));
            assert_code(&output, 0);
            assert!(text(&output.stdout).ends_with("4096\r\n"), "{arguments:?}: {output:?}");
            for input in [line(4096), line(5000), [line(10), line(9000)].concat(), vec![b'x'; 70_000]] {
                let output = run(arguments, &input);
                let errors = text(&output.stderr);
                assert!(errors.contains("a line is longer than 4095 bytes, and a terminal drops the rest"), "{errors}");
                assert_code(&output, 23);
            }
        }
    }
    // One that reads bytes has no lines, also if it says so only now.
    let output = run(&["talk", "sh+pty:stty -echo -icanon; echo ready; head -c 5000 | wc -c"], &line(4999));
    assert_code(&output, 0);
    assert!(text(&output.stdout).ends_with("ready\r\n5000\r\n"), "{output:?}");
}

/// Many programs close their standard streams by themselves shortly before they end.
#[test]
fn a_program_that_has_left_its_terminal_is_not_hung_up() {
    for program in [
        "sh+pty:echo over; exec <&- >&- 2>&-; sleep 0.3",
        "exec+pty:sh -c 'echo over; exec 0<&- 1>&- 2>&-; sleep 0.3'",
        "sh+pty:cat >/dev/null; echo over; exec <&- >&- 2>&-; sleep 0.3",
    ] {
        for arguments in [&["talk", program][..], &["relay", "stdio", program]] {
            let output = run(arguments, b"");
            assert!(text(&output.stdout).ends_with("over\r\n"), "{arguments:?}: {output:?}");
            assert_code(&output, 0);
        }
    }
    for _ in 0..20 {
        assert_code(&run(&["talk", "exec+pty:seq 1 2000"], b""), 0);
    }
}

#[test]
fn what_cannot_be_an_end_is_said() {
    for (arguments, code, says) in [
        (&["talk", "exec:no-such-program"][..], 26, "there is no such program in the folders of PATH"),
        (&["talk", "exec:/etc/passwd"], 26, "it is no program that may be run"),
        (&["talk", "exec:'a"], 2, "the quote ' has no end"),
        (&["talk", "exec:"], 2, "has no command"),
        (&["talk", "exec+tty:cat"], 2, "write exec+pty:cat"),
        (&["talk", "stdio"], 2, "means nothing here"),
        (&["talk", "--zero", "exec:cat"], 2, "means nothing here"),
        (&["talk", "fd:77"], 7, "no open descriptor has this number"),
        (&["talk", "fd:x"], 2, "has no number"),
        (&["relay", "0", "exec:no-such-program"], 26, "there is no such program"),
        (&["relay", "exec:no-such-program", "1"], 26, "there is no such program"),
        (&["relay", "stdio", "stdio"], 2, "stands at both ends"),
        (&["relay", "fd:77", "exec:cat"], 3, "no open descriptor has this number"),
        (&["serve", "fd:77", "--echo"], 3, "no open descriptor has this number"),
        (&["serve", "stdio", "127.0.0.1:0", "--echo"], 2, "name it alone"),
        (&["serve", "exec:no-such-program", "--echo"], 26, "there is no such program"),
        (&["load", "exec:cat", "--play", "GREETING"], 2, "means nothing here"),
    ] {
        let greeting = transcript("greeting.talk").display().to_string();
        let arguments: Vec<String> = arguments.iter().map(|word| word.replace("GREETING", &greeting)).collect();
        let output = run(&arguments, b"");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(support::code(&output), code, "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_program_that_does_not_end_is_ended_after_the_grace() {
    let mut server =
        Server::relay(&[ANY, "sh:trap '' TERM; echo ready; exec >&- <&-; sleep 1000"], &["--grace", "100ms", "--once"]);
    let mut client = server.connect();
    assert_eq!(line(&mut client), "ready\n");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"");
    server.log.wait_for("its program was ended by SIGKILL");
    assert_eq!(server.wait(), 1);
}

#[test]
fn each_client_of_a_relay_has_a_program_of_its_own() {
    let relay =
        Server::relay(&[ANY, "sh:echo \"$PROTO $TCPREMOTEIP $SOCKEYE_CONN\"; cat; exit \"$SOCKEYE_CONN\""], &[]);
    let mut clients: Vec<TcpStream> = (0..3).map(|_| relay.connect()).collect();
    let mut greetings: Vec<String> = clients.iter_mut().map(line).collect();
    greetings.sort();
    assert_eq!(greetings, ["TCP 127.0.0.1 1\n", "TCP 127.0.0.1 2\n", "TCP 127.0.0.1 3\n"]);
    for mut client in clients {
        client.write_all(b"said").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(to_end(&mut client), b"said");
    }
    for status in 1..=3 {
        relay.log.wait_for(&format!("its program exited with {status}"));
    }
    let json = Server::relay(&[ANY, "exec:cat"], &["--json", "--once"]);
    drop(json.connect());
    let closed = json.log.wait_for("\"closed\"");
    assert!(closed.contains("\"exit\":0") && closed.contains("\"to\":\"exec:cat\""), "{closed}");
}

#[test]
fn a_program_that_does_not_listen_costs_its_client_no_answer() {
    for count in [3, 1_000_000] {
        let mut relay = Server::relay(&[ANY, "sh:read -r line; echo \"I heard $line\""], &["--once"]);
        let mut client = relay.connect();
        let mut much = b"one\n".to_vec();
        much.resize(count + 4, b'x');
        // A program that is gone takes nothing more, and it is no reset.
        let mut writer = client.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            let _ = writer.write_all(&much);
            let _ = writer.shutdown(Shutdown::Write);
        });
        assert_eq!(to_end(&mut client), b"I heard one\n");
        drop(client);
        writing.join().unwrap();
        relay.wait();
        relay.log.wait_for("its program exited with 0");
    }
}

/// What a program said of a line that it was given, over any kind of stream to any other.
#[test]
fn any_end_is_relayed_to_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let loud = write(folder.path(), "loud.sh", LOUD);
    let program = format!("exec:sh {loud}");
    // Standard input and output to a program, to TCP, to a Unix socket and through TLS.
    let echo = Server::start(&["--echo"]);
    let path = folder.path().join("s").display().to_string();
    let _unix = Server::start_at(&[&format!("unix:{path}")], &["--echo"]);
    let secure = Server::start_at(&["tls://127.0.0.1:0"], &["--echo"]);
    let pin = secure.log.pin();
    for (to, says) in [
        (program.clone(), "HELLO\nthe end\n"),
        (format!("tcp://{}", echo.address()), "hello\n"),
        (format!("unix:{path}"), "hello\n"),
        (format!("tls://{}?pin={pin}", secure.address()), "hello\n"),
        ("exec+pty:sh -c 'stty -echo; cat'".to_owned(), ""),
    ] {
        let output = run(&["relay", "stdio", &to], b"hello\n");
        assert!(text(&output.stdout).contains(says), "{to}: {output:?}");
        assert_code(&output, 0);
    }
    // A program that speaks to another.
    let heard = folder.path().join("heard").display().to_string();
    let output = run(
        &[
            "relay",
            "sh:echo ping; read -r answer; echo \"$answer\" >'HEARD'".replace("HEARD", &heard).as_str(),
            "exec:sed -u y/ping/PING/",
        ],
        b"",
    );
    assert_code(&output, 0);
    assert_eq!(std::fs::read_to_string(heard).unwrap(), "PING\n");
    // A client to standard input and output, and then no other.
    let mut command = command(&[]);
    let port_file = folder.path().join("port");
    command.args(["relay", ANY, "stdio", "--port-file"]).arg(&port_file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until("the port", || port_file.exists());
    let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"question\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut question = String::new();
    out.read_line(&mut question).unwrap();
    assert_eq!(question, "question\n");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"answer\n").unwrap();
    drop(stdin);
    assert_eq!(to_end(&mut client), b"answer\n");
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn standard_output_that_cannot_be_written_is_no_success() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = command(&[]);
    command.args(["relay", "stdio", "exec:cat"]).stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"some bytes").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("stdio: cannot write: No space left on device"), "{}", text(&output.stderr));
    // Nor is an input that cannot be read.
    let mut command = support::command(&[]);
    command.args(["relay", "stdio", "exec:cat"]).stdin(std::fs::File::open("/").unwrap());
    let output = command.output().unwrap();
    assert_code(&output, 26);
}

const GREET: &str = "S: Welcome!\nC: {name}\nS: Hello, {name}!\nS closes\n";

#[test]
fn a_play_over_standard_input_and_output_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let greet = write(folder.path(), "greet.talk", GREET);
    let output = run(&["serve", "stdio", "--play", &greet], b"Bob\n");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "Welcome!\nHello, Bob!\n".to_owned()));
    let output = run(&["serve", "stdio", "--play", &greet], b"");
    assert_eq!((support::code(&output), text(&output.stdout)), (1, "Welcome!\n".to_owned()));
    let output = run(&["serve", "stdio", "--echo"], b"what comes\n");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "what comes\n".to_owned()));
    // The client's side likewise.
    let output = run(&["talk", "stdio", "--play", &greet, "--set", "name=Bob"], b"Welcome!\nHello, Bob!\n");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "Bob\n".to_owned()), "{output:?}");
    // A program that is the only client.
    let output =
        run(&["serve", "sh:read -r a; echo Bob; read -r b; test \"$b\" = 'Hello, Bob!'", "--play", &greet], b"");
    assert_code(&output, 0);
    let output = run(&["serve", "sh:read -r a; echo Bob; read -r b; exit 4", "--play", &greet], b"");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("sh exited with 4"), "{}", text(&output.stderr));
}

/// Has a program started with a descriptor at a number, as a service manager does.
fn with_descriptor(fd: OwnedFd, number: i32, arguments: &str) -> Child {
    let script = format!("exec {number}<&0 </dev/null; exec \"$0\" {arguments}");
    let mut command = Command::new("bash");
    command.args(["-c", &script, BINARY]).stdin(fd).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_socket_that_was_given_is_used_as_what_it_is() {
    // One that listens.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let child = with_descriptor(listener.into(), 3, "serve fd:3 --echo --once");
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"over TCP").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"over TCP");
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains(&format!("listening on tcp://{address}")), "{}", text(&output.stderr));
    // One for datagrams.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let child = with_descriptor(socket.into(), 4, "serve fd:4 --echo --once");
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.send_to(b"datagram", address).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(client.recv(&mut buffer).unwrap(), 8);
    assert_code(&child.wait_with_output().unwrap(), 0);
    // Connections, of either kind.
    for (arguments, said, heard) in [
        ("serve fd:5 --echo", "back", "back"),
        ("relay fd:5 'exec:tr a-z A-Z'", "back", "BACK"),
        ("relay 'exec:echo out' fd:5", "", "out\n"),
        ("talk fd:5 --recv-only", "taken", ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let tcp: OwnedFd = listener.accept().unwrap().0.into();
        let (unix_ours, unix) = UnixStream::pair().unwrap();
        let ends: [(Box<dyn Stream>, OwnedFd); 2] = [(Box::new(ours), tcp), (Box::new(unix_ours), unix.into())];
        for (mut ours, theirs) in ends {
            let child = with_descriptor(theirs, 5, arguments);
            ours.write_all(said.as_bytes()).unwrap();
            ours.stop_sending();
            assert_eq!(text(&to_end(&mut ours)), heard, "{arguments}");
            let output = child.wait_with_output().unwrap();
            assert_code(&output, 0);
            if arguments.starts_with("talk") {
                assert_eq!(text(&output.stdout), said);
            }
        }
    }
    // A file is read to its end.
    let file: OwnedFd = std::fs::File::open("/etc/hostname").unwrap().into();
    let text_of = std::fs::read_to_string("/etc/hostname").unwrap();
    let output = with_descriptor(file, 6, "talk fd:6 --recv-only").wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), text_of);
}

/// A server that another program started with its listening sockets, as systemd does.
fn activated(more: &[&str], arguments: &[&str]) -> (Peer, tempfile::TempDir) {
    need("systemd-socket-activate");
    let folder = tempfile::tempdir().unwrap();
    let greet = write(folder.path(), "greet.talk", GREET);
    let peer = Peer::start(|port| {
        let mut command = Command::new("systemd-socket-activate");
        command.env("SYSTEMD_LOG_LEVEL", "err").arg("-l").arg(format!("127.0.0.1:{port}")).args(more).arg(BINARY);
        command.args(arguments.iter().map(|argument| argument.replace("GREET", &greet)));
        command
    });
    (peer, folder)
}

#[test]
fn systemd_may_have_opened_the_socket() {
    for (more, arguments) in [
        (&[][..], &["serve", "fd:3", "--play", "GREET"][..]),
        (&["--fdname=web"], &["serve", "fd:web", "--play", "GREET"]),
        (&[], &["relay", "fd:3", "exec:printf 'Welcome!\\nHello, Bob!\\n'"]),
        // inetd's way: each connection is the standard streams of a process of its own, its errors too.
        (&["--inetd", "-a"], &["serve", "stdio", "--play", "GREET"]),
    ] {
        let (peer, _folder) = activated(more, arguments);
        let mut client = TcpStream::connect(("127.0.0.1", peer.port)).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(b"Bob\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&to_end(&mut client)), "Welcome!\nHello, Bob!\n", "{more:?} {arguments:?}");
    }
}

#[test]
fn nothing_that_we_were_not_given_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let child = with_descriptor(listener.into(), 7, "relay fd:7 fd:7");
    let output = child.wait_with_output().unwrap();
    assert!(text(&output.stderr).contains("as FROM"), "{}", text(&output.stderr));
    // Descriptors that we open ourselves are no one's to name, and a program gets none that we were given.
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let output =
        with_descriptor(null, 9, "talk 'sh:ls /proc/self/fd | sort -n | tr \"\\n\" \" \"; env | grep -c LISTEN_'")
            .wait_with_output()
            .unwrap();
    assert!(text(&output.stdout).starts_with("0 1 2 3 "), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains('9'), "{}", text(&output.stdout));
}

fn run_peer(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    need(program);
    let mut command = Command::new(program);
    command.args(arguments);
    run_command(&mut command, input)
}

#[test]
fn other_programs_speak_to_each_kind_of_end() {
    // nc, ncat and socat as clients of a program behind a relay.
    let relay = Server::relay(&[ANY, "exec:tr a-z A-Z"], &[]);
    let port = relay.port().to_string();
    for (program, arguments) in [
        ("nc", vec!["-N", "127.0.0.1", &port]),
        ("ncat", vec!["127.0.0.1", &port]),
        ("socat", vec!["-t", "10", "-", &format!("TCP:127.0.0.1:{port}")]),
    ] {
        let output = run_peer(program, &arguments, b"loud\n");
        assert_eq!(text(&output.stdout), "LOUD\n", "{program}");
    }
    // They as programs that a relay or a play starts.
    let echo = Server::start(&["--echo"]);
    let port = echo.port().to_string();
    for program in [
        format!("exec:nc -N 127.0.0.1 {port}"),
        format!("exec:ncat 127.0.0.1 {port}"),
        format!("exec:socat -t 10 - TCP:127.0.0.1:{port}"),
    ] {
        let output = run(&["relay", "stdio", &program], b"through them\n");
        assert_eq!((support::code(&output), text(&output.stdout)), (0, "through them\n".to_owned()), "{program}");
        let output = run(&["talk", &program], b"through them\n");
        assert_eq!((support::code(&output), text(&output.stdout)), (0, "through them\n".to_owned()), "{program}");
    }
    // socat starts ours.
    let ours = format!("EXEC:{BINARY} -q relay stdio tcp\\://127.0.0.1\\:{port}");
    let output = run_peer("socat", &["-t", "10", "-", &ours], b"by socat\n");
    assert_eq!(text(&output.stdout), "by socat\n", "{output:?}");
}

#[test]
fn redis_cli_is_tested_by_a_transcript() {
    need("redis-server");
    need("redis-cli");
    let redis = Peer::start(|port| {
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        command
    });
    let folder = tempfile::tempdir().unwrap();
    let play = write(
        folder.path(),
        "redis.talk",
        "C: SET greeting hello\nS: OK\nC: GET greeting\nS: hello\nC: INCR n\nS: 1\n",
    );
    let program = format!("exec:redis-cli -p {}", redis.port);
    let output = run(&["talk", &program, "--play", &play], b"");
    assert_code(&output, 0);
    // The same bytes by a server's clients.
    let relay = Server::relay(&[ANY, &program], &[]);
    assert_code(
        &run(
            &["talk", &relay.address(), "--play", &write(folder.path(), "g.talk", "C: GET greeting\nS: hello\n")],
            b"",
        ),
        0,
    );
}

/// The examples of docs/ends.md: a line that ends with `&` starts a server, and below each other one stands what it says.
#[test]
fn the_examples_of_the_page_do_what_it_says() {
    for program in ["bc", "openssl", "nc", "systemd-socket-activate"] {
        need(program);
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ends.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("sockeye");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    // Its ports may be in use here.
    let ports: Vec<String> = (0..3).map(|_| free_port().to_string()).collect();
    let ours = |text: &str| text.replace("7000", &ports[0]).replace("7001", &ports[1]).replace("7002", &ports[2]);
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{{ {line}; }} 2>&1")]).current_dir(folder.path()).env("PATH", &path);
        command
    };
    let mut count = 0;
    for block in page.split("```console\n").skip(1) {
        let block = ours(block.split("```").next().unwrap());
        let mut server = None;
        for example in block.split("$ ").skip(1) {
            let (line, says) = example.split_once('\n').unwrap();
            count += 1;
            if let Some((line, _)) = line.split_once(" & #") {
                let log = Log::default();
                let mut child =
                    shell(&format!("exec {line}")).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
                log.follow(child.stdout.take().unwrap());
                log.wait_for("istening on ");
                server = Some(child);
                continue;
            }
            let output = shell(line).stdin(Stdio::null()).output().unwrap();
            let stdout: String = text(&output.stdout)
                .lines()
                // What s_client says on standard error of certificates and names.
                .filter(|line| !["depth=", "verify", "Can't use SSL"].iter().any(|start| line.starts_with(start)))
                .map(|line| format!("{line}\n"))
                .collect();
            assert_eq!(stdout, says, "{line}");
            if let Some(mut server) = server.take() {
                assert_eq!(wait(&mut server), 0);
            }
        }
    }
    assert!(count >= 12, "{count}");
}

/// Row 19 of the list of faults, for ends that are no sockets: a late answer is waited for.
#[test]
fn a_late_answer_of_a_program_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("go");
    let listener = UnixListener::bind(&path).unwrap();
    let program = format!("sh:cat >/dev/null; nc -U '{}' </dev/null", path.display());
    let relay = Server::relay(&[ANY, &program], &[]);
    let mut client = relay.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // The program has heard the end by now, and answers when we say so.
    let (mut late, _) = listener.accept().unwrap();
    let answer = vec![7; 100_000];
    late.write_all(&answer).unwrap();
    drop(late);
    assert!(to_end(&mut client) == answer);
}

#[test]
fn a_terminal_is_shown_what_a_peer_says_and_obeys_nothing() {
    need("script");
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().join("shown").display().to_string();
    let line = format!("{BINARY} -q relay stdio 'exec:printf \"\\\\033]0;owned\\\\007 fine\"' </dev/null");
    let output = Command::new("script").args(["-qec", &line, &shown]).stdin(Stdio::null()).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("{0x1b}]0;owned{0x07} fine"), "{shown:?}");
}

/// Sockets for datagrams that are connected: bounds are kept, and each verb has one conversation.
#[test]
fn a_connected_socket_for_datagrams_that_was_given_is_one_conversation() {
    let udp = || {
        let (ours, theirs) =
            (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        theirs.connect(ours.local_addr().unwrap()).unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    let unix = || {
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    let upper = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("relay fd:5 udp://{}", upper.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = upper.recv_from(&mut buffer) {
            upper.send_to(&buffer[..length].to_ascii_uppercase(), from).unwrap();
        }
    });
    for (arguments, answer) in [
        ("serve fd:5 --echo", "question"),
        ("relay fd:5 'exec:sed -u s/qu/Qu/'", "Question"),
        (to.as_str(), "QUESTION"),
    ] {
        for (ours, theirs) in [udp(), unix()] {
            rustix::net::sockopt::set_socket_timeout(&ours, rustix::net::sockopt::Timeout::Recv, Some(LONG)).unwrap();
            let mut child = with_descriptor(theirs, 5, arguments);
            let mut buffer = [0; 64];
            for _ in 0..3 {
                // sed answers whole lines.
                let (question, answer) = if arguments.contains("exec") {
                    ("question\n", format!("{answer}\n"))
                } else {
                    ("question", answer.to_owned())
                };
                rustix::net::send(&ours, question.as_bytes(), rustix::net::SendFlags::empty()).unwrap();
                let length = rustix::net::recv(&ours, &mut buffer[..], rustix::net::RecvFlags::empty()).unwrap().1;
                assert_eq!(text(&buffer[..length]), answer, "{arguments}");
            }
            signal(child.id(), "TERM");
            wait(&mut child);
        }
    }
}

/// Without random numbers there is no TLS and no WebSocket, which is said; nothing is aborted.
#[test]
fn a_kernel_that_gives_no_random_numbers_is_an_error_in_words() {
    need("strace");
    let plain = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let without = |error: &str, to: &str| {
        let mut command =
            command(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("inject=getrandom:error={error}")]);
        command.args(["talk", to]);
        run_command(&mut command, b"hello\n")
    };
    for scheme in ["ws", "wss", "tls"] {
        let output = without("EPERM", &format!("{scheme}://127.0.0.1:{}", plain.port()));
        assert!(
            text(&output.stderr).contains("the kernel gives no random numbers"),
            "{scheme}: {}",
            text(&output.stderr)
        );
        assert!((1..=100).contains(&code(&output)), "{scheme}: {}", code(&output));
    }
    let output = without("EIO", &plain.address());
    assert!(text(&output.stderr).contains("the kernel gives no random numbers"), "{}", text(&output.stderr));
    assert!((1..=100).contains(&code(&output)), "{}", code(&output));
    // A client that needs none goes on.
    let output = without("EPERM", &plain.address());
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "hello\n");
}

#[test]
fn an_output_that_was_closed_is_no_end_to_speak_through() {
    let folder = tempfile::tempdir().unwrap();
    let server = write(folder.path(), "server.talk", "S: hi\nC: yo\nS: bye\n");
    let client = write(folder.path(), "client.talk", "S: hi\nC: yo\n");
    let named = write(folder.path(), "named.talk", "at stdio\nS: hi\nC: yo\n");
    for arguments in [
        &["relay", "stdio", "exec:cat"][..],
        &["relay", "exec:cat", "stdio"],
        &["serve", "stdio", "--play", &server],
        &["serve", "--play", &named],
        &["talk", "stdio", "--play", &client],
        &["talk", "--play", &named],
    ] {
        let output = run_command(command(&["sh", "-c", "exec \"$0\" \"$@\" >&-"]).args(arguments), b"yo\n");
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains("standard output is closed"), "{arguments:?}");
    }
}

#[test]
fn no_file_says_which_program_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    for at in
        [format!("sh:touch {}", made.display()), format!("exec:touch {}", made.display()), "exec+pty:id".to_owned()]
    {
        let file = write(folder.path(), "at.talk", &format!("at {at}\nS: b\n"));
        let including = write(folder.path(), "including.talk", "include at.talk\n");
        for arguments in [["talk", "--play"], ["serve", "--play"], ["check", ""], ["load", "--play"]] {
            for file in [&file, &including] {
                let words: Vec<&str> =
                    arguments.into_iter().chain([file.as_str()]).filter(|word| !word.is_empty()).collect();
                let output = run(&words, b"");
                assert_code(&output, 2);
                let said = text(&output.stderr) + &text(&output.stdout);
                assert!(said.contains("a transcript runs no program"), "{words:?}: {said}");
            }
        }
    }
    assert!(!made.exists());
}

#[test]
fn a_play_over_an_end_that_its_file_names_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "at.talk", "at stdio\nC: a\nS: b\n");
    assert_code(&run(&["serve", "--play", &file], b"zzz\n"), 1);
    assert_code(&run(&["serve", "--play", &file], b"a\n"), 0);
}
