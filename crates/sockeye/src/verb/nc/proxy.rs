//! `-x`: through a proxy, SOCKS 4, SOCKS 5 (RFC 1928) or HTTP CONNECT.

use std::ffi::CStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::join::{read_exact, write_all};
use super::options::{Family, Proxy, ProxyProtocol};
use super::{Fatal, Nc};
use crate::sys::bsd::names::{self, Hints};
use crate::sys::bsd::password;
use crate::sys::bsd::socket::{self, Fd};

/// How often a proxy that asks for a password is tried.
const TRIES: u32 = 4;
/// Longest line of a request or an answer.
const LONGEST: usize = 1024;
/// Most fields of an answer.
const FIELDS: usize = 64;
const CONNECT: u8 = 1;
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

impl Nc<'_> {
    /// A connection to the host that the proxy made; `None` if there is none to the proxy.
    pub(super) fn connect_through(&mut self, proxy: &Proxy, host: &CStr, port: u16) -> Result<Option<Fd>, Fatal> {
        let standard = if proxy.protocol == ProxyProtocol::Connect { c"3128" } else { c"1080" };
        let proxy_port = proxy.port.as_deref().unwrap_or(standard);
        let hints = Hints {
            flags: if self.options.numeric { libc::AI_NUMERICHOST } else { 0 },
            family: self.options.family.map_or(libc::AF_UNSPEC, Family::number),
            kind: libc::SOCK_STREAM,
            protocol: libc::IPPROTO_TCP,
        };
        for attempt in 0..TRIES {
            let Some((fd, _)) = self.connect(&proxy.host, proxy_port, hints, false)? else { return Ok(None) };
            match proxy.protocol {
                ProxyProtocol::Socks5 => ask_socks5(fd, host, port)?,
                ProxyProtocol::Socks4 => ask_socks4(fd, host, port)?,
                ProxyProtocol::Connect => {
                    if !self.ask_http(fd, proxy, host, port, attempt)? {
                        socket::close(fd);
                        continue;
                    }
                }
            }
            return Ok(Some(fd));
        }
        Err(Fatal::plain("Too many authentication failures"))
    }

    /// Whether the proxy made the connection; if not, it asks who we are.
    fn ask_http(&mut self, fd: Fd, proxy: &Proxy, host: &CStr, port: u16, attempt: u32) -> Result<bool, Fatal> {
        let name = host.to_bytes();
        if name.iter().any(|byte| b"\r\n\t []".contains(byte)) {
            return Err(Fatal::plain("Invalid hostname"));
        }
        let mut request = b"CONNECT ".to_vec();
        if name.contains(&b':') {
            request.extend_from_slice(&[b"[", name, b"]"].concat());
        } else {
            request.extend_from_slice(name);
        }
        request.extend_from_slice(format!(":{port} HTTP/1.0\r\n").as_bytes());
        if request.len() >= LONGEST {
            return Err(Fatal::plain("hostname too long"));
        }
        send(fd, &request)?;
        if let (1.., Some(user)) = (attempt, &proxy.user) {
            send(fd, &authorization(user, &proxy.host)?)?;
        }
        send(fd, b"\r\n")?;
        let status = read_line(fd)?;
        let is = |code: &str| {
            // nc looks at no byte behind the code.
            [format!("HTTP/1.0 {code}"), format!("HTTP/1.1 {code}")]
                .iter()
                .any(|start| status.starts_with(start.as_bytes()))
        };
        if proxy.user.is_some() && is("407") {
            if attempt > 0 {
                self.line(b"Proxy authentication failed".to_vec());
            }
            return Ok(false);
        }
        if !is("200") {
            return Err(Fatal([b"Proxy error: \"", &status[..], b"\""].concat()));
        }
        for _ in 0..FIELDS {
            if read_line(fd)?.is_empty() {
                return Ok(true);
            }
        }
        Err(Fatal::plain("Too many proxy headers received"))
    }
}

fn authorization(user: &CStr, host: &CStr) -> Result<Vec<u8>, Fatal> {
    let prompt = [b"Proxy password for ", user.to_bytes(), b"@", host.to_bytes(), b": "].concat();
    let Some(password) = password::ask(&prompt, 255) else {
        return Err(Fatal::plain("Unable to read proxy passphrase"));
    };
    let pair = [user.to_bytes(), b":", &password].concat();
    let packed = STANDARD.encode(&pair);
    if pair.len() >= LONGEST || packed.len() >= LONGEST {
        return Err(Fatal::plain("Proxy username/password too long"));
    }
    let field = format!("Proxy-Authorization: Basic {packed}\r\n");
    if field.len() >= LONGEST {
        return Err(Fatal::plain("Proxy auth response too long"));
    }
    Ok(field.into_bytes())
}

