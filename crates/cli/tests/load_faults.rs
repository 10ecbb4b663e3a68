//! `sockeye load` where something goes wrong: servers that fail, networks that lose, machines that are short of something. There is
//! a report all the same, and it says what was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::load::*;
use support::*;

#[test]
fn without_a_play_that_ended_the_first_failure_decides() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let refused = Closed::tcp();
    let closes = serve_each(|stream, _| drop(stream)).0;
    let resets = serve_each(|stream, _| {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    })
    .0;
    let garbage = serve_each(|mut stream, _| {
        let _ = stream.write_all(&[0, 1, 255, b'\n']);
        let _ = stream.read(&mut [0; 100]);
    })
    .0;
    let silent = serve_each(|mut stream, _| while stream.read(&mut [0; 100]).is_ok_and(|length| length > 0) {}).0;
    let refuses = refused.address.to_string();
    for (address, exits, says) in [
        (&refuses, &[7][..], "failed: refused"),
        (&closes, &[1, 56], "failed"),
        (&resets, &[56, 1], "failed"),
        (&garbage, &[1], "differs"),
        (&silent, &[28], ": nothing_came"),
    ] {
        // Only where nothing comes is waited in vain.
        let timeout = if says == ": nothing_came" { "300ms" } else { "60s" };
        let arguments =
            [address as &str, "--play", &client, "--plays", "8", "--connections", "4", "--timeout", timeout];
        let (output, figures) = folder.load(&arguments);
        assert!(exits.contains(&code(&output)), "{address} {says}: {} {}", code(&output), both(&output));
        assert!(both(&output).contains(says), "{says}: {}", both(&output));
        assert!(both(&output).contains("no play was finished as written"), "{}", both(&output));
        assert_eq!((count(&figures, "failures"), count(&figures, "exchanges")), (count(&figures, "plays"), 0));
    }
    let output = run(&["load", "no-such-name.invalid:1", "--play", &client], b"");
    assert_code(&output, 6);
}

#[test]
fn a_server_that_dies_in_the_middle_is_reported_as_it_was() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It answers a while, then it is gone with all of its connections: no client is let in before they are closed.
    let server = std::thread::spawn(move || {
        let streams: Vec<TcpStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
        drop(listener);
        for stream in &streams {
            let mut lines = BufReader::new(stream);
            for _ in 0..5 {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                (&*stream).write_all(line.replace("ping", "pong").as_bytes()).unwrap();
            }
        }
    });
    let (output, figures) = folder.load(&[&address, "--play", &client, "--plays", "60", "--connections", "4"]);
    server.join().unwrap();
    assert_code(&output, 1);
    assert!(count(&figures, "exchanges") >= 20 && count(&figures, "failures") > 0);
    assert!(both(&output).contains("failed: refused"), "{}", both(&output));
}

/// While a connection rests no answer is due: what comes then is the server's fault, and not an answer to the next play.
#[test]
fn what_a_server_says_between_two_plays_is_a_failure_at_once() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let (address, accepted) = serve_each(|stream, number| {
        answer_lines(&stream, |line| {
            if number == 0 {
                (&stream).write_all(pong(line)?.as_bytes()).ok()?;
                // The play is over by then; on a busy machine this may stand right behind its end, which is the same.
                std::thread::sleep(Duration::from_millis(200));
                return Some("unasked\n".to_owned());
            }
            pong(line)
        });
    });
    // The next play would begin in an hour: one over a new connection begins at once.
    let (output, figures) =
        folder.load(&[&address, "--play", &client, "--plays", "2", "--connections", "1", "--think", "1h"]);
    assert_code(&output, 1);
    let said = both(&output);
    assert!(said.contains("the server said something behind the end of the play"), "{said}");
    assert_eq!(count(&figures, "failures"), 1, "{said}");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

/// That is no fault of the server, and it is told apart.
#[test]
fn plays_that_begin_late_because_the_generator_stood_still_say_how_late() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    with_enough_time(|times| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let (address, _) = serve_each(move |stream, _| {
            answer_lines(&stream, |line| {
                counted.fetch_add(1, Ordering::SeqCst);
                pong(line)
            });
        });
        let (path, plays) = (folder.path("late.json"), (100 * times).to_string());
        let mut command = command(&[]);
        command.args(["load", &address, "--play", &client, "--plays", &plays, "--rate", "100"]);
        command.args(["--connections", "16", "--threads", "1", "--save"]).arg(&path);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("a question", || asked.load(Ordering::SeqCst) > 0);
        signal(child.id(), "STOP");
        // It stands still for so long, and plays are due meanwhile.
        let still = Duration::from_millis(300) * times;
        std::thread::sleep(still);
        signal(child.id(), "CONT");
        assert_eq!(wait(&mut child), 0);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let latest = figures["late"]["max"].as_f64().unwrap();
        if latest > still.as_secs_f64() / 2.0 { Ok(()) } else { Err(format!("{latest} s of {still:?}: {figures}")) }
    });
}

