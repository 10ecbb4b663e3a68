//! The fast paths of a server: batches answered in one loop, many datagrams a call, one thread for everybody. They say
//! what the slow ones would, and hold up under the faults. `fast_talk.rs` has those of `talk`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::*;

/// The greeting without its gap: an unfinished line waits, however slow the machine is.
const PATIENT: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

fn serve(text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    serve_with(&[], text, arguments)
}

fn serve_with(wrapper: &[&str], text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fast.talk");
    std::fs::write(&path, text).unwrap();
    let all = [&["--play", path.to_str().unwrap()], arguments].concat();
    (Server::start_with(wrapper, &["tcp://127.0.0.1:0"], &all), folder)
}

fn greet(client: &mut TcpStream, name: &str) {
    // In one write: the second of two would wait for the first one's acknowledgement.
    client.write_all(format!("{name}\n").as_bytes()).unwrap();
    assert_eq!(line(client), format!("Hello, {name}!\n"));
}

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

/// Sends these bytes over and over until the server takes no more, and sleeps; how many it took.
fn stuff(client: &mut TcpStream, bytes: &[u8], server: &Server) -> usize {
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        let before = sent;
        loop {
            match client.write(&bytes[sent % bytes.len()..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
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

/// The numbers of a process's open descriptors.
fn descriptors(pid: u32) -> Vec<u64> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Row 1: really out of open files, as accept(2) says it, since somebody lowered the limit. Those inside are served,
/// the others wait and come in when there is room, the server rests meanwhile, and says so once a second.
#[test]
fn a_server_without_a_free_descriptor_rests_from_accepting_and_serves_on() {
    let server = Server::start(&[]);
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
    let (began, before) = (Instant::now(), cpu(pid));
    // Three more notices take three seconds and more.
    for count in 2..=4 {
        inside.iter_mut().for_each(|client| greet(client, "Ann"));
        server.log.wait_for_count("no open file left", count);
    }
    let (time, used) = (began.elapsed().as_secs_f64(), cpu(pid) - before);
    assert!(used <= 0.1 * time, "{used} s of CPU in {time} s");
    assert!(server.log.all().iter().filter(|line| line.contains("no open file left")).count() as f64 <= time + 3.0);
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
    // The machine may be busy with something else: the best of some batches counts.
    let batch = || {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let began = Instant::now();
                greet(&mut server.welcomed(), "Ann");
                began.elapsed()
            })
            .collect();
        times.sort();
        times[198]
    };
    let mut times = Vec::new();
    while times.len() < 10 && times.iter().all(|&time| time > Duration::from_millis(50)) {
        times.push(batch());
    }
    assert!(times.last() <= Some(&Duration::from_millis(50)), "p99 of 200 newcomers beside {count}: {times:?}");
    // They leave all at once, and nobody notices.
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

/// A time limit that passes while the client does not read was due again and again, and nobody else had a turn.
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

/// Names and endings that stand for all: empty and long ones, those around the sizes of words and chunks, almost `exit`.
fn names(count: usize) -> Vec<(Vec<u8>, &'static [u8])> {
    let special: [&[u8]; 10] =
        [b"", b"exi", b"exit ", b" exit", b"EXIT", b"exitexit", b"M\xfcller", b"{name}", b"a\rb", b"\0"];
    let mut state = 1_u32;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    (0..count)
        .map(|number| {
            let name = match next(8) {
                0 => special[next(special.len())].to_vec(),
                1 => vec![b'x'; next(70)],
                2 if number % 50 == 0 => vec![b'l'; 1000 + next(3000)],
                _ => format!("client {number}").into_bytes(),
            };
            (name, if next(2) == 0 { &b"\n"[..] } else { b"\r\n" })
        })
        .collect()
}

/// What goes in, with more behind `exit`, and what the answers are, one at a time.
fn batch(names: &[(Vec<u8>, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let (mut input, mut answers) = (Vec::new(), b"Welcome!\n".to_vec());
    for (name, ending) in names {
        input.extend_from_slice(&[name, *ending].concat());
        answers.extend_from_slice(&[b"Hello, ", &name[..], b"!", ending].concat());
    }
    input.extend_from_slice(b"exit\nnobody\r\nhears this");
    (input, answers)
}

/// Sends pieces, each as it is, and reads meanwhile to the end.
fn converse<'a>(server: &Server, pieces: impl Iterator<Item = &'a [u8]> + Send) -> Vec<u8> {
    let mut client = server.connect();
    client.set_nodelay(true).unwrap();
    let mut writer = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || pieces.for_each(|piece| writer.write_all(piece).unwrap()));
        to_end(&mut client)
    })
}

/// Wherever the reads fall, the answers are those that one at a time would give, byte for byte.
#[test]
fn batches_get_the_answers_of_one_at_a_time_wherever_the_reads_fall() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let (input, answers) = batch(&names(400));
    let after_cr = input.split_inclusive(|&byte| byte == b'\r');
    assert!(converse(&server, after_cr) == answers, "cut between CR and LF");
    for size in [1, 2, 3, 7, 64, 1000] {
        assert!(converse(&server, input.chunks(size)) == answers, "{size} at a time");
    }
    let (input, answers) = batch(&names(60_000));
    for size in [4093, 65_535, 65_536, 65_537, input.len()] {
        assert!(converse(&server, input.chunks(size)) == answers, "{size} at a time");
    }
    // Pieces of every size, and lines that all become longer than they were.
    let mut rest = &input[..];
    let mut sizes = (1..3000_usize).cycle();
    let pieces = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at_checked(sizes.next().unwrap()).unwrap_or((rest, &[]));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert!(converse(&server, pieces) == answers, "random pieces");
    let (input, answers) = batch(&vec![(Vec::new(), &b"\n"[..]); 300_000]);
    assert!(converse(&server, input.chunks(1 << 16)) == answers, "empty names");
}

