//! `sockeye load`: many connections, every answer checked, and figures that say what was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use support::*;

/// What both ends say to each other, over and over.
const ECHO: &str = "C: ping {play}\nS: pong {play}\n";
const SERVED: &str = "repeat\n  C: ping {n:int=1}\n  S: pong {n}\nend\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A load whose figures are saved, and what they say.
    fn load(&self, arguments: &[&str]) -> (Output, Value) {
        let path = self.path("figures.json");
        let output = run(&[&["load"], arguments, &["--save", path.to_str().unwrap()]].concat(), b"");
        let figures = std::fs::read_to_string(&path).map(|text| serde_json::from_str(&text).unwrap());
        (output, figures.unwrap_or_default())
    }
}

fn count(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap_or_else(|| panic!("{name} of {figures}"))
}

/// All that was said, with one space between words.
fn both(output: &Output) -> String {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// A server of which each connection has a thread; how many there were.
fn serve_each(act: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (accepted, act) = (Arc::new(AtomicUsize::new(0)), Arc::new(act));
    let counted = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (act, number) = (Arc::clone(&act), counted.fetch_add(1, Ordering::SeqCst));
            std::thread::spawn(move || act(stream, number));
        }
    });
    (address, accepted)
}

/// Answers line by line.
fn answer_lines(stream: &TcpStream, mut answer: impl FnMut(&str) -> Option<String>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
        match answer(line.trim_end()) {
            Some(said) if (&*stream).write_all(said.as_bytes()).is_ok() => line.clear(),
            _ => break,
        }
    }
}

fn pong(line: &str) -> Option<String> {
    Some(format!("pong {}\n", line.strip_prefix("ping ").unwrap_or("?")))
}

#[test]
fn plays_are_counted_exactly_and_figures_are_saved() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    for threads in ["1", "3"] {
        let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
        let (output, figures) = folder.load(&[
            &server.address(),
            "--play",
            &client,
            "--plays",
            "1001",
            "--threads",
            threads,
            "--connections",
            "7",
        ]);
        assert_code(&output, 0);
        assert_eq!(["plays", "exchanges", "failures"].map(|name| count(&figures, name)), [1001, 1001, 0]);
        let latency = ["p50", "p90", "p99", "p999", "max"].map(|name| figures["latency"][name].as_f64().unwrap());
        assert!(latency.is_sorted() && latency[0] > 0.0, "{latency:?}");
        assert!(both(&output).contains(&format!("{client}:1 1,001 ")), "{}", both(&output));
        let (code, log) = server.stop();
        assert_eq!((code, log.iter().filter(|line| line.contains("opened")).count()), (0, 7), "{log:?}");
    }
}

