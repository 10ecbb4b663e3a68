//! Binding: all or nothing, never a port that is taken, and wrong addresses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;

use support::*;

/// Row 33 of the faults: a held port is never shared, and its holder is named.
#[test]
fn the_same_port_cannot_be_bound_twice_and_the_holder_is_named() {
    let server = Server::start(&[]);
    let pid = server.child.id();
    for address in [
        server.address(),
        format!("tcp://{}", server.address()),
        format!("udp://{}", server.address()),
        format!(":{}", server.port()),
    ] {
        let output = run(&["serve", &address], b"");
        assert_code(&output, 3);
        let stderr = text(&output.stderr);
        assert!(stderr.contains(&format!(":{}", server.port())), "{stderr}");
        assert!(stderr.contains(&format!("sockeye (pid {pid})")), "{stderr}");
    }
    let output = run(&["talk", "--listen", &server.address()], b"");
    assert_code(&output, 3);
    assert!(text(&output.stderr).contains(&format!("sockeye (pid {pid})")));
}

#[test]
fn tcp_and_udp_on_one_number_do_not_conflict() {
    // Another test may have the same number of the other protocol just now: then take the next.
    let (_tcp, port) = std::iter::repeat_with(|| TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|tcp| (tcp.local_addr().unwrap().port(), tcp))
        .find_map(|(port, tcp)| UdpSocket::bind(("127.0.0.1", port)).is_ok().then_some((tcp, port)))
        .unwrap();
    let server = Server::start_at(&[&format!("udp://127.0.0.1:{port}")], &[]);
    assert_eq!(server.port(), port);
}

#[test]
fn if_one_socket_cannot_be_bound_none_is() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("ports");
    let held = format!("udp://127.0.0.1:{port}");
    let output = run(&["serve", "127.0.0.1:0", &held, "--port-file", port_file.to_str().unwrap()], b"");
    assert_code(&output, 3);
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&held) && !stderr.contains("listening on"), "{stderr}");
    assert!(!port_file.exists());
}

/// Row 33: connections in TIME_WAIT do not keep a restarted server from its port.
#[test]
fn a_restarted_server_gets_its_port_back_at_once() {
    let server = Server::start(&[]);
    let address = server.address();
    let mut client = server.welcomed();
    std::io::Write::write_all(&mut client, b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"");
    drop(client);
    server.log.wait_for("closed #1");
    assert_eq!(server.stop().0, 0);
    let again = Server::start_at(&[&address], &[]);
    assert_eq!(again.address(), address);
}

/// Row 34: only a dead socket of ours is replaced.
#[test]
fn a_unix_path_is_taken_over_only_from_a_dead_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let address = format!("unix:{}", path.display());
    let live = UnixListener::bind(&path).unwrap();
    let output = run(&["serve", &address], b"");
    assert_code(&output, 3);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("in use") && stderr.contains(&format!("(pid {})", std::process::id())), "{stderr}");
    drop(live);
    let server = Server::start_at(&["127.0.0.1:0", &address], &[]);
    assert_code(&run(&["talk", &address], b"exit\n"), 0);
    drop(server);
    for make in [
        |path: &std::path::Path| std::fs::write(path, "precious").unwrap(),
        |path: &std::path::Path| {
            std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
        },
    ] {
        let other = folder.path().join("other");
        make(&other);
        let output = run(&["serve", &format!("unix:{}", other.display())], b"");
        assert_code(&output, 3);
        assert!(text(&output.stderr).contains("stands there"), "{}", text(&output.stderr));
        std::fs::remove_file(&other).unwrap();
    }
}

/// Row 52 of the faults.
#[test]
fn without_an_address_nothing_but_the_loopback_is_bound() {
    let output = in_namespace(
        r#"ip addr add 10.7.7.1/24 dev lo
        folder=$(mktemp -d); "$1" serve --port-file $folder/ports 2>$folder/log & pid=$!
        while [ ! -e $folder/ports ]; do kill -0 $pid; sleep 0.01; done
        cat $folder/ports; cat /proc/net/tcp /proc/net/udp /proc/net/tcp6 /proc/net/udp6
        kill -TERM $pid; wait $pid"#,
    );
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().next(), Some("9999"), "{stdout}{}", text(&output.stderr));
    // 9999 is 270F; 127.0.0.1 and ::1 as the kernel writes them.
    let bound: Vec<&str> = stdout.lines().filter(|line| line.contains(":270F ")).collect();
    assert_eq!(bound.len(), 4, "{stdout}");
    for line in bound {
        assert!(line.contains(" 0100007F:270F ") || line.contains(" 00000000000000000000000001000000:270F "), "{line}");
    }
}

