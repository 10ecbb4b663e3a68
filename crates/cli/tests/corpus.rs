//! The conversations in `transcripts/`, each against a real other end: clients of Debian and of Python's library for
//! `serve`, servers of Debian for `talk`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::peers::{Authority, nginx};
use support::played::{TCP, UDP, client, python, serve, server, talk};
use support::{assert_code, need, run, run_command, text, transcript};

fn all() -> Vec<PathBuf> {
    let folder = transcript("");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "talk"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_transcript_agrees_with_itself_is_laid_out_and_listed() {
    let files = all();
    assert!(files.len() >= 22, "{files:?}");
    let list = fs::read_to_string(transcript("README.md")).unwrap();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = path.to_str().unwrap();
        let output = run(&["check", file], b"");
        assert_code(&output, 0);
        let said = text(&output.stdout);
        for end in ["as client: yes", "as server: yes", "they agree"] {
            assert!(said.contains(end) || name.starts_with("greeting-udp"), "{name}: {said}");
        }
        assert!(!text(&output.stderr).contains("warning"), "{name}: {}", text(&output.stderr));
        let laid_out = run(&["check", "--format", file], b"");
        assert_eq!(text(&laid_out.stdout), fs::read_to_string(path).unwrap(), "{name}");
        assert!(list.contains(&format!("[{name}]({name})")), "{name} is not in transcripts/README.md");
    }
}

#[test]
fn smtplib_hands_over_a_message() {
    let send = "
import smtplib
client = smtplib.SMTP('127.0.0.1', PORT)
LOGIN
client.sendmail('FROM', ['bob@mail.example'], 'Subject: Hello\\n\\n.A line with a dot.\\n')
client.quit()
";
    let script = send.replace("LOGIN", "").replace("FROM", "ann@client.example");
    serve("smtp.talk", TCP, &[], python("python3", &script));
    let script = send.replace("LOGIN", "client.login('ann', 'secret')").replace("FROM", "other@client.example");
    serve("smtp-auth.talk", TCP, &[], python("python3", &script));
    // It is put off, and comes again.
    let script = "
import smtplib
for attempt in 'first', 'second':
    client = smtplib.SMTP('127.0.0.1', PORT)
    client.ehlo_or_helo_if_needed()
    client.mail('ann@client.example')
    code, words = client.rcpt('bob@mail.example')
    assert code == (451 if attempt == 'first' else 250), (attempt, code, words)
    client.quit()
";
    serve("smtp-greylist.talk", TCP, &[], python("python3", script));
}

#[test]
fn smtplib_goes_over_to_tls() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new(folder.path()).sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let script = format!(
        "
import smtplib, ssl
client = smtplib.SMTP('localhost', PORT)
client.starttls(context=ssl.create_default_context(cafile='{}'))
client.ehlo()
client.quit()
",
        path("ca.pem")
    );
    let identity = ["--cert", &path("good.pem"), "--key", &path("good.key")];
    serve("smtp-starttls.talk", TCP, &identity, python("python3", &script));
}

#[test]
fn poplib_reads_a_message_with_a_password_and_with_a_digest() {
    let script = "
import poplib
client = poplib.POP3('127.0.0.1', PORT)
client.user('mrose'); client.pass_('tanstaaf')
assert client.stat() == (1, 34)
assert client.retr(1)[1] == [b'Subject: Hello', b'', b'It works.'], client.retr
client.quit()
";
    serve("pop3.talk", TCP, &[], python("python3", script));
    let script = "
import poplib
client = poplib.POP3('127.0.0.1', PORT)
client.apop('mrose', 'tanstaaf')
assert client.stat() == (1, 369)
client.quit()
";
    serve("pop3-apop.talk", TCP, &[], python("python3", script));
}

