//! `sockeye load`: many connections, every answer checked, and figures that say what was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::load::*;
use support::*;

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

/// It is part of the play: over one that stood before, the greeting would come when nothing is played.
#[test]
fn an_open_loop_opens_the_connection_of_a_play_when_it_is_due() {
    let folder = Folder::new();
    let greeting = folder.file("greeting.talk", "S: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nC: exit\nS closes\n");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &[]);
    let arguments = ["--play", &greeting, "--plays", "5", "--connections", "5", "--rate", "10"];
    let (output, figures) = folder.load(&[&[server.address().as_str()][..], &arguments].concat());
    assert_code(&output, 0);
    assert_eq!(["plays", "failures"].map(|name| count(&figures, name)), [5, 0], "{}", both(&output));
}

#[test]
fn what_stands_behind_the_end_of_a_play_over_its_own_connection_fails_nothing() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let (address, _) = serve_each(|stream, _| answer_lines(&stream, |line| Some(pong(line)? + "and more\n")));
    let (output, figures) =
        folder.load(&[&address, "--play", &client, "--plays", "8", "--connections", "2", "--reconnect"]);
    assert_code(&output, 0);
    assert_eq!(["plays", "failures"].map(|name| count(&figures, name)), [8, 0], "{}", both(&output));
}

/// The next play begins when all is sent, though no answer comes that would say so.
#[test]
fn a_play_that_ends_with_more_than_the_network_takes_at_once_is_followed_by_the_next() {
    let folder = Folder::new();
    let client = folder.file("long.talk", &format!("C: ping 1\nS: pong 1\nC: {}\n", "x".repeat(60_000)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 2048).unwrap();
    let address = format!("{}?sndbuf=4096", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut long = 0;
        answer_lines(&accept(&listener), |line| {
            long += usize::from(line.len() == 60_000);
            if line.starts_with("ping") { pong(line) } else { Some(String::new()) }
        });
        long
    });
    let (output, figures) = folder.load(&[&address, "--play", &client, "--plays", "3", "--connections", "1"]);
    assert_code(&output, 0);
    assert_eq!(["plays", "failures"].map(|name| count(&figures, name)), [3, 0], "{}", both(&output));
    assert_eq!(served.join().unwrap(), 3);
}

/// Between two plays, and while an answer is waited for, it looks at nothing but its clock.
#[test]
fn a_load_that_waits_sleeps() {
    need("strace");
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let (address, _) = serve_each(|stream, _| answer_lines(&stream, pong));
    let calls = folder.path("calls");
    let waits = "trace=?epoll_wait,?epoll_pwait,?epoll_pwait2";
    let strace = ["strace", "-f", "-qq", "-o", calls.to_str().unwrap(), "-e", "signal=none", "-e", waits];
    for paced in [["--think", "400ms"], ["--rate", "2.5"]] {
        let began = Instant::now();
        let mut load = command(&strace);
        load.args(["load", &address, "--play", &client, "--plays", "3", "--connections", "1", "--threads", "1"]);
        let output = run_command(load.args(paced), b"");
        assert_code(&output, 0);
        let count = std::fs::read_to_string(&calls).unwrap().lines().count();
        let most = 50 + (10.0 * began.elapsed().as_secs_f64()) as usize;
        assert!(count <= most, "{paced:?}: {count} wake-ups, and {most} at most");
    }
}

