//! Whether a server is there: `talk --zero`, `--retry`, a name's other addresses, and what UDP can tell.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use support::peers::broken_at_first;
use support::*;

#[test]
fn zero_says_open_closed_or_silent_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // This peer takes no notice of our end: a half-close would be waited for.
    let output = run(&["talk", "--zero", &address], b"");
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("open") && output.stdout.is_empty(), "{}", text(&output.stderr));
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(to_end(&mut stream), b"", "nothing is said");
    let closed = Closed::tcp();
    assert_code(&run(&["talk", "--zero", &closed.address.to_string()], b""), 7);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let unix = format!("unix:{}", path.display());
    assert_code(&run(&["talk", "--zero", &unix], b""), 7);
    let _listener = UnixListener::bind(&path).unwrap();
    assert_code(&run(&["talk", "--zero", &unix], b""), 0);
}

#[test]
fn over_udp_zero_claims_only_what_it_knows() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent_address = format!("udp://{}", silent.local_addr().unwrap());
    let output = run(&["talk", "--zero", &silent_address, "--timeout", "300ms"], b"");
    assert_code(&output, 28);
    let words = text(&output.stderr);
    assert!(words.contains("no answer") && !words.contains("open"), "{words}");
    let closed = Closed::udp();
    let output = run(&["talk", "--zero", &format!("udp://{}", closed.address)], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("closed"), "{}", text(&output.stderr));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        server.send_to(b"", from).unwrap();
    });
    let output = run(&["talk", "--zero", &address], b"");
    answering.join().unwrap();
    assert_code(&output, 0);
    let echo = Server::start(&["--echo"]);
    assert_code(&run(&["talk", "--zero", &format!("udp://{}", echo.address())], b""), 0);
}

#[test]
fn retry_waits_until_whoever_is_to_answer_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let play = folder.path().join("p.talk");
    std::fs::write(&play, "S: hello\n").unwrap();
    let play = play.to_str().unwrap().to_owned();
    let unix = format!("unix:{}", path.display());
    for more in [&["--zero"][..], &["--play", &play], &[]] {
        for unix in [None, Some(&unix)] {
            let closed = Closed::tcp();
            let address = unix.cloned().unwrap_or_else(|| closed.address.to_string());
            let mut talk = Talk::start(&[&["-v", &address, "--retry", "60s"], more].concat());
            drop(talk.stdin.take());
            // It has tried, and no server was there.
            until("an attempt", || {
                let calls = std::fs::read_to_string(format!("/proc/{}/wchan", talk.child.id()));
                calls.is_ok()
            });
            wait_until_idle(talk.child.id());
            let hello = |stream: &mut dyn Write| stream.write_all(b"hello\n");
            if unix.is_some() {
                let listener = UnixListener::bind(&path).unwrap();
                let _ = hello(&mut listener.accept().unwrap().0);
                std::fs::remove_file(&path).unwrap();
            } else {
                let listener = closed.listen();
                let _ = hello(&mut listener.accept().unwrap().0);
            }
            assert_eq!(talk.finish().0, 0, "{more:?} {address}");
        }
    }
    let closed = Closed::tcp();
    let output = run(&["talk", "--zero", &closed.address.to_string(), "--retry", "200ms"], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("tried for 0.2 s (--retry)"), "{}", text(&output.stderr));
}

/// Waits until a program has paused so often that it has asked more than once.
fn until_it_asked_again(pid: u32) {
    let pauses = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse::<u64>().unwrap()
    };
    let before = pauses();
    until("further attempts", || pauses() > before + 8);
}

/// Answers every datagram with `heard` before it.
fn answers(server: UdpSocket) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&[b"heard ", &buffer[..length]].concat(), from);
        }
    });
}