#[test]
fn each_play_has_its_number_and_its_row() {
    let folder = Folder::new();
    let client = folder.file("rows.talk", "C: {play} {who} {what}\nS: ok {play}\n");
    let rows = folder.file("rows.csv", "who,what\nann,1\nbob,2\n\"eve, too\",3\n");
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    let told = Arc::clone(&heard);
    let (address, _) = serve_each(move |stream, _| {
        answer_lines(&stream, |line| {
            let (number, row) = line.split_once(' ')?;
            *told.lock().unwrap().entry((number.parse::<u32>().unwrap(), row.to_owned())).or_insert(0) += 1;
            Some(format!("ok {number}\n"))
        });
    });
    let (output, _) = folder.load(&[&address, "--play", &client, "--data", &rows, "--plays", "60", "--threads", "2"]);
    assert_code(&output, 0);
    let heard = heard.lock().unwrap();
    let rows = ["ann 1", "bob 2", "eve, too 3"];
    let expected: Vec<((u32, String), i32)> =
        (1..=60).map(|number| ((number, rows[(number as usize - 1) % 3].to_owned()), 1)).collect();
    assert_eq!(heard.clone().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn shards_divide_what_there_is_and_take_their_number_from_who_started_them() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    let environments: [&[(&str, &str)]; 3] = [
        &[("SLURM_PROCID", "1"), ("SLURM_NTASKS", "3")],
        &[("AWS_BATCH_JOB_ARRAY_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")],
        &[("JOB_COMPLETION_INDEX", "1"), ("SHARDS", "3")],
    ];
    let plays = |arguments: &[&str], environment: &[(&str, &str)]| {
        let (path, address) = (folder.path("shard.json"), server.address());
        let mut command = command(&[]);
        command.args(["load", &address, "--play", &client, "--plays", "100", "--connections", "8", "--save"]);
        command.arg(&path).args(arguments).envs(environment.iter().copied());
        let output = run_command(&mut command, b"");
        assert_code(&output, 0);
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        count(&figures, "plays")
    };
    let typed: Vec<u64> = ["1/3", "2/3", "3/3"].iter().map(|shard| plays(&["--shard", shard], &[])).collect();
    assert_eq!(typed, [34, 33, 33]);
    for environment in environments {
        let shards: &[&str] = if environment[1].0 == "SHARDS" { &["--shards", "3"] } else { &[] };
        assert_eq!(plays(shards, environment), 33, "{environment:?}");
    }
    // What was typed wins.
    assert_eq!(plays(&["--shard", "1/3"], environments[0]), 34);
    for (environment, says) in [
        (
            &[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "3")],
            "SLURM_PROCID says that this is number 3, counted from 0, of 3",
        ),
        (&[("SLURM_PROCID", "x"), ("SLURM_NTASKS", "3")], "SLURM_PROCID is no number: x"),
    ] {
        let mut command = command(&[]);
        command.args(["load", "1", "--play", &client]).envs(environment.iter().copied());
        let output = run_command(&mut command, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{}", both(&output));
    }
    let output = run(&["load", "1", "--play", &client, "--shard", "5/9", "--connections", "4"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("shard 5/9 has none of 4 connections"), "{}", both(&output));
}

#[test]
fn a_play_has_a_connection_of_its_own_where_its_transcript_is_about_one() {
    let folder = Folder::new();
    let greeting = folder.file("greeting.talk", "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &[]);
    let (output, figures) =
        folder.load(&[&server.address(), "--play", &greeting, "--plays", "50", "--connections", "5"]);
    assert_code(&output, 0);
    assert_eq!((count(&figures, "plays"), count(&figures, "exchanges")), (50, 50));
    assert!(both(&output).contains("connects 50 "), "{}", both(&output));
    let (_, log) = server.stop();
    assert_eq!(log.iter().filter(|line| line.contains(" by server")).count(), 50, "{log:?}");

    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    let arguments = ["--play", &client, "--plays", "50", "--connections", "5", "--reconnect"];
    let (output, figures) = folder.load(&[&[server.address().as_str()][..], &arguments].concat());
    assert_code(&output, 0);
    assert_eq!(count(&figures, "plays"), 50);
    assert_eq!(server.stop().1.iter().filter(|line| line.contains("opened")).count(), 50);
}

#[test]
fn plays_go_over_datagrams_paths_and_tls() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let path = format!("unix:{}", folder.path("socket").display());
    for address in ["udp://127.0.0.1:0", &path] {
        let server = Server::start_at(&[address], &["--play", &served, "--udp-budget", "off"]);
        let to = if address == path { path.clone() } else { format!("udp://127.0.0.1:{}", server.port()) };
        let (output, figures) = folder.load(&[&to, "--play", &client, "--plays", "300", "--connections", "3"]);
        assert_code(&output, 0);
        assert_eq!((count(&figures, "plays"), count(&figures, "failures")), (300, 0));
    }
    let text_of = "S: hi\nC: STARTTLS\nS: go\nstarttls\nC: inside {play}\nS: yes {play}\n";
    let secure = folder.file("tls.talk", text_of);
    let server_side = folder.file("tls-server.talk", &text_of.replace("{play}", "{n=1}"));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &server_side]);
    let pin = server.log.wait_for("sha256:");
    let pin =
        pin.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().trim_end_matches([',', '.', ')']);
    let arguments = [&server.address(), "--play", &secure, "--plays", "40", "--connections", "4"];
    let (output, figures) = folder.load(&[&arguments[..], &["--pin", pin]].concat());
    assert_code(&output, 0);
    assert_eq!((count(&figures, "plays"), count(&figures, "exchanges")), (40, 80));
    assert!(both(&output).contains("handshakes 40 "), "{}", both(&output));
    // Without the pin no handshake comes about, and that is its own kind.
    let (output, _) = folder.load(&arguments);
    assert_code(&output, 60);
    assert!(both(&output).contains(": untrusted; the first after"), "{}", both(&output));
}

