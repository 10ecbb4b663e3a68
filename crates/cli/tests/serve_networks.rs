//! What the networks and the system below do to a server: questions to everybody, answers that a firewall refuses,
//! full queues, and errors of accept(2).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;

use support::*;

/// Two hosts on one wire: `va` with 10.9.0.1 and fd00::1 here, `vb` with 10.9.0.2 and fd00::2 in the namespace `x`.
const TWO_HOSTS: &str = "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; ip netns add x\n\
    ip link add va type veth peer name vb netns x\n\
    echo 0 >/proc/sys/net/ipv6/conf/va/accept_dad\n\
    ip netns exec x sh -c 'echo 0 >/proc/sys/net/ipv6/conf/vb/accept_dad; ip link set lo up'\n\
    ip addr add 10.9.0.1/24 brd + dev va; ip addr add fd00::1/64 dev va nodad; ip link set va up\n\
    ip netns exec x sh -c 'ip addr add 10.9.0.2/24 brd + dev vb; ip addr add fd00::2/64 dev vb nodad; ip link set vb up'\n\
    until ip -6 addr show dev va scope link | grep -q fe80; do sleep 0.01; done\n\
    until ip netns exec x ip -6 addr show dev vb scope link | grep -q fe80; do sleep 0.01; done\n";

/// A question to everybody is answered by the address that is ours, over either family.
#[test]
fn questions_to_everybody_are_answered_from_an_address_of_ours() {
    need("python3");
    let client = r#"
import socket
for to in ['255.255.255.255', '10.9.0.255', '224.0.0.1', '10.9.0.2', 'ff02::1%va', 'fd00::2']:
    family, _, _, _, address = socket.getaddrinfo(to, 24100, 0, socket.SOCK_DGRAM)[0]
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(30)
    if family == socket.AF_INET:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.9.0.1'))
        s.bind(('10.9.0.1', 0))
    s.sendto(b'Ann', address)
    answer, who = s.recvfrom(100)
    print(to, answer.decode(), who[0])
"#;
    let script = format!(
        "{TWO_HOSTS}\
        ip netns exec x \"$1\" serve udp://:24100 --port-file /run/ports 2>/run/log & server=$!\n\
        until [ -e /run/ports ]; do sleep 0.01; done\n\
        python3 - <<'END' || {{ cat /run/log; exit 1; }}\n{client}\nEND\nkill $server; wait $server; cat /run/log >&2"
    );
    let output = in_namespace(&script);
    assert_code(&output, 0);
    let heard = text(&output.stdout);
    let lines: Vec<&str> = heard.lines().collect();
    for (line, asked) in lines.iter().zip(["255.255.255.255", "10.9.0.255", "224.0.0.1", "10.9.0.2"]) {
        assert_eq!(*line, format!("{asked} Hello, Ann! 10.9.0.2"));
    }
    assert!(lines[4].starts_with("ff02::1%va Hello, Ann! fe80::"), "{heard}");
    assert_eq!(lines[5], "fd00::2 Hello, Ann! fd00::2");
    assert_eq!(text(&output.stderr).matches("closed #").count(), 6, "{}", text(&output.stderr));
}

fn with_faults(call: &str, error: &str, when: &str) -> [String; 9] {
    let inject = format!("inject={call}:error={error}:when={when}");
    ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject].map(str::to_owned)
}

/// Errors of accept(2) that we have no name for, too: those inside are served on, and the next one comes in.
#[test]
fn an_unknown_error_of_accept_ends_no_listener_and_drops_nobody() {
    for error in ["EACCES", "EIO", "ECONNRESET", "ENOSR", "ETIMEDOUT", "EOPNOTSUPP", "ENODEV", "EBUSY"] {
        let wrapper = with_faults("accept4", error, "2..12");
        let mut server = Server::start_with(&wrapper.each_ref().map(String::as_str), &["tcp://127.0.0.1:0"], &[]);
        let mut inside = server.welcomed();
        for _ in 0..3 {
            server.welcomed();
        }
        inside.write_all(b"Ann\n").unwrap();
        assert_eq!(line(&mut inside), "Hello, Ann!\n", "{error}");
        assert!(server.child.try_wait().unwrap().is_none());
        if !["ETIMEDOUT", "EOPNOTSUPP"].contains(&error) {
            server.log.wait_for("a client could not be accepted: ");
        }
    }
}

/// An error that stays is told now and then, and keeps nothing busy.
#[test]
fn an_error_of_accept_that_stays_is_bounded() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let wrapper =
        ["strace", "-f", "-qq", "-o", path, "-e", "trace=accept4", "-e", "inject=accept4:error=EACCES:when=2+"];
    let server = Server::start_with(&wrapper, &["tcp://127.0.0.1:0"], &[]);
    let mut inside = server.welcomed();
    let began = std::time::Instant::now();
    let _outside = server.connect();
    server.log.wait_for_count("could not be accepted: Permission denied", 3);
    inside.write_all(b"Ann\n").unwrap();
    assert_eq!(line(&mut inside), "Hello, Ann!\n");
    let calls = std::fs::read_to_string(path).unwrap().lines().count();
    // Eight in a row, four times a second.
    let most = 64 + 40 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    assert!(calls <= most, "{calls} calls, {most} are enough");
}

/// What says that our own socket is broken ends the listener; those inside get the grace.
#[test]
fn a_listener_that_is_broken_lets_those_inside_finish() {
    for error in ["EBADF", "EINVAL", "ENOTSOCK", "EFAULT"] {
        let wrapper = with_faults("accept4", error, "2+");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.talk");
        std::fs::write(&path, "C: first\nS: and?\nC: second\nS: done\nS closes\n").unwrap();
        let arguments = ["--play", path.to_str().unwrap(), "--grace", "60s"];
        let wrapper = wrapper.each_ref().map(String::as_str);
        let mut server = Server::start_with(&wrapper, &["tcp://127.0.0.1:0"], &arguments);
        let mut inside = server.connect();
        inside.write_all(b"first\n").unwrap();
        assert_eq!(line(&mut inside), "and?\n");
        let _other = server.connect();
        until("the end of listening", || std::net::TcpStream::connect(server.address()).is_err());
        inside.write_all(b"second\n").unwrap();
        assert_eq!(to_end(&mut inside), b"done\n", "{error}");
        assert_eq!(server.wait(), 3);
        server.log.wait_for("accept: ");
    }
}
