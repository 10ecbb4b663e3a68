//! `--threads` of `serve` and `relay`: whatever their number, each conversation is served once and counted once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::*;

const TCP: [&str; 1] = ["tcp://127.0.0.1:0"];

fn with(threads: usize, more: &[&str]) -> Server {
    let threads = threads.to_string();
    Server::start_at(&TCP, &[&["--threads", &threads], more].concat())
}

fn greet(client: &mut TcpStream, name: &str) {
    // In one write: behind a gap between two of them the first would be a line of its own.
    client.write_all(format!("{name}\n").as_bytes()).unwrap();
    assert_eq!(line(client), format!("Hello, {name}!\n"));
}

/// How many connections each of the server's epoll instances watches (proc(5), fdinfo).
fn shares(pid: u32) -> Vec<usize> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let counts = texts.map(|text| text.lines().filter(|line| line.starts_with("tfd:")).count());
    counts.filter(|&count| count > 0).collect()
}

#[test]
fn long_connections_are_spread_evenly() {
    for threads in [1, 2, 3, 4, 7] {
        let server = with(threads, &[]);
        let mut clients: Vec<_> = (0..1000).map(|_| server.welcomed()).collect();
        let shares = shares(server.child.id());
        assert_eq!(shares.len(), threads);
        // What else is watched, such as the waker of a loop, is less than ten.
        assert!(shares.iter().all(|&share| share * threads * 4 <= 1000 * 5 + 40 * threads), "{threads}: {shares:?}");
        // Those that leave make room where they were.
        clients.truncate(500);
        clients.extend((0..500).map(|_| server.welcomed()));
        clients.iter_mut().for_each(|client| greet(client, "Ann"));
    }
}

#[test]
fn pairs_of_a_relay_are_spread_evenly() {
    let echo = Server::start_at(&TCP, &["--echo"]);
    for threads in [1, 2, 4] {
        let relay = Server::relay(&[TCP[0], &echo.address()], &["--threads", &threads.to_string()]);
        let mut clients: Vec<_> = (0..200).map(|_| relay.connect()).collect();
        for client in &mut clients {
            client.write_all(b"x").unwrap();
            assert_eq!(read(client, 1), b"x");
        }
        let shares = shares(relay.child.id());
        assert_eq!(shares.len(), threads);
        // Two sockets for each pair.
        assert!(shares.iter().all(|&share| share * threads * 4 <= 400 * 5 + 40 * threads), "{threads}: {shares:?}");
    }
}

#[test]
fn each_of_many_short_conversations_is_served_once_and_counted_once() {
    const CLIENTS: usize = 16;
    const EACH: usize = 100;
    for threads in [1, 2, 3, 4] {
        let times = (CLIENTS * EACH).to_string();
        let mut server = with(threads, &["--times", &times, "-v"]);
        let address = server.address();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut client = TcpStream::connect(&address).unwrap();
                        client.write_all(b"Ann\nBob\nexit\n").unwrap();
                        assert_eq!(text(&to_end(&mut client)), "Welcome!\nHello, Ann!\nHello, Bob!\n");
                    }
                });
            }
        });
        assert_eq!(server.wait(), 0);
        let lines = server.log.to_end();
        assert!(lines.iter().any(|line| line.contains(&format!("{times} conversations, {times} as written"))));
        for word in ["opened", "closed"] {
            let numbers: Vec<&str> = lines
                .iter()
                .filter_map(|line| line.strip_prefix(word)?.trim_start().strip_prefix('#')?.split(' ').next())
                .collect();
            let different: BTreeSet<&str> = numbers.iter().copied().collect();
            assert_eq!((numbers.len(), different.len()), (CLIENTS * EACH, CLIENTS * EACH), "{threads}, {word}");
        }
    }
}

/// Welcomes, and stands in the middle of its play until a name has come.
const ONE_NAME: &str = "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nS closes\n";

fn with_one_name(threads: usize, more: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mock.talk");
    std::fs::write(&path, ONE_NAME).unwrap();
    (with(threads, &[&["--play", path.to_str().unwrap()], more].concat()), folder)
}

#[test]
fn clients_in_every_thread_are_drained_when_it_is_stopped() {
    let (mut server, _folder) = with_one_name(4, &["--grace", "60s"]);
    let mut clients: Vec<_> = (0..40).map(|_| server.welcomed()).collect();
    server.begin_to_stop("TERM");
    for client in &mut clients {
        client.write_all(b"Ann\n").unwrap();
        assert_eq!(text(&to_end(client)), "Hello, Ann!\n");
    }
    drop(clients);
    assert_eq!(server.wait(), 0);
    server.log.wait_for("40 conversations, 40 as written");
}

#[test]
fn clients_at_rest_in_every_thread_are_closed_at_once_when_it_is_stopped() {
    let mut server = with(4, &["--grace", "60s"]);
    let mut clients: Vec<_> = (0..40).map(|_| server.welcomed()).collect();
    clients.iter_mut().for_each(|client| greet(client, "Bob"));
    server.begin_to_stop("TERM");
    clients.iter_mut().for_each(|client| assert_eq!(to_end(client), b""));
    drop(clients);
    assert_eq!(server.wait(), 0);
    server.log.wait_for("40 conversations, 40 as written");
}

