//! `relay`: one fault is about one pair; the others are relayed as always, and no client is told an end that was none.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::super::peer::{Peer, bytes, connect, read_all};
use super::super::stage::{Input, Running, Stage, Tracing};
use super::super::verdict::Outcome;
use super::serve::{ask, clients, greet};
use super::{Scenario, dismiss, scenario, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("relay", "relay-tcp", tcp),
    scenario("relay", "relay-bulk", bulk),
    scenario("relay", "relay-slow", slow),
    scenario("relay", "relay-tls", tls),
    scenario("relay", "relay-udp", udp),
    scenario("relay", "relay-exec", exec),
    scenario("relay", "relay-websocket", websocket),
    scenario("relay", "relay-control", control),
    writing("relay", "relay-record", record),
    writing("relay", "relay-pcap", pcap),
];

/// What every one of these relays is told.
const BOUNDS: [&str; 6] = ["--threads", "2", "--grace", "1s", "--connect-timeout", "3s"];

/// A server that hears all, and then says it.
fn echo() -> Peer<usize> {
    Peer::tcp(|mut stream| {
        let heard = read_all(&mut stream);
        let _ = stream.write_all(&heard);
        heard.len()
    })
}

/// A server that says what it hears at once: a side that ends a WebSocket hears no more.
pub(super) fn repeater() -> Peer<Vec<u8>> {
    Peer::tcp(|mut stream| {
        let (mut all, mut buffer) = (Vec::new(), [0; 2000]);
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            all.extend_from_slice(&buffer[..read]);
            let _ = stream.write_all(&buffer[..read]);
        }
        all
    })
}

/// Says all, ends its half and hears it again. An end that comes too early is no end: what was cut has to look like it.
fn hear_again(server: &mut Running, address: SocketAddr, said: &[u8]) -> Result<(), String> {
    let mut stream = connect(server, address).ok_or("no connection")?;
    let mut writer = stream.try_clone().map_err(|error| error.to_string())?;
    std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            let written = writer.write_all(said);
            let _ = writer.shutdown(Shutdown::Write);
            written
        });
        let mut heard = Vec::new();
        let read = stream.read_to_end(&mut heard);
        // The kernel tells a reset once, to whichever of the two asks first; the other is told of an end. One behind an end is EPIPE.
        let written = written.join().map_err(|_| "the writer panicked")?;
        let reset = written.err().filter(|error| error.kind() == ErrorKind::ConnectionReset);
        match reset.filter(|_| read.is_ok() && heard != said).map_or(read, Err) {
            Ok(_) if heard == said => Ok(()),
            Ok(_) => Err(format!("{CUT} {} bytes of {}", heard.len(), said.len())),
            Err(error) => Err(format!("{error} after {} bytes of {}", heard.len(), said.len())),
        }
    })
}

const CUT: &str = "an end as if it were all:";

/// Relays clients, of which a fault may cost one its connection in each thread, and looks that none was told a false end.
fn relayed(relay: Running, talk: &dyn Fn(&mut Running) -> Result<(), String>) -> Outcome {
    let cut = std::cell::RefCell::new(None);
    let watched = |relay: &mut Running| {
        talk(relay).inspect_err(|why| {
            if why.contains(CUT) {
                cut.borrow_mut().get_or_insert(why.clone());
            }
        })
    };
    let outcome = clients(relay, &[("a", &watched)]);
    let harm = outcome.harm.clone().or_else(|| cut.borrow_mut().take());
    Outcome { harm, ..outcome }
}

fn start(stage: &Stage, ends: &[&str]) -> Running {
    stage.start(&[&["relay"], ends, &BOUNDS].concat(), Input::Null)
}

fn listening(stage: &Stage, protocol: &str) -> String {
    format!("{protocol}://{}", stage.address())
}

/// Where a peer of ours that is the program itself listens.
fn beside(stage: &Stage) -> SocketAddr {
    (stage.address().ip(), 7001).into()
}

fn tcp(stage: &Stage) -> Outcome {
    echoed(stage, 5000, &[])
}

/// So much that the kernel moves it.
fn bulk(stage: &Stage) -> Outcome {
    echoed(stage, 1_500_000, &[])
}

/// With a bad network, which holds what it is given.
fn slow(stage: &Stage) -> Outcome {
    echoed(stage, 30_000, &["--delay", "5ms±2ms", "--slice", "4000", "--seed", "1"])
}

