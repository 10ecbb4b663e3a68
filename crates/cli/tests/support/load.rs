//! What the tests of `load` share: transcripts, servers that behave as they are told, and figures that were saved.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{run, text};

/// What both ends say to each other, over and over.
pub const ECHO: &str = "C: ping {play}\nS: pong {play}\n";
pub const SERVED: &str = "repeat\n  C: ping {n:int=1}\n  S: pong {n}\nend\n";

pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A load whose figures are saved, and what they say.
    pub fn load(&self, arguments: &[&str]) -> (Output, Value) {
        let path = self.path("figures.json");
        let output = run(&[&["load"], arguments, &["--save", path.to_str().unwrap()]].concat(), b"");
        let figures = std::fs::read_to_string(&path).map(|text| serde_json::from_str(&text).unwrap());
        (output, figures.unwrap_or_default())
    }
}

pub fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name} of {figures}"))
}

/// All that was said, with one space between words.
pub fn both(output: &Output) -> String {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// A server of which each connection has a thread; how many there were.
pub fn serve_each(act: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (accepted, act) = (Arc::new(AtomicUsize::new(0)), Arc::new(act));
    let counted = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (act, number) = (Arc::clone(&act), counted.fetch_add(1, Ordering::SeqCst));
            std::thread::spawn(move || act(stream, number));
        }
    });
    (address, accepted)
}

/// Answers line by line.
pub fn answer_lines(stream: &TcpStream, mut answer: impl FnMut(&str) -> Option<String>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        match answer(line.trim_end()) {
            Some(said) if (&*stream).write_all(said.as_bytes()).is_ok() => line.clear(),
            _ => break,
        }
    }
}

pub fn pong(line: &str) -> Option<String> {
    Some(format!("pong {}\n", line.strip_prefix("ping ").unwrap_or("?")))
}

/// Answers requests in their order.
pub fn web(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let requests = AtomicUsize::new(0);
    let (address, _) = serve_each(move |stream, _| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while lines.read_line(&mut head).is_ok_and(|length| length > 0) {
            if head.ends_with("\r\n\r\n") {
                let said = answer(requests.fetch_add(1, Ordering::SeqCst), &head);
                let is_last =
                    said.is_empty() || text(&said).contains("Connection: close") || text(&said).contains("cut");
                if (&stream).write_all(&said).is_err() || is_last {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                head.clear();
            }
        }
    });
    format!("http://{address}/page")
}