/// A reset that is written is the end of the play, and no play that was cut.
#[test]
fn plays_that_end_with_a_reset_as_written_are_counted() {
    let folder = Folder::new();
    for end in ["S resets", "C resets"] {
        let file = folder.file("reset.talk", &format!("C: ping\nS: pong\n{end}\n"));
        let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &file]);
        let (output, figures) =
            folder.load(&[&server.address(), "--play", &file, "--plays", "6", "--connections", "2"]);
        assert_code(&output, 0);
        let counted = ["plays", "exchanges", "failures"].map(|name| count(&figures, name));
        assert_eq!(counted, [6, 6, 0], "{end}: {}", both(&output));
    }
}

#[test]
fn an_interrupted_load_reports_what_was_reached() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    for (name, exit) in [("INT", 130), ("TERM", 143)] {
        let mut command = command(&[]);
        let path = folder.path(name);
        command.args(["load", &server.address(), "--play", &client, "--duration", "1h", "--save"]).arg(&path);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        log.wait_for("1 s: ");
        signal(child.id(), name);
        assert_eq!(wait(&mut child), exit);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(count(&figures, "plays") > 0 && count(&figures, "failures") == 0, "{figures}");
        assert_eq!(figures["interrupted"], Value::Bool(true));
    }
}

#[test]
fn a_machine_with_few_open_files_does_what_it_can_and_says_so() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    for (files, opened, more) in [
        ("64", "40 of 200", &[][..]),
        ("64", "40 of 200", &["--reconnect"]),
        ("40", "16 of 200", &[]),
        ("20", "1 of 200", &[]),
    ] {
        let mut command = command(&["prlimit", &format!("--nofile={files}")]);
        command.args(["load", &server.address(), "--play", &client, "--plays", "500", "--connections", "200"]);
        let output = run_command(command.args(["--threads", "2"]).args(more), b"");
        assert_code(&output, 27);
        let told = both(&output);
        assert!(told.contains("plays 500\nfailures 0\n"), "{files}: {told}");
        let says = format!("{files} open files: {opened} connections are opened (ulimit -n)");
        assert!(told.contains(&says), "{files}: {told}");
    }
    // With none for a connection, or not even for itself, it ends all the same, and says why.
    for files in ["12", "9", "6"] {
        let mut command = command(&["prlimit", &format!("--nofile={files}")]);
        command.args([
            "load",
            &server.address(),
            "--play",
            &client,
            "--plays",
            "5",
            "--threads",
            "2",
            "--connections",
            "2",
        ]);
        let output = run_command(&mut command, b"");
        assert_code(&output, 27);
        // How many are open already is up to our parent process.
        let words = [
            "Too many open files",
            "no descriptor was free to connect (ulimit -n)",
            "1 of 2 connections are opened (ulimit -n)",
        ];
        assert!(words.iter().any(|words| both(&output).contains(words)), "{files}: {}", both(&output));
    }
}

/// A namespace with a server of [`SERVED`] at `$address`, which is gone at its end. The program is `$1`, and the folder is `$folder`.
fn beside_a_server(folder: &Folder, script: &str) -> Output {
    let served = folder.file("served.talk", SERVED);
    in_namespace(&format!(
        "folder={}; rm -f $folder/port; $1 serve tcp://127.0.0.1:0 udp://127.0.0.1:0 --play {served} --udp-budget off --port-file $folder/port 2>/dev/null & server=$!
         trap 'kill $server' EXIT
         until [ -s $folder/port ]; do sleep 0.02; done
         port=$(head -n 1 $folder/port); address=127.0.0.1:$port
         code=0
         {script}
         exit $code",
        folder.0.path().display()
    ))
}

