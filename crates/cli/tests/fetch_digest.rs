//! Digest authentication (RFC 7616): `fetch` and curl against a server that judges every proof by its own reckoning.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};
use support::peers::{Authority, s_server};
use support::web::{Web, answer, fetch, fetch_command, ok};
use support::{assert_code, need, run_command, text};

fn hash(algorithm: &str, data: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match algorithm.trim_end_matches("-sess") {
        "MD5" => hex(&Md5::digest(data)),
        "SHA-256" => hex(&Sha256::digest(data)),
        "SHA-512-256" => hex(&Sha512_256::digest(data)),
        other => panic!("{other}"),
    }
}

/// The parameters of a proof, as a server reads them.
fn parameter(field: &str, name: &str) -> Option<String> {
    let mut rest = field.strip_prefix("Digest ")?;
    loop {
        let (found, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.chars();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => value.push(characters.next()?),
                        other => value.push(other),
                    }
                }
                (value, characters.as_str())
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        if found == name {
            return Some(value);
        }
        rest = after.strip_prefix(", ")?;
    }
}

fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// What a server wants.
#[derive(Clone, Copy)]
struct Wants {
    challenge: &'static str,
    algorithm: &'static str,
    realm: &'static str,
    user: &'static str,
}

const PASSWORD: &str = "open: \"sesame\" \u{fc}";

/// Whether a request has a proof that is right for a nonce.
fn is_proven(request: &str, wants: Wants, nonce: &str) -> bool {
    let Some(proof) = field(request, "authorization") else { return false };
    let get = |name: &str| parameter(proof, name);
    let algorithm = wants.algorithm;
    let mut first = request.split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let user = match get("userhash").as_deref() {
        Some("true") => hash(algorithm, &format!("{}:{}", wants.user, wants.realm)),
        _ => wants.user.to_owned(),
    };
    if get("username").is_some_and(|username| username != user) || get("uri").as_deref() != Some(target) {
        return false;
    }
    if get("nonce").as_deref() != Some(nonce) || get("realm").as_deref() != Some(wants.realm) {
        return false;
    }
    let mut secret = hash(algorithm, &format!("{}:{}:{PASSWORD}", wants.user, wants.realm));
    if algorithm.ends_with("-sess") {
        secret = hash(algorithm, &format!("{secret}:{nonce}:{}", get("cnonce").unwrap()));
    }
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let asked = match get("qop").as_deref() {
        Some("auth-int") => hash(algorithm, &format!("{method}:{target}:{}", hash(algorithm, body))),
        _ => hash(algorithm, &format!("{method}:{target}")),
    };
    let expected = match get("qop") {
        None => format!("{secret}:{nonce}:{asked}"),
        Some(qop) => {
            let (count, cnonce) = (get("nc").unwrap(), get("cnonce").unwrap());
            format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{asked}")
        }
    };
    get("response") == Some(hash(algorithm, &expected))
}

fn guarded(wants: Wants) -> Web {
    Web::start(move |request, stream| {
        let message = if is_proven(request, wants, "n0==") {
            ok(b"welcome")
        } else {
            let challenge = wants.challenge;
            answer("401 Unauthorized", &format!("{challenge}Content-Length: 2\r\n"), b"no")
        };
        let _ = stream.write_all(&message);
    })
}

fn login(user: &str) -> String {
    format!("{user}:{PASSWORD}")
}

