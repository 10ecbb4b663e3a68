//! What the tests share: the real program, started and talked to from outside.
//!
//! How a test waits. The machine may be busy, or slow, or fast: no test may notice.
//! - Wait for an event: a line of the log ([`Log::wait_for`]), bytes ([`line`], [`to_end`]), a file, the end of a process
//!   ([`wait`]), all threads asleep ([`wait_until_idle`]), or what can only be asked again and again ([`until`]). Each has
//!   [`LONG`] for a bound, which only a failure reaches.
//! - "Nothing comes" is no matter of time. Have something come that stands behind it: the answer to a later datagram
//!   ([`Server::heard_all`]), the end of the stream, a line of the log, the server asleep. Then look without waiting.
//! - "It rests" and "it is cheap" are counts: wake-ups and system calls ([`calls`]), bytes, memory. Figures in seconds
//!   stand in `bench/`.
//! - A sleep may be what the program is tried with (a peer that is slow), and never how a test learns that something is done.
//! - A short time limit of the program that is to pass while something else is to be in time: [`with_enough_time`].
//! - A port is 0, a folder is temporary, and no test needs another one.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod browser;
pub mod calls;
pub mod files;
pub mod greeter;
pub mod http2;
pub mod load;
pub mod packages;
pub mod peers;
pub mod played;
pub mod runs;
pub mod socks;
pub mod web;

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes unless it hangs.
pub const LONG: Duration = Duration::from_secs(180);

pub const BINARY: &str = env!("CARGO_BIN_EXE_sockeye");

pub fn transcript(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../transcripts").join(name)
}

/// Writes a file, and gives its path.
pub fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// A command that runs our program, perhaps through others: `["prlimit", "--nofile=64:64"]`.
pub fn command(wrapper: &[&str]) -> Command {
    match wrapper {
        [] => Command::new(BINARY),
        [first, rest @ ..] => {
            need(first);
            let mut command = Command::new(first);
            command.args(rest).arg(BINARY);
            command
        }
    }
}

/// Fails, and says how to get a missing program: which package it comes in stands in one table, xtask's.
pub fn need(program: &str) {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists()));
    assert!(found, "this test needs {program}: `cargo xtask test` gets it, or says how");
}

/// Runs our program to its end with this standard input.
pub fn run<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Output {
    run_command(command(&[]).args(arguments), input)
}

pub fn run_command(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may end without reading all of it.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

#[track_caller]
pub fn assert_code(output: &Output, expected: i32) {
    assert_eq!(code(output), expected, "stdout: {}\nstderr: {}", text(&output.stdout), text(&output.stderr));
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines that a process wrote, as they come.
#[derive(Clone, Default)]
pub struct Log {
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
    /// Streams that have not ended yet.
    open: Arc<Mutex<usize>>,
}

impl Log {
    pub fn follow(&self, stream: impl Read + Send + 'static) {
        let log = self.clone();
        *log.open.lock().unwrap() += 1;
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                log.lines.0.lock().unwrap().push(text(&line));
                log.lines.1.notify_all();
            }
            *log.open.lock().unwrap() -= 1;
            log.lines.1.notify_all();
        });
    }

    /// Every line of a process that has ended.
    #[track_caller]
    pub fn to_end(&self) -> Vec<String> {
        let until = Instant::now() + LONG;
        let mut lines = self.lines.0.lock().unwrap();
        while *self.open.lock().unwrap() > 0 {
            assert!(Instant::now() < until, "the log does not end: {lines:#?}");
            lines = self.lines.1.wait_timeout(lines, Duration::from_millis(20)).unwrap().0;
        }
        lines.clone()
    }

    /// The fingerprint of the certificate that was made for a run.
    #[track_caller]
    pub fn pin(&self) -> String {
        let line = self.wait_for("TLS with a certificate made for this run: --pin sha256:");
        line.rsplit(' ').next().unwrap().to_owned()
    }

    pub fn all(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().clone()
    }

    /// Waits for a line that has these words; it may have come already.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> String {
        self.wait_for_count(words, 1).pop().unwrap()
    }

    /// Waits until so many lines have these words.
    #[track_caller]
    pub fn wait_for_count(&self, words: &str, count: usize) -> Vec<String> {
        let until = Instant::now() + LONG;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            let found: Vec<String> = lines.iter().filter(|line| line.contains(words)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            assert!(Instant::now() < until, "no {count} lines with `{words}` in {lines:#?}");
            lines = self.lines.1.wait_timeout(lines, Duration::from_millis(200)).unwrap().0;
        }
    }
}