#[test]
fn figures_that_cannot_be_saved_are_printed_all_the_same() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    for (what, named) in [
        ("--save $full/run.json", &["full/run.json"][..]),
        ("--report $full/run.html", &["full/run.html"]),
        ("--save $full/run.json --report $full/run.html", &["full/run.json", "full/run.html"]),
        ("--save $folder/good.json --report $full/run.html", &["full/run.html"]),
        ("--save $full/run.json --report $folder/good.html", &["full/run.json"]),
        ("--save $folder/no/such/run.json", &["no/such/run.json"]),
        ("--save $folder/ro/run.json", &["ro/run.json"]),
    ] {
        // The disk has room for the names, and for nothing of what they are to hold.
        let script = format!(
            "full=$folder/full; mkdir -p $full $folder/ro; mount -t tmpfs -o size=8k none $full; mount -t tmpfs -o ro none $folder/ro
             head -c 8192 /dev/zero >$full/all || true
             $1 load $address --play {client} --plays 20 {what} || code=$?
             ls $full >&2"
        );
        let output = beside_a_server(&folder, &script);
        assert_code(&output, 23);
        let told = both(&output);
        assert!(told.contains("plays 20\nfailures 0\n") && told.contains("sockeye: cannot "), "{what}: {told}");
        assert!(named.iter().all(|name| told.contains(name)), "each that is missing is named: {what}: {told}");
        // Nothing is left of what could not be written whole.
        assert!(text(&output.stderr).ends_with("all\n"), "{what}: {told}");
    }
    // What could be written is there.
    let saved = std::fs::read_to_string(folder.path("good.json")).unwrap();
    assert_eq!(count(&serde_json::from_str(&saved).unwrap(), "plays"), 20);
    assert!(std::fs::read_to_string(folder.path("good.html")).unwrap().ends_with("</html>\n"));
}

#[test]
fn a_report_that_nobody_takes_is_exit_23_and_what_is_saved_is_there() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let path = folder.path("run.json");
    let mut command = command(&[]);
    command.args(["load", &server.address(), "--play", &client, "--plays", "20", "--save"]).arg(&path);
    let output = command.stdin(std::process::Stdio::null()).stdout(full).output().unwrap();
    assert_code(&output, 23);
    assert_eq!(count(&serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap(), "plays"), 20);
}

#[test]
fn a_network_that_loses_everything_for_three_seconds_is_seen_in_the_figures_of_both_loops() {
    need("nft");
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    // What is sent is lost, or what comes back; for plays by a clock, one after the other, and over HTTP.
    for (name, what, lost, rate) in [
        ("open", "--rate 200 --duration 6s", "dport", Some(1200)),
        ("poisson", "--rate 100 --arrivals poisson --duration 6s", "sport", None),
        ("closed", "--duration 6s", "dport", None),
    ] {
        let script = format!(
            "nft add table t; nft add chain t c '{{ type filter hook output priority 0; }}'
             (until [ -s $folder/log ]; do sleep 0.02; done; nft add rule t c tcp {lost} $port drop; sleep 3; nft flush chain t c) & loss=$!
             $1 load $address --play {client} --connections 4 --timeout 20s {what} --save $folder/run.json 2>$folder/log || code=$?
             wait $loss; cat $folder/log >&2; rm $folder/log"
        );
        let output = beside_a_server(&folder, &script);
        assert_code(&output, 0);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(folder.path("run.json")).unwrap()).unwrap();
        assert_eq!(count(&figures, "failures"), 0, "{name}: {}", both(&output));
        assert!(rate.is_none_or(|plays| count(&figures, "plays") == plays), "{name}: {}", both(&output));
        let latency = |part: &str| figures["latency"][part].as_f64().unwrap();
        assert!(latency("max") > 2.0, "{name}: {}", both(&output));
        if name == "closed" {
            // Four of all: no percentile shows them, and that is said.
            assert!(latency("p99") < 1.0, "{}", both(&output));
            assert!(both(&output).contains("a closed loop cannot show pauses of the server"), "{}", both(&output));
        } else {
            // Half of the plays were due meanwhile.
            assert!(latency("p90") > 1.0, "{name}: {}", both(&output));
        }
    }
}

