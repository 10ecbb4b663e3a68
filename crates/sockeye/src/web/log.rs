//! One line for each answer: in the *combined* format that every log reader knows, or as a JSON object. Whatever a client
//! sent, it stays one line, and a terminal that shows it obeys nothing in it.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::clock::{Calendar, Now};
use super::escape::push_quoted;
use super::head::push_number;
use super::json;
use crate::wire::http::fields::Value;
use crate::wire::http::request::{Request, Version};
use crate::wire::http::status::Status;

/// Longest part of a line that comes from a client; the rest of it is cut.
const PART: usize = 1024;

/// What a line tells.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// From where; nothing over a Unix socket.
    pub client: Option<IpAddr>,
    /// Who, if that was asked and shown.
    pub user: Option<&'a str>,
    /// When it was answered.
    pub now: &'a Now,
    /// What was asked; nothing if it was no request.
    pub request: Option<&'a Request<'a>>,
    /// How it was answered.
    pub status: Status,
}

/// A line of which all is written but what only the end of the answer tells. The combined format has client, user, time, request,
/// status, bytes, referring page, agent.
#[derive(Debug)]
pub(crate) struct Entry {
    text: Vec<u8>,
    /// Where the rest belongs; nothing for JSON, where it stands at the end.
    at: Option<usize>,
}

impl Entry {
    pub(crate) fn combined(line: &Line<'_>) -> Self {
        let mut text = Vec::with_capacity(256);
        combined_begin(&mut text, line);
        let at = Some(text.len());
        combined_end(&mut text, line);
        Self { text, at }
    }

    pub(crate) fn json(line: &Line<'_>) -> Self {
        let mut text = Vec::with_capacity(384);
        json_begin(&mut text, line);
        Self { text, at: None }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, sent: u64, lasted: Duration) {
        match self.at {
            Some(at) => {
                out.extend_from_slice(&self.text[..at]);
                push_sent(out, sent);
                out.extend_from_slice(&self.text[at..]);
            }
            None => {
                out.extend_from_slice(&self.text);
                json_end(out, sent, lasted);
            }
        }
    }
}

fn push_sent(out: &mut Vec<u8>, sent: u64) {
    match sent {
        0 => out.push(b'-'),
        _ => push_number(out, sent),
    }
}

fn combined_begin(out: &mut Vec<u8>, line: &Line<'_>) {
    push_client(out, line.client);
    out.extend_from_slice(b" - ");
    match line.user {
        // A blank would end it.
        Some(user) => push_quoted(out, user.replace(' ', "_").as_bytes()),
        None => out.push(b'-'),
    }
    push_time(out, line.now);
    match line.request {
        Some(request) => {
            push_quoted(out, cut(request.method_text.as_bytes()));
            out.push(b' ');
            push_quoted(out, cut(request.target.as_bytes()));
            out.push(b' ');
            out.extend_from_slice(version(request.version).as_bytes());
        }
        None => out.push(b'-'),
    }
    out.extend_from_slice(b"\" ");
    push_number(out, line.status.code().into());
    out.push(b' ');
}

fn combined_end(out: &mut Vec<u8>, line: &Line<'_>) {
    out.extend_from_slice(b" \"");
    push_field(out, line.request.map(|request| &request.fields.referer));
    out.extend_from_slice(b"\" \"");
    push_field(out, line.request.map(|request| &request.fields.user_agent));
    out.extend_from_slice(b"\"\n");
}

fn json_begin(out: &mut Vec<u8>, line: &Line<'_>) {
    let Calendar { year, month, day, hour, minute, second } = Calendar::of(line.now.seconds());
    let _ = write!(
        out,
        "{{\"event\":\"answered\",\"time\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z\""
    );
    if let Some(client) = line.client {
        let _ = write!(out, ",\"client\":\"{client}\"");
    }
    push_text(out, "user", line.user.map(str::as_bytes));
    if let Some(request) = line.request {
        push_text(out, "method", Some(request.method_text.as_bytes()));
        push_text(out, "target", Some(request.target.as_bytes()));
        push_text(out, "version", Some(version(request.version).as_bytes()));
        push_text(out, "host", request.authority.map(str::as_bytes));
        push_text(out, "referer", request.fields.referer.as_deref());
        push_text(out, "agent", request.fields.user_agent.as_deref());
    }
    let _ = write!(out, ",\"status\":{}", line.status.code());
}

fn json_end(out: &mut Vec<u8>, sent: u64, lasted: Duration) {
    let _ = writeln!(out, ",\"sent\":{sent},\"seconds\":{:.6}}}", lasted.as_secs_f64());
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2.0",
    }
}

