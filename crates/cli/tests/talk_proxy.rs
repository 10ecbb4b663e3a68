//! `talk --proxy`: through proxies from Debian, and through ones that answer badly.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use support::peers::Peer;
use support::web::bytes;
use support::*;

/// A server that greets at once, as SMTP does, and then sends back what comes.
fn echo() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.write_all(b"220 at once\n");
                let mut piece = vec![0; 65536];
                while let Ok(length @ 1..) = stream.read(&mut piece) {
                    if stream.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, thread)
}

fn microsocks(more: &[&str]) -> Peer {
    need("microsocks");
    Peer::start(|port| {
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(more);
        command
    })
}

fn tinyproxy(folder: &std::path::Path, extra: &str) -> Peer {
    need("tinyproxy");
    Peer::start(|port| {
        let config = folder.join(format!("proxy-{port}.conf"));
        let text = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\n{extra}");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&config).stdout(Stdio::null());
        command
    })
}

fn through(proxy: &str, address: &str, more: &[&str], input: &[u8]) -> Output {
    run(&[&["talk", address, "--proxy", proxy], more].concat(), input)
}

/// Either proxy ends both ways when it hears one end: an answer that is under way then would be lost.
#[test]
fn microsocks_carries_both_ways_with_and_without_a_password() {
    let (server, _) = echo();
    let (open, locked) = (microsocks(&[]), microsocks(&["-u", "me", "-P", "p@ss"]));
    let input = bytes(300_000);
    for scheme in ["socks5", "socks5h"] {
        for (proxy, who) in [(&open, ""), (&locked, "me:p%40ss@")] {
            let at = format!("{scheme}://{who}127.0.0.1:{}", proxy.port);
            for place in [server.to_string(), format!("localhost:{}", server.port())] {
                let output = through(&at, &place, &["-4"], &input);
                assert_code(&output, 0);
                assert!(output.stdout == [b"220 at once\n", &input[..]].concat(), "{at} {place}");
            }
        }
        for who in ["", "me:wrong@"] {
            let output = through(&format!("{scheme}://{who}127.0.0.1:{}", locked.port), &server.to_string(), &[], b"");
            assert_code(&output, 7);
            assert!(text(&output.stderr).contains(": the proxy says that "), "{}", text(&output.stderr));
            assert!(!text(&output.stderr).contains("wrong@"), "{}", text(&output.stderr));
        }
        let closed = Closed::tcp();
        let output = through(&format!("{scheme}://127.0.0.1:{}", open.port), &closed.address.to_string(), &[], b"");
        assert_code(&output, 7);
        let said = text(&output.stderr);
        assert!(said.contains(&format!("cannot connect to {} through {scheme}://", closed.address)), "{said}");
        assert!(said.contains("the proxy says connection refused"), "{said}");
    }
}

#[test]
fn tinyproxy_makes_tunnels_with_and_without_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = echo();
    let (open, locked) = (tinyproxy(folder.path(), ""), tinyproxy(folder.path(), "BasicAuth me secret\n"));
    let input = bytes(300_000);
    for (proxy, who) in [(&open, ""), (&locked, "me:secret@")] {
        let output = through(&format!("http://{who}127.0.0.1:{}", proxy.port), &server.to_string(), &[], &input);
        assert_code(&output, 0);
        assert!(output.stdout == [b"220 at once\n", &input[..]].concat());
    }
    let output = through(&format!("127.0.0.1:{}", locked.port), &server.to_string(), &[], b"");
    assert_code(&output, 7);
    let said = text(&output.stderr);
    assert!(said.contains("the proxy says 407") && said.contains("it takes Basic"), "{said}");
    assert!(said.contains("http://USER:PASSWORD@HOST:PORT"), "{said}");
    let closed = Closed::tcp();
    let output = through(&format!("http://127.0.0.1:{}", open.port), &closed.address.to_string(), &[], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("the proxy says 50"), "{}", text(&output.stderr));
}