#[test]
fn without_ipv6_the_default_is_a_notice_and_not_an_error() {
    let output = in_namespace(
        r#"echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6 2>/dev/null || ip addr del ::1/128 dev lo
        folder=$(mktemp -d); "$1" serve --port-file $folder/ports 2>$folder/log & pid=$!
        while [ ! -e $folder/ports ]; do kill -0 $pid; sleep 0.01; done
        kill -TERM $pid; wait $pid; cat $folder/log"#,
    );
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("not on ::1: this machine has no IPv6"), "{stdout}{}", text(&output.stderr));
    assert_eq!(stdout.matches("listening on").count(), 2, "{stdout}");
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_to_write() {
    for (arguments, words) in [
        (vec!["serve", "gopher://x:1"], "unknown scheme `gopher`"),
        (vec!["serve", "quic://:443"], "not there yet"),
        (vec!["talk", "https://x/"], "not there yet"),
        (vec!["serve", "127.0.0.1:70000"], "ports are numbers from 0 to 65535"),
        (vec!["talk", "::1:9999"], "without brackets"),
        (vec!["serve", "--play", "/nowhere/x.talk"], "cannot read the transcript /nowhere/x.talk"),
        (vec!["serve", "--echo", "--discard"], "cannot be used with"),
        (vec!["talk", "--keep", "9999"], "--listen"),
        (vec!["serve", "--grace", "soon"], "500ms, 5s, 2m"),
        (vec!["probe", "1"], "`sockeye probe` is not there yet"),
        (vec!["banana"], "`banana` is no verb"),
        (vec![], "Usage"),
    ] {
        let output = run(&arguments, b"");
        assert_code(&output, 2);
        let stderr = text(&output.stderr);
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn names_that_lead_nowhere_and_ports_that_refuse_have_codes_of_their_own() {
    let output = run(&["talk", "no-such-name.invalid:1"], b"");
    assert_code(&output, 6);
    let nobody = Closed::tcp();
    let closed = nobody.address;
    let output = run(&["talk", &closed.to_string()], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains(&format!("{closed}: Connection refused")), "{}", text(&output.stderr));
    let output = run(&["serve", "198.51.100.77:0"], b"");
    assert_code(&output, 3);
    assert!(text(&output.stderr).contains("no interface of this machine has that address"));
    for listening in [
        &["serve", "no-such-name.invalid:0"][..],
        &["relay", "no-such-name.invalid:0", "1"],
        &["talk", "--listen", "no-such-name.invalid:0"],
    ] {
        assert_code(&run(listening, b""), 6);
    }
}

/// Row 32 of the faults: dead first addresses, 64 of them, no resolver.
#[test]
fn a_name_with_several_addresses_is_raced_and_each_attempt_is_told() {
    let live = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = live.local_addr().unwrap().port();
    drop(live);
    let output = in_namespace(&format!(
        r#"hosts=$(mktemp)
        for n in $(seq 2 65); do echo "127.0.1.$n many"; done > $hosts
        printf '127.0.0.9 two\n127.0.0.1 two\n' >> $hosts
        mount --bind $hosts /etc/hosts
        folder=$(mktemp -d); "$1" serve 127.0.0.9:{port} --port-file $folder/ports 2>/dev/null & pid=$!
        while [ ! -e $folder/ports ]; do kill -0 $pid; sleep 0.01; done
        printf 'Ann\nexit\n' | "$1" talk two:{port} -v
        code=0; "$1" talk many:{port} </dev/null || code=$?; echo "many: $code"
        mount --bind /dev/null /etc/resolv.conf
        code=0; "$1" talk nobody.example:{port} </dev/null || code=$?; echo "nobody: $code"
        kill -TERM $pid; wait $pid"#
    ));
    assert_code(&output, 0);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        stdout.contains("Hello, Ann!") && stdout.contains("many: 7") && stdout.contains("nobody: 6"),
        "{stdout}{stderr}"
    );
    assert!(
        stderr.contains(&format!("127.0.0.1:{port}: Connection refused; "))
            || stderr.contains(&format!("127.0.0.1:{port}: Connection refused\n")),
        "{stderr}"
    );
    assert!(stderr.contains(&format!("127.0.0.9:{port}: connected after")), "{stderr}");
    assert!(stderr.contains(&format!("127.0.1.65:{port}: Connection refused")), "{stderr}");
}

#[test]
fn a_stopped_server_says_so_and_leaves_no_listener() {
    let server = Server::start(&[]);
    let address = server.address();
    let _idle = server.welcomed();
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log:#?}");
    assert!(log.last().unwrap().starts_with("1 conversation, 1 as written"), "{log:#?}");
    assert!(TcpStream::connect(address).is_err());
}