#[test]
fn bytes_of_all_plays_of_a_connection_are_counted_once() {
    let folder = Folder::new();
    let served = folder.file("served.talk", "repeat\n  C: hello\n  S: world!\nend\n");
    let asked = folder.file("asked.talk", "C: hello\nS: world!\n");
    // A datagram needs no end of a line.
    for (scheme, sent, received) in [("tcp", "120 bytes", "140 bytes"), ("udp", "100 bytes", "120 bytes")] {
        let server = Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--play", &served]);
        let address = format!("{scheme}://{}", server.address());
        let output = run(&["load", &address, "--play", &asked, "--plays", "20", "--connections", "1"], b"");
        assert_code(&output, 0);
        let said = text(&output.stdout);
        let row = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!((row("sent"), row("received")), (Some(sent), Some(received)), "{said}");
    }
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

/// A server that says `ok` to every line.
fn agreeing() -> String {
    serve_each(|stream, _| answer_lines(&stream, |_| Some("ok\n".to_owned()))).0
}

/// All that was given was to be tried: a load that never played one of its files says nothing of that file.
#[test]
fn a_transcript_that_was_never_played_fails_the_load_and_is_named() {
    let folder = Folder::new();
    let [one, two] = ["one", "two"].map(|name| folder.file(&format!("{name}.talk"), &format!("C: {name}\nS: ok\n")));
    let address = agreeing();
    let (often, seldom) = (format!("{one}@1000000"), format!("{one}@3"));
    for (weighted, more) in [
        (&one, &["--plays", "1"][..]),
        (&seldom, &["--plays", "2", "--threads", "2", "--connections", "2"]),
        (&often, &["--duration", "200ms", "--rate", "100", "--connections", "3"]),
        (&often, &["--duration", "100ms", "--max-errors", "100%"]),
    ] {
        let (output, figures) =
            folder.load(&[&[&address as &str, "--play", weighted, "--play", &two][..], more].concat());
        assert_code(&output, 1);
        let says = format!("came to an end, and none of {two}: give --plays, --duration or its weight more");
        assert!(text(&output.stderr).contains(&says), "{more:?} {}", both(&output));
        assert!(text(&output.stdout).contains(&format!("  {two}")), "{more:?} {}", both(&output));
        assert_eq!(figures["never_played"], serde_json::json!([two]), "{more:?}");
        let saved = folder.path("figures.json");
        let output = run(&["report", saved.to_str().unwrap()], b"");
        assert_code(&output, 0);
        assert!(text(&output.stderr).contains(&format!("no play of {two} came to an end")), "{}", both(&output));
    }
    // Nor does one that is cut before its end.
    let waits = folder.file("waits.talk", "C waits 60s\nC: late\nS: ok\n");
    let arguments = [&address as &str, "--play", &one, "--play", &waits, "--duration", "300ms", "--timeout", "100ms"];
    let (output, _) = folder.load(&arguments);
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains(&format!("none of {waits}:")), "{}", both(&output));
}

#[test]
fn of_few_plays_every_transcript_has_its_part_however_many_threads_and_shards_there_are() {
    let folder = Folder::new();
    let files = ["a", "b", "c", "d"].map(|name| folder.file(&format!("{name}.talk"), &format!("C: {name}\nS: ok\n")));
    let address = agreeing();
    let played = files.iter().flat_map(|file| ["--play", file as &str]).collect::<Vec<_>>();
    for (plays, threads) in [("4", "4"), ("4", "2"), ("4", "3"), ("5", "4"), ("7", "1")] {
        let more = [&address as &str, "--plays", plays, "--threads", threads, "--connections", threads];
        let (output, figures) = folder.load(&[&more[..], &played].concat());
        assert_code(&output, 0);
        assert_eq!(figures["never_played"], serde_json::json!([]));
        assert_eq!(figures["lines"].as_array().unwrap().len(), 4, "{plays} by {threads}: {figures}");
    }
    // What one shard has none of is another's, and is said; only together it would be missed.
    let mut saved = Vec::new();
    for shard in ["1/2", "2/2"] {
        let more = ["--plays", "4", "--threads", "1", "--connections", "2", "--shard", shard];
        let (output, _) = folder.load(&[&[&address as &str][..], &more, &played].concat());
        assert_code(&output, 0);
        assert!(
            text(&output.stderr).contains(&format!("shard {shard} never played {}", files[0]))
                || text(&output.stderr).contains(&format!("shard {shard} never played {}", files[2])),
            "{}",
            both(&output)
        );
        let path = folder.path(&format!("{}.json", &shard[..1]));
        std::fs::rename(folder.path("figures.json"), &path).unwrap();
        saved.push(path.display().to_string());
    }
    let output = run(&["report", &saved[0], &saved[1]], b"");
    assert_code(&output, 0);
    assert!(!both(&output).contains("no play of"), "{}", both(&output));
    let output = run(&["report", &saved[0]], b"");
    assert!(both(&output).contains("no play of"), "{}", both(&output));
}

