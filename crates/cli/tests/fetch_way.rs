//! `fetch` by other ways than the shortest: through a proxy under TLS, to another place, from another address; and who it is
//! to a server that asks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::peers::{Authority, Peer, nginx, s_server};
use support::web::{Web, answer, bytes, fetch, fetch_command, ok};
use support::{assert_code, need, run_command, serve_one, text};

fn openssl(folder: &Path, words: &str) {
    need("openssl");
    let output = run_command(Command::new("openssl").args(words.split_whitespace()).current_dir(folder), b"");
    assert!(output.status.success(), "openssl {words}: {}", text(&output.stderr));
}

fn said(output: &Output) -> String {
    text(&output.stderr)
}

/// tinyproxy speaks no TLS; socat puts it around it, as people do.
#[test]
fn a_proxy_under_tls_carries_http_and_tunnels_https() {
    need("tinyproxy");
    need("socat");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    fs::write(folder.path().join("page"), bytes(2_000_000)).unwrap();
    let secure = s_server(folder.path(), "good", &[]);
    let inner = Peer::start(|port| {
        let config = folder.path().join(format!("proxy-{port}.conf"));
        let text = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nBasicAuth me secret\n");
        fs::write(&config, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&config).stdout(Stdio::null());
        command
    });
    let proxy = Peer::start(|port| {
        let mut command = Command::new("socat");
        let listen = format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert=good.pem,key=good.key");
        command.arg(listen).arg(format!("TCP:127.0.0.1:{}", inner.port)).current_dir(folder.path());
        command
    });
    let out = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    let ask = |url: &str, proxy: &str, more: &[&str]| {
        fetch(out.path(), &[&[url, "-o", "x", "--proxy", proxy], more].concat())
    };
    let at = format!("https://me:secret@localhost:{}", proxy.port);
    let web = Web::saying(ok(&bytes(300_000)));
    assert_code(&ask(&web.url("/x"), &at, &["--ca", &ca]), 0);
    assert!(fs::read(out.path().join("x")).unwrap() == bytes(300_000));
    let last = web.requests().pop().unwrap().to_ascii_lowercase();
    assert!(last.contains("\r\nvia:") && !last.contains("proxy-authorization"), "{last}");
    // One session inside the other, with more than any buffer between them holds.
    let page = format!("https://localhost:{}/page", secure.port);
    assert_code(&ask(&page, &at, &["--ca", &ca]), 0);
    assert!(fs::read(out.path().join("x")).unwrap() == bytes(2_000_000));
    let output = ask(&page, &at, &[]);
    assert_code(&output, 60);
    assert!(said(&output).contains("the certificate of localhost is signed by nobody who is trusted"), "{output:?}");
    let output = ask(&page, &format!("https://localhost:{}", proxy.port), &["--ca", &ca]);
    assert_code(&output, 7);
    assert!(said(&output).contains("the proxy says 407"), "{output:?}");
    let (plain, server) = serve_one(|mut stream| {
        stream
            .write_all(
                b"HTTP/1.1 400 Bad Request

",
            )
            .unwrap()
    });
    let output = ask(&page, &format!("https://{plain}"), &["--ca", &ca]);
    server.join().unwrap();
    assert_code(&output, 35);
    assert!(said(&output).contains("127.0.0.1 does not speak TLS"), "{output:?}");
}

#[test]
fn no_proxy_is_an_option_that_counts_over_the_environment() {
    let web = Web::saying(ok(b"direct"));
    let folder = tempfile::tempdir().unwrap();
    // No server can be there: port 1 of the loopback is refused.
    let ask = |hosts: &str| {
        let mut command = fetch_command(folder.path());
        command.args([&web.url("/x"), "-o", "x", "--no-proxy", hosts]);
        command.env("http_proxy", "http://127.0.0.1:1").env("no_proxy", "127.0.0.1");
        run_command(&mut command, b"")
    };
    for hosts in ["*", "127.0.0.1", "example.org, 127.0.0.1", "127.0.0.0/8"] {
        assert_code(&ask(hosts), 0);
    }
    for hosts in ["", "example.org", "10.0.0.0/8"] {
        assert_code(&ask(hosts), 7);
    }
    let chosen = ["--proxy", "http://127.0.0.1:1", "--noproxy", "127.0.0.1"];
    assert_code(&fetch(folder.path(), &[&[&*web.url("/x"), "-o", "x"], &chosen[..]].concat()), 0);
}

