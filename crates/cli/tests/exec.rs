//! `serve --exec`: a program for each client. It gets what comes and nothing else of ours, its end is told, and neither it
//! nor what it leaves behind outlives its client for long.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use support::{LONG, Log, Server, assert_code, command, files_of, line, run, text, to_end, until, wait_until_idle};

fn serve(arguments: &[&str]) -> Server {
    Server::start_at(&["tcp://127.0.0.1:0"], arguments)
}

/// Says something, says that this is all, and hears to the end.
fn ask(server: &Server, bytes: &[u8]) -> String {
    let mut client = server.connect();
    client.write_all(bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    text(&to_end(&mut client))
}

/// Processes whose parent is this one, and how many of them are zombies.
fn children(pid: u32) -> (usize, usize) {
    let (mut all, mut zombies) = (0, 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let words: Vec<&str> = rest.split(' ').collect();
        if words[1] == pid.to_string() {
            all += 1;
            zombies += usize::from(words[0] == "Z");
        }
    }
    (all, zombies)
}

/// Whether a process is there and no zombie.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn what_comes_is_its_input_and_what_it_says_is_sent() {
    let server = serve(&["--exec", "tr a-z A-Z"]);
    assert_eq!(ask(&server, b"hello\n"), "HELLO\n");
    let closed = server.log.wait_for("closed #1");
    assert!(closed.contains(" by client, 6 bytes from the client, 6 from the server, "), "{closed}");
    assert!(closed.ends_with(", its program exited with 0"), "{closed}");
    let (code, log) = server.stop();
    assert_eq!((code, log.last().unwrap().as_str()), (0, "1 conversation, 1 ended by themselves, 6 bytes came"));
}

#[test]
fn more_than_a_pipe_holds_comes_back_whole() {
    let server = serve(&["--exec", "cat"]);
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|number| (number / 7) as u8).collect();
    let mut client = server.connect();
    let mut sender = client.try_clone().unwrap();
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || {
        sender.write_all(&sent).unwrap();
        sender.shutdown(Shutdown::Write).unwrap();
    });
    assert!(to_end(&mut client) == bytes);
    sending.join().unwrap();
    server.log.wait_for("4000000 bytes from the client, 4000000 from the server");
}

/// The end of what it says is not the end of the program, nor of what the client says.
#[test]
fn half_closes_are_passed_both_ways() {
    let server = serve(&["--exec", "wc -c"]);
    assert_eq!(ask(&server, b"12345"), "5\n");
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard");
    let line = format!("echo bye; exec >&-; cat > {}", heard.display());
    for address in ["tcp://127.0.0.1:0".to_owned(), format!("unix:{}", folder.path().join("socket").display())] {
        let server = Server::start_at(&[&address], &["--shell", &line]);
        let mut client: Box<dyn ReadWrite> = match address.strip_prefix("unix:") {
            Some(path) => Box::new(std::os::unix::net::UnixStream::connect(path).unwrap()),
            None => Box::new(server.connect()),
        };
        assert_eq!(to_end(&mut client), b"bye\n");
        client.write_all(b"said after the end").unwrap();
        drop(client);
        server.log.wait_for("18 bytes from the client, 4 from the server");
        assert_eq!(std::fs::read(&heard).unwrap(), b"said after the end");
    }
}

/// What a client does.
type Step<'a> = &'a dyn Fn(&mut TcpStream);

