//! A relay follows the name of its server where that leads elsewhere later. The hosts file is the relay's own, in a mount namespace.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;

use support::*;

/// A hosts file that can be changed while a relay runs.
struct Hosts {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Hosts {
    fn new(line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, line).unwrap();
        Self { _folder: folder, path }
    }

    fn lead_to(&self, line: &str) {
        std::fs::write(&self.path, line).unwrap();
    }

    fn relay(&self, addresses: &[&str], arguments: &[&str]) -> Server {
        need("unshare");
        let path = self.path.to_str().unwrap();
        let wrapper = ["unshare", "-rm", "sh", "-ec", "mount --bind \"$0\" /etc/hosts; exec \"$@\"", path];
        Server::start_verb("relay", &wrapper, addresses, arguments)
    }
}

/// One port at two addresses, by name as well.
fn two_servers() -> (TcpListener, TcpListener, u16) {
    loop {
        let first = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind(("127.0.0.3", port)) {
            return (first, second, port);
        }
    }
}

/// What a server that says its name says to a client of the relay.
fn name_heard(mut client: TcpStream) -> String {
    let mut heard = String::new();
    let _ = client.read_to_string(&mut heard);
    heard
}

fn says_its_name(server: TcpListener, name: &'static str) {
    std::thread::spawn(move || {
        for client in server.incoming() {
            let mut client = client.unwrap();
            let _ = client.write_all(name.as_bytes());
            let _ = client.shutdown(Shutdown::Write);
        }
    });
}

#[test]
fn a_name_is_looked_up_again_when_nobody_answers_where_it_led() {
    let hosts = Hosts::new("127.0.0.2 db.test\n");
    let (first, second, port) = two_servers();
    let to = format!("db.test:{port}");
    let relay = hosts.relay(&["127.0.0.1:0", &to], &["--resolve-every", "0"]);
    let client = relay.connect();
    drop(accept(&first));
    drop(client);
    hosts.lead_to("127.0.0.3 db.test\n");
    drop(first);
    says_its_name(second, "second");
    until("it to be followed", || name_heard(relay.connect()) == "second");
    relay.log.wait_for(&format!("{to} leads to 127.0.0.3:{port} now, and no more to 127.0.0.2:{port}"));
    assert_eq!(relay.stop().0, 0);
}

#[test]
fn a_name_is_looked_up_now_and_then_and_who_is_inside_stays_where_they_are() {
    let hosts = Hosts::new("127.0.0.2 db.test\n");
    let (first, second, port) = two_servers();
    let to = format!("db.test:{port}");
    let relay = hosts.relay(&["127.0.0.1:0", &to], &["--resolve-every", "50ms"]);
    let mut inside = relay.connect();
    let mut accepted = accept(&first);
    hosts.lead_to("127.0.0.3 db.test\n");
    relay.log.wait_for("leads to 127.0.0.3");
    says_its_name(second, "second");
    assert_eq!(name_heard(relay.connect()), "second");
    accepted.write_all(b"still here").unwrap();
    assert_eq!(read(&mut inside, 10), b"still here");
    // And back.
    hosts.lead_to("127.0.0.2 db.test\n127.0.0.3 db.test\n");
    relay.log.wait_for(&format!("127.0.0.2:{port}, 127.0.0.3:{port} now"));
    drop(inside);
    assert_eq!(relay.stop().0, 0);
}

#[test]
fn a_name_that_comes_to_lead_to_the_relay_itself_or_nowhere_is_not_followed() {
    let hosts = Hosts::new("127.0.0.2 db.test\n");
    let (first, _second, port) = two_servers();
    says_its_name(first, "first");
    let to = format!("db.test:{port}");
    let from = format!("127.0.0.1:{port}");
    let relay = hosts.relay(&[&from, &to], &["--resolve-every", "50ms", "--connect-timeout", "2s"]);
    hosts.lead_to("127.0.0.1 db.test\n");
    relay.log.wait_for(&format!("{to} leads to tcp://{from} now, where the relay itself listens, and is not followed"));
    assert_eq!(name_heard(relay.connect()), "first");
    hosts.lead_to("# nobody\n");
    relay.log.wait_for(&format!("it stays with 127.0.0.2:{port}"));
    assert_eq!(name_heard(relay.connect()), "first");
    assert_eq!(relay.stop().0, 0);
}

fn datagrams(to: &str) -> UdpSocket {
    let socket = UdpSocket::bind(to).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

#[test]
fn datagrams_that_nobody_answers_follow_a_name_and_conversations_stay() {
    let hosts = Hosts::new("127.0.0.2 log.test\n");
    let (first, second) = loop {
        let first = datagrams("127.0.0.2:0");
        if let Ok(second) = UdpSocket::bind(("127.0.0.3", first.local_addr().unwrap().port())) {
            second.set_read_timeout(Some(LONG)).unwrap();
            break (first, second);
        }
    };
    let to = format!("udp://log.test:{}", first.local_addr().unwrap().port());
    let relay = hosts.relay(&["udp://127.0.0.1:0", &to], &["--resolve-every", "50ms"]);
    let mut buffer = [0; 16];
    let client = || {
        let client = datagrams("127.0.0.1:0");
        client.connect(("127.0.0.1", relay.port())).unwrap();
        client
    };
    let (one_way, talks) = (client(), client());
    one_way.send(b"one").unwrap();
    assert_eq!(first.recv(&mut buffer).unwrap(), 3);
    talks.send(b"question").unwrap();
    let (_, from) = first.recv_from(&mut buffer).unwrap();
    first.send_to(b"answer", from).unwrap();
    assert_eq!(talks.recv(&mut buffer).unwrap(), 6);
    hosts.lead_to("127.0.0.3 log.test\n");
    relay.log.wait_for("leads to 127.0.0.3");
    // A log's line goes where the name leads, and so does a new client.
    one_way.send(b"two").unwrap();
    assert_eq!(second.recv(&mut buffer).unwrap(), 3);
    client().send(b"three").unwrap();
    assert_eq!(second.recv(&mut buffer).unwrap(), 5);
    // A conversation that was answered a moment ago goes on, unless this machine has slept for that long.
    talks.send(b"and?").unwrap();
    let servers = [&first, &second];
    servers.iter().for_each(|server| server.set_nonblocking(true).unwrap());
    until("it to be heard", || servers.iter().any(|server| server.recv(&mut [0; 16]).is_ok_and(|length| length == 4)));
    assert_eq!(relay.stop().0, 0);
}
