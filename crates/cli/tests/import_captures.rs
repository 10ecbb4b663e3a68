//! `import` of captures: real clients and servers in a network of their own, captured by dumpcap; what is imported, served and
//! talked gives the captured bytes, and recording that gives the file again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::*;

/// What each script begins with. `capture NAME` begins one, `captured NAME WORDS FLAGS…` waits until what is imported from it has these
/// words and ends it.
const PRELUDE: &str = r#"
sockeye=$1
cd "$2"
ip link set lo up
capture() {
    dumpcap -q -i lo -w "$1.pcapng" 2>"$1.log" & dumpcap=$!
    until grep -q '^File:' "$1.log"; do sleep 0.02; done
}
captured() {
    name=$1 words=$2
    shift 2
    until "$sockeye" import --exact -q "$name.pcapng" "$@" 2>/dev/null | grep -q -- "$words"; do sleep 0.05; done
    kill -INT $dumpcap
    wait $dumpcap || true
}
"#;

/// Runs a script in a network of its own, and gives the folder with what it left there.
fn in_network(programs: &[&str], script: &str) -> tempfile::TempDir {
    for program in ["unshare", "ip", "dumpcap"].iter().chain(programs) {
        // dumpcap comes with tshark.
        need(if *program == "dumpcap" { "tshark" } else { program });
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("timeout");
    // What it started ends with it, however it does.
    let namespaces = if rustix::process::geteuid().is_root() { "-nmpf" } else { "-rnmpf" };
    command.args([
        "180",
        "unshare",
        namespaces,
        "--mount-proc",
        "--kill-child",
        "sh",
        "-euc",
        &format!("{PRELUDE}{script}"),
        "sh",
        BINARY,
    ]);
    let output = run_command(command.arg(folder.path()), b"");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// What a command line prints that succeeds.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments, b"");
    assert_code(&output, 0);
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout)
}

/// What both ends of a stream of a capture said, in the order in which they did, as Wireshark puts it together.
fn as_wireshark_reads(capture: &str, stream: &str) -> Vec<(bool, String)> {
    let follow = match stream.strip_prefix("udp:") {
        Some(number) => format!("follow,udp,raw,{number}"),
        None => format!("follow,tcp,raw,{stream}"),
    };
    let output = Command::new("tshark").args(["-r", capture, "-q", "-z", &follow]).output().unwrap();
    let all = text(&output.stdout);
    let mut said: Vec<(bool, String)> = vec![];
    for line in all.lines().filter(|line| !line.is_empty() && line.trim().bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        // The one who was asked is indented.
        let is_server = line.starts_with('\t');
        match said.last_mut() {
            Some((before, bytes)) if *before == is_server => bytes.push_str(line.trim()),
            _ => said.push((is_server, line.trim().to_owned())),
        }
    }
    said
}

fn without_address(transcript: &str) -> String {
    transcript.lines().filter(|line| !line.starts_with("at ")).map(|line| format!("{line}\n")).collect()
}

/// Serves and talks what was imported, and holds both laws.
#[track_caller]
fn plays_again(folder: &tempfile::TempDir, capture: &str, stream: &str, imported: &str) {
    let (talk, record, again) = (path(folder, "a.talk"), path(folder, "record.talk"), path(folder, "again.pcapng"));
    fs::write(&talk, imported).unwrap();
    printed(&["check", &talk]);
    let scheme = if stream.starts_with("udp") { "udp" } else { "tcp" };
    let any = format!("{scheme}://127.0.0.1:0");
    let server = Server::start_at(&[&any], &["--play", &talk]);
    let relay = Server::relay(&[&any, &format!("{scheme}://{}", server.address())], &["--pcap", &again]);
    let to = format!("{scheme}://{}", relay.address());
    let talked = run(&["talk", &to, "--play", &talk, "--record", &record], b"");
    assert_code(&talked, 0);
    assert_eq!(relay.stop().0, 0);
    assert_eq!(without_address(&fs::read_to_string(&record).unwrap()), without_address(imported));
    // Our own captures come back too.
    let id = if scheme == "udp" { "udp:0" } else { "0" };
    assert_eq!(without_address(&printed(&["import", "--exact", &again, "--stream", id])), without_address(imported));
    assert_eq!(as_wireshark_reads(&again, id), as_wireshark_reads(capture, stream), "{imported}");
    // With holes it says the same, unless they are given other values.
    let (open, record) = (path(folder, "open.talk"), path(folder, "open-record.talk"));
    fs::write(&open, printed(&["import", capture, "--stream", stream])).unwrap();
    printed(&["check", &open]);
    let server = Server::start_at(&[&any], &["--play", &open]);
    let to = format!("{scheme}://{}", server.address());
    assert_code(&run(&["talk", &to, "--play", &open, "--record", &record], b""), 0);
    assert_eq!(without_address(&fs::read_to_string(&record).unwrap()), without_address(imported));
}

