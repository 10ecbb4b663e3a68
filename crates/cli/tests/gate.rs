//! Who may come in: addresses, counts, and another user once all is bound.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{LONG, Server, assert_code, connect_from, line, run, text, until};

fn is_welcome(mut stream: TcpStream) -> bool {
    let mut bytes = [0; 9];
    stream.read_exact(&mut bytes).is_ok_and(|()| bytes == *b"Welcome!\n")
}

const ONE: [u8; 4] = [127, 1, 2, 3];
const TWO: [u8; 4] = [127, 2, 0, 1];

#[test]
fn addresses_that_are_not_allowed_or_denied_are_kept_out_and_told_of() {
    let server = Server::start(&["--allow", "127.1.0.0/16", "--allow", "::ffff:127.2.0.1", "--deny", "127.1.9.0/24"]);
    assert!(is_welcome(connect_from(ONE, server.port())) && is_welcome(connect_from(TWO, server.port())));
    assert!(!is_welcome(connect_from([127, 2, 0, 2], server.port())));
    assert!(!is_welcome(connect_from([127, 1, 9, 1], server.port())));
    server.log.wait_for(": 127.2.0.2 may not come in (--allow, --deny)");
    server.log.wait_for(": 127.1.9.1 may not come in (--allow, --deny)");
    // Over UDP nothing comes back either.
    let stranger = server.datagrams();
    stranger.send(b"hello").unwrap();
    server.log.wait_for("dropped 1: udp://127.0.0.1");
    let welcome = std::net::UdpSocket::bind("127.1.2.3:0").unwrap();
    welcome.set_read_timeout(Some(LONG)).unwrap();
    welcome.send_to(b"hello", ("127.0.0.1", server.port())).unwrap();
    assert!(welcome.recv(&mut [0; 64]).is_ok());
    support::assert_no_datagram(&stranger);
}

#[test]
fn an_ipv6_client_is_known_by_its_prefix() {
    let server = Server::start_at(&["tcp://[::1]:0"], &["--deny", "::/64"]);
    assert!(!is_welcome(TcpStream::connect(("::1", server.port())).unwrap()));
    let server = Server::start_at(&["tcp://[::1]:0"], &["--deny", "0.0.0.0/0", "--allow", "::1/128"]);
    assert!(is_welcome(TcpStream::connect(("::1", server.port())).unwrap()));
}

#[test]
fn a_file_of_addresses_is_read_again_at_sighup_and_nobody_inside_is_thrown_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allowed");
    std::fs::write(&path, "# those that may\n127.1.0.0/16   # one\n\n").unwrap();
    let rule = format!("@{}", path.display());
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo", "--allow", &rule]);
    let mut inside = connect_from(ONE, server.port());
    std::io::Write::write_all(&mut inside, b"in\n").unwrap();
    assert_eq!(line(&mut inside), "in\n");
    std::fs::write(&path, "127.2.0.0/16\n").unwrap();
    server.signal("HUP");
    server.log.wait_for("read again who may come in: 1 allowed, 0 denied");
    assert_eq!(connect_from(ONE, server.port()).read(&mut [0]).unwrap_or(0), 0);
    let mut new = connect_from(TWO, server.port());
    std::io::Write::write_all(&mut new, b"new\n").unwrap();
    assert_eq!(line(&mut new), "new\n");
    std::io::Write::write_all(&mut inside, b"still\n").unwrap();
    assert_eq!(line(&mut inside), "still\n");
    // What is wrong changes nothing.
    std::fs::write(&path, "127.2.0.0/16\nnonsense\n").unwrap();
    server.signal("HUP");
    server.log.wait_for("allowed:2: `nonsense` is no address and no prefix");
    let mut new = connect_from(TWO, server.port());
    std::io::Write::write_all(&mut new, b"new\n").unwrap();
    assert_eq!(line(&mut new), "new\n");
    drop((inside, new));
    let (code, _) = server.stop();
    assert_eq!(code, 0);
}

#[test]
fn rules_that_are_none_are_refused_before_anyone_listens() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "# none\n").unwrap();
    let (empty, missing) = (format!("@{}", empty.display()), format!("@{}/missing", folder.path().display()));
    for (flag, rule, code) in [
        ("--allow", "10.0.0.0/33", 2),
        ("--deny", "example.com", 2),
        ("--allow", &*empty, 2),
        ("--allow", &*missing, 26),
    ] {
        assert_code(&run(&["serve", "tcp://127.0.0.1:0", flag, rule], b""), code);
    }
    assert_code(&run(&["serve", "tcp://127.0.0.1:0", "--user", "no-such-user"], b""), 2);
}

