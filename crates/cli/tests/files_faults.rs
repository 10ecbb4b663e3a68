//! `serve --files` under attack: rows 6, 55 to 60 and 67 of the faults, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::{
    LONG, Server, files_of, head, need, read, resident, text, to_end, until, wait_until_idle, with_enough_time,
};

/// A folder `root`, and beside it what must never be seen.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("root/folder")).unwrap();
    fs::create_dir_all(place.path().join("outside")).unwrap();
    fs::write(place.path().join("canary"), "the canary").unwrap();
    fs::write(place.path().join("outside/canary"), "the canary").unwrap();
    fs::write(place.path().join("root/file"), "inside").unwrap();
    fs::write(place.path().join("root/folder/canary"), "inside").unwrap();
    place
}

fn serve(place: &Path, arguments: &[&str]) -> Server {
    let root = place.join("root");
    Server::start_at(&["http://127.0.0.1:0"], &[&["--files", root.to_str().unwrap()], arguments].concat())
}

/// One answer of a connection that stays open: its status and its content.
fn answer(stream: &mut impl Read) -> (u16, Vec<u8>) {
    let head = head(stream).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    (head[9..12].parse().unwrap(), read(stream, length))
}

fn get(stream: &mut TcpStream, path: &[u8]) -> (u16, Vec<u8>) {
    stream.write_all(&[b"GET ", path, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat()).unwrap();
    answer(stream)
}

/// Asks by hand and hears everything until the server closes.
fn said(server: &Server, request: &[u8]) -> String {
    let mut stream = server.connect();
    // It may be refused before all of it is sent.
    let _ = stream.write_all(request);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    text(&all)
}

/// Row 55: nothing outside the folder, however it is written.
#[test]
fn no_form_of_a_path_leads_out() {
    let place = place();
    symlink("../outside", place.path().join("root/out")).unwrap();
    symlink("/etc", place.path().join("root/etc")).unwrap();
    let server = serve(place.path(), &["-q", "--hidden"]);
    let ups =
        ["..", "%2e%2e", "%2E.", ".%2e", "..;", "%c0%ae%c0%ae", "..%00", "%252e%252e", "...", "..\\", "%u002e%u002e"];
    let slashes = ["/", "%2f", "%5c", "//", "\\", "/./", "%c0%af", "%252f"];
    let mut stream = server.connect();
    let mut tried = 0;
    for prefix in ["", "folder/", "file/", "out/", "etc/", "./"] {
        for up in ups {
            for slash in slashes {
                for depth in 1..=3 {
                    for target in ["canary", "outside/canary", "etc/passwd"] {
                        let path = format!("/{prefix}{}{target}", format!("{up}{slash}").repeat(depth));
                        let asked = [b"GET ", path.as_bytes(), b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
                        stream.write_all(&asked).unwrap();
                        let (status, content) = answer(&mut stream);
                        let content = text(&content);
                        assert!(!content.contains("the canary") && !content.contains("root:x"), "{path}");
                        tried += 1;
                        // What is no request at all ends the connection.
                        if status == 400 {
                            stream = server.connect();
                        }
                    }
                }
            }
        }
    }
    assert!(tried > 4000, "{tried}");
    for target in [
        "http://localhost/../canary",
        "http://localhost/folder/canary",
        "//localhost/../canary",
        "/out/canary",
        "/etc/passwd",
        "file:///etc/passwd",
    ] {
        let all =
            said(&server, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(!all.contains("the canary") && !all.contains("root:x"), "{target}: {all}");
        assert_eq!(all.ends_with("inside"), target == "http://localhost/folder/canary", "{target}: {all}");
    }
}

/// Row 56: a link that is turned about while it is asked for.
#[test]
fn a_link_that_is_swapped_never_leads_out() {
    let place = place();
    let inside = |name: &str| place.path().join("root").join(name);
    symlink("folder", inside("good")).unwrap();
    symlink("../outside", inside("bad")).unwrap();
    symlink("folder", inside("swap")).unwrap();
    let server = serve(place.path(), &["-q"]);
    let stop = AtomicBool::new(false);
    let (mut served, mut refused, mut wrong) = (0, 0, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (name, to) in [("bad", "../outside"), ("good", "folder")] {
                    fs::rename(inside(name), inside("swap")).unwrap();
                    symlink(to, inside(name)).unwrap();
                }
            }
        });
        let mut stream = BufReader::new(server.connect());
        let began = Instant::now();
        let batch = b"GET /swap/canary HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
        // Both ways have to be met, which on a busy machine may take more turns.
        for turn in 0.. {
            if turn >= 400 && (served > 0 && refused > 0 || began.elapsed() > LONG) {
                break;
            }
            stream.get_mut().write_all(&batch).unwrap();
            for _ in 0..50 {
                // Failing here would wait for the other thread for ever.
                match answer(&mut stream) {
                    (200, content) if content == b"inside" => served += 1,
                    (404, _) => refused += 1,
                    other => wrong.push(other),
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(served > 0 && refused > 0, "{served} {refused}");
}

/// Row 57: what is no file, and a file that becomes shorter while it is sent.
#[test]
fn what_is_no_file_is_not_there_and_what_shrinks_is_cut_off() {
    let place = place();
    let root = place.path().join("root");
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join("locked"), "x").unwrap();
    fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let server = serve(place.path(), &[]);
    let mut stream = server.connect();
    for name in ["/fifo", "/socket"] {
        assert_eq!(get(&mut stream, name.as_bytes()).0, 404, "{name}");
    }
    let locked = if rustix::process::geteuid().is_root() { 200 } else { 403 };
    assert_eq!(get(&mut stream, b"/locked").0, locked);
    assert_eq!(get(&mut stream, format!("/{}", "x".repeat(4000)).as_bytes()).0, 404);
    let file = fs::File::create(root.join("shrinks")).unwrap();
    file.set_len(256 << 20).unwrap();
    stream.write_all(b"GET /shrinks HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut got = read(&mut stream, 1 << 20).len();
    file.set_len(1 << 20).unwrap();
    got += to_end(&mut stream).len();
    assert!(got < 256 << 20, "{got}");
    server.log.wait_for("the file became shorter while it was sent: ");
    assert_eq!(get(&mut server.connect(), b"/file"), (200, b"inside".to_vec()));
}

/// Row 58: names that mean something to a browser, a terminal or a log.
#[test]
fn evil_names_are_shown_and_mean_nothing() {
    let place = place();
    let names = [
        "<script>alert(1)<",
        "a\"b'c",
        "line\nbreak",
        "esc\u{1b}[31m",
        "javascript:alert(1)",
        "%2e%2e",
        "\u{202e}txt.exe",
        "a b&c=d#e?f",
    ];
    for name in names {
        fs::write(place.path().join("root").join(name), "evil").unwrap();
    }
    let server = serve(place.path(), &[]);
    let mut stream = server.connect();
    let (_, page) = get(&mut stream, b"/");
    let page = text(&page);
    assert!(!page.contains("<script") && !page.contains("href=\"javascript:") && !page.contains('\u{1b}'), "{page}");
    // Every link leads to its file.
    let (_, body) = page.split_once("<body>").unwrap();
    let links: Vec<&str> = body.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut found = 0;
    for link in links {
        let path = format!("/{}", link.trim_start_matches("./").replace("&amp;", "&"));
        if path.starts_with("/?") || path.contains("..") {
            continue;
        }
        if get(&mut stream, path.as_bytes()).1 == b"evil" {
            found += 1;
        }
    }
    assert_eq!(found, names.len(), "{page}");
    drop(stream);
    server.log.wait_for("closed #1 ");
    assert!(!server.log.all().iter().any(|line| line.contains('\u{1b}')));
}

/// Row 59: what two readers could take for different requests is refused, and nothing behind it is answered.
#[test]
fn smuggled_requests_are_refused() {
    let place = place();
    let server = serve(place.path(), &["-q"]);
    let behind = "GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for head in [
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    ] {
        let all = said(&server, format!("{head}{behind}").as_bytes());
        let (status, answers) = (&all.get(9..12).unwrap_or("none"), all.matches("\r\nDate: ").count());
        assert!(["400", "505"].contains(status) && answers == 1 && !all.contains("inside"), "{head:?}: {all}");
    }
    for chunk in [
        "5\r\nabcde0\r\n\r\n",
        "0x5\r\nabcde\r\n0\r\n\r\n",
        "5;a\nabcde\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
    ] {
        let all = said(
            &server,
            format!("PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{behind}")
                .as_bytes(),
        );
        assert!(!all.contains("inside") && all.matches("\r\nDate: ").count() == 1, "{chunk:?}: {all}");
    }
}

/// Row 60: heads without measure, and heads that never end.
#[test]
fn heads_are_bounded_in_size_and_in_time() {
    let place = place();
    let server = serve(place.path(), &["-q"]);
    let status = |request: String| said(&server, request.as_bytes()).get(9..12).unwrap_or("none").to_owned();
    let begin = "GET /file HTTP/1.1\r\nHost: localhost\r\n";
    assert_eq!(status(format!("{begin}{}\r\n", "X: y\r\n".repeat(10_000))), "431");
    assert_eq!(status(format!("{begin}{}\r\n", "X: y\r\n".repeat(101))), "431");
    assert_eq!(status(format!("{begin}X: {}\r\n\r\n", "y".repeat(70_000))), "431");
    assert_eq!(status(format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(9000))), "414");
    // A head that goes on and on is over with its time, however it drips; one that says nothing is closed.
    let server = serve(place.path(), &["-q", "--timeout", "1s"]);
    let mut stream = server.connect();
    stream.write_all(begin.as_bytes()).unwrap();
    let mut drip = stream.try_clone().unwrap();
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let dripping = scope.spawn(move || {
            // Not so fast that it meets the bounds above.
            let mut ended = || over.load(Ordering::Relaxed) || drip.write_all(b"X").is_err();
            while !ended() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert_eq!(read(&mut stream, 12), b"HTTP/1.1 408");
        over.store(true, Ordering::Relaxed);
        dripping.join().unwrap();
    });
    assert_eq!(to_end(&mut server.connect()), b"");
}

#[test]
fn a_slow_reader_gets_every_byte_however_short_the_time_limit_is() {
    const SIZE: usize = 48 << 20;
    let place = place();
    fs::File::create(place.path().join("root/huge")).unwrap().set_len(SIZE as u64).unwrap();
    with_enough_time(|times| {
        let server = serve(place.path(), &["-q", "--timeout", &format!("{}ms", 500 * times)]);
        let mut stream = server.connect();
        // The next request waits meanwhile, and is not late either.
        stream.write_all(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream.write_all(b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        head(&mut stream);
        let mut longest = Duration::ZERO;
        for _ in 0..SIZE >> 20 {
            let began = Instant::now();
            let mut part = vec![1; 1 << 20];
            if let Err(error) = stream.read_exact(&mut part) {
                // One that reads nothing for so long may be left.
                assert!(longest > Duration::from_millis(u64::from(100 * times)), "{error} after {longest:?}");
                return Err(format!("nothing was read for {longest:?}"));
            }
            assert!(part.iter().all(|byte| *byte == 0));
            // Twice the limit in all.
            std::thread::sleep(Duration::from_millis(u64::from(20 * times)));
            longest = longest.max(began.elapsed());
        }
        assert_eq!(answer(&mut stream), (200, b"inside".to_vec()));
        Ok(())
    });
}

#[test]
fn requests_that_come_together_are_answered_one_after_the_other() {
    let place = place();
    fs::write(place.path().join("root/some"), vec![b'x'; 40 * 1024]).unwrap();
    let server = serve(place.path(), &["-q"]);
    let mut stream = server.connect();
    stream.write_all(&b"GET /some HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100)).unwrap();
    for _ in 0..100 {
        let (status, content) = answer(&mut stream);
        assert_eq!((status, content.len()), (200, 40 * 1024));
    }
}

/// A disk that takes its time: the client that stores something waits for it, and no other does.
#[test]
fn a_slow_disk_keeps_nobody_waiting_but_who_stores_something() {
    need("strace");
    let place = place();
    let root = place.path().join("root");
    let put = |name: &str| format!("PUT /{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nnew");
    with_enough_time(|times| {
        let inject = format!("inject=fsync:delay_enter={}", 1_500_000 * times);
        let time = format!("{times}s");
        let mut server = Server::start_with(
            &["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject],
            &["http://127.0.0.1:0"],
            &["--files", root.to_str().unwrap(), "-q", "--upload", "--timeout", &time, "--grace", "600s"],
        );
        let mut storing = server.connect();
        // What is asked behind it waits too, and neither is late.
        let behind = "GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n";
        storing.write_all(format!("{}{behind}", put("one")).as_bytes()).unwrap();
        let mut other = server.connect();
        for _ in 0..5 {
            assert_eq!(get(&mut other, b"/file"), (200, b"inside".to_vec()));
        }
        storing.set_nonblocking(true).unwrap();
        let stored = storing.peek(&mut [0]).is_ok();
        storing.set_nonblocking(false).unwrap();
        // One goes away before its file is stored, which is stored all the same.
        server.connect().write_all(put("two").as_bytes()).unwrap();
        server.signal("TERM");
        assert_eq!(answer(&mut storing).0, 201);
        assert_eq!(answer(&mut storing), (200, b"inside".to_vec()));
        assert_eq!(to_end(&mut storing), b"");
        assert_eq!(server.wait(), 0);
        for name in ["one", "two"] {
            assert_eq!(fs::read(root.join(name)).unwrap(), b"new", "{name}");
            fs::remove_file(root.join(name)).unwrap();
        }
        // This says something only if the others were answered before.
        if stored { Err("the others waited for the disk".to_owned()) } else { Ok(()) }
    });
}

/// Clients that ask for a huge file and read no more than its head.
fn stuck(server: &Server, count: usize) -> Vec<TcpStream> {
    let ask = |_| {
        let mut stream = server.connect();
        stream.write_all(b"GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        read(&mut stream, 100);
        stream
    };
    (0..count).map(ask).collect()
}

/// Row 8, for files: a client that does not read holds next to nothing, and holds up no other.
#[test]
fn a_client_that_never_reads_costs_no_memory_and_keeps_nobody_waiting() {
    let place = place();
    fs::File::create(place.path().join("root/huge")).unwrap().set_len(1 << 30).unwrap();
    let server = serve(place.path(), &["-q"]);
    assert_eq!(get(&mut server.connect(), b"/file").0, 200);
    let before = resident(server.child.id());
    let stuck = stuck(&server, 50);
    for _ in 0..100 {
        assert_eq!(get(&mut server.connect(), b"/file"), (200, b"inside".to_vec()));
    }
    let after = resident(server.child.id());
    assert!(after < before + 4096, "{before} KiB, then {after} KiB");
    drop(stuck);
}

/// Rows 6 and 8, for the kernel: it would take some four megabytes for each, and five thousand of those are all that it has.
#[test]
fn clients_that_never_read_leave_the_kernel_its_memory() {
    let place = place();
    fs::File::create(place.path().join("root/huge")).unwrap().set_len(1 << 30).unwrap();
    let server = serve(place.path(), &["-v"]);
    let stuck = stuck(&server, 10);
    wait_until_idle(server.child.id());
    drop(stuck);
    for line in server.log.wait_for_count(" from the server", 10) {
        let sent = line.split(" from the client, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(sent.parse::<u64>().unwrap() < 1 << 20, "{line}");
    }
}

/// Row 6: slow heads, slow bodies, ranges without number and slow readers, five thousand at once.
#[test]
fn the_server_stays_available_under_slowhttptest() {
    const CONNECTIONS: usize = 5000;
    /// As many of them at once are an attack.
    const MANY: usize = 1000;
    need("slowhttptest");
    let place = place();
    fs::write(place.path().join("root/large"), vec![b'x'; 4 << 20]).unwrap();
    let server = serve(place.path(), &["-q", "--upload"]);
    let id = server.child.id();
    let url = format!("http://{}/large", server.address());
    assert_eq!(get(&mut server.connect(), b"/file").0, 200);
    let (before, files) = (resident(id), files_of(id));
    for mode in [&["-H"][..], &["-B", "-t", "PUT"], &["-R"], &["-X", "-w", "1", "-y", "8", "-z", "8"]] {
        let count = CONNECTIONS.to_string();
        let begin = || {
            let mut attack = Command::new("slowhttptest");
            attack.args(mode).args(["-c", &count, "-r", "5000", "-l", "240", "-i", "1", "-u", &url]);
            Ended(attack.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        };
        let mut attack = begin();
        until("an attack", || {
            // It ends when the server has sent away all of its connections, which on a busy machine are few at once.
            let is_over = attack.0.try_wait().unwrap().is_some();
            if is_over && mode != ["-R"] {
                attack = begin();
            }
            // Ranges are answered, and gone, at once.
            files_of(id) > MANY || is_over && mode == ["-R"]
        });
        // Each waits for an answer, with a bound that only a failure reaches.
        for _ in 0..100 {
            assert_eq!(get(&mut server.connect(), b"/file"), (200, b"inside".to_vec()), "{mode:?}");
        }
    }
    until("every file is closed", || files_of(id) <= files);
    let after = resident(id);
    assert!(after < before + 32 * 1024, "{before} KiB, then {after} KiB");
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
