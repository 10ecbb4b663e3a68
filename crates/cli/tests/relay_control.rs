//! `relay --control`: toxiproxy's API, driven by hand and by the clients that people use, and what its toxics do to connections.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a test that cannot be made here says so")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

/// The API alone, and what was asked of it.
fn control(more: &[&str]) -> Server {
    Server::relay(&["--control", "127.0.0.1:0"], more)
}

/// One request over a connection of its own: the status and the content.
fn ask(port: u16, method: &str, path: &str, content: &str) -> (u16, Value) {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    let (status, content) = exchange(port, &format!("{head}Content-Length: {}\r\n\r\n{content}", content.len()));
    (status, if content.is_empty() { Value::Null } else { serde_json::from_str(&content).unwrap() })
}

fn exchange(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let answer = text(&to_end(&mut stream));
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), content.to_owned())
}

/// A server of ours, and a proxy that leads there.
struct Proxied {
    control: Server,
    server: TcpListener,
    port: u16,
}

impl Proxied {
    fn new(more: &[&str]) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let control = control(more);
        let wanted =
            json!({"name": "p", "listen": "127.0.0.1:0", "upstream": server.local_addr().unwrap().to_string()});
        let (status, told) = ask(control.port(), "POST", "/proxies", &wanted.to_string());
        assert_eq!(status, 201, "{told}");
        let port = told["listen"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        Self { control, server, port }
    }

    fn joined(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let accepted = self.server.accept().unwrap().0;
        for stream in [&client, &accepted] {
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.set_write_timeout(Some(LONG)).unwrap();
            stream.set_nodelay(true).unwrap();
        }
        (client, accepted)
    }

    #[track_caller]
    fn add(&self, kind: &str, stream: &str, attributes: Value) {
        let wanted = json!({"type": kind, "stream": stream, "attributes": attributes});
        let (status, told) = ask(self.control.port(), "POST", "/proxies/p/toxics", &wanted.to_string());
        assert_eq!(status, 200, "{told}");
    }

    #[track_caller]
    fn remove(&self, toxic: &str) {
        assert_eq!(ask(self.control.port(), "DELETE", &format!("/proxies/p/toxics/{toxic}"), "").0, 204);
    }
}

/// How long it takes until what one end says has arrived at the other.
fn lateness(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    let began = Instant::now();
    from.write_all(b"ping").unwrap();
    assert_eq!(read(to, 4), b"ping");
    began.elapsed()
}