#[test]
fn redirects_have_a_limit_that_can_be_set() {
    let web = Web::start(|request, stream| {
        let number: u32 = request.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap();
        let bytes = match number {
            0 => ok(b"here"),
            _ => answer("302 Found", &format!("Location: /{}\r\n", number - 1), b""),
        };
        stream.write_all(&bytes).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let ask = |number: u32, more: &[&str]| {
        fetch(folder.path(), &[&[&*web.url(&format!("/{number}")), "-o", "x"], more].concat())
    };
    assert_code(&ask(3, &["--max-redirects", "3"]), 0);
    assert_code(&ask(40, &["--max-redirs", "40"]), 0);
    for (number, limit) in [(3, "2"), (1, "0"), (40, "39")] {
        let output = ask(number, &["--max-redirects", limit]);
        assert_code(&output, 47);
        assert!(said(&output).contains(&format!("more than {limit} redirects")), "{output:?}");
    }
}

#[test]
fn another_place_can_stand_for_that_of_a_url() {
    let web = Web::saying(ok(b"there"));
    let folder = tempfile::tempdir().unwrap();
    let port = web.url("").rsplit(':').next().unwrap().to_owned();
    let ask = |url: &str, to: &str| fetch(folder.path(), &[url, "-o", "x", "--connect-to", to]);
    for (url, to) in [
        ("http://nobody.invalid/x", format!("nobody.invalid:80:127.0.0.1:{port}")),
        ("http://NOBODY.invalid/x", format!("nobody.INVALID::localhost:{port}")),
        ("http://nobody.invalid:81/x", format!("::127.0.0.1:{port}")),
        ("http://127.0.0.1:1/x", format!("127.0.0.1:1::{port}")),
        ("http://[2001:db8::1]:1/x", format!("[2001:db8::1]:1:127.0.0.1:{port}")),
    ] {
        assert_code(&ask(url, &to), 0);
        let host = url.to_ascii_lowercase();
        let host = host.trim_start_matches("http://").trim_end_matches("/x");
        let last = web.requests().pop().unwrap();
        assert!(
            last.contains(&format!("\r\nHost: {host}\r\n")) || last.contains(&format!("\r\nhost: {host}\r\n")),
            "{last}"
        );
    }
    assert_code(&ask("http://nobody.invalid/x", &format!("other.invalid:80:127.0.0.1:{port}")), 6);
    for wrong in ["x", "a:b", "a:80:b", "a:x:b:80", "a:80:b:99999", "[::1:80:b:80"] {
        assert_code(&ask("http://nobody.invalid/x", wrong), 2);
    }
}

/// In a namespace with two interfaces: what the server sees is where it came from.
#[test]
fn an_address_or_an_interface_can_be_chosen_to_come_from() {
    for program in ["ip", "unshare", "python3"] {
        need(program);
    }
    let folder = tempfile::tempdir().unwrap();
    let server = "import http.server,sys\nclass H(http.server.BaseHTTPRequestHandler):\n def do_GET(s):\n  b=s.client_address[0].encode()\n  \
        s.send_response(200);s.send_header('Content-Length',str(len(b)));s.end_headers();s.wfile.write(b)\n log_message=lambda *a:None\n\
        s=http.server.HTTPServer(('127.0.0.1',0),H)\nopen('port.new','w').write(str(s.server_port))\n__import__('os').rename('port.new','port')\n\
        s.serve_forever()\n";
    fs::write(folder.path().join("server.py"), server).unwrap();
    let script = format!(
        "ip link set lo up; ip addr add 127.9.9.9/8 dev lo; ip link add veth0 type veth peer name veth1; ip addr add 192.0.2.1/24 dev veth0; \
        ip link set veth0 up; ip link set veth1 up; python3 server.py & server=$!; while [ ! -e port ]; do sleep 0.05; done; \
        url=http://127.0.0.1:$(cat port)/; f={}; \
        $f fetch -q -o - $url --interface 127.9.9.9; echo; $f fetch -q -o - $url --interface lo; echo; \
        $f fetch -q -o - $url --interface host!127.0.0.2; echo; \
        $f fetch -o - $url --interface 192.0.2.77; echo $?; $f fetch -o - $url --interface none0; echo $?; \
        $f fetch -o - $url --interface ::1; echo $?; $f fetch -o - $url --connect-timeout 1s --interface if!veth0; echo $?; kill $server",
        support::BINARY
    );
    let mut command = Command::new("unshare");
    command.args(["-n", "bash", "-c", &script]).current_dir(folder.path());
    let output = run_command(&mut command, b"");
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines[..6], ["127.9.9.9", "127.0.0.1", "127.0.0.2", "2", "2", "2"], "{output:?}");
    // The loopback is not behind that interface.
    assert!(matches!(&*lines[6], "7" | "28"), "{output:?}");
    for why in ["no interface of this machine has that address", "no interface of this machine has that name"] {
        assert!(said(&output).contains(why), "{output:?}");
    }
}

#[test]
fn a_server_that_speaks_only_old_tls_can_be_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    fs::write(folder.path().join("page"), "secret").unwrap();
    let old = s_server(folder.path(), "good", &["-no_tls1_3"]);
    let new = s_server(folder.path(), "good", &["-no_tls1_2"]);
    let out = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    let ask = |peer: &Peer, version: &str| {
        let url = format!("https://localhost:{}/page", peer.port);
        fetch(out.path(), &[&url, "-o", "x", "--ca", &ca, "--tls-min", version])
    };
    for (peer, version, expected) in
        [(&old, "1.2", 0), (&old, "1.3", 35), (&new, "1.3", 0), (&new, "1.2", 0), (&new, "1.1", 2)]
    {
        assert_code(&ask(peer, version), expected);
    }
}

