//! TLS from the first byte, at either end: `serve tls://`, `talk tls:// --play`, `talk --listen tls://`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Output, Stdio};

use support::peers::{Authority, Peer};
use support::*;

const ANY: &str = "tls://127.0.0.1:0";
const GREET: &str = "S: Welcome!\nC: {name}\nS: Hello, {name}!\nS closes\n";

/// A folder with an authority and a certificate for localhost.
fn place() -> (tempfile::TempDir, [String; 3]) {
    let folder = tempfile::tempdir().unwrap();
    Authority::new(folder.path()).sign(folder.path(), "good", &["localhost", "127.0.0.1"], (2020, 2100));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let files = [file("ca.pem"), file("good.pem"), file("good.key")];
    (folder, files)
}

fn s_client(port: u16, more: &[&str], input: &[u8]) -> Output {
    need("openssl");
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]).args(more);
    run_command(&mut command, input)
}

#[test]
fn a_transcript_is_served_and_played_under_tls() {
    let folder = tempfile::tempdir().unwrap();
    let greet = write(folder.path(), "greet.talk", GREET);
    let mut server = Server::start_at(&[ANY], &["--play", &greet, "--times", "3"]);
    server.log.wait_for("listening on tls://127.0.0.1:");
    let (address, pin) = (format!("tls://{}", server.address()), server.log.pin());
    for arguments in [
        vec!["talk", &address, "--pin", &pin, "--play", &greet, "--set", "name=Bob"],
        vec!["talk", &format!("{address}?pin={pin}"), "--play", &greet, "--set", "name=Bob"],
        vec!["talk", &format!("{address}?insecure"), "--play", &greet, "--set", "name=Bob"],
    ] {
        let output = run(&arguments, b"");
        assert_code(&output, 0);
        let is_loud = text(&output.stderr).contains("insecure: whoever is on the way may read");
        assert_eq!(is_loud, arguments[1].ends_with("insecure"), "{}", text(&output.stderr));
    }
    assert_eq!(server.wait(), 0);
}

#[test]
fn options_of_the_address_say_who_we_are_and_whom_we_believe() {
    let (folder, [ca, cert, key]) = place();
    let greet = write(folder.path(), "greet.talk", GREET);
    let from = format!("{ANY}?cert={cert}&key={key}&alpn=greet&min=1.3");
    let server = Server::start_at(&[&from], &["--play", &greet]);
    let port = server.port();
    let play = |address: String| support::code(&run(&["talk", &address, "--play", &greet, "--set", "name=Bob"], b""));
    assert_eq!(play(format!("tls://localhost:{port}?ca={ca}")), 0);
    assert_eq!(play(format!("tls://127.0.0.1:{port}?ca={ca}&sni=localhost&alpn=greet&min=1.3")), 0);
    // A certificate that no authority signed, and a name that the certificate is not for.
    assert_eq!(play(format!("tls://localhost:{port}")), 60);
    assert_eq!(play(format!("tls://127.0.0.1:{port}?ca={ca}&sni=elsewhere.example")), 60);
    // No protocol that both speak, and a version that is too old.
    assert_eq!(play(format!("tls://localhost:{port}?ca={ca}&alpn=other")), 35);
    let old = s_client(port, &["-tls1_2", "-brief"], b"");
    assert!(text(&old.stderr).contains("alert protocol version"), "{old:?}");
    let spoken = s_client(port, &["-alpn", "other,greet", "-ign_eof"], b"Bob\n");
    let spoken = text(&spoken.stdout);
    assert!(spoken.contains("ALPN protocol: greet") && spoken.contains("Hello, Bob!"), "{spoken}");
    // The same by flags, which hold for every address.
    let server = Server::start_at(&[ANY], &["--play", &greet, "--cert", &cert, "--key", &key]);
    let address = format!("tls://localhost:{}", server.port());
    let output = run(&["talk", &address, "--ca", &ca, "--play", &greet, "--set", "name=Bob"], b"");
    assert_code(&output, 0);
}