#[test]
fn rows_and_addresses_that_were_never_used_are_told() {
    let folder = Folder::new();
    let (named, plain) = (folder.file("named.talk", "C: {who}\nS: ok\n"), folder.file("plain.talk", "C: x\nS: ok\n"));
    let counted = folder.file("counted.talk", "C: {play} {who}\nS: ok\n");
    let rows = folder.file("rows.csv", "who\nann\nbob\neve\nkim\n");
    let address = agreeing();
    let load = |arguments: &[&str]| {
        let (output, figures) = folder.load(&[&[&address as &str, "--data", &rows], arguments].concat());
        assert_code(&output, 0);
        (text(&output.stderr).to_owned(), figures["warnings"].to_string())
    };
    for (file, plays, says) in [
        (&named, "1", "3 of 4 rows of --data were never used, first that of line 3"),
        (&counted, "3", "1 of 4 rows of --data were never used, first that of line 5"),
    ] {
        let (told, saved) = load(&["--play", file, "--plays", plays]);
        assert!(told.contains(says) && saved.contains(says), "{told} {saved}");
    }
    for threads in ["1", "2"] {
        // Half of the plays take a row: none of the rows is left out for that.
        let few = ["--plays", "8", "--threads", threads, "--connections", "2"];
        let (told, _) = load(&[&["--play", &named, "--play", &plain][..], &few].concat());
        assert!(!told.contains("never used"), "{threads}: {told}");
        let (told, _) = load(&["--play", &counted, "--plays", "4", "--threads", threads]);
        assert!(!told.contains("never used"), "{threads}: {told}");
    }
    let sources = ["--play", &named, "--plays", "4", "--source", "127.0.0.1,127.0.0.2,127.0.0.3", "--connections"];
    let (told, _) = load(&[&sources[..], &["2"]].concat());
    assert!(told.contains("2 of 3 addresses of --source were used"), "{told}");
    let (told, _) = load(&[&sources[..], &["3", "--threads", "2"]].concat());
    assert!(!told.contains("addresses of --source"), "{told}");
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
    let arguments = ["--play", &client, "--connections", "16", "--threads", "1"];
    let rate = ["--duration", "4s", "--rate", "500"];
    let (output, figures) = folder.load(&[&[&address as &str][..], &arguments, &rate].concat());
    assert_code(&output, 0);
    // A fifth of the plays was due while it stood still: of a hundred, the slowest waited almost all of it.
    let p99 = figures["latency"]["p99"].as_f64().unwrap();
    assert!(p99 > 0.5, "{p99}: {}", both(&output));
    assert_eq!(count(&figures, "plays"), 2000);
    let address = stalling(2000, stall);
    // So many that those which waited are no hundredth of them.
    let (output, _) = folder.load(&[&[&address as &str][..], &arguments, &["--plays", "10000"]].concat());
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
fn gates_at_their_edges_mean_what_they_say() {
    let folder = Folder::new();
    let (client, silent) = (folder.file("ping.talk", ECHO), folder.file("said.talk", "C: hello\n"));
    let (right, _) = serve_each(|stream, _| answer_lines(&stream, pong));
    let (wrong, _) = serve_each(|stream, _| answer_lines(&stream, |_| Some("no\n".to_owned())));
    let (listens, _) = serve_each(|stream, _| answer_lines(&stream, |_| Some(String::new())));
    for (address, play, gate, exit, says) in [
        (&right, &client, &["--max-errors", "0"][..], 0, ""),
        (&right, &client, &["--max-errors", "0%"], 0, ""),
        (&right, &client, &["--max-p99", "60000ms", "--min-rate", "0.001/s"], 0, ""),
        // All may fail, and yet nothing was reached.
        (&wrong, &client, &["--max-errors", "100%"], 1, "no play was finished as written: 40 failed"),
        (&wrong, &client, &["--max-errors", "40"], 1, "no play was finished as written: 40 failed"),
        (&wrong, &client, &["--max-errors", "100%", "--max-p99", "1h"], 1, "there is no p99: no exchange was finished"),
        // No server answers: there is nothing to measure.
        (&listens, &silent, &[], 0, ""),
        (&listens, &silent, &["--max-p99", "1h"], 1, "there is no p99: no exchange was finished (--max-p99)"),
        (&listens, &silent, &["--min-rate", "0.001"], 1, "0.0 exchanges a second, and at least 0.001 are asked for"),
        (&right, &client, &["--max-errors", "100.1%"], 2, "write a number or a part of all"),
        (&right, &client, &["--max-errors", "1.5"], 2, "write a number or a part of all"),
        // A number without a unit is one of seconds.
        (&right, &client, &["--max-p99", "60"], 0, ""),
        (&right, &client, &["--max-p99", "1 fortnight"], 2, "--max-p99"),
        (&right, &client, &["--min-rate", "0"], 2, "write how many a second"),
    ] {
        let arguments = [&["load", address, "--play", play, "--plays", "40", "--connections", "4"], gate].concat();
        let output = run(&arguments, b"");
        assert_eq!((code(&output), gate), (exit, gate), "{}", both(&output));
        assert!(text(&output.stderr).contains(says), "{gate:?}: {}", both(&output));
    }
}

#[test]
fn lines_of_included_files_have_rows_and_failures_under_their_own_names() {
    let folder = Folder::new();
    folder.file("part.talk", "# shared\nC: part\nS: ok\n");
    folder.file("deep.talk", "include part.talk\nC: deep\nS: ok\n");
    let once = folder.file("once.talk", "C: once\nS: ok\ninclude part.talk\nC: after\nS: ok\n");
    let twice = folder.file("twice.talk", "include deep.talk\ninclude part.talk\n");
    let rows = folder.file("rows.talk", "include part.talk\nC: {who}\nS: ok\n");
    let table = folder.file("rows.csv", "who\nann\nbob\n");
    let (right, _) = serve_each(|stream, _| answer_lines(&stream, |_| Some("ok\n".to_owned())));
    let of = |figures: &Value, name: &str| {
        let mut found =
            figures["lines"].as_array().unwrap().iter().filter(|line| line["line"].as_str().unwrap().ends_with(name));
        let line = found.next().unwrap_or_else(|| panic!("{name} in {figures}")).clone();
        assert!(found.next().is_none(), "{name} has one row");
        (count(&line, "exchanges"), count(&line, "failures"))
    };
    let (output, figures) = folder.load(&[&right, "--play", &once, "--plays", "20"]);
    assert_code(&output, 0);
    let lines = ["/once.talk:1", "/part.talk:2", "/once.talk:4"];
    assert_eq!(lines.map(|line| of(&figures, line)), [(20, 0); 3]);
    // Several transcripts, one of which includes it twice, and each as often as its weight says.
    let weighted = format!("{twice}@3");
    let (output, figures) =
        folder.load(&[&right, "--play", &weighted, "--play", &once, "--plays", "40", "--threads", "1"]);
    assert_code(&output, 0);
    let lines = ["/deep.talk:2", "/part.talk:2", "/once.talk:1"];
    assert_eq!(lines.map(|line| of(&figures, line)), [(30, 0), (70, 0), (10, 0)]);
    let (output, figures) = folder.load(&[&right, "--play", &rows, "--data", &table, "--plays", "20"]);
    assert_code(&output, 0);
    assert_eq!(["/part.talk:2", "/rows.talk:2"].map(|line| of(&figures, line)), [(20, 0); 2]);
    // A failure is told where the line stands.
    let (wrong, _) = serve_each(|stream, _| {
        answer_lines(&stream, |line| Some(if line == "part" { "no\n" } else { "ok\n" }.to_owned()));
    });
    for play in [&once, &twice, &rows] {
        let arguments = [&wrong as &str, "--play", play, "--plays", "20", "--set", "who=eve"];
        let (output, figures) = folder.load(&arguments[..if play == &rows { 7 } else { 5 }]);
        assert_code(&output, 1);
        assert_eq!(of(&figures, "/part.talk:3"), (0, 20));
        let error = &figures["errors"][0];
        assert!(error["line"].as_str().unwrap().ends_with("/part.talk:3"), "{error}");
        assert!(error["first"].as_str().unwrap().contains("part.talk:3:4"), "{error}");
        assert!(both(&output).contains("part.talk:3: differs; the first"), "{}", both(&output));
    }
}

#[test]
fn lines_that_are_too_many_to_tell_apart_are_measured_together() {
    let folder = Folder::new();
    let client = folder.file("long.talk", &"C: a\nS: ok\n".repeat(600));
    let (right, _) = serve_each(|stream, _| answer_lines(&stream, |_| Some("ok\n".to_owned())));
    let (output, figures) = folder.load(&[&right, "--play", &client, "--plays", "2", "--connections", "1"]);
    assert_code(&output, 0);
    assert_eq!(count(&figures, "exchanges"), 1200);
    let lines = figures["lines"].as_array().unwrap();
    let last = lines.last().unwrap();
    assert_eq!((lines.len(), &last["line"], count(last, "exchanges")), (501, &"further lines".into(), 200));
}

#[test]
fn plays_that_wait_for_no_answer_take_turns_however_many_transcripts_there_are() {
    let folder = Folder::new();
    let plays: Vec<String> = ["a", "b", "c"].map(|word| folder.file(word, &format!("C: {word}\n"))).to_vec();
    let server = Server::start_at(&["127.0.0.1:0"], &["--discard"]);
    for address in [server.address(), format!("udp://{}", server.address())] {
        for played in [&plays[..1], &plays[..2], &plays] {
            let named = played.iter().flat_map(|path| ["--play", path]);
            let arguments: Vec<&str> =
                [&address as &str, "--plays", "200000", "--connections", "2"].into_iter().chain(named).collect();
            let (output, figures) = folder.load(&arguments);
            assert_code(&output, 0);
            assert_eq!(
                (count(&figures, "plays"), count(&figures, "sent")),
                (200_000, if address == server.address() { 400_000 } else { 200_000 })
            );
        }
    }
}

#[test]
fn pauses_between_plays_are_made_on_every_kind_of_connection() {
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", ECHO), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["127.0.0.1:0"], &["--play", &served, "--udp-budget", "off"]);
    let url = web(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    let (tcp, udp) = (server.address(), format!("udp://{}", server.address()));
    for what in [
        &[&tcp as &str, "--play", &client][..],
        &[&tcp, "--play", &client, "--reconnect"],
        &[&udp, "--play", &client],
        &[&url],
    ] {
        let began = Instant::now();
        let more = ["--plays", "10", "--connections", "2", "--think", "120ms"];
        let (output, figures) = folder.load(&[what, &more].concat());
        assert_code(&output, 0);
        assert_eq!(["plays", "failures"].map(|name| count(&figures, name)), [10, 0], "{what:?}");
        // Of five plays on a connection there are four pauses between: however quick the machine is, it takes no less.
        assert!(began.elapsed() > Duration::from_millis(480), "{what:?} {:?}", began.elapsed());
        // A pause is in no latency: a busy machine may make one of ten slow, and not the median.
        assert!(figures["latency"]["p50"].as_f64().unwrap() < 0.12, "{what:?} {figures}");
    }
}

#[test]
fn a_ramp_opens_connections_one_after_the_other_and_lets_a_rate_grow() {
    let folder = Folder::new();
    let client = folder.file("ping.talk", ECHO);
    let began = Instant::now();
    let moments = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&moments);
    let (address, _) = serve_each(move |stream, _| {
        told.lock().unwrap().push(began.elapsed());
        answer_lines(&stream, pong);
    });
    for more in [&["--threads", "1"][..], &["--threads", "2"], &["--threads", "2", "--shard", "1/1"]] {
        with_enough_time(|times| {
            moments.lock().unwrap().clear();
            let (start, duration) = (began.elapsed(), format!("{}ms", 1200 * times));
            let what =
                [&address as &str, "--play", &client, "--connections", "10", "--ramp", "1s", "--duration", &duration];
            let (output, figures) = folder.load(&[&what[..], more].concat());
            assert_code(&output, 0);
            assert_eq!(figures["ramp"], 1.0, "{figures}");
            let mut all = std::mem::take(&mut *moments.lock().unwrap());
            all.sort();
            // The tenth is due nine tenths of the ramp after the first. None can be early.
            let due = |index: usize| start + Duration::from_millis(100 * index as u64);
            assert!(all.iter().enumerate().all(|(index, at)| *at >= due(index)) && all.len() <= 10, "{all:?}");
            if all.len() == 10 { Ok(()) } else { Err(format!("{all:?}")) }
        });
    }
    // Half of what the whole rate would be: as plays are as the square of time.
    let what = [
        &address as &str,
        "--play",
        &client,
        "--connections",
        "10",
        "--ramp",
        "2s",
        "--duration",
        "2s",
        "--rate",
        "200",
    ];
    let (output, figures) = folder.load(&what);
    assert_code(&output, 0);
    assert_eq!((count(&figures, "plays"), count(&figures, "failures")), (200, 0));
}

/// With the library of another language, where PyPI's hdrhistogram is there or can be had.
#[test]
fn histograms_are_read_by_another_tool_of_hdrhistogram() {
    let Some(python) = packages::python("hdrhistogram", "hdrh.histogram") else { return };
    let folder = Folder::new();
    let (client, served) = (folder.file("ping.talk", &ECHO.repeat(2)), folder.file("served.talk", SERVED));
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &served]);
    let (output, figures) = folder.load(&[&server.address(), "--play", &client, "--plays", "3000", "--reconnect"]);
    assert_code(&output, 0);
    assert_eq!(count(&figures, "exchanges"), 6000);
    let script = "
