use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendFlags, send};

use super::*;
use crate::endpoint::Protocol;
use crate::net::message::{self, Received, receive};

fn server(path: &std::path::Path, idle: Duration) -> (PerPeer, OwnedFd) {
    let socket = UnixDatagram::bind(path).unwrap();
    let endpoint = Endpoint { protocol: Protocol::UnixDgram, name: Name::Path(path.into()), over: None };
    let (mut peers, ready) = PerPeer::begin(socket.into(), endpoint, idle).unwrap();
    peers.start().unwrap();
    (peers, ready)
}

fn wait(fd: impl AsFd) {
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
}

fn accept(server: &(PerPeer, OwnedFd)) -> (OwnedFd, Name) {
    loop {
        wait(&server.1);
        match server.0.next() {
            Some(Next::Client(fd, name, _)) => {
                message::mark_messages(&fd).unwrap();
                return (fd, name);
            }
            Some(Next::Lost(_, why)) => panic!("{why}"),
            None => {}
        }
    }
}

fn hear(fd: &OwnedFd) -> Option<Vec<u8>> {
    wait(fd);
    let mut buffer = [0; 64];
    match receive(fd, &mut buffer, true).unwrap().0 {
        Received::Message(length) => Some(buffer[..length].to_vec()),
        _ => None,
    }
}

fn client(folder: &std::path::Path, name: &str) -> UnixDatagram {
    let client = UnixDatagram::bind(folder.join(name)).unwrap();
    client.connect(folder.join("s")).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(180))).unwrap();
    client
}

#[test]
fn each_peer_is_a_connection_that_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder.path().join("s"), Duration::from_secs(600));
    let (a, b) = (client(folder.path(), "a"), client(folder.path(), "b"));
    for message in [&b"one"[..], b"", b"two"] {
        a.send(message).unwrap();
    }
    let (first, name) = accept(&server);
    assert_eq!(name, Name::Path(folder.path().join("a").into()));
    assert_eq!([hear(&first), hear(&first), hear(&first)].map(Option::unwrap), [&b"one"[..], b"", b"two"]);
    b.send(b"three").unwrap();
    let (second, _) = accept(&server);
    assert_eq!(hear(&second).unwrap(), b"three");
    send(&second, b"to b", SendFlags::empty()).unwrap();
    send(&first, b"to a", SendFlags::empty()).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(a.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"to a");
    assert_eq!(b.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"to b");
}

#[test]
fn a_peer_that_is_silent_is_over_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder.path().join("s"), Duration::from_millis(300));
    let client = client(folder.path(), "a");
    client.send(b"one").unwrap();
    let (first, _) = accept(&server);
    assert_eq!(hear(&first).unwrap(), b"one");
    assert_eq!(hear(&first), None);
    client.send(b"again").unwrap();
    let (again, _) = accept(&server);
    assert_eq!(hear(&again).unwrap(), b"again");
}

/// In each round the thread meets the close, the next message and the answer in an order of its own.
#[test]
fn what_was_said_before_a_close_goes_out_whatever_was_left_unread() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder.path().join("s"), Duration::from_secs(600));
    let client = client(folder.path(), "a");
    let mut buffer = [0; 16];
    for round in 0..200 {
        client.send(b"question").unwrap();
        if round % 2 == 0 {
            client.send(b"unread").unwrap();
        }
        let (fd, _) = accept(&server);
        send(&fd, b"answer", SendFlags::empty()).unwrap();
        drop(fd);
        if round % 3 == 0 {
            client.send(b"next").unwrap();
            let (next, _) = accept(&server);
            send(&next, b"second", SendFlags::empty()).unwrap();
            drop(next);
            assert_eq!(client.recv(&mut buffer).unwrap(), 6, "round {round}");
        }
        assert_eq!(client.recv(&mut buffer).unwrap(), 6, "round {round}");
        // What was left behind it begins another one.
        while let Some(Next::Client(..)) = server.0.next() {}
    }
}

#[test]
fn answers_to_who_has_no_name_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(&folder.path().join("s"), Duration::from_secs(60));
    let client = UnixDatagram::unbound().unwrap();
    client.send_to(b"question", folder.path().join("s")).unwrap();
    let (fd, name) = accept(&server);
    assert_eq!(name, Name::Unnamed);
    send(&fd, b"answer", SendFlags::empty()).unwrap();
    drop(fd);
    let left = server.0.finish();
    assert_eq!(left.lost, 6);
    assert!(format!("{:?}", left.told).contains("has no name to be answered at"), "{:?}", left.told);
}

#[test]
fn nothing_of_a_flood_over_a_unix_socket_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder.path().join("s"), Duration::from_secs(60));
    let path = folder.path().join("s");
    let sender = std::thread::spawn(move || {
        let client = UnixDatagram::unbound().unwrap();
        for number in 0..2000_u32 {
            let mut message = vec![0; 4096];
            message[..4].copy_from_slice(&number.to_be_bytes());
            client.send_to(&message, &path).unwrap();
        }
    });
    let (fd, _) = accept(&server);
    let mut buffer = vec![0; 8192];
    for number in 0..2000_u32 {
        wait(&fd);
        assert_eq!(receive(&fd, &mut buffer, true).unwrap().0, Received::Message(4096));
        assert_eq!(buffer[..4], number.to_be_bytes());
    }
    sender.join().unwrap();
}