/// So many bytes to a server that says them again.
fn echoed(stage: &Stage, count: usize, more: &[&str]) -> Outcome {
    let (peer, said) = (echo(), bytes(count));
    let (from, to) = (listening(stage, "tcp"), peer.address.to_string());
    let relay = start(stage, &[&[from.as_str(), &to], more].concat());
    let outcome = relayed(relay, &|relay| hear_again(relay, stage.address(), &said));
    peer.join();
    outcome
}

/// TLS that begins and ends in it.
fn tls(stage: &Stage) -> Outcome {
    stage.put("greet.talk", "S: Welcome!\nC: Ann\nS: Hello, Ann!\nC: Bob\nS: Hello, Bob!\nC: exit\nS closes\n");
    let to = format!("tls://{}", beside(stage));
    let mut server = stage.start_peer(&["serve", &to, "--play", "greet.talk"]);
    server.wait_for("listening on");
    let to = format!("{to}?pin={}", pin(&server));
    let mut relay = start(stage, &[&listening(stage, "tls"), &to]);
    relay.wait_for("listening on");
    let pin = pin(&relay);
    if pin.ends_with(':') {
        // The line that says it was lost, or it never listened: no client knows it.
        relay.terminate();
        dismiss(server);
        return Outcome::new(relay.finish(), None);
    }
    let from = listening(stage, "tls");
    let outcome = relayed(relay, &|_| {
        let ended =
            stage.start_peer(&["talk", &from, "--play", "greet.talk", "--pin", &pin, "--timeout", "3s"]).finish();
        if ended.succeeded() { Ok(()) } else { Err(ended.stderr) }
    });
    dismiss(server);
    outcome
}

/// The fingerprint that it said; nothing behind the colon if it said none.
fn pin(server: &Running) -> String {
    let words = server.words();
    let hex = words.split("sha256:").nth(1).unwrap_or_default();
    format!("sha256:{}", hex.chars().take_while(char::is_ascii_hexdigit).collect::<String>())
}

fn udp(stage: &Stage) -> Outcome {
    let peer = Peer::udp(|datagram, answer| answer(&[b"heard ", datagram].concat()));
    let relay = start(stage, &[&listening(stage, "udp"), &format!("udp://{}", peer.address)]);
    let outcome = relayed(relay, &|relay| ask(relay, stage.address(), |heard| heard == "heard Ann"));
    peer.join();
    outcome
}

/// A program for each client.
fn exec(stage: &Stage) -> Outcome {
    let said = bytes(100_000);
    let relay = start(stage, &[&listening(stage, "tcp"), "exec:cat"]);
    let mut outcome = relayed(relay, &|relay| hear_again(relay, stage.address(), &said));
    // A program may end without having heard all, which is told and no reset; the kernel says so behind all that it said.
    let is_its_end = matches!(&stage.tracing, Tracing::Inject(case) if case.to_string().contains(":ECONNRESET:"));
    if is_its_end || outcome.ended.stderr.contains("did not arrive") {
        outcome.harm.take_if(|why| why.contains(CUT));
    }
    outcome
}

/// Messages that become a stream.
fn websocket(stage: &Stage) -> Outcome {
    let peer = repeater();
    let from = listening(stage, "ws");
    let mut relay = start(stage, &[&from, &peer.address.to_string()]);
    relay.wait_for("listening on");
    let outcome = relayed(relay, &|_| {
        let ended = stage.start_peer_with(&["talk", &from, "--timeout", "3s"], Input::Pipe(b"one\ntwo\n")).finish();
        match ended.stdout == b"onetwo" {
            true => Ok(()),
            false if ended.succeeded() => Err(format!("{CUT} {:?}", String::from_utf8_lossy(&ended.stdout))),
            false => Err(ended.stderr),
        }
    });
    peer.join();
    outcome
}