/// Over UDP a closed port is known when something was sent there, and what was sent is asked again.
#[test]
fn retry_asks_a_closed_udp_port_again_and_says_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (play, record) = (path("p.talk"), path("record.talk"));
    std::fs::write(&play, "C: one\nS: heard one\nC: two\nS: heard two\n").unwrap();
    let cases = [
        &["--play", &play, "--record", &record][..],
        &["--record", &record],
        &["--source", "127.0.0.1"],
        &["--send-only"],
        &["--zero"],
    ];
    for more in cases {
        let closed = Closed::udp();
        let address = format!("udp://{}", closed.address);
        let mut talk = Talk::start(&[&[&address, "-v", "--retry", "60s"], more].concat());
        talk.stdin.as_mut().unwrap().write_all(b"one\ntwo\n").unwrap();
        drop(talk.stdin.take());
        until_it_asked_again(talk.child.id());
        answers(closed.answer());
        let log = talk.log.clone();
        let (code, heard) = talk.finish();
        assert_eq!(code, 0, "{more:?} {:?}", log.all());
        if more.contains(&"--record") {
            let said = "C: one\nS: heard one\nC: two\nS: heard two\n";
            let recorded = std::fs::read_to_string(&record).unwrap();
            for line in said.lines() {
                assert_eq!(recorded.lines().filter(|recorded| *recorded == line).count(), 1, "{recorded}");
            }
            log.wait_for("6 bytes sent, 18 received");
        }
        let expected = if more.contains(&"--source") { "heard one\nheard two\n" } else { "" };
        assert!(text(&heard).contains(expected), "{more:?} {}", text(&heard));
    }
    // Its time is a bound, and a peer that answered once and is gone is not asked again.
    let closed = Closed::udp();
    for more in [&["--play", &play][..], &[]] {
        let address = format!("udp://{}", closed.address);
        assert_code(&run(&[&["talk", &address, "--retry", "200ms"], more].concat(), b"one\n"), 7);
    }
}

#[test]
fn retry_asks_a_unix_socket_again_that_is_not_there_dead_or_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let play = folder.path().join("p.talk").to_str().unwrap().to_owned();
    std::fs::write(&play, "C: one\nS: heard one\n").unwrap();
    for more in [&[][..], &["--play", &play]] {
        for (number, is_there) in [false, true].into_iter().enumerate() {
            let path = folder.path().join(format!("{number}{}", more.len()));
            // Closed, its file stays.
            drop(is_there.then(|| UnixDatagram::bind(&path).unwrap()));
            let mut talk =
                Talk::start(&[&[&format!("unix-dgram:{}", path.display()), "--retry", "60s"], more].concat());
            talk.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
            until_it_asked_again(talk.child.id());
            let _ = std::fs::remove_file(&path);
            let server = UnixDatagram::bind(&path).unwrap();
            let mut buffer = [0; 64];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"one");
            server.send_to_addr(b"heard one", &from).unwrap();
            drop(talk.stdin.take());
            assert_eq!(talk.finish().0, 0, "{more:?} {is_there}");
        }
    }
    // It was joined to a socket that died before anything was said.
    let path = folder.path().join("anew");
    let first = UnixDatagram::bind(&path).unwrap();
    let mut talk = Talk::start(&["-v", &format!("unix-dgram:{}", path.display()), "--retry", "60s"]);
    talk.log.wait_for("connected");
    drop(first);
    std::fs::remove_file(&path).unwrap();
    talk.stdin.as_mut().unwrap().write_all(b"one\n").unwrap();
    until_it_asked_again(talk.child.id());
    let server = UnixDatagram::bind(&path).unwrap();
    let mut buffer = [0; 64];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    server.send_to_addr(b"heard one", &from).unwrap();
    assert_eq!(&buffer[..length], b"one");
    drop(talk.stdin.take());
    assert_eq!(talk.finish(), (0, b"heard one\n".to_vec()));
}

#[test]
fn retry_begins_a_handshake_again_that_was_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (play, record) = (path("p.talk"), path("record.talk"));
    std::fs::write(&play, "C: hello\nS: hello\n").unwrap();
    for (scheme, more) in [("tls", "?insecure"), ("ws", ""), ("wss", "?insecure")] {
        let echo = Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--echo"]);
        for plays in [false, true] {
            let (address, fronting) = broken_at_first(&echo.address(), b"");
            let address = format!("{scheme}://{address}{more}");
            let mut arguments = vec!["talk", &address, "--retry", "60s", "--record", &record];
            arguments.extend(plays.then_some(["--play", &play]).into_iter().flatten());
            let output = run(&arguments, b"hello\n");
            assert_code(&output, 0);
            assert_eq!(text(&output.stdout), if plays { "" } else { "hello\n" });
            fronting.join().unwrap();
            // What did not come about is no part of the conversation.
            let recorded = std::fs::read_to_string(&record).unwrap();
            assert!(recorded.contains("C: hello\nS: hello\n") && !recorded.contains("resets"), "{recorded}");
            std::fs::remove_file(&record).unwrap();
        }
    }
    // What answers and is not trusted will not be so later.
    let echo = Server::start_at(&["tls://127.0.0.1:0"], &["--echo"]);
    let address = format!("tls://{}", echo.address().rsplit("//").next().unwrap());
    for more in [&[][..], &["--play", &play]] {
        assert_code(&run(&[&["talk", &address, "--retry", "60s"], more].concat(), b"hello\n"), 60);
    }
    // Nor is it tried again without being asked for.
    let (address, _) = broken_at_first(&echo.address(), b"");
    assert_code(&run(&["talk", &format!("tls://{address}?insecure"), "--play", &play], b""), 35);
}

