//! A tunnel through a proxy that speaks HTTP (CONNECT; RFC 9110, section 9.3.6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::net::RecvFlags;

use super::{ProxyError, Secret, receive};
use crate::limits;
use crate::net::timed::Timed;

/// Bytes that are looked at at once.
const LOOK: usize = 4096;

/// Asks for a tunnel to a host and port.
pub(super) fn ask(timed: &Timed<'_>, place: &str, login: Option<&Secret>) -> Result<(), ProxyError> {
    let mut request =
        format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: sockeye/{}\r\n", env!("CARGO_PKG_VERSION"));
    if let Some(Secret { user, password }) = login {
        let both = STANDARD.encode([user, &b":"[..], password].concat());
        request.push_str(&format!("Proxy-Authorization: Basic {both}\r\n"));
    }
    request.push_str("\r\n");
    timed.send(request.as_bytes())?;
    loop {
        let head = head(timed)?;
        let (code, status) = status(&head)?;
        match code {
            // Interim answers say nothing yet (RFC 9110, section 15.2).
            100..=199 => {}
            200..=299 => return Ok(()),
            407 if login.is_none() => {
                let takes = offered(&head);
                let hint = "; write user and password into it: --proxy http://USER:PASSWORD@HOST:PORT";
                return Err(ProxyError::Denied(format!("{status}{takes}{hint}")));
            }
            407 => return Err(ProxyError::Denied(format!("{status}{}", offered(&head)))),
            // It could not reach the destination (RFC 9110, section 15.6).
            500 | 502..=504 => return Err(ProxyError::Unreachable(status)),
            _ => return Err(ProxyError::Denied(status)),
        }
    }
}

/// Takes a head off the socket, and nothing behind it.
fn head(timed: &Timed<'_>) -> Result<Vec<u8>, ProxyError> {
    let mut head = Vec::new();
    let mut there = [0_u8; LOOK];
    loop {
        let seen = receive(timed, &mut there, RecvFlags::PEEK)?;
        let before = head.len();
        head.extend_from_slice(&there[..seen]);
        let start = b"HTTP/1.";
        let shorter = head.len().min(start.len());
        if !head[..shorter].eq_ignore_ascii_case(&start[..shorter]) {
            return Err(ProxyError::Strange("something that is not HTTP/1".to_owned()));
        }
        let end = end_of_head(&head, before);
        let ours = end.unwrap_or(head.len()) - before;
        head.truncate(before + ours);
        // What was seen is there: taking it cannot give less, and never more.
        let mut taken = 0;
        while taken < ours {
            taken += receive(timed, &mut there[..ours - taken], RecvFlags::empty())?;
        }
        if end.is_some() {
            return Ok(head);
        }
        if head.len() > limits::HEAD {
            return Err(ProxyError::Strange(format!("a head of more than {} KiB", limits::HEAD / 1024)));
        }
    }
}

/// Where a head ends that had no end in its first bytes; lines may end without a CR (RFC 9112, section 2.2).
fn end_of_head(head: &[u8], looked_at: usize) -> Option<usize> {
    let from = looked_at.saturating_sub(3);
    let ends = |at: &usize| {
        let rest = &head[*at..];
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")
    };
    let at = (from..head.len()).find(ends)?;
    Some(at + if head[at..].starts_with(b"\n\n") { 2 } else { 3 })
}

/// The status of an answer, and its line behind the version.
fn status(head: &[u8]) -> Result<(u16, String), ProxyError> {
    let strange = || ProxyError::Strange("something that is not HTTP/1".to_owned());
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
    let (_, status) = line.split_once(' ').ok_or_else(strange)?;
    let digits = status.trim_start().split(' ').next().unwrap_or_default();
    let is_code = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let code = digits.parse().ok().filter(|_| is_code).ok_or_else(strange)?;
    Ok((code, status.trim().chars().take(200).collect()))
}

/// How the proxy wants to be told who asks.
fn offered(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let schemes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|(_, value)| value.split_whitespace().next())
        .take(8)
        .collect();
    if schemes.is_empty() { String::new() } else { format!("; it takes {}", schemes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_its_empty_line_does_however_it_came() {
        for (head, length) in [
            (&b"HTTP/1.1 200\r\n\r\nmore"[..], 16),
            (b"HTTP/1.1 200\n\nmore", 14),
            (b"HTTP/1.1 200\r\nA: b\n\r\n\r\n", 21),
        ] {
            for looked_at in 0..length {
                assert_eq!(end_of_head(head, looked_at), Some(length), "{looked_at}");
            }
            assert_eq!(end_of_head(&head[..length - 1], 0), None);
        }
    }

    #[test]
    fn a_status_is_three_digits() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n\r\n").unwrap(), (200, "200 OK".to_owned()));
        assert_eq!(status(b"HTTP/1.0 403\n\n").unwrap(), (403, "403".to_owned()));
        for line in [&b"HTTP/1.1\r\n\r\n"[..], b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 2000 x\n\n", b"HTTP/1.1 +20\n\n"] {
            assert!(status(line).is_err());
        }
        let head = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=x\r\nproxy-authenticate: Basic\r\n\r\n";
        assert_eq!(offered(head), "; it takes Digest, Basic");
    }
}
