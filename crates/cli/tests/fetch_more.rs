//! `fetch` for those who come from other tools: bodies, credentials, cookies, parts of files, and the way there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::socks::SocksProxy;
use support::web::{Web, answer, bytes, chunked, fetch, fetch_command, names, ok};
use support::{assert_code, code, run_command, text, with_enough_time};

/// What was sent when asked like this.
#[track_caller]
fn asked(web: &Web, folder: &std::path::Path, arguments: &[&str]) -> String {
    let url = web.url("/x");
    assert_code(&fetch(folder, &[&[url.as_str(), "-o", "/dev/null"], arguments].concat()), 0);
    web.requests().pop().unwrap()
}

#[test]
fn json_is_sent_as_json_and_checked_first() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b""));
    fs::write(folder.path().join("data"), "[1,\n2]").unwrap();
    for (data, sent) in [("{\"a\": [1]}", "{\"a\": [1]}"), ("@data", "[1,\n2]")] {
        let request = asked(&web, folder.path(), &["--data-json", data]);
        assert!(request.starts_with("POST /x ") && request.ends_with(&format!("\r\n\r\n{sent}")), "{request}");
        assert!(request.contains("\r\nContent-Type: application/json\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nContent-Length: {}\r\n", sent.len())), "{request}");
    }
    let request = asked(&web, folder.path(), &["--data-json", "1", "-X", "PATCH", "-H", "Content-Type: a/b"]);
    assert!(request.starts_with("PATCH /x ") && request.contains("\r\nContent-Type: a/b\r\n"), "{request}");
    let before = web.requests().len();
    for (arguments, expected) in [
        (&["--data-json", "{a: 1}"][..], 2),
        (&["--data-json", "@none"], 26),
        (&["--data-json", "1", "--data", "1"], 2),
        (&["--data-json", "1", "--form", "a=b"], 2),
        (&["--data-json", "1", "--head"], 2),
    ] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str(), "-o", "y"], arguments].concat());
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(web.requests().len(), before, "nobody was asked");
}

#[test]
fn a_form_has_values_and_files_and_ends_as_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b""));
    // Larger than what is read at once, and text so that the helper shows it as it came.
    let long = "0123456789abcdef\r\n".repeat(20_000);
    fs::write(folder.path().join("a\"b.txt"), &long).unwrap();
    fs::write(folder.path().join("t.csv"), "1;2").unwrap();
    let form = ["--form", "who=Ann & Bob", "--form", "file=@a\"b.txt", "--form", "t=@t.csv;type=text/csv"];
    let request = asked(&web, folder.path(), &form);
    assert!(request.starts_with("POST /x HTTP/1.1\r\n"), "{}", &request[..100]);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    let boundary = head.split("Content-Type: multipart/form-data; boundary=").nth(1).unwrap().lines().next().unwrap();
    let part = |more: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name={more}\r\n\r\n{value}\r\n")
    };
    let expected = [
        part("\"who\"", "Ann & Bob"),
        part("\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: application/octet-stream", &long),
        part("\"t\"; filename=\"t.csv\"\r\nContent-Type: text/csv", "1;2"),
        format!("--{boundary}--\r\n"),
    ];
    assert!(body == expected.concat(), "{}", &body[..300]);
    // The form goes with a redirect that keeps the method.
    let moved = Web::start(|request, stream| {
        let message = match request.contains(" /x ") {
            true => answer("307 There", "Location: /to\r\nContent-Length: 0\r\n", b""),
            false => ok(b"x"),
        };
        stream.write_all(&message).unwrap();
    });
    asked(&moved, folder.path(), &form);
    let both: Vec<usize> =
        moved.requests().iter().map(|request| request.split_once("\r\n\r\n").unwrap().1.len()).collect();
    assert_eq!(both, [body.len(), body.len()]);
    for (form, expected) in [("no-equals", 2), ("a=@none", 26), ("a=@t.csv;type=", 2), ("a=@t.csv;type=x\r\ny", 2)] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "y", "--form", form]);
        assert_eq!(code(&output), expected, "{form}: {}", text(&output.stderr));
    }
}

