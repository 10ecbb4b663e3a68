//! `talk` as netcat: standard input to a socket, what comes to standard output.

use std::io::Write;
use std::net::{Shutdown, UdpSocket};
use std::time::{Duration, Instant};

use super::super::peer::{Peer, WAIT, bytes, connect, differs, read_all};
use super::super::stage::{Input, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, scenario};

pub(super) const ALL: &[Scenario] = &[
    scenario("talk", "talk-pipe", pipe),
    scenario("talk", "talk-file", file),
    scenario("talk", "talk-null", null),
    scenario("talk", "talk-listen", listen),
    scenario("talk", "talk-unix", unix),
    scenario("talk", "talk-udp", udp),
    scenario("talk", "talk-udp-listen", udp_listen),
];

/// More than one read or splice takes at once.
const SAID: usize = 90_000;

fn pipe(stage: &Stage) -> Outcome {
    let said = bytes(SAID);
    exchange(stage, &said, Input::Pipe(&said), &[])
}

fn file(stage: &Stage) -> Outcome {
    let said = bytes(SAID);
    stage.put("said", &said);
    exchange(stage, &said, Input::File("said"), &[])
}

fn null(stage: &Stage) -> Outcome {
    exchange(stage, b"", Input::Null, &[])
}

/// The peer hears all, then answers and closes.
fn exchange(stage: &Stage, said: &[u8], input: Input<'_>, more: &[&str]) -> Outcome {
    let answer = bytes(SAID);
    let reply = answer.clone();
    let peer = Peer::tcp(move |mut stream| {
        let heard = read_all(&mut stream);
        let _ = stream.write_all(&reply);
        heard
    });
    let address = peer.address.to_string();
    let ended = stage.start(&[&["talk", &address, "--timeout", "3s"], more].concat(), input).finish();
    let heard = peer.join().concat();
    let missing = differs("the peer heard", &heard, said).or_else(|| differs("stdout", &ended.stdout, &answer));
    Outcome::new(ended, missing)
}

fn unix(stage: &Stage) -> Outcome {
    let (said, answer) = (bytes(SAID), bytes(5000));
    let reply = answer.clone();
    let peer = Peer::unix(&stage.path("socket"), move |mut stream| {
        let heard = read_all(&mut stream);
        let _ = stream.write_all(&reply);
        heard
    });
    let ended = stage.start(&["talk", "unix:socket", "--timeout", "3s"], Input::Pipe(&said)).finish();
    let heard = peer.join().concat();
    let missing = differs("the peer heard", &heard, &said).or_else(|| differs("stdout", &ended.stdout, &answer));
    Outcome::new(ended, missing)
}

fn listen(stage: &Stage) -> Outcome {
    let (said, sent) = (bytes(SAID), bytes(5000));
    let address = stage.address();
    let listening = address.to_string();
    let mut program = stage.start(&["talk", "--listen", &listening, "--timeout", "3s"], Input::Pipe(&said));
    let mut heard = Vec::new();
    if let Some(mut stream) = connect(&mut program, address) {
        let _ = stream.write_all(&sent);
        let _ = stream.shutdown(Shutdown::Write);
        heard = read_all(&mut stream);
    }
    let ended = program.finish();
    let missing = differs("the peer heard", &heard, &said).or_else(|| differs("stdout", &ended.stdout, &sent));
    Outcome::new(ended, missing)
}

fn udp(stage: &Stage) -> Outcome {
    let peer = Peer::udp(|datagram, answer| {
        answer(&[b"heard ", datagram, b"\n"].concat());
        datagram.to_vec()
    });
    let address = format!("udp://{}", peer.address);
    let ended = stage.start(&["talk", &address, "--timeout", "3s"], Input::Pipe(b"one\ntwo\nthree\n")).finish();
    let heard = peer.join();
    let missing = differs("the peer heard", &heard.join(&b'\n'), b"one\ntwo\nthree");
    // Each answer that a datagram had; that they come in order is no promise of UDP.
    let answers = b"heard one\nheard two\nheard three\n";
    let missing = missing.or_else(|| differs("stdout", &ended.stdout, answers));
    Outcome::new(ended, missing)
}

fn udp_listen(stage: &Stage) -> Outcome {
    let address = stage.address();
    let listening = format!("udp://{address}");
    let mut program = stage.start(&["talk", "--listen", &listening, "--timeout", "3s"], Input::Pipe(b"hi\n"));
    let socket = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.connect(address).map(|()| socket));
    let mut heard = Vec::new();
    if let Ok(socket) = socket {
        let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
        let until = Instant::now() + WAIT;
        let mut buffer = [0; 100];
        while !program.has_ended() && Instant::now() < until {
            // Before it listens, this is refused; then it may be said again, and is heard again.
            let _ = socket.send(b"hello\n");
            if let Ok(read) = socket.recv(&mut buffer) {
                heard = buffer[..read].to_vec();
                let _ = socket.send(b"bye\n");
                break;
            }
        }
    }
    let ended = program.finish();
    let missing = differs("the peer heard", &heard, b"hi");
    let is_whole = ended.stdout.starts_with(b"hello\n") && ended.stdout.ends_with(b"bye\n");
    let missing = missing.or_else(|| (!is_whole).then(|| "stdout lacks a datagram".to_owned()));
    Outcome::new(ended, missing)
}
