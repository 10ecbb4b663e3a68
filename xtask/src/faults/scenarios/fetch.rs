//! `fetch`: the head to standard output, the body to a file that is whole or not there.

use std::io::Write;
use std::net::TcpStream;

use super::super::peer::{Peer, bytes, differs, read_until};
use super::super::stage::{Input, Stage};
use super::super::verdict::Outcome;
use super::{Scenario, dismiss, scenario, torn, unwritten, writing};

pub(super) const ALL: &[Scenario] = &[
    writing("fetch", "fetch-file", file),
    writing("fetch", "fetch-over", over),
    scenario("fetch", "fetch-stdout", stdout),
    writing("fetch", "fetch-chunked", chunked),
    writing("fetch", "fetch-gzip", gzip),
    writing("fetch", "fetch-redirect", redirect),
    writing("fetch", "fetch-resume", resume),
    scenario("fetch", "fetch-upload", upload),
    writing("fetch", "fetch-https", https),
    writing("fetch", "fetch-parts", parts),
];

const PAGE: usize = 150_000;

/// A server that answers each request of a connection with what a head deserves.
fn serve(answer: impl Fn(&str, &mut TcpStream) -> Vec<u8> + Send + 'static) -> Peer<Vec<String>> {
    Peer::tcp(move |mut stream| {
        let mut heads = Vec::new();
        loop {
            let head = String::from_utf8_lossy(&read_until(&mut stream, b"\r\n\r\n")).into_owned();
            if !head.ends_with("\r\n\r\n") {
                return heads;
            }
            let bytes = answer(&head, &mut stream);
            heads.push(head);
            if stream.write_all(&bytes).is_err() {
                return heads;
            }
        }
    })
}

fn ok(fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n", body.len()).as_bytes(), body].concat()
}

/// Fetches into the file `page`.
fn fetch(stage: &Stage, url: &str, more: &[&str], old: Option<&[u8]>, body: &[u8]) -> Outcome {
    if let Some(old) = old {
        stage.put("page", old);
    }
    let arguments = ["fetch", url, "-o", "page", "--timeout", "4s", "--idle-timeout", "2s", "--connect-timeout", "2s"];
    let ended = stage.start(&[&arguments, more].concat(), Input::Null).finish();
    let missing = unwritten(stage, "page", |found| found == body);
    let missing = missing.or_else(|| (!ended.stdout.starts_with(b"HTTP/")).then(|| "no head on stdout".to_owned()));
    Outcome { harm: torn(stage, "page", old, |found| found == body), ..Outcome::new(ended, missing) }
}

fn simple(stage: &Stage, old: Option<&[u8]>, answer: Vec<u8>, body: &[u8]) -> Outcome {
    let peer = serve(move |_, _| answer.clone());
    let outcome = fetch(stage, &format!("http://{}/page", peer.address), &[], old, body);
    peer.join();
    outcome
}

fn file(stage: &Stage) -> Outcome {
    let body = bytes(PAGE);
    simple(stage, None, ok("", &body), &body)
}

fn over(stage: &Stage) -> Outcome {
    let body = bytes(2000);
    simple(stage, Some(b"old"), ok("", &body), &body)
}

fn stdout(stage: &Stage) -> Outcome {
    let body = bytes(PAGE);
    let answer = ok("", &body);
    let peer = serve(move |_, _| answer.clone());
    let url = format!("http://{}/page", peer.address);
    let arguments = ["fetch", &url, "-o", "-", "--timeout", "4s", "--idle-timeout", "2s", "--connect-timeout", "2s"];
    let ended = stage.start(&arguments, Input::Null).finish();
    peer.join();
    let missing = differs("stdout", &ended.stdout, &body);
    Outcome::new(ended, missing)
}

fn chunked(stage: &Stage) -> Outcome {
    let body = bytes(30_000);
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7000) {
        answer.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    answer.extend(b"0\r\n\r\n");
    simple(stage, Some(b"old"), answer, &body)
}

fn gzip(stage: &Stage) -> Outcome {
    let body = bytes(30_000);
    simple(stage, Some(b"old"), ok("Content-Encoding: gzip\r\n", &packed(&body)), &body)
}

