//! `fetch` through proxies from Debian.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use support::peers::{Authority, Peer, s_server};
use support::web::{bytes, fetch, fetch_command, names};
use support::{assert_code, need, run_command, serve_one, text, with_enough_time};

/// A proxy for everything, one that wants a password, and none for hosts that no_proxy names.
#[test]
fn tinyproxy_carries_http_and_tunnels_https() {
    need("tinyproxy");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    fs::write(folder.path().join("page"), bytes(200_000)).unwrap();
    let secure = s_server(folder.path(), "good", &[]);
    let web = support::web::Web::saying(support::web::ok(b"plain"));
    let proxy = |extra: &str| {
        Peer::start(|port| {
            let config = folder.path().join(format!("proxy-{port}.conf"));
            let text = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\n{extra}");
            fs::write(&config, text).unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(&config).stdout(Stdio::null());
            command
        })
    };
    let (open, locked) = (proxy(""), proxy("BasicAuth me secret\n"));
    let out = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    let ask = |url: &str, variable: &str, value: &str, without: &str| {
        let mut command = fetch_command(out.path());
        command.args([url, "-o", "x", "--ca", &ca]).env(variable, value).env("no_proxy", without);
        run_command(&mut command, b"")
    };
    let secure = format!("https://localhost:{}/page", secure.port);
    let plain = web.url("/x");
    for (proxy, who) in [(&open, ""), (&locked, "me:secret@")] {
        let at = format!("http://{who}127.0.0.1:{}", proxy.port);
        assert_code(&ask(&plain, "http_proxy", &at, ""), 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"plain");
        let last = web.requests().pop().unwrap().to_ascii_lowercase();
        assert!(last.contains("\r\nvia:") && !last.contains("proxy-authorization"), "{last}");
        assert_code(&ask(&secure, "https_proxy", &at, ""), 0);
        assert!(fs::read(out.path().join("x")).unwrap() == bytes(200_000));
        assert_code(&ask(&plain, "all_proxy", &at, "127.0.0.1"), 0);
        assert!(!web.requests().pop().unwrap().to_ascii_lowercase().contains("\r\nvia:"));
    }
    let refused = ask(&secure, "https_proxy", &format!("http://127.0.0.1:{}", locked.port), "");
    assert_code(&refused, 7);
    assert!(text(&refused.stderr).contains("the proxy says 407"), "{}", text(&refused.stderr));
    let refused = ask(&plain, "http_proxy", &format!("http://127.0.0.1:{}", locked.port), "");
    assert_code(&refused, 22);
    let refused = ask(&plain, "http_proxy", "ftp://127.0.0.1:1", "");
    assert_code(&refused, 2);
    assert!(text(&refused.stderr).contains("socks5 or socks5h, and not by ftp"), "{}", text(&refused.stderr));
}

/// The way through a proxy is part of connecting.
#[test]
fn a_proxy_that_does_not_answer_is_left_in_time() {
    let folder = tempfile::tempdir().unwrap();
    with_enough_time(|times| {
        let (address, server) = serve_one(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
        let (proxy, time) = (format!("http://{address}"), format!("{}ms", 300 * times));
        let output = fetch(folder.path(), &["https://x.invalid/", "--proxy", &proxy, "--connect-timeout", &time]);
        assert_code(&output, 28);
        // It may not have come so far as to be heard.
        drop(TcpStream::connect(address));
        server.join().unwrap();
        let said = text(&output.stderr);
        if said.contains("no way through the proxy within ") && said.contains("(--connect-timeout)") {
            Ok(())
        } else {
            Err(said)
        }
    });
}

/// SOCKS 5 by a server from Debian: open, and with a password; names are looked up there or here.
#[test]
fn microsocks_carries_http_and_https() {
    need("microsocks");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    fs::write(folder.path().join("page"), bytes(200_000)).unwrap();
    let secure = s_server(folder.path(), "good", &[]);
    let web = support::web::Web::saying(support::web::ok(&bytes(300_000)));
    let proxy = |more: &[&str]| {
        Peer::start(|port| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(more);
            command
        })
    };
    let (open, locked) = (proxy(&[]), proxy(&["-u", "me", "-P", "p@ss"]));
    let ca = folder.path().join("ca.pem").display().to_string();
    let out = tempfile::tempdir().unwrap();
    let ask = |url: &str, proxy: &str| fetch(out.path(), &[url, "-o", "x", "--ca", &ca, "--proxy", proxy]);
    let plain = web.url("/x").replace("127.0.0.1", "localhost");
    let secure = format!("https://localhost:{}/page", secure.port);
    for scheme in ["socks5", "socks5h"] {
        for (proxy, who) in [(&open, ""), (&locked, "me:p%40ss@")] {
            let at = format!("{scheme}://{who}127.0.0.1:{}", proxy.port);
            assert_code(&ask(&plain, &at), 0);
            assert!(fs::read(out.path().join("x")).unwrap() == bytes(300_000));
            assert_code(&ask(&secure, &at), 0);
            assert!(fs::read(out.path().join("x")).unwrap() == bytes(200_000));
        }
        for who in ["", "me:wrong@"] {
            let output = ask(&plain, &format!("{scheme}://{who}127.0.0.1:{}", locked.port));
            assert_code(&output, 7);
            assert!(text(&output.stderr).contains("the proxy says that "), "{}", text(&output.stderr));
        }
        let six = support::web::Web::start_at("[::1]:0", |_, stream| {
            stream.write_all(&support::web::ok(b"six")).unwrap();
        });
        assert_code(&ask(&six.url("/x"), &format!("{scheme}://127.0.0.1:{}", open.port)), 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"six");
        let closed = support::Closed::tcp();
        let nobody = closed.address;
        assert_code(&ask(&format!("http://{nobody}/"), &format!("{scheme}://127.0.0.1:{}", open.port)), 7);
    }
    assert_eq!(names(out.path()), ["x"]);
}
