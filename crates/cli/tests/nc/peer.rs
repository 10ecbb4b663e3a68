//! The other end of a conversation. Each waits for what nc does before it goes on, so that both programs meet the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, shutdown};

use super::side_by_side::{LONG, say};

/// Who is at the port, or at `DIR/sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Nobody,
    /// A server: hears until these bytes came, or with none until the end if `to_end`, then says its own and ends.
    Server {
        until: Option<Vec<u8>>,
        to_end: bool,
        says: Vec<u8>,
        over: Over,
    },
    /// A client that does the same, once a server listens.
    Client {
        until: Option<Vec<u8>>,
        to_end: bool,
        says: Vec<u8>,
        over: Over,
    },
    /// Several clients, one after another.
    Clients(Vec<Vec<u8>>),
    /// Answers each request of a proxy's client: what is heard, then what is said to it.
    Proxy(Vec<(usize, Vec<u8>)>),
    /// A server that hears something and then resets the connection: before that, whether connecting fails is a race.
    Resets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Udp,
    Unix,
    UnixDatagrams,
}

pub(crate) struct Running {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// What the peer heard. nc has ended, so it waits for nothing more.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(|thread| thread.join().unwrap()).unwrap_or_default()
    }
}

impl Peer {
    pub(crate) fn start(&self, port: u16, dir: &Path) -> Running {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let path = dir.join("sock");
        let thread = match self.clone() {
            Self::Nobody => None,
            Self::Server { until, to_end, says, over: Over::Tcp } => {
                let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
                listener.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    let Some(stream) = wait(&over, || listener.accept().ok()) else { return vec![] };
                    converse(&stream.0, until.as_deref(), to_end, &says)
                }))
            }
            Self::Server { until, to_end, says, over: Over::Unix } => {
                let listener = UnixListener::bind(&path).unwrap();
                listener.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    let Some(stream) = wait(&over, || listener.accept().ok()) else { return vec![] };
                    converse(&stream.0, until.as_deref(), to_end, &says)
                }))
            }
            Self::Server { says, over: Over::Udp, .. } => {
                let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
                socket.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    answer_datagrams(&over, |buffer| {
                        let (count, from) = socket.recv_from(buffer).ok()?;
                        if !says.is_empty() {
                            let _ = socket.send_to(&says, from);
                        }
                        Some(count)
                    })
                }))
            }
            Self::Server { says, over: Over::UnixDatagrams, .. } => {
                let socket = UnixDatagram::bind(&path).unwrap();
                socket.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    answer_datagrams(&over, |buffer| {
                        let (count, from) = socket.recv_from(buffer).ok()?;
                        if let (false, Some(from)) = (says.is_empty(), from.as_pathname()) {
                            let _ = socket.send_to(&says, from);
                        }
                        Some(count)
                    })
                }))
            }
            Self::Client { until, to_end, says, over: Over::Tcp } => Some(std::thread::spawn(move || {
                let Some(stream) = wait(&over, || connect(port)) else { return vec![] };
                converse(&stream, until.as_deref(), to_end, &says)
            })),
            Self::Client { until, to_end, says, over: Over::Unix } => Some(std::thread::spawn(move || {
                let Some(stream) = wait(&over, || UnixStream::connect(&path).ok()) else { return vec![] };
                converse(&stream, until.as_deref(), to_end, &says)
            })),
            Self::Client { until, says, over: Over::Udp, .. } => Some(std::thread::spawn(move || {
                if wait(&over, || is_bound(port).then_some(())).is_none() {
                    return vec![];
                }
                let any = if is_in("/proc/net/udp", port) { "127.0.0.1:0" } else { "[::1]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                let to = SocketAddr::new(socket.local_addr().unwrap().ip(), port);
                socket.connect(to).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.send(&says);
                let Some(until) = until else { return vec![] };
                hear_datagrams(&over, &until, |buffer| socket.recv(buffer).ok())
            })),
            Self::Client { says, over: Over::UnixDatagrams, .. } => Some(std::thread::spawn(move || {
                let socket = UnixDatagram::bind(path.with_extension("own")).unwrap();
                let _ = wait(&over, || socket.send_to(&says, &path).ok());
                // It stays: whether it is still there when nc connects to it would be chance.
                let _ = wait(&over, || None::<()>);
                vec![]
            })),
            Self::Clients(clients) => Some(std::thread::spawn(move || {
                for says in clients {
                    let Some(stream) = wait(&over, || connect(port)) else { return vec![] };
                    converse(&stream, None, false, &says);
                }
                vec![]
            })),
            Self::Proxy(steps) => {
                let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
                listener.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    let Some((mut stream, _)) = wait(&over, || listener.accept().ok()) else { return vec![] };
                    stream.set_nonblocking(false).unwrap();
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    let mut heard = Vec::new();
                    for (count, says) in steps {
                        let mut part = vec![0; count];
                        if stream.read_exact(&mut part).is_err() {
                            break;
                        }
                        heard.extend_from_slice(&part);
                        say(&stream, &says);
                    }
                    let _ = shutdown(&stream, Shutdown::Write);
                    let _ = stream.read_to_end(&mut heard);
                    heard
                }))
            }
            Self::Resets => {
                let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
                listener.set_nonblocking(true).unwrap();
                Some(std::thread::spawn(move || {
                    let Some((mut stream, _)) = wait(&over, || listener.accept().ok()) else { return vec![] };
                    stream.set_read_timeout(Some(LONG)).unwrap();
                    let _ = stream.read(&mut [0; 64]);
                    let linger = Some(Duration::ZERO);
                    rustix::net::sockopt::set_socket_linger(&stream, linger).unwrap();
                    vec![]
                }))
            }
        };
        Running { is_over, thread }
    }
}

