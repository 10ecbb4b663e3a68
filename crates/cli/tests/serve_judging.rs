//! What `serve` lets pass where it judges: as many conversations as were asked for, each played to its end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use support::*;

/// A loop, and statements behind it.
const GREET: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS: bye\nS closes\n";
/// The same over datagrams, where a server does not speak first.
const ASK: &str = "repeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS: bye\n";
const ALLOWED: &str = "--allow-early-close";

fn serve_at(address: &str, text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mock.talk");
    std::fs::write(&path, text).unwrap();
    let mut all = vec!["--play", path.to_str().unwrap()];
    all.extend_from_slice(arguments);
    (Server::start_at(&[address], &all), folder)
}

fn serve(text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    serve_at("tcp://127.0.0.1:0", text, arguments)
}

fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
}

/// Greeted once, and at the top of the loop again.
fn between_two_rounds(server: &Server) -> TcpStream {
    let mut client = server.welcomed();
    client.write_all(b"Ann\n").unwrap();
    assert_eq!(line(&mut client), "Hello, Ann!\n");
    client
}

#[test]
fn a_signal_before_as_many_came_as_were_asked_for_is_exit_1() {
    for address in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "127.0.0.1:0"] {
        for (arguments, words) in [
            (&["--once"][..], "0 conversations, 0 as written, 1 never came"),
            (&["--times", "3"], "0 conversations, 0 as written, 3 never came"),
            (&["--strict"], "0 conversations, 0 as written"),
        ] {
            for signal in ["TERM", "INT"] {
                let mut server = Server::start_at(&[address], arguments);
                server.signal(signal);
                assert_eq!(server.wait(), 1, "{address} {arguments:?}");
                server.log.wait_for(words);
            }
        }
    }
    // A server that just serves may have had no client.
    assert_eq!(Server::start(&[]).stop().0, 0);
    // One of two.
    let (mut server, _folder) = serve(GREET, &["--times", "2"]);
    let mut client = server.welcomed();
    client.write_all(b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"bye\n");
    drop(client);
    server.log.wait_for("closed #1");
    server.signal("TERM");
    assert_eq!(server.wait(), 1);
    server.log.wait_for("1 conversation, 1 as written, 1 never came");
    // The same over datagrams, and for who only echoes.
    let mut server = Server::start_at(&["udp://127.0.0.1:0"], &["--echo", "--times", "2"]);
    let client = server.datagrams();
    client.send(b"one").unwrap();
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 3);
    server.signal("TERM");
    assert_eq!(server.wait(), 1);
    server.log.wait_for("1 conversation, 1 ended by themselves, 3 bytes came, 1 never came");
}

#[test]
fn a_client_that_does_not_come_in_time_is_exit_1_and_said() {
    for address in ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"] {
        for arguments in [&["--once", "--wait", "200ms"][..], &["--times", "2", "--wait", "0.2s"], &["--wait", "0.2s"]]
        {
            let mut server = Server::start_at(&[address], arguments);
            assert_eq!(server.wait(), 1, "{arguments:?}");
            server.log.wait_for("no client came for 0.2 s (--wait)");
        }
    }
    // 0 is no limit, as everywhere: it waits.
    let (mut server, _folder) = serve(GREET, &["--once", "--wait", "0"]);
    drop(server.connect());
    assert_eq!(server.wait(), 1);
    server.log.wait_for("closed #1");
    let output = run(&["serve", "tcp://127.0.0.1:0", "--once", "--wait", "100ms", "-q"], b"");
    assert_code(&output, 1);
    assert!(text(&output.stderr).contains("1 never came; no client came for 0.1 s (--wait)"), "{output:?}");
    // One of two came.
    let (mut server, _folder) = serve(GREET, &["--times", "2", "--wait", "2s"]);
    let mut client = server.welcomed();
    client.write_all(b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"bye\n");
    drop(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("1 conversation, 1 as written, 1 never came; no client came for 2 s (--wait)");
    // While one is inside the time does not run: that one meets its own limit first.
    let (mut server, _folder) = serve("C: a\nS: b\n", &["--times", "2", "--wait", "500ms", "--timeout", "1500ms"]);
    let _silent = server.connect();
    assert_eq!(server.wait(), 1);
    let log = server.log.to_end();
    assert!(log.iter().any(|line| line.contains("nothing came from the client within 1.5 s")), "{log:#?}");
}

