//! What went wrong, as programs read it: fields and not a drawing, and exit codes from one table.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::TcpListener;

use serde_json::{Value, json};
use support::*;

fn transcript_of(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.talk");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn failed(log: &str) -> Value {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["event"] == "failed")
        .unwrap_or_else(|| panic!("no failure in {log}"))
}

#[track_caller]
fn assert_has(event: &Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&event[name], value, "{name} of {event}");
    }
}

/// What `serve --json` says of a client that says these bytes and ends.
fn served(text: &str, said: &[u8], more: &[&str]) -> Value {
    let (_folder, path) = transcript_of(text);
    let mut server = Server::start(&[&["--json", "--once", "--play", &path], more].concat());
    let mut client = server.connect();
    client.write_all(said).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    to_end(&mut client);
    assert_eq!(server.wait(), 1);
    failed(&server.log.to_end().join("\n"))
}

/// What `talk --play --json` says of a server that says these bytes and ends, and its exit code.
fn talked(text: &str, said: &'static [u8], more: &[&str]) -> (Value, i32) {
    let (_folder, path) = transcript_of(text);
    let (address, peer) = serve_one(move |mut stream| {
        stream.write_all(said).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        to_end(&mut stream);
    });
    let address = address.to_string();
    let output = run(&[&["talk", &address, "--play", &path, "--json"], more].concat(), b"");
    peer.join().unwrap();
    let event = failed(&text_of(&output));
    assert_eq!(event["exit"], code(&output));
    assert_eq!(event["server"], address);
    (event, code(&output))
}

fn text_of(output: &std::process::Output) -> String {
    text(&output.stderr)
}

#[test]
fn a_server_tells_what_it_expected_and_what_came_in_fields() {
    let event = served("C: exit\nS: bye\n", b"quit\x00 {now} \n", &[]);
    let fields = json!({ "conn": 1, "proto": "tcp", "kind": "differs", "line": 1, "column": 4, "expected": "exit",
        "received": "quit{0x00} {0x7b}now}{0x20}", "byte": 1, "error": "the client said something else" });
    assert_has(&event, &fields);
    assert!(event["file"].as_str().unwrap().ends_with("a.talk"), "{event}");
    for text in [event["server"].as_str().unwrap(), event["client"].as_str().unwrap()] {
        text.parse::<std::net::SocketAddr>().unwrap();
    }
}

#[test]
fn nothing_is_told_from_an_empty_line() {
    let fields = json!({ "kind": "closed_early", "expected": "exit", "received": null, "line": 1 });
    assert_has(&served("C: exit\n", b"", &[]), &fields);
    let fields = json!({ "kind": "differs", "expected": "exit", "received": "", "line": 1 });
    assert_has(&served("C: exit\n", b"\n", &[]), &fields);
    let fields = json!({ "kind": "unexpected_data", "expected": null, "received": "more{0x0a}" });
    assert_has(&served("C: exit\nC closes\n", b"exit\nmore\n", &[]), &fields);
}

#[test]
fn no_drawing_stands_in_a_field() {
    let events = [
        served("C: exit\n", b"quit\n", &[]),
        served("C: exit\n", b"", &[]),
        talked("S: hello\n", b"hallo\n", &[]).0,
        talked("S: hello\n", b"", &[]).0,
    ];
    for event in events {
        for value in event.as_object().unwrap().values().filter_map(Value::as_str) {
            assert!(!value.contains('\n') && !value.contains("-->"), "{event}");
        }
    }
}

#[test]
fn a_client_tells_the_same_with_its_exit_code() {
    let (event, exit) = talked("S: hello {name}\n", b"hallo\n", &[]);
    assert_has(
        &event,
        &json!({ "kind": "differs", "line": 1, "column": 5, "received": "hallo", "conn": 1, "proto": "tcp" }),
    );
    assert_eq!(exit, 1);
    let (event, exit) = talked("C: hi\nS: hello\n", b"", &[]);
    assert_has(&event, &json!({ "kind": "closed_early", "line": 2, "expected": "hello", "received": null }));
    assert_eq!(exit, 1);
    let (event, exit) = talked("at tcp://127.0.0.1:1\ntimeout 9s\nS: hello\nS: more\n", b"hello\n", &[]);
    assert_has(&event, &json!({ "kind": "closed_early", "line": 4 }));
    assert_eq!(exit, 1);
}

#[test]
fn of_several_lines_that_would_have_been_right_each_is_told() {
    let event = served("either\n  C: stop\n  S: 1\nor\n  C: start\n  S: 2\nend\n", b"stay\n", &[]);
    assert_has(&event, &json!({ "kind": "differs", "received": "stay" }));
    let others = event["or"].as_array().unwrap();
    assert_eq!(others.len(), 1, "{event}");
    let mut texts = vec![event["expected"].as_str().unwrap(), others[0]["expected"].as_str().unwrap()];
    texts.sort_unstable();
    assert_eq!(texts, ["start", "stop"]);
}

#[test]
fn no_secret_is_told_in_a_field() {
    let (_folder, path) = transcript_of("C: {token}\nS: ok\n");
    let mut wrapped = command(&["env", "token=hunter2"]);
    let (address, peer) = serve_one(|mut stream| {
        stream.write_all(b"no: hunter2\n").unwrap();
        to_end(&mut stream);
    });
    let address = address.to_string();
    wrapped.args(["talk", &address, "--play", &path, "--json", "--secret", "token"]);
    let output = run_command(&mut wrapped, b"");
    peer.join().unwrap();
    let event = failed(&text_of(&output));
    assert_has(&event, &json!({ "kind": "differs", "received": "no: {token}" }));
    assert!(!text_of(&output).contains("hunter2"));
}

