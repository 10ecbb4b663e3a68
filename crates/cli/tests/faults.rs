//! Faults that a server survives: nothing lost, nothing hung, a clear word.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::calls::WakeUps;
use support::*;

fn greet(client: &mut TcpStream, name: &str) {
    // In one write: the second of two would wait for the first one's acknowledgement.
    client.write_all(format!("{name}\n").as_bytes()).unwrap();
    assert_eq!(line(client), format!("Hello, {name}!\n"));
}

/// Rows 1 and 3: out of open files while accepting. Those inside are unharmed, those outside wait, and come in as soon
/// as there is room.
#[test]
fn clients_beyond_the_limit_of_open_files_wait_and_come_in_when_there_is_room() {
    let (server, mut wake_ups) = WakeUps::of_server(&["prlimit", "--nofile=64:64"], &["tcp://127.0.0.1:0"], &[]);
    let mut clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    let notice = server.log.wait_for("new clients wait");
    assert!(notice.contains("32 connections are open") && notice.contains("ulimit -n"), "{notice}");
    let mut inside: Vec<TcpStream> = clients.drain(..32).collect();
    for client in &mut inside {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
    let (began, rounds) = (Instant::now(), 5);
    wake_ups.begin();
    for _ in 0..rounds {
        for client in &mut inside {
            greet(client, "Ann");
        }
        // No client speaks: it looks whether there is room, and then it rests again.
        wake_ups.wait_for_one();
    }
    wake_ups.assert_few(rounds * inside.len());
    let notices = server.log.wait_for_count("new clients wait", 1).len();
    assert!(notices <= began.elapsed().as_secs() as usize + 2, "{notices} notices in {:?}", began.elapsed());
    // Room for some: the next ones come in, in their turn.
    drop(inside.drain(..16));
    for client in &mut clients[..16] {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
    for _ in 0..2 {
        wake_ups.wait_for_one();
    }
    assert_silent(&clients[16]);
    for client in &mut inside {
        greet(client, "still here");
    }
}

/// Row 2: no error of accept(2) that is about one client, or about a shortage, ends the listener.
#[test]
fn a_listener_lives_on_whatever_accept_says() {
    for error in ["ECONNABORTED", "EPROTO", "EINTR", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM"] {
        let inject = format!("inject=accept4:error={error}:when=1..5");
        let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4", "-e", &inject];
        let mut server = Server::start_with(&wrapper, &["tcp://127.0.0.1:0"], &["--echo"]);
        for round in 0..5 {
            let mut client = server.connect();
            client.write_all(b"still there?").unwrap();
            assert_eq!(read(&mut client, 12), b"still there?", "{error} round {round}");
        }
        assert!(server.child.try_wait().unwrap().is_none());
    }
}

/// Row 31: errors of receiving and sending datagrams are about one datagram.
#[test]
fn a_datagram_server_goes_on_after_icmp_errors() {
    for call in ["recvmmsg", "sendmmsg"] {
        let inject = format!("inject={call}:error=ECONNREFUSED:when=1..3");
        let trace = format!("trace={call}");
        let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let server = Server::start_with(&wrapper, &["udp://127.0.0.1:0"], &[]);
        let client = server.datagrams();
        // How long until the next try, as a client has it: some of these are lost.
        client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        until(call, || {
            client.send(b"Ann").unwrap();
            client.recv(&mut [0; 64]).is_ok()
        });
    }
    // And the real thing: clients that are gone before their answer comes.
    let server = Server::start(&[]);
    for _ in 0..50 {
        server.datagrams().send(b"gone").unwrap();
    }
    let client = server.datagrams();
    client.send(b"Ann").unwrap();
    assert_eq!(client.recv(&mut [0; 64]).unwrap(), 11);
}

/// Row 7: the time limit is for the whole line, however it drips.
#[test]
fn a_line_that_drips_is_ended_by_the_limit_on_the_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line.talk");
    std::fs::write(&path, "C: {line}\nS: {line}\n").unwrap();
    let server = Server::start(&["--play", path.to_str().unwrap(), "--timeout", "500ms"]);
    let mut client = server.connect();
    // It would be much longer than this until the line met the bound on its length.
    until("the end of the connection", || client.write_all(b"x").is_err());
    server.log.wait_for("no whole line came from the client within 0.5 s");
    server.log.wait_for("by timeout");
}

/// Row 8: a client that never reads holds a bounded queue, and holds up no other.
#[test]
fn a_client_that_never_reads_harms_nobody() {
    let server = Server::start(&[]);
    let mut other = server.welcomed();
    let before = server.resident();
    let mut deaf: Vec<TcpStream> = (0..20).map(|_| server.welcomed()).collect();
    for client in &mut deaf {
        stuff(client, &[b'\n'; 1 << 16], &server);
    }
    for _ in 0..100 {
        greet(&mut other, "Ann");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 20 * 512, "{grown} KiB for 20 clients");
}

/// Row 9: an endless line is refused at its bound, which is named.
#[test]
fn a_gigabyte_without_a_line_ending_is_refused_at_64_kib() {
    let server = Server::start(&[]);
    let mut client = server.welcomed();
    let before = server.resident();
    let chunk = vec![b'x'; 1 << 16];
    let mut sent: u64 = 0;
    while sent < 1 << 30 {
        match client.write(&chunk) {
            Ok(length) => sent += length as u64,
            Err(_) => break,
        }
    }
    assert!(sent < 1 << 30, "all of it was taken");
    server.log.wait_for("the client sent a line longer than 65536 bytes (--max-line)");
    server.log.wait_for("closed #1");
    assert!(server.resident() < before + 1024);
    greet(&mut server.welcomed(), "Ann");
}

/// Row 14: signals that are none of its business.
#[test]
fn a_thousand_stops_and_window_changes_lose_nothing() {
    let server = Server::start(&[]);
    let mut client = server.welcomed();
    for round in 0..250 {
        for name in ["STOP", "CONT", "WINCH", "PIPE"] {
            server.signal(name);
        }
        if round % 10 == 0 {
            greet(&mut client, "Ann");
        }
    }
    greet(&mut client, "Ann");
}

/// Row 16: a signal ends a thousand conversations at rest at once, an open exchange gets the grace.
#[test]
fn a_signal_drains_a_thousand_conversations() {
    let mut server = Server::start(&["--grace", "20s"]);
    let mut clients: Vec<TcpStream> = (0..1000).map(|_| server.welcomed()).collect();
    server.signal("TERM");
    for client in &mut clients {
        assert_eq!(to_end(client), b"");
    }
    assert_eq!(server.wait(), 0);
    let summary = server.log.wait_for("1000 conversations");
    assert!(!summary.contains("cut"), "{summary}");
}

#[test]
fn an_open_exchange_gets_the_grace_and_what_is_cut_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.talk");
    std::fs::write(&path, "repeat\n  C: first\n  S: and?\n  C: second\n  S: done\nend\n").unwrap();
    let arguments = |grace| ["--play", path.to_str().unwrap(), "--grace", grace].map(str::to_owned);
    let start = |grace| {
        let arguments = arguments(grace);
        Server::start(&arguments.each_ref().map(String::as_str))
    };
    let in_the_middle = |server: &Server| {
        let mut client = server.connect();
        client.write_all(b"first\n").unwrap();
        assert_eq!(line(&mut client), "and?\n");
        client
    };
    // It may finish within the grace.
    let mut server = start("30s");
    let mut client = in_the_middle(&server);
    server.begin_to_stop("INT");
    client.write_all(b"second\n").unwrap();
    assert_eq!(to_end(&mut client), b"done\n");
    assert_eq!(server.wait(), 0);
    // It is cut when the grace is over, and that is said.
    let mut server = start("100ms");
    let _client = in_the_middle(&server);
    server.signal("INT");
    assert_eq!(server.wait(), 0);
    server.log.wait_for("1 cut");
    // The second signal waits for nothing.
    let mut server = start("60s");
    let _client = in_the_middle(&server);
    server.begin_to_stop("INT");
    server.signal("INT");
    assert_eq!(server.wait(), 130);
    server.log.wait_for("1 cut at once");
}