/// What is sent is read while it is sent: one that shrinks meanwhile ends the fetch, and is not made up.
#[test]
fn a_file_that_shrinks_while_it_is_sent_is_told() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    fs::write(&path, bytes(30_000_000)).unwrap();
    let (address, server) = support::serve_one(move |mut stream| {
        support::read(&mut stream, 1000);
        fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = fetch(folder.path(), &[&format!("http://{address}/x"), "--data", "@large", "-o", "x"]);
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot read large: it has become shorter"), "{}", text(&output.stderr));
    server.join().unwrap();
    assert_eq!(names(folder.path()), ["large"]);
    // A file that says that it has no bytes, and has some.
    let web = Web::saying(ok(b""));
    let request = asked(&web, folder.path(), &["--data", "@/proc/self/comm"]);
    assert!(request.ends_with("\r\n\r\nsockeye\n"), "{request}");
    let mut command = fetch_command(folder.path());
    command.args([&web.url("/"), "-o", "/dev/null", "--data-json", "@-"]);
    assert_code(&run_command(&mut command, b"[]"), 0);
    assert!(web.requests().pop().unwrap().ends_with("\r\n\r\n[]"));
    // `-` is standard input in a form too, with or without a type, and is read once.
    let mut command = fetch_command(folder.path());
    command.args([&web.url("/"), "-o", "/dev/null", "--form", "a=@-;type=text/csv", "--form", "b=c"]);
    assert_code(&run_command(&mut command, b"1,2"), 0);
    let request = web.requests().pop().unwrap();
    let part = "name=\"a\"; filename=\"-\"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n--";
    assert!(request.contains(part), "{request}");
    assert_code(&run_command(command.args(["--form", "d=@-"]), b"1,2"), 2);
}

/// Redirects `/from` to another origin, and says what it says elsewhere.
fn leading_to(url: String, fields: &'static str) -> Web {
    Web::start(move |request, stream| {
        let message = match request.contains(" /from") {
            true => answer("302 Found", &format!("Location: {url}\r\n{fields}Content-Length: 0\r\n"), b""),
            false => ok(b"x"),
        };
        stream.write_all(&message).unwrap();
    })
}

#[test]
fn who_asks_may_be_said_by_a_token_or_a_file_and_is_never_told_to_another() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(folder.path().join(name), text).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("token", "t0ken\n", 0o600);
    write(".netrc", "machine 127.0.0.1 login me password secret\ndefault login you password x\n", 0o600);
    write("open", "machine 127.0.0.1 login me password secret\n", 0o644);
    write("wrong", "machine 127.0.0.1 login secret password\n", 0o600);
    let other = Web::saying(ok(b"x"));
    let web = leading_to(other.url("/x").replace("127.0.0.1", "localhost"), "");
    let (bearer, basic) = ("\r\nAuthorization: Bearer t0ken\r\n", "\r\nAuthorization: Basic bWU6c2VjcmV0\r\n");
    for (arguments, sent) in [
        (&["--bearer", "t0ken"][..], bearer),
        (&["--bearer", "@token"], bearer),
        (&["--netrc"], basic),
        (&["--netrc-file", ".netrc"], basic),
        (&["--netrc", "--bearer", "t0ken"], bearer),
        (&["--user", "me:secret"], basic),
    ] {
        let mut command = fetch_command(folder.path());
        command.env("HOME", folder.path()).args([&web.url("/from"), "-o", "/dev/null", "-v"]).args(arguments);
        let output = run_command(&mut command, b"");
        assert_code(&output, 0);
        let request = web.requests().pop().unwrap();
        assert!(request.contains(sent), "{arguments:?}: {request}");
        let led = other.requests().pop().unwrap().to_ascii_lowercase();
        assert!(!led.contains("authorization"), "{arguments:?}: {led}");
        let said = text(&output.stderr);
        assert!(said.contains("without authorization"), "{said}");
        command.args(["--json"]);
        let both = said + &text(&run_command(&mut command, b"").stderr);
        for secret in ["t0ken", "secret", "bWU6"] {
            assert!(!both.contains(secret), "{both}");
        }
    }
    // The URL's own are nearer than a file's, and a file is not looked at unless asked.
    let url = web.url("/x").replace("//", "//you:too@");
    let mut command = fetch_command(folder.path());
    command.env("HOME", folder.path()).args([&url, "-o", "/dev/null", "--netrc"]);
    assert_code(&run_command(&mut command, b""), 0);
    assert!(web.requests().pop().unwrap().contains("\r\nAuthorization: Basic eW91OnRvbw==\r\n"));
    assert_code(
        &run_command(
            fetch_command(folder.path()).env("HOME", folder.path()).args([&web.url("/x"), "-o", "/dev/null"]),
            b"",
        ),
        0,
    );
    assert!(!web.requests().pop().unwrap().contains("Authorization"));
    for (arguments, expected, says) in [
        (&["--netrc-file", "open"][..], 26, "open: everybody may read these passwords: chmod o-r"),
        (&["--netrc-file", "none"], 26, "cannot read none: "),
        (&["--netrc-file", "wrong"], 26, "without a value"),
        (&["--bearer", "t0 ken"], 2, "a bearer token has letters"),
        (&["--bearer", "@none"], 26, "cannot read none: "),
        (&["--bearer", "@open"], 26, "open: everybody may read these credentials: chmod o-r"),
        (&["--user", "@open"], 26, "open: everybody may read these credentials: chmod o-r"),
        (&["--bearer", "x", "--user", "a:b"], 2, "cannot be used with"),
    ] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str(), "-o", "y"], arguments].concat());
        assert_code(&output, expected);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains("secret") && !said.contains("t0 ken"), "{said}");
    }
}

