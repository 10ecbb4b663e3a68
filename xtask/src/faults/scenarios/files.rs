//! `serve --files`: pages, parts of them, and what is stored.

use std::fs;
use std::io::Write;

use super::super::peer::{bytes, connect, differs, read_all, read_until};
use super::super::stage::{Input, Running, Stage};
use super::super::verdict::Outcome;
use super::serve::{clients, clients_but};
use super::{Scenario, scenario, torn, writing};

pub(super) const ALL: &[Scenario] = &[
    scenario("serve --files", "files-get", get),
    scenario("serve --files", "files-ranges", ranges),
    scenario("serve --files", "files-listing", listing),
    scenario("serve --files", "files-https", https),
    writing("serve --files", "files-upload", upload),
];

/// Above what is sent from memory, so that sendfile(2) has its part.
const PAGE: usize = 200_000;

fn start(stage: &Stage, scheme: &str, more: &[&str]) -> Running {
    let _ = fs::create_dir(stage.path("site"));
    stage.put("site/page", bytes(PAGE));
    let address = format!("{scheme}://{}", stage.address());
    let arguments = ["serve", &address, "--files", "site", "--threads", "2", "--timeout", "2s", "--grace", "1s"];
    stage.start(&[&arguments, more].concat(), Input::Null)
}

/// One request, and the head and the body of its answer.
fn request(stage: &Stage, server: &mut Running, head: &str, body: &[u8]) -> Result<(String, Vec<u8>), String> {
    let mut stream = connect(server, stage.address()).ok_or("no connection")?;
    let request = format!("{head}\r\nHost: {}\r\nConnection: close\r\n\r\n", stage.address());
    stream.write_all(&[request.as_bytes(), body].concat()).map_err(|error| error.to_string())?;
    let head = read_until(&mut stream, b"\r\n\r\n");
    Ok((String::from_utf8_lossy(&head).into_owned(), read_all(&mut stream)))
}

fn expect(answer: &(String, Vec<u8>), status: &str, body: &[u8]) -> Result<(), String> {
    let line = answer.0.lines().next().unwrap_or("no answer");
    if !line.contains(status) {
        return Err(line.to_owned());
    }
    differs("the body", &answer.1, body).map_or(Ok(()), Err)
}

fn get(stage: &Stage) -> Outcome {
    let server = start(stage, "http", &[]);
    let page = bytes(PAGE);
    let talk = |server: &mut Running| expect(&request(stage, server, "GET /page HTTP/1.1", b"")?, " 200 ", &page);
    clients(server, &[("GET", &talk)])
}

fn ranges(stage: &Stage) -> Outcome {
    let server = start(stage, "http", &[]);
    let page = bytes(PAGE);
    let talk = |server: &mut Running| {
        let answer = request(stage, server, "GET /page HTTP/1.1\r\nRange: bytes=1000-150999", b"")?;
        expect(&answer, " 206 ", &page[1000..151_000])
    };
    clients(server, &[("range", &talk)])
}

fn listing(stage: &Stage) -> Outcome {
    let server = start(stage, "http", &[]);
    let talk = |server: &mut Running| {
        let (head, body) = request(stage, server, "GET / HTTP/1.1", b"")?;
        let is_whole = head.contains(" 200 ") && body.windows(4).any(|part| part == b"page") && body.ends_with(b"\n");
        if is_whole { Ok(()) } else { Err(head) }
    };
    clients(server, &[("listing", &talk)])
}

fn https(stage: &Stage) -> Outcome {
    let mut server = start(stage, "https", &[]);
    // Our clients are programs that do not ask again.
    drop(connect(&mut server, stage.address()));
    let url = format!("https://{}/page", stage.address());
    let page = bytes(PAGE);
    let talk = |_: &mut Running| {
        let client = stage.start_peer(&["fetch", &url, "-o", "-", "--insecure", "--idle-timeout", "3s"]).finish();
        if !client.succeeded() {
            return Err(client.stderr);
        }
        differs("the page", &client.stdout, &page).map_or(Ok(()), Err)
    };
    clients(server, &[("https", &talk)])
}

/// What has a name under the folder came whole.
fn upload(stage: &Stage) -> Outcome {
    let server = start(stage, "http", &["--upload"]);
    let sent = bytes(40_000);
    stage.put("site/new", "old");
    let talk = |server: &mut Running| {
        let answer = request(stage, server, &format!("PUT /new HTTP/1.1\r\nContent-Length: {}", sent.len()), &sent)?;
        let line = answer.0.lines().next().unwrap_or("no answer");
        if !line.contains(" 20") {
            return Err(line.to_owned());
        }
        let stored = fs::read(stage.path("site/new")).unwrap_or_default();
        // Said to be stored, and not there.
        differs("stored", &stored, &sent).map_or(Ok(()), Err)
    };
    let mut outcome = clients_but(4, server, &[("PUT", &talk)]);
    outcome.harm = outcome.harm.or_else(|| torn(stage, "site/new", Some(b"old"), |found| found == sent));
    outcome
}