/// A bare port is both loopbacks: only the second has a server.
#[test]
fn over_udp_a_names_other_addresses_are_asked_too() {
    let folder = tempfile::tempdir().unwrap();
    let play = folder.path().join("p.talk");
    std::fs::write(&play, "C: one\nS: heard one\n").unwrap();
    let play = play.to_str().unwrap();
    for (arguments, input) in
        [(&["--timeout", "30s"][..], &b"one\ntwo\n"[..]), (&["--play", play], b""), (&["--zero"], b"")]
    {
        let server = UdpSocket::bind("[::1]:0").unwrap();
        let port = server.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                let answer = [b"heard ", &buffer[..length]].concat();
                server.send_to(&answer, from).unwrap();
            }
        });
        let output = run(&[&["talk", &format!("udp://{port}")], arguments].concat(), input);
        assert_code(&output, 0);
        if arguments[0] == "--timeout" {
            assert_eq!(text(&output.stdout), "heard one\nheard two\n");
        }
    }
    // Where no server listens at any, that is told.
    let port = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap().port();
    let output = run(&["talk", &format!("udp://{port}")], b"one\n");
    assert_code(&output, 7);
}

#[test]
fn sent_is_done_where_no_answer_is_due() {
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", syslog.local_addr().unwrap());
    assert_code(&run(&["talk", "--send-only", &address], b"one\ntwo\n"), 0);
    let mut buffer = [0; 16];
    for expected in ["one", "two"] {
        let length = syslog.recv(&mut buffer).unwrap();
        assert_eq!(text(&buffer[..length]), expected);
    }
    let output = run(&["talk", &address], b"one\n");
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("--send-only"), "{}", text(&output.stderr));
    let closed = Closed::udp();
    let address = format!("udp://{}", closed.address);
    assert_code(&run(&["talk", "--send-only", &address], b"one\n"), 7);
}

#[test]
fn a_datagram_sink_goes_on_though_its_sender_pauses() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    for more in [&[][..], &["--recv-only"]] {
        let _ = std::fs::remove_file(&port_file);
        let arguments = ["--listen", "udp://127.0.0.1:0", "--port-file", port_file.to_str().unwrap(), "--idle", "6s"];
        let mut talk = Talk::start(&[&arguments, more].concat());
        if more.is_empty() {
            drop(talk.stdin.take());
        }
        talk.log.wait_for("listening on");
        let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(("127.0.0.1", port)).unwrap();
        sender.send(b"one").unwrap();
        assert_eq!(line(talk.child.stdout.as_mut().unwrap()), "one\n");
        std::thread::sleep(std::time::Duration::from_millis(2500));
        sender.send(b"two").unwrap();
        assert_eq!(line(talk.child.stdout.as_mut().unwrap()), "two\n");
        // Nothing tells that it was the last.
        assert_eq!(talk.finish().0, 28);
    }
}

/// Datagrams of a second sender that came before the first was known to be the client are not taken for the first's.
#[test]
fn what_strangers_sent_before_is_not_the_clients() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    for keep in [false, true] {
        let _ = std::fs::remove_file(&port_file);
        let mut command = command(&[]);
        command.args(["talk", "--listen", "udp://127.0.0.1:0", "--port-file", port_file.to_str().unwrap()]);
        if keep {
            command.arg("--keep");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        log.wait_for("listening on");
        let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
        let [first, second] = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        // All of it comes while the listener does not run.
        signal(child.id(), "STOP");
        for (socket, words) in [(&first, "mine"), (&second, "stranger"), (&first, "mine too")] {
            socket.send_to(words.as_bytes(), ("127.0.0.1", port)).unwrap();
        }
        signal(child.id(), "CONT");
        let stdout = child.stdout.as_mut().unwrap();
        assert_eq!((line(stdout), line(stdout)), ("mine\n".to_owned(), "mine too\n".to_owned()));
        drop(child.stdin.take());
        if keep {
            assert_eq!(line(stdout), "stranger\n");
            log.wait_for(&format!("opened #2 udp 127.0.0.1:{port} <- {}", second.local_addr().unwrap()));
            // And then anybody may come.
            log.wait_for("closed #2");
            let third = UdpSocket::bind("127.0.0.1:0").unwrap();
            third.send_to(b"third", ("127.0.0.1", port)).unwrap();
            assert_eq!(line(stdout), "third\n");
        } else {
            signal(child.id(), "INT");
        }
        let _ = child.kill();
        wait(&mut child);
        assert_eq!(to_end(child.stdout.as_mut().unwrap()), b"");
    }
}

