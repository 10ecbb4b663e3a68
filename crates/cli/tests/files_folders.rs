//! `serve --files` and folders of many names: all of them are found, and no other client waits for them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::files::Client;
use support::{Server, assert_code, need, run_command, text};

const NAMES: usize = 12_000;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("many")).unwrap();
    for at in 0..NAMES {
        fs::write(folder.path().join(format!("many/{at:06}")), "").unwrap();
    }
    fs::write(folder.path().join("small"), "small").unwrap();
    fs::write(folder.path().join("long.css"), "a { color: red }\n".repeat(200_000)).unwrap();
    folder
}

fn serve(folder: &tempfile::TempDir) -> Server {
    Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", folder.path().to_str().unwrap()])
}

#[test]
fn every_name_is_on_a_page_and_in_the_json() {
    let folder = folder();
    let server = serve(&folder);
    let mut client = Client::new(&server);
    let mut found = BTreeSet::new();
    let mut next = Some(String::from("?"));
    let mut pages = 0;
    while let Some(query) = next {
        let page = client.get(&format!("/many/{query}"), "").text();
        let names = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        found.extend(names.filter(|name| name.len() == 6).map(str::to_owned));
        pages += 1;
        let at = format!("?page={}", pages + 1);
        next = page.contains(&format!("{at}\" rel=\"next\"")).then_some(at);
    }
    assert_eq!(found.len(), NAMES);
    need("curl");
    for version in ["--http1.1", "--http1.0", "--http2-prior-knowledge"] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--compressed", "--noproxy", "*", version, "-H", "Accept: application/json"]);
        let output = run_command(curl.arg(format!("http://{}/many/", server.address())), b"");
        assert_code(&output, 0);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((json["complete"].as_bool(), json["entries"].as_array().unwrap().len()), (Some(true), NAMES));
    }
}

/// What takes long is made beside the others' answers, over connections that go on.
#[test]
fn what_takes_long_comes_in_its_turn_and_others_are_answered_meanwhile() {
    let folder = folder();
    let server = serve(&folder);
    let mut slow: Vec<Client> = (0..8).map(|_| Client::new(&server)).collect();
    for client in &mut slow {
        let ask = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let accepts = "Accept: application/json\r\n";
        client.say(
            [ask("/many/", accepts), ask("/small", ""), ask("/long.css", "Accept-Encoding: gzip\r\n")]
                .concat()
                .as_bytes(),
        );
    }
    let mut other = Client::new(&server);
    for _ in 0..100 {
        assert_eq!(other.get("/small", "").text(), "small");
    }
    for client in &mut slow {
        assert_eq!(client.hear("GET").text().matches("\"name\"").count(), NAMES);
        assert_eq!(client.hear("GET").text(), "small");
        assert_eq!(client.hear("GET").field("content-encoding"), Some("gzip"));
    }
    // A client that leaves before the answer is there harms no other.
    for _ in 0..8 {
        Client::new(&server).say(b"GET /many/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    assert_eq!(text(&other.get("/small", "").content), "small");
}
