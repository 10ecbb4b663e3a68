//! The command itself: help, pages, what reaches standard error, and files that it writes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write as _;
use std::process::Stdio;

use support::*;

#[test]
fn without_a_verb_help_is_shown_and_is_wrong_usage() {
    let output = run::<&str>(&[], b"");
    assert_code(&output, 2);
    assert!(output.stdout.is_empty());
    let help = text(&output.stderr);
    assert!(help.starts_with("Examples:\n  sockeye serve  "), "{help}");
    let output = run(&["--help"], b"");
    assert_code(&output, 0);
    let help = text(&output.stdout);
    assert!(
        help.contains("\n  130  ended by SIGINT\n") && help.contains("longest line (--max-line): 64 KiB"),
        "{help}"
    );
}

#[test]
fn a_verb_that_is_planned_is_told_from_one_that_is_none() {
    let verb = "probe";
    let output = run(&[verb, "--some", "words"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains(&format!("`sockeye {verb}` is not there yet")), "{output:?}");
    assert!(!text(&run(&["--help"], b"").stdout).contains(&format!("\n  {verb} ")));
    let output = run(&["serf"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("`serf` is no verb"), "{output:?}");
}

#[test]
fn flags_of_other_tools_are_answered_with_ours() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["fetch", "-L", "http://x"], &["-L: leave it out: redirects are followed; --no-follow"]),
        (&["fetch", "-fsSL", "http://x"], &["-f: leave it out", "-s: -q", "-S: leave", "-L: leave"]),
        (&["fetch", "-O", "http://x"], &["-o FILE"]),
        (&["fetch", "--post-data", "x", "http://x"], &["--data TEXT"]),
        (&["talk", "-u", "127.0.0.1", "53"], &["-u: write udp://"]),
        (&["talk", "-w", "3", "127.0.0.1", "53"], &["--connect-timeout TIME"]),
        (&["talk", "-N", "127.0.0.1", "53"], &["half-closed"]),
        (&["talk", "-e", "sh", "127.0.0.1", "53"], &["CMD | sockeye talk ADDR"]),
        (&["serve", "-e", "sh"], &["--exec CMD"]),
        (&["serve", "--sh-exec", "ls | cat"], &["--shell LINE"]),
        (&["serve", "-l", "1"], &["serve listens"]),
        (&["serve", "--directory", "."], &["--files DIR"]),
        (&["serve", "http://:1", "--play", "x"], &["cannot read the transcript x: No such file or directory\n"]),
        (&["talk", "https://x"], &["`sockeye fetch` fetches a page"]),
    ];
    for (arguments, says) in cases {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        let said = text(&output.stderr);
        assert!(says.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    }
}

