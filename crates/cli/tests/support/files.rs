//! A client of a site that says exactly what the test wants, over one connection as long as that stays open.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{LONG, Server, read, text};

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// As it came.
    pub head: String,
    pub content: Vec<u8>,
}

impl Answer {
    /// A field's value, by its name in small letters.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        text(&self.content)
    }
}

pub struct Client {
    to: SocketAddr,
    stream: TcpStream,
}

impl Client {
    pub fn new(server: &Server) -> Self {
        Self::at(([127, 0, 0, 1], server.port()).into())
    }

    pub fn at(to: SocketAddr) -> Self {
        Self { to, stream: connect(to) }
    }

    /// GET, with these field lines.
    pub fn get(&mut self, path: &str, fields: &str) -> Answer {
        self.ask("GET", path, fields, b"")
    }

    pub fn ask(&mut self, method: &str, path: &str, fields: &str, content: &[u8]) -> Answer {
        let host = if fields.to_ascii_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
        let length = if content.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{length}{fields}\r\n");
        self.say(&[head.as_bytes(), content].concat());
        self.hear(method)
    }

    /// Says these bytes.
    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Hears one answer; opens another connection where this one ends behind it.
    pub fn hear(&mut self, method: &str) -> Answer {
        let mut answer = Answer { status: 0, head: super::head(&mut self.stream), content: Vec::new() };
        answer.status = answer.head[9..12].parse().unwrap();
        let closes = answer.field("connection").is_some_and(|value| value == "close");
        let has_content = method != "HEAD" && !matches!(answer.status, 100..=199 | 204 | 304);
        if has_content && answer.field("transfer-encoding") == Some("chunked") {
            answer.content = self.chunks();
        } else if has_content && let Some(length) = answer.field("content-length") {
            let length = length.parse().unwrap();
            answer.content = read(&mut self.stream, length);
        } else if has_content {
            self.stream.read_to_end(&mut answer.content).unwrap();
        }
        if closes {
            self.stream = connect(self.to);
        }
        answer
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let line = super::line(&mut self.stream);
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            content.extend(read(&mut self.stream, size));
            assert_eq!(read(&mut self.stream, 2), b"\r\n");
            if size == 0 {
                return content;
            }
        }
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the server accepts");
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}
