//! The library as people use it in their own tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sockeye::mock::{Mock, play};

const GREET: &str = "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n";

/// The code under test: it says a name and gives what it heard.
fn greet(server: SocketAddr, name: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(format!("{name}\nexit\n").as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    heard
}

fn failure(act: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(act)).expect_err("it panics");
    payload.downcast_ref::<String>().cloned().or(payload.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap()
}

#[test]
fn a_server_in_three_lines() {
    let server = Mock::start(GREET);
    assert_eq!(greet(server.address(), "Bob"), "Welcome!\nHello, Bob!\n");
    server.finish();
}

#[test]
fn what_did_not_go_as_written_is_in_the_panic_with_its_place() {
    let server = Mock::start("C: PING\nS: PONG\nS closes\n");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"PIMG\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let text = failure(|| server.finish());
    for words in ["mock.talk:1:6", "expected  PING", "received  PIMG", "^ byte 3 of the line"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_mock_that_is_dropped_says_so_too_and_leaves_a_panic_of_the_test_alone() {
    let text = failure(|| drop(Mock::start(GREET)));
    assert!(text.contains("nobody came"), "{text}");
    let text = failure(|| {
        let _server = Mock::start(GREET);
        panic!("the test's own");
    });
    assert_eq!(text, "the test's own");
}

/// Tests that fail, each run by the next one in a process of its own.
mod failing {
    use super::*;

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn the_client_asserts_first() {
        let server = Mock::start("C: PING\nS: PONG\nS closes\n");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PIMG\n").unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "PONG\n", "the client's own");
        server.finish();
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn a_client_over_datagrams_asserts_first() {
        let server = Mock::text("C: ping\nS: pong\n").udp().start();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"pang", server.address()).unwrap();
        panic!("the client's own");
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn the_test_fails_before_anybody_comes() {
        let _server = Mock::start(GREET);
        panic!("the client's own");
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn the_client_leaves_in_the_middle() {
        let server = Mock::start("C: PING\nS: PONG\nC: QUIT\nS closes\n");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PING\n").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        panic!("the client's own");
    }

    /// What a test sets up is often ended by a `drop` of its own.
    struct SetUp(Option<Mock>);

    impl Drop for SetUp {
        fn drop(&mut self) {
            if let Some(mock) = self.0.take() {
                mock.finish();
            }
        }
    }

    fn mistaken(server: &Mock) {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PIMG\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn a_drop_of_the_tests_own_finishes_it() {
        let set_up = SetUp(Some(Mock::start("C: PING\nS: PONG\nS closes\n")));
        mistaken(set_up.0.as_ref().unwrap());
        panic!("the client's own");
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn several_fail_in_a_list() {
        let servers: Vec<Mock> = (0..3).map(|n| Mock::start(&format!("C: PING{n}\nS: PONG\nS closes\n"))).collect();
        servers.iter().for_each(mistaken);
        panic!("the client's own");
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn several_fail_and_the_test_does_not() {
        let set_up = SetUp(Some(Mock::start("C: PING2\nS: PONG\nS closes\n")));
        let server = Mock::start("C: the client's own\nS: PONG\nS closes\n");
        mistaken(set_up.0.as_ref().unwrap());
        mistaken(&server);
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn a_thread_that_has_it_fails() {
        let server = Mock::start("C: PING\nS: PONG\nS closes\n");
        let thread = std::thread::spawn(move || {
            mistaken(&server);
            panic!("the client's own");
        });
        thread.join().unwrap();
    }

    #[test]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn a_unix_socket_asserts_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mock.sock");
        let _server = Mock::text("C: PING\nS: PONG\nS closes\n").unix(&path).start();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"PIMG\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        panic!("the client's own");
    }

    #[test]
    #[cfg(feature = "tls")]
    #[ignore = "it fails, and what it says is looked at by another test"]
    fn the_client_does_not_begin_tls() {
        let server = Mock::start("C: STARTTLS\nS: go\nstarttls\nC: PING\nS closes\n");
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"STARTTLS\n").unwrap();
        stream.read_exact(&mut [0; 3]).unwrap();
        stream.write_all(b"PING\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        panic!("the client's own");
    }
}

#[test]
fn the_account_is_seen_also_when_the_test_fails_first() {
    let run = |test: &str, more: &[&str], stderr: Stdio| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", &format!("failing::{test}")]).args(more).stdout(Stdio::piped());
        command.stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
    };
    for (test, account) in [
        ("the_client_asserts_first", "received  PIMG"),
        ("a_client_over_datagrams_asserts_first", "received  pang"),
        ("the_test_fails_before_anybody_comes", "nobody came"),
        ("the_client_leaves_in_the_middle", "the client closed early"),
        ("a_drop_of_the_tests_own_finishes_it", "received  PIMG"),
        ("several_fail_in_a_list", "expected  PING0"),
        ("several_fail_in_a_list", "expected  PING1"),
        ("several_fail_in_a_list", "expected  PING2"),
        ("several_fail_and_the_test_does_not", "expected  PING2"),
        ("a_thread_that_has_it_fails", "received  PIMG"),
        ("a_unix_socket_asserts_first", "received  PIMG"),
        #[cfg(feature = "tls")]
        ("the_client_does_not_begin_tls", "TLS did not begin"),
    ] {
        // The harness keeps it with the test; without the harness it is on standard error.
        let output = run(test, &[], Stdio::piped());
        let kept = String::from_utf8(output.stdout).unwrap();
        assert!(kept.contains("the client's own") && kept.contains(account), "{test}: {kept}");
        let output = run(test, &["--nocapture"], Stdio::piped());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("the client's own") && said.contains(account), "{test}: {said}");
        // One that cannot be written makes no second panic that would abort.
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(run(test, &["--nocapture"], full.into()).status.code(), Some(101), "{test}");
    }
}

#[test]
fn a_conversation_that_is_not_at_its_end_is_a_failure() {
    let server = Mock::text("timeout 1s\nC: PING\nS: PONG\nC: QUIT\n").start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"PING\n").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    let text = failure(|| server.finish());
    assert!(text.contains("nothing came from the client within 1 s"), "{text}");
}

#[test]
fn as_many_must_come_as_were_to_come() {
    let server = Mock::text(GREET).plays(2).start();
    greet(server.address(), "Ann");
    let text = failure(|| server.finish());
    assert!(text.contains("1 conversation came where 2 were to come"), "{text}");
    let server = Mock::text(GREET).plays(2).start();
    std::thread::scope(|scope| {
        for name in ["Ann", "Bob"] {
            let address = server.address();
            scope.spawn(move || greet(address, name));
        }
    });
    server.finish();
}

const LOOP: &str = "repeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

/// The code under test: it is greeted and leaves.
fn leave(server: SocketAddr) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(b"Ann\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
}

#[test]
fn leaving_inside_a_loop_that_statements_follow_is_a_failure_unless_it_is_allowed() {
    let server = Mock::start(LOOP);
    leave(server.address());
    let text = failure(|| server.finish());
    assert!(text.contains("the client closed early") && text.contains(" 5 | C: exit "), "{text}");
    let server = Mock::text(LOOP).allow_early_close().start();
    leave(server.address());
    server.finish();
    let server = Mock::text("repeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\n").start();
    leave(server.address());
    server.finish();
    // Over datagrams it has not come to its end either.
    let server = Mock::text(LOOP).udp().start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"Ann", server.address()).unwrap();
    client.recv(&mut [0; 64]).unwrap();
    let text = failure(|| server.finish());
    assert!(text.contains("1 conversation was not at the end"), "{text}");
}

#[test]
fn nobody_and_fewer_than_were_to_come_are_failures_over_datagrams_too() {
    let text = failure(|| Mock::text("C: ping\nS: pong\n").udp().start().finish());
    assert!(text.contains("nobody came"), "{text}");
    let server = Mock::text("C: ping\nS: pong\n").udp().plays(3).start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"ping", server.address()).unwrap();
    client.recv(&mut [0; 64]).unwrap();
    let text = failure(|| server.finish());
    assert!(text.contains("1 conversation came where 3 were to come"), "{text}");
}

#[test]
fn a_wrong_transcript_is_refused_with_every_mistake() {
    let text = failure(|| drop(Mock::start("S: {x\nrepaet\nS: {banner}\n")));
    assert!(text.contains("mock.talk:2:1") && text.contains("did you mean `repeat`?"), "{text}");
    let text = failure(|| drop(Mock::start("S: {banner}\n")));
    assert!(text.contains("the server must say {banner}"), "{text}");
}

#[test]
fn values_files_datagrams_and_unix_sockets() {
    let server = Mock::text("S: {banner}\nS closes\n").set("banner", "hi there").start();
    let mut heard = String::new();
    TcpStream::connect(server.address()).unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hi there\n");
    server.finish();

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body"), vec![b'x'; 100_000]).unwrap();
    std::fs::write(folder.path().join("get.talk"), "C: get\nS file: body\nS closes\n").unwrap();
    let server = Mock::file(folder.path().join("get.talk")).unix(folder.path().join("s")).start();
    let mut stream = UnixStream::connect(folder.path().join("s")).unwrap();
    stream.write_all(b"get\n").unwrap();
    let mut body = Vec::new();
    stream.read_to_end(&mut body).unwrap();
    assert_eq!(body.len(), 100_000);
    server.finish();

    let server = Mock::text("C: ping\nS: pong\n").udp().start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"ping", server.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    server.finish();
}

#[test]
fn the_client_of_a_transcript_tests_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for answer in ["PONG\n", "PANG\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    play("C: PING\nS: PONG\n", address);
    let text = failure(|| play("C: PING\nS: PONG\n", address));
    assert!(text.contains("expected  PONG") && text.contains("received  PANG"), "{text}");
    server.join().unwrap();
}

/// A socket that is polled until it is ready, as async runtimes do, on the test's own thread.
struct Answer(TcpStream);

impl Future for Answer {
    type Output = Vec<u8>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<u8>> {
        let mut buffer = vec![0; 100];
        match self.0.read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                Poll::Ready(buffer)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_async_test_needs_nothing_more() {
    let server = Mock::start("C: PING\nS: PONG\n");
    let address = server.address();
    let test = async {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"PING\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        assert_eq!(Answer(stream).await, b"PONG\n");
    };
    let mut test = pin!(test);
    let mut context = Context::from_waker(Waker::noop());
    while test.as_mut().poll(&mut context).is_pending() {
        std::thread::yield_now();
    }
    server.finish();
}

const SECURE: &str = "C: STARTTLS\nS: go ahead\nstarttls\nC: {name=Ann}\nS: Hello, {name}!\nS closes\n";

#[test]
#[cfg(feature = "tls")]
fn a_mock_that_goes_over_to_tls_is_believed_by_whoever_trusts_its_certificate() {
    let server = Mock::start(SECURE);
    play(SECURE, server.address());
    server.finish();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, sockeye::mock::certificate()).unwrap();
    let server = Mock::start(SECURE);
    Mock::text(SECURE).ca(&path).play(server.address());
    server.finish();
}

#[test]
#[cfg(feature = "tls")]
fn a_mock_whose_certificate_is_not_believed_says_so_at_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let path = folder.path().join("other.pem");
    std::fs::write(&path, other.cert.pem()).unwrap();
    let server = Mock::start(SECURE);
    let address = server.address();
    let said = failure(|| Mock::text(SECURE).ca(&path).play(address));
    assert!(said.contains("TLS did not begin: the certificate of localhost "), "{said}");
    let said = failure(|| server.finish());
    assert!(said.contains("TLS did not begin: the client refused: "), "{said}");
}

#[test]
fn a_value_for_a_name_that_the_transcript_has_not_is_an_error() {
    for (name, said) in [("nmae", "did you mean `name`?"), ("zzzzzzzz", "the names are name")] {
        let started = std::panic::catch_unwind(|| Mock::text("C: {name=Ann}\nS: hi {name}\n").set(name, "x").start());
        let why = *started.expect_err("it does not start").downcast::<String>().unwrap();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
#[cfg(not(feature = "tls"))]
fn without_tls_a_transcript_that_goes_over_to_it_is_refused_at_both_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ends: [&dyn Fn(); 2] = [&|| drop(Mock::start(SECURE)), &|| play(SECURE, address)];
    for end in ends {
        let said = failure(end);
        assert!(said.contains("`starttls` needs TLS, which this build of sockeye has not"), "{said}");
    }
}

/// Two at once, one after the other, and to a port that the server tells.
const SEVERAL: [&str; 3] = [
    "C: a IDLE\nS: + {id=7}\nC2 connects\nC2: b APPEND\nS2: b OK\nC2 closes\nS: {id} EXISTS\nC: DONE\nS closes\n",
    "C: a\nS: later {id=7}\nS closes\nC waits 10ms\nC connects\nC: a again\nS: {id}\nS closes\n",
    "C: EPSV\nS: {port}\nC2 connects to {port}\nS2: data\nS2 closes\nS: 226\nS closes\n",
];

#[test]
fn a_mock_and_a_client_of_the_library_play_several_connections() {
    let folder = tempfile::tempdir().unwrap();
    for text in SEVERAL {
        let server = Mock::start(text);
        play(text, server.address());
        server.finish();
        let server = Mock::text(text).plays(3).start();
        (0..3).for_each(|_| play(text, server.address()));
        server.finish();
    }
    // Code that knows nothing of transcripts, over a Unix socket: the next client goes on with the play.
    let path = folder.path().join("s");
    let server = Mock::text(SEVERAL[1]).unix(&path).start();
    for (asks, answer) in [("a\n", "later 7\n"), ("a again\n", "7\n")] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(asks.as_bytes()).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, answer);
    }
    server.finish();
    // There are no ports there.
    let path = folder.path().join("t");
    let server = Mock::text(SEVERAL[2]).unix(&path).start();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"EPSV\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let said = failure(|| server.finish());
    assert!(said.contains("a port to listen at needs TCP"), "{said}");
    let refused = failure(|| drop(Mock::text(SEVERAL[1]).udp().start()));
    assert!(refused.contains("mock.talk:5:") && refused.contains("datagrams"), "{refused}");
}

#[test]
fn a_second_connection_that_fails_is_named_in_the_panic_of_the_mock() {
    // It does not come.
    let server = Mock::text(SEVERAL[0]).timeout(Duration::from_millis(200)).start();
    let mut first = TcpStream::connect(server.address()).unwrap();
    first.write_all(b"a IDLE\n").unwrap();
    let mut heard = String::new();
    first.read_to_string(&mut heard).unwrap();
    let said = failure(|| server.finish());
    assert!(said.contains("opened no connection") && said.contains("mock.talk:3:1"), "{said}");
    // It says something else, and both end.
    let server = Mock::start(SEVERAL[0]);
    let mut first = TcpStream::connect(server.address()).unwrap();
    first.write_all(b"a IDLE\n").unwrap();
    let mut second = TcpStream::connect(server.address()).unwrap();
    second.write_all(b"b DELETE\n").unwrap();
    let mut heard = Vec::new();
    second.read_to_end(&mut heard).unwrap();
    first.read_to_end(&mut heard).unwrap();
    let said = failure(|| server.finish());
    assert!(said.contains("mock.talk:4:") && said.contains("received  b DELETE"), "{said}");
}

#[test]
#[cfg(feature = "tls")]
fn each_connection_of_a_mock_goes_over_to_tls_by_itself() {
    let text = "C: STARTTLS\nS: go\nstarttls\nC2 connects\nC2: STARTTLS\nS2: go\nstarttls\nC: a\nS2: b\nC2 closes\nS closes\n\
                C connects\nC: in clear\nS: c\nS closes\n";
    let server = Mock::start(text);
    play(text, server.address());
    server.finish();
}
