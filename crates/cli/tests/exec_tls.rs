//! `serve tls://… --exec`: the program hears and says in clear, and both ends are told as they are over TCP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use support::{Server, command, line, need, text, to_end, until, wait};

fn serve(arguments: &[&str]) -> Server {
    Server::start_at(&["tls://127.0.0.1:0"], arguments)
}

/// `talk` over TLS, which believes any server.
fn client(server: &Server) -> Child {
    let mut client = command(&[]);
    client.args(["talk", &format!("tls://127.0.0.1:{}?insecure", server.port())]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Says something, says that this is all, and hears to the end.
fn ask(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut client = client(server);
    let (mut stdin, bytes) = (client.stdin.take().unwrap(), bytes.to_vec());
    let sending = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let heard = to_end(client.stdout.as_mut().unwrap());
    sending.join().unwrap();
    wait(&mut client);
    heard
}

#[test]
fn what_comes_under_tls_is_its_input_and_what_it_says_is_sent() {
    let server = serve(&["--exec", "tr a-z A-Z"]);
    assert_eq!(ask(&server, b"hello\n"), b"HELLO\n");
    assert!(server.log.wait_for("closed #1").ends_with(", its program exited with 0"));
    let server = serve(&["--shell", "cat; echo \"$PROTO $TCPREMOTEIP\"; echo oops >&2; exit 3"]);
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|number| (number / 7) as u8).collect();
    let heard = ask(&server, &bytes);
    assert_eq!(text(&heard[bytes.len()..]), "TCP 127.0.0.1\n");
    assert!(heard[..bytes.len()] == bytes);
    server.log.wait_for("#1: oops");
    assert!(server.log.wait_for("closed #1").ends_with(", its program exited with 3"));
}

/// The end of what it says is not the end of the program, nor of what the client says.
#[test]
fn half_closes_are_passed_both_ways_under_tls() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard");
    let server = serve(&["--shell", &format!("echo bye; exec >&-; cat > {}", heard.display())]);
    let mut client = client(&server);
    assert_eq!(line(client.stdout.as_mut().unwrap()), "bye\n");
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"said after the end").unwrap();
    drop(stdin);
    assert_eq!(wait(&mut client), 0);
    server.log.wait_for("closed #1");
    assert_eq!(std::fs::read(&heard).unwrap(), b"said after the end");
}

#[test]
fn a_client_of_openssl_has_a_program_too() {
    need("openssl");
    let server = serve(&["--exec", "cat"]);
    let mut client = std::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", server.port())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    client.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    assert_eq!(line(client.stdout.as_mut().unwrap()), "hello\n");
    client.kill().unwrap();
    client.wait().unwrap();
    server.log.wait_for("closed #1");
}

#[test]
fn a_reply_under_tls_survives_input_that_its_program_never_read() {
    let server = serve(&["--exec", "echo goodbye"]);
    for _ in 0..5 {
        assert_eq!(ask(&server, &vec![b'x'; 300_000]), b"goodbye\n");
    }
}

/// A client without a handshake costs no process.
#[test]
fn a_client_without_tls_has_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let server = serve(&["--shell", &format!("echo > {}", started.display())]);
    let mut plain = server.connect();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    drop(plain);
    server.log.wait_for("closed #1");
    assert!(!started.exists());
    ask(&server, b"");
    until("a program", || started.exists());
}
