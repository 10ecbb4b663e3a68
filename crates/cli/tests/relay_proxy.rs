//! The PROXY protocol of `relay` and `serve`, in and out, with haproxy and nginx at the other end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Command;

use support::*;

const IN: &str = "tcp://127.0.0.1:0?accept-proxy";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\x12\x67\x01\xbb\x04\0\x04abcd";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn relay(from: &str, more: &[&str]) -> (Server, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    (Server::relay(&[from, &server.local_addr().unwrap().to_string()], more), server)
}

#[test]
fn servers_are_told_first_whom_a_connection_is_for() {
    for (version, family) in [("v1", None), ("v2", Some(0x11))] {
        let (relay, server) = relay("tcp://127.0.0.1:0", &["--proxy-protocol", version]);
        let mut client = relay.connect();
        client.write_all(b"hello").unwrap();
        let mut accepted = accept(&server);
        let own = client.local_addr().unwrap().port();
        let Some(family) = family else {
            let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {}\r\nhello", relay.port());
            assert_eq!(text(&read(&mut accepted, header.len())), header);
            continue;
        };
        let header = read(&mut accepted, 28);
        assert_eq!((&header[..12], header[12], header[13]), (&b"\r\n\r\n\0\r\nQUIT\n"[..], 0x21, family));
        assert_eq!(header[14..24], [0, 12, 127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(u16::from_be_bytes([header[24], header[25]]), own);
        assert_eq!(read(&mut accepted, 5), b"hello");
    }
}

#[test]
fn a_client_is_who_its_header_says_in_every_event_and_towards_the_server() {
    for (header, name) in [(V1, "192.0.2.7:4711"), (V2, "[2001:db8::7]:4711")] {
        let (relay, server) = relay(IN, &["--json", "--proxy-protocol", "v1"]);
        let mut client = relay.connect();
        // In pieces, the last of which has more behind the header.
        let (first, rest) = header.split_at(9);
        client.write_all(first).unwrap();
        wait_until_idle(relay.child.id());
        client.write_all(&[rest, b"hello"].concat()).unwrap();
        let mut accepted = accept(&server);
        let said = line(&mut accepted);
        assert!(said.starts_with("PROXY TCP") && said.contains(" 4711 443\r\n"), "{said}");
        assert_eq!(read(&mut accepted, 5), b"hello");
        drop((client, accepted));
        relay.log.wait_for(&format!("\"client\":\"{name}\""));
        let closed = relay.log.wait_for("\"event\":\"closed\"");
        assert!(closed.contains(&format!("\"client\":\"{name}\"")), "{closed}");
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client_it_is() {
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let (relay, server) = relay(IN, &["--json"]);
        let mut client = relay.connect();
        client.write_all(&[header, b"hello"].concat()).unwrap();
        assert_eq!(read(&mut accept(&server), 5), b"hello");
        relay.log.wait_for(&format!("\"client\":\"{}\"", client.local_addr().unwrap()));
    }
}

/// Something else, a header that is wrong, one of a later version, and half of one.
fn assert_no_header_is_refused(listener: &Server, something_else: &[u8]) {
    for (bytes, words) in [
        (something_else, "does not begin with a header of the PROXY protocol"),
        (b"PROXY TCP4 nonsense\r\n", "malformed"),
        (b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", "version 3"),
    ] {
        let mut client = listener.connect();
        client.write_all(bytes).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        listener.log.wait_for(words);
    }
    let mut half = listener.connect();
    half.write_all(b"PROXY TCP4 1").unwrap();
    drop(half);
    listener.log.wait_for("the connection ended inside its header");
}

#[test]
fn what_is_no_header_never_reaches_a_server_and_half_of_one_has_a_time() {
    let (relay, server) = relay(IN, &[]);
    assert_no_header_is_refused(&relay, b"GET / HTTP/1.1\r\n\r\n");
    // Its time is that of a handshake.
    let mut slow = relay.connect();
    slow.write_all(b"PROXY TCP4 1").unwrap();
    relay.log.wait_for("took too long for its header of the PROXY protocol");
    server.set_nonblocking(true).unwrap();
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_header_stands_before_tls_on_either_side() {
    let folder = tempfile::tempdir().unwrap();
    let authority = peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let from = format!("tls://127.0.0.1:0?accept-proxy&cert={}&key={}", path("server.pem"), path("server.key"));
    let inner = Server::relay(&[&from, &to], &["--proxy-protocol", "v1"]);
    let to = format!("tls://localhost:{}?ca={}", inner.port(), path("ca.pem"));
    let outer = Server::relay(&["tcp://127.0.0.1:0", &to], &["-4", "--proxy-protocol", "v2"]);
    let mut client = outer.connect();
    client.write_all(b"hello").unwrap();
    let mut accepted = accept(&server);
    let own = client.local_addr().unwrap().port();
    assert_eq!(line(&mut accepted), format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {}\r\n", outer.port()));
    assert_eq!(read(&mut accepted, 5), b"hello");
}

#[test]
fn the_option_and_the_flag_are_refused_where_they_mean_nothing() {
    let refused = |words: &[&str]| {
        let output = run_command(command(&[]).arg("relay").args(words), b"");
        assert_code(&output, 2);
        text(&output.stderr)
    };
    assert!(refused(&["127.0.0.1:0", "tcp://127.0.0.1:1?accept-proxy"]).contains("--proxy-protocol is for TO"));
    refused(&["udp://127.0.0.1:0", "udp://127.0.0.1:1", "--proxy-protocol", "v2"]);
    refused(&["udp://127.0.0.1:0?accept-proxy", "udp://127.0.0.1:1"]);
    refused(&["127.0.0.1:0", "127.0.0.1:1", "--proxy-protocol", "v3"]);
}

/// nginx answers with the address that it was told.
#[test]
fn nginx_hears_it() {
    for version in ["v1", "v2"] {
        let folder = tempfile::tempdir().unwrap();
        let hears = "listen 127.0.0.1:PORT_TOO proxy_protocol; location / { return 200 $proxy_protocol_addr:$proxy_protocol_port; }";
        let too = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nginx = peers::nginx(folder.path(), &hears.replace("PORT_TOO", &too.to_string()));
        let relay = Server::relay(&["tcp://127.0.0.1:0", &format!("127.0.0.1:{too}")], &["--proxy-protocol", version]);
        let mut client = relay.connect();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let answer = text(&to_end(&mut client));
        let own = client.local_addr().unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\n{own}")), "{version}: {answer}");
        drop(nginx);
    }
}

/// haproxy in between, either side of it in either version: the first client is who the last server hears of.
#[test]
fn haproxy_tells_it_and_hears_it() {
    need("haproxy");
    for version in ["", "-v2"] {
        let (last, server) = relay(IN, &["--json"]);
        let folder = tempfile::tempdir().unwrap();
        let haproxy = peers::Peer::start(|port| {
            let config = format!(
                "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                listen one\n bind 127.0.0.1:{port} accept-proxy\n server a 127.0.0.1:{} send-proxy{version}\n",
                last.port()
            );
            std::fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(folder.path().join("haproxy.cfg"));
            command
        });
        let first = Server::relay(
            &["tcp://127.0.0.1:0", &format!("127.0.0.1:{}", haproxy.port)],
            &["--proxy-protocol", if version.is_empty() { "v1" } else { "v2" }],
        );
        let mut client = first.connect();
        client.write_all(b"hello").unwrap();
        assert_eq!(read(&mut accept(&server), 5), b"hello");
        last.log.wait_for(&format!("\"client\":\"{}\"", client.local_addr().unwrap()));
    }
}

/// Who a header names is who comes to a server, whatever it does: transcripts, echoes, files, programs; plain, under TLS and in messages.
#[test]
fn a_server_has_the_client_that_a_header_names() {
    for header in [V1, V2] {
        let name = if header == V1 { "192.0.2.7:4711" } else { "[2001:db8::7]:4711" };
        let server = Server::start_at(&[IN], &["--json"]);
        let mut client = server.connect();
        // In pieces, the last of which has more behind the header.
        let (first, rest) = header.split_at(9);
        client.write_all(first).unwrap();
        wait_until_idle(server.child.id());
        client.write_all(&[rest, b"Ann\n"].concat()).unwrap();
        assert_eq!(text(&read(&mut client, 21)), "Welcome!\nHello, Ann!\n");
        drop(client);
        for event in ["opened", "closed"] {
            let told = server.log.wait_for(&format!("\"event\":\"{event}\""));
            assert!(told.contains(&format!("\"client\":\"{name}\"")), "{told}");
            assert!(told.contains(":443\""), "the address that it connected to: {told}");
        }
    }
    let echo = Server::start_at(&[IN], &["--echo"]);
    let mut client = echo.connect();
    client.write_all(&[LOCAL, b"hello"].concat()).unwrap();
    assert_eq!(read(&mut client, 5), b"hello");
    echo.log.wait_for(&client.local_addr().unwrap().to_string());
    let program = Server::start_at(&[IN], &["--shell", "read -r line; echo \"$TCPREMOTEIP $SOCKEYE_CLIENT $line\""]);
    let mut client = program.connect();
    client.write_all(&[V1, b"hello\n"].concat()).unwrap();
    assert_eq!(line(&mut client), "192.0.2.7 192.0.2.7:4711 hello\n");
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("a"), "content").unwrap();
    let log = site.path().join("access.log").display().to_string();
    let files = Server::start_at(
        &["http://127.0.0.1:0?accept-proxy"],
        &["--files", site.path().to_str().unwrap(), "--access-log", &log],
    );
    let mut client = files.connect();
    client.write_all(&[V1, b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat()).unwrap();
    assert!(text(&to_end(&mut client)).ends_with("\r\n\r\ncontent"));
    assert_eq!(files.stop().0, 0);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.starts_with("192.0.2.7 "), "{logged}");
}

#[test]
fn the_rules_of_a_server_are_about_the_client_that_a_header_names() {
    let server = Server::start_at(&[IN], &["--deny", "192.0.2.7"]);
    let mut client = server.connect();
    client.write_all(V1).unwrap();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    server.log.wait_for("192.0.2.7");
    let mut client = server.connect();
    client.write_all(V2).unwrap();
    assert_eq!(line(&mut client), "Welcome!\n");
    let server = Server::start_at(&[IN], &["--max-conns-per-address", "1", "--when-full", "refuse"]);
    let mut first = server.connect();
    first.write_all(V1).unwrap();
    assert_eq!(line(&mut first), "Welcome!\n");
    let mut second = server.connect();
    second.write_all(V1).unwrap();
    assert!(matches!(second.read(&mut [0]), Ok(0) | Err(_)));
    let mut other = server.connect();
    other.write_all(V2).unwrap();
    assert_eq!(line(&mut other), "Welcome!\n");
}

#[test]
fn what_is_no_header_never_reaches_a_transcript_and_half_of_one_has_a_time() {
    let mut server = Server::start_at(&[IN], &["--once"]);
    assert_no_header_is_refused(&server, b"Ann\n");
    drop(server.connect());
    server.log.wait_for("the connection ended before its header");
    // One that says nothing holds no other up.
    let silent = server.connect();
    let mut client = server.connect();
    client.write_all(&[V1, b"exit\n"].concat()).unwrap();
    assert_eq!(line(&mut client), "Welcome!\n");
    drop(client);
    assert_eq!(server.wait(), 0, "{:#?}", server.log.to_end());
    drop(silent);
    let server = Server::start_at(&[IN], &[]);
    let mut slow = server.connect();
    slow.write_all(b"PROXY TCP4 1").unwrap();
    server.log.wait_for("did not say whom it is for within");
}

/// haproxy and nginx before a server, over TLS and without.
#[test]
fn haproxy_and_nginx_lead_to_a_server() {
    need("haproxy");
    let server = Server::start_at(&[IN], &["--json"]);
    for version in ["", "-v2"] {
        let folder = tempfile::tempdir().unwrap();
        let haproxy = peers::Peer::start(|port| {
            let config = format!(
                "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                listen one\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{} send-proxy{version}\n",
                server.port()
            );
            std::fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(folder.path().join("haproxy.cfg"));
            command
        });
        let mut client = std::net::TcpStream::connect(("127.0.0.1", haproxy.port)).unwrap();
        client.write_all(b"Ann\n").unwrap();
        assert_eq!(text(&read(&mut client, 21)), "Welcome!\nHello, Ann!\n");
        server.log.wait_for(&format!("\"client\":\"{}\"", client.local_addr().unwrap()));
    }
}

#[test]
fn clients_that_have_not_said_whom_they_are_for_are_counted_when_the_server_is_stopped() {
    let counted = |log: &[String]| log.iter().any(|line| line.contains("had not said whom they are for"));
    let server = Server::start_at(&[IN], &[]);
    let _silent = server.connect();
    let mut half = server.connect();
    half.write_all(b"PROXY TCP4 1").unwrap();
    // One that comes behind them is in, so that both were accepted.
    let mut client = server.connect();
    client.write_all(&[V1, b"exit\n"].concat()).unwrap();
    assert_eq!(text(&to_end(&mut client)), "Welcome!\n");
    let (code, log) = server.stop();
    let line = "dropped 2: clients that had not said whom they are for: the server was stopped";
    assert!(code == 0 && log.iter().any(|told| told == line), "{log:#?}");
    // No client is counted where none waits, no matter which came before.
    let server = Server::start_at(&[IN], &[]);
    let mut client = server.connect();
    client.write_all(&[V2, b"exit\n"].concat()).unwrap();
    assert_eq!(text(&to_end(&mut client)), "Welcome!\n");
    let (code, log) = server.stop();
    assert!(code == 0 && !counted(&log), "{log:#?}");
}

#[test]
fn a_capture_has_the_header_that_came_before_what_the_client_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, header) in [("v1", V1), ("v2", V2), ("local", LOCAL)] {
        let path = folder.path().join(name);
        let (relay, server) = relay(IN, &["--pcap", path.to_str().unwrap()]);
        let mut client = relay.connect();
        client.write_all(&[header, b"hello"].concat()).unwrap();
        let mut accepted = accept(&server);
        assert_eq!(read(&mut accepted, 5), b"hello");
        drop((client, accepted));
        relay.log.wait_for("closed #1");
        let captured = std::fs::read(&path).unwrap();
        let has = |bytes: &[u8]| captured.windows(bytes.len()).filter(|window| *window == bytes).count();
        // Once on the way in, and what it said on the way out, too.
        assert_eq!((has(header), has(b"hello")), (1, 2), "{name}");
    }
}

/// A client of the relay that a header names, and what it hears of a server that greets.
fn announced(relay: &Server, header: &[u8]) -> std::net::TcpStream {
    let mut client = relay.connect();
    client.write_all(header).unwrap();
    client
}

fn is_turned_away(mut client: std::net::TcpStream) -> bool {
    matches!(client.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn the_rules_of_a_relay_are_about_the_client_that_a_header_names() {
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &[]);
    // The proxy itself is no client: its own address would be kept out here.
    for rules in [&["--deny", "192.0.2.7", "--deny", "127.0.0.1"][..], &["--allow", "2001:db8::/32"]] {
        let relay = Server::relay(&[IN, &server.address()], rules);
        assert!(is_turned_away(announced(&relay, V1)));
        relay.log.wait_for("192.0.2.7 may not come in (--allow, --deny)");
        assert_eq!(line(&mut announced(&relay, V2)), "Welcome!\n");
        // One that speaks for itself is the client that it is.
        assert!(is_turned_away(announced(&relay, LOCAL)));
    }
}

#[test]
fn a_relay_counts_the_connections_of_the_client_that_a_header_names() {
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &[]);
    let counted = ["--max-conns-per-address", "1"];
    let relay = Server::relay(&[IN, &server.address()], &[&counted[..], &["--when-full", "refuse"]].concat());
    let mut first = announced(&relay, V1);
    assert_eq!(line(&mut first), "Welcome!\n");
    assert!(is_turned_away(announced(&relay, V1)));
    relay.log.wait_for("as many as may be of one address");
    assert_eq!(line(&mut announced(&relay, V2)), "Welcome!\n");
    // Without that, a client waits until the one before has left.
    let relay = Server::relay(&[IN, &server.address()], &counted);
    let mut first = announced(&relay, V1);
    assert_eq!(line(&mut first), "Welcome!\n");
    let mut second = announced(&relay, V1);
    relay.log.wait_for("its next clients wait");
    assert_eq!(line(&mut announced(&relay, V2)), "Welcome!\n");
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    second.set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(line(&mut second), "Welcome!\n");
    drop(second);
    let (code, log) = relay.stop();
    assert_eq!(code, 0, "{log:#?}");
}

#[test]
fn only_the_proxies_that_are_named_may_say_whom_a_connection_is_for() {
    let behind = Server::start_at(&["tcp://127.0.0.1:0"], &[]);
    for (trusted, comes_in) in [("127.0.0.1", true), ("10.0.0.0/8,127.0.0.0/8", true), ("10.0.0.0/8,::1", false)] {
        let from = format!("tcp://127.0.0.1:0?accept-proxy={trusted}");
        let (relay, server) = (Server::relay(&[&from, &behind.address()], &[]), Server::start_at(&[&from], &[]));
        for listener in [&relay, &server] {
            let mut client = announced(listener, V1);
            if comes_in {
                assert_eq!(line(&mut client), "Welcome!\n");
                listener.log.wait_for("192.0.2.7:4711");
            } else {
                assert!(is_turned_away(client));
                listener.log.wait_for("127.0.0.1 is none of the proxies that may say whom a connection is for");
            }
        }
    }
    let output = run(&["serve", "127.0.0.1:0?accept-proxy=somebody"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("accept-proxy=10.0.0.0/8"), "{}", text(&output.stderr));
}

/// haproxy and nginx send the header, and a client's TLS goes through them to the server behind; so does a client's WebSocket.
#[test]
fn haproxy_and_nginx_lead_to_a_server_that_speaks_tls_or_websocket() {
    need("haproxy");
    need("nginx");
    for scheme in ["tls", "ws"] {
        let server = Server::start_at(&[&format!("{scheme}://127.0.0.1:0?accept-proxy")], &["--json"]);
        for proxy in ["haproxy", "haproxy-v2", "nginx"] {
            let folder = tempfile::tempdir().unwrap();
            let peer = peers::Peer::start(|port| {
                let path = folder.path().join("conf");
                let (config, mut command) = match proxy {
                    "nginx" => {
                        let config = format!(
                            "daemon off; master_process off; user root; pid {0}/pid; error_log {0}/error;\nevents {{}}\n\
                            stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{1}; proxy_protocol on; }} }}\n",
                            folder.path().display(),
                            server.port()
                        );
                        let mut command = Command::new("nginx");
                        command.arg("-p").arg(folder.path()).arg("-c").arg(&path);
                        let module = std::path::Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
                        let load = if module.exists() {
                            format!("load_module {};\n", module.display())
                        } else {
                            String::new()
                        };
                        (load + &config, command)
                    }
                    _ => {
                        let version = proxy.strip_prefix("haproxy").unwrap();
                        let config = format!(
                            "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                            listen one\n bind 127.0.0.1:{port}\n server a 127.0.0.1:{} send-proxy{version}\n",
                            server.port()
                        );
                        let mut command = Command::new("haproxy");
                        command.arg("-db").arg("-f").arg(&path);
                        (config, command)
                    }
                };
                std::fs::write(&path, config).unwrap();
                command.current_dir(folder.path());
                command
            });
            let to = match scheme {
                "tls" => format!("tls://127.0.0.1:{}?insecure", peer.port),
                _ => format!("ws://127.0.0.1:{}", peer.port),
            };
            let output = run(&["talk", &to], b"Ann\nexit\n");
            assert!(text(&output.stdout).contains("Hello, Ann!"), "{scheme} {proxy}: {}", text(&output.stderr));
            server.log.wait_for("\"event\":\"closed\"");
        }
    }
}

/// nginx as a proxy for WebSockets, and nothing of what either says is lost in it.
#[test]
fn nginx_leads_websockets_to_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "chat.talk", "S: Welcome!\nC: {name}\nS: Hello, {name}!\nS hex: 00 ff\nC closes\n");
    let server = Server::start_at(&["ws://127.0.0.1:0/chat"], &["--play", &file, "--times", "3"]);
    let hears = format!(
        "location / {{ proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
        proxy_set_header Connection \"upgrade\"; }}",
        server.port()
    );
    let nginx = peers::nginx(folder.path(), &hears);
    let to = format!("ws://127.0.0.1:{}/chat", nginx.port);
    for _ in 0..2 {
        let output = run(&["talk", &to, "--play", &file, "--set", "name=Ann"], b"");
        assert_code(&output, 0);
    }
    let output = run(&["talk", &to], b"Bob\n");
    assert!(text(&output.stdout).starts_with("Welcome!\nHello, Bob!\n"), "{}", text(&output.stderr));
    let mut server = server;
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}