#[test]
fn every_kind_of_challenge_is_met_as_by_curl() {
    need("curl");
    let plain = Wants { challenge: "", algorithm: "MD5", realm: "a b", user: "me" };
    for (wants, curl_too) in [
        (Wants { challenge: "WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\"\r\n", ..plain }, true),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", qop=\"auth,auth-int\", nonce=\"n0==\", opaque=\"o\", algorithm=MD5\r\n",
                ..plain
            },
            true,
        ),
        (
            Wants {
                challenge: "www-authenticate: digest REALM=\"a b\",QOP=auth,NONCE=n0==,ALGORITHM=sha-256\r\n",
                algorithm: "SHA-256",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", qop=\"auth\", nonce=\"n0==\", algorithm=MD5-sess\r\n",
                algorithm: "MD5-sess",
                ..plain
            },
            true,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", qop=\"auth\", nonce=\"n0==\", algorithm=SHA-256-sess\r\n",
                algorithm: "SHA-256-sess",
                ..plain
            },
            true,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", qop=\"auth-int\", nonce=\"n0==\"\r\n",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Negotiate, Newauth realm=\"x, Digest y=\\\"z\\\"\", Digest realm=\"a b\", nonce=\"n0==\", qop=auth\r\n",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Digest realm=\"a b\", algorithm=unknown, nonce=\"x\"\r\n\
                    WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\", algorithm=SHA-512-256, qop=\"auth\"\r\n",
                algorithm: "SHA-512-256",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"\\\"q\\\" \\\\\", nonce=\"n0==\", qop=\"auth\"\r\n",
                realm: "\"q\" \\",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\", qop=\"auth\", userhash=true, charset=UTF-8, algorithm=SHA-256\r\n",
                algorithm: "SHA-256",
                user: "m\u{e4}x",
                ..plain
            },
            true,
        ),
        (
            Wants {
                challenge: "WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\", qop=\"auth\", charset=UTF-8\r\n",
                user: "m\u{e4}x",
                ..plain
            },
            true,
        ),
    ] {
        let web = guarded(wants);
        let folder = tempfile::tempdir().unwrap();
        let login = login(wants.user);
        for more in [&["--digest"][..], &["--digest", "--data", "x=1"], &["--digest", "-X", "PROPFIND"]] {
            let url = web.url("/a?b=\"c\"");
            let output = fetch(folder.path(), &[&[url.as_str(), "-o", "x", "--user", &login], more].concat());
            assert_code(&output, 0);
            assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"welcome");
            let requests = web.requests();
            let last = requests.last().unwrap();
            assert_eq!(last.ends_with("\r\n\r\nx=1"), more.contains(&"--data"), "{last}");
            // The password was shown to no server, and the body was sent once.
            assert!(!requests.iter().any(|request| request.contains("Basic ")), "{requests:?}");
            assert!(!requests[requests.len() - 2].ends_with("x=1"), "{requests:?}");
        }
        if curl_too {
            let mut curl = std::process::Command::new("curl");
            curl.args(["-sSf", "--noproxy", "*", "--digest", "--user", &login, &web.url("/a")]);
            let output = run_command(&mut curl, b"");
            assert_eq!(text(&output.stdout), "welcome", "{} {}", wants.challenge, text(&output.stderr));
        }
    }
}

#[test]
fn a_user_without_the_flag_gives_a_proof_only_where_the_password_is_not_taken() {
    let challenge = "WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\", qop=\"auth\"\r\n";
    let wants = Wants { challenge, algorithm: "MD5", realm: "a b", user: "me" };
    let folder = tempfile::tempdir().unwrap();
    let web = guarded(wants);
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x", "--user", &login("me")]), 0);
    assert_eq!(web.requests().len(), 2);
    assert!(field(&web.requests()[0], "authorization").unwrap().starts_with("Basic "));
    // From the URL and from a file as well.
    let user = web.url("/").replace("http://", "http://me:open%3A%20%22sesame%22%20%C3%BC@");
    assert_code(&fetch(folder.path(), &[&user, "-o", "x", "--digest"]), 0);
    let web = guarded(Wants {
        challenge: "WWW-Authenticate: Digest realm=\"a b\", nonce=\"n0==\", Basic realm=\"a b\"\r\n",
        ..wants
    });
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x", "--user", "me:wrong"]), 22);
    assert_eq!(web.requests().len(), 1, "who was told the password has judged it");
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x", "--digest", "--user", "me:wrong"]), 22);
    assert_eq!(web.requests().len(), 3, "a wrong password is tried once");
    let output = fetch(folder.path(), &[&web.url("/"), "-o", "x", "--digest"]);
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--digest needs a user"), "{}", text(&output.stderr));
}

