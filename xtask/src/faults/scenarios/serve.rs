//! `serve`: one fault is about one client; the others are served as always.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::super::peer::{WAIT, bytes, connect, dialogue, differs, read_all};
use super::super::stage::{Input, Running, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("serve", "serve-greeting", greeting),
    scenario("serve", "serve-once", once),
    scenario("serve", "serve-once-udp", once_udp),
    scenario("serve", "serve-echo", echo),
    scenario("serve", "serve-discard", discard),
    scenario("serve", "serve-play-files", play_files),
    scenario("serve", "serve-starttls", starttls),
    writing("serve", "serve-port-file", port_file),
];

/// A kind of client, and how one of it fares.
pub(super) type Client<'a> = (&'a str, &'a dyn Fn(&mut Running) -> Result<(), String>);

/// Serves clients one after the other, of which a fault may cost one its conversation in each of the two threads that these
/// servers have, and ends the server.
pub(super) fn clients(server: Running, kinds: &[Client<'_>]) -> Outcome {
    clients_but(2, server, kinds)
}

/// The same where other threads serve too: strace counts the calls of each thread, so that a fault is one of each.
pub(super) fn clients_but(threads: usize, mut server: Running, kinds: &[Client<'_>]) -> Outcome {
    let mut harm = None;
    for (kind, talk) in kinds {
        let mut failed: Vec<String> = Vec::new();
        for number in 1..=threads + 2 {
            if let Err(why) = talk(&mut server) {
                failed.push(format!("{kind} client {number}: {why}"));
            }
            if server.has_ended() || failed.len() > threads {
                break;
            }
        }
        if failed.len() > threads && harm.is_none() {
            harm = Some(failed.join("; "));
        }
    }
    let is_up = server.words().contains("listening on");
    if server.has_ended() {
        let ended = server.finish();
        let last = ended.stderr.lines().last().unwrap_or_default();
        // Before it listens to all, a fault is about the server itself.
        let gone = is_up.then(|| format!("one fault ended the server: {last}"));
        return Outcome { gone, ..Outcome::new(ended, Some("the server ended by itself".to_owned())) };
    }
    server.terminate();
    Outcome { harm, ..Outcome::new(server.finish(), None) }
}

pub(super) fn greet(server: &mut Running, address: SocketAddr) -> Result<(), String> {
    let mut stream = connect(server, address).ok_or("no connection")?;
    let steps = [("", "Welcome!\n"), ("Ann\n", "Hello, Ann!\n"), ("Bob\n", "Hello, Bob!\n"), ("exit\n", "")];
    dialogue(&mut stream, &steps)?;
    let rest = read_all(&mut stream);
    if rest.is_empty() { Ok(()) } else { Err("more than the answers".to_owned()) }
}

fn is_greeting(heard: &str) -> bool {
    heard.trim_end() == "Hello, Ann!"
}

/// A client over UDP, which asks again as such clients do.
pub(super) fn ask(server: &mut Running, address: SocketAddr, is_answer: impl Fn(&str) -> bool) -> Result<(), String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    socket.connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(Duration::from_millis(300))).map_err(|error| error.to_string())?;
    let until = Instant::now() + WAIT;
    let mut buffer = [0; 100];
    while Instant::now() < until && !server.has_ended() {
        let _ = socket.send(b"Ann");
        if let Ok(read) = socket.recv(&mut buffer) {
            let heard = String::from_utf8_lossy(&buffer[..read]).into_owned();
            return if is_answer(&heard) { Ok(()) } else { Err(format!("{heard:?}")) };
        }
    }
    Err("no answer".to_owned())
}

fn greeting(stage: &Stage) -> Outcome {
    let address = stage.address();
    let server = stage
        .start(&["serve", &address.to_string(), "--threads", "2", "--timeout", "2s", "--grace", "1s"], Input::Null);
    let tcp = |server: &mut Running| greet(server, address);
    let udp = |server: &mut Running| ask(server, address, is_greeting);
    clients(server, &[("TCP", &tcp), ("UDP", &udp)])
}

/// Where one conversation is judged, exit 0 says that it went as written.
fn once(stage: &Stage) -> Outcome {
    stage.put(
        "greet.talk",
        "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: {name2=Bob}\nS: Hello, {name2}!\nC: exit\nS closes\n",
    );
    let address = stage.address();
    let listening = format!("tcp://{address}");
    let mut server = stage.start(
        &["serve", &listening, "--play", "greet.talk", "--once", "--threads", "2", "--timeout", "2s", "--grace", "1s"],
        Input::Null,
    );
    let missing = greet(&mut server, address).err();
    end(&mut server);
    Outcome::new(server.finish(), missing)
}

