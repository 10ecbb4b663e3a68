//! What the networks and the system below do to a server: questions to everybody, answers that a firewall refuses,
//! full queues, and errors of accept(2).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;

use support::*;

/// Two hosts on one wire: `va` with 10.9.0.1 and fd00::1 here, `vb` with 10.9.0.2 and fd00::2 in the namespace `x`.
const TWO_HOSTS: &str = "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; ip netns add x\n\
    ip link add va address 02:00:00:00:00:01 type veth peer name vb address 02:00:00:00:00:02 netns x\n\
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
        // This one may come before it is seen that accepting fails, or after.
        let _other = std::net::TcpStream::connect(server.address());
        until("the end of listening", || std::net::TcpStream::connect(server.address()).is_err());
        inside.write_all(b"second\n").unwrap();
        assert_eq!(to_end(&mut inside), b"done\n", "{error}");
        assert_eq!(server.wait(), 3);
        server.log.wait_for("accept: ");
    }
}

const PING: &str = "C: ping\nS: pong\n";
/// After the first answer it is not at its beginning any more.
const TWICE: &str = "C: ping\nS: pong\nC: pang\nS: peng\n";

fn transcript_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".talk").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Asks a datagram server once, whose answers meet an error; the exit code and the log.
fn asked(call: &str, error: &str, when: &str, text: &str) -> (i32, Vec<String>, Server) {
    let file = transcript_file(text);
    let wrapper = with_faults(call, error, when);
    let arguments = ["--play", file.path().to_str().unwrap(), "--once", "--timeout", "60s"];
    let wrapper = wrapper.each_ref().map(String::as_str);
    let mut server = Server::start_with(&wrapper, &["udp://127.0.0.1:0"], &arguments);
    server.datagrams().send(b"ping").unwrap();
    let code = server.wait();
    let log = server.log.to_end();
    (code, log, server)
}

#[test]
fn an_answer_that_the_kernel_refuses_is_a_failed_play() {
    for (error, words) in [
        ("EPERM", "the system does not allow it"),
        ("EACCES", "the system does not allow it"),
        ("EMSGSIZE", "it is too long for a datagram"),
        ("EHOSTUNREACH", "No route to host"),
        ("ENETUNREACH", "Network is unreachable"),
        ("ECONNREFUSED", "Connection refused"),
        ("ENOBUFS", "the queue of the interface was full for 1 s"),
        ("EAGAIN", "the queue of the interface was full for 1 s"),
        ("EINVAL", "Invalid argument"),
        ("EIO", "Input/output error"),
    ] {
        for text in [PING, TWICE] {
            let (code, log, _server) = asked("sendmmsg", error, "1+", text);
            assert_eq!(code, 1, "{error}: {log:#?}");
            let said = |words: &str| log.iter().any(|line| line.contains(words));
            assert!(said(&format!("error: 1 answer of 4 bytes could not be sent: {words}")), "{error}: {log:#?}");
            assert!(said("4 bytes from the client, 0 from the server"), "{error}: {log:#?}");
            assert!(said("1 conversation, 0 as written, 1 not"), "{error}: {log:#?}");
        }
    }
}

#[test]
fn an_answer_for_which_there_is_room_a_moment_later_arrives() {
    for (error, when) in
        [("EAGAIN", "1..20"), ("ENOBUFS", "1..20"), ("ENOMEM", "1..3"), ("ECONNREFUSED", "1"), ("EINTR", "1..5")]
    {
        let file = transcript_file(PING);
        let wrapper = with_faults("sendmmsg", error, when);
        let arguments = ["--play", file.path().to_str().unwrap(), "--once"];
        let wrapper = wrapper.each_ref().map(String::as_str);
        let mut server = Server::start_with(&wrapper, &["udp://127.0.0.1:0"], &arguments);
        let client = server.datagrams();
        client.send(b"ping").unwrap();
        assert_eq!(client.recv(&mut [0; 9]).unwrap(), 4, "{error}");
        assert_eq!(server.wait(), 0, "{error}");
        server.log.wait_for("4 bytes from the client, 4 from the server");
    }
}

/// Its play is not over, and the answer is owed all the same.
#[test]
fn a_server_that_is_stopped_sends_the_answer_for_which_there_is_room_a_moment_later() {
    let file = transcript_file(TWICE);
    let inject = "inject=sendmmsg:error=ENOBUFS:when=1..10";
    // The server itself is the child, to be signalled.
    let wrapper = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmmsg", "-e", inject];
    let arguments = ["--play", file.path().to_str().unwrap(), "--grace", "60s"];
    let mut server = Server::start_with(&wrapper, &["udp://127.0.0.1:0"], &arguments);
    let client = server.datagrams();
    // It finds both when it goes on.
    server.signal("STOP");
    client.send(b"ping").unwrap();
    server.signal("TERM");
    server.signal("CONT");
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 4);
    server.wait();
    server.log.wait_for("4 bytes from the client, 4 from the server");
}