/// The same in lockstep: each piece is answered before the next one goes out, so that a read ends where the piece does.
#[test]
fn a_batch_that_ends_inside_a_line_is_answered_up_to_there() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let (input, answers) = batch(&names(60));
    let until = input.windows(5).rposition(|five| five == b"exit\n").unwrap();
    // Every line but the last is whole when its LF has come: what is due then is known at each cut.
    let due = |cut: usize| {
        let lines = input[..cut].iter().filter(|&&byte| byte == b'\n').count();
        let ends = answers.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        ends.into_iter().nth(lines).unwrap()
    };
    for step in [1, 5, 11, 97] {
        let mut client = server.connect();
        client.set_nodelay(true).unwrap();
        let (mut cut, mut got) = (0, 0);
        for piece in input[..until].chunks(step) {
            client.write_all(piece).unwrap();
            cut += piece.len();
            let now = due(cut);
            assert!(read(&mut client, now - got) == answers[got..now], "{step} at a time, up to {cut}");
            got = now;
        }
        client.write_all(&input[until..]).unwrap();
        assert_eq!(to_end(&mut client), b"");
    }
}

/// A client that is kept busy from a thread of its own until it is dropped.
struct Busy {
    socket: TcpStream,
    heard: Arc<AtomicU64>,
}