/// RFC 1952 with blocks that are stored as they are.
fn packed(body: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let count = body.chunks(20_000).count();
    for (at, block) in body.chunks(20_000).enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(0);
        packed.push(u8::from(at + 1 == count));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(block);
    }
    let crc = body.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    packed.extend((!crc).to_le_bytes());
    packed.extend(u32::try_from(body.len()).unwrap_or(0).to_le_bytes());
    packed
}

fn redirect(stage: &Stage) -> Outcome {
    let body = bytes(5000);
    let answer = ok("", &body);
    let peer = serve(move |head, _| {
        if head.starts_with("GET /there ") {
            return answer.clone();
        }
        b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 6\r\n\r\nthere\n".to_vec()
    });
    let outcome = fetch(stage, &format!("http://{}/page", peer.address), &[], Some(b"old"), &body);
    peer.join();
    outcome
}

/// The part of a page that has a strong validator.
fn part_of(body: &[u8], head: &str) -> Vec<u8> {
    let range =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let Some((first, last)) = range.as_deref().and_then(|range| range.split_once('-')) else {
        return ok("Accept-Ranges: bytes\r\nETag: \"v\"\r\n", body);
    };
    let first: usize = first.parse().unwrap_or(0);
    let last = last.parse().map_or(body.len(), |last: usize| (last + 1).min(body.len()));
    let part = &body[first.min(last)..last];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nETag: \"v\"\r\nContent-Range: bytes {first}-{}/{}\r\nContent-Length: {}\r\n\r\n",
        last.saturating_sub(1),
        body.len(),
        part.len()
    );
    [head.as_bytes(), part].concat()
}

fn resume(stage: &Stage) -> Outcome {
    let body = bytes(PAGE);
    let page = body.clone();
    let peer = serve(move |head, _| part_of(&page, head));
    let url = format!("http://{}/page", peer.address);
    stage.put("page.part", &body[..50_000]);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let of = format!("\"url\":\"{url}\",\"validator\":\"\\\"v\\\"\",\"length\":{PAGE}");
    stage.put("page.part.json", format!("{{{of},\"boot\":\"{}\",\"stored\":50000}}", boot.trim()));
    let outcome = fetch(stage, &url, &["--resume"], None, &body);
    peer.join();
    outcome
}

/// Several connections at once, each answered by a thread.
fn parts(stage: &Stage) -> Outcome {
    let body = bytes(3 << 20);
    let page = body.clone();
    let peer = Peer::tcp(move |stream| {
        let page = page.clone();
        std::thread::spawn(move || {
            let mut stream = stream;
            loop {
                let head = String::from_utf8_lossy(&read_until(&mut stream, b"\r\n\r\n")).into_owned();
                if !head.ends_with("\r\n\r\n") || stream.write_all(&part_of(&page, &head)).is_err() {
                    return;
                }
            }
        });
    });
    let outcome = fetch(stage, &format!("http://{}/page", peer.address), &["--parts", "2"], Some(b"old"), &body);
    peer.join();
    outcome
}

fn upload(stage: &Stage) -> Outcome {
    let body = bytes(60_000);
    stage.put("sent", &body);
    let expected = body.clone();
    let peer = serve(move |_, stream| {
        let mut came = vec![0; expected.len()];
        let is_whole = std::io::Read::read_exact(stream, &mut came).is_ok() && came == expected;
        if is_whole { ok("", b"stored") } else { b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec() }
    });
    let url = format!("http://{}/page", peer.address);
    let arguments = [
        "fetch",
        &url,
        "--data",
        "@sent",
        "-o",
        "-",
        "--timeout",
        "4s",
        "--idle-timeout",
        "2s",
        "--connect-timeout",
        "2s",
    ];
    let ended = stage.start(&arguments, Input::Null).finish();
    peer.join();
    let missing = differs("the answer", &ended.stdout, b"stored");
    Outcome::new(ended, missing)
}

fn https(stage: &Stage) -> Outcome {
    let body = bytes(60_000);
    let _ = std::fs::create_dir(stage.path("site"));
    stage.put("site/page", &body);
    let address = format!("https://{}", stage.address());
    let mut peer = stage.start_peer(&["serve", &address, "--files", "site"]);
    peer.wait_for("listening on");
    let outcome = fetch(stage, &format!("{address}/page"), &["--insecure"], Some(b"old"), &body);
    dismiss(peer);
    outcome
}
