//! `ports` and `addrs`, beside ss(8) and ip(8).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use support::*;

fn objects(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn port(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn the_process_that_listens_on_a_port_is_named_and_its_clients_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
    let pid = std::process::id();
    let output = run(&["ports", &port(&listener), "--listening"], b"");
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains(&format!("({pid})")) && shown.contains(" 3/"), "{shown}");
    let output = run(&["ports", &port(&listener), "--json"], b"");
    let found = objects(&output.stdout);
    // The listener, and the three connections that wait to be accepted: no process has these yet.
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!((&found[0]["processes"][0]["pid"], &found[0]["waiting"]), (&Value::from(pid), &Value::from(3)));
    let local = format!("127.0.0.1:{}", port(&listener));
    assert!(found.iter().all(|socket| socket["local"] == local.as_str()), "{found:#?}");
    drop(clients);
}

#[test]
fn a_port_without_a_socket_is_exit_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = port(&listener);
    drop(listener);
    let output = run(&["ports", &free], b"");
    assert_code(&output, 1);
    assert_eq!(text(&output.stderr), format!("sockeye: no socket on port {free}\n"));
    let output = run(&["ports", &free, "--quiet", "--listening"], b"");
    assert_code(&output, 1);
    assert!(output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
    for (who, says) in [("4000000", "there is no process 4000000"), ("no-such", "no socket of a process `no-such`")] {
        let output = run(&["ports", "--of", who], b"");
        assert_code(&output, 1);
        assert_eq!(text(&output.stderr), format!("sockeye: {says}\n"));
    }
    for wrong in [&["ports", "0"][..], &["ports", "65536"], &["ports", "http"], &["ports", "--of", ""]] {
        assert_code(&run(wrong, b""), 2);
    }
}

#[test]
fn a_udp_socket_and_a_tcp_socket_share_a_number() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Another program may have the number for datagrams: then this test shows that one.
    let socket = UdpSocket::bind(address).ok();
    let found = objects(&run(&["ports", &port(&listener), "--listening", "--json"], b"").stdout);
    let protocols: Vec<_> = found.iter().map(|socket| socket["proto"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["tcp", "udp"], "{found:#?}");
    let found = objects(&run(&["ports", &port(&listener), "--protocol", "udp", "--json"], b"").stdout);
    assert_eq!(found.len(), 1, "{found:#?}");
    drop(socket);
}

#[test]
fn it_waits_until_somebody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port(&listener);
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut waiting = command(&[]).args(["ports", &number, "--wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    let mut shown = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(waiting.wait().unwrap().success());
    assert!(shown.contains("listen") && shown.contains(&number), "{shown}");
    drop(listener);
    for arguments in [&[&number, "--wait=1ms"][..], &["--wait", "1ms", &number], &[&number, "--wait", "1ms"]] {
        let output = run(&[&["ports"], arguments].concat(), b"");
        assert_code(&output, 28);
        assert!(text(&output.stderr).contains(&format!("no listener on port {number} within 0.001 s")), "{output:?}");
    }
    for wrong in [&["--wait"][..], &["--wait", "5s"], &["5s", "80"], &["80", "--wait=5s", "5s"]] {
        assert_code(&run(&[&["ports"], wrong].concat(), b""), 2);
    }
}

#[test]
fn a_holder_that_the_system_hides_is_said_to_be_hidden() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stranger =
        command(&["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    // The program may stand where only root looks.
    let folder =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("sockeye");
    std::fs::copy(BINARY, &program).unwrap();
    let stranger = {
        let mut again = std::process::Command::new(stranger.get_program());
        again.args(stranger.get_args().take_while(|word| *word != BINARY)).arg(&program);
        stranger = again;
        run_command(stranger.args(["ports", &port(&listener)]), b"")
    };
    assert_code(&stranger, 0);
    assert!(text(&stranger.stdout).contains("  hidden"), "{stranger:?}");
    assert_eq!(text(&stranger.stderr), "1 holder hidden: owned by uid 0 (root); run as root to see who\n");
}

#[test]
fn who_closed_first_is_told_by_what_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    drop(server);
    assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
    let states = || objects(&run(&["ports", &port(&listener), "--json"], b"").stdout);
    let found = states();
    let first = |found: &[Value]| found.iter().find_map(|socket| socket["closed_first"].as_str().map(str::to_owned));
    assert_eq!(first(&found).as_deref(), Some("local"), "{found:#?}");
    let own = client.local_addr().unwrap().port().to_string();
    let output = run(&["ports", &own], b"");
    assert!(
        text(&output.stdout).contains("close-wait") && text(&output.stdout).contains("the peer closed first"),
        "{output:?}"
    );
    drop(client);
    let found = loop {
        let found = states();
        if found.iter().any(|socket| socket["state"] == "time-wait") {
            break found;
        }
    };
    let left = found.iter().find_map(|socket| socket["time_wait"].as_f64()).unwrap();
    assert!(left > 0.0 && left <= 60.0, "{found:#?}");
}

#[test]
fn names_that_processes_choose_are_made_harmless() {
    need("python3");
    let script = "import socket,sys\nopen('/proc/self/comm','w').write('a\\x1b[31m\\nb')\ns=socket.socket()\ns.bind(('127.0.0.1',0))\n\
        s.listen()\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()\n";
    let mut child = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut number = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut number).unwrap();
    let output = run(&["ports", number.trim()], b"");
    drop(child.stdin.take());
    child.wait().unwrap();
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("a{0x1b}[31m{0x0a}b"), "{shown}");
}