#[test]
fn requests_are_counted_and_old_nonces_replaced() {
    let asked = AtomicUsize::new(0);
    let wants = Wants { challenge: "", algorithm: "MD5", realm: "r", user: "me" };
    // Each nonce is good for two requests, and only some servers say that it is too old.
    let web = Web::start(move |request, stream| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let nonce = format!("n{}", number / 3);
        let stale = if number < 6 { "stale=TRUE, " } else { "" };
        let count = field(request, "authorization").and_then(|proof| parameter(proof, "nc"));
        let is_next = count == Some(format!("{:08x}", number % 3));
        let message = if !number.is_multiple_of(3) && is_next && is_proven(request, wants, &nonce) {
            ok(b"welcome")
        } else {
            let challenge = format!("WWW-Authenticate: Digest realm=r, {stale}qop=auth, nonce={nonce}\r\n");
            answer("401 Unauthorized", &format!("{challenge}Content-Length: 0\r\n"), b"")
        };
        let _ = stream.write_all(&message);
    });
    let folder = tempfile::tempdir().unwrap();
    let urls: Vec<String> = (0..8).map(|number| web.url(&format!("/{number}"))).collect();
    let login = login("me");
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--digest", "--user", &login, "--jobs", "1"]);
    assert_code(&fetch(folder.path(), &arguments), 0);
    assert_eq!(web.requests().len(), 12);
}

#[test]
fn a_server_that_is_never_content_is_left_and_so_is_the_next_nonce_taken() {
    let nonces = AtomicUsize::new(0);
    let web = Web::start(move |_, stream| {
        let nonce = nonces.fetch_add(1, Ordering::Relaxed);
        let challenge = format!("WWW-Authenticate: Digest realm=r, stale=true, qop=auth, nonce=n{nonce}\r\n");
        let _ = stream.write_all(&answer("401 Unauthorized", &format!("{challenge}Content-Length: 0\r\n"), b""));
    });
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x", "--digest", "--user", "a:b"]), 22);
    assert!(web.requests().len() < 6, "{:?}", web.requests().len());
    let wants = Wants { challenge: "", algorithm: "MD5", realm: "r", user: "me" };
    let web = Web::start(move |request, stream| {
        let path = request.split(' ').nth(1).unwrap();
        let nonce = if path == "/2" { "second" } else { "first" };
        let fields = "Authentication-Info: rspauth=\"x\", nextnonce=\"second\"\r\nContent-Length: 7\r\n";
        let message = match is_proven(request, wants, nonce) {
            true => answer("200 OK", fields, b"welcome"),
            false => answer(
                "401 Unauthorized",
                "WWW-Authenticate: Digest realm=r, qop=auth, nonce=first\r\nContent-Length: 0\r\n",
                b"",
            ),
        };
        let _ = stream.write_all(&message);
    });
    let (one, two) = (web.url("/1"), web.url("/2"));
    assert_code(&fetch(folder.path(), &[&one, &two, "--digest", "--user", &login("me"), "--jobs", "1"]), 0);
    assert_eq!(web.requests().len(), 3);
}