#[test]
fn beyond_max_conns_clients_wait_until_one_leaves() {
    let server = Server::start(&["--max-conns", "2"]);
    let inside = [server.welcomed(), server.welcomed()];
    let waiting = server.connect();
    server.log.wait_for("2 connections, as many as may be (--max-conns); new clients wait");
    support::wait_until_idle(server.child.id());
    support::assert_silent(&waiting);
    drop(inside);
    assert!(is_welcome(waiting));
}

#[test]
fn one_address_does_not_take_the_room_of_others() {
    let server = Server::start(&["--max-conns-per-address", "2"]);
    let hold = || {
        let mut stream = connect_from(ONE, server.port());
        assert_eq!(line(&mut stream), "Welcome!\n");
        stream
    };
    let inside = [hold(), hold()];
    let (waiting, next) = (connect_from(ONE, server.port()), connect_from(ONE, server.port()));
    server.log.wait_for("127.1.2.3 has 2 connections, as many as may be of one address (--max-conns-per-address)");
    assert!(is_welcome(connect_from(TWO, server.port())));
    support::wait_until_idle(server.child.id());
    support::assert_silent(&waiting);
    drop(inside);
    assert!(is_welcome(waiting) && is_welcome(next));
}

#[test]
fn who_finds_no_room_is_refused_and_told_of_where_that_is_asked_for() {
    let server = Server::start(&["--max-conns", "1", "--when-full", "refuse"]);
    let inside = server.welcomed();
    assert!(!is_welcome(server.connect()));
    server.log.wait_for("127.0.0.1 refused: 1 connections, as many as may be (--max-conns)");
    drop(inside);
    until("room", || is_welcome(server.connect()));
    let server = Server::start(&["--max-conns-per-address", "1", "--when-full", "refuse"]);
    let _inside = server.welcomed();
    assert!(!is_welcome(server.connect()));
    server.log.wait_for("refused: 1 connections, as many as may be of one address (--max-conns-per-address)");
    assert!(is_welcome(connect_from(ONE, server.port())));
}

/// Row 70 of the faults.
#[test]
fn root_is_given_up_for_good_once_all_is_bound() {
    if !rustix::process::geteuid().is_root() {
        let output = run(&["serve", "tcp://127.0.0.1:0", "--user", "1:1"], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("only root may become another user"), "{}", text(&output.stderr));
        return;
    }
    let server = Server::start(&["--user", "64198:64197", "-v", "--echo"]);
    server.log.wait_for("became 64198:64197 (user 64198, group 64197), and there is no way back");
    for thread in std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let row = |name: &str| {
            let row = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            row.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("Uid:"), "64198 64198 64198 64198");
        assert_eq!(row("Gid:"), "64197 64197 64197 64197");
        assert_eq!(row("Groups:"), "64197");
        for capabilities in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(row(capabilities).trim_start_matches('0'), "", "{capabilities}");
        }
    }
    // Its programs are that user too.
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--user", "64198:64197", "--exec", "id -u"]);
    assert_eq!(text(&support::to_end(&mut server.connect())), "64198\n");
}

/// Row 71 of the faults: what is held can be seen from outside, and what is needed still works.
#[test]
fn a_server_gives_up_what_it_does_not_need_once_all_is_open() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hi.talk"), "S: one\nS closes\n").unwrap();
    let play = folder.path().join("hi.talk");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["-v", "--threads", "2", "--play", play.to_str().unwrap()]);
    let said = server.log.wait_for("sandbox: ");
    assert!(said.contains("no new privileges"), "{said}");
    assert_eq!(support::to_end(&mut server.connect()), b"one\n");
    // The threads that hear peers, from the first to the last.
    for thread in std::fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let thread = thread.unwrap().path();
        let name = std::fs::read_to_string(thread.join("comm")).unwrap();
        let status = std::fs::read_to_string(thread.join("status")).unwrap();
        if name.starts_with("serve") || name.starts_with("sockeye") {
            assert!(status.contains("NoNewPrivs:\t1"), "{name}: {status}");
        }
    }
    // Another file under the same name, as an editor leaves it, is read again.
    std::fs::write(folder.path().join("new"), "S: two\nS closes\n").unwrap();
    std::fs::rename(folder.path().join("new"), &play).unwrap();
    server.signal("HUP");
    server.log.wait_for("read again");
    assert_eq!(support::to_end(&mut server.connect()), b"two\n");
    // What leads out of the folder is not there for it.
    if said.contains("Landlock") {
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("out.talk"), "S: three\nS closes\n").unwrap();
        std::fs::remove_file(&play).unwrap();
        std::os::unix::fs::symlink(other.path().join("out.talk"), &play).unwrap();
        server.signal("HUP");
        server.log.wait_for("not read again, the old one stays: ");
        assert_eq!(support::to_end(&mut server.connect()), b"two\n");
    }
    let server = Server::start(&["-v", "--no-sandbox"]);
    server.log.wait_for("no sandbox (--no-sandbox)");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t0"), "{status}");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["-v", "--exec", "cat /etc/passwd"]);
    server.log.wait_for("no sandbox: a program may need anything");
    assert!(!support::to_end(&mut server.connect()).is_empty());
}