#[test]
fn a_server_that_dies_and_returns_is_played_with_again() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let url_client = ["-H", "X: y"];
    // What each request is answered, line by line: of HTTP its last line.
    let answers = |stream: TcpStream, count: usize, is_web: bool| {
        let mut heard = 0;
        answer_lines(&stream, |line| {
            heard += usize::from(!is_web || line.is_empty());
            match (heard > count, is_web, line) {
                (true, ..) => None,
                (_, false, line) => pong(line),
                (_, true, "") => Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
                (_, true, _) => Some(String::new()),
            }
        });
    };
    for is_web in [false, true] {
        with_enough_time(|times| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let mut listener = Some(listener);
                for _ in 0..3 {
                    let listener = listener.take().unwrap_or_else(|| TcpListener::bind(address).unwrap());
                    let (stream, _) = listener.accept().unwrap();
                    drop(listener);
                    answers(stream, 5, is_web);
                }
            });
            let target = if is_web { format!("http://{address}/") } else { address.to_string() };
            let what: &[&str] = if is_web { &url_client } else { &["--play", &client] };
            let duration = format!("{times}s");
            let (output, figures) =
                folder.load(&[&[&target as &str][..], what, &["--connections", "1", "--duration", &duration]].concat());
            assert_code(&output, 1);
            // What it was asked last in each life is a failure, and so is each time that no server was there.
            assert!(
                count(&figures, "failures") >= 1 && count(&figures, "exchanges").is_multiple_of(5),
                "{}",
                both(&output)
            );
            assert!(both(&output).contains(": refused; the first after"), "{}", both(&output));
            if count(&figures, "exchanges") == 15 {
                server.join().unwrap();
                return Ok(());
            }
            until("the end of its lives", || {
                let _ = TcpStream::connect(address);
                server.is_finished()
            });
            Err(both(&output))
        });
    }
}

#[test]
fn servers_that_fail_while_something_begins_are_told_by_their_kind() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let secure = folder.file("tls.talk", "S: hi\nC: STARTTLS\nS: go\nstarttls\nC: in\nS: in\n");
    let reads = |mut stream: TcpStream, _| while stream.read(&mut [0; 100]).is_ok_and(|length| length > 0) {};
    let plain = serve_each(|mut stream, _| {
        let _ = stream.read(&mut [0; 1]);
        let _ = stream.write_all(b"220 mail.example ready\r\n");
        while stream.read(&mut [0; 1000]).is_ok_and(|length| length > 0) {}
    })
    .0;
    let silent = serve_each(reads).0;
    let refuses_tls = serve_each(|mut stream, _| {
        let _ = stream.write_all(b"hi\n");
        line(&mut stream);
        let _ = stream.write_all(b"go\n");
        read(&mut stream, 1);
        let _ = stream.write_all(b"502 no handshake here\r\n");
        while stream.read(&mut [0; 1000]).is_ok_and(|length| length > 0) {}
    })
    .0;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let deaf = format!("udp://{}", nobody.local_addr().unwrap());
    let closed = Closed::udp();
    let (over_tls, page, secure_page) =
        (format!("tls://{plain}"), format!("http://{silent}/"), format!("https://{plain}/"));
    for (what, exit, says) in [
        (&[&over_tls as &str, "--play", &client][..], 35, ": tls"),
        (&[&secure_page], 35, ": tls"),
        (&[&refuses_tls, "--play", &secure], 35, ": tls"),
        (&[&page], 28, ": nothing_came"),
        (&[&page, "--pipeline", "8"], 28, ": nothing_came"),
        (&[&deaf, "--play", &client], 28, ": nothing_came"),
        (&[&format!("udp://{}", closed.address), "--play", &client], 7, ": refused"),
    ] {
        // Only where nothing comes is waited in vain.
        let timeout = if exit == 28 { "300ms" } else { "60s" };
        let more = ["--plays", "8", "--connections", "2", "--timeout", timeout];
        let (output, figures) = folder.load(&[what, &more].concat());
        assert_eq!((code(&output), what[0]), (exit, what[0]), "{}", both(&output));
        assert!(both(&output).contains(says), "{what:?}: {}", both(&output));
        assert_eq!((count(&figures, "exchanges"), count(&figures, "failures")), (0, 8), "{what:?}");
    }
}