#[test]
fn no_proof_goes_to_another_origin_and_one_goes_along_to_the_same() {
    let thief = Web::start(|_, stream| {
        let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=auth\r\nContent-Length: 0\r\n";
        let _ = stream.write_all(&answer("401 Unauthorized", challenge, b""));
    });
    let elsewhere = thief.url("/steal");
    let wants = Wants { challenge: "", algorithm: "MD5", realm: "r", user: "me" };
    let web = Web::start(move |request, stream| {
        let to = if request.starts_with("POST /away") { &elsewhere } else { "/here" };
        let message = match (is_proven(request, wants, "n"), request.contains(" /here ")) {
            (true, true) => ok(b"welcome"),
            (true, false) => answer("307 Temporary Redirect", &format!("Location: {to}\r\nContent-Length: 0\r\n"), b""),
            _ => answer("401 x", "WWW-Authenticate: Digest realm=r, nonce=n, qop=auth\r\nContent-Length: 0\r\n", b""),
        };
        let _ = stream.write_all(&message);
    });
    let folder = tempfile::tempdir().unwrap();
    let login = login("me");
    let ask =
        |path: &str| fetch(folder.path(), &[&web.url(path), "-o", "x", "--digest", "--user", &login, "-d", "a=1"]);
    assert_code(&ask("/there"), 0);
    let requests = web.requests();
    assert_eq!(requests.len(), 3, "one challenge, and proofs for both: {requests:?}");
    assert!(requests[2].starts_with("POST /here ") && requests[2].ends_with("a=1"), "{requests:?}");
    assert_code(&ask("/away"), 22);
    let stolen = thief.requests();
    assert_eq!(stolen.len(), 1);
    assert!(!stolen[0].to_ascii_lowercase().contains("authorization"), "{stolen:?}");
}

#[test]
fn a_server_that_wants_no_proof_gets_the_body_all_the_same() {
    for status in ["200 OK", "404 Not Found", "400 Bad Request"] {
        let web = Web::start(move |request, stream| {
            let message =
                if request.ends_with("a=1") { ok(b"got it") } else { answer(status, "Content-Length: 0\r\n", b"") };
            let _ = stream.write_all(&message);
        });
        let folder = tempfile::tempdir().unwrap();
        let mut command = fetch_command(folder.path());
        command.args([&web.url("/"), "-o", "x", "--digest", "--user", "a:b", "--data", "a=1"]);
        assert_code(&run_command(&mut command, b""), 0);
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"got it");
    }
}

/// A challenge that is not met is told of, and what would help.
#[test]
fn what_a_server_takes_instead_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (fields, arguments, says) in [
        (
            "WWW-Authenticate: Basic realm=x\r\n",
            &["--digest", "--user", "a:b"][..],
            "401 Unauthorized; the server takes Basic, and no proof: without --digest it is shown the password itself",
        ),
        ("WWW-Authenticate: Basic realm=x\r\n", &["--user", "a:b"], "; the server takes Basic; nothing saved"),
        ("WWW-Authenticate: Basic realm=x\r\n", &[], "; the server takes Basic (--user)"),
        (
            "WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n",
            &["--digest", "--user", "a:b"],
            "; the server takes Negotiate, Ntlm;",
        ),
        (
            "WWW-Authenticate: Digest realm=x, nonce=n, algorithm=SHA-1024\r\n",
            &["--digest", "--user", "a:b"],
            "; the server takes Digest (SHA-1024);",
        ),
        ("WWW-Authenticate: Bearer\r\n", &["--bearer", "t"], "; the server takes Bearer;"),
        ("", &["--user", "a:b"], "; the server does not say what it would take;"),
    ] {
        let web = Web::saying(answer("401 Unauthorized", &format!("{fields}Content-Length: 2\r\n"), b"no"));
        let output = fetch(folder.path(), &[&[web.url("/").as_str(), "-o", "x"], arguments].concat());
        assert_code(&output, 22);
        assert!(text(&output.stderr).contains(says), "{says}: {}", text(&output.stderr));
    }
}

/// A proxy that wants a proof: it answers by itself, or leads on to a server.
fn guarded_proxy(wants: Wants) -> Web {
    Web::start(move |request, stream| {
        let as_to_a_server = request.replace("Proxy-Authorization", "Authorization");
        if !is_proven(&as_to_a_server, wants, "n0==") {
            let challenge = wants.challenge;
            let refused = format!("{challenge}Content-Length: 2\r\n");
            let _ = stream.write_all(&answer("407 Proxy Authentication Required", &refused, b"no"));
            return;
        }
        let Some(place) = request.strip_prefix("CONNECT ") else {
            let _ = stream.write_all(&ok(b"by way of a proxy"));
            return;
        };
        let mut there = std::net::TcpStream::connect(place.split(' ').next().unwrap()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
        let up = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut there, stream);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        up.join().unwrap();
    })
}

