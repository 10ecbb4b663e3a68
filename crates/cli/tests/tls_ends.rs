//! TLS that ends and lets clear text go on, what is spoken inside (ALPN), and clients that show who they are: over real
//! sockets, with OpenSSL, Python and curl at the other end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use support::peers::{Authority, s_server};
use support::*;

/// A control connection of FTP that goes back to clear text (RFC 4217, section 15.1.4).
const CCC: &str = "eol crlf
S: 220 {_=ready}
C: AUTH TLS
S: 234 {_=go on}
starttls
C: USER {user=ann}
S: 230 {_=in}
C: CCC
S: 200 {_=clear text from here}
stoptls
C: PWD
S: 257 \"/\"
C: QUIT
S: 221 {_=bye}
S closes
";

/// The other kinds: the server goes first, a second time, in a loop of either, in a second connection, and the client ends it.
const OTHERS: [&str; 5] = [
    "starttls\nS: hello\nC: go\nstoptls\nS: in clear\nC: me too\nS closes\n",
    "C: a\nS: b\nstarttls\nC: c\nS: d\nstoptls\nC: e\nS: f\nstarttls\nC: g\nS: h\nstoptls\nC: i\nC closes\n",
    "repeat\n  either\n    C: IN{n=1}\n    S: ok\n    starttls\n    C: secret {n}\n    S: {n}\n  or\n    C: OUT{n=2}\n    S: ok\n    \
     stoptls\n    C: clear {n}\n    S: {n}\n  end\nend\nC: QUIT\nS closes\n",
    "C: a\nC2 connects\nC2: b\nS2: c\nstarttls\nC2: inside\nS2: inside\nstoptls\nC2: outside\nS2: outside\nS: done\nS closes\n",
    "eol none\nstarttls\nC hex: 01 02 03\nS raw: abc\nstoptls\nS hex: 00 ff\nC raw: xyz\nC closes\n",
];

struct Folder(tempfile::TempDir);

