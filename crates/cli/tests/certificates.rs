//! Which servers `fetch` believes: certificates of every kind that is not to be believed, made and shown by OpenSSL, and handshakes that
//! lead nowhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::peers::Peer;
use support::web::{fetch, names};
use support::{LONG, assert_code, code, need, run_command, serve_one, text, with_enough_time};

/// A folder in which OpenSSL makes keys and certificates.
struct Office(tempfile::TempDir);

/// Who may sign, and what a server may say of itself.
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const LOCALHOST: &str = "subjectAltName=DNS:localhost\n";
const YEARS: (&str, &str) = ("20200101000000Z", "21200101000000Z");

impl Office {
    fn open() -> Self {
        need("openssl");
        let office = Self(tempfile::tempdir().unwrap());
        let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n\
            unique_subject=no\nrand_serial=yes\n[p]\ncommonName=supplied\n[req]\ndistinguished_name=n\n[n]\n";
        fs::write(office.at("cnf"), config).unwrap();
        fs::write(office.at("index"), "").unwrap();
        // What makes OpenSSL show certificates that it would not take itself.
        let weak = "openssl_conf=c\n[c]\nssl_conf=s\n[s]\nsystem_default=w\n[w]\nCipherString=DEFAULT:@SECLEVEL=0\n";
        fs::write(office.at("weak"), weak).unwrap();
        fs::write(office.at("page"), "hello").unwrap();
        office
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = run_command(command.args(arguments.split_whitespace()).current_dir(&self.0), b"");
        assert!(output.status.success(), "openssl {arguments}: {}", text(&output.stderr));
    }

    /// A key and what asks for a certificate for it; the name is also that of its holder.
    fn key(&self, name: &str, kind: &str) {
        self.openssl(&format!("genpkey -quiet -out {name}.key {kind}"));
        self.openssl(&format!("req -config cnf -new -key {name}.key -subj /CN={name} -out {name}.csr"));
    }

    /// `NAME.pem`, signed by another or, with the same name, by itself.
    fn sign(&self, name: &str, by: &str, extensions: &str, more: Made) {
        if !self.at(&format!("{name}.key")).exists() {
            self.key(name, more.key);
        }
        fs::write(self.at("extensions"), extensions).unwrap();
        let issuer = if name == by { "-selfsign".to_owned() } else { format!("-cert {by}.pem") };
        let extensions = if extensions.is_empty() { "" } else { "-extfile extensions" };
        let (from, to) = more.valid;
        self.openssl(&format!(
            "ca -batch -config cnf -notext -in {name}.csr -keyfile {by}.key {issuer} -out {name}.pem \
            -startdate {from} -enddate {to} -md {} {extensions}",
            more.digest
        ));
    }

    /// Shows a certificate, with those of a file behind it.
    fn shows(&self, name: &str, chain: &[&str]) -> Peer {
        let behind: String =
            chain.iter().map(|name| fs::read_to_string(self.at(&format!("{name}.pem"))).unwrap()).collect();
        fs::write(self.at("behind"), behind).unwrap();
        Peer::start(|port| {
            let mut command = Command::new("openssl");
            let arguments = format!("s_server -quiet -WWW -accept 127.0.0.1:{port} -cert {name}.pem -key {name}.key");
            command.args(arguments.split(' ')).current_dir(&self.0).env("OPENSSL_CONF", self.at("weak"));
            if !chain.is_empty() {
                command.args(["-cert_chain", "behind"]);
            }
            command
        })
    }
}

/// How a certificate is made.
#[derive(Clone, Copy)]
struct Made {
    key: &'static str,
    valid: (&'static str, &'static str),
    digest: &'static str,
}

const USUAL: Made = Made { key: "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", valid: YEARS, digest: "sha256" };
const EXPIRED: Made = Made { valid: ("20200101000000Z", "20210101000000Z"), ..USUAL };
const EARLY: Made = Made { valid: ("21190101000000Z", "21200101000000Z"), ..USUAL };
const SHA1: Made = Made { digest: "sha1", ..USUAL };
const SHORT: Made = Made { key: "-algorithm RSA -pkeyopt rsa_keygen_bits:1024", ..USUAL };
const LONG_KEY: Made = Made { key: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ..USUAL };