/// Who we are, in every form in which keys come, to a server that lets no other client in.
#[test]
fn keys_under_a_passphrase_and_archives_say_who_we_are() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    authority.sign(folder.path(), "me", &["me.example"], (2020, 2120));
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/page"), "for me").unwrap();
    let server = nginx(
        folder.path(),
        &format!(
            "ssl on; ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {}; ssl_verify_client on;",
            at("good.pem"),
            at("good.key"),
            at("ca.pem")
        ),
    );
    openssl(folder.path(), "pkcs8 -topk8 -in me.key -out sealed.key -passout pass:open");
    openssl(folder.path(), "pkcs8 -topk8 -in me.key -out scrypt.key -scrypt -passout pass:open");
    openssl(folder.path(), "pkcs8 -topk8 -in me.key -out des3.key -v2 des3 -passout pass:open");
    openssl(folder.path(), "pkcs12 -export -inkey me.key -in me.pem -out me.p12 -passout pass:open");
    openssl(
        folder.path(),
        "pkcs12 -export -inkey me.key -in me.pem -certfile ca.pem -out chain.p12 -passout pass:open",
    );
    openssl(folder.path(), "pkcs12 -export -legacy -inkey me.key -in me.pem -out legacy.p12 -passout pass:open");
    openssl(folder.path(), "pkcs12 -export -inkey me.key -in me.pem -out bare.p12 -passout pass:");
    let both = fs::read_to_string(at("me.pem")).unwrap() + &fs::read_to_string(at("me.key")).unwrap();
    fs::write(at("both.pem"), both).unwrap();
    fs::write(at("pass"), "open\n").unwrap();
    for name in
        ["sealed.key", "scrypt.key", "des3.key", "me.p12", "chain.p12", "legacy.p12", "bare.p12", "both.pem", "pass"]
    {
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let url = format!("https://localhost:{}/page", server.port);
    let ask = |more: &[&str]| fetch(out.path(), &[&[&*url, "-o", "x", "--ca", &at("ca.pem")], more].concat());
    assert_code(&ask(&[]), 22);
    let from_file = format!("@{}", at("pass"));
    let (pem, good) = (at("me.pem"), ["--pass", "open"]);
    for key in ["sealed.key", "scrypt.key", "des3.key"] {
        assert_code(&ask(&["--cert", &pem, "--key", &at(key), "--pass", "open"]), 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"for me");
        assert_code(&ask(&["--cert", &pem, "--key", &at(key), "--pass", &from_file]), 0);
        let output = ask(&["--cert", &pem, "--key", &at(key), "--pass", "wrong"]);
        assert_code(&output, 26);
        assert!(said(&output).contains("the passphrase does not open this key (--pass)"), "{output:?}");
        let output = ask(&["--cert", &pem, "--key", &at(key)]);
        assert_code(&output, 26);
        assert!(said(&output).contains("this key wants a passphrase: --pass @FILE"), "{output:?}");
    }
    for archive in ["me.p12", "chain.p12", "legacy.p12"] {
        assert_code(&ask(&[&["--cert", &at(archive)], &good[..]].concat()), 0);
        let output = ask(&["--cert", &at(archive), "--pass", "wrong"]);
        assert_code(&output, 26);
        assert!(said(&output).contains("the passphrase does not open this PKCS #12 archive"), "{output:?}");
        let output = ask(&["--cert", &at(archive)]);
        assert!(said(&output).contains("wants a passphrase"), "{output:?}");
    }
    assert_code(&ask(&["--cert", &at("bare.p12")]), 0);
    assert_code(&ask(&["--cert", &at("both.pem")]), 0);
    // What is no secret, and what is none of them.
    fs::set_permissions(at("me.p12"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = ask(&[&["--cert", &at("me.p12")], &good[..]].concat());
    assert_code(&output, 26);
    assert!(said(&output).contains("everybody may read this key"), "{output:?}");
    fs::write(at("both.pem"), [&[0x30, 0x82][..], &bytes(100)].concat()).unwrap();
    let output = ask(&["--cert", &at("both.pem")]);
    assert_code(&output, 26);
    assert!(said(&output).contains("it is no PKCS #12 archive"), "{output:?}");
}