/// Makes about 5,000 sockets in a network namespace of its own, where no other process makes any, and shows them to both.
const CROWD: &str = r#"
import json, socket, subprocess, sys
sockets = []
def keep(s): sockets.append(s); return s
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    listener = keep(socket.socket(family)); listener.bind((host, 0)); listener.listen(2000)
    for n in range(1200):
        client = keep(socket.socket(family)); client.connect(listener.getsockname())
        server, _ = listener.accept()
        if n % 10 == 0: server.close(); client.recv(1)     # FIN-WAIT-2 and CLOSE-WAIT
        elif n % 10 == 1: client.close(); server.recv(1); server.close()     # TIME-WAIT
        else: keep(server)
    for n in range(20):
        s = keep(socket.socket(family, socket.SOCK_DGRAM)); s.bind((host, 0))
        if n % 2: s.connect((host, 9))
    keep(socket.socket(family)).bind((host, 0))
ss = subprocess.run(["ss", "-tunapH"], capture_output=True, text=True, check=True).stdout
ours = subprocess.run([sys.argv[1], "ports", "--json", "--protocol", "tcp", "--protocol", "udp"], capture_output=True, text=True, check=True).stdout
print(json.dumps([len(sockets), ss, ours]))
"#;

#[test]
fn the_same_sockets_are_shown_as_ss_shows() {
    for program in ["ip", "unshare", "python3"] {
        need(program);
    }
    let script = format!("ip link set lo up && ulimit -n 19000 && exec python3 -c '{CROWD}' {BINARY}");
    let output = run_command(std::process::Command::new("unshare").args(["-n", "bash", "-c", &script]), b"");
    assert_code(&output, 0);
    let [made, theirs, ours]: [Value; 3] = serde_json::from_slice(&output.stdout).unwrap();
    assert!(made.as_u64().unwrap() > 4000);
    let mut theirs: Vec<String> = theirs.as_str().unwrap().lines().map(of_ss).collect();
    let ours = objects(ours.as_str().unwrap().as_bytes());
    // Who has a number and does not listen keeps others from it too; ss does not show these.
    let (bound, ours): (Vec<_>, Vec<_>) = ours.iter().partition(|socket| socket["state"] == "bound");
    assert_eq!(bound.len(), 2, "{bound:#?}");
    let mut ours: Vec<String> = ours.into_iter().map(of_ours).collect();
    theirs.sort();
    ours.sort();
    assert!(theirs.len() > 4000, "{}", theirs.len());
    let [missing, more] = [(&theirs, &ours), (&ours, &theirs)].map(|(these, those)| {
        let known: std::collections::HashSet<_> = those.iter().collect();
        these.iter().filter(|line| !known.contains(line)).take(5).collect::<Vec<_>>()
    });
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:#?}\nmore: {more:#?}");
    assert_eq!(theirs.len(), ours.len());
}