#[test]
fn a_proxy_that_wants_a_proof_gets_one_as_by_curl() {
    need("curl");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    std::fs::write(folder.path().join("page"), "behind a tunnel").unwrap();
    let secure = s_server(folder.path(), "good", &[]);
    let secure = format!("https://localhost:{}/page", secure.port);
    let ca = folder.path().join("ca.pem").display().to_string();
    std::fs::write(folder.path().join("body"), vec![b'b'; 300_000]).unwrap();
    let plain = Wants { challenge: "", algorithm: "MD5", realm: "a b", user: "me" };
    let who = "me:open%3A%20%22sesame%22%20%C3%BC@";
    for (wants, curl_too) in [
        (Wants { challenge: "Proxy-Authenticate: Digest realm=\"a b\", nonce=\"n0==\"\r\n", ..plain }, false),
        (
            Wants {
                challenge: "Proxy-Authenticate: Digest realm=\"a b\", qop=\"auth\", nonce=\"n0==\", algorithm=SHA-256\r\n",
                algorithm: "SHA-256",
                ..plain
            },
            false,
        ),
        (
            Wants {
                challenge: "Proxy-Authenticate: Negotiate, Digest realm=\"a b\", qop=\"auth\", nonce=\"n0==\"\r\nConnection: close\r\n",
                ..plain
            },
            true,
        ),
    ] {
        let proxy = guarded_proxy(wants);
        let at = format!("http://{who}{}", proxy.address);
        for by_proof in [&["--proxy-digest"][..], &[]] {
            let before = proxy.requests().len();
            for (url, content) in [("http://nowhere.invalid/x", "by way of a proxy"), (&secure, "behind a tunnel")] {
                let common = [url, "--proxy", &at, "--ca", &ca, "-o", "x"];
                let output = fetch(folder.path(), &[&common, by_proof].concat());
                assert_code(&output, 0);
                assert_eq!(std::fs::read_to_string(folder.path().join("x")).unwrap(), content);
            }
            // The body goes once where the proof is asked for first.
            let url = "http://nowhere.invalid/up";
            let output = fetch(folder.path(), &[&[url, "--proxy", &at, "-T", "body", "-o", "x"], by_proof].concat());
            assert_code(&output, 0);
            let requests = proxy.requests();
            assert_eq!(requests.len() - before, 6);
            let shows = |request: &String| request.contains("Proxy-Authorization: Basic");
            assert_eq!(requests[before..].iter().filter(|request| shows(request)).count(), 3 * (1 - by_proof.len()));
            let sent = requests[before..].iter().filter(|request| request.ends_with("bbbb")).count();
            assert_eq!(sent, 2 - by_proof.len());
            assert!(!requests[before..].iter().any(|request| request.contains("\r\nAuthorization")));
        }
        for url in ["http://nowhere.invalid/x", &secure] {
            // curl proves a path where it has asked for a whole URL, which is not what it has asked for.
            if curl_too && url == secure {
                let mut curl = std::process::Command::new("curl");
                curl.args(["-sSf", "--noproxy", "", "--proxy-digest", "--cacert", &ca, "-x", &at, url]);
                assert_code(&run_command(&mut curl, b""), 0);
            }
            let wrong = format!("http://me:wrong@{}", proxy.address);
            let output = fetch(folder.path(), &[url, "--proxy", &wrong, "--proxy-digest", "-o", "x", "--ca", &ca]);
            assert_code(&output, if url.starts_with("https") { 7 } else { 22 });
            assert!(text(&output.stderr).contains("407 "), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains(" takes "), "{}", text(&output.stderr));
        }
    }
}