/// One that is refused: who signs it, the names and uses it has, how it is made, what is shown behind it, and at which host
/// it is met with which words.
struct Kind {
    name: &'static str,
    by: &'static str,
    extensions: String,
    made: Made,
    behind: &'static [&'static str],
    host: &'static str,
    says: &'static str,
}

impl Kind {
    /// One for localhost by the authority that is trusted.
    fn new(name: &'static str, says: &'static str) -> Self {
        let extensions = LOCALHOST.to_owned();
        Self { name, by: "root", extensions, made: USUAL, behind: &[], host: "localhost", says }
    }

    fn named(name: &'static str, names: &str, host: &'static str) -> Self {
        let extensions = format!("subjectAltName={names}\n");
        Self { extensions, host, ..Self::new(name, "is for another name") }
    }

    /// Signed by an authority in between.
    fn under(name: &'static str, behind: &'static [&'static str], says: &'static str) -> Self {
        Self { by: behind[0], behind, ..Self::new(name, says) }
    }
}

fn kinds() -> Vec<Kind> {
    let nobody = "is signed by nobody who is trusted";
    // A name that ends before it ends: `localhost`, NUL, `.evil.example`.
    let hex: Vec<String> = b"localhost\0.evil.example".iter().map(|byte| format!("{byte:02X}")).collect();
    let zero = format!("DER:30:{:02X}:82:{:02X}:{}", hex.len() + 2, hex.len(), hex.join(":"));
    let with = |more: &str| LOCALHOST.to_owned() + more;
    vec![
        Kind { made: EXPIRED, ..Kind::new("expired", "has expired") },
        Kind { made: EARLY, ..Kind::new("early", "is not valid yet") },
        Kind { by: "itself", ..Kind::new("itself", nobody) },
        Kind { by: "stranger", behind: &["stranger"], ..Kind::new("unknown", nobody) },
        Kind::named("other", "DNS:other.example", "localhost"),
        Kind::named("suffix", "DNS:host.example.evil.example", "host.example"),
        Kind::named("top", "DNS:*.com", "example.com"),
        Kind::named("star", "DNS:*", "localhost"),
        Kind::named("deep", "DNS:*.home.example", "a.b.home.example"),
        Kind::named("apex", "DNS:*.home.example", "home.example"),
        Kind::named("part", "DNS:w*.home.example", "www.home.example"),
        Kind::named("address", "IP:127.0.0.2", "127.0.0.1"),
        Kind::named("digits", "DNS:127.0.0.1", "127.0.0.1"),
        Kind::named("zero", &zero, "localhost"),
        Kind { extensions: "basicConstraints=CA:FALSE\n".to_owned(), ..Kind::new("localhost", "is for no host") },
        Kind {
            extensions: with("extendedKeyUsage=clientAuth\n"),
            ..Kind::new("client", "is not one for servers (extended key usage)")
        },
        Kind {
            extensions: with("1.2.3.4=critical,ASN1:NULL\n"),
            ..Kind::new("critical", "demands something that is not known")
        },
        Kind { extensions: with(AUTHORITY), ..Kind::new("authority", "is that of an authority, and of no server") },
        Kind { extensions: String::new(), ..Kind::new("version1", "is of an old version of X.509") },
        Kind { made: SHA1, ..Kind::new("sha1", "is signed in a way that is known to be weak") },
        Kind { made: SHORT, ..Kind::new("short", "or a key that is too short") },
        Kind { by: "middle", ..Kind::new("alone", nobody) },
        Kind::under("byplain", &["plain"], "is signed by one that may not sign others"),
        Kind::under("byleaf", &["leaf"], "is signed by one that may not sign others"),
        Kind::under("bydeep", &["second", "first"], "more authorities than one of them allows"),
        Kind::under("byexcluding", &["excluding"], "may not do so for this name"),
        Kind::under("byothers", &["others"], "may not do so for this name"),
        Kind::under("byold", &["old"], "has expired"),
        Kind::new("changed", "has a signature that its authority did not make"),
    ]
}

/// Row 66: certificates that are not to be believed, each with its reason; and the same made well are believed.
#[test]
fn every_kind_of_bad_certificate_is_refused_with_its_reason() {
    let office = Office::open();
    office.sign("root", "root", AUTHORITY, USUAL);
    office.sign("stranger", "stranger", AUTHORITY, USUAL);
    for (name, by, extensions, made) in [
        ("middle", "root", AUTHORITY, USUAL),
        ("plain", "root", "subjectKeyIdentifier=hash\n", USUAL),
        ("leaf", "root", "basicConstraints=critical,CA:FALSE\n", USUAL),
        ("first", "root", "basicConstraints=critical,CA:TRUE,pathlen:0\n", USUAL),
        ("second", "first", AUTHORITY, USUAL),
        ("excluding", "root", &format!("{AUTHORITY}nameConstraints=critical,excluded;DNS:localhost\n"), USUAL),
        ("others", "root", &format!("{AUTHORITY}nameConstraints=critical,permitted;DNS:example\n"), USUAL),
        ("old", "root", AUTHORITY, EXPIRED),
        ("permitting", "root", &format!("{AUTHORITY}nameConstraints=critical,permitted;DNS:localhost\n"), USUAL),
    ] {
        office.sign(name, by, extensions, made);
    }
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("x"), "old").unwrap();
    let ca = office.at("root.pem").display().to_string();
    let ask = |server: &Peer, host: &str| {
        let resolve = format!("{host}:{}:127.0.0.1", server.port);
        let url = format!("https://{host}:{}/page", server.port);
        let how = if host == "127.0.0.1" { vec![] } else { vec!["--resolve", &resolve] };
        fetch(out.path(), &[&[url.as_str(), "-o", "x", "--ca", &ca], &how[..]].concat())
    };
    for kind in kinds() {
        let Kind { name, by, extensions, made, behind, host, says } = kind;
        office.sign(name, by, &extensions, made);
        if name == "changed" {
            change(&office.at("changed.pem"));
        }
        let output = ask(&office.shows(name, behind), host);
        let said = text(&output.stderr);
        assert_eq!(code(&output), 60, "{name}: {said}");
        assert!(said.contains(&format!("the certificate of {host} ")) && said.contains(says), "{name}: {said}");
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"old", "{name}");
    }
    for (name, by, names, key, behind, host) in [
        ("good", "root", "DNS:localhost", USUAL, &[][..], "localhost"),
        ("wild", "root", "DNS:*.home.example", USUAL, &[], "www.home.example"),
        ("number", "root", "IP:127.0.0.1", USUAL, &[], "127.0.0.1"),
        ("long", "root", "DNS:localhost", LONG_KEY, &[], "localhost"),
        ("between", "middle", "DNS:localhost", USUAL, &["middle"], "localhost"),
        ("permitted", "permitting", "DNS:localhost", USUAL, &["permitting"], "localhost"),
    ] {
        office.sign(name, by, &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"), key);
        let output = ask(&office.shows(name, behind), host);
        assert_code(&output, 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"hello", "{name}");
        fs::write(out.path().join("x"), "old").unwrap();
    }
    assert_eq!(names(out.path()), ["x"]);
}