/// Row 17: what was said arrives whole, twenty of twenty, though the client sent more than anybody read.
#[test]
fn a_reply_survives_input_that_nobody_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.talk");
    let answer = format!("S: {}\n", "y".repeat(999)).repeat(1000);
    std::fs::write(&path, format!("C: go\n{answer}S closes\n")).unwrap();
    let server = Server::start(&["--play", path.to_str().unwrap()]);
    for round in 0..20 {
        let mut client = server.connect();
        client.write_all(b"go\n").unwrap();
        client.write_all(&[b'z'; 1000]).unwrap();
        // It has sent what there was room for, and waits for the reader.
        wait_until_idle(server.child.id());
        assert_eq!(to_end(&mut client).len(), 1_000_000, "round {round}");
    }
}

/// Row 21, the server's end: a reset is named as one.
#[test]
fn a_client_that_resets_is_reported_as_a_reset() {
    let server = Server::start(&[]);
    let client = server.welcomed();
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    server.log.wait_for("by reset, 0 bytes from the client, 9 from the server");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.talk");
    std::fs::write(&path, "C: first\nS: and?\nC: second\n").unwrap();
    let server = Server::start(&["--play", path.to_str().unwrap()]);
    let mut client = server.connect();
    client.write_all(b"first\n").unwrap();
    assert_eq!(line(&mut client), "and?\n");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    server.log.wait_for("the client reset the connection");
}

