//! Who may stop a server and is dropped without a word: it goes on, and rests while nothing is to be done.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sockeye::address::Address;
use sockeye::stop::{self, Stop};
use sockeye::verb::relay::{Relay, RelayOptions};
use sockeye::verb::serve::{LoadedTranscript, Reloading, Role, ServeOptions, Server};
use transcript::Transcript;

fn local() -> Address {
    Address::parse("tcp://127.0.0.1:0").unwrap()
}

/// One that nobody asks any more.
fn abandoned() -> Stop {
    stop::channel().unwrap().1
}

/// A thread, and its number.
fn started<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> (JoinHandle<T>, u32) {
    let (tell, told) = channel();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        act()
    });
    (thread, told.recv().unwrap().unsigned_abs())
}

/// Waits until a thread sleeps whenever it is looked at; one that turns never does.
fn until_it_rests(thread: u32) {
    let sleeps = || {
        std::thread::sleep(Duration::from_millis(1));
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !(0..20).all(|_| sleeps()) {
        assert!(Instant::now() < until, "it never rests");
    }
}

/// Says a word to an echo, and hears it.
fn echoes(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
}

#[test]
fn a_server_that_nobody_can_stop_any_more_serves_and_rests() {
    for threads in [1, 4] {
        let role = Role::Echo;
        let options =
            ServeOptions { addresses: vec![local()], role, plays: Some(2), threads, ..ServeOptions::default() };
        let server = Server::bind(&options).unwrap();
        let port = server.ports()[0];
        let (serving, thread) = started(move || server.run(abandoned(), None, Box::new(|_| {})));
        echoes(port);
        until_it_rests(thread);
        echoes(port);
        assert_eq!(serving.join().unwrap().unwrap().opened, 2, "{threads}");
    }
}

#[test]
fn so_does_one_that_nobody_can_ask_to_read_its_transcripts_again_and_it_can_still_be_stopped() {
    let options = ServeOptions { addresses: vec![local()], role: Role::Echo, ..ServeOptions::default() };
    let server = Server::bind(&options).unwrap();
    let port = server.ports()[0];
    let (stopper, stop) = stop::channel().unwrap();
    let reloading = Reloading { asked: abandoned(), read: Box::new(|| Ok(vec![])) };
    let (serving, thread) = started(move || server.run(stop, Some(reloading), Box::new(|_| {})));
    echoes(port);
    until_it_rests(thread);
    // What was asked before it is dropped is heard.
    stopper.stop();
    drop(stopper);
    assert_eq!(serving.join().unwrap().unwrap().opened, 1);
}

/// Asked once, and dropped: that is no second asking, and a client inside has the time that it is given.
#[test]
fn a_stopper_that_is_dropped_behind_its_word_cuts_no_client() {
    let text = b"C: a\nS: b\nC: c\nS: d\nS closes\n";
    for threads in [1, 4] {
        let transcript = Transcript::parse("inside.talk", text, &[]).unwrap();
        let role = Role::Transcripts(vec![LoadedTranscript { transcript, files: None }]);
        let grace = Duration::from_secs(60);
        let options = ServeOptions { addresses: vec![local()], role, grace, threads, ..ServeOptions::default() };
        let server = Server::bind(&options).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", server.ports()[0])).unwrap();
        let (stopper, stop) = stop::channel().unwrap();
        let (serving, thread) = started(move || server.run(stop, None, Box::new(|_| {})));
        client.write_all(b"a\n").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        stopper.stop();
        drop(stopper);
        until_it_rests(thread);
        client.write_all(b"c\n").unwrap();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "d\n", "{threads}");
        drop(client);
        let summary = serving.join().unwrap().unwrap();
        assert!(summary.closed == 1 && summary.cut == 0 && !summary.at_once, "{threads}: {summary:?}");
    }
}

#[test]
fn so_does_a_relay() {
    for threads in [1, 4] {
        let far = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Address::parse(&far.local_addr().unwrap().to_string()).unwrap();
        let relay =
            Relay::bind(&RelayOptions { plays: Some(2), threads, ..RelayOptions::new(local(), vec![to]) }).unwrap();
        let port = relay.ports()[0];
        let (relaying, thread) = started(move || relay.run(abandoned(), Box::new(|_| {})));
        std::thread::spawn(move || {
            for stream in far.incoming().flatten() {
                let _ = std::io::copy(&mut &stream, &mut &stream);
            }
        });
        echoes(port);
        until_it_rests(thread);
        echoes(port);
        assert_eq!(relaying.join().unwrap().unwrap().opened, 2, "{threads}");
    }
}

/// What steers relays is stopped by nobody here, and ends with the test.
#[test]
#[cfg(feature = "http")]
fn so_does_what_steers_relays() {
    use sockeye::verb::relay::Control;
    let nowhere = RelayOptions::new(local(), vec![]);
    let control = Control::bind(&Address::parse("127.0.0.1:0").unwrap(), &nowhere).unwrap();
    let port = control.ports()[0];
    let (_steering, thread) = started(move || control.run(abandoned(), Box::new(|| Box::new(|_| {}))));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    until_it_rests(thread);
}