/// By the family of the server that listens by now: of one that takes both each would come by chance.
fn connect(port: u16) -> Option<TcpStream> {
    let listens = |table: &str| {
        let (port, listen) = (format!(":{port:04X}"), "0A");
        std::fs::read_to_string(table).unwrap_or_default().lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some(listen)
        })
    };
    match listens("/proc/self/net/tcp6") {
        true => TcpStream::connect(("::1", port)).ok(),
        false if listens("/proc/self/net/tcp") => TcpStream::connect(("127.0.0.1", port)).ok(),
        false => None,
    }
}

/// Asks again and again, until it is there or nc has ended.
fn wait<T>(is_over: &AtomicBool, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + LONG;
    loop {
        let has_ended = is_over.load(Ordering::Relaxed);
        if let Some(found) = ask() {
            return Some(found);
        }
        if has_ended || Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a UDP socket has this port.
fn is_bound(port: u16) -> bool {
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|file| is_in(file, port))
}

fn is_in(file: &str, port: u16) -> bool {
    let end = format!(":{port:04X}");
    let table = std::fs::read_to_string(file).unwrap_or_default();
    table.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&end)))
}

/// Over TCP or a Unix socket.
fn converse<S: AsFd>(stream: &S, until: Option<&[u8]>, to_end: bool, says: &[u8]) -> Vec<u8>
where
    for<'a> &'a S: Read + Write,
{
    rustix::io::ioctl_fionbio(stream, false).unwrap();
    set_socket_timeout(stream, Timeout::Recv, Some(LONG)).unwrap();
    let mut heard = hear(stream, until, to_end);
    say(stream, says);
    let _ = shutdown(stream, Shutdown::Write);
    heard.extend(hear(stream, None, true));
    heard
}

fn hear(mut stream: impl Read, until: Option<&[u8]>, to_end: bool) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut part = [0; 4096];
    let is_enough = |heard: &[u8]| match until {
        Some(until) => heard.windows(until.len()).any(|window| window == until),
        None => !to_end,
    };
    while to_end && until.is_none() || !is_enough(&heard) {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(count) => heard.extend_from_slice(&part[..count]),
        }
    }
    heard
}

/// Takes datagrams until nc has ended, and those that are left then.
fn answer_datagrams(is_over: &AtomicBool, mut one: impl FnMut(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; 70_000];
    while let Some(count) = wait(is_over, || one(&mut buffer)) {
        heard.extend_from_slice(&buffer[..count]);
        heard.push(b'|');
    }
    heard
}

fn hear_datagrams(is_over: &AtomicBool, until: &[u8], mut one: impl FnMut(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; 70_000];
    while !heard.windows(until.len()).any(|window| window == until) {
        let Some(count) = wait(is_over, || one(&mut buffer)) else { break };
        heard.extend_from_slice(&buffer[..count]);
    }
    heard
}