#[test]
fn a_signal_ends_a_load_wherever_it_stands() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let silent = serve_each(|mut stream, _| while stream.read(&mut [0; 100]).is_ok_and(|length| length > 0) {}).0;
    // A backlog that is full takes no client in.
    let hangs = Closed::tcp().listen();
    rustix::net::listen(&hangs, 0).unwrap();
    let full = hangs.local_addr().unwrap();
    let fill: Vec<std::thread::JoinHandle<_>> =
        (0..2).map(|_| std::thread::spawn(move || TcpStream::connect_timeout(&full, Duration::from_secs(1)))).collect();
    let held: Vec<_> = fill.into_iter().map(|one| one.join().unwrap()).collect();
    for (target, name, exit) in [
        (silent.clone(), "INT", 130),
        (silent, "TERM", 143),
        (full.to_string(), "INT", 130),
        (full.to_string(), "TERM", 143),
    ] {
        let path = folder.path("cut.json");
        let mut command = command(&[]);
        command.args([
            "load",
            &target,
            "--play",
            &client,
            "--duration",
            "1h",
            "--timeout",
            "1h",
            "--connections",
            "3",
            "--save",
        ]);
        command.arg(&path).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        log.wait_for("1 s: ");
        signal(child.id(), name);
        assert_eq!(wait(&mut child), exit);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(["plays", "exchanges", "failures"].map(|name| count(&figures, name)), [0; 3], "{figures}");
        assert_eq!(figures["interrupted"], Value::Bool(true));
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("interrupted"), "{said}");
    }
    drop(held);
    // Before it began there is nothing to report.
    let mut command = command(&[]);
    command.args(["load", &full.to_string(), "--play", &client, "--start-at", "4102444800"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until_idle(child.id());
    until("it watches for signals", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim().to_owned();
        u64::from_str_radix(&caught, 16).is_ok_and(|mask| mask & 2 != 0)
    });
    signal(child.id(), "INT");
    let exit = wait(&mut child);
    assert_eq!(exit, 130);
}

#[test]
fn ports_that_run_out_are_told_and_more_addresses_have_more() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    // With ten ports for each address, as with 28,000.
    let narrow = "echo '40000 40009' >/proc/sys/net/ipv4/ip_local_port_range";
    let load = |what: &str| {
        let script = format!(
            "{narrow}; $1 load $scheme$address --play {client} --duration 1s --rate 200 --save $folder/run.json {what} || code=$?"
        );
        let udp = "scheme=udp://; address=127.0.0.1:$(tail -n 1 $folder/port)";
        let scheme = if what.contains("udp") { udp } else { "scheme=" };
        let script = format!("{scheme}; {}", script.replace("udp ", ""));
        let output = beside_a_server(&folder, &script);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(folder.path("run.json")).unwrap()).unwrap();
        (output, count(&figures["connects"], "count"))
    };
    let (output, connects) = load("--connections 10");
    assert_code(&output, 0);
    assert!(connects == 10 && !both(&output).contains("no port was free"), "{}", both(&output));
    let (output, connects) = load("--connections 16");
    assert!(
        connects <= 10 && both(&output).contains("times no port was free to connect from (--source gives more)"),
        "{}",
        both(&output)
    );
    for what in [
        "--connections 20 --source 127.0.0.2,127.0.0.3",
        "--connections 28 --source 127.0.0.2,127.0.0.3,127.0.0.4",
        "udp --connections 20 --source 127.0.0.2,127.0.0.3",
    ] {
        let (output, connects) = load(what);
        assert_code(&output, 0);
        let wanted = what.split(' ').find_map(|word| word.parse::<u64>().ok()).unwrap();
        assert!(
            connects == wanted && !both(&output).contains("no port was free"),
            "{what}: {connects} {}",
            both(&output)
        );
    }
    // Without any, it gives up.
    let script = format!(
        "{narrow}; mkfifo $folder/fifo; exec 9<>$folder/fifo; talks=
         for n in 1 2 3 4 5 6 7 8 9 10; do $1 talk $address <&9 >/dev/null 2>&1 & talks=\"$talks $!\"; done
         until [ $(grep -c ' 01 ' /proc/net/tcp) -ge 20 ]; do sleep 0.05; done
         $1 load $address --play {client} --plays 10 --connections 2 || code=$?
         kill $talks"
    );
    let output = beside_a_server(&folder, &script);
    assert_code(&output, 27);
    assert!(both(&output).contains("times no port was free to connect from"), "{}", both(&output));
}

#[test]
fn connections_that_come_and_go_leave_descriptors_and_memory_as_they_were() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    let url = web(|number, _| match number % 5 {
        4 => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let address = server.address();
    for what in [&[&address as &str, "--play", &client][..], &[&address, "--play", &client, "--reconnect"], &[&url]] {
        let mut command = command(&[]);
        command.arg("load").args(what).args(["--duration", "1h", "--connections", "8", "--threads", "2"]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        log.wait_for("2 s: ");
        let (memory, most) = (resident(child.id()), 8 + files_of(child.id()));
        log.wait_for("6 s: ");
        let now = (resident(child.id()), files_of(child.id()));
        signal(child.id(), "INT");
        wait(&mut child);
        assert!(now.0 < memory + 2048 && now.1 <= most, "{what:?}: {memory} KiB became {} KiB, {} files", now.0, now.1);
    }
}

#[test]
fn as_many_connections_as_there_are_files_for_take_little_memory() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served, "-q"]);
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(15_100);
    let wanted = usize::try_from(most).unwrap().saturating_sub(100).min(15_000);
    let mut command = command(&[]);
    command.args([
        "load",
        &server.address(),
        "--play",
        &client,
        "--threads",
        "2",
        "--duration",
        "1h",
        "--timeout",
        "1h",
    ]);
    command.args(["--think", "1h", "--connections", &wanted.to_string()]);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    until("all of them are open", || files_of(child.id()) >= wanted);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    signal(child.id(), "INT");
    assert_eq!(wait(&mut child), 130);
    assert!(peak < 100 << 10, "{wanted} connections: {peak} KiB");
}

