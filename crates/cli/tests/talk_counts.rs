//! What `talk` tells of what passes: a dump in hex, how much and how fast, digests; what a receiver can insist on; and
//! which of many ports are open.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use support::web::bytes;
use support::*;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn hex_dumps_both_ways_and_both_ends() {
    let (address, peer) = serve_one(|mut stream| {
        stream.write_all(b"220 at once\r\n").unwrap();
        assert_eq!(line(&mut stream), "hello\n");
        to_end(&mut stream);
    });
    let mut talk = Talk::start(&[&address.to_string(), "--hex"]);
    talk.log.wait_for("< 00000000");
    talk.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let log = talk.log.clone();
    let (code, stdout) = talk.finish();
    peer.join().unwrap();
    assert_eq!((code, text(&stdout).as_str()), (0, "220 at once\r\n"));
    let shown = log.to_end().join("\n");
    for dumped in [
        "< 00000000  32 32 30 20 61 74 20 6f  6e 63 65 0d 0a           |220 at once..|",
        "> 00000000  68 65 6c 6c 6f 0a                                 |hello.|",
        "> 00000006  end",
        "< 0000000d  end",
    ] {
        assert!(shown.contains(dumped), "{dumped}\n{shown}");
    }
    // A listener's peer is the client; each datagram is a dump of its own.
    let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::null(), &["--hex"]);
    assert_code(&run(&["talk", &format!("127.0.0.1:{port}")], b"\x1b[31m"), 0);
    assert_eq!(wait(&mut listener), 0);
    let shown = log.to_end().join("\n");
    assert!(shown.contains("< 00000000  1b 5b 33 31 6d") && shown.contains("|.[31m|"), "{shown}");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let echo = std::thread::spawn(move || {
        for _ in 0..2 {
            let mut room = [0; 16];
            let (length, from) = server.recv_from(&mut room).unwrap();
            server.send_to(&room[..length], from).unwrap();
        }
    });
    let output = run(&["talk", &address, "--hex"], b"one\ntwo\n");
    assert_code(&output, 0);
    echo.join().unwrap();
    let shown = text(&output.stderr);
    assert!(shown.contains("> 00000000  6f 6e 65") && shown.contains("> 00000000  74 77 6f"), "{shown}");
}

#[test]
fn a_dump_goes_with_a_record_and_with_a_play() {
    let folder = tempfile::tempdir().unwrap();
    let (play, record) = (folder.path().join("p.talk"), folder.path().join("r.talk"));
    fs::write(&play, "C: hello\nS: hello\n").unwrap();
    let echo = Server::start(&["--echo"]);
    let address = format!("tcp://{}", echo.address());
    let output = run(&["talk", &address, "--play", play.to_str().unwrap(), "--hex"], b"");
    assert_code(&output, 0);
    let shown = text(&output.stderr);
    assert!(shown.contains("> 00000000  68 65 6c") && shown.contains("< 00000000  68 65 6c"), "{shown}");
    let output = run(&["talk", &address, "--record", record.to_str().unwrap(), "--hex"], b"hello\n");
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("> 00000000  68 65 6c"), "{}", text(&output.stderr));
    assert!(fs::read_to_string(&record).unwrap().contains("C: hello\n"));
}

#[test]
fn both_ends_say_the_digest_of_a_file_that_was_piped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content = bytes(3_000_000);
    fs::write(&path, &content).unwrap();
    let expected = digest(&content);
    let (mut listener, port, log) =
        listening("127.0.0.1:0", Stdio::null(), &["--progress", "--sha256", &expected, "--bytes", "3000000"]);
    let sender = command(&[])
        .args(["talk", &format!("127.0.0.1:{port}"), "--progress"])
        .stdin(File::open(&path).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(to_end(listener.stdout.as_mut().unwrap()) == content);
    let sender = sender.wait_with_output().unwrap();
    assert_code(&sender, 0);
    assert_eq!(wait(&mut listener), 0);
    let (sent, received) = (text(&sender.stderr), log.to_end().join("\n"));
    assert!(sent.contains("sent 3000000 bytes (2.9 MiB) in ") && sent.contains(&expected), "{sent}");
    assert!(received.contains("received 3000000 bytes (2.9 MiB) in ") && received.contains(&expected), "{received}");
    assert!(!sent.contains("received") && !received.contains("sent 3"), "{sent}{received}");
    // For programs it is an object; without bytes there is still a digest, that of nothing.
    let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::null(), &["--progress", "--json"]);
    assert_code(&run(&["talk", &format!("127.0.0.1:{port}")], b"abc"), 0);
    assert_eq!(wait(&mut listener), 0);
    let told = log.to_end().into_iter().find(|line| line.contains("\"transferred\"")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["received"]["bytes"], &told["sent"]["bytes"]), (&3.into(), &0.into()));
    assert_eq!((&told["received"]["sha256"], &told["sent"]["sha256"]), (&digest(b"abc").into(), &digest(b"").into()));
}