/// How many threads serve, where a test does not say so itself: the same tests are to hold with any number of them.
fn threads(arguments: &[&str]) -> Vec<String> {
    match std::env::var("SOCKEYE_TEST_THREADS") {
        Ok(threads) if !arguments.contains(&"--threads") => vec!["--threads".to_owned(), threads],
        _ => vec![],
    }
}

/// A running `sockeye serve`, ended with the test.
pub struct Server {
    pub child: Child,
    pub ports: Vec<u16>,
    pub log: Log,
    folder: tempfile::TempDir,
}

impl Server {
    /// Serves on free ports of 127.0.0.1 over TCP and UDP.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(&["127.0.0.1:0"], arguments)
    }

    pub fn start_at(addresses: &[&str], arguments: &[&str]) -> Self {
        Self::start_with(&[], addresses, arguments)
    }

    pub fn start_with(wrapper: &[&str], addresses: &[&str], arguments: &[&str]) -> Self {
        Self::start_verb("serve", wrapper, addresses, arguments)
    }

    /// Relays from a free port of 127.0.0.1, or wherever the first address says.
    pub fn relay(addresses: &[&str], arguments: &[&str]) -> Self {
        Self::start_verb("relay", &[], addresses, arguments)
    }

    pub fn start_verb(verb: &str, wrapper: &[&str], addresses: &[&str], arguments: &[&str]) -> Self {
        Self::start_over(Stdio::null(), verb, wrapper, addresses, arguments)
    }

    /// The same with something else than nothing for its standard input.
    pub fn start_over(
        stdin: impl Into<Stdio>,
        verb: &str,
        wrapper: &[&str],
        addresses: &[&str],
        arguments: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port_file = folder.path().join("ports");
        let mut child = command(wrapper)
            .arg(verb)
            .args(addresses)
            .args(arguments)
            .args(threads(arguments))
            .arg("--port-file")
            .arg(&port_file)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own, so that what a wrapper such as strace started ends with it.
            .process_group(0)
            .spawn()
            .expect("it starts");
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        let ports = wait_for_ports(&port_file, &mut child, &log);
        Self { child, ports, log, folder }
    }

    /// One that was started otherwise, and is ended with the test too.
    pub fn started(child: Child, port: u16, log: Log) -> Self {
        Self { child, ports: vec![port], log, folder: tempfile::tempdir().unwrap() }
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).expect("the server accepts");
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// A client that was greeted.
    pub fn welcomed(&self) -> TcpStream {
        let mut stream = self.connect();
        assert_eq!(read(&mut stream, 9), b"Welcome!\n");
        stream
    }

    pub fn datagrams(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port())).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket
    }

    /// Every datagram that came before this is handled, and answered if it ever is: one behind them was.
    pub fn heard_all(&self) {
        let sentinel = self.datagrams();
        sentinel.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // A full queue may have no room for it at first. Each says something else, so that it is no echo of an answer.
        let mut count = 0;
        until("an answer to the last datagram", || {
            count += 1;
            sentinel.send(format!("sentinel {count}").as_bytes()).unwrap();
            sentinel.recv(&mut [0; 64]).is_ok()
        });
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks it to stop, and waits until it takes no new connections.
    pub fn begin_to_stop(&self, name: &str) {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let ours = format!(":{:04X}", self.port());
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        // proc(5): the second is our end, the fourth is the state (10: it listens), the tenth the inode.
        let row = rows.into_iter().find(|row| row[1].ends_with(&ours) && row[3] == "0A").unwrap();
        let socket = format!("socket:[{}]", row[9]);
        let folder = format!("/proc/{}/fd", self.child.id());
        let listens = || {
            let mut files = std::fs::read_dir(&folder).unwrap();
            files.any(|file| std::fs::read_link(file.unwrap().path()).is_ok_and(|to| to == Path::new(&socket)))
        };
        assert!(listens());
        self.signal(name);
        until("the end of listening", || !listens());
    }

    /// Asks it to stop and waits; the exit code and the log.
    pub fn stop(mut self) -> (i32, Vec<String>) {
        self.signal("INT");
        let status = wait(&mut self.child);
        (status, self.log.to_end())
    }

    pub fn wait(&mut self) -> i32 {
        wait(&mut self.child)
    }

    /// Memory that is its own, in KiB.
    pub fn resident(&self) -> u64 {
        resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_ports(path: &Path, child: &mut Child, log: &Log) -> Vec<u16> {
    let until = Instant::now() + LONG;
    loop {
        if let Ok(found) = std::fs::read_to_string(path) {
            return found.lines().map(|line| line.parse().unwrap()).collect();
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it ended with {status}: {:#?}", log.all());
        }
        assert!(Instant::now() < until, "no port file: {:#?}", log.all());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The exit code, -1 if a signal ended it.
pub fn wait(child: &mut Child) -> i32 {
    let until = Instant::now() + LONG;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        assert!(Instant::now() < until, "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn signal(pid: u32, name: &str) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let signal = match name {
        "INT" => rustix::process::Signal::INT,
        "TERM" => rustix::process::Signal::TERM,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        "PIPE" => rustix::process::Signal::PIPE,
        "WINCH" => rustix::process::Signal::WINCH,
        "HUP" => rustix::process::Signal::HUP,
        other => panic!("which signal is {other}?"),
    };
    let _ = rustix::process::kill_process(pid, signal);
}

pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many files a process has open.
pub fn files_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Waits until every thread of a process sleeps: what it has sent and received is then also counted.
pub fn wait_until_idle(pid: u32) {
    let until = Instant::now() + LONG;
    let sleeps = |thread: PathBuf| {
        // A thread that has just ended has no state any more.
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    };
    while !std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|thread| sleeps(thread.unwrap().path())) {
        assert!(Instant::now() < until, "it is never idle");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the main thread of a process sleeps until something comes, however long that takes: in a poll(2) without a
/// time limit. A program that would give up by itself never does.
pub fn wait_until_at_rest(pid: u32) {
    // proc(5): the number of the system call, then its arguments. The third of ppoll(2) is where its time limit stands.
    let ppoll = if cfg!(target_arch = "x86_64") { "271" } else { "73" };
    until("a poll without a time limit", || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
        let words: Vec<&str> = call.split(' ').collect();
        words.len() > 3 && words[0] == ppoll && words[3] == "0x0"
    });
}

/// Tries what needs a bound on time to show itself with bounds so many times as long, until it does: that a machine is busy
/// fails no test. What goes wrong whatever the time is to be asserted inside.
#[track_caller]
pub fn with_enough_time(mut attempt: impl FnMut(u32) -> Result<(), String>) {
    let mut why = String::new();
    for times in [1, 4, 16] {
        match attempt(times) {
            Ok(()) => return,
            Err(failed) => why = failed,
        }
    }
    panic!("{why}");
}

/// Waits for what no event tells, such as the length of a file.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How a client asks for a WebSocket (RFC 6455, section 4.1).
pub const ASKS: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Whether a program takes connections at a Unix socket: its file is there before it does (proc(5), `SO_ACCEPTCON`).
pub fn listens_at(path: &Path) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    let ending = format!(" {}", path.display());
    sockets.lines().any(|line| line.ends_with(&ending) && line.split_whitespace().nth(3) == Some("00010000"))
}

/// Nothing has come, and no end: the caller knows that it would have.
#[track_caller]
pub fn assert_silent(stream: &TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let silent = stream.peek(&mut [0]).expect_err("nothing comes");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
}

/// The same for datagrams.
#[track_caller]
pub fn assert_no_datagram(socket: &UdpSocket) {
    socket.set_nonblocking(true).unwrap();
    let silent = socket.peek(&mut [0; 1]).expect_err("no datagram comes");
    assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
}

/// Sends these bytes over and over until the server takes no more, and sleeps; how many it took.
pub fn stuff(client: &mut TcpStream, bytes: &[u8], server: &Server) -> usize {
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        let before = sent;
        loop {
            match client.write(&bytes[sent % bytes.len()..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        if sent == before {
            client.set_nonblocking(false).unwrap();
            return sent;
        }
        wait_until_idle(server.child.id());
    }
}

/// Exactly so many bytes.
pub fn read(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("they come");
    bytes
}

/// What one `recv(1024)` of a simple program gives.
pub fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    let length = stream.read(&mut bytes).expect("something comes");
    bytes.truncate(length);
    bytes
}

/// One line with its ending.
pub fn line(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\n") {
        bytes.extend(read(stream, 1));
    }
    text(&bytes)
}

/// A head of HTTP, to the empty line behind it.
pub fn head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.extend(read(stream, 1));
    }
    text(&bytes)
}

pub fn to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a clean end");
    bytes
}

/// Either end of a stream, over TCP or a Unix socket.
pub trait Stream: Read + Write + Send {
    fn twin(&self) -> Self
    where
        Self: Sized;
    fn stop_sending(&self);
}

impl Stream for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn stop_sending(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl Stream for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn stop_sending(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// A client from one of the many addresses of the loopback.
pub fn connect_from(host: [u8; 4], port: u16) -> TcpStream {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((host, 0))).unwrap();
    rustix::net::connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// An address where no socket listens, and which no other program gets as long as this is held.
pub struct Closed {
    socket: rustix::fd::OwnedFd,
    pub address: SocketAddr,
}

impl Closed {
    /// Bound, and not listening: a client is refused.
    pub fn tcp() -> Self {
        Self::bound(rustix::net::SocketType::STREAM)
    }

    /// Bound, and connected to another address: any other sender is told that the port is closed.
    pub fn udp() -> Self {
        let closed = Self::bound(rustix::net::SocketType::DGRAM);
        rustix::net::connect(&closed.socket, &SocketAddr::from(([127, 0, 0, 1], 1))).unwrap();
        closed
    }

    fn bound(kind: rustix::net::SocketType) -> Self {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(rustix::net::AddressFamily::INET, kind, flags, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
        Self { socket, address }
    }

    /// Now a socket does.
    pub fn listen(self) -> TcpListener {
        rustix::net::listen(&self.socket, 16).unwrap();
        self.socket.into()
    }

    /// The same over datagrams.
    pub fn answer(self) -> std::net::UdpSocket {
        // It forgets its port with its peer.
        rustix::net::connect_unspec(&self.socket).unwrap();
        rustix::net::bind(&self.socket, &self.address).unwrap();
        self.socket.into()
    }
}

/// A port that is free now, over TCP and UDP, and that the system gives to no socket that asks for any (ip(7),
/// `ip_local_port_range`): so it is still free when a program binds it later, whatever else runs here.
pub fn free_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let first: u64 = range.split_whitespace().next().unwrap().parse().unwrap();
    let random = RandomState::new();
    for attempt in 0..10_000 {
        let port = (10_000 + random.hash_one(attempt) % first.saturating_sub(10_000).max(1)) as u16;
        let stream = TcpListener::bind(("127.0.0.1", port));
        if stream.is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port below {first} is free");
}

/// Whether the peer of a connection has ended, which has not (proc(5): its state is 8, CLOSE_WAIT): one from this port (1), or one
/// to it (2).
pub fn has_ended(column: usize, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        columns[column].ends_with(&format!(":{port:04X}")) && columns[3] == "08"
    })
}

/// The next client of a listener.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// One thread that serves one connection, and what it returns.
pub fn serve_one<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        serve(stream)
    });
    (address, thread)
}

/// A running `sockeye talk` whose standard input stays open.
pub struct Talk {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub log: Log,
}

impl Talk {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = command(&[])
            .arg("talk")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { child, stdin, log }
    }

    pub fn finish(mut self) -> (i32, Vec<u8>) {
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        (wait(&mut self.child), stdout)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `talk --listen`, its port, which is 0 if it has none, and what it says.
pub fn listening(address: &str, stdin: impl Into<Stdio>, more: &[&str]) -> (Child, u16, Log) {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let mut child = command(&[])
        .args(["talk", "--listen", address, "--port-file"])
        .arg(&port_file)
        .args(more)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::default();
    log.follow(child.stderr.take().unwrap());
    log.wait_for("listening");
    let port = std::fs::read_to_string(port_file).unwrap().trim().parse().unwrap_or_default();
    (child, port, log)
}

/// Whether an anonymous namespace can be made: some machines forbid it, and the test says so.
pub fn in_namespace(script: &str) -> Output {
    need("unshare");
    need("ip");
    let mut command = Command::new("unshare");
    command.args(["-rnm", "sh", "-euc", &format!("ip link set lo up\n{script}"), "sh", BINARY]);
    run_command(&mut command, b"")
}