#[test]
fn an_interface_that_takes_nothing_ends_with_the_time_limit() {
    need("tc");
    let script = "ip link add one type veth peer name other
ip link set other up
ip addr add 10.9.0.1/24 dev one
ip link set one up
tc qdisc add dev one root pfifo limit 0
code=0; echo hello | \"$1\" talk udp://10.9.0.2:9 --timeout 300ms || code=$?
echo timed $code
code=0; (echo hello | \"$1\" talk udp://10.8.0.2:9) || code=$?
echo unreachable $code
code=0; (echo hello | \"$1\" talk udp://10.9.0.255:9) || code=$?
echo broadcast $code
play=$(mktemp); printf 'C: hello\\nS: hello\\n' >\"$play\"
code=0; \"$1\" talk udp://10.9.0.2:9 --play \"$play\" --timeout 300ms || code=$?; rm \"$play\"
echo played $code
code=0; \"$1\" talk --zero udp://10.9.0.2:9 --timeout 300ms || code=$?
echo zero $code
code=0; \"$1\" talk '[fe80::1%one]:9' --connect-timeout 100ms || code=$?
echo scope $code
code=0; \"$1\" talk '[fe80::1%two]:9' || code=$?
echo none $code";
    let output = in_namespace(script);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    for expected in ["timed 28", "unreachable 7", "broadcast 7", "played 28", "zero 28", "none 2"] {
        assert!(stdout.contains(expected), "{expected}: {stdout}{stderr}");
    }
    assert!(!stdout.contains("scope 2\n"), "the interface of this namespace has its number here: {stdout}{stderr}");
    assert!(stderr.contains("broadcast address"), "{stderr}");
}

/// Its socket would say at once that it takes more: it is tried again a little later, and the failure names the queue.
#[test]
fn a_datagram_of_a_play_that_finds_no_room_is_tried_again_each_millisecond() {
    need("strace");
    let folder = tempfile::tempdir().unwrap();
    let play = write(folder.path(), "ping.talk", "C: ping\nS: pong\n");
    let calls = folder.path().join("calls");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let full = ["-e", "trace=sendto", "-e", "inject=sendto:error=ENOBUFS:when=1+"];
    let strace = [&["strace", "-f", "-qq", "-o", calls.to_str().unwrap(), "-e", "signal=none"][..], &full].concat();
    let began = std::time::Instant::now();
    let output = run_command(command(&strace).args(["talk", &address, "--play", &play, "--timeout", "300ms"]), b"");
    let most = 10 + began.elapsed().as_millis() as usize;
    assert_code(&output, 28);
    let said = text(&output.stderr);
    assert!(said.contains("the interface's queue took no datagram for 0.3 s"), "{said}");
    let tried = std::fs::read_to_string(&calls).unwrap().lines().count();
    assert!(tried <= most, "{tried} times, and {most} at most");
}

#[test]
fn a_unix_socket_of_another_kind_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let _log = UnixDatagram::bind(&path).unwrap();
    let output = run(&["talk", &format!("unix:{}", path.display())], b"x\n");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("unix-dgram:"), "{}", text(&output.stderr));
}

/// A shell starts `command &` of a script with SIGINT ignored.
#[test]
fn a_signal_that_was_ignored_from_the_beginning_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    for verb in ["serve tcp://127.0.0.1:0 --discard", "talk --listen 127.0.0.1:0"] {
        let _ = std::fs::remove_file(&port_file);
        let script = format!("trap '' INT; exec \"$1\" {verb} --port-file {}", port_file.display());
        let mut child = Command::new("sh")
            .args(["-c", &script, "sh", BINARY])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the port", || port_file.exists());
        let port: u16 = std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap();
        signal(child.id(), "INT");
        let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"still there").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(to_end(&mut client), b"");
        assert_eq!(child.try_wait().unwrap().filter(|_| verb.starts_with("serve")), None);
        signal(child.id(), "TERM");
        assert!([0, 143].contains(&wait(&mut child)));
    }
}

