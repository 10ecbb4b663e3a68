//! `talk --play`: the client of a transcript, its records and its reports.

use std::io::Write;
use std::net::TcpStream;

use super::super::peer::{Peer, read_until};
use super::super::stage::{Input, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("talk --play", "play-tcp", tcp),
    scenario("talk --play", "play-udp", udp),
    scenario("talk --play", "play-starttls", starttls),
    scenario("talk --play", "play-data", data),
    writing("talk --play", "play-report", report),
    writing("talk --play", "play-record", record),
    writing("talk --play", "play-update", update),
    writing("talk --play", "talk-record", talk_record),
];

const TALK: &str = "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n";

/// The server of that transcript; it returns what it heard.
fn greet(mut stream: TcpStream) -> Vec<u8> {
    let _ = stream.write_all(b"Welcome!\n");
    let name = read_until(&mut stream, b"\n");
    let _ = stream.write_all(&[b"Hello, ", name.trim_ascii_end(), b"!\n"].concat());
    [name, read_until(&mut stream, b"\n")].concat()
}

fn play(stage: &Stage, transcript: &str, more: &[&str], plays: &[&[u8]]) -> (Outcome, Vec<Vec<u8>>) {
    stage.put("greet.talk", transcript);
    let peer = Peer::tcp(greet);
    let address = peer.address.to_string();
    let arguments = [&["talk", &address, "--play", "greet.talk", "--timeout", "2s"], more].concat();
    let ended = stage.start(&arguments, Input::Null).finish();
    let heard = peer.join();
    let missing = (heard != plays).then(|| format!("{} plays of {} were heard", heard.len(), plays.len()));
    (Outcome::new(ended, missing), heard)
}

fn tcp(stage: &Stage) -> Outcome {
    play(stage, TALK, &[], &[b"Ann\nexit\n"]).0
}

fn udp(stage: &Stage) -> Outcome {
    stage.put("echo.talk", "C: one\nS: heard one\nC: two\nS: heard two\n");
    let peer = Peer::udp(|datagram, answer| {
        answer(&[b"heard ", datagram].concat());
        datagram.to_vec()
    });
    let address = format!("udp://{}", peer.address);
    let ended = stage.start(&["talk", &address, "--play", "echo.talk", "--timeout", "2s"], Input::Null).finish();
    let heard = peer.join();
    let missing = (heard != [b"one", b"two"]).then(|| format!("{} datagrams were heard", heard.len()));
    Outcome::new(ended, missing)
}

fn starttls(stage: &Stage) -> Outcome {
    stage.put("tls.talk", "S: ready\nstarttls\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n");
    let address = stage.address().to_string();
    let mut peer = stage.start_peer(&["serve", &address, "--play", "tls.talk", "--once", "-v"]);
    let mut pin = String::new();
    if peer.wait_for("listening on") {
        pin = peer
            .words()
            .split("sha256:")
            .nth(1)
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .collect();
    }
    let pin = format!("sha256:{pin}");
    let arguments = ["talk", &address, "--play", "tls.talk", "--pin", &pin, "--timeout", "2s"];
    let ended = stage.start(&arguments, Input::Null).finish();
    peer.terminate();
    let peer = peer.finish();
    let missing = (!peer.stderr.contains("1 as written")).then(|| format!("the server says: {}", peer.stderr));
    Outcome::new(ended, missing)
}

fn data(stage: &Stage) -> Outcome {
    stage.put("names.csv", "name\nTracy\nSarah\n");
    play(stage, TALK, &["--data", "names.csv"], &[b"Tracy\nexit\n", b"Sarah\nexit\n"]).0
}

fn report(stage: &Stage) -> Outcome {
    stage.put("names.csv", "name\nTracy\nSarah\n");
    stage.put("report.xml", "old");
    let more = ["--data", "names.csv", "--report", "report.xml"];
    let (mut outcome, _) = play(stage, TALK, &more, &[b"Tracy\nexit\n", b"Sarah\nexit\n"]);
    let is_whole = |found: &[u8]| found.trim_ascii_end().ends_with(b"</testsuites>");
    outcome.missing = outcome.missing.or_else(|| unwritten(stage, "report.xml", is_whole));
    outcome.harm = torn(stage, "report.xml", Some(b"old"), is_whole);
    outcome
}

fn record(stage: &Stage) -> Outcome {
    stage.put("record.talk", OLD);
    let (mut outcome, _) = play(stage, TALK, &["--record", "record.talk"], &[b"Ann\nexit\n"]);
    let is_whole = |found: &[u8]| holds(found, &["S: Welcome!\n", "C: Ann\n", "S: Hello, Ann!\n", "C: exit\n"]);
    outcome.missing = outcome.missing.or_else(|| unwritten(stage, "record.talk", is_whole));
    outcome.harm = half_a_statement(stage);
    outcome
}

fn talk_record(stage: &Stage) -> Outcome {
    stage.put("record.talk", OLD);
    let peer = Peer::tcp(greet);
    let address = peer.address.to_string();
    let arguments = ["talk", &address, "--timeout", "3s", "--record", "record.talk"];
    let ended = stage.start(&arguments, Input::Pipe(b"Ann\nexit\n")).finish();
    let heard = peer.join().concat();
    let is_whole = |found: &[u8]| holds(found, &["S: Welcome!\n", "C: Ann\n", "S: Hello, Ann!\n"]);
    let missing = (heard != b"Ann\nexit\n").then(|| "the peer missed something".to_owned());
    let missing = missing.or_else(|| unwritten(stage, "record.talk", is_whole));
    Outcome { harm: half_a_statement(stage), ..Outcome::new(ended, missing) }
}

fn holds(found: &[u8], lines: &[&str]) -> bool {
    let text = String::from_utf8_lossy(found);
    lines.iter().all(|line| text.contains(line))
}

/// A record grows while the conversation goes on, by whole statements: once it has its name it is a transcript at any time.
fn half_a_statement(stage: &Stage) -> Option<String> {
    torn(stage, "record.talk", Some(OLD), |found| {
        !found.is_empty() && found.ends_with(b"\n") && !holds(found, &["old"])
    })
}

const OLD: &[u8] = b"C: old\n";

fn update(stage: &Stage) -> Outcome {
    let old = TALK.replace("Welcome", "Good day");
    let (mut outcome, heard) = play(stage, &old, &["--update"], &[]);
    // How often it is played until nothing differs is its own affair.
    let whole = heard.last().is_some_and(|last| last == b"Ann\nexit\n");
    outcome.missing = (!whole).then(|| format!("heard {heard:?}"));
    let is_whole = |found: &[u8]| holds(found, &["S: Welcome!\n", "C: {name=Ann}\n", "C: exit\n", "S closes\n"]);
    outcome.missing = outcome.missing.or_else(|| unwritten(stage, "greet.talk", is_whole));
    outcome.harm = torn(stage, "greet.talk", Some(old.as_bytes()), is_whole);
    outcome
}