impl Folder {
    /// One with an authority, a certificate for the server, one for a client, and a transcript.
    fn new(transcript: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        authority.sign(folder.path(), "good", &["localhost", "127.0.0.1"], (2020, 2120));
        authority.sign(folder.path(), "ann", &["ann.example"], (2020, 2120));
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        Authority::new(&other).sign(&other, "eve", &["eve.example"], (2020, 2120));
        write(folder.path(), "play.talk", transcript);
        Self(folder)
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn serve(&self, more: &[&str]) -> Server {
        let (play, cert, key) = (self.at("play.talk"), self.at("good.pem"), self.at("good.key"));
        Server::start_at(
            &["tcp://127.0.0.1:0"],
            &[&["--play", &play, "--once", "--cert", &cert, "--key", &key], more].concat(),
        )
    }

    fn talk(&self, address: &str, more: &[&str]) -> std::process::Output {
        let (play, ca) = (self.at("play.talk"), self.at("ca.pem"));
        run(&[&["talk", address, "--play", &play, "--ca", &ca], more].concat(), b"")
    }

    fn python(&self, script: &str, port: u16) -> std::process::Output {
        need("python3");
        let script = format!("{PYTHON}{script}");
        run_command(Command::new("python3").args(["-c", &script, &port.to_string()]).current_dir(self.path()), b"")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What scripts of either side begin with.
const PYTHON: &str = "
import socket, ssl, sys
def client(version=None, cert=None):
    context = ssl.create_default_context(cafile='ca.pem')
    context.check_hostname = False
    if version: context.maximum_version = version
    if cert: context.load_cert_chain(cert + '.pem', cert + '.key')
    return context
def server(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain('good.pem', 'good.key')
    if version: context.maximum_version = version
    return context
def line(stream):
    said = b''
    while not said.endswith(b'\\n'):
        more = stream.recv(1)
        if not more: raise EOFError(said)
        said += more
    return said
";

#[test]
fn tls_ends_and_clear_text_goes_on_from_both_ends_and_a_record_says_so() {
    for text in std::iter::once(CCC).chain(OTHERS) {
        let folder = Folder::new(text);
        assert_code(&run(&["check", &folder.at("play.talk")], b""), 0);
        let mut server = folder.serve(&[]);
        let record = folder.at("record.talk");
        if text.contains("C2") {
            assert_code(&folder.talk(&server.address(), &[]), 0);
            assert_eq!(server.wait(), 0, "{text}{:#?}", server.log.all());
            continue;
        }
        assert_code(&folder.talk(&server.address(), &["--record", &record]), 0);
        assert_eq!(server.wait(), 0, "{text}{:#?}", server.log.all());
        // The record plays from both ends, and gives itself again.
        let recorded = fs::read_to_string(&record).unwrap();
        assert_eq!(recorded.matches("stoptls\n").count(), recorded.matches("starttls\n").count(), "{recorded}");
        fs::write(folder.at("play.talk"), &recorded).unwrap();
        let mut server = folder.serve(&[]);
        let again = folder.at("again.talk");
        assert_code(&folder.talk(&server.address(), &["--record", &again]), 0);
        assert_eq!(server.wait(), 0, "{recorded}{:#?}", server.log.all());
        let statements =
            |text: &str| text.lines().filter(|line| !line.starts_with("at ")).collect::<Vec<_>>().join("\n");
        assert_eq!(statements(&fs::read_to_string(again).unwrap()), statements(&recorded));
    }
}

#[test]
fn pythons_unwrap_ends_tls_with_us_at_either_end_whoever_says_so_first() {
    let folder = Folder::new(CCC);
    for version in ["ssl.TLSVersion.TLSv1_2", "None"] {
        let mut server = folder.serve(&[]);
        let script = format!(
            "
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
line(clear); clear.sendall(b'AUTH TLS\\r\\n'); line(clear)
secure = client({version}).wrap_socket(clear)
secure.sendall(b'USER bob\\r\\n'); line(secure)
secure.sendall(b'CCC\\r\\n'); assert line(secure) == b'200 clear text from here\\r\\n'
clear = secure.unwrap()
clear.sendall(b'PWD\\r\\n'); assert line(clear) == b'257 \"/\"\\r\\n'
clear.sendall(b'QUIT\\r\\n'); assert line(clear) == b'221 bye\\r\\n'
"
        );
        assert_code(&folder.python(&script, server.port()), 0);
        assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
        let script = format!(
            "
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
clear, _ = listener.accept()
clear.sendall(b'220 hi\\r\\n'); line(clear); clear.sendall(b'234 go\\r\\n')
secure = server({version}).wrap_socket(clear, server_side=True)
line(secure); secure.sendall(b'230 in\\r\\n'); line(secure); secure.sendall(b'200 ok\\r\\n')
clear = secure.unwrap()
assert line(clear) == b'PWD\\r\\n'
clear.sendall(b'257 \"/\"\\r\\n'); line(clear); clear.sendall(b'221 bye\\r\\n')
clear.close()
"
        );
        let mut python = python_server(&folder, &script);
        assert_code(&folder.talk(&python.address, &[]), 0);
        assert!(python.child.wait().unwrap().success());
    }
}

/// Both ends of TLS in memory, so that what goes over the socket can be joined and cut anywhere.
#[test]
fn clear_text_in_one_segment_with_the_end_of_tls_is_heard_and_so_is_the_end_in_single_bytes() {
    let folder = Folder::new(CCC);
    for (cut, version) in
        [("whole", "None"), ("bytes", "None"), ("whole", "ssl.TLSVersion.TLSv1_2"), ("bytes", "ssl.TLSVersion.TLSv1_2")]
    {
        let mut server = folder.serve(&[]);
        let script = format!(
            "
import time
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
clear.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
line(clear); clear.sendall(b'AUTH TLS\\r\\n'); line(clear)
coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = client({version}).wrap_bio(coming, going)
def step(act):
    while True:
        try:
            return act()
        except ssl.SSLWantReadError:
            clear.sendall(going.read())
            coming.write(clear.recv(99999))
step(tls.do_handshake)
tls.write(b'USER bob\\r\\n'); clear.sendall(going.read())
assert step(lambda: tls.read(99)) == b'230 in\\r\\n'
tls.write(b'CCC\\r\\n'); clear.sendall(going.read())
assert step(lambda: tls.read(99)).startswith(b'200')
try: tls.unwrap()
except ssl.SSLWantReadError: pass
last = going.read() + b'PWD\\r\\n'
if '{cut}' == 'whole': clear.sendall(last)
else:
    for byte in last: clear.sendall(bytes([byte]))
said = b''
while not said.endswith(b'257 \"/\"\\r\\n'):
    more = clear.recv(999)
    assert more, said
    said += more
clear.sendall(b'QUIT\\r\\n')
assert line(clear) == b'221 bye\\r\\n'
"
        );
        assert_code(&folder.python(&script, server.port()), 0);
        assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    }
}

/// What curl does at `--ftp-ssl-ccc`, with a data connection.
#[test]
fn curl_clears_its_command_channel_with_us() {
    need("curl");
    let play = "eol crlf
S: 220 ready
C: AUTH SSL
S: 234 go on
starttls
C: USER {_=anonymous}
S: 230 in
C: PBSZ 0
S: 200 ok
C: PROT C
S: 200 ok
C: CCC
S: 200 clear
stoptls
C: PWD
S: 257 \"/\" is here
C: EPSV
S: 229 ok (|||{port}|)
C2 connects to {port}
C: TYPE I
S: 200 ok
C: SIZE a.txt
S: 213 7
C: RETR a.txt
S: 150 here it comes
S2: hello
S2 closes
S: 226 done
C: QUIT
S: 221 bye
S closes
";
    for mode in ["active", "passive"] {
        let folder = Folder::new(play);
        let mut server = folder.serve(&[]);
        let url = format!("ftp://127.0.0.1:{}/a.txt", server.port());
        let ca = folder.at("ca.pem");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--ftp-ssl-control", "--ftp-ssl-ccc", "--ftp-ssl-ccc-mode", mode]);
        let output = run_command(curl.args(["--cacert", &ca, "--noproxy", "*", "--max-time", "60", &url]), b"");
        if mode == "passive" {
            // There curl never says that TLS ends, and goes on in clear (CURLFTPSSL_CCC_PASSIVE).
            assert_eq!(server.wait(), 1);
            server.log.wait_for("TLS did not end: the client said something else than that it ends (close_notify)");
            continue;
        }
        assert_eq!(server.wait(), 0, "{mode}: {:#?}\n{}", server.log.all(), text(&output.stderr));
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "hello\r\n");
    }
}

/// A socket on which TLS has begun, and CCC was said and answered.
const INSIDE: &str = "
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
line(clear); clear.sendall(b'AUTH TLS\\r\\n'); line(clear)
secure = client().wrap_socket(clear, suppress_ragged_eofs=False)
secure.sendall(b'USER bob\\r\\n'); line(secure)
secure.sendall(b'CCC\\r\\n'); line(secure)
";

#[test]
fn a_client_that_does_not_end_tls_as_it_should_is_named() {
    let folder = Folder::new(CCC);
    for (does, words) in [
        ("secure.sendall(b'PWD\\r\\n')", "TLS did not end: the client said more inside it"),
        (
            "socket.socket(fileno=secure.detach()).close()",
            "TLS did not end: the client closed the connection, and did not say that it ends",
        ),
        (
            "import os; os.write(secure.fileno(), b'PWD\\r\\n')",
            "TLS did not end: the client said something else than that it ends",
        ),
    ] {
        let mut server = folder.serve(&[]);
        let script = format!(
            "{INSIDE}{does}\ntry: secure.fileno() > 0 and socket.socket(fileno=secure.detach()).recv(9999)\nexcept OSError: pass\n"
        );
        assert_code(&folder.python(&script, server.port()), 0);
        assert_eq!(server.wait(), 1, "{does}");
        let account = server.log.to_end().join("\n");
        assert!(account.contains(words), "{does}\n{account}");
        assert!(account.contains("play.talk:10:1"), "{account}");
    }
    // Nothing at all: the time of a handshake.
    let mut server = folder.serve(&[]);
    let script = format!("{INSIDE}\nclear = socket.socket(fileno=secure.detach())\nwhile clear.recv(9999): pass\n");
    assert_code(&folder.python(&script, server.port()), 0);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("TLS did not end: the client did not say within 10 s that it ends (close_notify)");
}

#[test]
fn a_server_that_does_not_end_tls_as_it_should_is_named() {
    let folder = Folder::new("starttls\nC: a\nS: b\nstoptls\nC: c\nS: d\n");
    for (does, words) in [
        ("secure.sendall(b'd\\n')", "TLS did not end: the server said more inside it"),
        ("pass", "TLS did not end: the server closed the connection, and did not say that it ends"),
    ] {
        let script = format!(
            "
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
clear, _ = listener.accept()
secure = server().wrap_socket(clear, server_side=True)
line(secure); secure.sendall(b'b\\n')
{does}
clear = socket.socket(fileno=secure.detach())
clear.shutdown(socket.SHUT_WR)
try:
    while clear.recv(9999): pass
except OSError: pass
"
        );
        let mut python = python_server(&folder, &script);
        let output = folder.talk(&python.address, &[]);
        assert_code(&output, 35);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
        python.child.wait().unwrap();
    }
}

#[test]
fn a_way_that_begins_tls_twice_or_ends_it_twice_is_a_failed_play() {
    for (text, says, words) in [
        (
            "either\n  C: IN\n  S: ok\n  starttls\nor\n  C: NO\n  S: ok\nend\nC: X\nS: ok\nstoptls\nC: a\n",
            "NO\nX\n",
            "TLS did not end: it has not begun",
        ),
        (
            "repeat\n  either\n    C: IN\n    S: ok\n    starttls\n  or\n    C: OUT\n    S: ok\n    stoptls\n  end\nend\n",
            "OUT\n",
            "TLS did not end: it has not begun",
        ),
    ] {
        let folder = Folder::new(text);
        let mut server = folder.serve(&[]);
        let mut client = server.connect();
        client.write_all(says.as_bytes()).unwrap();
        to_end(&mut client);
        assert_eq!(server.wait(), 1);
        server.log.wait_for(words);
    }
}

#[test]
fn what_is_spoken_inside_is_agreed_on_and_checked_by_both_ends() {
    let play = "starttls alpn h2 http/1.1\nC: a\nS: b\nS closes\n";
    let folder = Folder::new(play);
    assert_code(&run(&["check", &folder.at("play.talk")], b""), 0);
    let mut server = folder.serve(&[]);
    assert_code(&folder.talk(&server.address(), &[]), 0);
    assert_eq!(server.wait(), 0);
    // Clients by Python: one that speaks it, one that speaks something else, one that asks for nothing.
    for (offers, code, words) in [
        ("['http/1.1']", 0, ""),
        (
            "['spdy']",
            1,
            "TLS did not begin: the client offered no protocol that is spoken here (ALPN, no_application_protocol)",
        ),
        (
            "[]",
            1,
            "TLS did not begin: the client asked for no protocol (ALPN), and should have asked for h2 or http/1.1",
        ),
    ] {
        let mut server = folder.serve(&[]);
        let script = format!(
            "
context = client()
if {offers}: context.set_alpn_protocols({offers})
try:
    secure = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
    print(secure.selected_alpn_protocol())
    secure.sendall(b'a\\n')
    print(secure.recv(99))
except (ssl.SSLError, OSError) as error: print(error)
"
        );
        let output = folder.python(&script, server.port());
        assert_code(&output, 0);
        assert_eq!(server.wait(), code, "{offers}: {}", text(&output.stdout));
        if code == 0 {
            assert_eq!(text(&output.stdout), "http/1.1\nb'b\\n'\n");
        } else {
            server.log.wait_for(words);
        }
    }
    // Servers by OpenSSL.
    write(folder.path(), "play.talk", "starttls alpn h2\nC: stressed\nS: desserts\nC closes\n");
    for (speaks, code, words) in [
        (&["-rev", "-alpn", "h2,http/1.1"][..], 0, ""),
        (
            &["-rev", "-alpn", "spdy"],
            35,
            "speaks none of the protocols that were offered (ALPN, no_application_protocol)",
        ),
        (&["-rev"], 35, "chose no protocol (ALPN), and should have chosen h2"),
    ] {
        let peer = s_server(folder.path(), "good", speaks);
        let output = folder.talk(&format!("localhost:{}", peer.port), &[]);
        assert_code(&output, code);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn a_server_asks_its_clients_who_they_are() {
    let play = "C: hi\nS: go\nstarttls\nC: a\nS: b\nS closes\n";
    let folder = Folder::new(play);
    let path = |name: &str| folder.at(name);
    let ca = path("ca.pem");
    for (who, code, of_server, of_client) in [
        (Some("ann"), 0, "", ""),
        (
            None,
            35,
            "TLS did not begin: the client showed no certificate",
            "asks for a certificate: --cert FILE and --key FILE say who we are",
        ),
        (Some("other/eve"), 35, "TLS did not begin: the client's certificate (CN=", "refused: "),
    ] {
        let mut server = folder.serve(&["--client-ca", &ca]);
        let files = who.map(|who| [path(&format!("{who}.pem")), path(&format!("{who}.key"))]);
        let flags = match &files {
            Some([cert, key]) => vec!["--cert", cert.as_str(), "--key", key.as_str()],
            None => vec![],
        };
        let output = folder.talk(&server.address(), &flags);
        // A server may have closed before the client reads why.
        assert_code(&output, code);
        assert!(text(&output.stderr).contains(of_client), "{}", text(&output.stderr));
        assert_eq!(server.wait(), i32::from(code != 0));
        server.log.wait_for(if code == 0 { "1 as written" } else { of_server });
        if who == Some("other/eve") {
            server.log.wait_for("the client's certificate (CN=");
        }
    }
    // One that signed itself, named itself; openssl makes it an authority.
    need("openssl");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=self",
            "-days",
            "9",
        ])
        .args(["-keyout", &path("self.key"), "-out", &path("self.pem")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let own = path("self.pem");
    let mut server = folder.serve(&["--client-ca", &own]);
    assert_code(&folder.talk(&server.address(), &["--cert", &own, "--key", &path("self.key")]), 0);
    assert_eq!(server.wait(), 0);
    // OpenSSL's client, and its server.
    let mut server = folder.serve(&["--client-ca", &ca]);
    let script = "
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
clear.sendall(b'hi\\n'); line(clear)
secure = client(cert='ann').wrap_socket(clear)
secure.sendall(b'a\\n'); assert line(secure) == b'b\\n'
";
    assert_code(&folder.python(script, server.port()), 0);
    assert_eq!(server.wait(), 0);
    write(folder.path(), "play.talk", "starttls\nC: stressed\nS: desserts\nC closes\n");
    let peer = s_server(folder.path(), "good", &["-rev", "-Verify", "1", "-verify_return_error", "-CAfile", &ca]);
    let address = format!("localhost:{}", peer.port);
    assert_code(&folder.talk(&address, &["--cert", &path("ann.pem"), "--key", &path("ann.key")]), 0);
    let output = folder.talk(&address, &[]);
    assert_code(&output, 35);
    assert!(text(&output.stderr).contains("asks for a certificate"), "{}", text(&output.stderr));
}

#[test]
fn clients_are_asked_over_tls_from_the_first_byte_and_over_https_too() {
    need("curl");
    let folder = Folder::new("C: a\nS: b\nS closes\n");
    let path = |name: &str| folder.at(name);
    let (ca, cert, key) = (path("ca.pem"), path("good.pem"), path("good.key"));
    let (own, own_key) = (path("ann.pem"), path("ann.key"));
    let play = path("play.talk");
    let plain = ["--play", &play, "--cert", &cert, "--key", &key, "--client-ca", &ca];
    let of_address = format!("tls://127.0.0.1:0?cert={cert}&key={key}&ca={ca}");
    for (address, flags) in [("tls://127.0.0.1:0", &plain[..]), (&of_address, &plain[..2]), (&of_address, &plain[..])] {
        let server = Server::start_at(&[address], flags);
        let to = format!("tls://127.0.0.1:{}", server.port());
        assert_code(&run(&["talk", &to, "--play", &play, "--ca", &ca, "--cert", &own, "--key", &own_key], b""), 0);
        let named = format!("{to}?cert={own}&key={own_key}&ca={ca}");
        assert_code(&run(&["talk", &named, "--play", &play], b""), 0);
        assert_code(&run(&["talk", &to, "--play", &play, "--ca", &ca], b""), 35);
        // Without a play, too.
        let output = run(&["talk", &to, "--ca", &ca, "--cert", &own, "--key", &own_key], b"a\n");
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "b\n");
    }
    fs::create_dir(folder.path().join("site")).unwrap();
    fs::write(folder.path().join("site/a.txt"), "hello").unwrap();
    let site = path("site");
    let server = Server::start_at(
        &["https://127.0.0.1:0"],
        &["--files", &site, "--cert", &cert, "--key", &key, "--client-ca", &ca],
    );
    let url = format!("https://127.0.0.1:{}/a.txt", server.port());
    let curl = |more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "*", "--max-time", "60", "--cacert", &ca, &url]).args(more);
        run_command(&mut curl, b"")
    };
    assert_eq!(text(&curl(&["--cert", &own, "--key", &own_key]).stdout), "hello");
    assert_ne!(curl(&[]).status.code(), Some(0));
    let out = path("fetched");
    assert_code(&run(&["fetch", &url, "--ca", &ca, "--cert", &own, "--key", &own_key, "-o", &out], b""), 0);
}

/// Sends 8 MiB of lines as soon as TLS stands, says its end, and closes; it reads nothing of what it is told inside.
const SENDS_ONLY: &str = "
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
if STARTTLS:
    clear.sendall(b'go\\n'); line(clear)
coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = client(None, 'ann').wrap_bio(coming, going)
while True:
    try:
        tls.do_handshake()
        break
    except ssl.SSLWantReadError:
        clear.sendall(going.read())
        coming.write(clear.recv(99999))
for _ in range(128):
    tls.write((b'x' * 1023 + b'\\n') * 64)
    clear.sendall(going.read())
try: tls.unwrap()
except ssl.SSLWantReadError: pass
clear.sendall(going.read())
clear.close()
";

/// What a client leaves unread makes its close a reset, and that throws away what it sent: nothing is said unasked.
#[test]
fn clients_that_only_send_under_tls_are_heard_whole() {
    let folder = Folder::new("C: go\nS: go on\nstarttls\nrepeat\n  C: {_=x}\nend\nC closes\n");
    let path = |name: &str| folder.at(name);
    let send = |starttls: bool, port: u16| {
        let starttls = if starttls { "True" } else { "False" };
        assert_code(&folder.python(&format!("STARTTLS = {starttls}{SENDS_ONLY}"), port), 0);
    };
    let all = 8 << 20;
    let address = format!("tls://127.0.0.1:0?cert={}&key={}", path("good.pem"), path("good.key"));
    for options in ["", "&min=1.3", &format!("&ca={}", path("ca.pem"))] {
        let (mut listener, port, log) = listening(&format!("{address}{options}"), Stdio::null(), &[]);
        let mut stdout = listener.stdout.take().unwrap();
        let heard = std::thread::spawn(move || to_end(&mut stdout).len());
        send(false, port);
        assert_eq!((heard.join().unwrap(), wait(&mut listener)), (all, 0), "{options}: {:?}", log.all());
    }
    // A server counts what came over the socket, which is more. Our own end may meet a client that has gone.
    let all_came = |log: &Log| {
        let told = log.wait_for("closed #1 ");
        let came = told.split(" bytes from the client").next().unwrap().rsplit(' ').next().unwrap();
        assert!(came.parse::<usize>().unwrap() >= all, "{told}");
    };
    let kept = path("kept");
    let keep = format!("cat >{kept}");
    for role in [&["--discard"][..], &["--shell", &keep]] {
        let server = Server::start_at(&[&address], &[role, &["--times", "1"]].concat());
        send(false, server.port());
        all_came(&server.log);
    }
    until("the last to be written", || fs::metadata(&kept).is_ok_and(|kept| kept.len() == all as u64));
    let mut server = folder.serve(&[]);
    send(true, server.port());
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    let (to, behind) = serve_one(|mut stream| to_end(&mut stream).len());
    let relay = Server::relay(&[&address, &to.to_string()], &[]);
    send(false, relay.port());
    assert_eq!(behind.join().unwrap(), all);
    all_came(&relay.log);
}

/// A browser comes again and again, and takes up its session.
#[test]
fn sessions_of_the_web_are_taken_up_again() {
    let folder = Folder::new("C: a\n");
    fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let path = |name: &str| folder.at(name);
    let (site, cert, key) = (path(""), path("good.pem"), path("good.key"));
    let asks = ["--client-ca", &path("ca.pem")];
    for more in [&[][..], &asks] {
        let own = ["--files", &site, "--cert", &cert, "--key", &key];
        let server = Server::start_at(&["https://127.0.0.1:0"], &[&own, more].concat());
        let script = "
context = client(None, 'ann')
def ask(session):
    tls = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), session=session)
    tls.sendall(b'GET /a.txt HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
    said = b''
    while not said.endswith(b'hello'): said += tls.recv(9999)
    return tls
again = ask(ask(None).session)
assert again.session_reused
";
        assert_code(&folder.python(script, server.port()), 0);
    }
}