#[test]
fn cookies_of_a_redirect_go_back_to_who_set_them_and_ours_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let other = Web::saying(ok(b"x"));
    let sets = "Set-Cookie: s=1; Path=/\r\nSet-Cookie: deep=2; Path=/deep\r\nSet-Cookie: old=3; Max-Age=0\r\n\
        Set-Cookie: safe=4; Secure; Path=/\r\n";
    let web = leading_to("/to".to_owned(), sets);
    assert_code(&fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b; c=d", "--cookie", "e=f"]), 0);
    let requests = web.requests();
    assert!(requests[0].contains("\r\nCookie: a=b; c=d; e=f\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("\r\nCookie: a=b; c=d; e=f; s=1\r\n"), "{}", requests[1]);
    // The same host on another port: its own cookies go there, ours do not (RFC 6265, section 8.5).
    let web = leading_to(other.url("/x"), sets);
    let output = fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b", "-v"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("without cookie"), "{}", text(&output.stderr));
    assert!(other.requests().pop().unwrap().contains("\r\nCookie: s=1\r\n"));
    // Another host.
    let web = leading_to(other.url("/x").replace("127.0.0.1", "localhost"), sets);
    assert_code(&fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b"]), 0);
    assert!(!other.requests().pop().unwrap().contains("Cookie"));
    for cookie in ["secret", "secret=a\nb"] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "y", "--cookie", cookie]);
        assert_code(&output, 2);
        assert!(!text(&output.stderr).contains("secret"), "{}", text(&output.stderr));
    }
}

/// Answers with these in turn, and with the last one from then on.
fn in_turn(answers: Vec<Vec<u8>>) -> Web {
    let next = std::sync::atomic::AtomicUsize::new(0);
    Web::start(move |_, stream| {
        let index = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(answers.len() - 1);
        let _ = stream.write_all(&answers[index]);
    })
}