/// What `openssl req -x509` makes: it signs itself and is an authority's. Where it is named itself it is believed, for its
/// names and dates.
#[test]
fn a_certificate_that_signs_itself_is_believed_where_it_is_named() {
    let office = Office::open();
    let own = format!("basicConstraints=critical,CA:TRUE\n{LOCALHOST}");
    let out = tempfile::tempdir().unwrap();
    for (name, made, host, named, code, says) in [
        ("own", USUAL, "localhost", "own", 0, ""),
        ("own", USUAL, "other.example", "own", 60, "is for another name: localhost"),
        ("stale", EXPIRED, "localhost", "stale", 60, "has expired"),
        ("future", EARLY, "localhost", "future", 60, "is not valid yet"),
        ("another", USUAL, "localhost", "own", 60, "(--ca FILE believes one that signs itself)"),
    ] {
        office.sign(name, name, &own, made);
        let server = office.shows(name, &[]);
        let (url, ca) = (format!("https://{host}:{}/page", server.port), office.at(&format!("{named}.pem")));
        let resolve = format!("{host}:{}:127.0.0.1", server.port);
        let output = fetch(out.path(), &[&url, "-o", "x", "--ca", ca.to_str().unwrap(), "--resolve", &resolve]);
        assert_code(&output, code);
        assert!(text(&output.stderr).contains(says), "{name}: {}", text(&output.stderr));
    }
}

