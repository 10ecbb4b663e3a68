//! The greeting server, talked to as people's first programs do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use support::*;

#[test]
fn a_first_program_without_line_endings_is_greeted_and_sent_away_at_exit() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(receive(&mut client), b"Welcome!\n");
    for name in ["Michael", "Tracy", "Sarah"] {
        client.write_all(name.as_bytes()).unwrap();
        assert_eq!(text(&receive(&mut client)), format!("Hello, {name}!"));
    }
    client.write_all(b"exit").unwrap();
    assert_eq!(to_end(&mut client), b"");
}

#[test]
fn line_based_programs_get_the_ending_that_they_use() {
    let server = Server::start(&[]);
    for ending in ["\n", "\r\n"] {
        let mut client = server.welcomed();
        // In one write: behind a gap between two of them the first would be a line of its own.
        client.write_all(format!("Michael{ending}").as_bytes()).unwrap();
        assert_eq!(line(&mut client), format!("Hello, Michael!{ending}"));
        client.write_all(format!("exit{ending}").as_bytes()).unwrap();
        assert_eq!(to_end(&mut client), b"");
    }
}

#[test]
fn a_line_ending_that_comes_late_belongs_to_the_name_before_it() {
    let server = Server::start(&[]);
    let mut client = server.welcomed();
    client.write_all(b"Michael").unwrap();
    assert_eq!(receive(&mut client), b"Hello, Michael!");
    client.write_all(b"\r\nTracy\r\n").unwrap();
    assert_eq!(line(&mut client), "Hello, Tracy!\r\n");
}

#[test]
fn names_in_any_encoding_split_over_packets_or_several_in_one() {
    let server = Server::start(&[]);
    let mut client = server.welcomed();
    client.write_all(b"M\xfcller\n\n{name} $x\n").unwrap();
    let expected = b"Hello, M\xfcller!\nHello, !\nHello, {name} $x!\n";
    assert_eq!(read(&mut client, expected.len()), expected);
    client.write_all(&b"a\n".repeat(5000)).unwrap();
    assert_eq!(read(&mut client, 5000 * 10), b"Hello, a!\n".repeat(5000));
    // However long it takes from one packet to the next.
    let (server, _folder) = support::greeter::serve(support::greeter::PATIENT, &[]);
    let mut client = server.welcomed();
    for part in ["Mic", "ha", "el\nTra", "cy\n"] {
        client.write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(line(&mut client), "Hello, Michael!\n");
    assert_eq!(line(&mut client), "Hello, Tracy!\n");
}

#[test]
fn an_unfinished_name_at_the_end_of_the_stream_is_answered() {
    let server = Server::start(&[]);
    let mut client = server.welcomed();
    client.write_all(b"Michael\nTracy").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"Hello, Michael!\nHello, Tracy!");
    let line = server.log.wait_for("closed #1");
    assert!(line.contains("by client, 13 bytes from the client, 38 from the server"), "{line}");
}

#[test]
fn a_hundred_clients_at_once_are_each_their_own() {
    let server = Server::start(&[]);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| server.welcomed()).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(format!("client {number} round {round}\n").as_bytes()).unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate().rev() {
            assert_eq!(line(client), format!("Hello, client {number} round {round}!\n"));
        }
    }
}

#[test]
fn the_same_greeting_answers_over_udp_on_the_same_port() {
    let server = Server::start(&[]);
    let client = server.datagrams();
    let mut buffer = [0; 2048];
    for name in [&b"Michael"[..], b"Tracy\n", b"Sarah\r\n", b"M\xfcller"] {
        client.send(name).unwrap();
        let length = client.recv(&mut buffer).unwrap();
        let bare = name.strip_suffix(b"\n").unwrap_or(name);
        let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
        let answer = [b"Hello, ", bare, b"!", &name[bare.len()..]].concat();
        assert_eq!(text(&buffer[..length]), text(&answer));
    }
    let opened = server.log.wait_for("opened #1 udp");
    assert!(
        opened.contains(&format!("udp 127.0.0.1:{} <- {}", server.port(), client.local_addr().unwrap())),
        "{opened}"
    );
}