#[test]
fn a_wrong_transcript_is_told_with_its_place() {
    let (_folder, path) = transcript_of("S: hello\nS hello\n");
    for arguments in [&["talk", "127.0.0.1:1"][..], &["serve", "127.0.0.1:0"]] {
        let output = run(&[arguments, &["--play", &path, "--json"]].concat(), b"");
        assert_code(&output, 2);
        let event = failed(&text_of(&output));
        assert_has(&event, &json!({ "kind": "wrong_transcript", "file": path, "line": 2, "exit": 2 }));
        assert!(!event["error"].as_str().unwrap().contains('\n'), "{event}");
    }
}

#[test]
fn a_server_that_takes_nothing_is_28_with_and_without_update() {
    let large = format!("timeout 100ms\nC raw: {}\nS: ok\n", "x".repeat(8 << 20));
    for more in [&[][..], &["--update"]] {
        let (_folder, path) = transcript_of(&large);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let output = run(&[&["talk", &address, "--play", &path, "--json"], more].concat(), b"");
        assert_code(&output, 28);
        assert_has(
            &failed(&text_of(&output)),
            &json!({ "kind": "write_timeout", "exit": 28, "conn": 1, "server": address }),
        );
    }
}

#[test]
fn a_port_that_is_closed_is_7_with_and_without_update() {
    let (_folder, path) = transcript_of("S: hello\n");
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    for more in [&[][..], &["--update"]] {
        let output = run(&[&["talk", &address, "--play", &path, "--json"], more].concat(), b"");
        assert_code(&output, 7);
        assert_has(&failed(&text_of(&output)), &json!({ "kind": "refused", "exit": 7 }));
    }
}

/// Only a listener can have the port 0. Nothing is tried, over whatever and in whichever verb.
#[test]
fn a_port_that_nobody_can_have_is_wrong_usage() {
    let (_folder, path) = transcript_of("S: hello\n");
    let cases: [&[&str]; 12] = [
        &["talk", "127.0.0.1:0"],
        &["talk", "udp://127.0.0.1:0"],
        &["talk", "localhost:0"],
        &["talk", "tls://127.0.0.1:0"],
        &["talk", "ws://127.0.0.1:0/"],
        &["talk", "--zero", "127.0.0.1:0"],
        &["talk", "--retry", "60s", "127.0.0.1:0"],
        &["talk", "--proxy", "socks5://127.0.0.1:1", "127.0.0.1:0"],
        &["talk", "--proxy", "socks5://127.0.0.1:0", "127.0.0.1:1"],
        &["talk", "127.0.0.1:0", "--play", &path],
        &["load", "127.0.0.1:0", "--play", &path, "--plays", "1"],
        &["relay", "0", "127.0.0.1:0"],
    ];
    for arguments in cases {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        let said = text(&output.stderr);
        assert!(
            said.contains("port 0 stands for any free one, which only a listener can ask for"),
            "{arguments:?} {said}"
        );
    }
    let output = run(&["talk", "127.0.0.1:0", "--play", &path, "--json"], b"");
    assert_has(&failed(&text_of(&output)), &json!({ "kind": "unusable_address", "exit": 2 }));
}

/// The server does not even take the request, of which more than the kernel holds is left.
#[test]
fn a_request_that_nobody_takes_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("large");
    std::fs::File::create(&content).unwrap().set_len(32 << 20).unwrap();
    let (data, listener) = (format!("@{}", content.display()), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let output = run(&["load", &url, "--data", &data, "--plays", "1", "--connections", "1", "--timeout", "500ms"], b"");
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(code(&output), 28, "{said}");
    assert!(said.contains("1 failed at POST /: nothing_came"), "{said}");
}

#[test]
fn a_report_as_json_has_the_same_fields() {
    let (folder, path) = transcript_of("S: hello\n");
    let report = folder.path().join("report.json");
    talked_with_report(&path, report.to_str().unwrap());
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let fields = json!({ "ok": false, "exit": 1, "kind": "differs", "line": 1, "column": 5, "expected": "hello",
        "received": "hallo", "error": "the server said something else" });
    assert_has(&report["cases"][0], &fields);
    assert!(report["cases"][0]["account"].as_str().unwrap().contains("-->"), "{report}");
}

fn talked_with_report(path: &str, report: &str) {
    let (address, peer) = serve_one(|mut stream| {
        stream.write_all(b"hallo\n").unwrap();
        to_end(&mut stream);
    });
    let address = address.to_string();
    assert_code(&run(&["talk", &address, "--play", path, "--report", report], b""), 1);
    peer.join().unwrap();
}

#[test]
fn check_tells_where_two_ends_differ_in_fields() {
    let (_folder, path) = transcript_of("at udp://127.0.0.1:7000\nC: go\nS: ok\nC:\nS: end\n");
    let output = run(&["check", "--json", &path], b"");
    assert_code(&output, 1);
    let told = text(&output.stdout);
    let summary: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let differences = summary["differences"].as_array().unwrap();
    assert!(!differences.is_empty(), "{summary}");
    for difference in differences {
        assert!(difference["kind"].is_string() && difference["line"].is_u64(), "{difference}");
        assert!(!difference["error"].as_str().unwrap().contains('\n'), "{difference}");
    }
}