#[test]
fn what_passes_is_tried_again_and_what_may_be_done_already_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let busy = |more: &str| answer("503 Busy", &format!("Retry-After: {more}\r\nContent-Length: 0\r\n"), b"");
    let soon = || vec![busy("0"), busy("Sun, 06 Nov 1994 08:49:37 GMT"), ok(b"x")];
    let web = in_turn(soon());
    let output = fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--retry", "2"]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", "only the last head");
    let said = text(&output.stderr);
    assert!(said.contains("503 Busy; again in 0.0 s, 1 of 2\n") && said.contains("0.0 s, 2 of 2\n"), "{said}");
    assert_eq!(web.requests().len(), 3);
    for (answers, arguments, expected, asked) in [
        (soon(), &["--retry", "1"][..], 22, 2),
        (soon(), &[], 22, 1),
        (soon(), &["--retry", "5", "--data", "x"], 22, 1),
        (soon(), &["--retry", "5", "--data", "x", "-X", "PUT"], 0, 3),
        // It would be longer than anybody waits, or than everything may take.
        (vec![busy("86400"), ok(b"x")], &["--retry", "5"], 22, 1),
        (vec![busy("100"), ok(b"x")], &["--retry", "5", "--max-time", "50s"], 22, 1),
        (vec![answer("404 No", "Retry-After: 0\r\nContent-Length: 0\r\n", b""), ok(b"x")], &["--retry", "5"], 22, 1),
        // Nothing came: it is not known whether a POST was done.
        (vec![vec![], ok(b"x")], &["--retry", "5"], 0, 2),
        (vec![vec![], ok(b"x")], &["--retry", "5", "--data", "x"], 18, 1),
        (vec![b"garbage".to_vec(), ok(b"x")], &["--retry", "5"], 56, 1),
        (vec![answer("200 OK", "Content-Length: 9\r\n", b"half"), ok(b"x")], &["--retry", "5"], 0, 2),
        (vec![answer("200 OK", "Content-Length: 9\r\n", b"half"), ok(b"x")], &["--retry", "5", "--data", "x"], 18, 1),
    ] {
        let web = in_turn(answers);
        let output = fetch(folder.path(), &[&[web.url("/x").as_str(), "-o", "x"], arguments].concat());
        assert_code(&output, expected);
        assert_eq!(web.requests().len(), asked, "{arguments:?} {}", text(&output.stderr));
    }
    assert_eq!(names(folder.path()), ["x"]);
    // No server listens: it is safe to ask again whatever is asked.
    let closed = support::Closed::tcp();
    let free = closed.address;
    let output = fetch(folder.path(), &[&free.to_string(), "--retry", "1", "--data", "x"]);
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("Connection refused; again in 0."), "{}", text(&output.stderr));
    // Unless a server has heard it before, and sent us there.
    let web = leading_to(format!("http://{free}/"), "");
    assert_code(&fetch(folder.path(), &[&web.url("/from"), "--retry", "1", "--data", "x"]), 7);
    assert_eq!(web.requests().len(), 1);
}

fn said(output: &std::process::Output, words: &str) -> Result<(), String> {
    let said = text(&output.stderr);
    if said.contains(words) { Ok(()) } else { Err(format!("no `{words}` in: {said}")) }
}

#[test]
fn a_rate_is_not_exceeded_and_a_quiet_server_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(60_000);
    for message in [ok(&body), answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&body, 5000))] {
        let web = Web::saying(message);
        let began = std::time::Instant::now();
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--limit-rate", "100k"]), 0);
        assert!(began.elapsed().as_millis() >= 580, "{:?}", began.elapsed());
        assert!(fs::read(folder.path().join("x")).unwrap() == body);
        with_enough_time(|times| {
            let (url, time) = (web.url("/x"), format!("{times}s"));
            let output = fetch(folder.path(), &[&url, "-o", "x", "--limit-rate", "1k", "--max-time", &time]);
            assert_code(&output, 28);
            said(&output, &format!("not done within {times} s (--timeout)"))
        });
    }
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let web = Web::start(move |request, stream| {
        if request.contains(" /half ") {
            stream.write_all(&answer("200 OK", "Content-Length: 9\r\n", b"half")).unwrap();
        }
        let _ = released.lock().unwrap().recv();
    });
    for (path, says) in [
        ("/none", "no answer within {} s (--idle-timeout)"),
        ("/half", "nothing came within {} s (--idle-timeout), after 4 bytes of the body"),
    ] {
        with_enough_time(|times| {
            let output = fetch(folder.path(), &[&web.url(path), "-o", "x", "--idle-timeout", &format!("{times}s")]);
            assert_code(&output, 28);
            said(&output, &says.replace("{}", &times.to_string()))
        });
    }
    drop(release);
}

#[test]
fn a_name_has_the_address_that_was_typed_and_a_unix_socket_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b"x"));
    let port = web.address.port();
    let url = format!("http://Some.Example:{port}/x");
    let resolve = format!("some.example:{port}:127.0.0.1");
    assert_code(&fetch(folder.path(), &[&url, "-o", "x", "--resolve", "other:1:::1", "--resolve", &resolve]), 0);
    assert!(web.requests()[0].contains(&format!("\r\nHost: some.example:{port}\r\n")), "{:?}", web.requests());
    for wrong in ["x", "x:1", "x:1:y", ":1:127.0.0.1", "x:99999:127.0.0.1"] {
        assert_code(&fetch(folder.path(), &[&url, "-o", "x", "--resolve", wrong]), 2);
    }
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for message in [answer("302 Found", "Location: http://other/there\r\nContent-Length: 0\r\n", b""), ok(b"y")] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push_str(&support::line(&mut stream));
            }
            heads.push(head);
            stream.write_all(&message).unwrap();
        }
        heads
    });
    let mut command = fetch_command(folder.path());
    // A proxy is not asked for what is on this machine.
    command.env("http_proxy", "http://127.0.0.1:1").args(["http://docker/v1/x", "-o", "y", "--unix", "socket"]);
    assert_code(&run_command(&mut command, b""), 0);
    let heads = server.join().unwrap();
    assert!(heads[0].starts_with("GET /v1/x HTTP/1.1\r\n") && heads[0].contains("\r\nHost: docker\r\n"), "{heads:?}");
    assert!(heads[1].starts_with("GET /there ") && heads[1].contains("\r\nHost: other\r\n"), "{heads:?}");
    assert_eq!(fs::read(folder.path().join("y")).unwrap(), b"y");
    assert_code(&fetch(folder.path(), &["http://docker/x", "-o", "y", "--unix", "none"]), 7);
}