/// The date is there already as answers have it, `Sat, 28 Nov 2026 19:26:26 GMT`; to format it for each line cost more than
/// the rest of the line.
fn push_time(out: &mut Vec<u8>, now: &Now) {
    let date = now.date();
    for (before, part) in [(" [", 5..7), ("/", 8..11), ("/", 12..16), (":", 17..25)] {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(&date[part]);
    }
    out.extend_from_slice(b" +0000] \"");
}

fn push_client(out: &mut Vec<u8>, client: Option<IpAddr>) {
    match client {
        Some(IpAddr::V4(ip)) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                push_number(out, octet.into());
            }
        }
        Some(ip) => drop(write!(out, "{ip}")),
        None => out.push(b'-'),
    }
}

fn push_field(out: &mut Vec<u8>, value: Option<&Value<'_>>) {
    match value.and_then(|value| value.as_deref()) {
        Some(value) => push_quoted(out, cut(value)),
        None => out.push(b'-'),
    }
}

fn push_text(out: &mut Vec<u8>, name: &str, text: Option<&[u8]>) {
    if let Some(text) = text {
        let _ = write!(out, ",\"{name}\":");
        json::push_text(out, cut(text));
    }
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..PART).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::wire::http::request::{Parsed, parse};

    fn written(head: &[u8]) -> (String, String) {
        let now = Now::new(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let request = match parse(head) {
            Parsed::Whole { request, .. } => Some(request),
            Parsed::Partial | Parsed::Bad(_) => None,
        };
        let line = Line {
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            user: Some("a b"),
            now: &now,
            request: request.as_ref(),
            status: Status::OK,
        };
        let (sent, lasted) = (if request.is_some() { 5 } else { 0 }, Duration::from_micros(1500));
        let (mut one, mut other) = (vec![], vec![]);
        Entry::combined(&line).write(&mut one, sent, lasted);
        Entry::json(&line).write(&mut other, sent, lasted);
        (String::from_utf8(one).unwrap(), String::from_utf8(other).unwrap())
    }

    #[test]
    fn lines_are_as_log_readers_know_them() {
        let head = b"GET /a?b HTTP/1.1\r\nHost: h\r\nReferer: http://h/\r\nUser-Agent: curl/8\r\n\r\n";
        let (combined, json) = written(head);
        assert_eq!(
            combined,
            "127.0.0.1 - a_b [06/Nov/1994:08:49:37 +0000] \"GET /a?b HTTP/1.1\" 200 5 \"http://h/\" \"curl/8\"\n"
        );
        assert_eq!(
            json,
            "{\"event\":\"answered\",\"time\":\"1994-11-06T08:49:37Z\",\"client\":\"127.0.0.1\",\"user\":\"a b\",\
             \"method\":\"GET\",\"target\":\"/a?b\",\"version\":\"HTTP/1.1\",\"host\":\"h\",\"referer\":\"http://h/\",\
             \"agent\":\"curl/8\",\"status\":200,\"sent\":5,\"seconds\":0.001500}\n"
        );
        let (combined, json) = written(b"\x16\x03\x01");
        assert_eq!(combined, "127.0.0.1 - a_b [06/Nov/1994:08:49:37 +0000] \"-\" 200 - \"-\" \"-\"\n");
        assert!(json.ends_with("\"user\":\"a b\",\"status\":200,\"sent\":0,\"seconds\":0.001500}\n"), "{json}");
    }

    /// Row 62 of the faults.
    #[test]
    fn whatever_a_client_sends_stays_one_line_and_harmless() {
        for byte in 0..=255_u8 {
            let mut head = b"GET /\"\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: a\"\\\xe2\x80\xae\xc2\x9b".to_vec();
            head.push(byte);
            head.extend_from_slice(b"z\r\nReferer: \xff\r\n\r\n");
            let (combined, json) = written(&head);
            for line in [combined, json] {
                assert_eq!(line.matches('\n').count(), 1, "{line:?}");
                assert!(!line.trim_end_matches('\n').chars().any(transcript::is_hidden), "{line:?}");
                assert_eq!(line.replace("\\\\", "").replace("\\\"", "").matches('"').count() % 2, 0, "{line:?}");
            }
        }
        let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\nUser-Agent: {}\r\n\r\n", "x".repeat(8000), "y".repeat(9000));
        let (combined, json) = written(long.as_bytes());
        assert!(combined.len() < 2200 && json.len() < 2400);
    }
}