/// Changes one digit of the signature, at the end of the certificate.
fn change(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let at = text.find("\n-----END").unwrap() - 12;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(path, [&text[..at], other, &text[at + 1..]].concat()).unwrap();
}

/// Row 67: who answers in TLS without end, or with something else, is left in time.
#[test]
fn a_handshake_that_leads_nowhere_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    // The end of everything may be nearer than that of connecting.
    for flag in ["--connect-timeout", "--timeout"] {
        with_enough_time(|times| {
            // A record of a handshake that says it is long, and then a byte now and then.
            let (address, server) = serve_one(|mut stream| {
                let mut bytes = [22, 3, 3, 64, 0, 2, 0, 63, 252].into_iter().chain(std::iter::repeat(0));
                while stream.write_all(&[bytes.next().unwrap()]).is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let (began, url, time) = (Instant::now(), format!("https://{address}/"), format!("{}ms", 300 * times));
            let output = fetch(folder.path(), &[&url, "-o", "x", flag, &time]);
            assert_code(&output, 28);
            assert!(began.elapsed() < LONG / 2, "each byte began it anew");
            // It may not have come so far as to be heard.
            drop(TcpStream::connect(address));
            server.join().unwrap();
            let said = text(&output.stderr);
            if said.contains("no secure connection within ") && said.contains(&format!("({flag})")) {
                Ok(())
            } else {
                Err(said)
            }
        });
    }
    for garbage in [&b"\x16\x03\x01\x00\x05hello"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0", b""] {
        let (address, server) = serve_one(move |mut stream| {
            stream.write_all(garbage).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_code(&fetch(folder.path(), &[&format!("https://{address}/"), "-o", "x"]), 35);
        server.join().unwrap();
    }
    // A server that insists on another protocol inside.
    let office = Office::open();
    office.sign("root", "root", AUTHORITY, USUAL);
    office.sign("localhost", "root", LOCALHOST, USUAL);
    // Without -WWW it ends with its standard input, once somebody has knocked.
    let other = Peer::start(|port| {
        let mut command = Command::new("openssl");
        let arguments =
            format!("s_server -quiet -WWW -alpn imap -accept 127.0.0.1:{port} -cert localhost.pem -key localhost.key");
        command.args(arguments.split(' ')).current_dir(&office.0);
        command
    });
    let ca = office.at("root.pem").display().to_string();
    let output = fetch(folder.path(), &[&format!("https://localhost:{}/", other.port), "-o", "x", "--ca", &ca]);
    assert_code(&output, 35);
    assert!(text(&output.stderr).contains("no_application_protocol"), "{}", text(&output.stderr));
    assert!(names(folder.path()).is_empty());
}

/// Row 69: a key that everybody may read is none, and passwords are in no message.
#[test]
fn a_key_that_everybody_may_read_is_refused() {
    let office = Office::open();
    office.sign("me", "me", LOCALHOST, USUAL);
    let ask = || {
        fetch(office.0.path(), &["https://me:secret@127.0.0.1:1/", "-o", "x", "--cert", "me.pem", "--key", "me.key"])
    };
    assert_code(&ask(), 7);
    fs::set_permissions(office.at("me.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = ask();
    assert_code(&output, 26);
    let said = text(&output.stderr);
    assert!(said.contains("me.key: everybody may read this key: chmod o-r") && !said.contains("secret"), "{said}");
}