#[test]
fn socks_proxies_look_names_up_there_or_let_us() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(300_000);
    let web = Web::saying(ok(&body));
    let port = web.address.port();
    let (open, locked) = (SocksProxy::start(None), SocksProxy::start(Some(("me", "p@ss"))));
    let at = |scheme: &str, who: &str, proxy: &SocksProxy| format!("{scheme}://{who}{}", proxy.address);
    for (proxy, who) in [(&open, ""), (&locked, "me:p%40ss@")] {
        for (scheme, host, asked) in [
            ("socks5h", "inside.example", "name inside.example"),
            ("socks5h", "127.0.0.1", "address 127.0.0.1"),
            ("socks5", "127.0.0.1", "address 127.0.0.1"),
            ("socks5", "localhost", "address 127.0.0.1"),
        ] {
            let url = format!("http://{host}:{port}/x");
            let proxy_url = at(scheme, who, proxy);
            assert_code(&fetch(folder.path(), &[&url, "-o", "x", "--proxy", &proxy_url]), 0);
            assert!(fs::read(folder.path().join("x")).unwrap() == body);
            assert_eq!(proxy.asked().pop().unwrap(), format!("{asked}:{port}"));
            assert!(web.requests().pop().unwrap().starts_with("GET /x HTTP/1.1\r\n"), "the server is asked, no proxy");
            let mut command = fetch_command(folder.path());
            command.env("all_proxy", &proxy_url).args([&url, "-o", "x"]);
            assert_code(&run_command(&mut command, b""), 0);
            assert_eq!(proxy.asked().len() % 2, 0, "the environment says the same");
        }
    }
    let closed = support::Closed::tcp();
    let nobody = closed.address;
    for (url, proxy, expected, says) in [
        (web.url("/x"), at("socks5", "", &locked), 7, "the proxy says that it wants to know who asks"),
        (web.url("/x"), at("socks5", "a:b@", &locked), 7, "the proxy says that user or password are wrong"),
        (format!("http://{nobody}/"), at("socks5", "", &open), 7, "the proxy says connection refused"),
        (web.url("/x"), format!("socks5://{}", web.address), 28, "no way through the proxy within 0.3 s"),
        (web.url("/x"), "socks6://127.0.0.1:1".to_owned(), 2, "and not by socks6"),
        (web.url("/x"), "http://".to_owned(), 2, "--proxy: the proxy is no URL"),
    ] {
        // Only the one that never answers has to be left soon.
        let time = if expected == 28 { "300ms" } else { "60s" };
        let output = fetch(folder.path(), &[&url, "-o", "x", "--proxy", &proxy, "--connect-timeout", time]);
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{proxy}: {}", text(&output.stderr));
    }
}

#[test]
fn several_urls_are_fetched_at_once_and_their_heads_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    // No client is answered before four have asked.
    let together = std::sync::Barrier::new(4);
    let web = Web::start(move |request, stream| {
        let name = request.split([' ', '/']).nth(2).unwrap();
        together.wait();
        let fields = format!("X: {}\r\n", name.repeat(100)).repeat(100);
        stream.write_all(&answer("200 OK", &format!("{fields}Content-Length: 1\r\n"), name.as_bytes())).unwrap();
    });
    let urls: Vec<String> = "abcdefgh".chars().map(|name| web.url(&format!("/{name}"))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let output = fetch(folder.path(), &urls);
    assert_code(&output, 0);
    assert_eq!(names(folder.path()).concat(), "abcdefgh");
    assert_eq!(text(&output.stderr).matches("saved ").count(), 8);
    let stdout = text(&output.stdout);
    let heads: Vec<&str> = stdout.split_inclusive("\r\n\r\n").collect();
    assert_eq!(heads.len(), 8);
    for head in heads {
        let name = head.split("X: ").nth(1).unwrap().chars().next().unwrap();
        assert_eq!(head.matches(&format!("X: {}\r\n", name.to_string().repeat(100))).count(), 100);
        assert_eq!(fs::read_to_string(folder.path().join(name.to_string())).unwrap(), name.to_string());
    }
}