#[test]
fn the_file_of_a_unix_socket_goes_with_its_server_in_a_sandbox_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::start_at(&[&format!("unix:{}", path.display())], &["-v"]);
    server.log.wait_for("sandbox: reads nothing, writes nothing; ");
    assert!(path.exists());
    assert_eq!(server.stop().0, 0);
    assert!(!path.exists());
}

/// A client that keeps its connection between two requests holds no place that others wait for; one in the middle of a
/// request keeps its own.
#[test]
fn connections_between_two_requests_make_way_for_clients_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "inside").unwrap();
    std::fs::File::create(folder.path().join("large")).unwrap().set_len(32 << 20).unwrap();
    let path = folder.path().to_str().unwrap();
    let files = ["prlimit", "--nofile=96:96"];
    for (wrapper, arguments, count) in [
        (&[][..], &["--max-conns", "8", "--threads", "1"][..], 20),
        (&files, &["--threads", "1"], 70),
        (&files, &["--threads", "3"], 70),
    ] {
        let arguments = [&["--files", path, "-v"], arguments].concat();
        let server = Server::start_with(wrapper, &["http://127.0.0.1:0"], &arguments);
        // It is sent something, reads nothing, and has as much time as that takes.
        let mut busy = server.connect();
        busy.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let busys_head = support::head(&mut busy);
        let mut all = Vec::new();
        for _ in 0..count {
            let mut client = server.connect();
            client.write_all(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            assert!(support::head(&mut client).starts_with("HTTP/1.1 200 "), "{arguments:?}");
            assert_eq!(support::read(&mut client, 6), b"inside");
            all.push(client);
        }
        server.log.wait_for(": between two requests, for clients that wait");
        // Those that made way see an end, and no reset; the last ones are still served over what they have.
        assert_eq!(support::to_end(&mut all[0]), b"", "{arguments:?}");
        let last = all.last_mut().unwrap();
        last.write_all(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert!(support::head(last).starts_with("HTTP/1.1 200 "), "{arguments:?}");
        assert!(busys_head.contains("Content-Length: 33554432\r\n"), "{busys_head}");
        assert_eq!(support::read(&mut busy, 32 << 20).len(), 32 << 20);
    }
}

/// A client over HTTP/2 that has its answer.
fn asked_over_http2(server: &Server) -> TcpStream {
    let settings = support::http2::frame(4, 0, 0, &[]);
    let asks = support::http2::frame(1, 5, 1, b"\x82\x86\x04\x05/file\x41\x09localhost");
    let mut client = server.connect();
    client.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &asks].concat()).unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"inside") {
        said.extend(support::read(&mut client, 1));
    }
    client
}

/// Over HTTP/2 too; and one that has yet to ask is none that has rested.
#[test]
fn connections_that_have_not_asked_yet_make_way_for_nobody() {
    const WHY: &str = ": between two requests, for clients that wait";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "inside").unwrap();
    let arguments = ["--files", folder.path().to_str().unwrap(), "-v", "--max-conns", "4", "--threads", "1"];
    let server = Server::start_at(&["http://127.0.0.1:0"], &arguments);
    let resting: Vec<TcpStream> = (0..4).map(|_| asked_over_http2(&server)).collect();
    // By then the others have rested.
    drop(asked_over_http2(&server));
    server.log.wait_for(WHY);
    server.log.wait_for("closed #5 ");
    let mut fresh = server.connect();
    server.log.wait_for("opened #6 ");
    let next = asked_over_http2(&server);
    server.log.wait_for_count(WHY, 2);
    fresh.write_all(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(support::head(&mut fresh).starts_with("HTTP/1.1 200 "));
    drop((resting, next));
}

/// The client that is greeted last knows that no other will be, whatever it had to say first.
#[test]
fn nobody_listens_any_more_when_the_last_client_is_greeted() {
    let server = Server::start_at(&["tcp://127.0.0.1:0?accept-proxy"], &["--once"]);
    let mut last = server.connect();
    last.write_all(b"PROXY UNKNOWN\r\n").unwrap();
    assert_eq!(line(&mut last), "Welcome!\n");
    let refused = TcpStream::connect(server.address()).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(std::io::ErrorKind::ConnectionRefused));
}