#[test]
fn several_transcripts_are_played_as_often_as_their_weights_say() {
    let folder = Folder::new();
    let (often, seldom) =
        (folder.file("often.talk", "C: often\nS: ok\n"), folder.file("seldom.talk", "C: seldom\nS: ok\n"));
    let heard = Arc::new(Mutex::new(BTreeMap::new()));
    let told = Arc::clone(&heard);
    let (address, _) = serve_each(move |stream, _| {
        answer_lines(&stream, |line| {
            *told.lock().unwrap().entry(line.to_owned()).or_insert(0) += 1;
            Some("ok\n".to_owned())
        });
    });
    let plays = [format!("{often}@3"), seldom];
    let arguments = [&address, "--play", &plays[0], "--play", &plays[1], "--plays", "400", "--threads", "1"];
    let (output, _) = folder.load(&arguments.map(|word| word as &str));
    assert_code(&output, 0);
    let heard: Vec<(String, i32)> = heard.lock().unwrap().clone().into_iter().collect();
    assert_eq!(heard, [("often".to_owned(), 300), ("seldom".to_owned(), 100)]);
}

/// A server that stands still for a while, once for every connection at the same time.
fn stalling(after: usize, time: Duration) -> String {
    let (answers, gate) = (AtomicUsize::new(0), Mutex::new(()));
    serve_each(move |stream, _| {
        answer_lines(&stream, |line| {
            let _open = gate.lock().unwrap();
            if answers.fetch_add(1, Ordering::SeqCst) == after {
                std::thread::sleep(time);
            }
            pong(line)
        });
    })
    .0
}

#[test]
fn an_open_loop_shows_that_the_server_stood_still_and_a_closed_one_says_that_it_cannot() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let stall = Duration::from_millis(800);
    let address = stalling(300, stall);
    let arguments = ["--play", &client, "--duration", "4s", "--connections", "16", "--threads", "1"];
    let (output, figures) = folder.load(&[&[&address as &str][..], &arguments, &["--rate", "500"]].concat());
    assert_code(&output, 0);
    // A fifth of the plays was due while it stood still: of a hundred, the slowest waited almost all of it.
    let p99 = figures["latency"]["p99"].as_f64().unwrap();
    assert!(p99 > 0.5, "{p99}: {}", both(&output));
    assert_eq!(count(&figures, "plays"), 2000);
    let address = stalling(2000, stall);
    let (output, _) = folder.load(&[&[&address as &str][..], &arguments].concat());
    assert_code(&output, 0);
    assert!(both(&output).contains("a closed loop cannot show pauses of the server"), "{}", both(&output));
}

#[test]
fn gates_that_are_missed_are_told_in_words_and_are_exit_1() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let wrong = AtomicUsize::new(0);
    let (address, _) = serve_each(move |stream, _| {
        answer_lines(&stream, |line| match wrong.fetch_add(1, Ordering::SeqCst) % 50 {
            7 => Some("pang\n".to_owned()),
            _ => pong(line),
        });
    });
    let plays = [&address as &str, "--play", &client, "--plays", "500", "--connections", "4"];
    for (gate, exit, says) in [
        (&[][..], 1, "10 of 500 plays failed"),
        (&["--max-errors", "10"], 0, ""),
        (&["--max-errors", "2%"], 0, ""),
        (&["--max-errors", "9"], 1, "10 of 500 plays failed, and 9 are allowed (--max-errors)"),
        (&["--max-errors", "1%"], 1, "and 1 % are allowed"),
        (&["--max-errors", "2%", "--max-p99", "0.001ms"], 1, "at most 0.001 ms is allowed (--max-p99)"),
        (&["--max-errors", "2%", "--min-rate", "1000000000"], 1, "at least 1000000000 are asked for (--min-rate)"),
        (&["--max-errors", "2%", "--max-p99", "60s", "--min-rate", "0.1"], 0, ""),
    ] {
        let (output, figures) = folder.load(&[&plays[..], gate].concat());
        assert_code(&output, exit);
        assert!(text(&output.stderr).contains(says), "{gate:?}: {}", both(&output));
        assert_eq!((count(&figures, "plays"), count(&figures, "failures")), (500, 10));
        // Where it failed, how, and the first of them whole.
        let told = both(&output);
        let says = ["10 failed at ", ": differs; the first", "received pang"];
        assert!(says.iter().all(|says| told.contains(says)), "{told}");
    }
}

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
        let arguments =
            [address as &str, "--play", &client, "--plays", "8", "--connections", "4", "--timeout", "300ms"];
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
    // It answers a while, then it is gone with all of its connections: nobody is let in before they are closed.
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
    let (output, figures) = folder.load(&[&address, "--play", &client, "--duration", "1s", "--connections", "4"]);
    server.join().unwrap();
    assert_code(&output, 1);
    assert!(count(&figures, "exchanges") >= 20 && count(&figures, "failures") > 0);
    assert!(both(&output).contains("failed: refused"), "{}", both(&output));
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
    need("prlimit");
    let mut command = command(&["prlimit", "--nofile=64"]);
    command.args(["load", &server.address(), "--play", &client, "--plays", "500", "--connections", "200"]);
    let output = run_command(&mut command, b"");
    assert_code(&output, 27);
    assert!(both(&output).contains("plays 500\nfailures 0\n"), "{}", both(&output));
    assert!(
        both(&output).contains("64 open files:") && both(&output).contains("of 200 connections are opened (ulimit -n)")
    );
}