#[test]
fn every_request_is_answered_as_toxiproxy_answers_it() {
    let server = control(&[]);
    let ask = |method: &str, path: &str, content: &str| ask(server.port(), method, path, content);
    let error = |why: &str, status: u16| (status, json!({"error": why, "status": status}));
    assert!(ask("GET", "/version", "").1["version"].as_str().unwrap().starts_with("2."));
    assert_eq!(ask("GET", "/proxies", ""), (200, json!({})));
    assert_eq!(ask("POST", "/proxies", "{}"), error("missing required field: name", 400));
    assert_eq!(ask("POST", "/proxies", r#"{"name":"redis"}"#), error("missing required field: upstream", 400));
    let off = r#"{"name":"redis","listen":"127.0.0.1:0","upstream":"127.0.0.1:6379","enabled":false}"#;
    let told =
        json!({"name": "redis", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:6379", "enabled": false, "toxics": []});
    assert_eq!(ask("POST", "/proxies", off), (201, told.clone()));
    assert_eq!(ask("POST", "/proxies", off), error("proxy already exists", 409));
    assert_eq!(ask("GET", "/proxies/redis", ""), (200, told.clone()));
    assert_eq!(ask("GET", "/proxies", ""), (200, json!({"redis": told})));
    assert_eq!(ask("GET", "/proxies/mysql", ""), error("proxy not found", 404));

    let (status, told) = ask("PATCH", "/proxies/redis", r#"{"enabled":true}"#);
    let listen = told["listen"].as_str().unwrap().to_owned();
    assert_eq!((status, &told["enabled"]), (200, &json!(true)));
    assert!(listen.starts_with("127.0.0.1:") && listen != "127.0.0.1:0", "{listen}");
    drop(TcpStream::connect(&listen).unwrap());

    let latency = json!({"name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1,
        "attributes": {"latency": 100, "jitter": 0}});
    let toxics = "/proxies/redis/toxics";
    assert_eq!(ask("POST", toxics, r#"{"type":"latency","attributes":{"latency":100}}"#), (200, latency.clone()));
    assert_eq!(ask("POST", toxics, r#"{"type":"latency"}"#), error("toxic already exists", 409));
    assert_eq!(ask("POST", toxics, r#"{"type":"gravity"}"#), error("invalid toxic type", 400));
    let wrong = r#"{"type":"latency","stream":"sideways"}"#;
    assert_eq!(ask("POST", toxics, wrong), error("stream was invalid, can be either upstream or downstream", 400));
    let up =
        json!({"name": "slow", "type": "bandwidth", "stream": "upstream", "toxicity": 0.5, "attributes": {"rate": 7}});
    assert_eq!(ask("POST", toxics, &up.to_string()), (200, up.clone()));
    assert_eq!(ask("GET", toxics, ""), (200, json!([up, latency])));
    let changed =
        json!({"name": "slow", "type": "bandwidth", "stream": "upstream", "toxicity": 1, "attributes": {"rate": 9}});
    let change = r#"{"toxicity":1.0,"attributes":{"rate":9}}"#;
    for method in ["POST", "PATCH"] {
        assert_eq!(ask(method, "/proxies/redis/toxics/slow", change), (200, changed.clone()));
    }
    assert_eq!(ask("GET", "/proxies/redis/toxics/slow", ""), (200, changed));
    assert_eq!(ask("DELETE", "/proxies/redis/toxics/slow", ""), (204, Value::Null));
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(method, "/proxies/redis/toxics/slow", ""), error("toxic not found", 404));
    }
    assert_eq!(ask("POST", "/proxies/redis", r#"{"enabled":false}"#).1["enabled"], json!(false));
    assert!(TcpStream::connect(&listen).is_err());
    assert_eq!(ask("POST", "/reset", ""), (204, Value::Null));
    let (_, told) = ask("GET", "/proxies/redis", "");
    assert_eq!((&told["enabled"], &told["toxics"]), (&json!(true), &json!([])));

    let list = json!([{"name": "redis", "listen": listen, "upstream": "127.0.0.1:6379"},
        {"name": "a b/ü", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": false}]);
    let (status, told) = ask("POST", "/populate", &list.to_string());
    assert_eq!((status, told["proxies"].as_array().unwrap().len()), (201, 2), "{told}");
    assert_eq!(ask("GET", "/proxies/a%20b%2F%C3%BC", "").0, 200);
    assert_eq!(ask("POST", "/populate", r#"[{"name":"x"}]"#).1["error"], "missing required field: upstream at proxy 1");
    assert_eq!(ask("DELETE", "/proxies/redis", ""), (204, Value::Null));
    assert!(TcpStream::connect(&listen).is_err());
    assert_eq!(ask("DELETE", "/proxies/redis", ""), error("proxy not found", 404));
    assert_eq!(ask("GET", "/", "").0, 404);
    assert_eq!(ask("GET", "/proxies/", "").0, 404);
    assert_eq!(ask("PUT", "/proxies", "").0, 405);
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
}

#[test]
fn a_proxy_moves_when_it_is_told_to_and_a_port_that_is_held_is_an_error() {
    let proxied = Proxied::new(&[]);
    let (mut before, _accepted) = proxied.joined();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = json!({"upstream": other.local_addr().unwrap().to_string()}).to_string();
    let (status, told) = ask(proxied.control.port(), "POST", "/proxies/p", &wanted);
    assert_eq!((status, told["enabled"].clone()), (200, json!(true)), "{told}");
    assert!(before.read(&mut [0]).map_or(true, |length| length == 0), "it was cut");
    let mut client = TcpStream::connect(("127.0.0.1", proxied.port)).unwrap();
    client.write_all(b"x").unwrap();
    assert_eq!(read(&mut other.accept().unwrap().0, 1), b"x");

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = json!({"name": "q", "listen": held.local_addr().unwrap().to_string(), "upstream": "127.0.0.1:1"});
    let (status, told) = ask(proxied.control.port(), "POST", "/proxies", &wanted.to_string());
    assert_eq!(status, 500);
    assert!(told["error"].as_str().unwrap().contains("in use"), "{told}");
    assert_eq!(ask(proxied.control.port(), "GET", "/proxies/q", "").0, 404);
    for (listen, upstream) in [("nonsense", "127.0.0.1:1"), ("127.0.0.1:0", "no port"), ("127.0.0.1:0", "[::1")] {
        let wanted = json!({"name": "q", "listen": listen, "upstream": upstream}).to_string();
        let (status, told) = ask(proxied.control.port(), "POST", "/proxies", &wanted);
        assert!(status == 500 && !told["error"].as_str().unwrap().is_empty(), "{listen} {upstream}: {status} {told}");
    }
    // It would lead to itself.
    let wanted = json!({"upstream": format!("127.0.0.1:{}", proxied.port)}).to_string();
    let (status, told) = ask(proxied.control.port(), "POST", "/proxies/p", &wanted);
    assert!(status == 500 && told["error"].as_str().unwrap().contains("itself"), "{told}");
}

#[test]
fn a_connection_that_is_open_meets_a_toxic_as_soon_as_it_is_there_and_none_once_it_is_gone() {
    let proxied = Proxied::new(&[]);
    let (mut client, mut server) = proxied.joined();
    lateness(&mut server, &mut client);
    proxied.add("latency", "downstream", json!({"latency": 150}));
    let late = lateness(&mut server, &mut client);
    assert!(late >= Duration::from_millis(150), "{late:?}");
    let change = r#"{"attributes":{"latency":300}}"#;
    assert_eq!(ask(proxied.control.port(), "POST", "/proxies/p/toxics/latency_downstream", change).0, 200);
    assert!(lateness(&mut server, &mut client) >= Duration::from_millis(300));
    // The other direction was spared, and what is under way when the toxic goes has not to wait for it.
    let change = r#"{"attributes":{"latency":3600000}}"#;
    assert_eq!(ask(proxied.control.port(), "PATCH", "/proxies/p/toxics/latency_downstream", change).0, 200);
    lateness(&mut client, &mut server);
    server.write_all(b"late").unwrap();
    proxied.remove("latency_downstream");
    assert_eq!(read(&mut client, 4), b"late");
    lateness(&mut server, &mut client);
    // New ones meet it too, and a toxicity of nothing spares all.
    proxied.add("latency", "upstream", json!({"latency": 100}));
    let (mut client, mut server) = proxied.joined();
    assert!(lateness(&mut client, &mut server) >= Duration::from_millis(100));
    let change = r#"{"toxicity":0,"attributes":{"latency":3600000}}"#;
    assert_eq!(ask(proxied.control.port(), "POST", "/proxies/p/toxics/latency_upstream", change).0, 200);
    lateness(&mut client, &mut server);
}

#[test]
fn a_narrow_way_is_slow_and_a_slicer_cuts_and_all_arrives() {
    let proxied = Proxied::new(&[]);
    proxied.add("bandwidth", "upstream", json!({"rate": 1000}));
    proxied.add("slicer", "upstream", json!({"average_size": 700, "size_variation": 300, "delay": 0}));
    let (mut client, mut server) = proxied.joined();
    let said: Vec<u8> = (0..300_000_u32).map(|at| (at >> 3) as u8).collect();
    let began = Instant::now();
    let writer = std::thread::spawn({
        let said = said.clone();
        move || {
            client.write_all(&said).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            client
        }
    });
    assert!(to_end(&mut server) == said);
    // A million bytes a second.
    assert!(began.elapsed() >= Duration::from_millis(280), "{:?}", began.elapsed());
    drop(writer.join().unwrap());
}

#[test]
fn so_many_bytes_pass_and_then_it_is_closed() {
    let proxied = Proxied::new(&[]);
    proxied.add("limit_data", "downstream", json!({"bytes": 100}));
    let (mut client, mut server) = proxied.joined();
    server.write_all(&[7; 60]).unwrap();
    assert_eq!(read(&mut client, 60), [7; 60]);
    server.write_all(&[7; 60]).unwrap();
    assert_eq!(to_end(&mut client), [7; 40]);
    drop((client, server));
    proxied.control.log.wait_for("cut on purpose (a toxic, what the server says)");
}

#[test]
fn what_is_said_into_a_timeout_is_lost_and_the_connection_closed_after_it() {
    let proxied = Proxied::new(&[]);
    proxied.add("timeout", "upstream", json!({"timeout": 100}));
    let (mut client, mut server) = proxied.joined();
    client.write_all(b"lost").unwrap();
    let began = Instant::now();
    assert_eq!(to_end(&mut client), b"");
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(to_end(&mut server), b"");
    // Without a time it stands until the toxic goes; then it is closed.
    let change = r#"{"attributes":{"timeout":0}}"#;
    assert_eq!(ask(proxied.control.port(), "POST", "/proxies/p/toxics/timeout_upstream", change).0, 200);
    let (mut client, mut server) = proxied.joined();
    client.write_all(&vec![1; 1 << 20]).unwrap();
    lateness(&mut server, &mut client);
    assert_silent(&server);
    proxied.remove("timeout_upstream");
    assert_eq!((to_end(&mut client), to_end(&mut server)), (vec![], vec![]));
}

#[test]
fn a_peer_is_reset_once_something_was_said() {
    let proxied = Proxied::new(&[]);
    proxied.add("reset_peer", "upstream", json!({"timeout": 0}));
    let (mut client, mut server) = proxied.joined();
    lateness(&mut server, &mut client);
    client.write_all(b"x").unwrap();
    for stream in [&mut client, &mut server] {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn the_end_of_a_connection_is_late_with_a_slow_close() {
    let proxied = Proxied::new(&[]);
    proxied.add("slow_close", "downstream", json!({"delay": 200}));
    let (mut client, server) = proxied.joined();
    let began = Instant::now();
    drop(server);
    assert_eq!(to_end(&mut client), b"");
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn a_proxy_that_is_disabled_cuts_its_connections_and_refuses_new_ones() {
    let proxied = Proxied::new(&[]);
    let (mut client, mut server) = proxied.joined();
    lateness(&mut client, &mut server);
    assert_eq!(ask(proxied.control.port(), "POST", "/proxies/p", r#"{"enabled":false}"#).0, 200);
    assert!(client.read(&mut [0]).map_or(true, |length| length == 0));
    assert!(server.read(&mut [0]).map_or(true, |length| length == 0));
    assert!(TcpStream::connect(("127.0.0.1", proxied.port)).is_err());
    assert_eq!(ask(proxied.control.port(), "POST", "/proxies/p", r#"{"enabled":true}"#).0, 200);
    let (mut client, mut server) = proxied.joined();
    lateness(&mut client, &mut server);
}

#[test]
fn the_relay_of_the_command_line_is_a_proxy_with_its_own_faults() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let words = ["127.0.0.1:0", &to, "--control", "127.0.0.1:0"];
    let relay = Server::relay(&words, &["--delay", "down:100ms", "--seed", "7"]);
    let (_, told) = ask(relay.ports[1], "GET", "/proxies/relay", "");
    assert_eq!((&told["listen"], &told["upstream"]), (&json!(relay.address()), &json!(to)));
    let mut client = relay.connect();
    let mut accepted = server.accept().unwrap().0;
    let wanted = r#"{"type":"latency","attributes":{"latency":100}}"#;
    assert_eq!(ask(relay.ports[1], "POST", "/proxies/relay/toxics", wanted).0, 200);
    assert!(lateness(&mut accepted, &mut client) >= Duration::from_millis(200));
    drop((client, accepted));
    // A second signal would cut what is on its way.
    let (code, log) = relay.stop();
    assert_eq!(code, 0, "{log:#?}");
}

#[test]
fn a_name_that_leads_nowhere_yet_is_a_proxy_all_the_same() {
    let server = control(&[]);
    let wanted = r#"{"name":"p","listen":"127.0.0.1:0","upstream":"there-is-no-such-host.invalid:80"}"#;
    let (status, told) = ask(server.port(), "POST", "/proxies", wanted);
    assert_eq!(status, 201, "{told}");
    let mut client = TcpStream::connect(told["listen"].as_str().unwrap()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    server.log.wait_for("the name leads nowhere yet");
}

#[test]
fn what_went_wrong_is_counted_over_all_proxies_those_that_are_gone_included() {
    let control = control(&[]);
    let closed = Closed::tcp();
    let upstream = closed.address.to_string();
    for (name, count) in [("gone", 1), ("there", 2)] {
        let wanted = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream});
        let (status, told) = ask(control.port(), "POST", "/proxies", &wanted.to_string());
        assert_eq!(status, 201, "{told}");
        for _ in 0..count {
            let mut client = TcpStream::connect(told["listen"].as_str().unwrap()).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
    control.log.wait_for_count("closed #", 3);
    assert_eq!(ask(control.port(), "DELETE", "/proxies/gone", "").0, 204);
    let (_, lines) = control.stop();
    let last = lines.last().unwrap();
    assert!(last.starts_with("3 connections, 3 ended by themselves") && last.ends_with(", 3 with an error"), "{last}");
}

#[test]
fn a_proxy_whose_loop_breaks_is_said_by_the_exit_code_too() {
    need("strace");
    let inject = "inject=epoll_pwait:error=EBADF:when=5";
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", inject];
    let control = Server::start_verb("relay", &strace, &["--control", "127.0.0.1:0"], &[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = json!({"name": "p", "upstream": server.local_addr().unwrap().to_string()});
    let (status, told) = ask(control.port(), "POST", "/proxies", &wanted.to_string());
    assert_eq!(status, 201, "{told}");
    let listen = told["listen"].as_str().unwrap().to_owned();
    until("the proxy breaks", || {
        let _ = TcpStream::connect(&listen).map(|mut client| client.write_all(b"?"));
        ask(control.port(), "GET", "/proxies/p", "").1["enabled"] == json!(false)
    });
    control.log.wait_for("the proxy p is disabled: ");
    // It can be begun again, and what happened is not forgotten.
    let (status, told) = ask(control.port(), "POST", "/proxies/p", &json!({"enabled": true}).to_string());
    assert_eq!((status, &told["enabled"]), (200, &json!(true)), "{told}");
    let (code, lines) = control.stop();
    assert_ne!(code, 0, "{lines:?}");
}

/// Who makes sure at each start that its proxies are there does not cut the connections of those that are.
#[test]
fn a_proxy_that_is_asked_for_again_in_the_same_words_stays_as_it_is() {
    let control = control(&[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = server.local_addr().unwrap().to_string();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (index, listen) in
        [format!("localhost:{}", free()), "127.0.0.1:0".to_owned(), format!(":{}", free()), "localhost:0".to_owned()]
            .into_iter()
            .enumerate()
    {
        let name = format!("p{index}");
        let wanted = json!({"name": name, "listen": listen, "upstream": upstream});
        let (status, told) = ask(control.port(), "POST", "/populate", &json!([wanted]).to_string());
        assert_eq!(status, 201, "{listen}: {told}");
        let bound = told["proxies"][0]["listen"].as_str().unwrap().to_owned();
        let mut client = TcpStream::connect(bound.replace("0.0.0.0", "127.0.0.1")).unwrap();
        let mut served = server.accept().unwrap().0;
        for (method, path, content) in [
            ("POST", "/populate".to_owned(), json!([wanted])),
            ("POST", format!("/proxies/{name}"), wanted.clone()),
            ("PATCH", format!("/proxies/{name}"), json!({"listen": bound, "enabled": true})),
            ("POST", "/populate".to_owned(), json!([wanted])),
        ] {
            let (status, told) = ask(control.port(), method, &path, &content.to_string());
            assert!(matches!(status, 200 | 201), "{listen}: {path}: {told}");
            let told = if path == "/populate" { &told["proxies"][0] } else { &told };
            assert_eq!(told["listen"], json!(bound), "{listen}: {path}");
            client.write_all(b"x").unwrap();
            served.read_exact(&mut [0]).unwrap();
        }
        // Another place is another place.
        let other = json!({"listen": format!("127.0.0.1:{}", free())});
        let (status, told) = ask(control.port(), "POST", &format!("/proxies/{name}"), &other.to_string());
        assert_eq!((status, &told["listen"]), (200, &other["listen"]), "{told}");
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "{listen}: it is still open");
    }
}

#[test]
fn no_browser_and_no_other_name_of_this_host_can_drive_it() {
    let server = control(&[]);
    let port = server.port();
    let with = |host: &str, more: &str| {
        let request = format!("POST /reset HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n");
        exchange(port, &request)
    };
    for host in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST.", "127.9.9.9"] {
        assert_eq!(with(&format!("{host}:{port}"), "").0, 204, "{host}");
    }
    for (host, more) in [
        ("attacker.example", ""),
        ("localhost.attacker.example", ""),
        ("192.0.2.1", ""),
        ("127.0.0.1", "User-Agent: Mozilla/5.0 (X11; Linux)\r\n"),
        ("127.0.0.1", "Origin: http://attacker.example\r\n"),
        ("127.0.0.1", "Origin: null\r\n"),
        ("127.0.0.1", "Sec-Fetch-Site: cross-site\r\n"),
    ] {
        let (status, content) = with(host, more);
        assert!(status == 403 && content.contains("not allowed"), "{host} {more}: {status} {content}");
    }
}

#[test]
fn nothing_that_is_sent_to_it_brings_it_down() {
    let proxied = Proxied::new(&[]);
    let port = proxied.control.port();
    let (mut client, mut server) = proxied.joined();
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST /proxies HTTP/1.1\r\n\r\n",
        "POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /proxies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        &format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000)),
    ] {
        let (status, content) = exchange(port, garbage);
        assert!((400..=505).contains(&status) && content.contains("\"error\""), "{garbage:.40}: {status} {content}");
    }
    let deep = "[".repeat(100_000);
    let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    for content in ["", "null", "{", "[]", "7", "\"x\"", "{\"name\":7}", "\u{feff}{}", &deep] {
        for path in ["/proxies", "/populate", "/proxies/p/toxics"] {
            let (status, told) = ask(port, "POST", path, content);
            let is_empty_list = path == "/populate" && content == "[]";
            assert!(status == 400 || is_empty_list, "{path} {content:.20}: {status} {told}");
        }
    }
    assert_eq!(ask(port, "POST", "/proxies", &huge).0, 413);
    for (kind, attributes) in [
        ("latency", json!({"latency": -1})),
        ("latency", json!({"latency": 1.5})),
        ("latency", json!({"latency": "1"})),
        ("latency", json!({"latency": 1e300})),
        ("slicer", json!([])),
        ("limit_data", json!({"bytes": {}})),
    ] {
        let wanted = json!({"type": kind, "attributes": attributes}).to_string();
        let (status, told) = ask(port, "POST", "/proxies/p/toxics", &wanted);
        assert!(status == 400 && told["error"].as_str().unwrap().starts_with("bad request body: "), "{wanted}: {told}");
    }
    // More clients than it has room for, that say nothing, or the half of something.
    let idle: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            if number % 2 == 0 {
                let _ = stream.write_all(b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
            }
            stream
        })
        .collect();
    assert_eq!(ask(port, "GET", "/version", "").0, 200);
    drop(idle);
    for kind in ["latency", "slicer", "slow_close"] {
        let values = json!({"latency": 0, "average_size": 0, "size_variation": 1u64 << 53, "delay": 0});
        proxied.add(kind, "upstream", values);
    }
    lateness(&mut client, &mut server);
    lateness(&mut server, &mut client);
}

#[test]
fn one_connection_asks_again_and_again_and_several_things_at_once() {
    let server = control(&[]);
    let mut stream = server.connect();
    let post = |content: &str| {
        let head = "POST /proxies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        let pieces: String = content.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
        format!("{head}{pieces}0\r\n\r\n")
    };
    let wanted = r#"{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}"#;
    let version = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(format!("{}{version}{}{version}", post(wanted), post(wanted)).as_bytes()).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let head = head(&mut stream);
        statuses.push(head.split(' ').nth(1).unwrap().to_owned());
        let length = head.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        read(&mut stream, length);
    }
    assert_eq!(statuses, ["201", "200", "409", "200"]);
}

#[test]
fn a_control_port_that_is_held_or_no_address_is_said_before_anything_begins() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let run = |words: &[&str]| run_command(command(&[]).arg("relay").args(words), b"");
    let output = run(&["--control", &address]);
    assert_code(&output, 3);
    assert!(text(&output.stderr).contains("in use"), "{}", text(&output.stderr));
    for words in [
        &["--control", "nonsense"][..],
        &["--control", "udp://127.0.0.1:0"],
        &["127.0.0.1:0", "--control", "127.0.0.1:0"],
        &["127.0.0.1:0", "127.0.0.1:1", "--control", "127.0.0.1:0", "--once"],
        &["udp://127.0.0.1:0", "udp://127.0.0.1:1", "--control", "127.0.0.1:0"],
    ] {
        assert_code(&run(words), 2);
    }
}

const PYTHON: &str = r#"
import socket, sys, time
from toxiproxy import Toxiproxy

port, echo = int(sys.argv[1]), sys.argv[2]
toxiproxy = Toxiproxy()
toxiproxy.update_api_consumer("127.0.0.1", port)
assert toxiproxy.running() and b'"version"' in toxiproxy.version()
proxy = toxiproxy.create(upstream=echo, name="echo")
host, number = proxy.listen.split(":")

def connected():
    client = socket.create_connection((host, int(number)), timeout=60)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client

def lateness(client):
    began = time.monotonic()
    client.sendall(b"ping")
    heard = b""
    while len(heard) < 4:
        piece = client.recv(4)
        assert piece, "it was closed"
        heard += piece
    assert heard == b"ping"
    return time.monotonic() - began

client = connected()
lateness(client)
proxy.add_toxic(type="latency", attributes={"latency": 200, "jitter": 10})
assert lateness(client) >= 0.19
toxic = proxy.get_toxic("latency_downstream")
assert (toxic.type, toxic.stream, toxic.toxicity, toxic.attributes) == (
    "latency", "downstream", 1, {"latency": 200, "jitter": 10})
try:
    proxy.add_toxic(type="latency")
    raise SystemExit("it was added twice")
except Exception as error:
    assert type(error).__name__ == "ProxyExists", error
proxy.destroy_toxic("latency_downstream")
assert proxy.get_toxic("latency_downstream") is None
lateness(client)

with proxy.down():
    assert client.recv(1) == b""
    try:
        connected()
        raise SystemExit("it accepts")
    except ConnectionRefusedError:
        pass
client = connected()
lateness(client)
proxy.add_toxic(name="cut", type="limit_data", attributes={"bytes": 2})
client.sendall(b"ping")
assert client.makefile("rb").read() == b"pi"
proxy.add_toxic(name="gone", type="reset_peer", stream="upstream", attributes={"timeout": 0})
client = connected()
try:
    client.sendall(b"ping")
    client.recv(1)
    raise SystemExit("no reset")
except ConnectionResetError:
    pass
assert sorted(proxy.toxics()) == ["cut", "gone"]
toxiproxy.reset()
assert proxy.toxics() == {}
lateness(connected())
toxiproxy.populate([{"name": "second", "upstream": echo, "listen": "127.0.0.1:0"}])
assert sorted(toxiproxy.proxies()) == ["echo", "second"]
try:
    proxy.add_toxic(type="gravity")
    raise SystemExit("it was added")
except Exception as error:
    assert type(error).__name__ == "InvalidToxic", error
toxiproxy.destroy_all()
assert toxiproxy.proxies() == {}
print("done")
"#;

#[test]
fn toxiproxys_client_in_python_drives_it() {
    need("python3");
    let Some(python) = packages::python("toxiproxy-python", "toxiproxy") else { return };
    let echo = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let server = control(&[]);
    let mut python = Command::new(python);
    let output = run_command(python.args(["-c", PYTHON, &server.port().to_string(), &echo.address()]), b"");
    assert_eq!(text(&output.stdout), "done\n", "{}", text(&output.stderr));
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
}

const JAVASCRIPT: &str = r#"
const assert = require("assert");
const net = require("net");
const { Toxiproxy } = require("toxiproxy-node-client");

const connected = listen => new Promise((done, fail) => {
    const [host, port] = listen.split(":");
    const client = net.connect(Number(port), host, () => done(client));
    client.on("error", fail);
});
const lateness = client => new Promise((done, fail) => {
    const began = process.hrtime.bigint();
    client.once("data", () => done(Number(process.hrtime.bigint() - began) / 1e6));
    client.once("close", () => fail(new Error("it was closed")));
    client.write("ping");
});

(async () => {
    const [url, upstream] = process.argv.slice(2);
    const toxiproxy = new Toxiproxy(url);
    const proxy = await toxiproxy.createProxy({ name: "echo", listen: "127.0.0.1:0", upstream });
    const client = await connected(proxy.listen);
    await lateness(client);
    const toxic = await proxy.addToxic({ name: "late", type: "latency", stream: "upstream", toxicity: 1,
        attributes: { latency: 150, jitter: 0 } });
    assert(await lateness(client) >= 149);
    const found = await proxy.getToxic("late");
    assert.deepStrictEqual(found.attributes, { latency: 150, jitter: 0 });
    const changed = await found.update({ attributes: { latency: 250, jitter: 0 }, toxicity: 1 });
    assert.strictEqual(changed.attributes.latency, 250);
    assert(await lateness(client) >= 249);
    await toxic.remove();
    await lateness(client);
    client.removeAllListeners("close");
    const again = await toxiproxy.get("echo");
    assert.strictEqual(again.upstream, upstream);
    await again.update({ enabled: false, listen: again.listen, upstream });
    await assert.rejects(connected(proxy.listen));
    await toxiproxy.reset();
    (await connected(proxy.listen)).destroy();
    assert.deepStrictEqual(Object.keys(await toxiproxy.getAll()), ["echo"]);
    await proxy.remove();
    assert.deepStrictEqual(await toxiproxy.getAll(), {});
    console.log("done");
    process.exit(0);
})().catch(error => { console.error(error); process.exit(1); });
"#;

#[test]
fn toxiproxys_client_in_javascript_drives_it() {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !has("node") || !has("npm") {
        eprintln!("node is not here: its client is not tried");
        return;
    }
    let package = packages::packaged("toxiproxy-node", "done", |home| {
        std::fs::create_dir_all(home).unwrap();
        let words =
            ["install", "--prefix", &home.display().to_string(), "--no-audit", "--no-fund", "toxiproxy-node-client"];
        packages::quietly(Path::new("npm"), &words) && std::fs::write(home.join("done"), "").is_ok()
    });
    let Some(home) = package else { return };
    let echo = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let server = control(&[]);
    let script = home.join("drive.js");
    std::fs::write(&script, JAVASCRIPT).unwrap();
    let mut node = Command::new("node");
    let url = format!("http://127.0.0.1:{}", server.port());
    let output = run_command(node.arg(&script).args([&url, &echo.address()]), b"");
    assert_eq!(text(&output.stdout), "done\n", "{}", text(&output.stderr));
}

/// The examples of docs/relay.md.
#[test]
fn the_examples_of_the_page_drive_it() {
    need("curl");
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/relay.md")).unwrap();
    let section = page.split("## Steering it by toxiproxy's clients").nth(1).unwrap();
    let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).collect();
    let begin = blocks[0].strip_prefix("sh\n").unwrap();
    assert_eq!(begin.trim(), "sockeye relay --control 8474");
    let server = control(&[]);
    let echo = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let script = blocks[1].strip_prefix("sh\n").unwrap();
    let script = script.replace("127.0.0.1:8474", &server.address()).replace("localhost:6379", &echo.address());
    let script = script.replace("127.0.0.1:26379", "127.0.0.1:0");
    let output = run_command(Command::new("bash").args(["-euc", &script]), b"");
    assert_code(&output, 0);
    let told = ask(server.port(), "GET", "/proxies/redis", "").1;
    assert_eq!((&told["enabled"], told["toxics"].as_array().unwrap().len()), (&json!(true), 0), "{told}");
    assert!(text(&output.stdout).contains("\"latency\":1000"), "{}", text(&output.stdout));
    // Every toxic that the page names, with the attributes that it names.
    for row in section.lines().filter(|row| row.starts_with("| `") && !row.contains("enabled")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let attributes: serde_json::Map<String, Value> =
            cells[2].split(", ").map(|name| (name.trim_matches('`').to_owned(), json!(7))).collect();
        let wanted = json!({"type": cells[1].trim_matches('`'), "attributes": attributes});
        let (status, told) = ask(server.port(), "POST", "/proxies/redis/toxics", &wanted.to_string());
        assert_eq!((status, &told["attributes"]), (200, &json!(attributes)), "{row}");
    }
    assert_eq!(ask(server.port(), "GET", "/proxies/redis/toxics", "").1.as_array().unwrap().len(), 7);
}

/// As toxiproxy has it: what nothing may pass is held, and its end behind it, until the rate is another or the toxic is gone.
#[test]
fn a_bandwidth_of_nothing_holds_all_until_it_is_changed_or_removed() {
    let proxied = Proxied::new(&[]);
    for (stream, is_removed) in [("upstream", true), ("downstream", true), ("upstream", false), ("downstream", false)] {
        proxied.add("bandwidth", stream, json!({"rate": 0}));
        let (client, server) = proxied.joined();
        let (mut from, mut to) = if stream == "upstream" { (client, server) } else { (server, client) };
        // The other way is as it was.
        lateness(&mut to, &mut from);
        from.write_all(b"held").unwrap();
        from.shutdown(Shutdown::Write).unwrap();
        // Longer than any rate from one up would take for it.
        to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let waited = std::io::Read::read(&mut to, &mut [0; 9]).unwrap_err();
        assert!(matches!(waited.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{waited}");
        to.set_read_timeout(Some(LONG)).unwrap();
        let toxic = format!("bandwidth_{stream}");
        if !is_removed {
            let change = r#"{"attributes":{"rate":1000}}"#;
            assert_eq!(ask(proxied.control.port(), "POST", &format!("/proxies/p/toxics/{toxic}"), change).0, 200);
        } else {
            proxied.remove(&toxic);
        }
        assert_eq!(to_end(&mut to), b"held");
        if !is_removed {
            proxied.remove(&toxic);
        }
    }
}

#[test]
fn a_limit_of_no_bytes_closes_with_the_first_of_them_and_not_before() {
    let proxied = Proxied::new(&[]);
    proxied.add("limit_data", "downstream", json!({"bytes": 0}));
    let (mut client, mut server) = proxied.joined();
    lateness(&mut client, &mut server);
    server.write_all(b"x").unwrap();
    assert_eq!(to_end(&mut client), b"");
}
