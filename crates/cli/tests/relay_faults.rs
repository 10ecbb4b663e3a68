//! `relay` as a bad network, its records, and what happens to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::*;

const ANY: &str = "tcp://127.0.0.1:0";

/// A relay to a listener of ours.
fn relay(more: &[&str]) -> (Server, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    (Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], more), server)
}

fn joined(relay: &Server, server: &TcpListener) -> (TcpStream, TcpStream) {
    let client = relay.connect();
    let accepted = server.accept().unwrap().0;
    accepted.set_read_timeout(Some(LONG)).unwrap();
    (client, accepted)
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect()
}

/// Rows 27 and 29 of the list of faults: late, slow, in pieces, and every byte arrives.
#[test]
fn what_is_late_slow_or_in_pieces_arrives_whole() {
    for (faults, count) in [
        (&["--delay", "5ms±5ms"][..], 300_000),
        (&["--delay", "5ms+-2ms,normal", "--slice", "100..9000"], 300_000),
        (&["--rate", "8Mbit"], 500_000),
        (&["--slice", "1..3"], 5_000),
    ] {
        let (relay, server) = relay(&[faults, &["--seed", "1"]].concat());
        let (mut client, mut accepted) = joined(&relay, &server);
        let said = bytes(count);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let mut reader = accepted.try_clone().unwrap();
            let up = scope.spawn(move || to_end(&mut reader));
            let mut writer = client.try_clone().unwrap();
            let said = &said;
            scope.spawn(move || {
                writer.write_all(said).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            accepted.write_all(said).unwrap();
            accepted.shutdown(Shutdown::Write).unwrap();
            assert!(to_end(&mut client) == *said, "{faults:?}");
            assert!(up.join().unwrap() == *said, "{faults:?}");
        });
        if faults.contains(&"--rate") {
            // A million bytes a second, and no machine makes that faster.
            assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
        }
    }
}

#[test]
fn a_delay_is_about_the_direction_that_is_named() {
    for (faults, late) in [
        (&["--delay", "down:100ms"][..], true),
        (&["--delay", "100ms", "--down"], true),
        (&["--delay", "up:1ms"], false),
    ] {
        let (relay, server) = relay(&[faults, &["--seed", "1"]].concat());
        let (mut client, mut accepted) = joined(&relay, &server);
        let began = Instant::now();
        accepted.write_all(b"x").unwrap();
        read(&mut client, 1);
        // A busy machine may be late without it, and never early with it.
        assert!(!late || began.elapsed() >= Duration::from_millis(100), "{faults:?}: {:?}", began.elapsed());
    }
}