/// A sender that was killed half-way ends its connection as one that is done.
#[test]
fn a_receiver_that_knows_what_comes_fails_when_a_sender_is_killed_half_way() {
    let content = bytes(1_000_000);
    for (more, code, says) in [
        (vec!["--bytes".to_owned(), "1000000".to_owned()], 18, "bytes came of 1000000 (--bytes)"),
        (vec!["--sha256".to_owned(), digest(&content)], 1, "the SHA-256 of what came is "),
        (vec!["--bytes".to_owned(), "1M".to_owned(), "--recv-only".to_owned()], 18, "of 1048576 (--bytes)"),
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (mut listener, port, log) = listening("127.0.0.1:0", Stdio::null(), &more);
        let mut sender = command(&[])
            .args(["talk", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sender.stdin.as_mut().unwrap().write_all(&content[..500_000]).unwrap();
        read(listener.stdout.as_mut().unwrap(), 500_000);
        sender.kill().unwrap();
        sender.wait().unwrap();
        assert_eq!(wait(&mut listener), code, "{more:?}");
        let told = log.to_end().join("\n");
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn more_or_other_bytes_than_were_awaited_are_a_difference() {
    let serve = |said: &'static [u8]| {
        serve_one(move |mut stream| {
            stream.write_all(said).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    let right = digest(b"four").to_uppercase();
    for (more, code) in [
        (&["--bytes", "4"][..], 0),
        (&["--bytes", "3"], 1),
        (&["--bytes", "5"], 18),
        (&["--bytes", "0"], 1),
        (&["--sha256", &right], 0),
        (&["--sha256", &digest(b"five")], 1),
        (&["--bytes", "5", "--sha256", &right], 18),
    ] {
        let (address, _peer) = serve(b"four");
        let output = run(&[&["talk", &address.to_string()], more].concat(), b"");
        assert_eq!(support::code(&output), code, "{more:?}: {}", text(&output.stderr));
        assert_eq!(output.stdout, b"four", "{more:?}");
    }
    // Nothing is a number of bytes, too, and a reset stays one.
    let (address, _peer) = serve(b"");
    assert_code(&run(&["talk", &address.to_string(), "--bytes", "0"], b""), 0);
    let (address, _peer) = serve_one(|mut stream| {
        stream.write_all(b"fo").unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
    });
    assert_code(&run(&["talk", &address.to_string(), "--bytes", "4"], b""), 56);
    for wrong in [&["--sha256", "abc"][..], &["--bytes", "-1"], &["--bytes", "x"], &["--bytes", "1", "--zero"]] {
        assert_code(&run(&[&["talk", "127.0.0.1:1"], wrong].concat(), b""), 2);
    }
}

/// Three listeners side by side, and a closed port before them.
fn listeners() -> (Vec<TcpListener>, Closed, u16) {
    loop {
        let closed = Closed::tcp();
        let first = closed.address.port();
        if first > 65_000 {
            continue;
        }
        let all: Result<Vec<_>, _> = (1..=3).map(|next| TcpListener::bind(("127.0.0.1", first + next))).collect();
        if let Ok(all) = all {
            return (all, closed, first);
        }
    }
}

#[test]
fn zero_asks_at_many_ports_and_one_that_is_open_is_enough() {
    let (listeners, closed, first) = listeners();
    let list = format!("{}-{},{}", first, first + 2, first + 3);
    for (words, more) in [
        (vec!["127.0.0.1".to_owned(), list.clone()], &[][..]),
        (vec![format!("127.0.0.1:{list}")], &["--jobs", "1"]),
        (vec![format!("tcp://127.0.0.1:{list}")], &["--jobs", "256"]),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = run(&[&["talk", "--zero"], &words[..], more].concat(), b"");
        assert_code(&output, 0);
        let open: String = (1..=3).map(|next| format!("tcp 127.0.0.1:{}: open\n", first + next)).collect();
        assert_eq!(text(&output.stderr), format!("{open}3 of 4 ports are open\n"), "{words:?}");
        assert_eq!(output.stdout, b"");
    }
    let output = run(&["talk", "--zero", "127.0.0.1", &list, "-v"], b"");
    let shown = text(&output.stderr);
    assert!(shown.contains(&format!("cannot connect to 127.0.0.1:{first}: Connection refused")), "{shown}");
    // The first one says that there is no server.
    drop(listeners);
    let output = run(&["talk", "--zero", &format!("127.0.0.1:{},{first}", first)], b"");
    assert_code(&output, 7);
    drop(closed);
    let folder = tempfile::tempdir().unwrap();
    let many = run(&["talk", "--zero", "127.0.0.1:0-3"], b"");
    assert_code(&many, 2);
    assert!(text(&many.stderr).contains("`0-3` is no list of ports"), "{}", text(&many.stderr));
    drop(folder);
    for words in [&["127.0.0.1", "20,"][..], &["127.0.0.1", "1-70000"], &["127.0.0.1", "1-2-3"], &["localhost:,"]] {
        let output = run(&[&["talk", "--zero"], words].concat(), b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("is no list of ports: write numbers from 1 to 65535"), "{output:?}");
    }
    for word in ["http", "22,abc", "x-y"] {
        let output = run(&["talk", "--zero", "127.0.0.1", word], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(&format!("has no port, and `{word}` behind it is none")), "{output:?}");
    }
    // That it could not be asked says more than that no answer came.
    let output = run(&["talk", "--zero", "no-such-name.invalid", "1-3"], b"");
    assert_code(&output, 6);
    assert!(text(&output.stderr).contains("no-such-name.invalid:1: the name was not found"), "{output:?}");
}

#[test]
fn zero_tells_programs_of_every_port_and_udp_only_what_it_knows() {
    let (_listeners, _closed, first) = listeners();
    let output = run(&["talk", "--zero", "--json", "127.0.0.1", &format!("{first}-{}", first + 1)], b"");
    assert_code(&output, 0);
    let told: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<_> = told.iter().filter(|told| told["event"] == "port").map(|told| &told["state"]).collect();
    assert_eq!(states, ["closed", "open"], "{told:?}");
    assert_eq!((&told[2]["asked"], &told[2]["open"]), (&2.into(), &1.into()));
    let one = run(&["talk", "--zero", "--json", &format!("127.0.0.1:{}", first + 1)], b"");
    let told: serde_json::Value = serde_json::from_str(text(&one.stderr).lines().next().unwrap()).unwrap();
    assert_eq!((&told["state"], &told["proto"]), (&"open".into(), &"tcp".into()));
    let echo = Server::start(&["--echo"]);
    let (open, closed) = (echo.port(), Closed::udp());
    let list = format!("udp://127.0.0.1:{open},{}", closed.address.port());
    let output = run(&["talk", "--zero", &list], b"");
    assert_code(&output, 0);
    let shown = text(&output.stderr);
    assert!(shown.contains(&format!("udp 127.0.0.1:{open}: open: it answered\n1 of 2 ports")), "{shown}");
}

/// Whether the system waits for room at the other end of a connection from this port (proc(5): its timer is 4).
fn has_no_window(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        columns[1].ends_with(&format!(":{port:04X}")) && columns.get(5).is_some_and(|timer| timer.starts_with("04:"))
    })
}

/// What stands between `talk` and a server passes on what comes until it is told to stop, and then takes no more than the system
/// takes for it. It resets when nothing more comes: how many bytes had come then and were not passed on.
fn stalls(to: String, stop: Arc<AtomicBool>) -> (SocketAddr, std::thread::JoinHandle<u64>) {
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&front, 128 * 1024).unwrap();
    let address = front.local_addr().unwrap();
    let passing = std::thread::spawn(move || {
        let mut client = accept(&front);
        let mut server = TcpStream::connect(to).unwrap();
        let (mut from, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut back));
        let mut piece = vec![0; 4096];
        while client.peek(&mut piece[..1]).unwrap() > 0 && !stop.load(Ordering::SeqCst) {
            let length = client.read(&mut piece).unwrap();
            server.write_all(&piece[..length]).unwrap();
        }
        let port = client.peer_addr().unwrap().port();
        until("a window that is full", || has_no_window(port));
        let unread = rustix::io::ioctl_fionread(&client).unwrap();
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        // The other thread has it, too.
        client.shutdown(Shutdown::Read).unwrap();
        let _ = server.shutdown(Shutdown::Both);
        unread
    });
    (address, passing)
}

/// What TLS and WebSocket add to the bytes of the user, and what of it waits in the program, is not counted as theirs.
#[test]
fn bytes_that_did_not_arrive_are_counted_as_they_were_given_under_tls_and_websocket() {
    // Lines of two bytes are messages of seven, masked; a record has 22 bytes around 16,384.
    let record = 16384.0 / 16406.0;
    for (scheme, input, part) in
        [("tls", bytes(1), record), ("ws", b"x\n".to_vec(), 2.0 / 7.0), ("wss", b"x\n".to_vec(), record * 2.0 / 7.0)]
    {
        let echo = Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--echo"]);
        let stop = Arc::new(AtomicBool::new(false));
        let (address, passing) = stalls(echo.address(), Arc::clone(&stop));
        let query = if scheme == "ws" { "" } else { "?insecure" };
        let mut talk = Talk::start(&[&format!("{scheme}://{address}{query}")]);
        let mut stdin = talk.stdin.take().unwrap();
        stdin.write_all(b"hello\n").unwrap();
        let mut heard = [0; 6];
        talk.child.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello\n");
        stop.store(true, Ordering::SeqCst);
        let writing = std::thread::spawn(move || while stdin.write_all(&input.repeat(8192)).is_ok() {});
        let unread = passing.join().unwrap() as f64;
        let log = talk.log.clone();
        let (code, _) = talk.finish();
        writing.join().unwrap();
        let words = log.to_end().join("\n");
        assert_eq!(code, 56, "{words}");
        let sent = words.split_once(" bytes sent").unwrap().0.rsplit(' ').next().unwrap();
        let sent: f64 = sent.parse::<u64>().unwrap() as f64 - 6.0;
        // As many as can be read of what came; of the last record, or the last messages, perhaps none.
        let most = unread * part;
        assert!(sent <= most + 1.0 && sent >= most * 0.99 - 16384.0, "{scheme}: {sent} of {most}: {words}");
        assert!(words.contains("bytes of standard input were not sent"), "{words}");
    }
}

/// A reset leaves no room for our end: it is none of the bytes that are missing, and takes none from them.
#[test]
fn what_a_peer_that_resets_had_not_taken_is_counted_to_the_byte() {
    for (listens, more) in
        [(false, &[][..]), (false, &["--send-only"]), (false, &["--eol", "lf"]), (true, &[]), (true, &["--eol", "lf"])]
    {
        // A buffer whose size is given does not grow.
        let fixed =
            |socket: BorrowedFd<'_>| rustix::net::sockopt::set_socket_recv_buffer_size(socket, 64 * 1024).unwrap();
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        fixed(front.as_fd());
        let mut talk = match listens {
            true => Talk::start(&[&["--listen", "127.0.0.1:0"], more].concat()),
            false => Talk::start(&[&[front.local_addr().unwrap().to_string().as_str()], more].concat()),
        };
        let peer = if listens {
            let said = talk.log.wait_for("listening on");
            let port = said.rsplit(':').next().unwrap().trim().parse().unwrap();
            connect_from([127, 0, 0, 1], port)
        } else {
            accept(&front)
        };
        fixed(peer.as_fd());
        let mut stdin = talk.stdin.take().unwrap();
        let writing = std::thread::spawn(move || while stdin.write_all(&[b'x'; 65_536]).is_ok() {});
        let port = peer.peer_addr().unwrap().port();
        // Nothing more is taken, also where the system asks for room again (tcp(7): it does after 0.2 s, and then ever more rarely).
        let unread = || rustix::io::ioctl_fionread(&peer).unwrap();
        let mut last = (0, Instant::now());
        until("a window that stays full", || {
            if !has_no_window(port) || last.0 != unread() {
                last = (unread(), Instant::now());
            }
            last.1.elapsed() > Duration::from_secs(1)
        });
        let unread = unread();
        rustix::net::sockopt::set_socket_linger(&peer, Some(std::time::Duration::ZERO)).unwrap();
        drop(peer);
        let log = talk.log.clone();
        let (code, _) = talk.finish();
        writing.join().unwrap();
        let told = log.to_end().join("\n");
        assert_eq!(code, 56, "{told}");
        assert!(told.contains(&format!("; {unread} bytes sent, 0 received")), "{more:?}: {unread} of {told}");
        assert!(!listens || told.contains(&format!(", {unread} from the server")), "{unread}: {told}");
    }
}