/// A line of ss: protocol, state, queues, both addresses, and perhaps `users:(("python3",pid=7,fd=3))`.
fn of_ss(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let state = match words[1] {
        "LISTEN" => "listen".to_owned(),
        "ESTAB" => "established".to_owned(),
        other => other.to_lowercase(),
    };
    let peer = if words[5].ends_with(":*") { "-" } else { words[5] };
    let pid = words.get(6).and_then(|users| users.split("pid=").nth(1)?.split([',', ')']).next()).unwrap_or("-");
    format!("{} {state} {}/{} {} {peer} {pid}", words[0], words[2], words[3], words[4])
}

fn of_ours(socket: &Value) -> String {
    let text = |key: &str| socket[key].as_str().unwrap_or("-").to_owned();
    let queue = |a: &str, b: &str| socket.get(a).or_else(|| socket.get(b)).and_then(Value::as_u64).unwrap();
    let pid = socket["processes"][0]["pid"].as_u64().map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let queues = format!("{}/{}", queue("waiting", "receive_queue"), queue("backlog", "send_queue"));
    format!("{} {} {queues} {} {} {pid}", text("proto"), text("state"), text("local"), text("peer"))
}

#[test]
fn one_family_is_shown_where_that_is_asked_for() {
    for (flag, own, other) in [("-4", "127.0.0.1/8", "::1/128"), ("-6", "::1/128", "127.0.0.1/8")] {
        let shown = text(&in_namespace(&format!("\"$1\" addrs {flag}")).stdout);
        assert!(shown.contains(own) && !shown.contains(other) && shown.contains("up,running,loopback"), "{shown}");
    }
    assert_code(&run(&["addrs", "-4", "127.0.0.1"], b""), 0);
    let output = run(&["addrs", "-6", "127.0.0.1"], b"");
    assert_code(&output, 6);
    assert!(text(&output.stderr).contains("127.0.0.1: it has no IPv6 address"), "{output:?}");
    assert_code(&run(&["addrs", "-4", "-6"], b""), 2);
}

/// A listener, and what keeps its port of the other family free: no other test has a socket there, nor one that is still waiting
/// for its time to be over.
fn listener_of_one_family(own: IpAddr, other: IpAddr) -> (TcpListener, OwnedFd) {
    loop {
        let listener = TcpListener::bind((own, 0)).unwrap();
        let family = if other.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let held = rustix::net::socket(family, SocketType::STREAM, None).unwrap();
        let port = listener.local_addr().unwrap().port();
        if rustix::net::bind(&held, &SocketAddr::new(other, port)).is_ok() {
            return (listener, held);
        }
    }
}

#[test]
fn sockets_of_one_family_are_shown_where_that_is_asked_for() {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let (four, _held) = listener_of_one_family(loopback[0], loopback[1]);
    let (six, _held_too) = listener_of_one_family(loopback[1], loopback[0]);
    let ports = [&four, &six].map(|listener| listener.local_addr().unwrap().port().to_string());
    for (flag, shown, other) in [("-4", &ports[0], &ports[1]), ("-6", &ports[1], &ports[0])] {
        assert_code(&run(&["ports", flag, shown], b""), 0);
        assert_code(&run(&["ports", "--listening", flag, other], b""), 1);
        let both = text(&run(&["ports", "--listening", flag, shown, other], b"").stdout);
        assert!(both.contains(&format!(":{shown} ")) && !both.contains(&format!(":{other} ")), "{both}");
        // Unix sockets are of neither.
        assert!(!text(&run(&["ports", flag, "--json"], b"").stdout).contains("\"unix\""));
    }
    assert_code(&run(&["ports", "-4", "-6"], b""), 2);
}