/// The kernel counts an end of the stream as one more byte, and forgets at a reset that there was one.
#[test]
fn a_clients_end_is_no_byte_however_it_leaves() {
    let bytes = |client: &mut TcpStream| client.write_all(b"12345").unwrap();
    let ends = |client: &mut TcpStream| client.shutdown(Shutdown::Write).unwrap();
    let resets = |client: &mut TcpStream| {
        rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO)).unwrap();
    };
    let nothing = |_: &mut TcpStream| {};
    // One that reads to the end, one that reads nothing, one that answers into the reset, one whose end comes first.
    for program in ["cat >/dev/null", "sleep 0.2", "echo hi; cat", "exec >&-; cat >/dev/null", "head -c 5"] {
        let server = serve(&["--shell", program]);
        let ways: [(&[Step<'_>], u64); 8] = [
            (&[&bytes, &ends], 5),
            (&[&bytes, &nothing], 5),
            (&[&bytes, &ends, &resets], 5),
            (&[&bytes, &resets], 5),
            (&[&ends, &resets], 0),
            (&[&resets], 0),
            (&[&bytes, &bytes, &ends, &resets], 10),
            (&[&ends], 0),
        ];
        for (number, (steps, came)) in (1..).zip(ways) {
            let mut client = server.connect();
            steps.iter().for_each(|step| step(&mut client));
            drop(client);
            let closed = server.log.wait_for(&format!("closed #{number} "));
            assert!(closed.contains(&format!(", {came} bytes from the client, ")), "{program}, way {number}: {closed}");
        }
    }
}

trait ReadWrite: Read + Write {
    /// Writing takes what there is room for.
    fn stop_waiting(&self);
}

impl ReadWrite for TcpStream {
    fn stop_waiting(&self) {
        self.set_nonblocking(true).unwrap();
    }
}

impl ReadWrite for std::os::unix::net::UnixStream {
    fn stop_waiting(&self) {
        self.set_nonblocking(true).unwrap();
    }
}

#[test]
fn its_environment_is_that_of_tcpserver_ncat_and_socat() {
    let server = Server::start_with(
        // What is about another connection, or a name that one of ours begins with.
        &["env", "TCPREMOTEHOST=evil", "SOCAT_PEERADDR=evil", "NCAT_X=evil", "KEPT=yes"],
        &["tcp://127.0.0.1:0"],
        &["--exec", "env"],
    );
    let mut client = server.connect();
    let ours = client.local_addr().unwrap();
    let said = text(&to_end(&mut client));
    let (here, port, own) = ("127.0.0.1", ours.port(), server.port());
    for entry in [
        "SOCKEYE_CONN=1".to_owned(),
        "SOCKEYE_PROTO=tcp".to_owned(),
        format!("SOCKEYE_CLIENT={ours}"),
        format!("SOCKEYE_SERVER={here}:{own}"),
        "PROTO=TCP".to_owned(),
        format!("TCPREMOTEIP={here}"),
        format!("TCPREMOTEPORT={port}"),
        format!("TCPLOCALIP={here}"),
        format!("TCPLOCALPORT={own}"),
        "NCAT_PROTO=TCP".to_owned(),
        format!("NCAT_REMOTE_ADDR={here}"),
        format!("NCAT_REMOTE_PORT={port}"),
        format!("NCAT_LOCAL_ADDR={here}"),
        format!("NCAT_LOCAL_PORT={own}"),
        format!("SOCAT_PEERADDR={here}"),
        format!("SOCAT_PEERPORT={port}"),
        format!("SOCAT_SOCKADDR={here}"),
        format!("SOCAT_SOCKPORT={own}"),
        "KEPT=yes".to_owned(),
    ] {
        assert_eq!(said.lines().filter(|line| *line == entry).count(), 1, "{entry} in\n{said}");
    }
    assert!(!said.contains("evil"), "{said}");
}

/// Row 63 of the faults: what a peer says or is called becomes no code, and neither do words that a shell would run.
#[test]
fn nothing_that_a_peer_says_becomes_code() {
    let server = serve(&["--exec", "echo $(id) `id` ${HOME} a|id;id * () { :;}; id"]);
    assert_eq!(ask(&server, b"$(id)\n() { :;}; id\n"), "$(id) `id` ${HOME} a|id;id * () { :;}; id\n");
    server
        .log
        .wait_for("there is no shell here, so that $ is given to the program as it is: --shell runs a line of sh(1)");
    let server = serve(&["--shell", "read -r line; printf '%s' \"$line\"; env | grep -c '() {'"]);
    assert_eq!(ask(&server, b"$(id) `id` () { :;}; id\n"), "$(id) `id` () { :;}; id0\n");
}

#[test]
fn a_program_has_the_three_standard_streams_and_the_socket_tells_it_who_the_peer_is() {
    let server = serve(&["--shell", "ls /proc/$$/fd; readlink /proc/$$/fd/0; grep SigIgn /proc/$$/status"]);
    let said = ask(&server, b"");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(&lines[..3], ["0", "1", "2"], "{said}");
    assert!(lines[3].starts_with("socket:["), "{said}");
    // SIGPIPE is 13: `yes | head -1` in a program is to end.
    let ignored = u64::from_str_radix(lines[4].split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(ignored >> 12 & 1, 0, "{said}");
}

#[test]
fn what_it_writes_to_standard_error_is_told_with_the_number_and_made_harmless() {
    let server = serve(&["--shell", "printf 'one\\n\\033[2Jtwo\\nthree' >&2; exit 3"]);
    ask(&server, b"");
    ask(&server, b"");
    server.log.wait_for("#1: three");
    server.log.wait_for("#2: three");
    let all = server.log.all();
    for number in [1, 2] {
        let of: Vec<&String> = all.iter().filter(|line| line.starts_with(&format!("#{number}: "))).collect();
        assert_eq!(
            of,
            [&format!("#{number}: one"), &format!("#{number}: {{0x1b}}[2Jtwo"), &format!("#{number}: three")]
        );
    }
    assert!(server.log.wait_for("closed #2").ends_with(", its program exited with 3"));
    let server = serve(&["--json", "--shell", "echo oops >&2; kill -9 $$"]);
    ask(&server, b"");
    let closed = server.log.wait_for(r#""event":"closed""#);
    assert!(closed.contains(r#""signal":9"#), "{closed}");
    assert!(server.log.wait_for(r#""event":"stderr""#).contains(r#""conn":1"#));
}

#[test]
fn a_line_of_errors_without_an_end_is_told_in_pieces() {
    let server = serve(&["--shell", "head -c 10000 /dev/zero | tr '\\0' x >&2; echo said"]);
    assert_eq!(ask(&server, b""), "said\n");
    server.log.wait_for("closed #1");
    let all = server.log.wait_for_count("#1: x", 3);
    let pieces: Vec<&str> = all.iter().filter_map(|line| line.strip_prefix("#1: ")).collect();
    assert_eq!(pieces, [4096, 4096, 1808].map(|length| "x".repeat(length)));
}

/// Row 10 of the faults.
#[test]
fn a_thousand_clients_at_once_are_served_by_as_many_programs_as_may_run() {
    const CLIENTS: usize = 1000;
    const MOST: &str = "64";
    let server = serve(&["--exec", "cat", "--max-children", MOST, "-v"]);
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("{index}\n").as_bytes()).unwrap();
    }
    server.log.wait_for("64 programs run, as many as may (--max-children); new clients wait");
    assert!(children(server.child.id()).0 <= 64);
    for (index, mut client) in clients.into_iter().enumerate() {
        assert_eq!(line(&mut client), format!("{index}\n"));
    }
    server.log.wait_for_count("its program exited with 0", CLIENTS);
    until("the end of every program", || children(server.child.id()) == (0, 0));
    let server = serve(&["--exec", "cat"]);
    let mut clients: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x\n").unwrap();
        assert_eq!(line(client), "x\n");
    }
    // All of them at once.
    assert_eq!(children(server.child.id()), (200, 0));
}

#[test]
fn thousands_of_short_programs_leave_no_zombie_and_no_descriptor() {
    let server = serve(&["--exec", "true"]);
    ask(&server, b"");
    // Before it is told that the first one closed, what it had may still be open.
    server.log.wait_for("closed #1");
    until("rest", || children(server.child.id()) == (0, 0));
    wait_until_idle(server.child.id());
    let before = files_of(server.child.id());
    let threads = (0..4).map(|_| {
        let port = server.port();
        std::thread::spawn(move || {
            for _ in 0..500 {
                let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
                client.set_read_timeout(Some(LONG)).unwrap();
                to_end(&mut client);
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    until("rest", || children(server.child.id()) == (0, 0) && files_of(server.child.id()) == before);
    let (code, log) = server.stop();
    assert_eq!((code, log.last().unwrap().as_str()), (0, "2001 conversations, 2001 ended by themselves, 0 bytes came"));
}

/// Row 11 of the faults.
#[test]
fn a_program_that_does_not_end_is_ended_with_its_group_and_the_client_is_told() {
    // It ignores SIGTERM, has others, never reads, and says who it is.
    let stubborn = "trap '' TERM; sleep 1000 & echo $! $$; sleep 1000; sleep 1000";
    let mut server = serve(&["--grace", "200ms", "--shell", stubborn]);
    let mut client = server.connect();
    let pids = line(&mut client);
    server.signal("TERM");
    assert_eq!(to_end(&mut client), b"");
    assert_eq!(server.wait(), 0);
    let closed = server.log.wait_for("closed #1");
    assert!(closed.contains("its program was ended by SIGKILL"), "{closed}");
    until("the end of the group", || pids.split_whitespace().all(|pid| !is_alive(pid)));
    // The second signal waits for nothing.
    let mut server = serve(&["--grace", "1000s", "--shell", stubborn]);
    let mut client = server.connect();
    let pids = line(&mut client);
    server.begin_to_stop("TERM");
    server.signal("TERM");
    assert_eq!(server.wait(), 130);
    // What it did to those inside is told all the same.
    let closed = server.log.wait_for("closed #1");
    assert!(closed.contains("its program was ended by SIGKILL"), "{closed}");
    until("the end of the group", || pids.split_whitespace().all(|pid| !is_alive(pid)));
}

#[test]
fn a_program_that_ends_at_sigterm_is_heard_to_its_last_word() {
    let mut server =
        serve(&["--grace", "100ms", "--shell", "trap 'echo bye; exit 4' TERM; echo hi; while :; do sleep 0.05; done"]);
    let mut client = server.connect();
    assert_eq!(line(&mut client), "hi\n");
    server.signal("TERM");
    assert_eq!(text(&to_end(&mut client)), "bye\n");
    drop(client);
    assert_eq!(server.wait(), 0);
    assert!(server.log.wait_for("closed #1").contains("its program exited with 4"));
}

/// Row 11 of the faults: one that forks twice leaves someone behind who has the connection open.
#[test]
fn who_is_left_behind_does_not_keep_the_connection() {
    // In its group, and in another session, where no signal to the group comes.
    for line in ["sleep 1000 & echo $!", "setsid sh -c 'echo $$; sleep 1000' & sleep 0.3"] {
        let server = serve(&["--grace", "200ms", "--shell", line]);
        let mut client = server.connect();
        let said = text(&to_end(&mut client));
        drop(client);
        server.log.wait_for("closed #1");
        let pid = said.trim();
        if line.starts_with("sleep") {
            until("the end of the group", || !is_alive(pid));
        } else {
            assert!(is_alive(pid));
            let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        until("rest", || children(server.child.id()) == (0, 0));
    }
}

#[test]
fn who_is_left_behind_without_the_connection_is_ended_after_the_grace() {
    let server = serve(&["--grace", "200ms", "--shell", "sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!"]);
    let pid = ask(&server, b"");
    // The client did not wait for that.
    server.log.wait_for("closed #1");
    until("the end of the group", || !is_alive(pid.trim()));
    let server = serve(&["--grace", "1000s", "--shell", "sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!"]);
    let pid = ask(&server, b"");
    assert!(is_alive(pid.trim()));
    server.begin_to_stop("TERM");
    server.signal("TERM");
    until("the end of the group", || !is_alive(pid.trim()));
}

#[test]
fn a_reply_survives_input_that_its_program_never_read() {
    let server = serve(&["--exec", "echo goodbye"]);
    for _ in 0..20 {
        let mut client = server.connect();
        let _ = client.write_all(&vec![b'x'; 300_000]);
        let _ = client.shutdown(Shutdown::Write);
        assert_eq!(text(&to_end(&mut client)), "goodbye\n");
    }
}

/// Row 11 of the faults: what a program never reads is held by the kernel within its bounds, and not by us.
#[test]
fn a_program_that_never_reads_keeps_its_client_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for address in ["tcp://127.0.0.1:0".to_owned(), format!("unix:{}", path.display())] {
        let server = Server::start_at(&[&address], &["--grace", "200ms", "--shell", "echo ready; exec sleep 1000"]);
        let mut client: Box<dyn ReadWrite> = match address.starts_with("unix:") {
            true => Box::new(std::os::unix::net::UnixStream::connect(&path).unwrap()),
            false => Box::new(server.connect()),
        };
        assert_eq!(line(&mut client), "ready\n");
        let before = server.resident();
        client.stop_waiting();
        let (piece, mut taken) = (vec![b'x'; 64 << 10], 0_usize);
        loop {
            let so_far = taken;
            while let Ok(length) = client.write(&piece) {
                taken += length;
                assert!(taken < 64 << 20, "it takes without end");
            }
            // What it has taken may be on its way.
            support::wait_until_idle(server.child.id());
            if taken == so_far {
                break;
            }
        }
        assert!(server.resident() < before + (16 << 10), "{} and {before}", server.resident());
        drop(client);
    }
}

#[test]
fn a_client_that_resets_takes_its_program_with_it() {
    // One that waits for more, one that says something, and one that does neither.
    for line in ["echo $$; exec cat", "echo $$; while sleep 0.02; do echo more; done", "echo $$; exec sleep 1000"] {
        let server = serve(&["--grace", "200ms", "--shell", line]);
        let mut client = server.connect();
        let pid = support::line(&mut client);
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        assert!(server.log.wait_for("closed #1").contains(" by reset, "));
        until("the end of the program", || !is_alive(pid.trim()));
        assert_eq!(children(server.child.id()), (0, 0));
    }
}

/// It has the grace for what it does then, as with any other end of its connection.
#[test]
fn a_program_whose_client_resets_may_end_by_itself() {
    let server = serve(&["--grace", "1000s", "--shell", "echo ready; cat; exit 7"]);
    let mut client = server.connect();
    assert_eq!(line(&mut client), "ready\n");
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    let closed = server.log.wait_for("closed #1");
    assert!(closed.contains(" by reset, ") && closed.contains(", its program exited with 7"), "{closed}");
}

#[test]
fn a_silent_connection_is_ended_where_that_is_asked_for() {
    let server = serve(&["--timeout", "3s", "--exec", "cat"]);
    let mut client = server.connect();
    client.write_all(b"x").unwrap();
    assert_eq!(to_end(&mut client), b"x");
    assert!(server.log.wait_for("closed #1").ends_with(": nothing passed for 3 s (--timeout)"));
}

#[test]
fn a_program_that_is_not_there_is_told_before_anyone_listens() {
    for (command, words) in [
        ("no-such-program", "no-such-program: there is no such program in the folders of PATH"),
        ("/etc/passwd", "/etc/passwd: it is no program that may be run (chmod +x makes a file one)"),
    ] {
        let output = run(&["serve", "tcp://127.0.0.1:0", "--exec", command], b"");
        assert_code(&output, 26);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    for (command, words) in [("", "there is no program in it"), ("cat 'x", "the quote ' has no end")] {
        let output = run(&["serve", "tcp://127.0.0.1:0", "--exec", command], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    assert_code(&run(&["serve", "tcp://127.0.0.1:0", "--pty"], b""), 2);
}

#[test]
fn a_program_that_is_gone_later_is_told_and_its_clients_are_not_left_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    let server = serve(&["--exec", program.to_str().unwrap()]);
    ask(&server, b"");
    std::fs::remove_file(&program).unwrap();
    assert_eq!(ask(&server, b"x"), "");
    server.log.wait_for("error: program cannot be started: No such file or directory");
    assert!(server.log.wait_for("closed #2").ends_with(": program cannot be started: No such file or directory"));
    std::os::unix::fs::symlink("/bin/echo", &program).unwrap();
    assert_eq!(ask(&server, b""), "\n");
}

/// Row 10 of the faults, where the system is the bound.
#[test]
fn with_too_few_open_files_clients_wait_and_all_are_served() {
    let server = Server::start_with(&["prlimit", "--nofile=80:80"], &["tcp://127.0.0.1:0"], &["--exec", "cat"]);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for client in &mut clients {
        assert_eq!(to_end(client), b"x");
    }
}

/// Row 10 of the faults: no more processes for this user.
#[test]
fn without_processes_clients_wait_until_there_are_some() {
    if !rustix::process::geteuid().is_root() {
        // A user who is not root has processes of others counted too: nothing here would be known of them.
        return;
    }
    support::need("setpriv");
    // A user of this run alone, for which no process of another run is counted. It may not write our files.
    let user = 100_000 + std::process::id();
    let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
    let mut child = command(&["setpriv", &uid, &gid, "--clear-groups", "prlimit", "--nproc=6:6"])
        .args(["serve", "tcp://127.0.0.1:0", "--exec", "cat", "--threads", "1"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::default();
    log.follow(child.stderr.take().unwrap());
    let listening = log.wait_for("listening on tcp://127.0.0.1:");
    let port: u16 = listening.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut server = Server::started(child, port, log);
    let mut clients: Vec<TcpStream> = (0..12).map(|_| server.connect()).collect();
    server.log.wait_for("cat cannot be started now: this user may have no more processes (ulimit -u); clients wait");
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    for client in &mut clients {
        assert_eq!(to_end(client), b"x");
    }
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
}

#[test]
fn a_failed_program_is_a_failure_where_plays_are_judged() {
    for (line, code) in [("exit 0", 0), ("exit 3", 1), ("kill -9 $$", 1)] {
        let mut server = serve(&["--once", "--shell", line]);
        to_end(&mut server.connect());
        assert_eq!(server.wait(), code, "{line}: {:#?}", server.log.all());
    }
}

#[test]
fn with_pty_a_program_has_a_terminal_that_is_its_own() {
    let server = serve(&["--pty", "--shell", "tty; ps -o tty= -p $$; stty size; cat; echo end"]);
    let mut client = server.connect();
    let terminal = line(&mut client);
    assert!(terminal.starts_with("/dev/pts/") && terminal.ends_with("\r\n"), "{terminal}");
    assert_eq!(line(&mut client).trim(), terminal.trim().trim_start_matches("/dev/"));
    assert_eq!(line(&mut client), "24 80\r\n");
    client.write_all(b"typed\n").unwrap();
    // Once as the terminal shows it, and once as cat(1) says it.
    assert_eq!([line(&mut client), line(&mut client)], ["typed\r\n", "typed\r\n"]);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(text(&to_end(&mut client)), "end\r\n");
    assert!(server.log.wait_for("closed #1").ends_with("its program exited with 0"));
}

#[test]
fn a_client_that_ends_inside_a_line_has_said_its_end_at_a_terminal() {
    for said in [&b"x"[..], b"", b"one\n", b"one\ntwo"] {
        let mut server = serve(&["--pty", "--once", "--shell", "stty -echo; echo ready; cat >/dev/null; echo end"]);
        let mut client = server.connect();
        assert_eq!(line(&mut client), "ready\r\n");
        client.write_all(said).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&to_end(&mut client)), "end\r\n", "{said:?}");
        assert_eq!(server.wait(), 0, "{said:?}: {:#?}", server.log.all());
    }
}

#[test]
fn a_line_that_a_terminal_would_cut_fails_and_is_not_given() {
    let script = "stty -echo; echo ready; wc -c";
    for (length, code) in [(4095, 0), (4096, 1), (5000, 1), (300_000, 1)] {
        let mut server = serve(&["--pty", "--once", "--shell", script]);
        let mut client = server.connect();
        assert_eq!(line(&mut client), "ready\r\n");
        let _ = client.write_all(&vec![b'x'; length]).and_then(|()| client.write_all(b"\n"));
        let _ = client.shutdown(Shutdown::Write);
        if code == 0 {
            assert_eq!(text(&to_end(&mut client)), "4096\r\n");
        } else {
            server.log.wait_for("a line is longer than 4095 bytes, and a terminal drops the rest");
        }
        assert_eq!(server.wait(), code, "{length}: {:#?}", server.log.all());
    }
    let mut server = serve(&["--pty", "--once", "--shell", "stty -echo -icanon; echo ready; head -c 5000 | wc -c"]);
    let mut client = server.connect();
    client.write_all(&[b'x'; 5000]).unwrap();
    assert!(text(&to_end(&mut client)).ends_with("5000\r\n"));
    assert_eq!(server.wait(), 0);
}

#[test]
fn a_program_that_has_left_its_terminal_is_not_hung_up() {
    for script in [
        "echo over; exec <&- >&- 2>&-; sleep 0.3",
        "cat >/dev/null; echo over; exec <&- >&- 2>&-; sleep 0.3",
        "read -r a; echo over; exec <&- >&- 2>&-; sleep 0.3",
    ] {
        let mut server = serve(&["--pty", "--once", "--shell", script]);
        let mut client = server.connect();
        client.write_all(b"typed\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        // What was typed is shown too, before or behind it.
        let said = text(&to_end(&mut client));
        assert!(said.contains("over\r\n"), "{said}");
        drop(client);
        assert!(server.log.wait_for("closed #1").ends_with("its program exited with 0"), "{:#?}", server.log.all());
        assert_eq!(server.wait(), 0);
    }
}

/// The examples of docs/exec.md, as they stand there, with a free port for the one that is written.
#[test]
fn the_page_says_what_happens() {
    support::need("nc");
    let page = include_str!("../../../docs/exec.md");
    let blocks: Vec<&str> = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let mut steps = block.split("$ ").skip(1);
        let start = steps.next().unwrap().trim();
        let port = start.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap();
        // The shell splits its words.
        let words = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {}", start.strip_prefix("sockeye serve ").unwrap())])
            .output()
            .unwrap();
        let words = text(&words.stdout).replace(port, "0");
        let words: Vec<&str> = words.lines().collect();
        let server = Server::start_at(&words[..1], &words[1..]);
        for step in steps {
            let (command, expected) = step.split_once('\n').unwrap();
            let command = command.replace(port, &server.port().to_string());
            let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(text(&output.stdout), expected, "{command}");
        }
    }
}
