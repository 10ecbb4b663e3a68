//! Datagrams in floods and in trains: none is lost in silence, and each is answered by itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::UdpSocket;
use std::process::Command;

use support::*;

/// A `talk` that waits for datagrams, and its port.
fn listening() -> (Talk, u16) {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("port");
    let talk = Talk::start(&["--listen", "udp://127.0.0.1:0", "--port-file", port_file.to_str().unwrap()]);
    talk.log.wait_for("listening on");
    (talk, std::fs::read_to_string(&port_file).unwrap().trim().parse().unwrap())
}

/// The kernel's row for a UDP port (proc(5), `/proc/net/udp`).
fn row(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let ours = format!(":{port:04X}");
    let mut rows = table.lines().map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    rows.find(|row| row[1].ends_with(&ours)).unwrap()
}

/// What the kernel counts as dropped at a UDP port.
fn kernel_drops(port: u16) -> u64 {
    row(port).last().unwrap().parse().unwrap()
}

/// Bytes that wait at a UDP port: hexadecimal behind the colon of `tx_queue:rx_queue`.
fn queued(port: u16) -> u64 {
    u64::from_str_radix(row(port)[4].split_once(':').unwrap().1, 16).unwrap()
}

/// Fills the queue of a process that is stopped until much was dropped, and lets it go on; how many were.
fn overrun(pid: u32, port: u16) -> u64 {
    signal(pid, "STOP");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    flood(&client, port);
    signal(pid, "CONT");
    kernel_drops(port)
}

fn flood(client: &UdpSocket, port: u16) {
    let before = kernel_drops(port);
    until("a drop", || {
        for _ in 0..50 {
            client.send(&[b'x'; 50_000]).unwrap();
        }
        kernel_drops(port) >= before + 100
    });
}

/// A flood that overruns the queue is told with the kernel's own count.
#[test]
fn datagrams_that_the_kernel_dropped_are_told_with_its_count() {
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--discard", "--json"]);
    let told = |log: &[String]| -> u64 {
        let events = log.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let drops = events.filter(|event| event["event"] == "dropped");
        drops
            .inspect(|event| assert!(event["error"].as_str().unwrap().contains("the queue was full"), "{event}"))
            .map(|event| event["count"].as_u64().unwrap())
            .sum()
    };
    let first = overrun(server.child.id(), server.port());
    server.log.wait_for("the kernel dropped datagrams");
    let second = overrun(server.child.id(), server.port());
    assert!(second > first);
    let (code, log) = server.stop();
    assert_eq!((code, told(&log)), (0, second));

    let (mut talk, port) = listening();
    let mut stdout = talk.child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || to_end(&mut stdout).len());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(("127.0.0.1", port)).unwrap();
    client.send(b"hello").unwrap();
    talk.log.wait_for("opened #1");
    let pid = talk.child.id();
    signal(pid, "STOP");
    flood(&client, port);
    let dropped = kernel_drops(port);
    signal(pid, "CONT");
    // What waited was read, and so was the count.
    until("an empty queue", || queued(port) == 0);
    wait_until_idle(pid);
    signal(pid, "INT");
    let line = talk.log.wait_for("interrupted; ");
    assert!(line.contains(&format!("{dropped} datagrams were dropped: the kernel's queue was full")), "{line}");
    assert_eq!(wait(&mut talk.child), 130);
    assert!(reader.join().unwrap() > 50_000);
}

/// Datagrams that were sent as one (udp(7), `UDP_SEGMENT`) are answered one by one, and are a line each in `talk`.
/// Nothing is waited for between its plays, and its time goes on all the same.
#[test]
fn a_flood_of_plays_ends_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "flood.talk", "C: x\n");
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", sink.local_addr().unwrap());
    let output = run(&["load", &address, "--play", &path, "--connections", "1", "--duration", "2s"], b"");
    assert_code(&output, 0);
    drop(sink);
}

#[test]
fn datagrams_sent_as_one_are_answered_one_by_one() {
    need("python3");
    let script = "
import socket, sys
port, names = int(sys.argv[1]), ['client %02d' % n for n in range(60)]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect(('127.0.0.1', port))
SOL_UDP, UDP_SEGMENT = 17, 103
s.setsockopt(SOL_UDP, UDP_SEGMENT, 9)
# The last one may be shorter than the others.
s.send(''.join(names).encode() + b'last')
if len(sys.argv) > 2:
    sys.exit()
for name in names + ['last']:
    answer = s.recv(2048).decode()
    if answer != 'Hello, %s!' % name: sys.exit('%r for %r' % (answer, name))
# The answer to what is asked behind them is the next one.
s.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
s.send(b'behind')
answer = s.recv(2048).decode()
if answer != 'Hello, behind!': sys.exit('one more: %r' % answer)
";
    let send = |port: u16, more: &[&str]| {
        let output = Command::new("python3").args(["-c", script, &port.to_string()]).args(more).output().unwrap();
        assert_code(&output, 0);
    };
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--json"]);
    for _ in 0..5 {
        send(server.port(), &[]);
    }
    server.log.wait_for_count("\"closed\"", 5 * 62);

    let (mut talk, port) = listening();
    send(port, &["and leave"]);
    let stdout = talk.child.stdout.as_mut().unwrap();
    for number in 0..60 {
        assert_eq!(line(stdout), format!("client {number:02}\n"));
    }
    assert_eq!(line(stdout), "last\n");
}
