//! Servers that play a text, and clients that greet them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::net::TcpStream;

use super::{Server, line};

/// The greeting without its gap: an unfinished line waits, however slow the machine is.
pub const PATIENT: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

pub fn serve(text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    serve_with(&[], text, arguments)
}

pub fn serve_with(wrapper: &[&str], text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fast.talk");
    std::fs::write(&path, text).unwrap();
    let all = [&["--play", path.to_str().unwrap()], arguments].concat();
    (Server::start_with(wrapper, &["tcp://127.0.0.1:0"], &all), folder)
}

pub fn greet(client: &mut TcpStream, name: &str) {
    // In one write: the second of two would wait for the first one's acknowledgement.
    client.write_all(format!("{name}\n").as_bytes()).unwrap();
    assert_eq!(line(client), format!("Hello, {name}!\n"));
}