#[test]
fn imaplib_reads_a_literal() {
    let script = "
import imaplib
client = imaplib.IMAP4('127.0.0.1', PORT)
client.login('ann', 'secret')
assert client.select('INBOX') == ('OK', [b'1'])
kind, data = client.fetch('1', '(BODY[])')
assert data[0][1] == b'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n', data
client.logout()
";
    serve("imap.talk", TCP, &[], python("python3", script));
    // Another client stores a message while this one waits for it.
    let script = "
import imaplib
watcher = imaplib.IMAP4('127.0.0.1', PORT)
watcher.login('ann', 'secret')
watcher.select('INBOX')
watcher.send(b'idle1 IDLE\\r\\n')
assert watcher.readline().startswith(b'+')
writer = imaplib.IMAP4('127.0.0.1', PORT)
writer.login('ann', 'secret')
assert writer.append('INBOX', None, None, b'Subject: Hello\\n\\nIt works.\\n')[0] == 'OK'
assert watcher.readline() == b'* 2 EXISTS\\r\\n'
watcher.send(b'DONE\\r\\n')
while not watcher.readline().startswith(b'idle1 OK'):
    pass
watcher.logout()
";
    serve("imap-idle.talk", TCP, &[], python("python3", script));
}

#[test]
fn ftplib_and_nntplib_find_their_way() {
    let script = "
import ftplib
client = ftplib.FTP()
client.connect('127.0.0.1', PORT)
client.login()
assert client.pwd() == '/'
client.voidcmd('TYPE I')
client.quit()
";
    serve("ftp.talk", TCP, &[], python("python3", script));
    // The client says where it listens; curl asks the server where it does.
    let script = "
import ftplib
client = ftplib.FTP()
client.connect('127.0.0.1', PORT)
client.login()
client.set_pasv(False)
assert client.nlst() == ['hello.txt']
client.quit()
";
    serve("ftp-active.talk", TCP, &[], python("python3", script));
    let fetched = serve("ftp-data.talk", TCP, &[], client("curl", &["-sS", "ftp://127.0.0.1:PORT/hello.txt"], ""));
    assert_eq!(fetched, "hello!");
    let script = "
import warnings; warnings.simplefilter('ignore')
import nntplib
client = nntplib.NNTP('127.0.0.1', PORT)
assert client.group('misc.test')[1:] == (1, 7, 7, 'misc.test')
assert client.article('7')[1].lines[-1] == b'It works.'
client.quit()
";
    serve("nntp.talk", TCP, &[], python("python3", script));
}

#[test]
fn clients_of_the_web_join_what_comes_in_pieces() {
    let script = "
import http.client
client = http.client.HTTPConnection('127.0.0.1', PORT)
client.request('GET', '/hello.txt')
answer = client.getresponse()
assert (answer.status, answer.read()) == (200, b'hello\\n')
client.request('GET', '/nothing')
answer = client.getresponse()
assert (answer.status, answer.read()) == (404, b'gone\\n')
client.close()
";
    serve("http.talk", TCP, &[], python("python3", script));
    let said = serve("http-chunks.talk", TCP, &[], client("curl", &["-sS", "http://127.0.0.1:PORT/"], ""));
    assert_eq!(said, "hello, world\n");
    let said = serve("http-chunks.talk", TCP, &[], |port| {
        run(&["fetch", "-q", &format!("http://127.0.0.1:{port}/"), "-o", "-"], b"")
    });
    assert_eq!(said, "hello, world\n");
    let script = "
import asyncio, websockets
async def talk():
    async with websockets.connect('ws://127.0.0.1:PORT/chat', compression=None) as socket:
        await socket.send('hi')
        assert await socket.recv() == 'hi'
asyncio.run(talk())
";
    serve("websocket.talk", TCP, &[], python("/usr/bin/python3", script));
}

#[test]
fn clients_of_stores_and_brokers_get_what_they_ask_for() {
    let script = "
import redis
client = redis.Redis('127.0.0.1', PORT, single_connection_client=True)
assert client.set('fish', 'hello') and client.get('fish') == b'hello'
";
    serve("redis.talk", TCP, &[], python("/usr/bin/python3", script));
    let publish = ["-h", "127.0.0.1", "-p", "PORT", "-i", "fish", "-t", "a", "-m", "hi", "-q", "1", "-V", "mqttv311"];
    serve("mqtt.talk", TCP, &[], client("mosquitto_pub", &publish, ""));
    let script = "
from pymemcache.client.base import Client
client = Client(('127.0.0.1', PORT), default_noreply=False)
assert client.set('fish', 'hello', expire=60) and client.get('fish') == b'hello'
client.quit()
";
    serve("memcached.talk", TCP, &[], python("/usr/bin/python3", script));
}

