//! Where `talk` comes from, and datagrams to many: `--source`, `--interface`, `--broadcast`, `--join`, `--ttl`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Command, Output};

use support::*;

#[test]
fn our_own_address_and_port_are_as_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let free = free_port();
    for (source, own) in [
        ("127.0.0.3".to_owned(), "127.0.0.3:".to_owned()),
        (format!("127.0.0.3:{free}"), format!("127.0.0.3:{free}")),
        (format!(":{free}"), format!("127.0.0.1:{free}")),
    ] {
        // The port may be taken again at once.
        for more in [&["--recv-only"][..], &["--zero"]] {
            let talk = command(&[]).args(["talk", &address, "--source", &source]).args(more).spawn();
            let (stream, peer) = listener.accept().unwrap();
            assert!(peer.to_string().starts_with(&own), "{source}: {peer}");
            drop(stream);
            assert!(talk.unwrap().wait().unwrap().success());
        }
    }
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let own = free_port();
    let echo = std::thread::spawn(move || {
        let mut room = [0; 16];
        let (length, from) = server.recv_from(&mut room).unwrap();
        server.send_to(&room[..length], from).unwrap();
        from.to_string()
    });
    let output = run(&["talk", &address, "--source", &format!("127.0.0.4:{own}")], b"hello\n");
    assert_code(&output, 0);
    assert_eq!((text(&output.stdout).as_str(), echo.join().unwrap()), ("hello\n", format!("127.0.0.4:{own}")));
}

#[test]
fn a_source_that_is_not_ours_is_told_and_one_that_is_none_is_wrong_usage() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let udp = format!("udp://{address}");
    let v6 = "[::1]:9";
    let busy = address.clone();
    let sources = |host: &str, option: &str| format!("{host}?{option}");
    let (bind, interface) = (sources(&address, "bind=192.0.2.77"), sources(&udp, "interface=no-such"));
    let not_ours = " from 192.0.2.77: no interface of this machine has that address";
    let none = " from the interface no-such: no interface of this machine has that name";
    // What cannot become otherwise is not tried again.
    for retry in [&[][..], &["--retry", "600s"]] {
        for (arguments, says) in [
            (&[&address, "--source", "192.0.2.77"][..], not_ours),
            (&[&address, "--source", "192.0.2.77:1234"], " from 192.0.2.77:1234: no interface of this machine has"),
            (&[&udp, "--source", "192.0.2.77"], not_ours),
            (&[&bind], not_ours),
            (&["localhost:9", "--source", "192.0.2.77"], not_ours),
            (
                &[&address, "--source", "::1"],
                " from ::1: one of the two addresses is of IPv4, and the other one of IPv6",
            ),
            (&[v6, "--source", "127.0.0.1"], " from 127.0.0.1: one of the two addresses"),
            (&[&udp, "--source", "[::1]:7"], " from [::1]:7: one of the two addresses"),
            (&[&address, "--interface", "no-such"], none),
            (&[&udp, "--interface", "no-such"], none),
            (&[&interface], none),
        ] {
            let output = run(&[&["talk"], arguments, retry].concat(), b"");
            assert_code(&output, 2);
            let errors = text(&output.stderr);
            assert!(errors.contains(says) && !errors.contains("(--retry)"), "{arguments:?}: {errors}");
        }
    }
    let output = run(&["talk", "127.0.0.1:9", "--source", &busy], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains(": another socket of this machine has that port"), "{output:?}");
    // A server that refuses is to blame itself.
    let output = run(&["talk", "127.0.0.1:9", "--source", "127.0.0.1"], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("127.0.0.1:9: Connection refused"), "{output:?}");
    for (more, says) in [
        (&["--source", "nonsense"][..], "write an address or a port of this machine"),
        (&["--source", ":70000"], "write an address or a port of this machine"),
        (&["--interface", "a-name-that-is-too-long"], "write the name of an interface"),
        (&["--join", "192.0.2.1"], "is no multicast address"),
        (&["--join", "239.1.2.3%no-such"], "no interface of this machine has the name no-such"),
        (&["--broadcast"], "are for datagrams: write udp://"),
        (&["--ttl", "3"], "are for datagrams: write udp://"),
        (&["-s", "127.0.0.1"], "--source ADDR:PORT"),
    ] {
        let output = run(&[&["talk", &address], more].concat(), b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{more:?}: {}", text(&output.stderr));
    }
}