/// A server whose client never came would wait for one.
fn end(server: &mut Running) {
    let until = Instant::now() + Duration::from_secs(3);
    while !server.has_ended() {
        if Instant::now() > until && !server.words().contains("opened #1") {
            server.terminate();
            return;
        }
        if Instant::now() > until + WAIT {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn once_udp(stage: &Stage) -> Outcome {
    stage.put("ask.talk", "C: Ann\nS: Hello, Ann!\n");
    let address = stage.address();
    let listening = format!("udp://{address}");
    let mut server = stage.start(
        &["serve", &listening, "--play", "ask.talk", "--once", "--threads", "2", "--timeout", "2s", "--grace", "1s"],
        Input::Null,
    );
    let missing = ask(&mut server, address, is_greeting).err();
    end(&mut server);
    Outcome::new(server.finish(), missing)
}

fn echo(stage: &Stage) -> Outcome {
    let address = stage.address();
    let listening = format!("tcp://{address}");
    let server = stage
        .start(&["serve", &listening, "--echo", "--threads", "2", "--timeout", "2s", "--grace", "1s"], Input::Null);
    let said = bytes(100_000);
    let talk = |server: &mut Running| {
        let mut stream = connect(server, address).ok_or("no connection")?;
        let heard = whole(&mut stream, &said);
        differs("echoed", &heard, &said).map_or(Ok(()), Err)
    };
    clients(server, &[("echo", &talk)])
}

/// Says all while it listens, then closes its half and hears the rest.
pub(super) fn whole(stream: &mut TcpStream, said: &[u8]) -> Vec<u8> {
    let Ok(mut writer) = stream.try_clone() else { return Vec::new() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = writer.write_all(said);
            let _ = writer.shutdown(Shutdown::Write);
        });
        read_all(stream)
    })
}

fn discard(stage: &Stage) -> Outcome {
    let address = stage.address();
    let listening = format!("tcp://{address}");
    let arguments = ["serve", &listening, "--discard", "--once", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    let mut server = stage.start(&arguments, Input::Null);
    let said = bytes(100_000);
    let mut missing = Some("no connection".to_owned());
    if let Some(mut stream) = connect(&mut server, address) {
        let answer = whole(&mut stream, &said);
        missing = (!answer.is_empty()).then(|| "an answer to what is discarded".to_owned());
    }
    end(&mut server);
    let ended = server.finish();
    // The account is the product here.
    let counted = !stage.hears_words() || ended.stderr.contains("100000 bytes from the client");
    Outcome::new(ended, missing.or_else(|| (!counted).then(|| "the account does not count 100000 bytes".to_owned())))
}

fn play_files(stage: &Stage) -> Outcome {
    let picture = bytes(30_000);
    stage.put("picture", &picture);
    stage.put("send.talk", "C: send\nS file: picture\nS closes\n");
    let address = stage.address();
    let listening = format!("tcp://{address}");
    let arguments = ["serve", &listening, "--play", "send.talk", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    let server = stage.start(&arguments, Input::Null);
    let talk = |server: &mut Running| {
        let mut stream = connect(server, address).ok_or("no connection")?;
        stream.write_all(b"send\n").map_err(|error| error.to_string())?;
        differs("the picture", &read_all(&mut stream), &picture).map_or(Ok(()), Err)
    };
    clients(server, &[("TCP", &talk)])
}

fn starttls(stage: &Stage) -> Outcome {
    stage.put("tls.talk", "S: ready\nstarttls\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n");
    let address = stage.address().to_string();
    let arguments = ["serve", &address, "--play", "tls.talk", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    let mut server = stage.start(&arguments, Input::Null);
    if !server.wait_for("listening on") && !stage.hears_words() {
        // No client knows its certificate.
        server.terminate();
        return Outcome::new(server.finish(), None);
    }
    let words = server.words();
    let pin: String =
        words.split("sha256:").nth(1).unwrap_or_default().chars().take_while(char::is_ascii_hexdigit).collect();
    if pin.is_empty() {
        // The line that says it was lost: no client knows it.
        server.terminate();
        return Outcome::new(server.finish(), None);
    }
    let pin = format!("sha256:{pin}");
    let talk = |_: &mut Running| {
        let client = stage.start_peer(&["talk", &address, "--play", "tls.talk", "--pin", &pin, "--timeout", "3s"]);
        let ended = client.finish();
        if ended.succeeded() { Ok(()) } else { Err(ended.stderr) }
    };
    clients(server, &[("TLS", &talk)])
}

/// Programs wait for this file and read it at once: it is whole or not there.
fn port_file(stage: &Stage) -> Outcome {
    let address = stage.address();
    let arguments =
        ["serve", &address.to_string(), "--port-file", "port", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    let mut server = stage.start(&arguments, Input::Null);
    // Programs wait for the file.
    let until = Instant::now() + WAIT;
    while !stage.path("port").exists() && !server.has_ended() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    let is_whole = |found: &[u8]| found == b"7000\n";
    let missing = unwritten(stage, "port", is_whole);
    let harm = torn(stage, "port", None, is_whole);
    if !server.has_ended() {
        // One that is up serves.
        if let Ok(mut stream) = TcpStream::connect(address) {
            let _ = stream.set_read_timeout(Some(WAIT));
            let _ = stream.read(&mut [0; 20]);
        }
        server.terminate();
    }
    Outcome { harm, ..Outcome::new(server.finish(), missing) }
}