/// Nothing answers the last words of these plays. That they are with the system is no sign that the server read them.
#[test]
fn plays_whose_last_words_nobody_heard_have_failed() {
    let folder = Folder::new();
    let (says, asks) = (folder.file("only.talk", "C: only\n"), folder.file("ask.talk", "C: a\nS: b\nC: last\n"));
    // It reads one line of several, and when all the others have come it is gone.
    let reads_one = |plays: usize| {
        serve_each(move |mut stream, _| {
            read(&mut stream, if plays == 1 { 0 } else { 5 });
            until("the others", || {
                rustix::io::ioctl_fionread(&stream).is_ok_and(|unread| unread == 5 * (plays as u64 - 1).max(1))
            });
        })
        .0
    };
    // It answers, and does not read what is said behind the last answer.
    let answers = |plays: usize| {
        serve_each(move |mut stream, _| {
            for play in 1..=plays {
                read(&mut stream, if play == 1 { 2 } else { 7 });
                stream.write_all(b"b\n").unwrap();
            }
            until("the last", || rustix::io::ioctl_fionread(&stream).is_ok_and(|unread| unread == 5));
        })
        .0
    };
    for (address, file, plays, more, failures) in [
        (reads_one(100), &says, "100", &[][..], 100),
        (reads_one(100), &says, "100", &["--rate", "1000"], 100),
        (reads_one(3), &says, "3", &["--think", "1ms"], 3),
        (reads_one(1), &says, "1", &["--reconnect"], 1),
        (answers(10), &asks, "10", &[], 1),
        (answers(10), &asks, "10", &["--rate", "1000"], 1),
    ] {
        let arguments = [&address as &str, "--play", file, "--plays", plays, "--connections", "1", "--threads", "1"];
        let (output, figures) = folder.load(&[&arguments[..], more].concat());
        // Where some were heard, it is 1.
        assert_code(&output, if failures.to_string() == plays { 56 } else { 1 });
        assert_eq!(count(&figures, "failures"), failures, "{more:?} {}", both(&output));
        assert_eq!(figures["plays"].to_string(), plays, "{more:?}");
        assert!(both(&output).contains("not everything that was said may have been read"), "{}", both(&output));
    }
    // Who reads all loses nothing, whether it ends or not.
    let reads = serve_each(|mut stream, _| while stream.read(&mut [0; 100]).is_ok_and(|length| length > 0) {}).0;
    let stays = serve_each(|mut stream, _| {
        while stream.read(&mut [0; 100]).is_ok_and(|length| length > 0) {}
        std::thread::sleep(LONG);
    })
    .0;
    for address in [&reads, &stays] {
        for more in [&[][..], &["--rate", "1000"], &["--reconnect"]] {
            let arguments = [address as &str, "--play", &says, "--plays", "4", "--connections", "2"];
            let (output, figures) = folder.load(&[&arguments[..], more].concat());
            assert_code(&output, 0);
            assert_eq!(["plays", "failures"].map(|name| count(&figures, name)), [4, 0], "{more:?}");
        }
    }
    let closed = Closed::udp();
    for more in [&[][..], &["--reconnect"]] {
        let address = format!("udp://{}", closed.address);
        let output = run(&[&["load", &address, "--play", &says, "--plays", "1"], more].concat(), b"");
        assert_code(&output, 7);
    }
    // A port that is closed later had taken what came before.
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", server.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        for _ in 0..20 {
            server.recv(&mut [0; 64]).unwrap();
        }
    });
    let arguments = [&address as &str, "--play", &says, "--plays", "40", "--connections", "1", "--think", "5ms"];
    let (output, figures) = folder.load(&arguments);
    heard.join().unwrap();
    assert_code(&output, 1);
    assert!((1..=21).contains(&count(&figures, "failures")), "{}", both(&output));
}