#[test]
fn values_without_a_transcript_whose_names_they_are_are_refused() {
    let nobody = Closed::tcp();
    let closed = nobody.address.to_string();
    let cases: [&[&str]; 7] = [
        &["talk", &closed, "--set", "name=x"],
        &["talk", &closed, "--secret", "name=x"],
        &["talk", "--zero", &closed, "--set", "name=x"],
        &["talk", "--listen", "127.0.0.1:0", "--set", "name=x"],
        &["serve", "127.0.0.1:0", "--set", "name=x"],
        &["serve", "127.0.0.1:0", "--echo", "--secret", "name=x"],
        &["serve", "127.0.0.1:0", "--discard", "--set", "name=x"],
    ];
    for words in cases {
        let output = run(words, b"");
        assert_code(&output, 2);
        let told = text(&output.stderr);
        assert!(
            told.contains("gives `name` of a transcript a value") && told.contains("--play FILE"),
            "{words:?}: {told}"
        );
    }
    // A bound of a play's lines is none of a conversation without one.
    assert_code(&run(&["talk", &closed, "--max-line", "5"], b""), 2);
}

#[test]
fn words_of_other_tools_are_answered_with_ours() {
    for (words, told) in [
        (&["talk", "-q", "1", "localhost", "80"][..], "-q is --quiet, and takes no time"),
        (&["talk", "-q1", "localhost", "80"], "--timeout TIME"),
        (&["talk", "-L", "http://x/"], "`sockeye fetch URL`"),
        (&["talk", "/tmp/x.sock"], "unix:/tmp/x.sock"),
        (&["talk", "TCP:localhost:80"], "write tcp://localhost:80"),
        (&["serve", "-t", "5"], "--timeout TIME"),
        (&["talk", "-connect", "host:443"], "-connect: write the address alone: tls://HOST:PORT"),
        (
            &["talk", "-connect=host:443", "-servername", "x"],
            "-servername: it stands in the address: tls://HOST:PORT?sni=NAME",
        ),
        (&["talk", "-starttls", "smtp", "h:25"], "-starttls: --starttls PROTOCOL"),
        (&["talk", "-insecure", "h:1"], "-insecure: --pin sha256:HEX"),
        (&["talk", "-CAfile", "x", "h:1"], "-CAfile: leave it out: certificates are always checked; --ca FILE"),
        (&["talk", "-tls1_3", "h:1"], "tls://HOST:PORT?min=1.3"),
        (&["talk", "-cert", "x", "h:1"], "-cert: it has two dashes: --cert"),
        (&["talk", "-quiet", "h:1"], "-quiet: it has two dashes: --quiet"),
        (&["talk", "-listen", "99"], "-listen: it has two dashes: --listen"),
        (&["talk", "-host", "h", "-port", "1"], "-host: write HOST:PORT"),
        (&["talk", "-exec", "cat", "h:1"], "-exec: no program is run by talk"),
        (&["talk", "--sh-exec", "cat", "h:1"], "--sh-exec: no program is run by talk"),
        (&["talk", "--ssl", "h:1"], "--ssl: write tls://HOST:PORT"),
        (&["talk", "--listen", "--keep-open", "1"], "--keep-open: --listen --keep"),
        (&["talk", "-connections", "4", "h:1"], "-connections: --connections: `sockeye load` has it"),
        (&["serve", "-accept", "443", "-www"], "-www: --files DIR"),
        (&["serve", "-exec", "cat"], "-exec: it has two dashes: --exec"),
        (&["serve", "--sh-exec", "cat"], "--sh-exec: --shell LINE"),
        (&["relay", "-listen", "80", "h:1"], "-listen: leave it out: the first address is where relay listens"),
        (&["relay", "-d", "-d", "TCP-LISTEN:80,fork", "TCP:h:80"], "-d: -v says more"),
        (&["fetch", "-sSL", "http://x/"], "-L: leave it out: redirects are followed"),
        (&["fetch", "-insecure", "https://x/"], "-insecure: --insecure trusts whoever answers"),
        (&["fetch", "-output", "x", "http://x/"], "-output: it has two dashes: --output"),
        (&["load", "-t2", "-c100", "-d30s", "http://x/"], "-c: --connections N is how many at once"),
        (&["load", "-rate", "5", "1"], "-rate: it has two dashes: --rate"),
        (&["load", "-play", "x", "1"], "-play: it has two dashes: --play"),
        (&["serve", "-f", "x.talk"], "--play FILE"),
        (&["check", "--fix", "x.talk"], "--format --write"),
        (&["check", "--play", "x.talk"], "`sockeye check FILE`"),
        (&["import", "-f", "x.txt"], "`sockeye import FILE`"),
        (&["srve"], "did you mean serve?"),
        (&["curl", "http://x/"], "did you mean fetch?"),
        (&["connect", "localhost", "80"], "did you mean talk?"),
        (&["lint", "x.talk"], "did you mean check?"),
        (&["netstat"], "did you mean ports?"),
        (&["version"], "did you mean --version?"),
    ] {
        let output = run(words, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(told), "{words:?}: {}", text(&output.stderr));
        // Whole words are answered, and letters only where it was letters; what stands behind one is its value.
        let is_long = words[1..].iter().any(|word| word.len() > 5 && word.starts_with('-') && !word.starts_with("--"));
        let letters = text(&output.stderr).lines().filter(|line| line.starts_with("  -") && &line[4..5] == ":").count();
        assert!(!is_long || letters == 0, "{words:?}: {}", text(&output.stderr));
    }
    let output = run(&["load", "-t2", "-c100", "-d30s", "http://x/"], b"");
    assert!(!text(&output.stderr).contains("-s:"), "{}", text(&output.stderr));
    // Our own letters together, and values that look like flags, are none of them.
    let port = Closed::tcp();
    let closed = port.address.to_string();
    assert_code(&run(&["talk", "-vvv", &closed], b""), 7);
    assert_code(&run(&["fetch", "-qv4", &format!("http://{closed}/")], b""), 2);
    assert_code(&run(&["fetch", "-vv4", "--data", "-output", &format!("http://{closed}/")], b""), 2);
}