#[test]
fn the_grace_and_a_second_signal_end_what_is_open_in_every_thread() {
    for signals in [1, 2] {
        let grace = if signals == 1 { "100ms" } else { "60s" };
        let (mut server, _folder) = with_one_name(3, &["--grace", grace]);
        let clients: Vec<_> = (0..9).map(|_| server.welcomed()).collect();
        server.begin_to_stop("TERM");
        if signals == 2 {
            server.signal("TERM");
        }
        server.wait();
        server.log.wait_for("9 cut");
        drop(clients);
    }
}

#[test]
fn what_is_read_again_holds_for_new_conversations_in_every_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mock.talk");
    std::fs::write(&path, "S: one\nC: {_}\nS: still one\nS closes\n").unwrap();
    let server = with(4, &["--play", path.to_str().unwrap()]);
    let mut old: Vec<_> = (0..8).map(|_| server.connect()).collect();
    old.iter_mut().for_each(|client| assert_eq!(line(client), "one\n"));
    std::fs::write(&path, "S: two\nS closes\n").unwrap();
    server.signal("HUP");
    server.log.wait_for("read again");
    for _ in 0..16 {
        assert_eq!(to_end(&mut server.connect()), b"two\n");
    }
    for client in &mut old {
        client.write_all(b"x\n").unwrap();
        assert_eq!(to_end(client), b"still one\n");
    }
}

/// A thread that no client has come to for `--wait` says nothing of the others.
#[test]
fn every_thread_serves_until_the_server_ends_though_clients_come_one_by_one() {
    with_enough_time(|times| {
        let wait = Duration::from_secs(u64::from(3 * times));
        let mut server = with(4, &["--wait", &format!("{}s", wait.as_secs())]);
        let (begin, mut last) = (Instant::now(), Instant::now());
        while begin.elapsed() < wait + Duration::from_secs(1) {
            let client = TcpStream::connect(server.address());
            let pause = last.elapsed();
            // Where no client came for so long it has every reason to end.
            if pause > wait / 2 {
                return Err(format!("no client came for {pause:?}"));
            }
            let mut client = client.unwrap();
            assert_eq!(read(&mut client, 9), b"Welcome!\n");
            greet(&mut client, "Ann");
            last = Instant::now();
            // For most of the time no client is there, and never for as long as the server waits.
            std::thread::sleep(Duration::from_millis(20));
        }
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        assert_eq!(names.filter(|name| name.starts_with("serve-")).count(), 3);
        server.begin_to_stop("TERM");
        assert_eq!(server.wait(), 0);
        Ok(())
    });
}

#[test]
fn the_limit_on_connections_is_that_of_all_threads_together() {
    let server = Server::start_with(&["prlimit", "--nofile=96:96"], &TCP, &["--threads", "4"]);
    let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    let notice = server.log.wait_for("new clients wait");
    let inside: usize = notice.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    let mut rest = clients.split_off(inside);
    for client in &mut clients {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
    // A client that leaves, in whatever thread, makes room.
    drop(clients);
    for client in &mut rest {
        assert_eq!(read(client, 9), b"Welcome!\n");
    }
}

#[test]
fn the_bound_on_memory_is_that_of_all_threads_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mock.talk");
    std::fs::write(&path, "C raw: {x:1000000 bytes}\nS: thanks\nS closes\n").unwrap();
    let server = with(4, &["--play", path.to_str().unwrap(), "--max-memory", "4MiB", "-v"]);
    let mut clients: Vec<_> = (0..16).map(|_| server.connect()).collect();
    for client in &mut clients {
        // Some are closed while they write.
        let _ = client.write_all(&[b'x'; 900_000]);
    }
    server.log.wait_for("all buffers together reached their bound of 4096 KiB");
    let mut last = server.connect();
    last.write_all(&[b'y'; 1_000_000]).unwrap();
    assert_eq!(to_end(&mut last), b"thanks\n");
}

#[test]
fn with_fewer_threads_than_asked_for_it_serves_all_the_same() {
    need("strace");
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace").display().to_string();
    for (call, error) in [("eventfd2", "EMFILE"), ("epoll_ctl", "ENOSPC"), ("epoll_create1", "EMFILE")] {
        let inject = format!("inject={call}:error={error}:when=4+");
        let strace = ["strace", "-D", "-f", "-qq", "-o", &trace, "-e", "signal=none", "-e", &inject];
        let server = Server::start_with(&strace, &TCP, &["--threads", "8"]);
        server.log.wait_for("instead of 8 threads (--threads)");
        // What cannot be watched cannot be served either, with any number of threads.
        if call != "epoll_ctl" {
            let mut clients: Vec<_> = (0..20).map(|_| server.welcomed()).collect();
            clients.iter_mut().for_each(|client| greet(client, "Ann"));
        }
    }
}
