//! `starttls` over real sockets: against Python's clients and servers, OpenSSL, and peers that mean no good.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use support::peers::{Authority, Peer};
use support::{Server, assert_code, line, need, run, run_command, text, to_end, write};

const SMTP: &str = "eol crlf
ignore case
S: 220 {_=mail.example ready}
C: EHLO {_=client.example}
S: 250-{_=mail.example}
S: 250-STARTTLS
S: 250 {_=DSN}
C: STARTTLS
S: 220 {_=go ahead}
starttls
C: EHLO {_=client.example}
S: 250-{_=mail.example}
S: 250 {_=AUTH PLAIN}
C: QUIT
S: 221 {_=bye}
S closes
";

fn smtp(folder: &Path) -> String {
    write(folder, "smtp.talk", SMTP)
}

#[test]
fn both_ends_meet_over_a_socket_by_the_fingerprint_that_the_server_tells() {
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let output = run(&["check", &file], b"");
    assert_code(&output, 0);
    assert!(!text(&output.stderr).contains("warning"), "{}", text(&output.stderr));
    let server = Server::start(&["--play", &file, "--times", "2"]);
    let pin = server.log.pin();
    let record = folder.path().join("record.talk");
    let talk = |arguments: &[&str]| run(&[&["talk", &server.address(), "--play", &file], arguments].concat(), b"");
    let mut command = support::command(&[]);
    command.args(["talk", &server.address(), "--play", &file, "--pin", &pin, "--record", record.to_str().unwrap()]);
    // Only `fetch` writes the keys of sessions, and says so.
    let keys = folder.path().join("keys");
    assert_code(&run_command(command.env("SSLKEYLOGFILE", &keys), b""), 0);
    assert!(!keys.exists());
    let recorded = fs::read_to_string(&record).unwrap();
    assert!(
        recorded
            .contains("S: 220 go ahead\nstarttls\nC: EHLO client.example\nS: 250-mail.example\nS: 250 AUTH PLAIN\n"),
        "{recorded}"
    );
    assert_code(&run(&["check", record.to_str().unwrap()], b""), 0);
    // Without the pin no authority signed for it.
    let output = talk(&[]);
    assert_code(&output, 60);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("TLS did not begin: the certificate of 127.0.0.1 is signed by nobody who is trusted"),
        "{stderr}"
    );
    assert!(stderr.contains("smtp.talk:10:1"), "{stderr}");
    let mut server = server;
    assert_eq!(server.wait(), 1);
    let failed = server.log.to_end().join("\n");
    assert!(failed.contains("TLS did not begin: the client refused: "), "{failed}");
    let other = format!("sha256:{}", "00".repeat(32));
    let server = Server::start(&["--play", &file]);
    let output = run(&["talk", &server.address(), "--play", &file, "--pin", &other], b"");
    assert_code(&output, 60);
    assert!(
        text(&output.stderr).contains("is not the one that --pin names: it is sha256:"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_certificate_of_ones_own_is_shown_and_a_private_authority_believed() {
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost", "127.0.0.1"], (2020, 2120));
    authority.sign(folder.path(), "other", &["other.example"], (2020, 2120));
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, expected) in [("good", 0), ("other", 60)] {
        let (cert, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let server = Server::start(&["--play", &file, "--cert", &cert, "--key", &key]);
        let output = run(&["talk", &server.address(), "--play", &file, "--ca", &path("ca.pem")], b"");
        assert_code(&output, expected);
        assert!(!server.log.all().iter().any(|line| line.contains("--pin")));
    }
    for arguments in [
        &["--cert", &path("none.pem"), "--key", &path("good.key")][..],
        &["--cert", &path("ca.pem"), "--key", &path("good.key")],
    ] {
        assert_code(&run(&[&["serve", "127.0.0.1:0", "--play", &file], arguments].concat(), b""), 26);
    }
    // Row 69: a key that everybody may read.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path("good.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = ["serve", "127.0.0.1:0", "--play", &file, "--cert", &path("good.pem"), "--key", &path("good.key")];
    let output = run(&arguments, b"");
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("everybody may read this key: chmod o-r"), "{}", text(&output.stderr));
}

/// What Python's smtplib does, certificate and all.
#[test]
fn pythons_smtplib_starts_tls_with_us() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let arguments = ["--play", &file, "--once", "--cert", &path("good.pem"), "--key", &path("good.key")];
    let mut server = Server::start(&arguments);
    let script = "
import smtplib, ssl, sys
client = smtplib.SMTP('localhost', int(sys.argv[1]))
client.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
client.ehlo()
assert client.esmtp_features['auth'] == ' PLAIN', client.esmtp_features
print(client.quit())
";
    let output =
        Command::new("python3").args(["-c", script, &server.port().to_string(), &path("ca.pem")]).output().unwrap();
    assert_code(&output, 0);
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}