/// A script in a network namespace of its own, with the program as `$1`.
fn alone(script: &str) -> Output {
    need("unshare");
    need("ip");
    need("python3");
    let set_up = "ip link set lo up; ip link add d0 type veth peer name d1; ip link set d1 up; ip addr add 192.0.2.1/24 broadcast 192.0.2.255 dev d0; \
        ip link set d0 up; ip link set lo multicast on; ip route add 224.0.0.0/4 dev lo";
    let mut command = Command::new("unshare");
    command.args(["-n", "bash", "-euc", &format!("{set_up}\n{script}"), "bash", BINARY]);
    run_command(&mut command, b"")
}

#[test]
fn a_broadcast_is_sent_when_it_is_meant_and_everybody_who_answers_is_heard() {
    // Two answer, each from a port of its own.
    let script = r#"
python3 -c '
import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
one.bind(("0.0.0.0", 9000))
print("ready", flush=True)
data, who = one.recvfrom(100)
for word in b"first", b"second":
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.sendto(word + b" " + data, who)
' >ready &
until [ -s ready ]; do read -t 0.01 <> <(:) || :; done
echo who | "$1" talk udp://192.0.2.255:9000 --broadcast; echo "code $?"
wait
echo who | "$1" talk udp://192.0.2.255:9000 2>&1 || echo "code $?"
"#;
    let folder = tempfile::tempdir().unwrap();
    let output = alone(&format!("cd {}\n{script}", folder.path().display()));
    let shown = text(&output.stdout);
    assert!(shown.contains("first who\nsecond who\ncode 0"), "{shown} {}", text(&output.stderr));
    assert!(shown.contains("with --broadcast alone") && shown.trim_end().ends_with("code 7"), "{shown}");
}

#[test]
fn a_group_is_heard_by_a_listener_and_by_a_client_that_joins() {
    let script = r#"
"$1" talk --listen udp://0.0.0.0:9000 --join 239.1.2.3%lo --bytes 5 --idle 20s >heard 2>said &
until grep -q listening said 2>/dev/null; do read -t 0.01 <> <(:) || :; done
echo hello | "$1" talk udp://239.1.2.3:9000 --send-only --ttl 1; echo "sent $?"
until [ -s heard ]; do read -t 0.01 <> <(:) || :; done
cat heard
kill %1
"#;
    let folder = tempfile::tempdir().unwrap();
    let output = alone(&format!("cd {}\n{script}", folder.path().display()));
    let shown = text(&output.stdout);
    assert_eq!(shown, "sent 0\nhello\n", "{}", text(&output.stderr));
    // A client hears the group at the port that it comes from.
    let script = r#"
sleep 60 | "$1" talk udp://239.1.2.3:9000 --join 239.1.2.3%lo --source :9000 --recv-only >heard 2>said &
until grep -q :2328 /proc/net/udp; do read -t 0.01 <> <(:) || :; done
until [ -s heard ]; do
  python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"to all", ("239.1.2.3", 9000))'
done
head -1 heard
kill %1
"#;
    let output = alone(&format!("cd {}\n{script}", tempfile::tempdir_in(folder.path()).unwrap().keep().display()));
    assert_eq!(text(&output.stdout), "to all\n", "{}", text(&output.stderr));
}

/// Answers to a question to a group come from hosts. A socket of IPv6 that was ever connected to a group takes none of them.
#[test]
fn whoever_of_a_group_answers_is_heard_over_ipv6_too() {
    let script = r#"
echo 0 >/proc/sys/net/ipv6/conf/d0/accept_dad; ip addr add fd00::1/64 dev d0 nodad
until ip -6 addr show dev d0 scope link | grep fe80 | grep -qv tentative; do read -t 0.01 <> <(:) || :; done
python3 -c '
import socket, struct
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.bind(("::", 9000))
group = socket.inet_pton(socket.AF_INET6, "ff02::1234") + struct.pack("i", socket.if_nametoindex("d0"))
one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
print("ready", flush=True)
while True:
    data, who = one.recvfrom(100)
    one.sendto(b"first " + data, who)
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"second from %d" % (who[1] == 9100), who)
' >ready &
until [ -s ready ]; do read -t 0.01 <> <(:) || :; done
printf 'C: who\nS: first who\nS: second from 0\n' >who.talk
group='udp://[ff02::1234%d0]:9000'
echo who | "$1" talk "$group"; echo "code $?"
echo who | "$1" talk "$group" --source :9100; echo "code $?"
echo who | "$1" talk "$group" --source fd00::1; echo "code $?"
echo who | "$1" talk 'udp://[ff02::1234]:9000' --interface d0; echo "code $?"
"$1" talk "$group" --play who.talk; echo "play $?"
"$1" load "$group" --play who.talk --plays 3 --connections 1 >/dev/null; echo "load $?"
"$1" talk --zero "$group" 2>/dev/null; echo "zero $?"
kill %1
"#;
    let folder = tempfile::tempdir().unwrap();
    let output = alone(&format!("cd {}\n{script}", folder.path().display()));
    let heard = |from: u8| format!("first who\nsecond from {from}\ncode 0\n");
    let expected = [heard(0), heard(1), heard(0), heard(0), "play 0\nload 0\nzero 0\n".to_owned()].concat();
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[test]
fn an_interface_is_gone_through_by_its_name() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = server.local_addr().unwrap().to_string();
    let echo = Server::start(&["--echo"]);
    let output = run(&["talk", &echo.address(), "--interface", "lo"], b"hello");
    assert_code(&output, 0);
    assert_eq!(output.stdout, b"hello");
    assert_code(&run(&["talk", &format!("udp://{address}"), "--interface", "lo", "--send-only"], b"x"), 0);
    let script = "\"$1\" talk 127.0.0.1:9 --interface d0 --connect-timeout 300ms 2>&1 || echo \"code $?\"";
    let shown = text(&alone(script).stdout);
    assert!(shown.contains("code 28") || shown.contains("code 7"), "{shown}");
}