#[test]
fn interfaces_and_addresses_are_those_of_ip() {
    need("ip");
    let script = format!(
        "ip link set lo up; ip link add veth0 type veth peer name veth1; ip addr add 192.0.2.1/30 dev veth0; \
        ip -6 addr add 2001:db8::1/64 dev veth0 nodad; ip link set veth0 up; ip link set veth1 up; \
        ip -j addr; echo; {BINARY} addrs --json; {BINARY} addrs 192.0.2.2; {BINARY} addrs 2001:db8::2; {BINARY} addrs 203.0.113.1; echo $?"
    );
    let output = run_command(std::process::Command::new("unshare").args(["-n", "sh", "-c", &script]), b"");
    let shown = text(&output.stdout);
    let (theirs, rest) = shown.split_once("\n\n").unwrap_or_else(|| panic!("{output:?}"));
    let theirs: Value = serde_json::from_str(theirs).unwrap();
    let mut lines = rest.lines();
    for their in theirs.as_array().unwrap() {
        let ours: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!(
            (&ours["interface"], &ours["mtu"], &ours["index"]),
            (&their["ifname"], &their["mtu"], &their["ifindex"])
        );
        let addresses = |list: &Value, ip: &str, prefix: &str| -> Vec<String> {
            let one =
                |at: &Value| format!("{}/{} {}", at[ip].as_str().unwrap(), at[prefix], at["scope"].as_str().unwrap());
            // An address that the kernel gives an interface by itself may come between the two looks.
            list.as_array().unwrap().iter().map(one).filter(|line| !line.contains("fe80:")).collect()
        };
        assert_eq!(addresses(&ours["addresses"], "ip", "prefix"), addresses(&their["addr_info"], "local", "prefixlen"));
    }
    let rest: Vec<&str> = lines.collect();
    assert_eq!(rest[0], "192.0.2.2 from 192.0.2.1 on veth0");
    assert_eq!(rest[1], "2001:db8::2 from 2001:db8::1 on veth0");
    assert_eq!(rest[2..], ["203.0.113.1 cannot be reached: Network is unreachable", "7"]);
}

#[test]
fn what_is_no_destination_is_told_with_what_to_write() {
    for (destination, says) in [
        ("", "`` is no address and no name: write a host"),
        ("127.0.0.1:80", "write 127.0.0.1 alone"),
        ("[::1]:80", "write [::1] alone"),
        ("https://localhost/a?b", "write localhost alone"),
        ("fe80::1%no-such", "this machine has no interface `no-such`"),
    ] {
        let output = run(&["addrs", destination], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{destination}: {output:?}");
    }
    need("ip");
    let script = format!(
        "ip link set lo up; ip link add veth0 type veth peer name veth1; ip addr add 192.0.2.1/24 dev veth0; \
        ip -6 addr add fe80::7/64 dev veth0 nodad; ip link set veth0 up; ip link set veth1 up; \
        for to in fe80::1 fe80::1%veth0 [fe80::1%veth0] 192.0.2.255; do {BINARY} addrs $to; done"
    );
    let output = run_command(std::process::Command::new("unshare").args(["-n", "sh", "-c", &script]), b"");
    let shown = text(&output.stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "fe80::1 cannot be reached: it is a link-local address: say on which interface, as fe80::1%eth0",
            "fe80::1 from fe80::7 on veth0",
            "fe80::1 from fe80::7 on veth0",
            "192.0.2.255 cannot be reached: it is a broadcast address (talk --broadcast sends there)",
        ],
        "{output:?}"
    );
}

#[test]
fn sockets_of_a_process_are_shown_by_its_number_and_by_its_name() {
    let server = Server::start(&[]);
    let listens = format!(":{}", server.port());
    for who in [server.child.id().to_string(), "sockeye".to_owned()] {
        let shown = run(&["ports", "--listening", "--of", &who], b"");
        assert_code(&shown, 0);
        assert!(text(&shown.stdout).contains(&listens), "{who}: {}", text(&shown.stdout));
    }
    assert_code(&run(&["ports", "--of", "no-such-program"], b""), 1);
}