#[test]
fn an_echo_that_cannot_be_sent_is_a_failure_too_and_others_are_served_on() {
    let wrapper = with_faults("sendmmsg", "EPERM", "1");
    let wrapper = wrapper.each_ref().map(String::as_str);
    let mut server = Server::start_with(&wrapper, &["udp://127.0.0.1:0"], &["--echo", "--times", "2"]);
    let client = server.datagrams();
    client.send(b"lost").unwrap();
    server.log.wait_for("error: 1 answer of 4 bytes could not be sent");
    client.send(b"found").unwrap();
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 5);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("2 conversations, 2 ended by themselves, 9 bytes came, 1 failed");
    // One that just serves tells of it, and exits 0.
    let wrapper = with_faults("sendmmsg", "EPERM", "1");
    let mut server = Server::start_with(&wrapper.each_ref().map(String::as_str), &["udp://127.0.0.1:0"], &["--echo"]);
    let client = server.datagrams();
    client.send(b"lost").unwrap();
    server.log.wait_for("error: 1 answer of 4 bytes could not be sent");
    client.send(b"found").unwrap();
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 5);
    assert!(server.child.try_wait().unwrap().is_none());
}

/// The real things: a firewall, a queue without room, an answer that no datagram holds.
#[test]
fn a_firewall_a_full_queue_and_a_long_answer_are_told_as_they_are() {
    need("nft");
    need("tc");
    need("python3");
    let client =
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'ping', ('10.9.0.2', 24100))";
    let fault = |fault: &str| {
        let script = format!(
            "{TWO_HOSTS}\
            printf 'C: ping\\nS: pong\\n' >/run/ping.talk\n\
            # No host has to ask for addresses, which would meet the same queue.\n\
            ip neigh replace 10.9.0.2 dev va lladdr 02:00:00:00:00:02 nud permanent\n\
            ip netns exec x ip neigh replace 10.9.0.1 dev vb lladdr 02:00:00:00:00:01 nud permanent\n\
            ip netns exec x sh -euc '{fault}'\n\
            ip netns exec x \"$1\" serve udp://10.9.0.2:24100 --once --play /run/ping.talk --port-file /run/ports & server=$!\n\
            until [ -e /run/ports ]; do sleep 0.01; done\n\
            python3 -c \"{client}\"\n\
            code=0; wait $server || code=$?; exit $code"
        );
        in_namespace(&script)
    };
    let output = fault("nft add table t; nft add chain t o {{ type filter hook output priority 0 \\; }}; nft add rule t o udp sport 24100 drop"
        .replace("{{", "{")
        .replace("}}", "}")
        .as_str());
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("a firewall of this machine may drop it"), "{}", text(&output.stderr));
    let output = fault("tc qdisc add dev vb root pfifo limit 0");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("the queue of the interface was full for 1 s"), "{}", text(&output.stderr));
    let output = fault("true");
    assert_code(&output, 0);

    // From the other end it is told alike, with a transcript and without.
    for (how, what) in
        [("--play /run/ping.talk", "send"), ("--send-only", "send"), ("--timeout 5s", "send"), ("--zero", "ask")]
    {
        let script = format!(
            "ip link set lo up\n\
            nft add table t\n\
            nft add chain t o '{{ type filter hook output priority 0 ; }}'\n\
            nft add rule t o udp dport 24101 drop\n\
            printf 'C: ping\\nS: pong\\n' >/run/ping.talk\n\
            code=0; echo ping | \"$1\" talk udp://127.0.0.1:24101 {how} || code=$?; exit $code"
        );
        let output = in_namespace(&script);
        assert_code(&output, 18);
        let told = text(&output.stderr);
        assert!(
            told.contains(&format!("cannot {what}: ")) && told.contains("a firewall of this machine may drop it"),
            "{told}"
        );
    }

    let file = transcript_file("C: {x}\nS: {x}{x}\n");
    let mut server = Server::start_at(&["udp://127.0.0.1:0"], &["--once", "--play", file.path().to_str().unwrap()]);
    server.datagrams().send(&[b'x'; 40_000]).unwrap();
    assert_eq!(server.wait(), 1);
    server.log.wait_for("what would be said is larger than a datagram, 65507 bytes");
}