/// Row 22: a client with a tiny window that reads a byte at a time.
#[test]
fn a_slow_reader_gets_every_byte() {
    let server = Server::start(&[]);
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
    let address: std::net::SocketAddr = server.address().parse().unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let mut client = TcpStream::from(socket);
    let mut writer = client.try_clone().unwrap();
    let names = std::thread::spawn(move || {
        writer.write_all(&b"Ann\n".repeat(10_000)).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    let mut byte = [0];
    while client.read(&mut byte).unwrap() == 1 {
        got.push(byte[0]);
    }
    names.join().unwrap();
    assert!(got == [&b"Welcome!\n"[..], &b"Hello, Ann!\n".repeat(10_000)].concat());
}

/// Row 24: a standard error that is full, closed, or a pipe without a reader takes no server down.
#[test]
fn a_server_does_not_need_its_standard_error() {
    for redirect in ["2>/dev/full", "2>&-", "2> >(exit 0)", "<&- >&- 2>&-", ""] {
        let folder = tempfile::tempdir().unwrap();
        let ports = folder.path().join("ports");
        let script = format!("exec \"$1\" serve 127.0.0.1:0 -v --port-file {} {redirect}", ports.display());
        // Without a redirection it is a pipe that stays open and is never read.
        let mut child = Command::new("bash")
            .args(["-c", &script, "bash", BINARY])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the port", || {
            assert!(child.try_wait().unwrap().is_none(), "{redirect}");
            ports.exists()
        });
        let port: u16 = std::fs::read_to_string(&ports).unwrap().trim().parse().unwrap();
        // More events than any pipe holds.
        for _ in 0..1500 {
            let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.write_all(b"Ann\nexit\n").unwrap();
            assert_eq!(to_end(&mut client), b"Welcome!\nHello, Ann!\n", "{redirect}");
        }
        let number =
            |fd: u32| std::fs::read_link(format!("/proc/{}/fd/{fd}", child.id())).unwrap().display().to_string();
        for fd in 0..3 {
            assert!(!number(fd).contains("socket"), "{redirect}: {fd} is {}", number(fd));
        }
        signal(child.id(), "INT");
        assert_eq!(wait(&mut child), 0, "{redirect}");
    }
}

/// Row 53: off the loopback no host can be flooded through us.
#[test]
fn answers_over_udp_off_the_loopback_are_bounded() {
    let script = r#"ip addr add 10.7.7.1/24 dev lo; ip addr add 10.8.8.1/24 dev lo
        folder=$(mktemp -d); "$1" serve udp://10.7.7.1:0 --port-file $folder/ports 2>$folder/log & pid=$!
        while [ ! -e $folder/ports ]; do kill -0 $pid; sleep 0.01; done
        python3 - $(cat $folder/ports) <<'PY'
import socket, sys
server = ('10.7.7.1', int(sys.argv[1]))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(('10.7.7.1', 0)); client.settimeout(60)
answers = out = 0
for n in range(8):
    client.sendto(b'x', server)
    out += len(client.recv(2048)); answers += 1
for n in range(500): client.sendto(b'x', server)
client.sendto(b'', server)
# A client of another network is answered, so everything before it was seen.
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other.bind(('10.8.8.1', 0)); other.settimeout(0.1)
for n in range(600):
    other.sendto(b'y', server)
    try: other.recv(2048)
    except TimeoutError: continue
    break
else: sys.exit('no answer for a client of another network')
client.setblocking(False)
try:
    while True: out += len(client.recv(2048)); answers += 1
except BlockingIOError: pass
print(answers, out)
PY
        kill -TERM $pid; wait $pid; cat $folder/log"#;
    need("python3");
    let output = in_namespace(script);
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    let numbers: Vec<u64> = stdout.lines().next().unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    // Eight free answers of nine bytes, then three bytes for each that came.
    assert!(numbers[0] >= 8 && numbers[1] <= 8 * 9 + 3 * 508, "{stdout}");
    assert!(stdout.contains("at most 3 bytes go out for each byte in (--udp-budget)"), "{stdout}");
}