/// Plays, records and asking whether a server listens go through a proxy, too; and a server that starts late is waited for.
#[test]
fn whatever_talk_does_goes_through_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let play = folder.path().join("p.talk");
    std::fs::write(&play, "S: 220 at once\nC: hello\nS: hello\n").unwrap();
    let (server, _) = echo();
    let (place, proxy) = (server.to_string(), microsocks(&[]));
    let at = format!("socks5://127.0.0.1:{}", proxy.port);
    assert_code(&through(&at, &place, &["--play", play.to_str().unwrap()], b""), 0);
    let record = folder.path().join("r.talk");
    assert_code(&through(&at, &place, &["--record", record.to_str().unwrap()], b"hello\n"), 0);
    let recorded = std::fs::read_to_string(record).unwrap();
    for line in ["S: 220 at once\n", "C: hello\n", "S: hello\n"] {
        assert!(recorded.contains(line), "{recorded}");
    }
    let open = through(&at, &place, &["--zero"], b"");
    assert_code(&open, 0);
    assert!(text(&open.stderr).contains(&format!("tcp {place}: open")), "{}", text(&open.stderr));
    let late = Closed::tcp();
    let late_place = late.address.to_string();
    let waiting = Command::new(BINARY)
        .args(["talk", &late_place, "--proxy", &at, "--retry", "60s", "--recv-only"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_idle(waiting.id());
    let listener = late.listen();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"late").unwrap();
    drop(stream);
    let output = waiting.wait_with_output().unwrap();
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"late");
    for (address, says) in [("udp://127.0.0.1:9", "a proxy leads to tcp addresses"), ("unix:/x", "leads to tcp")] {
        let output = through(&at, address, &[], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

/// A proxy that reads a request and answers it with these bytes, one request after the other; then it is the destination:
/// it sends back what comes. What it was asked comes back.
fn fake(answers: Vec<Vec<u8>>, one_by_one: bool) -> (SocketAddr, JoinHandle<Vec<Vec<u8>>>) {
    serve_one(move |mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut asked = Vec::new();
        for answer in answers {
            let request = receive(&mut stream);
            if request.is_empty() {
                return asked;
            }
            asked.push(request);
            let sent = match one_by_one {
                true => answer.iter().try_for_each(|byte| stream.write_all(&[*byte])),
                false => stream.write_all(&answer),
            };
            if sent.is_err() {
                return asked;
            }
        }
        // A client that was refused may have reset the connection by now.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        asked
    })
}

/// Each kind of proxy, with the answers of one that makes the way.
fn kinds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let five: &[&[u8]] = &[&[5, 0], &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]];
    let named: &[&[u8]] = &[&[5, 2], &[1, 0], &[5, 0, 0, 3, 4, b'h', b'o', b's', b't', 0, 80]];
    let owned = |answers: &[&[u8]]| answers.iter().map(|answer| answer.to_vec()).collect::<Vec<_>>();
    let head: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 9\r\n\r\n";
    vec![
        ("socks4", owned(&[&[0, 90, 0, 80, 127, 0, 0, 1]])),
        ("socks4a", owned(&[&[0, 90, 0, 0, 0, 0, 0, 0]])),
        ("socks5", owned(five)),
        ("socks5h://me:pw@", owned(named)),
        ("http", owned(&[head])),
    ]
}

fn url(kind: &str, address: SocketAddr) -> String {
    if kind.contains("://") { format!("{kind}{address}") } else { format!("{kind}://{address}") }
}