#[test]
fn so_many_bytes_pass_and_then_it_is_cut_reset_or_stands_still() {
    let (cut, server) = relay(&["--cut-after", "up:1000", "--seed", "1"]);
    let (mut client, mut accepted) = joined(&cut, &server);
    client.write_all(&bytes(5000)).unwrap();
    assert!(to_end(&mut accepted) == bytes(1000));
    drop(accepted);
    assert_eq!(to_end(&mut client), b"");
    drop(client);
    cut.log.wait_for("cut on purpose (--cut-after, what the client says)");

    let (reset, server) = relay(&["--reset-after", "down:1000", "--seed", "1"]);
    let (mut client, mut accepted) = joined(&reset, &server);
    accepted.write_all(&bytes(5000)).unwrap();
    let mut heard = Vec::new();
    assert_eq!(client.read_to_end(&mut heard).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(heard == bytes(1000), "{}", heard.len());

    let (by_time, server) = relay(&["--reset-after", "50ms", "--seed", "1"]);
    let (mut client, _accepted) = joined(&by_time, &server);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    let (stall, server) = relay(&["--stall-after", "up:1000", "--seed", "1"]);
    let (mut client, mut accepted) = joined(&stall, &server);
    client.write_all(&bytes(5000)).unwrap();
    assert!(read(&mut accepted, 1000) == bytes(1000));
    // The other direction goes on, and what stands behind it shows that no more came.
    accepted.write_all(b"still here").unwrap();
    assert_eq!(read(&mut client, 10), b"still here");
    assert_silent(&accepted);
}

#[test]
fn a_share_of_connections_is_refused_and_a_seed_repeats_which() {
    let refused = |seed: &str| -> Vec<bool> {
        let echo = Server::start_at(&[ANY], &["--echo"]);
        let relay = Server::relay(&[ANY, &echo.address()], &["--refuse", "30%", "--seed", seed]);
        let one = || {
            let mut client = relay.connect();
            let _ = client.write_all(b"x");
            // A write that learns of the reset leaves an end to be read.
            !client.read(&mut [0]).is_ok_and(|count| count == 1)
        };
        (0..200).map(|_| one()).collect()
    };
    let first = refused("11");
    let count = first.iter().filter(|refused| **refused).count();
    // 60 are expected, and four standard deviations are 26.
    assert!((34..=86).contains(&count), "{count}");
    assert_eq!(first, refused("11"));
    assert_ne!(first, refused("12"));
}

#[test]
fn bytes_are_changed_as_often_as_asked_for_and_none_is_lost() {
    let changed = |seed: &str| -> Vec<u8> {
        let (relay, server) = relay(&["--corrupt", "up:1%", "--seed", seed]);
        let (mut client, mut accepted) = joined(&relay, &server);
        client.write_all(&[0; 50_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        to_end(&mut accepted)
    };
    let first = changed("5");
    assert_eq!(first.len(), 50_000);
    let count = first.iter().filter(|byte| **byte != 0).count();
    // 500 are expected, and four standard deviations are 89.
    assert!((411..=589).contains(&count), "{count}");
    assert_eq!(first, changed("5"));
}

/// Rows 26 and 27 of the list of faults speak of loss, duplicates and reordering: here they are made, as often as asked for.
#[test]
fn datagrams_are_lost_doubled_and_overtaken_as_often_as_asked_for() {
    const COUNT: u32 = 2000;
    let run = |faults: &[&str]| -> Vec<u32> {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(LONG)).unwrap();
        let to = format!("udp://{}", server.local_addr().unwrap());
        let relay = Server::relay(&["udp://127.0.0.1:0", &to], &[faults, &["--up", "--seed", "3"]].concat());
        let client = relay.datagrams();
        let mut heard = Vec::new();
        let mut buffer = [0; 64];
        for number in 0..COUNT {
            client.send(&number.to_be_bytes()).unwrap();
            if number % 20 == 19 {
                // Not more than a queue holds, whatever is slow.
                wait_until_idle(relay.child.id());
                server.set_nonblocking(true).unwrap();
                while let Ok(length) = server.recv(&mut buffer) {
                    heard.push(u32::from_be_bytes(buffer[..length].try_into().unwrap()));
                }
            }
        }
        // One of these that comes has all the others before it, but for one that is overtaken.
        server.set_nonblocking(false).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (mut number, mut behind) = (COUNT, 0);
        until("what was sent behind the last", || {
            client.send(&number.to_be_bytes()).unwrap();
            number += 1;
            while let Ok(length) = server.recv(&mut buffer) {
                match u32::from_be_bytes(buffer[..length].try_into().unwrap()) {
                    COUNT.. => behind += 1,
                    before => heard.push(before),
                }
            }
            behind >= 4
        });
        heard
    };
    // 200 are expected of each, and four standard deviations are 54.
    let expected = 146..=254;
    let lost = COUNT as usize - run(&["--drop", "10%"]).len();
    assert!(expected.contains(&lost), "{lost} lost");
    let doubled = run(&["--duplicate", "10%"]).len() - COUNT as usize;
    assert!(expected.contains(&doubled), "{doubled} doubled");
    let mixed = run(&["--reorder", "10%"]);
    let late = mixed.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert_eq!(mixed.len(), COUNT as usize);
    assert!((130..=240).contains(&late), "{late} overtaken");
}

/// Rows 26 and 28 of the list of faults: one packet in twenty is lost on every way, and then all of them for a while. TCP and
/// TLS carry every byte both ways. `SOCKEYE_LOSS=1 SOCKEYE_MIB=4096` has 4 GiB pass under one in a hundred lost.
#[test]
fn loss_and_a_partition_that_heals_cost_no_byte() {
    need("nft");
    let number = |name: &str, usual: u64| {
        std::env::var(name).map_or(usual, |number| number.parse::<u64>().expect("a whole number"))
    };
    let (loss, mib) = (number("SOCKEYE_LOSS", 5), number("SOCKEYE_MIB", 20));
    let script = r#"
        folder=$(mktemp -d)
        "$1" serve tcp://127.0.0.1:7001 --echo -q >/dev/null 2>&1 & one=$!
        "$1" relay tls://127.0.0.1:7002 127.0.0.1:7001 >/dev/null 2>"$folder/log" & two=$!
        until pin=$(grep -o 'sha256:.*' "$folder/log") && grep -q listening "$folder/log"; do sleep 0.05; done
        "$1" relay 127.0.0.1:7003 "tls://127.0.0.1:7002?pin=$pin" --port-file "$folder/port" -q >/dev/null 2>&1 & three=$!
        until [ -e "$folder/port" ]; do sleep 0.05; done
        nft add table inet faults
        nft add chain inet faults input '{ type filter hook input priority 0; }'
        nft add rule inet faults input numgen random mod 100 '<' LOSS drop
        # The same bytes twice, of which no disk holds all.
        said() { openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff -iv 0 -in /dev/zero 2>/dev/null | head -c MIBM; }
        (
            until [ "$(cat "$folder/bytes" 2>/dev/null || echo 0)" != 0 ]; do sleep 0.01; done
            nft insert rule inet faults input drop
            sleep 2
            nft flush chain inet faults input
            touch "$folder/healed"
        ) >/dev/null 2>&1 &
        said | "$1" talk 127.0.0.1:7003 | { dd bs=1 count=1 2>/dev/null | tee "$folder/first"; wc -c <"$folder/first" >"$folder/bytes"; cat; } | sha256sum >"$folder/heard"
        [ -e "$folder/healed" ] && said | sha256sum | cmp - "$folder/heard" && echo whole
        kill -9 $one $two $three
        rm -r "$folder"
    "#;
    let script = script.replace("LOSS", &loss.to_string()).replace("MIB", &mib.to_string());
    let output = in_namespace(&script);
    assert!(text(&output.stdout).contains("whole"), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_seed_that_was_not_given_is_said() {
    let (relay, _server) = relay(&["--delay", "1ms"]);
    let line = relay.log.wait_for("the same again: --seed ");
    assert!(line.rsplit(' ').next().unwrap().parse::<u64>().is_ok(), "{line}");
}

fn greet_through(relay: &Server) {
    let mut client = relay.connect();
    assert_eq!(read(&mut client, 9), b"Welcome!\n");
    client.write_all(b"Michael\n").unwrap();
    assert_eq!(line(&mut client), "Hello, Michael!\n");
    client.write_all(b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"");
}

#[test]
fn a_record_of_each_connection_can_be_played_against_either_end() {
    let greeter = Server::start_at(&[ANY], &[]);
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("%n.talk").display().to_string();
    let relay = Server::relay(&[ANY, &greeter.address()], &["--record", &name]);
    greet_through(&relay);
    greet_through(&relay);
    let (code, log) = relay.stop();
    assert_eq!(code, 0, "{log:#?}");
    for number in [1, 2] {
        let record = folder.path().join(format!("{number}.talk"));
        let record = record.to_str().unwrap();
        assert!(std::fs::read_to_string(record).unwrap().contains("S: Hello, Michael!\n"));
        // As the client, against the server that it is a record of; and both ends against each other.
        assert_code(&run(&["talk", &greeter.address(), "--play", record], b""), 0);
        assert_code(&run(&["check", record], b""), 0);
        // As the server, for a client that is its record.
        let mut server = Server::start_at(&[ANY], &["--play", record, "--once"]);
        assert_code(&run(&["talk", &server.address(), "--play", record], b""), 0);
        assert_eq!(server.wait(), 0);
    }
}

/// The side that stops first only stops sending, the side that stops last closes, and a reset is none of both.
#[test]
fn a_record_says_which_side_ended_how() {
    let reset = |stream: TcpStream| {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    for (first, second, resets) in [("C", "S", false), ("S", "C", false), ("C", "S", true), ("S", "C", true)] {
        let path = folder.path().join(format!("{first}-{resets}.talk"));
        let (relay, server) = relay(&["--record", path.to_str().unwrap()]);
        let (client, accepted) = joined(&relay, &server);
        let (mut one, mut other) = if first == "C" { (client, accepted) } else { (accepted, client) };
        one.write_all(b"question\n").unwrap();
        assert_eq!(read(&mut other, 9), b"question\n");
        let ends = if resets {
            reset(one);
            assert_eq!(other.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            format!("{first} resets\n")
        } else {
            one.shutdown(Shutdown::Write).unwrap();
            assert_eq!(to_end(&mut other), b"");
            other.write_all(b"answer\n").unwrap();
            drop(other);
            assert_eq!(to_end(&mut one), b"answer\n");
            format!("{first} stops sending\n{second}: answer\n{second} closes\n")
        };
        relay.log.wait_for("closed #1");
        let record = std::fs::read_to_string(&path).unwrap();
        assert!(record.ends_with(&format!("{first}: question\n{ends}")), "{record}");
    }
}

/// Row 35 of the list of faults: a record that a kill or a full disk ends is whole statements, and the relay goes on.
#[test]
fn a_record_that_a_kill_ends_is_whole_statements() {
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.talk");
    let mut relay = Server::relay(&[ANY, &echo.address()], &["--record", path.to_str().unwrap()]);
    let mut client = relay.connect();
    for number in 0..500 {
        client.write_all(format!("line {number}\n").as_bytes()).unwrap();
        assert_eq!(line(&mut client), format!("line {number}\n"));
    }
    relay.child.kill().unwrap();
    relay.wait();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n') && text.contains("C: line 498\n"), "{text}");
    assert_code(&run(&["check", path.to_str().unwrap()], b""), 0);
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_relay() {
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let relay = Server::relay(&[ANY, &echo.address()], &["--record", "/dev/full"]);
    let mut client = relay.connect();
    for number in 0..100 {
        client.write_all(format!("line {number}\n").as_bytes()).unwrap();
        assert_eq!(line(&mut client), format!("line {number}\n"));
    }
    drop(client);
    relay.log.wait_for("/dev/full: No space left on device; the relay goes on");
    assert_eq!(relay.stop().0, 0);
}

/// What tshark makes of a capture.
fn tshark(capture: &Path, arguments: &[&str]) -> String {
    need("tshark");
    let output = std::process::Command::new("tshark").arg("-r").arg(capture).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_capture_of_streams_is_what_an_analyser_expects() {
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tcp.pcapng");
    let relay = Server::relay(&[ANY, &echo.address()], &["--pcap", path.to_str().unwrap()]);
    let epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let began = epoch();
    let mut client = relay.connect();
    let own = client.local_addr().unwrap().port();
    let said = bytes(150_000);
    let mut writer = client.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&said).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(to_end(&mut client) == said);
    });
    relay.log.wait_for("closed #1");
    let checked = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
    let odd = "tcp.analysis.flags or tcp.checksum.status!=1 or ip.checksum.status!=1 or _ws.malformed";
    assert_eq!(tshark(&path, &[&checked[..], &["-Y", odd]].concat()), "");
    let ports =
        tshark(&path, &["-T", "fields", "-e", "frame.interface_name", "-e", "tcp.srcport", "-Y", "tcp.flags.syn==1"]);
    let ports: Vec<&str> = ports.lines().collect();
    assert_eq!(ports[0], format!("clients\t{own}"));
    assert_eq!(ports[1], format!("clients\t{}", relay.port()));
    assert_eq!(ports[3], format!("servers\t{}", echo.port()));
    let lengths = tshark(&path, &["-T", "fields", "-e", "tcp.len", "-Y", &format!("tcp.dstport=={}", echo.port())]);
    assert_eq!(lengths.lines().map(|line| line.parse::<usize>().unwrap()).sum::<usize>(), said.len());
    // Each packet has its time, by the clock that logs elsewhere go by.
    let (times, ended) = (tshark(&path, &["-T", "fields", "-e", "frame.time_epoch"]), epoch());
    let mut times = times.lines().map(|line| line.parse::<f64>().unwrap());
    assert!(times.all(|time| (began - 0.001..=ended).contains(&time)), "{began} to {ended}");
}

#[test]
fn a_capture_shows_whose_socket_was_reset_by_whom() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reset.pcapng");
    for by_client in [true, false] {
        let (relay, server) = relay(&["--pcap", path.to_str().unwrap()]);
        let (client, accepted) = joined(&relay, &server);
        let own = client.local_addr().unwrap().port();
        let theirs = accepted.peer_addr().unwrap().port();
        let (mut one, mut other) = if by_client { (client, accepted) } else { (accepted, client) };
        one.write_all(b"x").unwrap();
        assert_eq!(read(&mut other, 1), b"x");
        rustix::net::sockopt::set_socket_linger(&one, Some(Duration::ZERO)).unwrap();
        drop(one);
        assert_eq!(other.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        relay.log.wait_for("closed #1");
        let fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "tcp.srcport", "-Y", "tcp.flags.reset==1"];
        let first = tshark(&path, &fields).lines().next().unwrap().to_owned();
        let port = server.local_addr().unwrap().port();
        assert_eq!(first, if by_client { format!("clients\t{own}") } else { format!("servers\t{port}") });
        let all = tshark(&path, &fields);
        let passed_on = if by_client { format!("servers\t{theirs}") } else { format!("clients\t{}", relay.port()) };
        assert!(all.lines().any(|line| line == passed_on), "{all}");
    }
}

#[test]
fn a_capture_of_tls_opens_decrypted_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let authority = support::peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    for version in ["-tls1_2", "-tls1_3"] {
        need("openssl");
        let peer = support::peers::Peer::start(|port| {
            let mut command = std::process::Command::new("openssl");
            let at = format!("127.0.0.1:{port}");
            command.args([
                "s_server",
                "-quiet",
                "-rev",
                version,
                "-accept",
                &at,
                "-cert",
                "server.pem",
                "-key",
                "server.key",
            ]);
            command.current_dir(folder.path());
            command
        });
        let path = folder.path().join(format!("tls{version}.pcapng"));
        let ca = folder.path().join("ca.pem").display().to_string();
        let to = format!("tls://localhost:{}?ca={ca}", peer.port);
        let relay = Server::relay(&["tls://127.0.0.1:0", &to], &["-4", "--pcap", path.to_str().unwrap()]);
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-quiet", version, "-connect", &relay.address()]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut client = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        client.stdin.as_mut().unwrap().write_all(b"secret\n").unwrap();
        let mut heard = [0; 7];
        client.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"terces\n");
        client.kill().unwrap();
        client.wait().unwrap();
        relay.log.wait_for("closed #1");
        let ports = [relay.port(), peer.port].map(|port| format!("tcp.port=={port},tls"));
        let fields = ["-d", &ports[0], "-d", &ports[1], "-Y", "data", "-T", "fields"];
        let fields = [&fields[..], &["-e", "frame.interface_name", "-e", "data.data"]].concat();
        let clear = tshark(&path, &fields);
        let (question, answer) = ("7365637265740a", "7465726365730a");
        let expected: String = [("clients", question), ("servers", question), ("servers", answer), ("clients", answer)]
            .map(|(side, said)| format!("{side}\t{said}\n"))
            .concat();
        assert_eq!(clear, expected, "{version}");
        assert_eq!(tshark(&path, &["-Y", "tcp.analysis.flags"]), "");
    }
}

#[test]
fn a_capture_of_datagrams_has_all_of_them_and_a_full_disk_does_not_end_the_relay() {
    let echo = Server::start_at(&["udp://127.0.0.1:0"], &["--echo"]);
    let to = format!("udp://{}", echo.address());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("udp.pcapng");
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--pcap", path.to_str().unwrap()]);
    let client = relay.datagrams();
    for said in [&b"odd"[..], b"even", b""] {
        client.send(said).unwrap();
        if !said.is_empty() {
            assert_eq!(client.recv(&mut [0; 16]).unwrap(), said.len());
        }
    }
    assert_eq!(relay.stop().0, 0);
    let fields = ["-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "udp.checksum.status", "-e", "data.data"];
    let packets = tshark(&path, &fields);
    assert_eq!(packets.lines().filter(|line| *line == "1\t6f6464").count(), 4, "{packets}");
    assert_eq!(packets.lines().filter(|line| *line == "1\t6576656e").count(), 4, "{packets}");
    let output = run(&["relay", "127.0.0.1:0", &echo.address(), "--pcap", "/dev/full"], b"");
    assert_code(&output, 23);
}

#[test]
fn datagrams_that_are_too_long_for_the_other_side_are_told_as_lost() {
    // IPv6 carries 20 bytes more than IPv4 (RFC 768, RFC 8200).
    let server = UdpSocket::bind("[::1]:0").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let relay = Server::relay(&["udp://127.0.0.1:0", &format!("udp://{}", server.local_addr().unwrap())], &[]);
    let client = relay.datagrams();
    client.send(b"question").unwrap();
    let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
    server.send_to(&bytes(65_520), from).unwrap();
    server.send_to(b"short", from).unwrap();
    let mut heard = vec![0; 70_000];
    assert_eq!(client.recv(&mut heard).unwrap(), 5);
    relay.log.wait_for("dropped 1: datagrams that could not be sent on");
    assert_eq!(relay.stop().0, 0);
}

#[test]
fn what_is_lost_on_purpose_in_one_direction_is_counted_when_the_flow_ends() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("udp://{}", server.local_addr().unwrap());
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--drop", "100%", "--idle-timeout", "200ms"]);
    let client = relay.datagrams();
    client.send(b"one").unwrap();
    client.send(b"two").unwrap();
    relay.log.wait_for("2 datagrams were lost on purpose (--drop)");
}

#[test]
fn a_unix_server_whose_queue_is_full_is_tried_until_the_time_is_over() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let address = SocketAddrUnix::new(&path).unwrap();
    let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let server = socket();
    bind(&server, &address).unwrap();
    listen(&server, 0).unwrap();
    let mut queued = Vec::new();
    loop {
        let fd = socket();
        match connect(&fd, &address) {
            Ok(()) => queued.push(fd),
            Err(error) => break assert_eq!(error, rustix::io::Errno::AGAIN),
        }
    }
    let relay = Server::relay(&[ANY, &format!("unix:{}", path.display())], &["--connect-timeout", "300ms"]);
    let began = Instant::now();
    let _client = relay.connect();
    relay.log.wait_for("Resource temporarily unavailable");
    relay.log.wait_for("closed #1");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn what_is_said_is_shown_and_harms_no_terminal() {
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let relay = Server::relay(&[ANY, &echo.address()], &["--show", "--hexdump"]);
    let mut client = relay.connect();
    client.write_all(b"Michael\n\x1b[2J").unwrap();
    read(&mut client, 12);
    relay.log.wait_for("#1 C: Michael");
    relay.log.wait_for("#1 S raw: {0x1b}[2J");
    relay.log.wait_for("#1 C 00000000  4d 69 63 68 61 65 6c 0a  1b 5b 32 4a");
    assert!(relay.log.all().iter().all(|line| !line.contains('\x1b')));
}

/// The examples of docs/relay.md.
#[test]
fn the_examples_of_the_page_do_what_it_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/relay.md")).unwrap();
    // What is steered from outside is in relay_control.rs.
    let (page, _) = page.split_once("\n## Steering it by toxiproxy's clients").unwrap();
    let greeter = Server::start_at(&[ANY], &[]);
    let folder = tempfile::tempdir().unwrap();
    let authority = support::peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let mut count = 0;
    for block in page.split("```sh\n").skip(1) {
        let (commands, rest) = block.split_once("```").unwrap();
        let shown = rest.strip_prefix("\n```text\n").map(|rest| rest.split("```").next().unwrap());
        for command in commands.lines() {
            let command = command.split("  #").next().unwrap().trim();
            let words: Vec<String> =
                command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
            assert_eq!(words[..2], ["sockeye", "relay"], "{command}");
            // Ports of this machine and names that are none: the same with others.
            let ours = |word: &String| match word.as_str() {
                "127.0.0.1:7001?accept-proxy" => "127.0.0.1:0?accept-proxy".to_owned(),
                "7001" | "6379" | "8080" | "80" => "127.0.0.1:0".to_owned(),
                "tls://:6380" => "tls://127.0.0.1:0".to_owned(),
                "relay.pcapng" => folder.path().join("relay.pcapng").display().to_string(),
                "ws://:8081" => "ws://127.0.0.1:0".to_owned(),
                "udp://:53" => "udp://127.0.0.1:0".to_owned(),
                "localhost:7000" | "localhost:6379" => greeter.address(),
                "unix:/run/app.sock" => format!("unix:{}", folder.path().join("app.sock").display()),
                other => other
                    .replace("localhost:7000", &greeter.address())
                    .replace("db.example", "localhost")
                    .replace("ca.pem", folder.path().join("ca.pem").to_str().unwrap()),
            };
            let words: Vec<String> = words[2..].iter().map(ours).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            count += 1;
            if words.iter().any(|word| word.contains("nodely")) {
                let output = run(&[&["relay"], &words[..]].concat(), b"");
                assert_code(&output, 2);
                assert!(
                    text(&output.stderr)
                        .contains("which an address without a scheme does not know: did you mean nodelay?")
                );
                continue;
            }
            let relay = Server::relay(&words, &[]);
            relay.log.wait_for("listening on ");
            if words.contains(&"--show") {
                greet_through(&relay);
            }
            for line in shown.into_iter().flat_map(str::lines) {
                relay.log.wait_for(line);
            }
        }
    }
    assert!(count >= 9, "{count}");
}