#[test]
fn clients_of_names_and_directories_get_their_answers() {
    let whois = ["-h", "127.0.0.1", "-p", "PORT", "fish.example"];
    let said = serve("whois.talk", TCP, &[], client("whois", &whois, ""));
    assert!(said.contains("domain: fish.example") && said.contains("status: active"), "{said}");
    let said = serve("gopher.talk", TCP, &[], client("curl", &["-sS", "gopher://127.0.0.1:PORT/0/fish"], ""));
    assert!(said.starts_with("A fish is an animal"), "{said}");
    let said = serve("dict.talk", TCP, &[], client("curl", &["-sS", "dict://127.0.0.1:PORT/d:fish"], ""));
    assert!(said.contains("151 \"fish\" web"), "{said}");
    let script = "
import dns.message, dns.query, sys
question = dns.message.make_query('fish.example', 'A')
answer = dns.query.HOW(question, '127.0.0.1', port=PORT, timeout=30)
assert answer.answer[0][0].to_text() == '192.0.2.7', answer
";
    serve("dns.talk", UDP, &[], python("/usr/bin/python3", &script.replace("HOW", "udp")));
    serve("dns-tcp.talk", TCP, &[], python("/usr/bin/python3", &script.replace("HOW", "tcp")));
}

#[test]
fn logger_and_ntplib_send_what_they_should() {
    let rfc5424 = "--rfc5424=notime,nohost,notq";
    let log = ["-n", "127.0.0.1", "-P", "PORT", rfc5424, "-t", "fish"];
    serve("syslog.talk", UDP, &[], client("logger", &[&log[..], &["-d", "hello"]].concat(), ""));
    serve("syslog.talk", TCP, &[], client("logger", &[&log[..], &["-T", "hello"]].concat(), ""));
    let script = "
import ntplib, time
answer = ntplib.NTPClient().request('127.0.0.1', version=4, port=PORT, timeout=30)
assert (answer.stratum, time.gmtime(answer.tx_time)[:3]) == (1, (2026, 11, 24)), time.gmtime(answer.tx_time)
";
    serve("ntp.talk", UDP, &[], python("/usr/bin/python3", script));
}

#[test]
fn servers_of_mail_take_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let listen = ["-n", "-l", "127.0.0.1:PORT", "-c", "aiosmtpd.handlers.Sink"];
    let plain = server("aiosmtpd", folder.path(), "", &listen);
    talk("smtp.talk", &format!("127.0.0.1:{}", plain.port), &[]);
    let handler = "class Greylist:
    seen = set()
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address not in self.seen:
            self.seen.add(address)
            return '451 greylisted'
        envelope.rcpt_tos.append(address)
        return '250 OK'
";
    fs::write(folder.path().join("greylist.py"), handler).unwrap();
    let listen_there = ["PYTHONPATH=FOLDER", "aiosmtpd", "-n", "-l", "127.0.0.1:PORT", "-c", "greylist.Greylist"];
    let greylisting = server("env", folder.path(), "", &listen_there);
    talk("smtp-greylist.talk", &format!("127.0.0.1:{}", greylisting.port), &[]);
    Authority::new(folder.path()).sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let identity = ["--tlscert", "FOLDER/good.pem", "--tlskey", "FOLDER/good.key", "--no-requiretls"];
    let secure = server("aiosmtpd", folder.path(), "", &[&listen[..3], &identity, &listen[3..]].concat());
    let ca = folder.path().join("ca.pem").display().to_string();
    talk("smtp-starttls.talk", &format!("localhost:{}", secure.port), &["--ca", &ca]);
}