#[test]
fn figures_that_cannot_be_saved_are_printed_all_the_same() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let output = in_namespace(&format!(
        "mkdir {0}/full; mount -t tmpfs -o size=4k none {0}/full; head -c 4096 /dev/zero >{0}/full/all || true
         $1 serve tcp://127.0.0.1:0 --play {served} --port-file {0}/port 2>/dev/null & server=$!
         until [ -s {0}/port ]; do sleep 0.02; done
         code=0; $1 load 127.0.0.1:$(cat {0}/port) --play {client} --plays 20 --save {0}/full/run.json || code=$?
         kill $server; exit $code",
        folder.0.path().display()
    ));
    assert_code(&output, 23);
    assert!(
        both(&output).contains("plays 20\nfailures 0\n") && both(&output).contains("cannot write"),
        "{}",
        both(&output)
    );
}

#[test]
fn a_network_that_loses_everything_for_a_while_is_seen_in_the_figures() {
    need("nft");
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let output = in_namespace(&format!(
        "$1 serve tcp://127.0.0.1:0 --play {served} --port-file {0}/port 2>/dev/null & server=$!
         until [ -s {0}/port ]; do sleep 0.02; done
         nft add table t; nft add chain t c '{{ type filter hook output priority 0; }}'
         (sleep 1; nft add rule t c tcp dport $(cat {0}/port) drop; sleep 3; nft flush chain t c) & loss=$!
         code=0; $1 load 127.0.0.1:$(cat {0}/port) --play {client} --duration 6s --rate 200 --connections 4 --timeout 20s --save {0}/run.json || code=$?
         wait $loss; kill $server; exit $code",
        folder.0.path().display()
    ));
    assert_code(&output, 0);
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(folder.path("run.json")).unwrap()).unwrap();
    assert_eq!((count(&figures, "plays"), count(&figures, "failures")), (1200, 0), "{}", both(&output));
    // What was due meanwhile waited, and its latency says so.
    assert!(figures["latency"]["max"].as_f64().unwrap() > 2.0, "{}", both(&output));
}