#[test]
fn certificates_that_nobody_would_ask_for_are_refused_before_anything_is_opened() {
    let folder = Folder::new("C: a\nS: b\n");
    let path = |name: &str| folder.at(name);
    let (play, ca, cert, key) = (path("play.talk"), path("ca.pem"), path("ann.pem"), path("ann.key"));
    let (none, not_one) = (path("none.pem"), path("play.talk"));
    for (arguments, code, words) in [
        (&["serve", "tcp://127.0.0.1:0", "--play", &play, "--client-ca", &ca][..], 2, "nothing here begins it"),
        (&["serve", "127.0.0.1:0", "--client-ca", &ca], 2, "nothing here begins it"),
        (&["serve", "tls://127.0.0.1:0", "--client-ca", &none], 26, "none.pem: no such file"),
        (&["serve", "tls://127.0.0.1:0", "--client-ca", &not_one], 26, "it holds no certificate in PEM form"),
        (&["talk", "127.0.0.1:1", "--play", &play, "--cert", &cert, "--key", &key], 2, "nothing here begins it"),
        (&["talk", "127.0.0.1:1", "--cert", &cert, "--key", &key], 2, "--cert says who we are under TLS"),
        (&["talk", "tls://127.0.0.1:1", "--cert", &cert], 2, "--key"),
        (&["talk", "tls://127.0.0.1:1", "--play", &play, "--cert", &none, "--key", &key], 26, "none.pem"),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, code);
        let stderr = text(&output.stderr).to_lowercase();
        assert!(stderr.contains(&words.to_lowercase()), "{arguments:?}\n{stderr}");
    }
}