#[test]
fn leaving_inside_a_loop_that_statements_follow_is_a_failed_play_that_names_the_line() {
    for judged in [&["--once"][..], &["--times", "1"], &["--once", "--strict"]] {
        // Its end, with the connection closed or half-closed.
        for how in [None, Some(Shutdown::Write)] {
            let (mut server, _folder) = serve(GREET, judged);
            let client = between_two_rounds(&server);
            match how {
                Some(how) => client.shutdown(how).unwrap(),
                None => drop(client),
            }
            assert_eq!(server.wait(), 1, "{judged:?}");
            server.log.wait_for("error: the client closed early");
            server.log.wait_for("mock.talk:6:1");
            server.log.wait_for(" 6 | C: exit ");
            server.log.wait_for("--allow-early-close");
            server.log.wait_for("1 conversation, 0 as written, 1 not");
        }
    }
    // A reset, and a silence, also where nothing follows the loop.
    for text in [GREET, "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\n"] {
        let (mut server, _folder) = serve(text, &["--once"]);
        reset(between_two_rounds(&server));
        assert_eq!(server.wait(), 1);
        server.log.wait_for("error: the client reset the connection");
        let (mut server, _folder) = serve(text, &["--once", "--timeout", "3s"]);
        let _silent = between_two_rounds(&server);
        assert_eq!(server.wait(), 1);
        server.log.wait_for("error: nothing came from the client within 3 s");
    }
    // In a loop inside a loop, and before the first round.
    let nested = "repeat\n  C: a\n  repeat\n    C: b\n    S: c\n  end\n  C: d\nend\n";
    let (mut server, _folder) = serve(nested, &["--once"]);
    let mut client = server.connect();
    client.write_all(b"a\nb\n").unwrap();
    assert_eq!(line(&mut client), "c\n");
    drop(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for(" 7 |   C: d ");
    let (mut server, _folder) = serve(GREET, &["--once"]);
    drop(server.welcomed());
    assert_eq!(server.wait(), 1);
}

#[test]
fn a_stop_in_the_middle_of_a_play_that_is_judged_is_a_play_not_finished() {
    for arguments in [&["--once"][..], &["--strict"]] {
        let mut all = arguments.to_vec();
        all.extend(["--grace", "100ms"]);
        let (mut server, _folder) = serve(GREET, &all);
        let _client = between_two_rounds(&server);
        server.signal("TERM");
        assert_eq!(server.wait(), 1);
        server.log.wait_for("cut at line 6: the server was stopped");
        let summary = server.log.wait_for("1 conversation, 0 as written");
        assert!(summary.contains("1 cut") && !summary.contains("not"), "{summary}");
    }
    // It may come to its end within the grace.
    let (mut server, _folder) = serve(GREET, &["--once", "--grace", "60s"]);
    let mut client = between_two_rounds(&server);
    server.signal("TERM");
    client.write_all(b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"bye\n");
    drop(client);
    assert_eq!(server.wait(), 0);
    // Over datagrams too.
    let (mut server, _folder) = serve_at("udp://127.0.0.1:0", ASK, &["--once"]);
    let client = server.datagrams();
    client.send(b"Ann").unwrap();
    assert_eq!(client.recv(&mut [0; 64]).unwrap(), 11);
    server.signal("TERM");
    assert_eq!(server.wait(), 1);
    server.log.wait_for("cut at line 5: the server was stopped");
}

/// The grace is for exchanges that are under way: where a play may end it is not waited for.
#[test]
fn an_exchange_that_a_stop_finds_under_way_is_finished_and_the_next_one_is_not_waited_for() {
    let (mut server, _folder) =
        serve("repeat\n  C: name?\n  S: who asks?\n  C: {name}\n  S: hello, {name}\nend\n", &["--grace", "1h"]);
    let mut client = server.connect();
    client.write_all(b"name?\n").unwrap();
    assert_eq!(line(&mut client), "who asks?\n");
    server.begin_to_stop("TERM");
    client.write_all(b"Ann\n").unwrap();
    assert_eq!(text(&to_end(&mut client)), "hello, Ann\n");
    drop(client);
    assert_eq!(server.wait(), 0);
}

#[test]
fn over_datagrams_a_loop_that_statements_follow_is_played_to_its_end_too() {
    let (mut server, _folder) = serve_at("udp://127.0.0.1:0", ASK, &["--once"]);
    let client = server.datagrams();
    for (said, heard) in [("Ann", 11), ("Bob", 11), ("exit", 3)] {
        client.send(said.as_bytes()).unwrap();
        assert_eq!(client.recv(&mut [0; 64]).unwrap(), heard);
    }
    assert_eq!(server.wait(), 0);
    server.log.wait_for("1 conversation, 1 as written");
    let (mut server, _folder) = serve_at("udp://127.0.0.1:0", ASK, &["--once", "--timeout", "300ms"]);
    let client = server.datagrams();
    client.send(b"Ann").unwrap();
    assert_eq!(server.wait(), 1);
    server.log.wait_for(" 5 | C: exit ");
    // Where nothing follows, silence is the only end that there is.
    for (text, said) in [("C: hi\nS: ho\nrepeat\n  C: a\n  S: b\nend\n", "hi"), ("repeat\n  C: a\n  S: b\nend\n", "a")]
    {
        let (mut server, _folder) = serve_at("udp://127.0.0.1:0", text, &["--once", "--timeout", "300ms"]);
        server.datagrams().send(said.as_bytes()).unwrap();
        assert_eq!(server.wait(), 0);
        server.log.wait_for("1 conversation, 1 as written");
    }
}

#[test]
fn what_may_end_there_passes_and_so_does_what_is_allowed() {
    // A server that just serves goes on as ever.
    let (server, _folder) = serve(GREET, &[]);
    drop(between_two_rounds(&server));
    reset(between_two_rounds(&server));
    server.log.wait_for_count("closed #", 2);
    let (code, log) = server.stop();
    assert_eq!(code, 0);
    assert!(log.iter().any(|line| line.contains("2 conversations, 2 as written")), "{log:#?}");
    // Nothing, or only our own end, follows the loop.
    for end in ["", "S closes\n", "C closes\n", "# no more\n"] {
        let text = format!("S: Welcome!\nrepeat\n  C: {{name=Ann}}\n  S: Hello, {{name}}!\nend\n{end}");
        let (mut server, _folder) = serve(&text, &["--once", "--strict"]);
        drop(between_two_rounds(&server));
        assert_eq!(server.wait(), 0, "{end}");
        let (mut server, _folder) = serve(&text, &["--once", "--strict", "--grace", "60s"]);
        let mut client = between_two_rounds(&server);
        server.signal("TERM");
        assert_eq!(to_end(&mut client), b"");
        assert_eq!(server.wait(), 0, "{end}");
    }
    // It is allowed.
    let (mut server, _folder) = serve(GREET, &["--times", "3", ALLOWED, "--timeout", "3s"]);
    drop(between_two_rounds(&server));
    reset(between_two_rounds(&server));
    let _silent = between_two_rounds(&server);
    assert_eq!(server.wait(), 0);
    server.log.wait_for("3 conversations, 3 as written");
    // With --strict only its end.
    let (mut server, _folder) = serve(GREET, &["--times", "3", ALLOWED, "--timeout", "3s", "--strict"]);
    drop(between_two_rounds(&server));
    reset(between_two_rounds(&server));
    let _silent = between_two_rounds(&server);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("3 conversations, 1 as written, 2 not");
}

#[test]
fn a_reset_behind_the_last_statement_is_judged_where_the_end_is_written() {
    for (last, code, words) in [
        ("", 0, "1 conversation, 1 as written"),
        ("S closes\n", 0, "1 conversation, 1 as written"),
        ("C closes\n", 1, "the client reset the connection"),
    ] {
        for rest in ["", "S: two\n"] {
            let (mut server, _folder) = serve(&format!("C: hi\nS: one\n{rest}{last}"), &["--once"]);
            let mut client = server.connect();
            client.write_all(b"hi\n").unwrap();
            // The answer came, and is read to its end or not.
            assert_eq!(line(&mut client), "one\n");
            // Our end came with it, so that the play is over before the reset.
            if last != "C closes\n" && rest.is_empty() {
                assert_eq!(to_end(&mut client), b"");
            }
            reset(client);
            assert_eq!(server.wait(), code, "{last}{rest}");
            server.log.wait_for(words);
        }
    }
}

/// Over datagrams too, a play to which nothing comes where it may end has ended, by the time limit; only --strict minds.
#[test]
fn silence_between_two_exchanges_over_datagrams_is_an_end_by_timeout() {
    let text = "C: {n=1}\nS: hi\nrepeat\n  C: {q=x}\n  S: {n}\nend\n";
    for (strict, summary) in
        [(&[][..], "1 conversation, 1 as written"), (&["--strict"], "1 conversation, 0 as written, 1 not")]
    {
        let arguments = [&["--timeout", "300ms"], strict].concat();
        let (server, _folder) = serve_at("udp://127.0.0.1:0", text, &arguments);
        server.datagrams().send(b"7\n").unwrap();
        let closed = server.log.wait_for("closed #1");
        assert!(closed.contains(" by timeout, 2 bytes from the client"), "{closed}");
        assert!(closed.ends_with("nothing came for 0.3 s (--timeout)"), "{closed}");
        let (_, log) = server.stop();
        assert_eq!(log.last().unwrap(), summary);
    }
}

#[test]
fn an_echo_that_is_reset_has_failed_only_where_conversations_are_judged() {
    for (arguments, code) in [(&["--echo"][..], 0), (&["--echo", "--once"], 1)] {
        let mut server = Server::start_at(&["tcp://127.0.0.1:0"], arguments);
        let mut client = server.connect();
        client.write_all(b"a\n").unwrap();
        assert_eq!(line(&mut client), "a\n");
        reset(client);
        server.log.wait_for("closed #1");
        let is_judged = code != 0;
        if !is_judged {
            server.signal("TERM");
        }
        assert_eq!(server.wait(), code);
        let log = server.log.to_end();
        assert_eq!(log.iter().any(|line| line.contains("reset the connection")), is_judged, "{log:#?}");
    }
}

/// A client of a site that does not get what it asked for is a conversation that failed, where conversations are judged.
#[test]
fn an_answer_that_is_cut_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page");
    let site = ["--files", folder.path().to_str().unwrap(), "--once"];
    let asked = |server: &Server| {
        let mut client = server.connect();
        client.write_all(b"GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        client
    };
    let much = vec![b'p'; 40 << 20];
    std::fs::write(&page, &much).unwrap();
    let mut server = Server::start_at(&["http://127.0.0.1:0"], &site);
    let mut client = asked(&server);
    assert_eq!(to_end(&mut client).len(), much.len());
    drop(client);
    assert_eq!(server.wait(), 0);

    let mut server = Server::start_at(&["http://127.0.0.1:0"], &site);
    drop(asked(&server));
    assert_eq!(server.wait(), 1);
    server.log.wait_for("1 failed");

    let mut server = Server::start_at(&["http://127.0.0.1:0"], &site);
    let mut client = asked(&server);
    std::fs::File::options().write(true).open(&page).unwrap().set_len(1000).unwrap();
    assert!(to_end(&mut client).len() < much.len());
    drop(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("the file became shorter while it was sent");
}

/// What the client's system took may have been read; what it did not take was not.
#[test]
fn a_client_that_resets_before_all_has_arrived_has_failed_where_plays_are_judged() {
    let text = format!("C: hi\n{}S: last\n", format!("S raw: {}\n", "x".repeat(60_000)).repeat(20));
    for (arguments, code) in [(&["--once"][..], 1), (&["--times", "1", "--strict"], 1), (&[], 0)] {
        let (mut server, _folder) = serve(&text, arguments);
        let mut client = server.connect();
        client.write_all(b"hi\n").unwrap();
        wait_until_idle(server.child.id());
        reset(client);
        let closed = server.log.wait_for("closed #1");
        assert!(closed.contains(" by reset, "), "{closed}");
        if code == 0 {
            server.signal("TERM");
        }
        assert_eq!(server.wait(), code, "{arguments:?} {:?}", server.log.all());
    }
}