#[test]
fn what_the_destination_says_right_behind_the_proxys_answer_is_kept() {
    for one_by_one in [false, true] {
        for (kind, mut answers) in kinds() {
            answers.last_mut().unwrap().extend_from_slice(b"220 at once\r\n");
            for more in [&[][..], &["--eol", "lf"]] {
                let (address, proxy) = fake(answers.clone(), one_by_one);
                let output = through(&url(kind, address), "localhost:80", &[&["-4"], more].concat(), b"hello");
                assert_code(&output, 0);
                assert_eq!(text(&output.stdout), "220 at once\r\n", "{kind} {one_by_one}");
                proxy.join().unwrap();
            }
        }
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_no_way() {
    for (kind, answers) in kinds() {
        let all = answers.concat().len();
        for length in 0..all {
            let (mut left, mut cut) = (length, Vec::new());
            for answer in &answers {
                let some = answer.len().min(left);
                left -= some;
                cut.push(answer[..some].to_vec());
                if some < answer.len() {
                    break;
                }
            }
            let (address, proxy) = fake(cut, false);
            let output = through(&url(kind, address), "127.0.0.1:80", &[], b"hello");
            assert_code(&output, 7);
            let said = text(&output.stderr);
            assert!(said.contains("the proxy says nothing more: it ended the connection"), "{kind} {length}: {said}");
            assert_eq!(output.stdout, b"", "{kind} {length}");
            proxy.join().unwrap();
        }
    }
}

#[test]
fn what_a_proxy_refuses_is_told_in_words() {
    let five = |code: u8| vec![vec![5, 0], vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]];
    let http = |status: &str| vec![format!("HTTP/1.1 {status}\r\n\r\n").into_bytes()];
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 600 * 1024]].concat();
    for (kind, answers, code, says) in [
        ("socks5", five(1), 7, "general failure"),
        ("socks5", five(2), 7, "not allowed"),
        ("socks5", five(3), 7, "network unreachable"),
        ("socks5", five(4), 7, "host unreachable"),
        ("socks5", five(5), 7, "connection refused"),
        ("socks5", five(6), 7, "no answer in time (TTL expired)"),
        ("socks5", five(7), 7, "command not supported"),
        ("socks5", five(8), 7, "this kind of address is not supported"),
        ("socks5", five(77), 7, "by a code that nobody knows: 77"),
        ("socks5", vec![vec![5, 0xff]], 7, "that it wants to know who asks"),
        ("socks5://a:b@", vec![vec![5, 0xff]], 7, "that no user and password help"),
        ("socks5://a:b@", vec![vec![5, 2], vec![1, 1]], 7, "that user or password are wrong"),
        ("socks5", vec![vec![4, 90]], 56, "something that is not SOCKS 5"),
        ("socks5", vec![b"SSH-2.0-x\r\n".to_vec()], 56, "something that is not SOCKS 5"),
        ("socks5", vec![vec![5, 0], vec![5, 0, 0, 9, 0, 0]], 56, "something that is not SOCKS 5"),
        ("socks4a", vec![vec![0, 91, 0, 0, 0, 0, 0, 0]], 7, "no: rejected or failed"),
        ("socks4", vec![vec![0, 92, 0, 0, 0, 0, 0, 0]], 7, "cannot ask identd"),
        ("socks4", vec![vec![0, 93, 0, 0, 0, 0, 0, 0]], 7, "names another user"),
        ("socks4", vec![vec![5, 0, 0, 0, 0, 0, 0, 0]], 56, "something that is not SOCKS 4"),
        ("http", http("407 Proxy Authentication Required"), 7, "407 Proxy Authentication Required; write user"),
        ("http://a:b@", http("407 No"), 7, "the proxy says 407 No"),
        ("http", http("403 Forbidden\x1b[31m"), 7, "the proxy says 403 Forbidden"),
        ("http", http("502 Bad Gateway"), 7, "the proxy says 502 Bad Gateway"),
        ("http", http("OK"), 56, "something that is not HTTP/1"),
        ("http", vec![b"SSH-2.0-x\r\n".to_vec()], 56, "something that is not HTTP/1"),
        ("http", vec![vec![5, 0]], 56, "something that is not HTTP/1"),
        ("http", vec![long], 56, "a head of more than 256 KiB"),
    ] {
        let (address, proxy) = fake(answers, false);
        let output = through(&url(kind, address), "127.0.0.1:80", &[], b"");
        let said = text(&output.stderr);
        assert_eq!(support::code(&output), code, "{kind} {says}: {said}");
        assert!(said.contains(says) && !said.contains('\x1b'), "{kind}: {said}");
        proxy.join().unwrap();
    }
}