/// A proxy that is made, made worse and looked at over HTTP.
fn control(stage: &Stage) -> Outcome {
    let (peer, said) = (echo(), bytes(5000));
    let api = stage.address();
    let near = beside(stage);
    let mut relay = start(stage, &["--control", &api.to_string()]);
    let proxy = format!(r#"{{"name":"one","listen":"{near}","upstream":"{}"}}"#, peer.address);
    let toxic = r#"{"name":"late","type":"latency","attributes":{"latency":1}}"#;
    // A fault may cost a request its connection; then it is asked again, and finds what it wanted there.
    let mut until_done = |request: &dyn Fn() -> String| {
        (0..4).any(|_| {
            let answer = asked(&mut relay, api, &request());
            ["HTTP/1.1 2", "HTTP/1.1 409"].iter().any(|good| answer.starts_with(good))
        })
    };
    let made = until_done(&|| post("/proxies", &proxy)) && until_done(&|| post("/proxies/one/toxics", toxic));
    let missing = (!made).then(|| "the proxy was not made".to_owned());
    let mut outcome = if made {
        relayed(relay, &|relay| hear_again(relay, near, &said))
    } else {
        relay.terminate();
        Outcome::new(relay.finish(), missing)
    };
    peer.join();
    if outcome.ended.stderr.contains("the proxy one is disabled") {
        // Its loop broke, which is said: then the exit code says it too.
        outcome.missing = outcome.harm.take_if(|why| !why.contains(CUT));
    }
    outcome
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn asked(relay: &mut Running, api: SocketAddr, request: &str) -> String {
    let Some(mut stream) = connect(relay, api) else { return String::new() };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
    let _ = stream.write_all(request.as_bytes());
    String::from_utf8_lossy(&read_all(&mut stream)).into_owned()
}

/// A server that greets, in a thread of the sweep.
fn greeter() -> Peer<()> {
    Peer::tcp(|stream| {
        let _ = answer(&stream);
    })
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    let mut writer = stream;
    writer.write_all(b"Welcome!\n")?;
    for line in std::io::BufRead::lines(std::io::BufReader::new(stream)) {
        match line?.as_str() {
            "exit" => break,
            name => writer.write_all(format!("Hello, {name}!\n").as_bytes())?,
        }
    }
    Ok(())
}

/// What was recorded is whole statements of what was said, up to where a kill came; what was not recorded is said.
fn record(stage: &Stage) -> Outcome {
    let peer = greeter();
    let from = listening(stage, "tcp");
    let relay = start(stage, &[&from, &peer.address.to_string(), "--record", "said-%n.talk"]);
    let mut outcome = relayed(relay, &|relay| greet(relay, stage.address()));
    peer.join();
    let whole = "S: Welcome!\nC: Ann\nS: Hello, Ann!\nC: Bob\nS: Hello, Bob!\nC: exit\n";
    let torn = (1..=4).find_map(|number| {
        let text = std::fs::read_to_string(stage.path(&format!("said-{number}.talk"))).ok()?;
        let said: String = text.lines().filter(|line| line.contains(": ")).map(|line| format!("{line}\n")).collect();
        // The last statement may be half one where the program was killed while it wrote.
        let is_part = whole.starts_with(said.trim_end());
        (!is_part).then(|| format!("said-{number}.talk holds what was not said: {said:?}"))
    });
    outcome.harm = outcome.harm.or(torn);
    let lacks = (1..=4).find_map(|number| {
        let text = std::fs::read_to_string(stage.path(&format!("said-{number}.talk"))).unwrap_or_default();
        let is_told = outcome.ended.stderr.contains("record");
        (!whole.lines().all(|line| text.contains(line)) && !is_told)
            .then(|| format!("said-{number}.talk is not whole, and nothing says so"))
    });
    if stage.hears_words() && outcome.ended.succeeded() && outcome.harm.is_none() && !is_one_lost(&outcome) {
        outcome.missing = outcome.missing.or(lacks);
    }
    outcome
}

/// Whether a fault cost one client its conversation, which then was recorded in part.
fn is_one_lost(outcome: &Outcome) -> bool {
    let words = &outcome.ended.stderr;
    ["reset", "cannot", "is gone", "refused"].iter().any(|word| words.contains(word))
        || words.matches("closed #").count() < 4
}

/// A capture that is not whole is told of; one that is opens again.
fn pcap(stage: &Stage) -> Outcome {
    let peer = greeter();
    let from = listening(stage, "tcp");
    let relay = start(stage, &[&from, &peer.address.to_string(), "--pcap", "said.pcapng"]);
    let mut outcome = relayed(relay, &|relay| greet(relay, stage.address()));
    peer.join();
    if outcome.ended.succeeded() && !is_one_lost(&outcome) && !outcome.ended.stderr.contains("capture") {
        let ended = stage.start_peer(&["import", "said.pcapng", "--stream", "0"]).finish();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let lacks = !ended.succeeded() || !text.contains("Hello, Bob!");
        let why = || format!("the capture does not open: {}", ended.stderr.trim());
        outcome.missing = outcome.missing.or_else(|| (lacks && stage.hears_words()).then(why));
    }
    outcome
}