struct Python {
    child: std::process::Child,
    address: String,
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server by Python that says at which port it listens.
fn python_server(folder: &Folder, script: &str) -> Python {
    need("python3");
    let mut command = Command::new("python3");
    command.args(["-c", &format!("{PYTHON}{script}")]).current_dir(folder.path());
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let port = line(child.stdout.as_mut().unwrap());
    Python { child, address: format!("127.0.0.1:{}", port.trim()) }
}

#[test]
fn a_flood_behind_the_end_of_tls_is_bounded_as_clear_text_is() {
    let folder = Folder::new(CCC);
    let (play, cert, key) = (folder.at("play.talk"), folder.at("good.pem"), folder.at("good.key"));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &play, "--cert", &cert, "--key", &key]);
    let script = format!(
        "{INSIDE}
clear = secure.unwrap()
try:
    for _ in range(400): clear.sendall(b'x' * 65536)
except OSError: pass
"
    );
    let before = server.resident();
    assert_code(&folder.python(&script, server.port()), 0);
    server.log.wait_for("the client sent a line longer than 65536 bytes");
    assert!(server.resident().saturating_sub(before) < 16 * 1024);
}

/// Whatever is sent in place of the end of TLS, the server says so and serves the next.
#[test]
fn garbage_in_place_of_the_end_of_tls_hurts_nobody() {
    let folder = Folder::new("starttls\nC: a\nS: b\nstoptls\nC: c\nS: d\n");
    let play = folder.at("play.talk");
    let (cert, key) = (folder.at("good.pem"), folder.at("good.key"));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &play, "--cert", &cert, "--key", &key]);
    for garbage in
        ["b'\\x17\\x03\\x03\\xff\\xff' + bytes(70000)", "b'\\x15\\x03\\x03\\x00\\x00'", "bytes(5)", "b'\\xff' * 65536"]
    {
        let script = format!(
            "
clear = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
secure = client().wrap_socket(clear)
secure.sendall(b'a\\n'); line(secure)
clear = socket.socket(fileno=secure.detach())
try:
    clear.sendall({garbage})
    while clear.recv(9999): pass
except OSError: pass
"
        );
        assert_code(&folder.python(&script, server.port()), 0);
    }
    assert_code(&folder.talk(&server.address(), &[]), 0);
    let (_, log) = server.stop();
    assert!(log.last().unwrap().starts_with("5 conversations, 1 as written, 4 not"), "{log:#?}");
}
