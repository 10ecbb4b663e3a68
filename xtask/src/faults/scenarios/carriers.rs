//! Transcripts over every other carrier: packets, datagrams of a path, WebSocket, TLS from the first byte; and what measures them.

use super::super::stage::{Input, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, dismiss, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("talk --play", "play-unix-dgram", |stage| played(stage, "unix-dgram:s.sock")),
    scenario("talk --play", "play-seqpacket", |stage| played(stage, "unix-seqpacket:s.sock")),
    scenario("talk --play", "play-websocket", |stage| played(stage, &at(stage, "ws"))),
    scenario("talk --play", "play-tls", |stage| played(stage, &at(stage, "tls"))),
    scenario("serve", "serve-unix-dgram", |stage| served(stage, "unix-dgram:s.sock", &TRANSCRIPT, ASK)),
    scenario("serve", "serve-seqpacket", |stage| served(stage, "unix-seqpacket:s.sock", &TRANSCRIPT, ASK)),
    scenario("serve", "serve-websocket", |stage| served(stage, &at(stage, "ws"), &TRANSCRIPT, ASK)),
    scenario("serve", "serve-tls", |stage| served(stage, &at(stage, "tls"), &TRANSCRIPT, ASK)),
    scenario("serve", "serve-exec-seqpacket", |stage| served(stage, "unix-seqpacket:s.sock", &PROGRAM, AGAIN)),
    scenario("load", "load-udp", |stage| loaded(stage, &at(stage, "udp"), &[])),
    scenario("load", "load-unix", |stage| loaded(stage, "unix:s.sock", &["--reconnect"])),
    writing("report", "report-save", report),
];

const ASK: &str = "C: {name=Ann}\nS: Hello, {name}!\nC: exit\nS: bye\n";
const TRANSCRIPT: [&str; 2] = ["--play", "ask.talk"];
/// A program that says all again.
const AGAIN: &str = "C: {first=one}\nS: {first}\nC: {second=two}\nS: {second}\nC closes\n";
const PROGRAM: [&str; 2] = ["--exec", "cat"];
const LIMITS: [&str; 7] = ["--once", "--wait", "4s", "--timeout", "2s", "--grace", "1s"];

fn at(stage: &Stage, scheme: &str) -> String {
    format!("{scheme}://{}", stage.address())
}

/// How a client asks for it: the certificate was made for the run.
fn asked(address: &str) -> String {
    if address.starts_with("tls:") { format!("{address}?insecure") } else { address.to_owned() }
}

/// The client of the transcript is tried.
fn played(stage: &Stage, address: &str) -> Outcome {
    stage.put("ask.talk", ASK);
    let mut server = stage.start_peer(&[&["serve", address], &TRANSCRIPT[..], &LIMITS].concat());
    server.wait_for("listening on");
    let ended = stage.start(&["talk", &asked(address), "--play", "ask.talk", "--timeout", "2s"], Input::Null).finish();
    server.terminate();
    let server = server.finish();
    let missing = (!server.stderr.contains("1 as written")).then(|| format!("the server says: {}", server.stderr));
    Outcome::new(ended, missing)
}

/// A server of it is tried.
fn served(stage: &Stage, address: &str, role: &[&str; 2], conversation: &str) -> Outcome {
    stage.put("ask.talk", conversation);
    let mut server = stage.start(&[&["serve", address], &role[..], &LIMITS].concat(), Input::Null);
    server.wait_for("listening on");
    let client = stage.start_peer(&["talk", &asked(address), "--play", "ask.talk", "--timeout", "2s"]).finish();
    let missing = (!client.succeeded()).then(|| format!("the client says: {}", client.stderr));
    Outcome::new(server.finish(), missing)
}

fn loaded(stage: &Stage, address: &str, more: &[&str]) -> Outcome {
    stage.put("ask.talk", ASK);
    let mut server = stage.start_peer(&["serve", address, "--play", "ask.talk"]);
    server.wait_for("listening on");
    let plays = ["--play", "ask.talk", "--plays", "8", "--connections", "2", "--threads", "1", "--timeout", "2s"];
    let ended = stage.start(&[&["load", address], &plays[..], more].concat(), Input::Null).finish();
    dismiss(server);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let count = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let is_whole = count("plays") == Some(8) && count("failures") == Some(0);
    Outcome::new(ended, (!is_whole).then(|| "it does not tell of eight good plays".to_owned()))
}

/// A run that was saved is read, shown and saved again.
fn report(stage: &Stage) -> Outcome {
    stage.put("ask.talk", ASK);
    let address = stage.address().to_string();
    let mut server = stage.start_peer(&["serve", &address, "--play", "ask.talk"]);
    server.wait_for("listening on");
    let plays = ["--play", "ask.talk", "--plays", "8", "--timeout", "2s", "--save", "run.json"];
    stage.start_peer(&[&["load", &address], &plays[..]].concat()).finish();
    dismiss(server);
    let ended = stage.start(&["report", "run.json", "--save", "again.json"], Input::Null).finish();
    let is_whole = |found: &[u8]| found.starts_with(b"{") && found.trim_ascii_end().ends_with(b"}");
    let is_shown = String::from_utf8_lossy(&ended.stdout).contains("plays");
    let missing = (!is_shown).then(|| "it shows no plays".to_owned());
    let missing = missing.or_else(|| unwritten(stage, "again.json", is_whole));
    let harm = torn(stage, "again.json", None, is_whole);
    Outcome { harm, ..Outcome::new(ended, missing) }
}
