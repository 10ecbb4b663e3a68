//! The fast paths of a server under the faults: one thread for everybody, with no file, memory or time left.
//! `fast_batches.rs`, `fast_datagrams.rs` and `fast_talk.rs` have what they say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::calls::WakeUps;
use support::greeter::*;
use support::*;

/// A client with the smallest window there is.
fn narrow(server: &Server) -> TcpStream {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 2048).unwrap();
    let address: SocketAddr = server.address().parse().unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let client = TcpStream::from(socket);
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// The numbers of a process's open descriptors.
fn descriptors(pid: u32) -> Vec<u64> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Row 1: really out of open files, as accept(2) says it, since the limit was lowered. Those inside are served,
/// the others wait and come in when there is room, the server rests meanwhile, and says so once a second.
#[test]
fn a_server_without_a_free_descriptor_rests_from_accepting_and_serves_on() {
    let (server, mut wake_ups) = WakeUps::of_server(&[], &["tcp://127.0.0.1:0"], &[]);
    let pid = server.child.id();
    let mut inside: Vec<TcpStream> = (0..20).map(|_| server.welcomed()).collect();
    let limit = |files| {
        let files = Rlimit { current: Some(files), maximum: Some(20_000) };
        prlimit(Pid::from_raw(pid as i32), Resource::Nofile, files).unwrap();
    };
    let open = descriptors(pid);
    let most = open.iter().max().unwrap() + 1;
    limit(most);
    let gaps = most as usize - open.len();
    let mut waiting: Vec<TcpStream> = (0..gaps + 50).map(|_| server.connect()).collect();
    for client in &mut waiting[..gaps] {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
    inside.extend(waiting.drain(..gaps));
    server.log.wait_for("this process has no open file left (ulimit -n); new clients wait");
    let began = Instant::now();
    wake_ups.begin();
    // Two more notices take two seconds and more.
    for count in 2..=3 {
        inside.iter_mut().for_each(|client| greet(client, "Ann"));
        server.log.wait_for_count("no open file left", count);
    }
    wake_ups.assert_few(2 * inside.len());
    let most = began.elapsed().as_secs() as usize + 3;
    assert!(server.log.all().iter().filter(|line| line.contains("no open file left")).count() <= most);
    // As many as leave come in, in their turn.
    drop(inside.drain(..10));
    for client in &mut waiting[..10] {
        assert_eq!(read(client, 9), b"Welcome!\n");
        greet(client, "Ann");
    }
    limit(1000);
    for client in &mut waiting[10..] {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
    inside.iter_mut().chain(&mut waiting).for_each(|client| greet(client, "still here"));
}

/// Processes that hold silent connections until they are dropped.
struct Crowd(Vec<Child>);

impl Crowd {
    fn gather(port: u16, counts: &[u64]) -> Self {
        need("python3");
        let script = "
import resource, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
clients = []
for _ in range(count):
    client = socket.socket()
    client.connect(('127.0.0.1', port))
    clients.append(client)
for client in clients:
    if client.recv(9) != b'Welcome!\\n': sys.exit('not welcomed')
print('ready', flush=True)
sys.stdin.readline()
";
        let start = |count: &u64| {
            let mut command = Command::new("python3");
            command.args(["-c", script, &port.to_string(), &count.to_string()]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        };
        let mut crowd = Self(counts.iter().map(start).collect());
        for child in &mut crowd.0 {
            assert_eq!(line(child.stdout.as_mut().unwrap()), "ready\n");
        }
        crowd
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Row 5: as many silent connections as the limit of open files allows, at most 19,000, each within 8 KiB; a newcomer
/// is answered at once.
#[test]
fn nineteen_thousand_silent_connections_cost_little_and_delay_nobody() {
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let files = format!("--nofile={0}:{0}", hard.min(20_000));
    let server = Server::start_with(&["prlimit", &files], &["tcp://127.0.0.1:0"], &["-q"]);
    drop(server.welcomed());
    let before = server.resident();
    let count = hard.min(20_000).saturating_sub(1000).min(19_000);
    let crowd = Crowd::gather(server.port(), &[count / 2, count - count / 2]);
    let each = (server.resident() - before) as f64 / count as f64;
    assert!(each <= 8.0, "{each} KiB for each of {count}");
    // How long each of these takes is a figure: `bench/run idle` has it.
    for _ in 0..200 {
        greet(&mut server.welcomed(), "Ann");
    }
    // They leave all at once, and no other client notices.
    drop(crowd);
    greet(&mut server.welcomed(), "Ann");
}

/// Row 8: the queue of a client that never reads is bounded, with the smallest window and with batches that end in the
/// middle of a name. (That it is dropped in the end is told by a unit test of the loop, which has a clock of its own.)
#[test]
fn clients_that_pipeline_names_and_never_read_hold_little_and_harm_nobody() {
    let server = Server::start(&["-q"]);
    let mut other = server.welcomed();
    let before = server.resident();
    let mut deaf = Vec::new();
    for name in [&b"\n"[..], b"Ann\n", b"a\r\n", b"Michael\nTra"] {
        for _ in 0..5 {
            let mut client = narrow(&server);
            stuff(&mut client, &name.repeat(100_000 / name.len()), &server);
            deaf.push(client);
        }
        for _ in 0..50 {
            greet(&mut other, "Ann");
        }
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown <= 20 * 256, "{grown} KiB for 20 clients");
}

/// A time limit that passes while the client does not read was due again and again, and no other client had a turn.
#[test]
fn a_time_limit_that_passes_while_a_client_does_not_read_stops_nobody() {
    // The gap of the greeting, behind a name without an ending.
    let server = Server::start(&["-q"]);
    let mut deaf: Vec<TcpStream> = (0..4).map(|_| narrow(&server)).collect();
    for client in &mut deaf {
        stuff(client, b"Ann\nAnn\nAnn\nAnn\nMichael", &server);
    }
    for _ in 0..3 {
        let mut client = server.welcomed();
        // It is answered when as much time has passed again.
        client.write_all(b"Tracy").unwrap();
        assert_eq!(read(&mut client, 13), b"Hello, Tracy!");
    }
    // A pause behind more than a socket holds.
    let much = 400_000;
    let text = format!("S: hi\nC: go\nrepeat {much}\n  S: {}\nend\nS waits 100ms\nS: end\nS closes\n", "y".repeat(99));
    let (server, _folder) = serve(&text, &[]);
    let start = || {
        let mut client = narrow(&server);
        client.write_all(b"go\n").unwrap();
        assert_eq!(line(&mut client), "hi\n");
        client
    };
    let mut deaf = start();
    wait_until_idle(server.child.id());
    let mut reader = server.connect();
    reader.write_all(b"go\n").unwrap();
    let whole = 3 + much * 100 + 4;
    assert_eq!(to_end(&mut reader).len(), whole);
    // It was only slow: it gets everything too.
    deaf.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(to_end(&mut deaf).len(), whole - 3);
}

/// Row 12: a thousand unfinished lines of 60 KB within 512 MiB of address space; each is finished and answered in the end.
#[test]
fn a_thousand_unfinished_lines_fit_into_a_limit_of_memory() {
    let (mut server, _folder) = serve_with(&["prlimit", "--as=536870912"], PATIENT, &["-q"]);
    let mut clients: Vec<TcpStream> = (0..1000).map(|_| server.welcomed()).collect();
    let name = "n".repeat(60_000);
    let answer = format!("Hello, {name}!\n");
    let mut held = Vec::new();
    for _ in 0..2 {
        for client in &mut clients {
            client.write_all(name.as_bytes()).unwrap();
        }
        wait_until_idle(server.child.id());
        greet(&mut server.welcomed(), "Ann");
        held.push(server.resident());
        for client in &mut clients {
            client.write_all(b"\n").unwrap();
            assert!(read(client, answer.len()) == answer.as_bytes());
        }
    }
    assert!(held[0] >= 50_000, "only {} KiB: the lines are not there", held[0]);
    assert!(held[1] <= held[0] + held[0] / 4, "{held:?} KiB");
    assert!(server.child.try_wait().unwrap().is_none());
}

/// Row 13: thousands of clients that each fail, and empty datagrams, leave about one line a second for each cause.
#[test]
fn a_flood_of_failures_leaves_a_line_a_second_for_each_cause() {
    let began = Instant::now();
    let (server, _folder) = serve("C: expected\nS: ok\n", &[]);
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let address = server.address();
            std::thread::spawn(move || {
                for _ in 0..3000 {
                    let mut client = TcpStream::connect(&address).unwrap();
                    client.write_all(b"something else\n").unwrap();
                    assert_eq!(to_end(&mut client), b"");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|clients| clients.join().unwrap());
    let (_, log) = server.stop();
    let seconds = began.elapsed().as_secs() as usize + 2;
    let count = |words: &str| log.iter().filter(|line| line.contains(words)).count();
    let failures = count("error: the client said something else");
    assert!((1..=2 * seconds).contains(&failures), "{failures} in {seconds} s");
    // Openings and closings: a hundred in a second one by one, the others in one line.
    assert!(count("opened #") + count("closed #") <= 100 * seconds);
    assert!(log.len() <= 120 * seconds, "{} lines in {seconds} s", log.len());

    let began = Instant::now();
    let server = Server::start_at(&["udp://127.0.0.1:0"], &[]);
    let client = server.datagrams();
    for _ in 0..20_000 {
        client.send(b"").unwrap();
    }
    client.send(b"Ann").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // The flood may have taken the room of the one that counts.
    let until = Instant::now() + LONG;
    while client.recv(&mut [0; 64]).is_err() {
        assert!(Instant::now() < until);
        client.send(b"Ann").unwrap();
    }
    let (_, log) = server.stop();
    let seconds = began.elapsed().as_secs() as usize + 2;
    let told = log.iter().filter(|line| line.contains("empty datagrams get no answer")).count();
    assert!((1..=2 * seconds).contains(&told), "{told} in {seconds} s");
}