import json, sys
from hdrh.histogram import HdrHistogram
run = json.load(open(sys.argv[1]))
parts = [(run['histogram'], run['exchanges'], run['latency'])]
parts += [(line['histogram'], line['exchanges'], line['latency']) for line in run['lines']]
parts += [(run[name]['histogram'], run[name]['count'], run[name]['latency']) for name in ('whole_plays', 'connects')]
parts += [(row['histogram'], row['exchanges'], row['latency']) for row in run['rows'] if row['exchanges']]
for text, count, latency in parts:
    there = HdrHistogram.decode(text)
    assert there.get_total_count() == count, (there.get_total_count(), count)
    for name, part in ('p50', 50), ('p90', 90), ('p99', 99), ('p999', 99.9), ('max', 100):
        # Which of two neighbours a percentile between them is, each library rounds as it likes.
        low, high = (there.get_value_at_percentile(min(max(part + rank * 100 / count, 0), 100)) for rank in (-1, 1))
        ours = latency[name] * 1e9
        assert low * 0.999 - 1 <= ours <= high * 1.001 + 1, (name, low, ours, high)
print(len(parts))
";
    let output =
        std::process::Command::new(&python).args(["-c", script]).arg(folder.path("figures.json")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).trim().parse::<usize>().unwrap() >= 6, "{}", text(&output.stdout));
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
        (&["load", "127.0.0.1:1", "--play", &client, "--source", "192.0.2.1"], "no interface of this machine has it"),
        (
            &["load", "127.0.0.1:1", "--play", &client, "--source", "127.0.0.1,::1"],
            "it is an address of IPv6, and 127.0.0.1:1 is one of IPv4",
        ),
        (&["load", "unix:/nowhere", "--play", &client, "--source", "127.0.0.1"], "a path has no address to come from"),
        (&["load", "1", "--play", &client, "--source", "localhost"], "--source"),
        (&["load", "1", "--play", &client, "--shard", "0/3"], "from 1: 1/4"),
        (&["load", "1", "--play", &client, "--shards", "3"], "nothing says which this one is"),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", both(&output));
    }
}