/// Row 54: two servers that answer each other fall silent.
#[test]
fn two_greeters_joined_by_one_datagram_fall_silent() {
    for arguments in [&[][..], &["--echo"]] {
        let server = Server::start(arguments);
        // The other server: it answers whatever it gets as a greeter, or an echo, would.
        let other = server.datagrams();
        let mut word = b"Hello, x!".to_vec();
        let mut rounds = 0;
        let mut buffer = vec![0; 65_536];
        loop {
            other.send(&word).unwrap();
            server.heard_all();
            other.set_nonblocking(true).unwrap();
            let Ok(length) = other.recv(&mut buffer) else { break };
            rounds += 1;
            assert!(rounds <= 10, "it goes on for ever: {arguments:?}");
            word = buffer[..length].to_vec();
            if arguments.is_empty() {
                word = [&b"Hello, "[..], &word, b"!"].concat();
            }
        }
        assert!(rounds >= 1);
        server.log.wait_for("taken for another server (--udp-budget off)");
        // A client is still answered.
        let client = server.datagrams();
        client.send(b"Ann").unwrap();
        client.recv(&mut buffer).unwrap();
    }
}

#[test]
fn an_empty_datagram_and_one_from_our_own_port_get_no_answer() {
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--echo"]);
    let own = std::net::UdpSocket::bind(("127.0.0.2", server.port())).unwrap();
    own.connect(("127.0.0.1", server.port())).unwrap();
    own.send(b"loop?").unwrap();
    server.heard_all();
    assert_no_datagram(&own);
    let client = server.datagrams();
    client.send(b"").unwrap();
    client.send(b"next").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    server.log.wait_for("from our own port number");
}

/// Row 62: what a peer says cannot forge a line of the log, and JSON stays JSON.
#[test]
fn evil_names_forge_no_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strict.talk");
    std::fs::write(&path, "C: expected\nS: ok\n").unwrap();
    let evil = b"opened #99 forged\r\x1b[2J\x1b]0;x\x07\xff\xe2\x80\xae\x9b\n";
    for arguments in [&["--json"][..], &["-v"]] {
        let mut all = vec!["--play", path.to_str().unwrap()];
        all.extend(arguments);
        let server = Server::start(&all);
        let mut client = server.connect();
        client.write_all(evil).unwrap();
        to_end(&mut client);
        drop(client);
        server.log.wait_for("closed");
        let (_, log) = server.stop();
        for line in &log {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
            assert!(!line.starts_with("opened #99"), "{line:?}");
            if arguments == ["--json"] {
                assert!(line.starts_with('{') && line.ends_with('}'), "{line:?}");
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(event["event"].is_string());
            }
        }
        assert!(log.iter().any(|line| line.contains("the client said something else")), "{log:#?}");
    }
}

#[test]
fn json_events_carry_the_four_tuple_and_the_counts() {
    let server = Server::start(&["--json"]);
    let mut client = server.welcomed();
    let (local, remote) = (client.local_addr().unwrap().to_string(), client.peer_addr().unwrap().to_string());
    client.write_all(b"Ann\nexit\n").unwrap();
    to_end(&mut client);
    drop(client);
    let closed: serde_json::Value = serde_json::from_str(&server.log.wait_for("\"closed\"")).unwrap();
    let (code, log) = server.stop();
    assert_eq!(code, 0);
    for (key, value) in [
        ("conn", 1.into()),
        ("proto", "tcp".into()),
        ("server", remote.into()),
        ("client", local.into()),
        ("by", "server".into()),
        ("from_client", 9.into()),
        ("from_server", 21.into()),
    ] as [(&str, serde_json::Value); 7]
    {
        assert_eq!(closed[key], value, "{closed}");
    }
    assert!(closed["seconds"].is_number());
    let first: serde_json::Value = serde_json::from_str(&log[0]).unwrap();
    assert_eq!(first["event"], "listening");
}