/// The socket is joined to who answers first, and the system forgets an interface with the peer before.
#[test]
fn an_interface_stays_the_one_that_was_asked_for_after_the_first_answer() {
    need("ss");
    for ip in ["127.0.0.1", "::1"] {
        let server = UdpSocket::bind((ip, 0)).unwrap();
        let address = format!("udp://{}", server.local_addr().unwrap());
        let mut talk = Talk::start(&[&address, "--interface", "lo"]);
        let mut stdin = talk.stdin.take().unwrap();
        let mut out = talk.child.stdout.take().unwrap();
        for (question, answer) in [("one", "first"), ("two", "other")] {
            stdin.write_all(format!("{question}\n").as_bytes()).unwrap();
            let mut buffer = [0; 16];
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], question.as_bytes());
            server.send_to(answer.as_bytes(), from).unwrap();
            let mut heard = [0; 6];
            out.read_exact(&mut heard).unwrap();
            assert_eq!(heard, format!("{answer}\n").as_bytes());
            let shown = std::process::Command::new("ss").args(["-uanH", &format!("sport = :{}", from.port())]).output();
            let shown = text(&shown.unwrap().stdout);
            assert!(shown.contains(&format!("%lo:{}", from.port())), "{question} {ip}: {shown}");
        }
    }
}

/// What has no address of the internet comes from none, and a program is not a server that may only be starting.
#[test]
fn flags_about_addresses_are_refused_where_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let play = folder.path().join("a.talk");
    std::fs::write(&play, "C: a\nS: a\n").unwrap();
    let play = play.display().to_string();
    let unix = format!("unix:{}/s", folder.path().display());
    let packets = format!("unix-seqpacket:{}/s", folder.path().display());
    for address in ["exec:cat", "sh:cat", &unix, &packets] {
        for flags in [&["--source", "127.0.0.1"][..], &["--interface", "lo"], &["-4"], &["-6"]] {
            for more in [&[][..], &["--play", &play], &["--zero"]] {
                if more == ["--zero"] && !address.starts_with("unix") {
                    continue;
                }
                let output = run(&[&["talk", address], flags, more].concat(), b"");
                assert_code(&output, 2);
                let says = format!("{} is about addresses of the internet, and {address} has none", flags[0]);
                assert!(text(&output.stderr).contains(&says), "{}", text(&output.stderr));
            }
        }
    }
    for address in ["exec:cat", "sh:cat", "exec+pty:cat"] {
        for more in [&[][..], &["--play", &play]] {
            let output = run(&[&["talk", address, "--retry", "1s"], more].concat(), b"");
            assert_code(&output, 2);
            let says = format!("--retry is about a server that may only be starting, and {address} is none");
            assert!(text(&output.stderr).contains(&says), "{}", text(&output.stderr));
        }
    }
    assert_code(&run(&["talk", "exec:cat", "--play", &play], b""), 0);
    for verb in [&["talk", "exec:cat"][..], &["talk", "127.0.0.1:9"], &["serve", "127.0.0.1:0", "--echo"]] {
        for (flag, value) in [("--seed", "1"), ("--at", "5")] {
            let output = run(&[verb, &[flag, value]].concat(), b"");
            assert_code(&output, 2);
            let says =
                format!("{flag} is about values that a transcript draws, and there is none: name it with --play");
            assert!(text(&output.stderr).contains(&says), "{verb:?}: {}", text(&output.stderr));
        }
    }
}