/// Answers requests in their order.
fn web(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let requests = AtomicUsize::new(0);
    let (address, _) = serve_each(move |stream, _| {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while lines.read_line(&mut head).is_ok_and(|length| length > 0) {
            if head.ends_with("\r\n\r\n") {
                let said = answer(requests.fetch_add(1, Ordering::SeqCst), &head);
                let is_last =
                    said.is_empty() || text(&said).contains("Connection: close") || text(&said).contains("cut");
                if (&stream).write_all(&said).is_err() || is_last {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                head.clear();
            }
        }
    });
    format!("http://{address}/page")
}

#[test]
fn a_page_is_asked_for_and_the_status_and_length_of_each_answer_are_checked() {
    let folder = Folder::new();
    let ok = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let chunked = |_: usize, _: &str| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n".to_vec()
    };
    let closing = |number: usize, _: &str| match number % 3 {
        2 => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    };
    let to_end = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec();
    for (url, more) in [
        (web(ok), &[][..]),
        (web(ok), &["--pipeline", "16"]),
        (web(ok), &["--rate", "1000"]),
        (web(ok), &["--reconnect"]),
        (web(chunked), &["--pipeline", "3"]),
        (web(closing), &[]),
        (web(closing), &["--pipeline", "8"]),
        (web(to_end), &[]),
    ] {
        let arguments = [&url as &str, "--plays", "200", "--connections", "4"];
        let (output, figures) = folder.load(&[&arguments[..], more].concat());
        assert_code(&output, 0);
        let counts = ["plays", "exchanges", "failures"].map(|name| count(&figures, name));
        assert_eq!(counts, [200, 200, 0], "{more:?} {}", both(&output));
    }
}

#[test]
fn answers_over_http_that_are_wrong_are_failures_of_their_kind() {
    let folder = Folder::new();
    let missing = |_: usize, _: &str| b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n".to_vec();
    let cut = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut".to_vec();
    let garbage = |_: usize, _: &str| b"220 mail.example ready\r\n\r\n".to_vec();
    let nothing = |_: usize, _: &str| vec![];
    let more = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello".to_vec();
    for (url, kind, says) in [
        (web(missing), "differs", "the server answered `HTTP/1.1 404 Not Found`"),
        (web(cut), "closed_early", "in the middle of an answer"),
        (web(garbage), "differs", "no answer of HTTP/1.1"),
        (web(nothing), "closed_early", "without an answer"),
        (web(more), "unexpected_data", "nobody asked for"),
    ] {
        let (output, figures) = folder.load(&[&url, "--plays", "20", "--connections", "2"]);
        assert_code(&output, 1);
        assert!(count(&figures, "failures") > 0, "{}", both(&output));
        let told = both(&output);
        assert!(told.contains(&format!("failed at GET /page: {kind};")) && told.contains(says), "{kind}: {told}");
    }
    // What is asked for decides.
    let (output, _) = folder.load(&[&web(missing), "--plays", "20", "--status", "404"]);
    assert_code(&output, 0);
}

#[test]
fn a_request_is_sent_as_it_was_asked_for() {
    let folder = Folder::new();
    let heard = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&heard);
    let url = web(move |_, head| {
        head.clone_into(&mut told.lock().unwrap());
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let arguments = [&url as &str, "--plays", "1", "-X", "DELETE", "-H", "X-Own: yes", "-H", "Accept:"];
    assert_code(&folder.load(&arguments).0, 0);
    let heard = heard.lock().unwrap();
    assert!(heard.starts_with("DELETE /page HTTP/1.1\r\n") && heard.contains("\r\nX-Own: yes\r\n"), "{heard}");
    assert!(!heard.contains("Accept"), "{heard}");
}

#[test]
fn wrong_usage_is_told_before_a_connection_is_opened() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let named = folder.file("named.talk", "C: {who}\nS: hi\n");
    let rows = folder.file("rows.jsonl", "{\"who\":\"a\"}\n{\"whom\":\"b\"}\n");
    for (arguments, says) in [
        (&["load"][..], "ADDR|URL"),
        (&["load", "1"], "load needs what to play, --play FILE, or the URL of a page"),
        (&["load", "--play", &client], "where to? no transcript names an address"),
        (&["load", "1", "--play", &client, "--plays", "0"], "from 1 up"),
        (&["load", "1", "--play", &client, "--rate", "0"], "write how many a second"),
        (&["load", "1", "--play", &client, "--think", "1s", "--rate", "5"], "cannot be used with"),
        (&["load", "1", "--play", &named], "nothing gives it a value"),
        (&["load", "1", "--play", &named, "--data", &rows], ":2: a load gives every play the same names"),
        (&["load", "1", "--play", &client, "--set", "nope=1"], "`nope` is given a value"),
        (&["load", "http://127.0.0.1:1/", "--set", "nope=1"], "there is none: name it with --play"),
        (&["load", "1", "--play", &client, "--shard", "0/3"], "from 1: 1/4"),
        (&["load", "1", "--play", &client, "--shards", "3"], "nothing says which this one is"),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", both(&output));
    }
}