impl Busy {
    /// Reads as fast as it can, and says these bytes without end.
    fn start(mut socket: TcpStream, batch: Vec<u8>) -> Self {
        let heard = Arc::new(AtomicU64::new(0));
        let (count, mut reader) = (Arc::clone(&heard), socket.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        let kept = socket.try_clone().unwrap();
        std::thread::spawn(move || while !batch.is_empty() && socket.write_all(&batch).is_ok() {});
        Self { socket: kept, heard }
    }

    /// Waits until so much more was heard.
    fn wait_for_more(&self, bytes: u64) {
        let (from, until) = (self.heard.load(Ordering::Relaxed), Instant::now() + LONG);
        while self.heard.load(Ordering::Relaxed) < from + bytes {
            assert!(Instant::now() < until, "it hears no more");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Rounds 1 to 50 for one client while others are served without a pause.
fn fifty_answers(server: &Server, busy: &[Busy]) {
    busy.iter().for_each(|busy| busy.wait_for_more(1 << 20));
    let began = Instant::now();
    let mut client = server.welcomed();
    for round in 0..50 {
        greet(&mut client, &format!("round {round}"));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    busy.iter().for_each(|busy| busy.wait_for_more(1 << 20));
}

#[test]
fn clients_that_pipeline_without_end_keep_nobody_waiting() {
    let (server, _folder) = serve(PATIENT, &["-q"]);
    let busy =
        [&b"\n"[..], b"Michael\r\n"].map(|name| Busy::start(server.welcomed(), name.repeat((1 << 20) / name.len())));
    fifty_answers(&server, &busy);
    // A stop is heard among them, too; between two rounds there is nothing to wait for.
    let mut server = server;
    server.signal("INT");
    assert_eq!(server.wait(), 0);
}

/// Also when an older time limit passes meanwhile, which was due again and again.
#[test]
fn a_server_that_speaks_without_end_serves_others_and_can_be_stopped() {
    let text = format!(
        "S: Welcome!\neither\n  C: go\n  repeat 4000000000\n    S: {}\n  end\nor\n  \
        repeat\n    C: {{name=Ann}}\n    S: Hello, {{name}}!\n  end\n  C: exit\nend\nS closes\n",
        "y".repeat(999)
    );
    for signals in [1, 2] {
        let grace = if signals == 1 { "200ms" } else { "60s" };
        let (mut server, _folder) = serve(&text, &["--timeout", "300ms", "--grace", grace]);
        let mut client = server.welcomed();
        client.write_all(b"go\n").unwrap();
        let busy = [Busy::start(client, Vec::new())];
        fifty_answers(&server, &busy);
        // By the time that this one is sent away the other's wait, too, would be over.
        let mut silent = server.welcomed();
        assert_eq!(to_end(&mut silent), b"");
        fifty_answers(&server, &busy);
        for _ in 0..signals {
            server.signal("INT");
            let until = Instant::now() + LONG;
            while TcpStream::connect(server.address()).is_ok() {
                assert!(Instant::now() < until);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert_eq!(server.wait(), if signals == 1 { 0 } else { 130 });
        server.log.wait_for("1 cut");
    }
}

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
    let until = Instant::now() + LONG;
    while kernel_drops(port) < before + 100 {
        assert!(Instant::now() < until, "nothing is dropped");
        for _ in 0..50 {
            client.send(&[b'x'; 50_000]).unwrap();
        }
    }
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
    let until = Instant::now() + LONG;
    while queued(port) > 0 {
        assert!(Instant::now() < until, "it reads no more");
        std::thread::sleep(Duration::from_millis(2));
    }
    wait_until_idle(pid);
    signal(pid, "INT");
    let line = talk.log.wait_for("interrupted; ");
    assert!(line.contains(&format!("{dropped} datagrams were dropped: the kernel's queue was full")), "{line}");
    assert_eq!(wait(&mut talk.child), 130);
    assert!(reader.join().unwrap() > 50_000);
}

/// Datagrams that were sent as one (udp(7), `UDP_SEGMENT`) are answered one by one, and are a line each in `talk`.
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
s.settimeout(0.1)
try: sys.exit('one more: %r' % s.recv(2048))
except TimeoutError: pass
";
    let send = |port: u16, more: &[&str]| {
        let output = Command::new("python3").args(["-c", script, &port.to_string()]).args(more).output().unwrap();
        assert_code(&output, 0);
    };
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--json"]);
    for _ in 0..5 {
        send(server.port(), &[]);
    }
    server.log.wait_for_count("\"closed\"", 5 * 61);

    let (mut talk, port) = listening();
    send(port, &["and leave"]);
    let stdout = talk.child.stdout.as_mut().unwrap();
    for number in 0..60 {
        assert_eq!(line(stdout), format!("client {number:02}\n"));
    }
    assert_eq!(line(stdout), "last\n");
}