/// Nobody answers the last words: that nobody listens is told behind them, and asked for.
#[test]
fn over_udp_a_play_whose_last_words_meet_a_closed_port_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let only = file("only.talk", "C: only\n");
    let closed = Closed::udp();
    let address = format!("udp://{}", closed.address);
    for arguments in [&[][..], &["--retry", "200ms"], &["--repeat", "2"]] {
        let output = run(&[&["talk", &address, "--play", &only], arguments].concat(), b"");
        assert_code(&output, 7);
        assert!(text(&output.stderr).contains("nobody listens there"), "{}", text(&output.stderr));
    }
    // It is there, answers, and is gone.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        let answer = [b"heard ", &buffer[..length]].concat();
        server.send_to(&answer, from).unwrap();
    });
    // It is closed by then.
    let late = file("late.talk", "C: one\nS: heard one\nC waits 500ms\nC: bye\n");
    let output = run(&["talk", &address, "--play", &late], b"");
    serving.join().unwrap();
    assert_code(&output, 7);
    // Where somebody listens, it is said.
    let echo = Server::start_at(&["udp://127.0.0.1:0"], &["--discard"]);
    assert_code(&run(&["talk", &format!("udp://127.0.0.1:{}", echo.ports[0]), "--play", &only], b""), 0);
}

/// To connect there is refused by the system, whatever it is.
#[test]
fn a_path_that_is_no_socket_is_told_as_what_it_is_and_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("file"), "x").unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("dead")).unwrap());
    for scheme in ["unix", "unix-dgram", "unix-seqpacket"] {
        for (name, says) in [
            (path("file"), "it is a file, and no socket"),
            (path("."), "it is a folder, and no socket"),
            ("/dev/null".to_owned(), "it is no socket"),
        ] {
            let output = run(&["talk", &format!("{scheme}:{name}"), "--retry", "600s"], b"");
            assert_code(&output, 7);
            assert!(text(&output.stderr).contains(says), "{scheme} {name}: {}", text(&output.stderr));
        }
    }
    let output = run(&["talk", &format!("unix:{}", path("dead")), "--retry", "50ms"], b"");
    assert_code(&output, 7);
    let errors = text(&output.stderr);
    assert!(errors.contains("Connection refused: nothing listens at that socket (any more); tried for"), "{errors}");
}
