//! `talk --starttls`: from clear to TLS, as each protocol has it, with servers from Debian and with ones that cheat.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};
use support::peers::{Authority, Peer, broken_at_first};
use support::web::bytes;
use support::*;

/// A certificate for localhost, by an authority of its own.
struct Place {
    folder: tempfile::TempDir,
    config: Arc<ServerConfig>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Authority::new(folder.path()).sign(folder.path(), "good", &["localhost", "127.0.0.1"], (2020, 2120));
        let certificate = CertificateDer::from_pem_file(folder.path().join("good.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.path().join("good.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self { folder, config: Arc::new(config) }
    }

    fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn talk(&self, protocol: &str, address: &str, more: &[&str], input: &[u8]) -> Output {
        run(&[&["talk", address, "--starttls", protocol, "--ca", &self.ca()], more].concat(), input)
    }

    /// A server that says these things in clear, each but the first once it was asked, then begins TLS and goes on inside.
    fn serve<T: Send + 'static>(
        &self,
        protocol: &str,
        answers: Vec<Vec<u8>>,
        inside: impl FnOnce(StreamOwned<ServerConnection, TcpStream>) -> T + Send + 'static,
    ) -> (SocketAddr, JoinHandle<Option<T>>) {
        let config = Arc::clone(&self.config);
        let greets = !matches!(protocol, "xmpp" | "ldap" | "postgres");
        let is_asked_last = protocol == "mysql";
        serve_one(move |mut stream| {
            for (number, answer) in answers.iter().enumerate() {
                if (number > 0 || !greets) && receive(&mut stream).is_empty() {
                    return None;
                }
                stream.write_all(answer).unwrap();
            }
            if is_asked_last {
                let _ = stream.read_exact(&mut [0; 36]);
            }
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            // A handshake that the client gives up is no conversation.
            while stream.conn.is_handshaking() {
                if stream.conn.complete_io(&mut stream.sock).is_err() {
                    return None;
                }
            }
            Some(inside(stream))
        })
    }
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// Sends back so many bytes, behind a word, and says its end; what follows is counted.
fn echo(count: usize) -> impl FnOnce(Tls) -> usize + Send {
    move |mut stream: Tls| {
        stream.write_all(b"inside ").unwrap();
        let heard = read(&mut stream, count);
        stream.write_all(&heard).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let mut more = Vec::new();
        stream.read_to_end(&mut more).unwrap();
        heard.len() + more.len()
    }
}

/// What a server of each protocol says on the way to TLS.
fn protocols() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let owned = |answers: &[&[u8]]| answers.iter().map(|answer| answer.to_vec()).collect::<Vec<_>>();
    let mut greeting = b"\x0a8.0\0abcdsaltsalt\0".to_vec();
    greeting.extend([0xff, 0xff]);
    greeting.extend([0; 20]);
    let mysql = [&[u8::try_from(greeting.len()).unwrap(), 0, 0, 0][..], &greeting].concat();
    let features: &[u8] = b"<?xml version='1.0'?><stream:stream id='1' version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
    vec![
        ("smtp", owned(&[b"220-a\r\n220 b\r\n", b"250-x\r\n250-STARTTLS\r\n250 HELP\r\n", b"220 go\r\n"])),
        ("lmtp", owned(&[b"220 b\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"])),
        ("imap", owned(&[b"* OK x\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK x\r\n", b"a2 OK go\r\n"])),
        ("pop3", owned(&[b"+OK x\r\n", b"+OK go\r\n"])),
        ("ftp", owned(&[b"220 x\r\n", b"234 go\r\n"])),
        ("sieve", owned(&[b"\"STARTTLS\"\r\nOK \"x\"\r\n", b"OK \"go\"\r\n"])),
        ("nntp", owned(&[b"200 x\r\n", b"382 go\r\n"])),
        ("xmpp", owned(&[features, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"])),
        ("ldap", owned(&[b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"])),
        ("postgres", owned(&[b"S"])),
        ("mysql", vec![mysql]),
    ]
}

#[test]
fn every_protocol_goes_over_and_both_ways_are_whole() {
    let place = Place::new();
    let der = CertificateDer::from_pem_file(place.folder.path().join("good.pem")).unwrap();
    let digits: String = Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect();
    let pin = format!("sha256:{digits}");
    let input = bytes(1 << 20);
    for (protocol, answers) in protocols() {
        let (address, server) = place.serve(protocol, answers.clone(), echo(1 << 20));
        let output = place.talk(protocol, &format!("localhost:{}", address.port()), &["-4"], &input);
        assert_code(&output, 0);
        assert!(output.stdout == [b"inside ", &input[..]].concat(), "{protocol}");
        assert_eq!(server.join().unwrap(), Some(1 << 20));
        let (address, server) = place.serve(protocol, answers, echo(1));
        let output = run(&["talk", &address.to_string(), "--starttls", protocol, "--pin", &pin], b"x");
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "inside x", "{protocol}");
        server.join().unwrap();
    }
}

/// An attacker on the way could put words in front of what comes under TLS (CVE-2011-0411, CVE-2021-23222).
#[test]
fn bytes_in_clear_behind_the_yes_are_an_error() {
    let place = Place::new();
    for (protocol, mut answers) in protocols() {
        answers.last_mut().unwrap().extend_from_slice(b"250 injected\r\n");
        let (address, server) = place.serve(protocol, answers, |_| ());
        let output = place.talk(protocol, &address.to_string(), &[], b"secret\n");
        assert_code(&output, 35);
        let said = text(&output.stderr);
        assert!(said.contains("in clear") && said.contains("may have put"), "{protocol}: {said}");
        assert_eq!(output.stdout, b"", "{protocol}");
        assert_eq!(server.join().unwrap(), None, "{protocol}");
    }
}

#[test]
fn a_server_that_ends_or_says_nothing_begins_no_tls() {
    let place = Place::new();
    for (protocol, answers) in protocols() {
        for count in 0..answers.len() {
            let mut said = answers[..count].to_vec();
            said.push(answers[count][..answers[count].len() / 2].to_vec());
            let greets = !matches!(protocol, "xmpp" | "ldap" | "postgres");
            let (address, server) = serve_one(move |mut stream| {
                for (number, answer) in said.iter().enumerate() {
                    if number > 0 || !greets {
                        receive(&mut stream);
                    }
                    stream.write_all(answer).unwrap();
                }
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                stream.read_to_end(&mut Vec::new()).unwrap();
            });
            let output = place.talk(protocol, &address.to_string(), &[], b"secret\n");
            assert_code(&output, 35);
            let said = text(&output.stderr);
            assert!(said.contains("the server ended the connection before TLS began"), "{protocol}: {said}");
            server.join().unwrap();
        }
    }
    with_enough_time(|times| {
        let (address, server) = serve_one(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
        let time = format!("{}ms", 300 * times);
        let output = place.talk("smtp", &address.to_string(), &["--connect-timeout", &time], b"");
        assert_code(&output, 28);
        drop(TcpStream::connect(address));
        server.join().unwrap();
        let said = text(&output.stderr);
        if said.contains("TLS did not begin in time (--connect-timeout)") { Ok(()) } else { Err(said) }
    });
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let place = Place::new();
    let owned = |answers: &[&[u8]]| answers.iter().map(|answer| answer.to_vec()).collect::<Vec<_>>();
    for (protocol, answers, says) in [
        ("smtp", owned(&[b"220 x\r\n", b"250 HELP\r\n"]), "does not offer STARTTLS"),
        ("smtp", owned(&[b"220 x\r\n", b"250 STARTTLS\r\n", b"454 \x1b[31mlater\r\n"]), "it says 454 "),
        ("smtp", owned(&[b"554 go away\r\n"]), "it says 554 go away"),
        ("smtp", owned(&[b"SSH-2.0-OpenSSH_9.2\r\n"]), "does not speak this protocol: it says SSH-2.0"),
        ("pop3", owned(&[b"+OK x\r\n", b"-ERR no TLS\r\n"]), "it says -ERR no TLS"),
        ("postgres", owned(&[b"N"]), "does not offer STARTTLS"),
        ("smtp", vec![[b"220-".to_vec(), vec![b'x'; 200_000]].concat()], "more than 64 KiB at once"),
    ] {
        let (address, server) = serve_one(move |mut stream| {
            let greets = answers.len() > 1 || answers[0] != b"N";
            for (number, answer) in answers.iter().enumerate() {
                if number > 0 || !greets {
                    receive(&mut stream);
                }
                let _ = stream.write_all(answer);
            }
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let output = place.talk(protocol, &address.to_string(), &[], b"secret\n");
        assert_code(&output, 35);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains('\x1b'), "{protocol}: {said}");
        drop(server);
    }
}

#[test]
fn a_certificate_that_is_not_to_be_believed_ends_it_before_a_word_is_said() {
    let (place, other) = (Place::new(), Place::new());
    for (authority, host, code) in [(&other, "127.0.0.1", 60), (&place, "127.0.0.2", 60)] {
        let (_, answers) = protocols().remove(0);
        let config = Arc::clone(&place.config);
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for (number, answer) in answers.iter().enumerate() {
                if number > 0 {
                    receive(&mut stream);
                }
                stream.write_all(answer).unwrap();
            }
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard);
            heard
        });
        let output = authority.talk("smtp", &format!("{host}:{port}"), &[], b"secret\n");
        assert_code(&output, code);
        assert_eq!(server.join().unwrap(), b"");
    }
}

/// Anybody on the way can end a connection; only the peer can say that it ends.
#[test]
fn an_end_that_nobody_said_under_tls_is_cut_short() {
    let place = Place::new();
    let (_, answers) = protocols().remove(0);
    let (address, server) = place.serve("smtp", answers.clone(), |mut stream| {
        stream.write_all(b"half of").unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.sock.read_to_end(&mut Vec::new());
    });
    let output = place.talk("smtp", &address.to_string(), &["--recv-only"], b"");
    assert_code(&output, 18);
    assert_eq!(text(&output.stdout), "half of");
    assert!(text(&output.stderr).contains("close_notify"), "{}", text(&output.stderr));
    server.join().unwrap();
    // What is no TLS at all in the middle of it is told as that.
    let (address, server) = place.serve("smtp", answers, |mut stream| {
        stream.sock.write_all(b"250 injected in clear\r\n").unwrap();
        let _ = stream.sock.read_to_end(&mut Vec::new());
    });
    let output = place.talk("smtp", &address.to_string(), &["--recv-only"], b"");
    assert_code(&output, 35);
    assert_eq!(output.stdout, b"");
    server.join().unwrap();
}

/// `ncat --ssl -l` does this: its end comes at once and is not said, and it reads on. What is sent to it arrives, and is counted.
#[test]
fn a_peer_that_ends_without_a_word_under_tls_may_read_on() {
    let place = Place::new();
    let input = vec![b'x'; 3_000_000];
    for (protocol, more, code) in [
        ("tls", &[][..], 18),
        ("tls", &["--send-only"], 0),
        ("smtp", &[], 18),
        ("imap", &["--send-only"], 0),
        ("postgres", &["--eol", "crlf"], 18),
    ] {
        let answers = protocols().into_iter().find(|(name, _)| *name == protocol).map(|(_, answers)| answers);
        let as_if = if protocol == "tls" { "ldap" } else { protocol };
        let (address, server) = place.serve(as_if, answers.unwrap_or_default(), |mut stream| {
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut stream.sock).unwrap();
            }
            stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            heard.len()
        });
        let output = match protocol {
            "tls" => run(&[&["talk", &format!("tls://{address}"), "--ca", &place.ca()], more].concat(), &input),
            _ => place.talk(protocol, &address.to_string(), more, &input),
        };
        assert_code(&output, code);
        assert_eq!(server.join().unwrap(), Some(input.len()), "{protocol}: {}", text(&output.stderr));
        let told = text(&output.stderr);
        assert_eq!(
            told.contains("(close_notify)") && told.contains("; 3000000 bytes sent, 0 rec"),
            code != 0,
            "{told}"
        );
        assert!(!told.contains("not sent"), "{told}");
    }
}

#[test]
fn a_record_of_it_is_a_transcript_that_goes_over_too() {
    let place = Place::new();
    let record = place.folder.path().join("r.talk");
    let (_, answers) = protocols().remove(3);
    let (address, server) = place.serve("pop3", answers, |mut stream| {
        assert_eq!(line(&mut stream), "STAT\r\n");
        stream.write_all(b"+OK 0 0\r\n").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output =
        place.talk("pop3", &address.to_string(), &["--eol", "crlf", "--record", record.to_str().unwrap()], b"STAT\n");
    assert_code(&output, 0);
    server.join().unwrap();
    let recorded = fs::read_to_string(&record).unwrap();
    assert!(recorded.contains("S: +OK x\nC: STLS\nS: +OK go\nstarttls\nC: STAT\n"), "{recorded}");
    let checked = run(&["check", record.to_str().unwrap()], b"");
    assert_code(&checked, 0);
}

#[test]
fn an_address_may_begin_with_tls() {
    let place = Place::new();
    let serve = || place.serve("ldap", vec![], echo(4));
    let (address, server) = serve();
    let output = run(&["talk", &format!("tls://{address}"), "--ca", &place.ca()], b"x\ny\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "inside x\ny\n");
    assert_eq!(server.join().unwrap(), Some(4));
    // The same by the options of the address.
    let (address, server) = serve();
    let output = run(&["talk", &format!("tls://{address}?ca={}&sni=localhost", place.ca())], b"x\ny\n");
    assert_code(&output, 0);
    assert_eq!(server.join().unwrap(), Some(4));
    let (address, server) = serve();
    let output = run(&["talk", &format!("tls://{address}?insecure")], b"x\ny\n");
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("may read and change everything"), "{}", text(&output.stderr));
    assert_eq!(server.join().unwrap(), Some(4));
    // No authority signs for it, and it is for another host.
    for query in [String::new(), format!("?ca={}&sni=example.org", place.ca())] {
        let (address, server) = serve();
        let output = run(&["talk", &format!("tls://{address}{query}")], b"x\ny\n");
        assert_code(&output, 60);
        assert_eq!(server.join().unwrap(), None);
    }
    // One that speaks in clear.
    let (address, server) = serve_one(|mut stream| stream.write_all(b"220 hello\r\n").unwrap());
    assert_code(&run(&["talk", &format!("tls://{address}"), "--ca", &place.ca()], b"x"), 35);
    server.join().unwrap();
}

#[test]
fn trust_without_tls_and_tls_without_a_stream_are_wrong_usage() {
    for (arguments, says) in [
        (&["talk", "127.0.0.1:1", "--ca", "x.pem"][..], "--ca and --pin say who is trusted under TLS"),
        (&["talk", "udp://127.0.0.1:1", "--starttls", "smtp"], "needs a stream"),
        (&["talk", "tls://127.0.0.1:1", "--starttls", "smtp"], "take one of them out"),
        (&["talk", "127.0.0.1:1", "--cert", "c.pem", "--key", "k.pem"], "--cert says who we are under TLS"),
        (&["talk", "127.0.0.1:1", "--starttls", "gopher"], "smtp, lmtp, imap"),
        (&["talk", "127.0.0.1:1", "--ssl"], "--starttls PROTOCOL"),
        (&["talk", "127.0.0.1:1", "--ssl-trustfile", "x"], "--ca FILE"),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    let output = run(&["talk", "127.0.0.1:1", "--starttls", "smtp", "--ca", "/no/such"], b"");
    assert!([7, 26].contains(&code(&output)), "{}", text(&output.stderr));
}

/// An end under TLS is an end both ways to many a server: ours waits until the answer is there.
#[test]
fn our_end_is_said_when_it_has_been_quiet() {
    let place = Place::new();
    let (_, answers) = protocols().remove(0);
    let (address, server) = place.serve("smtp", answers, |mut stream: Tls| {
        assert_eq!(line(&mut stream), "question\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        stream.write_all(b"answer\n").unwrap();
        let mut more = Vec::new();
        stream.read_to_end(&mut more).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        more.len()
    });
    let output = place.talk("smtp", &address.to_string(), &[], b"question\n");
    assert_code(&output, 0);
    assert_eq!((text(&output.stdout).as_str(), server.join().unwrap()), ("answer\n", Some(0)));
}

/// Dovecot takes passwords under TLS alone, and drops what it has to say when it hears an end.
#[test]
fn dovecot_is_talked_to_by_imap_and_pop3() {
    need("dovecot");
    assert!(rustix::process::geteuid().is_root(), "dovecot is started by root only: run this test as root");
    let place = Place::new();
    let folder = place.folder.path();
    for name in ["mail/new", "mail/cur", "mail/tmp"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("mail/new/1.a.b"), "Subject: Hello\r\n\r\nIt works.\r\n").unwrap();
    fs::write(folder.join("users"), "ann:{PLAIN}secret\n").unwrap();
    let script = format!("chmod 755 '{0}'; chown -R nobody '{0}/mail'", folder.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    for (protocol, said, heard) in [
        ("imap", "a login ann secret\na select inbox\na logout\n", "* 1 EXISTS"),
        ("pop3", "user ann\npass secret\nstat\nquit\n", "+OK 1 "),
    ] {
        let dovecot = dovecot(folder, protocol);
        let output = place.talk(protocol, &format!("127.0.0.1:{}", dovecot.port), &["--eol", "crlf"], said.as_bytes());
        assert_code(&output, 0);
        let shown = text(&output.stdout);
        assert!(shown.contains(heard), "{shown}");
        assert!(!shown.contains("STARTTLS") && !shown.contains("STLS"), "{shown}");
    }
}

fn dovecot(folder: &Path, protocol: &str) -> Peer {
    Peer::start(|port| {
        let config = "base_dir = FOLDER/run
log_path = FOLDER/log
protocols = PROTOCOL
listen = 127.0.0.1
ssl = required
ssl_cert = <FOLDER/good.pem
ssl_key = <FOLDER/good.key
mail_location = maildir:FOLDER/mail
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u FOLDER/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=FOLDER/mail
}
service PROTOCOL-login {
  inet_listener PROTOCOL {
    port = PORT
  }
  inet_listener PROTOCOLs {
    port = 0
  }
}
"
        .replace("PROTOCOL", protocol)
        .replace("PORT", &port.to_string())
        .replace("FOLDER", &folder.display().to_string());
        fs::write(folder.join("conf"), config).unwrap();
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(folder.join("conf"));
        command
    })
}

#[test]
fn vsftpd_is_talked_to_by_ftp() {
    need("vsftpd");
    assert!(rustix::process::geteuid().is_root(), "vsftpd is started by root only: run this test as root");
    let place = Place::new();
    let folder = place.folder.path();
    for name in ["empty", "public"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let script = format!("chmod 755 '{0}'; chmod 555 '{0}/public' '{0}/empty'", folder.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let vsftpd = Peer::start(|port| {
        let config = "listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port=PORT\nanonymous_enable=YES\n\
            anon_root=FOLDER/public\nsecure_chroot_dir=FOLDER/empty\nseccomp_sandbox=NO\nssl_enable=YES\n\
            allow_anon_ssl=YES\nforce_anon_logins_ssl=YES\nrsa_cert_file=FOLDER/good.pem\nrsa_private_key_file=FOLDER/good.key\n"
            .replace("PORT", &port.to_string())
            .replace("FOLDER", &folder.display().to_string());
        fs::write(folder.join("conf"), config).unwrap();
        let mut command = Command::new("vsftpd");
        command.arg(folder.join("conf"));
        command
    });
    let address = format!("127.0.0.1:{}", vsftpd.port);
    let output = place.talk("ftp", &address, &["--eol", "crlf"], b"USER anonymous\nPASS x\nPWD\nQUIT\n");
    let shown = text(&output.stdout);
    assert!(shown.contains("257 \"/\"") && shown.contains("221 "), "{shown} {}", text(&output.stderr));
    // It may end without saying so.
    assert!([0, 18].contains(&code(&output)), "{}", text(&output.stderr));
}

#[test]
fn retry_begins_again_where_a_server_breaks_off_before_tls() {
    let place = Place::new();
    let record = place.folder.path().join("record.talk");
    for (protocol, greeting) in [("smtp", &b"220 a\r\n"[..]), ("imap", b"* OK a\r\n"), ("ldap", b""), ("postgres", b"")]
    {
        let answers = protocols().into_iter().find(|(name, _)| *name == protocol).unwrap().1;
        let (server, serving) = place.serve(protocol, answers, echo(5));
        let (address, fronting) = broken_at_first(&server.to_string(), greeting);
        let more = ["--retry", "60s", "--record", record.to_str().unwrap()];
        let output = place.talk(protocol, &address, &more, b"hello");
        assert_code(&output, 0);
        assert_eq!((text(&output.stdout), serving.join().unwrap()), ("inside hello".to_owned(), Some(5)));
        fronting.join().unwrap();
        // What was said in vain is no part of the conversation.
        let recorded = fs::read_to_string(&record).unwrap();
        assert!(!recorded.contains("OK a") && !recorded.contains("220 a"), "{recorded}");
        assert_eq!(recorded.matches("starttls\n").count(), 1, "{recorded}");
        fs::remove_file(&record).unwrap();
    }
    // What is refused is not asked again.
    let refusal = vec![b"220 a\r\n".to_vec(), b"250 STARTTLS\r\n".to_vec(), b"454 no\r\n".to_vec()];
    let (server, _) = place.serve("smtp", refusal, echo(0));
    let output = place.talk("smtp", &server.to_string(), &["--retry", "60s"], b"");
    assert!(output.status.code().is_some_and(|code| code != 0) && text(&output.stderr).contains("454 no"));
}

/// Over TLS and a WebSocket our own end may be what is reset. It is excused only where an answer, or its end, shows that the peer
/// read what was said.
#[test]
fn a_play_whose_last_words_meet_a_reset_under_tls_has_failed_unless_they_were_answered() {
    let place = Place::new();
    let file = |name: &str, text: &str| {
        let path = place.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let large = format!("C: {}\n", "x".repeat(60_000)).repeat(5);
    for (text, says, code) in [
        ("C: only\n", &b""[..], 56),
        ("C: only\nC closes\n", b"", 56),
        (&large, b"", 56),
        ("S: b\nC: only\n", b"b\n", 56),
        ("C: a\nS: b\n", b"b\n", 0),
    ] {
        let play = file("p.talk", text);
        let config = Arc::clone(&place.config);
        let (address, serving) = serve_one(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            while stream.conn.is_handshaking() {
                stream.conn.complete_io(&mut stream.sock).unwrap();
            }
            stream.write_all(says).unwrap();
            // What the client has said by now is unread, and so is what it still says. An answer is to be read first.
            if code == 0 {
                let port = stream.sock.local_addr().unwrap().port();
                until("its end", || has_ended(1, port));
            }
            rustix::net::sockopt::set_socket_linger(&stream.sock, Some(std::time::Duration::ZERO)).unwrap();
        });
        let mut talk =
            Talk::start(&[&format!("tls://localhost:{}?ca={}", address.port(), place.ca()), "-4", "--play", &play]);
        serving.join().unwrap();
        let log = talk.log.clone();
        drop(talk.stdin.take());
        assert_eq!((code, talk.finish().0), (code, code), "{text:.20} {:?}", log.to_end());
    }
    // One that read them and then closes, without a word, would answer our end with a reset: it is held back for that long.
    for text in ["C: only\n", "S: b\nC: only\n", "C: only\nC: more\n"] {
        let play = file("p.talk", text);
        let config = Arc::clone(&place.config);
        let (says, asked) = (if text.starts_with('S') { "b\n" } else { "" }, text.matches("C: ").count());
        let (address, serving) = serve_one(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            stream.write_all(says.as_bytes()).unwrap();
            for _ in 0..asked {
                assert!(!line(&mut stream).is_empty());
            }
        });
        let address = format!("tls://localhost:{}?ca={}", address.port(), place.ca());
        assert_code(&run(&["talk", &address, "-4", "--play", &play], b""), 0);
        serving.join().unwrap();
    }
}