fn ask_socks5(fd: Fd, host: &CStr, port: u16) -> Result<(), Fatal> {
    let numeric = Hints { flags: libc::AI_NUMERICHOST, kind: libc::SOCK_STREAM, ..Hints::default() };
    let address = names::look_up(Some(host), None, numeric).ok().and_then(|found| found.first().copied());
    // Version 5, and one way to say who we are: not at all.
    send(fd, &[5, 1, 0])?;
    let mut answer = [0_u8; 22];
    // What nc says it wanted is what it had sent.
    receive(fd, &mut answer[..2], 3)?;
    if answer[1] == 0xff {
        return Err(Fatal::plain("authentication method negotiation failed"));
    }
    let mut request = vec![5, CONNECT, 0];
    match address {
        Some(found) => {
            let ip = found.address.ip();
            request.push(if ip.len() == 4 { V4 } else { V6 });
            request.extend_from_slice(&ip);
        }
        None => {
            let name = host.to_bytes();
            let length = u8::try_from(name.len()).map_err(|_| Fatal::plain("host name too long for SOCKS5"))?;
            request.extend_from_slice(&[NAME, length]);
            request.extend_from_slice(name);
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    send(fd, &request)?;
    receive(fd, &mut answer[..4], 4)?;
    if answer[1] != 0 {
        let why = match answer[1] {
            1 => "General SOCKS server failure",
            2 => "Connection not allowed by ruleset",
            3 => "Network unreachable",
            4 => "Host unreachable",
            5 => "Connection refused",
            6 => "TTL expired",
            7 => "Command not supported",
            8 => "Address type not supported",
            _ => "Unknown error",
        };
        return Err(Fatal::plain(format!("connection failed, SOCKSv5 error: {why}")));
    }
    match answer[3] {
        V4 => receive(fd, &mut answer[4..10], 6),
        V6 => receive(fd, &mut answer[4..22], 18),
        _ => Err(Fatal::plain("connection failed, unsupported address type")),
    }
}

fn ask_socks4(fd: Fd, host: &CStr, port: u16) -> Result<(), Fatal> {
    let hints = Hints { family: libc::AF_INET, kind: libc::SOCK_STREAM, ..Hints::default() };
    let text = port.to_string();
    let found = names::look_up(Some(host), Some(&names::text(&text[..])), hints).map_err(|why| {
        let name = host.to_bytes();
        let shown = &name[..name.len().min(64)];
        Fatal([b"getaddrinfo(\"", shown, format!("\", \"{text}\"): {why}").as_bytes()].concat())
    })?;
    let ip = found.first().map(|found| found.address.ip()).unwrap_or_default();
    let request = [&[4, CONNECT][..], &port.to_be_bytes(), &ip, &[0]].concat();
    send(fd, &request)?;
    let mut answer = [0_u8; 8];
    receive(fd, &mut answer, 8)?;
    let why = match answer[1] {
        90 => return Ok(()),
        91 => "Request rejected or failed",
        92 => "SOCKS server cannot connect to identd on the client",
        93 => "Client program and identd report different user-ids",
        _ => "Unknown error",
    };
    Err(Fatal::plain(format!("connection failed, SOCKSv4 error: {why}")))
}

fn send(fd: Fd, bytes: &[u8]) -> Result<(), Fatal> {
    write_all(fd, bytes)
        .map_err(|failed| Fatal::at(format!("write failed ({}/{})", failed.count, bytes.len()), &failed.error))
}

fn receive(fd: Fd, into: &mut [u8], said: usize) -> Result<(), Fatal> {
    read_exact(fd, into).map_err(|failed| Fatal::at(format!("read failed ({}/{said})", failed.count), &failed.error))
}

/// A line byte by byte, for what stands behind the head is the host's. Carriage returns are left out.
fn read_line(fd: Fd) -> Result<Vec<u8>, Fatal> {
    let mut line = Vec::new();
    while line.len() < LONGEST {
        let mut byte = [0_u8];
        read_exact(fd, &mut byte).map_err(|failed| Fatal::at("proxy read", &failed.error))?;
        match byte[0] {
            b'\r' => {}
            b'\n' => {
                // A text of C ends at its first zero byte.
                let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
                line.truncate(end);
                return Ok(line);
            }
            byte => line.push(byte),
        }
    }
    Err(Fatal::plain("proxy read too long"))
}
