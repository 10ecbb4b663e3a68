//! Verbs and ends that are of this machine: programs on pipes, a load of it, who holds its ports, captures.

use std::net::TcpListener;

use super::super::peer::{bytes, connect, differs};
use super::super::stage::{Input, Running, Stage};
use super::super::verdict::Outcome;
use super::relay::repeater;
use super::serve::{clients, whole};
use super::{Scenario, dismiss, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("talk", "talk-exec", talk_exec),
    scenario("talk", "talk-websocket", talk_websocket),
    scenario("serve", "serve-exec", serve_exec),
    scenario("load", "load-tcp", load),
    writing("load", "load-save", load_save),
    scenario("ports", "ports-table", ports),
    writing("import", "import-capture", import_capture),
];

/// A program stands where a peer would.
fn talk_exec(stage: &Stage) -> Outcome {
    let said = bytes(90_000);
    let ended = stage.start(&["talk", "exec:cat", "--timeout", "3s"], Input::Pipe(&said)).finish();
    let missing = differs("stdout", &ended.stdout, &said);
    Outcome::new(ended, missing)
}

fn talk_websocket(stage: &Stage) -> Outcome {
    let peer = repeater();
    let url = format!("ws://{}", stage.address());
    let mut relay = stage.start_peer(&["relay", &url, &peer.address.to_string()]);
    relay.wait_for("listening on");
    let ended = stage.start(&["talk", &url, "--timeout", "3s"], Input::Pipe(b"one\ntwo\nthree\n")).finish();
    dismiss(relay);
    let heard = peer.join().concat();
    let missing =
        differs("the peer heard", &heard, b"onetwothree").or_else(|| differs("stdout", &ended.stdout, b"onetwothree"));
    Outcome::new(ended, missing)
}

fn serve_exec(stage: &Stage) -> Outcome {
    let address = stage.address();
    let listening = format!("tcp://{address}");
    let arguments = ["serve", &listening, "--exec", "cat", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    let server = stage.start(&arguments, Input::Null);
    let said = bytes(100_000);
    let talk = |server: &mut Running| {
        let mut stream = connect(server, address).ok_or("no connection")?;
        differs("echoed", &whole(&mut stream, &said), &said).map_or(Ok(()), Err)
    };
    clients(server, &[("exec", &talk)])
}

const GREET: &str = "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n";

fn loaded(stage: &Stage, more: &[&str]) -> Outcome {
    stage.put("greet.talk", GREET);
    let address = stage.address().to_string();
    let mut server = stage.start_peer(&["serve", &address, "--play", "greet.talk"]);
    server.wait_for("listening on");
    let plays = ["--play", "greet.talk", "--plays", "8", "--connections", "2", "--threads", "2", "--timeout", "3s"];
    let ended = stage.start(&[&["load", &address], &plays[..], more].concat(), Input::Null).finish();
    dismiss(server);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let count = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let is_whole = count("plays") == Some(8) && count("failures") == Some(0);
    Outcome::new(ended, (!is_whole).then(|| "it does not tell of eight good plays".to_owned()))
}

fn load(stage: &Stage) -> Outcome {
    loaded(stage, &[])
}

/// What was measured is in a file that is whole or not there.
fn load_save(stage: &Stage) -> Outcome {
    let outcome = loaded(stage, &["--save", "run.json"]);
    let is_whole = |found: &[u8]| found.starts_with(b"{") && found.trim_ascii_end().ends_with(b"}");
    let missing = outcome.missing.clone().or_else(|| unwritten(stage, "run.json", is_whole));
    let harm = torn(stage, "run.json", None, is_whole);
    Outcome { missing, harm, ..outcome }
}

fn ports(stage: &Stage) -> Outcome {
    let listener = TcpListener::bind((stage.address().ip(), 0)).expect("a port of the loopback");
    let port = listener.local_addr().expect("bound").port().to_string();
    let ended = stage.start(&["ports", &port], Input::Null).finish();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    // Who holds it may be hidden from it; that it is held is not.
    let is_told = said.lines().any(|line| line.contains("listen") && line.contains(&port));
    Outcome::new(ended, (!is_told).then(|| format!("port {port} is not told of")))
}

fn import_capture(stage: &Stage) -> Outcome {
    stage.put("greet.talk", GREET);
    let (address, behind) = (stage.address(), (stage.address().ip(), 7001));
    let to = format!("tcp://{}:{}", behind.0, behind.1);
    let mut server = stage.start_peer(&["serve", &to, "--play", "greet.talk"]);
    server.wait_for("listening on");
    let from = format!("tcp://{address}");
    let mut relay = stage.start_peer(&["relay", &from, &to, "--pcap", "said.pcapng"]);
    relay.wait_for("listening on");
    stage.start_peer(&["talk", &from, "--play", "greet.talk"]).finish();
    dismiss(relay);
    dismiss(server);
    let arguments = ["import", "said.pcapng", "--stream", "0", "-o", "said.talk"];
    let ended = stage.start(&arguments, Input::Null).finish();
    let is_whole = |found: &[u8]| {
        let text = String::from_utf8_lossy(found);
        ["Welcome!", "Ann", "Hello, ", "exit"].iter().all(|word| text.contains(word)) && text.ends_with('\n')
    };
    let missing = unwritten(stage, "said.talk", is_whole);
    let harm = torn(stage, "said.talk", None, is_whole);
    Outcome { harm, ..Outcome::new(ended, missing) }
}