/// What is recorded when both ends play what was imported, and go over to TLS in it.
#[track_caller]
fn played_under_tls(folder: &tempfile::TempDir, imported: &str) -> String {
    let (talk, record) = (path(folder, "a.talk"), path(folder, "record.talk"));
    fs::write(&talk, imported).unwrap();
    printed(&["check", &talk]);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &talk]);
    let pin = server.log.pin();
    let talked = run(&["talk", &server.address(), "--play", &talk, "--pin", &pin, "--record", &record], b"");
    assert_code(&talked, 0);
    without_address(&fs::read_to_string(&record).unwrap())
}

#[test]
fn a_capture_of_redis_plays_from_both_ends() {
    let script = r#"
redis-server --port 6379 --save '' >/dev/null & redis=$!
until redis-cli ping >/dev/null 2>&1; do sleep 0.02; done
capture redis
redis-cli <<END >/dev/null
SET key "two words"
GET key
HSET h a 1 b 2
HGETALL h
NOTHING
END
captured redis 'C closes'
kill $redis
"#;
    let folder = in_network(&["redis-server"], script);
    let capture = path(&folder, "redis.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(imported.starts_with("transcript 1\nat tcp://127.0.0.1:6379\neol crlf\nC: *"), "{imported}");
    assert!(imported.contains("C: two words\nS: +OK\n") && imported.contains("S: -ERR unknown"), "{imported}");
    plays_again(&folder, &capture, "0", &imported);
}

/// nginx with a page, in clear and over TLS.
const NGINX: &str = r#"
mkdir -p www logs tmp
seq 3 >www/some.txt
printf 'Hello\n' >www/index.html
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost 2>/dev/null
cat >nginx.conf <<END
daemon off; master_process off; user root; pid $PWD/nginx.pid; error_log $PWD/logs/error; events {}
http {
    access_log off; client_body_temp_path $PWD/tmp; proxy_temp_path $PWD/tmp; fastcgi_temp_path $PWD/tmp;
    uwsgi_temp_path $PWD/tmp; scgi_temp_path $PWD/tmp; root $PWD/www;
    server { listen 127.0.0.1:8080; }
    server { listen 127.0.0.1:8443 ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3; }
}
END
nginx -p "$PWD" -c "$PWD/nginx.conf" & nginx=$!
until curl -s http://127.0.0.1:8080/ >/dev/null; do sleep 0.02; done
"#;

#[test]
fn a_capture_of_nginx_plays_from_both_ends() {
    let script = format!(
        "{NGINX}capture http\ncurl -s http://127.0.0.1:8080/some.txt http://127.0.0.1:8080/nothing >/dev/null\n\
         captured http 'C closes'\n\
         \"$sockeye\" import http.pcapng -o holes.talk\n\"$sockeye\" import --exact http.pcapng -o exact.talk\n\
         touch -d 2001-02-03T04:05:06 www/some.txt\n\
         \"$sockeye\" talk 127.0.0.1:8080 --play holes.talk\n\
         ! \"$sockeye\" talk 127.0.0.1:8080 --play exact.talk 2>differs\nkill $nginx\n"
    );
    let folder = in_network(&["nginx", "curl", "openssl"], &script);
    let capture = path(&folder, "http.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(imported.contains("C: GET /some.txt HTTP/1.1\n") && imported.contains("S: HTTP/1.1 404 Not Found\n"));
    assert!(imported.contains("S raw: 3{0x0a}\nC: GET /nothing"), "{imported}");
    plays_again(&folder, &capture, "0", &imported);
    // The real server has other dates and ids by now: with holes that is fine, and without them it differs.
    let holes = fs::read_to_string(folder.path().join("holes.talk")).unwrap();
    assert!(holes.contains("# a date\nS: Last-Modified: {_=") && holes.contains("# an id\nS: ETag: \"{_="), "{holes}");
    let differs = fs::read_to_string(folder.path().join("differs")).unwrap();
    assert!(differs.contains("the server said something else"), "{differs}");
}

/// What `curl` is told, and what must be imported.
const TLS: [(&str, &str, bool); 7] = [
    ("12-aes128", "--tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256", true),
    ("12-aes256", "--tls-max 1.2 --ciphers ECDHE-RSA-AES256-GCM-SHA384", true),
    ("12-chacha", "--tls-max 1.2 --ciphers ECDHE-RSA-CHACHA20-POLY1305", true),
    ("13-aes128", "--tlsv1.3 --tls13-ciphers TLS_AES_128_GCM_SHA256", true),
    ("13-aes256", "--tlsv1.3 --tls13-ciphers TLS_AES_256_GCM_SHA384", true),
    ("13-chacha", "--tlsv1.3 --tls13-ciphers TLS_CHACHA20_POLY1305_SHA256", true),
    ("12-cbc", "--tls-max 1.2 --ciphers ECDHE-RSA-AES128-SHA256", false),
];

#[test]
fn what_was_said_inside_tls_is_read_with_a_key_log_or_it_is_said_why_not() {
    let mut script = format!("{NGINX}export SSLKEYLOGFILE=$PWD/keys\n");
    for (name, flags, is_read) in TLS {
        let words = if is_read { "captured X '^C closes' --keylog keys" } else { "sealed X" };
        script +=
            &format!("capture X\ncurl -sk {flags} https://127.0.0.1:8443/ >/dev/null\n{words}\n").replace('X', name);
    }
    script += "kill $nginx\n";
    // What cannot be read tells that it is all there by its ends. One may be a reset: what came after a client had closed.
    let sealed = "sealed() { until [ \"$(tshark -r $1.pcapng -Y 'tcp.flags.fin==1 or tcp.flags.reset==1' 2>/dev/null | wc -l)\" -ge 2 ]; do sleep 0.1; done; \
        kill -INT $dumpcap; wait $dumpcap || true; }\n";
    let folder = in_network(&["nginx", "curl", "openssl", "tshark"], &format!("{sealed}{script}"));
    let keys = path(&folder, "keys");
    for (name, _, is_read) in TLS {
        let capture = path(&folder, &format!("{name}.pcapng"));
        let without = run(&["import", &capture], b"");
        assert_code(&without, 2);
        if !is_read {
            assert!(text(&without.stderr).contains("0xc027 (CBC"), "{}", text(&without.stderr));
            assert_code(&run(&["import", &capture, "--keylog", &keys], b""), 2);
            continue;
        }
        let version = if name.starts_with("12") { "TLS 1.2" } else { "TLS 1.3" };
        assert!(text(&without.stderr).contains(version) && text(&without.stderr).contains("--keylog FILE"), "{name}");
        let imported = printed(&["import", "--exact", &capture, "--keylog", &keys]);
        assert!(imported.contains("starttls\nC: GET / HTTP/1.1\n"), "{name}: {imported}");
        assert!(imported.ends_with("S:\nS raw: Hello{0x0a}\nC closes\n"), "{name}: {imported}");
        // The same with the secrets in the capture itself.
        let with = path(&folder, "with.pcapng");
        let injected = Command::new("editcap")
            .args(["--inject-secrets", &format!("tls,{keys}"), &capture, &with])
            .output()
            .unwrap();
        assert!(injected.status.success(), "{}", text(&injected.stderr));
        assert_eq!(printed(&["import", "--exact", &with]), imported, "{name}");
        assert_eq!(played_under_tls(&folder, &imported), without_address(&imported), "{name}");
    }
    // Whatever is changed in the capture, it ends by saying something.
    let bytes = fs::read(folder.path().join("13-aes256.pcapng")).unwrap();
    let (broken, mut seed) = (path(&folder, "broken.pcapng"), 0x5eed_u64);
    for _ in 0..60 {
        let mut bytes = bytes.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << (seed >> 60 & 7);
        }
        fs::write(&broken, &bytes).unwrap();
        let output = run(&["import", &broken, "--keylog", &keys], b"");
        assert!(matches!(code(&output), 0 | 2 | 18), "{}", text(&output.stderr));
        assert!(code(&output) == 0 || !output.stderr.is_empty());
    }
    // Of another session.
    let other = fs::read_to_string(&keys).unwrap().replace(['0', '1', '2'], "3");
    let wrong = folder.path().join("other");
    fs::write(&wrong, other).unwrap();
    let output = run(&["import", &path(&folder, "13-aes128.pcapng"), "--keylog", &wrong.display().to_string()], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("with a line for the session"), "{}", text(&output.stderr));
}

#[test]
fn a_capture_of_a_name_server_plays_from_both_ends_over_both_protocols() {
    let script = r#"
dnsmasq -k -p 5353 -a 127.0.0.1 -z --no-resolv --no-hosts --address=/a.example/192.0.2.7 -u root -x "$PWD/pid" & dnsmasq=$!
cat >ask.py <<END
import os, socket, struct, sys
question = os.urandom(2) + b"\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1"
kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[sys.argv[1]]
peer = socket.socket(socket.AF_INET, kind)
peer.settimeout(60)
peer.connect(("127.0.0.1", 5353))
peer.sendall(question if sys.argv[1] == "udp" else struct.pack("!H", len(question)) + question)
assert peer.recv(2000)
END
ask() { python3 ask.py "$1"; }
until ask tcp >/dev/null 2>&1; do sleep 0.02; done
capture udp
ask udp
captured udp '^S hex'
capture tcp
ask tcp
captured tcp '^C closes'
kill $dnsmasq
wait $dnsmasq || true
# The client asks with another id now.
for kind in udp tcp; do
    "$sockeye" import $kind.pcapng -o $kind.talk
    "$sockeye" serve $kind://127.0.0.1:5353 --play $kind.talk --once --port-file $kind.port & server=$!
    until [ -e $kind.port ]; do sleep 0.02; done
    ask $kind
    wait $server
done
"#;
    let folder = in_network(&["dnsmasq", "python3"], script);
    let capture = path(&folder, "udp.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(imported.starts_with("transcript 1\nat udp://127.0.0.1:5353\neol none\nC hex: "), "{imported}");
    assert!(imported.ends_with(" c0 00 02 07\n"), "{imported}");
    plays_again(&folder, &capture, "udp:0", &imported);
    let capture = path(&folder, "tcp.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(imported.contains("at tcp://127.0.0.1:5353\n") && imported.ends_with("C closes\n"), "{imported}");
    plays_again(&folder, &capture, "0", &imported);
}

#[test]
fn a_capture_of_a_database_plays_from_both_ends() {
    assert!(rustix::process::geteuid().is_root(), "postgres is started for another user: run this test as root");
    need("psql");
    // It refuses to be root.
    let script = r#"
bin=$(echo /usr/lib/postgresql/*/bin)
mkdir data
chmod 777 .
chown nobody data
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
as_nobody $bin/initdb -D $PWD/data -A trust -U ann >log 2>&1
as_nobody $bin/postgres -D $PWD/data -k $PWD -p 5432 >>log 2>&1 & postgres=$!
ask() { $bin/psql -h 127.0.0.1 -U ann postgres -qtAc "$1"; }
until ask 'select 1' >/dev/null 2>&1; do sleep 0.05; done
capture sql
ask "select 'two words', now()" >/dev/null
# Either may be the first to close.
captured sql ' closes$'
kill $postgres
wait $postgres || true
"#;
    let folder = in_network(&["setpriv"], script);
    let capture = path(&folder, "sql.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(
        imported.contains("at tcp://127.0.0.1:5432\n") && imported.contains("select 'two words', now()"),
        "{imported}"
    );
    assert!(imported.contains("\nC hex: 58 00 00 00 04\n"), "{imported}");
    plays_again(&folder, &capture, "0", &imported);
}

#[test]
fn captures_of_mysql_and_of_a_phone_call_play_from_both_ends() {
    let script = r#"
mkdir data
mariadbd --no-defaults --datadir="$PWD/data" --port=3306 --bind-address=127.0.0.1 --socket="$PWD/socket" --pid-file="$PWD/pid" \
    --skip-grant-tables --skip-innodb --default-storage-engine=Aria --aria-log-file-size=8M --user=root >log 2>&1 & mariadbd=$!
ask() { mariadb --no-defaults --host=127.0.0.1 --user=ann -e "$1" >/dev/null; }
until ask 'select 1' 2>/dev/null; do sleep 0.05; done
capture mysql
ask 'select 42 as answer, now(); show databases'
captured mysql ' closes$'
kill $mariadbd
sipp -sn uas -i 127.0.0.1 -p 5062 -m 1 -nostdin >/dev/null 2>&1 & phone=$!
until grep -qi ':13c6 ' /proc/net/udp; do sleep 0.02; done
capture sip
sipp -sn uac -i 127.0.0.1 -p 5064 -m 1 -nostdin 127.0.0.1:5062 >/dev/null 2>&1
captured sip '^S raw: SIP/2.0 200 .*CSeq: 2 BYE'
kill $phone 2>/dev/null || true
"#;
    let folder = in_network(&["mariadbd", "mariadb", "sipp"], script);
    for (name, stream, words) in [
        ("mysql", "0", "select 42 as answer, now()"),
        ("sip", "udp:0", "\nC raw: BYE sip:service@127.0.0.1:5062 SIP/2.0"),
    ] {
        let capture = path(&folder, &format!("{name}.pcapng"));
        let imported = printed(&["import", "--exact", &capture]);
        assert!(imported.contains(words), "{imported}");
        plays_again(&folder, &capture, stream, &imported);
    }
}

#[test]
fn a_capture_of_mail_goes_over_to_tls_in_its_middle() {
    assert!(rustix::process::geteuid().is_root(), "dovecot is started by root only: run this test as root");
    let script = r#"
chmod 755 .
mkdir -p mail/new mail/cur mail/tmp
printf 'Subject: Hello\r\n\r\nIt works.\r\n' >mail/new/1.a.b
echo 'ann:{PLAIN}secret' >users
chown -R nobody mail
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost 2>/dev/null
cat >conf <<END
base_dir = $PWD/run
log_path = $PWD/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <$PWD/cert.pem
ssl_key = <$PWD/key.pem
mail_location = maildir:$PWD/mail
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $PWD/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$PWD/mail
}
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 0
  }
}
END
dovecot -F -c conf & dovecot=$!
until curl -s imap://127.0.0.1/ -X CAPABILITY >/dev/null; do sleep 0.05; done
capture imap
SSLKEYLOGFILE=$PWD/keys curl -s --ssl-reqd -k imap://127.0.0.1/INBOX -u ann:secret -X 'FETCH 1 BODY[]' >/dev/null
# Either may be the first to close.
captured imap ' closes$' --keylog keys
kill $dovecot
wait $dovecot || true
"#;
    let folder = in_network(&["dovecot", "curl", "openssl"], script);
    let (capture, keys) = (path(&folder, "imap.pcapng"), path(&folder, "keys"));
    let exact = printed(&["import", "--exact", &capture, "--keylog", &keys]);
    assert!(exact.contains(" STARTTLS\nS: A002 OK Begin TLS negotiation now.\nstarttls\nC: A003 "), "{exact}");
    assert!(exact.contains("S: Subject: Hello\nS:\nS: It works.\nS: )\n"), "{exact}");
    let open = printed(&["import", &capture, "--keylog", &keys]);
    assert!(open.contains("# how long it took\nS: A006 OK Fetch completed ({_="), "{open}");
    for text in [&exact, &open] {
        assert_eq!(played_under_tls(&folder, text), without_address(&exact));
    }
}

#[test]
fn keys_that_change_on_the_way_captures_of_any_interface_and_older_files_are_read() {
    let script = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost 2>/dev/null
openssl s_server -accept 4433 -cert cert.pem -key key.pem -tls1_3 -quiet -rev >/dev/null 2>&1 & server=$!
until openssl s_client -connect 127.0.0.1:4433 </dev/null >/dev/null 2>&1; do sleep 0.05; done
dumpcap -q -i any -w any.pcapng 2>any.log & dumpcap=$!
until grep -q '^File:' any.log; do sleep 0.02; done
# Each line is awaited before the next one. K and k change the keys of one side, and of both.
mkfifo said
openssl s_client -connect localhost:4433 -keylogfile keys -tls1_3 <said >heard 2>&1 & client=$!
exec 3>said
say() {
    echo "$1" >&3
    until [ "$(grep -c "^$2" heard)" = "$3" ]; do sleep 0.02; done
}
say one eno 1
say K KEYUPDATE 1
say two owt 1
say k KEYUPDATE 2
say three eerht 1
exec 3>&-
kill $client
wait $client || true
captured any 'S: eerht' --keylog keys
kill $server
"#;
    let folder = in_network(&["openssl"], script);
    let (capture, keys) = (path(&folder, "any.pcapng"), path(&folder, "keys"));
    let output = run(&["import", &capture, "--keylog", &keys], b"");
    let imported = text(&output.stdout);
    assert!(imported.contains("starttls\nC: one\nS: eno\nC: two\nS: owt\nC: three\nS: eerht\n"), "{imported}");
    for format in ["pcap", "nsecpcap"] {
        let older = path(&folder, "older.pcap");
        assert!(Command::new("editcap").args(["-F", format, &capture, &older]).status().unwrap().success());
        assert_eq!(text(&run(&["import", &older, "--keylog", &keys], b"").stdout), imported, "{format}");
    }
}

/// Several connections through a relay of ours, which has two streams for each.
fn several(folder: &Path) -> String {
    let (talk, capture) = (folder.join("x.talk"), folder.join("several.pcapng"));
    fs::write(&talk, "C: one\nS: two\nS closes\n").unwrap();
    let talk = talk.to_str().unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", talk]);
    let relay = Server::relay(&["tcp://127.0.0.1:0", &server.address()], &["--pcap", capture.to_str().unwrap()]);
    assert_code(&run(&["talk", &relay.address(), "--play", talk], b""), 0);
    // One who says nothing.
    drop(relay.connect());
    relay.log.wait_for("closed #2");
    assert_eq!(relay.stop().0, 0);
    capture.display().to_string()
}

#[test]
fn a_capture_of_several_conversations_is_listed_with_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let capture = several(folder.path());
    let output = run(&["import", &capture], b"");
    assert_code(&output, 2);
    let listed = text(&output.stderr);
    assert!(listed.contains("has 2 conversations: say which one"), "{listed}");
    let row = listed.lines().find(|line| line.trim().starts_with("--stream 1 ")).unwrap();
    assert!(row.ends_with("4 bytes from the client, 4 from the server"), "{listed}");
    let imported = printed(&["import", &capture, "--stream", "1"]);
    assert!(imported.ends_with("\neol lf\nC: one\nS: two\nS closes\n"), "{imported}");
    assert_eq!(printed(&["import", &capture, "--stream", "tcp:1"]), imported);
    // From standard input, and to a file.
    let bytes = fs::read(&capture).unwrap();
    let output = run(&["import", "-", "--stream", "1"], &bytes);
    assert_eq!((code(&output), text(&output.stdout)), (0, imported.clone()));
    let talk = folder.path().join("out.talk");
    assert_eq!(printed(&["import", &capture, "--stream", "1", "-o", talk.to_str().unwrap()]), "");
    assert_eq!(fs::read_to_string(&talk).unwrap(), imported);
    for (arguments, words) in [
        (&["--stream", "9"][..], "has no stream 9\n"),
        (&["--stream", "udp:0"], "has no stream udp:0\n"),
        (&["--stream", "2"], "nothing is said in stream 2"),
        (&["--stream", "1", "--client", "5.6.7.8"], "is neither of 127.0.0.1:"),
        (&["--session", "2"], "--stream N takes a conversation"),
    ] {
        let output = run(&[&["import", &capture][..], arguments].concat(), b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
    }
    // The other way round, as a user may know better.
    let server = row.split(" -> ").nth(1).unwrap().split(',').next().unwrap();
    let turned = printed(&["import", &capture, "--stream", "1", "--client", server]);
    assert!(turned.ends_with("S: one\nC: two\nC closes\n"), "{turned}");
}

#[test]
fn what_a_capture_lacks_is_said_and_the_exit_code_tells() {
    let folder = tempfile::tempdir().unwrap();
    let capture = several(folder.path());
    let bytes = fs::read(&capture).unwrap();
    let cut = folder.path().join("cut.pcapng");
    fs::write(&cut, &bytes[..bytes.len() - 3]).unwrap();
    let output = run(&["import", cut.to_str().unwrap(), "--stream", "0"], b"");
    assert_code(&output, 18);
    assert!(
        text(&output.stderr).contains("warning: ") && text(&output.stderr).contains("ends in the middle of a packet")
    );
    assert!(text(&output.stdout).starts_with("# the capture ends in the middle"), "{}", text(&output.stdout));
    for (bytes, words) in [
        (&bytes[..30], "has no conversation in which something is said: it has no packets"),
        (&bytes[..20], "the capture is broken at byte 0"),
        (&[0x1f, 0x8b, 8, 0], "unpack it with gunzip first"),
    ] {
        fs::write(&cut, bytes).unwrap();
        let output = run(&["import", cut.to_str().unwrap()], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    fs::write(&cut, "C: a\nS: b\n").unwrap();
    let output = run(&["import", cut.to_str().unwrap(), "--stream", "0"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--stream is about captures"), "{}", text(&output.stderr));
}

#[test]
fn an_archive_of_http_becomes_a_server_for_real_clients() {
    let folder = tempfile::tempdir().unwrap();
    let (har, talk) = (folder.path().join("page.har"), folder.path().join("page.talk"));
    let entry = |url: &str, text: &str| {
        format!(
            r#"{{"request":{{"method":"GET","url":"{url}","headers":[{{"name":"Host","value":"{{_}}"}}]}},
            "response":{{"status":200,"statusText":"OK","headers":[{{"name":"Content-Encoding","value":"br"}}],
            "content":{{"size":5,"text":"{text}"}}}}}}"#
        )
    };
    let write = |entries: &[String]| {
        fs::write(&har, format!(r#"{{"log":{{"version":"1.2","entries":[{}]}}}}"#, entries.join(","))).unwrap();
    };
    write(&[entry("http://a.example/one", "hello"), entry("http://a.example/two", "there\\n")]);
    let file = har.to_str().unwrap();
    let imported = printed(&["import", "--har", file]);
    assert!(imported.contains("C: GET /two HTTP/1.1\nC: Host: {0x7b}_}\nC:\nS: HTTP/1.1 200 OK\n"), "{imported}");
    // What clients add by themselves is let through.
    let loose = imported.replace("C: Host: {0x7b}_}\n", "repeat\n  C: {_=Host: a.example}\nend\n");
    fs::write(&talk, loose).unwrap();
    let mut server = Server::start(&["--play", talk.to_str().unwrap(), "--once"]);
    need("curl");
    let page = |path: &str| format!("http://{}/{path}", server.address());
    let output = Command::new("curl").args(["-s", &page("one"), &page("two")]).output().unwrap();
    assert_eq!(text(&output.stdout), "hellothere\n");
    assert_eq!(server.wait(), 0);
    // Of several servers one is chosen; what lacks its content is said.
    write(&[entry("http://a.example/", "x"), entry("https://b.example:8443/", "y")]);
    let output = run(&["import", "--har", file], b"");
    assert_code(&output, 2);
    assert!(
        text(&output.stderr).contains("\n  --stream 1    https://b.example:8443, 1 request"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        printed(&["import", "--har", file, "--stream", "1"]).contains("at tcp://b.example:8443\neol crlf\nstarttls\n")
    );
    write(&[entry("http://a.example/", "x"), entry("http://a.example/big", "y").replace(r#","text":"y""#, "")]);
    let output = run(&["import", "--har", file], b"");
    assert_code(&output, 18);
    assert!(text(&output.stderr).contains("GET /big is left out: the archive does not have its content"));
    assert!(text(&run(&["import", file], b"").stderr).contains("--har reads those"));
    fs::write(&har, "{}").unwrap();
    let output = run(&["import", "--har", file], b"");
    assert_code(&output, 2);
    assert!(
        text(&output.stderr).contains("it is no HTTP archive (HAR): missing field `log`"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_example_of_the_page_runs_as_it_stands() {
    let page = include_str!("../../../docs/import.md");
    let example = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let greet = "printf 'C: hello\\nS: hello yourself\\nS closes\\n' >greet.talk\nsockeye() { \"$sockeye\" \"$@\"; }\n";
    let folder = in_network(&[], &format!("{greet}{example}"));
    let again = fs::read_to_string(folder.path().join("again.talk")).unwrap();
    // What the page shows of holes is what there are.
    let shown = page.split("```talk\n").nth(1).unwrap().split("```").next().unwrap();
    let exact = shown
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.replace("{_=", "").replace("{id=", "").replace("{id}", "k3J9xQ2mP7").replace('}', "") + "\n")
        .collect::<String>();
    assert_eq!(transcript::import::with_holes(&exact), shown);
    assert!(again.ends_with("C: hello\nS: hello yourself\nS closes\n"), "{again}");
}

/// Commands of SMTP in groups (RFC 2920): both ends of it as sockets that know nothing of transcripts.
const PIPELINED: &str = r#"
cat >smtp.py <<'END'
import socket, threading
listener = socket.create_server(('127.0.0.1', 2525))
def serve():
    stream = listener.accept()[0].makefile('rwb', 0)
    for lines, said in ((0, '220 mail.example\r\n'), (1, '250-mail.example\r\n250-SIZE\r\n250 PIPELINING\r\n'),
                        (4, '250 from\r\n250 to ann\r\n550 not to bob\r\n354 go on\r\n'), (4, '250 kept\r\n221 bye\r\n')):
        for _ in range(lines):
            stream.readline()
        stream.write(said.encode())
serving = threading.Thread(target=serve)
serving.start()
# RFC 2920: a group of commands in one write, and their answers in one.
client = socket.create_connection(('127.0.0.1', 2525)).makefile('rwb', 0)
for lines, said in ((1, 'EHLO client.example\r\n'), (3, 'MAIL FROM:<a@a.example>\r\nRCPT TO:<ann@a.example>\r\nRCPT TO:<bob@a.example>\r\nDATA\r\n'),
                    (4, 'Subject: hi\r\n\r\n.\r\nQUIT\r\n'), (2, '')):
    for _ in range(lines):
        client.readline()
    client.write(said.encode())
client.read()
serving.join()
END
capture smtp
python3 smtp.py
captured smtp ' closes$'
"#;

#[test]
fn captures_of_a_debugger_and_of_pipelined_mail_play_from_both_ends() {
    let script = r#"
gdbserver --once 127.0.0.1:1234 /bin/true >/dev/null 2>&1 & debugged=$!
until grep -q ':04D2 00000000:0000 0A' /proc/net/tcp; do sleep 0.02; done
capture gdb
# Its own files are those of the program: none is sent.
gdb -nx -batch -ex 'set sysroot /' -ex 'set architecture i386:x86-64' -ex 'target remote 127.0.0.1:1234' -ex 'info registers rip' -ex kill >/dev/null 2>&1
captured gdb ' closes$'
wait $debugged || true
"#;
    let folder = in_network(&["gdb", "gdbserver", "python3"], &format!("{script}{PIPELINED}"));
    for (name, words) in [
        ("gdb", "\nC raw: +$vMustReplyEmpty#3a\nS raw: +$#00\n"),
        (
            "smtp",
            "\nC: RCPT TO:<bob@a.example>\nC: DATA\nS: 250 from\nS: 250 to ann\nS: 550 not to bob\nS: 354 go on\n",
        ),
    ] {
        let capture = path(&folder, &format!("{name}.pcapng"));
        let imported = printed(&["import", "--exact", &capture]);
        assert!(imported.contains(words), "{imported}");
        plays_again(&folder, &capture, "0", &imported);
    }
}

/// Who asks one device asks all of it in one conversation; who asks a group hears from others than the group.
#[test]
fn a_capture_of_a_search_for_devices_plays_from_both_ends() {
    let talk = fs::canonicalize(transcript("ssdp.talk")).unwrap();
    let script = r#"
ip link set lo multicast on
ip route add 224.0.0.0/4 dev lo
"$sockeye" serve 'udp://0.0.0.0:1900?join=239.255.255.250' --play 'TALK' --times 2 --port-file port & device=$!
until [ -e port ]; do sleep 0.02; done
cat >search.py <<'END'
import socket, sys
search = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
search.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n', (sys.argv[1], 1900))
search.recv(2000)
END
capture ssdp
python3 search.py 127.0.0.1
captured ssdp 'S raw: HTTP/1.1 200 OK'
capture group
python3 search.py 239.255.255.250
captured group 'C raw: HTTP/1.1 200 OK' --stream udp:1
wait $device
"#;
    let folder = in_network(&["python3"], &script.replace("TALK", &talk.display().to_string()));
    let capture = path(&folder, "ssdp.pcapng");
    let imported = printed(&["import", "--exact", &capture]);
    assert!(
        imported.contains("\nC raw: M-SEARCH * HTTP/1.1{0x0d}{0x0a}HOST: ") && imported.contains("ST: upnp:rootdevice")
    );
    plays_again(&folder, &capture, "udp:0", &imported);
    // The group says nothing, and the device asks no one address: these are two conversations, and each is half of one.
    let group = path(&folder, "group.pcapng");
    let asked = printed(&["import", "--exact", &group, "--stream", "udp:0"]);
    assert!(asked.contains("C raw: M-SEARCH * HTTP/1.1") && !asked.contains("\nS"), "{asked}");
}