#[test]
fn a_file_where_an_address_or_a_verb_stands_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("greeting.txt");
    std::fs::write(&there, "C: hi\nS: ho\n").unwrap();
    let there = there.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["talk", "ok.talk"], "`ok.talk` is a file, and no address: a transcript is played with --play ok.talk"),
        (&["serve", "ok.talk"], "a transcript is played with --play ok.talk"),
        (&["load", "1", "./sub/OK.TALK"], "a transcript is played with --play ./sub/OK.TALK"),
        (&["talk", "1", "ok.talk"], "a transcript is played with --play ok.talk"),
        (&["talk", "ok.talk", "1x"], "a transcript is played with --play ok.talk"),
        (&["talk", "localhost", "ok.talk"], "a transcript is played with --play ok.talk"),
        (&["talk", there], "plays it if it is a transcript; an address is HOST:PORT or PORT"),
        (
            &["ok.talk"],
            "`ok.talk` is a file, and no verb: `sockeye check ok.talk` reads a transcript, `sockeye serve --play ok.talk`",
        ),
        (&[there], "is a file, and no verb"),
        (&["talk", "localhost"], "`localhost` has no port: write localhost:9999"),
        (&["talk", "localhost", "http"], "ports are written as numbers, and http is 80: localhost 80"),
        (&["talk", "localhost", "IMAP"], "and IMAP is 143: localhost 143"),
        (&["talk", "localhost", "abc"], "write a number from 1 to 65535: localhost 9999"),
        (&["talk", "OPENSSL:localhost:1"], "write tls://localhost:1\n"),
        (&["talk", "openssl-connect:localhost:1,verify=0"], "write tls://localhost:1\n"),
        (&["serve", "SSL-L:443"], "write tls://:443\n"),
    ];
    for (arguments, says) in cases {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn what_other_checkers_have_is_answered_with_what_check_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ok.talk");
    std::fs::write(&file, "C: hi\nS: ho\n").unwrap();
    let file = file.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--format", "json"], "--json writes what is found as objects"),
        (&["--format=json"], "--json writes what is found as objects"),
        (&["--format=sarif"], "--json writes what is found as objects"),
        (&["--output", "json"], "--output: --json writes what is found as objects"),
        (&["-o", "x"], "-o: --json writes"),
        (&["-D", "x=1"], "-D: --set NAME=VALUE"),
        (&["--var", "x=1"], "--var: --set NAME=VALUE"),
        (&["--env", "x=1"], "--env: --set NAME=VALUE"),
        (&["-r"], "-r: write each file: `sockeye check *.talk`"),
        (&["--recursive"], "--recursive: write each file"),
        (&["-I."], "-I: leave it out: a file that is included"),
        (&["--server"], "--server: leave it out: both ends are always checked"),
        (&["--client"], "--client: leave it out: both ends are always checked"),
        (&["--lint"], "--lint: leave it out: all that is found is told"),
        (&["--list"], "--list: leave it out: all that is found is told"),
        (&["-V"], "-V: `sockeye --version`"),
    ];
    for (arguments, says) in cases {
        let output = run(&[&["check"], *arguments, &[file]].concat(), b"");
        assert_code(&output, 2);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains("tip:"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_page_asked_for_at_talk_is_answered_with_fetch() {
    let cases: &[&[&str]] = &[
        &["-k", "https://127.0.0.1:1/"],
        &["-X", "POST", "-d", "x", "http://127.0.0.1:1/"],
        &["-s", "http://127.0.0.1:1"],
        &["--data-raw", "a", "http://127.0.0.1:1"],
    ];
    for arguments in cases {
        let output = run(&[&["talk"], *arguments].concat(), b"");
        assert_code(&output, 2);
        let said = text(&output.stderr);
        assert!(said.starts_with("error: talk asks for no page\n\n  `sockeye fetch URL`"), "{arguments:?}: {said}");
    }
    // The URL of a proxy is none of a page.
    let output = run(&["talk", "--proxy", "http://127.0.0.1:1", "-M", "127.0.0.1", "1"], b"");
    assert!(text(&output.stderr).contains("-M: --ttl N"), "{output:?}");
    for verb in ["talk", "serve", "relay", "fetch", "import"] {
        let said = run(&[verb, "-V", "x"], b"");
        assert!(text(&said.stderr).contains("-V: `sockeye --version`"), "{said:?}");
    }
    assert!(text(&run(&["talk", "-R", "x"], b"").stderr).contains("-R: --ca FILE"));
}

/// Whatever a verb cannot do, it says what can.
#[test]
fn flags_of_curl_and_nc_are_answered_at_every_verb() {
    let verbs: &[&[&str]] = &[
        &["load", "http://127.0.0.1:1"],
        &["relay", "1", "2"],
        &["report", "x.json"],
        &["ports"],
        &["addrs"],
        &["check", "x.talk"],
        &["import", "x.txt"],
    ];
    let flags = [
        "-L",
        "-O",
        "-k",
        "-d",
        "-i",
        "-z",
        "-w",
        "-u",
        "-e",
        "-p",
        "-s",
        "-x",
        "-I",
        "-A",
        "-b",
        "-F",
        "-N",
        "-c",
        "-n",
        "--location",
        "--insecure",
        "--listen",
        "--exec",
        "--data",
    ];
    for verb in verbs {
        for flag in flags {
            let output = run(&[verb, &[flag][..]].concat(), b"");
            assert_code(&output, 2);
            let said = text(&output.stderr);
            let is_answered = said.contains(&format!("error: {} has no {flag}\n\n  {flag}: ", verb[0]))
                // One of ours that wants a value, or one that stands for it.
                || said.contains("but none was supplied");
            assert!(is_answered, "{verb:?} {flag}: {said}");
        }
    }
    let cases: &[(&[&str], &str)] = &[
        (&["load", "-c", "10", "-n", "100", "http://127.0.0.1:1"], "-n: --plays N is how many in all"),
        (&["load", "-z", "10s", "http://127.0.0.1:1"], "-z: --duration TIME"),
        (&["load", "--rps", "10", "http://127.0.0.1:1"], "--rps: --rate N"),
        (&["ports", "-tlnp"], "-t: --protocol tcp"),
        (&["ports", "-i", ":80"], "`sockeye ports 80 443`"),
        (&["relay", "-L", "1:localhost:2"], "-L: leave it out: the first address"),
        (&["relay", "--latency", "20ms", "1", "2"], "--latency: --delay TIME"),
        (&["addrs", "-a"], "-a: leave it out"),
        (&["report", "--baseline", "a.json", "b.json"], "--baseline: --against FILE"),
        (&["fetch", "--rate", "1M", "http://127.0.0.1:1"], "--rate: --limit-rate SIZE"),
    ];
    for (arguments, says) in cases {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_value_that_begins_as_a_flag_does_is_told_as_a_wrong_value() {
    for (arguments, says) in [
        (&["talk", "1", "--timeout", "-5"][..], "invalid value '-5' for '--timeout <TIME>': write a number and a unit"),
        (&["talk", "1", "--timeout", "-5s"], "invalid value '-5s' for '--timeout <TIME>'"),
        (&["fetch", "http://a", "--timeout", "-1"], "invalid value '-1' for '--timeout <TIME>'"),
        (&["load", "1", "--duration", "-1m"], "invalid value '-1m' for '--duration <TIME>'"),
        (&["load", "1", "--plays", "-1"], "invalid value '-1' for '--plays <N>': write a "),
        (&["serve", "--max-line", "-64KiB"], "invalid value '-64KiB' for '--max-line <SIZE>'"),
        (&["relay", "1", "2", "--rate", "-1Mbit"], "invalid value '-1Mbit' for '--rate"),
        (&["relay", "1", "2", "--drop", "-1%"], "invalid value '-1%' for '--drop"),
        (&["report", "x", "--against", "y", "--fail-if-slower", "-.5"], "invalid value '-.5' for '--fail-if-slower"),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn values_that_are_no_numbers_and_files_that_are_not_there_are_told_in_words() {
    for (arguments, says) in [
        (&["fetch", "--retry", "x", "http://a"][..], "write a whole number, such as 3"),
        (&["talk", "--repeat", "1.5", "--play", "x", "1"], "write a whole number, such as 3"),
        (&["serve", "--times", "0"], "write a number from 1 up"),
        (&["serve", "--times", "99999999999999999999999"], "the number is too large"),
        (&["serve", "--threads", "65"], "the number is too large: 64 is the most"),
        (&["import", "--session", "one", "x"], "write a whole number, such as 3"),
        (&["check", "no-such-file"], "cannot read the transcript no-such-file: No such file or directory\n"),
        (&["import", "no-such-file"], "cannot read no-such-file: No such file or directory\n"),
        (&["import", "/"], "cannot read /: Is a directory\n"),
        (&["check", "/"], "cannot read the transcript /: Is a directory\n"),
    ] {
        let output = run(arguments, b"");
        // A page or a capture is no transcript: that it cannot be read is no wrong usage.
        let is_unread = arguments[0] == "import" && says.starts_with("cannot read");
        assert_code(&output, if is_unread { 26 } else { 2 });
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains("os error") && !said.contains("invalid digit"), "{said}");
    }
}

#[test]
fn pages_and_completions_are_written_or_it_is_said_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of = |name: &str| folder.path().join(name);
    let pages = folder_of("new/man1");
    assert_code(&run(&["man".as_ref(), pages.as_os_str()], b""), 0);
    let serve = std::fs::read_to_string(pages.join("sockeye-serve.1")).unwrap();
    assert!(serve.contains(".TH sockeye-serve 1") && serve.contains("\\-\\-port\\-file"), "{serve}");
    // man(1) looks for a section where it has its name, and any other folder has all of them.
    let language = |folder: &str| folder_of(folder).join("sockeye-transcript.5").exists();
    assert!(language("new/man5") && !language("new/man1"));
    assert_code(&run(&["man".as_ref(), folder_of("all").as_os_str()], b""), 0);
    assert!(language("all") && folder_of("all").join("sockeye.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], b"");
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("connect-timeout"), "{shell}");
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    let output = run(&["man".as_ref(), folder.path().join("file").as_os_str()], b"");
    assert_code(&output, 23);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command(&[]).arg("man").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("cannot write to standard output: No space left"), "{output:?}");
}

#[test]
fn colour_is_written_only_where_it_is_asked_for() {
    let painted = |arguments: &[&str]| {
        let output = run(&[arguments, &["check", "/no/such/file"]].concat(), b"");
        assert_code(&output, 2);
        output.stderr.contains(&0x1b)
    };
    assert!(!painted(&[]));
    assert!(painted(&["--color", "always"]));
    assert!(!painted(&["--color", "never"]));
    assert!(!painted(&["--color", "always", "--json"]));
}

/// Row 24: a pipe on standard error that is full and never read.
/// Whatever is said, it is an object if objects were asked for: also before flags are known, and by a signal's thread.
#[test]
fn with_json_each_line_of_standard_error_is_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let page = write(folder.path(), "page", "C: HELO me\nS: 250 ok\nC: QUIT\n");
    let wrong = write(folder.path(), "wrong.talk", "Q: what\nC: {x\n");
    let objects = |stderr: &[u8], of: &[&str]| -> Vec<serde_json::Value> {
        let parsed = text(stderr).lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>();
        parsed.unwrap_or_else(|error| panic!("{of:?}: {error}: {}", text(stderr)))
    };
    let unbound = Closed::tcp();
    let refused = unbound.address.to_string();
    for (arguments, code) in [
        (&["--json"][..], 2),
        (&["nosuch", "--json"], 2),
        (&["probe", "--json"], 2),
        (&["talk", "--json"], 2),
        (&["talk", "--json", "-z"], 2),
        (&["serve", "--nosuch", "--json"], 2),
        (&["serve", "--timeout", "x", "--json"], 2),
        (&["load", "127.0.0.1:1", "--plays", "0", "--json"], 2),
        (&["fetch", "-O", "http://x", "--json"], 2),
        (&["talk", &refused, "--play", &wrong, "--json"], 2),
        (&["talk", &refused, "--json"], 7),
        (&["import", &page, "--json"], 0),
        (&["ports", "--json"], 0),
        (&["addrs", "--json", "a:1"], 2),
        (&["serve", "tcp://127.0.0.1:0", "--json", "--once", "--wait", "1ms"], 1),
    ] {
        let output = run(arguments, b"");
        assert_code(&output, code);
        let said = objects(&output.stderr, arguments);
        assert!(said.iter().all(|object| object["event"].is_string()), "{arguments:?}: {said:?}");
        assert_eq!(code != 0, said.iter().any(|object| object["event"] == "failed" || object["event"] == "notice"));
        if code == 2 {
            assert_eq!((&said[said.len() - 1]["event"], &said[said.len() - 1]["exit"]), (&"failed".into(), &2.into()));
        }
    }
    // Not what stands behind `--`.
    assert!(text(&run(&["talk", "--nosuch", "--", "--json"], b"").stderr).starts_with("error: "));
    // A conversation and a download that are interrupted.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for arguments in [&["talk", "--json", &address][..], &["fetch", "--json", &format!("http://{address}/"), "-o", "-"]]
    {
        let mut child = command(&[])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keep = child.stdin.take().unwrap();
        keep.write_all(b"typed\n").unwrap();
        let (mut peer, _) = silent.accept().unwrap();
        // A program that has said something watches for signals by now.
        assert!(!line(&mut peer).is_empty());
        signal(child.id(), "INT");
        let output = child.wait_with_output().unwrap();
        drop(keep);
        assert_code(&output, 130);
        let said = objects(&output.stderr, arguments);
        assert!(said.last().unwrap()["error"].as_str().unwrap().contains("interrupted"), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_standard_error_that_nobody_reads_holds_no_exit_up() {
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(&writer, b"x").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    for arguments in [&["check", "/no/such/file"][..], &["check", "/no/such/file", "--json"]] {
        let stderr = writer.try_clone().unwrap();
        let mut child = command(&[]).args(arguments).stdin(Stdio::null()).stderr(stderr).spawn().unwrap();
        assert_eq!(wait(&mut child), 2);
    }
}

/// Row 40: a full disk leaves the old file whole and nothing beside it, and the place is named.
#[test]
fn a_port_file_on_a_full_disk_is_exit_23_and_the_old_one_stays() {
    let output = in_namespace(
        r#"mount -t tmpfs -o size=64k none /mnt
        echo old >/mnt/ports
        cat /dev/zero >/mnt/fill 2>/dev/null || true
        "$1" serve tcp://127.0.0.1:0 --port-file /mnt/ports && exit 9
        echo "exit $?"; cat /mnt/ports; ls -A /mnt"#,
    );
    assert_eq!(text(&output.stdout), "exit 23\nold\nfill\nports\n", "{output:?}");
    let stderr = text(&output.stderr);
    assert!(stderr.contains("--port-file: cannot write /mnt/ports: No space left on device"), "{stderr}");
}

#[test]
fn a_port_file_that_is_no_file_is_refused_and_stays_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (path, why) in [(pipe.as_path(), "a device, pipe or socket"), (folder.path(), "it is a folder")] {
        let words = ["serve", "tcp://127.0.0.1:0", "--port-file", path.to_str().unwrap()];
        let output = run(&words, b"");
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains(why), "{output:?}");
    }
    let kind = std::os::unix::fs::FileTypeExt::is_fifo(&std::fs::metadata(&pipe).unwrap().file_type());
    assert!(kind);
}