/// Dovecot with one message; its processes give their rights away, so it begins with all of them.
#[test]
fn dovecot_gives_a_message_by_imap_and_pop3() {
    need("dovecot");
    assert!(rustix::process::geteuid().is_root(), "dovecot is started by root only: run this test as root");
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(mail.join(name)).unwrap();
    }
    fs::write(mail.join("new/1.a.b"), "Subject: Hello\r\n\r\nIt works.\r\n").unwrap();
    fs::write(folder.path().join("users"), "ann:{PLAIN}secret\nmrose:{PLAIN}tanstaaf\n").unwrap();
    let script = format!("chmod 755 '{0}'; chown -R nobody '{0}/mail'", folder.path().display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    for (protocol, names) in
        [("imap", &["imap.talk", "imap-idle.talk"][..]), ("pop3", &["pop3.talk", "pop3-apop.talk"])]
    {
        let config = "base_dir = FOLDER/run
log_path = FOLDER/log
protocols = PROTOCOL
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain apop
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
}
"
        .replace("PROTOCOL", protocol);
        let dovecot = server("dovecot", folder.path(), &config, &["-F", "-c", "FOLDER/conf"]);
        for name in names {
            talk(name, &format!("127.0.0.1:{}", dovecot.port), &[]);
        }
    }
}

/// Debian's module needs others that no other program needs.
/// Beside it stand serial and serial_asyncio, without which its servers cannot be imported.
const MODBUS: &str = "/usr/lib/python3/dist-packages/pymodbus";

#[test]
fn pymodbus_reads_and_writes_registers_from_either_end() {
    need(MODBUS);
    let script = "
from pymodbus.client import ModbusTcpClient
client = ModbusTcpClient('127.0.0.1', port=PORT)
assert client.connect()
assert client.read_holding_registers(0, 2, slave=1).registers == [7, 7]
assert not client.write_register(1, 300, slave=1).isError()
client.close()
";
    serve("modbus.talk", TCP, &[], python("/usr/bin/python3", script));
    let script = "
from pymodbus.server import StartTcpServer
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext, ModbusServerContext
store = ModbusSlaveContext(hr=ModbusSequentialDataBlock(0, [7] * 10))
StartTcpServer(context=ModbusServerContext(slaves=store, single=True), address=('127.0.0.1', PORT))
";
    let folder = tempfile::tempdir().unwrap();
    let registers = server("/usr/bin/python3", folder.path(), "", &["-c", script]);
    talk("modbus.talk", &format!("127.0.0.1:{}", registers.port), &[]);
}

#[test]
fn psql_asks_and_postgres_answers() {
    need("psql");
    let ask = [
        "host=127.0.0.1 port=PORT user=postgres dbname=postgres sslmode=disable gssencmode=disable",
        "-AXtc",
        "SELECT 42",
    ];
    assert_eq!(serve("postgres.talk", TCP, &[], client("psql", &ask, "")), "42\n");
    assert!(rustix::process::geteuid().is_root(), "postgres is started by another user: run this test as root");
    let installed = fs::read_dir("/usr/lib/postgresql").unwrap().next().unwrap().unwrap().path().join("bin");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let nobody = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];
    let script = format!("chmod 755 '{0}'; mkdir '{1}'; chown nobody '{1}'", folder.path().display(), data);
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let program = |name: &str| installed.join(name).display().to_string();
    let mut initdb = Command::new("setpriv");
    initdb.args(nobody).args([
        &program("initdb"),
        "-D",
        &data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "--locale=C",
        "--no-sync",
    ]);
    assert_code(&run_command(initdb.current_dir("/"), b""), 0);
    let postgres = program("postgres");
    let arguments =
        [&postgres, "-D", &data, "-p", "PORT", "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"];
    let database = server("setpriv", folder.path(), "", &[&nobody[..], &arguments].concat());
    // It takes connections before it takes questions.
    support::until("PostgreSQL", || {
        let mut ask = Command::new(program("pg_isready"));
        ask.args(["-q", "-h", "127.0.0.1", "-p", &database.port.to_string()]);
        ask.status().unwrap().success()
    });
    talk("postgres.talk", &format!("127.0.0.1:{}", database.port), &[]);
}

