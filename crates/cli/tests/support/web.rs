//! A web server whose every byte the test chooses, and `fetch` run in a folder of its own.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{LONG, command, run_command, text};

type Answer = dyn Fn(&str, &mut TcpStream) + Send + Sync;

/// Answers every connection once.
pub struct Web {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Each request is answered by what the closure writes; the end is a clean one.
    pub fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer)
    }

    /// The same at an address of the test's choice.
    pub fn start_at(address: &str, answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, end) = (Arc::clone(&requests), Arc::clone(&stopped));
        let answer: Arc<Answer> = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || one(stream, &seen, &*answer));
            }
        });
        Self { address, requests, stopped, thread: Some(thread) }
    }

    /// Each request is answered by the same bytes.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| drop(stream.write_all(&bytes)))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked, in full.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn one(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &Answer) {
    stream.set_read_timeout(Some(LONG)).unwrap();
    // The end comes with the last bytes (tcp(7)): a client that saw only those could ask again here, in vain.
    rustix::net::sockopt::set_tcp_cork(&stream, true).unwrap();
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let complete = |request: &[u8]| {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let fields = text(&request[..head]).to_ascii_lowercase();
        if fields.contains("transfer-encoding: chunked") {
            return request[head..].ends_with(b"0\r\n\r\n").then_some(());
        }
        let length = fields.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        (request.len() >= head + length).then_some(())
    };
    while complete(&request).is_none() {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    let request = text(&request);
    seen.lock().unwrap().push(request.clone());
    answer(&request, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
    while stream.read(&mut piece).is_ok_and(|length| length > 0) {}
}

/// `sockeye fetch` in a folder.
pub fn fetch_command(folder: &Path) -> Command {
    let mut command = command(&[]);
    command.arg("fetch").current_dir(folder);
    for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(variable).env_remove(variable.to_ascii_uppercase());
    }
    command
}

pub fn fetch(folder: &Path, arguments: &[&str]) -> Output {
    run_command(fetch_command(folder).args(arguments), b"")
}

/// What is in a folder, by name.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An answer with a length.
pub fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

pub fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{fields}\r\n").as_bytes(), body].concat()
}

/// A body in chunks of so many bytes.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        write!(bytes, "{:x}\r\n", chunk.len()).unwrap();
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that look like nothing else, and do not pack well.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

/// A file that a server has, with what tells its version.
pub struct Served {
    pub body: Vec<u8>,
    /// `ETag: "a"\r\n`.
    pub fields: String,
}

impl Served {
    /// The answer of a server that knows ranges and If-Range.
    pub fn answer(&self, request: &str) -> Vec<u8> {
        let total = self.body.len();
        let field = |name: &str| {
            request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
        };
        let is_same = field("If-Range").is_none_or(|validator| self.fields.contains(&format!(": {validator}\r\n")));
        let range = field("Range").filter(|_| is_same);
        let Some(range) = range.as_deref().and_then(|range| range.strip_prefix("bytes=")) else {
            let fields = format!("{}Accept-Ranges: bytes\r\nContent-Length: {total}\r\n", self.fields);
            return answer("200 OK", &fields, &self.body);
        };
        let (first, last) = match range.split_once('-').unwrap() {
            ("", count) => (total.saturating_sub(count.parse().unwrap()), total - 1),
            (first, "") => (first.parse().unwrap(), total - 1),
            (first, last) => (first.parse().unwrap(), last.parse::<usize>().unwrap().min(total - 1)),
        };
        if first >= total {
            return answer("416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
        }
        let part = &self.body[first..=last];
        let range = format!("Content-Range: bytes {first}-{last}/{total}\r\nContent-Length: {}\r\n", part.len());
        answer("206 Partial Content", &format!("{}{range}", self.fields), part)
    }
}