#[test]
fn a_proxy_that_says_nothing_is_left_in_time() {
    with_enough_time(|times| {
        for kind in ["socks4a", "socks5h", "http"] {
            let (address, proxy) = serve_one(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
            let time = format!("{}ms", 300 * times);
            let output = through(&url(kind, address), "x.invalid:80", &["--connect-timeout", &time], b"");
            assert_code(&output, 28);
            drop(TcpStream::connect(address));
            proxy.join().unwrap();
            let said = text(&output.stderr);
            if !said.contains("the way through the proxy took all of it") {
                return Err(said);
            }
        }
        Ok(())
    });
}

/// The host that the proxy is asked for: the name as it was typed, or an address that we found.
#[test]
fn names_are_looked_up_where_the_scheme_says() {
    for (kind, place, asked) in [
        ("socks4", "localhost:258", &b"\x04\x01\x01\x02\x7f\x00\x00\x01\0"[..]),
        ("socks4://me@", "127.0.0.1:258", b"\x04\x01\x01\x02\x7f\x00\x00\x01me\0"),
        ("socks4a", "x.invalid:258", b"\x04\x01\x01\x02\x00\x00\x00\x01\0x.invalid\0"),
        ("socks5", "127.0.0.1:258", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\x02"),
        ("socks5", "[::1]:258", b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\x02"),
        ("socks5h://me:pw@", "x.invalid:258", b"\x05\x01\x00\x03\x09x.invalid\x01\x02"),
        ("http", "x.invalid:258", b"CONNECT x.invalid:258 HTTP/1.1\r\nHost: x.invalid:258\r\n"),
        ("http", "[::1]:258", b"CONNECT [::1]:258 HTTP/1.1\r\nHost: [::1]:258\r\n"),
        ("http://me:p%40ss@", "x.invalid:258", b"CONNECT x.invalid:258 HTTP/1.1\r\nHost: x.invalid:258\r\n"),
    ] {
        let answers = kinds().into_iter().find(|(known, _)| *known == kind || kind.starts_with(&format!("{known}:")));
        let (_, answers) = answers.unwrap();
        let (address, proxy) = fake(answers, false);
        assert_code(&through(&url(kind, address), place, &[], b""), 0);
        let last = proxy.join().unwrap().pop().unwrap();
        assert!(last.starts_with(asked), "{kind} {place}: {}", String::from_utf8_lossy(&last));
        if kind.contains("p%40ss") {
            assert!(text(&last).contains("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n"), "{}", text(&last));
        }
    }
}

#[test]
fn what_is_no_proxy_is_wrong_usage() {
    for (proxy, says) in [
        ("ftp://x", "and not by ftp"),
        ("socks4://u:p@x", "knows a user and no password"),
        ("https://x", "no proxy under TLS"),
        ("http://x:y", "has the port `y`"),
    ] {
        let output = through(proxy, "127.0.0.1:80", &[], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    let output = through("socks4://127.0.0.1:1", "[::1]:80", &[], b"");
    assert!([2, 7].contains(&support::code(&output)), "{}", text(&output.stderr));
    let output = run(&["talk", "--listen", "0", "--proxy", "http://x"], b"");
    assert_code(&output, 2);
    for (flag, says) in [("-x", "--proxy URL"), ("-X", "--proxy URL"), ("--proxy-type", "--proxy URL")] {
        let output = run(&["talk", "127.0.0.1:80", flag, "x"], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{flag}: {}", text(&output.stderr));
    }
}