#[test]
fn quiet_says_nothing_and_verbose_says_every_connection() {
    for (flag, every) in [("-q", false), ("-v", true)] {
        let server = Server::start(&[flag]);
        for _ in 0..300 {
            drop(server.welcomed());
        }
        let (code, log) = {
            if every {
                server.log.wait_for_count("closed #", 300);
            }
            server.stop()
        };
        assert_eq!(code, 0);
        assert_eq!(log.iter().filter(|line| line.starts_with("opened #")).count(), if every { 300 } else { 0 });
        assert!(every || log.is_empty(), "{log:#?}");
    }
}

/// Twenty thousand connections from two processes, four thousand open at once, against a thousand open files.
#[test]
fn twenty_thousand_connections_against_a_thousand_open_files() {
    need("python3");
    let server = Server::start_with(&["prlimit", "--nofile=1000:1000"], &["tcp://127.0.0.1:0"], &[]);
    let mut inside: Vec<TcpStream> = (0..10).map(|_| server.welcomed()).collect();
    let before = server.resident();
    let script = "
import selectors, socket, sys
port, total, most = int(sys.argv[1]), 10000, 2000
selector = selectors.DefaultSelector()
started = done = served = open_now = 0
def start():
    global started, open_now
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(('127.0.0.1', port))
    started += 1; open_now += 1
    selector.register(s, selectors.EVENT_READ, b'')
while started < most: start()
# No client leaves before the limit is met.
sys.stdin.readline()
while done < total:
    ready = selector.select(60)
    if not ready: sys.exit('nothing for 60 s: %d done' % done)
    for key, _ in ready:
        try: data = key.fileobj.recv(4096)
        except OSError: data = b''
        if data and b'Hello' not in key.data + data:
            if key.data == b'': key.fileobj.send(b'Ann\\nexit\\n')
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data + data)
            continue
        if b'Hello, Ann!' in key.data + data: served += 1
        selector.unregister(key.fileobj); key.fileobj.close()
        done += 1
        if started < total: start()
print(served)
";
    let mut running = Vec::new();
    let clients: Vec<_> = (0..2)
        .map(|_| {
            Command::new("python3")
                .args(["-c", script, &server.port().to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    server.log.wait_for("936 connections are open");
    for mut client in clients {
        // Both go at once; the first is not waited for before the second may.
        client.stdin.take().unwrap().write_all(b"go\n").unwrap();
        running.push(client);
    }
    for client in running {
        let output = client.wait_with_output().unwrap();
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout).trim(), "10000");
    }
    for client in &mut inside {
        greet(client, "still here");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more");
}

/// Row 4: who comes and goes leaves nothing behind. `SOCKEYE_CHURN` says how many come and go, as a million.
#[test]
fn connections_in_a_row_leave_no_memory_and_no_descriptor() {
    let count = std::env::var("SOCKEYE_CHURN").map_or(30_000, |count| count.parse().unwrap());
    let server = Server::start(&["-q"]);
    let churn = |count| {
        for _ in 0..count {
            let mut client = server.welcomed();
            client.write_all(b"Ann\nexit\n").unwrap();
            assert_eq!(to_end(&mut client), b"Hello, Ann!\n");
        }
    };
    let descriptors = || {
        wait_until_idle(server.child.id());
        std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count()
    };
    churn(1000);
    let (files, memory) = (descriptors(), server.resident());
    churn(count);
    assert!(server.resident() <= memory + 1024, "{memory} KiB became {}", server.resident());
    // The last client was told the end before it was gone.
    until("as many descriptors as before", || descriptors() == files);
}

#[test]
fn a_pause_costs_no_cpu_though_the_client_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pause.talk");
    std::fs::write(&path, "C: a\nS: b\nS stops sending\nS waits 500ms\nS closes\n").unwrap();
    let (server, mut wake_ups) = WakeUps::of_server(&[], &["tcp://127.0.0.1:0"], &["--play", path.to_str().unwrap()]);
    let mut client = server.connect();
    client.write_all(b"a\n").unwrap();
    assert_eq!(to_end(&mut client), b"b\n");
    wake_ups.begin();
    // Both directions are shut now, which epoll tells again and again to who listens for it.
    drop(client);
    server.log.wait_for("closed #1");
    wake_ups.assert_few(5);
}