#[test]
fn ii_joins_a_channel_and_ngircd_lets_us() {
    need("ii");
    let folder = tempfile::tempdir().unwrap();
    let joins = |port: u16| {
        let mut ii = Command::new("ii")
            .args(["-s", "127.0.0.1", "-p", &port.to_string(), "-n", "ann", "-i"])
            .arg(folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // It listens at a pipe of its own for what to do.
        let pipe = folder.path().join("127.0.0.1/in");
        support::until("ii listens", || fs::metadata(&pipe).is_ok());
        fs::write(&pipe, "/j #talk\n").unwrap();
        // It ends when the server does.
        ii.wait().unwrap();
        run_command(&mut Command::new("true"), b"")
    };
    serve("irc.talk", TCP, &[], joins);
    let config = "[Global]\nName = irc.example\nInfo = test\nListen = 127.0.0.1\nPorts = PORT\n[Options]\nIdent = no\nPAM = no\nDNS = no\n";
    let folder = tempfile::tempdir().unwrap();
    let ngircd = server("ngircd", folder.path(), config, &["-n", "-f", "FOLDER/conf"]);
    talk("irc.talk", &format!("127.0.0.1:{}", ngircd.port), &[]);
    talk("irc-login.talk", &format!("127.0.0.1:{}", ngircd.port), &[]);
}

#[test]
fn vsftpd_lets_a_guest_in() {
    assert!(rustix::process::geteuid().is_root(), "vsftpd is started by root only: run this test as root");
    let folder = tempfile::tempdir().unwrap();
    for name in ["empty", "public"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("public/hello.txt"), "hello!").unwrap();
    let script = format!("chmod 755 '{0}'; chmod 555 '{0}/public' '{0}/empty'", folder.path().display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let config = "listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nlisten_port=PORT\nanonymous_enable=YES\n\
        anon_root=FOLDER/public\nsecure_chroot_dir=FOLDER/empty\nseccomp_sandbox=NO\nconnect_from_port_20=NO\n";
    let vsftpd = server("vsftpd", folder.path(), config, &["FOLDER/conf"]);
    let address = format!("127.0.0.1:{}", vsftpd.port);
    talk("ftp.talk", &address, &[]);
    // It connects to where the client says, and the client to where it says.
    talk("ftp-data.talk", &address, &[]);
    talk("ftp-active.talk", &address, &[]);
}

#[test]
fn stores_brokers_and_resolvers_answer_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server("redis-server", folder.path(), "", &["--port", "PORT", "--bind", "127.0.0.1", "--save", ""]);
    talk("redis.talk", &format!("127.0.0.1:{}", redis.port), &["--set", "value=another, longer value"]);
    let root = if rustix::process::geteuid().is_root() { &["-u", "root"][..] } else { &[] };
    let memcached = server("memcached", folder.path(), "", &[&["-l", "127.0.0.1", "-p", "PORT"], root].concat());
    talk("memcached.talk", &format!("127.0.0.1:{}", memcached.port), &[]);
    let config = "listener PORT 127.0.0.1\nallow_anonymous true\n";
    let mosquitto = server("mosquitto", folder.path(), config, &["-c", "FOLDER/conf"]);
    talk("mqtt.talk", &format!("127.0.0.1:{}", mosquitto.port), &[]);
    let arguments = [
        "-k",
        "-p",
        "PORT",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--address=/fish.example/192.0.2.7",
    ];
    let dnsmasq = server("dnsmasq", folder.path(), "", &arguments);
    talk("dns.talk", &format!("udp://127.0.0.1:{}", dnsmasq.port), &[]);
    talk("dns-tcp.talk", &format!("127.0.0.1:{}", dnsmasq.port), &[]);
}

#[test]
fn servers_of_the_web_answer_as_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/hello.txt"), "hello\n").unwrap();
    let web = nginx(folder.path(), "");
    talk("http.talk", &format!("127.0.0.1:{}", web.port), &[]);
    let script = "
import asyncio, websockets
async def echo(socket, path=None):
    async for message in socket: await socket.send(message)
async def serve():
    async with websockets.serve(echo, '127.0.0.1', PORT): await asyncio.Future()
asyncio.run(serve())
";
    let web = server("/usr/bin/python3", folder.path(), "", &["-c", script]);
    talk("websocket.talk", &format!("127.0.0.1:{}", web.port), &[]);
}