#[test]
fn of_several_urls_one_that_fails_holds_no_other_up() {
    let folder = tempfile::tempdir().unwrap();
    let busy = std::sync::atomic::AtomicUsize::new(0);
    let web = Web::start(move |request, stream| {
        let at_once = busy.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let message = match request.split(' ').nth(1).unwrap() {
            "/gone" => answer("404 Gone", "Content-Length: 0\r\n", b""),
            "/cut" => answer("200 OK", "Content-Length: 9\r\n", b"half"),
            path => ok(format!("{path} {at_once};").as_bytes()),
        };
        stream.write_all(&message).unwrap();
        busy.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    });
    let urls = ["/one", "/cut", "/gone", "/two"].map(|path| web.url(path));
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let output = fetch(folder.path(), &urls);
    assert_code(&output, 18);
    assert!(text(&output.stderr).contains("/gone: 404 Gone"), "{}", text(&output.stderr));
    assert_eq!(names(folder.path()), ["one", "two"]);
    assert_code(&fetch(folder.path(), &[urls[2], urls[1], "--force"]), 22);
    // One after the other in their order, where they share a stream or are told to.
    for more in [&["-qo", "-"][..], &["-qo", "-", "--jobs", "9"]] {
        let output = fetch(folder.path(), &[&[urls[3], urls[0]], more].concat());
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "/two 0;/one 0;");
    }
    assert_code(&fetch(folder.path(), &[urls[0], urls[3], "--jobs", "1", "-o", "/dev/null", "--json"]), 0);
    let before = web.requests().len();
    let (same, digest) = (web.url("/x/one"), "0".repeat(64));
    for (arguments, says) in [
        (&[urls[0], &same][..], "would both be saved as one"),
        (&[urls[0], urls[3], "-o", "x"], "-o FILE is for one URL, and there are 2"),
        (&[urls[0], urls[3], "--sha256", &digest], "--sha256 is for one URL"),
        (&[urls[0], urls[3], "--data", "@-"], "standard input is for one URL"),
        (&[urls[0], urls[3], "--form", "a=@-;type=a/b"], "standard input is for one URL"),
        (&[urls[0], "ftp://x/"], "only http and https are fetched"),
        (&[urls[0], "--jobs", "0"], "from 1 to 64"),
        (&[], "required"),
    ] {
        let output = fetch(folder.path(), arguments);
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    assert_eq!(web.requests().len(), before, "nobody was asked");
}

/// What a page took begins with its turn.
#[test]
fn a_page_that_waits_for_another_takes_no_longer_for_that() {
    let folder = tempfile::tempdir().unwrap();
    let slow = std::time::Duration::from_millis(300);
    let web = Web::start(move |request, stream| {
        if request.contains(" /slow ") {
            std::thread::sleep(slow);
        }
        stream.write_all(&ok(b"x")).unwrap();
    });
    let began = std::time::Instant::now();
    let output = fetch(folder.path(), &[&web.url("/slow"), &web.url("/second"), "--jobs", "1", "--json"]);
    let all = began.elapsed();
    assert_code(&output, 0);
    let said = text(&output.stderr);
    let event: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let total = event["seconds"]["total"].as_f64().unwrap();
    assert!(total <= (all - slow).as_secs_f64(), "{total} s of {all:?}");
}

/// The page that compares: what its column of ours names is there.
#[test]
fn every_option_of_the_table_is_there() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fetch.md")).unwrap();
    let help = text(&support::run(&["fetch", "--help"], b"").stdout);
    let options = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'));
        words.filter(|word| word.len() > 1 && word.starts_with('-') && *word != "-100").map(str::to_owned).collect()
    };
    let there = options(&help);
    let cells: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1)).collect();
    let named: Vec<String> = cells.iter().filter(|cell| !cell.contains("---")).flat_map(|cell| options(cell)).collect();
    for option in &named {
        assert!(there.contains(option), "{option}");
    }
    assert!(named.len() > 40, "{named:?}");
}