#[test]
fn nc_and_socat_and_talk_all_hold_the_same_conversation() {
    let server = Server::start(&[]);
    let port = server.port().to_string();
    let expected = "Welcome!\nHello, Michael!\nHello, Tracy!\n";
    for (program, arguments) in [
        ("nc", vec!["-N", "127.0.0.1", &port]),
        ("socat", vec!["-t5", "-", &format!("TCP:127.0.0.1:{port}")]),
        (BINARY, vec!["talk", &port]),
        (BINARY, vec!["talk", "127.0.0.1", &port]),
        (BINARY, vec!["talk", &format!("tcp://localhost:{port}"), "-4"]),
    ] {
        if program != BINARY {
            need(program);
        }
        let output = run_command(Command::new(program).args(&arguments), b"Michael\nTracy\nexit\n");
        assert_eq!(text(&output.stdout), expected, "{program} {arguments:?}: {}", text(&output.stderr));
        assert_code(&output, 0);
    }
    let output = run(&["talk", &format!("udp://127.0.0.1:{port}")], b"Michael\nTracy\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "Hello, Michael!\nHello, Tracy!\n");
    need("nc");
    let output = run_command(Command::new("nc").args(["-u", "-W1", "127.0.0.1", &port]), b"Michael");
    assert_eq!(text(&output.stdout), "Hello, Michael!");
}

#[test]
fn a_unix_socket_serves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/greet.sock", folder.path().display());
    let server = Server::start_at(&["127.0.0.1:0", &address], &[]);
    server.log.wait_for(&format!("listening on {address}"));
    let output = run(&["talk", &address], b"Michael\nexit\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "Welcome!\nHello, Michael!\n");
    let (code, _) = server.stop();
    assert_eq!(code, 0);
    assert!(!folder.path().join("greet.sock").exists());
}

#[test]
fn echo_and_discard_serve_over_tcp_and_udp() {
    let server = Server::start(&["--echo"]);
    let payload: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let output = run(&["talk", &server.address()], &payload);
    assert_code(&output, 0);
    assert!(output.stdout == payload);
    let server = Server::start(&["--discard"]);
    let output = run(&["talk", &server.address()], &payload);
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"");
    server.log.wait_for("1000000 bytes from the client, 0 from the server");
    let output = run(&["talk", &format!("udp://{}", server.address()), "--timeout", "300ms"], b"x\n");
    assert_code(&output, 28);
}

/// Whatever is done over UDP: an empty datagram, which is half of a loop between two servers, is told of and not taken.
#[test]
fn an_empty_datagram_is_told_of_and_taken_by_nobody() {
    for role in [&["--discard"][..], &["--echo"], &[]] {
        let server = Server::start_at(&["udp://127.0.0.1:0"], role);
        let client = server.datagrams();
        client.send(b"").unwrap();
        let dropped = server.log.wait_for("empty datagrams get no answer");
        assert!(dropped.starts_with("dropped 1: "), "{role:?}: {dropped}");
        client.send(b"Ann").unwrap();
        server.log.wait_for("opened #1");
        let (code, log) = server.stop();
        assert!(code == 0 && !log.iter().any(|line| line.contains("opened #2")), "{role:?}: {log:#?}");
    }
}

#[test]
fn two_addresses_have_two_ports_in_their_order() {
    let server = Server::start_at(&["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "0"], &[]);
    assert_eq!(server.ports.len(), 3);
    server.log.wait_for(&format!("listening on tcp://127.0.0.1:{}", server.ports[0]));
    server.log.wait_for(&format!("listening on udp://127.0.0.1:{}", server.ports[1]));
    server.log.wait_for(&format!("listening on udp://127.0.0.1:{}", server.ports[2]));
    let not_udp = server.log.all().iter().any(|line| line.contains(&format!("udp://127.0.0.1:{}", server.ports[0])));
    assert!(!not_udp);
}

#[test]
fn a_wildcard_server_answers_datagrams_from_the_address_it_was_asked_at() {
    let server = Server::start_at(&["udp://:0"], &["--udp-budget", "off"]);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client.connect(("127.0.0.5", server.port())).unwrap();
    client.send(b"Michael").unwrap();
    let mut buffer = [0; 64];
    // A connected socket takes an answer only from the address that it asked.
    assert_eq!(client.recv(&mut buffer).unwrap(), 15);
    server.log.wait_for(&format!("udp 127.0.0.5:{}", server.port()));
}
