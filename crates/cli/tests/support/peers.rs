//! Real servers from Debian on free ports of the loopback, each with a folder of its own, ended with the test.
#![allow(unreachable_pub, reason = "a module that several test programs share")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{LONG, accept, free_port, need};

/// A server that is there.
pub struct Peer {
    child: Child,
    pub port: u16,
}

impl Peer {
    /// Starts a server that cannot choose a free port itself: if another program took the port in between, with another one.
    pub fn start(make: impl Fn(u16) -> Command) -> Self {
        Self::start_until(make, |port| TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// The same of one that takes datagrams, or only one connection.
    pub fn start_quietly(make: impl Fn(u16) -> Command) -> Self {
        let is_taken = |port| {
            let (stream, datagram) = (TcpListener::bind(("127.0.0.1", port)), UdpSocket::bind(("127.0.0.1", port)));
            stream.is_err() || datagram.is_err()
        };
        Self::start_until(make, is_taken)
    }

    fn start_until(make: impl Fn(u16) -> Command, is_there: impl Fn(u16) -> bool) -> Self {
        for _ in 0..10 {
            let port = free_port();
            let mut command = make(port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
            let mut peer = Self { child: command.spawn().expect("it starts"), port };
            if peer.answers(&is_there) {
                return peer;
            }
        }
        panic!("no free port for the server");
    }

    /// Waits until it is there; false if it has ended.
    fn answers(&mut self, is_there: impl Fn(u16) -> bool) -> bool {
        let until = Instant::now() + LONG;
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if is_there(self.port) {
                // It may be another program's port, and ours is about to fail.
                return self.child.try_wait().unwrap().is_none();
            }
            assert!(Instant::now() < until, "the server takes no connection");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// nginx with a folder `www` and what stands in its server block.
pub fn nginx(folder: &Path, server: &str) -> Peer {
    need("nginx");
    std::fs::create_dir_all(folder.join("logs")).unwrap();
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    Peer::start(|port| {
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String = kinds.map(|kind| format!("{kind}_temp_path {}/tmp/{kind};\n", folder.display())).concat();
        let config = format!(
            "daemon off; master_process off; {user} pid {0}/nginx.pid; error_log {0}/logs/error;\n\
            events {{}}\nhttp {{ access_log off; sendfile on; {paths}\n\
            server {{ listen 127.0.0.1:{port}; root {0}/www;\n{1}\n}} }}\n",
            folder.display(),
            server.replace("PORT", &port.to_string()),
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command
    })
}

/// Serves the files of a folder over TLS (`openssl s_server -WWW`).
pub fn s_server(folder: &Path, certificate: &str, more: &[&str]) -> Peer {
    need("openssl");
    let (cert, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
    Peer::start(|port| {
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-quiet",
            "-WWW",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            &cert,
            "-key",
            &key,
        ]);
        command.args(more).current_dir(folder);
        command
    })
}

/// A private authority: `ca.pem`, and what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "private authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer }
    }

    /// `NAME.pem` and `NAME.key` for these hosts, good in these years.
    pub fn sign(&self, folder: &Path, name: &str, hosts: &[&str], years: (i32, i32)) {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        let key_file = folder.join(format!("{name}.key"));
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        std::fs::set_permissions(key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// What stands before a server that is only starting takes connections and breaks them, with a reset or an end, behind what
/// it says; then it leads to the server.
pub fn broken_at_first(to: &str, says: &'static [u8]) -> (String, JoinHandle<()>) {
    let to = to.split_once("://").map_or(to, |(_, to)| to).to_owned();
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = front.local_addr().unwrap().to_string();
    let fronting = std::thread::spawn(move || {
        for resets in [true, false, true] {
            let mut client = accept(&front);
            client.write_all(says).unwrap();
            // Only when it has said something: else an end may be taken for one after its words.
            client.read_exact(&mut [0]).unwrap();
            if resets {
                rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            }
        }
        let client = accept(&front);
        let server = TcpStream::connect(to).unwrap();
        let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut into);
            let _ = into.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut &server, &mut &client);
        let _ = client.shutdown(std::net::Shutdown::Write);
    });
    (address, fronting)
}