#[test]
fn other_roles_and_other_programs_meet_under_tls() {
    for role in [&["--echo"][..], &["--exec", "cat"], &["--shell", "cat"]] {
        let server = Server::start_at(&[ANY], role);
        let output = s_client(server.port(), &["-quiet", "-no_ign_eof"], b"");
        assert!(output.status.code().is_some());
        need("ncat");
        let mut ncat = Command::new("ncat");
        ncat.args(["--ssl", "127.0.0.1", &server.port().to_string()]);
        assert_eq!(text(&run_command(&mut ncat, b"by ncat\n").stdout), "by ncat\n", "{role:?}");
        need("socat");
        let mut socat = Command::new("socat");
        socat.args(["-t", "10", "-", &format!("OPENSSL:127.0.0.1:{},verify=0", server.port())]);
        assert_eq!(text(&run_command(&mut socat, b"by socat\n").stdout), "by socat\n", "{role:?}");
        let address = format!("tls://{}?pin={}", server.address(), server.log.pin());
        let much: Vec<u8> = (0..1_000_000_u32).map(|at| (at >> 2) as u8).collect();
        let output = run(&["talk", &address], &much);
        assert_code(&output, 0);
        assert!(output.stdout == much, "{role:?}");
    }
}

#[test]
fn whoever_knocks_without_tls_is_a_line_and_fails_only_what_is_judged() {
    let server = Server::start_at(&[ANY], &["--echo"]);
    let mut stranger = server.connect();
    stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let _ = to_end(&mut stranger);
    server.log.wait_for("TLS: ");
    assert_eq!(server.stop().0, 0);
    let mut judged = Server::start_at(&[ANY], &["--echo", "--once"]);
    let mut stranger = judged.connect();
    stranger.write_all(b"no hello of any kind\r\n").unwrap();
    let _ = to_end(&mut stranger);
    drop(stranger);
    assert_eq!(judged.wait(), 1);
}

#[test]
fn a_client_is_awaited_under_tls() {
    let (_folder, [ca, cert, key]) = place();
    let listen = |more: &[&str]| {
        let arguments: Vec<&str> = ["--listen", ANY].iter().chain(more).copied().collect();
        Talk::start(&arguments)
    };
    let port = |talk: &Talk| -> u16 {
        let said = talk.log.wait_for("listening on tls://127.0.0.1:");
        said.rsplit(':').next().unwrap().trim().parse().unwrap()
    };
    let mut talk = listen(&["--cert", &cert, "--key", &key]);
    let address = format!("tls://localhost:{}", port(&talk));
    talk.stdin.take().unwrap().write_all(b"from the listener\n").unwrap();
    let output = run(&["talk", &address, "--ca", &ca], b"from the client\n");
    assert_eq!((support::code(&output), text(&output.stdout)), (0, "from the listener\n".to_owned()));
    assert_eq!(talk.finish(), (0, b"from the client\n".to_vec()));
    // A certificate for the run, and a client that is no other of ours.
    let mut talk = listen(&[]);
    talk.log.wait_for("--pin sha256:");
    talk.stdin.take().unwrap().write_all(b"hello s_client\n").unwrap();
    let output = s_client(port(&talk), &["-quiet"], b"hello talk\n");
    assert!(text(&output.stdout).contains("hello s_client"), "{output:?}");
    assert_eq!(talk.finish(), (0, b"hello talk\n".to_vec()));
    // One that speaks no TLS.
    let talk = listen(&[]);
    let mut stranger = TcpStream::connect(("127.0.0.1", port(&talk))).unwrap();
    stranger.write_all(b"hello in clear\n").unwrap();
    stranger.shutdown(Shutdown::Write).unwrap();
    assert_eq!(talk.finish().0, 35);
}

#[test]
fn a_server_of_another_kind_is_played_against() {
    let (folder, [ca, cert, key]) = place();
    need("openssl");
    let server = Peer::start(|port| {
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-quiet",
            "-rev",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            &cert,
            "-key",
            &key,
        ]);
        command.stdin(Stdio::null());
        command
    });
    let play = write(folder.path(), "rev.talk", "C: abc\nS: cba\nC: level\nS: level\n");
    let address = format!("tls://localhost:{}?ca={ca}", server.port);
    assert_code(&run(&["talk", &address, "--play", &play], b""), 0);
    // Its TLS would be the second.
    let twice = write(folder.path(), "twice.talk", "C: a\nS: b\nstarttls\nC: c\n");
    for arguments in [vec!["talk", &address, "--play", &twice], vec!["serve", ANY, "--play", &twice]] {
        let output = run(&arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("begins TLS itself"), "{}", text(&output.stderr));
    }
}