/// A server by Python's ssl, and one by OpenSSL, from the client's end; a transcript that begins with `starttls` is TLS
/// from the first byte.
#[test]
fn servers_by_python_and_openssl_start_tls_with_us() {
    need("python3");
    need("openssl");
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let ca = folder.path().join("ca.pem").display().to_string();
    let script = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('good.pem', 'good.key')
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    try:
        peer, _ = listener.accept()
        peer.sendall(b'220 x\\r\\n'); peer.recv(99)
        peer.sendall(b'250-x\\r\\n250-STARTTLS\\r\\n250 x\\r\\n'); peer.recv(99)
        peer.sendall(b'220 go\\r\\n')
        peer = context.wrap_socket(peer, server_side=True)
        peer.recv(99); peer.sendall(b'250-x\\r\\n250 x\\r\\n')
        peer.recv(99); peer.sendall(b'221 x\\r\\n')
        peer.unwrap().close()
    except OSError: pass
";
    let server = Peer::start(|port| {
        let mut command = Command::new("python3");
        command.args(["-c", script, &port.to_string()]).current_dir(&folder);
        command
    });
    let output = run(&["talk", &format!("localhost:{}", server.port), "--play", &file, "--ca", &ca], b"");
    assert_code(&output, 0);
    let server = Peer::start(|port| {
        let mut command = Command::new("openssl");
        let at = format!("127.0.0.1:{port}");
        command.args(["s_server", "-quiet", "-rev", "-accept", &at, "-cert", "good.pem", "-key", "good.key"]);
        command.current_dir(&folder);
        command
    });
    let file = write(folder.path(), "rev.talk", "starttls\nC: stressed\nS: desserts\nC closes\n");
    let output = run(&["talk", &format!("localhost:{}", server.port), "--play", &file, "--ca", &ca], b"");
    assert_code(&output, 0);
}

/// Row 68: what is said in clear before the handshake is not taken for what is said inside.
#[test]
fn clear_bytes_in_front_of_the_handshake_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let mut server = Server::start(&["--play", &file, "--once"]);
    let mut client = server.connect();
    line(&mut client);
    client.write_all(b"EHLO x\r\nSTARTTLS\r\nEHLO evil\r\n").unwrap();
    let said = text(&to_end(&mut client));
    assert!(!said.contains("AUTH"), "{said}");
    assert_eq!(server.wait(), 1);
    server.log.wait_for("the client said more in clear before TLS began");
    let (address, evil) = support::serve_one(|mut stream| {
        stream.write_all(b"220 x\r\n").unwrap();
        line(&mut stream);
        stream.write_all(b"250-x\r\n250-STARTTLS\r\n250 x\r\n").unwrap();
        line(&mut stream);
        stream.write_all(b"220 go\r\n250 evil\r\n").unwrap();
        let _ = stream.read(&mut [0; 99]);
    });
    let output = run(&["talk", &address.to_string(), "--play", &file], b"");
    assert_code(&output, 1);
    assert!(
        text(&output.stderr).contains("the server said more in clear before TLS began"),
        "{}",
        text(&output.stderr)
    );
    evil.join().unwrap();
}

/// Row 67: garbage, a handshake that never ends, an end in the middle of it; the others are served meanwhile.
#[test]
fn a_handshake_that_goes_wrong_hurts_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = smtp(folder.path());
    let server = Server::start(&["--play", &file]);
    let pin = server.log.pin();
    let ask = || {
        let mut client = server.connect();
        line(&mut client);
        client.write_all(b"EHLO x\r\nSTARTTLS\r\n").unwrap();
        while !line(&mut client).starts_with("220") {}
        client
    };
    let mut garbage = ask();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // An alert (RFC 8446, section 6.2), and the end.
    assert_eq!(to_end(&mut garbage)[0], 21);
    server.log.wait_for("TLS did not begin: the client does not speak TLS");
    let cut = ask();
    drop(cut);
    server.log.wait_for("the client closed the connection in the handshake");
    let begun = Instant::now();
    let mut silent = ask();
    silent.write_all(&[22]).unwrap();
    let output = run(&["talk", &server.address(), "--play", &file, "--pin", &pin], b"");
    assert_code(&output, 0);
    to_end(&mut silent);
    assert!(begun.elapsed().as_secs() >= 9, "it was given its time");
    server.log.wait_for("TLS did not begin: the client did not shake hands within 10 s");
    let (_, log) = server.stop();
    assert!(log.last().unwrap().starts_with("4 conversations, 1 as written, 3 not"), "{log:#?}");
}

/// The other end is told that nothing more comes: a session that is only cut could have been cut by anybody.
#[test]
fn the_end_is_said_inside_too() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "say.talk", "starttls\nS: hello\nS stops sending\nC: more\nC closes\n");
    let mut server = Server::start(&["--play", &file, "--once"]);
    let script = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
peer = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), suppress_ragged_eofs=False)
said = b''
while True:
    more = peer.recv(99)
    if not more: break
    said += more
print(said)
peer.sendall(b'more\\n')
";
    let mut command = Command::new("python3");
    let output = run_command(command.args(["-c", script, &server.port().to_string()]), b"");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "b'hello\\n'\n");
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}
